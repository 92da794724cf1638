//! Texts with `${…}` forms: parsed with the vocabulary's own parser, faults moved to their place in the file.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use super::code::Code;
use super::graph::Graph;
use super::read::Reader;
use super::sink::Fault;
use super::source::Span;
use super::tree::Text;
use crate::model::action::TextContext;
use crate::model::definition::Compat;
use crate::model::parameter::{
    Filter, Form, FormPiece, ParseOptions, Remark, Severity, Template, TemplateFault, TimeWord,
};
use crate::say;

/// What the forms of a file are checked against.
pub(super) struct Scope<'a> {
    pub graph: &'a Graph<'a>,
    /// The workflows of the depend-lists.
    pub prerequisites: BTreeSet<String>,
    pub compat: Vec<Compat>,
    pub place: Cell<Place>,
    /// Is there a trigger that fires at times?
    pub has_times: bool,
    pub param_uses: RefCell<Vec<ParamUse>>,
    /// For `check`: what depends on declarations that are read later.
    pub remarks: RefCell<Vec<(Remark, Span)>>,
}

/// When the forms of a text resolve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// When the instance is created.
    Creation,
    /// When the n-th node of the graph becomes ready.
    Node(usize),
    /// When the instance has succeeded.
    End,
}

/// A `${param:…}` that is needed.
pub(super) struct ParamUse {
    pub name: String,
    pub span: Span,
}

pub(super) fn is_constant(template: &Template) -> bool {
    template.is_constant()
}

/// Is there a form of ours in a text that is not rendered?
pub(super) fn has_form(text: &str) -> bool {
    text.contains("${") && !Template::parse(text, &ParseOptions::new(false, TextContext::Plain)).0.is_constant()
}

impl Reader<'_> {
    /// Parses a text and pushes its faults. `None` when there was an error.
    pub fn template(&self, text: &Text<'_>, context: TextContext) -> Option<Template> {
        let graph = self.scope.graph;
        let (template, faults) = self.parse(&text.value, context, &|name| graph.has_action(name));
        let is_good = faults.iter().all(|fault| fault.severity != Severity::Error);
        for fault in faults {
            let span = text.locate(fault.span.clone());
            self.push(template_fault(fault, span));
        }
        self.check_forms(&template, text);
        if self.is_check {
            let remarks = template.remarks(context).into_iter();
            let placed = remarks.map(|remark| {
                let span = text.locate(remark.fault.span.clone());
                (remark, span)
            });
            self.scope.remarks.borrow_mut().extend(placed);
        }
        is_good.then_some(template)
    }

    /// Parses a text whose faults are known already.
    pub fn quiet(&self, text: &str, context: TextContext) -> Template {
        let graph = self.scope.graph;
        match self.scope.place.get() {
            Place::Node(node) => self.parse(text, context, &|name| graph.is_upstream(name, node)).0,
            Place::Creation | Place::End => self.parse(text, context, &|name| graph.has_action(name)).0,
        }
    }

    fn parse(
        &self,
        text: &str,
        context: TextContext,
        is_node: &dyn Fn(&str) -> bool,
    ) -> (Template, Vec<TemplateFault>) {
        if context == TextContext::Constant || !text.contains("${") {
            return (Template::constant(text), Vec::new());
        }
        let is_prerequisite = |name: &str| self.scope.prerequisites.contains(name);
        let options = ParseOptions::new(self.is_strict, context)
            .compat(&self.scope.compat)
            .nodes(is_node)
            .prerequisites(&is_prerequisite);
        let options = match self.scope.place.get() {
            Place::Creation => options.at_creation(),
            Place::Node(_) | Place::End => options,
        };
        Template::parse(text, &options)
    }

    fn check_forms(&self, template: &Template, text: &Text<'_>) {
        let mut from = 0;
        for piece in template.forms() {
            // Forms stand in the text in the order of the pieces, each as it was written.
            let at = text.value[from..].find(&piece.raw).map_or(from, |at| from + at);
            from = (at + piece.raw.len()).min(text.value.len());
            let span = text.locate(at..from);
            match &piece.form {
                Form::Param(name) if !has_default(piece) => {
                    self.scope.param_uses.borrow_mut().push(ParamUse { name: name.clone(), span });
                }
                Form::Node { name, .. } => self.check_upstream(name, span),
                Form::Time { word: TimeWord::Prev | TimeWord::Next, .. } if !self.scope.has_times => {
                    let message = say!("no trigger of this workflow fires at times, so no fire is before or after");
                    self.push(Fault::new(Code::UnresolvableForm, span, message).error());
                }
                Form::Param(_) | Form::Time { .. } | Form::Id(_) | Form::Dep { .. } => {}
            }
        }
    }

    /// An output is known only after its node: it must be on some way to here.
    fn check_upstream(&self, name: &str, span: Span) {
        let Place::Node(node) = self.scope.place.get() else { return };
        if self.scope.graph.is_upstream(name, node) {
            return;
        }
        let message = say!("node \"{}\" is on no way to here, so its outputs are not known", name);
        let fault = Fault::new(Code::UnresolvableForm, span, message);
        self.push_by_schema(if self.is_strict {
            fault
        } else {
            fault.note(say!("the form stays in the text as it is"))
        });
    }

    /// Runs `read` with forms resolving at `place`.
    pub fn at<T>(&self, place: Place, read: impl FnOnce() -> T) -> T {
        let before = self.scope.place.replace(place);
        let result = read();
        self.scope.place.set(before);
        result
    }
}

fn has_default(piece: &FormPiece) -> bool {
    piece.filters.iter().any(|filter| matches!(filter, Filter::Or(_)))
}

fn template_fault(fault: TemplateFault, span: Span) -> Fault {
    let is_error = fault.severity == Severity::Error;
    let code = match (fault.is_not_built, is_error) {
        (true, _) => Code::NotBuilt,
        (false, true) => Code::BadTemplate,
        (false, false) => Code::OddTemplate,
    };
    let made = Fault::new(code, span, fault.message).maybe_hint(fault.hint);
    if is_error { made.error() } else { made.warning() }
}
