//! Words that earlier versions of akkaflow read and its last one does not: what to write instead.
//!
//! Pure tables from a word to a hint; whether the word is an error or a warning is for who met it.

use crate::model::message::Message;
use crate::say;

/// Element, word in it, and what it is now.
const RENAMED: &[(&str, &str, &str)] = &[
    ("data-monitor", "min-threshold", "<min>"),
    ("data-monitor", "max-threshold", "<max>"),
    ("file", "num-threshold", "min-num"),
    ("file", "size-threshold", "min-each-size"),
    // As its documentation had it.
    ("file", "size-thresold", "min-each-size"),
    ("target", "pre-sql", "<pre>"),
    ("target", "after-sql", "<after>"),
    ("script", "content", "<code>"),
    ("coordinator", "start", "start-time"),
    ("coordinator", "end", "end-time"),
    ("trigger", "config", "cron"),
    ("trigger", "cron", "<trigger cron=\"…\"/>"),
    ("depend-list", "cron", "<depend-list cron=\"…\">"),
    ("depend-list", "depend", "<workflow name=\"…\"/>"),
];

/// They said whether and under which names a data-monitor keeps what it finds.
const OF_HISTORY: &[&str] = &["category", "source-name", "name", "time-mark", "is-saved"];

/// Where a database was named by its address, and what belongs to a link now.
const OF_DATABASES: &[&str] = &["sql", "source", "target", "min", "max"];
const OF_LINKS: &[&str] = &["jdbc-url", "username", "password"];

/// Types of databases that stood where a link is named now.
const DATABASES: &[&str] = &["MYSQL", "ORACLE", "HIVE"];

/// `written`: the word as it stands in the file, with `<>` around an element's.
pub(super) fn hint(element: &str, word: &str, written: &str) -> Option<Message> {
    if element == "data-monitor" && OF_HISTORY.contains(&word) {
        return Some(say!("leave it out: what a data-monitor finds is always kept, by workflow and node"));
    }
    if OF_DATABASES.contains(&element) && OF_LINKS.contains(&word) {
        return Some(say!(
            "write db-link=\"NAME\": address, user and password are of the link NAME in conf/db_links.xml"
        ));
    }
    let own = match (element, word) {
        ("data-monitor", "is-exceed-error") => {
            say!("leave it out: a number out of bounds fails the node, and <error to=\"…\"/> says where it goes on")
        }
        ("sql", "type") => say!("leave it out: the link says what kind of database it is"),
        ("source" | "min" | "max", "code") => say!("write its text without <code> around it"),
        // Of a transfer: a target has it still.
        ("source", "path") => say!("write the path as text: <source type=\"FILE\">/data/in.csv</source>"),
        ("file", "dir") => say!("write the directory too: /data/in/*.csv"),
        ("file-monitor", "size-warn-message") => {
            say!("write min-each-size at <file>, and the text of the message into <warn-msg>")
        }
        ("script", "location") => say!("leave it out: a script has a directory of its own"),
        ("coordinator", "workflow-list") => say!("leave it out: a coordinator starts the workflow that it stands in"),
        ("trigger", "depend-list") => say!("put <depend-list> beside <trigger>, inside <coordinator>"),
        _ => return renamed(element, word).map(|now| say!("write {} instead of {}", now, written)),
    };
    Some(own)
}

/// What the word is now, where it has only another name.
pub(super) fn renamed(element: &str, word: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(of, old, _)| *of == element && *old == word).map(|(.., now)| *now)
}

/// Of a type of action that is none.
pub(super) fn type_hint(word: &str) -> Option<Message> {
    match word {
        "file-watcher" => Some(say!("write <{}> instead of <{}>", "file-monitor", word)),
        "command" => Some(say!("write {} instead of {}", "<shell><command>", "<command>")),
        _ => None,
    }
}

/// Of a value that is none of `words`.
pub(super) fn value_hint(text: &str, words: &[&str]) -> Option<Message> {
    let text = text.trim();
    let is_database = DATABASES.iter().any(|word| word.eq_ignore_ascii_case(text));
    let now = *words.iter().find(|word| match **word {
        "SQL" | "DB" => is_database,
        "FILE" => text.eq_ignore_ascii_case("LFS"),
        _ => false,
    })?;
    Some(match now {
        "FILE" => say!("write {} instead of {}", now, text),
        _ => say!("write {} instead of {}, and the name of a link as db-link", now, text),
    })
}

/// Of a root element that is no workflow's.
pub(super) fn root_hint(word: &str) -> Option<Message> {
    (word == "coordinator").then(|| {
        say!(
            "akkaflow's earlier versions had files of coordinators: write <coordinator> into the file of the workflow that it starts, with <depend-list cron=\"…\"> and <param-list>"
        )
    })
}
