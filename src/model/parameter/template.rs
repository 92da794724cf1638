//! Texts that may hold `${…}` forms, parsed once into pieces.

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::caution::shell_cautions;
use super::filter::Filter;
use super::form::{Body, Form, FormPiece, Reading, is_ours};
use crate::model::action::TextContext;
use crate::model::definition::Compat;
use crate::model::fault::TextFault;
use crate::model::message::Message;
use crate::say;

/// A text with its forms found. Everything that is not a form stays as it was written, shell's own
/// `${V:-1}` too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// The text as written.
    pub source: String,
    /// Empty when the text is the source.
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Piece {
    /// Bytes `from..to` of the source.
    Text {
        from: u32,
        to: u32,
    },
    Form(Box<FormPiece>),
}

/// How a text is to be read.
#[derive(Clone, Copy)]
pub struct ParseOptions<'a> {
    pub is_strict: bool,
    /// Where the text ends up.
    pub context: TextContext,
    pub compat: &'a [Compat],
    /// Is there a node of this name, upstream of here?
    pub is_node: &'a dyn Fn(&str) -> bool,
    /// Is there a prerequisite workflow of this name?
    pub is_prerequisite: &'a dyn Fn(&str) -> bool,
    /// False for what is resolved when the instance is created (parameters), where no node has an output.
    pub is_node_ready: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Warning,
    Error,
}

/// A fault in a template; after an error the form stays as text. The span is in bytes of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateFault {
    pub span: Range<usize>,
    pub message: Message,
    pub hint: Option<Message>,
    pub severity: Severity,
    /// A known word that this build cannot do yet.
    pub is_not_built: bool,
}

impl TemplateFault {
    pub(super) fn of(fault: TextFault, severity: Severity) -> Self {
        let TextFault { span, message, hint, is_not_built } = fault;
        Self { span, message, hint, severity, is_not_built }
    }
}

impl<'a> ParseOptions<'a> {
    /// No compat switches, no nodes known, rendered when a node becomes ready.
    pub fn new(is_strict: bool, context: TextContext) -> Self {
        Self { is_strict, context, compat: &[], is_node: &|_| false, is_prerequisite: &|_| false, is_node_ready: true }
    }

    pub fn compat(self, compat: &'a [Compat]) -> Self {
        Self { compat, ..self }
    }

    pub fn nodes(self, is_node: &'a dyn Fn(&str) -> bool) -> Self {
        Self { is_node, ..self }
    }

    pub fn prerequisites(self, is_prerequisite: &'a dyn Fn(&str) -> bool) -> Self {
        Self { is_prerequisite, ..self }
    }

    /// For texts that are resolved when the instance is created.
    pub fn at_creation(self) -> Self {
        Self { is_node_ready: false, ..self }
    }
}

impl Template {
    /// A text without forms, whatever it holds.
    pub fn constant(text: impl Into<String>) -> Self {
        Self { source: text.into(), pieces: Vec::new() }
    }

    /// Finds the forms, and all faults at once.
    pub fn parse(text: &str, options: &ParseOptions<'_>) -> (Self, Vec<TemplateFault>) {
        let mut scan =
            Scan { text, options, pieces: Vec::new(), faults: Vec::new(), text_from: 0, variables: Vec::new() };
        scan.run();
        let Scan { pieces, mut faults, variables, .. } = scan;
        let cautions = shell_cautions(text, &variables).into_iter();
        faults.extend(cautions.map(|caution| TemplateFault::of(caution, Severity::Warning)));
        (Self { source: text.to_owned(), pieces }, faults)
    }

    pub fn is_constant(&self) -> bool {
        self.forms().next().is_none()
    }

    /// The text, when there is no form in it.
    pub fn constant_text(&self) -> Option<Cow<'_, str>> {
        if self.pieces.is_empty() {
            return Some(Cow::Borrowed(&self.source));
        }
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text { from, to } => text.push_str(self.slice(*from, *to)),
                Piece::Form(_) => return None,
            }
        }
        Some(Cow::Owned(text))
    }

    /// All forms in order: what the text refers to.
    pub fn forms(&self) -> impl Iterator<Item = &FormPiece> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text { .. } => None,
            Piece::Form(form) => Some(&**form),
        })
    }

    /// All forms with their bytes of the source.
    pub(super) fn placed_forms(&self) -> impl Iterator<Item = (&FormPiece, Range<usize>)> {
        let mut at = 0;
        self.pieces.iter().filter_map(move |piece| match piece {
            Piece::Text { to, .. } => {
                at = *to as usize;
                None
            }
            Piece::Form(form) => {
                let place = at..at + form.raw.len();
                at = place.end;
                Some((&**form, place))
            }
        })
    }

    /// The text when the parameters have these values; `None` when it needs more than them.
    pub fn with_constants<'a>(&self, value_of: impl Fn(&str) -> Option<Cow<'a, str>>) -> Option<String> {
        let mut text = if self.pieces.is_empty() { self.source.clone() } else { String::new() };
        for piece in &self.pieces {
            match piece {
                Piece::Text { from, to } => text.push_str(self.slice(*from, *to)),
                Piece::Form(piece) => {
                    let Form::Param(name) = &piece.form else { return None };
                    let default = piece.filters.iter().find_map(|filter| match filter {
                        Filter::Or(text) => Some(Cow::Borrowed(text.as_str())),
                        Filter::Sh | Filter::Sql | Filter::Json | Filter::Url | Filter::Html => None,
                    });
                    let value = value_of(name).or(default)?.into_owned();
                    text.push_str(&piece.filters.iter().fold(value, |value, filter| filter.apply(value)));
                }
            }
        }
        Some(text)
    }

    /// Names of the parameters it refers to, in order, repeated as they stand.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.forms().filter_map(|piece| match &piece.form {
            Form::Param(name) => Some(name.as_str()),
            Form::Time { .. } | Form::Id(_) | Form::Node { .. } | Form::Dep { .. } => None,
        })
    }

    /// (node, key) of the outputs it refers to.
    pub fn outputs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.forms().filter_map(|piece| match &piece.form {
            Form::Node { name, key } => Some((name.as_str(), key.as_str())),
            Form::Param(_) | Form::Time { .. } | Form::Id(_) | Form::Dep { .. } => None,
        })
    }

    /// (workflow, key) of the outputs of prerequisites that it refers to.
    pub fn prerequisite_outputs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.forms().filter_map(|piece| match &piece.form {
            Form::Dep { workflow, key } => Some((workflow.as_str(), key.as_str())),
            Form::Param(_) | Form::Time { .. } | Form::Id(_) | Form::Node { .. } => None,
        })
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Bytes of the source; nothing where a stored range does not fit it.
    pub(super) fn slice(&self, from: u32, to: u32) -> &str {
        self.source.get(from as usize..to as usize).unwrap_or_default()
    }
}

impl Default for Template {
    fn default() -> Self {
        Self::constant("")
    }
}

struct Scan<'a> {
    text: &'a str,
    options: &'a ParseOptions<'a>,
    pieces: Vec<Piece>,
    faults: Vec<TemplateFault>,
    /// Where the text piece under way begins.
    text_from: usize,
    /// Places of the forms that become shell variables.
    variables: Vec<Range<usize>>,
}

impl Scan<'_> {
    fn run(&mut self) {
        // Offsets are stored in 32 bits; no file comes near that.
        if u32::try_from(self.text.len()).is_err() {
            return;
        }
        let mut at = 0;
        // The first brace from `at` on: kept, as looking again for each of many openings would take for ever.
        let mut close = 0;
        while let Some(open) = self.text[at..].find("${").map(|found| at + found) {
            let body_from = open + 2;
            if close < body_from {
                let Some(found) = self.text[body_from..].find('}') else { break };
                close = body_from + found;
            }
            let body = &self.text[body_from..close];
            if let Some(inner) = body.find("${") {
                self.nested(open, body);
                at = body_from + inner;
                continue;
            }
            at = close + 1;
            self.form(open, body_from, close);
        }
        if !self.pieces.is_empty() {
            self.flush(self.text.len());
        }
    }

    fn form(&mut self, open: usize, body_from: usize, close: usize) {
        let body = &self.text[body_from..close];
        if self.options.is_strict && is_ours(body) && self.text[..open].ends_with('$') {
            // `$${param:x}`: the text without its first dollar sign.
            self.flush(open - 1);
            self.text_from = open;
            // Marks the template as not being its source, also when no other piece follows.
            self.flush(close + 1);
            return;
        }
        let body = Body { text: body, offset: body_from, options: self.options, faults: &mut self.faults };
        match body.read() {
            Reading::Foreign | Reading::Faulty => {}
            Reading::Form(form, filters) => {
                self.flush(open);
                if filters.contains(&Filter::Sh) {
                    self.variables.push(open..close + 1);
                }
                let raw = self.text[open..=close].to_owned();
                self.pieces.push(Piece::Form(Box::new(FormPiece { raw, form, filters })));
                self.text_from = close + 1;
            }
        }
    }

    fn nested(&mut self, open: usize, body: &str) {
        if is_ours(body) {
            let span = open..open + 2 + body.len() + 1;
            let severity = if self.options.is_strict { Severity::Error } else { Severity::Warning };
            let fault = TextFault::new(span, say!("a form inside a form is not read"));
            self.faults.push(TemplateFault::of(fault, severity));
        }
    }

    /// Ends the text piece under way before `to`.
    fn flush(&mut self, to: usize) {
        if self.text_from < to {
            self.pieces.push(Piece::Text { from: self.text_from as u32, to: to as u32 });
        }
        self.text_from = to;
    }
}
