//! What the simulated tasks write down, and what that must look like: an account that owes the engine nothing.

use std::collections::{BTreeMap, BTreeSet};

use ractorflow::engine::event::{EventKind, NodeRef};
use ractorflow::engine::state::{AttemptEnd, NodeEnd, NodeReason, Presence, SkipReason};
use ractorflow::engine::{Event, State};
use ractorflow::model::assignment::OutcomeClass;
use ractorflow::model::definition::{Definition, EdgeKind, NodeKind};
use ractorflow::model::id::{AttemptId, InstanceNumber, TriggerId, WorkerId, WorkflowName};
use ractorflow::model::policy::OnLost;
use ractorflow::model::time::Timestamp;
use ractorflow::model::trigger::Occurrence;

use crate::Broken;

#[derive(Default)]
pub struct Ledger {
    /// Attempts whose processes live now, with their worker.
    pub live: BTreeMap<AttemptId, WorkerId>,
    live_of: BTreeMap<(InstanceNumber, u32), BTreeSet<AttemptId>>,
    started: BTreeSet<AttemptId>,
    exits: BTreeMap<AttemptId, OutcomeClass>,
    starts: BTreeMap<NodeRef, u32>,
    /// Where the log sent each attempt.
    dispatched: BTreeMap<AttemptId, WorkerId>,
    /// Attempts that a person answered for by marking their node while they were out of sight.
    vouched: BTreeSet<AttemptId>,
    ends: BTreeMap<NodeRef, NodeEnd>,
    /// Nominal times of fires by trigger, for those that must have them all.
    fires: BTreeMap<(WorkflowName, TriggerId), Vec<Timestamp>>,
    /// The instance that was made under a request key.
    pub created: BTreeMap<(String, String), InstanceNumber>,
    pub nodes: u64,
    pub reruns: u64,
    pub losses: u64,
    /// While their worker was silent.
    pub given_up: u64,
    pub stale: u64,
    pub instances: u64,
}

fn broken<T>(invariant: &'static str, what: String) -> Result<T, Broken> {
    Err(Broken { invariant, what })
}

impl Ledger {
    /// A process of this attempt begins.
    pub fn start(&mut self, attempt: AttemptId, worker: &WorkerId, state: &State) -> Result<(), Broken> {
        if self.dispatched.get(&attempt) != Some(worker) {
            return broken("no_phantom_starts", format!("{attempt} starts on {worker} without a committed dispatch"));
        }
        if !self.started.insert(attempt) {
            return broken("an_attempt_starts_once", attempt.to_string());
        }
        let place = (attempt.instance, attempt.node.0);
        let live = self.live_of.entry(place).or_default();
        // Of another generation only after a person vouched that the older one is gone.
        if let Some(other) = live.iter().find(|other| !self.vouched.contains(other)) {
            return broken("never_two_live_attempts", format!("{attempt} starts while {other} lives"));
        }
        live.insert(attempt);
        self.live.insert(attempt, worker.clone());
        let node = NodeRef::from(attempt);
        let is_known = state
            .nodes
            .get(&node)
            .and_then(|node| node.live_attempt())
            .is_some_and(|live| live.number == attempt.number);
        if !is_known && !self.vouched.contains(&attempt) {
            return broken("what_starts_is_live_in_the_log", attempt.to_string());
        }
        let starts = self.starts.entry(node).or_default();
        *starts += 1;
        let policy =
            state.instances.get(&attempt.instance).and_then(|head| state.version_of(head)).and_then(|version| {
                match &version.definition().node(attempt.node).kind {
                    NodeKind::Action(action) => Some(action.policy.clone()),
                    NodeKind::Start | NodeKind::End | NodeKind::Fork | NodeKind::Join | NodeKind::Kill { .. } => None,
                }
            });
        let Some(policy) = policy else {
            return broken("no_phantom_starts", format!("{attempt} is of no action"));
        };
        let budget = match policy.on_lost {
            OnLost::Retry => Some(1 + policy.retry.times + policy.lost_retry_times),
            OnLost::Fail => Some(1 + policy.retry.times),
            // A person may start it again as often as he likes.
            OnLost::Ask => None,
        };
        match budget {
            Some(budget) if *starts > budget => {
                broken("starts_stay_within_budget", format!("{node:?} starts {starts} times of {budget}"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// All processes of the attempt are gone; `None`: with their machine, nobody will tell how.
    pub fn exit(&mut self, attempt: AttemptId, class: Option<OutcomeClass>) {
        self.live.remove(&attempt);
        if let Some(live) = self.live_of.get_mut(&(attempt.instance, attempt.node.0)) {
            live.remove(&attempt);
        }
        if let Some(class) = class {
            self.exits.insert(attempt, class);
        }
    }

    /// The committed events of one entry, in order; `state` is what they led to.
    pub fn committed(&mut self, events: &[Event], state: &State) -> Result<(), Broken> {
        for (at, event) in events.iter().enumerate() {
            match &event.kind {
                EventKind::AttemptDispatched { attempt, worker, .. } => {
                    self.dispatched.insert(*attempt, worker.clone());
                }
                EventKind::AttemptEnded { attempt, end, outcome } => {
                    let is_vouched =
                        *end == AttemptEnd::Lost && outcome.is_none() && events[at + 1..].iter().any(|next| {
                            matches!(&next.kind, EventKind::NodeFinished { node, reason: NodeReason::Marked { .. }, .. }
                                if *node == NodeRef::from(*attempt))
                        });
                    if is_vouched {
                        self.vouched.insert(*attempt);
                    } else if self.live.contains_key(attempt) {
                        return broken("given_up_only_when_known_dead", format!("{attempt} ended {end:?} and lives"));
                    }
                    if *end == AttemptEnd::Lost {
                        self.losses += 1;
                        let worker = self.dispatched.get(attempt).and_then(|worker| state.workers.get(worker));
                        let is_silent = worker.is_some_and(|w| matches!(w.presence, Presence::Silent { .. }));
                        self.given_up += u64::from(is_silent && outcome.is_none() && !is_vouched);
                    }
                    self.result(*attempt, *end, outcome.as_ref().map(|outcome| outcome.class))?;
                }
                EventKind::ResultStale { .. } => self.stale += 1,
                EventKind::NodeQueued { node, .. } => self.may_begin(*node, state)?,
                EventKind::NodeFinished { node, end, reason, forced, .. } => {
                    self.nodes += 1;
                    if matches!(reason, NodeReason::Passed) && !forced {
                        self.may_begin(*node, state)?;
                    }
                    if self.ends.insert(*node, *end).is_some() {
                        return broken("terminal_is_absorbing", format!("{node:?} ends twice"));
                    }
                }
                EventKind::InstanceCreated { instance } => {
                    self.instances += 1;
                    if let Some(key) = &instance.request {
                        let key = (instance.by.to_string(), key.clone());
                        if let Some(other) = self.created.insert(key, instance.number) {
                            let what = format!("instances {other} and {} are of one request", instance.number);
                            return broken("a_request_has_one_effect", what);
                        }
                    }
                }
                EventKind::InstanceRerun { .. } => self.reruns += 1,
                EventKind::FirePlaced { fire } => {
                    if let Occurrence::Nominal(nominal) = fire.key.occurrence {
                        let key = (fire.key.workflow.clone(), fire.key.trigger.clone());
                        self.fires.entry(key).or_default().push(nominal);
                    }
                    if event.at < fire.nominal {
                        return broken("never_before_due", format!("{:?} placed at {}", fire.key, event.at));
                    }
                }
                EventKind::FireSettled { key, state: ractorflow::engine::state::FireState::Started { .. } } => {
                    if state.fires.get(key).is_some_and(|fire| event.at < fire.due && !is_taken_by_hand(state, key)) {
                        return broken("never_before_due", format!("{key:?} started at {}", event.at));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What the log says of a result is what the task said.
    fn result(&self, attempt: AttemptId, end: AttemptEnd, class: Option<OutcomeClass>) -> Result<(), Broken> {
        let told = self.exits.get(&attempt).copied();
        match class {
            Some(class) if told != Some(class) => {
                broken("results_are_true", format!("{attempt} is recorded {class:?}, it was {told:?}"))
            }
            None if matches!(end, AttemptEnd::Succeeded | AttemptEnd::Failed | AttemptEnd::TimedOut) => {
                broken("results_are_true", format!("{attempt} ended {end:?} without a result"))
            }
            Some(class) if end == AttemptEnd::Succeeded && class != OutcomeClass::Succeeded => {
                broken("results_are_true", format!("{attempt} succeeded with {class:?}"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// By the rules of edges written down a second time: a way in is taken; of a join all are decided.
    fn may_begin(&self, node: NodeRef, state: &State) -> Result<(), Broken> {
        let head = state.instances.get(&node.instance).filter(|head| head.generation().number == node.generation);
        let Some(version) = head.and_then(|head| state.version_of(head)) else {
            return Ok(());
        };
        let definition: &Definition = version.definition();
        let kind = &definition.node(node.node).kind;
        if matches!(kind, NodeKind::Start) {
            return Ok(());
        }
        let (mut n_taken, mut n_open) = (0, 0);
        for (_, edge) in definition.edges_into(node.node) {
            match self.ends.get(&NodeRef { node: edge.from, ..node }) {
                None => n_open += 1,
                Some(NodeEnd::Succeeded) if edge.kind != EdgeKind::Error => n_taken += 1,
                Some(NodeEnd::Skipped(SkipReason::Ignored | SkipReason::Operator | SkipReason::Condition))
                    if edge.kind != EdgeKind::Error =>
                {
                    n_taken += 1;
                }
                Some(NodeEnd::Failed | NodeEnd::TimedOut) if edge.kind == EdgeKind::Error => n_taken += 1,
                Some(_) => {}
            }
        }
        let is_join = matches!(kind, NodeKind::Join);
        if n_taken == 0 || (is_join && n_open > 0) {
            let what = format!("{node:?} begins with {n_taken} ways taken and {n_open} open");
            return broken("dependency_order_by_the_ledger", what);
        }
        Ok(())
    }

    /// Every time of a trigger that fires at a fixed rate, from its first to `until`, has its fire.
    pub fn fires_are_complete(&self, name: &WorkflowName, period: i64, until: Timestamp) -> Result<(), Broken> {
        let key = (name.clone(), TriggerId::from("t0"));
        let mut times = self.fires.get(&key).cloned().unwrap_or_default();
        times.sort();
        for pair in times.windows(2) {
            if pair[1].since(pair[0]) != period {
                let what = format!("{name} fired for {} and then for {}, every {period} ms", pair[0], pair[1]);
                return broken("no_time_is_lost", what);
            }
        }
        match times.last() {
            Some(last) if until.since(*last) > 2 * period => {
                broken("no_time_is_lost", format!("{name} fired last for {last}, it is {until}"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// `trigger --nominal` takes an occurrence before its jitter is over.
fn is_taken_by_hand(state: &State, key: &ractorflow::model::trigger::FireKey) -> bool {
    let started = match state.fires.get(key).map(|fire| &fire.state) {
        Some(ractorflow::engine::state::FireState::Started { instance, .. }) => Some(*instance),
        _ => None,
    };
    started
        .and_then(|number| state.instances.get(&number))
        .is_some_and(|head| head.kind == ractorflow::model::trigger::Kind::Triggered)
}
