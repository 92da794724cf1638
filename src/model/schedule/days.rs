//! Which dates a cron matches, and the walk to the next one.
//!
//! Near dates are tested one by one; a far one (29 February) is looked up with the `cron` crate, which is
//! given days and months only, in UTC: its own weekday numbers, its AND of the day fields and its handling
//! of zones never reach a user. `L` and `#` are unknown to it, so it is asked for a wider set and
//! `DayRule::matches` has the last word.

use std::fmt::Write;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Serialize};

/// Sets are bit masks: bit 1 = the first of the month, January; bit 0 of weekdays = Sunday.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DayRule {
    pub months: u16,
    pub days: u32,
    /// `L` as day of the month.
    pub is_last_day: bool,
    pub weekdays: u8,
    /// `5L`: the last Friday of the month.
    pub last_weekdays: u8,
    /// `5#2`: the second Friday of the month, as (weekday, which).
    pub nth_weekdays: Vec<(u8, u8)>,
    /// The field begins with `*`: it does not restrict, so the two day fields are joined by "and". Otherwise
    /// a day that either of them matches counts, as in Vixie's cron.
    pub is_days_star: bool,
    pub is_weekdays_star: bool,
}

/// Dates further ahead or back are not searched: a rule that matches none in this time has none.
pub(super) const SEARCH_YEARS: u32 = 30;

/// Dates tested directly before the far search is asked.
const NEAR_DAYS: u64 = 40;

impl Default for DayRule {
    fn default() -> Self {
        Self {
            months: 0b1_1111_1111_1110,
            days: 0xffff_fffe,
            is_last_day: false,
            weekdays: 0b111_1111,
            last_weekdays: 0,
            nth_weekdays: Vec::new(),
            is_days_star: true,
            is_weekdays_star: true,
        }
    }
}

impl DayRule {
    pub fn matches(&self, date: NaiveDate) -> bool {
        if self.months & (1 << date.month()) == 0 {
            return false;
        }
        let (by_day, by_weekday) = (self.matches_day(date), self.matches_weekday(date));
        if self.is_days_star || self.is_weekdays_star { by_day && by_weekday } else { by_day || by_weekday }
    }

    fn matches_day(&self, date: NaiveDate) -> bool {
        self.days & (1 << date.day()) != 0 || self.is_last_day && is_in_last(date, 1)
    }

    fn matches_weekday(&self, date: NaiveDate) -> bool {
        let weekday = date.weekday().num_days_from_sunday() as u8;
        let which = (date.day0() / 7 + 1) as u8;
        self.weekdays & (1 << weekday) != 0
            || self.last_weekdays & (1 << weekday) != 0 && is_in_last(date, 7)
            || self.nth_weekdays.contains(&(weekday, which))
    }

    /// The first matching date from `from` on.
    pub fn first_from(&self, from: NaiveDate) -> Option<NaiveDate> {
        let near = (0..NEAR_DAYS).map_while(|n| from.checked_add_days(Days::new(n))).find(|date| self.matches(*date));
        near.or_else(|| {
            let last = from.checked_add_months(Months::new(SEARCH_YEARS * 12))?;
            let start = midnight(from.checked_add_days(Days::new(NEAR_DAYS - 1))?);
            self.calendars()
                .iter()
                .filter_map(|calendar| {
                    let dates = calendar.after(&start).map(|at| at.date_naive());
                    dates.take_while(|date| *date <= last).find(|date| self.matches(*date))
                })
                .min()
        })
    }

    /// The last matching date up to `to`.
    pub fn last_to(&self, to: NaiveDate) -> Option<NaiveDate> {
        let near = (0..NEAR_DAYS).map_while(|n| to.checked_sub_days(Days::new(n))).find(|date| self.matches(*date));
        near.or_else(|| {
            let first = to.checked_sub_months(Months::new(SEARCH_YEARS * 12))?;
            let start = midnight(to.checked_sub_days(Days::new(NEAR_DAYS - 1))?);
            self.calendars()
                .iter()
                .filter_map(|calendar| {
                    let dates = calendar.after(&start).rev().map(|at| at.date_naive());
                    dates.take_while(|date| *date >= first).find(|date| self.matches(*date))
                })
                .max()
        })
    }

    /// Calendars of the `cron` crate which together hold every matching date (and may hold more).
    fn calendars(&self) -> Vec<cron::Schedule> {
        const ALL_DAYS: u32 = 0xffff_fffe;
        const ALL_WEEKDAYS: u8 = 0b111_1111;
        let days = self.days | if self.is_last_day { 0b1111 << 28 } else { 0 };
        let weekdays =
            self.nth_weekdays.iter().fold(self.weekdays | self.last_weekdays, |set, (weekday, _)| set | 1 << weekday);
        let pairs = if self.is_days_star || self.is_weekdays_star {
            vec![(days, weekdays)]
        } else {
            vec![(days, ALL_WEEKDAYS), (ALL_DAYS, weekdays)]
        };
        // An empty set would not parse, and means that nothing matches.
        pairs.into_iter().filter_map(|(days, weekdays)| calendar(days, self.months, weekdays)).collect()
    }
}

fn calendar(days: u32, months: u16, weekdays: u8) -> Option<cron::Schedule> {
    // The crate counts weekdays from 1 = Sunday.
    let text = format!(
        "0 0 0 {} {} {}",
        list(u64::from(days), 1..=31, 0),
        list(u64::from(months), 1..=12, 0),
        list(u64::from(weekdays), 0..=6, 1)
    );
    cron::Schedule::from_str(&text).ok()
}

fn list(set: u64, range: std::ops::RangeInclusive<u32>, shift: u32) -> String {
    let mut text = String::new();
    for n in range.filter(|n| set & (1 << n) != 0) {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{}", n + shift);
    }
    text
}

/// Among the last `n` days of its month?
fn is_in_last(date: NaiveDate, n: u64) -> bool {
    date.checked_add_days(Days::new(n)).is_none_or(|later| later.month() != date.month())
}

fn midnight(date: NaiveDate) -> DateTime<Utc> {
    date.and_time(NaiveTime::MIN).and_utc()
}
