//! The root element: typed reading of what the tables have checked. Start reading at `workflow`.

use std::collections::HashSet;

use super::code::Code;
use super::grammar;
use super::param::Params;
use super::read::Reader;
use super::sink::Fault;
use super::template::Place;
use super::tree::Element;
use super::value::check_rendered;
use crate::model::action::{ElementSpec, TextContext};
use crate::model::definition::{Compat, Definition, EnvEntry, NODES_MAX, OUTPUTS_MAX, OutputDeclaration};
use crate::model::id::WorkflowName;
use crate::model::policy::{MailLevel, OnDelete, parse_count, parse_list};
use crate::model::schedule::Zone;
use crate::say;

impl Reader<'_> {
    /// Checks the whole file; the definition, when nothing is wrong with it.
    pub fn workflow(&self, root: &Element<'_>) -> Option<Definition> {
        let spec = &grammar::WORKFLOW;
        self.attributes(root, spec, &|_, _| false);
        self.text(root, spec);
        self.root_children(root);
        self.check_outputs(root);
        let zone = root.attribute("time-zone").and_then(|a| Zone::parse(&a.value.value).ok());
        let coordinator = self.one_coordinator(root);
        let params = Params::read(self, root, coordinator);
        let coordinator = coordinator.map(|element| self.coordinator(element, zone, &workflow_name(root)));
        params.check_uses(self);
        params.push_remarks(self);
        let instance_limit = self.instance_limit(root, &params);
        let mail_levels = self.mail_levels(root, &params);
        let start = self.check_graph(root);
        let (nodes, edges) = self.nodes(&params);
        let start = start?;
        if self.sink.n_errors() > 0 {
            return None;
        }
        Some(Definition {
            name: WorkflowName::from(workflow_name(root)),
            description: value(root, "desc"),
            creator: value(root, "creator").unwrap_or_else(|| "Unknown".to_owned()),
            owner: value(root, "owner"),
            tags: list(root, "tags"),
            doc: root.named("doc").next().map(|doc| dedent(&doc.text().value)).filter(|doc| !doc.is_empty()),
            dir: directory(&value(root, "dir").unwrap_or_else(|| "/tmp".to_owned())),
            create_time: value(root, "create-time"),
            mail_levels,
            mail_receivers: list(root, "mail-receivers"),
            is_strict: self.is_strict,
            instance_limit,
            zone,
            on_delete: value(root, "on-delete").and_then(|word| OnDelete::from_word(&word)),
            compat: compat(root),
            coordinator,
            params: params.into_declarations(),
            env: self.at(Place::Creation, || self.env(root)),
            outputs: self.at(Place::End, || self.outputs(root)),
            nodes,
            edges,
            start,
        })
    }

    fn instance_limit(&self, root: &Element<'_>, params: &Params) -> u32 {
        let read = |text: &str| parse_count(text, 1).ok();
        self.known_at_load(root, "instance-limit", params).and_then(|text| read(&text)).unwrap_or(1)
    }

    fn mail_levels(&self, root: &Element<'_>, params: &Params) -> Vec<MailLevel> {
        if root.attribute("mail-level").is_none() {
            return vec![MailLevel::Failed];
        }
        let text = self.known_at_load(root, "mail-level", params).unwrap_or_default();
        let words = parse_list(&text).unwrap_or_default();
        let mut levels: Vec<MailLevel> = words.iter().filter_map(|word| mail_level(word)).collect();
        levels.sort_unstable();
        levels.dedup();
        levels
    }

    /// A value that is needed before there is an instance: `${param:…}` in it stands for the file's constants.
    fn known_at_load(&self, root: &Element<'_>, name: &str, params: &Params) -> Option<String> {
        let attribute = root.attribute(name).filter(|attribute| !attribute.value.value.trim().is_empty())?;
        let known = grammar::WORKFLOW.attributes.iter().find(|known| known.word == name)?;
        let template = self.quiet(&attribute.value.value, known.context);
        if let Some(text) = template.constant_text() {
            return Some(text.into_owned());
        }
        let Some(text) = template.with_constants(|param| params.get(param)?.value.as_ref()?.constant_text()) else {
            let message = say!("attribute {} counts before there is an instance, so its value must be known", name);
            let hint = say!("use parameters of this file whose values are constant");
            self.push(Fault::new(Code::NotRendered, attribute.value.span, message).hint(hint));
            return None;
        };
        check_rendered(self, attribute, known.shape, &text);
        Some(text)
    }

    fn root_children(&self, root: &Element<'_>) {
        let mut n_nodes = 0;
        let place = |at: usize| Place::Node(at - 1);
        for child in root.elements() {
            let Some(known) = grammar::WORKFLOW.children.iter().find(|known| known.word == child.name) else {
                self.unknown_node(child);
                continue;
            };
            if is_node(child.name) {
                n_nodes += 1;
                if n_nodes == NODES_MAX + 1 {
                    let message = say!("a workflow has at most {} nodes", NODES_MAX);
                    self.push(Fault::new(Code::TooManyNodes, child.span, message));
                }
            }
            match child.name {
                "action" => self.at(place(n_nodes), || self.check_action(child)),
                "output" => self.at(Place::End, || self.check_named(child, known)),
                "env" => self.check_named(child, known),
                _ if is_node(child.name) => self.at(place(n_nodes), || self.element(child, known)),
                _ => self.element(child, known),
            }
        }
        let docs: Vec<_> = root.named("doc").collect();
        if let Some(second) = docs.get(1) {
            self.push(Fault::new(Code::RepeatedElement, second.span, say!("the workflow has more than one <doc>")));
        }
    }

    fn unknown_node(&self, child: &Element<'_>) {
        if grammar::child_not_built(grammar::WORKFLOW.word, child.name) {
            let message = say!("<{}> is not in this build", child.name);
            self.push(Fault::new(Code::NotBuilt, child.name_span, message));
            return;
        }
        let words = grammar::WORKFLOW.children.iter().map(|known| known.word);
        let message = say!("<{}> is no kind of node", child.name);
        let fault = Fault::new(Code::UnknownRootChild, child.name_span, message);
        let is_type = self.specs.iter().any(|spec| spec.element.word == child.name);
        self.push(if is_type {
            fault.hint(say!("put <{}> inside an <action>", child.name))
        } else {
            fault.suggest(child.name, words)
        });
    }

    /// `<env>` and `<output>`: their names have rules of their own.
    pub fn check_named(&self, element: &Element<'_>, spec: &ElementSpec) {
        self.element(element, spec);
        let Some(name) = element.attribute("name").filter(|name| !name.value.value.trim().is_empty()) else { return };
        let text = name.value.value.trim();
        let is_env = spec.word == "env";
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || (!is_env && matches!(c, '-' | '.'));
        let is_good = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(is_word);
        let code = if is_env { Code::EnvName } else { Code::OutputName };
        if !is_good {
            let message = say!("\"{}\" cannot be the name of an {}", text, spec.word);
            let hint = match is_env {
                true => say!("use letters, digits and _, not beginning with a digit"),
                false => say!("use letters, digits, _ - and ., not beginning with a digit"),
            };
            self.push(Fault::new(code, name.value.trimmed_span(), message).hint(hint));
        } else if is_env && text.starts_with("RF_") {
            let message = say!("the variable {} is ours: names that begin with RF_ are set by the worker", text);
            self.push(Fault::new(code, name.value.trimmed_span(), message));
        }
    }

    /// akkaflow uses a coordinator only when there is exactly one.
    fn one_coordinator<'e, 's>(&self, root: &'e Element<'s>) -> Option<&'e Element<'s>> {
        let found: Vec<_> = root.elements().filter(|child| child.name == "coordinator").collect();
        if let Some(second) = found.get(1) {
            let message = say!("the workflow has two coordinators, so none is used");
            self.push_by_schema(Fault::new(Code::TwoCoordinators, second.span, message).hint(say!("keep one of them")));
            return None;
        }
        found.first().copied()
    }

    pub fn env(&self, element: &Element<'_>) -> Vec<EnvEntry> {
        let mut entries: Vec<EnvEntry> = Vec::new();
        for (name, value) in named_values(element, "env") {
            entries.retain(|entry| entry.name != name);
            let value = self.quiet(&value, TextContext::Argument);
            entries.push(EnvEntry { name, value });
        }
        entries
    }

    /// An output is named once, and an instance has no more of them than a node.
    fn check_outputs(&self, root: &Element<'_>) {
        let mut seen = HashSet::new();
        for output in root.named("output") {
            let Some(name) = value(output, "name") else { continue };
            let message = if seen.contains(&name) {
                say!("the output \"{}\" is declared twice", name)
            } else if seen.len() == OUTPUTS_MAX {
                say!("an instance has at most {} outputs", OUTPUTS_MAX)
            } else {
                seen.insert(name);
                continue;
            };
            self.push(Fault::new(Code::OutputName, output.span, message));
        }
    }

    fn outputs(&self, root: &Element<'_>) -> Vec<OutputDeclaration> {
        named_values(root, "output")
            .into_iter()
            .map(|(name, value)| OutputDeclaration { name, value: self.quiet(&value, TextContext::Plain) })
            .collect()
    }
}

pub(super) fn is_node(word: &str) -> bool {
    matches!(word, "start" | "end" | "fork" | "join" | "kill" | "action")
}

/// The attribute's trimmed value, when it is there and not blank.
pub(super) fn value(element: &Element<'_>, name: &str) -> Option<String> {
    let value = element.attribute(name)?.value.value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// The compat switches that are words.
pub(super) fn compat(root: &Element<'_>) -> Vec<Compat> {
    let mut switches: Vec<Compat> = list(root, "compat").iter().filter_map(|word| Compat::from_word(word)).collect();
    switches.sort_unstable();
    switches.dedup();
    switches
}

fn named_values(element: &Element<'_>, word: &str) -> Vec<(String, String)> {
    let read = |child: &Element<'_>| Some((value(child, "name")?, child.attribute("value")?.value.value.to_string()));
    element.elements().filter(|child| child.name == word).filter_map(read).collect()
}

fn workflow_name(root: &Element<'_>) -> String {
    value(root, "name").unwrap_or_default()
}

fn list(root: &Element<'_>, name: &str) -> Vec<String> {
    value(root, name).and_then(|text| parse_list(&text).ok()).unwrap_or_default()
}

fn mail_level(word: &str) -> Option<MailLevel> {
    Some(match word.to_ascii_lowercase().as_str() {
        "queued" | "w_prep" | "就绪" => MailLevel::Queued,
        "running" | "w_running" | "运行中" => MailLevel::Running,
        "succeeded" | "w_successed" | "成功" => MailLevel::Succeeded,
        "failed" | "w_failed" | "失败" => MailLevel::Failed,
        "killed" | "w_killed" | "杀死" => MailLevel::Killed,
        _ => return None,
    })
}

/// `/dw/orders`, whatever slashes were written.
fn directory(text: &str) -> String {
    let parts: Vec<&str> = text.split('/').map(str::trim).filter(|part| !part.is_empty()).collect();
    format!("/{}", parts.join("/"))
}

/// Without blank lines around it and without the indent that all lines share.
pub(super) fn dedent(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let indent_of = |line: &&str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let indent = lines.iter().filter(|line| !line.trim().is_empty()).map(indent_of).min().unwrap_or(0);
    let cut: Vec<&str> = lines.iter().map(|line| line.get(indent..).unwrap_or("").trim_end()).collect();
    cut.join("\n").trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mail_word_of_the_table_means_a_level() {
        for word in grammar::MAIL_LEVELS {
            assert!(mail_level(word).is_some(), "{word}");
        }
    }

    #[test]
    fn directories_are_normalised_and_text_loses_its_indent() {
        assert_eq!(directory("dw//orders/ "), "/dw/orders");
        assert_eq!(directory("/"), "/");
        assert_eq!(dedent("\n    # A\n      b\n\n    c\n  "), "# A\n  b\n\nc");
    }
}
