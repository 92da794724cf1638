//! A script to tokens, by the dialect's rules of quotes and comments. Every byte is in one token.

use std::ops::Range;

use super::SplitError;
use crate::connector::database::dialect::Dialect;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Blank,
    Comment,
    Word,
    /// A string or a quoted name.
    Quoted,
    Placeholder,
    /// Ends a statement.
    Delimiter,
    /// A line of `/` alone, which ends a statement of Oracle.
    Slash,
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: Kind,
    pub span: Range<usize>,
}

pub(super) struct Tokens<'a> {
    script: &'a str,
    dialect: Dialect,
    at: usize,
    delimiter: &'a str,
    /// The token before was the word E, which lets a string have escapes.
    is_behind_e: bool,
    is_behind_q: bool,
}

impl<'a> Tokens<'a> {
    pub fn new(script: &'a str, dialect: Dialect) -> Self {
        Self { script, dialect, at: 0, delimiter: ";", is_behind_e: false, is_behind_q: false }
    }

    pub fn next(&mut self) -> Result<Option<Token>, SplitError> {
        let start = self.at;
        let rest = &self.script[start..];
        let Some(first) = rest.chars().next() else { return Ok(None) };
        let (kind, length) = self.token(rest, first)?;
        self.at = start + length;
        let text = &rest[..length];
        self.is_behind_e = self.dialect == Dialect::PostgreSql && text.eq_ignore_ascii_case("e");
        self.is_behind_q = self.dialect == Dialect::Oracle && matches!(text, "q" | "Q" | "nq" | "NQ" | "Nq" | "nQ");
        Ok(Some(Token { kind, span: start..self.at }))
    }

    /// Takes what stands behind the word `DELIMITER` in its line.
    pub fn set_delimiter(&mut self, word: &Token) -> Result<(), SplitError> {
        let rest = &self.script[word.span.end..];
        let line = rest.lines().next().unwrap_or_default();
        let delimiter = line.split_whitespace().next();
        self.delimiter = delimiter.ok_or_else(|| SplitError::NoDelimiter { line: self.line(word.span.start) })?;
        self.at = word.span.end + line.len();
        Ok(())
    }

    /// Does a `/` alone in its line stand behind? Then it ends a block, not the `;` before it.
    pub fn has_slash_behind(&self, at: usize) -> bool {
        self.dialect == Dialect::Oracle && self.script[at..].lines().skip(1).any(|line| line.trim() == "/")
    }

    fn token(&self, rest: &str, first: char) -> Result<(Kind, usize), SplitError> {
        if rest.starts_with(self.delimiter) {
            return Ok((Kind::Delimiter, self.delimiter.len()));
        }
        if first.is_whitespace() {
            return Ok((Kind::Blank, rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len())));
        }
        if let Some(comment) = self.comment(rest)? {
            return Ok(comment);
        }
        let escapes = self.dialect.has_backslash() || self.is_behind_e;
        let quoted = |length: Option<usize>| match length {
            Some(length) => Ok((Kind::Quoted, length)),
            None => Err(self.unclosed(first.to_string())),
        };
        match first {
            '\'' if self.is_behind_q => quoted(alternative(rest)),
            '\'' => quoted(closed(rest, '\'', escapes)),
            '"' => quoted(closed(rest, '"', self.dialect.has_backslash())),
            '`' if self.dialect.has_backticks() => quoted(closed(rest, '`', false)),
            '[' if self.dialect.has_brackets() => quoted(closed(rest, ']', false)),
            '$' if self.dialect == Dialect::PostgreSql => match dollar_tag(rest) {
                Some(tag) => match rest[tag.len()..].find(tag) {
                    Some(length) => Ok((Kind::Quoted, length + 2 * tag.len())),
                    None => Err(self.unclosed(tag.to_owned())),
                },
                None => Ok((Kind::Other, 1)),
            },
            '?' => Ok((Kind::Placeholder, 1)),
            '/' if self.dialect == Dialect::Oracle && self.is_alone() => Ok((Kind::Slash, 1)),
            c if is_word(c) => Ok((Kind::Word, self.word(rest))),
            c => Ok((Kind::Other, c.len_utf8())),
        }
    }

    fn word(&self, rest: &str) -> usize {
        let mut end = 0;
        for (at, c) in rest.char_indices() {
            let goes_on = is_word(c) || (at > 0 && (c == '$' || (c == '#' && self.dialect == Dialect::Oracle)));
            // A delimiter such as $$ ends a word too.
            if !goes_on || (at > 0 && rest[at..].starts_with(self.delimiter)) {
                break;
            }
            end = at + c.len_utf8();
        }
        end
    }

    fn comment(&self, rest: &str) -> Result<Option<(Kind, usize)>, SplitError> {
        let is_mysql = self.dialect == Dialect::MySql;
        // MySQL reads `5--1` as a difference.
        let behind = |rest: &str| rest[2..].chars().next().is_none_or(|c| c.is_whitespace() || c.is_control());
        let is_line = rest.starts_with("--") && (!is_mysql || behind(rest)) || is_mysql && rest.starts_with('#');
        if is_line {
            return Ok(Some((Kind::Comment, rest.find('\n').unwrap_or(rest.len()))));
        }
        if !rest.starts_with("/*") {
            return Ok(None);
        }
        let length =
            if self.dialect == Dialect::PostgreSql { nested(rest) } else { rest[2..].find("*/").map(|at| at + 4) };
        let length = length.ok_or_else(|| self.unclosed("/*".to_owned()))?;
        // MySQL runs what stands in such a comment.
        let is_code = is_mysql && (rest.starts_with("/*!") || rest.starts_with("/*M!"));
        Ok(Some((if is_code { Kind::Other } else { Kind::Comment }, length)))
    }

    /// Is the character here the only one of its line?
    fn is_alone(&self) -> bool {
        let before = self.script[..self.at].rsplit('\n').next().unwrap_or_default();
        let behind = self.script[self.at + 1..].split('\n').next().unwrap_or_default();
        before.trim().is_empty() && behind.trim().is_empty()
    }

    fn unclosed(&self, opener: String) -> SplitError {
        SplitError::Unclosed { opener, line: self.line(self.at) }
    }

    fn line(&self, at: usize) -> u32 {
        self.script[..at].matches('\n').count() as u32 + 1
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || (!c.is_ascii() && !c.is_whitespace())
}

/// Length of a quoted text that begins here; a doubled quote does not end it.
fn closed(rest: &str, quote: char, escapes: bool) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if escapes && c == '\\' {
            chars.next();
        } else if c == quote {
            if chars.peek().is_none_or(|(_, next)| *next != quote) {
                return Some(at + quote.len_utf8());
            }
            chars.next();
        }
    }
    None
}

/// Oracle's `q'[…]'`.
fn alternative(rest: &str) -> Option<usize> {
    let open = rest[1..].chars().next()?;
    let close = match open {
        '[' => ']',
        '(' => ')',
        '{' => '}',
        '<' => '>',
        other => other,
    };
    let inside = 1 + open.len_utf8();
    rest[inside..].find(&format!("{close}'")).map(|at| inside + at + close.len_utf8() + 1)
}

/// `$$` or `$tag$`.
fn dollar_tag(rest: &str) -> Option<&str> {
    let end = rest[1..].find('$')? + 1;
    let tag = &rest[1..end];
    let is_tag = tag.chars().all(is_word) && !tag.starts_with(|c: char| c.is_ascii_digit());
    is_tag.then(|| &rest[..=end])
}

/// Length of a comment in which others may stand.
fn nested(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
    None
}
