//! Nodes of a running instance, their attempts and the edges that leave them.
//!
//! A node without a record is `waiting`: records are made when something happens, so that a workflow of
//! 20,000 nodes costs nothing before it runs.

use serde::{Deserialize, Serialize};

use crate::model::assignment::{Outcome, OutcomeClass};
use crate::model::duration::Millis;
use crate::model::id::{Epoch, NodeName, Principal, WorkerId};
use crate::model::message::Message;
use crate::model::parameter::Value;
use crate::model::policy::ActionPolicy;
use crate::model::state::{AttemptWord, NodeWord};
use crate::model::time::Timestamp;
use crate::say;

use super::super::event::NodeRef;
use super::instance::{Instance, InstanceEnd};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub id: NodeRef,
    pub state: NodeState,
    /// When it was first ready to run; decides its place in the queue.
    pub ready: Timestamp,
    /// `${node:…}` values as resolved when it became ready; retries reuse them.
    pub inputs: Vec<(String, Value)>,
    /// The policy as rendered for this run, when the definition's holds `${…}`.
    pub policy: Option<Box<ActionPolicy>>,
    /// In order of their numbers.
    pub attempts: Vec<Attempt>,
    /// Failed attempts that cost the retry budget.
    pub failures: u32,
    /// Attempts lost with worker or infrastructure: a budget of their own.
    pub losses: u32,
    /// First start plus `timeout`; moved on by the length of pauses.
    pub deadline: Option<Timestamp>,
    /// Asked to stop; ends as this says once its attempt is down.
    pub stop: Option<Stop>,
    pub outputs: Vec<(String, String)>,
    /// The edges leaving it, in the definition's order; empty while all are open.
    pub edges: Vec<EdgeState>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    Queued {
        since: Timestamp,
    },
    Dispatched {
        number: u32,
        worker: WorkerId,
        since: Timestamp,
    },
    Running {
        owner: Owner,
        since: Timestamp,
    },
    Retrying {
        since: Timestamp,
        until: Timestamp,
    },
    /// Out of sight with its worker (`asks` false), or gone and waiting for a person.
    Lost {
        number: u32,
        worker: WorkerId,
        since: Timestamp,
        asks: bool,
    },
    Done {
        end: NodeEnd,
        at: Timestamp,
        reason: NodeReason,
        forced: bool,
    },
}

/// Who moves a running node on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    Worker { number: u32, worker: WorkerId },
    Engine { until: Timestamp },
    Child { instance: crate::model::id::InstanceNumber },
    Person { approval: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeEnd {
    Succeeded,
    Failed,
    Killed,
    TimedOut,
    Skipped(SkipReason),
    UpstreamFailed,
}

/// Decides the edges of a skipped node: `NotReached` passes death on, the others go to ok.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    Ignored,
    Condition,
    Operator,
    NotReached,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeState {
    Open,
    Taken,
    Dead(Cause),
}

/// Why an edge died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The other way was taken.
    NotTaken,
    /// The node before was not reached.
    NotReached,
    Failed,
    Killed,
}

/// Why a node ended as it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeReason {
    /// Its attempt ended so; see there.
    Attempt,
    /// A control node: it did its work by being reached.
    Passed,
    /// Every way to it is dead.
    NotReached,
    Ignored,
    Timeout,
    /// Its attempts were lost more often than `lost-retry-times`, or `on-lost` is `fail`.
    Lost,
    /// Its inputs could not be put in.
    Inputs {
        message: Message,
    },
    /// Its outputs are beyond the bounds.
    Outputs {
        message: Message,
    },
    NotBuilt {
        what: Message,
    },
    /// The instance ended.
    InstanceEnded {
        end: InstanceEnd,
    },
    Marked {
        by: Principal,
        why: String,
    },
    /// From an earlier generation.
    Kept {
        generation: crate::model::id::Generation,
    },
    /// Left out by `rerun --only`.
    LeftOut,
}

impl NodeReason {
    pub fn said(&self) -> Message {
        match self {
            NodeReason::Attempt => say!("see its last attempt"),
            NodeReason::Passed => say!("reached"),
            NodeReason::NotReached => say!("no way led here"),
            NodeReason::Ignored => say!("ignored by definition or request"),
            NodeReason::Timeout => say!("timeout over all its attempts"),
            NodeReason::Lost => say!("attempt lost with its worker"),
            NodeReason::Inputs { message } => say!("inputs: {}", message),
            NodeReason::Outputs { message } => say!("outputs: {}", message),
            NodeReason::NotBuilt { what } => say!("{} is not in this build", what),
            NodeReason::InstanceEnded { end } => say!("the instance ended: {}", end.word()),
            NodeReason::Marked { by, why } if why.is_empty() => say!("marked by {}", by),
            NodeReason::Marked { by, why } => say!("marked by {}: {}", by, why),
            NodeReason::Kept { generation } => say!("kept from generation {}", generation),
            NodeReason::LeftOut => say!("left out of a rerun of one node"),
        }
    }
}

/// A stop that was asked for while an attempt lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    pub end: NodeEnd,
    pub reason: NodeReason,
    pub at: Timestamp,
    /// Between TERM and KILL; `None`: as configured.
    #[serde(default)]
    pub grace: Option<Millis>,
}

/// What a person says a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forced {
    Succeeded,
    Skipped,
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub number: u32,
    /// 0 for a plain node.
    pub index: u32,
    pub worker: WorkerId,
    /// Which of the worker's machine boots it was sent to; an attempt of an earlier one is known dead.
    pub worker_boot: u32,
    pub epoch: Epoch,
    pub dispatched: Timestamp,
    /// On the worker's clock.
    pub started: Option<Timestamp>,
    pub state: AttemptState,
    /// A result that came after the attempt no longer counted.
    pub stale: Option<Outcome>,
    /// Its shim ends it when the worker has heard no leader for this long.
    #[serde(default)]
    pub lease: Option<Millis>,
    /// The worker could not tell what became of its processes: no lease ends them for certain.
    #[serde(default)]
    pub is_unproven: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptState {
    Dispatched,
    Running,
    Ended { end: AttemptEnd, at: Timestamp, outcome: Option<Outcome> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptEnd {
    Succeeded,
    Failed,
    Killed,
    TimedOut,
    /// Gone with worker, lease or infrastructure.
    Lost,
    /// The worker refused it and never started it.
    Declined,
}

impl AttemptEnd {
    pub fn of(class: OutcomeClass) -> Self {
        match class {
            OutcomeClass::Succeeded => AttemptEnd::Succeeded,
            OutcomeClass::Failed | OutcomeClass::Refused | OutcomeClass::OutOfMemory => AttemptEnd::Failed,
            OutcomeClass::Infrastructure => AttemptEnd::Lost,
            OutcomeClass::AttemptTimeout => AttemptEnd::TimedOut,
            OutcomeClass::Killed => AttemptEnd::Killed,
        }
    }
}

impl Attempt {
    pub fn word(&self) -> AttemptWord {
        match &self.state {
            AttemptState::Dispatched => AttemptWord::Dispatched,
            AttemptState::Running => AttemptWord::Running,
            AttemptState::Ended { end, .. } => match end {
                AttemptEnd::Succeeded => AttemptWord::Succeeded,
                AttemptEnd::Failed => AttemptWord::Failed,
                AttemptEnd::Killed => AttemptWord::Killed,
                AttemptEnd::TimedOut => AttemptWord::TimedOut,
                AttemptEnd::Lost | AttemptEnd::Declined => AttemptWord::Lost,
            },
        }
    }

    pub fn is_live(&self) -> bool {
        match &self.state {
            AttemptState::Dispatched | AttemptState::Running => true,
            AttemptState::Ended { .. } => false,
        }
    }

    pub fn ended(&self) -> Option<AttemptEnd> {
        match &self.state {
            AttemptState::Ended { end, .. } => Some(*end),
            AttemptState::Dispatched | AttemptState::Running => None,
        }
    }

    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.state {
            AttemptState::Ended { outcome, .. } => outcome.as_ref(),
            AttemptState::Dispatched | AttemptState::Running => None,
        }
    }
}

impl NodeEnd {
    pub fn word(self) -> NodeWord {
        match self {
            NodeEnd::Succeeded => NodeWord::Succeeded,
            NodeEnd::Failed => NodeWord::Failed,
            NodeEnd::Killed => NodeWord::Killed,
            NodeEnd::TimedOut => NodeWord::TimedOut,
            NodeEnd::Skipped(_) => NodeWord::Skipped,
            NodeEnd::UpstreamFailed => NodeWord::UpstreamFailed,
        }
    }
}

impl Node {
    /// The word for its state inside `instance`: what waits for a worker in a paused instance is `paused`.
    pub fn word(&self, instance: &Instance) -> NodeWord {
        let is_paused = matches!(instance.state, super::instance::InstanceState::Paused { .. })
            && instance.generation().number == self.id.generation;
        match &self.state {
            NodeState::Queued { .. } | NodeState::Retrying { .. } if is_paused => NodeWord::Paused,
            NodeState::Queued { .. } => NodeWord::Queued,
            NodeState::Dispatched { .. } => NodeWord::Dispatched,
            NodeState::Running { .. } => NodeWord::Running,
            NodeState::Retrying { .. } => NodeWord::Retrying,
            NodeState::Lost { .. } => NodeWord::Lost,
            NodeState::Done { end, .. } => end.word(),
        }
    }

    pub fn is_terminal(&self) -> bool {
        matches!(self.state, NodeState::Done { .. })
    }

    pub fn finished(&self) -> Option<Timestamp> {
        match &self.state {
            NodeState::Done { at, .. } => Some(*at),
            NodeState::Queued { .. }
            | NodeState::Dispatched { .. }
            | NodeState::Running { .. }
            | NodeState::Retrying { .. }
            | NodeState::Lost { .. } => None,
        }
    }

    /// When its first attempt started, on the worker's clock.
    pub fn started(&self) -> Option<Timestamp> {
        self.attempts.iter().find_map(|attempt| attempt.started)
    }

    /// The attempt that holds a slot and may live: at most one, always the last.
    pub fn live_attempt(&self) -> Option<&Attempt> {
        self.attempts.last().filter(|attempt| attempt.is_live())
    }

    pub fn attempt(&self, number: u32) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.number == number)
    }
}

/// The word of a node that has no record in the last generation of an instance: it waits, or it was never
/// reached before the instance ended.
pub fn unrecorded_word(instance: &Instance) -> NodeWord {
    match &instance.state {
        super::instance::InstanceState::Done { end, .. } => match end {
            InstanceEnd::Succeeded => NodeWord::Skipped,
            InstanceEnd::Failed => NodeWord::UpstreamFailed,
            InstanceEnd::Killed => NodeWord::Killed,
        },
        super::instance::InstanceState::Queued { .. }
        | super::instance::InstanceState::Running { .. }
        | super::instance::InstanceState::Paused { .. } => NodeWord::Waiting,
    }
}

/// A node's name with its record, for views.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    pub name: NodeName,
    pub kind: String,
    pub word: NodeWord,
    pub record: Option<Node>,
}
