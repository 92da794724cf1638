//! The world of one seed: clocks, the network, the log with its replica, and the leader over it.
//!
//! `run` is the loop: the next happening, what follows from it, then the checks. Workers' side of things is in
//! `fleet`, what people and programs ask is in `operators`, what breaks is in `faults`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ractorflow::engine::command::{Envelope, Now};
use ractorflow::engine::invariant::{History, check, check_quiet};
use ractorflow::engine::{
    Applied, Command, Effect, Engine, Entry, LogRecord, MailRules, Rejected, Reply, ResetRule, Settings, State,
    TakeOver, TakeOvers,
};
use ractorflow::model::duration::Millis;
use ractorflow::model::id::{Boot, MasterId, WorkerId};
use ractorflow::model::schedule::Zone;
use ractorflow::model::time::Timestamp;

use crate::Broken;
use crate::fleet::{Doing, Message};
use crate::ledger::Ledger;
use crate::mail::Post;
use crate::operators::Asked;
use crate::random::Random;
use crate::store::Store;
use crate::swarm::Swarm;
use crate::worker::Worker;

/// 2026-03-01 00:00:00 UTC.
const START: i64 = 1_772_323_200_000;
/// Steps shown of a failing seed.
const SHOWN: usize = 20;
/// More steps than any sound seed takes.
const STEPS_MAX: u64 = 400_000;

/// Who waits for an answer.
#[derive(Debug, Clone)]
pub enum Origin {
    Nobody,
    /// The worker's link of this session; the nonce of a ping, or 0.
    Worker(usize, u64, u64),
    Client(usize),
}

pub enum Happening {
    ToLeader {
        envelope: Box<Envelope>,
        origin: Origin,
        number: u64,
    },
    Commit {
        leadership: u64,
    },
    Wake {
        leadership: u64,
    },
    ToWorker {
        worker: usize,
        session: u64,
        message: Message,
        number: u64,
    },
    Worker {
        worker: usize,
        doing: Doing,
    },
    Ask,
    AskAgain {
        client: usize,
    },
    Fault,
    TakeOver {
        late: Option<Box<Entry>>,
    },
    LateEntry {
        entry: Box<Entry>,
    },
    /// A Mailer hands it in.
    Mail {
        leadership: u64,
        mail: u64,
    },
    MailTaken {
        leadership: u64,
        mail: u64,
    },
}

/// A master process: its clock that never jumps, and what it noted on it.
struct Process {
    ahead: i64,
    take_overs: TakeOvers,
}

struct Flight {
    entry: Entry,
    effects: Vec<Effect>,
    answers: Vec<(Origin, Result<Reply, Rejected>)>,
}

pub struct Leader {
    pub engine: Engine,
    pub number: u64,
    settings: Settings,
    flight: Option<Flight>,
    inbox: VecDeque<(Envelope, Origin)>,
    /// Links that registered.
    pub sessions: BTreeMap<WorkerId, u64>,
    wake: Option<i64>,
    /// Ticks in a row that were due at once and changed nothing.
    idle: u32,
}

#[derive(Debug, Clone, Default)]
pub struct Counts {
    pub steps: u64,
    pub milliseconds: i64,
    pub takeovers: u64,
    pub drops: u64,
    pub duplicates: u64,
    pub reorders: u64,
    pub kills: u64,
    pub machine_losses: u64,
    pub daemon_crashes: u64,
    pub skipped_entries: u64,
    pub stops: u64,
    pub remakes: u64,
    /// Tasks that their shims ended.
    pub leases_ended: u64,
    /// Tasks that were to begin after the end of their lease.
    pub late_starts: u64,
    /// Tasks that only a kill ended.
    pub endless: u64,
}

pub struct World {
    pub random: Random,
    pub swarm: Swarm,
    /// The clock that never jumps.
    pub mono: i64,
    /// What the wall clock shows beyond it.
    pub skew: i64,
    agenda: BTreeMap<(i64, u64), Happening>,
    order: u64,
    pub replica: State,
    store: Arc<Store>,
    log: Vec<LogRecord>,
    pub leader: Option<Leader>,
    leaderships: u64,
    processes: Vec<Process>,
    /// The one that leads.
    process: usize,
    pub workers: Vec<Worker>,
    pub sessions: u64,
    pub asked: Vec<Asked>,
    pub steady: BTreeMap<usize, i64>,
    pub ledger: Ledger,
    pub post: Post,
    history: History,
    pub counts: Counts,
    /// The faults are over.
    pub is_calm: bool,
    /// All checks after each step, and a trace.
    is_thorough: bool,
    pub is_tracing: bool,
    trace: VecDeque<String>,
    arrived: BTreeMap<(usize, bool), u64>,
    /// The leader is cut off with its next entry in flight.
    pub is_cut_due: bool,
    /// Two answers to one request that differ.
    pub contradiction: Option<String>,
}

impl World {
    pub fn new(seed: u64, is_thorough: bool, is_tracing: bool) -> Self {
        let mut random = Random::new(seed);
        let swarm = Swarm::of(&mut random);
        let workers = (0..swarm.workers).map(|at| Worker::new(at, &mut random)).collect();
        let processes =
            (0..3).map(|_| Process { ahead: random.range(0, 100_000_000), take_overs: TakeOvers::default() }).collect();
        let store = Arc::new(Store::default());
        let replica = State::default().with_archive(Arc::clone(&store) as _);
        Self {
            random,
            swarm,
            mono: 1_000_000,
            skew: START,
            agenda: BTreeMap::new(),
            order: 0,
            replica,
            store,
            log: Vec::new(),
            leader: None,
            leaderships: 0,
            processes,
            process: 0,
            workers,
            sessions: 0,
            asked: Vec::new(),
            steady: BTreeMap::new(),
            ledger: Ledger::default(),
            post: Post::new(seed),
            history: History::default(),
            counts: Counts::default(),
            is_calm: false,
            is_thorough,
            is_tracing,
            trace: VecDeque::new(),
            arrived: BTreeMap::new(),
            is_cut_due: false,
            contradiction: None,
        }
    }

    /// As the leading process sees it.
    pub fn now(&self) -> Now {
        Now { wall: self.wall(), mono: Millis(self.mono + self.processes[self.process].ahead) }
    }

    pub fn wall(&self) -> Timestamp {
        Timestamp(self.mono + self.skew)
    }

    pub fn after(&mut self, ms: i64, happening: Happening) {
        self.order += 1;
        self.agenda.insert((self.mono + ms.max(0), self.order), happening);
    }

    pub fn note(&mut self, text: impl FnOnce() -> String) {
        if self.is_tracing {
            if self.trace.len() == SHOWN {
                self.trace.pop_front();
            }
            let line = format!("{:>10} {}", self.mono - 1_000_000, text());
            self.trace.push_back(line);
        }
    }

    pub fn trace(&self) -> impl Iterator<Item = &String> {
        self.trace.iter()
    }

    /// The whole of a seed: faults, then calm, then the checks of what is left.
    pub fn run(&mut self) -> Result<(), Broken> {
        self.take_over(None)?;
        self.found()?;
        for worker in 0..self.workers.len() {
            self.after(10, Happening::Worker { worker, doing: Doing::Connect });
        }
        self.after(500, Happening::Ask);
        let peace = self.swarm.peace;
        self.after(peace, Happening::Fault);
        let end = self.mono + self.swarm.minutes * 60_000;
        self.until(end)?;
        self.calm()?;
        self.counts.milliseconds = self.mono - 1_000_000;
        self.replay()
    }

    /// Everything up to this moment.
    pub fn until(&mut self, end: i64) -> Result<(), Broken> {
        while let Some(entry) = self.agenda.first_entry() {
            if entry.key().0 > end {
                break;
            }
            self.mono = entry.key().0;
            let happening = entry.remove();
            self.step(happening)?;
        }
        self.mono = end;
        Ok(())
    }

    fn step(&mut self, happening: Happening) -> Result<(), Broken> {
        self.counts.steps += 1;
        if self.counts.steps > STEPS_MAX {
            return broken("comes_to_rest", format!("{STEPS_MAX} steps are not enough"));
        }
        match happening {
            Happening::ToLeader { envelope, origin, number } => {
                if let Origin::Worker(worker, ..) = &origin {
                    self.arrives(*worker, true, number);
                }
                self.receive(*envelope, origin)
            }
            Happening::Commit { leadership } => self.commit(leadership),
            Happening::Wake { leadership } => self.wake(leadership),
            Happening::ToWorker { worker, session, message, number } => {
                self.arrives(worker, false, number);
                self.deliver(worker, session, message)
            }
            Happening::Worker { worker, doing } => self.act(worker, doing),
            Happening::Ask => self.ask(),
            Happening::AskAgain { client } => self.ask_again(client),
            Happening::Fault => self.fault(),
            Happening::TakeOver { late } => self.take_over(late),
            Happening::LateEntry { entry } => self.late_entry(*entry),
            Happening::Mail { leadership, mail } => self.mail(leadership, mail),
            Happening::MailTaken { leadership, mail } => self.mail_taken(leadership, mail),
        }
    }

    fn arrives(&mut self, worker: usize, is_up: bool, number: u64) {
        let last = self.arrived.entry((worker, is_up)).or_default();
        if number < *last {
            self.counts.reorders += 1;
        }
        *last = (*last).max(number);
    }

    /// How long a message is under way, for each copy that arrives.
    pub fn ways(&mut self) -> Vec<i64> {
        let mut ways = vec![self.random.range(1, 20)];
        if self.is_calm {
            return ways;
        }
        if self.random.chance(self.swarm.drops) {
            self.counts.drops += 1;
            ways.clear();
        } else if self.random.chance(self.swarm.duplicates) {
            self.counts.duplicates += 1;
            ways.push(self.random.span(1, 4000));
        }
        if let Some(way) = ways.first_mut() {
            if self.random.chance(self.swarm.reorders) {
                *way += self.random.span(10, 3000);
            }
            if self.random.chance(self.swarm.stalls) {
                *way += self.random.range(5_000, 60_000);
            }
        }
        ways
    }

    pub fn number(&mut self) -> u64 {
        self.order += 1;
        self.order
    }

    // the leader

    fn found(&mut self) -> Result<(), Broken> {
        self.receive(Envelope::internal(Command::Found { id: "sim".to_owned(), zone: Zone::UTC }), Origin::Nobody)?;
        self.define_all()
    }

    pub fn receive(&mut self, envelope: Envelope, origin: Origin) -> Result<(), Broken> {
        let Some(leader) = &mut self.leader else { return Ok(()) };
        leader.inbox.push_back((envelope, origin));
        self.pump()
    }

    /// Takes what waits, decides it and proposes one entry; one is in flight at a time.
    fn pump(&mut self) -> Result<(), Broken> {
        while let Some(mut leader) = self.leader.take() {
            let is_waiting = leader.flight.is_some() || leader.inbox.is_empty();
            let flight = if is_waiting { Ok(None) } else { self.decide(&mut leader).map(Some) };
            self.leader = Some(leader);
            match flight? {
                None => break,
                Some(flight) if flight.entry.events.is_empty() => {
                    self.release(flight.effects, flight.answers);
                }
                Some(flight) => self.propose(flight),
            }
        }
        self.arm();
        Ok(())
    }

    fn decide(&mut self, leader: &mut Leader) -> Result<Flight, Broken> {
        let cluster = &leader.engine.state().cluster;
        let entry = Entry { epoch: cluster.epoch, base_seq: cluster.seq, feature_level: 1, events: Vec::new() };
        let mut flight = Flight { entry, effects: Vec::new(), answers: Vec::new() };
        while let Some((envelope, origin)) = leader.inbox.pop_front() {
            let link = match &envelope.command {
                Command::RegisterWorker(registration) => Some((registration.worker.clone(), registration.session)),
                _ => None,
            };
            let is_tick = matches!(envelope.command, Command::Tick);
            let shown = self.is_tracing.then(|| cut(&format!("{:?}", envelope.command), 300));
            let before = self.is_thorough.then(|| leader.engine.state().hash());
            let result = leader.engine.handle(self.now(), envelope);
            if let Some(command) = shown {
                let told = match &result {
                    Ok(output) => {
                        let events: Vec<_> = output.events.iter().map(|event| &event.kind).collect();
                        format!("{events:?} {:?}", output.effects)
                    }
                    Err(rejected) => format!("refused: {rejected}"),
                };
                self.note(|| format!("leader {}: {command} => {}", leader.number, cut(&told, 1200)));
            }
            match result {
                Ok(output) => {
                    let is_idle = is_tick && output.events.is_empty() && output.effects.is_empty();
                    leader.idle = if is_idle { leader.idle + 1 } else { 0 };
                    leader.sessions.extend(link);
                    flight.entry.events.extend(output.events);
                    flight.effects.extend(output.effects);
                    flight.answers.push((origin, Ok(output.reply)));
                }
                Err(Rejected::Internal(what)) => return broken("the_engine_knows_its_own_rules", what),
                Err(rejected) => {
                    if before.is_some_and(|before| before != leader.engine.state().hash()) {
                        return broken("a_rejection_changes_nothing", rejected.to_string());
                    }
                    flight.answers.push((origin, Err(rejected)));
                }
            }
            if flight.entry.events.len() > 1000 {
                break;
            }
        }
        Ok(flight)
    }

    fn propose(&mut self, flight: Flight) {
        let slow = self.swarm.slow_commits && !self.is_calm && self.random.chance(50);
        let ms = if slow { self.random.range(100, 5000) } else { self.random.range(1, 10) };
        let Some(leader) = &mut self.leader else { return };
        leader.flight = Some(flight);
        let leadership = leader.number;
        self.after(ms, Happening::Commit { leadership });
        if std::mem::take(&mut self.is_cut_due) && !self.is_calm {
            self.after(0, Happening::TakeOver { late: None });
        }
    }

    fn commit(&mut self, leadership: u64) -> Result<(), Broken> {
        let Some(leader) = self.leader.as_mut().filter(|leader| leader.number == leadership) else { return Ok(()) };
        let Some(flight) = leader.flight.take() else { return Ok(()) };
        match self.append(LogRecord::Events(flight.entry))? {
            Applied::Applied => {}
            other => return broken("a_leader_is_not_skipped", format!("{other:?}")),
        }
        self.verify()?;
        self.release(flight.effects, flight.answers);
        self.replies_agree()?;
        if self.random.chance(30) {
            self.project();
        }
        self.pump()
    }

    /// One entry of the log, applied by the replica.
    fn append(&mut self, record: LogRecord) -> Result<Applied, Broken> {
        let applied = self.replica.apply_record(1, &record);
        if let Some(what) = self.replica.diverged() {
            return broken("replicas_do_not_diverge", what.to_owned());
        }
        if let (LogRecord::Events(entry), Applied::Applied) = (&record, &applied) {
            for event in &entry.events {
                self.history.see(event)?;
            }
            self.ledger.committed(&entry.events, &self.replica)?;
            self.post.committed(&entry.events, &self.replica)?;
        }
        self.log.push(record);
        Ok(applied)
    }

    /// What must hold of the replica now, and that the engine is at the same point with the same state.
    fn verify(&mut self) -> Result<(), Broken> {
        // Drawn in any case, so that a seed goes the same way with and without all checks.
        let is_drawn = self.random.chance(12);
        if is_drawn || self.is_thorough { self.verify_all() } else { Ok(()) }
    }

    pub fn verify_all(&mut self) -> Result<(), Broken> {
        let Some(leader) = &self.leader else { return Ok(()) };
        if leader.flight.is_some() {
            return Ok(());
        }
        let state = leader.engine.state();
        if state.cluster.seq != self.replica.cluster.seq || state.hash() != self.replica.hash() {
            return broken("engine_and_replica_agree", format!("{:?}", self.replica.difference(state)));
        }
        let is_quiet = leader.engine.next_wakeup().is_none_or(|next| next.delay(self.now()).0 > 0);
        let found = if is_quiet { check_quiet(&self.replica) } else { check(&self.replica) };
        match found.into_iter().chain(check(state)).next() {
            Some(first) => Err(Broken { invariant: first.invariant, what: first.what }),
            None => Ok(()),
        }
    }

    /// The projector: rows become durable, and what rests leaves the memory of both.
    fn project(&mut self) {
        self.store.write(&mut self.replica);
        let durable = self.replica.cluster.seq;
        self.replica.forget_rested(durable);
        if let Some(leader) = &mut self.leader {
            leader.engine.forget_rested(durable);
        }
    }

    fn release(&mut self, effects: Vec<Effect>, answers: Vec<(Origin, Result<Reply, Rejected>)>) {
        for (origin, answer) in answers {
            self.answer(origin, answer);
        }
        for effect in effects {
            match effect {
                Effect::SendAttempt { worker, session, assignment } => {
                    self.send_to(&worker, session, Message::Start(assignment));
                }
                Effect::KillAttempt { worker, attempt, .. } => self.send(&worker, Message::Kill(attempt)),
                Effect::AcknowledgeResult { worker, attempt } => self.send(&worker, Message::Acknowledge(attempt)),
                Effect::AskToRegister { worker } => self.refuse(&worker),
                // The answer to the registration says it.
                Effect::AdmitWorker { .. } => {}
                Effect::GrantSource { .. } => {}
                Effect::SendMail { mail } => self.hand_in(mail),
            }
        }
    }

    /// Sets the one timer.
    pub fn arm(&mut self) {
        let now = self.now();
        let Some(leader) = self.leader.as_mut().filter(|leader| leader.flight.is_none()) else { return };
        let Some(deadline) = leader.engine.next_wakeup() else { return };
        let at = self.mono + deadline.delay(now).0;
        if leader.wake.is_some_and(|wake| wake <= at) {
            return;
        }
        leader.wake = Some(at);
        let leadership = leader.number;
        self.after(at - self.mono, Happening::Wake { leadership });
    }

    /// The wall clock moved: what was armed by it is not right any more.
    pub fn rearm(&mut self) {
        if let Some(leader) = &mut self.leader {
            leader.wake = None;
        }
        self.arm();
    }

    fn wake(&mut self, leadership: u64) -> Result<(), Broken> {
        let Some(leader) = self.leader.as_mut().filter(|leader| leader.number == leadership) else { return Ok(()) };
        if leader.wake.is_none_or(|wake| wake > self.mono) {
            return Ok(());
        }
        leader.wake = None;
        if leader.idle > 50 {
            return broken("the_timer_does_not_spin", format!("{:?}", leader.engine.next_wakeup()));
        }
        self.receive(Envelope::internal(Command::Tick), Origin::Nobody)
    }

    /// A leadership ends, if there is one, and the next begins. What was in flight is lost, committed without
    /// anybody being told, or comes into the log late, behind the new leader's first record.
    pub fn take_over(&mut self, late: Option<Box<Entry>>) -> Result<(), Broken> {
        self.is_cut_due = false;
        if let Some(old) = self.leader.take() {
            return self.lose_leader(old);
        }
        self.counts.takeovers += u64::from(self.leaderships > 0);
        self.process = self.random.below(self.processes.len());
        if self.swarm.reloads && self.leaderships > 0 {
            self.project();
            let loaded = self.store.load();
            if loaded.hash() != self.replica.hash() {
                return broken("rows_make_the_same_state", format!("{:?}", loaded.difference(&self.replica)));
            }
            self.replica = loaded;
            // The process is a new one: all that it knows of take-overs is what it loaded, at its start.
            let mut take_overs = TakeOvers::default();
            take_overs.note(self.replica.cluster.epoch, self.now().mono);
            self.processes[self.process].take_overs = take_overs;
        }
        self.leaderships += 1;
        let epoch = self.replica.cluster.epoch.next();
        let record = TakeOver { node: MasterId(1), boot: Boot(epoch.0), term: 1, epoch, at: self.now().wall };
        match self.append(LogRecord::TakeOver(record))? {
            Applied::Applied => {}
            other => return broken("a_leader_is_not_skipped", format!("{other:?}")),
        }
        for process in &mut self.processes {
            // Each applies it a little later than it was committed.
            let late = self.random.range(0, 100);
            process.take_overs.note(epoch, Millis(self.mono + process.ahead + late));
        }
        let settings = self.settings();
        let take_overs = self.processes[self.process].take_overs.clone();
        let engine = Engine::new(&self.replica, settings.clone(), self.now(), take_overs);
        let effects = engine.recover(ractorflow::engine::Scope::All);
        let (number, process) = (self.leaderships, self.process);
        self.note(|| format!("leader {number} takes over, process {process}"));
        let leader = Leader {
            engine,
            number,
            settings,
            flight: None,
            inbox: VecDeque::new(),
            sessions: BTreeMap::new(),
            wake: None,
            idle: 0,
        };
        self.leader = Some(leader);
        self.release(effects, Vec::new());
        self.verify()?;
        if let Some(entry) = late {
            let ms = self.random.span(0, 200);
            self.after(ms, Happening::LateEntry { entry });
        }
        self.receive(Envelope::internal(Command::Tick), Origin::Nobody)
    }

    fn lose_leader(&mut self, mut old: Leader) -> Result<(), Broken> {
        let number = old.number;
        self.note(|| format!("leader {number} is gone"));
        let mut late = None;
        if let Some(flight) = old.flight.take() {
            match self.random.below(3) {
                0 => {
                    self.append(LogRecord::Events(flight.entry))?;
                }
                1 if self.swarm.late_entries => late = Some(Box::new(flight.entry)),
                _ => {}
            }
        }
        self.unlink_all();
        let ms = if self.random.chance(100) { self.random.range(5_000, 90_000) } else { self.random.range(0, 3000) };
        self.after(ms, Happening::TakeOver { late });
        Ok(())
    }

    /// Of the next leadership; each may be configured differently.
    fn settings(&mut self) -> Settings {
        let lease = (self.swarm.leases && self.random.chance(900)).then(|| Millis(self.random.range(10_000, 40_000)));
        let seconds = *self.random.pick(&[5, 10, 30]);
        let ended_max = if seconds == 5 { 2 } else { 1_000 };
        let mail = MailRules { is_on: true, ..MailRules::default() };
        let daily_reset = if self.swarm.workflows % 2 == 0 { ResetRule::parse("*/20 * * * *") } else { None };
        Settings { lease, lost_after: Millis::seconds(seconds), ended_max, mail, daily_reset, ..Settings::default() }
    }

    /// Workers notice sooner or later that their leader is gone.
    fn unlink_all(&mut self) {
        for worker in 0..self.workers.len() {
            let Some(session) = self.workers[worker].session else { continue };
            if self.random.chance(500) {
                let ms = self.random.range(10, 3000);
                self.after(ms, Happening::Worker { worker, doing: Doing::Unlink { session } });
            } else {
                self.workers[worker].unlink();
                let ms = self.random.range(10, 5000);
                self.after(ms, Happening::Worker { worker, doing: Doing::Connect });
            }
        }
    }

    /// The leader's loop ends by itself and starts again from the replica, in the same leadership.
    pub fn remake(&mut self) {
        let now = self.now();
        let Some(leader) = self.leader.as_mut().filter(|leader| leader.flight.is_none()) else { return };
        let take_overs = self.processes[self.process].take_overs.clone();
        leader.engine = Engine::new(&self.replica, leader.settings.clone(), now, take_overs);
        leader.inbox.clear();
        leader.sessions.clear();
        leader.wake = None;
        self.counts.remakes += 1;
        self.note(|| "the leader's engine is made anew".to_owned());
        self.unlink_all();
        self.arm();
    }

    /// What an earlier leader had proposed comes into the log behind the new leader's record.
    fn late_entry(&mut self, entry: Entry) -> Result<(), Broken> {
        let before = (self.replica.cluster.seq, self.replica.hash());
        let applied = self.replica.apply_record(1, &LogRecord::Events(entry));
        self.counts.skipped_entries += 1;
        match applied {
            Applied::Skipped(_) if before == (self.replica.cluster.seq, self.replica.hash()) => Ok(()),
            other => broken("an_old_leadership_writes_nothing", format!("{other:?}")),
        }
    }

    /// The log from the beginning makes the same state, and an entry twice has one effect.
    fn replay(&mut self) -> Result<(), Broken> {
        let mut replayed = State::default();
        for record in &self.log {
            replayed.apply_record(1, record);
            let seq = replayed.cluster.seq;
            if let LogRecord::Events(entry) = record {
                if !entry.events.is_empty() && self.random.chance(20) {
                    replayed.apply_record(1, record);
                    if replayed.cluster.seq != seq {
                        return broken("an_entry_has_one_effect", format!("entry behind {}", entry.base_seq));
                    }
                }
            }
        }
        match replayed.hash() == self.replica.hash() {
            true => Ok(()),
            false => broken("replay_makes_the_same_state", format!("{:?}", replayed.difference(&self.replica))),
        }
    }
}

pub fn broken<T>(invariant: &'static str, what: String) -> Result<T, Broken> {
    Err(Broken { invariant, what })
}

/// At most so many characters of a text.
fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
