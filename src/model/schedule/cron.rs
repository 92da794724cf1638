//! Cron lines of five fields, and the sentences that stand for them.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::days::DayRule;
use super::sentence;
use crate::model::fault::TextFault;
use crate::model::message::Message;
use crate::say;

/// What a cron text cannot be read as; the span is inside the text.
pub type CronError = TextFault;
/// What was read, but perhaps not as meant.
pub type CronWarning = TextFault;

/// A parsed cron line or English sentence: sets of minutes, hours and days. Stored parsed, so that a replica
/// needs no parser and later changes of the grammar do not move old definitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cron {
    /// The text as written.
    pub source: String,
    minutes: u64,
    hours: u32,
    /// From a sentence that names seconds; a line has none.
    seconds: Option<u64>,
    days: DayRule,
}

/// The longest text that is read at all.
const TEXT_MAX: usize = 1024;

pub(super) const EVERY_HOUR: u32 = 0xff_ffff;

impl Cron {
    /// Reads `minute hour day-of-month month day-of-week`, or a sentence when it begins with a word or a time
    /// or says "every". `strict` files may not carry fields that are ignored.
    pub fn parse(text: &str, is_strict: bool) -> Result<(Self, Vec<CronWarning>), CronError> {
        if text.len() > TEXT_MAX {
            return Err(CronError::new(0..text.len(), say!("a cron text is longer than {} bytes", TEXT_MAX)));
        }
        if is_sentence(text) {
            let (parts, warnings) = sentence::parse(text, is_strict)?;
            return Ok((parts.into_cron(text), warnings));
        }
        Line { text, is_strict, warnings: Vec::new() }.parse()
    }

    /// Does the hour field match every hour? Then minutes run in elapsed time over clock changes.
    pub fn is_every_hour(&self) -> bool {
        self.hours == EVERY_HOUR
    }

    /// Bit `n` = minute `n`.
    pub fn minutes(&self) -> u64 {
        self.minutes
    }

    /// Bit `n` = hour `n`.
    pub fn hours(&self) -> u32 {
        self.hours
    }

    /// Seconds that a sentence names, as bits; they win over the trigger's.
    pub fn seconds(&self) -> Option<u64> {
        self.seconds
    }

    pub(super) fn days(&self) -> &DayRule {
        &self.days
    }
}

fn is_sentence(text: &str) -> bool {
    let text = text.to_lowercase();
    let first = text.split_whitespace().next().unwrap_or_default();
    let is_time = first.contains(':') || first.ends_with("am") || first.ends_with("pm");
    is_time || first.starts_with(char::is_alphabetic) || text.contains("every")
}

/// What a line or sentence sets.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub minutes: u64,
    pub hours: u32,
    pub seconds: Option<u64>,
    pub days: DayRule,
}

impl Parts {
    fn into_cron(self, source: &str) -> Cron {
        Cron {
            source: source.to_owned(),
            minutes: self.minutes,
            hours: self.hours,
            seconds: self.seconds,
            days: self.days,
        }
    }
}

struct Line<'a> {
    text: &'a str,
    is_strict: bool,
    warnings: Vec<CronWarning>,
}

enum FieldName {
    Minute,
    Hour,
    Day,
    Month,
    Weekday,
}

/// What one of the five fields may hold.
struct Field {
    name: FieldName,
    min: u32,
    max: u32,
    names: &'static [&'static str],
    /// Number of the first name.
    first_name: u32,
}

impl Field {
    fn said(&self) -> Message {
        match self.name {
            FieldName::Minute => say!("minute"),
            FieldName::Hour => say!("hour"),
            FieldName::Day => say!("day of the month"),
            FieldName::Month => say!("month"),
            FieldName::Weekday => say!("day of the week"),
        }
    }
}

const MINUTE: Field = Field { name: FieldName::Minute, min: 0, max: 59, names: &[], first_name: 0 };
const HOUR: Field = Field { name: FieldName::Hour, min: 0, max: 23, names: &[], first_name: 0 };
const DAY: Field = Field { name: FieldName::Day, min: 1, max: 31, names: &[], first_name: 0 };
const MONTH: Field = Field { name: FieldName::Month, min: 1, max: 12, names: MONTHS, first_name: 1 };
/// 0 and 7 are Sunday.
const WEEKDAY: Field = Field { name: FieldName::Weekday, min: 0, max: 7, names: WEEKDAYS, first_name: 0 };

pub(super) const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
pub(super) const WEEKDAYS: &[&str] = &["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

impl Line<'_> {
    fn parse(mut self) -> Result<(Cron, Vec<CronWarning>), CronError> {
        let fields = words(self.text);
        let [minute, hour, day, month, weekday, rest @ ..] = fields.as_slice() else {
            let message = match fields.len() {
                0 => say!("a cron text is empty"),
                1 => say!("1 field where cron needs 5"),
                n => say!("{} fields where cron needs 5", n),
            };
            let hint = say!(
                "write minute hour day-of-month month day-of-week, such as 30 1 * * *, or a sentence such as every day at 1:30"
            );
            return Err(CronError::new(0..self.text.len(), message).hint(hint));
        };
        if let (Some(first), Some(last)) = (rest.first(), rest.last()) {
            let span = first.start..last.end;
            let hint = say!("the first of the five fields is the minute; for seconds use seconds=\"…\"");
            self.lax(span, say!("more than 5 fields in a cron line, the rest is ignored"), hint)?;
        }
        let mut days = DayRule::default();
        let minutes = self.numbers(&MINUTE, minute.clone())?;
        let hours = self.numbers(&HOUR, hour.clone())? as u32;
        days.months = self.numbers(&MONTH, month.clone())? as u16;
        self.days_of_month(day.clone(), &mut days)?;
        self.days_of_week(weekday.clone(), &mut days)?;
        self.lint_days(day.start..weekday.end, &days);
        let parts = Parts { minutes, hours, seconds: None, days };
        Ok((parts.into_cron(self.text), self.warnings))
    }

    fn lint_days(&mut self, span: Range<usize>, days: &DayRule) {
        let is_stepped = |is_star: bool, is_all: bool| is_star && !is_all;
        let all_days = days.days == 0xffff_fffe;
        let all_weekdays = days.weekdays == 0b111_1111;
        if is_stepped(days.is_days_star, all_days) && !all_weekdays
            || is_stepped(days.is_weekdays_star, all_weekdays) && !(all_days && !days.is_last_day)
        {
            let message = say!("a day must match both day fields here, as one of them begins with *");
            self.warnings.push(CronWarning::new(span.clone(), message).hint(say!("write the days out for \"either\"")));
        }
        let is_never = (days.is_days_star || days.is_weekdays_star)
            && !days.is_last_day
            && (1..=12).filter(|month| days.months & (1 << month) != 0).all(|month| {
                let longest = match month {
                    2 => 29,
                    4 | 6 | 9 | 11 => 30,
                    _ => 31,
                };
                days.days & ((1u64 << (longest + 1)) - 1) as u32 == 0
            });
        if is_never {
            self.warnings.push(CronWarning::new(span, say!("these days do not exist, so it never fires")));
        }
    }

    fn days_of_month(&mut self, span: Range<usize>, days: &mut DayRule) -> Result<(), CronError> {
        days.is_days_star = self.text[span.clone()].starts_with(['*', '?']);
        days.days = 0;
        for item in items(self.text, span) {
            match &self.text[item.clone()] {
                "L" | "l" => days.is_last_day = true,
                word if word.ends_with(['W', 'w']) => {
                    return Err(CronError::new(item, say!("W (nearest weekday) is not supported in a cron line")));
                }
                _ => days.days |= self.item(&DAY, item)? as u32,
            }
        }
        Ok(())
    }

    fn days_of_week(&mut self, span: Range<usize>, days: &mut DayRule) -> Result<(), CronError> {
        days.is_weekdays_star = self.text[span.clone()].starts_with(['*', '?']);
        days.weekdays = 0;
        for item in items(self.text, span) {
            let word = &self.text[item.clone()];
            if let Some((weekday, which)) = word.split_once('#') {
                let weekday = self.number(&WEEKDAY, item.start..item.start + weekday.len())? % 7;
                let which = which.parse::<u8>().ok().filter(|n| (1..=5).contains(n)).ok_or_else(|| {
                    CronError::new(item.clone(), say!("after # stands which one of the month, 1 to 5"))
                        .hint(say!("such as 5#2"))
                })?;
                days.nth_weekdays.push((weekday as u8, which));
            } else if word.eq_ignore_ascii_case("l") {
                let hint = say!("write 5L for the last Friday of the month");
                return Err(CronError::new(item, say!("L needs a weekday in the day-of-week field")).hint(hint));
            } else if let Some(weekday) = word.strip_suffix(['L', 'l']) {
                let weekday = self.number(&WEEKDAY, item.start..item.start + weekday.len())? % 7;
                days.last_weekdays |= 1 << weekday;
            } else {
                let set = self.item(&WEEKDAY, item)?;
                days.weekdays |= (set as u8 & 0b111_1111) | (set >> 7) as u8;
            }
        }
        Ok(())
    }

    fn numbers(&mut self, field: &Field, span: Range<usize>) -> Result<u64, CronError> {
        let mut set = 0;
        for item in items(self.text, span) {
            set |= self.item(field, item)?;
        }
        Ok(set)
    }

    /// `*`, `a`, `a-b`, each perhaps with `/n`.
    fn item(&mut self, field: &Field, span: Range<usize>) -> Result<u64, CronError> {
        let item = &self.text[span.clone()];
        if item.is_empty() {
            return Err(CronError::new(span, say!("an item of the {} list is empty", field.said())));
        }
        let (range, step) = match item.find('/') {
            Some(at) => (span.start..span.start + at, Some(span.start + at + 1..span.end)),
            None => (span.clone(), None),
        };
        let (from, to) = self.range(field, range.clone(), step.is_some())?;
        let step = match step {
            None => 1,
            Some(step) => self.step(field, step)?,
        };
        Ok((from..=to).step_by(step as usize).fold(0, |set, n| set | 1 << n))
    }

    fn range(&mut self, field: &Field, span: Range<usize>, has_step: bool) -> Result<(u32, u32), CronError> {
        let range = &self.text[span.clone()];
        let max = if field.max == 7 { 6 } else { field.max };
        if range == "*" {
            return Ok((field.min, max));
        }
        if range == "?" && (field.max == 31 || field.max == 7) {
            self.lax(span, say!("? is not a cron word"), say!("write {}", "*"))?;
            return Ok((field.min, max));
        }
        let Some(at) = range.find('-') else {
            let from = self.number(field, span.clone())?;
            if !has_step {
                return Ok((from, from));
            }
            let hint = say!("write {}-{}/…", from, max);
            self.lax(span, say!("a step needs a range, read as {}-{}", from, max), hint)?;
            return Ok((from.min(max), max));
        };
        let from = self.number(field, span.start..span.start + at)?;
        let to = self.number(field, span.start + at + 1..span.end)?;
        // "fri-sun": Sunday ends a week as well as it begins one.
        let to = if field.max == 7 && to == 0 && from > 0 { 7 } else { to };
        if from > to {
            let hint = if field.max == 7 {
                say!("write {}-6,0-{}", from, to)
            } else {
                say!("write {}-{},{}-{}", from, max, field.min, to)
            };
            return Err(CronError::new(span, say!("a {} range runs backwards", field.said())).hint(hint));
        }
        Ok((from, to))
    }

    fn step(&mut self, field: &Field, span: Range<usize>) -> Result<u32, CronError> {
        let step = self.text[span.clone()].parse::<u32>().ok().filter(|step| *step > 0).ok_or_else(|| {
            CronError::new(span.clone(), say!("a {} step must be a whole number from 1", field.said()))
        })?;
        if step > field.max - field.min {
            let message = say!("a {} step of {} is larger than the field", field.said(), step);
            self.lax(span, message, say!("only its first value is left; write that value"))?;
        }
        Ok(step.min(60))
    }

    fn number(&self, field: &Field, span: Range<usize>) -> Result<u32, CronError> {
        let text = &self.text[span.clone()];
        let bounds = say!("it is a number from {} to {}", field.min, field.max);
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text
                .parse()
                .ok()
                .filter(|n| (field.min..=field.max).contains(n))
                .ok_or_else(|| CronError::new(span, say!("{} {} is out of range", field.said(), text)).hint(bounds));
        }
        named(text, field).ok_or_else(|| {
            let hint = if field.names.is_empty() {
                bounds
            } else {
                say!("{}, or a name such as {}", bounds, &field.names[1][..3])
            };
            CronError::new(span, say!("\"{}\" is not a {}", text, field.said())).hint(hint)
        })
    }

    /// A warning in lenient files, an error in strict ones.
    fn lax(&mut self, span: Range<usize>, message: Message, hint: Message) -> Result<(), CronError> {
        let fault = CronWarning::new(span, message).hint(hint);
        if self.is_strict {
            return Err(fault);
        }
        self.warnings.push(fault);
        Ok(())
    }
}

/// The number of a full or three-letter name, in any case.
fn named(text: &str, field: &Field) -> Option<u32> {
    let word = text.to_lowercase();
    let at = field.names.iter().position(|name| word == *name || word == name[..3])?;
    Some(field.first_name + at as u32)
}

fn words(text: &str) -> Vec<Range<usize>> {
    text.split_whitespace()
        .map(|word| {
            let start = word.as_ptr() as usize - text.as_ptr() as usize;
            start..start + word.len()
        })
        .collect()
}

/// The comma-separated items of a field.
fn items(text: &str, span: Range<usize>) -> Vec<Range<usize>> {
    let mut start = span.start;
    text[span]
        .split(',')
        .map(|item| {
            let range = start..start + item.len();
            start = range.end + 1;
            range
        })
        .collect()
}
