//! Attempts: placing them on workers, their results, retries, losses, timeouts and stops.

use crate::model::assignment::{Outcome, OutcomeClass, RetryVerdict};
use crate::model::definition::{NodeKind, OUTPUTS_MAX};
use crate::model::duration::Millis;
use crate::model::hash;
use crate::model::id::{AttemptId, WorkerId};
use crate::model::measurement::Measured;
use crate::model::message::Message;
use crate::model::policy::{ActionPolicy, Backoff, OnLost, Retry, TimeoutAction};
use crate::model::time::Timestamp;
use crate::say;

use super::command::{Rejected, Reply};
use super::effect::Effect;
use super::engine::{Engine, Step};
use super::event::{EventKind, InstanceMark, NodeRef};
use super::render::Run;
use super::state::{
    AttemptEnd, InstanceEnd, NodeEnd, NodeReason, NodeState, Placement, QueueKey, State, Stop, StopReason, Worker,
    policy,
};

/// Bounds on what a node or an instance may put out; beyond them it fails rather than losing something.
const OUTPUT_BYTES_MAX: usize = 16 * 1024;
const INSTANCE_OUTPUT_BYTES_MAX: usize = 1024 * 1024;
/// So often a node may be declined before that costs its lost budget.
const DECLINES_MAX: usize = 5;
/// A worker that declined gets nothing new for this long.
const HOLD: Millis = Millis::seconds(1);

impl Step<'_> {
    /// Gives queued nodes to workers with free slots, most urgent first. Nodes that need the same of a worker
    /// stand in one queue, so what cannot be placed is looked at once, not once per node.
    pub(super) fn dispatch(&mut self) {
        let mut passed: std::collections::BTreeSet<Placement> = std::collections::BTreeSet::new();
        loop {
            if self.is_full() {
                self.live.agenda.dispatch = true;
                return;
            }
            let head: Option<(QueueKey, Placement)> = self
                .state
                .derived
                .queue
                .iter()
                .filter(|(placement, _)| !passed.contains(*placement))
                .filter_map(|(placement, keys)| keys.first().map(|key| (*key, placement)))
                .min_by_key(|(key, _)| *key)
                .map(|(key, placement)| (key, placement.clone()));
            let Some((key, placement)) = head else { return };
            match self.choose(&placement) {
                Some(worker) => self.send(key.node, worker),
                None => {
                    passed.insert(placement);
                }
            }
        }
    }

    /// The least loaded worker that fits; equal ones by name.
    fn choose(&self, placement: &Placement) -> Option<WorkerId> {
        let mut best: Option<(u64, u64, &WorkerId)> = None;
        for worker in self.state.workers.values().filter(|worker| fits(placement, worker)) {
            let is_reachable = self
                .live
                .workers
                .get(&worker.name)
                .is_some_and(|live| live.is_linked && live.held_until.is_none_or(|until| until <= self.mono));
            let used = u64::from(self.state.derived.used_slots(&worker.name));
            let (slots, weight) = (u64::from(worker.slots), u64::from(placement.slots));
            if !is_reachable || !worker.is_online() || worker.is_draining || used + weight > slots {
                continue;
            }
            if best.is_none_or(|(best_used, best_slots, _)| used * best_slots < best_used * slots) {
                best = Some((used, slots, &worker.name));
            }
        }
        best.map(|(_, _, name)| name.clone())
    }

    fn send(&mut self, id: NodeRef, worker: WorkerId) {
        let Some(node) = self.state.nodes.get(&id) else { return };
        let number = node.attempts.last().map_or(1, |attempt| attempt.number + 1);
        match self.state.assignment(self.settings, id.attempt(number), &worker) {
            Ok(assignment) => {
                let attempt = id.attempt(number);
                let lease = assignment.lease;
                self.emit(EventKind::AttemptDispatched { attempt, worker: worker.clone(), lease });
                self.live.awaits(attempt, Millis(self.mono.0 + self.settings.resend_after.0));
                let session = self.live.session(&worker);
                self.effects.push(Effect::SendAttempt { worker, session, assignment: Box::new(assignment) });
            }
            Err(message) => {
                self.end_node(id, NodeEnd::Failed, NodeReason::Inputs { message }, Vec::new(), false);
            }
        }
    }

    /// Repeats what was not answered.
    pub(super) fn resend(&mut self) {
        for live in self.live.workers.values_mut() {
            if live.held_until.is_some_and(|until| until <= self.mono) {
                live.held_until = None;
                self.live.agenda.dispatch = true;
            }
        }
        while let Some((until, attempt)) = self.live.unanswered.first() {
            if until > self.mono {
                break;
            }
            self.live.answered(attempt);
            let effect = match self.live.doubted.contains(&attempt) {
                true => self.doubt(attempt),
                false => repeat(self.state, self.live, self.settings, attempt),
            };
            if let Some(effect) = effect {
                self.live.awaits(attempt, Millis(self.mono.0 + self.settings.resend_after.0));
                let is_linked = match &effect {
                    Effect::SendAttempt { worker, .. } | Effect::KillAttempt { worker, .. } => {
                        self.live.workers.get(worker).is_some_and(|live| live.is_linked)
                    }
                    Effect::AcknowledgeResult { .. }
                    | Effect::AskToRegister { .. }
                    | Effect::AdmitWorker { .. }
                    | Effect::GrantSource { .. }
                    | Effect::SendMail { .. } => true,
                };
                if is_linked {
                    self.effects.push(effect);
                }
            }
        }
    }

    /// The worker did not list the attempt: it is told to kill it, so that it looks everywhere and answers.
    fn doubt(&self, attempt: AttemptId) -> Option<Effect> {
        let node = self.state.nodes.get(&NodeRef::from(attempt))?;
        let live = node.live_attempt().filter(|live| live.number == attempt.number)?;
        let why = "not in the worker's inventory".to_owned();
        let grace = self.kill_grace(node.stop.as_ref().and_then(|stop| stop.grace));
        Some(Effect::KillAttempt { worker: live.worker.clone(), attempt, grace, why })
    }

    /// Asks a live attempt to stop; the node ends as `stop` says when it is down.
    pub(super) fn stop_attempt(&mut self, attempt: AttemptId, stop: Stop, why: &str) {
        let id = NodeRef::from(attempt);
        let worker = self.state.nodes.get(&id).and_then(|node| node.live_attempt()).map(|live| live.worker.clone());
        let Some(worker) = worker else { return };
        let grace = self.kill_grace(stop.grace);
        self.emit(EventKind::NodeStopping { node: id, stop });
        self.live.awaits(attempt, Millis(self.mono.0 + self.settings.resend_after.0));
        self.effects.push(Effect::KillAttempt { worker, attempt, grace, why: why.to_owned() });
    }

    /// The attempt that is spoken of, if it is the live one of its node and on that worker.
    fn is_live(&self, worker: &WorkerId, attempt: AttemptId) -> bool {
        attempt.index == 0
            && self
                .state
                .nodes
                .get(&NodeRef::from(attempt))
                .and_then(|node| node.live_attempt())
                .is_some_and(|live| live.number == attempt.number && live.worker == *worker)
    }

    pub(super) fn attempt_started(
        &mut self,
        worker: &WorkerId,
        attempt: AttemptId,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        if !self.is_live(worker, attempt) {
            return Ok(Reply::Unchanged);
        }
        let id = NodeRef::from(attempt);
        self.live.answered(attempt);
        match self.state.nodes.get(&id).map(|node| &node.state) {
            Some(NodeState::Dispatched { .. }) => self.emit(EventKind::AttemptStarted { attempt, started: at }),
            Some(NodeState::Lost { asks: false, .. }) => {
                self.emit(EventKind::NodeFound { node: id });
                if matches!(self.state.nodes.get(&id).map(|n| &n.state), Some(NodeState::Dispatched { .. })) {
                    self.emit(EventKind::AttemptStarted { attempt, started: at });
                }
            }
            Some(
                NodeState::Queued { .. }
                | NodeState::Running { .. }
                | NodeState::Retrying { .. }
                | NodeState::Lost { .. }
                | NodeState::Done { .. },
            )
            | None => return Ok(Reply::Unchanged),
        }
        // Asked to stop before it started: the kill may have come first.
        if self.state.nodes.get(&id).is_some_and(|node| node.stop.is_some()) {
            self.live.awaits(attempt, Millis(self.mono.0 + self.settings.resend_after.0));
        }
        Ok(Reply::Done)
    }

    pub(super) fn attempt_finished(
        &mut self,
        worker: WorkerId,
        attempt: AttemptId,
        mut outcome: Outcome,
    ) -> Result<Reply, Rejected> {
        outcome.message = outcome.message.map(|message| message.cut(super::instance::TEXT_MAX));
        self.live.answered(attempt);
        self.effects.push(Effect::AcknowledgeResult { worker: worker.clone(), attempt });
        if !self.is_live(&worker, attempt) {
            // A delayed result of an attempt that was given up must not end the one that took its place.
            let id = NodeRef::from(attempt);
            let is_news = self
                .state
                .nodes
                .get(&id)
                .and_then(|node| node.attempt(attempt.number))
                .is_some_and(|old| !old.is_live() && old.outcome().is_none() && old.stale.is_none());
            let is_at_rest = self.state.instances.get(&attempt.instance).is_none_or(|head| head.is_resting);
            if is_news && !is_at_rest {
                self.emit(EventKind::ResultStale { attempt, worker, outcome });
                return Ok(Reply::Done);
            }
            return Ok(Reply::Unchanged);
        }
        self.conclude(attempt, outcome);
        Ok(Reply::Done)
    }

    fn conclude(&mut self, attempt: AttemptId, mut outcome: Outcome) {
        let id = NodeRef::from(attempt);
        let outputs = std::mem::take(&mut outcome.outputs);
        let Some(node) = self.state.nodes.get(&id) else { return };
        let stop = node.stop.clone();
        // A kill that nobody here asked for came from the worker's side: that is not the task's fault.
        let end = match AttemptEnd::of(outcome.class) {
            AttemptEnd::Killed if stop.is_none() => AttemptEnd::Lost,
            end => end,
        };
        let class = outcome.class;
        let verdict = outcome.retry_verdict;
        let measured = self.measured(id, &outputs, &outcome);
        self.emit(EventKind::AttemptEnded { attempt, end, outcome: Some(outcome) });
        if let Some(measured) = measured {
            self.emit(EventKind::Measured { attempt, measured: Box::new(measured) });
        }
        if let Some(stop) = stop {
            return self.end_stopped(id, stop);
        }
        match end {
            AttemptEnd::Succeeded => match self.check_outputs(id, &outputs) {
                Ok(()) => {
                    self.end_node(id, NodeEnd::Succeeded, NodeReason::Attempt, outputs, false);
                    self.owe_recovery(id);
                }
                Err(message) => {
                    self.end_node(id, NodeEnd::Failed, NodeReason::Outputs { message }, Vec::new(), false);
                }
            },
            AttemptEnd::Failed | AttemptEnd::TimedOut => {
                let outputs = if self.check_outputs(id, &outputs).is_ok() { outputs } else { Vec::new() };
                self.retry_or_fail(id, class, verdict, outputs);
            }
            AttemptEnd::Lost | AttemptEnd::Killed | AttemptEnd::Declined => self.after_loss(id),
        }
    }

    /// What an attempt of a monitor found, whether it liked it or not.
    fn measured(&self, id: NodeRef, outputs: &[(String, String)], outcome: &Outcome) -> Option<Measured> {
        let version = self.state.version_of(self.state.instances.get(&id.instance)?)?;
        let NodeKind::Action(action) = &version.definition().nodes.get(id.node.at())?.kind else { return None };
        Measured::of_outputs(&action.body.word, outputs, outcome.finished, outcome.message.clone())
    }

    fn end_stopped(&mut self, id: NodeRef, stop: Stop) {
        let forced = matches!(stop.reason, NodeReason::Marked { .. });
        // What is stopped ends as asked, whatever its last attempt came to meanwhile.
        self.end_node(id, stop.end, stop.reason, Vec::new(), forced);
    }

    fn retry_or_fail(
        &mut self,
        id: NodeRef,
        class: OutcomeClass,
        verdict: Option<RetryVerdict>,
        outputs: Vec<(String, String)>,
    ) {
        let Some((node, policy)) = self.node_policy(id) else { return };
        let retry = &policy.retry;
        let may_retry = match class {
            OutcomeClass::Refused => false,
            OutcomeClass::AttemptTimeout => retry.on_timeout && verdict != Some(RetryVerdict::NoRetry),
            OutcomeClass::Failed | OutcomeClass::OutOfMemory => verdict != Some(RetryVerdict::NoRetry),
            OutcomeClass::Succeeded | OutcomeClass::Infrastructure | OutcomeClass::Killed => false,
        };
        if may_retry && node.failures <= retry.times {
            let delay = retry_delay(retry, id, node.failures);
            self.emit(EventKind::NodeRetrying { node: id, until: self.at.plus_ms(delay.0) });
            self.owe_retry(id);
        } else {
            self.end_node(id, NodeEnd::Failed, NodeReason::Attempt, outputs, false);
        }
    }

    /// A live attempt is known to be gone: dead, or ended by its lease.
    pub(super) fn lose(&mut self, attempt: AttemptId) {
        let id = NodeRef::from(attempt);
        let stop = self.state.nodes.get(&id).and_then(|node| node.stop.clone());
        self.emit(EventKind::AttemptEnded { attempt, end: AttemptEnd::Lost, outcome: None });
        match stop {
            Some(stop) => self.end_stopped(id, stop),
            None => self.after_loss(id),
        }
    }

    fn after_loss(&mut self, id: NodeRef) {
        let Some((node, policy)) = self.node_policy(id) else { return };
        match policy.on_lost {
            OnLost::Fail => self.end_node(id, NodeEnd::Failed, NodeReason::Lost, Vec::new(), false),
            OnLost::Ask => {
                self.emit(EventKind::NodeLost { node: id, asks: true, unproven: false });
                let name = self.state.node_name(id).map(|name| name.to_string()).unwrap_or_default();
                let message = say!("node {} was lost with its worker and waits for `mark` or `retry`", name);
                self.attention(format!("instance:{}", id.instance), message);
            }
            OnLost::Retry if node.losses <= policy.lost_retry_times => {
                self.emit(EventKind::NodeRequeued { node: id });
            }
            OnLost::Retry => self.end_node(id, NodeEnd::Failed, NodeReason::Lost, Vec::new(), false),
        }
    }

    pub(super) fn attempt_declined(
        &mut self,
        worker: &WorkerId,
        attempt: AttemptId,
        reason: &str,
        is_passing: bool,
    ) -> Result<Reply, Rejected> {
        if !self.is_live(worker, attempt) {
            return Ok(Reply::Unchanged);
        }
        let is_dispatched = self
            .state
            .nodes
            .get(&NodeRef::from(attempt))
            .is_some_and(|node| matches!(node.state, NodeState::Dispatched { .. } | NodeState::Lost { .. }));
        if !is_dispatched {
            return Err(Rejected::conflict(say!("attempt {} started: it cannot be declined ({})", attempt, reason)));
        }
        if is_passing {
            // An earlier copy of the dispatch may have been taken: only the same attempt again can tell.
            self.live.awaits(attempt, Millis(self.mono.0 + self.settings.resend_after.0));
            return Ok(Reply::Unchanged);
        }
        if let Some(live) = self.live.workers.get_mut(worker) {
            live.held_until = Some(Millis(self.mono.0 + HOLD.0));
        }
        // Another copy may be under way to it: not before it left a tombstone may the node go elsewhere.
        self.live.doubted.insert(attempt);
        self.live.declined.insert(attempt);
        self.send_again(attempt);
        Ok(Reply::Done)
    }

    /// The worker looked everywhere and left a tombstone: the attempt is known dead.
    pub(super) fn attempt_absent(&mut self, worker: &WorkerId, attempt: AttemptId) -> Result<Reply, Rejected> {
        if !self.is_live(worker, attempt) {
            self.live.answered(attempt);
            return Ok(Reply::Unchanged);
        }
        if self.live.declined.contains(&attempt) {
            self.give_back(attempt);
        } else {
            self.lose(attempt);
        }
        Ok(Reply::Done)
    }

    /// A declined attempt costs nothing, unless that happens over and over.
    fn give_back(&mut self, attempt: AttemptId) {
        let id = NodeRef::from(attempt);
        let Some(node) = self.state.nodes.get(&id) else { return };
        let is_declined = |old: &&super::state::Attempt| old.is_live() || old.ended() == Some(AttemptEnd::Declined);
        if node.attempts.iter().rev().take_while(is_declined).count() > DECLINES_MAX {
            return self.lose(attempt);
        }
        let stop = node.stop.clone();
        self.emit(EventKind::AttemptEnded { attempt, end: AttemptEnd::Declined, outcome: None });
        match stop {
            Some(stop) => self.end_stopped(id, stop),
            None => self.emit(EventKind::NodeRequeued { node: id }),
        }
    }

    pub(super) fn retry_due(&mut self, id: NodeRef) {
        self.emit(EventKind::NodeRequeued { node: id });
    }

    pub(super) fn node_timed_out(&mut self, id: NodeRef) {
        let Some((node, policy)) = self.node_policy(id) else { return };
        let live = node.live_attempt().map(|attempt| id.attempt(attempt.number));
        match policy.timeout_action {
            TimeoutAction::Fail => match live {
                Some(attempt) => {
                    let stop = Stop { end: NodeEnd::TimedOut, reason: NodeReason::Timeout, at: self.at, grace: None };
                    self.stop_attempt(attempt, stop, "timeout");
                }
                None => self.end_node(id, NodeEnd::TimedOut, NodeReason::Timeout, Vec::new(), false),
            },
            TimeoutAction::KillInstance => {
                let node = self.state.node_name(id).unwrap_or_else(|| crate::model::id::NodeName::from(""));
                self.emit(EventKind::NodeTimeoutPassed { node: id });
                self.stop_instance(id.instance, InstanceEnd::Killed, StopReason::NodeTimedOut { node });
            }
            TimeoutAction::Warn => {
                self.emit(EventKind::NodeTimeoutPassed { node: id });
                self.emit(EventKind::InstanceMarked { instance: id.instance, mark: InstanceMark::Late });
                let name = self.state.node_name(id).map(|name| name.to_string()).unwrap_or_default();
                self.attention(format!("instance:{}", id.instance), say!("node {} exceeds its timeout", name));
            }
        }
    }

    fn node_policy(&self, id: NodeRef) -> Option<(super::state::Node, ActionPolicy)> {
        let node = self.state.nodes.get(&id)?;
        let version = self.state.version_of(self.state.instances.get(&id.instance)?)?;
        Some((node.clone(), policy(node, version)?.clone()))
    }

    fn check_outputs(&self, id: NodeRef, outputs: &[(String, String)]) -> Result<(), Message> {
        let bytes = check_outputs(outputs, self.settings.output_bytes_max)?;
        let of_instance = self.state.derived.walks.get(&id.instance).map_or(0, |walk| walk.output_bytes);
        if of_instance + bytes > INSTANCE_OUTPUT_BYTES_MAX {
            return Err(say!("outputs of the instance have more than {} bytes", INSTANCE_OUTPUT_BYTES_MAX));
        }
        Ok(())
    }
}

/// The bytes of a node's or an instance's outputs, or which bound they are beyond.
pub(super) fn check_outputs(outputs: &[(String, String)], bytes_max: usize) -> Result<usize, Message> {
    if outputs.len() > OUTPUTS_MAX {
        return Err(say!("more than {} outputs", OUTPUTS_MAX));
    }
    if let Some((name, value)) = outputs.iter().find(|(_, value)| value.len() > OUTPUT_BYTES_MAX) {
        return Err(say!("output {} has {} bytes, more than {}", name, value.len(), OUTPUT_BYTES_MAX));
    }
    let bytes: usize = outputs.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > bytes_max {
        return Err(say!("outputs of {} bytes, more than worker.output_bytes_max allows ({})", bytes, bytes_max));
    }
    Ok(bytes)
}

impl Engine {
    /// The effect that an attempt still waits for.
    pub(super) fn repeat(&self, attempt: AttemptId) -> Option<Effect> {
        repeat(&self.state, &self.live, &self.settings, attempt)
    }
}

fn repeat(
    state: &State,
    sessions: &super::engine::Live,
    settings: &super::settings::Settings,
    attempt: AttemptId,
) -> Option<Effect> {
    let node = state.nodes.get(&NodeRef::from(attempt))?;
    let live = node.live_attempt().filter(|live| live.number == attempt.number)?;
    if let Some(stop) = &node.stop {
        let why = "asked before".to_owned();
        let grace = stop.grace.unwrap_or(settings.kill_grace);
        return Some(Effect::KillAttempt { worker: live.worker.clone(), attempt, grace, why });
    }
    match &node.state {
        NodeState::Dispatched { .. } => {
            let assignment = state.assignment(settings, attempt, &live.worker).ok()?;
            let session = sessions.session(&live.worker);
            Some(Effect::SendAttempt { worker: live.worker.clone(), session, assignment: Box::new(assignment) })
        }
        NodeState::Queued { .. }
        | NodeState::Running { .. }
        | NodeState::Retrying { .. }
        | NodeState::Lost { .. }
        | NodeState::Done { .. } => None,
    }
}

impl State {
    /// All that a worker needs to run an attempt.
    pub(super) fn assignment(
        &self,
        settings: &super::settings::Settings,
        attempt: AttemptId,
        worker: &WorkerId,
    ) -> Result<crate::model::assignment::Assignment, Message> {
        let id = NodeRef::from(attempt);
        let missing = || say!("attempt {} is of nothing that exists", attempt);
        let node = self.nodes.get(&id).ok_or_else(missing)?;
        let head = self.instances.get(&id.instance).ok_or_else(missing)?;
        let version = self.version_of(head).ok_or_else(missing)?;
        // A repeated dispatch is the same in all, also under a later leadership.
        let epoch = node.attempt(attempt.number).map_or(self.cluster.epoch, |known| known.epoch);
        // The leader counts on the lease that it recorded, whatever the settings say by now.
        let lease = match node.attempt(attempt.number) {
            Some(known) => known.lease,
            None => self.lease(settings, node, version, worker),
        };
        Run::new(self, settings, head, version).assignment(node, attempt, epoch, lease)
    }
}

/// Does a worker have what a node needs, busy or not?
pub fn fits(placement: &Placement, worker: &Worker) -> bool {
    let is_host = placement.host.as_ref().is_none_or(|host| {
        worker.hosts.iter().any(|own| own.eq_ignore_ascii_case(host)) || worker.name.as_str() == host
    });
    let has = |label: &str| worker.labels.iter().any(|own| own == label) || worker.name.as_str() == label;
    is_host
        && placement.labels.iter().all(|label| match label.strip_prefix('!') {
            Some(label) => !has(label.trim()),
            None => has(label),
        })
}

/// The delay before the next try: never longer than `max-interval` but for the jitter, whole milliseconds.
fn retry_delay(retry: &Retry, id: NodeRef, n_failures: u32) -> Millis {
    let cap = retry.max_interval.0;
    let mut delay = retry.interval.0;
    if retry.backoff == Backoff::Exponential {
        for _ in 1..n_failures {
            delay = delay.saturating_mul(i64::from(retry.factor_tenths)) / 10;
            if delay >= cap {
                break;
            }
        }
        delay = delay.min(cap);
    }
    let span = delay.saturating_mul(i64::from(retry.jitter_percent)) / 100;
    if span > 0 {
        let hash = hash::fixed(&[
            &id.instance.0.to_le_bytes(),
            &id.generation.0.to_le_bytes(),
            &id.node.0.to_le_bytes(),
            &n_failures.to_le_bytes(),
        ]);
        let width = span.unsigned_abs().saturating_mul(2).saturating_add(1);
        delay += (hash % width) as i64 - span;
    }
    Millis(delay.max(0))
}
