//! What happened: the only way that state changes. Part of the stored format: a kind is never renamed or
//! removed, a new field has a serde default, a new kind raises `FEATURE_LEVEL` and has a row in
//! `EventKind::level`.

use serde::{Deserialize, Serialize};

use crate::model::assignment::Outcome;
use crate::model::duration::Millis;
use crate::model::id::{
    AttemptId, Boot, ContentHash, Epoch, Generation, InstanceNumber, MasterId, NodeIndex, Principal, SourceId,
    TriggerId, VersionNumber, WorkerId, WorkflowName,
};
use crate::model::link::{KeptLink, LinkKind};
use crate::model::measurement::Measured;
use crate::model::message::Message;
use crate::model::parameter::Value;
use crate::model::policy::ActionPolicy;
use crate::model::schedule::Zone;
use crate::model::time::Timestamp;
use crate::model::trigger::{Fact, FireKey, Subject};

use super::command::Reply;
use super::state::{
    AttemptEnd, Closure, DailyReset, Diagnostic, FileState, Fire, FireState, Instance, InstanceEnd, MailEnd, MailItem,
    NodeEnd, NodeReason, Origin, OwedMail, PendingReset, RerunPlan, Stop, StopReason, WorkerIdentity, bytes,
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Never earlier than that of any event before.
    pub at: Timestamp,
    pub kind: EventKind,
}

/// A node in one generation of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeRef {
    pub instance: InstanceNumber,
    pub generation: Generation,
    pub node: NodeIndex,
}

impl NodeRef {
    pub fn attempt(self, number: u32) -> AttemptId {
        AttemptId { instance: self.instance, generation: self.generation, node: self.node, index: 0, number }
    }
}

impl From<AttemptId> for NodeRef {
    fn from(id: AttemptId) -> Self {
        Self { instance: id.instance, generation: id.generation, node: id.node }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    // cluster
    ClusterFounded {
        id: String,
        zone: Zone,
    },
    /// Wall time moved by this much against the clock that never jumps.
    ClockJumped {
        by_ms: i64,
    },
    /// From now on events of this level may be written: every voter reads them.
    FeatureLevelRaised {
        level: u32,
    },
    RequestAnswered {
        by: Principal,
        key: String,
        digest: ContentHash,
        reply: Reply,
    },
    RequestsTrimmed {
        requests: Vec<(Principal, String)>,
    },
    AttentionRaised {
        subject: String,
        message: Message,
    },

    // definitions
    ChunkStored {
        hash: ContentHash,
        #[serde(with = "bytes")]
        bytes: Vec<u8>,
    },
    ChunksTrimmed {
        hashes: Vec<ContentHash>,
    },
    /// The bundle made of `chunks` is the newest version. Moves the high-water mark of triggers whose timing it edits.
    DefinitionAdded {
        workflow: WorkflowName,
        version: VersionNumber,
        content: ContentHash,
        chunks: Vec<ContentHash>,
        origin: Option<Origin>,
        by: Principal,
    },
    /// Where the workflow's file is now; `None`: it has none.
    OriginChanged {
        workflow: WorkflowName,
        origin: Option<Origin>,
    },
    /// The file is gone and `on-delete` says disable (`true`), or it came back (`false`).
    FileAbsenceChanged {
        workflow: WorkflowName,
        absent: bool,
    },
    EnableChanged {
        workflow: WorkflowName,
        enabled: bool,
        by: Principal,
        why: Option<String>,
    },
    WorkflowReset {
        workflow: WorkflowName,
        by: Principal,
    },
    WorkflowRemoved {
        workflow: WorkflowName,
        by: Principal,
    },
    /// Of a reset of all workflows that was asked for, some are left; `None`: no more.
    ResetMoved {
        reset: Option<PendingReset>,
    },
    /// The times of the daily reset have been seen to, or another rule holds from now on; `None`: there is none.
    DailyResetMoved {
        reset: Option<DailyReset>,
    },

    // sources
    SourceOffered {
        source: SourceId,
        node: MasterId,
        boot: Boot,
        directory: String,
    },
    SourceGranted {
        source: SourceId,
        node: Option<MasterId>,
    },
    ReportTaken {
        source: SourceId,
        number: u64,
    },
    FileRecorded {
        source: SourceId,
        path: String,
        content: ContentHash,
        workflow: Option<WorkflowName>,
        state: FileState,
        diagnostics: Vec<Diagnostic>,
    },
    FileMissed {
        source: SourceId,
        path: String,
    },
    FileForgotten {
        source: SourceId,
        path: String,
    },
    FileRenamed {
        source: SourceId,
        from: String,
        to: String,
    },

    // triggers, fires, readiness
    /// Every time of this trigger up to here has been seen to.
    TriggerAdvanced {
        workflow: WorkflowName,
        trigger: TriggerId,
        up_to: Timestamp,
    },
    /// Times in this span were missed while nobody led and are not made up for.
    FiresMissed {
        workflow: WorkflowName,
        trigger: TriggerId,
        from: Timestamp,
        to: Timestamp,
    },
    FirePlaced {
        fire: Box<Fire>,
    },
    FireSettled {
        key: FireKey,
        state: FireState,
    },
    FactRecorded {
        fact: Fact,
    },
    LatchSet {
        workflow: WorkflowName,
        fact: Fact,
    },
    LatchesCleared {
        workflow: WorkflowName,
    },
    ClosureOpened {
        closure: Box<Closure>,
    },
    ClosureStarted {
        closure: u64,
        workflow: WorkflowName,
        instance: InstanceNumber,
    },
    ClosureDone {
        closure: u64,
        workflow: WorkflowName,
    },
    ClosureEnded {
        closure: u64,
    },

    // instances
    InstanceCreated {
        instance: Box<Instance>,
    },
    InstanceStarted {
        instance: InstanceNumber,
    },
    InstancePaused {
        instance: InstanceNumber,
        by: Principal,
        why: Option<String>,
    },
    InstanceResumed {
        instance: InstanceNumber,
        by: Principal,
    },
    /// The verdict is known; what still runs is stopped first.
    InstanceStopping {
        instance: InstanceNumber,
        end: InstanceEnd,
        reason: StopReason,
        /// Between TERM and KILL; `None`: as configured.
        #[serde(default)]
        grace: Option<Millis>,
    },
    InstanceFinished {
        instance: InstanceNumber,
        end: InstanceEnd,
        reason: Option<StopReason>,
        outputs: Vec<(String, String)>,
    },
    InstanceRerun {
        instance: InstanceNumber,
        generation: Generation,
        version: VersionNumber,
        plan: RerunPlan,
        by: Principal,
    },
    /// A mark of the operator on the instance: a node was slow, a state was forced.
    InstanceMarked {
        instance: InstanceNumber,
        mark: InstanceMark,
    },

    // nodes
    /// Ready to run, with the inputs that its retries reuse.
    NodeQueued {
        node: NodeRef,
        inputs: Vec<(String, Value)>,
        policy: Option<Box<ActionPolicy>>,
    },
    /// Back in the queue after a delay, or after a start that did not come about.
    NodeRequeued {
        node: NodeRef,
    },
    NodeRetrying {
        node: NodeRef,
        until: Timestamp,
    },
    NodeStopping {
        node: NodeRef,
        stop: Stop,
    },
    /// Its timeout came and did what it does without ending the node: it does not come again.
    NodeTimeoutPassed {
        node: NodeRef,
    },
    /// Its worker is silent or cannot tell what became of the attempt (`unproven`), or the attempt is gone and a
    /// person must say what to do (`asks`).
    NodeLost {
        node: NodeRef,
        asks: bool,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unproven: bool,
    },
    /// The worker is back and still has the attempt.
    NodeFound {
        node: NodeRef,
    },
    NodeFinished {
        node: NodeRef,
        end: NodeEnd,
        reason: NodeReason,
        outputs: Vec<(String, String)>,
        forced: bool,
    },
    AttemptDispatched {
        attempt: AttemptId,
        worker: WorkerId,
        /// What its shim holds it to; `None`: it runs on without a leader.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lease: Option<Millis>,
    },
    AttemptStarted {
        attempt: AttemptId,
        started: Timestamp,
    },
    AttemptEnded {
        attempt: AttemptId,
        end: AttemptEnd,
        outcome: Option<Outcome>,
    },
    /// An attempt of a monitor came to a number. Kept beside the state, as history alone.
    Measured {
        attempt: AttemptId,
        measured: Box<Measured>,
    },
    /// The result of an attempt that no longer counts: kept as evidence, never applied.
    ResultStale {
        attempt: AttemptId,
        worker: WorkerId,
        outcome: Outcome,
    },

    // mail
    /// A mail is owed; more may be added to it until it is due.
    MailOwed {
        mail: Box<OwedMail>,
    },
    MailAdded {
        mail: u64,
        item: MailItem,
    },
    /// From here on it is handed in as it is.
    MailClosed {
        mail: u64,
    },
    MailSettled {
        mail: u64,
        end: MailEnd,
    },
    /// The mail server does not take what is owed; it is tried again.
    MailFaulted {
        why: Message,
    },

    // links
    LinkPut {
        link: Box<KeptLink>,
        by: Principal,
    },
    LinkRemoved {
        kind: LinkKind,
        name: String,
        by: Principal,
    },

    // workers
    WorkerRegistered {
        worker: WorkerId,
        identity: WorkerIdentity,
        slots: u32,
        labels: Vec<String>,
        hosts: Vec<String>,
        version: String,
        /// Of attempts whose node says nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lease: Option<Millis>,
    },
    /// The first contact of a worker with a leadership: from here on its leases may be renewed by this one.
    WorkerSeen {
        worker: WorkerId,
        epoch: Epoch,
    },
    /// `heard`: no leadership has renewed a lease of it later. Said again by a later leadership that knows less.
    WorkerSilent {
        worker: WorkerId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        heard: Option<Timestamp>,
    },
    WorkerDraining {
        worker: WorkerId,
        draining: bool,
    },
    WorkerDeclaredDead {
        worker: WorkerId,
        by: Principal,
        why: String,
    },
    WorkerRemoved {
        worker: WorkerId,
    },

    // retention
    /// Terminal for a while: live on in the store only, until a command recalls them.
    Rested {
        instances: Vec<InstanceNumber>,
        fires: Vec<FireKey>,
    },
    /// Brought back from the store, unchanged.
    InstanceRecalled {
        instance: InstanceNumber,
    },
    Trimmed {
        instances: Vec<InstanceNumber>,
        fires: Vec<FireKey>,
        facts: Vec<(Subject, crate::model::time::CivilDate)>,
        #[serde(default)]
        versions: Vec<(WorkflowName, VersionNumber)>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceMark {
    Late,
    Warnings,
    Forced,
}
