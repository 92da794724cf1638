//! Dates and times as attributes and parameters hold them.

use chrono::{Days, NaiveDate};

use crate::model::fault::TextFault;
use crate::model::message::Message;
use crate::model::time::{CivilDate, CivilDateTime};
use crate::say;

/// Reads `yyyy-MM-dd HH:mm:ss`. One-digit fields are fine, as in akkaflow; `24:00:00` is the next midnight.
/// Fields out of range are faults (akkaflow rolled them over).
pub fn parse_datetime(text: &str) -> Result<CivilDateTime, TextFault> {
    let read = || {
        let (date, time) = text.trim().split_once([' ', 'T'])?;
        let date = date_of(date)?;
        let seconds = seconds_of(time.trim_start(), 3..=3)?;
        let midnight = if seconds == 86_400 { date.checked_add_days(Days::new(1))? } else { date };
        Some(CivilDateTime(i64::from(CivilDate::from_chrono(midnight).0) * 86_400 + seconds % 86_400))
    };
    read().ok_or_else(|| fault(text, say!("date and time"), "yyyy-MM-dd HH:mm:ss"))
}

/// Reads `yyyy-MM-dd`.
pub fn parse_date(text: &str) -> Result<CivilDate, TextFault> {
    date_of(text.trim()).map(CivilDate::from_chrono).ok_or_else(|| fault(text, say!("date"), "yyyy-MM-dd"))
}

/// Reads `HH:mm` or `HH:mm:ss` as seconds of the day.
pub fn parse_time(text: &str) -> Result<u32, TextFault> {
    seconds_of(text.trim(), 2..=3)
        .filter(|seconds| *seconds < 86_400)
        .map(|seconds| seconds as u32)
        .ok_or_else(|| fault(text, say!("time of day"), "HH:mm, HH:mm:ss"))
}

fn fault(text: &str, what: Message, format: &str) -> TextFault {
    TextFault::new(0..text.len(), say!("\"{}\" is not a {}", text.trim(), what)).hint(say!("write {}", format))
}

fn date_of(text: &str) -> Option<NaiveDate> {
    let mut parts = text.split('-');
    let year = digits(parts.next()?, 4).filter(|year| *year >= 1)?;
    let (month, day) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if parts.next().is_some() {
        return None;
    }
    NaiveDate::from_ymd_opt(year as i32, month, day)
}

fn seconds_of(text: &str, parts: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let fields: Vec<u32> = text.split(':').map(|part| digits(part, 2)).collect::<Option<_>>()?;
    let (hour, minute, second) = match fields.as_slice() {
        [hour, minute] if parts.contains(&2) => (*hour, *minute, 0),
        [hour, minute, second] => (*hour, *minute, *second),
        _ => return None,
    };
    let seconds = i64::from(hour * 3600 + minute * 60 + second);
    (hour <= 24 && minute < 60 && second < 60 && seconds <= 86_400).then_some(seconds)
}

fn digits(text: &str, most: usize) -> Option<u32> {
    let is_number = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}
