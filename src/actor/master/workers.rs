//! The workers that are connected to this master: sessions, and the messages that go to them.
//!
//! Performs effects. Knows nothing about placement or loss; it only says to the engine what it heard.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use crate::actor::protocol::worker::{Dispatch, Kill, MasterMessage, Registered, SessionNumber};
use crate::actor::protocol::{encode, kind};
use crate::cluster::Peer;
use crate::engine::Effect;
use crate::model::id::{Epoch, WorkerId};

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
    /// It was told its number. What is sent on a session it does not know yet it would refuse.
    is_announced: bool,
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
    pub fn open(&self, worker: WorkerId, peer: Peer) -> SessionNumber {
        let mut inner = self.lock();
        inner.last_session += 1;
        let number = SessionNumber(inner.last_session);
        inner.sessions.insert(worker, Session { number, peer, is_announced: false });
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

    pub fn log_copies(&self) -> u32 {
        self.lock().log_copies
    }

    pub fn epoch(&self) -> Epoch {
        self.lock().epoch
    }

    /// Sends to a worker if it has a session. A message that cannot be queued is dropped: the engine sends again
    /// at the next registration.
    pub fn send(&self, worker: &WorkerId, message: impl FnOnce(SessionNumber, Epoch) -> MasterMessage) {
        self.announce(worker);
        let (session, epoch) = {
            let inner = self.lock();
            let Some(session) = inner.sessions.get(worker) else { return };
            (session.clone(), inner.epoch)
        };
        cast(worker, &session.peer, &message(session.number, epoch));
    }

    /// Says `Registered`, once per session and before anything else is sent on it.
    pub fn announce(&self, worker: &WorkerId) {
        let mut inner = self.lock();
        let (epoch, log_copies) = (inner.epoch, inner.log_copies);
        let Some(session) = inner.sessions.get_mut(worker).filter(|session| !session.is_announced) else { return };
        session.is_announced = true;
        // Under the lock, so that no other message overtakes it.
        let registered = Registered { session: session.number, epoch, log_copies };
        cast(worker, &session.peer, &MasterMessage::Registered(registered));
    }

    pub fn perform(&self, effect: Effect) {
        match effect {
            Effect::SendAttempt { worker, session, assignment } => {
                // Decided for that session: a worker on another one does not take it.
                let session = SessionNumber(session);
                self.send(&worker, |_, epoch| {
                    MasterMessage::Dispatch(Box::new(Dispatch { session, epoch, assignment: *assignment }))
                });
            }
            Effect::KillAttempt { worker, attempt, grace, .. } => {
                self.send(&worker, |session, epoch| MasterMessage::Kill(Kill { session, epoch, attempt, grace }));
            }
            Effect::AcknowledgeResult { worker, attempt } => {
                self.send(&worker, |session, epoch| MasterMessage::Ack { session, epoch, attempts: vec![attempt] });
            }
            Effect::AskToRegister { worker } => {
                self.send(&worker, |_, epoch| MasterMessage::RegisterAgain { epoch });
            }
            // For masters, not for workers: see `Performer`.
            Effect::GrantSource { .. } => {}
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
