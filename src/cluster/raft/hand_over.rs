//! The lead goes to another voter on purpose, without waiting for anybody's timer.

use std::collections::BTreeSet;
use std::time::Duration;

use openraft::ServerState;
use tokio::time::{Instant, timeout};

use super::host::RaftHost;
use crate::model::message::Message;
use crate::say;

use super::network::{RaftRequest, RaftResponse};

/// For the target to have the whole log.
const CATCH_UP: Duration = Duration::from_millis(500);
/// For somebody else to lead, from the order to campaign on.
const ANSWER: Duration = Duration::from_millis(300);
/// How often a leader of low priority looks for a better one.
const YIELD_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum HandOverError {
    NotLeader,
    NotAVoter(u64),
    Leads(u64),
    /// Milliseconds of which not all are over.
    TooSoon(u128),
    Behind(u64),
    NotTaken(u64),
}

impl HandOverError {
    pub fn said(&self) -> Message {
        match self {
            Self::NotLeader => say!("this master does not lead"),
            Self::NotAVoter(voter) => say!("m{} is no voter", voter),
            Self::Leads(voter) => say!("m{} leads already", voter),
            Self::TooSoon(ms) => say!("the lead changed less than {} ms ago; try again", ms.to_string()),
            Self::Behind(voter) => say!("m{} does not have the whole log yet", voter),
            Self::NotTaken(voter) => say!("m{} did not take the lead; this master goes on", voter),
        }
    }
}

impl RaftHost {
    /// Hands the lead to another voter: takes no more proposals, waits for the one in flight and for the target's
    /// log, and has it campaign. Proposals wait meanwhile; when it fails they go on here.
    ///
    /// Other voters refuse votes while they hear a leader; the leader itself does not, and its vote and the
    /// target's are a majority of three. With more voters it falls silent for a vote lease first.
    pub async fn hand_over(&self, target: u64) -> Result<(), HandOverError> {
        let lease = self.inner.vote_lease;
        if target == self.inner.voter {
            return Err(HandOverError::Leads(target));
        }
        let voters: BTreeSet<u64> = self.metrics().voters.into_iter().collect();
        if !voters.contains(&target) {
            return Err(HandOverError::NotAVoter(target));
        }
        let led_for = self.led_for().ok_or(HandOverError::NotLeader)?;
        if led_for <= lease {
            return Err(HandOverError::TooSoon(lease.as_millis()));
        }
        let _none_in_flight = self.inner.proposals.write().await;
        self.catch_up(target).await?;
        if voters.len() > 3 {
            self.silence(true);
            tokio::time::sleep(lease + Duration::from_millis(20)).await;
        }
        let taken = self.make_campaign(target).await;
        self.silence(false);
        taken
    }

    async fn catch_up(&self, target: u64) -> Result<(), HandOverError> {
        let mut metrics = self.inner.raft.metrics();
        let has_all = metrics.wait_for(|metrics| {
            let matched = metrics.replication.as_ref().and_then(|of| of.get(&target).copied().flatten());
            metrics.state != ServerState::Leader || matched.map(|log_id| log_id.index) >= metrics.last_log_index
        });
        match timeout(CATCH_UP, has_all).await {
            Ok(Ok(metrics)) if metrics.state == ServerState::Leader => Ok(()),
            Ok(_) => Err(HandOverError::NotLeader),
            Err(_) => Err(HandOverError::Behind(target)),
        }
    }

    async fn make_campaign(&self, target: u64) -> Result<(), HandOverError> {
        let mut metrics = self.inner.raft.metrics();
        let term = metrics.borrow().current_term;
        let deadline = Instant::now() + ANSWER;
        let asked = self.inner.peers.call(target, RaftRequest::CampaignNow { term }, ANSWER).await;
        if !matches!(asked, Ok(RaftResponse::CampaignNow(true))) {
            return Err(HandOverError::NotTaken(target));
        }
        let is_over = metrics.wait_for(|metrics| metrics.state != ServerState::Leader);
        match tokio::time::timeout_at(deadline, is_over).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(HandOverError::NotLeader),
            Err(_) => Err(HandOverError::NotTaken(target)),
        }
    }
}

/// A leader of low priority hands over to a better voter as soon as there is one that has everything.
pub(super) async fn yield_lead(host: RaftHost) {
    if !host.inner.is_low_priority {
        return;
    }
    loop {
        tokio::time::sleep(YIELD_EVERY).await;
        let metrics = host.metrics();
        if !metrics.is_leader {
            continue;
        }
        for voter in metrics.voters.iter().copied().filter(|voter| *voter != host.inner.voter) {
            let answer = host.inner.peers.call(voter, RaftRequest::Priority, ANSWER).await;
            if !matches!(answer, Ok(RaftResponse::Priority { is_low: false })) {
                continue;
            }
            match host.hand_over(voter).await {
                Ok(()) => {
                    tracing::info!(to = voter, "the lead was handed to a preferred voter");
                    break;
                }
                Err(error) => tracing::debug!(%error, voter, "the lead was not handed over"),
            }
        }
    }
}
