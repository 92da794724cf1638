//! One instance as readers see it: heads, nodes and attempts of the state, with the names of its definition.

use std::collections::BTreeMap;

use crate::api::{
    AttemptView, EdgeView, GenerationView, InstanceSummary, InstanceView, NodeView, ParamView, StateCount, Time,
};
use crate::engine::state::{
    AttemptState, EdgeState, GenerationHead, Instance, InstanceState, Node, NodeReason, NodeState, RerunPlan,
    unrecorded_word,
};
use crate::model::definition::{Definition, NodeKind};
use crate::model::id::NodeIndex;
use crate::model::parameter::{Origin, Value};
use crate::model::state::{InstanceWord, NodeWord};
use crate::model::time::Timestamp;

/// An instance with what is needed to show one generation of it.
pub struct Shown<'a> {
    pub instance: &'a Instance,
    pub generation: &'a GenerationHead,
    pub definition: &'a Definition,
    /// The records of that generation.
    pub nodes: BTreeMap<NodeIndex, &'a Node>,
    pub now: Timestamp,
}

impl Shown<'_> {
    pub fn word(&self, index: NodeIndex) -> NodeWord {
        match self.nodes.get(&index) {
            Some(node) => node.word(self.instance),
            None if self.is_current() => unrecorded_word(self.instance),
            None => self.generation.end.map_or(NodeWord::Waiting, |_| NodeWord::Skipped),
        }
    }

    fn is_current(&self) -> bool {
        self.instance.generation().number == self.generation.number
    }

    fn indexes(&self) -> impl Iterator<Item = NodeIndex> {
        (0..self.definition.nodes.len() as u32).map(NodeIndex)
    }

    fn progress(&self) -> (u32, Vec<StateCount>) {
        let mut counts: BTreeMap<NodeWord, u32> = BTreeMap::new();
        self.indexes().for_each(|index| *counts.entry(self.word(index)).or_default() += 1);
        let done = counts.iter().filter(|(word, _)| word.is_terminal()).map(|(_, count)| count).sum();
        (done, counts.into_iter().map(|(state, count)| StateCount { state, count }).collect())
    }

    fn state(&self) -> InstanceWord {
        match self.generation.end {
            Some(end) if !self.is_current() => end.word(),
            Some(_) | None => self.instance.word(),
        }
    }

    fn duration_ms(&self) -> Option<i64> {
        let end = self.generation.finished.unwrap_or(self.now);
        self.generation.started.map(|started| end.since(started).max(0))
    }

    /// Why it ended so, or the first failure so far.
    fn message(&self) -> Option<String> {
        match self.generation.reason.as_ref().or(self.instance.verdict.as_ref().map(|verdict| &verdict.reason)) {
            Some(reason) if self.state() != InstanceWord::Succeeded => {
                let detail = self.first_failure();
                Some(match detail {
                    Some(detail) => format!("{reason}: {detail}"),
                    None => reason.to_string(),
                })
            }
            Some(_) => None,
            None => self.first_failure(),
        }
    }

    fn first_failure(&self) -> Option<String> {
        self.nodes.values().find_map(|node| match &node.state {
            NodeState::Done { end, .. } if matches!(end.word(), NodeWord::Failed | NodeWord::TimedOut) => {
                node_message(node)
            }
            _ => None,
        })
    }

    pub fn summary(&self, usual_ms: Option<i64>) -> InstanceSummary {
        let (nodes_done, progress) = self.progress();
        let instance = self.instance;
        let is_running = |index: &NodeIndex| self.word(*index) == NodeWord::Running;
        InstanceSummary {
            number: instance.number.0,
            id: instance.id.to_string(),
            workflow: instance.workflow.to_string(),
            version: self.generation.version.0,
            state: self.state(),
            generation: self.generation.number.0,
            kind: instance.kind.word().to_owned(),
            trigger: instance.trigger.as_ref().map(|trigger| trigger.to_string()),
            by: Some(instance.by.to_string()),
            created: instance.created.into(),
            started: time(self.generation.started),
            finished: time(self.generation.finished),
            duration_ms: self.duration_ms(),
            usual_ms,
            nominal: Some(instance.nominal.into()),
            business_date: Some(instance.business_date.to_string()),
            nodes_total: self.definition.nodes.len() as u32,
            nodes_done,
            progress,
            now_on: self
                .indexes()
                .filter(is_running)
                .take(3)
                .map(|index| self.definition.node(index).name.to_string())
                .collect(),
            message: self.message(),
        }
    }

    pub fn view(&self, extras: Extras) -> InstanceView {
        let summary = self.summary(extras.usual_ms);
        let critical = self.critical_path();
        let instance = self.instance;
        InstanceView {
            number: summary.number,
            id: summary.id,
            workflow: summary.workflow,
            version: summary.version,
            state: summary.state,
            nodes: self.indexes().map(|index| self.node(index, critical.contains(&index))).collect(),
            edges: self.edges(),
            generation: summary.generation,
            generations: instance.generations.iter().map(|generation| generation_view(instance, generation)).collect(),
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
            outputs: outputs(if self.is_current() { &instance.outputs } else { &self.generation.outputs }),
            marks: marks(instance),
            nodes_total: summary.nodes_total,
            nodes_done: summary.nodes_done,
            progress: summary.progress,
            why: extras.why,
            message: summary.message,
            epochs: self.epochs(),
            previous: extras.previous,
            next: extras.next,
        }
    }

    fn node(&self, index: NodeIndex, is_critical: bool) -> NodeView {
        let node = self.definition.node(index);
        let record = self.nodes.get(&index).copied();
        let attempts: Vec<AttemptView> = record
            .map(|record| record.attempts.iter().map(|attempt| self.attempt(record, attempt)).collect())
            .unwrap_or_default();
        let finished = record.and_then(Node::finished);
        let started = record.and_then(Node::started).or(finished.filter(|_| attempts.is_empty()));
        let duration_ms = started.map(|started| finished.unwrap_or(self.now).since(started).max(0));
        let retry_at = record.and_then(|record| match record.state {
            NodeState::Retrying { until, .. } => Some(until),
            _ => None,
        });
        NodeView {
            name: node.name.to_string(),
            kind: node.kind.word().to_owned(),
            state: self.word(index),
            exit_code: attempts.last().and_then(|attempt| attempt.exit_code),
            attempts,
            node_index: index.0,
            description: node.description.clone(),
            is_forced: record.is_some_and(|record| matches!(record.state, NodeState::Done { forced: true, .. })),
            is_kept: record
                .is_some_and(|record| matches!(&record.state, NodeState::Done { reason: NodeReason::Kept { .. }, .. })),
            ready: time(record.map(|record| record.ready)),
            started: time(started),
            finished: time(finished),
            duration_ms,
            attempts_max: match &node.kind {
                NodeKind::Action(action) => {
                    1 + record
                        .and_then(|record| record.policy.as_deref())
                        .map_or(action.policy.retry.times, |policy| policy.retry.times)
                }
                NodeKind::Start | NodeKind::End | NodeKind::Fork | NodeKind::Join | NodeKind::Kill { .. } => 0,
            },
            retry_at: time(retry_at),
            message: record.and_then(node_message),
            outputs: record.map(|record| outputs(&record.outputs)).unwrap_or_default(),
            is_critical,
            why: None,
        }
    }

    fn attempt(&self, node: &Node, attempt: &crate::engine::state::Attempt) -> AttemptView {
        let outcome = attempt.outcome();
        let ended = match &attempt.state {
            AttemptState::Ended { at, .. } => Some(outcome.map_or(*at, |outcome| outcome.finished)),
            AttemptState::Dispatched | AttemptState::Running => None,
        };
        let duration_ms = attempt.started.map(|started| ended.unwrap_or(self.now).since(started).max(0));
        AttemptView {
            number: attempt.number,
            worker: attempt.worker.to_string(),
            state: attempt.word(),
            started: time(attempt.started),
            finished: time(ended),
            exit_code: outcome.and_then(|outcome| outcome.exit_code),
            id: node.id.attempt(attempt.number).to_string(),
            index: attempt.index,
            signal: outcome.and_then(|outcome| outcome.signal),
            dispatched: attempt.dispatched.into(),
            duration_ms,
            class: outcome.map(|outcome| class_word(outcome.class).to_owned()),
            message: outcome.and_then(|outcome| outcome.message.clone()),
            epoch: attempt.epoch.0,
            has_log: attempt.started.is_some(),
        }
    }

    fn edges(&self) -> Vec<EdgeView> {
        let mut taken: BTreeMap<NodeIndex, usize> = BTreeMap::new();
        self.definition
            .edges
            .iter()
            .map(|edge| {
                // The record keeps its edges in the definition's order.
                let at = taken.entry(edge.from).or_default();
                let state = self.nodes.get(&edge.from).and_then(|node| node.edges.get(*at)).copied();
                *at += 1;
                EdgeView { state: Some(edge_word(state).to_owned()), ..edge_view(self.definition, edge) }
            })
            .collect()
    }

    /// Back from the node that ended last, each time to the predecessor that ended last.
    fn critical_path(&self) -> Vec<NodeIndex> {
        let end_of = |index: &NodeIndex| {
            self.nodes.get(index).map(|node| match node.finished() {
                Some(at) => at,
                None => self.now,
            })
        };
        let mut path = Vec::new();
        let mut at =
            self.nodes.keys().copied().filter(|index| self.word(*index) != NodeWord::Skipped).max_by_key(end_of);
        let mut into: BTreeMap<NodeIndex, Vec<NodeIndex>> = BTreeMap::new();
        for edge in &self.definition.edges {
            into.entry(edge.to).or_default().push(edge.from);
        }
        while let Some(index) = at {
            path.push(index);
            // A definition has no cycle, so the walk ends at the start node.
            at = into
                .get(&index)
                .into_iter()
                .flatten()
                .copied()
                .filter(|from| self.nodes.contains_key(from) && self.word(*from) != NodeWord::Skipped)
                .max_by_key(end_of);
        }
        path
    }

    fn epochs(&self) -> Vec<u64> {
        let mut epochs: Vec<u64> =
            self.nodes.values().flat_map(|node| node.attempts.iter().map(|attempt| attempt.epoch.0)).collect();
        epochs.sort_unstable();
        epochs.dedup();
        epochs
    }
}

/// What an instance's own aggregates do not say.
#[derive(Default)]
pub struct Extras {
    pub usual_ms: Option<i64>,
    pub why: Option<crate::api::WhyView>,
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

fn outputs(outputs: &[(String, String)]) -> Vec<ParamView> {
    outputs
        .iter()
        .map(|(name, value)| ParamView {
            name: name.clone(),
            value: value.clone(),
            origin: "external".to_owned(),
            source: None,
        })
        .collect()
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
            RerunPlan::All => Some("rerun of all nodes".to_owned()),
            RerunPlan::FromFailed => Some("rerun from failed".to_owned()),
            RerunPlan::From { node } => Some(format!("rerun from {node}")),
            RerunPlan::Only { node } => Some(format!("rerun of {node} alone")),
        },
    }
}

fn node_message(node: &Node) -> Option<String> {
    let attempt = node.attempts.last().and_then(|attempt| attempt.outcome());
    let said = attempt.and_then(|outcome| outcome.message.clone());
    match &node.state {
        NodeState::Done { reason: NodeReason::Attempt, .. } => said,
        NodeState::Done { reason: NodeReason::Passed, .. } => None,
        NodeState::Done { reason, .. } => Some(match said {
            Some(said) if matches!(reason, NodeReason::Timeout | NodeReason::Lost) => format!("{reason} ({said})"),
            Some(_) | None => reason.to_string(),
        }),
        NodeState::Retrying { .. } | NodeState::Lost { .. } => said,
        NodeState::Queued { .. } | NodeState::Dispatched { .. } | NodeState::Running { .. } => None,
    }
}

fn class_word(class: crate::model::assignment::OutcomeClass) -> &'static str {
    use crate::model::assignment::OutcomeClass as Class;
    match class {
        Class::Succeeded => "succeeded",
        Class::Failed => "failed",
        Class::Refused => "refused",
        Class::Infrastructure => "infrastructure",
        Class::OutOfMemory => "out_of_memory",
        Class::AttemptTimeout => "attempt_timeout",
        Class::Killed => "killed",
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
