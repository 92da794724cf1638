//! One instance as readers see it: heads, nodes and attempts of the state, with the names of its definition.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::window::Outline;
use crate::api::{
    ApiError, EdgeView, ErrorCode, Focus, GenerationView, InstanceSummary, InstanceView, NodePick, NodeView,
    NodeWindow, ParamView, StateCount, Time, WhyView,
};
use crate::engine::state::{EdgeState, GenerationHead, Instance, InstanceState, Node, RerunPlan, unrecorded_word};
use crate::model::definition::Definition;
use crate::model::id::NodeIndex;
use crate::model::message::Message;
use crate::model::parameter::{Origin, Value};
use crate::model::state::{InstanceWord, NodeWord};
use crate::model::time::Timestamp;
use crate::say;
use crate::store::query::NodeTally;

use super::node::{node_message, outputs};

/// Attempts shown of each node of a window, and of a node that is asked for alone.
const ATTEMPTS_MAX: usize = 100;
const ATTEMPTS_ALONE_MAX: usize = 500;
const GENERATIONS_MAX: usize = 200;
const EPOCHS_MAX: usize = 100;

/// An instance with what is needed to show one generation of it. Made once, from all its records: what is asked of
/// it afterwards looks at a window of them.
pub struct Shown<'a> {
    instance: &'a Instance,
    generation: &'a GenerationHead,
    pub(super) definition: &'a Definition,
    /// The records of that generation, by node.
    pub(super) nodes: Vec<Option<&'a Node>>,
    pub(super) words: Vec<NodeWord>,
    pub(super) now: Timestamp,
}

impl<'a> Shown<'a> {
    pub fn new(
        instance: &'a Instance,
        generation: &'a GenerationHead,
        definition: &'a Definition,
        records: impl Iterator<Item = &'a Node>,
        now: Timestamp,
    ) -> Self {
        let mut nodes = vec![None; definition.nodes.len()];
        for record in records.filter(|record| record.id.generation == generation.number) {
            if let Some(place) = nodes.get_mut(record.id.node.at()) {
                *place = Some(record);
            }
        }
        let unrecorded = match instance.generation().number == generation.number {
            true => unrecorded_word(instance),
            false => generation.end.map_or(NodeWord::Waiting, |_| NodeWord::Skipped),
        };
        let words = nodes.iter().map(|node| node.map_or(unrecorded, |node| node.word(instance))).collect();
        Self { instance, generation, definition, nodes, words, now }
    }

    fn records(&self) -> impl Iterator<Item = &'a Node> {
        self.nodes.iter().copied().flatten()
    }

    /// What the nodes add up to.
    fn tally(&self) -> Tally {
        let mut counts: BTreeMap<NodeWord, u32> = BTreeMap::new();
        self.words.iter().for_each(|word| *counts.entry(*word).or_default() += 1);
        let running = self.words.iter().enumerate().filter(|(_, word)| **word == NodeWord::Running);
        let is_failure = |at: &usize| matches!(self.words[*at], NodeWord::Failed | NodeWord::TimedOut);
        let failed = (0..self.nodes.len()).filter(is_failure).find_map(|at| self.nodes[at]);
        Tally {
            counts,
            now_on: running.take(3).map(|(at, _)| self.definition.nodes[at].name.to_string()).collect(),
            failure: failed.and_then(node_message),
        }
    }

    pub fn summary(&self, usual_ms: Option<i64>) -> InstanceSummary {
        summary(self.instance, self.generation, self.definition.nodes.len(), self.tally(), usual_ms, self.now)
    }

    /// The nodes as a choice among them sees them.
    fn outline(&self) -> Outline<'_> {
        let begun = self.nodes.iter().map(|node| node.is_some_and(has_attempts)).collect();
        Outline { words: self.words.clone(), begun, ..outline(self.definition) }
    }

    /// `why` says of a node that is not done what holds it.
    pub fn view(
        &self,
        extras: Extras,
        window: &NodeWindow,
        why: impl Fn(NodeIndex) -> Option<WhyView>,
    ) -> Result<InstanceView, ApiError> {
        let choice = self.outline().choose(window)?;
        let critical = self.critical_path();
        let attempts_max = match &window.pick {
            NodePick::Named(names) if names.len() == 1 => ATTEMPTS_ALONE_MAX,
            _ => ATTEMPTS_MAX,
        };
        let node = |at: usize| {
            let mut view = self.node(NodeIndex(at as u32), critical[at], attempts_max);
            if !view.state.is_terminal() {
                view.why = why(NodeIndex(at as u32));
            }
            view
        };
        let focus = self.focus(&window.focus)?.map(|at| Box::new(node(at)));
        let edges = self.edge_states(choice.positions());
        let filled = choice.fill(node, |at| {
            let state = edges.get(&(at as u32)).copied();
            EdgeView {
                state: Some(edge_word(state).to_owned()),
                ..edge_view(self.definition, &self.definition.edges[at])
            }
        });
        let summary = self.summary(extras.usual_ms);
        let instance = self.instance;
        let generations = instance.generations.iter().map(|generation| generation_view(instance, generation));
        Ok(InstanceView {
            number: summary.number,
            id: summary.id,
            workflow: summary.workflow,
            version: summary.version,
            state: summary.state,
            nodes: filled.nodes,
            edges: filled.edges,
            nodes_next: filled.next.map(|next| next.to_string()),
            focus,
            left_out: choice.left_out,
            generation: summary.generation,
            generations: generations.skip(instance.generations.len().saturating_sub(GENERATIONS_MAX)).collect(),
            kind: summary.kind,
            trigger: summary.trigger,
            by: summary.by,
            reason: instance.note.clone(),
            created: summary.created,
            started: summary.started,
            finished: summary.finished,
            duration_ms: summary.duration_ms,
            usual_ms: summary.usual_ms,
            nominal: summary.nominal,
            business_date: summary.business_date,
            zone: Some(instance.zone.to_string()),
            params: instance.params.iter().map(param).collect(),
            outputs: outputs(match instance.generation().number == self.generation.number {
                true => &instance.outputs,
                false => &self.generation.outputs,
            }),
            marks: marks(instance),
            nodes_total: summary.nodes_total,
            nodes_done: summary.nodes_done,
            progress: summary.progress,
            why: extras.why,
            message: summary.message,
            epochs: self.epochs(),
            previous: extras.previous,
            next: extras.next,
        })
    }

    /// One node, with as many of its attempts as one answer carries.
    pub fn node_named(&self, name: &str) -> Option<(NodeIndex, NodeView)> {
        let index = self.definition.node_named(name)?;
        Some((index, self.node(index, false, ATTEMPTS_ALONE_MAX)))
    }

    fn focus(&self, focus: &Focus) -> Result<Option<usize>, ApiError> {
        let with_attempts = || (0..self.nodes.len()).filter(|at| self.nodes[*at].is_some_and(has_attempts));
        Ok(match focus {
            Focus::None => None,
            Focus::Named(name) => {
                let detail = || say!("instance #{} has no node {}", self.instance.number, name);
                let found = self.definition.node_named(name);
                Some(found.ok_or_else(|| ApiError::new(ErrorCode::NodeNotFound, detail()))?.at())
            }
            Focus::First => with_attempts()
                .find(|at| is_problem(self.words[*at]))
                .or_else(|| with_attempts().find(|at| self.words[*at] == NodeWord::Running))
                .or_else(|| with_attempts().max_by_key(|at| self.nodes[*at].and_then(Node::finished))),
        })
    }

    /// States of the edges that leave these nodes, by position in the definition.
    fn edge_states(&self, positions: impl Iterator<Item = usize>) -> BTreeMap<u32, EdgeState> {
        let mut wanted = vec![false; self.nodes.len()];
        positions.for_each(|at| wanted[at] = true);
        let mut taken: BTreeMap<NodeIndex, usize> = BTreeMap::new();
        let mut states = BTreeMap::new();
        for (position, edge) in self.definition.edges.iter().enumerate().filter(|(_, edge)| wanted[edge.from.at()]) {
            // The record keeps its edges in the definition's order.
            let at = taken.entry(edge.from).or_default();
            let state = self.nodes[edge.from.at()].and_then(|node| node.edges.get(*at));
            states.extend(state.map(|state| (position as u32, *state)));
            *at += 1;
        }
        states
    }

    /// Which nodes are on the way back from the one that ended last, each time to the predecessor that ended last.
    fn critical_path(&self) -> Vec<bool> {
        let is_candidate = |at: &usize| self.nodes[*at].is_some() && self.words[*at] != NodeWord::Skipped;
        let end_of = |at: &usize| self.nodes[*at].map(|node| node.finished().unwrap_or(self.now));
        let mut latest: Vec<Option<usize>> = vec![None; self.nodes.len()];
        for edge in &self.definition.edges {
            let (from, best) = (edge.from.at(), &mut latest[edge.to.at()]);
            if is_candidate(&from) && best.is_none_or(|best| end_of(&from) >= end_of(&best)) {
                *best = Some(from);
            }
        }
        let mut path = vec![false; self.nodes.len()];
        let mut at = (0..self.nodes.len()).filter(is_candidate).max_by_key(end_of);
        while let Some(on) = at {
            path[on] = true;
            // A definition has no cycle, so the walk ends at the start node.
            at = latest[on];
        }
        path
    }

    fn epochs(&self) -> Vec<u64> {
        let attempts = self.records().flat_map(|node| &node.attempts);
        let epochs: BTreeSet<u64> = attempts.map(|attempt| attempt.epoch.0).collect();
        epochs.iter().skip(epochs.len().saturating_sub(EPOCHS_MAX)).copied().collect()
    }
}

fn has_attempts(node: &Node) -> bool {
    !node.attempts.is_empty()
}

fn is_problem(word: NodeWord) -> bool {
    matches!(word, NodeWord::Failed | NodeWord::TimedOut | NodeWord::Lost | NodeWord::Retrying)
}

/// The nodes of a definition as a choice among them sees them.
pub fn outline(definition: &Definition) -> Outline<'_> {
    Outline {
        names: definition.nodes.iter().map(|node| node.name.as_str()).collect(),
        words: vec![NodeWord::Waiting; definition.nodes.len()],
        begun: Vec::new(),
        edges: definition.edges.iter().map(|edge| (edge.from.0, edge.to.0)).collect(),
    }
}

/// What all nodes of a generation add up to.
struct Tally {
    counts: BTreeMap<NodeWord, u32>,
    /// Names of running ones.
    now_on: Vec<String>,
    /// What the first failed one says.
    failure: Option<Message>,
}

/// A row of a list, for an instance at rest: of its nodes the store gave no more than what they add up to.
pub fn stored_summary(instance: &Instance, n_nodes: usize, stored: NodeTally, now: Timestamp) -> InstanceSummary {
    let mut counts: BTreeMap<NodeWord, u32> = stored.counts.into_iter().collect();
    let recorded: u32 = counts.values().sum();
    let unrecorded = (n_nodes as u32).saturating_sub(recorded);
    if unrecorded > 0 {
        *counts.entry(unrecorded_word(instance)).or_default() += unrecorded;
    }
    let tally = Tally { counts, now_on: Vec::new(), failure: stored.failed.as_ref().and_then(node_message) };
    summary(instance, instance.generation(), n_nodes, tally, None, now)
}

fn summary(
    instance: &Instance,
    generation: &GenerationHead,
    n_nodes: usize,
    tally: Tally,
    usual_ms: Option<i64>,
    now: Timestamp,
) -> InstanceSummary {
    let is_current = instance.generation().number == generation.number;
    let state = match generation.end {
        Some(end) if !is_current => end.word(),
        Some(_) | None => instance.word(),
    };
    let reason = generation.reason.as_ref().or(instance.verdict.as_ref().map(|verdict| &verdict.reason));
    // Why it ended so, or the first failure so far.
    let message = match (reason, tally.failure) {
        (Some(_), _) if state == InstanceWord::Succeeded => None,
        (Some(reason), Some(failure)) => Some(say!("{}: {}", reason.said(), failure)),
        (Some(reason), None) => Some(reason.said()),
        (None, failure) => failure,
    };
    let end = generation.finished.unwrap_or(now);
    InstanceSummary {
        number: instance.number.0,
        id: instance.id.to_string(),
        workflow: instance.workflow.to_string(),
        version: generation.version.0,
        state,
        generation: generation.number.0,
        kind: instance.kind.word().to_owned(),
        trigger: instance.trigger.as_ref().map(|trigger| trigger.to_string()),
        by: Some(instance.by.to_string()),
        created: instance.created.into(),
        started: time(generation.started),
        finished: time(generation.finished),
        duration_ms: generation.started.map(|started| end.since(started).max(0)),
        usual_ms,
        nominal: Some(instance.nominal.into()),
        business_date: Some(instance.business_date.to_string()),
        nodes_total: n_nodes as u32,
        nodes_done: tally.counts.iter().filter(|(word, _)| word.is_terminal()).map(|(_, count)| count).sum(),
        progress: tally.counts.into_iter().map(|(state, count)| StateCount { state, count }).collect(),
        now_on: tally.now_on,
        message,
    }
}

/// What an instance's own aggregates do not say.
#[derive(Default)]
pub struct Extras {
    pub usual_ms: Option<i64>,
    pub why: Option<WhyView>,
    pub previous: Option<u64>,
    pub next: Option<u64>,
}

pub fn time(at: Option<Timestamp>) -> Option<Time> {
    at.map(Time::from)
}

pub fn param((name, value): &(String, Value)) -> ParamView {
    let origin = match value.origin {
        Origin::Definition => "definition",
        Origin::External => "external",
    };
    let source = value.source.clone();
    ParamView { name: name.clone(), value: value.text.clone(), origin: origin.to_owned(), source }
}

fn marks(instance: &Instance) -> Vec<String> {
    let marks = instance.marks;
    [("failing", marks.failing), ("warnings", marks.warnings), ("late", marks.late), ("forced", marks.forced)]
        .into_iter()
        .filter(|(_, is_set)| *is_set)
        .map(|(word, _)| word.to_owned())
        .collect()
}

fn generation_view(instance: &Instance, generation: &GenerationHead) -> GenerationView {
    GenerationView {
        generation: generation.number.0,
        state: generation.end.map_or_else(|| instance.word(), |end| end.word()),
        version: generation.version.0,
        started: time(generation.started),
        finished: time(generation.finished),
        by: Some(generation.by.to_string()),
        how: match &generation.plan {
            RerunPlan::All if generation.number.0 == 1 => None,
            RerunPlan::All => Some(say!("rerun of all nodes")),
            RerunPlan::FromFailed => Some(say!("rerun from failed")),
            RerunPlan::From { node } => Some(say!("rerun from {}", node)),
            RerunPlan::Only { node } => Some(say!("rerun of {} alone", node)),
        },
    }
}

fn edge_word(state: Option<EdgeState>) -> &'static str {
    match state {
        None | Some(EdgeState::Open) => "pending",
        Some(EdgeState::Taken) => "live",
        Some(EdgeState::Dead(_)) => "dead",
    }
}

pub fn edge_view(definition: &Definition, edge: &crate::model::definition::Edge) -> EdgeView {
    use crate::model::definition::EdgeKind;
    let kind = match edge.kind {
        EdgeKind::Start => "start",
        EdgeKind::ForkPath => "fork_path",
        EdgeKind::Join => "join",
        EdgeKind::Ok => "ok",
        EdgeKind::Error => "error",
    };
    EdgeView {
        from: definition.node(edge.from).name.to_string(),
        to: definition.node(edge.to).name.to_string(),
        kind: kind.to_owned(),
        state: None,
    }
}

/// Is it in a state in which `why` has something to say?
pub fn is_held(instance: &Instance) -> bool {
    match instance.state {
        InstanceState::Queued { .. } | InstanceState::Paused { .. } | InstanceState::Running { .. } => true,
        InstanceState::Done { .. } => false,
    }
}
