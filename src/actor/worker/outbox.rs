//! What the master must hear, until it says that it has it.
//!
//! Results are sent when they come and again at every session and every few seconds until acknowledged.
//! `Started` and refusals are sent once: the inventory and the engine's own deadlines make up for a lost one.
//! `Started` is held back for a moment: of an attempt that ends meanwhile the result says all.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;

use crate::actor::protocol::worker::{Finished, RefusalReason, Refused, Started, WorkerMessage};
use crate::model::id::{AttemptId, Epoch};
use crate::model::time::Timestamp;

use super::ledger::Report;
use super::session::Session;

/// How often what is not acknowledged is said again.
const REPEAT: Duration = Duration::from_secs(3);
/// How long a start waits for its end.
const START_HELD: Duration = Duration::from_millis(20);
/// More starts than this are not held back.
const STARTS_MAX: usize = 1_024;
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
    /// The first of the starts was held back long enough.
    SayStarted,
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
    /// Starts that are held back, each until a time of its own.
    starts: BTreeMap<AttemptId, Start>,
    /// `SayStarted` is on its way.
    is_timed: bool,
    /// Where a burst stopped, and which run of repetition it belongs to.
    cursor: Option<AttemptId>,
    is_bursting: bool,
    run: u64,
    max: usize,
}

struct Start {
    epoch: Epoch,
    started: Timestamp,
    until: Instant,
}

impl Actor for Outbox {
    type Msg = OutboxMessage;
    type State = OutboxState;
    type Arguments = usize;

    async fn pre_start(&self, myself: ActorRef<OutboxMessage>, max: usize) -> Result<OutboxState, ActorProcessingErr> {
        myself.send_interval(REPEAT, || OutboxMessage::Repeat);
        Ok(OutboxState {
            session: None,
            pending: BTreeMap::new(),
            starts: BTreeMap::new(),
            is_timed: false,
            cursor: None,
            is_bursting: false,
            run: 0,
            max,
        })
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
                state.starts.insert(attempt, Start { epoch, started, until: Instant::now() + START_HELD });
                // What was held before has its timer.
                if !state.is_timed || state.starts.len() > STARTS_MAX {
                    state.say_starts(&myself);
                }
            }
            OutboxMessage::SayStarted => {
                state.is_timed = false;
                state.say_starts(&myself);
            }
            OutboxMessage::Refused { attempt, reason } => {
                state.send(|session| WorkerMessage::Refused(Refused { session: session.number, attempt, reason }));
            }
            OutboxMessage::Post { attempt, pending } => {
                state.starts.remove(&attempt);
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
    /// Those that have waited long enough. One timer at a time, or that of an attempt that has ended would speak for
    /// one that has only begun.
    fn say_starts(&mut self, myself: &ActorRef<OutboxMessage>) {
        let now = Instant::now();
        let is_full = self.starts.len() > STARTS_MAX;
        for (attempt, Start { epoch, started, .. }) in
            self.starts.extract_if(.., |_, start| is_full || start.until <= now).collect::<Vec<_>>()
        {
            self.send(|session| WorkerMessage::Started(Started { session: session.number, attempt, epoch, started }));
        }
        if !self.is_timed
            && let Some(until) = self.starts.values().map(|start| start.until).min()
        {
            self.is_timed = true;
            myself.send_after(until - now, || OutboxMessage::SayStarted);
        }
    }

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use tokio::sync::mpsc;

    use super::*;
    use crate::actor::protocol::worker::{LogAck, LogChunk, Register, Registered, SessionNumber};
    use crate::actor::worker::link::{LinkFailed, MasterLink};
    use crate::cluster::ByteReader;
    use crate::model::id::ContentHash;

    struct Ear(mpsc::UnboundedSender<WorkerMessage>);

    #[async_trait]
    impl MasterLink for Ear {
        fn master(&self) -> &str {
            "m1"
        }

        fn cast(&self, message: &WorkerMessage) -> Result<(), LinkFailed> {
            self.0.send(message.clone()).map_err(|_| LinkFailed::Broken("nobody listens".to_owned()))
        }

        async fn register(&self, _: Box<Register>) -> Result<Registered, LinkFailed> {
            Err(LinkFailed::Refused("not asked for".to_owned()))
        }

        async fn read_file(&self, _: &ContentHash, _: u64) -> Result<ByteReader, LinkFailed> {
            Err(LinkFailed::Refused("not asked for".to_owned()))
        }

        async fn put(&self, _: LogChunk) -> Result<LogAck, LinkFailed> {
            Err(LinkFailed::Refused("not asked for".to_owned()))
        }
    }

    #[tokio::test]
    async fn a_start_is_said_a_moment_later_unless_the_attempt_has_ended_by_then() {
        let (told, mut heard) = mpsc::unbounded_channel();
        let (outbox, running) = Actor::spawn(None, Outbox, 10).await.unwrap();
        let session = Session { number: SessionNumber(1), epoch: Epoch(1), link: Arc::new(Ear(told)) };
        outbox.cast(OutboxMessage::Session(Some(session))).unwrap();
        let attempt = |number: u32| -> AttemptId { format!("1.1.2.0.{number}").parse().unwrap() };
        for number in [1, 2] {
            let started = OutboxMessage::Started { attempt: attempt(number), epoch: Epoch(1), started: Timestamp(5) };
            outbox.cast(started).unwrap();
        }
        let report = Report::Unproven { message: "m".to_owned() };
        let pending = Box::new(Pending::Ended { epoch: Epoch(1), report });
        outbox.cast(OutboxMessage::Post { attempt: attempt(1), pending }).unwrap();
        assert!(matches!(heard.recv().await, Some(WorkerMessage::Unproven { attempt: of, .. }) if of == attempt(1)));
        assert!(matches!(heard.recv().await, Some(WorkerMessage::Started(started)) if started.attempt == attempt(2)));
        outbox.stop(None);
        running.await.unwrap();
        assert!(heard.try_recv().is_err(), "of what ended no start is said");
    }
}
