//! The leader loop: the one actor that owns the `Engine` and turns commands into committed events.
//!
//! Takes what waits, lets the engine decide, proposes one entry, and only after its commit releases replies and
//! effects and arms the one timer. While an entry commits, the next batch collects: that is the group commit; in a
//! crowd it collects a little longer (`pace`).
//! Owns no rule; a decision here is a bug. Start reading at `LeaderState::flush`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;
use tokio::sync::oneshot;

use crate::actor::clock;
use crate::cluster::raft::RaftHost;
use crate::engine::command::Command;
use crate::engine::entry::{Entry, LogRecord};
use crate::engine::{Effect, Engine, Envelope, Event, EventKind, Rejected, Reply, Scope, Settings, TakeOvers};
use crate::model::duration::Millis;
use crate::model::id::Seq;
use crate::model::message::Message;
use crate::say;

use super::pace::{GATHERED_MAX, Pace};
use super::waiting::Waiting;

/// Between looks whether a quorum answers again.
const FRESH_AGAIN: Duration = Duration::from_millis(100);
/// How long what may ride along waits for an entry to ride on.
const RIDE_WAIT: Duration = Duration::from_millis(20);
/// Larger states are not compared with the replica.
const COMPARED_NODES_MAX: usize = 5_000;

/// An answer with the sequence number that a read must have reached to see it.
pub type Answer = Result<(Reply, Seq), Rejected>;

#[derive(RactorMessage)]
pub enum LeaderMessage {
    Submit(Box<Submission>),
    /// The entry in flight has its fate.
    Committed(Result<Seq, String>),
    /// The engine's next deadline has come.
    Wake,
    /// What may ride along has waited long enough.
    Ride,
    /// What waits for an entry has gathered long enough.
    Gathered,
    /// What must be sent again: at the start, and when a quorum answers again.
    Recover,
    /// Once a minute: drop from memory what rests and is durable, and compare the engine with the replica. The
    /// number of voters, and with it the lease, may have changed.
    Tidy {
        durable: Seq,
        lease: Option<Millis>,
    },
}

pub struct Submission {
    pub envelope: Envelope,
    /// `None`: nobody waits for the answer.
    pub reply: Option<oneshot::Sender<Answer>>,
}

/// Performs effects; called only after the commit of what caused them.
pub trait Perform: Send + Sync + 'static {
    fn perform(&self, effects: Vec<Effect>);
    /// May anything be sent at all? False when the quorum has not answered lately.
    fn may_send(&self) -> bool;
}

pub struct LeaderArguments {
    pub raft: RaftHost,
    pub settings: Settings,
    /// That this process has seen.
    pub take_overs: TakeOvers,
    pub perform: Arc<dyn Perform>,
    /// Most commands that may wait; more are refused as overloaded.
    pub queue_max: usize,
    /// A batch stops taking commands at this size. One command's events are never split.
    pub entry_target_bytes: usize,
    /// An entry of this size is not proposed.
    pub entry_bytes_max: usize,
}

pub struct Leader;

pub struct LeaderState {
    arguments: LeaderArguments,
    engine: Engine,
    waiting: Waiting,
    pace: Pace,
    /// No entry before this, unless much waits.
    not_before: Instant,
    /// `Gathered` will come in a moment.
    is_gathering: bool,
    in_flight: Option<InFlight>,
    /// The engine runs ahead of the log while an entry is in flight: what it would send again waits for the commit.
    must_recover: bool,
    timer: Option<tokio::task::JoinHandle<()>>,
}

/// What an entry releases when it is committed.
#[derive(Default)]
struct InFlight {
    replies: Vec<(oneshot::Sender<Answer>, Result<Reply, Rejected>)>,
    effects: Vec<Effect>,
    /// The command that adds most: index of its reply, if somebody waits for it, and weight.
    heaviest: (Option<usize>, usize),
}

impl InFlight {
    /// The entry is too large: its heaviest command is refused for good, the others are asked again of the engine
    /// that is made anew. Gives why this one must end.
    fn refuse(self, length: usize, max: usize) -> Message {
        let message =
            say!("the change makes a log entry of {} bytes; master.entry_bytes_max allows less than {}", length, max);
        for (at, (reply, _)) in self.replies.into_iter().enumerate() {
            let refusal = match Some(at) == self.heaviest.0 {
                true => Rejected::Invalid(message.clone()),
                false => Rejected::NotLeader,
            };
            let _ = reply.send(Err(refusal));
        }
        message
    }
}

impl Actor for Leader {
    type Msg = LeaderMessage;
    type State = LeaderState;
    type Arguments = LeaderArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        arguments: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let (settings, take_overs) = (arguments.settings.clone(), arguments.take_overs.clone());
        let engine =
            arguments.raft.replica().with_state(|state| Engine::new(state, settings, clock::now(), take_overs));
        myself.cast(LeaderMessage::Recover)?;
        Ok(LeaderState {
            arguments,
            engine,
            waiting: Waiting::default(),
            pace: Pace::default(),
            not_before: Instant::now(),
            is_gathering: false,
            in_flight: None,
            must_recover: false,
            timer: None,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            LeaderMessage::Submit(submission) => state.take(&myself, *submission),
            LeaderMessage::Committed(fate) => state.committed(fate)?,
            LeaderMessage::Wake => {
                state.take(&myself, Submission { envelope: Envelope::internal(Command::Tick), reply: None });
            }
            LeaderMessage::Ride => state.waiting.ride(),
            LeaderMessage::Gathered => state.is_gathering = false,
            LeaderMessage::Recover => state.must_recover = true,
            LeaderMessage::Tidy { durable, lease } => {
                state.engine.set_lease(lease);
                state.engine.forget_rested(durable);
                state.compare()?;
            }
        }
        state.flush(&myself)
    }
}

impl LeaderState {
    fn take(&mut self, myself: &ActorRef<LeaderMessage>, submission: Submission) {
        if self.waiting.len() >= self.arguments.queue_max {
            if let Some(reply) = submission.reply {
                // A caller that went away does not want its answer.
                let full = Rejected::busy(say!("too many commands wait for the leader"), say!("try again in a moment"));
                let _ = reply.send(Err(full));
            }
            return;
        }
        if self.waiting.push(submission) {
            myself.send_after(RIDE_WAIT, || LeaderMessage::Ride);
        }
    }

    /// The engine's own state must be what the log adds up to. Looked at while nothing is in flight, and only
    /// while it takes milliseconds.
    fn compare(&self) -> Result<(), ActorProcessingErr> {
        let engine = self.engine.state();
        if self.in_flight.is_some() || engine.nodes.len() > COMPARED_NODES_MAX {
            return Ok(());
        }
        let replica = self.arguments.raft.replica();
        let theirs = replica.with_state(|state| (state.cluster.seq == engine.cluster.seq).then(|| state.hash()));
        match theirs {
            Some(hash) if hash != engine.hash() => {
                let difference = replica.with_state(|state| engine.difference(state));
                Err(format!("the engine differs from the log at {difference:?}").into())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Decides what waits and proposes it, unless an entry is in flight.
    fn flush(&mut self, myself: &ActorRef<LeaderMessage>) -> Result<(), ActorProcessingErr> {
        if self.in_flight.is_some() {
            return Ok(());
        }
        if self.must_recover {
            if self.arguments.perform.may_send() {
                self.must_recover = false;
                let effects = self.engine.recover(Scope::All);
                self.perform(effects);
            } else {
                look_again(myself);
            }
        }
        if self.waiting.len() > 0 && !self.waiting.is_worth_an_entry() {
            self.arm(myself);
            return Ok(());
        }
        if self.gathers(myself) {
            return Ok(());
        }
        let n_commands = self.waiting.n_that_matter();
        let now = clock::now();
        let base_seq = self.engine.state().cluster.seq;
        let mut events: Vec<Event> = Vec::new();
        let mut release = InFlight::default();
        let mut bytes = 0;
        while bytes < self.arguments.entry_target_bytes {
            let Some(Submission { envelope, reply }) = self.waiting.pop() else { break };
            let decided = self.engine.handle(now, envelope).map(|output| {
                let added = output.events.iter().map(weight).sum::<usize>();
                if added > release.heaviest.1 {
                    release.heaviest = (reply.is_some().then_some(release.replies.len()), added);
                }
                bytes += added;
                events.extend(output.events);
                release.effects.extend(output.effects);
                output.reply
            });
            if let Err(Rejected::Internal(reason)) = &decided {
                tracing::error!(%reason, "the engine refused its own decision; rebuilding it from the replica");
                return Err(reason.clone().into());
            }
            if let Some(reply) = reply {
                release.replies.push((reply, decided));
            }
        }
        if events.is_empty() {
            // Nothing is uncommitted, so these answers rest on committed state.
            self.release(release, base_seq);
        } else {
            self.pace.made(n_commands);
            self.propose(myself, base_seq, events, bytes, release)?;
        }
        self.arm(myself);
        Ok(())
    }

    /// Where commands come in crowds, the next entry waits a little for more of them.
    fn gathers(&mut self, myself: &ActorRef<LeaderMessage>) -> bool {
        if !(1..GATHERED_MAX).contains(&self.waiting.len()) {
            return false;
        }
        let left = self.not_before.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        if !std::mem::replace(&mut self.is_gathering, true) {
            myself.send_after(left, || LeaderMessage::Gathered);
        }
        true
    }

    fn propose(
        &mut self,
        myself: &ActorRef<LeaderMessage>,
        base_seq: Seq,
        events: Vec<Event>,
        weight: usize,
        release: InFlight,
    ) -> Result<(), ActorProcessingErr> {
        let cluster = &self.engine.state().cluster;
        let entry = Entry { epoch: cluster.epoch, base_seq, feature_level: cluster.feature_level, events };
        let record = LogRecord::Events(entry);
        let max = self.arguments.entry_bytes_max;
        // The exact length costs a second encoding: only where the estimate is not far below the bound.
        if weight > max / 16 {
            let length = encoded_len(&record);
            if length >= max {
                return Err(release.refuse(length, max).english().into());
            }
        }
        let record = Arc::new(record);
        self.in_flight = Some(release);
        let (raft, myself) = (self.arguments.raft.clone(), myself.clone());
        tokio::spawn(async move {
            let fate = match raft.propose(record).await {
                Ok(applied) if applied.is_applied() => Ok(Seq(applied.seq)),
                Ok(_) => Err("it was based on another history".to_owned()),
                Err(error) => Err(error.to_string()),
            };
            // The actor may have stopped with the leadership.
            let _ = myself.cast(LeaderMessage::Committed(fate));
        });
        Ok(())
    }

    /// A fate other than "applied" ends this actor: whoever supervises it builds a new engine from the replica.
    fn committed(&mut self, fate: Result<Seq, String>) -> Result<(), ActorProcessingErr> {
        let release = self.in_flight.take().unwrap_or_default();
        match fate {
            Ok(seq) => {
                self.not_before = Instant::now() + self.pace.pause();
                self.release(release, seq);
                Ok(())
            }
            Err(error) => {
                for (reply, _) in release.replies {
                    let _ = reply.send(Err(Rejected::NotLeader));
                }
                Err(format!("an entry was not applied: {error}").into())
            }
        }
    }

    fn release(&mut self, release: InFlight, seq: Seq) {
        for (reply, answer) in release.replies {
            let _ = reply.send(answer.map(|reply| (reply, seq)));
        }
        self.perform(release.effects);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        if !effects.is_empty() && !self.arguments.perform.may_send() {
            // Sent by `recover` once the quorum answers again; if another leads by then, by that one.
            self.must_recover = true;
            return;
        }
        self.arguments.perform.perform(effects);
    }

    /// One timer, for the soonest deadline. A deadline that has come already is taken at once.
    fn arm(&mut self, myself: &ActorRef<LeaderMessage>) {
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
        let Some(deadline) = self.engine.next_wakeup() else { return };
        let pause = Duration::from_millis(deadline.delay(clock::now()).0 as u64);
        let myself = myself.clone();
        self.timer = Some(tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let _ = myself.cast(LeaderMessage::Wake);
        }));
    }
}

/// The quorum is asked a few times a second; what waits for its answer looks as often.
fn look_again(myself: &ActorRef<LeaderMessage>) {
    let myself = myself.clone();
    tokio::spawn(async move {
        tokio::time::sleep(FRESH_AGAIN).await;
        let _ = myself.cast(LeaderMessage::Recover);
    });
}

fn encoded_len(record: &LogRecord) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    match rmp_serde::encode::write_named(&mut counter, record) {
        Ok(()) => counter.0,
        // What cannot be encoded is found again, and told, by the log itself.
        Err(_) => 0,
    }
}

/// About what an event takes in the log; exactness does not matter, a bound does.
fn weight(event: &Event) -> usize {
    /// Ids, times and names of an event without a long part.
    const PLAIN: usize = 160;
    match &event.kind {
        EventKind::ChunkStored { bytes, .. } => PLAIN + bytes.len(),
        EventKind::InstanceCreated { instance } => {
            8 * PLAIN + instance.params.iter().map(|(name, value)| name.len() + value.text.len()).sum::<usize>()
        }
        EventKind::NodeQueued { inputs, .. } => {
            PLAIN + inputs.iter().map(|(name, value)| name.len() + value.text.len()).sum::<usize>()
        }
        EventKind::NodeFinished { outputs, .. } | EventKind::InstanceFinished { outputs, .. } => {
            PLAIN + outputs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
        }
        EventKind::FileRecorded { diagnostics, .. } => PLAIN * (1 + 2 * diagnostics.len()),
        _ => PLAIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_entry_that_is_too_large_only_the_heaviest_command_is_refused_for_good() {
        let ((first, one), (second, two)) = (oneshot::channel(), oneshot::channel());
        let replies = vec![(first, Ok(Reply::Done)), (second, Ok(Reply::Done))];
        let why = InFlight { replies, effects: Vec::new(), heaviest: (Some(1), 9) }.refuse(30, 20);
        let text = why.english();
        assert!(text.contains("30 bytes") && text.contains("entry_bytes_max"), "{text}");
        assert_eq!(one.blocking_recv().unwrap(), Err(Rejected::NotLeader));
        assert_eq!(two.blocking_recv().unwrap(), Err(Rejected::Invalid(why)));
    }

    #[test]
    fn the_length_of_an_entry_is_that_of_its_encoding() {
        let kind =
            EventKind::AttentionRaised { subject: "cluster".to_owned(), message: Message::verbatim("x".repeat(1000)) };
        let events = vec![Event { at: crate::model::time::Timestamp(1), kind }];
        let epoch = crate::model::id::Epoch(1);
        let record = LogRecord::Events(Entry { epoch, base_seq: Seq(0), feature_level: 1, events });
        assert_eq!(encoded_len(&record), rmp_serde::to_vec_named(&record).unwrap().len());
    }
}
