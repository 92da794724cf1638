//! Which of akkaflow's ways (`compat="…"`) would make something else of a file: told by `check`.

use crate::model::action::{ActionSpec, BodyElement, ElementSpec, TextContext, TextSpec};
use crate::model::definition::{Action, Compat, Definition, NodeKind};
use crate::model::parameter::{Filter, Form, FormPiece, Template, TimeWord};

use super::body::trim_matters;

/// In the order of the switches; those that the file sets itself are left out.
pub fn switches_that_matter(definition: &Definition, specs: &[&ActionSpec]) -> Vec<Compat> {
    let mut found = Found { definition, switches: Vec::new() };
    let triggers = definition.coordinator.iter().flat_map(|coordinator| &coordinator.triggers);
    let params = definition.params.iter().chain(triggers.flat_map(|trigger| &trigger.params));
    for template in params.filter_map(|param| param.value.as_ref()) {
        found.text(template, TextContext::Plain);
    }
    for output in &definition.outputs {
        found.text(&output.value, TextContext::Plain);
    }
    for entry in &definition.env {
        found.text(&entry.value, TextContext::Plain);
    }
    for node in &definition.nodes {
        match &node.kind {
            NodeKind::Action(action) => found.action(action, specs),
            NodeKind::Kill { message, late_result, .. } => {
                message.iter().chain(late_result).for_each(|template| found.text(template, TextContext::Plain));
            }
            NodeKind::Start | NodeKind::End | NodeKind::Fork | NodeKind::Join => {}
        }
    }
    let mut switches = found.switches;
    switches.sort_unstable();
    switches.dedup();
    switches.retain(|switch| !definition.compat.contains(switch));
    switches
}

struct Found<'a> {
    definition: &'a Definition,
    switches: Vec<Compat>,
}

impl Found<'_> {
    fn action(&mut self, action: &Action, specs: &[&ActionSpec]) {
        action.env.iter().for_each(|entry| self.text(&entry.value, TextContext::Plain));
        action.late.iter().for_each(|(_, template)| self.text(template, TextContext::Plain));
        if let Some(spec) = specs.iter().find(|spec| spec.element.word == action.body.word) {
            self.element(&action.body.tree, &spec.element);
        }
        let code = match action.body.word.as_str() {
            "script" => action.body.tree.child("code"),
            "shell" => action.body.tree.child("command"),
            _ => None,
        };
        let code = code.filter(|code| code.attribute("trim").is_none()).and_then(|code| code.text.as_ref());
        if code.is_some_and(|text| trim_matters(&text.source)) {
            self.switches.push(Compat::ScriptTrim);
        }
    }

    fn element(&mut self, element: &BodyElement<Template>, spec: &ElementSpec) {
        for (name, template) in &element.attributes {
            let known = spec.attributes.iter().find(|known| known.word == *name);
            self.text(template, known.map_or(TextContext::Plain, |known| known.context));
        }
        if let (Some(text), TextSpec::Optional(context) | TextSpec::Required(context) | TextSpec::Markup(context)) =
            (&element.text, spec.text)
        {
            self.text(text, context);
        }
        for child in &element.children {
            if let Some(spec) = spec.children.iter().find(|known| known.word == child.word) {
                self.element(child, spec);
            }
        }
    }

    fn text(&mut self, template: &Template, context: TextContext) {
        let is_code = matches!(context, TextContext::Shell | TextContext::Sql);
        for piece in template.forms() {
            match &piece.form {
                Form::Time { word, shift, .. } => {
                    if matches!(word, TimeWord::Today | TimeWord::Yestoday | TimeWord::CurMonth | TimeWord::LastMonth) {
                        self.switches.push(Compat::WallClock);
                    }
                    if shift.as_ref().is_some_and(|shift| shift.has_own_unit()) {
                        self.switches.push(Compat::WeekIsDay);
                    }
                }
                Form::Param(name) => {
                    let declared = self.definition.params.iter().find(|param| param.name == *name);
                    let has_default = piece.filters.iter().any(|filter| matches!(filter, Filter::Or(_)));
                    if declared.is_none() && !has_default {
                        self.switches.push(Compat::UndefinedParam);
                    }
                    if is_code && is_spliced(piece) && declared.is_none_or(|param| param.is_open()) {
                        self.switches.push(Compat::Splice);
                    }
                }
                Form::Node { .. } | Form::Dep { .. } if is_code && is_spliced(piece) => {
                    self.switches.push(Compat::Splice);
                }
                Form::Node { .. } | Form::Dep { .. } | Form::Id(_) => {}
            }
        }
    }
}

fn is_spliced(piece: &FormPiece) -> bool {
    !matches!(piece.filters.last(), Some(Filter::Sh | Filter::Sql))
}
