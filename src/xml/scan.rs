//! Text to tree: quick-xml's events, with every fault at its place.
//!
//! quick-xml finds where markup begins and ends. Owned here: the tree, the limits, and recovery: after a fault
//! a new reader goes on where a person would, so that one look shows all faults of a file
//! (docs/adr/0006-quick-xml-with-recovery.md). Entities other than the five are refused and a DOCTYPE is skipped
//! with a fault, so nothing expands and no other file is read. Start reading at `scan`.

use quick_xml::errors::{Error, IllFormedError};
use quick_xml::events::Event;
use quick_xml::reader::Reader;

use super::code::Code;
use super::reference::{Use, is_character, is_name, local, resolve};
use super::sink::{Fault, Sink};
use super::source::Span;
use super::tag::{By, Tag, TagEnd, wide_blank};
use super::tree::{Child, Element, Text};
use crate::say;

pub const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;
pub const DEPTH_MAX: usize = 64;
pub const ATTRIBUTES_MAX: usize = 256;
pub const ATTRIBUTE_BYTES_MAX: usize = 64 * 1024;
pub const ELEMENTS_MAX: usize = 400_000;

/// The tree, when there is a root, and whether the text goes to its end.
pub struct Scanned<'s> {
    pub root: Option<Element<'s>>,
    pub is_complete: bool,
}

pub fn scan<'s>(sink: &Sink<'s>) -> Scanned<'s> {
    let text: &'s str = &sink.source.text;
    let mut scanner = Scanner {
        text,
        sink,
        at: 0,
        run: 0,
        limit: text.len(),
        is_misled: false,
        open: Vec::new(),
        root: None,
        n_elements: 0,
        stray: None,
    };
    let stop = scanner.run();
    scanner.finish(stop)
}

/// Why scanning ends before the end of the text.
pub(super) enum Stop {
    /// The text ends inside something.
    Early,
    /// A limit: what follows is not looked at.
    Limit,
}

pub(super) struct Scanner<'s, 'k> {
    pub text: &'s str,
    pub sink: &'k Sink<'s>,
    /// What stands before it has been read.
    at: usize,
    /// From here to `at` it is text.
    run: usize,
    /// The reader sees nothing from here on.
    limit: usize,
    /// A fault has led a reader astray.
    is_misled: bool,
    open: Vec<Element<'s>>,
    root: Option<Element<'s>>,
    n_elements: usize,
    /// Text before the root: with no root after all it is no XML at all.
    stray: Option<Span>,
}

impl<'s> Scanner<'s, '_> {
    fn run(&mut self) -> Result<(), Stop> {
        self.check_characters();
        let mut reader = self.reader();
        while !self.sink.is_full() {
            let start = self.at;
            let event = reader.read_event();
            let end = self.limit - reader.get_ref().len();
            self.at = end;
            if matches!(event, Ok(Event::Text(_) | Event::GeneralRef(_))) {
                continue;
            }
            self.characters(start);
            if matches!(event, Ok(Event::Eof)) {
                break;
            }
            self.is_misled |= event.is_err();
            match self.markup(event, start, end)? {
                Some(next) => (self.run, self.at) = (next, next),
                None => (self.run, self.at) = (start, start + 1),
            }
            self.is_misled |= self.at != end;
            if self.is_misled {
                reader = self.reader();
            }
        }
        Ok(())
    }

    /// A reader of what stands from `at` on.
    fn reader(&mut self) -> Reader<&'s [u8]> {
        self.limit = if self.is_misled { self.horizon() } else { self.text.len() };
        // A reader drops a byte order mark at its beginning. Here it is a character like others.
        let rest = self.text[self.at..self.limit].trim_start_matches('\u{feff}');
        self.at = self.limit - rest.len();
        let mut reader = Reader::from_str(rest);
        let config = reader.config_mut();
        config.check_comments = true;
        // End tags are matched by `close_named`, references by `resolve`.
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        config.allow_dangling_amp = true;
        reader
    }

    /// The end of the next markup as far as it can be told. Where much is broken, readers that may look for their
    /// ends in all of the text would read it again and again.
    fn horizon(&self) -> usize {
        let rest = &self.text[self.at..];
        let Some(less) = rest.find('<') else { return self.text.len() };
        let (start, markup) = (self.at + less, &rest[less..]);
        if ["<!--", "<![CDATA[", "<?"].iter().any(|word| markup.starts_with(word)) || is_doctype(markup) {
            self.text.len()
        } else if markup.starts_with("<!") {
            start + 2
        } else {
            self.locate_end(start + 1).at
        }
    }

    /// Takes what the reader saw from `start` to `end`, and says where to go on: elsewhere than at `end` when the
    /// reader was misled by a fault. `None`: the `<` is text after all.
    fn markup(&mut self, event: Result<Event<'s>, Error>, start: usize, end: usize) -> Result<Option<usize>, Stop> {
        match event {
            Ok(Event::Start(_)) => return self.start_tag(start, Some(TagEnd::open(end))),
            Ok(Event::Empty(_)) => return self.start_tag(start, Some(TagEnd::empty(end))),
            Ok(Event::End(tag)) if tag.name().as_ref().chars().all(is_name) => {
                self.close_named(local(tag.name().as_ref()), Span::new(start, end));
            }
            Ok(Event::End(_)) => return self.unclosed_end_tag(start),
            Ok(Event::CData(_)) => {
                let (start, end) = (start + "<![CDATA[".len(), end - "]]>".len());
                let text = resolve(self.sink, &self.text[start..end], start, Use::Section);
                self.add_text(text);
            }
            Ok(Event::DocType(_)) | Err(Error::IllFormed(IllFormedError::MissingDoctypeName)) => {
                self.push_doctype(start);
            }
            Ok(Event::Decl(_)) if start != 0 => {
                let message = say!("the XML declaration must be the first thing of the file");
                let fault = Fault::new(Code::BadMarkup, Span::new(start, end), message);
                self.sink.push(fault.hint(say!("remove what stands before it, blanks too")));
            }
            Err(Error::IllFormed(IllFormedError::DoubleHyphenInComment)) => self.push_dashes(start, end),
            Err(_) => return self.unread(start),
            Ok(Event::Comment(_) | Event::PI(_) | Event::Decl(_)) => {}
            // Not markup: `run` has seen to them.
            Ok(Event::Text(_) | Event::GeneralRef(_) | Event::Eof) => {}
        }
        Ok(Some(end))
    }

    /// The reader finds no end to what begins at `start`, or no name.
    fn unread(&mut self, start: usize) -> Result<Option<usize>, Stop> {
        let rest = &self.text[start..];
        if rest.starts_with("</") {
            self.unclosed_end_tag(start)
        } else if rest.starts_with("<!") {
            self.unread_declaration(start)
        } else if rest.starts_with("<?>") {
            let span = Span::new(start, start + 3);
            self.sink.push(Fault::new(Code::BadMarkup, span, say!("\"<?>\" names no processing instruction")));
            Ok(Some(start + 3))
        } else if rest.starts_with("<?") {
            Err(Stop::Early)
        } else {
            self.start_tag(start, None)
        }
    }

    fn unread_declaration(&self, start: usize) -> Result<Option<usize>, Stop> {
        let rest = &self.text[start..];
        if is_doctype(rest) {
            self.push_doctype(start);
            return Err(Stop::Early);
        }
        if ["<!--", "<![CDATA[", "<!DOCTYPE"].iter().any(|word| rest.starts_with(word) || word.starts_with(rest)) {
            return Err(Stop::Early);
        }
        let span = Span::new(start, start + 2);
        self.sink.push(Fault::new(Code::BadMarkup, span, say!("\"<!\" begins neither a comment nor a CDATA section")));
        Ok(None)
    }

    fn finish(mut self, stop: Result<(), Stop>) -> Scanned<'s> {
        if self.sink.is_full() {
            self.sink.cut();
            return Scanned { root: None, is_complete: true };
        }
        let ends_early = match stop {
            Err(Stop::Limit) => return Scanned { root: None, is_complete: true },
            Err(Stop::Early) => true,
            Ok(()) => !self.open.is_empty() || (self.root.is_none() && self.stray.is_none()),
        };
        if ends_early {
            self.push_ends_early();
        } else if let Some(span) = self.stray {
            self.push_stray(span);
        }
        while let Some(element) = self.open.pop() {
            self.close(element);
        }
        Scanned { root: self.root, is_complete: !ends_early }
    }

    fn push_ends_early(&self) {
        let end = self.text.trim_end().len();
        let span = Span::new(end, end);
        let fault = match self.open.last() {
            None if self.text.trim().is_empty() => Fault::new(Code::EndsEarly, span, say!("the file is empty")),
            None => Fault::new(Code::EndsEarly, span, say!("the file ends before its root element does")),
            Some(element) => {
                let (line, column) = self.sink.source.place(element.span.start);
                let message = say!("the file ends inside <{}> (opened at {}:{})", element.name, line, column);
                Fault::new(Code::EndsEarly, span, message).label(say!("expected </{}>", element.name))
            }
        };
        self.sink.push(fault);
    }

    fn check_characters(&self) {
        for (at, c) in self.text.char_indices().filter(|(_, c)| !is_character(*c)).take(10) {
            let message = say!("the character U+{} is not allowed in XML", format!("{:04X}", c as u32));
            self.sink.push(Fault::new(Code::BadCharacter, Span::new(at, at + c.len_utf8()), message));
        }
    }

    fn push_doctype(&self, start: usize) {
        let span = Span::new(start, start + "<!DOCTYPE".len());
        let fault =
            Fault::new(Code::Doctype, span, say!("a DOCTYPE is refused: definitions have no entities of their own"));
        self.sink.push(fault.hint(say!("remove it; values that several files share are parameters")));
    }

    fn push_dashes(&self, start: usize, end: usize) {
        let inside = start + "<!--".len();
        let at = self.text[inside..end].find("--").map_or(start, |length| inside + length);
        let fault = Fault::new(Code::BadMarkup, Span::new(at, at + 2), say!("a comment may not hold \"--\""));
        self.sink.push(fault.hint(say!("write the comment without two dashes in a row")));
    }

    fn start_tag(&mut self, start: usize, seen: Option<TagEnd>) -> Result<Option<usize>, Stop> {
        let Some(Tag { element, end }) = self.tag(start, seen)? else { return Ok(None) };
        self.n_elements += 1;
        if self.n_elements > ELEMENTS_MAX {
            let message = say!("more than {} elements", ELEMENTS_MAX);
            self.sink.push(Fault::new(Code::TooManyElements, element.span, message));
            return Err(Stop::Limit);
        }
        if self.open.len() >= DEPTH_MAX {
            let message = say!("elements are nested more than {} deep", DEPTH_MAX);
            self.sink.push(Fault::new(Code::TooDeep, element.span, message));
            return Err(Stop::Limit);
        }
        if self.open.is_empty() && self.root.is_some() {
            let message = say!("<{}> stands behind the end of the root element", element.name);
            let fault = Fault::new(Code::OutsideRoot, element.span, message);
            self.sink.push(fault.hint(say!("one file holds one workflow: move it into a file of its own")));
        }
        match end.by {
            By::Empty => self.close(element),
            _ => self.open.push(element),
        }
        Ok(Some(end.at))
    }

    /// An end tag in which more than a name stands.
    fn unclosed_end_tag(&mut self, start: usize) -> Result<Option<usize>, Stop> {
        let rest = &self.text[start..];
        let length = rest[2..].find(|c| !is_name(c)).map_or(rest.len(), |length| length + 2);
        let behind = rest[length..].trim_start();
        if behind.is_empty() {
            return Err(Stop::Early);
        }
        let end = self.text.len() - behind.len() + usize::from(behind.starts_with('>'));
        let span = Span::new(start, end);
        let name = local(&rest[2..length]);
        let fault = Fault::new(Code::BadMarkup, span, say!("the end tag </{} is not closed by >", name));
        self.sink.push(fault.maybe_hint(behind.starts_with('>').then(wide_blank)));
        self.close_named(name, span);
        Ok(Some(end))
    }

    /// Closes the element that `</name>` most probably means.
    fn close_named(&mut self, name: &str, span: Span) {
        let opened = |element: &Element<'_>| {
            let (line, column) = self.sink.source.place(element.span.start);
            say!("opened at {}:{}", line, column)
        };
        let Some(position) = self.open.iter().rposition(|element| element.name == name) else {
            match self.open.last() {
                None => {
                    self.sink.push(Fault::new(Code::UnopenedEnd, span, say!("</{}> closes nothing", name)));
                }
                Some(top) => {
                    let message = say!("element <{}> is closed by </{}>", describe(top), name);
                    let label = say!("expected </{}> ({})", top.name, opened(top));
                    self.sink.push(Fault::new(Code::MismatchedEnd, span, message).label(label));
                    self.pop(span);
                }
            }
            return;
        };
        if let Some(top) = self.open.last().filter(|_| position + 1 < self.open.len()) {
            let message = say!("element <{}> is not closed before </{}>", describe(top), name);
            let label = say!("expected </{}> ({})", top.name, opened(top));
            self.sink.push(Fault::new(Code::MismatchedEnd, span, message).label(label));
        }
        while self.open.len() > position {
            self.pop(span);
        }
    }

    fn pop(&mut self, end: Span) {
        if let Some(mut element) = self.open.pop() {
            element.whole.end = end.end;
            self.close(element);
        }
    }

    fn close(&mut self, element: Element<'s>) {
        match self.open.last_mut() {
            Some(parent) => {
                parent.whole.end = parent.whole.end.max(element.whole.end);
                parent.children.push(Child::Element(element));
            }
            None if self.root.is_none() => self.root = Some(element),
            None => {}
        }
    }

    /// Takes the text that stands before `end`.
    fn characters(&mut self, end: usize) {
        let start = self.run;
        if start == end {
            return;
        }
        let raw = &self.text[start..end];
        if let Some(at) = raw.find("]]>") {
            let span = Span::new(start + at, start + at + 3);
            self.sink.push(
                Fault::new(Code::BadMarkup, span, say!("\"]]>\" ends no CDATA section")).hint(say!("write ]]&gt;")),
            );
        }
        let text = resolve(self.sink, raw, start, Use::Text);
        self.add_text(text);
    }

    fn add_text(&mut self, text: Text<'s>) {
        match self.open.last_mut() {
            Some(element) => element.children.push(Child::Text(text)),
            None if text.value.trim().is_empty() => {}
            None => {
                let span = Span::new(text.trimmed_span().start as usize, text.span.end as usize);
                if self.root.is_some() {
                    self.push_stray(span);
                } else {
                    self.stray = self.stray.or(Some(span));
                }
            }
        }
    }

    fn push_stray(&self, span: Span) {
        let fault = match self.root {
            Some(_) => Fault::new(Code::OutsideRoot, span, say!("text stands outside the root element")),
            None => Fault::new(Code::NoRoot, span, say!("the file holds text, but no element"))
                .hint(say!("a workflow's file begins with <work-flow name=\"…\">")),
        };
        self.sink.push(fault);
    }
}

/// In capitals or not, as the reader takes it.
fn is_doctype(markup: &str) -> bool {
    markup.get(.."<!DOCTYPE".len()).is_some_and(|word| word.eq_ignore_ascii_case("<!DOCTYPE"))
}

/// `action name="导入"`, for messages.
fn describe(element: &Element<'_>) -> String {
    match element.attribute("name") {
        Some(name) => format!("{} name=\"{}\"", element.name, name.value.value),
        None => element.name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
