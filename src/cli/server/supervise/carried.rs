//! What a supervisor knows across its time as the shim.
//!
//! It goes through the command line: this program, the shim, this program again, which an upgrade may have replaced
//! meanwhile. So it is a contract between versions: what is added has a default, what is gone is passed over.

use std::os::fd::RawFd;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Backoff;
use crate::config::Supervise;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Carried {
    /// Descriptors that stay open across the exec.
    pub lock: RawFd,
    pub pidfd: RawFd,
    /// The daemon's pid when it is a child; else it was adopted.
    pub child: Option<i32>,
    pub started: Uptime,
    pub restarts: u32,
    /// The settings as they were when it began: what the file says meanwhile may be wrong, and must not end it.
    backoff_min_ms: u64,
    backoff_max_ms: u64,
    settled_after_ms: u64,
    attention_after: u32,
}

impl Default for Carried {
    fn default() -> Self {
        Self::new(&Backoff::new(&Supervise::default()), -1, -1, None, Uptime::default())
    }
}

impl Carried {
    pub fn new(backoff: &Backoff, lock: RawFd, pidfd: RawFd, child: Option<i32>, started: Uptime) -> Self {
        let Backoff { settings, restarts } = backoff;
        Self {
            lock,
            pidfd,
            child,
            started,
            restarts: *restarts,
            backoff_min_ms: settings.backoff_min_ms,
            backoff_max_ms: settings.backoff_max_ms,
            settled_after_ms: settings.settled_after_ms,
            attention_after: settings.attention_after,
        }
    }

    pub fn backoff(&self) -> Backoff {
        let settings = Supervise {
            backoff_min_ms: self.backoff_min_ms,
            backoff_max_ms: self.backoff_max_ms,
            settled_after_ms: self.settled_after_ms,
            attention_after: self.attention_after,
        };
        Backoff { settings, restarts: self.restarts }
    }

    pub fn text(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    pub fn of_text(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }
}

/// A moment that this and the next program read alike, as an `Instant` is none: milliseconds of the kernel's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uptime(u64);

impl Uptime {
    pub fn now() -> std::io::Result<Self> {
        let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)?;
        Ok(Self(now.tv_sec() as u64 * 1000 + now.tv_nsec() as u64 / 1_000_000))
    }

    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_comes_back() {
        let settings = [
            Supervise::default(),
            Supervise { backoff_min_ms: 1, backoff_max_ms: u64::MAX, settled_after_ms: 0, attention_after: u32::MAX },
        ];
        for settings in settings {
            for child in [None, Some(1), Some(i32::MAX)] {
                for (restarts, started) in [(0, Uptime(0)), (3, Uptime(123_456)), (u32::MAX, Uptime(u64::MAX))] {
                    let backoff = Backoff { settings: settings.clone(), restarts };
                    let carried = Carried::new(&backoff, 3, 11, child, started);
                    let back = Carried::of_text(&carried.text().unwrap()).unwrap();
                    assert_eq!(back, carried);
                    assert_eq!(back.backoff(), backoff);
                }
            }
        }
    }

    #[test]
    fn other_versions_are_understood() {
        let older = Carried::of_text(r#"{"lock": 3, "pidfd": 4, "restarts": 2}"#).unwrap();
        assert_eq!(older, Carried { lock: 3, pidfd: 4, restarts: 2, ..Carried::default() });
        let newer = Carried::of_text(r#"{"lock": 3, "pidfd": 4, "mood": "good"}"#).unwrap();
        assert_eq!(newer, Carried { lock: 3, pidfd: 4, ..Carried::default() });
        assert!(Carried::of_text("3 4").is_err());
    }
}
