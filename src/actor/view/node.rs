//! One node of an instance as readers see it, with its attempts.

use crate::api::{AttemptView, NodeView, ParamView};
use crate::engine::state::{Attempt, AttemptState, Node, NodeReason, NodeState};
use crate::model::definition::NodeKind;
use crate::model::id::NodeIndex;
use crate::model::message::Message;
use crate::model::time::Timestamp;
use crate::say;

use super::instance::{Shown, time};

impl Shown<'_> {
    /// With the newest of its attempts, so many at most.
    pub(super) fn node(&self, index: NodeIndex, is_critical: bool, attempts_max: usize) -> NodeView {
        let node = self.definition.node(index);
        let record = self.nodes[index.at()];
        let attempts_total = record.map_or(0, |record| record.attempts.len());
        let attempts: Vec<AttemptView> = record
            .map(|record| {
                let newest = record.attempts.iter().skip(attempts_total.saturating_sub(attempts_max));
                newest.map(|attempt| self.attempt(record, attempt)).collect()
            })
            .unwrap_or_default();
        let finished = record.and_then(Node::finished);
        let started = record.and_then(Node::started).or(finished.filter(|_| attempts.is_empty()));
        let retry_at = record.and_then(|record| match record.state {
            NodeState::Retrying { until, .. } => Some(until),
            _ => None,
        });
        // Waiting for a retry is not running.
        let last_end = attempts.last().and_then(|attempt| attempt.finished).filter(|_| retry_at.is_some());
        let duration_ms = took(started, finished.or(last_end.map(|end| end.0)), self.now);
        NodeView {
            name: node.name.to_string(),
            kind: node.kind.word().to_owned(),
            state: self.words[index.at()],
            exit_code: attempts.last().and_then(|attempt| attempt.exit_code),
            attempts,
            attempts_total: attempts_total as u32,
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

    fn attempt(&self, node: &Node, attempt: &Attempt) -> AttemptView {
        let outcome = attempt.outcome();
        let ended = match &attempt.state {
            AttemptState::Ended { at, .. } => Some(outcome.map_or(*at, |outcome| outcome.finished)),
            AttemptState::Dispatched | AttemptState::Running => None,
        };
        let duration_ms = took(attempt.started, ended, self.now);
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
            message: outcome.and_then(|outcome| outcome.message.clone()).or_else(|| late_message(attempt)),
            epoch: attempt.epoch.0,
            has_log: outcome.and_then(|outcome| outcome.has_log).unwrap_or(attempt.started.is_some()),
        }
    }
}

/// From its start to its end, or to `now` while it has none.
fn took(started: Option<Timestamp>, ended: Option<Timestamp>, now: Timestamp) -> Option<i64> {
    started.map(|started| ended.unwrap_or(now).since(started).max(0))
}

/// What came after it was given up, which changed nothing.
fn late_message(attempt: &Attempt) -> Option<Message> {
    let late = attempt.stale.as_ref()?;
    let said = late.message.clone().unwrap_or_else(|| Message::verbatim(class_word(late.class)));
    Some(say!("reported after it was given up, not applied: {}", said))
}

pub(super) fn node_message(node: &Node) -> Option<Message> {
    let attempt = node.attempts.last().and_then(|attempt| attempt.outcome());
    let said = attempt.and_then(|outcome| outcome.message.clone());
    match &node.state {
        NodeState::Done { reason: NodeReason::Attempt, .. } => said,
        NodeState::Done { reason: NodeReason::Passed, .. } => None,
        NodeState::Done { reason, .. } => Some(match said {
            Some(said) if matches!(reason, NodeReason::Timeout | NodeReason::Lost) => {
                say!("{} ({})", reason.said(), said)
            }
            Some(_) | None => reason.said(),
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

pub(super) fn outputs(outputs: &[(String, String)]) -> Vec<ParamView> {
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
