//! Lengths of time as people write them: a bare integer is seconds (akkaflow), else a sum such as `1h30m`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::message::Message;
use crate::say;

/// A length of time in milliseconds, 0 to ten years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub i64);

/// Ten years of 365 days.
pub const MAX: Millis = Millis(10 * 365 * 86_400_000);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum DurationError {
    Empty,
    Malformed(String),
    TooLong(String),
}

impl DurationError {
    pub fn said(&self) -> Message {
        match self {
            DurationError::Empty => say!("a duration is empty"),
            DurationError::Malformed(text) => {
                say!("\"{}\" is not a duration (write seconds, or a sum of w d h m s ms such as 1h30m)", text)
            }
            DurationError::TooLong(text) => say!("\"{}\" is longer than ten years", text),
        }
    }
}

impl Millis {
    pub const fn seconds(n: i64) -> Self {
        Self(n * 1000)
    }

    /// Reads an integer count of seconds or a sum of `Nw Nd Nh Nm Ns Nms`, each unit at most once, in any order.
    pub fn parse(text: &str) -> Result<Self, DurationError> {
        let text = text.trim();
        let malformed = || DurationError::Malformed(text.to_owned());
        let too_long = || DurationError::TooLong(text.to_owned());
        if text.is_empty() {
            return Err(DurationError::Empty);
        }
        let mut total: i64 = 0;
        let mut used = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return Err(malformed());
            }
            let n: i64 = rest[..digits].parse().map_err(|_| too_long())?;
            rest = rest[digits..].trim_start();
            let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
            let unit = &rest[..letters];
            rest = rest[letters..].trim_start();
            let ms = match unit {
                "" if used.is_empty() && rest.is_empty() => 1000,
                "w" => 7 * 86_400_000,
                "d" => 86_400_000,
                "h" => 3_600_000,
                "m" => 60_000,
                "s" => 1000,
                "ms" => 1,
                _ => return Err(malformed()),
            };
            if used.contains(&unit) {
                return Err(malformed());
            }
            used.push(unit);
            total = n.checked_mul(ms).and_then(|n| total.checked_add(n)).ok_or_else(too_long)?;
        }
        if total > MAX.0 { Err(too_long()) } else { Ok(Self(total)) }
    }
}

impl fmt::Display for Millis {
    /// `4m12s`, `1h30m`, `250ms`: what `parse` reads back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.pad("0s");
        }
        let mut text = String::new();
        let mut rest = self.0;
        for (unit, ms) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
            if rest / ms != 0 {
                text.push_str(&format!("{}{unit}", rest / ms));
                rest %= ms;
            }
        }
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_seconds_and_sums() {
        for (text, ms) in
            [("90", 90_000), ("1h30m", 5_400_000), ("250ms", 250), ("1w", 604_800_000), (" 1m 5s ", 65_000), ("0", 0)]
        {
            assert_eq!(Millis::parse(text), Ok(Millis(ms)), "{text}");
        }
        for bad in ["", "1x", "-1", "1h1h", "h", "1.5h", "5 6", "99999999999999999999", "11000d"] {
            assert!(Millis::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Millis(5_400_250).to_string(), "1h30m250ms");
    }
}
