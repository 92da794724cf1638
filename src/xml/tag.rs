//! Start tags: their attributes through quick-xml, each with its place, and recovery inside a tag.

use std::ops::Range;

use quick_xml::events::attributes::{AttrError, Attribute as Found, Attributes};

use super::code::Code;
use super::reference::{Use, is_name, is_name_start, local, resolve};
use super::scan::{ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, Scanner, Stop};
use super::sink::Fault;
use super::source::Span;
use super::tree::{Attribute, Element, Text};
use crate::model::message::Message;
use crate::model::secret_name::is_secret_name;
use crate::say;

/// The hint for blanks of Unicode where XML wants one of its own.
pub(super) fn wide_blank() -> Message {
    say!("this is not an ordinary blank: type it anew")
}

pub(super) struct Tag<'s> {
    pub element: Element<'s>,
    pub end: TagEnd,
}

/// Where a start tag ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct TagEnd {
    /// The end of its attributes.
    inside: usize,
    /// Behind it.
    pub at: usize,
    pub by: By,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// By `>`.
    Open,
    /// By `/>`.
    Empty,
    /// By the `<` of the next tag: its own `>` was forgotten.
    Next,
    /// The text ends inside it.
    Early,
}

impl TagEnd {
    /// By the `>` before `at`.
    pub fn open(at: usize) -> Self {
        Self { inside: at - 1, at, by: By::Open }
    }

    /// By the `/>` before `at`.
    pub fn empty(at: usize) -> Self {
        Self { inside: at - 2, at, by: By::Empty }
    }
}

impl<'s> Scanner<'s, '_> {
    /// Reads the tag at `start`; `seen` is its end when the reader found one. `None`: the `<` begins no tag.
    pub(super) fn tag(&self, start: usize, seen: Option<TagEnd>) -> Result<Option<Tag<'s>>, Stop> {
        let rest = &self.text[start + 1..];
        if rest.is_empty() {
            return Err(Stop::Early);
        }
        let full_name = &rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())];
        let name_end = start + 1 + full_name.len();
        if !full_name.starts_with(is_name_start) || is_comparison(&self.text[name_end..]) {
            let span = Span::new(start, start + 1);
            let fault = Fault::new(Code::StrayLess, span, say!("a bare < in the text: it begins no tag"));
            self.sink.push(fault.hint(say!("write &lt;, or wrap the text in <![CDATA[…]]>")));
            return Ok(None);
        }
        // With a `<` inside, a quote or a `>` was forgotten and the reader has run on into other tags.
        let is_plain = |end: &TagEnd| !self.text[name_end..end.inside].contains('<');
        let end = seen.filter(is_plain).unwrap_or_else(|| self.locate_end(name_end));
        let attributes = self.attributes(start + 1..name_end, end)?;
        if end.by == By::Early {
            return Err(Stop::Early);
        }
        let (name, span) = (local(full_name), Span::new(start, end.at));
        let name_span = Span::new(start + 1, name_end);
        let element = Element { name, name_span, span, whole: span, attributes, children: Vec::new() };
        Ok(Some(Tag { element, end }))
    }

    /// The end that was probably meant of a tag in which a quote or its `>` is forgotten.
    pub(super) fn locate_end(&self, inside: usize) -> TagEnd {
        let by_close = |at: usize| match self.text[..at].ends_with('/') {
            true => TagEnd::empty(at + 1),
            false => TagEnd::open(at + 1),
        };
        let by_next = |at: usize| TagEnd { inside: at, at, by: By::Next };
        let mut at = inside;
        while let Some(length) = self.text[at..].find(['<', '>', '"', '\'']) {
            let found = at + length;
            at = found + 1;
            let quote = match self.text.as_bytes()[found] {
                b'>' => return by_close(found),
                b'<' => return by_next(found),
                quote => char::from(quote),
            };
            if !self.text[..found].trim_end_matches(is_blank).ends_with('=') {
                continue;
            }
            let rest = &self.text[at..];
            let close = rest.find(quote);
            let less = rest[..close.unwrap_or(rest.len())].find('<');
            match (close, less) {
                // A `<` on the quote's line is one in a value; on a later line it is a tag.
                (Some(close), less) if less.is_none_or(|less| !rest[..less].contains('\n')) => at += close + 1,
                (_, Some(less)) => {
                    return rest[..less].find('>').map_or(by_next(at + less), |close| by_close(at + close));
                }
                _ => break,
            }
        }
        TagEnd { inside: self.text.len(), at: self.text.len(), by: By::Early }
    }

    fn attributes(&self, name: Range<usize>, end: TagEnd) -> Result<Vec<Attribute<'s>>, Stop> {
        let element = &self.text[name.clone()];
        let content = &self.text[name.start..end.inside];
        let mut found: Vec<Attribute<'s>> = Vec::new();
        let mut items = Attributes::new(content, element.len());
        // A second one of a name is read like the first.
        items.with_checks(false);
        let mut behind = element.len();
        let mut is_unclosed = false;
        for (n, item) in items.enumerate() {
            let item = Item::of(content, behind, item);
            behind = item.end;
            if end.by == By::Early && item.ends_early(content) {
                break;
            }
            if n >= ATTRIBUTES_MAX {
                let at = name.start + item.name.start;
                let message = say!("<{}> has more than {} attributes", element, ATTRIBUTES_MAX);
                self.sink.push(Fault::new(Code::TooManyAttributes, Span::new(at, at + 1), message));
                return Err(Stop::Limit);
            }
            is_unclosed |= item.form == Form::Unclosed;
            if let Some(attribute) = self.attribute(content, name.start, &item) {
                if found.iter().any(|other| other.name == attribute.name) {
                    let message = say!("attribute {} is given twice", attribute.name);
                    self.sink.push(Fault::new(Code::DuplicateAttribute, attribute.name_span, message));
                } else {
                    found.push(attribute);
                }
            }
        }
        if end.by == By::Next && !is_unclosed {
            let message = say!("the tag <{} is not closed by >", element);
            self.sink.push(Fault::new(Code::BadAttribute, Span::new(end.at, end.at + 1), message));
        }
        found.retain(|attribute| !is_prefixed(attribute.name));
        Ok(found)
    }

    /// What an item of the content, which begins at `start`, says. `None`: it is no attribute.
    fn attribute(&self, content: &'s str, start: usize, item: &Item) -> Option<Attribute<'s>> {
        let name = &content[item.name.clone()];
        let name_span = Span::new(start + item.name.start, start + item.name.end);
        if !name.starts_with(is_name_start) || !name.chars().all(is_name) {
            self.push_no_attribute(&content[item.name.start..item.end], name, name_span.start as usize);
            return None;
        }
        let Some(value) = &item.value else {
            self.push_no_value(name, name_span);
            return None;
        };
        if !item.has_blank {
            let message = say!("there is no blank before attribute {}", name);
            self.sink.push(Fault::new(Code::BadAttribute, name_span, message));
        }
        let (value, at) = (&content[value.clone()], start + value.start);
        let value = match item.form {
            Form::Quoted => self.value(name, value, at),
            Form::Unclosed => {
                let message = say!("the value of attribute {} is not closed", name);
                let fault = Fault::new(Code::LessInAttribute, Span::new(at - 1, at), message);
                self.sink.push(fault.hint(say!("add the closing quote; inside a value write &lt; for <")));
                Text::verbatim(value, at)
            }
            Form::Unquoted => {
                let message = say!("the value of attribute {} is not quoted", name);
                let fault = Fault::new(Code::BadAttribute, Span::new(at, at + value.len().max(1)), message);
                let value = if is_secret_name(name) { "…" } else { value };
                self.sink.push(fault.hint(say!("write {}=\"{}\"", name, shown(value))));
                Text::verbatim(value, at)
            }
        };
        Some(Attribute { name, name_span, value })
    }

    /// Where a name should stand, `whole` begins with what is none. A word at its beginning may have been meant.
    fn push_no_attribute(&self, whole: &str, name: &str, start: usize) {
        let word = name.find(|c| !is_name(c)).filter(|_| name.starts_with(is_name_start)).unwrap_or(0);
        if word > 0 {
            self.push_no_value(&name[..word], Span::new(start, start + word));
        }
        let message = say!("\"{}\" is no attribute", shown(&whole[word..]));
        let fault = Fault::new(Code::BadAttribute, Span::new(start + word, start + whole.len()), message);
        let is_wide = name.contains(char::is_whitespace);
        self.sink.push(fault.maybe_hint(is_wide.then(wide_blank)));
    }

    fn push_no_value(&self, name: &str, span: Span) {
        let fault = Fault::new(Code::BadAttribute, span, say!("attribute {} has no value", name));
        self.sink.push(fault.hint(say!("write {}=\"…\"", name)));
    }

    fn value(&self, name: &str, value: &'s str, start: usize) -> Text<'s> {
        if let Some(less) = value.find('<') {
            let span = Span::new(start + less, start + less + 1);
            let fault = Fault::new(Code::LessInAttribute, span, say!("a bare < in the value of attribute {}", name));
            self.sink.push(fault.hint(say!("write &lt;")));
        }
        if value.len() > ATTRIBUTE_BYTES_MAX {
            let message = say!("attribute {} is longer than {} bytes", name, ATTRIBUTE_BYTES_MAX);
            self.sink.push(Fault::new(Code::AttributeTooLong, Span::new(start, start + 1), message));
            return Text::empty(Span::new(start, start));
        }
        resolve(self.sink, value, start, Use::Attribute)
    }
}

/// An attribute, or what stands in its place; the ranges are those of a tag's content.
struct Item {
    name: Range<usize>,
    /// `None`: the name stands alone.
    value: Option<Range<usize>>,
    form: Form,
    end: usize,
    /// Before it.
    has_blank: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `name="value"`.
    Quoted,
    /// `name=value`.
    Unquoted,
    /// `name="value`, where the tag ends.
    Unclosed,
}

impl Item {
    /// What the reader found behind `from`. Of a faulty one it names the fault alone: its name is looked up here.
    fn of(content: &str, from: usize, found: Result<Found<'_>, AttrError>) -> Self {
        let start = content.len() - content[from..].trim_start_matches(is_blank).len();
        let name_length = match &found {
            Ok(attribute) => attribute.key.as_ref().len(),
            // A `=` at the beginning is not one behind a name.
            Err(_) => {
                let mut ends = content[start..].char_indices().skip(1).filter(|(_, c)| *c == '=' || is_blank(*c));
                ends.next().map_or(content.len() - start, |(length, _)| length)
            }
        };
        let name = start..start + name_length;
        // Between a name and its quote stand blanks and the "=" alone.
        let behind_quote = || content[name.end..].find(['"', '\'']).map_or(content.len(), |at| name.end + at + 1);
        let (value, end, form) = match found {
            Ok(attribute) => {
                let start = behind_quote();
                let end = start + attribute.value.len();
                (Some(start..end), end + 1, Form::Quoted)
            }
            Err(AttrError::UnquotedValue(at)) => {
                let end = content[at..].find(is_blank).map_or(content.len(), |length| at + length);
                (Some(at..end), end, Form::Unquoted)
            }
            Err(AttrError::ExpectedValue(at)) => (Some(at..at), at, Form::Unquoted),
            Err(AttrError::ExpectedQuote(at, _)) => (Some(behind_quote()..at), at, Form::Unclosed),
            Err(AttrError::ExpectedEq(_) | AttrError::Duplicated(..)) => (None, name.end, Form::Unquoted),
        };
        Self { has_blank: from < start, name, value, form, end }
    }

    /// In a text that ends early: it is cut off, which is no fault of its own.
    fn ends_early(&self, content: &str) -> bool {
        let has_value = self.form != Form::Unclosed && self.value.as_ref().is_some_and(|value| !value.is_empty());
        !has_value && skip_blank(&content[self.end..]).is_empty()
    }
}

/// `a <b and c`: what follows the "name" is neither an attribute nor the end of a tag. In a text that ends
/// soon nothing can be said.
fn is_comparison(behind: &str) -> bool {
    let next = skip_blank(behind);
    if next.is_empty() || next.starts_with(['>', '/', '"', '\'', '=']) {
        return false;
    }
    if !next.starts_with(is_name_start) {
        // The next tag begins: this one has neither attributes nor an end.
        return next.starts_with(|c: char| c.is_ascii());
    }
    let after = next.trim_start_matches(is_name);
    let spaced = skip_blank(after);
    // A word and then blanks and no "=": an attribute without value, or SQL. SQL goes on with a word or operator.
    !spaced.is_empty() && !spaced.starts_with(['=', '>', '/', '"', '\''])
}

/// `xsi:…` and `xmlns` mean nothing to us.
fn is_prefixed(name: &str) -> bool {
    name.contains(':') || name == "xmlns"
}

/// XML's blanks, which are fewer than Unicode's.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn skip_blank(text: &str) -> &str {
    text.trim_start_matches(is_blank)
}

/// The beginning of its first line.
fn shown(text: &str) -> String {
    text.chars().take_while(|c| *c != '\n').take(40).collect()
}
