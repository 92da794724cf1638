//! When a voter campaigns. Own timer, because openraft 0.9 draws its timeout once per process: two voters
//! with near-equal draws would split the vote for ever.
//!
//! Pure: time comes in, decisions come out. Accepted appends and granted votes start the wait anew; a timer
//! that overslept (a paused process, a stalled disk) skips a round, because what it missed may be in its
//! inbox already.

use std::time::{Duration, Instant};

/// How long to wait, each with a random part on top.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// A follower that heard nothing for this long campaigns: at least the vote lease.
    pub silence: Duration,
    pub silence_random_ms: u64,
    /// After votes were asked for in vain: short, and with a wide random part, so that a split vote is not repeated.
    pub again: Duration,
    pub again_random_ms: u64,
}

/// Firing later than this after the deadline means that the process slept.
const OVERSLEPT: Duration = Duration::from_millis(400);

pub struct ElectionTimer {
    waits: Waits,
    deadline: Instant,
    /// Campaigns again at once until it has won or heard somebody, at most until then.
    eager_until: Option<Instant>,
    random: Box<dyn FnMut(u64) -> u64 + Send>,
}

/// How long the first voter of a starting cluster is eager, and how soon it tries again.
const EAGER: Duration = Duration::from_secs(10);
const EAGER_AGAIN: Duration = Duration::from_millis(30);
/// ... once it has really asked for votes: each of them is a write to a disk, and a new term would void those under way.
const EAGER_CAMPAIGN: Duration = Duration::from_millis(500);

/// Asking whether the others would vote costs no term, and what they refuse now, because they heard the leader a
/// little later, they grant soon: this and a random part as long again is the wait between two such questions.
const ASK_AGAIN_MS: u64 = 150;

/// What to do when the deadline has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Fired {
    /// Ask the others whether they would vote, and then for their votes.
    Campaign,
    /// Wait on: not due yet, or overslept.
    Wait,
}

impl ElectionTimer {
    /// `random(n)` gives 0…n-1.
    pub fn new(now: Instant, waits: Waits, random: impl FnMut(u64) -> u64 + Send + 'static) -> Self {
        let mut timer = Self { waits, deadline: now, eager_until: None, random: Box::new(random) };
        timer.heard(now);
        timer
    }

    /// The whole cluster may be starting: campaign now, and until somebody leads.
    pub fn at_boot(&mut self, now: Instant) {
        self.deadline = now;
        self.eager_until = Some(now + EAGER);
    }

    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// A leader's append was accepted, or a vote granted: somebody may lead.
    pub fn heard(&mut self, now: Instant) {
        self.eager_until = None;
        self.deadline = now + self.waits.silence + Duration::from_millis((self.random)(self.waits.silence_random_ms));
    }

    /// Votes were asked for: time for them to arrive, also for one that is eager.
    pub fn campaigned(&mut self, now: Instant) {
        let wait = match self.eager_until {
            Some(_) => EAGER_CAMPAIGN,
            None => self.waits.again + Duration::from_millis((self.random)(self.waits.again_random_ms)),
        };
        self.deadline = self.deadline.max(now + wait);
    }

    pub fn fire(&mut self, now: Instant) -> Fired {
        if now < self.deadline {
            return Fired::Wait;
        }
        if self.eager_until.is_some_and(|until| now < until) {
            self.deadline = now + EAGER_AGAIN;
            return Fired::Campaign;
        }
        if now > self.deadline + OVERSLEPT {
            self.heard(now);
            return Fired::Wait;
        }
        self.deadline = now + Duration::from_millis(ASK_AGAIN_MS + (self.random)(ASK_AGAIN_MS));
        Fired::Campaign
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    const WAITS: Waits = Waits { silence: ms(1000), silence_random_ms: 300, again: ms(500), again_random_ms: 900 };

    fn half() -> impl FnMut(u64) -> u64 {
        |n| n / 2
    }

    #[test]
    fn silence_of_a_lease_and_the_random_part_leads_to_a_campaign() {
        let start = Instant::now();
        let mut timer = ElectionTimer::new(start, WAITS, half());
        assert_eq!(timer.deadline(), start + ms(1150));
        assert_eq!(timer.fire(start + ms(1149)), Fired::Wait);
        assert_eq!(timer.fire(start + ms(1150)), Fired::Campaign);
    }

    #[test]
    fn a_failed_campaign_is_repeated_after_its_own_wider_wait() {
        let start = Instant::now();
        let mut timer = ElectionTimer::new(start, WAITS, half());
        assert_eq!(timer.fire(start + ms(1150)), Fired::Campaign);
        timer.campaigned(start + ms(1160));
        assert_eq!(timer.deadline(), start + ms(1160 + 500 + 450));
        assert_eq!(timer.fire(start + ms(1200)), Fired::Wait);
        assert_eq!(timer.fire(start + ms(2110)), Fired::Campaign);
    }

    /// Else a voter of low priority, which waits 700 ms more, overtakes one that asked a little too early.
    #[test]
    fn who_was_told_that_others_hear_the_leader_asks_again_soon() {
        let start = Instant::now();
        let mut timer = ElectionTimer::new(start, WAITS, half());
        assert_eq!(timer.fire(start + ms(1150)), Fired::Campaign);
        assert_eq!(timer.deadline(), start + ms(1150 + 150 + 75));
        assert_eq!(timer.fire(start + ms(1375)), Fired::Campaign);
    }

    #[test]
    fn an_accepted_append_or_a_granted_vote_starts_the_wait_anew() {
        let start = Instant::now();
        let mut timer = ElectionTimer::new(start, WAITS, half());
        timer.heard(start + ms(1100));
        assert_eq!(timer.fire(start + ms(1150)), Fired::Wait);
        assert_eq!(timer.deadline(), start + ms(2250));
    }

    #[test]
    fn the_first_voter_of_a_starting_cluster_tries_again_soon_until_it_hears_somebody() {
        let start = Instant::now();
        let mut timer = ElectionTimer::new(start, WAITS, half());
        timer.at_boot(start);
        assert_eq!(timer.fire(start), Fired::Campaign);
        assert_eq!(timer.fire(start + EAGER_AGAIN), Fired::Campaign);
        timer.heard(start + ms(100));
        assert_eq!(timer.deadline(), start + ms(100 + 1150));
        timer.at_boot(start + ms(200));
        assert_eq!(timer.fire(start + ms(200) + EAGER), Fired::Wait, "it overslept, as any other");
    }

    #[test]
    fn one_that_is_eager_lets_the_votes_arrive_before_it_asks_in_another_term() {
        let start = Instant::now();
        let mut timer = ElectionTimer::new(start, WAITS, half());
        timer.at_boot(start);
        assert_eq!(timer.fire(start), Fired::Campaign);
        timer.campaigned(start + ms(20));
        assert_eq!(timer.fire(start + ms(20) + EAGER_AGAIN), Fired::Wait);
        assert_eq!(timer.fire(start + ms(20) + EAGER_CAMPAIGN), Fired::Campaign);
        let (mut patient, at) = (ElectionTimer::new(start, WAITS, half()), start + ms(1150));
        assert_eq!(patient.fire(at), Fired::Campaign);
        patient.campaigned(at);
        assert_eq!(patient.deadline(), at + ms(500 + 450), "the others wait longer anyway");
    }

    #[test]
    fn a_timer_that_overslept_waits_a_whole_round_more() {
        let start = Instant::now();
        let mut timer = ElectionTimer::new(start, WAITS, half());
        assert_eq!(timer.fire(start + ms(9000)), Fired::Wait);
        assert_eq!(timer.deadline(), start + ms(9000 + 1150));
        assert_eq!(timer.fire(start + ms(10_150)), Fired::Campaign);
    }
}
