//! openraft's network over an abstract set of peers: the link carries the messages, tests carry them in memory.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use openraft::error::{Fatal, NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError};
use openraft::network::RPCOption;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use openraft::{OptionalSend, RaftNetwork, RaftNetworkFactory, Snapshot};
use serde::{Deserialize, Serialize};

use crate::store::raft_log::Durable;
use crate::store::types::{LogId, SnapshotMeta, StorageError, TypeConfig, Vote, VoterNode};

/// What one voter asks another.
#[derive(Debug, Serialize, Deserialize)]
pub enum RaftRequest {
    Append(AppendEntriesRequest<TypeConfig>),
    Vote(VoteRequest<u64>),
    /// Would you vote? Changes nothing.
    PreVote(PreVote),
    /// The leader of this term hands over: campaign at once.
    CampaignNow {
        term: u64,
    },
    Priority,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct PreVote {
    /// The term that the campaign would be for.
    pub term: u64,
    pub last_log: Option<LogId>,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum RaftResponse {
    Append(AppendEntriesResponse<u64>),
    Vote(VoteResponse<u64>),
    PreVote(bool),
    /// Whether it does.
    CampaignNow(bool),
    Priority {
        is_low: bool,
    },
    /// The other side could not handle it; its reason.
    Failed(String),
}

/// Not answered. Whether it arrived is unknown.
#[derive(Debug, Clone, thiserror::Error)]
#[error("reach voter {voter}: {reason}")]
pub struct PeerError {
    pub voter: u64,
    pub reason: String,
}

/// The other voters, however they are reached.
#[async_trait]
pub trait RaftPeers: Send + Sync + 'static {
    async fn call(&self, voter: u64, request: RaftRequest, timeout: Duration) -> Result<RaftResponse, PeerError>;

    /// Sends a whole snapshot file and waits until it is installed there; gives the vote of the other side.
    async fn send_snapshot(
        &self,
        voter: u64,
        vote: Vote,
        meta: SnapshotMeta,
        file: &std::path::Path,
    ) -> Result<Vote, PeerError>;
}

/// A cluster of one has nobody to talk to.
pub struct NoPeers;

#[async_trait]
impl RaftPeers for NoPeers {
    async fn call(&self, voter: u64, _: RaftRequest, _: Duration) -> Result<RaftResponse, PeerError> {
        Err(PeerError { voter, reason: "this cluster has a single voter".to_owned() })
    }

    async fn send_snapshot(
        &self,
        voter: u64,
        _: Vote,
        _: SnapshotMeta,
        _: &std::path::Path,
    ) -> Result<Vote, PeerError> {
        Err(PeerError { voter, reason: "this cluster has a single voter".to_owned() })
    }
}

/// Counts the heartbeats that were due. The host beats, and each voter is sent one message for a beat.
#[derive(Clone, Default)]
pub(super) struct Pulse(Arc<AtomicU64>);

impl Pulse {
    pub(super) fn beat(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    fn beats(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

pub(super) struct Network {
    pub peers: Arc<dyn RaftPeers>,
    pub pulse: Pulse,
    /// This voter's own log.
    pub log: Durable,
}

pub(super) struct Client {
    voter: u64,
    peers: Arc<dyn RaftPeers>,
    pulse: Pulse,
    log: Durable,
    /// Beats that this voter was told of.
    told: u64,
    /// What this voter said last that it has; `None` after a question without an answer.
    matching: Option<LogId>,
}

impl Client {
    /// openraft tells each commit at once, in a message of its own that costs as much as the entry did. Nobody waits for
    /// a standby to apply it: it travels with the next entry or heartbeat. A probe, which looks how far the voter's log
    /// agrees, is another thing and asks about an entry that the voter has not named.
    fn tells_only_a_commit(&self, rpc: &AppendEntriesRequest<TypeConfig>) -> bool {
        let is_probe = rpc.prev_log_id.is_none() || rpc.prev_log_id != self.matching;
        rpc.entries.is_empty() && !is_probe && self.told == self.pulse.beats()
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: u64, _: &VoterNode) -> Client {
        let (peers, pulse, log) = (self.peers.clone(), self.pulse.clone(), self.log.clone());
        Client { voter: target, peers, pulse, log, told: 0, matching: None }
    }
}

type CallError = RPCError<u64, VoterNode, RaftError<u64>>;

/// `Network`, never `Unreachable`: the latter makes openraft back off, and gaps are short.
fn unanswered(error: PeerError) -> CallError {
    RPCError::Network(NetworkError::new(&error))
}

fn refused(voter: u64, response: RaftResponse) -> CallError {
    let reason = match response {
        RaftResponse::Failed(reason) => reason,
        RaftResponse::Append(_)
        | RaftResponse::Vote(_)
        | RaftResponse::PreVote(_)
        | RaftResponse::CampaignNow(_)
        | RaftResponse::Priority { .. } => "it answered another question".to_owned(),
    };
    unanswered(PeerError { voter, reason })
}

impl RaftNetwork<TypeConfig> for Client {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, CallError> {
        if self.tells_only_a_commit(&rpc) {
            // As if it had been lost: openraft neither repeats it nor takes it for a sign of life.
            return Err(unanswered(PeerError { voter: self.voter, reason: "held back for the next entry".to_owned() }));
        }
        if let Some(committed) = rpc.leader_commit {
            // openraft counts this voter's own entries before they are on disk: until then nobody hears of the commit.
            let written = self.log.reaches(committed.index).await;
            written.map_err(|error| unanswered(PeerError { voter: self.voter, reason: error.to_string() }))?;
        }
        self.told = self.pulse.beats();
        let last = rpc.entries.last().map(|entry| entry.log_id).or(rpc.prev_log_id);
        self.matching = None;
        let answer = self.peers.call(self.voter, RaftRequest::Append(rpc), option.hard_ttl()).await;
        match answer.map_err(unanswered)? {
            RaftResponse::Append(response) => {
                self.matching = last.filter(|_| response.is_success());
                Ok(response)
            }
            other => Err(refused(self.voter, other)),
        }
    }

    async fn vote(&mut self, rpc: VoteRequest<u64>, option: RPCOption) -> Result<VoteResponse<u64>, CallError> {
        let answer = self.peers.call(self.voter, RaftRequest::Vote(rpc), option.hard_ttl()).await;
        match answer.map_err(unanswered)? {
            RaftResponse::Vote(response) => Ok(response),
            other => Err(refused(self.voter, other)),
        }
    }

    /// The file is made here, for this follower. It may be newer than the metadata openraft asked for, which
    /// is harmless: what it holds is committed.
    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<TypeConfig>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<TypeConfig, Fatal<u64>>> {
        let peers = self.peers.clone();
        let voter = self.voter;
        let send = async move {
            let made = tokio::task::spawn_blocking(move || snapshot.snapshot.into_file()).await;
            let (meta, file) = match made {
                Ok(Ok(made)) => made,
                Ok(Err(error)) => return Err(StreamingError::StorageError(snapshot_error(&error))),
                Err(error) => return Err(StreamingError::StorageError(snapshot_error(&io::Error::other(error)))),
            };
            let sent = peers.send_snapshot(voter, vote, meta, file.path()).await;
            sent.map(SnapshotResponse::new).map_err(|error| StreamingError::Network(NetworkError::new(&error)))
        };
        tokio::select! {
            sent = send => sent,
            closed = cancel => Err(StreamingError::Closed(closed)),
        }
    }
}

fn snapshot_error(error: &(impl std::error::Error + 'static)) -> StorageError {
    openraft::StorageIOError::read_snapshot(None, error).into()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Mutex;

    use futures_util::FutureExt;

    use crate::store::raft_log::{Marker, durable_below};

    use super::*;

    /// Entries of the leader's own log that are on disk.
    const ON_DISK: u64 = 100;

    /// Answers as it is told, and counts.
    #[derive(Default)]
    struct Peer {
        asked: AtomicU64,
        is_away: Mutex<bool>,
    }

    #[async_trait]
    impl RaftPeers for Peer {
        async fn call(&self, voter: u64, _: RaftRequest, _: Duration) -> Result<RaftResponse, PeerError> {
            self.asked.fetch_add(1, Ordering::AcqRel);
            match *self.is_away.lock().unwrap() {
                true => Err(PeerError { voter, reason: "away".to_owned() }),
                false => Ok(RaftResponse::Append(AppendEntriesResponse::Success)),
            }
        }

        async fn send_snapshot(
            &self,
            voter: u64,
            vote: Vote,
            meta: SnapshotMeta,
            file: &std::path::Path,
        ) -> Result<Vote, PeerError> {
            NoPeers.send_snapshot(voter, vote, meta, file).await
        }
    }

    struct Conversation {
        peer: Arc<Peer>,
        pulse: Pulse,
        marker: Marker,
        client: Client,
    }

    impl Conversation {
        async fn new() -> Self {
            let (peer, pulse) = (Arc::new(Peer::default()), Pulse::default());
            let (marker, log) = durable_below(ON_DISK, PathBuf::new());
            let mut network = Network { peers: peer.clone(), pulse: pulse.clone(), log };
            let node = VoterNode { addr: "127.0.0.1:1".to_owned(), data_dir: None };
            let client = network.new_client(2, &node).await;
            Self { peer, pulse, marker, client }
        }

        /// Whether the voter was asked, and whether openraft is told that it answered.
        async fn append(&mut self, previous: Option<u64>, entries: &[u64]) -> (bool, bool) {
            let entry = |index: u64| openraft::testing::blank_ent::<TypeConfig>(1, 1, index);
            let rpc = AppendEntriesRequest {
                vote: Vote::new_committed(1, 1),
                prev_log_id: previous.map(|index| entry(index).log_id),
                entries: entries.iter().copied().map(entry).collect(),
                leader_commit: previous.map(|index| entry(index).log_id),
            };
            let before = self.peer.asked.load(Ordering::Acquire);
            let answer = self.client.append_entries(rpc, RPCOption::new(Duration::from_secs(1))).await;
            (self.peer.asked.load(Ordering::Acquire) > before, answer.is_ok())
        }
    }

    #[tokio::test]
    async fn a_commit_by_itself_waits_for_the_next_entry_or_heartbeat_and_is_no_sign_of_life() {
        let mut with = Conversation::new().await;
        assert_eq!(with.append(Some(4), &[5]).await, (true, true));
        assert_eq!(with.append(Some(5), &[]).await, (false, false));
        assert_eq!(with.append(Some(5), &[6]).await, (true, true));
        assert_eq!(with.append(Some(6), &[]).await, (false, false));
        with.pulse.beat();
        assert_eq!(with.append(Some(6), &[]).await, (true, true));
        assert_eq!(with.append(Some(6), &[]).await, (false, false), "one for each beat");
    }

    /// openraft repeats these at once when they fail: to hold one back would turn that into a busy loop.
    #[tokio::test]
    async fn a_probe_is_always_sent() {
        let mut with = Conversation::new().await;
        assert_eq!(with.append(Some(4), &[]).await, (true, true), "nothing is known of the voter yet");
        assert_eq!(with.append(Some(3), &[]).await, (true, true), "another entry than it has named");
        assert_eq!(with.append(None, &[]).await, (true, true));
    }

    #[tokio::test]
    async fn after_a_question_without_an_answer_the_next_one_is_sent() {
        let mut with = Conversation::new().await;
        assert_eq!(with.append(Some(4), &[5]).await, (true, true));
        *with.peer.is_away.lock().unwrap() = true;
        assert_eq!(with.append(Some(5), &[6]).await, (true, false));
        *with.peer.is_away.lock().unwrap() = false;
        assert_eq!(with.append(Some(5), &[]).await, (true, true));
    }

    #[tokio::test]
    async fn nobody_hears_of_a_commit_that_the_leaders_own_disk_has_not_got() {
        let mut with = Conversation::new().await;
        let is_asking = with.append(Some(ON_DISK), &[ON_DISK + 1]).now_or_never().is_some();
        assert_eq!((is_asking, with.peer.asked.load(Ordering::Acquire)), (false, 0));
        with.marker.raise(ON_DISK + 1);
        assert_eq!(with.append(Some(ON_DISK), &[ON_DISK + 1]).await, (true, true));
    }
}
