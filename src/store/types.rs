//! The types that openraft is run with.

use std::path::PathBuf;
use std::sync::Arc;

use openraft::TokioRuntime;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::engine::Event;
use crate::model::duration::Millis;
use crate::model::id::{AttemptId, Epoch, MasterId, NodeName, Seq, WorkflowName};
use crate::model::measurement::Measured;
use crate::model::time::Timestamp;

use super::StoreError;
use super::state_db::{self, SnapshotFile};

pub use crate::engine::LogRecord;

/// What one log entry carries; shared, because log cache, replication, apply and event stream all hold it.
pub type EntryData = Arc<LogRecord>;

/// What happened to the cluster as a whole. Part of `state.db`: fields are added with a default, never renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    Event { seq: Seq, event: Event },
    TookOver { seq: Seq, at: Timestamp, node: MasterId, epoch: Epoch },
    Members { seq: Seq, at: Timestamp, joined: Vec<u64>, left: Vec<u64> },
}

/// A number that a monitor came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measurement {
    pub workflow: WorkflowName,
    pub node: NodeName,
    /// Of its event.
    pub seq: Seq,
    pub attempt: AttemptId,
    pub measured: Measured,
}

/// How many of them are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeasurementsKept {
    /// Of each node the newest.
    pub per_node: u32,
    /// Before the newest of all.
    pub within: Millis,
}

impl Default for MeasurementsKept {
    fn default() -> Self {
        Self { per_node: 2_000, within: Millis::seconds(800 * 86_400) }
    }
}

openraft::declare_raft_types!(
    /// Ids are `MasterId` numbers.
    pub TypeConfig:
        D = EntryData,
        R = Applied,
        NodeId = u64,
        Node = VoterNode,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = SnapshotData,
        AsyncRuntime = TokioRuntime,
        Responder = openraft::impls::OneshotResponder<TypeConfig>,
);

pub type LogEntry = openraft::Entry<TypeConfig>;
pub type LogId = openraft::LogId<u64>;
pub type Vote = openraft::Vote<u64>;
pub type Membership = openraft::StoredMembership<u64, VoterNode>;
pub type SnapshotMeta = openraft::SnapshotMeta<u64, VoterNode>;
pub type StorageError = openraft::StorageError<u64>;

/// What the membership says of a voter. Part of the log: fields are added with a default, never renamed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VoterNode {
    /// `host:port`, where the other masters reach it.
    pub addr: String,
    /// Its data directory. A voter that comes back with another one has lost what it promised, and must not vote.
    /// `None` only in clusters of one that an early build founded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<Uuid>,
}

/// What became of an entry. The same on every replica.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Applied {
    /// The last sequence number after it.
    pub seq: u64,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every event took effect; also openraft's own entries, which carry none.
    #[default]
    Applied,
    /// Of another epoch, or built on another state: no event took effect. Says why.
    Skipped(String),
}

impl Applied {
    pub fn is_applied(&self) -> bool {
        self.outcome == Outcome::Applied
    }
}

/// The content of a snapshot. Made into a file only when a follower needs it.
#[derive(Debug)]
pub enum SnapshotData {
    /// `state.db` as it will be when asked: at least what the metadata says.
    Lazy {
        source: PathBuf,
        directory: PathBuf,
    },
    File {
        meta: SnapshotMeta,
        file: SnapshotFile,
    },
}

impl SnapshotData {
    /// The file, and the metadata that are true of it. Blocks while it copies.
    pub fn into_file(self) -> Result<(SnapshotMeta, SnapshotFile), StoreError> {
        match self {
            SnapshotData::Lazy { source, directory } => state_db::make_snapshot(&source, &directory),
            SnapshotData::File { meta, file } => Ok((meta, file)),
        }
    }
}
