//! A script to its statements, as the database itself would read it.
//!
//! Owns where a statement ends: not inside quotes, comments, dollar quotes or the body of a routine, not at a `;`
//! after `DELIMITER //`. Changes nothing in a statement. Comments before and behind a statement belong to none.
//! Start reading at `split`.

mod body;
#[cfg(test)]
mod tests;
mod token;

use std::ops::Range;

use super::dialect::Dialect;
use crate::model::message::Message;
use crate::say;
use body::Body;
use token::{Kind, Token, Tokens};

/// One statement, without what ends it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statement {
    pub text: String,
    /// Of its first character in the script, from 1.
    pub line: u32,
    /// Bytes of the script.
    pub span: Range<usize>,
    /// Where in `text` each placeholder `?` stands.
    pub params: Vec<usize>,
    /// What is bound to them, in their order; see `share`.
    pub values: Vec<String>,
}

impl Statement {
    /// One that is written here, without placeholders.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { line: 1, span: 0..text.len(), text, ..Self::default() }
    }

    /// The beginning of its first line, for progress and errors.
    pub fn head(&self) -> String {
        const CHARS: usize = 120;
        let line = self.text.lines().next().unwrap_or_default();
        let is_cut = line.chars().count() > CHARS || self.text.lines().nth(1).is_some();
        let head: String = line.chars().take(CHARS).collect();
        if is_cut { head + " …" } else { head }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum SplitError {
    /// A quote or a comment without its end.
    Unclosed { opener: String, line: u32 },
    /// `DELIMITER` alone.
    NoDelimiter { line: u32 },
    /// Values and placeholders differ in number.
    Placeholders { placeholders: usize, values: usize },
}

impl SplitError {
    pub fn said(&self) -> Message {
        match self {
            Self::Unclosed { opener, line } => say!("line {} of the SQL: {} is not closed", line, opener),
            Self::NoDelimiter { line } => say!("line {} of the SQL: DELIMITER names no delimiter", line),
            Self::Placeholders { placeholders, values } => say!(
                "the SQL has {} placeholders ? outside of quotes and comments, but {} values with |sql (a value with |sql stands without quotes around it)",
                placeholders,
                values
            ),
        }
    }
}

/// The statements of the script, in order.
pub fn split(script: &str, dialect: Dialect) -> Result<Vec<Statement>, SplitError> {
    let mut statements = Vec::new();
    let mut pending = Pending::new(dialect);
    let mut tokens = Tokens::new(script, dialect);
    while let Some(token) = tokens.next()? {
        match token.kind {
            Kind::Blank | Kind::Comment => {}
            Kind::Delimiter if pending.body.holds(&token, script) => pending.push(&token, script),
            Kind::Delimiter => {
                if pending.body.keeps_delimiter() {
                    pending.push(&token, script);
                }
                statements.extend(pending.end(script));
            }
            Kind::Slash => statements.extend(pending.end(script)),
            Kind::Word if pending.is_empty() && dialect == Dialect::MySql && is(&token, script, "delimiter") => {
                tokens.set_delimiter(&token)?;
            }
            Kind::Word | Kind::Quoted | Kind::Placeholder | Kind::Other => {
                if pending.is_empty() {
                    pending.body.begin(tokens.has_slash_behind(token.span.end));
                }
                pending.push(&token, script);
            }
        }
    }
    statements.extend(pending.end(script));
    Ok(statements)
}

/// Gives each statement the values of its placeholders. Without any value a `?` is the database's own.
pub fn share(statements: &mut [Statement], values: &[String]) -> Result<(), SplitError> {
    let placeholders: usize = statements.iter().map(|statement| statement.params.len()).sum();
    if values.is_empty() {
        statements.iter_mut().for_each(|statement| statement.params.clear());
        return Ok(());
    }
    if placeholders != values.len() {
        return Err(SplitError::Placeholders { placeholders, values: values.len() });
    }
    let mut rest = values;
    for statement in statements {
        let (own, others) = rest.split_at(statement.params.len());
        statement.values = own.to_vec();
        rest = others;
    }
    Ok(())
}

/// The statement that is being read.
struct Pending {
    dialect: Dialect,
    /// From its first to its last token.
    span: Option<Range<usize>>,
    params: Vec<usize>,
    body: Body,
    /// Lines are counted from the end of the last statement on.
    counted: usize,
    line: u32,
}

impl Pending {
    fn new(dialect: Dialect) -> Self {
        Self { dialect, span: None, params: Vec::new(), body: Body::new(dialect), counted: 0, line: 1 }
    }

    fn is_empty(&self) -> bool {
        self.span.is_none()
    }

    fn push(&mut self, token: &Token, script: &str) {
        let start = self.span.as_ref().map_or(token.span.start, |span| span.start);
        self.span = Some(start..token.span.end);
        if token.kind == Kind::Placeholder {
            self.params.push(token.span.start - start);
        }
        self.body.push(token, script);
    }

    fn end(&mut self, script: &str) -> Option<Statement> {
        self.body = Body::new(self.dialect);
        let params = std::mem::take(&mut self.params);
        let span = self.span.take()?;
        self.line += script[self.counted..span.start].matches('\n').count() as u32;
        self.counted = span.start;
        let text = script[span.clone()].to_owned();
        Some(Statement { text, line: self.line, span, params, values: Vec::new() })
    }
}

fn is(token: &Token, script: &str, word: &str) -> bool {
    script[token.span.clone()].eq_ignore_ascii_case(word)
}
