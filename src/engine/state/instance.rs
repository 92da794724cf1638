//! Instances and their generations.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::duration::Millis;
use crate::model::id::{Generation, InstanceNumber, NodeName, Principal, TriggerId, VersionNumber, WorkflowName};
use crate::model::message::Message;
use crate::model::parameter::Value;
use crate::model::schedule::Zone;
use crate::model::state::InstanceWord;
use crate::model::time::{CivilDate, Timestamp};
use crate::model::trigger::{FireKey, Kind};
use crate::say;

use super::super::event::NodeRef;

/// The head of an instance. Its nodes are aggregates of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub number: InstanceNumber,
    /// Derived from cluster id and number.
    pub id: Uuid,
    pub workflow: WorkflowName,
    pub kind: Kind,
    pub fire: Option<FireKey>,
    /// The trigger whose parameters it has.
    pub trigger: Option<TriggerId>,
    /// The sub-workflow node that it is a child of.
    pub parent: Option<NodeRef>,
    /// The downstream run that it belongs to.
    pub closure: Option<u64>,
    /// Does its success set latches and make facts?
    pub affects: bool,
    pub nominal: Timestamp,
    pub due: Timestamp,
    pub business_date: CivilDate,
    pub zone: Zone,
    /// As resolved at creation, with origins. Never resolved again.
    pub params: Vec<(String, Value)>,
    /// What `${dep:WORKFLOW.KEY}` stood for at creation, as `WORKFLOW.KEY`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prerequisite_outputs: Vec<(String, Value)>,
    /// Nodes skipped by request, beside those the definition ignores.
    pub skipped: Vec<NodeName>,
    /// `overlap="allow"`: starts whatever runs.
    pub is_beyond_limit: bool,
    pub priority: i32,
    pub by: Principal,
    /// The request key of its creation.
    pub request: Option<String>,
    pub note: Option<String>,
    pub created: Timestamp,
    pub state: InstanceState,
    pub phase: Phase,
    pub marks: Marks,
    /// What it will end as; set while what still runs is being stopped.
    pub verdict: Option<Verdict>,
    /// The last one is current.
    pub generations: Vec<GenerationHead>,
    /// Of the current generation.
    pub outputs: Vec<(String, String)>,
    /// At rest: terminal for a while, kept by the store alone once that is durable.
    pub is_resting: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    Queued {
        since: Timestamp,
    },
    Running {
        since: Timestamp,
    },
    /// `started` tells whether it was running, so where it goes back to.
    Paused {
        since: Timestamp,
        started: Option<Timestamp>,
        by: Principal,
        why: Option<String>,
    },
    Done {
        end: InstanceEnd,
        at: Timestamp,
        reason: Option<StopReason>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceEnd {
    Succeeded,
    Failed,
    Killed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Main,
    Finally,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Marks {
    pub failing: bool,
    pub warnings: bool,
    pub late: bool,
    pub forced: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub end: InstanceEnd,
    pub reason: StopReason,
    pub at: Timestamp,
    /// Between TERM and KILL of what still runs; `None`: as configured.
    #[serde(default)]
    pub grace: Option<Millis>,
}

/// Why an instance came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The end node was reached.
    EndReached {
        node: NodeName,
    },
    /// Nothing is left to run and no end was reached.
    NoEnd {
        dead: Option<NodeName>,
    },
    NodeFailed {
        node: NodeName,
    },
    /// A node's timeout with `timeout-action="kill-instance"`.
    NodeTimedOut {
        node: NodeName,
    },
    /// A kill node was reached.
    KillNode {
        node: NodeName,
        message: Option<Message>,
    },
    Killed {
        by: Principal,
        why: Option<String>,
    },
    /// `overlap="replace"`: a newer fire took its place.
    Replaced {
        by: FireKey,
    },
    /// Its parameters or outputs could not be computed.
    Uncreatable {
        message: Message,
    },
    OutputFault {
        message: Message,
    },
}

impl StopReason {
    pub fn said(&self) -> Message {
        match self {
            StopReason::EndReached { node } => say!("end node {} reached", node),
            StopReason::NoEnd { dead: Some(node) } => say!("no end reached: the way ended at {}", node),
            StopReason::NoEnd { dead: None } => say!("no end reached"),
            StopReason::NodeFailed { node } => say!("node {} failed", node),
            StopReason::NodeTimedOut { node } => say!("node {} exceeded its timeout", node),
            StopReason::KillNode { node, message: Some(message) } => say!("kill node {}: {}", node, message),
            StopReason::KillNode { node, message: None } => say!("kill node {} reached", node),
            StopReason::Killed { by, why: Some(why) } => say!("killed by {}: {}", by, why),
            StopReason::Killed { by, why: None } => say!("killed by {}", by),
            StopReason::Replaced { by } => say!("replaced by a newer fire of trigger {}", &by.trigger),
            StopReason::Uncreatable { message } => say!("parameters: {}", message),
            StopReason::OutputFault { message } => say!("outputs: {}", message),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationHead {
    pub number: Generation,
    pub version: VersionNumber,
    pub plan: RerunPlan,
    pub by: Principal,
    pub opened: Timestamp,
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
    pub end: Option<InstanceEnd>,
    pub reason: Option<StopReason>,
    /// What it put out, once a later generation is the current one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<(String, String)>,
}

/// What a generation runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RerunPlan {
    /// Everything: the first generation, or a rerun of all.
    All,
    /// Nodes that succeeded or were skipped before keep what they had.
    FromFailed,
    /// This node and all behind it; others keep what they had.
    From { node: NodeName },
    /// This node alone; others keep what they had or are skipped.
    Only { node: NodeName },
}

impl InstanceEnd {
    pub fn word(self) -> InstanceWord {
        match self {
            InstanceEnd::Succeeded => InstanceWord::Succeeded,
            InstanceEnd::Failed => InstanceWord::Failed,
            InstanceEnd::Killed => InstanceWord::Killed,
        }
    }
}

impl Instance {
    pub fn word(&self) -> InstanceWord {
        match &self.state {
            InstanceState::Queued { .. } => InstanceWord::Queued,
            InstanceState::Running { .. } => InstanceWord::Running,
            InstanceState::Paused { .. } => InstanceWord::Paused,
            InstanceState::Done { end, .. } => end.word(),
        }
    }

    pub fn is_terminal(&self) -> bool {
        matches!(self.state, InstanceState::Done { .. })
    }

    /// Does it hold a place under `instance-limit`?
    pub fn is_started(&self) -> bool {
        match &self.state {
            InstanceState::Running { .. } => true,
            InstanceState::Paused { started, .. } => started.is_some(),
            InstanceState::Queued { .. } | InstanceState::Done { .. } => false,
        }
    }

    /// May its nodes be given to workers?
    pub fn is_dispatching(&self) -> bool {
        matches!(self.state, InstanceState::Running { .. }) && self.verdict.is_none()
    }

    pub fn generation(&self) -> &GenerationHead {
        self.generations.last().expect("an instance is created with its first generation")
    }

    pub fn version(&self) -> VersionNumber {
        self.generation().version
    }

    /// When it first started, over all generations.
    pub fn started(&self) -> Option<Timestamp> {
        self.generations.iter().find_map(|generation| generation.started)
    }

    pub fn finished(&self) -> Option<Timestamp> {
        match &self.state {
            InstanceState::Done { at, .. } => Some(*at),
            InstanceState::Queued { .. } | InstanceState::Running { .. } | InstanceState::Paused { .. } => None,
        }
    }

    pub fn node_ref(&self, node: crate::model::id::NodeIndex) -> NodeRef {
        NodeRef { instance: self.number, generation: self.generation().number, node }
    }
}
