//! Collects the faults of one file and gives each its place.

use std::cell::{Cell, RefCell};

use super::code::Code;
use super::source::{Source, Span};
use crate::model::diagnostic::{Diagnostic, ExcerptLine, Severity};
use crate::model::message::Message;
use crate::say;

/// Most diagnostics of one file.
pub const FAULTS_MAX: usize = 200;

/// Shared by the readers of a file, therefore behind cells.
pub struct Sink<'s> {
    pub source: &'s Source,
    file: &'s str,
    found: RefCell<Vec<(Span, Diagnostic)>>,
    n_errors: Cell<usize>,
    has_more: Cell<bool>,
}

/// A fault under construction.
pub struct Fault {
    code: Code,
    severity: Severity,
    span: Span,
    message: Message,
    label: Option<Message>,
    hint: Option<Message>,
    notes: Vec<Message>,
}

impl Fault {
    pub fn new(code: Code, span: Span, message: Message) -> Self {
        Self { code, severity: code.severity(), span, message, label: None, hint: None, notes: Vec::new() }
    }

    pub fn label(mut self, label: Message) -> Self {
        self.label = Some(label);
        self
    }

    pub fn hint(mut self, hint: Message) -> Self {
        self.hint = Some(hint);
        self
    }

    pub fn maybe_hint(mut self, hint: Option<Message>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    pub fn note(mut self, note: Message) -> Self {
        self.notes.push(note);
        self
    }

    /// "did you mean …" when a candidate is near enough.
    pub fn suggest<'a>(self, word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        let near = crate::model::fault::nearest(word, candidates);
        self.maybe_hint(near.map(|near| say!("did you mean \"{}\"?", near)))
    }

    pub fn error(mut self) -> Self {
        self.severity = Severity::Error;
        self
    }

    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// An error when `condition` holds, else what the code says.
    pub fn error_if(self, condition: bool) -> Self {
        if condition { self.error() } else { self }
    }
}

impl<'s> Sink<'s> {
    pub fn new(source: &'s Source, file: &'s str) -> Self {
        Self { source, file, found: RefCell::default(), n_errors: Cell::new(0), has_more: Cell::new(false) }
    }

    pub fn push(&self, fault: Fault) {
        if fault.severity == Severity::Error {
            self.n_errors.set(self.n_errors.get() + 1);
        }
        if self.is_full() {
            self.has_more.set(true);
            return;
        }
        let diagnostic = self.diagnostic(&fault);
        self.found.borrow_mut().push((fault.span, diagnostic));
    }

    pub fn n_errors(&self) -> usize {
        self.n_errors.get()
    }

    /// A reader stops before the end, because nothing more would be shown.
    pub fn cut(&self) {
        self.has_more.set(true);
    }

    /// Nothing more will be shown: readers may stop.
    pub fn is_full(&self) -> bool {
        self.found.borrow().len() >= FAULTS_MAX
    }

    /// In the order of the file.
    pub fn finish(self) -> Vec<Diagnostic> {
        let has_more = self.has_more.get();
        let mut found = self.found.take();
        found.sort_by_key(|(span, diagnostic)| (span.start, diagnostic.severity));
        let mut diagnostics: Vec<Diagnostic> = found.into_iter().map(|(_, diagnostic)| diagnostic).collect();
        if has_more {
            let end = self.source.text.len();
            let message = say!("only the first {} faults are shown", FAULTS_MAX);
            let more = Fault::new(Code::TooManyFaults, Span::new(end, end), message);
            diagnostics.push(Sink::new(self.source, self.file).diagnostic(&more));
        }
        diagnostics
    }

    fn diagnostic(&self, fault: &Fault) -> Diagnostic {
        let (line, column) = self.source.place(fault.span.start);
        let before = (line > 1).then(|| line - 1).filter(|line| !self.source.line_text(*line).trim().is_empty());
        let excerpt = before
            .into_iter()
            .chain([line])
            .map(|number| {
                let text = self.source.line_text(number);
                ExcerptLine::around(number, text, if number == line { column } else { 1 })
            })
            .collect();
        Diagnostic {
            code: fault.code.word().to_owned(),
            severity: fault.severity,
            file: self.file.to_owned(),
            line,
            column,
            length: self.source.length(fault.span),
            message: fault.message.clone(),
            label: fault.label.clone(),
            hint: fault.hint.clone(),
            notes: fault.notes.clone(),
            excerpt,
        }
    }
}
