//! The nodes, typed: control nodes and `<action>` with its policies.

use super::code::Code;
use super::former;
use super::grammar;
use super::graph::GraphNode;
use super::param::Params;
use super::read::Reader;
use super::sink::Fault;
use super::template::Place;
use super::tree::{Attribute, Element};
use super::value;
use super::workflow::value as text_of;
use crate::model::action::{ActionSpec, TextContext};
use crate::model::definition::{Action, Edge, Node, NodeKind};
use crate::model::id::{NodeIndex, NodeName};
use crate::model::parameter::Template;
use crate::model::policy::{ActionPolicy, KillResult, Retry};
use crate::say;

impl Reader<'_> {
    /// All nodes and edges in the order of the file, the start's edge first. Complete only in a file without errors.
    pub fn nodes(&self, params: &Params) -> (Vec<Node>, Vec<Edge>) {
        let graph = self.scope.graph;
        let mut nodes = Vec::with_capacity(graph.nodes.len());
        for (at, node) in graph.nodes.iter().enumerate() {
            let Some(kind) = self.at(Place::Node(at), || self.kind(node, params)) else { continue };
            nodes.push(Node {
                name: NodeName::from(node.name.as_str()),
                description: text_of(node.element, "desc"),
                kind,
                line: self.sink.source.line(node.element.span.start),
            });
        }
        let (start, rest): (Vec<_>, Vec<_>) =
            graph.nodes.iter().enumerate().partition(|(_, node)| node.element.name == "start");
        let edges = start.into_iter().chain(rest).flat_map(|(from, node)| {
            node.edges.iter().filter_map(move |edge| {
                let (from, to) = (NodeIndex(from as u32), NodeIndex(edge.to? as u32));
                Some(Edge { from, to, kind: edge.kind })
            })
        });
        let edges = edges.collect();
        (nodes, edges)
    }

    fn kind(&self, node: &GraphNode<'_>, params: &Params) -> Option<NodeKind> {
        let element = node.element;
        Some(match element.name {
            "start" => NodeKind::Start,
            "end" => NodeKind::End,
            "fork" => NodeKind::Fork,
            "join" => NodeKind::Join,
            "kill" => NodeKind::Kill {
                late_result: element
                    .attribute("result")
                    .map(|result| self.quiet(&result.value.value, TextContext::Plain))
                    .filter(|result| !result.is_constant()),
                message: element
                    .named("message")
                    .next()
                    .map(|message| message.text().value.trim().to_owned())
                    .filter(|text| !text.is_empty())
                    .map(|text| self.quiet(&text, TextContext::Plain)),
                result: text_of(element, "result")
                    .and_then(|word| KillResult::from_word(&word))
                    .unwrap_or(KillResult::Killed),
            },
            _ => NodeKind::Action(Box::new(self.action(element, params)?)),
        })
    }

    fn action(&self, element: &Element<'_>, params: &Params) -> Option<Action> {
        let (spec, body) = self.type_of(element)?;
        let (policy, late) = self.policy(element, params);
        Some(Action { body: self.body(body, spec), policy, late, env: self.env(element) })
    }

    /// The attributes that are constant, and those to read when their `${…}` are known.
    fn policy(&self, element: &Element<'_>, params: &Params) -> (ActionPolicy, Vec<(String, Template)>) {
        let mut policy = ActionPolicy::default();
        let mut late = Vec::new();
        for (name, attribute) in policy_attributes(element) {
            let template = self.quiet(&attribute.value.value, context_of(element, &name));
            match template.constant_text() {
                // What does not fit has been said before.
                Some(text) => drop(policy.set(&name, &text)),
                None => {
                    self.check_default(&name, attribute, &template, params);
                    late.push((name, template));
                }
            }
        }
        (policy, late)
    }

    /// `timeout="${param:limit}"` is checked with the constant that the file gives `limit`.
    fn check_default(&self, name: &str, attribute: &Attribute<'_>, template: &Template, params: &Params) {
        let Some(default) = template.with_constants(|param| params.get(param)?.value.as_ref()?.constant_text()) else {
            return;
        };
        if let Some(Err(error)) = ActionPolicy::default().set(name, &default) {
            self.push(value::bad(attribute, &error).note(say!("its value is \"{}\" here", default)));
        }
    }

    /// Checks an action: its attributes, its type and what follows it.
    pub fn check_action(&self, element: &Element<'_>) {
        let spec = &grammar::ACTION;
        self.attributes(element, spec, &|attribute, _| self.check_policy(element, attribute, attribute.name));
        self.text(element, spec);
        self.check_type(element);
        for child in element.elements() {
            match spec.children.iter().find(|known| known.word == child.name) {
                Some(known) if known.word == "retry" => self.check_retry(element, child),
                Some(known) if known.word == "env" => self.check_named(child, known),
                Some(known) => self.element(child, known),
                None => {}
            }
        }
        self.occurrences(element, spec);
        self.check_error_edge(element);
    }

    fn check_retry(&self, action: &Element<'_>, element: &Element<'_>) {
        let own = |attribute: &Attribute<'_>, _: &_| {
            Retry::ATTRIBUTES.contains(&attribute.name)
                && self.check_policy(element, attribute, &format!("retry.{}", attribute.name))
        };
        self.attributes(element, &grammar::RETRY, &own);
        self.children(element, &grammar::RETRY);
        self.text(element, &grammar::RETRY);
        if let Some(short) = ["retry-times", "interval"].iter().find_map(|name| action.attribute(name)) {
            let message = say!("retries are set by attribute {} and by <retry>", short.name);
            let hint = say!("keep <retry>, or the attributes retry-times and interval");
            self.push(Fault::new(Code::RetryTwice, element.span, message).hint(hint));
        }
    }

    /// Reads a constant policy as the engine would. False: it is no policy.
    fn check_policy(&self, element: &Element<'_>, attribute: &Attribute<'_>, name: &str) -> bool {
        let mut scratch = ActionPolicy::default();
        if scratch.set(name, "").is_none() {
            return false;
        }
        let Some(template) = self.template(&attribute.value, context_of(element, name)) else { return true };
        let Some(text) = template.constant_text() else { return true };
        if text.trim().is_empty() {
            let span = super::read::around(&attribute.value);
            self.push(Fault::new(Code::BlankAttribute, span, say!("attribute {} is blank", attribute.name)));
        } else if let Some(Err(error)) = scratch.set(name, &text) {
            self.push(value::bad(attribute, &error));
        }
        true
    }

    fn check_error_edge(&self, element: &Element<'_>) {
        let errors: Vec<_> = element.named("error").collect();
        let fault = match errors.as_slice() {
            [] => return,
            [one] if text_of(one, "to").is_some() => return,
            [one] => {
                Fault::new(Code::ErrorEdgeIgnored, one.span, say!("<error> leads nowhere: it has no attribute to"))
            }
            [_, second, ..] => Fault::new(
                Code::ErrorEdgeIgnored,
                second.span,
                say!("the action has more than one <error>, so none is used"),
            ),
        };
        self.push_by_schema(fault);
    }

    /// The type is the first element of its action, as in akkaflow.
    fn check_type(&self, element: &Element<'_>) {
        let words = || self.specs.iter().map(|spec| spec.element.word);
        let name = text_of(element, "name").unwrap_or_default();
        let is_type = |child: &&Element<'_>| words().any(|word| word == child.name);
        let is_other = |child: &Element<'_>| grammar::ACTION.children.iter().any(|known| known.word == child.name);
        let mut types = element.elements().filter(is_type);
        match (types.next(), element.elements().next()) {
            (Some(found), Some(first)) if std::ptr::eq(found, first) => {}
            (Some(found), _) => {
                let message = say!("<{}> must be the first element of action \"{}\"", found.name, name);
                self.push(Fault::new(Code::TypeNotFirst, found.name_span, message).hint(say!("move it up")));
            }
            (None, first) => self.push_no_type(element, first.filter(|first| !is_other(first)), &name),
        }
        if let Some((spec, body)) = self.type_of(element) {
            self.check_body(body, spec);
        }
        for second in types {
            let message = say!("action \"{}\" has a second type <{}>, which is not used", name, second.name);
            self.push_by_schema(Fault::new(Code::UnknownElement, second.name_span, message));
        }
        let others = element.elements().filter(|child| !is_type(child) && !is_other(child));
        let has_type = self.type_of(element).is_some();
        for other in others.filter(|_| has_type) {
            self.unknown_child(element, other, &grammar::ACTION);
        }
    }

    fn push_no_type(&self, element: &Element<'_>, unknown: Option<&Element<'_>>, name: &str) {
        // Its type would be the template's, which has been told to be impossible here.
        if element.attribute("template").is_some() {
            return;
        }
        let words: Vec<&str> = self.specs.iter().map(|spec| spec.element.word).collect();
        let Some(unknown) = unknown else {
            let message = say!("action \"{}\" has no type", name);
            let hint = say!("begin it with one of {}", words.join(", "));
            self.push(Fault::new(Code::UnknownType, element.span, message).hint(hint));
            return;
        };
        if grammar::child_not_built("action", unknown.name) {
            let message = say!("the action type {} is not in this build", unknown.name);
            self.push(Fault::new(Code::NotBuilt, unknown.name_span, message));
            return;
        }
        let message = say!("\"{}\" is no action type", unknown.name);
        let fault = Fault::new(Code::UnknownType, unknown.name_span, message).hint(say!("types: {}", words.join(", ")));
        self.push(fault.suggest(unknown.name, words).maybe_hint(former::type_hint(unknown.name)));
    }

    /// The type element with its words.
    fn type_of<'e, 's>(&self, element: &'e Element<'s>) -> Option<(&'static ActionSpec, &'e Element<'s>)> {
        element.elements().find_map(|child| {
            let spec = self.specs.iter().find(|spec| spec.element.word == child.name)?;
            Some((*spec, child))
        })
    }
}

/// Attributes of `<action>` and of its `<retry>`, named as `ActionPolicy::set` reads them.
fn policy_attributes<'e, 's>(element: &'e Element<'s>) -> Vec<(String, &'e Attribute<'s>)> {
    let own = element.attributes.iter().map(|attribute| (attribute.name.to_owned(), attribute));
    let retry = element.elements().find(|child| child.name == "retry");
    let retry = retry.iter().flat_map(|retry| retry.attributes.iter());
    let retry = retry.map(|attribute| (format!("retry.{}", attribute.name), attribute));
    let mut scratch = ActionPolicy::default();
    own.chain(retry).filter(|(name, _)| scratch.set(name, "").is_some()).collect()
}

fn context_of(element: &Element<'_>, name: &str) -> TextContext {
    let spec = if element.name == "retry" || name.starts_with("retry.") { &grammar::RETRY } else { &grammar::ACTION };
    let word = name.strip_prefix("retry.").unwrap_or(name);
    spec.attributes.iter().find(|known| known.word == word).map_or(TextContext::Plain, |known| known.context)
}
