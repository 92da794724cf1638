//! When time triggers fire: cron lines and sentences, fixed rates, single instants, zones and DST.
//!
//! Pure: every function is given the instant and the zone. (skeleton: being filled in)

use serde::{Deserialize, Serialize};

/// A parsed cron line or English sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cron {
    /// The text as written.
    pub source: String,
}

/// An IANA time zone name known to the built-in data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Zone(pub String);

/// A shift such as `-1 month, month-end`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shift {
    /// The text as written.
    pub source: String,
}
