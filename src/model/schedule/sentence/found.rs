//! What a sentence said, checked for contradictions and turned into cron's sets.

use std::ops::Range;

use crate::model::message::Message;
use crate::model::schedule::cron::{CronError, EVERY_HOUR, Parts};
use crate::model::schedule::days::DayRule;
use crate::say;

/// What the sentence said so far.
#[derive(Default)]
pub(super) struct Found {
    pub period: Option<Period>,
    /// Where the period stands.
    pub period_span: Range<usize>,
    /// Hours, minutes and seconds as bits.
    pub times: Option<(u32, u64, u64)>,
    pub days: u32,
    pub is_last_day: bool,
    pub weekdays: u8,
    pub last_weekdays: u8,
    pub nth_weekdays: Vec<(u8, u8)>,
    pub months: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Period {
    Seconds(u32),
    Minutes(u32),
    Hours(u32),
    Days(u32),
    Week,
    Months(u32),
    Year,
}

impl Found {
    pub fn has_days(&self) -> bool {
        self.days != 0
            || self.is_last_day
            || self.weekdays != 0
            || self.last_weekdays != 0
            || !self.nth_weekdays.is_empty()
    }

    pub fn compose(self) -> Parts {
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

    /// Contradictions that no single word shows.
    pub fn check(&self, text_length: usize) -> Result<(), CronError> {
        let found = self;
        let whole = 0..text_length;
        let fault = |message: Message| {
            Err(CronError::new(whole.clone(), message).hint(say!("write a cron line of five fields")))
        };
        let has_month_days = found.days != 0 || found.is_last_day;
        let has_weekdays = found.weekdays != 0 || found.last_weekdays != 0 || !found.nth_weekdays.is_empty();
        if has_month_days && has_weekdays {
            return fault(say!("a sentence cannot name days of the month and of the week"));
        }
        match (found.period, found.times) {
            (None, None) if !found.has_days() && found.months == 0 => {
                fault(say!("a sentence says when something happens"))
            }
            (Some(Period::Hours(1)), Some((EVERY_HOUR, ..))) => Ok(()),
            (Some(Period::Seconds(_) | Period::Minutes(_) | Period::Hours(_)), Some(_)) => {
                fault(say!("a period within the day cannot also have times"))
            }
            (
                Some(Period::Days(1) | Period::Week | Period::Months(_) | Period::Year) | None,
                Some((EVERY_HOUR, ..)),
            ) => fault(say!("a time of day needs its hour")),
            (Some(Period::Days(n)), _) if n > 1 && (has_month_days || has_weekdays) => {
                fault(say!("days are said twice in this sentence"))
            }
            _ => Ok(()),
        }
    }

    /// "every 7 minutes" begins anew each hour, which may surprise.
    pub fn uneven(&self) -> Option<CronError> {
        let (n, whole, of, short) = match self.period? {
            Period::Seconds(n) => (n, 60, say!("minute"), "s"),
            Period::Minutes(n) => (n, 60, say!("hour"), "m"),
            Period::Hours(n) => (n, 24, say!("day"), "h"),
            Period::Days(n) if n > 1 => (n, n + 1, say!("month"), "d"),
            Period::Days(_) | Period::Week | Period::Months(_) | Period::Year => return None,
        };
        (whole % n != 0).then(|| {
            CronError::new(self.period_span.clone(), say!("counting by {} begins anew each {}", n, of)).hint(say!(
                "every=\"{}{}\" keeps one distance",
                n,
                short
            ))
        })
    }
}

/// Bits 0, n, 2n… below `size`.
fn stepped(size: u32, n: u32) -> u64 {
    (0..size).step_by(n.max(1) as usize).fold(0, |set, at| set | 1 << at)
}
