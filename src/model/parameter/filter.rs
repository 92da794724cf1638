//! What stands after `|` in forms that are not times.

use serde::{Deserialize, Serialize};

use crate::model::action::TextContext;
use crate::model::fault::{TextFault, nearest};
use crate::model::message::Message;
use crate::say;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// `or TEXT`: if undefined, or the node was skipped.
    Or(String),
    /// A shell variable instead of the value.
    Sh,
    /// A placeholder instead of the value.
    Sql,
    /// The body of a JSON string.
    Json,
    /// Percent-encoded.
    Url,
    /// HTML-escaped.
    Html,
}

const WORDS: &[&str] = &["or", "sh", "sql", "json", "url", "html", "sum", "csv"];

pub(super) fn parse_filter(text: &str, context: TextContext, is_last: bool) -> Result<Filter, TextFault> {
    let whole = 0..text.len();
    let fault = |message: Message| TextFault::new(whole.clone(), message);
    match text {
        "or" => return Ok(Filter::Or(String::new())),
        "json" => return Ok(Filter::Json),
        "url" => return Ok(Filter::Url),
        "html" => return Ok(Filter::Html),
        "sum" | "csv" => return Err(TextFault::not_built(whole, say!("the filter {}", text))),
        "sh" if context != TextContext::Shell => {
            return Err(fault(say!("the filter sh is for text that a shell reads")));
        }
        "sql" if context != TextContext::Sql => {
            return Err(fault(say!("the filter sql is for text that a database reads")));
        }
        "sh" | "sql" if !is_last => return Err(fault(say!("the filter {} must be the last one", text))),
        "sh" => return Ok(Filter::Sh),
        "sql" => return Ok(Filter::Sql),
        _ => {}
    }
    match text.split_once(char::is_whitespace) {
        Some(("or", default)) => Ok(Filter::Or(default.trim_start().to_owned())),
        _ => {
            let hint = match nearest(text, WORDS.iter().copied()) {
                Some(near) => say!("did you mean {}?", near),
                None => say!("known are {}", "or sh sql json url html"),
            };
            Err(fault(say!("\"{}\" is not a filter", text)).hint(hint))
        }
    }
}

impl Filter {
    /// The text after this filter; the ones that keep the value out of the text change nothing here.
    pub(super) fn apply(&self, text: String) -> String {
        match self {
            Filter::Or(_) | Filter::Sh | Filter::Sql => text,
            Filter::Json => json(&text),
            Filter::Url => url(&text),
            Filter::Html => html(&text),
        }
    }
}

pub(super) fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

fn url(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            c if c < ' ' || c == '\u{7f}' => escaped.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => escaped.push(c),
        }
    }
    escaped
}
