//! The worker's door: which master it follows, on which session, and which orders may be obeyed.
//!
//! An order counts only on the current session, from an epoch that is not lower than the highest heard, and a
//! dispatch only while the last heartbeat that was answered is young: it could have lain in a queue, or this
//! process could have been stopped, while the master gave the attempt to someone else. Every answer renews the
//! leases of what runs here, from the moment at which the heartbeat was sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;

use crate::actor::protocol::worker::{
    Containment, Dispatch, Heartbeat, Kill, Load, MasterMessage, RefusalReason, Refused, Register, Registered,
    SessionNumber, WorkerMessage,
};
use crate::model::duration::Millis;
use crate::model::id::Epoch;
use crate::model::lease::Pings;
use crate::node;

use super::files::Files;
use super::link::{LinkFailed, MasterLink};
use super::log_spool::LogSpoolMessage;
use super::outbox::OutboxMessage;
use super::session::Session;
use super::supervisor::{Inventory, SupervisorMessage};
use super::{ANSWER_MAX, WorkerConfig, machine};
use crate::actor::clock;

/// Between tries to register.
const REGISTER_RETRY: Duration = Duration::from_millis(200);
const LOG_COPIES_MAX: u32 = 5;

#[derive(RactorMessage)]
pub enum GatewayMessage {
    MasterUp(Arc<dyn MasterLink>),
    MasterDown(Arc<dyn MasterLink>),
    FromMaster(Arc<dyn MasterLink>, MasterMessage),
    /// Somebody told who leads.
    Standing {
        epoch: Epoch,
        leader: String,
    },
    TryRegister,
    RegisterAnswered {
        link: Arc<dyn MasterLink>,
        answer: Result<Registered, LinkFailed>,
    },
    Beat,
}

pub struct GatewayArguments {
    pub config: Arc<WorkerConfig>,
    pub containment: Containment,
    pub supervisor: ActorRef<SupervisorMessage>,
    pub outbox: ActorRef<OutboxMessage>,
    pub log_spool: ActorRef<LogSpoolMessage>,
    pub files: Arc<Files>,
}

pub struct Gateway;

pub struct GatewayState {
    given: GatewayArguments,
    masters: BTreeMap<String, Arc<dyn MasterLink>>,
    session: Option<Session>,
    /// The master that is being asked to take us.
    registering: Option<String>,
    /// The master that was asked last.
    asked: String,
    /// The leader of the highest epoch that anybody told of.
    leader: Option<(Epoch, String)>,
    highest_epoch: Epoch,
    /// How many masters must have a log, as the leader said.
    log_copies: usize,
    log_targets: Vec<Arc<dyn MasterLink>>,
    /// Registrations and heartbeats, on CLOCK_BOOTTIME.
    pings: Pings,
}

impl Actor for Gateway {
    type Msg = GatewayMessage;
    type State = GatewayState;
    type Arguments = GatewayArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<GatewayMessage>,
        given: GatewayArguments,
    ) -> Result<GatewayState, ActorProcessingErr> {
        let inventory = inventory(&given.supervisor).await?;
        myself.send_interval(Duration::from_millis(given.config.heartbeat_ms), || GatewayMessage::Beat);
        Ok(GatewayState {
            given,
            masters: BTreeMap::new(),
            session: None,
            registering: None,
            asked: String::new(),
            leader: None,
            highest_epoch: inventory.highest_epoch,
            log_copies: 1,
            log_targets: Vec::new(),
            pings: Pings::default(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<GatewayMessage>,
        message: GatewayMessage,
        state: &mut GatewayState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            GatewayMessage::MasterUp(link) => {
                if state.session.as_ref().is_some_and(|session| session.link.master() == link.master()) {
                    state.close();
                }
                state.masters.insert(link.master().to_owned(), link);
                state.tell_log_spool();
                state.register(&myself).await?;
            }
            GatewayMessage::MasterDown(link) => {
                if state.masters.get(link.master()).is_some_and(|known| Arc::ptr_eq(known, &link)) {
                    state.masters.remove(link.master());
                }
                if state.session.as_ref().is_some_and(|session| Arc::ptr_eq(&session.link, &link)) {
                    state.close();
                } else {
                    state.tell_log_spool();
                }
                state.register(&myself).await?;
            }
            GatewayMessage::Standing { epoch, leader } => state.told(&myself, epoch, leader).await?,
            GatewayMessage::TryRegister => state.register(&myself).await?,
            GatewayMessage::RegisterAnswered { link, answer } => state.registered(&myself, link, answer),
            GatewayMessage::FromMaster(link, message) => state.obey(&myself, link, message).await?,
            GatewayMessage::Beat => state.beat(),
        }
        Ok(())
    }
}

impl GatewayState {
    /// Asks the next master to take us, if none has and none is being asked.
    async fn register(&mut self, myself: &ActorRef<GatewayMessage>) -> Result<(), ActorProcessingErr> {
        if self.session.is_some() || self.registering.is_some() {
            return Ok(());
        }
        let Some((master, link)) = self.next_to_ask() else { return Ok(()) };
        let inventory = inventory(&self.given.supervisor).await?;
        let nonce = self.pings.send(clock::boot_ms());
        let register = Box::new(self.introduction(inventory, nonce));
        self.asked.clone_from(&master);
        self.registering = Some(master);
        let myself = myself.clone();
        tokio::spawn(async move {
            let answer = link.register(register).await;
            // A gateway that is gone needs no answer.
            let _ = myself.cast(GatewayMessage::RegisterAnswered { link, answer });
        });
        Ok(())
    }

    /// The leader as far as it is known, if it was not the last one asked; else one master after the other.
    fn next_to_ask(&self) -> Option<(String, Arc<dyn MasterLink>)> {
        let leader = self.leader.as_ref().map(|(_, name)| name).filter(|name| **name != self.asked);
        if let Some(found) = leader.and_then(|name| self.masters.get_key_value(name)) {
            return Some((found.0.clone(), found.1.clone()));
        }
        let after = (std::ops::Bound::Excluded(self.asked.clone()), std::ops::Bound::Unbounded);
        let next = self.masters.range(after).next().or_else(|| self.masters.iter().next());
        next.map(|(master, link)| (master.clone(), link.clone()))
    }

    /// A leader of a higher epoch than our session's: the session is over, whatever its master believes.
    async fn told(
        &mut self,
        myself: &ActorRef<GatewayMessage>,
        epoch: Epoch,
        leader: String,
    ) -> Result<(), ActorProcessingErr> {
        if self.leader.as_ref().is_some_and(|(known, _)| *known >= epoch) {
            return Ok(());
        }
        self.leader = Some((epoch, leader));
        if self.session.as_ref().is_some_and(|session| session.epoch < epoch) {
            self.close();
        }
        self.asked.clear();
        self.register(myself).await
    }

    fn introduction(&self, inventory: Inventory, nonce: u64) -> Register {
        let config = &self.given.config;
        Register {
            worker: config.worker.clone(),
            data_id: config.data_id.clone(),
            boot: config.boot,
            boot_id: config.boot_id.clone(),
            machine_id: config.machine_id.clone(),
            host: config.host.clone(),
            addresses: config.addresses.clone(),
            labels: config.labels.clone(),
            slots: config.slots,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            highest_epoch: self.highest_epoch,
            is_draining: inventory.is_draining,
            action_types: node::built_words(),
            containment: self.given.containment,
            lease: Some(Millis(i64::try_from(config.lease_ms).unwrap_or(i64::MAX))),
            nonce,
            inventory: inventory.reports,
        }
    }

    fn registered(
        &mut self,
        myself: &ActorRef<GatewayMessage>,
        link: Arc<dyn MasterLink>,
        answer: Result<Registered, LinkFailed>,
    ) {
        let is_known = self.masters.get(link.master()).is_some_and(|known| Arc::ptr_eq(known, &link));
        match answer {
            Ok(registered) if is_known => self.open(link.clone(), registered),
            Ok(_) => {}
            Err(error) => tracing::debug!(master = link.master(), %error, "not registered"),
        }
        if self.registering.as_deref() == Some(link.master()) {
            self.registering = None;
        }
        if self.session.is_none() && !self.masters.is_empty() {
            myself.send_after(REGISTER_RETRY, || GatewayMessage::TryRegister);
        }
    }

    /// Begins the session, once: the master says it as answer and as first message of the session.
    fn open(&mut self, link: Arc<dyn MasterLink>, registered: Registered) {
        if !self.hear(registered.epoch) {
            return;
        }
        let is_open = self.session.as_ref().is_some_and(|session| {
            (session.number, session.epoch) == (registered.session, registered.epoch)
                && Arc::ptr_eq(&session.link, &link)
        });
        if is_open {
            return;
        }
        self.answered(registered.nonce);
        self.log_copies = registered.log_copies.clamp(1, LOG_COPIES_MAX) as usize;
        tracing::info!(
            master = link.master(),
            session = registered.session.0,
            epoch = registered.epoch.0,
            "registered"
        );
        self.tell(Some(Session { number: registered.session, epoch: registered.epoch, link }));
    }

    fn close(&mut self) {
        self.tell(None);
    }

    fn tell(&mut self, session: Option<Session>) {
        self.session.clone_from(&session);
        // These actors live as long as the worker.
        let _ = self.given.outbox.cast(OutboxMessage::Session(session.clone()));
        if session.is_some() {
            // What began after the inventory was taken and before the session was open was said to nobody.
            let _ = self.given.supervisor.cast(SupervisorMessage::SayStarted);
        }
        self.tell_log_spool();
    }

    /// Logs go to the leader, and to the next master for safety.
    fn tell_log_spool(&mut self) {
        self.tell_files();
        let Some(session) = &self.session else {
            self.log_targets.clear();
            let nobody = LogSpoolMessage::Masters { links: Vec::new(), copies: self.log_copies };
            let _ = self.given.log_spool.cast(nobody);
            return;
        };
        let others = self.masters.values().filter(|link| link.master() != session.link.master());
        let links: Vec<_> = std::iter::once(&session.link).chain(others).take(self.log_copies).cloned().collect();
        let is_same = links.len() == self.log_targets.len()
            && links.iter().zip(&self.log_targets).all(|(one, other)| Arc::ptr_eq(one, other));
        if !is_same {
            self.log_targets.clone_from(&links);
            let _ = self.given.log_spool.cast(LogSpoolMessage::Masters { links, copies: self.log_copies });
        }
    }

    /// Files are asked for at the leader first: it has them all.
    fn tell_files(&self) {
        let leader = self.session.as_ref().map(|session| &session.link);
        let others = self.masters.values().filter(|link| leader.is_none_or(|leader| leader.master() != link.master()));
        self.given.files.set_masters(leader.into_iter().chain(others).cloned().collect());
    }

    /// False for an epoch that is over. A new one is in the journal before its first order is obeyed.
    fn hear(&mut self, epoch: Epoch) -> bool {
        if epoch < self.highest_epoch {
            return false;
        }
        if epoch > self.highest_epoch {
            self.highest_epoch = epoch;
            let _ = self.given.supervisor.cast(SupervisorMessage::Epoch(epoch));
        }
        true
    }

    async fn obey(
        &mut self,
        myself: &ActorRef<GatewayMessage>,
        link: Arc<dyn MasterLink>,
        message: MasterMessage,
    ) -> Result<(), ActorProcessingErr> {
        let is_heard = self.hear(message.epoch());
        match message {
            MasterMessage::Registered(registered) => self.open(link, registered),
            MasterMessage::Dispatch(dispatch) => self.dispatch(&link, *dispatch, is_heard),
            _ if !is_heard => tracing::warn!(master = link.master(), "an order of a leadership that is over"),
            MasterMessage::HeartbeatAnswered { session, nonce, .. } if self.is_current(session, &link) => {
                self.answered(nonce);
            }
            MasterMessage::Kill(Kill { session, epoch, attempt, grace }) if self.is_current(session, &link) => {
                let grace_ms = u64::try_from(grace.0).unwrap_or(0);
                let _ = self.given.supervisor.cast(SupervisorMessage::Kill { attempt, epoch, grace_ms });
            }
            MasterMessage::Ack { session, attempts, .. } | MasterMessage::SupersededUpTo { session, attempts, .. }
                if self.is_current(session, &link) =>
            {
                let _ = self.given.outbox.cast(OutboxMessage::Acknowledged(attempts.clone()));
                let _ = self.given.supervisor.cast(SupervisorMessage::Acknowledged(attempts));
            }
            MasterMessage::Drain { session, is_draining, .. } if self.is_current(session, &link) => {
                let _ = self.given.supervisor.cast(SupervisorMessage::Drain(is_draining));
            }
            MasterMessage::RegisterAgain { .. } => {
                self.close();
                self.asked.clear();
                self.register(myself).await?;
            }
            // Of a session that is over: what matters of it is said again on the new one.
            MasterMessage::HeartbeatAnswered { .. }
            | MasterMessage::Kill(_)
            | MasterMessage::Ack { .. }
            | MasterMessage::SupersededUpTo { .. }
            | MasterMessage::Drain { .. } => {}
        }
        Ok(())
    }

    /// The leader had a quorum after this was sent: every lease counts from there.
    fn answered(&mut self, nonce: u64) {
        if let Some(sent_ms) = self.pings.answered(nonce) {
            // The supervisor lives as long as the worker.
            let _ = self.given.supervisor.cast(SupervisorMessage::Renew { sent_ms });
        }
    }

    fn dispatch(&mut self, link: &Arc<dyn MasterLink>, dispatch: Dispatch, is_heard: bool) {
        let age = self.pings.age_ms(clock::boot_ms());
        let refusal = if !is_heard {
            Some(RefusalReason::OldEpoch)
        } else if !self.is_current(dispatch.session, link) {
            Some(RefusalReason::OtherSession)
        } else if age.is_none_or(|age| age > self.given.config.dispatch_age_max_ms) {
            Some(RefusalReason::TooOld)
        } else {
            None
        };
        let attempt = dispatch.assignment.attempt;
        match refusal {
            None => {
                let answered_ms = self.pings.answered_ms().unwrap_or(0);
                let assignment = Box::new(dispatch.assignment);
                let _ = self.given.supervisor.cast(SupervisorMessage::Take { assignment, answered_ms });
            }
            Some(reason) => {
                tracing::warn!(%attempt, ?reason, ?age, "a dispatch was refused");
                let refused = WorkerMessage::Refused(Refused { session: dispatch.session, attempt, reason });
                // To whoever sent it; if that fails it asks again.
                let _ = link.cast(&refused);
            }
        }
    }

    fn is_current(&self, number: SessionNumber, link: &Arc<dyn MasterLink>) -> bool {
        self.session.as_ref().is_some_and(|session| session.number == number && Arc::ptr_eq(&session.link, link))
    }

    fn beat(&mut self) {
        let Some(session) = &self.session else { return };
        let nonce = self.pings.send(clock::boot_ms());
        let heartbeat = Heartbeat { session: session.number, nonce, load: self.load(), wall: Some(clock::wall()) };
        if let Err(error) = session.link.cast(&WorkerMessage::Heartbeat(heartbeat)) {
            tracing::debug!(%error, "no heartbeat was sent");
        }
    }

    fn load(&self) -> Load {
        let (disk_free_bytes, _) = machine::disk(&self.given.config.data_dir).unwrap_or_default();
        Load { disk_free_bytes, load_hundredths: machine::load_hundredths(), ..Load::default() }
    }
}

async fn inventory(supervisor: &ActorRef<SupervisorMessage>) -> Result<Inventory, ActorProcessingErr> {
    Ok(ractor::call_t!(supervisor, SupervisorMessage::Inventory, ANSWER_MAX.as_millis() as u64)?)
}
