//! Text to tree: a scanner for the XML that definitions are written in.
//!
//! Owns well-formedness, its limits, and recovery: after a fault it goes on where a person would, so that one
//! look shows all faults of a file. Recovery and exact places of attributes are why it is not a library
//! (docs/adr/xml-scanner.md); tests hold it against one. Entities other than the five are refused and a
//! DOCTYPE is skipped with a fault, so nothing expands and no other file is read. Start reading at `scan`.

use super::code::Code;
use super::sink::{Fault, Sink};
use super::source::Span;
use super::tree::{Child, Element, Text};

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
    let mut scanner = Scanner { text, sink, at: 0, open: Vec::new(), root: None, n_elements: 0, stray: None };
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
    pub at: usize,
    open: Vec<Element<'s>>,
    root: Option<Element<'s>>,
    n_elements: usize,
    /// Text before the root: with no root after all it is no XML at all.
    stray: Option<Span>,
}

impl<'s> Scanner<'s, '_> {
    fn run(&mut self) -> Result<(), Stop> {
        self.check_characters();
        while self.at < self.text.len() && !self.sink.is_full() {
            let rest = self.rest();
            if rest.starts_with("<!--") {
                self.comment()?;
            } else if rest.starts_with("<![CDATA[") {
                self.section()?;
            } else if rest.starts_with("<!") {
                self.declaration()?;
            } else if rest.starts_with("<?") {
                self.instruction()?;
            } else if rest.starts_with("</") {
                self.end_tag()?;
            } else if rest.starts_with('<') {
                self.start_tag()?;
            } else {
                self.characters(0);
            }
        }
        Ok(())
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
            None if self.text.trim().is_empty() => Fault::new(Code::EndsEarly, span, "the file is empty"),
            None => Fault::new(Code::EndsEarly, span, "the file ends before its root element does"),
            Some(element) => {
                let (line, column) = self.sink.source.place(element.span.start);
                let message = format!("the file ends inside <{}> (opened at {line}:{column})", element.name);
                Fault::new(Code::EndsEarly, span, message).label(format!("expected </{}>", element.name))
            }
        };
        self.sink.push(fault);
    }

    pub fn rest(&self) -> &'s str {
        &self.text[self.at..]
    }

    pub fn push(&self, fault: Fault) {
        self.sink.push(fault);
    }

    fn check_characters(&self) {
        let is_bad = |c: char| (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}');
        for (at, c) in self.text.char_indices().filter(|(_, c)| is_bad(*c)).take(10) {
            let message = format!("the character U+{:04X} is not allowed in XML", c as u32);
            self.push(Fault::new(Code::BadCharacter, Span::new(at, at + c.len_utf8()), message));
        }
    }

    /// Moves behind `end`, or the text ends early.
    pub fn skip_to(&mut self, end: &str) -> Result<usize, Stop> {
        match self.rest().find(end) {
            Some(length) => {
                let found = self.at + length;
                self.at = found + end.len();
                Ok(found)
            }
            None => {
                self.at = self.text.len();
                Err(Stop::Early)
            }
        }
    }

    fn comment(&mut self) -> Result<(), Stop> {
        let start = self.at;
        self.at += "<!--".len();
        let end = self.skip_to("-->")?;
        if let Some(dashes) = self.text[start + 4..end].find("--") {
            let at = start + 4 + dashes;
            let fault = Fault::new(Code::BadMarkup, Span::new(at, at + 2), "a comment may not hold \"--\"");
            self.push(fault.hint("write the comment without two dashes in a row"));
        }
        Ok(())
    }

    fn section(&mut self) -> Result<(), Stop> {
        self.at += "<![CDATA[".len();
        let start = self.at;
        let end = self.skip_to("]]>")?;
        let mut text = Text::empty(Span::new(start, start));
        push_lines(&mut text, &self.text[start..end], start);
        text.span = Span::new(start, end);
        self.add_text(text);
        Ok(())
    }

    fn declaration(&mut self) -> Result<(), Stop> {
        let start = self.at;
        let rest = self.rest();
        if ["<!--", "<![CDATA[", "<!DOCTYPE"].iter().any(|whole| whole.starts_with(rest)) {
            self.at = self.text.len();
            return Err(Stop::Early);
        }
        if rest.starts_with("<!DOCTYPE") {
            let span = Span::new(start, start + "<!DOCTYPE".len());
            let fault =
                Fault::new(Code::Doctype, span, "a DOCTYPE is refused: definitions have no entities of their own");
            self.push(fault.hint("remove it; values that several files share are parameters"));
            return self.skip_doctype();
        }
        let span = Span::new(start, start + 2);
        self.push(Fault::new(Code::BadMarkup, span, "\"<!\" begins neither a comment nor a CDATA section"));
        self.characters(1);
        Ok(())
    }

    /// Behind the DOCTYPE's closing `>`, whatever its internal subset and quotes hold.
    fn skip_doctype(&mut self) -> Result<(), Stop> {
        let (mut depth, mut quote) = (0usize, None);
        for (offset, byte) in self.rest().bytes().enumerate() {
            match (quote, byte) {
                (Some(open), _) if byte == open => quote = None,
                (Some(_), _) => {}
                (None, b'"' | b'\'') => quote = Some(byte),
                (None, b'[') => depth += 1,
                (None, b']') => depth = depth.saturating_sub(1),
                (None, b'>') if depth == 0 => {
                    self.at += offset + 1;
                    return Ok(());
                }
                (None, _) => {}
            }
        }
        self.at = self.text.len();
        Err(Stop::Early)
    }

    fn instruction(&mut self) -> Result<(), Stop> {
        let start = self.at;
        let is_declaration = self.rest().starts_with("<?xml") && !self.rest()[5..].starts_with(|c| is_name(c));
        self.skip_to("?>")?;
        if is_declaration && start != 0 {
            let span = Span::new(start, self.at);
            let message = "the XML declaration must be the first thing of the file";
            self.push(Fault::new(Code::BadMarkup, span, message).hint("remove what stands before it, blanks too"));
        }
        Ok(())
    }

    fn start_tag(&mut self) -> Result<(), Stop> {
        let start = self.at;
        let Some((element, is_empty)) = self.tag()? else {
            // Not a tag after all: the < is text.
            self.at = start;
            self.characters(1);
            return Ok(());
        };
        self.n_elements += 1;
        if self.n_elements > ELEMENTS_MAX {
            let message = format!("more than {ELEMENTS_MAX} elements");
            self.push(Fault::new(Code::TooManyElements, element.span, message));
            return Err(Stop::Limit);
        }
        if self.open.len() >= DEPTH_MAX {
            let message = format!("elements are nested more than {DEPTH_MAX} deep");
            self.push(Fault::new(Code::TooDeep, element.span, message));
            return Err(Stop::Limit);
        }
        if self.open.is_empty() && self.root.is_some() {
            let message = format!("<{}> stands behind the end of the root element", element.name);
            let fault = Fault::new(Code::OutsideRoot, element.span, message);
            self.push(fault.hint("one file holds one workflow: move it into a file of its own"));
        }
        if is_empty {
            self.close(element);
        } else {
            self.open.push(element);
        }
        Ok(())
    }

    fn end_tag(&mut self) -> Result<(), Stop> {
        let start = self.at;
        let rest = self.rest();
        let length = rest[2..].find(|c| !is_name(c)).map_or(rest.len(), |length| length + 2);
        let behind = rest[length..].trim_start();
        if behind.is_empty() {
            self.at = self.text.len();
            return Err(Stop::Early);
        }
        let name = local(&rest[2..length]);
        self.at = self.text.len() - behind.len();
        if behind.starts_with('>') {
            self.at += 1;
        } else {
            let span = Span::new(start, self.at);
            self.push(Fault::new(Code::BadMarkup, span, format!("the end tag </{name} is not closed by >")));
        }
        self.close_named(name, Span::new(start, self.at));
        Ok(())
    }

    /// Closes the element that `</name>` most probably means.
    fn close_named(&mut self, name: &str, span: Span) {
        let opened = |element: &Element<'_>| {
            let (line, column) = self.sink.source.place(element.span.start);
            format!("opened at {line}:{column}")
        };
        let Some(position) = self.open.iter().rposition(|element| element.name == name) else {
            match self.open.last() {
                None => {
                    self.push(Fault::new(Code::UnopenedEnd, span, format!("</{name}> closes nothing")));
                }
                Some(top) => {
                    let message = format!("element <{}> is closed by </{name}>", describe(top));
                    let label = format!("expected </{}> ({})", top.name, opened(top));
                    self.push(Fault::new(Code::MismatchedEnd, span, message).label(label));
                    self.pop(span);
                }
            }
            return;
        };
        if let Some(top) = self.open.last().filter(|_| position + 1 < self.open.len()) {
            let message = format!("element <{}> is not closed before </{name}>", describe(top));
            let label = format!("expected </{}> ({})", top.name, opened(top));
            self.push(Fault::new(Code::MismatchedEnd, span, message).label(label));
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

    /// Text up to the next tag; the first `forced` bytes belong to it whatever they are.
    fn characters(&mut self, forced: usize) {
        let start = self.at;
        let end = self.text[start + forced..].find('<').map_or(self.text.len(), |length| start + forced + length);
        self.at = end;
        let raw = &self.text[start..end];
        if let Some(at) = raw.find("]]>") {
            let span = Span::new(start + at, start + at + 3);
            self.push(Fault::new(Code::BadMarkup, span, "\"]]>\" ends no CDATA section").hint("write ]]&gt;"));
        }
        let text = self.decode(raw, start, Use::Text);
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
            Some(_) => Fault::new(Code::OutsideRoot, span, "text stands outside the root element"),
            None => Fault::new(Code::NoRoot, span, "the file holds text, but no element")
                .hint("a workflow's file begins with <work-flow name=\"…\">"),
        };
        self.push(fault);
    }

    /// Resolves references and line ends.
    pub fn decode(&self, raw: &'s str, start: usize, what: Use) -> Text<'s> {
        let is_plain = |b: u8| b != b'&' && b != b'\r' && (what == Use::Text || !matches!(b, b'\t' | b'\n'));
        if raw.bytes().all(is_plain) {
            return Text::verbatim(raw, start);
        }
        let mut text = Text::empty(Span::new(start, start));
        let mut at = 0;
        while at < raw.len() {
            let run = raw[at..].bytes().position(|b| !is_plain(b)).unwrap_or(raw.len() - at);
            text.push_verbatim(&raw[at..at + run], start + at);
            at += run;
            let Some(byte) = raw.as_bytes().get(at) else { break };
            let (value, length) = match byte {
                b'&' => self.reference(&raw[at..], start + at),
                b'\r' if raw[at..].starts_with("\r\n") => (newline(what), 2),
                _ if *byte == b'\t' => (' ', 1),
                _ => (newline(what), 1),
            };
            let mut buffer = [0; 4];
            text.push_decoded(value.encode_utf8(&mut buffer), Span::new(start + at, start + at + length));
            at += length;
        }
        text.span = Span::new(start, start + raw.len());
        text
    }

    /// The character that the reference at the beginning of `raw` stands for, and its length there.
    fn reference(&self, raw: &str, at: usize) -> (char, usize) {
        let end = raw.bytes().take(12).position(|b| b == b';');
        let Some(end) = end.filter(|end| *end > 1 && raw[1..*end].chars().all(|c| c == '#' || is_name(c))) else {
            let word = if raw.starts_with("&&") { "&&" } else { "&" };
            let fault =
                Fault::new(Code::BadReference, Span::new(at, at + word.len()), format!("a bare {word} in the text"));
            let amp = if word == "&&" { "&amp;&amp;" } else { "&amp;" };
            self.push(fault.hint(format!("write {amp}, or wrap the text in <![CDATA[…]]>")));
            return ('&', word.len());
        };
        let name = &raw[1..end];
        let found = match name {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => name.strip_prefix('#').and_then(character),
        };
        if let Some(c) = found {
            return (c, end + 1);
        }
        let span = Span::new(at, at + end + 1);
        let fault = Fault::new(Code::BadReference, span, format!("&{name}; stands for no character"));
        self.push(fault.hint("XML knows &lt; &gt; &amp; &quot; &apos; and numbers such as &#160;"));
        ('&', end + 1)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Text,
    Attribute,
}

fn newline(what: Use) -> char {
    match what {
        Use::Text => '\n',
        Use::Attribute => ' ',
    }
}

/// The text of a CDATA section: only line ends change.
fn push_lines(text: &mut Text<'_>, raw: &str, start: usize) {
    let mut at = start;
    for line in raw.split_inclusive('\n') {
        match line.strip_suffix("\r\n") {
            Some(body) => {
                text.push_verbatim(body, at);
                text.push_decoded("\n", Span::new(at + body.len(), at + line.len()));
            }
            None => text.push_verbatim(line, at),
        }
        at += line.len();
    }
}

fn character(number: &str) -> Option<char> {
    let code = match number.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(code).filter(|c| *c >= ' ' || matches!(c, '\t' | '\n' | '\r'))
}

/// `action name="导入"`, for messages.
fn describe(element: &Element<'_>) -> String {
    match element.attribute("name") {
        Some(name) => format!("{} name=\"{}\"", element.name, name.value.value),
        None => element.name.to_owned(),
    }
}

pub(super) fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == ':' || (!c.is_ascii() && c.is_alphanumeric())
}

pub(super) fn is_name(c: char) -> bool {
    is_name_start(c) || c.is_numeric() || matches!(c, '-' | '.')
}

/// The name without its prefix.
pub(super) fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::source::Source;
    use super::*;

    /// The tree as text: names, attributes, text, each where it stands.
    fn shape(element: &Element<'_>, out: &mut String) {
        out.push_str(&format!("<{}", element.name));
        for attribute in &element.attributes {
            out.push_str(&format!(" {}={:?}", attribute.name, attribute.value.value));
        }
        out.push('>');
        let mut text = String::new();
        for child in &element.children {
            match child {
                Child::Text(run) => text.push_str(&run.value),
                Child::Element(child) => {
                    flush(&mut text, out);
                    shape(child, out);
                }
            }
        }
        flush(&mut text, out);
        out.push_str("</>");
    }

    fn flush(text: &mut String, out: &mut String) {
        if !text.is_empty() {
            out.push_str(&format!("{text:?}"));
            text.clear();
        }
    }

    fn other_shape(node: roxmltree::Node<'_, '_>, out: &mut String) {
        out.push_str(&format!("<{}", node.tag_name().name()));
        for attribute in node.attributes() {
            out.push_str(&format!(" {}={:?}", attribute.name(), attribute.value()));
        }
        out.push('>');
        let mut text = String::new();
        for child in node.children() {
            if child.is_text() {
                text.push_str(child.text().unwrap_or_default());
            } else if child.is_element() {
                flush(&mut text, out);
                other_shape(child, out);
            }
        }
        flush(&mut text, out);
        out.push_str("</>");
    }

    fn scanned(text: &str) -> Result<String, String> {
        let source = Source::new(text.to_owned());
        let sink = Sink::new(&source, "x.xml");
        let found = scan(&sink);
        let shape = found.root.filter(|_| found.is_complete && sink.n_errors() == 0).map(|root| {
            let mut out = String::new();
            shape(&root, &mut out);
            out
        });
        shape.ok_or_else(|| sink.finish().iter().map(|d| d.one_line()).collect::<Vec<_>>().join("\n"))
    }

    fn other(text: &str) -> Result<String, String> {
        let document = roxmltree::Document::parse(text).map_err(|error| error.to_string())?;
        let mut out = String::new();
        other_shape(document.root_element(), &mut out);
        Ok(out)
    }

    const FRAGMENTS: &[&str] = &[
        "<a>",
        "</a>",
        "<b c='d'/>",
        "<b c=\"x&lt;y\" e='日报'>",
        "</b>",
        "&lt;",
        "&amp;&gt;&#65;&#x62;",
        "x",
        "日",
        " ",
        "\r\n",
        "\t",
        "<!-- c -->",
        "<![CDATA[<x> & ]] ]]>",
        "<?p q?>",
        "]]>",
        "&",
        "<",
        ">",
        "<a c = 'd\te'>",
        "<c\n>",
        "</a >",
        "'",
        "--",
        "<d x='1' x='2'/>",
        "<d x='1'y='2'/>",
        "&nope;",
        "<e f=g/>",
        "<e f/>",
        "<!-- -- -->",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn trees_are_those_of_another_reader(picks in prop::collection::vec(0..FRAGMENTS.len(), 0..10)) {
            let inside: String = picks.iter().map(|pick| FRAGMENTS[*pick]).collect();
            let text = format!("<?xml version='1.0'?><a>{inside}</a>");
            match (scanned(&text), other(&text)) {
                (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs, "{}", text),
                (Err(_), Err(_)) => {}
                (ours, theirs) => prop_assert!(false, "{text}\nours: {ours:?}\ntheirs: {theirs:?}"),
            }
        }
    }

    #[test]
    fn places_inside_decoded_text_are_those_of_the_file() {
        let text = "<a b='x&lt;y &#26085;z'>1\r\n2<![CDATA[34]]>5</a>";
        let source = Source::new(text.to_owned());
        let sink = Sink::new(&source, "x.xml");
        let root = scan(&sink).root.unwrap();
        let at = |span: Span| &text[span.start as usize..span.end as usize];
        let value = &root.attributes[0].value;
        assert_eq!(value.value, "x<y 日z");
        assert_eq!(at(value.locate(1..2)), "&lt;");
        assert_eq!(at(value.locate(4..7)), "&#26085;");
        assert_eq!(at(value.locate(2..8)), "y &#26085;z");
        let inner = root.text();
        assert_eq!(inner.value, "1\n2345");
        assert_eq!(at(inner.locate(2..3)), "2");
        assert_eq!(at(inner.locate(3..5)), "34");
        assert_eq!(at(inner.locate(5..6)), "5");
    }
}
