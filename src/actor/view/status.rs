//! The status page and the cluster: what a person should look at first.

use std::collections::BTreeMap;

use crate::api::{AttentionKind, AttentionView, ClusterBrief, InstanceSummary, WorkerAttemptView, WorkerView};
use crate::engine::event::NodeRef;
use crate::engine::state::{InstanceState, Node, NodeState, Presence, State, Worker};
use crate::model::diagnostic::Severity;
use crate::model::id::{AttemptId, InstanceNumber, WorkerId};
use crate::model::message::Message;
use crate::model::state::{InstanceWord, NodeWord};
use crate::model::time::Timestamp;
use crate::say;

use super::instance::time;
use super::workflow::{failed_files, load_error_id};

/// Most rows of attention.
const ATTENTION_MAX: usize = 100;
/// Most attempts shown of a worker.
const RUNNING_MAX: usize = 100;
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
            say!("#{} {}: {}", summary.number, summary.workflow, InstanceWord::Failed),
        )
    }));
    // Of many nodes of one instance the first is named.
    let mut lost: BTreeMap<InstanceNumber, (&Node, usize)> = BTreeMap::new();
    let mut stuck: BTreeMap<InstanceNumber, (&Node, usize)> = BTreeMap::new();
    for node in state.nodes.values() {
        let rows = match &node.state {
            NodeState::Lost { .. } => &mut lost,
            NodeState::Queued { since } if now.since(*since) > STUCK_MS && !is_paused(state, node) => &mut stuck,
            NodeState::Queued { .. }
            | NodeState::Dispatched { .. }
            | NodeState::Running { .. }
            | NodeState::Retrying { .. }
            | NodeState::Done { .. } => continue,
        };
        rows.entry(node.id.instance).or_insert((node, 0)).1 += 1;
    }
    for (node, count) in lost.values().take(ATTENTION_MAX).chain(stuck.values().take(ATTENTION_MAX)) {
        let Some(head) = state.instances.get(&node.id.instance) else { continue };
        let name = state.node_name(node.id).map(|name| name.to_string()).unwrap_or_default();
        let more = *count - 1;
        let (kind, since, text) = match &node.state {
            NodeState::Lost { worker, since, asks: true, .. } => {
                let text = say!("#{}/{}: lost with {}, waits for a person", head.number, name, worker);
                (AttentionKind::Lost, *since, text)
            }
            NodeState::Lost { worker, since, .. } => {
                let text = say!("#{}/{}: lost with {}, waits for its worker", head.number, name, worker);
                (AttentionKind::Lost, *since, text)
            }
            NodeState::Queued { since } => {
                (AttentionKind::Stuck, *since, say!("#{}/{} has been queued for long", head.number, name))
            }
            NodeState::Dispatched { .. }
            | NodeState::Running { .. }
            | NodeState::Retrying { .. }
            | NodeState::Done { .. } => continue,
        };
        rows.push(AttentionView {
            workflow: Some(head.workflow.to_string()),
            instance: Some(head.number.0),
            node: Some(name),
            ..row(kind, since, if more == 0 { text } else { say!("{} (and {} more)", text, more) })
        });
    }
    rows.extend(failed_files(state).take(ATTENTION_MAX).map(|file| {
        let first = file.diagnostics.iter().find(|diagnostic| diagnostic.severity == Severity::Error);
        AttentionView {
            workflow: file.workflow.as_ref().map(|name| name.to_string()),
            load_error: Some(load_error_id(file)),
            file: Some(file.path.clone()),
            line: first.map(|first| first.line),
            column: first.map(|first| first.column),
            detail: first.map(|first| first.message.clone()),
            ..row(AttentionKind::LoadError, file.seen, say!("{} does not load", file.path))
        }
    }));
    rows.extend(state.workers.values().filter(|worker| !worker.is_online()).map(|worker| AttentionView {
        worker: Some(worker.name.to_string()),
        ..row(AttentionKind::WorkerDown, since(worker), say!("worker {} {}", worker.name, state_of(worker)))
    }));
    rows.extend(state.cluster.mail_trouble.as_ref().map(|trouble| AttentionView {
        detail: Some(say!(
            "see to the mail server, or to [mail] of ractorflow.toml on the masters; what waits goes out then"
        )),
        ..row(AttentionKind::Mail, trouble.since, say!("{} mail{s} not sent yet: {}", state.mails.len(), trouble.why))
    }));
    rows.extend(state.attentions.values().rev().take(20).map(|attention| {
        let kind = match attention.subject.split(':').next() {
            Some("worker") => AttentionKind::WorkerDown,
            Some("source") => AttentionKind::Source,
            Some("clock") => AttentionKind::Clock,
            Some("disk") => AttentionKind::Disk,
            Some("mail") => AttentionKind::Mail,
            _ => AttentionKind::Cluster,
        };
        let (subject, name) = attention.subject.split_once(':').unwrap_or((&attention.subject, ""));
        let of = |wanted: &str| (subject == wanted).then(|| name.to_owned());
        AttentionView {
            workflow: of("workflow"),
            worker: of("worker"),
            instance: of("instance").and_then(|number| number.parse().ok()),
            ..row(kind, attention.at, attention.message.clone())
        }
    }));
    rows.sort_by_key(|row| (row.kind, std::cmp::Reverse(row.since)));
    rows.truncate(ATTENTION_MAX);
    rows
}

/// Nothing of its instance is meant to start.
fn is_paused(state: &State, node: &Node) -> bool {
    let head = state.instances.get(&node.id.instance);
    head.is_some_and(|head| matches!(head.state, InstanceState::Paused { .. }))
}

fn row(kind: AttentionKind, since: Timestamp, text: Message) -> AttentionView {
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
        Presence::Online { since } | Presence::Silent { since, .. } => *since,
        Presence::DeclaredDead { at, .. } => *at,
    }
}

pub fn workers(state: &State) -> Vec<WorkerView> {
    let mut lost: BTreeMap<&WorkerId, Lost> = BTreeMap::new();
    for node in state.nodes.values() {
        if let NodeState::Lost { worker, .. } = &node.state {
            let lost = lost.entry(worker).or_default();
            lost.attempts += 1;
            lost.leased += usize::from(node.live_attempt().is_some_and(|live| live.lease.is_some()));
        }
    }
    let lost = |worker: &Worker| lost.get(&worker.name).copied().unwrap_or_default();
    state.workers.values().map(|worker| worker_view(state, worker, lost(worker))).collect()
}

/// Attempts that are out of sight with a worker, and how many of them have a lease.
#[derive(Debug, Clone, Copy, Default)]
struct Lost {
    attempts: usize,
    leased: usize,
}

fn worker_view(state: &State, worker: &Worker, lost: Lost) -> WorkerView {
    let attempts = state.attempts_on(&worker.name);
    let running_more = attempts.len().saturating_sub(RUNNING_MAX) as u32;
    let running: Vec<WorkerAttemptView> =
        attempts.take(RUNNING_MAX).filter_map(|attempt| attempt_view(state, *attempt)).collect();
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
        slots_used: state.used_slots(&worker.name),
        since: time(Some(since(worker))),
        last_seen: None,
        running,
        running_more,
        message: match (&worker.presence, lost.attempts) {
            (Presence::Silent { .. }, n) if n > 0 && lost.leased == n => {
                Some(say!("{} attempt{s} out of sight until the lease ends", n))
            }
            (Presence::Silent { .. }, n) if n > 0 => {
                Some(say!("{} attempt{s} out of sight: bring it back, or declare it dead", n))
            }
            (Presence::Silent { .. }, _) => Some(say!("it is not heard of")),
            (Presence::DeclaredDead { by, why, .. }, _) if why.is_empty() => Some(say!("declared dead by {}", by)),
            (Presence::DeclaredDead { by, why, .. }, _) => Some(say!("declared dead by {}: {}", by, why)),
            (Presence::Online { .. }, _) => None,
        },
    }
}

fn attempt_view(state: &State, attempt: AttemptId) -> Option<WorkerAttemptView> {
    let id = NodeRef::from(attempt);
    let head = state.instances.get(&attempt.instance)?;
    Some(WorkerAttemptView {
        attempt: attempt.to_string(),
        instance: attempt.instance.0,
        workflow: head.workflow.to_string(),
        node: state.node_name(id)?.to_string(),
        number: attempt.number,
        started: time(state.nodes.get(&id).and_then(|node| node.attempt(attempt.number)).and_then(|it| it.started)),
    })
}

pub fn brief(state: &State, leader: Option<String>, votes: u32, voters: u32) -> ClusterBrief {
    let online = state.workers.values().filter(|worker| worker.is_online());
    // Of a worker that takes nothing new, what is in use is all that counts.
    let slots_of = |worker: &Worker| if worker.is_draining { state.used_slots(&worker.name) } else { worker.slots };
    let (workers_up, slots) = online.fold((0, 0), |(n, slots), worker| (n + 1, slots + slots_of(worker)));
    let (is_healthy, message) = health(leader.is_some(), workers_up, votes, voters);
    ClusterBrief {
        is_healthy,
        leader,
        epoch: state.cluster.epoch.0,
        votes,
        voters,
        workers_up,
        workers: state.workers.len() as u32,
        slots,
        slots_used: state.workers.keys().map(|worker| state.used_slots(worker)).sum(),
        message,
    }
}

/// Does it work, and what should somebody know?
fn health(is_led: bool, workers_up: u32, votes: u32, voters: u32) -> (bool, Option<Message>) {
    match (is_led, workers_up) {
        (false, _) => (false, Some(say!("no master is active"))),
        (true, 0) => (false, Some(say!("no worker is connected: nothing can run"))),
        // It works on, and yet somebody should know before the next master is lost.
        (true, _) if votes < voters => {
            (true, Some(say!("{} of {} masters are up: {}", votes, voters, survives(votes, voters))))
        }
        (true, _) => (true, None),
    }
}

/// How many masters may still be lost.
pub fn survives(votes: u32, voters: u32) -> Message {
    match votes.saturating_sub(voters / 2 + 1) {
        0 if voters == 1 => say!("one master: its loss stops scheduling until it is back"),
        0 => say!("the loss of one more master stops scheduling"),
        1 => say!("one master may be lost"),
        n => say!("{} masters may be lost", n),
    }
}

/// What an attention says, with what it is about in front.
pub fn said_of(subject: &str, message: &Message) -> Message {
    match subject.split_once(':') {
        Some(("workflow", name)) => say!("workflow {}: {}", name, message),
        Some(("instance", number)) => say!("instance #{}: {}", number, message),
        Some(("worker", name)) => say!("worker {}: {}", name, message),
        Some(("source", name)) => say!("directory {}: {}", name, message),
        Some(_) | None => message.clone(),
    }
}

fn state_of(worker: &Worker) -> Message {
    match &worker.presence {
        Presence::Online { .. } => say!("is online"),
        Presence::Silent { .. } => say!("is not heard of"),
        Presence::DeclaredDead { .. } => say!("was declared dead"),
    }
}

/// Nodes by their word, over all live instances: for /metrics.
pub fn node_counts(state: &State) -> Vec<(NodeWord, u64)> {
    let mut counts = BTreeMap::new();
    for node in state.nodes.values() {
        if let Some(head) = state.instances.get(&node.id.instance).filter(|head| !head.is_terminal()) {
            *counts.entry(node.word(head)).or_insert(0) += 1;
        }
    }
    counts.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_that_is_down_is_told_of_though_the_cluster_works() {
        let said = |is_led, workers, votes, voters| {
            let (is_healthy, message) = health(is_led, workers, votes, voters);
            (is_healthy, message.map(|message| message.english()))
        };
        assert_eq!(said(true, 1, 3, 3), (true, None));
        assert_eq!(said(true, 1, 1, 1), (true, None));
        let short = "2 of 3 masters are up: the loss of one more master stops scheduling";
        assert_eq!(said(true, 1, 2, 3), (true, Some(short.to_owned())));
        assert_eq!(said(true, 1, 4, 5).1.as_deref(), Some("4 of 5 masters are up: one master may be lost"));
        assert_eq!(said(true, 0, 2, 3), (false, Some("no worker is connected: nothing can run".to_owned())));
        assert_eq!(said(false, 1, 1, 3), (false, Some("no master is active".to_owned())));
    }
}
