//! Indexes over the state: recomputed on load, kept up with each change, never stored, hashed or compared.
//!
//! Every change of a row goes `remove from indexes, change, add again` (`super::super::apply`), so an index can
//! only be wrong if `of` is too; the invariant `derived` compares both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::definition::{Definition, NodeKind};
use crate::model::duration::Millis;
use crate::model::id::{
    AttemptId, ContentHash, EdgeIndex, InstanceNumber, NodeIndex, Principal, Seq, SourceId, VersionNumber, WorkerId,
    WorkflowName,
};
use crate::model::policy::ActionPolicy;
use crate::model::time::{CivilDate, Timestamp};
use crate::model::trigger::{FireKey, Subject};

use super::super::event::NodeRef;
use super::{
    Cause, Chunk, EdgeState, Fire, Instance, InstanceState, Node, NodeState, OwedMail, Owner, Request, SourceFile,
    State, Version,
};

/// Terminal instances and settled fires stay in memory this long.
pub(in crate::engine) const REST_AFTER: Millis = Millis::seconds(60);
/// Pieces of a definition that no version names are dropped after this.
const CHUNK_KEPT: Millis = Millis::seconds(3600);
/// Facts are kept this long.
const FACT_KEPT: Millis = Millis::seconds(400 * 86_400);

/// Something that happens by itself at an instant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    Retry(NodeRef),
    NodeTimeout(NodeRef),
    RestFire(FireKey),
    TrimChunk(ContentHash),
    TrimFact(Subject, CivilDate),
    CloseMail(u64),
}

/// What a worker must have to run a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placement {
    pub host: Option<String>,
    pub labels: Vec<String>,
    pub slots: u32,
}

impl Placement {
    pub fn of(policy: &ActionPolicy) -> Self {
        Self { host: policy.host.clone(), labels: policy.workers.clone(), slots: policy.slots }
    }
}

/// Order of the queue: higher priority, earlier nominal time, earlier ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueKey {
    /// Negated, so that the smallest key is first.
    pub priority: i32,
    pub nominal: Timestamp,
    pub ready: Timestamp,
    pub node: NodeRef,
}

/// Edges of one version by node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    pub out: Vec<Vec<EdgeIndex>>,
    pub into: Vec<Vec<EdgeIndex>>,
}

impl Graph {
    pub fn of(definition: &Definition) -> Self {
        let n = definition.nodes.len();
        let mut graph = Graph { out: vec![Vec::new(); n], into: vec![Vec::new(); n] };
        for (at, edge) in definition.edges.iter().enumerate() {
            graph.out[edge.from.at()].push(EdgeIndex(at as u32));
            graph.into[edge.to.at()].push(EdgeIndex(at as u32));
        }
        graph
    }

    /// The nodes that can be reached from `node`, itself included.
    pub fn behind(&self, definition: &Definition, node: NodeIndex) -> BTreeSet<NodeIndex> {
        let mut seen = BTreeSet::from([node]);
        let mut todo = vec![node];
        while let Some(node) = todo.pop() {
            for edge in &self.out[node.at()] {
                let to = definition.edges[edge.at()].to;
                if seen.insert(to) {
                    todo.push(to);
                }
            }
        }
        seen
    }
}

/// How many edges into a node are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arrivals {
    pub taken: u32,
    pub dead: u32,
    /// Of the dead ones, those that died of a failure.
    pub failed: u32,
}

/// Where a running generation stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Walk {
    pub arrivals: Vec<Arrivals>,
    /// Bytes of the outputs of its nodes.
    pub output_bytes: usize,
    /// Recorded and not done.
    pub live: BTreeSet<NodeIndex>,
    /// Not recorded, and their way in is decided: the next to look at.
    pub actionable: BTreeSet<NodeIndex>,
}

#[derive(Debug, Clone, Default)]
pub struct Derived {
    pub graphs: BTreeMap<(WorkflowName, VersionNumber), Arc<Graph>>,
    pub walks: BTreeMap<InstanceNumber, Walk>,
    pub deadlines: BTreeSet<(Timestamp, Due)>,
    pub queue: BTreeMap<Placement, BTreeSet<QueueKey>>,
    /// By negated priority, then age.
    pub queued_instances: BTreeMap<WorkflowName, BTreeSet<(i32, InstanceNumber)>>,
    pub started_instances: BTreeMap<WorkflowName, BTreeSet<InstanceNumber>>,
    pub live_instances: BTreeMap<WorkflowName, BTreeSet<InstanceNumber>>,
    /// Live instances of all workflows.
    pub n_live: usize,
    /// Live attempts by worker.
    pub attempts: BTreeMap<WorkerId, BTreeSet<AttemptId>>,
    /// What those weigh together.
    pub used_slots: BTreeMap<WorkerId, u32>,
    pub pending_fires: BTreeMap<WorkflowName, BTreeSet<(Timestamp, FireKey)>>,
    /// Files that kept versions name, by content: how many name it, and its length.
    pub attached: BTreeMap<ContentHash, (usize, u64)>,
    /// Files by the workflow that they define.
    pub files: BTreeMap<WorkflowName, BTreeSet<(SourceId, String)>>,
    /// Who has this workflow as prerequisite, by current definitions.
    pub dependants: BTreeMap<WorkflowName, BTreeSet<WorkflowName>>,
    /// Files that are gone, by when that was seen. When they count as deleted is the leader's to say.
    pub missing_files: BTreeSet<(Timestamp, SourceId, String)>,
    /// Mails that take more, by their receivers.
    pub open_mails: BTreeMap<Vec<String>, u64>,
    /// Mails that the mail server has not taken yet, oldest first. How long they are kept is the leader's to say.
    pub closed_mails: BTreeSet<(Timestamp, u64)>,
    /// Answered requests of each principal, oldest first, and of all. How long they are kept is the leader's to say.
    pub requests: BTreeMap<Principal, BTreeSet<(Timestamp, String)>>,
    pub answered: BTreeSet<(Timestamp, Principal, String)>,
    /// Ended and not at rest, oldest end first. How many stay is the leader's to say.
    pub ended_instances: BTreeSet<(Timestamp, InstanceNumber)>,
    /// At rest but still in memory, with the event that put them to rest.
    pub rested_instances: BTreeMap<InstanceNumber, (Seq, Timestamp)>,
    pub rested_fires: BTreeMap<FireKey, (Seq, Timestamp)>,
    /// Trimmed, but perhaps in the store still: not to be brought back from there.
    pub gone_instances: BTreeMap<InstanceNumber, (Seq, Timestamp)>,
}

/// What of an instance's head decides the indexes of its nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadView {
    pub generation: crate::model::id::Generation,
    pub is_dispatching: bool,
    pub is_paused: bool,
    pub is_resting: bool,
    pub priority: i32,
    pub nominal: Timestamp,
}

impl HeadView {
    pub fn of(head: &Instance) -> Self {
        Self {
            generation: head.generation().number,
            is_dispatching: head.is_dispatching(),
            is_paused: matches!(head.state, InstanceState::Paused { .. }),
            is_resting: head.is_resting,
            priority: head.priority,
            nominal: head.nominal,
        }
    }
}

impl Derived {
    /// All indexes, from the rows alone.
    pub fn of(state: &State) -> Self {
        let mut derived = Derived::default();
        for ((workflow, number), version) in &state.versions {
            derived.graphs.insert((workflow.clone(), *number), Arc::new(Graph::of(version.definition())));
            derived.attached(version, true);
        }
        for workflow in state.workflows.values() {
            if let Some(version) = state.current_version(&workflow.name) {
                derived.prerequisites(version, true);
            }
        }
        state.fires.values().for_each(|fire| derived.fire(fire, true));
        state.files.values().for_each(|file| derived.file(file, true));
        state.chunks.values().for_each(|chunk| derived.chunk(chunk, true));
        state.requests.values().for_each(|request| derived.request(request, true));
        state.mails.values().for_each(|mail| derived.mail(mail, true));
        for ((subject, date), fact) in &state.facts {
            derived.fact(subject, *date, fact.nominal, true);
        }
        for head in state.instances.values() {
            derived.head(head, true);
            derived.open_walk(head, state.version_of(head), &state.nodes);
        }
        for node in state.nodes.values() {
            let Some(head) = state.instances.get(&node.id.instance) else { continue };
            if let Some(version) = state.version_of(head) {
                derived.node(node, HeadView::of(head), version, &state.nodes, true);
            }
        }
        derived
    }

    /// Do both say the same of the rows? Graphs and rest are caches, not statements.
    pub fn says_the_same(&self, other: &Derived) -> Result<(), &'static str> {
        let checks = [
            ("walks", self.walks == other.walks),
            ("deadlines", self.deadlines == other.deadlines),
            ("queue", self.queue == other.queue),
            ("queued instances", self.queued_instances == other.queued_instances),
            ("started instances", self.started_instances == other.started_instances),
            ("live instances", self.live_instances == other.live_instances),
            ("number of live instances", self.n_live == other.n_live),
            ("ended instances", self.ended_instances == other.ended_instances),
            ("attempts", self.attempts == other.attempts),
            ("used slots", self.used_slots == other.used_slots),
            ("pending fires", self.pending_fires == other.pending_fires),
            ("files", self.files == other.files),
            ("attached files", self.attached == other.attached),
            ("dependants", self.dependants == other.dependants),
            ("requests", self.requests == other.requests && self.answered == other.answered),
            ("missing files", self.missing_files == other.missing_files),
            ("mails", self.open_mails == other.open_mails && self.closed_mails == other.closed_mails),
        ];
        checks.iter().find(|(_, same)| !same).map_or(Ok(()), |(what, _)| Err(*what))
    }

    pub fn graph(&self, workflow: &WorkflowName, version: VersionNumber) -> Option<&Arc<Graph>> {
        self.graphs.get(&(workflow.clone(), version))
    }

    pub fn used_slots(&self, worker: &WorkerId) -> u32 {
        self.used_slots.get(worker).copied().unwrap_or(0)
    }

    pub fn n_started(&self, workflow: &WorkflowName) -> usize {
        self.started_instances.get(workflow).map_or(0, BTreeSet::len)
    }

    pub fn n_queued(&self, workflow: &WorkflowName) -> usize {
        self.queued_instances.get(workflow).map_or(0, BTreeSet::len)
    }

    pub fn n_pending(&self, workflow: &WorkflowName) -> usize {
        self.pending_fires.get(workflow).map_or(0, BTreeSet::len)
    }

    pub fn attached(&mut self, version: &Version, add: bool) {
        for file in &version.bundle.files {
            let (n_naming, _) = self.attached.entry(file.hash.clone()).or_insert((0, file.bytes));
            if add {
                *n_naming += 1;
            } else if *n_naming > 1 {
                *n_naming -= 1;
            } else {
                self.attached.remove(&file.hash);
            }
        }
    }

    pub fn prerequisites(&mut self, version: &Version, add: bool) {
        let Some(coordinator) = &version.definition().coordinator else { return };
        for prerequisite in &coordinator.prerequisites {
            change(&mut self.dependants, &prerequisite.workflow, version.workflow.clone(), add);
        }
    }

    pub fn fire(&mut self, fire: &Fire, add: bool) {
        if fire.is_resting {
            return;
        }
        match fire.state.settled() {
            None => change(&mut self.pending_fires, &fire.key.workflow, (fire.due, fire.key.clone()), add),
            Some(at) => self.due(at.plus_ms(REST_AFTER.0), Due::RestFire(fire.key.clone()), add),
        }
    }

    pub fn file(&mut self, file: &SourceFile, add: bool) {
        if let Some(workflow) = &file.workflow {
            change(&mut self.files, workflow, (file.source.clone(), file.path.clone()), add);
        }
        if let Some(missing) = file.missing {
            let key = (missing, file.source.clone(), file.path.clone());
            if add {
                self.missing_files.insert(key)
            } else {
                self.missing_files.remove(&key)
            };
        }
    }

    pub fn chunk(&mut self, chunk: &Chunk, add: bool) {
        self.due(chunk.stored.plus_ms(CHUNK_KEPT.0), Due::TrimChunk(chunk.hash.clone()), add);
    }

    pub fn request(&mut self, request: &Request, add: bool) {
        change(&mut self.requests, &request.by, (request.at, request.key.clone()), add);
        let key = (request.at, request.by.clone(), request.key.clone());
        if add {
            self.answered.insert(key)
        } else {
            self.answered.remove(&key)
        };
    }

    pub fn mail(&mut self, mail: &OwedMail, add: bool) {
        if !mail.is_closed {
            self.due(mail.due, Due::CloseMail(mail.number), add);
        }
        match (mail.is_closed, add) {
            (false, true) => drop(self.open_mails.insert(mail.to.clone(), mail.number)),
            (false, false) => drop(self.open_mails.remove(&mail.to)),
            (true, true) => drop(self.closed_mails.insert((mail.opened, mail.number))),
            (true, false) => drop(self.closed_mails.remove(&(mail.opened, mail.number))),
        }
    }

    pub fn fact(&mut self, subject: &Subject, date: CivilDate, nominal: Timestamp, add: bool) {
        self.due(nominal.plus_ms(FACT_KEPT.0), Due::TrimFact(subject.clone(), date), add);
    }

    pub fn head(&mut self, head: &Instance, add: bool) {
        if head.is_resting {
            return;
        }
        match &head.state {
            InstanceState::Queued { .. } => {
                change(&mut self.queued_instances, &head.workflow, (-head.priority, head.number), add);
            }
            InstanceState::Done { at, .. } => {
                if add {
                    self.ended_instances.insert((*at, head.number))
                } else {
                    self.ended_instances.remove(&(*at, head.number))
                };
            }
            InstanceState::Running { .. } | InstanceState::Paused { .. } => {}
        }
        if head.is_started() {
            change(&mut self.started_instances, &head.workflow, head.number, add);
        }
        if !head.is_terminal() {
            change(&mut self.live_instances, &head.workflow, head.number, add);
            self.n_live = if add { self.n_live + 1 } else { self.n_live.saturating_sub(1) };
        }
    }

    /// Makes or drops the walk of an instance after its head changed.
    pub fn open_walk(&mut self, head: &Instance, version: Option<&Arc<Version>>, nodes: &BTreeMap<NodeRef, Node>) {
        let Some(version) = version.filter(|_| head.is_started()) else {
            self.walks.remove(&head.number);
            return;
        };
        let definition = version.definition();
        self.walks.entry(head.number).or_insert_with(|| {
            let start = head.node_ref(definition.start);
            Walk {
                arrivals: vec![Arrivals::default(); definition.nodes.len()],
                output_bytes: 0,
                live: BTreeSet::new(),
                actionable: (!nodes.contains_key(&start)).then_some(definition.start).into_iter().collect(),
            }
        });
    }

    /// Adds or removes what one node's record says. `nodes` tells which others are recorded.
    pub fn node(&mut self, node: &Node, head: HeadView, version: &Version, nodes: &BTreeMap<NodeRef, Node>, add: bool) {
        if node.id.generation != head.generation || head.is_resting {
            return;
        }
        self.timing(node, head, version, add);
        if let Some(attempt) = node.live_attempt() {
            let id = node.id.attempt(attempt.number);
            let slots = policy(node, version).map_or(1, |policy| policy.slots);
            change(&mut self.attempts, &attempt.worker, id, add);
            let used = self.used_slots.entry(attempt.worker.clone()).or_default();
            *used = if add { used.saturating_add(slots) } else { used.saturating_sub(slots) };
            if *used == 0 {
                self.used_slots.remove(&attempt.worker);
            }
        }
        let key = (version.workflow.clone(), version.number);
        let (Some(walk), Some(graph)) = (self.walks.get_mut(&node.id.instance), self.graphs.get(&key)) else {
            return;
        };
        walk.actionable.remove(&node.id.node);
        if node.is_terminal() {
            walk.live.remove(&node.id.node);
        } else if add {
            walk.live.insert(node.id.node);
        } else {
            walk.live.remove(&node.id.node);
        }
        let bytes: usize = node.outputs.iter().map(|(name, value)| name.len() + value.len()).sum();
        walk.output_bytes = if add { walk.output_bytes + bytes } else { walk.output_bytes.saturating_sub(bytes) };
        let definition = version.definition();
        for (edge, state) in graph.out[node.id.node.at()].iter().zip(&node.edges) {
            let to = definition.edges[edge.at()].to;
            let arrivals = &mut walk.arrivals[to.at()];
            let step = |n: &mut u32| *n = if add { *n + 1 } else { n.saturating_sub(1) };
            match state {
                EdgeState::Open => continue,
                EdgeState::Taken => step(&mut arrivals.taken),
                EdgeState::Dead(cause) => {
                    step(&mut arrivals.dead);
                    if *cause == Cause::Failed {
                        step(&mut arrivals.failed);
                    }
                }
            }
            let arrivals = *arrivals;
            let is_recorded = nodes.contains_key(&NodeRef { node: to, ..node.id });
            if !is_recorded && is_decided(&definition.node(to).kind, arrivals, graph.into[to.at()].len()) {
                walk.actionable.insert(to);
            } else {
                walk.actionable.remove(&to);
            }
        }
    }

    /// The part of `node` that depends on the head: its place in the queue and its deadlines.
    pub fn timing(&mut self, node: &Node, head: HeadView, version: &Version, add: bool) {
        if node.id.generation != head.generation || head.is_resting {
            return;
        }
        match &node.state {
            NodeState::Queued { .. } if head.is_dispatching => {
                let placement = policy(node, version).map(Placement::of).unwrap_or(Placement {
                    host: None,
                    labels: Vec::new(),
                    slots: 1,
                });
                let key =
                    QueueKey { priority: -head.priority, nominal: head.nominal, ready: node.ready, node: node.id };
                change(&mut self.queue, &placement, key, add);
            }
            NodeState::Retrying { until, .. } => self.due(*until, Due::Retry(node.id), add),
            NodeState::Running { owner: Owner::Engine { until }, .. } => self.due(*until, Due::Retry(node.id), add),
            NodeState::Queued { .. }
            | NodeState::Dispatched { .. }
            | NodeState::Running { .. }
            | NodeState::Lost { .. }
            | NodeState::Done { .. } => {}
        }
        let is_waiting = head.is_paused && node.live_attempt().is_none();
        if let Some(deadline) = node.deadline.filter(|_| !node.is_terminal() && node.stop.is_none() && !is_waiting) {
            self.due(deadline, Due::NodeTimeout(node.id), add);
        }
    }

    fn due(&mut self, at: Timestamp, what: Due, add: bool) {
        if add {
            self.deadlines.insert((at, what));
        } else {
            self.deadlines.remove(&(at, what));
        }
    }
}

/// The policy of an action's record: as rendered for this run, else the definition's.
pub fn policy<'a>(node: &'a Node, version: &'a Version) -> Option<&'a ActionPolicy> {
    if let Some(policy) = &node.policy {
        return Some(policy);
    }
    match &version.definition().nodes.get(node.id.node.at())?.kind {
        NodeKind::Action(action) => Some(&action.policy),
        NodeKind::Start | NodeKind::End | NodeKind::Fork | NodeKind::Join | NodeKind::Kill { .. } => None,
    }
}

/// Is it known what becomes of a node: does it run, or can nothing reach it any more?
fn is_decided(kind: &NodeKind, arrivals: Arrivals, n_into: usize) -> bool {
    let resolved = (arrivals.taken + arrivals.dead) as usize;
    match kind {
        NodeKind::Start => true,
        NodeKind::Join => resolved == n_into,
        NodeKind::End | NodeKind::Fork | NodeKind::Kill { .. } | NodeKind::Action(_) => {
            arrivals.taken > 0 || resolved == n_into
        }
    }
}

fn change<K: Ord + Clone, V: Ord>(index: &mut BTreeMap<K, BTreeSet<V>>, key: &K, value: V, add: bool) {
    if add {
        index.entry(key.clone()).or_default().insert(value);
    } else if let Some(values) = index.get_mut(key) {
        values.remove(&value);
        if values.is_empty() {
            index.remove(key);
        }
    }
}
