//! The workers that are connected to this master: sessions, and the messages that go to them.
//!
//! Performs effects. Knows nothing about placement or loss; it only says to the engine what it heard.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use crate::actor::protocol::worker::{Dispatch, Kill, MasterMessage, Registered, SessionNumber};
use crate::actor::protocol::{encode, kind};
use crate::cluster::Peer;
use crate::engine::Effect;
use crate::model::id::{AttemptId, Epoch, WorkerId};

#[derive(Default)]
pub struct Workers {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    epoch: Epoch,
    last_session: u64,
    /// How many masters must have a log.
    log_copies: u32,
    sessions: BTreeMap<WorkerId, Session>,
}

#[derive(Clone)]
struct Session {
    number: SessionNumber,
    peer: Peer,
    /// Of the registration.
    nonce: u64,
    /// Its registration is committed and it was told its number. Before that nothing may be said to it: it would
    /// take the word of a leadership that is not known to have seen it.
    is_admitted: bool,
}

impl Workers {
    /// A new leadership, or a new engine of the same: sessions begin again, workers are asked to register.
    pub fn begin(&self, epoch: Epoch, log_copies: u32) {
        let mut inner = self.lock();
        // Within an epoch no number is given twice.
        if inner.epoch != epoch {
            inner.last_session = 0;
        }
        inner.epoch = epoch;
        inner.log_copies = log_copies;
        for (worker, session) in std::mem::take(&mut inner.sessions) {
            cast(&worker, &session.peer, &MasterMessage::RegisterAgain { epoch });
        }
    }

    /// A session for a worker that registers over `peer`; an earlier one of the same worker is over.
    pub fn open(&self, worker: WorkerId, peer: Peer, nonce: u64) -> SessionNumber {
        let mut inner = self.lock();
        inner.last_session += 1;
        let number = SessionNumber(inner.last_session);
        inner.sessions.insert(worker, Session { number, peer, nonce, is_admitted: false });
        number
    }

    pub fn is_current(&self, worker: &WorkerId, number: SessionNumber) -> bool {
        self.lock().sessions.get(worker).is_some_and(|session| session.number == number)
    }

    /// The sessions that ran over a link session that is over.
    pub fn unlinked(&self, name: &str, link_session: u64) -> Option<(WorkerId, SessionNumber)> {
        let mut inner = self.lock();
        let worker = WorkerId::from(name);
        let session = inner.sessions.get(&worker)?;
        if session.peer.session() != link_session {
            return None;
        }
        let number = session.number;
        inner.sessions.remove(&worker);
        Some((worker, number))
    }

    pub fn epoch(&self) -> Epoch {
        self.lock().epoch
    }

    /// Sends to a worker if it has a session. A message that cannot be queued is dropped: the engine sends again
    /// at the next registration.
    pub fn send(&self, worker: &WorkerId, message: impl FnOnce(SessionNumber, Epoch) -> MasterMessage) {
        let (session, epoch) = {
            let inner = self.lock();
            let Some(session) = inner.sessions.get(worker).filter(|session| session.is_admitted) else { return };
            (session.clone(), inner.epoch)
        };
        cast(worker, &session.peer, &message(session.number, epoch));
    }

    /// Answers a heartbeat on the session that it came on, or not at all.
    pub fn answer(&self, worker: &WorkerId, number: SessionNumber, nonce: u64) {
        if self.is_current(worker, number) {
            self.send(worker, |session, epoch| MasterMessage::HeartbeatAnswered { session, epoch, nonce });
        }
    }

    /// The registration is committed: says `Registered`, once per session and before anything else. The answer to
    /// the call says the same. `None`: a newer session took its place.
    pub fn admit(&self, worker: &WorkerId, number: SessionNumber) -> Option<Registered> {
        let mut inner = self.lock();
        let (epoch, log_copies) = (inner.epoch, inner.log_copies);
        let session = inner.sessions.get_mut(worker).filter(|session| session.number == number)?;
        let registered = Registered { session: number, epoch, log_copies, nonce: session.nonce };
        if !std::mem::replace(&mut session.is_admitted, true) {
            // Under the lock, so that no other message overtakes it.
            cast(worker, &session.peer, &MasterMessage::Registered(registered.clone()));
        }
        Some(registered)
    }

    /// What one entry brought: what is to be done in its order, then what was heard, in one message to each worker.
    pub fn perform(&self, effects: Vec<Effect>) {
        let mut heard: BTreeMap<WorkerId, Vec<AttemptId>> = BTreeMap::new();
        for effect in effects {
            match effect {
                Effect::AcknowledgeResult { worker, attempt } => heard.entry(worker).or_default().push(attempt),
                effect => self.perform_one(effect),
            }
        }
        for (worker, attempts) in heard {
            self.acknowledge(&worker, attempts);
        }
    }

    fn acknowledge(&self, worker: &WorkerId, attempts: Vec<AttemptId>) {
        self.send(worker, |session, epoch| MasterMessage::Ack { session, epoch, attempts });
    }

    fn perform_one(&self, effect: Effect) {
        match effect {
            Effect::SendAttempt { worker, session, assignment } => {
                // Decided for that session: a worker on another one does not take it.
                let session = SessionNumber(session);
                self.send(&worker, |_, epoch| {
                    MasterMessage::Dispatch(Box::new(Dispatch { session, epoch, assignment: *assignment }))
                });
            }
            Effect::AdmitWorker { worker, session } => {
                // A newer session admits itself.
                let _ = self.admit(&worker, SessionNumber(session));
            }
            Effect::KillAttempt { worker, attempt, grace, .. } => {
                self.send(&worker, |session, epoch| MasterMessage::Kill(Kill { session, epoch, attempt, grace }));
            }
            Effect::AcknowledgeResult { worker, attempt } => self.acknowledge(&worker, vec![attempt]),
            Effect::AskToRegister { worker } => {
                self.send(&worker, |_, epoch| MasterMessage::RegisterAgain { epoch });
            }
            // Not for workers: see `Performer`.
            Effect::GrantSource { .. } | Effect::SendMail { .. } => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn cast(worker: &WorkerId, peer: &Peer, message: &MasterMessage) {
    let body = match encode(message) {
        Ok(body) => body,
        Err(error) => {
            tracing::error!(%worker, %error, "a message to a worker cannot be written");
            return;
        }
    };
    if let Err(error) = peer.cast(kind::MASTER, body) {
        tracing::warn!(%worker, %error, "a message to a worker was not sent");
    }
}
