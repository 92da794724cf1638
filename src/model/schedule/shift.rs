//! Shifts of a date and time: `-1 month, month-end`.

use chrono::{Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Weekday};
use serde::{Deserialize, Serialize};

use super::zone::Zone;
use crate::model::fault::{TextFault, nearest};
use crate::model::policy::DstFold;
use crate::model::time::{CivilDate, Timestamp};
use crate::say;

/// Steps applied left to right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shift {
    /// The text as written.
    pub source: String,
    steps: Vec<Step>,
}

pub type ShiftError = TextFault;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    Add { n: i32, unit: Unit },
    To(Boundary),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Unit {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Boundary {
    DayStart,
    MonthStart,
    MonthEnd,
    WeekStart,
    WeekEnd,
    QuarterStart,
    QuarterEnd,
    YearStart,
    YearEnd,
    /// Days from Monday, in the same ISO week.
    Weekday(u8),
}

/// Bounds that keep every result inside the calendar.
const STEPS_MAX: usize = 12;
const N_MAX: i32 = 10_000;
const N_MAX_OF_TIME: i32 = 10_000_000;

const BOUNDARIES: &[(&str, Boundary)] = &[
    ("day-start", Boundary::DayStart),
    ("month-start", Boundary::MonthStart),
    ("month-end", Boundary::MonthEnd),
    ("week-start", Boundary::WeekStart),
    ("week-end", Boundary::WeekEnd),
    ("quarter-start", Boundary::QuarterStart),
    ("quarter-end", Boundary::QuarterEnd),
    ("year-start", Boundary::YearStart),
    ("year-end", Boundary::YearEnd),
    ("monday", Boundary::Weekday(0)),
    ("tuesday", Boundary::Weekday(1)),
    ("wednesday", Boundary::Weekday(2)),
    ("thursday", Boundary::Weekday(3)),
    ("friday", Boundary::Weekday(4)),
    ("saturday", Boundary::Weekday(5)),
    ("sunday", Boundary::Weekday(6)),
];

const UNITS: &[(&str, Unit)] = &[
    ("year", Unit::Year),
    ("quarter", Unit::Quarter),
    ("month", Unit::Month),
    ("week", Unit::Week),
    ("day", Unit::Day),
    ("hour", Unit::Hour),
    ("minute", Unit::Minute),
    ("second", Unit::Second),
];

/// Words of the grammar that need a calendar of working days.
const CALENDAR_WORDS: &[&str] = &["working-day", "working-days", "roll-forward", "roll-back"];

impl Shift {
    pub fn parse(text: &str) -> Result<Self, ShiftError> {
        Self::parse_as(text, false)
    }

    /// With `is_week_day` (compat `week-is-day`) units that akkaflow did not know are days, as there.
    pub fn parse_as(text: &str, is_week_day: bool) -> Result<Self, ShiftError> {
        let mut steps = Vec::new();
        let mut start = 0;
        for piece in text.split(',') {
            let span = {
                let from = start + (piece.len() - piece.trim_start().len());
                from..(start + piece.trim_end().len()).max(from)
            };
            start += piece.len() + 1;
            if steps.len() == STEPS_MAX {
                return Err(ShiftError::new(span, say!("a shift has more than {} steps", STEPS_MAX)));
            }
            steps.push(step(piece.trim(), is_week_day).map_err(|fault| {
                if piece.trim().is_empty() {
                    TextFault { span: 0..text.len(), ..fault }
                } else {
                    fault.moved(span.start)
                }
            })?);
        }
        Ok(Self { source: text.to_owned(), steps })
    }

    /// Does a unit mean here what akkaflow counted as days?
    pub fn has_own_unit(&self) -> bool {
        self.steps.iter().any(|step| match step {
            Step::Add { unit: Unit::Week | Unit::Year | Unit::Quarter | Unit::Second, .. } => true,
            Step::Add { unit: Unit::Day | Unit::Month | Unit::Hour | Unit::Minute, .. } | Step::To(_) => false,
        })
    }

    /// With the units that akkaflow did not know counted in days, as there.
    pub fn with_own_units_as_days(&self) -> Self {
        let steps = self.steps.iter().map(|step| match step {
            Step::Add { n, unit: Unit::Week | Unit::Year | Unit::Quarter | Unit::Second } => {
                Step::Add { n: *n, unit: Unit::Day }
            }
            Step::Add { unit: Unit::Day | Unit::Month | Unit::Hour | Unit::Minute, .. } | Step::To(_) => *step,
        });
        Self { source: self.source.clone(), steps: steps.collect() }
    }

    /// Shifts a wall time. At the ends of the calendar it stays there.
    pub fn apply(&self, at: NaiveDateTime) -> NaiveDateTime {
        self.steps.iter().fold(at, |at, step| step.apply(at))
    }

    /// Shifts the wall time of an instant; hours, minutes and seconds in elapsed time, so that "-1 hour" is
    /// an hour earlier also on the night when the clocks change. Gives the wall time and its instant.
    pub fn apply_at(&self, instant: Timestamp, zone: &Zone) -> (NaiveDateTime, Timestamp) {
        Self::apply_all([self], instant, zone)
    }

    /// As `apply_at`, for several shifts one after the other.
    pub fn apply_all<'a>(
        shifts: impl IntoIterator<Item = &'a Shift>,
        instant: Timestamp,
        zone: &Zone,
    ) -> (NaiveDateTime, Timestamp) {
        let mut wall = zone.wall(instant);
        // Unknown after a civil step: only then the wall time decides, and it may lie in a gap.
        let mut known = Some(instant);
        for step in shifts.into_iter().flat_map(|shift| &shift.steps) {
            match step.elapsed() {
                Some(ms) => {
                    let shifted = known.unwrap_or_else(|| zone.instant_of(wall, DstFold::First)).plus_ms(ms);
                    wall = zone.wall(shifted);
                    known = Some(shifted);
                }
                None => {
                    wall = step.apply(wall);
                    known = None;
                }
            }
        }
        (wall, known.unwrap_or_else(|| zone.instant_of(wall, DstFold::First)))
    }

    pub fn apply_to_date(&self, date: CivilDate) -> CivilDate {
        CivilDate::from_chrono(self.apply(date.to_chrono().and_time(NaiveTime::MIN)).date())
    }
}

/// The civil date that a run's data is of.
pub fn business_date(nominal: Timestamp, zone: &Zone, shift: Option<&Shift>) -> CivilDate {
    let wall = zone.wall(nominal);
    CivilDate::from_chrono(shift.map_or(wall, |shift| shift.apply(wall)).date())
}

fn step(text: &str, is_week_day: bool) -> Result<Step, ShiftError> {
    let word = text.to_lowercase();
    let whole = 0..text.len();
    if let Some((_, boundary)) = BOUNDARIES.iter().find(|(name, _)| *name == word) {
        return Ok(Step::To(*boundary));
    }
    let digits_from = word.len() - word.trim_start_matches(['+', '-']).len();
    let digits = word[digits_from..].bytes().take_while(u8::is_ascii_digit).count();
    let unit_word = word[digits_from + digits..].trim();
    if CALENDAR_WORDS.contains(&word.as_str()) || digits > 0 && CALENDAR_WORDS.contains(&unit_word) {
        return Err(ShiftError::not_built(whole, say!("a shift by working days")));
    }
    if digits_from > 1 || digits == 0 {
        let known = BOUNDARIES.iter().map(|(name, _)| *name);
        let hint = match nearest(&word, known) {
            Some(near) => say!("did you mean {}?", near),
            None => say!("write steps such as -1 month, month-end"),
        };
        return Err(ShiftError::new(whole, say!("\"{}\" is not a shift", text)).hint(hint));
    }
    let singular = unit_word.strip_suffix('s').unwrap_or(unit_word);
    let unit = match UNITS.iter().find(|(name, _)| *name == singular).map(|(_, unit)| *unit) {
        Some(Unit::Week | Unit::Year | Unit::Quarter | Unit::Second) if is_week_day => Unit::Day,
        Some(unit) => unit,
        None => {
            let hint = match nearest(singular, UNITS.iter().map(|(name, _)| *name)) {
                Some(near) => say!("did you mean {}?", near),
                None => say!("units are year quarter month week day hour minute second"),
            };
            let what = if unit_word.is_empty() {
                say!("\"{}\" has no unit", text)
            } else {
                say!("\"{}\" is not a unit of time", unit_word)
            };
            return Err(ShiftError::new(whole, what).hint(hint));
        }
    };
    let max = match unit {
        Unit::Year | Unit::Quarter | Unit::Month | Unit::Week | Unit::Day => N_MAX,
        Unit::Hour | Unit::Minute | Unit::Second => N_MAX_OF_TIME,
    };
    let n = word[digits_from..digits_from + digits]
        .parse::<i32>()
        .ok()
        .filter(|n| *n <= max)
        .ok_or_else(|| ShiftError::new(whole, say!("\"{}\" is further than {}", text, max)))?;
    Ok(Step::Add { n: if word.starts_with('-') { -n } else { n }, unit })
}

impl Step {
    /// Milliseconds, for the units that are lengths of elapsed time.
    fn elapsed(self) -> Option<i64> {
        match self {
            Step::Add { n, unit: Unit::Hour } => Some(i64::from(n) * 3_600_000),
            Step::Add { n, unit: Unit::Minute } => Some(i64::from(n) * 60_000),
            Step::Add { n, unit: Unit::Second } => Some(i64::from(n) * 1000),
            Step::Add { unit: Unit::Year | Unit::Quarter | Unit::Month | Unit::Week | Unit::Day, .. } | Step::To(_) => {
                None
            }
        }
    }

    fn apply(self, at: NaiveDateTime) -> NaiveDateTime {
        let (n, shifted) = match self {
            Step::Add { n, unit } => (n, add(at, n, unit)),
            Step::To(Boundary::DayStart) => return at.date().and_time(NaiveTime::MIN),
            Step::To(boundary) => (0, boundary.date(at.date()).map(|date| date.and_time(at.time()))),
        };
        shifted.unwrap_or(if n < 0 { NaiveDateTime::MIN } else { NaiveDateTime::MAX })
    }
}

fn add(at: NaiveDateTime, n: i32, unit: Unit) -> Option<NaiveDateTime> {
    let months = |count: u32| {
        let months = Months::new(n.unsigned_abs() * count);
        if n < 0 { at.checked_sub_months(months) } else { at.checked_add_months(months) }
    };
    let days = |count: u64| {
        let days = Days::new(u64::from(n.unsigned_abs()) * count);
        if n < 0 { at.checked_sub_days(days) } else { at.checked_add_days(days) }
    };
    match unit {
        Unit::Year => months(12),
        Unit::Quarter => months(3),
        Unit::Month => months(1),
        Unit::Week => days(7),
        Unit::Day => days(1),
        Unit::Hour => at.checked_add_signed(TimeDelta::hours(n.into())),
        Unit::Minute => at.checked_add_signed(TimeDelta::minutes(n.into())),
        Unit::Second => at.checked_add_signed(TimeDelta::seconds(n.into())),
    }
}

impl Boundary {
    fn date(self, date: NaiveDate) -> Option<NaiveDate> {
        let quarter_month = date.month0() / 3 * 3 + 1;
        let month_end =
            |month: u32| NaiveDate::from_ymd_opt(date.year(), month, 1)?.checked_add_months(Months::new(1))?.pred_opt();
        let of_week = |days: u8| {
            let monday = date.checked_sub_days(Days::new(date.weekday().days_since(Weekday::Mon).into()))?;
            monday.checked_add_days(Days::new(days.into()))
        };
        match self {
            Boundary::DayStart => Some(date),
            Boundary::MonthStart => date.with_day(1),
            Boundary::MonthEnd => month_end(date.month()),
            Boundary::WeekStart => of_week(0),
            Boundary::WeekEnd => of_week(6),
            Boundary::QuarterStart => NaiveDate::from_ymd_opt(date.year(), quarter_month, 1),
            Boundary::QuarterEnd => month_end(quarter_month + 2),
            Boundary::YearStart => NaiveDate::from_ymd_opt(date.year(), 1, 1),
            Boundary::YearEnd => NaiveDate::from_ymd_opt(date.year(), 12, 31),
            Boundary::Weekday(days) => of_week(days),
        }
    }
}
