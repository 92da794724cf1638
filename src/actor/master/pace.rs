//! How long the leader lets commands gather before it makes an entry of them.
//!
//! An entry costs each voter the same whether it holds one command or fifty. Alone, a command never waits; where many
//! come, the more came with each entry lately, the longer the next one collects. Knows no clock and no queue: start at
//! `Pace::pause`.

use std::time::Duration;

/// Weight of the newest entry in the mean: it follows a change of load within about ten entries.
const NEWEST: f32 = 0.125;
/// For each command beyond the first that an entry held in the mean.
const PAUSE_PER_COMPANION_MS: f32 = 1.0;
/// Nobody is held up longer than this.
const PAUSE_MAX: Duration = Duration::from_millis(5);
/// Below that a timer is not worth it: the runtime counts whole milliseconds.
const PAUSE_MIN: Duration = Duration::from_micros(500);
/// So many have gathered enough.
pub const GATHERED_MAX: usize = 64;

/// Of the entries of one leadership.
#[derive(Debug, Default)]
pub struct Pace {
    /// Mean number of commands of an entry beyond its first.
    companions: f32,
}

impl Pace {
    /// An entry was made of so many commands that somebody waits for or that something follows from.
    pub fn made(&mut self, n_commands: usize) {
        let companions = n_commands.saturating_sub(1).min(GATHERED_MAX) as f32;
        self.companions += NEWEST * (companions - self.companions);
    }

    /// The shortest time between the commit of an entry and the next one.
    pub fn pause(&self) -> Duration {
        let pause = Duration::from_secs_f32(self.companions * PAUSE_PER_COMPANION_MS / 1000.0);
        if pause < PAUSE_MIN { Duration::ZERO } else { pause.min(PAUSE_MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(entries: impl IntoIterator<Item = usize>) -> Duration {
        let mut pace = Pace::default();
        entries.into_iter().for_each(|n_commands| pace.made(n_commands));
        pace.pause()
    }

    #[test]
    fn commands_that_come_one_by_one_never_wait() {
        assert_eq!(after([1; 1000]), Duration::ZERO);
        assert_eq!(after([0, 1, 0, 1]), Duration::ZERO);
        assert_eq!(after([1, 1, 1, 2]), Duration::ZERO, "two at once are no crowd");
    }

    #[test]
    fn the_more_come_together_the_longer_the_next_entry_collects_up_to_a_bound() {
        let (few, more, many) = (after([2; 50]), after([4; 50]), after([1_000_000; 50]));
        assert!(Duration::ZERO < few && few < more && more < many, "{few:?} {more:?} {many:?}");
        assert_eq!(many, PAUSE_MAX);
    }

    #[test]
    fn when_the_crowd_is_gone_nobody_waits_any_more() {
        assert_eq!(after([30; 50].into_iter().chain([1; 40])), Duration::ZERO);
    }
}
