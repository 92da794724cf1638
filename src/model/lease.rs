//! Leases: how long an attempt may run without a sign of a leader, and when it is over for certain.
//!
//! The timing rule in one place. A worker counts a lease from the moment it *sent* the ping that was answered, so
//! every deadline lies within a lease of the moment at which the leader heard that ping. At its deadline the shim
//! ends the attempt by itself; a leader that hears nothing waits longer than that (`over_after`) before it gives
//! the node to another worker. Nothing here reads a clock: worker, shim and leader each count on their own.

use std::collections::VecDeque;

use super::duration::Millis;

/// The shortest lease.
pub const LEASE_MIN: Millis = Millis::seconds(10);

/// What the shim leaves its task between TERM and KILL when the lease ends.
pub const KILL_GRACE: Millis = Millis::seconds(2);

/// How old the last sign of the leader may be, at most, when a worker takes an attempt.
pub const DISPATCH_AGE_MAX: Millis = Millis::seconds(5);

/// A leader whose quorum answered longer ago than this answers no ping: another may lead by now.
pub const QUORUM_ACK_MAX: Millis = Millis(600);

/// For all that takes a moment: a round of KILL, an answer of a leader that has just lost its quorum.
pub const MARGIN: Millis = Millis::seconds(1);

/// Clocks differ in speed by at most one in so many.
const DRIFT_PART: i64 = 1000;

/// Pings whose answer is still of interest.
const PINGS_MAX: usize = 32;

// An attempt that is taken at the last moment still has a lease, and a leader's last answers fit in the margin.
const _: () = assert!(DISPATCH_AGE_MAX.0 + KILL_GRACE.0 + MARGIN.0 < LEASE_MIN.0);
const _: () = assert!(QUORUM_ACK_MAX.0 < MARGIN.0);

/// How long after the last renewal nothing of an attempt lives any more, by the clock of the one who waits.
pub fn over_after(lease: Millis) -> Millis {
    let sum = lease.0.saturating_add(KILL_GRACE.0 + DISPATCH_AGE_MAX.0 + MARGIN.0);
    Millis(sum.saturating_add(sum / DRIFT_PART + 1))
}

/// When a lease ends that was renewed by the answer to a ping sent at `sent_ms`.
pub fn deadline_ms(sent_ms: u64, lease: Millis) -> u64 {
    sent_ms.saturating_add(ms(lease))
}

/// A lease is renewed once this much of it has passed: not at every ping, and long before it ends.
pub fn renew_after_ms(lease: Millis) -> u64 {
    ms(lease) / 4
}

fn ms(length: Millis) -> u64 {
    u64::try_from(length.0).unwrap_or(0)
}

/// The pings of a worker, and the newest one that a leader answered.
#[derive(Debug, Default)]
pub struct Pings {
    /// Nonce and moment of sending, the oldest first.
    sent: VecDeque<(u64, u64)>,
    last: u64,
    answered_ms: Option<u64>,
}

impl Pings {
    /// The nonce of a ping that is sent now.
    pub fn send(&mut self, now_ms: u64) -> u64 {
        self.last += 1;
        self.sent.push_back((self.last, now_ms));
        if self.sent.len() > PINGS_MAX {
            self.sent.pop_front();
        }
        self.last
    }

    /// A ping was answered. When it was sent, if that is later than that of all answered before.
    pub fn answered(&mut self, nonce: u64) -> Option<u64> {
        let (_, sent_ms) = *self.sent.iter().find(|(known, _)| *known == nonce)?;
        if self.answered_ms.is_some_and(|newest| newest >= sent_ms) {
            return None;
        }
        self.answered_ms = Some(sent_ms);
        Some(sent_ms)
    }

    /// When the newest ping was sent that was answered.
    pub fn answered_ms(&self) -> Option<u64> {
        self.answered_ms
    }

    /// How old the last sign of a leader is; `None`: there was none.
    pub fn age_ms(&self, now_ms: u64) -> Option<u64> {
        self.answered_ms.map(|sent_ms| now_ms.saturating_sub(sent_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_waits_longer_than_any_attempt_can_live() {
        for lease in [LEASE_MIN, Millis::seconds(600), Millis::seconds(86_400)] {
            // By a clock that is slower by the drift, the shim's last round of KILL included.
            let longest = lease.0 + KILL_GRACE.0 + DISPATCH_AGE_MAX.0 + MARGIN.0;
            assert!(over_after(lease).0 > longest + longest / DRIFT_PART, "{lease}");
        }
        assert_eq!(over_after(LEASE_MIN), Millis(18_019));
        assert_eq!(over_after(Millis::seconds(600)), Millis(608_609));
        assert_eq!(over_after(Millis(i64::MAX)), Millis(i64::MAX));
    }

    #[test]
    fn a_lease_counts_from_the_ping_that_was_answered_and_never_goes_back() {
        let mut pings = Pings::default();
        assert_eq!((pings.answered_ms(), pings.age_ms(5)), (None, None));
        let (first, second, third) = (pings.send(1_000), pings.send(3_000), pings.send(5_000));
        assert_eq!(pings.answered(second), Some(3_000), "not when the answer came, nor the last one sent");
        assert_eq!(pings.answered(first), None, "an older one changes nothing");
        assert_eq!(pings.answered(second), None);
        assert_eq!(pings.answered(third + 1), None, "never sent");
        assert_eq!((pings.answered_ms(), pings.age_ms(9_000)), (Some(3_000), Some(6_000)));
        assert_eq!(deadline_ms(3_000, LEASE_MIN), 13_000);
        assert_eq!(renew_after_ms(LEASE_MIN), 2_500);
    }

    #[test]
    fn pings_that_are_never_answered_are_forgotten() {
        let mut pings = Pings::default();
        let first = pings.send(0);
        (1..=PINGS_MAX as u64).for_each(|at| {
            pings.send(at);
        });
        assert_eq!(pings.answered(first), None);
        assert_eq!(pings.answered(first + 1), Some(1));
    }
}
