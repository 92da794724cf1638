//! The elements of one file with their places, as all readers see them.
//!
//! Owns the tree and access to it. Names borrow from the source; a text knows where each of its characters
//! stands in the file, so a fault inside a value is shown at the right column.

use std::borrow::Cow;

use super::source::Span;

#[derive(Debug)]
pub struct Element<'s> {
    /// Without its prefix: prefixes mean nothing here.
    pub name: &'s str,
    pub name_span: Span,
    /// The start tag.
    pub span: Span,
    /// From the start tag's first to the end tag's last byte.
    pub whole: Span,
    pub attributes: Vec<Attribute<'s>>,
    pub children: Vec<Child<'s>>,
}

#[derive(Debug)]
pub enum Child<'s> {
    Element(Element<'s>),
    Text(Text<'s>),
}

#[derive(Debug)]
pub struct Attribute<'s> {
    pub name: &'s str,
    pub name_span: Span,
    pub value: Text<'s>,
}

/// Decoded text: references resolved, line ends made `\n`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<'s> {
    pub value: Cow<'s, str>,
    /// The text as it stands in the file, without quotes.
    pub span: Span,
    /// Where runs of the value come from, in order; empty = all of it as written from `span.start`.
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    at: u32,
    source: u32,
    source_end: u32,
    is_verbatim: bool,
}

impl<'s> Text<'s> {
    pub fn verbatim(value: &'s str, start: usize) -> Self {
        Self { value: Cow::Borrowed(value), span: Span::new(start, start + value.len()), pieces: Vec::new() }
    }

    pub fn empty(at: Span) -> Self {
        Self { value: Cow::Borrowed(""), span: at, pieces: Vec::new() }
    }

    /// Appends a run that stands in the file as it is.
    pub fn push_verbatim(&mut self, run: &str, start: usize) {
        self.push(run, Span::new(start, start + run.len()), true);
    }

    /// Appends what something else in the file stands for.
    pub fn push_decoded(&mut self, run: &str, from: Span) {
        self.push(run, from, false);
    }

    pub fn append(&mut self, other: &Text<'s>) {
        if self.value.is_empty() && self.pieces.is_empty() {
            *self = other.clone();
            return;
        }
        if other.pieces.is_empty() {
            let (value, start) = (other.value.as_ref(), other.span.start as usize);
            self.push_verbatim(value, start);
        } else {
            self.make_pieces();
            let by = self.value.len() as u32;
            self.pieces.extend(other.pieces.iter().map(|piece| Piece { at: piece.at + by, ..*piece }));
            self.value.to_mut().push_str(&other.value);
        }
        self.span.end = self.span.end.max(other.span.end);
    }

    fn push(&mut self, run: &str, from: Span, is_verbatim: bool) {
        if run.is_empty() {
            return;
        }
        self.make_pieces();
        let at = self.value.len() as u32;
        self.pieces.push(Piece { at, source: from.start, source_end: from.end, is_verbatim });
        self.value.to_mut().push_str(run);
        self.span.end = self.span.end.max(from.end);
    }

    fn make_pieces(&mut self) {
        if self.pieces.is_empty() && !self.value.is_empty() {
            let Span { start: source, end: source_end } = self.span;
            self.pieces.push(Piece { at: 0, source, source_end, is_verbatim: true });
        }
    }

    /// The place in the file of these bytes of `value`.
    pub fn locate(&self, range: std::ops::Range<usize>) -> Span {
        if self.pieces.is_empty() {
            let start = self.span.start as usize;
            let length = self.value.len();
            return Span::new(start + range.start.min(length), start + range.end.min(length));
        }
        let start = self.locate_one(range.start, false);
        let end = self.locate_one(range.end, true);
        Span { start, end: end.max(start) }
    }

    fn locate_one(&self, at: usize, is_end: bool) -> u32 {
        let at = at.min(self.value.len()) as u32;
        // An end belongs to the piece of the character before it.
        let after = self.pieces.partition_point(|piece| if is_end { piece.at < at } else { piece.at <= at });
        let piece = self.pieces[after.saturating_sub(1)];
        match (piece.is_verbatim, is_end && at > piece.at) {
            (true, _) => piece.source + (at - piece.at),
            (false, true) => piece.source_end,
            (false, false) => piece.source,
        }
    }

    /// The place of the value without the blanks around it.
    pub fn trimmed_span(&self) -> Span {
        let start = self.value.len() - self.value.trim_start().len();
        let end = start + self.value.trim().len();
        if start >= end { self.span } else { self.locate(start..end) }
    }
}

impl<'s> Element<'s> {
    pub fn attribute(&self, name: &str) -> Option<&Attribute<'s>> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    pub fn elements(&self) -> impl Iterator<Item = &Element<'s>> {
        self.children.iter().filter_map(|child| match child {
            Child::Element(element) => Some(element),
            Child::Text(_) => None,
        })
    }

    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element<'s>> {
        self.elements().filter(move |element| element.name == name)
    }

    /// Its own text runs and sections, joined.
    pub fn text(&self) -> Text<'s> {
        let mut texts = self.children.iter().filter_map(|child| match child {
            Child::Element(_) => None,
            Child::Text(text) => Some(text),
        });
        let Some(first) = texts.next() else { return Text::empty(self.span) };
        let mut all = first.clone();
        texts.for_each(|text| all.append(text));
        all
    }
}
