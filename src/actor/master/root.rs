//! The root actor of a master process: follows the leadership of its voter, and runs the leader loop while it leads.
//!
//! Raft's leader is not the active Master yet: first a take-over goes through the log, and only when this
//! replica shows it as its own does the engine start. On any loss effects stop first, then the loop.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use ractor_cluster::RactorMessage;

use crate::actor::clock;
use crate::cluster::raft::Leadership;
use crate::engine::entry::{LogRecord, TakeOver};
use crate::engine::state::Leader as LeaderRow;
use crate::engine::{Effect, Settings};

use crate::actor::protocol::{encode, kind};
use crate::model::id::{MasterId, SourceId};

use super::voters::name_of;

use super::leader::{Leader, LeaderArguments, LeaderMessage, Perform};
use super::mailer::{Desk, Mailer, MailerMessage};
use super::shared::Shared;

/// Between attempts to take over or to start the loop again.
const RETRY: Duration = Duration::from_millis(100);

#[derive(RactorMessage)]
pub enum RootMessage {
    /// The voter gained or lost the lead, or it is time to try again.
    Look,
}

pub struct Root;

pub struct RootState {
    shared: Arc<Shared>,
    /// Tells the link which epoch this process stands for.
    on_epoch: Box<dyn Fn(crate::model::id::Epoch, bool) + Send>,
    desk: Desk,
    active: Option<Active>,
}

struct Active {
    leader: ActorRef<LeaderMessage>,
    mailer: ActorRef<MailerMessage>,
    term: u64,
}

pub type RootArguments = (Arc<Shared>, Box<dyn Fn(crate::model::id::Epoch, bool) + Send>, Desk);

impl Actor for Root {
    type Msg = RootMessage;
    type State = RootState;
    type Arguments = RootArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        (shared, on_epoch, desk): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let mut leadership = shared.raft.leadership();
        let me = myself.clone();
        tokio::spawn(async move { while me.cast(RootMessage::Look).is_ok() && leadership.changed().await.is_ok() {} });
        Ok(RootState { shared, on_epoch, desk, active: None })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        RootMessage::Look: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let leadership = state.shared.raft.leadership().borrow().clone();
        state.follow(&myself, leadership).await;
        Ok(())
    }

    /// The loop ended by itself: its engine was not what the log says. A new one starts from the replica.
    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let ended = match &event {
            SupervisionEvent::ActorTerminated(who, ..) => Some((who.get_id(), String::new())),
            SupervisionEvent::ActorFailed(who, error) => Some((who.get_id(), error.to_string())),
            SupervisionEvent::ActorStarted(_)
            | SupervisionEvent::ProcessGroupChanged(_)
            | SupervisionEvent::PidLifecycleEvent(_) => None,
        };
        let Some((id, error)) = ended else { return Ok(()) };
        let is_of = |active: &Active| active.leader.get_id() == id || active.mailer.get_id() == id;
        if let Some(active) = state.active.take_if(|active| is_of(active)) {
            tracing::warn!(%error, "the leader loop or its mailer ended; starting both again from the replica");
            state.shared.set_leader(None);
            active.end();
            again(myself);
        }
        Ok(())
    }
}

fn again(myself: ActorRef<RootMessage>) {
    tokio::spawn(async move {
        tokio::time::sleep(RETRY).await;
        // The process may be ending; then nobody has to look.
        let _ = myself.cast(RootMessage::Look);
    });
}

impl Active {
    fn end(&self) {
        self.leader.stop(Some("the leadership is over".to_owned()));
        self.mailer.stop(Some("the leadership is over".to_owned()));
    }
}

impl RootState {
    async fn follow(&mut self, myself: &ActorRef<RootMessage>, leadership: Leadership) {
        if let Some(active) = &self.active
            && (!leadership.is_leader || leadership.term != active.term)
        {
            tracing::info!(term = active.term, "no longer the active Master");
            self.shared.set_leader(None);
            active.end();
            self.active = None;
            (self.on_epoch)(self.shared.workers.epoch(), false);
        }
        if leadership.is_leader && self.active.is_none() {
            if let Err(error) = self.take_over(myself, leadership.term).await {
                tracing::warn!(%error, "could not take over yet");
                again(myself.clone());
            }
        }
    }

    async fn take_over(&mut self, myself: &ActorRef<RootMessage>, term: u64) -> Result<(), String> {
        let shared = &self.shared;
        shared.raft.has_applied_its_log().await;
        let row = LeaderRow { node: shared.id, boot: shared.boot, term };
        let cluster = || shared.raft.replica().with_state(|state| (state.cluster.leader, state.cluster.epoch));
        if cluster().0 != Some(row) {
            let epoch = cluster().1.next();
            let taken = TakeOver { node: shared.id, boot: shared.boot, term, epoch, at: clock::wall() };
            shared.raft.propose(Arc::new(LogRecord::TakeOver(taken))).await.map_err(|error| error.to_string())?;
        }
        let (leader, epoch) = cluster();
        if leader != Some(row) {
            return Err("the take-over was not applied".to_owned());
        }
        // Of several voters one may be lost with all it has.
        shared.workers.begin(epoch, (shared.raft.metrics().voters.len() as u32).clamp(1, 2));
        let desk = (shared.clone(), self.desk.clone());
        let (mailer, _) =
            Actor::spawn_linked(None, Mailer, desk, myself.get_cell()).await.map_err(|error| error.to_string())?;
        let arguments = LeaderArguments {
            raft: shared.raft.clone(),
            settings: Settings { lease: shared.lease(), ..shared.settings.clone() },
            take_overs: shared.take_overs(),
            perform: Arc::new(Performer { shared: shared.clone(), mailer: mailer.clone() }),
            queue_max: shared.config.master.commands_waiting_max as usize,
            entry_target_bytes: shared.config.master.entry_target_bytes,
            entry_bytes_max: shared.config.master.entry_bytes_max,
        };
        let (leader, _) =
            Actor::spawn_linked(None, Leader, arguments, myself.get_cell()).await.map_err(|error| error.to_string())?;
        super::found::found(shared, &leader).await?;
        shared.set_leader(Some(leader.clone()));
        self.active = Some(Active { leader, mailer, term });
        (self.on_epoch)(epoch, true);
        tracing::info!(%epoch, term, "active Master");
        Ok(())
    }
}

struct Performer {
    shared: Arc<Shared>,
    mailer: ActorRef<MailerMessage>,
}

impl Performer {
    /// Another master has to report a directory. To this one the grant is the answer to its offer.
    fn grant(&self, source: &SourceId, node: MasterId) {
        let Some(peer) = self.shared.peer(&name_of(node.0)).filter(|_| node != self.shared.id) else { return };
        let sent = encode(source).map_err(|error| error.to_string());
        let sent = sent.and_then(|body| peer.cast(kind::SOURCE_GRANTED, body).map_err(|error| error.to_string()));
        if let Err(error) = sent {
            tracing::warn!(%node, %error, "a master was not told to report a directory; it offers it at its next start");
        }
    }
}

impl Perform for Performer {
    fn perform(&self, effects: Vec<Effect>) {
        let mut of_workers = Vec::with_capacity(effects.len());
        for effect in effects {
            match effect {
                Effect::GrantSource { source, node, .. } => self.grant(&source, node),
                Effect::SendMail { mail } => {
                    // One that has ended is started again together with the loop, and gets what is owed then.
                    let _ = self.mailer.cast(MailerMessage::Send(mail));
                }
                effect @ (Effect::SendAttempt { .. }
                | Effect::AdmitWorker { .. }
                | Effect::KillAttempt { .. }
                | Effect::AcknowledgeResult { .. }
                | Effect::AskToRegister { .. }) => of_workers.push(effect),
            }
        }
        self.shared.workers.perform(of_workers);
    }

    fn may_send(&self) -> bool {
        self.shared.raft.leadership().borrow().is_fresh()
    }
}
