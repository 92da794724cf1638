//! The workers' side of the world: links, messages in both directions, tasks and their ends.

use ractorflow::engine::command::Envelope;
use ractorflow::engine::event::NodeRef;
use ractorflow::engine::{Command, Rejected, Reply};
use ractorflow::model::assignment::{Assignment, Outcome, OutcomeClass};
use ractorflow::model::duration::Millis;
use ractorflow::model::id::{AttemptId, Epoch, WorkerId};
use ractorflow::model::time::Timestamp;

use crate::Broken;
use crate::worker::Known;
use crate::world::{Happening, Origin, World, broken};

/// Between two signs of life of a worker.
const HEARTBEAT: i64 = 10_000;

/// What a leader says to a worker.
#[derive(Debug, Clone)]
pub enum Message {
    Start(Box<Assignment>),
    Kill(AttemptId),
    Acknowledge(AttemptId),
    Registered(Epoch),
    /// The link is of no use any more: registered over another, or not registered.
    Refused,
}

/// What happens at a worker by itself.
#[derive(Debug, Clone)]
pub enum Doing {
    Connect,
    Heartbeat { session: u64 },
    Begin { attempt: AttemptId, boot: u64 },
    End { attempt: AttemptId, token: u64, class: OutcomeClass },
    DaemonUp,
    PowerOn,
}

impl World {
    /// A message on the link that this worker registered over, if there is one.
    pub fn send(&mut self, name: &WorkerId, message: Message) {
        let Some(worker) = self.workers.iter().position(|worker| worker.name == *name) else { return };
        let Some(session) = self.leader.as_ref().and_then(|leader| leader.sessions.get(name).copied()) else { return };
        self.send_on(worker, session, message);
    }

    /// On this link or not at all.
    pub fn send_to(&mut self, name: &WorkerId, session: u64, message: Message) {
        if let Some(worker) = self.workers.iter().position(|worker| worker.name == *name) {
            self.send_on(worker, session, message);
        }
    }

    /// To the worker over the link that it has now, whatever the leader knows of it.
    pub fn refuse(&mut self, name: &WorkerId) {
        let at = self.workers.iter().position(|worker| worker.name == *name);
        let link = at.and_then(|at| self.workers[at].session.map(|session| (at, session)));
        if let Some((at, session)) = link {
            self.send_on(at, session, Message::Refused);
        }
    }

    fn send_on(&mut self, worker: usize, session: u64, message: Message) {
        let number = self.number();
        let ways = self.ways();
        if ways.is_empty() && self.random.chance(300) {
            self.cut(worker);
        }
        for way in ways {
            let message = message.clone();
            self.after(way, Happening::ToWorker { worker, session, message, number });
        }
    }

    fn report(&mut self, worker: usize, command: Command) {
        let Some(session) = self.workers[worker].session else { return };
        let number = self.number();
        let mut ways = self.ways();
        if matches!(command, Command::RegisterWorker(_)) {
            ways.truncate(1);
        }
        if ways.is_empty() && self.random.chance(300) {
            self.cut(worker);
        }
        for way in ways {
            let envelope = Box::new(Envelope::internal(command.clone()));
            let origin = Origin::Worker(worker, session);
            self.after(way, Happening::ToLeader { envelope, origin, number });
        }
    }

    /// The link breaks; the leader hears of it later, the worker dials again.
    pub fn cut(&mut self, worker: usize) {
        let Some(session) = self.workers[worker].session else { return };
        self.note(|| format!("the link of w{worker} breaks"));
        self.workers[worker].unlink();
        let name = self.workers[worker].name.clone();
        let envelope = Box::new(Envelope::internal(Command::WorkerUnlinked { worker: name, session }));
        let (number, ms) = (self.number(), self.random.range(10, 3000));
        self.after(ms, Happening::ToLeader { envelope, origin: Origin::Nobody, number });
        let ms = self.random.range(100, 5000);
        self.after(ms, Happening::Worker { worker, doing: Doing::Connect });
    }

    /// The answer to something that came over a worker's link or from a client.
    pub fn answer(&mut self, origin: Origin, answer: Result<Reply, Rejected>) {
        match origin {
            Origin::Nobody => {}
            Origin::Client(client) => self.answer_client(client, answer),
            Origin::Worker(worker, session) => match answer {
                Ok(Reply::Registered { epoch }) => self.send_on(worker, session, Message::Registered(epoch)),
                Err(Rejected::StaleSession | Rejected::Conflict { .. }) => {
                    self.send_on(worker, session, Message::Refused);
                }
                Ok(_) | Err(_) => {}
            },
        }
    }

    pub fn deliver(&mut self, at: usize, session: u64, message: Message) -> Result<(), Broken> {
        // Another session, or nobody at home.
        if self.workers[at].session != Some(session) {
            return Ok(());
        }
        self.note(|| format!("w{at} hears {}", short(&message)));
        match message {
            Message::Start(assignment) => self.accept(at, &assignment),
            Message::Kill(attempt) => self.kill(at, attempt),
            Message::Acknowledge(attempt) => {
                let node = self.replica.nodes.get(&NodeRef::from(attempt));
                if node.and_then(|node| node.live_attempt()).is_some_and(|live| live.number == attempt.number) {
                    return broken("acknowledged_is_committed", attempt.to_string());
                }
                if let Some(Known::Finished { is_acknowledged, .. }) = self.workers[at].journal.get_mut(&attempt) {
                    *is_acknowledged = true;
                }
                Ok(())
            }
            Message::Registered(epoch) => {
                let worker = &mut self.workers[at];
                worker.epoch = worker.epoch.max(epoch);
                if !worker.is_registered {
                    worker.is_registered = true;
                    self.flush(at);
                    self.after(HEARTBEAT, Happening::Worker { worker: at, doing: Doing::Heartbeat { session } });
                }
                Ok(())
            }
            Message::Refused => {
                self.workers[at].unlink();
                let ms = self.random.range(500, 5000);
                self.after(ms, Happening::Worker { worker: at, doing: Doing::Connect });
                Ok(())
            }
        }
    }

    fn accept(&mut self, at: usize, assignment: &Assignment) -> Result<(), Broken> {
        let attempt = assignment.attempt;
        let name = self.workers[at].name.clone();
        match self.workers[at].journal.get(&attempt).cloned() {
            None if !self.is_calm && self.random.chance(self.swarm.declines) => {
                let reason = "another session".to_owned();
                let is_passing = self.random.chance(500);
                self.report(at, Command::AttemptDeclined { worker: name, attempt, reason, is_passing });
            }
            None => {
                let began = self.number();
                self.workers[at].journal.insert(attempt, Known::Accepted { began });
                let (boot, ms) = (self.workers[at].boot, self.random.range(1, 200));
                self.after(ms, Happening::Worker { worker: at, doing: Doing::Begin { attempt, boot } });
            }
            Some(Known::Accepted { .. }) => {}
            Some(Known::Alive { started }) => {
                self.report(at, Command::AttemptStarted { worker: name, attempt, at: started });
            }
            Some(Known::Finished { outcome, .. }) => {
                self.report(at, Command::AttemptFinished { worker: name, attempt, outcome: *outcome });
            }
            Some(Known::Tombstone) => {
                let reason = "it has a tombstone here".to_owned();
                self.report(at, Command::AttemptDeclined { worker: name, attempt, reason, is_passing: false });
            }
        }
        Ok(())
    }

    fn kill(&mut self, at: usize, attempt: AttemptId) -> Result<(), Broken> {
        let name = self.workers[at].name.clone();
        match self.workers[at].journal.get(&attempt).cloned() {
            Some(Known::Alive { .. }) => {
                // TERM, grace, KILL: it may still end by itself first.
                let token = self.number();
                if self.random.chance(800) {
                    self.workers[at].tasks.insert(attempt, token);
                    let ms = self.random.range(1, 3000);
                    let doing = Doing::End { attempt, token, class: OutcomeClass::Killed };
                    self.after(ms, Happening::Worker { worker: at, doing });
                }
            }
            Some(Known::Finished { outcome, .. }) => {
                self.report(at, Command::AttemptFinished { worker: name, attempt, outcome: *outcome });
            }
            Some(Known::Accepted { .. } | Known::Tombstone) | None => {
                self.workers[at].journal.insert(attempt, Known::Tombstone);
                self.report(at, Command::AttemptAbsent { worker: name, attempt });
            }
        }
        Ok(())
    }

    pub fn act(&mut self, at: usize, doing: Doing) -> Result<(), Broken> {
        match doing {
            Doing::Connect => self.connect(at),
            Doing::Heartbeat { session } => {
                let worker = &self.workers[at];
                if worker.session == Some(session) && worker.is_registered {
                    let name = worker.name.clone();
                    self.report(at, Command::WorkerHeard { worker: name, session, clock_off: Millis(0) });
                    self.flush(at);
                    self.after(HEARTBEAT, Happening::Worker { worker: at, doing: Doing::Heartbeat { session } });
                }
            }
            Doing::Begin { attempt, boot } => return self.begin(at, attempt, boot),
            Doing::End { attempt, token, class } => self.end(at, attempt, token, class),
            Doing::DaemonUp => {
                let worker = &mut self.workers[at];
                if worker.is_machine_up && !worker.is_running {
                    worker.restart();
                    self.connect(at);
                }
            }
            Doing::PowerOn => {
                let worker = &mut self.workers[at];
                if worker.is_held {
                    self.after(1000, Happening::Worker { worker: at, doing: Doing::PowerOn });
                } else if !worker.is_machine_up {
                    worker.power_on();
                    let ms = self.random.range(100, 3000);
                    self.after(ms, Happening::Worker { worker: at, doing: Doing::DaemonUp });
                }
            }
        }
        Ok(())
    }

    /// Dials the leader; tries again until it is registered.
    fn connect(&mut self, at: usize) {
        let worker = &self.workers[at];
        if !worker.is_running || worker.is_registered {
            return;
        }
        let again = if worker.cut_until > self.mono { worker.cut_until - self.mono } else { 5000 };
        if worker.cut_until <= self.mono && self.leader.is_some() {
            self.sessions += 1;
            self.workers[at].session = Some(self.sessions);
            let registration =
                self.workers[at].registration(self.sessions, &mut self.random, &self.swarm, self.is_calm);
            self.report(at, Command::RegisterWorker(registration));
        }
        self.after(again, Happening::Worker { worker: at, doing: Doing::Connect });
    }

    /// Everything in the outbox, again and again until it is acknowledged.
    fn flush(&mut self, at: usize) {
        for (attempt, outcome) in self.workers[at].outbox() {
            let worker = self.workers[at].name.clone();
            self.report(at, Command::AttemptFinished { worker, attempt, outcome });
        }
    }

    fn begin(&mut self, at: usize, attempt: AttemptId, boot: u64) -> Result<(), Broken> {
        let worker = &self.workers[at];
        let is_due = worker.is_running
            && worker.boot == boot
            && matches!(worker.journal.get(&attempt), Some(Known::Accepted { .. }));
        if !is_due {
            return Ok(());
        }
        let (name, started) = (worker.name.clone(), self.wall());
        self.note(|| format!("w{at} starts {attempt}"));
        self.ledger.start(attempt, &name, &self.replica)?;
        let class = if self.is_calm {
            OutcomeClass::Succeeded
        } else if self.random.chance(self.swarm.failures) {
            let kinds = [OutcomeClass::Failed, OutcomeClass::Failed, OutcomeClass::OutOfMemory, OutcomeClass::Refused];
            *self.random.pick(&kinds)
        } else if self.random.chance(self.swarm.infrastructure) {
            OutcomeClass::Infrastructure
        } else {
            OutcomeClass::Succeeded
        };
        let (token, ms) = (self.number(), self.random.span(50, 25_000));
        let worker = &mut self.workers[at];
        worker.journal.insert(attempt, Known::Alive { started });
        worker.tasks.insert(attempt, token);
        self.after(ms, Happening::Worker { worker: at, doing: Doing::End { attempt, token, class } });
        self.report(at, Command::AttemptStarted { worker: name, attempt, at: started });
        Ok(())
    }

    /// The task is gone and its shim has written down how. The daemon need not be there.
    fn end(&mut self, at: usize, attempt: AttemptId, token: u64, class: OutcomeClass) {
        let worker = &mut self.workers[at];
        if worker.tasks.get(&attempt) != Some(&token) {
            return;
        }
        worker.tasks.remove(&attempt);
        self.ledger.exit(attempt, Some(class));
        self.note(|| format!("w{at}: {attempt} ends {class:?}"));
        let finished = self.wall();
        let worker = &mut self.workers[at];
        let started = match worker.journal.get(&attempt) {
            Some(Known::Alive { started }) => *started,
            _ => finished,
        };
        let outcome = outcome(class, started, finished);
        let known = Known::Finished { outcome: Box::new(outcome.clone()), is_acknowledged: false };
        worker.journal.insert(attempt, known);
        if worker.is_running {
            let worker = worker.name.clone();
            self.report(at, Command::AttemptFinished { worker, attempt, outcome });
        }
    }
}

fn outcome(class: OutcomeClass, started: Timestamp, finished: Timestamp) -> Outcome {
    Outcome {
        class,
        exit_code: Some(i32::from(class != OutcomeClass::Succeeded)),
        signal: None,
        message: None,
        retry_verdict: None,
        outputs: Vec::new(),
        started,
        finished,
        has_log: None,
    }
}

fn short(message: &Message) -> String {
    match message {
        Message::Start(assignment) => format!("start {}", assignment.attempt),
        Message::Kill(attempt) => format!("kill {attempt}"),
        Message::Acknowledge(attempt) => format!("acknowledged {attempt}"),
        Message::Registered(epoch) => format!("registered in epoch {epoch}"),
        Message::Refused => "refused".to_owned(),
    }
}
