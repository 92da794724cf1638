//! The scanner's start tags and their attributes, with recovery inside a tag.

use super::code::Code;
use super::scan::{ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, Scanner, Stop, Use, is_name, is_name_start, local};
use super::sink::Fault;
use super::source::Span;
use super::tree::{Attribute, Element, Text};

impl<'s> Scanner<'s, '_> {
    /// Reads the tag at `<`. `None`: the `<` begins no tag; the fault is pushed and the caller takes it as text.
    pub(super) fn tag(&mut self) -> Result<Option<(Element<'s>, bool)>, Stop> {
        let start = self.at;
        self.at += 1;
        let rest = self.rest();
        if rest.is_empty() {
            return Err(Stop::Early);
        }
        let length = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let name = &rest[..length];
        if !name.starts_with(is_name_start) || self.is_comparison(&rest[length..]) {
            let span = Span::new(start, start + 1);
            let fault = Fault::new(Code::StrayLess, span, "a bare < in the text: it begins no tag");
            self.push(fault.hint("write &lt;, or wrap the text in <![CDATA[…]]>"));
            return Ok(None);
        }
        self.at += length;
        let name_span = Span::new(start + 1, self.at);
        let mut attributes = Vec::new();
        let is_empty = self.attributes(&mut attributes, name)?;
        let span = Span::new(start, self.at);
        let element = Element { name: local(name), name_span, span, whole: span, attributes, children: Vec::new() };
        Ok(Some((element, is_empty)))
    }

    /// `a <b and c`: what follows the "name" is neither an attribute nor the end of a tag. In a text that ends
    /// soon nothing can be said.
    fn is_comparison(&self, behind: &str) -> bool {
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

    /// Up to behind the `>`; true for `/>`.
    fn attributes(&mut self, attributes: &mut Vec<Attribute<'s>>, element: &str) -> Result<bool, Stop> {
        loop {
            let rest = self.rest();
            let next = skip_blank(rest);
            let has_blank = next.len() < rest.len();
            self.at = self.text.len() - next.len();
            if next.is_empty() || next == "/" {
                return Err(Stop::Early);
            }
            if next.starts_with("/>") {
                self.at += 2;
                return Ok(true);
            }
            if next.starts_with('>') {
                self.at += 1;
                return Ok(false);
            }
            if next.starts_with('<') {
                let span = Span::new(self.at, self.at + 1);
                self.push(Fault::new(Code::BadAttribute, span, format!("the tag <{element} is not closed by >")));
                return Ok(false);
            }
            if attributes.len() >= ATTRIBUTES_MAX {
                let span = Span::new(self.at, self.at + 1);
                let message = format!("<{element}> has more than {ATTRIBUTES_MAX} attributes");
                self.push(Fault::new(Code::TooManyAttributes, span, message));
                return Err(Stop::Limit);
            }
            if let Some(attribute) = self.attribute(has_blank)? {
                let TagAttribute { attribute, ends } = attribute;
                if attributes.iter().any(|other| other.name == attribute.name) {
                    let message = format!("attribute {} is given twice", attribute.name);
                    self.push(Fault::new(Code::DuplicateAttribute, attribute.name_span, message));
                } else if !is_prefixed(attribute.name) {
                    attributes.push(attribute);
                }
                if let Some(is_empty) = ends {
                    return Ok(is_empty);
                }
            }
        }
    }

    fn attribute(&mut self, has_blank: bool) -> Result<Option<TagAttribute<'s>>, Stop> {
        let start = self.at;
        let rest = self.rest();
        let length = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        if length == 0 || !rest.starts_with(is_name_start) {
            let end = rest.find(|c: char| is_blank(c) || matches!(c, '>' | '<')).unwrap_or(rest.len());
            let end = rest[..end].strip_suffix('/').map_or(end, str::len).max(first_length(rest));
            self.at += end;
            let message = format!("\"{}\" is no attribute", shown(&rest[..end]));
            let fault = Fault::new(Code::BadAttribute, Span::new(start, self.at), message);
            let is_wide = rest.starts_with(char::is_whitespace);
            self.push(fault.maybe_hint(is_wide.then(|| "this is not an ordinary blank: type it anew".to_owned())));
            return Ok(None);
        }
        let name = &rest[..length];
        let name_span = Span::new(start, start + length);
        let behind = skip_blank(&rest[length..]);
        if behind.is_empty() {
            return Err(Stop::Early);
        }
        let Some(value) = behind.strip_prefix('=') else {
            self.at = start + length;
            let message = format!("attribute {name} has no value");
            self.push(Fault::new(Code::BadAttribute, name_span, message).hint(format!("write {name}=\"…\"")));
            return Ok(None);
        };
        if !has_blank {
            let message = format!("there is no blank before attribute {name}");
            self.push(Fault::new(Code::BadAttribute, name_span, message));
        }
        let value = skip_blank(value);
        if value.is_empty() {
            return Err(Stop::Early);
        }
        self.at = self.text.len() - value.len();
        let (value, ends) = match value.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            Some(quote) => self.quoted(name, quote)?,
            None => (self.unquoted(name), None),
        };
        Ok(Some(TagAttribute { attribute: Attribute { name, name_span, value }, ends }))
    }

    fn quoted(&mut self, name: &'s str, quote: char) -> Result<(Text<'s>, Option<bool>), Stop> {
        let start = self.at + 1;
        let rest = &self.text[start..];
        let end = rest.find(quote);
        let less = rest[..end.unwrap_or(rest.len())].find('<');
        if let Some(less) = less.filter(|less| end.is_none() || rest[..*less].contains('\n')) {
            return Ok(self.unclosed(name, start, less));
        }
        let Some(end) = end else {
            self.at = self.text.len();
            return Err(Stop::Early);
        };
        if let Some(less) = less {
            let span = Span::new(start + less, start + less + 1);
            let fault = Fault::new(Code::LessInAttribute, span, format!("a bare < in the value of attribute {name}"));
            self.push(fault.hint("write &lt;"));
        }
        self.at = start + end + 1;
        if end > ATTRIBUTE_BYTES_MAX {
            let message = format!("attribute {name} is longer than {ATTRIBUTE_BYTES_MAX} bytes");
            self.push(Fault::new(Code::AttributeTooLong, Span::new(start, start + 1), message));
            return Ok((Text::empty(Span::new(start, start)), None));
        }
        Ok((self.decode(&rest[..end], start, Use::Attribute), None))
    }

    /// The closing quote was forgotten: the value ends where the tag does.
    fn unclosed(&mut self, name: &str, start: usize, less: usize) -> (Text<'s>, Option<bool>) {
        let open = Span::new(start - 1, start);
        let fault = Fault::new(Code::LessInAttribute, open, format!("the value of attribute {name} is not closed"));
        self.push(fault.hint("add the closing quote; inside a value write &lt; for <"));
        let value = &self.text[start..start + less];
        let (length, is_empty, skip) = match value.find('>') {
            Some(end) if value[..end].ends_with('/') => (end - 1, true, 2),
            Some(end) => (end, false, 1),
            None => (value.len(), false, 0),
        };
        self.at = start + length + skip;
        (Text::verbatim(&value[..floor(value, length)], start), Some(is_empty))
    }

    fn unquoted(&mut self, name: &str) -> Text<'s> {
        let start = self.at;
        let rest = self.rest();
        let end = rest.find(|c: char| is_blank(c) || matches!(c, '>' | '<')).unwrap_or(rest.len());
        let end = rest[..end].strip_suffix('/').map_or(end, str::len);
        self.at += end;
        let value = &rest[..end];
        let fault = Fault::new(
            Code::BadAttribute,
            Span::new(start, start + end.max(1)),
            format!("the value of attribute {name} is not quoted"),
        );
        self.push(fault.hint(format!("write {name}=\"{}\"", shown(value))));
        Text::verbatim(value, start)
    }
}

/// An attribute, and whether its recovery ended the tag (`true` = by `/>`).
struct TagAttribute<'s> {
    attribute: Attribute<'s>,
    ends: Option<bool>,
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

fn first_length(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len()).min(ATTRIBUTE_BYTES_MAX);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
