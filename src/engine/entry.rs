//! What one entry of the replicated log holds. Kept apart from `State::apply` so that the store can write and
//! read entries without knowing a rule.

use serde::{Deserialize, Serialize};

use crate::model::id::{Boot, Epoch, MasterId, Seq};
use crate::model::time::Timestamp;

use super::event::Event;

pub use crate::model::feature::FEATURE_LEVEL;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogRecord {
    TakeOver(TakeOver),
    Events(Entry),
}

/// A batch of events of one leadership. Applied only if `epoch` is current and `base_seq` is the last sequence
/// number; else skipped, on every replica alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub epoch: Epoch,
    /// The last sequence number before this entry.
    pub base_seq: Seq,
    pub feature_level: u32,
    pub events: Vec<Event>,
}

/// Begins a leadership. Applied only if `term` is the raft term of its own log entry and `epoch` = current + 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeOver {
    pub node: MasterId,
    pub boot: Boot,
    pub term: u64,
    pub epoch: Epoch,
    /// By the clock of the new leader, for people to read alone: the state does not keep it.
    #[serde(default)]
    pub at: Timestamp,
}

/// What became of a log record on this replica; the same on all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    Applied,
    /// Of a superseded leadership, or based on a history that is not this one.
    Skipped(&'static str),
    /// A newer build wrote it: this replica must stop applying until it is upgraded.
    TooNew {
        feature_level: u32,
    },
}
