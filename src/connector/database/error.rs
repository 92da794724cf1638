//! What a database refused, lost or never was: named by link and place, with the database's own words and codes,
//! where in the SQL it is, and what to do. Never a password.

use crate::connector::link::DbLink;
use crate::model::message::Message;
use crate::say;

/// Longest text of a server that is kept.
const TEXT_BYTES_MAX: usize = 2048;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.said().english())]
pub struct DatabaseError {
    pub link: String,
    /// The kind of database and its address: `MySQL 10.1.2.3:3306/shop`.
    pub place: String,
    pub kind: ErrorKind,
    /// The database's own number or word.
    pub code: Option<String>,
    pub sqlstate: Option<String>,
    /// In the words of the database or the system, without secrets.
    pub text: Message,
    /// Line and column in the script, from 1; the column where the database tells it.
    pub line: Option<u32>,
    pub column: Option<u32>,
    /// Of rows that were loaded: which one it is about, from 1, where the database tells it.
    pub row: Option<u64>,
    pub hint: Option<Message>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// This build has nothing that opens it.
    NotBuilt,
    /// Nobody answers there: another time it may.
    Unreachable,
    /// The server does not let us in.
    Login,
    /// The statement: the same again would fail again.
    Statement,
    /// Another session is in the way (a deadlock, a lock that was waited for too long): a retry may succeed.
    Conflict,
    Cancelled,
    /// The connection broke. What ran may have been done or not.
    Lost,
    TimedOut,
}

impl DatabaseError {
    pub(super) fn new(link: &DbLink, kind: ErrorKind, text: Message) -> Self {
        Self {
            link: link.name.clone(),
            place: place(link),
            kind,
            code: None,
            sqlstate: None,
            text: text.cut(TEXT_BYTES_MAX),
            line: None,
            column: None,
            row: None,
            hint: None,
        }
    }

    /// In the words of somebody else, who may know the password.
    pub(super) fn quoting(link: &DbLink, kind: ErrorKind, text: &str) -> Self {
        Self::new(link, kind, Message::verbatim(link.mask(text.trim())))
    }

    pub(super) fn hint(mut self, hint: Option<Message>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    /// A retry by itself may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, ErrorKind::Unreachable | ErrorKind::Conflict | ErrorKind::Lost | ErrorKind::TimedOut)
    }

    /// It is a matter of the rows alone: others may be taken where these are not.
    pub fn is_about_rows(&self) -> bool {
        let state = self.sqlstate.as_deref().unwrap_or_default();
        self.kind == ErrorKind::Statement
            && (state.starts_with("22") || state.starts_with("23") || self.code.as_deref().is_some_and(is_of_rows))
    }

    /// In one line.
    pub fn said(&self) -> Message {
        let text = match (&self.code, &self.sqlstate) {
            (Some(code), Some(state)) if code != state => say!("{} ({}, SQLSTATE {})", self.text, code, state),
            (_, Some(state)) => say!("{} (SQLSTATE {})", self.text, state),
            (Some(code), None) => say!("{} ({})", self.text, code),
            (None, None) => self.text.clone(),
        };
        let text = match (self.line, self.column) {
            (Some(line), Some(column)) => say!("line {}, column {} of the SQL: {}", line, column, text),
            (Some(line), None) => say!("line {} of the SQL: {}", line, text),
            (None, _) => text,
        };
        let said = match self.kind {
            ErrorKind::NotBuilt => say!("link {} ({}) cannot be opened: {}", self.link, self.place, text),
            ErrorKind::Unreachable => say!("link {} ({}) cannot be reached: {}", self.link, self.place, text),
            ErrorKind::Login => say!("link {} ({}) refuses us: {}", self.link, self.place, text),
            ErrorKind::Cancelled => say!("link {} ({}): cancelled: {}", self.link, self.place, text),
            ErrorKind::Lost => say!("link {} ({}): the connection was lost: {}", self.link, self.place, text),
            ErrorKind::Statement | ErrorKind::Conflict | ErrorKind::TimedOut => {
                say!("link {} ({}): {}", self.link, self.place, text)
            }
        };
        match &self.hint {
            Some(hint) => say!("{} ({})", said, hint),
            None => said,
        }
    }
}

/// Codes of values that do not fit and rules of tables that are broken, of those who tell no SQLSTATE for it.
fn is_of_rows(code: &str) -> bool {
    let number = |name: &str| code.strip_prefix(name)?.parse::<u32>().ok();
    match (number("SQLite "), number("MySQL "), number("ORA-")) {
        // A rule of the table, a value of another type, one that is too long.
        (Some(code), ..) => matches!(code & 0xff, 18..=20),
        (_, _, Some(code)) => {
            matches!(code, 1 | 1400 | 1401 | 1407 | 1438 | 1722 | 1830..=1899 | 2290 | 2291 | 12899)
        }
        (_, Some(code), _) => matches!(
            code,
            1048 | 1062 | 1261
                ..=1265 | 1292 | 1300 | 1364 | 1366 | 1367 | 1406 | 1411 | 1452 | 1526 | 1690 | 3819 | 4025
        ),
        _ => false,
    }
}

pub(super) fn place(link: &DbLink) -> String {
    format!("{} {}", link.kind.title(), link.url)
}

/// Line and column of a character of the text, all from 1.
pub(super) fn line_and_column(text: &str, position: usize) -> (u32, u32) {
    let (mut line, mut column) = (1, 1);
    for c in text.chars().take(position.saturating_sub(1)) {
        if c == '\n' {
            line += 1;
            column = 1;
        } else {
            column += 1;
        }
    }
    (line, column)
}
