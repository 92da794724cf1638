//! Values with their type and origin.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::model::decimal::Decimal;
use crate::model::duration::Millis;
use crate::model::message::{self, Message};
use crate::model::schedule::{parse_date, parse_datetime};
use crate::say;

/// Longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 1 << 20;

/// A resolved value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    pub text: String,
    pub kind: ValueType,
    pub origin: Origin,
    /// What its declaration says for it, beyond its type.
    #[serde(default)]
    pub vouched: Vouched,
    /// Of a value from outside: who gave it, or what it was derived from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// Where a value came from; decides whether it may be spliced into code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Written by the author of the definition.
    Definition,
    /// From a caller, an event or a node's output, or derived from one.
    External,
}

/// Why an external value may be spliced into code although its type does not say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vouched {
    #[default]
    No,
    /// It matches the declaration's `pattern`.
    Pattern,
    /// `splice="verbatim"`.
    Verbatim,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueType {
    String,
    Text,
    Int,
    Decimal,
    Bool,
    Date,
    Datetime,
    Duration,
    Enum,
    List,
}

/// Why a text is not a value of its parameter. Reads after "parameter x: ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum ValueError {
    Type { text: String, kind: ValueType },
    Small { text: String, min: String },
    Large { text: String, max: String },
    Pattern { text: String, pattern: String },
    Choice { text: String, choices: Vec<String> },
    Long { bytes: usize },
    Declaration(Message),
}

impl ValueError {
    pub fn said(&self) -> Message {
        match self {
            ValueError::Type { text, kind } => match kind {
                ValueType::Int => say!("\"{}\" is not a whole number", text),
                ValueType::Decimal => say!("\"{}\" is not a decimal number of at most 28 digits", text),
                ValueType::Bool => say!("\"{}\" is not true or false", text),
                ValueType::Date => say!("\"{}\" is not a date (yyyy-MM-dd)", text),
                ValueType::Datetime => say!("\"{}\" is not a date and time (yyyy-MM-dd HH:mm:ss)", text),
                ValueType::Duration => say!("\"{}\" is not a duration (seconds, or such as 1h30m)", text),
                ValueType::List => say!("\"{}\" is not a list without empty items", text),
                ValueType::String | ValueType::Text | ValueType::Enum => {
                    say!("\"{}\" is not a value of type {}", text, kind.word())
                }
            },
            ValueError::Small { text, min } => say!("\"{}\" is less than {}", text, min),
            ValueError::Large { text, max } => say!("\"{}\" is more than {}", text, max),
            ValueError::Pattern { text, pattern } => say!("\"{}\" does not match the pattern {}", text, pattern),
            ValueError::Choice { text, choices } => {
                say!("\"{}\" is not one of {}", text, message::Value::list(choices))
            }
            ValueError::Long { bytes } => say!("a value of {} bytes is longer than {}", bytes, VALUE_BYTES_MAX),
            ValueError::Declaration(fault) => say!("the declaration is broken: {}", fault),
        }
    }
}

impl ValueType {
    pub const WORDS: &'static [&'static str] =
        &["string", "text", "int", "decimal", "bool", "date", "datetime", "duration", "enum", "list"];

    pub fn word(self) -> &'static str {
        match self {
            ValueType::String => "string",
            ValueType::Text => "text",
            ValueType::Int => "int",
            ValueType::Decimal => "decimal",
            ValueType::Bool => "bool",
            ValueType::Date => "date",
            ValueType::Datetime => "datetime",
            ValueType::Duration => "duration",
            ValueType::Enum => "enum",
            ValueType::List => "list",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "string" => ValueType::String,
            "text" => ValueType::Text,
            "int" => ValueType::Int,
            "decimal" => ValueType::Decimal,
            "bool" => ValueType::Bool,
            "date" => ValueType::Date,
            "datetime" => ValueType::Datetime,
            "duration" => ValueType::Duration,
            "enum" => ValueType::Enum,
            "list" => ValueType::List,
            _ => return None,
        })
    }

    /// Can a value of this type hold nothing that any code would read as more than one value?
    pub fn is_safe(self) -> bool {
        match self {
            ValueType::Int
            | ValueType::Decimal
            | ValueType::Bool
            | ValueType::Date
            | ValueType::Datetime
            | ValueType::Duration => true,
            ValueType::String | ValueType::Text | ValueType::Enum | ValueType::List => false,
        }
    }

    /// Orders two values of this type as `min` and `max` mean it: texts by their length in characters, lists
    /// by their number of items. `None`: the type has no order, or a text is not of it.
    pub(super) fn compare(self, value: &str, bound: &str) -> Option<Ordering> {
        match self {
            ValueType::String | ValueType::Text => Some(value.chars().count().cmp(&bound.trim().parse().ok()?)),
            ValueType::List => Some(items(value).count().cmp(&bound.trim().parse().ok()?)),
            ValueType::Int => Some(value.trim().parse::<i64>().ok()?.cmp(&bound.trim().parse().ok()?)),
            ValueType::Decimal => Some(decimal(value)?.cmp(&decimal(bound)?)),
            ValueType::Date => Some(parse_date(value).ok()?.cmp(&parse_date(bound).ok()?)),
            ValueType::Datetime => Some(parse_datetime(value).ok()?.cmp(&parse_datetime(bound).ok()?)),
            ValueType::Duration => Some(Millis::parse(value).ok()?.cmp(&Millis::parse(bound).ok()?)),
            ValueType::Bool | ValueType::Enum => None,
        }
    }
}

impl Value {
    /// A string that the author of the definition wrote.
    pub fn definition(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            kind: ValueType::String,
            origin: Origin::Definition,
            vouched: Vouched::No,
            source: None,
        }
    }

    /// A string from outside: a caller, a node's output.
    pub fn external(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            kind: ValueType::String,
            origin: Origin::External,
            vouched: Vouched::No,
            source: None,
        }
    }

    pub fn from_source(self, source: impl Into<String>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// Reads a value of a type. All but texts are trimmed and written in one way, so that what is spliced
    /// later is what was checked.
    pub fn parse(kind: ValueType, text: &str, origin: Origin) -> Result<Self, ValueError> {
        if text.len() > VALUE_BYTES_MAX {
            return Err(ValueError::Long { bytes: text.len() });
        }
        let trimmed = text.trim();
        let expect = |value: Option<String>| value.ok_or_else(|| ValueError::Type { text: shown(trimmed), kind });
        let text = match kind {
            ValueType::String | ValueType::Text => text.to_owned(),
            ValueType::Enum => trimmed.to_owned(),
            ValueType::Int => expect(trimmed.parse::<i64>().ok().map(|n| n.to_string()))?,
            ValueType::Decimal => {
                let value = decimal(trimmed).map(|_| trimmed.to_owned());
                expect(value)?
            }
            ValueType::Bool => {
                let word = trimmed.to_ascii_lowercase();
                expect(matches!(word.as_str(), "true" | "false").then_some(word))?
            }
            ValueType::Date => expect(parse_date(trimmed).ok().map(|date| date.to_string()))?,
            ValueType::Datetime => {
                let value = parse_datetime(trimmed).ok().map(|at| at.to_string());
                expect(value)?
            }
            ValueType::Duration => {
                let value = Millis::parse(trimmed).ok().map(|length| length.to_string());
                expect(value)?
            }
            ValueType::List => {
                let list: Vec<&str> = items(trimmed).collect();
                let is_whole = list.iter().all(|item| !item.is_empty());
                expect(is_whole.then(|| list.join(",")))?
            }
        };
        Ok(Self { text, kind, origin, vouched: Vouched::No, source: None })
    }
}

/// The value as a message shows it.
pub(super) fn shown(text: &str) -> String {
    const CHARACTERS: usize = 60;
    match text.char_indices().nth(CHARACTERS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    let is_empty = text.trim().is_empty();
    text.split(',').map(str::trim).filter(move |_| !is_empty)
}

/// As the language has it: digits before the point and behind it, 28 together.
fn decimal(text: &str) -> Option<Decimal> {
    let text = text.trim();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_written_so = is_digits(whole) && is_digits(fraction) && whole.len() + fraction.len() <= 29;
    if is_written_so { Decimal::parse(text) } else { None }
}
