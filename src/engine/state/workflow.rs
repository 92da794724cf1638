//! Workflows, their versions, triggers, fires, latches and downstream runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::attachment::AttachedFile;
use crate::model::definition::Definition;
use crate::model::id::{ContentHash, InstanceNumber, Principal, SourceId, TriggerId, VersionNumber, WorkflowName};
use crate::model::message::Message;
use crate::model::schedule::Zone;
use crate::model::time::{CivilDate, Timestamp};
use crate::model::trigger::{Fact, FireKey};
use crate::say;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workflow {
    pub name: WorkflowName,
    /// The newest version; numbers go on counting over a removal.
    pub current: VersionNumber,
    pub origin: Option<Origin>,
    /// An operator's enable or disable, until the file's own value changes.
    pub enabled_override: Option<EnableOverride>,
    /// Its file is gone and `on-delete` is `disable`.
    pub is_file_absent: bool,
    /// How often its latches completed: the number of the next `Sequence` fire is one more.
    pub completions: u64,
    /// Deleted: only its history is left.
    pub removed: Option<Timestamp>,
    pub created: Timestamp,
}

/// The file that a definition came from, with what the source last had there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub source: SourceId,
    pub path: String,
    pub content: ContentHash,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnableOverride {
    pub enabled: bool,
    pub by: Principal,
    pub at: Timestamp,
    pub why: Option<String>,
}

/// A definition with the text it was read from: what the chunks of a version hold, packed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// The file's text, decoded.
    pub text: String,
    /// Relative to `xmlconfig/`; `None` for a definition that was not read from a file there.
    pub path: Option<String>,
    pub definition: Definition,
    /// The files that its nodes name, by content.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<AttachedFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    pub workflow: WorkflowName,
    pub number: VersionNumber,
    /// Hash of the file's bytes: decides whether something changed.
    pub content: ContentHash,
    pub bundle: Arc<Bundle>,
    pub origin: Option<Origin>,
    pub added: Timestamp,
    pub by: Principal,
}

impl Version {
    pub fn definition(&self) -> &Definition {
        &self.bundle.definition
    }
}

/// The high-water mark of a trigger: every time up to here has been seen to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerState {
    pub workflow: WorkflowName,
    pub id: TriggerId,
    pub evaluated_up_to: Timestamp,
}

/// A time (or a completion of latches) at which a workflow should start: stands between trigger and instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fire {
    pub key: FireKey,
    pub nominal: Timestamp,
    /// Nominal with jitter: not before this.
    pub due: Timestamp,
    pub business_date: CivilDate,
    /// The zone that the business date is of.
    pub zone: Zone,
    pub placed: Timestamp,
    /// Prerequisites that were missing when it was placed.
    pub unmet: Vec<WorkflowName>,
    pub state: FireState,
    /// Settled for a while: kept by the store alone once that is durable.
    pub is_resting: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FireState {
    Pending,
    Started {
        instance: InstanceNumber,
        at: Timestamp,
    },
    /// Another trigger fires at the same nominal time.
    Merged {
        into: FireKey,
        at: Timestamp,
    },
    /// A newer fire took its place before it could start.
    Superseded {
        by: FireKey,
        at: Timestamp,
    },
    Skipped {
        reason: FireSkip,
        at: Timestamp,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FireSkip {
    Overlap,
    Misfire,
    QueueFull,
    Expired,
    /// Reset, or the workflow was deleted.
    Operator,
}

impl FireState {
    pub fn word(&self) -> &'static str {
        match self {
            FireState::Pending => "pending",
            FireState::Started { .. } => "started",
            FireState::Merged { .. } => "merged",
            FireState::Superseded { .. } => "superseded",
            FireState::Skipped { .. } => "skipped",
        }
    }

    pub fn said(&self) -> Message {
        match self {
            FireState::Pending => say!("waits"),
            FireState::Started { instance, .. } => say!("started as instance #{}", instance),
            FireState::Merged { into, .. } => say!("one with the fire of trigger {}", into.trigger),
            FireState::Superseded { by, .. } => say!("replaced by a newer fire of trigger {}", by.trigger),
            FireState::Skipped { reason: FireSkip::Overlap, .. } => say!("skipped: an instance was running"),
            FireState::Skipped { reason: FireSkip::Misfire, .. } => say!("skipped: its time had passed"),
            FireState::Skipped { reason: FireSkip::QueueFull, .. } => say!("skipped: the queue is full"),
            FireState::Skipped { reason: FireSkip::Expired, .. } => say!("skipped: its trigger is gone"),
            FireState::Skipped { reason: FireSkip::Operator, .. } => say!("skipped by a person"),
        }
    }

    pub fn is_pending(&self) -> bool {
        matches!(self, FireState::Pending)
    }

    pub fn settled(&self) -> Option<Timestamp> {
        match self {
            FireState::Pending => None,
            FireState::Started { at, .. }
            | FireState::Merged { at, .. }
            | FireState::Superseded { at, .. }
            | FireState::Skipped { at, .. } => Some(*at),
        }
    }
}

impl FireSkip {
    pub fn word(self) -> &'static str {
        match self {
            FireSkip::Overlap => "overlap",
            FireSkip::Misfire => "misfire",
            FireSkip::QueueFull => "queue-full",
            FireSkip::Expired => "expired",
            FireSkip::Operator => "operator",
        }
    }
}

/// A prerequisite of `workflow` that has come about. Cleared when the workflow fires or is reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latch {
    pub workflow: WorkflowName,
    pub fact: Fact,
    pub set: Timestamp,
}

/// `trigger --with-downstream`: a workflow and its enabled dependants, each run once after those it waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closure {
    pub id: u64,
    pub root: WorkflowName,
    pub nominal: Timestamp,
    pub by: Principal,
    pub opened: Timestamp,
    pub members: BTreeMap<WorkflowName, ClosureMember>,
    /// Those that were started, by workflow.
    #[serde(default)]
    pub instances: BTreeMap<WorkflowName, InstanceNumber>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosureMember {
    Waiting,
    Started(InstanceNumber),
    Done,
}
