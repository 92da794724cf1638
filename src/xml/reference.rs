//! Raw text to `Text`: references resolved, line ends made `\n`, with the place of each character.
//!
//! What a reference stands for says quick-xml; where it stood, and what is wrong with it, is ours.

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::BytesRef;

use super::code::Code;
use super::sink::{Fault, Sink};
use super::source::Span;
use super::tree::Text;
use crate::say;

/// Where the text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Text,
    /// Each blank is a space.
    Attribute,
    /// Has no references.
    Section,
}

/// The text of `raw`, which stands at `start`.
pub(super) fn resolve<'s>(sink: &Sink<'_>, raw: &'s str, start: usize, what: Use) -> Text<'s> {
    let is_plain = |byte: u8| match byte {
        b'\r' => false,
        b'&' => what == Use::Section,
        b'\t' | b'\n' => what != Use::Attribute,
        _ => true,
    };
    if raw.bytes().all(is_plain) {
        return Text::verbatim(raw, start);
    }
    let mut text = Text::empty(Span::new(start, start));
    let mut at = 0;
    while at < raw.len() {
        let run = raw[at..].bytes().position(|byte| !is_plain(byte)).unwrap_or(raw.len() - at);
        text.push_verbatim(&raw[at..at + run], start + at);
        at += run;
        let Some(byte) = raw.as_bytes().get(at) else { break };
        let (value, length) = match byte {
            b'&' => reference(sink, &raw[at..], start + at),
            b'\r' if raw[at..].starts_with("\r\n") => (newline(what), 2),
            b'\t' => (' ', 1),
            _ => (newline(what), 1),
        };
        let mut buffer = [0; 4];
        text.push_decoded(value.encode_utf8(&mut buffer), Span::new(start + at, start + at + length));
        at += length;
    }
    text.span = Span::new(start, start + raw.len());
    text
}

fn newline(what: Use) -> char {
    match what {
        Use::Text | Use::Section => '\n',
        Use::Attribute => ' ',
    }
}

/// The character that the reference at the beginning of `raw` stands for, and its length there.
fn reference(sink: &Sink<'_>, raw: &str, at: usize) -> (char, usize) {
    let end = raw.bytes().take(12).position(|byte| byte == b';');
    let Some(end) = end.filter(|end| *end > 1 && raw[1..*end].chars().all(|c| c == '#' || is_name(c))) else {
        let word = if raw.starts_with("&&") { "&&" } else { "&" };
        let fault = Fault::new(Code::BadReference, Span::new(at, at + word.len()), say!("a bare {} in the text", word));
        let amp = if word == "&&" { "&amp;&amp;" } else { "&amp;" };
        sink.push(fault.hint(say!("write {}, or wrap the text in <![CDATA[…]]>", amp)));
        return ('&', word.len());
    };
    let name = &raw[1..end];
    if let Some(c) = character(name) {
        return (c, end + 1);
    }
    let span = Span::new(at, at + end + 1);
    let fault = Fault::new(Code::BadReference, span, say!("&{}; stands for no character", name));
    sink.push(fault.hint(say!("XML knows &lt; &gt; &amp; &quot; &apos; and numbers such as &#160;")));
    ('&', end + 1)
}

fn character(name: &str) -> Option<char> {
    match BytesRef::new(name).resolve_char_ref().ok()? {
        Some(c) => Some(c).filter(|c| is_character(*c)),
        None => resolve_xml_entity(name)?.chars().next(),
    }
}

/// May it stand in an XML text?
pub(super) fn is_character(c: char) -> bool {
    (c >= ' ' || matches!(c, '\t' | '\n' | '\r')) && !matches!(c, '\u{fffe}' | '\u{ffff}')
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
