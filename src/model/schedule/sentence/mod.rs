//! English sentences for cron: `every weekday at 8:30`, `midnight on Monday`, `every 15 minutes`.
//!
//! A small grammar, case-insensitive, with or without "every", that refuses whatever it does not fully
//! understand: a sentence read in half would fire at the wrong times. Unstated smaller fields are the first
//! ones, so "every day" is midnight, "every month" the 1st at midnight and "every week" Monday at midnight
//! (akkaflow fired each minute of them).

mod clock;
mod found;
mod words;

use std::ops::Range;

use self::clock::{Time, product, read_time};
use self::found::{Found, Period};
use self::words::{Token, WORDS, name_in, ordinal, tokens, unit, weekday};
use super::cron::{CronError, CronWarning, MONTHS, Parts};
use crate::model::fault::nearest;
use crate::model::message::Message;
use crate::say;

pub(super) fn parse(text: &str, is_strict: bool) -> Result<(Parts, Vec<CronWarning>), CronError> {
    let mut parser = Parser { text, tokens: tokens(text), at: 0, found: Found::default() };
    parser.sentence()?;
    let mut warnings = Vec::new();
    if let Some(fault) = parser.found.uneven() {
        if is_strict {
            return Err(fault);
        }
        warnings.push(fault);
    }
    Ok((parser.found.compose(), warnings))
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    found: Found,
}

impl Parser<'_> {
    fn sentence(&mut self) -> Result<(), CronError> {
        if self.tokens.is_empty() {
            return Err(CronError::new(0..self.text.len(), say!("a cron text is empty")));
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
        self.found.check(self.text.len())
    }

    /// "midnight Monday" and "8:00 every day": a subject may follow a time without a connector.
    fn is_after_time(&self) -> bool {
        self.found.times.is_some() && self.found.period.is_none() && !self.found.has_days()
    }

    /// What follows "every", or begins the sentence.
    fn subject(&mut self) -> Result<(), CronError> {
        let start = self.at;
        let Some(word) = self.peek().map(str::to_owned) else {
            return Err(self.ended(say!("what it happens every")));
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
            let hint = say!("write \"every other day\", or \"on the 2nd\"");
            return Err(CronError::new(self.span_from(start), say!("\"every second\" day has two meanings")).hint(hint));
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
            let fault = CronError::new(self.span_from(start), say!("cron cannot say \"every {}\" of these", n));
            return Err(if n > 0 && !short.is_empty() {
                fault.hint(say!("use every=\"{}{}\"", n, short))
            } else {
                fault
            });
        }
        self.period(period, start)
    }

    fn period(&mut self, period: Period, start: usize) -> Result<(), CronError> {
        let span = self.span_from(start);
        if self.found.period.is_some() {
            return Err(CronError::new(span, say!("a sentence can say only one period")));
        }
        self.found.period = Some(period);
        self.found.period_span = span;
        Ok(())
    }

    fn times(&mut self) -> Result<(), CronError> {
        let start = self.at;
        if self.found.times.is_some() {
            return Err(CronError::new(self.span_from(start), say!("a sentence can say its times only once")));
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
                    let message = say!("a range of times goes from one full hour to a later one");
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
            CronError::new(self.span_from(start), say!("these times are not every combination of hours and minutes"))
                .hint(say!("use a trigger for each"))
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
            return Err(self.ended(say!("a time such as 3:30")));
        };
        if !self.is_time() {
            return Err(
                self.unexpected_as(|word| say!("\"{}\" is not a time of day", word), say!("write it as 3:30 or 1am"))
            );
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
            CronError::new(self.span_from(start), say!("\"{}\" is not a time of day", word))
                .hint(say!("write it as 3:30 or 1am"))
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
            return Err(self.ended(say!("a day")));
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
            return Err(self.unexpected_as(
                |word| say!("\"{}\" cannot limit a cron", word),
                say!("use start-time and end-time for years"),
            ));
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

    fn ended(&self, wanted: Message) -> CronError {
        CronError::new(self.text.len()..self.text.len(), say!("the sentence ends where {} should stand", wanted))
    }

    fn unexpected(&self) -> CronError {
        self.unexpected_as(
            |word| say!("\"{}\" is not understood here", word),
            say!("such as: every weekday at 8:30, every 15 minutes, midnight on monday"),
        )
    }

    fn unexpected_as(&self, said: fn(&str) -> Message, hint: Message) -> CronError {
        let Some(token) = self.tokens.get(self.at) else { return self.ended(say!("more")) };
        let word = &self.text[token.span.clone()];
        let known = WORDS.iter().chain(MONTHS).copied();
        let near = nearest(&token.word, known).filter(|near| *near != token.word);
        let hint = near.map_or(hint, |near| say!("did you mean {}?", near));
        CronError::new(token.span.clone(), said(word)).hint(hint)
    }
}
