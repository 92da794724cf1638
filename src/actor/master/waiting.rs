//! Commands that wait for the leader's next entry, and which of them are worth one.

use std::collections::VecDeque;

use crate::engine::command::Command;

use super::leader::Submission;

/// So many that may ride along make an entry of their own.
const RIDERS_MAX: usize = 256;

#[derive(Default)]
pub struct Waiting {
    queue: VecDeque<Submission>,
    /// How many in the queue may ride along with others.
    n_riders: usize,
    /// They have waited long enough.
    must_ride: bool,
    /// `ride` will be called in a moment.
    is_timed: bool,
}

impl Waiting {
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Those that are worth an entry.
    pub fn n_that_matter(&self) -> usize {
        self.queue.len() - self.n_riders
    }

    /// True when `ride` has to be called in a moment: something may now wait for an entry to ride on.
    pub fn push(&mut self, submission: Submission) -> bool {
        let rides = may_ride(&submission);
        self.queue.push_back(submission);
        self.n_riders += usize::from(rides);
        let is_first = rides && !self.is_timed;
        self.is_timed |= rides;
        is_first
    }

    /// In the order they came.
    pub fn pop(&mut self) -> Option<Submission> {
        let submission = self.queue.pop_front()?;
        self.n_riders -= usize::from(may_ride(&submission));
        self.must_ride &= self.n_riders > 0;
        Some(submission)
    }

    pub fn ride(&mut self) {
        self.is_timed = false;
        self.must_ride = self.n_riders > 0;
    }

    /// An entry costs an fsync on every voter, and what comes while it is under way has to wait for it.
    pub fn is_worth_an_entry(&self) -> bool {
        self.n_that_matter() > 0 || self.must_ride || self.n_riders >= RIDERS_MAX
    }
}

/// Nobody waits for it and nothing follows from it.
fn may_ride(submission: &Submission) -> bool {
    submission.reply.is_none() && matches!(submission.envelope.command, Command::AttemptStarted { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Envelope;
    use crate::model::id::WorkerId;
    use crate::model::time::Timestamp;

    fn start() -> Submission {
        let attempt = "1.1.2.0.1".parse().unwrap();
        let command = Command::AttemptStarted { worker: WorkerId::from("w1"), attempt, at: Timestamp(1) };
        Submission { envelope: Envelope::internal(command), reply: None }
    }

    fn tick() -> Submission {
        Submission { envelope: Envelope::internal(Command::Tick), reply: None }
    }

    #[test]
    fn a_start_waits_for_another_command_and_goes_before_it() {
        let mut waiting = Waiting::default();
        assert!(!waiting.is_worth_an_entry());
        assert!(waiting.push(start()), "the first sets the clock");
        assert!(!waiting.push(start()));
        assert!(!waiting.is_worth_an_entry());
        assert!(!waiting.push(tick()));
        assert!(waiting.is_worth_an_entry());
        let order: Vec<bool> = std::iter::from_fn(|| waiting.pop()).map(|one| may_ride(&one)).collect();
        assert_eq!(order, [true, true, false]);
        assert!(!waiting.is_worth_an_entry());
        assert!(!waiting.push(start()), "the clock still runs");
        waiting.ride();
        assert!(waiting.is_worth_an_entry(), "which shortens the wait of a later one at most");
        while waiting.pop().is_some() {}
        assert!(waiting.push(start()), "the clock is set anew");
    }

    #[test]
    fn a_start_that_has_waited_and_many_of_them_go_alone() {
        let mut waiting = Waiting::default();
        waiting.ride();
        waiting.push(start());
        assert!(!waiting.is_worth_an_entry(), "the clock of an earlier one does not count");
        waiting.ride();
        assert!(waiting.is_worth_an_entry());
        while waiting.pop().is_some() {}
        (0..RIDERS_MAX - 1).for_each(|_| {
            waiting.push(start());
        });
        assert!(!waiting.is_worth_an_entry());
        waiting.push(start());
        assert!(waiting.is_worth_an_entry());
    }
}
