//! Instants and civil dates. An instant is a count of milliseconds; only `schedule` and `parameter` turn it
//! into a calendar date, and they are given the zone.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, TimeZone, Utc};
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to here; negative when `earlier` is later.
    pub fn since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The UTC date-time, clamped to the years that chrono can express.
    pub fn utc(self) -> DateTime<Utc> {
        Utc.timestamp_millis_opt(self.0).single().unwrap_or(if self.0 < 0 {
            DateTime::<Utc>::MIN_UTC
        } else {
            DateTime::<Utc>::MAX_UTC
        })
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.utc().to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

/// A clock that is set before 1970 counts as 1970.
impl From<SystemTime> for Timestamp {
    fn from(at: SystemTime) -> Self {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

impl<Z: TimeZone> From<DateTime<Z>> for Timestamp {
    fn from(at: DateTime<Z>) -> Self {
        Self(at.timestamp_millis())
    }
}

/// A civil date without zone, as days since 1970-01-01. What a run's data is of (business date).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CivilDate(pub i32);

impl CivilDate {
    pub fn from_chrono(date: chrono::NaiveDate) -> Self {
        Self(date.signed_duration_since(chrono::NaiveDate::default()).num_days() as i32)
    }

    pub fn to_chrono(self) -> chrono::NaiveDate {
        chrono::NaiveDate::default()
            .checked_add_signed(chrono::Duration::days(i64::from(self.0)))
            .unwrap_or(if self.0 < 0 { chrono::NaiveDate::MIN } else { chrono::NaiveDate::MAX })
    }
}

impl fmt::Display for CivilDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_chrono().format("%Y-%m-%d").to_string())
    }
}

/// A wall-clock date and time without zone, as seconds since 1970-01-01 00:00:00 of that wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CivilDateTime(pub i64);

impl CivilDateTime {
    pub fn from_chrono(at: chrono::NaiveDateTime) -> Self {
        Self(at.and_utc().timestamp())
    }

    /// Clamped to the years that chrono can express.
    pub fn to_chrono(self) -> chrono::NaiveDateTime {
        Timestamp(self.0.saturating_mul(1000)).utc().naive_utc()
    }
}

impl fmt::Display for CivilDateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_chrono().format("%Y-%m-%d %H:%M:%S").to_string())
    }
}
