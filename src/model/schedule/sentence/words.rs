//! The words of sentences.

use std::ops::Range;

use super::found::Period;
use crate::model::schedule::cron::WEEKDAYS;

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub word: String,
    pub span: Range<usize>,
}

pub(super) const WORDS: &[&str] = &[
    "every",
    "at",
    "on",
    "in",
    "of",
    "the",
    "and",
    "to",
    "other",
    "last",
    "day",
    "week",
    "month",
    "year",
    "hour",
    "minute",
    "second",
    "weekday",
    "weekend",
    "midnight",
    "noon",
    "daily",
    "hourly",
    "weekly",
    "monthly",
    "yearly",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

pub(super) fn unit(word: &str) -> Option<fn(u32) -> Period> {
    Some(match word {
        "second" | "seconds" => Period::Seconds,
        "minute" | "minutes" => Period::Minutes,
        "hour" | "hours" => Period::Hours,
        "day" | "days" => Period::Days,
        "week" | "weeks" => |_| Period::Week,
        "month" | "months" => Period::Months,
        "year" | "years" => |_| Period::Year,
        _ => return None,
    })
}

/// Sunday = 0; full and short names, also in the plural.
pub(super) fn weekday(word: &str) -> Option<u8> {
    name_in(WEEKDAYS, word).or_else(|| name_in(WEEKDAYS, word.strip_suffix('s')?)).map(|at| at as u8)
}

pub(super) fn name_in(names: &[&str], word: &str) -> Option<u32> {
    names.iter().position(|name| word == *name || word == &name[..3]).map(|at| at as u32)
}

pub(super) fn ordinal(word: &str) -> Option<u8> {
    const NAMES: &[&str] = &["first", "second", "third", "fourth", "fifth"];
    if let Some(at) = NAMES.iter().position(|name| *name == word) {
        return Some(at as u8 + 1);
    }
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let n: u8 = digits.parse().ok().filter(|n| (1..=31).contains(n))?;
    matches!(&word[digits.len()..], "st" | "nd" | "rd" | "th").then_some(n)
}

/// Words in lower case; commas and dashes (`,` and "to") stand alone.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut start = None;
    let mut word_end = |start: &mut Option<usize>, end: usize| {
        if let Some(from) = start.take() {
            let word = text[from..end].to_lowercase();
            let word = if matches!(word.as_str(), "through" | "until") { "to".to_owned() } else { word };
            tokens.push(Token { word, span: from..end });
        }
    };
    let mut marks = Vec::new();
    for (at, c) in text.char_indices() {
        if c.is_whitespace() || matches!(c, ',' | '-' | '–') {
            word_end(&mut start, at);
            if !c.is_whitespace() {
                let word = if c == ',' { "," } else { "to" };
                marks.push(Token { word: word.to_owned(), span: at..at + c.len_utf8() });
            }
        } else if start.is_none() {
            start = Some(at);
        }
    }
    word_end(&mut start, text.len());
    tokens.extend(marks);
    tokens.sort_by_key(|token| token.span.start);
    tokens
}
