//! What drivers say, sorted: by state, by number, and by words where those say little.

use odbc_api::Error;
use odbc_api::handles::Record;

use super::super::error::{DatabaseError, ErrorKind};
use super::super::split::Statement;
use crate::connector::link::{DbKind, DbLink};
use crate::model::message::Message;
use crate::say;

/// What stands before a secret in a connection text.
const SECRETS: &[&str] = &["pwd", "password", "token", "secret", "passphrase"];

/// What the driver said, in the words that it has.
pub(super) fn error_of(
    link: &DbLink,
    error: &Error,
    statement: Option<&Statement>,
    otherwise: ErrorKind,
) -> DatabaseError {
    match record_of(error) {
        Some(record) => of_record(link, record, statement, otherwise),
        None => DatabaseError::quoting(link, otherwise, &without_secrets(&error.to_string())),
    }
}

pub(super) fn of_record(
    link: &DbLink,
    record: &Record,
    statement: Option<&Statement>,
    otherwise: ErrorKind,
) -> DatabaseError {
    let state = record.state.as_str().to_owned();
    let text = String::from_utf16_lossy(&record.message);
    let text = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let kind = kind_of(&state, &text, otherwise);
    let mut found = DatabaseError::quoting(link, kind, &without_secrets(&text)).hint(hint(link, &state, kind));
    found.code = Some(code(link.kind, record.native_error));
    found.sqlstate = Some(state);
    found.line = statement.map(|statement| statement.line);
    found
}

/// As the database itself counts its errors.
fn code(kind: DbKind, number: i32) -> String {
    match kind {
        DbKind::MySql | DbKind::MariaDb => format!("MySQL {number}"),
        DbKind::Sqlite => format!("SQLite {number}"),
        DbKind::Oracle => format!("ORA-{number:05}"),
        _ => format!("ODBC {number}"),
    }
}

/// The driver does not have this.
pub(super) fn is_not_there(error: &Error) -> bool {
    record_of(error).is_some_and(|record| matches!(record.state.as_str(), "HYC00" | "IM001"))
}

/// Drivers quote what they were told: the password of a link is masked wherever it stands, and here whatever follows
/// `PWD=` and the like.
fn without_secrets(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (at, _) in lower.match_indices('=') {
        let end = lower[..at].char_indices().rev().find(|(_, c)| !c.is_ascii_alphanumeric() && *c != '_');
        let word = &lower[end.map_or(0, |(end, c)| end + c.len_utf8())..at];
        if at < from || !SECRETS.iter().any(|secret| word.contains(secret)) {
            continue;
        }
        out.push_str(&text[from..=at]);
        out.push_str("***");
        from = at + 1 + end_of_value(&text[at + 1..]);
    }
    out.push_str(&text[from..]);
    out
}

fn end_of_value(text: &str) -> usize {
    let Some(inside) = text.strip_prefix('{') else { return text.find(';').unwrap_or(text.len()) };
    let mut at = 0;
    while let Some(found) = inside[at..].find('}') {
        at += found + 1;
        if !inside[at..].starts_with('}') {
            return at + 1;
        }
        at += 1;
    }
    text.len()
}

fn record_of(error: &Error) -> Option<&Record> {
    match error {
        Error::Diagnostics { record, .. }
        | Error::UnsupportedOdbcApiVersion(record)
        | Error::InvalidRowArraySize { record, .. }
        | Error::UnableToRepresentNull(record)
        | Error::OracleOdbcDriverDoesNotSupport64Bit(record) => Some(record),
        _ => None,
    }
}

/// Drivers are free with their states: where those say little the words do.
fn kind_of(state: &str, text: &str, otherwise: ErrorKind) -> ErrorKind {
    let text = text.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    match state {
        "IM002" | "IM003" | "IM004" => ErrorKind::NotBuilt,
        "01000" if says(&["can't open lib"]) => ErrorKind::NotBuilt,
        "57014" | "HY008" | "HY018" => ErrorKind::Cancelled,
        "40001" | "40P01" | "55P03" => ErrorKind::Conflict,
        "28000" | "28P01" | "3D000" => ErrorKind::Login,
        "HYT00" | "HYT01" if otherwise != ErrorKind::Unreachable => ErrorKind::TimedOut,
        _ if otherwise == ErrorKind::Unreachable
            && says(&["password", "access denied", "ora-01017", "login failed", "authentication"]) =>
        {
            ErrorKind::Login
        }
        "08001" | "08004" | "08S01" | "08003" | "08007" if otherwise != ErrorKind::Unreachable => ErrorKind::Lost,
        _ if says(&["interrupted", "ora-01013", "operation canceled"]) => ErrorKind::Cancelled,
        _ => otherwise,
    }
}

fn hint(link: &DbLink, state: &str, kind: ErrorKind) -> Option<Message> {
    match kind {
        ErrorKind::NotBuilt => Some(match link.kind.driver_package() {
            Some(package) => {
                say!("install {} on this host; `odbcinst -q -d` lists the drivers that are there", package)
            }
            None => say!("`odbcinst -q -d` lists the drivers of this host, `odbcinst -q -s` its data sources"),
        }),
        ErrorKind::Login => Some(say!("are username and password of the link right?")),
        ErrorKind::Unreachable => {
            Some(say!("is the address right, and may this host reach it through every firewall?"))
        }
        _ if matches!(state, "42S02" | "42P01") => Some(say!("is the database in the link's URL the right one?")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_driver_says_is_sorted_by_state_and_words() {
        for (state, text, otherwise, kind) in [
            ("IM002", "Data source name not found", ErrorKind::Unreachable, ErrorKind::NotBuilt),
            ("01000", "Can't open lib 'x.so' : file not found", ErrorKind::Unreachable, ErrorKind::NotBuilt),
            ("08001", "FATAL: password authentication failed", ErrorKind::Unreachable, ErrorKind::Login),
            ("08001", "could not connect to server", ErrorKind::Unreachable, ErrorKind::Unreachable),
            ("08S01", "Lost connection", ErrorKind::Statement, ErrorKind::Lost),
            ("HY000", "[SQLite]interrupted (9)", ErrorKind::Statement, ErrorKind::Cancelled),
            ("HY018", "Query execution was interrupted", ErrorKind::Statement, ErrorKind::Cancelled),
            ("HY000", "ORA-01017: invalid username/password", ErrorKind::Unreachable, ErrorKind::Login),
            ("42S02", "Table 'x' doesn't exist", ErrorKind::Statement, ErrorKind::Statement),
            ("HYT00", "Timeout expired", ErrorKind::Statement, ErrorKind::TimedOut),
        ] {
            assert_eq!(kind_of(state, text, otherwise), kind, "{state} {text}");
        }
    }

    #[test]
    fn what_a_driver_quotes_has_no_secret() {
        for (text, expected) in [
            ("cannot open Driver=x;UID=u;PWD=p;Server=h", "cannot open Driver=x;UID=u;PWD=***;Server=h"),
            ("pwd={a;b}}c};Server=h", "pwd=***;Server=h"),
            ("AccessToken=t", "AccessToken=***"),
            ("PWD={open", "PWD=***"),
            ("a = 1; b=2 数", "a = 1; b=2 数"),
            ("数 Password=密码", "数 Password=***"),
        ] {
            assert_eq!(without_secrets(text), expected);
        }
    }
}
