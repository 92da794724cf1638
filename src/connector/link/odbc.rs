//! Connection texts of ODBC: `Driver={…};Server=h;PWD={a;b}`. Pure: what stands in one is taken apart and put together,
//! so that no value becomes an attribute, whatever is in it.

use super::options::{OptionFault, is_dangerous};
use crate::say;

/// Attributes that say where the database is: they may be shown.
const SHOWN: &[&str] =
    &["DSN", "Driver", "Server", "Servername", "Host", "Hostname", "Port", "Database", "Schema", "DBQ"];

/// Names and values in their order. `None`: a brace is open at the end, or a part is no `name=value`.
pub(super) fn parse(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start_matches(is_gap);
    while !rest.is_empty() {
        let (name, behind) = rest.split_once('=')?;
        if !is_name(name.trim()) {
            return None;
        }
        let (value, behind) = value(behind.trim_start())?;
        pairs.push((name.trim().to_owned(), value));
        rest = behind.trim_start_matches(is_gap);
    }
    Some(pairs)
}

fn is_gap(c: char) -> bool {
    c == ';' || c.is_whitespace()
}

/// Letters, digits and blanks within (`Trusted Connection`): nothing that would end a name.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || " _-.".contains(c))
}

/// The value that a text begins with, and what stands behind it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(inside) = text.strip_prefix('{') else {
        let (value, behind) = text.split_once(';').unwrap_or((text, ""));
        return Some((value.trim_end().to_owned(), behind));
    };
    let mut value = String::new();
    let mut rest = inside;
    loop {
        let (part, behind) = rest.split_once('}')?;
        value.push_str(part);
        // Two of them stand for one.
        if let Some(behind) = behind.strip_prefix('}') {
            value.push('}');
            rest = behind;
            continue;
        }
        let behind = behind.trim_start();
        return (behind.is_empty() || behind.starts_with(';')).then_some((value, behind));
    }
}

/// Adds an attribute. Only what has to be is put into braces, which not every driver takes off everywhere.
pub fn push(text: &mut String, name: &str, value: &str) {
    let is_plain = !value.contains(';') && !value.starts_with(['{', ' ', '\t']) && !value.ends_with([' ', '\t']);
    text.push_str(name);
    text.push('=');
    match is_plain {
        true => text.push_str(value),
        false => {
            text.push('{');
            text.push_str(&value.replace('}', "}}"));
            text.push('}');
        }
    }
    text.push(';');
}

/// Without what may be secret.
pub(super) fn shown(pairs: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs.iter().filter(|(name, _)| SHOWN.iter().any(|known| known.eq_ignore_ascii_case(name))) {
        push(&mut text, name, value);
    }
    text.trim_end_matches(';').to_owned()
}

/// What is wrong with an attribute, whoever wrote it: drivers load code and read files at a word.
pub(super) fn fault(name: &str, value: &str) -> Option<OptionFault> {
    let error = |message, hint| Some(OptionFault::Error(message, Some(hint)));
    if !is_name(name) {
        return error(say!("\"{}\" is no name of an ODBC attribute", name), say!("write letters, digits and _"));
    }
    if is_dangerous(name) {
        return error(say!("option {} is refused: it may load code or read files", name), say!("remove it"));
    }
    if value.contains(['\0', '\n', '\r']) {
        return error(say!("the value of {} has a line break", name), say!("remove it"));
    }
    if name.eq_ignore_ascii_case("driver") && value.contains(['/', '\\']) {
        let hint = say!("`odbcinst -q -d` lists the drivers that are there");
        return error(say!("an ODBC driver is named, not given as a file"), hint);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_text_is_taken_apart_at_its_own_semicolons() {
        assert_eq!(
            pairs("Driver={Oracle 23 ODBC driver}; DBQ = //h:1521/x ;PWD={a;b}}={c};;UID=u;"),
            [
                pair("Driver", "Oracle 23 ODBC driver"),
                pair("DBQ", "//h:1521/x"),
                pair("PWD", "a;b}={c"),
                pair("UID", "u")
            ]
        );
        assert_eq!(pairs(" ; "), []);
        for broken in ["DSN", "PWD={a;b", "PWD={a}b", "=x", "a;b=c", "x{=1"] {
            assert_eq!(parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn no_value_becomes_an_attribute() {
        for evil in ["x;Driver=/tmp/x.so", "x};Driver=/tmp/x.so", "{x};a=b", "}", "{", " x ", "a=b", "", "x}};{"] {
            let mut text = "UID=u;".to_owned();
            push(&mut text, "PWD", evil);
            push(&mut text, "Port", "1");
            assert_eq!(pairs(&text), [pair("UID", "u"), pair("PWD", evil), pair("Port", "1")], "{text}");
        }
    }

    #[test]
    fn what_loads_code_or_leaves_a_name_is_refused() {
        for (name, value) in [
            ("Driver", "/tmp/x.so"),
            ("FILEDSN", "x"),
            ("SaveFile", "x"),
            ("LoadExt", "x"),
            ("PLUGIN_DIR", "x"),
            ("a;Driver", "x"),
            ("a", "x\ny"),
        ] {
            assert!(fault(name, value).is_some(), "{name}");
        }
        assert!(fault("Driver", "PostgreSQL Unicode").is_none() && fault("DBQ", "//h:1521/x").is_none());
    }

    #[test]
    fn only_the_address_is_shown() {
        assert_eq!(shown(&pairs("dsn=x;UID=u;PWD=p;AccessToken=t")), "dsn=x");
        assert_eq!(shown(&pairs("Driver={A B};SERVER=h;Port=1")), "Driver=A B;SERVER=h;Port=1");
    }
}
