//! What masters say to each other as voters.

use serde::{Deserialize, Serialize};

use crate::cluster::raft::RaftRequest;
use crate::model::id::ContentHash;
use crate::store::types::{SnapshotMeta, Vote};

/// A question of raft. Refused when the receiver belongs to another cluster.
#[derive(Debug, Serialize, Deserialize)]
pub struct VoterQuestion {
    pub cluster: String,
    pub request: RaftRequest,
}

/// The snapshot with this hash was sent over the bulk connection: install it.
#[derive(Debug, Serialize, Deserialize)]
pub struct SnapshotSent {
    pub cluster: String,
    pub hash: ContentHash,
    pub vote: Vote,
    pub meta: SnapshotMeta,
}

/// Where a master is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterAt {
    pub name: String,
    /// `host:port`.
    pub address: String,
}
