//! openraft's network over an abstract set of peers: the link carries the messages, tests carry them in memory.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use openraft::error::{Fatal, NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError};
use openraft::network::RPCOption;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use openraft::{OptionalSend, RaftNetwork, RaftNetworkFactory, Snapshot};
use serde::{Deserialize, Serialize};

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

pub(super) struct Network {
    pub peers: Arc<dyn RaftPeers>,
}

pub(super) struct Client {
    voter: u64,
    peers: Arc<dyn RaftPeers>,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: u64, _: &VoterNode) -> Client {
        Client { voter: target, peers: self.peers.clone() }
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
        let answer = self.peers.call(self.voter, RaftRequest::Append(rpc), option.hard_ttl()).await;
        match answer.map_err(unanswered)? {
            RaftResponse::Append(response) => Ok(response),
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
