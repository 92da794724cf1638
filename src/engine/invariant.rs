//! What must hold of every state, and of every history: each a function of its own, callable from tests,
//! simulation and a running leader.
//!
//! `ALL` holds after every event batch of one command. `QUIET` holds besides once the engine has nothing left to
//! do at once.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::definition::NodeKind;
use crate::model::id::{AttemptId, InstanceNumber};
use crate::model::policy::OnLost;
use crate::model::trigger::FireKey;

use super::event::{Event, EventKind, NodeRef};
use super::state::{
    AttemptState, Derived, EdgeState, InstanceState, MailAbout, MailItem, Node, NodeEnd, NodeState, SkipReason, State,
    policy,
};
use super::why::why_node;

/// An invariant that does not hold, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{invariant}: {what}")]
pub struct Broken {
    pub invariant: &'static str,
    pub what: String,
}

type Check = fn(&State) -> Result<(), String>;

/// Hold after every command.
pub const ALL: &[(&str, Check)] = &[
    ("one_live_attempt", one_live_attempt),
    ("attempts_are_ordered", attempts_are_ordered),
    ("live_attempts_match_states", live_attempts_match_states),
    ("slots_are_never_exceeded", slots_are_never_exceeded),
    ("instance_limits_hold", instance_limits_hold),
    ("dependency_order", dependency_order),
    ("a_node_runs_only_after_its_ways_in", a_node_runs_only_after_its_ways_in),
    ("success_is_what_the_task_said", success_is_what_the_task_said),
    ("budgets_hold", budgets_hold),
    ("at_most_one_start_where_asked", at_most_one_start_where_asked),
    ("one_instance_per_fire", one_instance_per_fire),
    ("terminal_is_down", terminal_is_down),
    ("instances_run_an_existing_version", instances_run_an_existing_version),
    ("latches_are_of_prerequisites", latches_are_of_prerequisites),
    ("triggers_have_marks", triggers_have_marks),
    ("counters_cover_what_exists", counters_cover_what_exists),
    ("every_wait_has_a_reason", every_wait_has_a_reason),
    ("indexes_are_recomputable", indexes_are_recomputable),
];

/// Hold when the engine has nothing left to do at once.
pub const QUIET: &[(&str, Check)] = &[
    ("running_instances_have_something_to_wait_for", running_instances_have_something_to_wait_for),
    ("stopping_instances_have_asked_all", stopping_instances_have_asked_all),
    ("no_place_is_left_empty", no_place_is_left_empty),
];

/// Every invariant of a state that is broken.
pub fn check(state: &State) -> Vec<Broken> {
    run(ALL, state)
}

/// As `check`, with those that hold when nothing is left to do at once.
pub fn check_quiet(state: &State) -> Vec<Broken> {
    let mut broken = run(ALL, state);
    broken.extend(run(QUIET, state));
    broken
}

fn run(checks: &[(&'static str, Check)], state: &State) -> Vec<Broken> {
    checks.iter().filter_map(|(invariant, check)| check(state).err().map(|what| Broken { invariant, what })).collect()
}

/// I1: of all attempts of a node, in every generation, at most one may live, and it is the last.
pub fn one_live_attempt(state: &State) -> Result<(), String> {
    let mut live: BTreeMap<(InstanceNumber, u32), AttemptId> = BTreeMap::new();
    for node in state.nodes.values() {
        for attempt in node.attempts.iter().filter(|attempt| attempt.is_live()) {
            let id = node.id.attempt(attempt.number);
            if node.attempts.last().map(|last| last.number) != Some(attempt.number) {
                return Err(format!("{id} lives beside a later attempt"));
            }
            if let Some(other) = live.insert((node.id.instance, node.id.node.0), id) {
                if other.generation != id.generation || other.index == id.index {
                    return Err(format!("{other} and {id} both live"));
                }
            }
        }
    }
    Ok(())
}

/// I2: numbers rise by one and are never reused.
pub fn attempts_are_ordered(state: &State) -> Result<(), String> {
    for node in state.nodes.values() {
        let numbers: Vec<u32> = node.attempts.iter().map(|attempt| attempt.number).collect();
        let expected: Vec<u32> = (1..=numbers.len() as u32).collect();
        if numbers != expected {
            return Err(format!("{:?} has attempts {numbers:?}", node.id));
        }
    }
    Ok(())
}

/// A node's state and its last attempt say the same.
pub fn live_attempts_match_states(state: &State) -> Result<(), String> {
    for node in state.nodes.values() {
        let live = node.live_attempt();
        let fits = match &node.state {
            NodeState::Queued { .. } | NodeState::Retrying { .. } | NodeState::Done { .. } => live.is_none(),
            NodeState::Dispatched { number, worker, .. } => live.is_some_and(|attempt| {
                attempt.number == *number && attempt.worker == *worker && attempt.state == AttemptState::Dispatched
            }),
            NodeState::Running { owner: super::state::Owner::Worker { number, worker }, .. } => {
                live.is_some_and(|attempt| {
                    attempt.number == *number && attempt.worker == *worker && attempt.state == AttemptState::Running
                })
            }
            NodeState::Running { .. } => live.is_none(),
            NodeState::Lost { number, asks, .. } => {
                live.is_some() != *asks && node.attempts.last().map(|last| last.number) == Some(*number)
            }
        };
        if !fits {
            return Err(format!("{:?} is {:?} with attempt {live:?}", node.id, node.state));
        }
        if node.stop.is_some() && live.is_none() {
            return Err(format!("{:?} is being stopped without an attempt", node.id));
        }
    }
    Ok(())
}

/// I11: what live attempts weigh never exceeds a worker's slots, but for what it ran before it had fewer.
pub fn slots_are_never_exceeded(state: &State) -> Result<(), String> {
    let mut used: BTreeMap<&crate::model::id::WorkerId, u32> = BTreeMap::new();
    for node in state.nodes.values() {
        let Some(attempt) = node.live_attempt() else { continue };
        let Some(version) = state.instances.get(&node.id.instance).and_then(|head| state.version_of(head)) else {
            continue;
        };
        let is_older = state.workers.get(&attempt.worker).is_none_or(|w| attempt.dispatched < w.registered);
        if !is_older {
            *used.entry(&attempt.worker).or_default() += policy(node, version).map_or(1, |policy| policy.slots);
        }
    }
    for (name, used) in used {
        let slots = state.workers.get(name).map_or(0, |worker| worker.slots);
        if used > slots {
            return Err(format!("worker {name} uses {used} of {slots} slots"));
        }
    }
    Ok(())
}

/// I11: no more instances hold a place than some version of their workflow allowed.
pub fn instance_limits_hold(state: &State) -> Result<(), String> {
    for (name, started) in &state.derived.started_instances {
        let heads = || started.iter().filter_map(|number| state.instances.get(number));
        // They may have started under a version between theirs and the current one.
        let limit = state
            .versions
            .values()
            .filter(|version| version.workflow == *name)
            .map(|version| version.definition().instance_limit)
            .max()
            .unwrap_or(0);
        let n = heads().filter(|head| !head.is_beyond_limit).count();
        if n > limit as usize {
            return Err(format!("{n} instances of {name} are running, limit {limit}"));
        }
    }
    Ok(())
}

/// I7: each edge of an ended node is resolved, each of a live one is open.
pub fn dependency_order(state: &State) -> Result<(), String> {
    for node in state.nodes.values() {
        let is_resolved = node.edges.iter().all(|edge| *edge != EdgeState::Open);
        if !is_resolved || (!node.is_terminal() && !node.edges.is_empty()) {
            return Err(format!("{:?} is {:?} with edges {:?}", node.id, node.state, node.edges));
        }
        let dead_end = matches!(&node.state, NodeState::Done { end, .. }
            if matches!(end, NodeEnd::Killed | NodeEnd::UpstreamFailed | NodeEnd::Skipped(SkipReason::NotReached)));
        if dead_end && node.edges.contains(&EdgeState::Taken) {
            return Err(format!("{:?} passed on though it ended {:?}", node.id, node.state));
        }
    }
    Ok(())
}

/// I7: a node has a record only if its ways in were decided: one taken, or all dead; of a join all resolved.
pub fn a_node_runs_only_after_its_ways_in(state: &State) -> Result<(), String> {
    for node in state.nodes.values() {
        let Some(head) = state.instances.get(&node.id.instance) else { continue };
        if head.generation().number != node.id.generation {
            continue;
        }
        let Some(version) = state.version_of(head) else { continue };
        let definition = version.definition();
        let kind = &definition.node(node.id.node).kind;
        if matches!(kind, NodeKind::Start) {
            continue;
        }
        let Some(graph) = state.derived.graph(&version.workflow, version.number) else { continue };
        let (mut taken, mut open) = (0, 0);
        for edge in &graph.into[node.id.node.at()] {
            let from = NodeRef { node: definition.edges[edge.at()].from, ..node.id };
            let at = graph.out[from.node.at()].iter().position(|out| out == edge);
            let state = state.nodes.get(&from).and_then(|from| at.and_then(|at| from.edges.get(at)));
            match state {
                Some(EdgeState::Taken) => taken += 1,
                Some(EdgeState::Dead(_)) => {}
                Some(EdgeState::Open) | None => open += 1,
            }
        }
        let is_forced = matches!(&node.state, NodeState::Done { forced: true, .. });
        let is_join = matches!(kind, NodeKind::Join);
        if !is_forced && ((taken == 0 && open > 0) || (is_join && open > 0)) {
            return Err(format!("{:?} began with {taken} ways taken and {open} open", node.id));
        }
        let was_not_reached = match &node.state {
            NodeState::Done { end, .. } => {
                matches!(end, NodeEnd::UpstreamFailed | NodeEnd::Skipped(SkipReason::NotReached))
            }
            NodeState::Queued { .. }
            | NodeState::Dispatched { .. }
            | NodeState::Running { .. }
            | NodeState::Retrying { .. }
            | NodeState::Lost { .. } => false,
        };
        if !is_forced && was_not_reached != (taken == 0) {
            return Err(format!("{:?} is {:?} with {taken} ways taken", node.id, node.state));
        }
    }
    Ok(())
}

/// I8: a node is succeeded by its attempt only if that attempt's worker said so.
pub fn success_is_what_the_task_said(state: &State) -> Result<(), String> {
    for node in state.nodes.values() {
        if let NodeState::Done { end: NodeEnd::Succeeded, reason: super::state::NodeReason::Attempt, .. } = &node.state
        {
            let last = node.attempts.last().and_then(|attempt| attempt.ended());
            if last != Some(super::state::AttemptEnd::Succeeded) {
                return Err(format!("{:?} succeeded with an attempt that ended {last:?}", node.id));
            }
        }
    }
    Ok(())
}

/// I9: retries and losses stay within their budgets.
pub fn budgets_hold(state: &State) -> Result<(), String> {
    each_policy(state, |node, policy| {
        // A person's `retry` of a lost node is beyond the budget on purpose.
        let is_asked = policy.on_lost == OnLost::Ask;
        if node.failures > policy.retry.times + 1 {
            return Err(format!("{:?} failed {} times", node.id, node.failures));
        }
        if !is_asked && node.losses > policy.lost_retry_times + 1 {
            return Err(format!("{:?} was lost {} times", node.id, node.losses));
        }
        Ok(())
    })
}

/// I9: with `on-lost="fail"` no attempt follows one that may have started and was lost.
pub fn at_most_one_start_where_asked(state: &State) -> Result<(), String> {
    each_policy(state, |node, policy| {
        let lost = node.attempts.iter().position(|a| a.ended() == Some(super::state::AttemptEnd::Lost));
        match lost {
            Some(at) if policy.on_lost == OnLost::Fail && at + 1 < node.attempts.len() => {
                Err(format!("{:?} was started again after it was lost", node.id))
            }
            Some(_) | None => Ok(()),
        }
    })
}

fn each_policy(
    state: &State,
    check: impl Fn(&Node, &crate::model::policy::ActionPolicy) -> Result<(), String>,
) -> Result<(), String> {
    for node in state.nodes.values() {
        let Some(head) = state.instances.get(&node.id.instance) else { continue };
        if head.generation().number != node.id.generation {
            continue;
        }
        if let Some(policy) = state.version_of(head).and_then(|version| policy(node, version)) {
            check(node, policy)?;
        }
    }
    Ok(())
}

/// I10: a fire starts at most one instance, and an instance knows the fire that knows it.
pub fn one_instance_per_fire(state: &State) -> Result<(), String> {
    let mut by_fire: BTreeMap<&FireKey, InstanceNumber> = BTreeMap::new();
    for head in state.instances.values() {
        let Some(key) = &head.fire else { continue };
        if let Some(other) = by_fire.insert(key, head.number) {
            return Err(format!("instances {other} and {} are of one fire", head.number));
        }
        match state.fires.get(key).map(|fire| &fire.state) {
            Some(super::state::FireState::Started { instance, .. }) if *instance != head.number => {
                return Err(format!("the fire of instance {} started {instance}", head.number));
            }
            Some(super::state::FireState::Started { .. }) | None => {}
            Some(other) => return Err(format!("the fire of instance {} is {}", head.number, other.word())),
        }
    }
    Ok(())
}

/// Nothing of a finished instance lives, and no earlier generation does.
pub fn terminal_is_down(state: &State) -> Result<(), String> {
    for node in state.nodes.values().filter(|node| !node.is_terminal()) {
        match state.instances.get(&node.id.instance) {
            Some(head) if head.is_started() && head.generation().number == node.id.generation => {}
            Some(head) => return Err(format!("{:?} lives in an instance that is {}", node.id, head.word())),
            None => return Err(format!("{:?} is of no instance", node.id)),
        }
    }
    Ok(())
}

/// I14: an instance runs exactly one version, which exists, and each of its generations knows its own.
pub fn instances_run_an_existing_version(state: &State) -> Result<(), String> {
    for head in state.instances.values() {
        for generation in &head.generations {
            if state.version(&head.workflow, generation.version).is_none() {
                return Err(format!("instance {} runs version {} that is gone", head.number, generation.version));
            }
        }
    }
    Ok(())
}

pub fn latches_are_of_prerequisites(state: &State) -> Result<(), String> {
    for (name, subject) in state.latches.keys() {
        let is_wanted = state
            .current_version(name)
            .and_then(|version| version.definition().coordinator.as_ref())
            .is_some_and(|coordinator| {
                coordinator
                    .prerequisites
                    .iter()
                    .any(|p| matches!(subject, crate::model::trigger::Subject::Workflow(of) if *of == p.workflow))
            });
        if !is_wanted {
            return Err(format!("{name} has a latch of {subject:?}, which it does not wait for"));
        }
    }
    Ok(())
}

pub fn triggers_have_marks(state: &State) -> Result<(), String> {
    let mut wanted = BTreeSet::new();
    for workflow in state.workflows.values().filter(|workflow| workflow.removed.is_none()) {
        let coordinator =
            state.current_version(&workflow.name).and_then(|version| version.definition().coordinator.as_ref());
        for trigger in coordinator.into_iter().flat_map(|coordinator| &coordinator.triggers) {
            wanted.insert((workflow.name.clone(), trigger.id.clone()));
        }
    }
    let known: BTreeSet<_> = state.triggers.keys().cloned().collect();
    if wanted == known { Ok(()) } else { Err(format!("triggers {wanted:?}, marks {known:?}")) }
}

pub fn counters_cover_what_exists(state: &State) -> Result<(), String> {
    let last = state.instances.keys().next_back().copied().unwrap_or_default();
    if last > state.cluster.last_instance {
        return Err(format!("instance {last} is beyond {}", state.cluster.last_instance));
    }
    for (name, number) in state.versions.keys() {
        if state.workflows.get(name).is_none_or(|workflow| workflow.current < *number) {
            return Err(format!("version {number} of {name} is beyond the current one"));
        }
    }
    Ok(())
}

/// Every state that is not terminal has an owner, a deadline or a reason that can be named.
pub fn every_wait_has_a_reason(state: &State) -> Result<(), String> {
    for node in state.nodes.values().filter(|node| !node.is_terminal()) {
        let Some(head) = state.instances.get(&node.id.instance) else { continue };
        if why_node(state, head, node.id.node, state.cluster.clock).is_empty() {
            return Err(format!("{:?} waits for nothing that can be named", node.id));
        }
    }
    Ok(())
}

pub fn indexes_are_recomputable(state: &State) -> Result<(), String> {
    state.derived.says_the_same(&Derived::of(state)).map_err(|what| format!("index of {what}"))
}

pub fn running_instances_have_something_to_wait_for(state: &State) -> Result<(), String> {
    for head in state.instances.values() {
        if !matches!(head.state, InstanceState::Running { .. } | InstanceState::Paused { started: Some(_), .. }) {
            continue;
        }
        let Some(walk) = state.derived.walks.get(&head.number) else {
            return Err(format!("instance {} has no walk", head.number));
        };
        if walk.live.is_empty() {
            return Err(format!("instance {} is running with nothing live", head.number));
        }
        if head.verdict.is_none() && !walk.actionable.is_empty() {
            return Err(format!("instance {} has nodes that nobody looks at", head.number));
        }
    }
    Ok(())
}

pub fn stopping_instances_have_asked_all(state: &State) -> Result<(), String> {
    for head in state.instances.values().filter(|head| head.verdict.is_some()) {
        for at in state.derived.walks.get(&head.number).into_iter().flat_map(|walk| &walk.live) {
            if state.nodes.get(&head.node_ref(*at)).is_some_and(|node| node.stop.is_none()) {
                return Err(format!("node {at} of stopping instance {} was not asked to stop", head.number));
            }
        }
    }
    Ok(())
}

/// No instance waits in the queue while its workflow has room.
pub fn no_place_is_left_empty(state: &State) -> Result<(), String> {
    for name in state.derived.queued_instances.keys() {
        let Some(version) = state.current_version(name) else { continue };
        let n = state.derived.n_started(name);
        if n < version.definition().instance_limit as usize {
            return Err(format!("instances of {name} wait while {n} run"));
        }
    }
    Ok(())
}

/// What must hold of a history: fed every event in order, on one replica.
#[derive(Debug, Clone, Default)]
pub struct History {
    dispatched: BTreeSet<AttemptId>,
    ended: BTreeSet<AttemptId>,
    measured: BTreeSet<AttemptId>,
    finished_nodes: BTreeSet<NodeRef>,
    finished: BTreeMap<InstanceNumber, bool>,
    fires: BTreeSet<FireKey>,
    started_fires: BTreeMap<FireKey, InstanceNumber>,
    requests: BTreeSet<(crate::model::id::Principal, String)>,
    killed: BTreeSet<InstanceNumber>,
    /// Mails that are owed; the ends that were.
    mails: BTreeSet<u64>,
    mailed: BTreeSet<(InstanceNumber, crate::model::id::Generation, MailAbout)>,
    clock: crate::model::time::Timestamp,
}

impl History {
    /// I2, I5, I6, I10, I12 over time.
    pub fn see(&mut self, event: &Event) -> Result<(), Broken> {
        let broken = |invariant, what: String| Err(Broken { invariant, what });
        if event.at < self.clock {
            return broken("time_never_goes_back", format!("{} after {}", event.at, self.clock));
        }
        self.clock = event.at;
        match &event.kind {
            EventKind::AttemptDispatched { attempt, .. } => {
                if !self.dispatched.insert(*attempt) {
                    return broken("attempts_are_never_reused", attempt.to_string());
                }
                if self.killed.contains(&attempt.instance) {
                    return broken("kill_is_final", format!("{attempt} after the kill"));
                }
                if self.finished_nodes.contains(&NodeRef::from(*attempt)) {
                    return broken("terminal_is_absorbing", attempt.to_string());
                }
            }
            EventKind::AttemptEnded { attempt, .. } => {
                if !self.dispatched.contains(attempt) {
                    return broken("nothing_is_invented", attempt.to_string());
                }
                if !self.ended.insert(*attempt) {
                    return broken("an_attempt_ends_once", attempt.to_string());
                }
            }
            EventKind::Measured { attempt, .. } => {
                if !self.ended.contains(attempt) || !self.measured.insert(*attempt) {
                    return broken("an_attempt_measures_once", attempt.to_string());
                }
            }
            EventKind::NodeFinished { node, .. } => {
                if !self.finished_nodes.insert(*node) {
                    return broken("terminal_is_absorbing", format!("{node:?}"));
                }
            }
            EventKind::InstanceCreated { instance } => {
                if self.finished.insert(instance.number, false).is_some() {
                    return broken("instances_are_made_once", instance.number.to_string());
                }
            }
            EventKind::InstanceStopping { instance, end: super::state::InstanceEnd::Killed, .. } => {
                self.killed.insert(*instance);
            }
            EventKind::InstanceFinished { instance, .. } => {
                if self.finished.insert(*instance, true) == Some(true) {
                    return broken("terminal_is_absorbing", format!("instance {instance}"));
                }
            }
            EventKind::InstanceRerun { instance, .. } => {
                if self.finished.insert(*instance, false) == Some(false) {
                    return broken("only_what_is_finished_is_rerun", format!("instance {instance}"));
                }
                self.killed.remove(instance);
            }
            EventKind::MailOwed { mail } => {
                self.mails.insert(mail.number);
                return self.mailed(mail.items.first());
            }
            EventKind::MailAdded { item, .. } => return self.mailed(Some(item)),
            EventKind::MailSettled { mail, .. } => {
                if !self.mails.remove(mail) {
                    return broken("a_mail_is_settled_once", mail.to_string());
                }
            }
            EventKind::FirePlaced { fire } => {
                if !self.fires.insert(fire.key.clone()) {
                    return broken("fires_are_unique", format!("{:?}", fire.key));
                }
            }
            EventKind::FireSettled { key, state: super::state::FireState::Started { instance, .. } } => {
                if let Some(other) = self.started_fires.insert(key.clone(), *instance) {
                    return broken("one_instance_per_fire", format!("{other} and {instance} of {key:?}"));
                }
            }
            EventKind::RequestAnswered { by, key, .. } => {
                if !self.requests.insert((by.clone(), key.clone())) {
                    return broken("requests_are_answered_once", key.clone());
                }
            }
            EventKind::RequestsTrimmed { requests } => {
                for request in requests {
                    self.requests.remove(request);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Each thing is told once.
    fn mailed(&mut self, item: Option<&MailItem>) -> Result<(), Broken> {
        let Some(item) = item else { return Ok(()) };
        match self.mailed.insert((item.instance, item.generation, item.about.clone())) {
            true => Ok(()),
            false => Err(Broken { invariant: "a_thing_is_mailed_once", what: format!("{item:?}") }),
        }
    }
}
