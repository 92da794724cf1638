//! When a voter campaigns. Own timer, because openraft 0.9 draws its timeout once per process: two voters
//! with near-equal draws would split the vote for ever.
//!
//! Pure: time comes in, decisions come out. Accepted appends and granted votes start the wait anew; a timer
//! that overslept (a paused process, a stalled disk) skips a round, because what it missed may be in its
//! inbox already.

use std::time::{Duration, Instant};

/// A follower that heard nothing for this long campaigns: the vote lease, and a random part on top.
const LEASE: Duration = Duration::from_millis(1000);
const SPREAD_MS: u64 = 300;
/// After a failed campaign: half a lease, and a wide random part, so that a split vote is not repeated.
const RETRY: Duration = Duration::from_millis(500);
const RETRY_SPREAD_MS: u64 = 900;
/// Firing later than this after the deadline means that the process slept.
const OVERSLEPT: Duration = Duration::from_millis(400);

pub struct ElectionTimer {
    deadline: Instant,
    random: Box<dyn FnMut(u64) -> u64 + Send>,
}

/// What to do when the deadline has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Fired {
    Campaign,
    /// Wait on: not due yet, or overslept.
    Wait,
}

impl ElectionTimer {
    /// `random(n)` gives 0…n-1.
    pub fn new(now: Instant, random: impl FnMut(u64) -> u64 + Send + 'static) -> Self {
        let mut timer = Self { deadline: now, random: Box::new(random) };
        timer.heard(now);
        timer
    }

    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// A leader's append was accepted, or a vote granted: somebody may lead.
    pub fn heard(&mut self, now: Instant) {
        self.deadline = now + LEASE + Duration::from_millis((self.random)(SPREAD_MS));
    }

    pub fn fire(&mut self, now: Instant) -> Fired {
        if now < self.deadline {
            return Fired::Wait;
        }
        if now > self.deadline + OVERSLEPT {
            self.heard(now);
            return Fired::Wait;
        }
        self.deadline = now + RETRY + Duration::from_millis((self.random)(RETRY_SPREAD_MS));
        Fired::Campaign
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn half() -> impl FnMut(u64) -> u64 {
        |n| n / 2
    }

    #[test]
    fn silence_of_a_lease_and_the_random_part_leads_to_a_campaign() {
        let start = Instant::now();
        let mut timer = ElectionTimer::new(start, half());
        assert_eq!(timer.deadline(), start + ms(1150));
        assert_eq!(timer.fire(start + ms(1149)), Fired::Wait);
        assert_eq!(timer.fire(start + ms(1150)), Fired::Campaign);
    }

    #[test]
    fn a_failed_campaign_is_repeated_after_its_own_wider_wait() {
        let start = Instant::now();
        let mut timer = ElectionTimer::new(start, half());
        assert_eq!(timer.fire(start + ms(1150)), Fired::Campaign);
        assert_eq!(timer.deadline(), start + ms(1150 + 500 + 450));
        assert_eq!(timer.fire(start + ms(1200)), Fired::Wait);
        assert_eq!(timer.fire(start + ms(2100)), Fired::Campaign);
    }

    #[test]
    fn an_accepted_append_or_a_granted_vote_starts_the_wait_anew() {
        let start = Instant::now();
        let mut timer = ElectionTimer::new(start, half());
        timer.heard(start + ms(1100));
        assert_eq!(timer.fire(start + ms(1150)), Fired::Wait);
        assert_eq!(timer.deadline(), start + ms(2250));
    }

    #[test]
    fn a_timer_that_overslept_waits_a_whole_round_more() {
        let start = Instant::now();
        let mut timer = ElectionTimer::new(start, half());
        assert_eq!(timer.fire(start + ms(9000)), Fired::Wait);
        assert_eq!(timer.deadline(), start + ms(9000 + 1150));
        assert_eq!(timer.fire(start + ms(10_150)), Fired::Campaign);
    }
}
