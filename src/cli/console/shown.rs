//! Instants and lengths of time as people read them: always with the offset, never as bare seconds.

use chrono::Local;

use crate::api::Time;
use crate::model::duration::Millis;
use crate::model::message::Message;
use crate::say;

/// `2026-11-20 21:13:05 +08:00` in the zone of this machine.
pub fn instant(at: Time) -> String {
    at.0.utc().with_timezone(&Local).format("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// `4m12s`; below a second with milliseconds, above a minute without.
pub fn span(ms: Option<i64>) -> String {
    match ms {
        None => "-".to_owned(),
        Some(ms) if ms < 60_000 => format!("{}.{}s", ms / 1000, ms.rem_euclid(1000) / 100),
        Some(ms) => Millis(ms / 1000 * 1000).to_string(),
    }
}

/// How long ago, or `in` how long.
pub fn age(at: Time, now: Time) -> Message {
    let ms = now.0.since(at.0);
    let length = Millis(ms.abs() / 1000 * 1000);
    if ms < 0 { say!("in {}", length) } else { say!("{} ago", length) }
}

/// A state of a process or a worker, or the place of a master, which JSON has as a word.
pub fn standing(word: &str) -> Message {
    match word {
        "up" => say!("up"),
        "suspect" => say!("suspect"),
        "down" => say!("down"),
        "draining" => say!("draining"),
        "dead" => say!("dead"),
        "ready" => say!("ready"),
        "starting" => say!("starting"),
        "failing" => say!("failing"),
        "stopped" => say!("stopped"),
        "active" => say!("active"),
        "standby" => say!("standby"),
        "learner" => say!("learner"),
        "outside" => say!("outside"),
        newer => Message::verbatim(newer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_short_and_has_its_units() {
        assert_eq!(span(None), "-");
        assert_eq!(span(Some(450)), "0.4s");
        assert_eq!(span(Some(252_900)), "4m12s");
    }
}
