//! Constant values of attributes: is each of the shape that its table row says?

use super::code::Code;
use super::former;
use super::read::Reader;
use super::sink::Fault;
use super::tree::Attribute;
use crate::model::action::{AttributeSpec, ValueShape};
use crate::model::duration::Millis;
use crate::model::fault::TextFault;
use crate::model::message::Message;
use crate::model::message::Value;
use crate::model::policy::{
    ValueError, parse_bool, parse_count, parse_exit_codes, parse_list, parse_optional_duration, parse_percent,
    parse_regex, parse_size, parse_tenths,
};
use crate::model::schedule::{Cron, Shift, Zone, parse_datetime};
use crate::say;

const NAME_CHARS_MAX: usize = 128;

pub(super) fn may_be_blank(known: &AttributeSpec) -> bool {
    match known.shape {
        ValueShape::AnyText | ValueShape::BlankBool | ValueShape::BlankList => true,
        ValueShape::Choices { may_be_blank, .. } => may_be_blank,
        ValueShape::Text => !known.is_required,
        ValueShape::Name
        | ValueShape::Bool
        | ValueShape::Integer { .. }
        | ValueShape::Tenths { .. }
        | ValueShape::Percent { .. }
        | ValueShape::Duration
        | ValueShape::OptionalDuration
        | ValueShape::Size
        | ValueShape::List
        | ValueShape::Choice(_)
        | ValueShape::DateTime
        | ValueShape::Zone
        | ValueShape::Shift
        | ValueShape::Cron
        | ValueShape::Seconds
        | ValueShape::ExitCodes
        | ValueShape::Regex => false,
    }
}

/// Pushes what is wrong with a value that is not blank.
pub(super) fn check(reader: &Reader<'_>, attribute: &Attribute<'_>, shape: ValueShape) {
    let text = attribute.value.value.as_ref();
    let result = match shape {
        ValueShape::Text | ValueShape::AnyText => Ok(()),
        ValueShape::Name => return check_name(reader, attribute),
        ValueShape::Bool | ValueShape::BlankBool => parse_bool(text).map(drop),
        ValueShape::Integer { min } => integer(text, min),
        ValueShape::Tenths { min, max } => parse_tenths(text, min, max).map(drop),
        ValueShape::Percent { max } => parse_percent(text, max).map(drop),
        ValueShape::Duration => Millis::parse(text).map(drop).map_err(ValueError::from),
        ValueShape::OptionalDuration => parse_optional_duration(text).map(drop),
        ValueShape::Size => parse_size(text).map(drop),
        ValueShape::List => parse_list(text).map(drop),
        ValueShape::BlankList => parse_list(text).map(drop),
        ValueShape::Choice(words) => choice(text, words),
        ValueShape::Choices { words, .. } => return check_choices(reader, attribute, words),
        ValueShape::DateTime => return check_text(reader, attribute, Code::BadValue, parse_datetime(text).map(drop)),
        ValueShape::Zone => return check_zone(reader, attribute),
        ValueShape::Shift => return check_text(reader, attribute, Code::BadShift, Shift::parse(text).map(drop)),
        ValueShape::Cron => return check_cron(reader, attribute),
        ValueShape::Seconds => seconds(text).map(drop),
        ValueShape::ExitCodes => parse_exit_codes(text).map(drop),
        ValueShape::Regex => parse_regex(text).map(drop),
    };
    if let Err(error) = result {
        reader.push(bad(attribute, &error));
    }
}

/// Pushes what is wrong with the text that a value with `${…}` stands for.
pub(super) fn check_rendered(reader: &Reader<'_>, attribute: &Attribute<'_>, shape: ValueShape, text: &str) {
    let result = match shape {
        ValueShape::Integer { min } => integer(text, min),
        ValueShape::Choices { words, .. } => parse_list(text).and_then(|items| {
            let unknown = items.iter().find(|item| !words.iter().any(|known| known.eq_ignore_ascii_case(item)));
            unknown.map_or(Ok(()), |item| Err(ValueError::Choice { text: item.clone(), words }))
        }),
        _ => Ok(()),
    };
    if let Err(error) = result {
        reader.push(bad(attribute, &error).note(say!("its value is \"{}\" here", shown(text))));
    }
}

/// The fault of an attribute whose value cannot be read.
pub(super) fn bad(attribute: &Attribute<'_>, error: &ValueError) -> Fault {
    let span = attribute.value.trimmed_span();
    match error {
        ValueError::Choice { text, words } => {
            let message =
                say!("attribute {} must be one of {}, not \"{}\"", attribute.name, Value::list(words.iter()), text);
            let fault = Fault::new(Code::BadValue, span, message).suggest(text, words.iter().copied());
            fault.maybe_hint(former::value_hint(text, words))
        }
        ValueError::Duration(error) => {
            Fault::new(Code::BadValue, span, say!("attribute {}: {}", attribute.name, error.said()))
        }
        other => Fault::new(Code::BadValue, span, say!("attribute {} {}", attribute.name, other.said())),
    }
}

fn integer(text: &str, min: i64) -> Result<(), ValueError> {
    if min >= 0 {
        return parse_count(text, min).map(drop);
    }
    let bad = || ValueError::Integer { text: text.trim().to_owned(), min };
    let n: i32 = text.trim().parse().map_err(|_| bad())?;
    if i64::from(n) < min { Err(bad()) } else { Ok(()) }
}

fn choice(text: &str, words: &'static [&'static str]) -> Result<(), ValueError> {
    if words.contains(&text.trim()) {
        return Ok(());
    }
    Err(ValueError::Choice { text: text.trim().to_owned(), words })
}

/// Seconds of a minute, sorted, each once.
pub(super) fn seconds(text: &str) -> Result<Vec<u32>, ValueError> {
    let bad = || ValueError::Other(say!("must list seconds 0 to 59, or be */n, not \"{}\"", text.trim()));
    let mut seconds = match text.trim().strip_prefix("*/") {
        Some(step) => {
            let step: usize = step.parse().ok().filter(|step| (1..=59).contains(step)).ok_or_else(bad)?;
            (0..60).step_by(step).collect()
        }
        None if text.trim() == "*" => (0..60).collect(),
        None => parse_list(text)?
            .iter()
            .map(|item| item.parse().ok().filter(|second| *second < 60).ok_or_else(bad))
            .collect::<Result<Vec<u32>, _>>()?,
    };
    seconds.sort_unstable();
    seconds.dedup();
    Ok(seconds)
}

/// Why a name cannot be one, or `None`.
pub(super) fn name_fault(name: &str) -> Option<Message> {
    let is_invisible = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    if name.chars().count() > NAME_CHARS_MAX {
        Some(say!("a name has at most 128 characters"))
    } else if name.contains("${") {
        Some(say!("a name may not hold ${…}"))
    } else if name.contains('/') {
        Some(say!("a name may not hold \"/\""))
    } else if name.contains(is_invisible) {
        Some(say!("a name may not hold control or invisible characters"))
    } else {
        None
    }
}

fn check_name(reader: &Reader<'_>, attribute: &Attribute<'_>) {
    let name = attribute.value.value.trim();
    let span = attribute.value.trimmed_span();
    if let Some(reason) = name_fault(name) {
        reader.push(Fault::new(Code::BadName, span, say!("\"{}\" cannot be a name: {}", shown(name), reason)));
    } else if name.contains([',', '|']) {
        let message = say!("the name \"{}\" holds a comma or |, which lists and forms use between names", name);
        reader.push(Fault::new(Code::OddName, span, message));
    }
}

fn check_choices(reader: &Reader<'_>, attribute: &Attribute<'_>, words: &'static [&'static str]) {
    let value = &attribute.value;
    let mut at = 0;
    for item in value.value.split(',') {
        let word = item.trim();
        if !words.iter().any(|known| known.eq_ignore_ascii_case(word)) {
            let start = at + (item.len() - item.trim_start().len());
            let span = if word.is_empty() {
                value.locate(at..at + item.len())
            } else {
                value.locate(start..start + word.len())
            };
            let message = match word {
                "" => say!("attribute {} has an empty item", attribute.name),
                _ => say!(
                    "attribute {} must list words of {}, not \"{}\"",
                    attribute.name,
                    Value::list(words.iter()),
                    word
                ),
            };
            reader.push(Fault::new(Code::BadValue, span, message).suggest(word, words.iter().copied()));
        }
        at += item.len() + 1;
    }
}

fn check_text(reader: &Reader<'_>, attribute: &Attribute<'_>, code: Code, result: Result<(), TextFault>) {
    if let Err(fault) = result {
        push_text(reader, attribute, code, &fault);
    }
}

pub(super) fn text_fault(attribute: &Attribute<'_>, code: Code, fault: &TextFault) -> Fault {
    let span =
        if fault.span.is_empty() { attribute.value.trimmed_span() } else { attribute.value.locate(fault.span.clone()) };
    let message = say!("attribute {}: {}", attribute.name, fault.message);
    let code = if fault.is_not_built { Code::NotBuilt } else { code };
    Fault::new(code, span, message).maybe_hint(fault.hint.clone())
}

fn push_text(reader: &Reader<'_>, attribute: &Attribute<'_>, code: Code, fault: &TextFault) {
    reader.push(text_fault(attribute, code, fault));
}

fn check_zone(reader: &Reader<'_>, attribute: &Attribute<'_>) {
    if let Err(error) = Zone::parse(&attribute.value.value) {
        let message = say!("\"{}\" is not a time zone", error.name);
        let hint = match error.suggestion {
            Some(near) => say!("did you mean \"{}\"?", near),
            None => say!("write an IANA name such as Asia/Shanghai"),
        };
        reader.push(Fault::new(Code::BadZone, attribute.value.trimmed_span(), message).hint(hint));
    }
}

fn check_cron(reader: &Reader<'_>, attribute: &Attribute<'_>) {
    match Cron::parse(&attribute.value.value, reader.is_strict) {
        Ok((_, warnings)) => {
            for warning in &warnings {
                reader.push(text_fault(attribute, Code::OddCron, warning));
            }
        }
        Err(fault) => {
            let is_odd = reader.is_strict && Cron::parse(&attribute.value.value, false).is_ok();
            let code = if is_odd { Code::OddCron } else { Code::BadCron };
            reader.push(text_fault(attribute, code, &fault).error());
        }
    }
}

fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
