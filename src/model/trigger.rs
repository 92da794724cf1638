//! What starts a workflow by itself: the coordinator, its triggers and prerequisites.

use serde::{Deserialize, Serialize};

use super::duration::Millis;
use super::id::{InstanceNumber, TriggerId, WorkflowName};
use super::parameter::ParamDeclaration;
use super::policy::{DstFold, DstGap, Misfire, Overlap, QueueOrder};
use super::schedule::{Cron, Shift, Zone};
use super::time::{CivilDate, CivilDateTime, Timestamp};

/// `<coordinator>`: when and how a workflow starts by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coordinator {
    /// The file's wish; an operator's enable/disable overrides it until the file's value changes.
    pub is_enabled: bool,
    pub window: Window,
    /// Its own zone, else the root's, for dates of runs that no time trigger made; `None` = the cluster's.
    #[serde(default)]
    pub zone: Option<Zone>,
    pub business_date: Option<Shift>,
    pub overlap: Overlap,
    pub queue_order: QueueOrder,
    /// Pending fires and queued instances together; `None`: as configured.
    pub queue_limit: Option<u32>,
    pub misfire: MisfirePolicy,
    /// In document order; `depend-list cron=` is a trigger `cron`, `cron-2`, ….
    pub triggers: Vec<Trigger>,
    /// Latch prerequisites, all of which must be set. Document order, no name twice.
    pub prerequisites: Vec<Prerequisite>,
}

/// From `start-time` to `end-time`, both included, as instants of the zone they were written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Window {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

impl Window {
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at <= to)
    }

    /// What lies in both.
    pub fn intersect(&self, other: &Window) -> Window {
        let to = match (self.to, other.to) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Window { from: self.from.max(other.from), to }
    }
}

/// Fires found late by more than `grace` because nobody led.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MisfirePolicy {
    pub policy: Misfire,
    pub window: Millis,
    pub max: u32,
    pub grace: Millis,
}

impl Default for MisfirePolicy {
    fn default() -> Self {
        Self { policy: Misfire::Last, window: Millis(7 * 86_400_000), max: 100, grace: Millis::seconds(60) }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    pub id: TriggerId,
    pub source: TriggerSource,
    /// Its own, already intersected with the coordinator's by the reader.
    pub window: Window,
    /// Own zone, else the coordinator's, root's; `None` = the cluster's.
    pub zone: Option<Zone>,
    pub dst_gap: DstGap,
    pub dst_fold: DstFold,
    pub jitter: Millis,
    /// Values for the instances of this trigger.
    pub params: Vec<ParamDeclaration>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TriggerSource {
    /// `seconds` are the seconds of each matching minute, sorted, default `[0]`.
    Cron { cron: Cron, seconds: Vec<u32> },
    /// Fixed rate in elapsed time from `anchor` (wall time in the zone), default 2000-01-01 00:00:00.
    Every { period: Millis, anchor: Option<CivilDateTime> },
    /// Once, a wall time in the zone.
    At { at: CivilDateTime },
}

/// A leaf of `<depend-list>`: latch, set by the newest success of that workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prerequisite {
    pub workflow: WorkflowName,
}

/// Which fire of a trigger. With workflow and trigger id the unique key of a fire.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occurrence {
    /// The trigger's computed time before jitter.
    Nominal(Timestamp),
    /// Key of a posted event.
    Event(String),
    /// Latches completed for the n-th time.
    Sequence(u64),
    BusinessDate(CivilDate),
    /// Manual run or sub-workflow: the request that asked.
    Request(String),
}

/// The unique key of a fire.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FireKey {
    pub workflow: WorkflowName,
    pub trigger: TriggerId,
    pub occurrence: Occurrence,
}

/// What a fact or latch is about. One table for all of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    Workflow(WorkflowName),
    Node { workflow: WorkflowName, node: String },
    Asset(String),
    Event(String),
    File(String),
}

/// "This succeeded, for that date": what prerequisites are satisfied by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    pub subject: Subject,
    pub business_date: CivilDate,
    pub nominal: Timestamp,
    pub instance: InstanceNumber,
}

/// How an instance came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// By a trigger.
    Scheduled,
    /// By the `trigger` command.
    Triggered,
    /// By the `run` command: affects no dependants.
    Run,
    Backfill,
    /// By a sub-workflow node.
    Sub,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Kind::Scheduled => "scheduled",
            Kind::Triggered => "triggered",
            Kind::Run => "run",
            Kind::Backfill => "backfill",
            Kind::Sub => "sub",
        }
    }
}
