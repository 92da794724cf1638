//! Every sentence that servers and tools say, in English and Chinese: one row each, a file per part of the product.
//!
//! The English text is the key and must stand in the code word for word (`say!`).

use std::collections::HashMap;
use std::sync::LazyLock;

mod attachment;
mod cluster;
mod console;
mod database;
mod definition;
mod engine;
mod file;
mod http;
mod link;
mod mail;
mod parameter;
mod schedule;
mod ssh;
mod task;
mod transfer;
mod xml;

/// English, Chinese.
type Row = (&'static str, &'static str);

const PARTS: &[&[Row]] = &[
    attachment::ROWS,
    cluster::ROWS,
    console::ROWS,
    database::ROWS,
    definition::ROWS,
    engine::ROWS,
    file::ROWS,
    http::ROWS,
    link::ROWS,
    mail::ROWS,
    parameter::ROWS,
    schedule::ROWS,
    ssh::ROWS,
    task::ROWS,
    transfer::ROWS,
    xml::ROWS,
];

pub fn chinese(english: &str) -> Option<&'static str> {
    static ALL: LazyLock<HashMap<&'static str, &'static str>> =
        LazyLock::new(|| PARTS.iter().flat_map(|rows| rows.iter().copied()).collect());
    ALL.get(english).copied()
}

/// Is the sentence in the catalogue? Asked while compiling.
pub const fn has(sentence: &str) -> bool {
    let mut part = 0;
    while part < PARTS.len() {
        let mut row = 0;
        while row < PARTS[part].len() {
            if is_equal(PARTS[part][row].0.as_bytes(), sentence.as_bytes()) {
                return true;
            }
            row += 1;
        }
        part += 1;
    }
    false
}

const fn is_equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A brace like any character.
    None,
    /// `{}`
    Next,
    /// `{1}`
    Number(usize),
    /// `{s}`
    Plural,
}

/// What the text begins with, which has a brace first.
pub const fn place(text: &[u8]) -> Place {
    if text.len() > 1 && text[1] == b'}' {
        return Place::Next;
    }
    if text.len() > 2 && text[2] == b'}' {
        return match text[1] {
            b's' => Place::Plural,
            digit @ b'0'..=b'9' => Place::Number((digit - b'0') as usize),
            _ => Place::None,
        };
    }
    Place::None
}

/// How many values the sentence takes.
pub const fn places(sentence: &str) -> usize {
    let text = sentence.as_bytes();
    let mut n = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at] == b'{' {
            let (_, rest) = text.split_at(at);
            match place(rest) {
                Place::Next => n += 1,
                Place::Number(number) if number >= n => n = number + 1,
                Place::Number(_) | Place::None | Place::Plural => {}
            }
        }
        at += 1;
    }
    n
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn all() -> impl Iterator<Item = Row> {
        PARTS.iter().flat_map(|rows| rows.iter().copied())
    }

    #[test]
    fn both_languages_have_every_sentence_with_the_same_places() {
        let mut seen = BTreeSet::new();
        for (english, chinese) in all() {
            assert!(seen.insert(english), "twice: {english}");
            assert_eq!(places(english), places(chinese), "{english}");
            assert!(!chinese.contains("{s}"), "{english}");
        }
    }

    /// Words of ours that Chinese readers know by their English name stay; sentences do not.
    #[test]
    fn chinese_is_not_english_left_over() {
        for (english, chinese) in all() {
            let is_words = english.bytes().filter(u8::is_ascii_alphabetic).count() > 1;
            assert!(!is_words || !chinese.is_ascii(), "{english}");
        }
    }

    /// A sentence that nobody says any more is taken out.
    #[test]
    fn every_sentence_is_said_somewhere() {
        let mut sources = String::new();
        let mut todo = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        while let Some(dir) = todo.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    todo.extend((!path.ends_with("catalogue")).then_some(path));
                } else {
                    sources.push_str(&std::fs::read_to_string(path).unwrap());
                }
            }
        }
        for (english, _) in all() {
            let literal = format!("\"{}\"", english.replace('\\', "\\\\").replace('"', "\\\""));
            assert!(sources.contains(&literal), "nobody says {literal}");
        }
    }
}
