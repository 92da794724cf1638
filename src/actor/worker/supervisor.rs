//! One child per attempt, and the journal before each of its steps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use ractor_cluster::RactorMessage;

use crate::actor::protocol::worker::{AttemptReport, RefusalReason};
use crate::model::assignment::{Assignment, OutcomeClass};
use crate::model::duration::Millis;
use crate::model::id::{AttemptId, Epoch};
use crate::model::lease;
use crate::model::policy::OnIsolation;
use crate::model::time::Timestamp;
use crate::node::process::unstarted;
use crate::say;

use super::attempt::{Attempt, AttemptArguments, AttemptMessage, Work};
use super::journal::{Journal, JournalError};
use super::ledger::{DispatchVerdict, Entry, KillVerdict, Ledger, Live, Record, Report};
use super::log_spool::LogSpoolMessage;
use super::outbox::{OutboxMessage, Pending};
use super::tools::Tools;
use crate::actor::clock;

const TIDY_EVERY: Duration = Duration::from_secs(30);

#[derive(RactorMessage)]
pub enum SupervisorMessage {
    /// `answered_ms`: when the last ping that the leader answered was sent; its lease counts from there.
    Take {
        assignment: Box<Assignment>,
        answered_ms: u64,
    },
    /// The leader answered a ping that was sent then: leases count from there.
    Renew {
        sent_ms: u64,
    },
    Kill {
        attempt: AttemptId,
        epoch: Epoch,
        grace_ms: u64,
    },
    Acknowledged(Vec<AttemptId>),
    Epoch(Epoch),
    Drain(bool),
    Inventory(RpcReplyPort<Inventory>),
    CountLive(RpcReplyPort<usize>),
    KillAll {
        grace_ms: u64,
    },
    /// Tells the starts of all that runs, to a new session.
    SayStarted,
    /// Of children.
    Started {
        attempt: AttemptId,
        started: Timestamp,
    },
    Ended {
        attempt: AttemptId,
        report: Box<Report>,
    },
    NeverStarted {
        attempt: AttemptId,
    },
    Tidy,
}

#[derive(Debug)]
pub struct Inventory {
    pub reports: Vec<AttemptReport>,
    pub highest_epoch: Epoch,
    pub is_draining: bool,
}

pub struct SupervisorArguments {
    pub journal: Journal,
    pub ledger: Ledger,
    pub tools: Arc<Tools>,
    pub outbox: ActorRef<OutboxMessage>,
    pub log_spool: ActorRef<LogSpoolMessage>,
}

pub struct AttemptSupervisor;

pub struct SupervisorState {
    given: SupervisorArguments,
    children: BTreeMap<AttemptId, Child>,
    /// An answer to a ping sent before this renews nothing.
    renew_at_ms: u64,
    is_draining: bool,
}

struct Child {
    actor: ActorRef<AttemptMessage>,
    lease: Option<Lease>,
}

/// What the shim of a child was told last.
struct Lease {
    length: Millis,
    /// 0: only an earlier daemon knows.
    from_ms: u64,
}

impl Lease {
    fn renew_at_ms(&self) -> u64 {
        self.from_ms.saturating_add(lease::renew_after_ms(self.length))
    }
}

impl Actor for AttemptSupervisor {
    type Msg = SupervisorMessage;
    type State = SupervisorState;
    type Arguments = SupervisorArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<SupervisorMessage>,
        given: SupervisorArguments,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        let mut state = SupervisorState { given, children: BTreeMap::new(), renew_at_ms: u64::MAX, is_draining: false };
        state.reopen(&myself).await?;
        if let Err(error) = state.given.tools.zygote.warm_up().await {
            tracing::error!(%error, "no zygote: attempts will fail until it can be started");
        }
        myself.send_interval(TIDY_EVERY, || SupervisorMessage::Tidy);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMessage>,
        message: SupervisorMessage,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SupervisorMessage::Take { assignment, answered_ms } => {
                state.take(&myself, assignment, answered_ms).await?;
            }
            SupervisorMessage::Renew { sent_ms } => state.renew(sent_ms),
            SupervisorMessage::Kill { attempt, epoch, grace_ms } => state.kill(attempt, epoch, grace_ms)?,
            SupervisorMessage::Acknowledged(attempts) => {
                let at = clock::wall();
                for attempt in attempts {
                    state.record(Record::Acknowledged { attempt, at });
                }
            }
            SupervisorMessage::Epoch(epoch) => {
                state.record(Record::Epoch(epoch));
            }
            SupervisorMessage::Drain(is_draining) => state.is_draining = is_draining,
            SupervisorMessage::Inventory(reply) => {
                let inventory = Inventory {
                    reports: state.given.ledger.inventory(),
                    highest_epoch: state.given.ledger.highest_epoch(),
                    is_draining: state.is_draining,
                };
                // Whoever asked may have given up.
                let _ = reply.send(inventory);
            }
            SupervisorMessage::CountLive(reply) => {
                let _ = reply.send(state.given.ledger.n_live());
            }
            SupervisorMessage::KillAll { grace_ms } => {
                for child in state.children.values() {
                    let _ = child.actor.cast(AttemptMessage::Kill { grace_ms });
                }
            }
            SupervisorMessage::SayStarted => {
                for (attempt, live) in state.given.ledger.live() {
                    if let Some(started) = live.started {
                        state.given.outbox.cast(OutboxMessage::Started { attempt, epoch: live.epoch, started })?;
                    }
                }
            }
            SupervisorMessage::Started { attempt, started } => {
                if let Some(Entry::Live(live)) = state.given.ledger.entry(attempt) {
                    let epoch = live.epoch;
                    // Not journaled: the shim says it again to a new daemon.
                    state.given.ledger.apply(&Record::Started { attempt, started });
                    let _ = state.given.outbox.cast(OutboxMessage::Started { attempt, epoch, started });
                }
            }
            SupervisorMessage::Ended { attempt, report } => state.ended(attempt, report),
            SupervisorMessage::NeverStarted { attempt } => {
                state.children.remove(&attempt);
                state.record(Record::NeverStarted { attempt });
            }
            SupervisorMessage::Tidy => state.tidy(),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<SupervisorMessage>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        // A child that failed by a bug of ours leaves a live attempt without an owner. A daemon that starts
        // again finds it by journal and socket; the supervisor of this process does just that.
        if let SupervisionEvent::ActorFailed(cell, error) = event {
            tracing::error!(%error, "an attempt's actor failed");
            let orphan =
                state.children.iter().find(|(_, child)| child.actor.get_id() == cell.get_id()).map(|(id, _)| *id);
            if orphan.is_some() {
                return Err(error);
            }
        }
        Ok(())
    }
}

impl SupervisorState {
    /// What an earlier daemon left: results to report, attempts that may still run.
    async fn reopen(&mut self, myself: &ActorRef<SupervisorMessage>) -> Result<(), ActorProcessingErr> {
        let boot_id = self.given.tools.config.boot_id.clone();
        let is_same_boot = self.given.ledger.boot_id() == boot_id;
        let live: Vec<(AttemptId, Live)> =
            self.given.ledger.live().map(|(attempt, live)| (attempt, live.clone())).collect();
        for (attempt, live) in live {
            if is_same_boot {
                // Its shim keeps to what it was told, until a leader answers this daemon.
                self.spawn(myself, attempt, live, Work::Resume, 0).await?;
            } else {
                let message = say!("the machine was restarted while it ran");
                let outcome = unstarted(OutcomeClass::Infrastructure, message, clock::wall());
                let report = Report::Finished { outcome, n_log_lines: 0 };
                self.given.log_spool.cast(LogSpoolMessage::Ended { attempt, name: live.name })?;
                self.given
                    .journal
                    .record(&mut self.given.ledger, Record::Ended { attempt, report: Box::new(report) })?;
            }
        }
        self.given.journal.record(&mut self.given.ledger, Record::Opened { boot_id })?;
        for (attempt, entry) in self.given.ledger.unacknowledged() {
            if let Some(pending) = pending(entry) {
                self.given.outbox.cast(OutboxMessage::Post { attempt, pending: Box::new(pending) })?;
            }
        }
        self.clear_work_dirs();
        Ok(())
    }

    async fn take(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        assignment: Box<Assignment>,
        answered_ms: u64,
    ) -> Result<(), ActorProcessingErr> {
        let attempt = assignment.attempt;
        let refusal = match self.given.ledger.on_dispatch(attempt) {
            DispatchVerdict::Known => return self.say_again(attempt),
            DispatchVerdict::Tombstoned => Some(RefusalReason::Tombstoned),
            DispatchVerdict::Take if self.is_draining => Some(RefusalReason::Draining),
            DispatchVerdict::Take => None,
        };
        if let Some(reason) = refusal {
            return Ok(self.given.outbox.cast(OutboxMessage::Refused { attempt, reason })?);
        }
        let tools = &self.given.tools;
        let name = tools.name(attempt, &assignment.workflow);
        let live = Live {
            epoch: assignment.epoch,
            token: token(),
            cgroup: tools.cgroups.as_ref().map(|cgroups| cgroups.leaf(&name).display().to_string()),
            name,
            retry_rules: assignment.retry_rules.clone(),
            accepted: clock::wall(),
            started: None,
            lease: assignment.lease.filter(|_| assignment.on_isolation == OnIsolation::Stop),
        };
        if let Err(error) = self.accept(attempt, &live) {
            tracing::error!(%attempt, %error, "an attempt cannot be journaled");
            let reason = RefusalReason::NoDisk;
            return Ok(self.given.outbox.cast(OutboxMessage::Refused { attempt, reason })?);
        }
        self.spawn(myself, attempt, live, Work::New(assignment), answered_ms).await
    }

    fn accept(&mut self, attempt: AttemptId, live: &Live) -> Result<(), JournalError> {
        let record = Record::Accepted { attempt, live: Box::new(live.clone()) };
        self.given.journal.record(&mut self.given.ledger, record)?;
        Ok(())
    }

    async fn spawn(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        attempt: AttemptId,
        live: Live,
        work: Work,
        answered_ms: u64,
    ) -> Result<(), ActorProcessingErr> {
        let name = live.name.clone();
        let tools = self.given.tools.clone();
        let lease = live.lease.map(|length| Lease { length, from_ms: answered_ms });
        let lease_deadline_ms = lease.as_ref().map(|lease| lease::deadline_ms(answered_ms, lease.length));
        let arguments = AttemptArguments { attempt, live, work, lease_deadline_ms, tools, supervisor: myself.clone() };
        let (actor, _) = Actor::spawn_linked(None, Attempt, arguments, myself.get_cell()).await?;
        self.renew_at_ms = lease.as_ref().map_or(self.renew_at_ms, |lease| lease.renew_at_ms().min(self.renew_at_ms));
        self.children.insert(attempt, Child { actor, lease });
        Ok(self.given.log_spool.cast(LogSpoolMessage::Live { attempt, name })?)
    }

    /// Tells the shims of a later end, those of which a part of the lease has passed: most answers cost nothing.
    fn renew(&mut self, sent_ms: u64) {
        if sent_ms < self.renew_at_ms {
            return;
        }
        self.renew_at_ms = u64::MAX;
        for child in self.children.values_mut() {
            let Some(lease) = &mut child.lease else { continue };
            if lease.renew_at_ms() <= sent_ms {
                lease.from_ms = sent_ms;
                let deadline_ms = lease::deadline_ms(sent_ms, lease.length);
                // One that has just ended needs no lease.
                let _ = child.actor.cast(AttemptMessage::Lease { deadline_ms });
            }
            self.renew_at_ms = self.renew_at_ms.min(lease.renew_at_ms());
        }
    }

    /// A repeated dispatch: nothing happens twice, but what is known is told again.
    fn say_again(&self, attempt: AttemptId) -> Result<(), ActorProcessingErr> {
        match self.given.ledger.entry(attempt) {
            Some(Entry::Live(Live { epoch, started: Some(started), .. })) => {
                let (epoch, started) = (*epoch, *started);
                self.given.outbox.cast(OutboxMessage::Started { attempt, epoch, started })?;
            }
            Some(entry) => {
                if let Some(pending) = pending(entry) {
                    self.given.outbox.cast(OutboxMessage::Post { attempt, pending: Box::new(pending) })?;
                }
            }
            None => {}
        }
        Ok(())
    }

    fn kill(&mut self, attempt: AttemptId, epoch: Epoch, grace_ms: u64) -> Result<(), ActorProcessingErr> {
        match self.given.ledger.on_kill(attempt) {
            KillVerdict::Kill => {
                if let Some(child) = self.children.get(&attempt) {
                    child.actor.cast(AttemptMessage::Kill { grace_ms })?;
                }
            }
            KillVerdict::Tombstone { is_new } => {
                if is_new {
                    // A tombstone that is not in the journal could be forgotten and its dispatch obeyed.
                    self.given.journal.record(&mut self.given.ledger, Record::Tombstoned { attempt, epoch })?;
                }
                let pending = Box::new(Pending::Tombstone);
                self.given.outbox.cast(OutboxMessage::Post { attempt, pending })?;
            }
            KillVerdict::Ended => self.say_again(attempt)?,
        }
        Ok(())
    }

    fn ended(&mut self, attempt: AttemptId, report: Box<Report>) {
        self.children.remove(&attempt);
        let Some(Entry::Live(live)) = self.given.ledger.entry(attempt) else { return };
        let (name, epoch) = (live.name.clone(), live.epoch);
        let is_journaled = self.record(Record::Ended { attempt, report: report.clone() });
        let pending = Box::new(Pending::Ended { epoch, report: *report });
        // Both actors live as long as the worker.
        let _ = self.given.outbox.cast(OutboxMessage::Post { attempt, pending });
        if is_journaled {
            // Else the spool is the only place that the result can be found at again.
            let _ = self.given.log_spool.cast(LogSpoolMessage::Ended { attempt, name });
        }
    }

    /// For records that are true whether the disk takes them or not. False when it does not.
    fn record(&mut self, record: Record) -> bool {
        let written = self.given.journal.record(&mut self.given.ledger, record.clone());
        if let Err(error) = &written {
            tracing::error!(%error, "a record is not in the journal");
            self.given.ledger.apply(&record);
        }
        written.is_ok()
    }

    fn tidy(&mut self) {
        let keep = i64::try_from(self.given.tools.config.finished_keep_ms).unwrap_or(i64::MAX);
        for attempt in self.given.ledger.forgettable(clock::wall().plus_ms(-keep)) {
            self.record(Record::Forgotten { attempt });
        }
    }

    /// Work directories of attempts that ended while no daemon was there.
    fn clear_work_dirs(&self) {
        let live: Vec<&str> = self.given.ledger.live().map(|(_, live)| live.name.as_str()).collect();
        for entry in std::fs::read_dir(self.given.tools.work_root()).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(|name| !live.contains(&name)) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

fn pending(entry: &Entry) -> Option<Pending> {
    match entry {
        Entry::Ended { epoch, report } => Some(Pending::Ended { epoch: *epoch, report: report.clone() }),
        Entry::Tombstone { .. } => Some(Pending::Tombstone),
        Entry::Live(_) | Entry::Done { .. } => None,
    }
}

fn token() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
