//! The leader's copy of the state and what decides over it.
//!
//! `handle` runs a command as a `Step`: checks first, then events, each applied at once to the own state, so
//! that later parts of the step see what earlier ones did. After the command `settle` follows everything it
//! set in motion, up to a bound of events; what is left is continued by the next `Tick`, under any leader.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::duration::Millis;
use crate::model::id::{
    AttemptId, Generation, InstanceNumber, MasterId, NodeIndex, Principal, SourceId, WorkerId, WorkflowName,
};
use crate::model::message::Message;
use crate::model::time::Timestamp;
use crate::say;

use super::apply::Illegal;
use super::command::{Command, Envelope, Now, Rejected, Reply};
use super::definition::reset_due;
use super::effect::Effect;
use super::event::{Event, EventKind};
use super::lease::{TakeOvers, Timers};
use super::look::Look;
use super::mail::{give_up_due, resent};
use super::retention::rest_due;
use super::settings::Settings;
use super::state::{Due, State};

/// Most events that follow from one command or one tick; the rest is continued at once by the next tick.
pub const EVENTS_MAX: usize = 512;

/// About what the events of one command may take in the log, beside what the command itself carries.
const BYTES_MAX: usize = 256 * 1024;

/// What is at rest for this long is in the store, unless that is long broken: the leader's copy drops it.
const FORGET_AFTER: Millis = Millis::seconds(600);

/// What a command led to. Nothing of it may be shown or sent before the events are committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    pub events: Vec<Event>,
    pub effects: Vec<Effect>,
    pub reply: Reply,
}

/// The next moment at which a `Tick` has something to do, on either clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    pub wall: Option<Timestamp>,
    pub mono: Option<Millis>,
}

impl Deadline {
    /// It has come, whatever the clocks say.
    const COME: Self = Self { wall: None, mono: Some(Millis(0)) };

    /// How long to wait from now; 0 when it has come.
    pub fn delay(self, now: Now) -> Millis {
        let wall = self.wall.map(|at| at.since(now.wall));
        let mono = self.mono.map(|at| at.0.saturating_sub(now.mono.0));
        Millis(wall.into_iter().chain(mono).min().unwrap_or(0).max(0))
    }
}

/// Which effects to re-issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    All,
    Worker(WorkerId),
}

pub struct Engine {
    pub(super) state: State,
    pub(super) live: Live,
    pub(super) settings: Settings,
}

/// What only this leadership knows: never stored, never compared.
#[derive(Debug, Clone, Default)]
pub(super) struct Live {
    /// When this leadership began.
    pub since: Millis,
    pub take_overs: TakeOvers,
    pub workers: BTreeMap<WorkerId, LiveWorker>,
    /// Dispatches and kills without an answer, and when to send them again.
    pub unanswered: Timers,
    /// Attempts on silent workers, and when their leases have ended them.
    pub leases: Timers,
    /// Started, but not in the inventory of their worker.
    pub doubted: BTreeSet<AttemptId>,
    /// Of those: declined, so never started.
    pub declined: BTreeSet<AttemptId>,
    /// Both clocks at the last tick.
    pub last_tick: Option<Now>,
    /// The time of the last step.
    pub latest: Timestamp,
    /// While the wall clock is behind that.
    pub creep: Option<Creep>,
    /// Next time trigger of each enabled workflow.
    pub plan: BTreeMap<WorkflowName, Timestamp>,
    pub plan_times: BTreeSet<(Timestamp, WorkflowName)>,
    /// Pending fires that are not due yet.
    pub fires: BTreeSet<(Timestamp, WorkflowName)>,
    /// Workflows whose due fires wait for room in the cluster, with the time of the oldest.
    pub held: BTreeSet<(Timestamp, WorkflowName)>,
    /// What `rerun --from` runs again, per instance and generation.
    pub behind: BTreeMap<(InstanceNumber, Generation), BTreeSet<NodeIndex>>,
    /// What masters see of sources that another one reports.
    pub looks: BTreeMap<(SourceId, MasterId), Look>,
    pub agenda: Agenda,
}

/// The log's time never goes back. After the wall clock was set back it goes on at half the speed until the wall clock
/// has caught up, so that retries, timeouts and the like wait at most twice as long and not for all that was set back.
/// What the calendar says (triggers, windows) is due by the wall clock all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Creep {
    from: Timestamp,
    since: Millis,
}

impl Creep {
    const SLOWER: i64 = 2;

    fn at(self, mono: Millis) -> Timestamp {
        self.from.plus_ms((mono.0 - self.since.0).max(0) / Self::SLOWER)
    }

    fn when(self, at: Timestamp) -> Millis {
        Millis(self.since.0.saturating_add(at.since(self.from).saturating_mul(Self::SLOWER)))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LiveWorker {
    pub session: u64,
    pub is_linked: bool,
    pub heard: Millis,
    /// Its clock differs too much, and that was told.
    pub is_clock_off: bool,
    /// It declined an attempt: nothing new until then.
    pub held_until: Option<Millis>,
}

/// What must be looked at again. Filled from events; at take-over from the whole state.
#[derive(Debug, Clone, Default)]
pub(super) struct Agenda {
    pub instances: BTreeSet<InstanceNumber>,
    /// Of a stopping instance: live nodes from here on have not been told yet.
    pub stopping: BTreeMap<InstanceNumber, NodeIndex>,
    pub workflows: BTreeSet<WorkflowName>,
    /// Workers with attempts that are lost or dead.
    pub workers: BTreeSet<WorkerId>,
    /// Workflows whose next time must be computed anew.
    pub replan: BTreeSet<WorkflowName>,
    pub dispatch: bool,
}

impl Agenda {
    fn is_empty(&self) -> bool {
        self.instances.is_empty() && self.workflows.is_empty() && self.workers.is_empty() && !self.dispatch
    }
}

impl Engine {
    /// The engine of a leadership that begins now, over the replica's state after its TakeOver. `take_overs`: those
    /// that this process has seen, this one included.
    pub fn new(state: &State, settings: Settings, now: Now, take_overs: TakeOvers) -> Self {
        let mut state = state.clone();
        state.dirty = None;
        let agenda = Agenda {
            instances: state.derived.walks.keys().copied().collect(),
            stopping: BTreeMap::new(),
            workflows: state.workflows.keys().cloned().collect(),
            workers: state.derived.attempts.keys().cloned().collect(),
            replan: state.workflows.keys().cloned().collect(),
            dispatch: true,
        };
        let pending = state.derived.pending_fires.iter();
        let fires = pending.flat_map(|(name, fires)| fires.iter().map(|(due, _)| (*due, name.clone()))).collect();
        let live = Live { since: now.mono, take_overs, agenda, fires, ..Live::default() };
        let mut engine = Self { state, live, settings };
        engine.replan();
        engine
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Of attempts dispatched from now on.
    pub fn set_lease(&mut self, lease: Option<Millis>) {
        self.settings.lease = lease;
    }

    /// Drops from memory what the store durably holds at rest.
    pub fn forget_rested(&mut self, durable: crate::model::id::Seq) {
        self.state.forget_rested(durable);
    }

    /// Decides a command and applies what follows to the own state. After `Rejected::Internal` this engine must
    /// be dropped and made anew; any other rejection leaves it as it was.
    pub fn handle(&mut self, now: Now, envelope: Envelope) -> Result<Output, Rejected> {
        if let Some(reply) = self.known_request(now, &envelope)? {
            return Ok(Output { events: Vec::new(), effects: Vec::new(), reply });
        }
        let Envelope { by, request, command } = envelope;
        let mut step = Step::new(self, now, by);
        step.request = request.as_ref().map(|request| request.key.clone());
        let result = step.command(command);
        if let (Ok(reply), Some(request)) = (&result, request) {
            let by = step.by.clone();
            step.bound_requests(&by);
            step.emit(EventKind::RequestAnswered {
                by,
                key: request.key,
                digest: request.digest,
                reply: reply.clone(),
            });
        }
        if result.is_ok() {
            // What follows from the command was not asked for under its key.
            step.request = None;
            step.settle();
        }
        let Step { events, effects, illegal, .. } = step;
        match result {
            _ if illegal.is_some() => Err(Rejected::Internal(illegal.map(|i| i.to_string()).unwrap_or_default())),
            Ok(reply) => {
                self.replan();
                Ok(Output { events, effects, reply })
            }
            Err(rejected) if events.is_empty() => Err(rejected),
            Err(rejected) => Err(Rejected::Internal(format!("rejected after it began: {rejected}"))),
        }
    }

    /// The time of the events of a step at `now`.
    fn time(&mut self, now: Now) -> Timestamp {
        let latest = self.live.latest.max(self.state.cluster.clock);
        let creep = self.live.creep.unwrap_or(Creep { from: latest, since: now.mono });
        let least = creep.at(now.mono).max(latest);
        self.live.creep = (now.wall < least).then_some(creep);
        self.live.latest = now.wall.max(least);
        self.live.latest
    }

    /// The only timer source: when to send `Command::Tick` at the latest. `None`: nothing ever happens by itself.
    pub fn next_wakeup(&self) -> Option<Deadline> {
        let has_room = self.state.n_live_instances() < self.settings.limits.instances_live_max;
        let is_resetting = self.state.cluster.pending_reset.is_some();
        if !self.live.agenda.is_empty() || is_resetting || has_room && !self.live.held.is_empty() {
            return Some(Deadline::COME);
        }
        let (state, settings) = (&self.state, &self.settings);
        let due = state.derived.deadlines.first().map(|(at, _)| *at);
        let own = [
            gone_due(state, settings),
            request_due(state, settings),
            rest_due(state, settings),
            give_up_due(state, settings),
        ];
        let elapsed = due.into_iter().chain(own.into_iter().flatten()).min();
        // Time is never before the last event: what is due by that one is not held up by a clock that was set back.
        if elapsed.is_some_and(|at| at <= state.cluster.clock) {
            return Some(Deadline::COME);
        }
        let planned = self.live.plan_times.first().map(|(at, _)| *at);
        let fire = self.live.fires.first().map(|(at, _)| *at);
        let calendar = planned.into_iter().chain(fire).chain(reset_due(state, settings));
        let (elapsed, crept) = match self.live.creep {
            Some(creep) => (None, elapsed.map(|at| creep.when(at))),
            None => (elapsed, None),
        };
        let wall = calendar.chain(elapsed).min();
        let resend = self.live.unanswered.first().map(|(at, _)| at);
        let lease = self.live.leases.first().map(|(at, _)| at);
        let held = self.live.workers.values().filter_map(|worker| worker.held_until).min();
        let compared = self.live.next_comparison(&self.settings);
        let mono =
            resend.into_iter().chain(lease).chain(held).chain(self.next_silence()).chain(compared).chain(crept).min();
        (wall.is_some() || mono.is_some()).then_some(Deadline { wall, mono })
    }

    /// Effects that a take-over or a new worker session must repeat. Dispatches go only to linked workers, so at
    /// a take-over this is empty of them: registrations bring them.
    pub fn recover(&self, scope: Scope) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (worker, attempts) in &self.state.derived.attempts {
            let is_wanted = match &scope {
                Scope::All => true,
                Scope::Worker(wanted) => wanted == worker,
            };
            if is_wanted && self.live.workers.get(worker).is_some_and(|live| live.is_linked) {
                effects.extend(attempts.iter().filter_map(|id| self.repeat(*id)));
            }
        }
        if scope == Scope::All {
            effects.extend(resent(&self.state));
            for source in self.state.sources.values() {
                if let Some((node, boot)) = source.reporter.and_then(|node| Some((node, *source.offers.get(&node)?))) {
                    effects.push(Effect::GrantSource { source: source.id.clone(), node, boot });
                }
            }
        }
        effects
    }

    fn replan(&mut self) {
        while let Some(name) = self.live.agenda.replan.pop_first() {
            if let Some(old) = self.live.plan.remove(&name) {
                self.live.plan_times.remove(&(old, name.clone()));
            }
            if let Some(next) = self.state.next_time(&name) {
                self.live.plan_times.insert((next, name.clone()));
                self.live.plan.insert(name, next);
            }
        }
    }
}

/// One command being carried out.
pub(super) struct Step<'a> {
    pub state: &'a mut State,
    pub live: &'a mut Live,
    pub settings: &'a Settings,
    /// Wall time, never before the last event.
    /// The time of the events.
    pub at: Timestamp,
    /// What times of the calendar are compared with: `at`, unless the wall clock was set back.
    pub wall: Timestamp,
    pub mono: Millis,
    pub by: Principal,
    /// The request key of the command, for what it creates.
    pub request: Option<String>,
    pub events: Vec<Event>,
    pub effects: Vec<Effect>,
    pub illegal: Option<Illegal>,
    bytes: usize,
    now: Now,
}

impl<'a> Step<'a> {
    fn new(engine: &'a mut Engine, now: Now, by: Principal) -> Self {
        let at = engine.time(now);
        Self {
            state: &mut engine.state,
            live: &mut engine.live,
            settings: &engine.settings,
            at,
            wall: now.wall.min(at),
            mono: now.mono,
            by,
            request: None,
            events: Vec::new(),
            effects: Vec::new(),
            illegal: None,
            bytes: 0,
            now,
        }
    }

    /// Applies an event to the own state and notes what must be looked at because of it.
    pub fn emit(&mut self, kind: EventKind) {
        if self.illegal.is_some() {
            return;
        }
        let (needed, allowed) = (kind.level(), self.state.cluster.feature_level);
        if needed > allowed {
            // Some voter could not read it: whoever needs such a kind asks for the level before.
            self.illegal = Some(Illegal::new(format!("an event of feature level {needed}, {allowed} is in force")));
            return;
        }
        let event = Event { at: self.at, kind };
        match self.state.apply(&event) {
            Ok(()) => {
                self.bytes += weight(&event.kind);
                self.note(&event.kind);
                self.events.push(event);
            }
            Err(illegal) => self.illegal = Some(illegal),
        }
    }

    pub fn is_full(&self) -> bool {
        self.events.len() >= EVENTS_MAX || self.bytes >= BYTES_MAX || self.illegal.is_some()
    }

    pub fn attention(&mut self, subject: impl Into<String>, message: Message) {
        self.emit(EventKind::AttentionRaised { subject: subject.into(), message });
    }

    fn note(&mut self, kind: &EventKind) {
        let agenda = &mut self.live.agenda;
        match kind {
            EventKind::InstanceCreated { instance } => {
                agenda.workflows.insert(instance.workflow.clone());
            }
            EventKind::InstanceStarted { instance } | EventKind::InstanceResumed { instance, .. } => {
                agenda.instances.insert(*instance);
                agenda.dispatch = true;
                if let Some(head) = self.state.instances.get(instance) {
                    agenda.workflows.insert(head.workflow.clone());
                }
            }
            EventKind::InstanceStopping { instance, .. } => {
                agenda.instances.insert(*instance);
                agenda.stopping.insert(*instance, NodeIndex(0));
            }
            EventKind::InstanceFinished { instance, .. }
            | EventKind::InstanceRerun { instance, .. }
            | EventKind::InstancePaused { instance, .. } => {
                agenda.stopping.remove(instance);
                self.live.behind.retain(|(number, _), _| number != instance);
                if let Some(head) = self.state.instances.get(instance) {
                    agenda.workflows.insert(head.workflow.clone());
                }
            }
            EventKind::NodeFinished { node, .. } => {
                agenda.instances.insert(node.instance);
            }
            EventKind::NodeQueued { .. } | EventKind::NodeRequeued { .. } => agenda.dispatch = true,
            EventKind::AttemptEnded { attempt, .. } => {
                agenda.dispatch = true;
                self.live.doubted.remove(attempt);
                self.live.declined.remove(attempt);
                self.live.leases.clear(*attempt);
                self.live.answered(*attempt);
            }
            EventKind::AttemptStarted { attempt, .. } => self.live.answered(*attempt),
            EventKind::WorkerRegistered { .. } | EventKind::WorkerDraining { .. } => agenda.dispatch = true,
            EventKind::WorkerSilent { worker, .. } | EventKind::WorkerDeclaredDead { worker, .. } => {
                agenda.workers.insert(worker.clone());
            }
            EventKind::DefinitionAdded { workflow, .. }
            | EventKind::EnableChanged { workflow, .. }
            | EventKind::FileAbsenceChanged { workflow, .. }
            | EventKind::WorkflowReset { workflow, .. }
            | EventKind::WorkflowRemoved { workflow, .. }
            | EventKind::TriggerAdvanced { workflow, .. } => {
                agenda.replan.insert(workflow.clone());
                agenda.workflows.insert(workflow.clone());
            }
            EventKind::LatchSet { workflow, .. } => {
                agenda.workflows.insert(workflow.clone());
            }
            EventKind::FileRecorded { source, .. }
            | EventKind::FileMissed { source, .. }
            | EventKind::FileForgotten { source, .. }
            | EventKind::FileRenamed { source, .. } => self.live.doubt_looks(source, self.mono),
            EventKind::FirePlaced { fire } => {
                let name = fire.key.workflow.clone();
                if fire.due > self.wall {
                    self.live.fires.insert((fire.due, name));
                } else {
                    agenda.workflows.insert(name);
                }
            }
            EventKind::ClusterFounded { .. }
            | EventKind::ClockJumped { .. }
            | EventKind::FeatureLevelRaised { .. }
            | EventKind::RequestAnswered { .. }
            | EventKind::RequestsTrimmed { .. }
            | EventKind::AttentionRaised { .. }
            | EventKind::ChunkStored { .. }
            | EventKind::ChunksTrimmed { .. }
            | EventKind::OriginChanged { .. }
            | EventKind::SourceOffered { .. }
            | EventKind::SourceGranted { .. }
            | EventKind::ReportTaken { .. }
            | EventKind::FiresMissed { .. }
            | EventKind::FireSettled { .. }
            | EventKind::FactRecorded { .. }
            | EventKind::LatchesCleared { .. }
            | EventKind::ClosureOpened { .. }
            | EventKind::ClosureStarted { .. }
            | EventKind::ClosureDone { .. }
            | EventKind::ClosureEnded { .. }
            | EventKind::InstanceMarked { .. }
            | EventKind::Measured { .. }
            | EventKind::NodeRetrying { .. }
            | EventKind::NodeStopping { .. }
            | EventKind::NodeTimeoutPassed { .. }
            | EventKind::NodeLost { .. }
            | EventKind::NodeFound { .. }
            | EventKind::AttemptDispatched { .. }
            | EventKind::ResultStale { .. }
            | EventKind::ResetMoved { .. }
            | EventKind::DailyResetMoved { .. }
            | EventKind::MailOwed { .. }
            | EventKind::MailAdded { .. }
            | EventKind::MailClosed { .. }
            | EventKind::MailSettled { .. }
            | EventKind::MailFaulted { .. }
            | EventKind::LinkPut { .. }
            | EventKind::LinkRemoved { .. }
            | EventKind::WorkerSeen { .. }
            | EventKind::WorkerRemoved { .. }
            | EventKind::Rested { .. }
            | EventKind::InstanceRecalled { .. }
            | EventKind::Trimmed { .. } => {}
        }
    }

    fn command(&mut self, command: Command) -> Result<Reply, Rejected> {
        match command {
            Command::Tick => self.tick(),
            Command::Found { id, zone } => self.found(id, zone),
            Command::StoreChunk { hash, bytes } => self.store_chunk(hash, bytes),
            Command::ApplyDefinition { content, chunks } => self.apply_definition(content, chunks),
            Command::DeleteWorkflow { workflow } => self.delete_workflow(&workflow),
            Command::EnableWorkflow { workflow, enabled, why } => self.enable_workflow(&workflow, enabled, why),
            Command::ResetWorkflow { workflow } => self.reset_workflow(&workflow),
            Command::ResetAll => self.reset_all(),
            Command::OfferSource { source, node, boot, directory } => self.offer_source(source, node, boot, directory),
            Command::SourceLooked { source, node, digest } => self.source_looked(source, node, digest),
            Command::FinalizeUpgrade { announced } => self.finalize_upgrade(&announced),
            Command::MasterDown { node } => self.master_down(node),
            Command::SourceListed { report, files } => self.source_listed(&report, &files),
            Command::FileSeen { report, path, content, chunks, warnings } => {
                self.file_seen(&report, path, content, chunks, warnings)
            }
            Command::LoadFailed { report, path, content, errors } => self.load_failed(&report, path, content, errors),
            Command::FileGone { report, path } => self.file_gone(&report, &path),
            Command::FileMoved { report, from, to } => self.file_moved(&report, &from, &to),
            Command::Run(request) => self.run(request),
            Command::Trigger(request) => self.trigger(request),
            Command::KillInstance { instance, why, grace } => self.kill_instance(instance, why, grace),
            Command::PauseInstance { instance, why } => self.pause_instance(instance, why),
            Command::ResumeInstance { instance } => self.resume_instance(instance),
            Command::RerunInstance { instance, plan, version } => self.rerun_instance(instance, plan, version),
            Command::DeleteInstance { instance } => self.delete_instance(instance),
            Command::MarkNode { instance, node, mark, why } => self.mark_node(instance, &node, mark, why),
            Command::RetryNode { instance, node, why } => self.retry_node(instance, &node, &why),
            Command::Trim(expired) => self.trim(expired),
            Command::RegisterWorker(registration) => self.register_worker(registration),
            Command::WorkerHeard { worker, session, clock_off } => self.worker_heard(&worker, session, clock_off),
            Command::WorkerUnlinked { worker, session } => self.worker_unlinked(&worker, session),
            Command::AttemptStarted { worker, attempt, at } => self.attempt_started(&worker, attempt, at),
            Command::AttemptFinished { worker, attempt, outcome } => self.attempt_finished(worker, attempt, outcome),
            Command::AttemptDeclined { worker, attempt, reason, is_passing } => {
                self.attempt_declined(&worker, attempt, &reason, is_passing)
            }
            Command::AttemptAbsent { worker, attempt } => self.attempt_absent(&worker, attempt),
            Command::DrainWorker { worker, draining } => self.drain_worker(&worker, draining),
            Command::DeclareWorkerDead { worker, why } => self.declare_worker_dead(&worker, why),
            Command::RemoveWorker { worker } => self.remove_worker(&worker),
            Command::PutLink { link, replaces } => self.put_link(*link, replaces.as_deref()),
            Command::RemoveLink { kind, name } => self.remove_link(kind, name),
            Command::MailSent { mail, refused } => self.mail_sent(mail, refused),
            Command::MailRefused { mail, why } => self.mail_refused(mail, why),
            Command::MailDelayed { mail, why } => self.mail_delayed(mail, why),
        }
    }

    fn found(&mut self, id: String, zone: crate::model::schedule::Zone) -> Result<Reply, Rejected> {
        if !self.state.cluster.id.is_empty() {
            return Ok(Reply::Unchanged);
        }
        if id.is_empty() || id.len() > 64 {
            return Err(Rejected::Invalid(say!("a cluster id has 1 to 64 characters")));
        }
        self.emit(EventKind::ClusterFounded { id, zone });
        Ok(Reply::Done)
    }

    /// Everything whose time has come, oldest first.
    fn tick(&mut self) -> Result<Reply, Rejected> {
        self.state.forget_rested_before(self.at.plus_ms(-FORGET_AFTER.0));
        self.watch_clock();
        self.watch_workers();
        self.end_leases();
        self.resend();
        self.delete_missing_files();
        self.compare_looks();
        while !self.is_full() && request_due(self.state, self.settings).is_some_and(|due| due <= self.at) {
            self.trim_requests();
        }
        while !self.is_full() && rest_due(self.state, self.settings).is_some_and(|due| due <= self.at) {
            self.rest();
        }
        self.continue_reset();
        if reset_due(self.state, self.settings).is_some_and(|due| due <= self.wall) {
            self.reset_daily();
        }
        while !self.is_full() && give_up_due(self.state, self.settings).is_some_and(|due| due <= self.at) {
            self.give_up_mail();
        }
        while self.live.fires.first().is_some_and(|(due, _)| *due <= self.wall) {
            self.live.agenda.workflows.extend(self.live.fires.pop_first().map(|(_, name)| name));
        }
        while !self.is_full() {
            let due = self.state.derived.deadlines.first().filter(|(at, _)| *at <= self.at).cloned();
            let planned = self.live.plan_times.first().filter(|(at, _)| *at <= self.wall).cloned();
            match (due, planned) {
                (None, None) => break,
                (Some((due_at, _)), Some((planned_at, name))) if planned_at <= due_at => self.evaluate(&name),
                (None, Some((_, name))) => self.evaluate(&name),
                (Some((_, due)), _) => self.act(due),
            }
            let names = std::mem::take(&mut self.live.agenda.replan);
            for name in names {
                self.replan_one(name);
            }
        }
        Ok(Reply::Done)
    }

    fn replan_one(&mut self, name: WorkflowName) {
        if let Some(old) = self.live.plan.remove(&name) {
            self.live.plan_times.remove(&(old, name.clone()));
        }
        if let Some(next) = self.state.next_time(&name) {
            self.live.plan_times.insert((next, name.clone()));
            self.live.plan.insert(name, next);
        }
    }

    fn act(&mut self, due: Due) {
        match due {
            Due::Retry(node) => self.retry_due(node),
            Due::NodeTimeout(node) => self.node_timed_out(node),
            Due::CloseMail(mail) => self.close_mail(mail),
            Due::RestFire(_) | Due::TrimChunk(_) | Due::TrimFact(_, _) => self.tidy(),
        }
    }

    /// Wall time that moved against the clock that never jumps is told, once.
    fn watch_clock(&mut self) {
        if let Some(last) = self.live.last_tick.replace(self.now) {
            let by_ms = self.now.wall.since(last.wall) - (self.now.mono.0 - last.mono.0);
            if by_ms.abs() > self.settings.clock_jump.0 {
                self.emit(EventKind::ClockJumped { by_ms });
            }
        }
    }

    /// Follows what events set in motion until nothing is left or the bound is reached.
    fn settle(&mut self) {
        while !self.is_full() {
            let agenda = &mut self.live.agenda;
            if let Some(number) = agenda.instances.first().copied() {
                if self.advance(number) {
                    self.live.agenda.instances.remove(&number);
                }
            } else if let Some(worker) = agenda.workers.first().cloned() {
                if self.sweep(&worker) {
                    self.live.agenda.workers.remove(&worker);
                }
            } else if let Some(name) = agenda.workflows.pop_first() {
                self.start_fires(&name);
                self.admit(&name);
            } else if self.take_held() {
                // Its workflow is on the agenda now.
            } else if self.live.agenda.dispatch {
                self.live.agenda.dispatch = false;
                self.dispatch();
            } else {
                break;
            }
        }
    }
}

/// When the next file that is missing counts as deleted.
pub(super) fn gone_due(state: &State, settings: &Settings) -> Option<Timestamp> {
    state.derived.missing_files.first().map(|(since, _, _)| since.plus_ms(settings.delete_after.0))
}

/// When the oldest answer need not be remembered any more.
fn request_due(state: &State, settings: &Settings) -> Option<Timestamp> {
    state.derived.answered.first().map(|(at, _, _)| at.plus_ms(settings.requests_kept.0))
}

/// The values that an event carries, in bytes.
fn weight(kind: &EventKind) -> usize {
    let pairs = |pairs: &[(String, String)]| pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
    match kind {
        EventKind::InstanceCreated { instance } => {
            instance.params.iter().map(|(name, value)| name.len() + value.text.len()).sum()
        }
        EventKind::NodeQueued { inputs, .. } => inputs.iter().map(|(name, value)| name.len() + value.text.len()).sum(),
        EventKind::NodeFinished { outputs, .. } | EventKind::InstanceFinished { outputs, .. } => pairs(outputs),
        _ => 0,
    }
}

impl Live {
    /// The session of a worker; 0: it has none.
    pub fn session(&self, worker: &WorkerId) -> u64 {
        self.workers.get(worker).map_or(0, |live| live.session)
    }

    pub fn awaits(&mut self, attempt: AttemptId, until: Millis) {
        self.unanswered.set(attempt, until);
    }

    pub fn answered(&mut self, attempt: AttemptId) {
        self.unanswered.clear(attempt);
    }
}
