//! What every part of the reader does alike: unknown, missing, repeated and blank words, and constant values.
//!
//! Driven by the tables alone; what an element means is read in the files beside this one. Start at `element`.

use std::collections::BTreeSet;

use super::code::Code;
use super::grammar;
use super::sink::{Fault, Sink};
use super::source::Span;
use super::template::{Place, Scope};
use super::tree::{Attribute, Element, Text};
use super::{FileLook, former, value};
use crate::model::action::{ActionSpec, AttributeSpec, ElementSpec, Occurs, TextContext, TextSpec};
use crate::model::message::Message;
use crate::model::schedule::Zone;
use crate::model::time::Timestamp;
use crate::say;

/// One file being read.
pub(super) struct Reader<'a> {
    pub sink: &'a Sink<'a>,
    /// The XML had no fault: what is missing is missing indeed.
    pub is_well_formed: bool,
    pub specs: &'a [&'static ActionSpec],
    pub is_strict: bool,
    /// `check` knows which workflows there are and is stricter about them.
    pub known_workflows: Option<&'a BTreeSet<String>>,
    pub is_check: bool,
    pub files: Option<&'a FileLook<'a>>,
    pub zone: Zone,
    pub now: Option<Timestamp>,
    pub scope: Scope<'a>,
}

impl<'a> Reader<'a> {
    pub fn push(&self, fault: Fault) {
        self.sink.push(fault);
    }

    /// A warning in lenient files, an error in strict ones.
    pub fn push_by_schema(&self, fault: Fault) {
        self.push(if self.is_strict { fault.error() } else { fault.warning() });
    }

    /// Checks attributes, children and text of an element and of all below it.
    pub fn element(&self, element: &Element<'_>, spec: &ElementSpec) {
        if matches!(spec.text, TextSpec::Markup(_)) {
            self.attributes(element, spec, &|_, _| false);
            self.markup(element, spec);
            return;
        }
        // A parameter resolves when the instance is created, wherever it is declared.
        let place = if spec.word == "param" { Place::Creation } else { self.scope.place.get() };
        self.at(place, || self.attributes(element, spec, &|_, _| false));
        self.children(element, spec);
        self.text(element, spec);
    }

    /// Checks the attributes. `own` reads the values of those it answers true for.
    pub fn attributes(
        &self,
        element: &Element<'_>,
        spec: &ElementSpec,
        own: &dyn Fn(&Attribute<'_>, &AttributeSpec) -> bool,
    ) {
        for attribute in &element.attributes {
            match spec.attributes.iter().find(|known| known.word == attribute.name) {
                Some(known) if grammar::value_not_built(spec.word, known.word, &attribute.value.value) => {
                    let message = say!("{} {} is not in this build", known.word, attribute.value.value.trim());
                    self.push(Fault::new(Code::NotBuilt, attribute.value.trimmed_span(), message));
                }
                Some(known) if own(attribute, known) => {}
                Some(known) => self.value(attribute, known),
                None if attribute.name == "desc" => {}
                None => self.unknown_attribute(element, attribute, spec),
            }
        }
        for known in spec.attributes.iter().filter(|known| known.is_required) {
            if element.attribute(known.word).is_none() {
                let message = say!("<{}> needs the attribute {}", element.name, known.word);
                let misspelt = element
                    .attributes
                    .iter()
                    .map(|attribute| attribute.name)
                    .filter(|name| spec.attributes.iter().all(|known| known.word != *name) && *name != "desc");
                let near = crate::model::fault::nearest(known.word, misspelt);
                let fault = Fault::new(Code::MissingAttribute, element.span, message);
                self.push(fault.maybe_hint(near.map(|near| say!("write {} instead of {}", known.word, near))));
            }
        }
    }

    fn unknown_attribute(&self, element: &Element<'_>, attribute: &Attribute<'_>, spec: &ElementSpec) {
        if grammar::attribute_not_built(spec.word, attribute.name) {
            let message = say!("attribute {} of <{}> is not in this build", attribute.name, element.name);
            self.push(Fault::new(Code::NotBuilt, attribute.name_span, message));
            return;
        }
        let message = say!("<{}> has no attribute {}", element.name, attribute.name);
        let fault = Fault::new(Code::UnknownAttribute, attribute.name_span, message);
        let fault = self.suggest_attribute(fault, attribute.name, spec);
        self.push_by_schema(fault.maybe_hint(former::hint(spec.word, attribute.name, attribute.name)));
    }

    fn suggest_attribute(&self, fault: Fault, name: &str, spec: &ElementSpec) -> Fault {
        fault.suggest(name, spec.attributes.iter().map(|known| known.word).chain(["desc"]))
    }

    fn value(&self, attribute: &Attribute<'_>, known: &AttributeSpec) {
        if known.context != TextContext::Constant {
            match self.template(&attribute.value, known.context) {
                Some(template) if super::template::is_constant(&template) => {}
                _ => return,
            }
        }
        self.constant(attribute, known);
    }

    /// Checks a value that holds no `${…}`, or may not.
    pub fn constant(&self, attribute: &Attribute<'_>, known: &AttributeSpec) {
        let text = attribute.value.value.as_ref();
        if known.context == TextContext::Constant && super::template::has_form(text) {
            let message = say!("attribute {} holds a ${…}, which is not replaced here", attribute.name);
            self.push(Fault::new(Code::NotRendered, attribute.value.span, message));
            return;
        }
        if text.trim().is_empty() {
            if !value::may_be_blank(known) {
                let span = around(&attribute.value);
                let message = say!("attribute {} is blank", attribute.name);
                self.push(Fault::new(Code::BlankAttribute, span, message));
            }
            return;
        }
        value::check(self, attribute, known.shape);
    }

    /// Checks the children that the table knows and the others.
    pub fn children(&self, element: &Element<'_>, spec: &ElementSpec) {
        for child in element.elements() {
            match spec.children.iter().find(|known| known.word == child.name) {
                Some(known) => self.element(child, known),
                None => self.unknown_child(element, child, spec),
            }
        }
        self.occurrences(element, spec);
    }

    pub fn unknown_child(&self, element: &Element<'_>, child: &Element<'_>, spec: &ElementSpec) {
        if grammar::child_not_built(spec.word, child.name) {
            let message = say!("<{}> in <{}> is not in this build", child.name, element.name);
            self.push(Fault::new(Code::NotBuilt, child.name_span, message));
            return;
        }
        if is_control_leaf(spec.word) {
            let message = say!("<{}> has no elements inside, but <{}> stands there", element.name, child.name);
            let hint = say!("close <{}> before it: write <{} …/>", element.name, element.name);
            self.push(Fault::new(Code::ChildInLeaf, child.name_span, message).hint(hint));
            return;
        }
        let message = say!("<{}> has no element <{}>", element.name, child.name);
        let fault = Fault::new(Code::UnknownElement, child.name_span, message);
        let fault = match (spec.word, child.name) {
            ("depend-list", "work-flow") => {
                fault.hint(say!("did you mean \"workflow\"? akkaflow ignores work-flow here"))
            }
            _ => fault.suggest(child.name, spec.children.iter().map(|known| known.word)),
        };
        let fault = fault.maybe_hint(former::hint(spec.word, child.name, &format!("<{}>", child.name)));
        self.push_by_schema(fault.note_if(!self.is_strict, say!("it is ignored, as akkaflow does")));
    }

    pub fn occurrences(&self, element: &Element<'_>, spec: &ElementSpec) {
        for known in spec.children {
            let mut found = element.named(known.word);
            let (first, second) = (found.next(), found.next());
            match known.occurs {
                Occurs::One | Occurs::OneOrMore if first.is_none() => {
                    let message = say!("<{}> needs the element <{}>", element.name, known.word);
                    let names: Vec<_> = element.elements().map(|child| child.name).collect();
                    let near = crate::model::fault::nearest(
                        known.word,
                        names.into_iter().filter(|name| spec.children.iter().all(|known| known.word != *name)),
                    );
                    let fault = Fault::new(Code::MissingElement, element.span, message);
                    let is_now = |child: &&Element<'_>| {
                        former::renamed(spec.word, child.name) == Some(format!("<{}>", known.word).as_str())
                    };
                    let near = element.elements().find(is_now).map(|child| child.name).or(near);
                    self.push(fault.maybe_hint(near.map(|near| say!("write <{}> instead of <{}>", known.word, near))));
                }
                Occurs::One | Occurs::Optional => {
                    if let Some(second) = second {
                        let message = say!("<{}> has more than one <{}>", element.name, known.word);
                        self.push(Fault::new(Code::RepeatedElement, second.span, message));
                    }
                }
                Occurs::OneOrMore | Occurs::Many => {}
            }
        }
    }

    /// Checks the element's own text.
    pub fn text(&self, element: &Element<'_>, spec: &ElementSpec) {
        let text = element.text();
        let is_blank = text.value.trim().is_empty();
        match spec.text {
            TextSpec::None if !is_blank => {
                let message = say!("text inside <{}> is not read", element.name);
                let fault = Fault::new(Code::StrayText, text.trimmed_span(), message);
                if is_control_leaf(spec.word) { self.push(fault.error()) } else { self.push_by_schema(fault) }
            }
            // Its text would come from the file, which has been told to be impossible here.
            TextSpec::Required(_) if is_blank && names_file(element, spec) => {}
            TextSpec::Required(_) if is_blank => {
                let message = say!("<{}> has no text", element.name);
                self.push(Fault::new(Code::MissingText, element.span, message));
            }
            TextSpec::Optional(context) | TextSpec::Required(context) if context != TextContext::Constant => {
                self.template(&text, context);
            }
            TextSpec::None | TextSpec::Optional(_) | TextSpec::Required(_) | TextSpec::Markup(_) => {}
        }
    }
}

impl Fault {
    fn note_if(self, condition: bool, note: Message) -> Self {
        if condition { self.note(note) } else { self }
    }
}

/// `<code file="load.sh"/>`.
fn names_file(element: &Element<'_>, spec: &ElementSpec) -> bool {
    grammar::attribute_not_built(spec.word, "file") && element.attribute("file").is_some()
}

/// Nodes that akkaflow refused with anything inside.
fn is_control_leaf(word: &str) -> bool {
    matches!(word, "start" | "end" | "join")
}

/// The value with its quotes, so that an empty one can be marked.
pub(super) fn around(value: &Text<'_>) -> Span {
    Span { start: value.span.start.saturating_sub(1), end: value.span.end + 1 }
}
