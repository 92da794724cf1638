//! The status page and the cluster: what a person should look at first.

use crate::api::{
    AttentionKind, AttentionView, ClusterBrief, ClusterEventView, InstanceSummary, WorkerAttemptView, WorkerView,
};
use crate::engine::state::{Node, NodeState, Presence, State, Worker};
use crate::model::definition::NodeKind;
use crate::model::diagnostic::Severity;
use crate::model::id::WorkerId;
use crate::model::state::{InstanceWord, NodeWord};
use crate::model::time::Timestamp;

use super::instance::time;
use super::workflow::{failed_files, load_error_id};

/// Most rows of attention.
const ATTENTION_MAX: usize = 100;
/// A node that has waited for a worker longer than this is worth a look.
const STUCK_MS: i64 = 10 * 60 * 1000;

/// `failed`: instances that failed and that no later success made good, newest first.
pub fn attention(state: &State, failed: &[InstanceSummary], now: Timestamp) -> Vec<AttentionView> {
    let mut rows = Vec::new();
    rows.extend(failed.iter().map(|summary| AttentionView {
        workflow: Some(summary.workflow.clone()),
        instance: Some(summary.number),
        detail: summary.message.clone(),
        ..row(
            AttentionKind::Failed,
            summary.finished.map_or(now, |at| at.0),
            format!("#{} {} {}", summary.number, summary.workflow, InstanceWord::Failed),
        )
    }));
    for node in state.nodes.values() {
        let Some(head) = state.instances.get(&node.id.instance) else { continue };
        let name = || {
            state
                .versions
                .get(&(head.workflow.clone(), head.version()))
                .and_then(|version| version.definition().nodes.get(node.id.node.at()))
                .map(|node| node.name.to_string())
        };
        let of_node = |kind, since, text: String| AttentionView {
            workflow: Some(head.workflow.to_string()),
            instance: Some(head.number.0),
            node: name(),
            ..row(kind, since, text)
        };
        match &node.state {
            NodeState::Lost { worker, since, asks, .. } => {
                let what = if *asks { "waits for a person" } else { "waits for its worker" };
                let text = format!("#{}/{}: lost with {worker}, {what}", head.number, name().unwrap_or_default());
                rows.push(of_node(AttentionKind::Lost, *since, text));
            }
            NodeState::Queued { since } if now.since(*since) > STUCK_MS => {
                let text = format!("#{}/{} has been queued for long", head.number, name().unwrap_or_default());
                rows.push(of_node(AttentionKind::Stuck, *since, text));
            }
            NodeState::Queued { .. }
            | NodeState::Dispatched { .. }
            | NodeState::Running { .. }
            | NodeState::Retrying { .. }
            | NodeState::Done { .. } => {}
        }
    }
    rows.extend(failed_files(state).map(|file| {
        let first = file.diagnostics.iter().find(|diagnostic| diagnostic.severity == Severity::Error);
        AttentionView {
            workflow: file.workflow.as_ref().map(|name| name.to_string()),
            load_error: Some(load_error_id(file)),
            file: Some(file.path.clone()),
            line: first.map(|first| first.line),
            column: first.map(|first| first.column),
            detail: first.map(|first| first.message.clone()),
            ..row(AttentionKind::LoadError, file.seen, format!("{} does not load", file.path))
        }
    }));
    rows.extend(state.workers.values().filter(|worker| !worker.is_online()).map(|worker| AttentionView {
        worker: Some(worker.name.to_string()),
        ..row(AttentionKind::WorkerDown, since(worker), format!("worker {} is {}", worker.name, worker.word()))
    }));
    rows.extend(state.attentions.values().rev().take(20).map(|attention| {
        let kind = match attention.subject.split(':').next() {
            Some("worker") => AttentionKind::WorkerDown,
            Some("source") => AttentionKind::Source,
            Some("clock") => AttentionKind::Clock,
            Some("disk") => AttentionKind::Disk,
            _ => AttentionKind::Cluster,
        };
        row(kind, attention.at, format!("{}: {}", attention.subject, attention.message))
    }));
    rows.sort_by_key(|row| (row.kind, std::cmp::Reverse(row.since)));
    rows.truncate(ATTENTION_MAX);
    rows
}

fn row(kind: AttentionKind, since: Timestamp, text: String) -> AttentionView {
    AttentionView {
        kind,
        since: since.into(),
        text,
        detail: None,
        workflow: None,
        instance: None,
        node: None,
        attempt: None,
        worker: None,
        load_error: None,
        file: None,
        line: None,
        column: None,
    }
}

fn since(worker: &Worker) -> Timestamp {
    match &worker.presence {
        Presence::Online { since } | Presence::Silent { since } => *since,
        Presence::DeclaredDead { at, .. } => *at,
    }
}

pub fn workers(state: &State) -> Vec<WorkerView> {
    state.workers.values().map(|worker| worker_view(state, worker)).collect()
}

fn worker_view(state: &State, worker: &Worker) -> WorkerView {
    let running: Vec<WorkerAttemptView> = live_attempts(state, &worker.name).collect();
    let lost = state
        .nodes
        .values()
        .filter(|node| matches!(&node.state, NodeState::Lost { worker: of, .. } if *of == worker.name))
        .count();
    let state_word = match &worker.presence {
        Presence::Online { .. } if worker.is_draining => "draining",
        Presence::Online { .. } => "up",
        Presence::Silent { .. } => "down",
        Presence::DeclaredDead { .. } => "dead",
    };
    WorkerView {
        id: worker.name.to_string(),
        state: state_word.to_owned(),
        host: worker.hosts.first().cloned().unwrap_or_default(),
        address: worker.hosts.get(1).cloned(),
        pid: None,
        version: Some(worker.version.clone()),
        labels: worker.labels.clone(),
        slots: worker.slots,
        slots_used: slots_used(state, &worker.name),
        since: time(Some(since(worker))),
        last_seen: None,
        running,
        message: match (&worker.presence, lost) {
            (Presence::Silent { .. }, n) if n > 0 => {
                Some(format!("{n} attempts are out of sight: bring it back, or declare it dead"))
            }
            (Presence::Silent { .. }, _) => Some("it is not heard of".to_owned()),
            (Presence::DeclaredDead { by, why, .. }, _) => Some(format!("declared dead by {by}: {why}")),
            (Presence::Online { .. }, _) => None,
        },
    }
}

fn slots_used(state: &State, worker: &WorkerId) -> u32 {
    let live = state.nodes.values().filter(|node| node.live_attempt().is_some_and(|attempt| attempt.worker == *worker));
    live.map(|node| slots(state, node)).sum()
}

fn slots(state: &State, node: &Node) -> u32 {
    if let Some(policy) = &node.policy {
        return policy.slots;
    }
    let version = state.instances.get(&node.id.instance).and_then(|head| state.version_of(head));
    match version.and_then(|version| version.definition().nodes.get(node.id.node.at())).map(|node| &node.kind) {
        Some(NodeKind::Action(action)) => action.policy.slots,
        Some(NodeKind::Start | NodeKind::End | NodeKind::Fork | NodeKind::Join | NodeKind::Kill { .. }) | None => 1,
    }
}

fn live_attempts<'a>(state: &'a State, worker: &'a WorkerId) -> impl Iterator<Item = WorkerAttemptView> + 'a {
    state.nodes.values().filter_map(move |node| {
        let attempt = node.live_attempt().filter(|attempt| attempt.worker == *worker)?;
        let head = state.instances.get(&node.id.instance)?;
        let version = state.versions.get(&(head.workflow.clone(), head.version()))?;
        Some(WorkerAttemptView {
            attempt: node.id.attempt(attempt.number).to_string(),
            instance: head.number.0,
            workflow: head.workflow.to_string(),
            node: version.definition().nodes.get(node.id.node.at())?.name.to_string(),
            number: attempt.number,
            started: time(attempt.started),
        })
    })
}

pub fn brief(state: &State, leader: Option<String>, votes: u32, voters: u32) -> ClusterBrief {
    let online = state.workers.values().filter(|worker| worker.is_online());
    let (workers_up, slots) = online.fold((0, 0), |(n, slots), worker| (n + 1, slots + worker.slots));
    let message = match (&leader, workers_up) {
        (None, _) => Some("no master is active".to_owned()),
        (Some(_), 0) => Some("no worker is connected: nothing can run".to_owned()),
        (Some(_), _) => None,
    };
    ClusterBrief {
        is_healthy: message.is_none(),
        leader,
        epoch: state.cluster.epoch.0,
        votes,
        voters,
        workers_up,
        workers: state.workers.len() as u32,
        slots,
        slots_used: state.workers.keys().map(|worker| slots_used(state, worker)).sum(),
        message,
    }
}

pub fn cluster_events(state: &State) -> Vec<ClusterEventView> {
    state
        .attentions
        .values()
        .rev()
        .take(50)
        .map(|attention| ClusterEventView {
            time: attention.at.into(),
            text: format!("{}: {}", attention.subject, attention.message),
        })
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect()
}

/// Nodes by their word, over all live instances: for /metrics.
pub fn node_counts(state: &State) -> Vec<(NodeWord, u64)> {
    let mut counts = std::collections::BTreeMap::new();
    for node in state.nodes.values() {
        if let Some(head) = state.instances.get(&node.id.instance).filter(|head| !head.is_terminal()) {
            *counts.entry(node.word(head)).or_insert(0) += 1;
        }
    }
    counts.into_iter().collect()
}
