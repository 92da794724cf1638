//! Time zones by IANA name, and wall times mapped to instants.

use chrono::{DateTime, Days, MappedLocalTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::model::fault::nearest;
use crate::model::message::Message;
use crate::model::policy::DstFold;
use crate::model::time::{CivilDate, CivilDateTime, Timestamp};
use crate::say;

/// A zone of the built-in tz data. Stored by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(Tz);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.said().english())]
pub struct ZoneError {
    pub name: String,
    pub suggestion: Option<&'static str>,
}

impl ZoneError {
    pub fn said(&self) -> Message {
        match self.suggestion {
            Some(zone) => say!("\"{}\" is not a time zone (did you mean {}?)", self.name, zone),
            None => say!("\"{}\" is not a time zone", self.name),
        }
    }
}

impl From<Tz> for Zone {
    fn from(tz: Tz) -> Self {
        Zone(tz)
    }
}

impl Zone {
    pub const UTC: Zone = Zone(Tz::UTC);

    /// Reads an IANA name such as `Asia/Shanghai`. Case counts, as it does in the tz data.
    pub fn parse(text: &str) -> Result<Self, ZoneError> {
        let name = text.trim();
        name.parse().map(Zone).map_err(|_| ZoneError { name: name.to_owned(), suggestion: suggestion(name) })
    }

    pub fn tz(&self) -> Tz {
        self.0
    }

    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// The wall clock of the zone at this instant, with its offset.
    pub fn at(&self, instant: Timestamp) -> DateTime<Tz> {
        instant.utc().with_timezone(&self.0)
    }

    /// The wall clock at this instant.
    pub fn wall(&self, instant: Timestamp) -> NaiveDateTime {
        // `naive_local` panics where the offset leaves chrono's range, which only absurd instants reach.
        let utc = instant.utc().naive_utc();
        let offset = self.0.offset_from_utc_datetime(&utc).fix();
        utc.checked_add_offset(offset).unwrap_or(utc)
    }

    pub fn date(&self, instant: Timestamp) -> CivilDate {
        CivilDate::from_chrono(self.wall(instant).date())
    }

    /// The instant of a wall time: in a gap the first instant after it, in a fold the first of the two.
    pub fn instant(&self, wall: CivilDateTime) -> Timestamp {
        self.instant_of(wall.to_chrono(), DstFold::First)
    }

    /// As `instant`; of the two instants in a fold, `first` or (for `last` and `both`) the last.
    pub fn instant_of(&self, wall: NaiveDateTime, fold: DstFold) -> Timestamp {
        match self.0.from_local_datetime(&wall) {
            MappedLocalTime::Single(at) => at.into(),
            MappedLocalTime::Ambiguous(a, b) => {
                let (a, b) = (Timestamp::from(a), Timestamp::from(b));
                match fold {
                    DstFold::First => a.min(b),
                    DstFold::Last | DstFold::Both => a.max(b),
                }
            }
            MappedLocalTime::None => self.after_gap(wall),
        }
    }

    /// The transition that skips `wall`: the first instant whose wall clock shows more.
    fn after_gap(&self, wall: NaiveDateTime) -> Timestamp {
        let guess = Timestamp::from(wall.and_utc());
        let (mut early, mut late) = (guess.plus_ms(-2 * DAY_MS), guess.plus_ms(2 * DAY_MS));
        // Within four days around a gap the wall clock is monotonic, as zones change once in them.
        while late.since(early) > 1000 {
            let middle = Timestamp((early.0 + late.since(early) / 2).div_euclid(1000) * 1000);
            if self.wall(middle) > wall { late = middle } else { early = middle }
        }
        late
    }
}

const DAY_MS: i64 = 86_400_000;

impl TryFrom<String> for Zone {
    type Error = ZoneError;

    fn try_from(name: String) -> Result<Self, ZoneError> {
        Self::parse(&name)
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> String {
        zone.name().to_owned()
    }
}

impl std::fmt::Display for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// A zone that was probably meant: case, blanks for underscores, the city alone, `UTC+8`, then spelling.
fn suggestion(name: &str) -> Option<&'static str> {
    let plain = name.replace([' ', '-'], "_").to_lowercase();
    if let Some(zone) = zones().find(|zone| zone.to_lowercase() == plain) {
        return Some(zone);
    }
    let known = match plain.as_str() {
        "beijing" | "asia/beijing" | "cst" | "utc+8" | "gmt+8" | "utc+08:00" | "gmt+08:00" | "+08:00" | "+8" => {
            Some("Asia/Shanghai")
        }
        "z" | "utc0" => Some("UTC"),
        _ => None,
    };
    known
        .or_else(|| zones().find(|zone| zone.rsplit('/').next().is_some_and(|city| city.to_lowercase() == plain)))
        .or_else(|| nearest(name, zones()))
}

fn zones() -> impl Iterator<Item = &'static str> {
    chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())
}

/// The day after, `None` at the end of chrono's range.
pub(super) fn next_day(date: chrono::NaiveDate) -> Option<chrono::NaiveDate> {
    date.checked_add_days(Days::new(1))
}
