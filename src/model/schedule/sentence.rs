//! English sentences for cron: `every weekday at 8:30`, `midnight on Monday`, `every 15 minutes`.
//!
//! A small grammar, case-insensitive, with or without "every", that refuses whatever it does not fully
//! understand: a sentence read in half would fire at the wrong times. Unstated smaller fields are the first
//! ones, so "every day" is midnight, "every month" the 1st at midnight and "every week" Monday at midnight
//! (akkaflow fired each minute of them).

use std::ops::Range;

use super::cron::{CronError, CronWarning, EVERY_HOUR, MONTHS, Parts, WEEKDAYS};
use super::days::DayRule;
use crate::model::fault::nearest;

pub(super) fn parse(text: &str, is_strict: bool) -> Result<(Parts, Vec<CronWarning>), CronError> {
    let mut parser = Parser { text, tokens: tokens(text), at: 0, found: Found::default() };
    parser.sentence()?;
    let mut warnings = Vec::new();
    if let Some(fault) = parser.uneven() {
        if is_strict {
            return Err(fault);
        }
        warnings.push(fault);
    }
    Ok((parser.found.compose(), warnings))
}

/// What the sentence said so far.
#[derive(Default)]
struct Found {
    period: Option<Period>,
    /// Where the period stands.
    period_span: Range<usize>,
    /// Hours, minutes and seconds as bits.
    times: Option<(u32, u64, u64)>,
    days: u32,
    is_last_day: bool,
    weekdays: u8,
    last_weekdays: u8,
    nth_weekdays: Vec<(u8, u8)>,
    months: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Period {
    Seconds(u32),
    Minutes(u32),
    Hours(u32),
    Days(u32),
    Week,
    Months(u32),
    Year,
}

#[derive(Debug, Clone)]
struct Token {
    word: String,
    span: Range<usize>,
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    found: Found,
}

const WORDS: &[&str] = &[
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

impl Parser<'_> {
    fn sentence(&mut self) -> Result<(), CronError> {
        if self.tokens.is_empty() {
            return Err(CronError::new(0..self.text.len(), "a cron text is empty"));
        }
        while self.peek().is_some() {
            if self.take("every") || self.take("each") {
                self.subject()?;
            } else if self.take("at") {
                self.times()?;
            } else if self.take("on") {
                self.days()?;
            } else if self.take("in") || self.take("of") {
                self.months()?;
            } else if self.at > 0 && (self.take(",") || self.take("and")) {
                // Only between clauses; lists take their own.
                if !self.peek().is_some_and(|word| ["at", "on", "in"].contains(&word)) {
                    return Err(self.unexpected());
                }
            } else if self.at == 0 || self.is_after_time() {
                self.subject()?;
            } else {
                return Err(self.unexpected());
            }
        }
        self.check()
    }

    /// "midnight Monday" and "8:00 every day": a subject may follow a time without a connector.
    fn is_after_time(&self) -> bool {
        self.found.times.is_some() && self.found.period.is_none() && !self.found.has_days()
    }

    /// What follows "every", or begins the sentence.
    fn subject(&mut self) -> Result<(), CronError> {
        let start = self.at;
        let Some(word) = self.peek().map(str::to_owned) else {
            return Err(self.ended("what it happens every"));
        };
        let adverb = match word.as_str() {
            "hourly" => Some(Period::Hours(1)),
            "daily" => Some(Period::Days(1)),
            "weekly" => Some(Period::Week),
            "monthly" => Some(Period::Months(1)),
            "yearly" | "annually" => Some(Period::Year),
            _ => None,
        };
        if let Some(period) = adverb {
            self.at += 1;
            return self.period(period, start);
        }
        if self.is_time() {
            return self.times();
        }
        if word == "second" && self.word_after().is_some_and(|next| next == "day" || weekday(next).is_some()) {
            let hint = "write \"every other day\", or \"on the 2nd\"";
            return Err(CronError::new(self.span_from(start), "\"every second\" day has two meanings").hint(hint));
        }
        if let Some(unit) = unit(&word) {
            self.at += 1;
            return self.period(unit(1), start);
        }
        let count = if word == "other" { Some(2) } else { word.parse::<u32>().ok() };
        if let Some(n) = count {
            let Some(unit) = self.word_after().and_then(unit) else {
                self.at += 1;
                return Err(self.unexpected());
            };
            self.at += 2;
            return self.counted(n, unit, start);
        }
        if let Some(month) = name_in(MONTHS, &word) {
            self.at += 1;
            self.found.months |= 1 << (month + 1);
            return self.more_months();
        }
        self.days()
    }

    fn counted(&mut self, n: u32, unit: fn(u32) -> Period, start: usize) -> Result<(), CronError> {
        let period = unit(n);
        let (most, short) = match period {
            Period::Seconds(_) => (59, "s"),
            Period::Minutes(_) => (59, "m"),
            Period::Hours(_) => (23, "h"),
            Period::Days(_) => (30, "d"),
            Period::Months(_) => (11, ""),
            Period::Week => (1, "w"),
            Period::Year => (1, ""),
        };
        if n == 0 || n > most && n != 1 {
            let fault = CronError::new(self.span_from(start), format!("cron cannot say \"every {n}\" of these"));
            return Err(if n > 0 && !short.is_empty() {
                fault.hint(format!("use every=\"{n}{short}\""))
            } else {
                fault
            });
        }
        self.period(period, start)
    }

    fn period(&mut self, period: Period, start: usize) -> Result<(), CronError> {
        let span = self.span_from(start);
        if self.found.period.is_some() {
            return Err(CronError::new(span, "a sentence can say only one period"));
        }
        self.found.period = Some(period);
        self.found.period_span = span;
        Ok(())
    }

    fn times(&mut self) -> Result<(), CronError> {
        let start = self.at;
        if self.found.times.is_some() {
            return Err(CronError::new(self.span_from(start), "a sentence can say its times only once"));
        }
        let mut times = Vec::new();
        loop {
            let first = self.time()?;
            if self.take("to") {
                let range_from = self.at;
                let last = self.time()?;
                let is_whole = first.is_whole_hour() && last.is_whole_hour();
                let (Some(from), Some(to)) = (first.hour, last.hour) else { return Err(self.unexpected()) };
                if !is_whole || from > to {
                    let message = "a range of times goes from one full hour to a later one";
                    return Err(CronError::new(self.span_from(range_from), message));
                }
                times.extend((from..=to).map(|hour| Time { hour: Some(hour), minute: 0, second: None }));
            } else {
                times.push(first);
            }
            if !self.next_in_list(Self::is_time) {
                break;
            }
        }
        self.found.times = Some(product(&times).ok_or_else(|| {
            CronError::new(self.span_from(start), "these times are not every combination of hours and minutes")
                .hint("use a trigger for each")
        })?);
        Ok(())
    }

    fn is_time(&self) -> bool {
        self.peek().is_some_and(|word| {
            matches!(word, "midnight" | "noon")
                || word.starts_with(|c: char| c.is_ascii_digit() || c == ':')
                    && (word.contains(':') || word.ends_with("am") || word.ends_with("pm"))
                || word.parse::<u32>().is_ok() && self.word_after().is_some_and(|next| matches!(next, "am" | "pm"))
        })
    }

    fn time(&mut self) -> Result<Time, CronError> {
        let start = self.at;
        let Some(word) = self.peek().map(str::to_owned) else {
            return Err(self.ended("a time such as 3:30"));
        };
        if !self.is_time() {
            return Err(self.unexpected_as("is not a time of day", "write it as 3:30 or 1am"));
        }
        self.at += 1;
        match word.as_str() {
            "midnight" => return Ok(Time { hour: Some(0), minute: 0, second: None }),
            "noon" => return Ok(Time { hour: Some(12), minute: 0, second: None }),
            _ => {}
        }
        let half = if self.take("am") || word.ends_with("am") {
            Some(0)
        } else if self.take("pm") || word.ends_with("pm") {
            Some(12)
        } else {
            None
        };
        let digits = word.trim_end_matches(['a', 'p', 'm']);
        read_time(digits, half).ok_or_else(|| {
            CronError::new(self.span_from(start), format!("\"{word}\" is not a time of day"))
                .hint("write it as 3:30 or 1am")
        })
    }

    /// Days of the week or month, after "on" or as subject.
    fn days(&mut self) -> Result<(), CronError> {
        loop {
            let _ = self.take("the") || self.take("every") || self.take("each");
            self.day()?;
            if !self.next_in_list(|parser| {
                let word = if parser.peek() == Some("the") { parser.word_after() } else { parser.peek() };
                word.is_some_and(|word| weekday(word).is_some() || ordinal(word).is_some() || word == "last")
            }) {
                return Ok(());
            }
        }
    }

    fn day(&mut self) -> Result<(), CronError> {
        let Some(word) = self.peek().map(str::to_owned) else {
            return Err(self.ended("a day"));
        };
        match word.as_str() {
            "weekday" | "weekdays" => self.found.weekdays |= 0b011_1110,
            "weekend" | "weekends" => self.found.weekdays |= 0b100_0001,
            "last" => {
                self.at += 1;
                return self.last();
            }
            _ => {
                if let Some(n) = ordinal(&word) {
                    self.at += 1;
                    return self.nth(n);
                }
                let Some(from) = weekday(&word) else { return Err(self.unexpected()) };
                self.at += 1;
                if self.take("to") {
                    let Some(to) = self.peek().and_then(weekday) else { return Err(self.unexpected()) };
                    self.at += 1;
                    let days = (to + 7 - from) % 7;
                    (0..=days).for_each(|n| self.found.weekdays |= 1 << ((from + n) % 7));
                } else {
                    self.found.weekdays |= 1 << from;
                }
                return Ok(());
            }
        }
        self.at += 1;
        Ok(())
    }

    /// After "last": day, or a weekday.
    fn last(&mut self) -> Result<(), CronError> {
        match self.peek().map(|word| (word == "day", weekday(word))) {
            Some((true, _)) => self.found.is_last_day = true,
            Some((_, Some(weekday))) => self.found.last_weekdays |= 1 << weekday,
            _ => return Err(self.unexpected()),
        }
        self.at += 1;
        Ok(())
    }

    /// After "15th": perhaps day, or a weekday.
    fn nth(&mut self, n: u8) -> Result<(), CronError> {
        match self.peek().and_then(weekday) {
            Some(weekday) if (1..=5).contains(&n) => {
                self.at += 1;
                self.found.nth_weekdays.push((weekday, n));
            }
            Some(_) => return Err(self.unexpected()),
            None => {
                self.take("day");
                self.found.days |= 1 << n;
            }
        }
        Ok(())
    }

    /// After "in" or "of": months, or "every month".
    fn months(&mut self) -> Result<(), CronError> {
        let _ = self.take("every") || self.take("each") || self.take("the");
        if self.take("month") {
            return Ok(());
        }
        if self.peek().is_some_and(|word| word == "year" || word.len() == 4 && word.parse::<u32>().is_ok()) {
            return Err(self.unexpected_as("cannot limit a cron", "use start-time and end-time for years"));
        }
        let Some(month) = self.peek().and_then(|word| name_in(MONTHS, word)) else { return Err(self.unexpected()) };
        self.at += 1;
        self.found.months |= 1 << (month + 1);
        if self.take("to") {
            let Some(to) = self.peek().and_then(|word| name_in(MONTHS, word)) else { return Err(self.unexpected()) };
            self.at += 1;
            (0..=(to + 12 - month) % 12).for_each(|n| self.found.months |= 1 << ((month + n) % 12 + 1));
        }
        self.more_months()
    }

    fn more_months(&mut self) -> Result<(), CronError> {
        while self.next_in_list(|parser| parser.peek().is_some_and(|word| name_in(MONTHS, word).is_some())) {
            if let Some(month) = self.peek().and_then(|word| name_in(MONTHS, word)) {
                self.found.months |= 1 << (month + 1);
                self.at += 1;
            }
        }
        Ok(())
    }

    /// Takes ", ", "and" or both, if what follows belongs to the list.
    fn next_in_list(&mut self, belongs: impl Fn(&Self) -> bool) -> bool {
        let start = self.at;
        let is_comma = self.take(",");
        let is_and = self.take("and");
        if (is_comma || is_and) && belongs(self) {
            return true;
        }
        self.at = start;
        false
    }

    /// Contradictions that no single word shows.
    fn check(&self) -> Result<(), CronError> {
        let found = &self.found;
        let whole = 0..self.text.len();
        let fault =
            |message: &str| Err(CronError::new(whole.clone(), message).hint("write a cron line of five fields"));
        let has_month_days = found.days != 0 || found.is_last_day;
        let has_weekdays = found.weekdays != 0 || found.last_weekdays != 0 || !found.nth_weekdays.is_empty();
        if has_month_days && has_weekdays {
            return fault("a sentence cannot name days of the month and of the week");
        }
        match (found.period, found.times) {
            (None, None) if !found.has_days() && found.months == 0 => fault("a sentence says when something happens"),
            (Some(Period::Hours(1)), Some((EVERY_HOUR, ..))) => Ok(()),
            (Some(Period::Seconds(_) | Period::Minutes(_) | Period::Hours(_)), Some(_)) => {
                fault("a period within the day cannot also have times")
            }
            (
                Some(Period::Days(1) | Period::Week | Period::Months(_) | Period::Year) | None,
                Some((EVERY_HOUR, ..)),
            ) => fault("a time of day needs its hour"),
            (Some(Period::Days(n)), _) if n > 1 && (has_month_days || has_weekdays) => {
                fault("days are said twice in this sentence")
            }
            _ => Ok(()),
        }
    }

    /// "every 7 minutes" begins anew each hour, which may surprise.
    fn uneven(&self) -> Option<CronError> {
        let (n, whole, of, short) = match self.found.period? {
            Period::Seconds(n) => (n, 60, "minute", "s"),
            Period::Minutes(n) => (n, 60, "hour", "m"),
            Period::Hours(n) => (n, 24, "day", "h"),
            Period::Days(n) if n > 1 => (n, n + 1, "month", "d"),
            Period::Days(_) | Period::Week | Period::Months(_) | Period::Year => return None,
        };
        (whole % n != 0).then(|| {
            CronError::new(self.found.period_span.clone(), format!("counting by {n} begins anew each {of}"))
                .hint(format!("every=\"{n}{short}\" keeps one distance"))
        })
    }

    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.at).map(|token| token.word.as_str())
    }

    fn word_after(&self) -> Option<&str> {
        self.tokens.get(self.at + 1).map(|token| token.word.as_str())
    }

    fn take(&mut self, word: &str) -> bool {
        let is_there = self.peek() == Some(word);
        self.at += usize::from(is_there);
        is_there
    }

    fn span_from(&self, start: usize) -> Range<usize> {
        let last = self.at.max(start + 1).min(self.tokens.len());
        match (self.tokens.get(start), self.tokens.get(last.saturating_sub(1))) {
            (Some(first), Some(last)) => first.span.start..last.span.end.max(first.span.end),
            _ => self.text.len()..self.text.len(),
        }
    }

    fn ended(&self, wanted: &str) -> CronError {
        CronError::new(self.text.len()..self.text.len(), format!("the sentence ends where {wanted} should stand"))
    }

    fn unexpected(&self) -> CronError {
        self.unexpected_as(
            "is not understood here",
            "such as: every weekday at 8:30, every 15 minutes, midnight on monday",
        )
    }

    fn unexpected_as(&self, what: &str, hint: &str) -> CronError {
        let Some(token) = self.tokens.get(self.at) else { return self.ended("more") };
        let word = &self.text[token.span.clone()];
        let known = WORDS.iter().chain(MONTHS).copied();
        let near = nearest(&token.word, known).filter(|near| *near != token.word);
        let hint = near.map_or(hint.to_owned(), |near| format!("did you mean {near}?"));
        CronError::new(token.span.clone(), format!("\"{word}\" {what}")).hint(hint)
    }
}

impl Found {
    fn has_days(&self) -> bool {
        self.days != 0
            || self.is_last_day
            || self.weekdays != 0
            || self.last_weekdays != 0
            || !self.nth_weekdays.is_empty()
    }

    fn compose(self) -> Parts {
        let has_days = self.has_days();
        let (mut hours, mut minutes, mut seconds) = (1, 1, None);
        let mut days = DayRule::default();
        match self.period {
            Some(Period::Seconds(n)) => (hours, minutes, seconds) = (EVERY_HOUR, stepped(60, 1), Some(stepped(60, n))),
            Some(Period::Minutes(n)) => (hours, minutes) = (EVERY_HOUR, stepped(60, n)),
            Some(Period::Hours(n)) => hours = stepped(24, n) as u32,
            Some(Period::Days(n)) => days.days = (stepped(31, n) as u32) << 1,
            Some(Period::Week) if !has_days => days.weekdays = 0b10,
            Some(Period::Months(n)) => {
                days.months = (stepped(12, n) as u16) << 1;
                days.days = if has_days { days.days } else { 0b10 };
            }
            Some(Period::Year) => {
                days.months = 0b10;
                days.days = if has_days { days.days } else { 0b10 };
            }
            // "in April": its first day, as of "every month".
            None if !has_days && self.times.is_none() => days.days = 0b10,
            Some(Period::Week) | None => {}
        }
        if let Some((of_hours, of_minutes, of_seconds)) = self.times {
            hours = of_hours;
            minutes = of_minutes;
            seconds = (of_seconds != 1).then_some(of_seconds);
        }
        if self.months != 0 {
            days.months = self.months;
        }
        if self.days != 0 || self.is_last_day {
            (days.days, days.is_last_day, days.is_days_star) = (self.days, self.is_last_day, false);
        } else if has_days {
            (days.weekdays, days.last_weekdays) = (self.weekdays, self.last_weekdays);
            (days.nth_weekdays, days.is_weekdays_star) = (self.nth_weekdays, false);
        }
        Parts { minutes, hours, seconds, days }
    }
}

#[derive(Debug, Clone, Copy)]
struct Time {
    /// `None`: every hour (`:30`).
    hour: Option<u32>,
    minute: u32,
    second: Option<u32>,
}

impl Time {
    fn is_whole_hour(self) -> bool {
        self.hour.is_some() && self.minute == 0 && self.second.is_none()
    }
}

/// `3`, `3:30`, `3:30:15`, `:30`; with am (0) or pm (12).
fn read_time(digits: &str, half: Option<u32>) -> Option<Time> {
    let fields: Vec<&str> = digits.split(':').collect();
    let number = |text: &str, max: u32| {
        let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u32>().ok()).flatten().filter(|n| *n <= max)
    };
    let hour = match (fields[0], half) {
        ("", None) if fields.len() == 2 => None,
        (hour, None) => Some(number(hour, 23)?),
        (hour, Some(half)) => Some(number(hour, 12).filter(|hour| *hour > 0)? % 12 + half),
    };
    let (minute, second) = match fields[1..] {
        [] if half.is_some() => (0, None),
        [minute] => (number(minute, 59)?, None),
        [minute, second] => (number(minute, 59)?, Some(number(second, 59)?)),
        _ => return None,
    };
    Some(Time { hour, minute, second })
}

/// The sets whose every combination is one of the times.
fn product(times: &[Time]) -> Option<(u32, u64, u64)> {
    let hours = times.iter().fold(0, |set, time| set | time.hour.map_or(EVERY_HOUR, |hour| 1 << hour));
    let minutes = times.iter().fold(0u64, |set, time| set | 1 << time.minute);
    let seconds = times.iter().fold(0u64, |set, time| set | 1 << time.second.unwrap_or(0));
    let mut wanted: Vec<(u32, u32, u32)> = times
        .iter()
        .flat_map(|time| {
            let hours = time.hour.map_or(0..24, |hour| hour..hour + 1);
            hours.map(move |hour| (hour, time.minute, time.second.unwrap_or(0)))
        })
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    let n = hours.count_ones() * minutes.count_ones() * seconds.count_ones();
    (n as usize == wanted.len()).then_some((hours, minutes, seconds))
}

/// Bits 0, n, 2n… below `size`.
fn stepped(size: u32, n: u32) -> u64 {
    (0..size).step_by(n.max(1) as usize).fold(0, |set, at| set | 1 << at)
}

fn unit(word: &str) -> Option<fn(u32) -> Period> {
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
fn weekday(word: &str) -> Option<u8> {
    name_in(WEEKDAYS, word).or_else(|| name_in(WEEKDAYS, word.strip_suffix('s')?)).map(|at| at as u8)
}

fn name_in(names: &[&str], word: &str) -> Option<u32> {
    names.iter().position(|name| word == *name || word == &name[..3]).map(|at| at as u32)
}

fn ordinal(word: &str) -> Option<u8> {
    const NAMES: &[&str] = &["first", "second", "third", "fourth", "fifth"];
    if let Some(at) = NAMES.iter().position(|name| *name == word) {
        return Some(at as u8 + 1);
    }
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let n: u8 = digits.parse().ok().filter(|n| (1..=31).contains(n))?;
    matches!(&word[digits.len()..], "st" | "nd" | "rd" | "th").then_some(n)
}

/// Words in lower case; commas and dashes (`,` and "to") stand alone.
fn tokens(text: &str) -> Vec<Token> {
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
