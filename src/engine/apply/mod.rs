//! How events change the state: the only writer, deterministic, the same code on leader and replicas.
//!
//! Each event checks that it is legal here before it changes anything; an illegal one says so and changes
//! nothing. No rule is decided here: an event carries its result. One file per topic.

mod cluster;
mod definition;
mod fire;
mod instance;
mod link;
mod mail;
mod node;
mod worker;

use crate::model::id::{InstanceNumber, Seq};
use crate::model::time::Timestamp;

use super::entry::{Applied, FEATURE_LEVEL, LogRecord, TakeOver};
use super::event::{Event, EventKind, NodeRef};
use super::state::{AggregateKey, Instance, Leader, Node, State};

/// An event that cannot have happened to this state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Illegal {
    pub what: String,
    pub instance: Option<InstanceNumber>,
}

impl Illegal {
    pub(in crate::engine) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), instance: None }
    }

    pub(in crate::engine) fn of(instance: InstanceNumber, what: impl Into<String>) -> Self {
        Self { what: format!("instance {instance}: {}", what.into()), instance: Some(instance) }
    }
}

impl State {
    /// Applies what a committed log entry of raft term `term` holds. An illegal event marks this replica as
    /// diverged and is passed over; nothing is ever aborted.
    pub fn apply_record(&mut self, term: u64, record: &LogRecord) -> Applied {
        match record {
            LogRecord::TakeOver(take_over) => self.apply_take_over(term, take_over),
            LogRecord::Events(entry) => {
                if entry.feature_level > FEATURE_LEVEL {
                    return Applied::TooNew { feature_level: entry.feature_level };
                }
                if entry.epoch != self.cluster.epoch {
                    return Applied::Skipped("of another leadership");
                }
                if entry.base_seq != self.cluster.seq {
                    return Applied::Skipped("based on another history");
                }
                for event in &entry.events {
                    if let Err(illegal) = self.apply(event) {
                        self.diverged.get_or_insert(illegal.to_string());
                        // Counted all the same: the sequence is that of the log, not of what this replica thinks.
                        self.step(event.at);
                    }
                }
                Applied::Applied
            }
        }
    }

    fn apply_take_over(&mut self, term: u64, take_over: &TakeOver) -> Applied {
        if take_over.term != term {
            return Applied::Skipped("of another term");
        }
        if take_over.epoch != self.cluster.epoch.next() {
            return Applied::Skipped("not the next leadership");
        }
        self.cluster.epoch = take_over.epoch;
        self.cluster.leader = Some(Leader { node: take_over.node, boot: take_over.boot, term });
        self.touch(AggregateKey::Cluster);
        Applied::Applied
    }

    /// The only mutation. Illegal events change nothing.
    pub fn apply(&mut self, event: &Event) -> Result<(), Illegal> {
        let at = event.at;
        if at < self.cluster.clock {
            return Err(Illegal::new(format!("event of {at} after one of {}", self.cluster.clock)));
        }
        match &event.kind {
            EventKind::ClusterFounded { id, zone } => self.cluster_founded(id, zone)?,
            EventKind::ClockJumped { by_ms } => self.clock_jumped(*by_ms, at),
            EventKind::FeatureLevelRaised { level } => self.feature_level_raised(*level)?,
            EventKind::RequestAnswered { by, key, digest, reply } => {
                self.request_answered(by, key, digest, reply, at)?;
            }
            EventKind::RequestsTrimmed { requests } => self.requests_trimmed(requests),
            EventKind::AttentionRaised { subject, message } => self.attention(subject, message, at),

            EventKind::ChunkStored { hash, bytes } => self.chunk_stored(hash, bytes, at),
            EventKind::ChunksTrimmed { hashes } => self.chunks_trimmed(hashes),
            EventKind::DefinitionAdded { workflow, version, content, chunks, origin, by } => {
                self.definition_added(workflow, *version, content, chunks, origin.as_ref(), by, at)?;
            }
            EventKind::OriginChanged { workflow, origin } => self.origin_changed(workflow, origin.as_ref())?,
            EventKind::FileAbsenceChanged { workflow, absent } => self.file_absence_changed(workflow, *absent, at)?,
            EventKind::EnableChanged { workflow, enabled, by, why } => {
                self.enable_changed(workflow, *enabled, by, why.as_ref(), at)?;
            }
            EventKind::WorkflowReset { workflow, .. } => self.workflow_reset(workflow, at)?,
            EventKind::WorkflowRemoved { workflow, .. } => self.workflow_removed(workflow, at)?,
            EventKind::ResetMoved { reset } => self.cluster.pending_reset = reset.clone(),
            EventKind::DailyResetMoved { reset } => self.cluster.daily_reset = reset.clone(),

            EventKind::SourceOffered { source, node, boot, directory } => {
                self.source_offered(source, *node, *boot, directory);
            }
            EventKind::SourceGranted { source, node } => self.source_granted(source, *node)?,
            EventKind::ReportTaken { source, number } => self.report_taken(source, *number)?,
            EventKind::FileRecorded { source, path, content, workflow, state, diagnostics } => {
                self.file_recorded(source, path, content, workflow.as_ref(), state, diagnostics, at);
            }
            EventKind::FileMissed { source, path } => self.file_missed(source, path, at)?,
            EventKind::FileForgotten { source, path } => self.file_forgotten(source, path)?,
            EventKind::FileRenamed { source, from, to } => self.file_renamed(source, from, to)?,

            EventKind::TriggerAdvanced { workflow, trigger, up_to } => {
                self.trigger_advanced(workflow, trigger, *up_to)?;
            }
            EventKind::FiresMissed { .. } => {}
            EventKind::FirePlaced { fire } => self.fire_placed(fire)?,
            EventKind::FireSettled { key, state } => self.fire_settled(key, state)?,
            EventKind::FactRecorded { fact } => self.fact_recorded(fact),
            EventKind::LatchSet { workflow, fact } => self.latch_set(workflow, fact, at)?,
            EventKind::LatchesCleared { workflow } => self.latches_cleared(workflow),
            EventKind::ClosureOpened { closure } => self.closure_opened(closure)?,
            EventKind::ClosureStarted { closure, workflow, instance } => {
                self.closure_started(*closure, workflow, *instance)?;
            }
            EventKind::ClosureDone { closure, workflow } => self.closure_done(*closure, workflow)?,
            EventKind::ClosureEnded { closure } => self.closure_ended(*closure)?,

            EventKind::InstanceCreated { instance } => self.instance_created(instance)?,
            EventKind::InstanceStarted { instance } => self.instance_started(*instance, at)?,
            EventKind::InstancePaused { instance, by, why } => self.instance_paused(*instance, by, why.as_ref(), at)?,
            EventKind::InstanceResumed { instance, .. } => self.instance_resumed(*instance, at)?,
            EventKind::InstanceStopping { instance, end, reason, grace } => {
                self.instance_stopping(*instance, *end, reason, *grace, at)?;
            }
            EventKind::InstanceFinished { instance, end, reason, outputs } => {
                self.instance_finished(*instance, *end, reason.as_ref(), outputs, at)?;
            }
            EventKind::InstanceRerun { instance, generation, version, plan, by } => {
                self.instance_rerun(*instance, *generation, *version, plan, by, at)?;
            }
            EventKind::InstanceMarked { instance, mark } => self.instance_marked(*instance, *mark)?,

            EventKind::NodeQueued { node, inputs, policy } => self.node_queued(*node, inputs, policy.as_ref(), at)?,
            EventKind::NodeRequeued { node } => self.node_requeued(*node, at)?,
            EventKind::NodeRetrying { node, until } => self.node_retrying(*node, *until, at)?,
            EventKind::NodeStopping { node, stop } => self.node_stopping(*node, stop)?,
            EventKind::NodeTimeoutPassed { node } => self.node_timeout_passed(*node)?,
            EventKind::NodeLost { node, asks, unproven } => self.node_lost(*node, *asks, *unproven, at)?,
            EventKind::NodeFound { node } => self.node_found(*node, at)?,
            EventKind::NodeFinished { node, end, reason, outputs, forced } => {
                self.node_finished(*node, *end, reason, outputs, *forced, at)?;
            }
            EventKind::AttemptDispatched { attempt, worker, lease } => {
                self.attempt_dispatched(*attempt, worker, *lease, at)?;
            }
            EventKind::AttemptStarted { attempt, started } => self.attempt_started(*attempt, *started, at)?,
            EventKind::AttemptEnded { attempt, end, outcome } => {
                self.attempt_ended(*attempt, *end, outcome.as_ref(), at)?;
            }
            EventKind::Measured { attempt, .. } => self.measured(*attempt)?,
            EventKind::ResultStale { attempt, outcome, .. } => self.result_stale(*attempt, outcome)?,

            EventKind::MailOwed { mail } => self.mail_owed(mail)?,
            EventKind::MailAdded { mail, item } => self.mail_added(*mail, item)?,
            EventKind::MailClosed { mail } => self.mail_closed(*mail)?,
            EventKind::MailSettled { mail, end } => self.mail_settled(*mail, end)?,
            EventKind::MailFaulted { why } => self.mail_faulted(why, at),

            EventKind::LinkPut { link, by } => self.link_put(link, by, at),
            EventKind::LinkRemoved { kind, name, .. } => self.link_removed(*kind, name)?,

            EventKind::WorkerRegistered { worker, identity, slots, labels, hosts, version, lease } => {
                self.worker_registered(worker, identity, *slots, labels, hosts, version, *lease, at);
            }
            EventKind::WorkerSeen { worker, epoch } => self.worker_seen(worker, *epoch)?,
            EventKind::WorkerSilent { worker, heard } => self.worker_silent(worker, *heard, at)?,
            EventKind::WorkerDraining { worker, draining } => self.worker_draining(worker, *draining)?,
            EventKind::WorkerDeclaredDead { worker, by, why } => self.worker_declared_dead(worker, by, why, at)?,
            EventKind::WorkerRemoved { worker } => self.worker_removed(worker)?,

            EventKind::Rested { instances, fires } => self.rested(instances, fires, at)?,
            EventKind::InstanceRecalled { instance } => self.instance_recalled(*instance)?,
            EventKind::Trimmed { instances, fires, facts, versions } => {
                self.trimmed(instances, fires, facts, versions, at)?;
            }
        }
        self.step(at);
        Ok(())
    }

    fn step(&mut self, at: Timestamp) {
        self.cluster.seq = self.cluster.seq.next();
        self.cluster.clock = self.cluster.clock.max(at);
        self.touch(AggregateKey::Cluster);
    }

    /// The number that the event being applied will have.
    fn this_seq(&self) -> Seq {
        self.cluster.seq.next()
    }

    pub(in crate::engine) fn touch(&mut self, key: AggregateKey) {
        if let Some(dirty) = &mut self.dirty {
            dirty.insert(key);
        }
    }

    /// Changes an instance's head, and with it every index that depends on it. `change` checks first, then writes.
    fn with_head(
        &mut self,
        number: InstanceNumber,
        change: impl FnOnce(&mut Instance) -> Result<(), Illegal>,
    ) -> Result<(), Illegal> {
        let mut head = self.instances.remove(&number).ok_or_else(|| Illegal::of(number, "does not exist"))?;
        let before = super::state::HeadView::of(&head);
        self.derived.head(&head, false);
        let result = change(&mut head);
        let after = super::state::HeadView::of(&head);
        self.derived.head(&head, true);
        if before.generation != after.generation {
            self.derived.walks.remove(&number);
        }
        let version = self.version(&head.workflow, head.version()).cloned();
        if let Some(version) = version.as_ref().filter(|_| before != after && before.generation == after.generation) {
            let live: Vec<_> =
                self.derived.walks.get(&number).map(|walk| walk.live.iter().copied().collect()).unwrap_or_default();
            for at in live {
                if let Some(node) = self.nodes.get(&head.node_ref(at)) {
                    self.derived.timing(node, before, version, false);
                    self.derived.timing(node, after, version, true);
                }
            }
        }
        self.derived.open_walk(&head, version.as_ref(), &self.nodes);
        self.instances.insert(number, head);
        self.touch(AggregateKey::Instance(number));
        result
    }

    /// Changes or makes a node's record. `change` gets `None` for a node that has none yet.
    fn with_node(
        &mut self,
        id: NodeRef,
        change: impl FnOnce(Option<Node>) -> Result<Node, (Option<Node>, Illegal)>,
    ) -> Result<(), Illegal> {
        let head = self.instances.get(&id.instance).ok_or_else(|| Illegal::of(id.instance, "does not exist"))?;
        let view = super::state::HeadView::of(head);
        let version = self
            .versions
            .get(&(head.workflow.clone(), head.version()))
            .cloned()
            .ok_or_else(|| Illegal::of(id.instance, "its version does not exist"))?;
        let old = self.nodes.remove(&id);
        if let Some(old) = &old {
            self.derived.node(old, view, &version, &self.nodes, false);
        }
        let (new, result) = match change(old) {
            Ok(node) => (Some(node), Ok(())),
            Err((old, illegal)) => (old, Err(illegal)),
        };
        if let Some(new) = new {
            self.nodes.insert(id, new);
            let node = &self.nodes[&id];
            self.derived.node(node, view, &version, &self.nodes, true);
            self.touch(AggregateKey::Node(id));
        }
        result
    }

    /// `with_node` for a record that must exist.
    fn with_record(
        &mut self,
        id: NodeRef,
        change: impl FnOnce(&mut Node) -> Result<(), Illegal>,
    ) -> Result<(), Illegal> {
        self.with_node(id, |old| match old {
            None => Err((None, Illegal::of(id.instance, format!("node {} has not begun", id.node)))),
            Some(mut node) => match change(&mut node) {
                Ok(()) => Ok(node),
                Err(illegal) => Err((Some(node), illegal)),
            },
        })
    }
}
