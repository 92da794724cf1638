//! Who leads, as this voter sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::model::lease;

/// A leader whose quorum answered longer ago than this sends no effects and no leases.
pub const QUORUM_ACK_MAX: Duration = Duration::from_millis(lease::QUORUM_ACK_MAX.0 as u64);

/// Changes are published when leader or term change; the age of the last quorum answer is read live.
#[derive(Debug, Clone)]
pub struct Leadership {
    pub is_leader: bool,
    pub term: u64,
    pub leader: Option<u64>,
    pub(super) quorum: QuorumAck,
}

impl Leadership {
    /// How long ago a quorum acknowledged this leader; `None` when it does not lead or nobody answered yet.
    pub fn quorum_ack_age(&self) -> Option<Duration> {
        self.is_leader.then(|| self.quorum.age()).flatten()
    }

    /// May effects and leases be sent?
    pub fn is_fresh(&self) -> bool {
        self.quorum_ack_age().is_some_and(|age| age <= QUORUM_ACK_MAX)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.is_leader, self.term, self.leader) == (other.is_leader, other.term, other.leader)
    }
}

/// When a quorum answered last, shared between all copies. One voter is its own quorum at any time.
#[derive(Debug, Clone)]
pub(super) struct QuorumAck {
    start: Instant,
    is_single: Arc<AtomicBool>,
    /// Milliseconds after `start`, plus one; 0 is never.
    last: Arc<AtomicU64>,
}

impl Default for QuorumAck {
    fn default() -> Self {
        Self { start: Instant::now(), is_single: Arc::default(), last: Arc::default() }
    }
}

impl QuorumAck {
    /// openraft said that the last answer came `age_ms` ago.
    pub fn note(&self, age_ms: Option<u64>, is_single: bool) {
        self.is_single.store(is_single, Ordering::Relaxed);
        let at = age_ms.and_then(|age| (self.start.elapsed().as_millis() as u64).checked_sub(age));
        self.last.store(at.map_or(0, |at| at + 1), Ordering::Relaxed);
    }

    fn age(&self) -> Option<Duration> {
        if self.is_single.load(Ordering::Relaxed) {
            return Some(Duration::ZERO);
        }
        let last = self.last.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.start.elapsed().saturating_sub(Duration::from_millis(last)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_voter_is_always_fresh_and_several_need_an_answer() {
        let leading = |quorum| Leadership { is_leader: true, term: 1, leader: Some(1), quorum };
        let quorum = QuorumAck::default();
        quorum.note(None, true);
        assert!(leading(quorum.clone()).is_fresh());
        quorum.note(None, false);
        assert!(!leading(quorum.clone()).is_fresh());
        quorum.note(Some(0), false);
        assert!(leading(quorum.clone()).is_fresh());
        quorum.note(None, false);
        assert!(!leading(quorum.clone()).is_fresh());
        let follower = Leadership { is_leader: false, term: 1, leader: None, quorum };
        assert!(!follower.is_fresh());
    }
}
