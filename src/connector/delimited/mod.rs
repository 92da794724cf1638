//! Delimited text: how a file of rows is written, and both ways between it and batches of rows.
//!
//! Owns delimiter, quotes, NULL, header and encoding. A field is quoted where it would be read as something else
//! otherwise, so every value comes back as it was, line breaks too. Knows no file: it reads and writes any stream.

mod read;
#[cfg(test)]
mod tests;
mod write;

use encoding_rs::{Encoding, UTF_8};

pub use read::{Next, ReadError, Reader, Reject};
pub use write::{WriteError, Writer};

use crate::model::message::Message;
use crate::say;

/// akkaflow's word for NULL, read in any case.
const NULL_WORD: &str = "null";

/// How a file is written.
#[derive(Debug, Clone)]
pub struct Format {
    delimiter: Vec<u8>,
    /// `None`: quotes are characters like others.
    quote: Option<u8>,
    null: Vec<u8>,
    is_null_any_case: bool,
    has_header: bool,
    encoding: &'static Encoding,
}

impl Format {
    /// Each as the attribute is written; `None` where it is not.
    pub fn new(
        delimiter: Option<&str>,
        quote: Option<&str>,
        null: Option<&str>,
        has_header: bool,
        encoding: Option<&str>,
    ) -> Result<Self, Message> {
        let delimiter = unescaped(delimiter.unwrap_or("\t"))?;
        if delimiter.is_empty() || delimiter.contains(['\n', '\r']) {
            return Err(say!("delimited must be one or more characters without a line break"));
        }
        let quote = match quote.map(str::trim) {
            None => Some(b'"'),
            Some("") => None,
            Some(text) => match text.as_bytes() {
                [quote] if quote.is_ascii_graphic() && !delimiter.as_bytes().contains(quote) => Some(*quote),
                _ => {
                    return Err(say!(
                        "quote must be one character that is not in delimited, or blank, not \"{}\"",
                        text
                    ));
                }
            },
        };
        let word = unescaped(null.unwrap_or(NULL_WORD))?;
        if word.contains(['\n', '\r'])
            || word.contains(&delimiter)
            || quote.is_some_and(|q| word.as_bytes().contains(&q))
        {
            return Err(say!("null must hold no delimiter, quote or line break"));
        }
        let label = encoding.map(str::trim).filter(|label| !label.is_empty());
        let encoding = match label {
            None => UTF_8,
            Some(label) => Encoding::for_label(label.as_bytes())
                .ok_or_else(|| say!("there is no encoding \"{}\": utf-8, gbk, gb18030, utf-16le, …", label))?,
        };
        Ok(Self {
            delimiter: delimiter.into_bytes(),
            quote,
            null: word.into_bytes(),
            is_null_any_case: null.is_none(),
            has_header,
            encoding,
        })
    }

    pub fn has_header(&self) -> bool {
        self.has_header
    }

    fn is_null(&self, field: &[u8]) -> bool {
        field.len() == self.null.len()
            && if self.is_null_any_case {
                field.eq_ignore_ascii_case(&self.null)
            } else {
                field == self.null.as_slice()
            }
    }
}

/// `\t`, `\n`, `\\`, `\001` and `\x01` stand for what they do everywhere; a backslash before any other character for
/// that character, as in akkaflow's files, whose delimiters were patterns: `\|`.
fn unescaped(text: &str) -> Result<String, Message> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let mut digits = |base: u32, n: usize| {
            let mut found = String::new();
            while found.len() < n && rest.peek().is_some_and(|c| c.is_digit(base)) {
                found.extend(rest.next());
            }
            u32::from_str_radix(&found, base).ok().and_then(char::from_u32)
        };
        let wrong = || say!("\"{}\" ends in the middle of an escape", text);
        match digits(8, 3) {
            Some(c) => out.push(c),
            None => match rest.next().ok_or_else(wrong)? {
                't' => out.push('\t'),
                'n' => out.push('\n'),
                'r' => out.push('\r'),
                // The word of MySQL and PostgreSQL for NULL.
                'N' => out.push_str("\\N"),
                'x' => out.push(hexadecimal(&mut rest, 2).ok_or_else(wrong)?),
                'u' => out.push(hexadecimal(&mut rest, 4).ok_or_else(wrong)?),
                other => out.push(other),
            },
        }
    }
    Ok(out)
}

fn hexadecimal(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, n: usize) -> Option<char> {
    let digits: String = rest.by_ref().take(n).collect();
    (digits.len() == n).then(|| u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32))?
}
