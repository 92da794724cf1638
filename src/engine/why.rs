//! Why something runs, waits or ended: one closed list of reasons for command line, page and API.
//!
//! Answered from the state alone, so any replica can. Each reason says what would change it.

use serde::{Deserialize, Serialize};

use crate::model::definition::NodeKind;
use crate::model::duration::Millis;
use crate::model::id::{InstanceNumber, NodeIndex, NodeName, Principal, TriggerId, WorkerId, WorkflowName};
use crate::model::message::{Message, Value};
use crate::model::policy::OnLost;
use crate::model::time::Timestamp;
use crate::model::trigger::Coordinator;
use crate::say;

use super::attempt::fits;
use super::command::Rejected;
use super::settings::Limits;
use super::state::{
    EdgeState, Instance, InstanceEnd, InstanceState, Node, NodeEnd, NodeReason, NodeState, Owner, Placement, Presence,
    State, StopReason, policy,
};
use super::trigger::effective;
use crate::model::schedule::next_fire;

/// What is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    Workflow(WorkflowName),
    Instance(InstanceNumber),
    Node(InstanceNumber, NodeName),
    /// A node by its position: of many nodes none is looked for by its name.
    NodeAt(InstanceNumber, NodeIndex),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Reason {
    // workflows
    NoCoordinator,
    NeitherTriggerNorPrerequisite,
    DisabledByFile,
    DisabledByOperator {
        by: Principal,
        at: Timestamp,
        why: Option<String>,
    },
    FileAbsent {
        path: Option<String>,
    },
    FileBroken {
        path: String,
        message: Message,
    },
    OutsideWindow {
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    },
    NextTime {
        trigger: TriggerId,
        at: Timestamp,
    },
    NoMoreTimes {
        trigger: TriggerId,
    },
    FireNotDue {
        trigger: TriggerId,
        nominal: Timestamp,
        due: Timestamp,
    },
    FireWaitsForPlace {
        trigger: TriggerId,
        nominal: Timestamp,
        limit: u32,
    },
    /// The whole cluster has as many live instances as it may.
    FireWaitsForRoom {
        trigger: TriggerId,
        nominal: Timestamp,
        live: usize,
    },
    WaitsForPrerequisite {
        workflow: WorkflowName,
        last_success: Option<Timestamp>,
    },
    PrerequisiteMissing {
        workflow: WorkflowName,
    },
    PrerequisiteDisabled {
        workflow: WorkflowName,
    },
    /// Nothing holds it back: it starts as soon as the leader comes to it.
    AboutToStart,

    // instances
    QueuedBehind {
        limit: u32,
        running: Vec<InstanceNumber>,
        ahead: u32,
    },
    Paused {
        by: Principal,
        since: Timestamp,
        why: Option<String>,
    },
    Stopping {
        end: InstanceEnd,
        because: StopReason,
        nodes: Vec<NodeName>,
    },
    WaitsForNodes {
        nodes: Vec<NodeName>,
    },
    InstanceEnded {
        end: InstanceEnd,
        because: Option<StopReason>,
    },

    // nodes
    InstanceNotStarted,
    WaitsForUpstream {
        nodes: Vec<NodeName>,
    },
    NotReached,
    NoWorkers,
    NoWorkerFits {
        host: Option<String>,
        labels: Vec<String>,
        slots: u32,
    },
    WorkersSilent {
        workers: Vec<WorkerId>,
    },
    WorkersDraining {
        workers: Vec<WorkerId>,
    },
    WorkersBusy {
        workers: Vec<WorkerId>,
        used: u32,
        slots: u32,
        needs: u32,
    },
    BeingDispatched {
        worker: WorkerId,
        since: Timestamp,
    },
    Running {
        worker: WorkerId,
        since: Timestamp,
    },
    RunsUntil {
        until: Timestamp,
    },
    WaitsForInstance {
        instance: InstanceNumber,
    },
    WaitsForPerson {
        approval: u64,
    },
    WaitsForRetry {
        until: Timestamp,
        failures: u32,
        times: u32,
    },
    OutOfSight {
        worker: WorkerId,
        since: Timestamp,
        silent: Millis,
        /// `None`: it runs on whatever its worker hears.
        lease: Option<LeaseEnd>,
    },
    /// Its worker is there and cannot tell what became of the attempt.
    Unproven {
        worker: WorkerId,
        since: Timestamp,
    },
    LostAsks {
        worker: WorkerId,
        since: Timestamp,
    },
    BeingStopped {
        since: Timestamp,
        because: NodeReason,
    },
    NodeEnded {
        end: NodeEnd,
        because: NodeReason,
        message: Option<Message>,
    },
}

/// When the lease of an attempt out of sight is over, and what becomes of its node then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseEnd {
    pub left: Millis,
    pub then: AfterLoss,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterLoss {
    RunsElsewhere,
    AsksPerson,
    Fails,
    /// It was asked to stop.
    Ends,
}

/// Most names listed in one reason.
const NAMES_MAX: usize = 20;

/// Why the subject is as it is at `now`, the most telling reason first. Never empty.
pub fn why(state: &State, limits: &Limits, subject: &Subject, now: Timestamp) -> Result<Vec<Reason>, Rejected> {
    match subject {
        Subject::Workflow(name) => {
            state.workflow(name).ok_or_else(|| Rejected::no_workflow(name))?;
            Ok(why_workflow(state, limits, name))
        }
        Subject::Instance(number) => {
            let missing = || Rejected::no_instance(*number);
            Ok(why_instance(state, state.instances.get(number).ok_or_else(missing)?))
        }
        Subject::Node(number, name) => {
            let missing = || Rejected::no_instance(*number);
            let head = state.instances.get(number).ok_or_else(missing)?;
            let at = state
                .version_of(head)
                .and_then(|version| version.definition().node_named(name.as_str()))
                .ok_or_else(|| Rejected::no_node(say!("no node {} in instance #{}", name, number)))?;
            Ok(why_node(state, head, at, now))
        }
        Subject::NodeAt(number, at) => {
            let head = state.instances.get(number);
            let known =
                head.filter(|head| state.version_of(head).is_some_and(|v| at.at() < v.definition().nodes.len()));
            let missing = || Rejected::no_node(say!("no node {} in instance #{}", at.0, number));
            Ok(why_node(state, known.ok_or_else(missing)?, *at, now))
        }
    }
}

fn why_workflow(state: &State, limits: &Limits, name: &WorkflowName) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let Some(workflow) = state.workflow(name) else { return reasons };
    let broken = state.files_of(name).find(|file| matches!(file.state, super::state::FileState::Failed));
    if let Some(file) = broken {
        let message = file
            .diagnostics
            .iter()
            .find(|d| d.severity == crate::model::diagnostic::Severity::Error)
            .map_or_else(|| say!("does not load"), |d| d.message.clone());
        reasons.push(Reason::FileBroken { path: file.path.clone(), message });
    }
    let version = state.current_version(name);
    let Some(coordinator) = version.and_then(|version| version.definition().coordinator.as_ref()) else {
        reasons.push(Reason::NoCoordinator);
        return reasons;
    };
    if workflow.is_file_absent {
        reasons.push(Reason::FileAbsent { path: workflow.origin.as_ref().map(|origin| origin.path.clone()) });
        return reasons;
    }
    match &workflow.enabled_override {
        Some(o) if !o.enabled => {
            reasons.push(Reason::DisabledByOperator { by: o.by.clone(), at: o.at, why: o.why.clone() });
            return reasons;
        }
        None if !coordinator.is_enabled => {
            reasons.push(Reason::DisabledByFile);
            return reasons;
        }
        Some(_) | None => {}
    }
    if coordinator.triggers.is_empty() && coordinator.prerequisites.is_empty() {
        reasons.push(Reason::NeitherTriggerNorPrerequisite);
        return reasons;
    }
    if !coordinator.window.holds(state.cluster.clock) {
        reasons.push(Reason::OutsideWindow { from: coordinator.window.from, to: coordinator.window.to });
    }
    let limit = version.map_or(1, |version| version.definition().instance_limit);
    let pending: Vec<_> = state.pending_fires(name).filter_map(|key| state.fires.get(key)).collect();
    let missing = why_unmet(state, name, coordinator);
    for fire in &pending {
        let (trigger, nominal) = (fire.key.trigger.clone(), fire.nominal);
        if fire.due > state.cluster.clock {
            reasons.push(Reason::FireNotDue { trigger, nominal, due: fire.due });
        } else if missing.is_empty() {
            let n_live = state.derived.n_started(name) + state.derived.n_queued(name);
            reasons.push(if n_live >= limit as usize {
                Reason::FireWaitsForPlace { trigger, nominal, limit }
            } else if state.n_live_instances() >= limits.instances_live_max {
                Reason::FireWaitsForRoom { trigger, nominal, live: state.n_live_instances() }
            } else {
                Reason::AboutToStart
            });
        }
    }
    if !pending.is_empty() || coordinator.triggers.is_empty() {
        reasons.extend(missing);
    }
    for trigger in &coordinator.triggers {
        let mark = state.triggers.get(&(name.clone(), trigger.id.clone())).map(|mark| mark.evaluated_up_to);
        let next = mark.and_then(|mark| next_fire(&effective(coordinator, trigger), &state.cluster.zone, mark));
        reasons.push(match next {
            Some(at) => Reason::NextTime { trigger: trigger.id.clone(), at },
            None => Reason::NoMoreTimes { trigger: trigger.id.clone() },
        });
    }
    if reasons.is_empty() {
        reasons.push(Reason::AboutToStart);
    }
    reasons
}

fn why_unmet(state: &State, name: &WorkflowName, coordinator: &Coordinator) -> Vec<Reason> {
    let unmet = state.unmet(name, coordinator);
    unmet
        .into_iter()
        .map(|workflow| {
            if state.workflow(&workflow).is_none() {
                return Reason::PrerequisiteMissing { workflow };
            }
            let has_coordinator =
                state.current_version(&workflow).is_some_and(|version| version.definition().coordinator.is_some());
            if has_coordinator && !state.is_enabled(&workflow) {
                return Reason::PrerequisiteDisabled { workflow };
            }
            let subject = crate::model::trigger::Subject::Workflow(workflow.clone());
            let last_success = state
                .facts
                .range((subject.clone(), crate::model::time::CivilDate(i32::MIN))..)
                .take_while(|((of, _), _)| *of == subject)
                .map(|(_, fact)| fact.nominal)
                .max();
            Reason::WaitsForPrerequisite { workflow, last_success }
        })
        .collect()
}

fn why_instance(state: &State, head: &Instance) -> Vec<Reason> {
    let mut reasons = Vec::new();
    match &head.state {
        InstanceState::Done { end, reason, .. } => {
            reasons.push(Reason::InstanceEnded { end: *end, because: reason.clone() });
        }
        InstanceState::Paused { since, by, why, .. } => {
            reasons.push(Reason::Paused { by: by.clone(), since: *since, why: why.clone() });
        }
        InstanceState::Queued { .. } => {
            let limit = state
                .current_version(&head.workflow)
                .or_else(|| state.version_of(head))
                .map_or(1, |version| version.definition().instance_limit);
            let running: Vec<_> = state
                .derived
                .started_instances
                .get(&head.workflow)
                .into_iter()
                .flatten()
                .take(NAMES_MAX)
                .copied()
                .collect();
            if running.len() < limit as usize {
                reasons.push(Reason::AboutToStart);
            } else {
                let mine = (-head.priority, head.number);
                let queue = state.derived.queued_instances.get(&head.workflow);
                let ahead = queue.map_or(0, |queue| queue.range(..mine).count()) as u32;
                reasons.push(Reason::QueuedBehind { limit, running, ahead });
            }
        }
        InstanceState::Running { .. } => match &head.verdict {
            Some(verdict) => reasons.push(Reason::Stopping {
                end: verdict.end,
                because: verdict.reason.clone(),
                nodes: live_names(state, head),
            }),
            None => reasons.push(Reason::WaitsForNodes { nodes: live_names(state, head) }),
        },
    }
    reasons
}

fn live_names(state: &State, head: &Instance) -> Vec<NodeName> {
    let walk = state.derived.walks.get(&head.number);
    let live = walk.into_iter().flat_map(|walk| walk.live.iter().chain(&walk.actionable));
    live.take(NAMES_MAX).filter_map(|at| state.node_name(head.node_ref(*at))).collect()
}

pub(super) fn why_node(state: &State, head: &Instance, at: NodeIndex, now: Timestamp) -> Vec<Reason> {
    let Some(node) = state.nodes.get(&head.node_ref(at)) else { return why_unrecorded(state, head, at) };
    let mut reasons = Vec::new();
    if let Some(stop) = &node.stop {
        reasons.push(Reason::BeingStopped { since: stop.at, because: stop.reason.clone() });
    }
    match &node.state {
        NodeState::Done { end, reason, .. } => {
            let message = node.attempts.last().and_then(|attempt| attempt.outcome()).and_then(|o| o.message.clone());
            reasons.push(Reason::NodeEnded { end: *end, because: reason.clone(), message });
        }
        NodeState::Queued { .. } => reasons.extend(why_queued(state, head, node)),
        NodeState::Dispatched { worker, since, .. } => {
            reasons.push(Reason::BeingDispatched { worker: worker.clone(), since: *since });
        }
        NodeState::Running { owner, since } => reasons.push(match owner {
            Owner::Worker { worker, .. } => Reason::Running { worker: worker.clone(), since: *since },
            Owner::Engine { until } => Reason::RunsUntil { until: *until },
            Owner::Child { instance } => Reason::WaitsForInstance { instance: *instance },
            Owner::Person { approval } => Reason::WaitsForPerson { approval: *approval },
        }),
        NodeState::Retrying { until, .. } => {
            let times =
                state.version_of(head).and_then(|version| policy(node, version)).map_or(0, |policy| policy.retry.times);
            reasons.push(Reason::WaitsForRetry { until: *until, failures: node.failures, times });
        }
        NodeState::Lost { worker, since, asks: false, .. } => {
            reasons.push(why_out_of_sight(state, head, node, worker, *since, now));
        }
        NodeState::Lost { worker, since, asks: true, .. } => {
            reasons.push(Reason::LostAsks { worker: worker.clone(), since: *since });
        }
    }
    reasons
}

fn why_out_of_sight(
    state: &State,
    head: &Instance,
    node: &Node,
    worker: &WorkerId,
    since: Timestamp,
    now: Timestamp,
) -> Reason {
    let presence = state.workers.get(worker).map(|worker| &worker.presence);
    let Some(Presence::Silent { since: silent_since, heard }) = presence else {
        return Reason::Unproven { worker: worker.clone(), since };
    };
    let silent = Millis(now.since(heard.map_or(*silent_since, |heard| heard.min(*silent_since))).max(0));
    let ends = node.live_attempt().and_then(|live| state.lease_ends(live));
    let lease = ends.map(|ends| LeaseEnd { left: Millis(ends.since(now).max(0)), then: after_loss(state, head, node) });
    Reason::OutOfSight { worker: worker.clone(), since, silent, lease }
}

/// What `Step::lose` would make of the node.
fn after_loss(state: &State, head: &Instance, node: &Node) -> AfterLoss {
    let policy = state.version_of(head).and_then(|version| policy(node, version));
    match policy.map(|policy| (policy.on_lost, policy.lost_retry_times)) {
        _ if node.stop.is_some() => AfterLoss::Ends,
        Some((OnLost::Ask, _)) => AfterLoss::AsksPerson,
        Some((OnLost::Retry, times)) if node.losses < times => AfterLoss::RunsElsewhere,
        Some((OnLost::Retry | OnLost::Fail, _)) | None => AfterLoss::Fails,
    }
}

fn why_unrecorded(state: &State, head: &Instance, at: NodeIndex) -> Vec<Reason> {
    match &head.state {
        InstanceState::Done { .. } => return vec![Reason::NotReached],
        InstanceState::Queued { .. } | InstanceState::Paused { started: None, .. } => {
            let mut reasons = vec![Reason::InstanceNotStarted];
            reasons.extend(why_instance(state, head));
            return reasons;
        }
        InstanceState::Running { .. } | InstanceState::Paused { .. } => {}
    }
    let Some(version) = state.version_of(head) else { return vec![Reason::NotReached] };
    let definition = version.definition();
    let graph = state.derived.graph(&version.workflow, version.number);
    let into = graph.and_then(|graph| graph.into.get(at.at())).map(Vec::as_slice).unwrap_or_default();
    let open: Vec<NodeName> = into
        .iter()
        .map(|edge| &definition.edges[edge.at()])
        .filter(|edge| {
            let from = state.nodes.get(&head.node_ref(edge.from));
            from.is_none_or(|from| from.edges.is_empty() || from.edges.contains(&EdgeState::Open))
        })
        .map(|edge| definition.node(edge.from).name.clone())
        .take(NAMES_MAX)
        .collect();
    if open.is_empty() || matches!(definition.node(at).kind, NodeKind::Start) {
        vec![Reason::AboutToStart]
    } else {
        vec![Reason::WaitsForUpstream { nodes: open }]
    }
}

fn why_queued(state: &State, head: &Instance, node: &Node) -> Vec<Reason> {
    if let InstanceState::Paused { since, by, why, .. } = &head.state {
        return vec![Reason::Paused { by: by.clone(), since: *since, why: why.clone() }];
    }
    let Some(policy) = state.version_of(head).and_then(|version| policy(node, version)) else {
        return vec![Reason::NotReached];
    };
    let placement = Placement::of(policy);
    if state.workers.is_empty() {
        return vec![Reason::NoWorkers];
    }
    let fitting: Vec<_> =
        state.workers.values().filter(|w| fits(&placement, w) && w.slots >= placement.slots).collect();
    let dead = |presence: &Presence| matches!(presence, Presence::DeclaredDead { .. });
    if fitting.iter().all(|worker| dead(&worker.presence)) {
        let Placement { host, labels, slots } = placement;
        return vec![Reason::NoWorkerFits { host, labels, slots }];
    }
    let names = |which: &[&&super::state::Worker]| which.iter().take(NAMES_MAX).map(|w| w.name.clone()).collect();
    let online: Vec<_> = fitting.iter().filter(|worker| worker.is_online()).collect();
    if online.is_empty() {
        let silent: Vec<_> = fitting.iter().filter(|worker| !dead(&worker.presence)).collect();
        return vec![Reason::WorkersSilent { workers: names(&silent) }];
    }
    let taking: Vec<_> = online.iter().filter(|worker| !worker.is_draining).copied().collect();
    if taking.is_empty() {
        return vec![Reason::WorkersDraining { workers: names(&online) }];
    }
    let used = taking.iter().map(|worker| state.derived.used_slots(&worker.name)).sum();
    let slots = taking.iter().map(|worker| worker.slots).sum();
    vec![Reason::WorkersBusy { workers: names(&taking), used, slots, needs: placement.slots }]
}

impl AfterLoss {
    fn said(self) -> Message {
        match self {
            AfterLoss::RunsElsewhere => say!("the node runs elsewhere"),
            AfterLoss::AsksPerson => say!("the node waits for a person"),
            AfterLoss::Fails => say!("the node fails"),
            AfterLoss::Ends => say!("the node ends as asked"),
        }
    }
}

/// A length of time in whole seconds, for sentences: `9 m 12 s`.
fn spaced(length: Millis) -> String {
    let mut seconds = length.0.max(0) / 1000;
    let mut parts = Vec::new();
    for (unit, length) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
        if seconds >= length || (length == 1 && parts.is_empty()) {
            parts.push(format!("{} {unit}", seconds / length));
            seconds %= length;
        }
    }
    parts.join(" ")
}

impl Reason {
    pub fn said(&self) -> Message {
        match self {
            Reason::NoCoordinator => say!("it has no coordinator, so it never starts by itself"),
            Reason::NeitherTriggerNorPrerequisite => say!("its coordinator has neither a trigger nor a prerequisite"),
            Reason::DisabledByFile => say!("its file says is-enabled=\"false\""),
            Reason::DisabledByOperator { by, at, why: Some(why) } => say!("disabled by {} at {}: {}", by, at, why),
            Reason::DisabledByOperator { by, at, why: None } => say!("disabled by {} at {}", by, at),
            Reason::FileAbsent { path: Some(path) } => say!("its file {} is gone", path),
            Reason::FileAbsent { path: None } => say!("its file is gone"),
            Reason::FileBroken { path, message } => {
                say!("{} has an error ({}): the last good version stays", path, message)
            }
            Reason::OutsideWindow { from, to } => match (from, to) {
                (Some(from), Some(to)) => say!("outside its window from {} to {}", from, to),
                (Some(from), None) => say!("outside its window from {}", from),
                (None, Some(to)) => say!("outside its window to {}", to),
                (None, None) => say!("outside its window"),
            },
            Reason::NextTime { trigger, at } => say!("trigger {} is next due at {}", trigger, at),
            Reason::NoMoreTimes { trigger } => say!("trigger {} has no more times", trigger),
            Reason::FireNotDue { trigger, nominal, due } => {
                say!("the fire of {} for {} is due at {}", trigger, nominal, due)
            }
            Reason::FireWaitsForRoom { trigger, nominal, live } => {
                say!(
                    "the fire of {} for {} waits for room: {} instances are live in the cluster, as many as limits.instances_live_max allows",
                    trigger,
                    nominal,
                    live
                )
            }
            Reason::FireWaitsForPlace { trigger, nominal, limit } => {
                say!("the fire of {} for {} waits: {} instance{s} live already", trigger, nominal, limit)
            }
            Reason::WaitsForPrerequisite { workflow, last_success: Some(at) } => {
                say!("waits for a success of {} (the last one was for {})", workflow, at)
            }
            Reason::WaitsForPrerequisite { workflow, last_success: None } => {
                say!("waits for a success of {}, which has had none", workflow)
            }
            Reason::PrerequisiteMissing { workflow } => say!("waits for {}, which does not exist", workflow),
            Reason::PrerequisiteDisabled { workflow } => say!("waits for {}, which is disabled", workflow),
            Reason::AboutToStart => say!("nothing holds it back"),
            Reason::QueuedBehind { limit, running, ahead } => {
                let running = Value::list(running.iter().map(|number| format!("#{number}")));
                match ahead {
                    0 => say!("instance-limit {} is used by {}; it is the next", limit, running),
                    1 => say!("instance-limit {} is used by {}; 1 waits before it", limit, running),
                    n => say!("instance-limit {} is used by {}; {} wait before it", limit, running, n),
                }
            }
            Reason::Paused { by, since, why: Some(why) } => say!("paused by {} at {}: {}", by, since, why),
            Reason::Paused { by, since, why: None } => say!("paused by {} at {}", by, since),
            Reason::Stopping { because, nodes, .. } => {
                say!("{}; still being stopped: {}", because.said(), Value::list(nodes))
            }
            Reason::WaitsForNodes { nodes } => say!("it is at {}", Value::list(nodes)),
            Reason::InstanceEnded { end, because: Some(because) } => say!("{}: {}", end.word(), because.said()),
            Reason::InstanceEnded { end, because: None } => say!("it ended: {}", end.word()),
            Reason::InstanceNotStarted => say!("its instance has not started"),
            Reason::WaitsForUpstream { nodes } => say!("waits for {}", Value::list(nodes)),
            Reason::NotReached => say!("the run ended before it was reached"),
            Reason::NoWorkers => say!("no worker has ever registered"),
            Reason::NoWorkerFits { host, labels, slots } => {
                let labels = Value::list(labels);
                match (host, &labels) {
                    (None, Value::List(none)) if none.is_empty() => say!("no worker has {} slot{s}", slots),
                    (None, _) => say!("no worker has {} slot{s} and labels {}", slots, labels),
                    (Some(host), Value::List(none)) if none.is_empty() => {
                        say!("no worker has {} slot{s} on host {}", slots, host)
                    }
                    (Some(host), _) => say!("no worker has {} slot{s} on host {} and labels {}", slots, host, labels),
                }
            }
            Reason::WorkersSilent { workers } => say!("fitting workers are silent: {}", Value::list(workers)),
            Reason::WorkersDraining { workers } => say!("fitting workers are draining: {}", Value::list(workers)),
            Reason::WorkersBusy { workers, used, slots, needs } => {
                say!("needs {} slot{s}; {} of {} are in use on {}", needs, used, slots, Value::list(workers))
            }
            Reason::BeingDispatched { worker, since } => say!("sent to worker {} at {}", worker, since),
            Reason::Running { worker, since } => say!("runs on worker {} since {}", worker, since),
            Reason::RunsUntil { until } => say!("waits until {}", until),
            Reason::WaitsForInstance { instance } => say!("waits for instance #{}", instance),
            Reason::WaitsForPerson { approval } => say!("waits for approval {}", approval),
            Reason::WaitsForRetry { until, failures, times } => {
                say!("failed {} time{s} of {} retries allowed; tries again at {}", failures, times, until)
            }
            Reason::OutOfSight { worker, silent, lease: Some(LeaseEnd { left, then }), .. } => say!(
                "{} has not been heard for {}; its lease ends in {}, then {}",
                worker,
                spaced(*silent),
                spaced(*left),
                then.said()
            ),
            Reason::OutOfSight { worker, since, lease: None, .. } => {
                say!("worker {} is out of sight since {}; the attempt may still run there", worker, since)
            }
            Reason::Unproven { worker, since } => {
                say!("{} cannot prove that its processes are gone, since {}", worker, since)
            }
            Reason::LostAsks { worker, since } => {
                say!("lost with worker {} at {}; on-lost=\"ask\" leaves it to a person", worker, since)
            }
            Reason::BeingStopped { because, .. } => say!("being stopped: {}", because.said()),
            Reason::NodeEnded { end, because, message: Some(message) } => {
                say!("{}: {} ({})", end.word(), because.said(), message)
            }
            Reason::NodeEnded { end, because, message: None } => say!("{}: {}", end.word(), because.said()),
        }
    }

    /// What would change it; `None` where time or the run itself does.
    pub fn unblocked_by(&self) -> Option<Message> {
        Some(match self {
            Reason::NoCoordinator => say!("add a <coordinator>, or `ractorflow run`"),
            Reason::NeitherTriggerNorPrerequisite => say!("add a <trigger> or a <depend-list>"),
            Reason::DisabledByFile => say!("set is-enabled=\"true\", or `ractorflow workflow enable`"),
            Reason::DisabledByOperator { .. } => say!("`ractorflow workflow enable`"),
            Reason::FileAbsent { .. } => say!("put the file back, or `ractorflow workflow apply`"),
            Reason::FileBroken { path, .. } => say!("correct {}", path),
            Reason::OutsideWindow { .. } | Reason::NoMoreTimes { .. } => {
                say!("change start-time, end-time or the trigger")
            }
            Reason::WaitsForPrerequisite { workflow, .. } => say!("a success of {}, or `trigger`", workflow),
            Reason::PrerequisiteMissing { workflow } => say!("add workflow {}", workflow),
            Reason::PrerequisiteDisabled { workflow } => say!("`ractorflow workflow enable {}`", workflow),
            Reason::FireWaitsForPlace { .. } | Reason::QueuedBehind { .. } => {
                say!("the end of a running instance, or a higher instance-limit")
            }
            Reason::FireWaitsForRoom { .. } => {
                say!("the end of any instance, or a higher limits.instances_live_max")
            }
            Reason::Paused { .. } => say!("`ractorflow instance resume`"),
            Reason::NoWorkers => say!("start a worker"),
            Reason::NoWorkerFits { .. } => say!("start a worker with that host, labels and slots"),
            Reason::WorkersSilent { workers } => say!("start {} again", Value::list(workers)),
            Reason::WorkersDraining { workers } => say!("end the drain of {}", Value::list(workers)),
            Reason::WorkersBusy { .. } => say!("the end of a running node, or more slots"),
            Reason::OutOfSight { worker, .. } => {
                say!("the return of {}, or `ractorflow worker declare-dead {0}`", worker)
            }
            Reason::Unproven { worker, .. } => {
                say!("a look at {}, then `ractorflow instance mark` or `worker declare-dead {0}`", worker)
            }
            Reason::LostAsks { .. } => say!("`ractorflow instance mark` or `retry` of the node"),
            Reason::NextTime { .. }
            | Reason::FireNotDue { .. }
            | Reason::AboutToStart
            | Reason::Stopping { .. }
            | Reason::WaitsForNodes { .. }
            | Reason::InstanceEnded { .. }
            | Reason::InstanceNotStarted
            | Reason::WaitsForUpstream { .. }
            | Reason::NotReached
            | Reason::BeingDispatched { .. }
            | Reason::Running { .. }
            | Reason::RunsUntil { .. }
            | Reason::WaitsForInstance { .. }
            | Reason::WaitsForPerson { .. }
            | Reason::WaitsForRetry { .. }
            | Reason::BeingStopped { .. }
            | Reason::NodeEnded { .. } => return None,
        })
    }
}
