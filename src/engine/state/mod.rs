//! The replicated state: plain maps of aggregates, each of which the store keeps as one row.
//!
//! Reading is free; the only writers are `apply` and `apply_record` in `super::apply`. What is not logical state
//! (which rows changed, indexes that are recomputed on load, instances at rest) is left out of hash and equality.

mod aggregate;
pub mod bytes;
mod derived;
mod instance;
mod link;
mod mail;
mod node;
mod source;
mod worker;
mod workflow;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::hash;
use crate::model::id::{
    AttemptId, Boot, ContentHash, Epoch, Generation, InstanceNumber, MasterId, NodeIndex, NodeName, Principal, Seq,
    SourceId, TriggerId, VersionNumber, WorkerId, WorkflowName,
};
use crate::model::link::LinkKind;
use crate::model::schedule::Zone;
use crate::model::state::NodeWord;
use crate::model::time::{CivilDate, Timestamp};
use crate::model::trigger::{Fact, FireKey, Subject};

pub use aggregate::{Aggregate, AggregateKey};
pub(in crate::engine) use derived::Derived;
pub use derived::{Due, Graph, Placement};
pub(in crate::engine) use derived::{HeadView, QueueKey, REST_AFTER, policy};
pub use instance::{
    GenerationHead, Instance, InstanceEnd, InstanceState, Marks, Phase, RerunPlan, StopReason, Verdict,
};
pub use link::Link;
pub use mail::{MailAbout, MailEnd, MailItem, MailTrouble, OwedMail};
pub use node::{
    Attempt, AttemptEnd, AttemptState, Cause, EdgeState, Forced, Node, NodeEnd, NodeReason, NodeState, NodeView, Owner,
    SkipReason, Stop, unrecorded_word,
};
pub use source::{Attention, Chunk, Diagnostic, FileState, LogicalFile, Request, Source, SourceFile};
pub use worker::{Presence, Worker, WorkerIdentity};
pub use workflow::{
    Bundle, Closure, ClosureMember, EnableOverride, Fire, FireSkip, FireState, Latch, Origin, TriggerState, Version,
    Workflow,
};

use super::event::NodeRef;

/// What there is once per cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Empty until the cluster is founded.
    pub id: String,
    pub zone: Zone,
    pub epoch: Epoch,
    pub leader: Option<Leader>,
    pub seq: Seq,
    /// Time of the last event: the next one is never earlier.
    pub clock: Timestamp,
    pub last_instance: InstanceNumber,
    pub last_attention: u64,
    pub last_closure: u64,
    #[serde(default)]
    pub last_mail: u64,
    /// The mail server does not take what is owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail_trouble: Option<MailTrouble>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_reset: Option<DailyReset>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_reset: Option<PendingReset>,
    pub feature_level: u32,
}

/// A reset of all workflows that has not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingReset {
    /// The last one that was reset, in the order of names.
    pub after: Option<WorkflowName>,
    pub by: Principal,
}

/// The rule by which readiness begins anew, and up to when its times have been seen to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DailyReset {
    pub cron: String,
    pub up_to: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    pub node: MasterId,
    pub boot: Boot,
    pub term: u64,
}

/// Where the store's past is read from, for commands and events about instances at rest.
pub trait Archive: Send + Sync {
    /// The head and all nodes of an instance at rest.
    fn instance(&self, number: InstanceNumber) -> Option<Vec<Aggregate>>;
    /// The instance that was created under a request key.
    fn instance_by_request(&self, by: &Principal, key: &str) -> Option<InstanceNumber>;
    fn fire(&self, key: &FireKey) -> Option<Fire>;
}

/// An archive that holds nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoArchive;

impl Archive for NoArchive {
    fn instance(&self, _number: InstanceNumber) -> Option<Vec<Aggregate>> {
        None
    }

    fn instance_by_request(&self, _by: &Principal, _key: &str) -> Option<InstanceNumber> {
        None
    }

    fn fire(&self, _key: &FireKey) -> Option<Fire> {
        None
    }
}

#[derive(Clone)]
pub struct State {
    pub cluster: Cluster,
    pub workflows: BTreeMap<WorkflowName, Workflow>,
    pub versions: BTreeMap<(WorkflowName, VersionNumber), Arc<Version>>,
    pub triggers: BTreeMap<(WorkflowName, TriggerId), TriggerState>,
    pub fires: BTreeMap<FireKey, Fire>,
    pub latches: BTreeMap<(WorkflowName, Subject), Latch>,
    /// The newest of each subject and date.
    pub facts: BTreeMap<(Subject, CivilDate), Fact>,
    pub closures: BTreeMap<u64, Closure>,
    pub instances: BTreeMap<InstanceNumber, Instance>,
    pub nodes: BTreeMap<NodeRef, Node>,
    pub workers: BTreeMap<WorkerId, Worker>,
    pub sources: BTreeMap<SourceId, Source>,
    pub files: BTreeMap<(SourceId, String), SourceFile>,
    pub chunks: BTreeMap<ContentHash, Chunk>,
    pub requests: BTreeMap<(Principal, String), Request>,
    /// The newest ones.
    pub attentions: BTreeMap<u64, Attention>,
    /// Those that are owed.
    pub mails: BTreeMap<u64, OwedMail>,
    /// Those that the cluster keeps.
    pub links: BTreeMap<(LinkKind, String), Link>,

    pub(in crate::engine) derived: Derived,
    /// Rows to write; `None`: nobody drains them (the leader's own copy).
    pub(in crate::engine) dirty: Option<BTreeSet<AggregateKey>>,
    pub(in crate::engine) archive: Arc<dyn Archive>,
    /// An event was illegal here: this replica is not what the leader thinks.
    pub(in crate::engine) diverged: Option<String>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            cluster: Cluster {
                id: String::new(),
                zone: Zone::UTC,
                epoch: Epoch(0),
                leader: None,
                seq: Seq(0),
                clock: Timestamp(0),
                last_instance: InstanceNumber(0),
                last_attention: 0,
                last_closure: 0,
                last_mail: 0,
                mail_trouble: None,
                daily_reset: None,
                pending_reset: None,
                feature_level: super::entry::FEATURE_LEVEL,
            },
            workflows: BTreeMap::new(),
            versions: BTreeMap::new(),
            triggers: BTreeMap::new(),
            fires: BTreeMap::new(),
            latches: BTreeMap::new(),
            facts: BTreeMap::new(),
            closures: BTreeMap::new(),
            instances: BTreeMap::new(),
            nodes: BTreeMap::new(),
            workers: BTreeMap::new(),
            sources: BTreeMap::new(),
            files: BTreeMap::new(),
            chunks: BTreeMap::new(),
            requests: BTreeMap::new(),
            attentions: BTreeMap::new(),
            mails: BTreeMap::new(),
            links: BTreeMap::new(),
            derived: Derived::default(),
            dirty: Some(BTreeSet::new()),
            archive: Arc::new(NoArchive),
            diverged: None,
        }
    }
}

impl State {
    /// The state that rows of the store make. Those of instances and fires at rest are left out.
    pub fn from_aggregates(aggregates: impl IntoIterator<Item = Aggregate>) -> Self {
        let mut state = State::default();
        for aggregate in aggregates {
            state.insert(aggregate);
        }
        let resting: Vec<InstanceNumber> =
            state.instances.values().filter(|head| head.is_resting).map(|head| head.number).collect();
        for number in resting {
            state.instances.remove(&number);
        }
        let instances = &state.instances;
        state.nodes.retain(|id, _| instances.contains_key(&id.instance));
        state.fires.retain(|_, fire| !fire.is_resting);
        state.derived = Derived::of(&state);
        state
    }

    /// Where instances at rest are read from.
    pub fn with_archive(mut self, archive: Arc<dyn Archive>) -> Self {
        self.archive = archive;
        self
    }

    /// One row as it is now; `None`: there is no such row.
    pub fn aggregate(&self, key: &AggregateKey) -> Option<Aggregate> {
        match key {
            AggregateKey::Cluster => Some(Aggregate::Cluster(self.cluster.clone())),
            AggregateKey::Workflow(name) => self.workflows.get(name).cloned().map(Aggregate::Workflow),
            AggregateKey::Version(name, number) => {
                self.versions.get(&(name.clone(), *number)).cloned().map(Aggregate::Version)
            }
            AggregateKey::Trigger(name, id) => {
                self.triggers.get(&(name.clone(), id.clone())).cloned().map(Aggregate::Trigger)
            }
            AggregateKey::Fire(key) => self.fires.get(key).cloned().map(Aggregate::Fire),
            AggregateKey::Latch(name, subject) => {
                self.latches.get(&(name.clone(), subject.clone())).cloned().map(Aggregate::Latch)
            }
            AggregateKey::Fact(subject, date) => {
                self.facts.get(&(subject.clone(), *date)).cloned().map(Aggregate::Fact)
            }
            AggregateKey::Closure(id) => self.closures.get(id).cloned().map(Aggregate::Closure),
            AggregateKey::Instance(number) => self.instances.get(number).cloned().map(Aggregate::Instance),
            AggregateKey::Node(id) => self.nodes.get(id).cloned().map(Aggregate::Node),
            AggregateKey::Worker(name) => self.workers.get(name).cloned().map(Aggregate::Worker),
            AggregateKey::Source(id) => self.sources.get(id).cloned().map(Aggregate::Source),
            AggregateKey::File(source, path) => {
                self.files.get(&(source.clone(), path.clone())).cloned().map(Aggregate::File)
            }
            AggregateKey::Chunk(hash) => self.chunks.get(hash).cloned().map(Aggregate::Chunk),
            AggregateKey::Request(by, key) => {
                self.requests.get(&(by.clone(), key.clone())).cloned().map(Aggregate::Request)
            }
            AggregateKey::Attention(number) => self.attentions.get(number).cloned().map(Aggregate::Attention),
            AggregateKey::Mail(number) => self.mails.get(number).cloned().map(Aggregate::Mail),
            AggregateKey::Link(kind, name) => self.links.get(&(*kind, name.clone())).cloned().map(Aggregate::Link),
        }
    }

    /// The rows that changed since the last call, with what they hold now. `None`: the row is deleted; a deleted
    /// `Instance` takes all rows of its nodes with it.
    pub fn drain_dirty(&mut self) -> Vec<(AggregateKey, Option<Aggregate>)> {
        let keys = match &mut self.dirty {
            Some(dirty) => std::mem::take(dirty),
            None => return Vec::new(),
        };
        keys.into_iter()
            .map(|key| {
                let row = self.aggregate(&key);
                (key, row)
            })
            .collect()
    }

    /// How many rows wait to be drained.
    pub fn n_dirty(&self) -> usize {
        self.dirty.as_ref().map_or(0, BTreeSet::len)
    }

    /// Drops from memory the instances and fires that were at rest by `durable`, which the store holds now.
    pub fn forget_rested(&mut self, durable: Seq) {
        self.forget(|seq, _| seq <= durable);
    }

    /// As `forget_rested`, for what has been at rest since `before`.
    pub(in crate::engine) fn forget_rested_before(&mut self, before: Timestamp) {
        self.forget(|_, at| at <= before);
    }

    fn forget(&mut self, is_due: impl Fn(Seq, Timestamp) -> bool) {
        let Derived { rested_instances, rested_fires, gone_instances, .. } = &mut self.derived;
        let is_due = |(seq, at): &(Seq, Timestamp)| is_due(*seq, *at);
        let instances: Vec<InstanceNumber> =
            rested_instances.iter().filter(|(_, rest)| is_due(rest)).map(|(number, _)| *number).collect();
        rested_instances.retain(|_, rest| !is_due(rest));
        gone_instances.retain(|_, gone| !is_due(gone));
        let fires: Vec<FireKey> =
            rested_fires.iter().filter(|(_, rest)| is_due(rest)).map(|(key, _)| key.clone()).collect();
        rested_fires.retain(|_, rest| !is_due(rest));
        for number in instances {
            self.instances.remove(&number);
            let ids: Vec<NodeRef> = self.node_range(number).map(|(id, _)| *id).collect();
            for id in ids {
                self.nodes.remove(&id);
            }
        }
        for key in fires {
            self.fires.remove(&key);
        }
    }

    /// The rows of an instance at rest, unless it has been trimmed and only the store does not show it yet.
    pub(in crate::engine) fn archived(&self, number: InstanceNumber) -> Option<Vec<Aggregate>> {
        if self.derived.gone_instances.contains_key(&number) {
            return None;
        }
        self.archive.instance(number)
    }

    /// Every logical row: all but what is at rest.
    pub fn keys(&self) -> Vec<AggregateKey> {
        let mut keys = vec![AggregateKey::Cluster];
        keys.extend(self.workflows.keys().cloned().map(AggregateKey::Workflow));
        keys.extend(self.versions.keys().map(|(name, number)| AggregateKey::Version(name.clone(), *number)));
        keys.extend(self.triggers.keys().map(|(name, id)| AggregateKey::Trigger(name.clone(), id.clone())));
        keys.extend(self.fires.values().filter(|fire| !fire.is_resting).map(|f| AggregateKey::Fire(f.key.clone())));
        keys.extend(self.latches.keys().map(|(name, subject)| AggregateKey::Latch(name.clone(), subject.clone())));
        keys.extend(self.facts.keys().map(|(subject, date)| AggregateKey::Fact(subject.clone(), *date)));
        keys.extend(self.closures.keys().copied().map(AggregateKey::Closure));
        let live = |number: &InstanceNumber| self.instances.get(number).is_some_and(|head| !head.is_resting);
        keys.extend(self.instances.keys().filter(|number| live(number)).copied().map(AggregateKey::Instance));
        keys.extend(self.nodes.keys().filter(|id| live(&id.instance)).copied().map(AggregateKey::Node));
        keys.extend(self.workers.keys().cloned().map(AggregateKey::Worker));
        keys.extend(self.sources.keys().cloned().map(AggregateKey::Source));
        keys.extend(self.files.keys().map(|(source, path)| AggregateKey::File(source.clone(), path.clone())));
        keys.extend(self.chunks.keys().cloned().map(AggregateKey::Chunk));
        keys.extend(self.requests.keys().map(|(by, key)| AggregateKey::Request(by.clone(), key.clone())));
        keys.extend(self.attentions.keys().copied().map(AggregateKey::Attention));
        keys.extend(self.mails.keys().copied().map(AggregateKey::Mail));
        keys.extend(self.links.keys().map(|(kind, name)| AggregateKey::Link(*kind, name.clone())));
        keys
    }

    /// Equal states have equal hashes, on every machine and build. Versions count by their content hash.
    pub fn hash(&self) -> u64 {
        let mut sum = 0_u64;
        for key in self.keys() {
            let row = match &key {
                AggregateKey::Version(name, number) => {
                    let content = self.versions.get(&(name.clone(), *number)).map(|version| version.content.clone());
                    encode(&content)
                }
                _ => encode(&self.aggregate(&key)),
            };
            sum = hash::fixed(&[&sum.to_le_bytes(), &encode(&key), &row]);
        }
        sum
    }

    /// The first row in which two states differ.
    pub fn difference(&self, other: &State) -> Option<AggregateKey> {
        let (mine, theirs) = (self.keys(), other.keys());
        for (a, b) in mine.iter().zip(&theirs) {
            if a != b {
                return Some(a.min(b).clone());
            }
            if self.aggregate(a) != other.aggregate(b) {
                return Some(a.clone());
            }
        }
        let common = mine.len().min(theirs.len());
        mine.get(common).or_else(|| theirs.get(common)).cloned()
    }

    /// Why this replica may not lead, when an event was illegal here.
    pub fn diverged(&self) -> Option<&str> {
        self.diverged.as_deref()
    }

    fn insert(&mut self, aggregate: Aggregate) {
        match aggregate {
            Aggregate::Cluster(cluster) => self.cluster = cluster,
            Aggregate::Workflow(row) => drop(self.workflows.insert(row.name.clone(), row)),
            Aggregate::Version(row) => drop(self.versions.insert((row.workflow.clone(), row.number), row)),
            Aggregate::Trigger(row) => drop(self.triggers.insert((row.workflow.clone(), row.id.clone()), row)),
            Aggregate::Fire(row) => drop(self.fires.insert(row.key.clone(), row)),
            Aggregate::Latch(row) => {
                drop(self.latches.insert((row.workflow.clone(), row.fact.subject.clone()), row));
            }
            Aggregate::Fact(row) => drop(self.facts.insert((row.subject.clone(), row.business_date), row)),
            Aggregate::Closure(row) => drop(self.closures.insert(row.id, row)),
            Aggregate::Instance(row) => drop(self.instances.insert(row.number, row)),
            Aggregate::Node(row) => drop(self.nodes.insert(row.id, row)),
            Aggregate::Worker(row) => drop(self.workers.insert(row.name.clone(), row)),
            Aggregate::Source(row) => drop(self.sources.insert(row.id.clone(), row)),
            Aggregate::File(row) => drop(self.files.insert((row.source.clone(), row.path.clone()), row)),
            Aggregate::Chunk(row) => drop(self.chunks.insert(row.hash.clone(), row)),
            Aggregate::Request(row) => drop(self.requests.insert((row.by.clone(), row.key.clone()), row)),
            Aggregate::Attention(row) => drop(self.attentions.insert(row.number, row)),
            Aggregate::Mail(row) => drop(self.mails.insert(row.number, row)),
            Aggregate::Link(row) => drop(self.links.insert((row.link.kind, row.link.name.clone()), row)),
        }
    }
}

/// What views ask most.
impl State {
    /// A workflow that is not deleted.
    pub fn workflow(&self, name: &WorkflowName) -> Option<&Workflow> {
        self.workflows.get(name).filter(|workflow| workflow.removed.is_none())
    }

    pub fn version(&self, name: &WorkflowName, number: VersionNumber) -> Option<&Arc<Version>> {
        self.versions.get(&(name.clone(), number))
    }

    pub fn current_version(&self, name: &WorkflowName) -> Option<&Arc<Version>> {
        self.workflow(name).and_then(|workflow| self.version(name, workflow.current))
    }

    /// Does it fire by itself? The override before the file's wish; never while its file is absent.
    pub fn is_enabled(&self, name: &WorkflowName) -> bool {
        let Some(workflow) = self.workflow(name) else { return false };
        let Some(coordinator) = self.current_version(name).and_then(|v| v.definition().coordinator.as_ref()) else {
            return false;
        };
        !workflow.is_file_absent && workflow.enabled_override.as_ref().map_or(coordinator.is_enabled, |o| o.enabled)
    }

    /// Live instances of a workflow: those that have started, and all.
    pub fn n_live(&self, name: &WorkflowName) -> (usize, usize) {
        let live = self.derived.live_instances.get(name).map_or(0, BTreeSet::len);
        (self.derived.n_started(name), live)
    }

    /// The newest instance in memory, of one workflow or of all.
    pub fn newest(&self, workflow: Option<&WorkflowName>) -> Option<InstanceNumber> {
        let is_of = |head: &&Instance| workflow.is_none_or(|name| head.workflow == *name);
        self.instances.values().rev().find(is_of).map(|head| head.number)
    }

    /// Attempts that hold slots of a worker.
    pub fn attempts_on(&self, worker: &WorkerId) -> impl ExactSizeIterator<Item = &AttemptId> {
        static NONE: BTreeSet<AttemptId> = BTreeSet::new();
        self.derived.attempts.get(worker).unwrap_or(&NONE).iter()
    }

    pub fn used_slots(&self, worker: &WorkerId) -> u32 {
        self.derived.used_slots(worker)
    }

    /// The version that an instance's last generation runs.
    pub fn version_of(&self, instance: &Instance) -> Option<&Arc<Version>> {
        self.version(&instance.workflow, instance.version())
    }

    /// All recorded nodes of an instance, every generation.
    pub fn node_range(&self, instance: InstanceNumber) -> impl Iterator<Item = (&NodeRef, &Node)> {
        let from = NodeRef { instance, generation: Generation(0), node: NodeIndex(0) };
        let to = NodeRef { instance, generation: Generation(u32::MAX), node: NodeIndex(u32::MAX) };
        self.nodes.range(from..=to)
    }

    /// The recorded nodes of one generation.
    pub fn nodes_of(&self, instance: InstanceNumber, generation: Generation) -> impl Iterator<Item = &Node> {
        let from = NodeRef { instance, generation, node: NodeIndex(0) };
        let to = NodeRef { instance, generation, node: NodeIndex(u32::MAX) };
        self.nodes.range(from..=to).map(|(_, node)| node)
    }

    /// Every node of an instance's last generation, recorded or not, in document order.
    pub fn node_views(&self, instance: &Instance) -> Vec<NodeView> {
        let Some(version) = self.version_of(instance) else { return Vec::new() };
        let generation = instance.generation().number;
        version
            .definition()
            .nodes
            .iter()
            .enumerate()
            .map(|(at, node)| {
                let id = NodeRef { instance: instance.number, generation, node: NodeIndex(at as u32) };
                let record = self.nodes.get(&id).cloned();
                NodeView {
                    name: node.name.clone(),
                    kind: node.kind.word().to_owned(),
                    word: record.as_ref().map_or_else(|| unrecorded_word(instance), |record| record.word(instance)),
                    record,
                }
            })
            .collect()
    }

    pub fn node_word(&self, instance: &Instance, node: NodeIndex) -> NodeWord {
        match self.nodes.get(&instance.node_ref(node)) {
            Some(record) => record.word(instance),
            None => unrecorded_word(instance),
        }
    }

    pub fn node_name(&self, id: NodeRef) -> Option<NodeName> {
        let head = self.instances.get(&id.instance)?;
        let generation = head.generations.iter().find(|generation| generation.number == id.generation)?;
        let version = self.version(&head.workflow, generation.version)?;
        version.definition().nodes.get(id.node.at()).map(|node| node.name.clone())
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.difference(other).is_none()
    }
}

impl Eq for State {}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("cluster", &self.cluster)
            .field("workflows", &self.workflows.len())
            .field("instances", &self.instances)
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec(value).expect("plain data always encodes")
}
