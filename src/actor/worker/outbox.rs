//! What the master must hear, until it says that it has it.
//!
//! Results are sent when they come and again at every session and every few seconds until acknowledged.
//! `Started` and refusals are sent once: the inventory and the engine's own deadlines make up for a lost one.
//! Shims say `Started` a moment late: of an attempt that ends meanwhile the result says all.

use std::collections::BTreeMap;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;

use crate::actor::protocol::worker::{Finished, RefusalReason, Refused, Started, WorkerMessage};
use crate::model::id::{AttemptId, Epoch};
use crate::model::time::Timestamp;

use super::ledger::Report;
use super::session::Session;

/// How often what is not acknowledged is said again.
const REPEAT: Duration = Duration::from_secs(3);
/// After a full queue of the link.
const RETRY: Duration = Duration::from_millis(100);
/// Messages sent in one go.
const BURST: usize = 256;

#[derive(RactorMessage)]
pub enum OutboxMessage {
    Session(Option<Session>),
    Started {
        attempt: AttemptId,
        epoch: Epoch,
        started: Timestamp,
    },
    Refused {
        attempt: AttemptId,
        reason: RefusalReason,
    },
    /// A result or tombstone, to be repeated.
    Post {
        attempt: AttemptId,
        pending: Box<Pending>,
    },
    Acknowledged(Vec<AttemptId>),
    Repeat,
    /// Sends on from after this attempt.
    Continue(u64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pending {
    Ended { epoch: Epoch, report: Report },
    Tombstone,
}

pub struct Outbox;

pub struct OutboxState {
    session: Option<Session>,
    pending: BTreeMap<AttemptId, Pending>,
    /// Where a burst stopped, and which run of repetition it belongs to.
    cursor: Option<AttemptId>,
    is_bursting: bool,
    run: u64,
    max: usize,
}

impl Actor for Outbox {
    type Msg = OutboxMessage;
    type State = OutboxState;
    type Arguments = usize;

    async fn pre_start(&self, myself: ActorRef<OutboxMessage>, max: usize) -> Result<OutboxState, ActorProcessingErr> {
        myself.send_interval(REPEAT, || OutboxMessage::Repeat);
        Ok(OutboxState { session: None, pending: BTreeMap::new(), cursor: None, is_bursting: false, run: 0, max })
    }

    async fn handle(
        &self,
        myself: ActorRef<OutboxMessage>,
        message: OutboxMessage,
        state: &mut OutboxState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            OutboxMessage::Session(session) => {
                state.session = session;
                state.restart(&myself);
            }
            // Else a long outbox would begin again and again and never come to its end.
            OutboxMessage::Repeat if state.is_bursting => {}
            OutboxMessage::Repeat => state.restart(&myself),
            OutboxMessage::Continue(run) if run == state.run => state.burst(&myself),
            OutboxMessage::Continue(_) => {}
            OutboxMessage::Started { attempt, epoch, started } => {
                state.send(|session| {
                    WorkerMessage::Started(Started { session: session.number, attempt, epoch, started })
                });
            }
            OutboxMessage::Refused { attempt, reason } => {
                state.send(|session| WorkerMessage::Refused(Refused { session: session.number, attempt, reason }));
            }
            OutboxMessage::Post { attempt, pending } => {
                state.send(|session| report(session, attempt, &pending));
                if state.pending.len() < state.max {
                    state.pending.insert(attempt, *pending);
                } else {
                    // The journal still has it: it goes out again after a restart of the daemon.
                    tracing::error!(%attempt, "the outbox is full: a result is not repeated");
                }
            }
            OutboxMessage::Acknowledged(attempts) => {
                for attempt in attempts {
                    state.pending.remove(&attempt);
                }
            }
        }
        Ok(())
    }
}

impl OutboxState {
    fn restart(&mut self, myself: &ActorRef<OutboxMessage>) {
        self.cursor = None;
        self.run += 1;
        self.burst(myself);
    }

    fn burst(&mut self, myself: &ActorRef<OutboxMessage>) {
        self.is_bursting = false;
        let Some(session) = &self.session else { return };
        let after = self.cursor.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let mut n_sent = 0;
        let mut waits = None;
        for (&attempt, pending) in self.pending.range((after, std::ops::Bound::Unbounded)) {
            if n_sent == BURST {
                waits = Some(Duration::ZERO);
                break;
            }
            if session.link.cast(&report(session, attempt, pending)).is_err() {
                waits = Some(RETRY);
                break;
            }
            self.cursor = Some(attempt);
            n_sent += 1;
        }
        if let Some(pause) = waits {
            self.is_bursting = true;
            let run = self.run;
            myself.send_after(pause, move || OutboxMessage::Continue(run));
        }
    }

    /// Once. What matters of it is repeated by other ways.
    fn send(&self, message: impl FnOnce(&Session) -> WorkerMessage) {
        if let Some(session) = &self.session
            && let Err(error) = session.link.cast(&message(session))
        {
            tracing::debug!(%error, "a message to the master was not sent");
        }
    }
}

fn report(session: &Session, attempt: AttemptId, pending: &Pending) -> WorkerMessage {
    match pending {
        Pending::Ended { epoch, report: Report::Finished { outcome, n_log_lines } } => {
            WorkerMessage::Finished(Box::new(Finished {
                session: session.number,
                attempt,
                epoch: *epoch,
                outcome: outcome.clone(),
                n_log_lines: *n_log_lines,
            }))
        }
        Pending::Ended { report: Report::Unproven { message }, .. } => {
            WorkerMessage::Unproven { attempt, message: message.clone() }
        }
        Pending::Tombstone => WorkerMessage::Tombstoned { attempts: vec![attempt] },
    }
}
