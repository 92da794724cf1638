//! What the engine can be asked to do, who asks, and the answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::assignment::Outcome;
use crate::model::duration::Millis;
use crate::model::id::{
    AttemptId, Boot, ContentHash, InstanceNumber, MasterId, NodeName, Principal, SourceId, TriggerId, VersionNumber,
    WorkerId, WorkflowName,
};
use crate::model::link::{KeptLink, LinkKind};
use crate::model::message::Message;
use crate::model::schedule::Zone;
use crate::model::time::{CivilDate, Timestamp};
use crate::model::trigger::FireKey;
use crate::say;

use super::state::{Diagnostic, Forced, LogicalFile, RerunPlan, WorkerIdentity};

/// Two clocks at one moment. Wall time decides schedules, retries and timeouts; the other one, which counts on
/// while the machine sleeps and never jumps, decides liveness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    pub wall: Timestamp,
    /// Milliseconds of CLOCK_BOOTTIME.
    pub mono: Millis,
}

/// A command with the one who asks. `request` makes it once-only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    pub by: Principal,
    pub request: Option<RequestKey>,
    pub command: Command,
}

impl Envelope {
    /// A command of the scheduler itself: timers, links, watchers.
    pub fn internal(command: Command) -> Self {
        Self { by: Principal::from("engine"), request: None, command }
    }
}

/// The `Idempotency-Key` of a change and what it was used for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestKey {
    /// At most 64 printable ASCII characters.
    pub key: String,
    /// Digest of verb, target and body: another digest under the same key is refused.
    pub digest: ContentHash,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Acts on every deadline that has come, and goes on with work cut at the transition limit.
    Tick,
    /// First start of a cluster: fixes its id and its zone.
    Found {
        id: String,
        zone: Zone,
    },

    // definitions
    StoreChunk {
        hash: ContentHash,
        bytes: Vec<u8>,
    },
    /// `workflow apply`: a definition given by a person or a program. `chunks` hold a packed `Bundle`.
    ApplyDefinition {
        content: ContentHash,
        chunks: Vec<ContentHash>,
    },
    DeleteWorkflow {
        workflow: WorkflowName,
    },
    EnableWorkflow {
        workflow: WorkflowName,
        enabled: bool,
        why: Option<String>,
    },
    ResetWorkflow {
        workflow: WorkflowName,
    },
    ResetAll,

    // sources
    /// A master sees this directory; the answer says whether it is the reporter.
    OfferSource {
        source: SourceId,
        node: MasterId,
        boot: Boot,
        directory: String,
    },
    /// What a master that does not report a source sees of it: `listing_digest` of its files.
    SourceLooked {
        source: SourceId,
        node: MasterId,
        digest: u64,
    },
    /// The feature level rises to what every voter announces; `None`: it is not connected.
    FinalizeUpgrade {
        announced: BTreeMap<MasterId, Option<u32>>,
    },
    /// A master is down: what it reported is reported by another one that sees the directory.
    MasterDown {
        node: MasterId,
    },
    /// The full listing that a reporter begins with: files not in it are gone.
    SourceListed {
        report: Report,
        files: Vec<LogicalFile>,
    },
    FileSeen {
        report: Report,
        path: String,
        content: ContentHash,
        chunks: Vec<ContentHash>,
        warnings: Vec<Diagnostic>,
    },
    LoadFailed {
        report: Report,
        path: String,
        content: ContentHash,
        errors: Vec<Diagnostic>,
    },
    FileGone {
        report: Report,
        path: String,
    },
    FileMoved {
        report: Report,
        from: String,
        to: String,
    },

    // instances
    Run(RunRequest),
    Trigger(TriggerRequest),
    KillInstance {
        instance: InstanceNumber,
        why: Option<String>,
        /// Between TERM and KILL; `None`: as configured.
        grace: Option<Millis>,
    },
    PauseInstance {
        instance: InstanceNumber,
        why: Option<String>,
    },
    ResumeInstance {
        instance: InstanceNumber,
    },
    RerunInstance {
        instance: InstanceNumber,
        plan: RerunPlan,
        version: RerunVersion,
    },
    DeleteInstance {
        instance: InstanceNumber,
    },
    MarkNode {
        instance: InstanceNumber,
        node: NodeName,
        mark: Forced,
        why: String,
    },
    /// A `lost` node that waits for a person: start it again.
    RetryNode {
        instance: InstanceNumber,
        node: NodeName,
        why: String,
    },
    /// Retention: what may not go is left out of the answer.
    Trim(Expired),

    // workers
    RegisterWorker(Registration),
    /// A sign of life on a session. Never an event.
    WorkerHeard {
        worker: WorkerId,
        session: u64,
        /// How far the worker's wall clock is ahead of the master's.
        clock_off: Millis,
    },
    /// The session's link is gone.
    WorkerUnlinked {
        worker: WorkerId,
        session: u64,
    },
    AttemptStarted {
        worker: WorkerId,
        attempt: AttemptId,
        at: Timestamp,
    },
    AttemptFinished {
        worker: WorkerId,
        attempt: AttemptId,
        outcome: Outcome,
    },
    /// The worker did not take the attempt. `is_passing`: the message came at a bad moment (another session, too
    /// late) and says nothing about the attempt; else it does not have it and does not want it.
    AttemptDeclined {
        worker: WorkerId,
        attempt: AttemptId,
        reason: String,
        is_passing: bool,
    },
    /// The worker has looked in journal, sockets and by token sweep, found nothing, and left a tombstone.
    AttemptAbsent {
        worker: WorkerId,
        attempt: AttemptId,
    },
    DrainWorker {
        worker: WorkerId,
        draining: bool,
    },
    /// A person vouches that nothing of this worker runs any more.
    DeclareWorkerDead {
        worker: WorkerId,
        why: String,
    },
    /// Forgets a worker that is silent and runs nothing.
    RemoveWorker {
        worker: WorkerId,
    },

    // links
    /// `replaces`: the sealed text that this one was made from; `None`: the link is to be new.
    PutLink {
        link: Box<KeptLink>,
        replaces: Option<String>,
    },
    RemoveLink {
        kind: LinkKind,
        name: String,
    },

    // mail
    /// The mail server has it; `refused`: receivers that it does not take, and why.
    MailSent {
        mail: u64,
        refused: Vec<(String, Message)>,
    },
    /// Nobody can ever get it.
    MailRefused {
        mail: u64,
        why: Message,
    },
    /// The mail server did not take it now; it is tried again.
    MailDelayed {
        mail: u64,
        why: Message,
    },
}

/// Numbers the reports of a source's reporter from 1 per boot, so that late or repeated ones change nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub source: SourceId,
    pub node: MasterId,
    pub boot: Boot,
    pub number: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRequest {
    pub workflow: WorkflowName,
    pub params: Vec<(String, String)>,
    /// False for `run --no-defaults`: the param-list is left out.
    pub defaults: bool,
    pub nominal: Option<Timestamp>,
    pub business_date: Option<CivilDate>,
    pub version: Option<VersionNumber>,
    /// Nodes to skip in this run, beside those the definition ignores.
    pub skip: Vec<NodeName>,
    pub note: Option<String>,
}

impl RunRequest {
    pub fn of(workflow: &str) -> Self {
        Self {
            workflow: WorkflowName::from(workflow),
            params: Vec::new(),
            defaults: true,
            nominal: None,
            business_date: None,
            version: None,
            skip: Vec::new(),
            note: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerRequest {
    pub workflow: WorkflowName,
    pub params: Vec<(String, String)>,
    /// Takes the real occurrence of a trigger at that time, when one has it.
    pub nominal: Option<Timestamp>,
    /// Takes the occurrence that is for this date, when there is just one.
    pub business_date: Option<CivilDate>,
    pub trigger: Option<TriggerId>,
    pub skip: Vec<NodeName>,
    pub with_downstream: bool,
    pub note: Option<String>,
}

impl TriggerRequest {
    pub fn of(workflow: &str) -> Self {
        Self {
            workflow: WorkflowName::from(workflow),
            params: Vec::new(),
            nominal: None,
            business_date: None,
            trigger: None,
            skip: Vec::new(),
            with_downstream: false,
            note: None,
        }
    }
}

/// What the store holds beyond the bounds of retention: it alone knows the past. A batch at a time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expired {
    pub instances: Vec<InstanceNumber>,
    pub fires: Vec<FireKey>,
    pub versions: Vec<(WorkflowName, VersionNumber)>,
}

impl Expired {
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty() && self.fires.is_empty() && self.versions.is_empty()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RerunVersion {
    Same,
    Latest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    pub worker: WorkerId,
    /// Number of the link session, rising; messages of an older one are not heard.
    pub session: u64,
    pub identity: WorkerIdentity,
    pub slots: u32,
    pub labels: Vec<String>,
    /// Host name and addresses that `host="…"` matches.
    pub hosts: Vec<String>,
    pub version: String,
    /// Of attempts whose node says nothing; `None`: as the leader's settings say.
    pub lease: Option<Millis>,
    pub inventory: Vec<InventoryItem>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryItem {
    pub attempt: AttemptId,
    pub is: InventoryState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InventoryState {
    /// Journalled or running.
    Alive,
    /// Ended; its result waits in the outbox.
    Finished,
    /// Will never run here.
    Tombstone,
    /// The worker knows of it but cannot prove whether it lives: waits for a person.
    Unproven,
}

/// The answer to a command, stored with its request key so that a repeated request hears the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Done,
    /// Nothing had to change.
    Unchanged,
    Created {
        instance: InstanceNumber,
    },
    Version {
        workflow: WorkflowName,
        version: VersionNumber,
        is_new: bool,
    },
    Rerun {
        instance: InstanceNumber,
        generation: crate::model::id::Generation,
    },
    Reset {
        workflows: u32,
    },
    Trimmed {
        instances: Vec<InstanceNumber>,
    },
    /// This master reports the source (true), or only sends digests (false). Reports count from 1.
    Reporter {
        granted: bool,
    },
    Registered {
        epoch: crate::model::id::Epoch,
    },
}

/// Why a command had no effect. The engine is as it was before, but for `Internal`: then it must be dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum Rejected {
    NotFound { what: Thing, said: Message },
    Conflict { message: Message, hint: Option<Message> },
    Invalid(Message),
    DefinitionInvalid(Message),
    KeyReused,
    KeyExpired,
    NotInThisBuild(Message),
    StaleReport { expected: u64 },
    StaleSession,
    DiskFull,
    Busy { message: Message, hint: Option<Message> },
    NotLeader,
    Internal(String),
}

/// What was not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    Workflow,
    Version,
    Instance,
    Node,
    Worker,
    Trigger,
    Source,
    Link,
}

impl Rejected {
    /// The word for API and command line.
    pub fn code(&self) -> &'static str {
        match self {
            Rejected::NotFound { .. } => "not-found",
            Rejected::Conflict { .. } => "conflict",
            Rejected::Invalid(_) => "invalid",
            Rejected::DefinitionInvalid(_) => "definition-invalid",
            Rejected::KeyReused => "key-reused",
            Rejected::KeyExpired => "key-expired",
            Rejected::NotInThisBuild(_) => "not-in-this-build",
            Rejected::StaleReport { .. } => "stale-report",
            Rejected::StaleSession => "stale-session",
            Rejected::DiskFull => "disk-full",
            Rejected::Busy { .. } => "busy",
            Rejected::NotLeader => "not-leader",
            Rejected::Internal(_) => "internal",
        }
    }

    pub fn said(&self) -> Message {
        match self {
            Rejected::NotFound { said, .. } => said.clone(),
            Rejected::Conflict { message, .. } => message.clone(),
            Rejected::Invalid(message) | Rejected::DefinitionInvalid(message) | Rejected::Busy { message, .. } => {
                message.clone()
            }
            Rejected::KeyReused => say!("the request key was used for something else"),
            Rejected::KeyExpired => say!("the request key is older than the requests that are remembered"),
            Rejected::NotInThisBuild(what) => say!("{} is not in this build", what),
            Rejected::StaleReport { expected } => say!("the report is out of order (expected {})", expected),
            Rejected::StaleSession => say!("a newer session of this worker is open"),
            Rejected::DiskFull => say!("the master's disk is full: only results are accepted"),
            Rejected::NotLeader => say!("this master does not lead"),
            Rejected::Internal(what) => say!("internal error: {}", what),
        }
    }

    pub fn hint(&self) -> Option<Message> {
        match self {
            Rejected::Conflict { hint, .. } | Rejected::Busy { hint, .. } => hint.clone(),
            Rejected::KeyReused => Some(say!("use a new key for a new request")),
            Rejected::DiskFull => Some(say!("free space on the masters")),
            Rejected::NotFound { what: Thing::Workflow, .. } => Some(say!("`ractorflow workflow list` shows them all")),
            Rejected::NotFound { what: Thing::Instance, .. } => {
                Some(say!("`ractorflow instance list` shows the newest"))
            }
            Rejected::NotFound { what: Thing::Link, .. } => Some(say!("`ractorflow link list` shows them all")),
            Rejected::NotFound { .. }
            | Rejected::Invalid(_)
            | Rejected::DefinitionInvalid(_)
            | Rejected::KeyExpired
            | Rejected::NotInThisBuild(_)
            | Rejected::StaleReport { .. }
            | Rejected::StaleSession
            | Rejected::NotLeader
            | Rejected::Internal(_) => None,
        }
    }

    /// Kept by the cluster, that is: hosts may have more in their files.
    pub fn no_link(name: &str) -> Self {
        Rejected::NotFound { what: Thing::Link, said: say!("the cluster keeps no link \"{}\"", name) }
    }

    pub fn no_workflow(name: &WorkflowName) -> Self {
        Rejected::NotFound { what: Thing::Workflow, said: say!("no workflow {}", name) }
    }

    pub fn no_version(number: VersionNumber, workflow: &WorkflowName) -> Self {
        Rejected::NotFound { what: Thing::Version, said: say!("no version {} of workflow {}", number, workflow) }
    }

    pub fn no_instance(number: InstanceNumber) -> Self {
        Rejected::NotFound { what: Thing::Instance, said: say!("no instance #{}", number) }
    }

    pub fn no_node(said: Message) -> Self {
        Rejected::NotFound { what: Thing::Node, said }
    }

    pub fn no_worker(name: &WorkerId) -> Self {
        Rejected::NotFound { what: Thing::Worker, said: say!("no worker {}", name) }
    }

    pub fn no_source(id: &SourceId) -> Self {
        Rejected::NotFound { what: Thing::Source, said: say!("no source {}", id) }
    }

    pub fn busy(message: Message, hint: Message) -> Self {
        Rejected::Busy { message, hint: Some(hint) }
    }

    pub fn conflict(message: Message) -> Self {
        Rejected::Conflict { message, hint: None }
    }

    pub fn conflict_hint(message: Message, hint: Message) -> Self {
        Rejected::Conflict { message, hint: Some(hint) }
    }
}
