//! `<param>`: what a parameter may hold.

use std::cmp::Ordering;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::template::Template;
use super::value::{Origin, Value, ValueError, ValueType, Vouched, shown};
use crate::model::message::Message;
use crate::say;

/// `<param>` in a param-list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamDeclaration {
    pub name: String,
    pub value: Option<Template>,
    pub kind: ValueType,
    pub required: bool,
    pub min: Option<String>,
    pub max: Option<String>,
    pub pattern: Option<String>,
    pub choices: Vec<String>,
    pub label: Option<String>,
    pub description: Option<String>,
    pub order: Option<i32>,
    /// May a caller set it?
    pub external: bool,
    /// `splice="verbatim"`: the author vouches for what callers give.
    pub verbatim: bool,
}

/// What is wrong with a declaration, and in which of its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclarationFault {
    pub attribute: &'static str,
    pub message: Message,
    pub hint: Option<Message>,
}

/// Bytes of a pattern's text and of its compiled form.
const PATTERN_BYTES_MAX: usize = 4096;
const PATTERN_SIZE_MAX: usize = 1 << 20;

impl ParamDeclaration {
    /// A plain string parameter.
    pub fn string(name: impl Into<String>, value: Option<Template>) -> Self {
        Self {
            name: name.into(),
            value,
            kind: ValueType::String,
            required: false,
            min: None,
            max: None,
            pattern: None,
            choices: Vec::new(),
            label: None,
            description: None,
            order: None,
            external: true,
            verbatim: false,
        }
    }

    /// Reads a value as this declaration wants it: type, bounds, pattern, choices.
    pub fn accept(&self, text: &str, origin: Origin) -> Result<Value, ValueError> {
        let mut value = Value::parse(self.kind, text, origin)?;
        let against = |bound: &Option<String>, forbidden: Ordering| {
            bound.as_ref().filter(|bound| self.kind.compare(&value.text, bound) == Some(forbidden)).cloned()
        };
        if let Some(min) = against(&self.min, Ordering::Less) {
            return Err(ValueError::Small { text: shown(&value.text), min });
        }
        if let Some(max) = against(&self.max, Ordering::Greater) {
            return Err(ValueError::Large { text: shown(&value.text), max });
        }
        let must_choose = self.kind == ValueType::Enum || !self.choices.is_empty();
        if must_choose && !self.choices.contains(&value.text) {
            return Err(ValueError::Choice { text: shown(&value.text), choices: self.choices.clone() });
        }
        if let Some(pattern) = &self.pattern {
            let regex = compile(pattern).map_err(ValueError::Declaration)?;
            if !regex.is_match(&value.text) {
                return Err(ValueError::Pattern { text: shown(&value.text), pattern: pattern.clone() });
            }
            value.vouched = Vouched::Pattern;
        }
        if self.verbatim {
            value.vouched = Vouched::Verbatim;
        }
        Ok(value)
    }

    /// May a caller give any text for it?
    pub fn is_open(&self) -> bool {
        let is_text = match self.kind {
            ValueType::String | ValueType::Text | ValueType::List => true,
            ValueType::Int
            | ValueType::Decimal
            | ValueType::Bool
            | ValueType::Date
            | ValueType::Datetime
            | ValueType::Duration
            | ValueType::Enum => false,
        };
        is_text && self.external && !self.verbatim && self.pattern.is_none() && self.choices.is_empty()
    }

    /// Checks the declaration itself, and its value where that is constant.
    pub fn faults(&self) -> Vec<DeclarationFault> {
        let mut faults = Vec::new();
        let mut fault = |attribute, message: Message, hint: Option<Message>| {
            faults.push(DeclarationFault { attribute, message, hint });
        };
        if self.kind == ValueType::Enum && self.choices.is_empty() {
            fault("choices", say!("an enum needs choices"), Some(Message::verbatim("choices=\"cn,eu,us\"")));
        }
        for (attribute, bound) in [("min", &self.min), ("max", &self.max)] {
            let Some(bound) = bound else { continue };
            let sample = match self.kind {
                ValueType::String | ValueType::Text | ValueType::List => "",
                ValueType::Bool | ValueType::Enum => {
                    fault(attribute, say!("a {} has no {}", self.kind.word(), attribute), None);
                    continue;
                }
                _ => bound.as_str(),
            };
            if self.kind.compare(sample, bound).is_none() {
                let hint = matches!(self.kind, ValueType::String | ValueType::Text | ValueType::List)
                    .then(|| say!("it is a length: a whole number"));
                fault(attribute, say!("\"{}\" is not a {}", bound, self.kind.word()), hint);
            }
        }
        if let (Some(min), Some(max)) = (&self.min, &self.max) {
            let is_reversed = match self.kind {
                ValueType::String | ValueType::Text | ValueType::List => ValueType::Int.compare(min, max),
                kind => kind.compare(min, max),
            };
            if is_reversed == Some(Ordering::Greater) {
                fault("min", say!("min {} is more than max {}", min, max), None);
            }
        }
        if let Some(Err(error)) = self.pattern.as_deref().map(compile) {
            fault("pattern", error, None);
        }
        if faults.is_empty()
            && let Some(Err(error)) = self.constant().map(|text| self.accept(&text, Origin::Definition))
        {
            faults.push(DeclarationFault { attribute: "value", message: error.said(), hint: None });
        }
        faults
    }

    fn constant(&self) -> Option<String> {
        self.value.as_ref().and_then(Template::constant_text).map(|text| text.into_owned())
    }
}

/// The pattern, made to match the whole value.
fn compile(pattern: &str) -> Result<Regex, Message> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(say!("a pattern is longer than {} bytes", PATTERN_BYTES_MAX));
    }
    // On its own first: "a)|(b" would be legal inside the group.
    let broken = |error: regex::Error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        say!("\"{}\" is not a regular expression: {}", shown(pattern), last)
    };
    let build = |pattern: &str| regex::RegexBuilder::new(pattern).size_limit(PATTERN_SIZE_MAX).build();
    build(pattern).map_err(broken)?;
    build(&format!(r"\A(?:{pattern})\z")).or_else(|_| build(&format!("\\A(?:{pattern}\n)\\z"))).map_err(broken)
}
