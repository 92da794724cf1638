//! The workers' side of the world: links, messages in both directions, tasks and their ends.

use ractorflow::engine::command::{Envelope, InventoryState};
use ractorflow::engine::event::NodeRef;
use ractorflow::engine::{Command, Rejected, Reply};
use ractorflow::model::assignment::{Assignment, Outcome, OutcomeClass};
use ractorflow::model::duration::Millis;
use ractorflow::model::id::{AttemptId, Epoch, WorkerId};
use ractorflow::model::lease;
use ractorflow::model::time::Timestamp;

use crate::Broken;
use crate::worker::{Known, Lease};
use crate::world::{Happening, Origin, World, broken};

/// Between two signs of life of a worker.
const HEARTBEAT: i64 = 2_000;

/// What a leader says to a worker.
#[derive(Debug, Clone)]
pub enum Message {
    Start(Box<Assignment>),
    Kill(AttemptId),
    Acknowledge(AttemptId),
    Registered {
        epoch: Epoch,
        nonce: u64,
    },
    /// A heartbeat was counted: leases go on from when it was sent.
    Answered {
        nonce: u64,
    },
    /// The link is of no use any more: registered over another, or not registered.
    Refused,
}

/// What happens at a worker by itself.
#[derive(Debug, Clone)]
pub enum Doing {
    Connect,
    /// It hears that its link is broken.
    Unlink {
        session: u64,
    },
    Heartbeat {
        session: u64,
    },
    Begin {
        attempt: AttemptId,
        boot: u64,
    },
    LeaseEnds {
        attempt: AttemptId,
    },
    End {
        attempt: AttemptId,
        token: u64,
        class: OutcomeClass,
    },
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
        let (slow_until, by) = self.workers[worker].slow;
        for way in ways {
            let message = message.clone();
            let way = if self.mono < slow_until { way + by } else { way };
            self.after(way, Happening::ToWorker { worker, session, message, number });
        }
    }

    fn report(&mut self, worker: usize, command: Command) {
        self.report_as(worker, command, 0);
    }

    /// A report that is answered, which renews leases from now.
    fn ping(&mut self, worker: usize, command: Command) {
        let nonce = self.workers[worker].pings.send(self.mono as u64);
        self.report_as(worker, command, nonce);
    }

    fn report_as(&mut self, worker: usize, command: Command, nonce: u64) {
        let Some(session) = self.workers[worker].session else { return };
        let (begin, end) = self.workers[worker].mute;
        if (begin..end).contains(&self.mono) {
            self.counts.drops += 1;
            return;
        }
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
            let origin = Origin::Worker(worker, session, nonce);
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
            Origin::Worker(worker, session, nonce) => match answer {
                Ok(Reply::Registered { epoch }) => {
                    self.send_on(worker, session, Message::Registered { epoch, nonce });
                }
                Ok(Reply::Done) if nonce != 0 => self.send_on(worker, session, Message::Answered { nonce }),
                Err(Rejected::StaleSession | Rejected::Conflict { .. }) => {
                    self.send_on(worker, session, Message::Refused);
                }
                Ok(_) | Err(_) => {}
            },
        }
    }

    pub fn deliver(&mut self, at: usize, session: u64, message: Message) -> Result<(), Broken> {
        let wait = self.workers[at].stopped_until - self.mono;
        if wait > 0 {
            let number = self.number();
            self.after(wait, Happening::ToWorker { worker: at, session, message, number });
            return Ok(());
        }
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
            Message::Answered { nonce } => {
                self.answered(at, nonce);
                Ok(())
            }
            Message::Registered { epoch, nonce } => {
                if epoch < self.workers[at].epoch {
                    return Ok(());
                }
                self.answered(at, nonce);
                let worker = &mut self.workers[at];
                worker.epoch = epoch;
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

    /// The leader answered a ping: what runs here may run on, counted from when that was sent.
    fn answered(&mut self, at: usize, nonce: u64) {
        let worker = &mut self.workers[at];
        let Some(sent_ms) = worker.pings.answered(nonce) else { return };
        let mut renewed = Vec::new();
        for (attempt, lease) in &mut worker.leases {
            if lease.from_ms + lease::renew_after_ms(lease.length) <= sent_ms {
                lease.from_ms = sent_ms;
                renewed.push((*attempt, lease.ends()));
            }
        }
        for (attempt, ends) in renewed {
            self.after(ends - self.mono, Happening::Worker { worker: at, doing: Doing::LeaseEnds { attempt } });
        }
    }

    fn accept(&mut self, at: usize, assignment: &Assignment) -> Result<(), Broken> {
        let attempt = assignment.attempt;
        let name = self.workers[at].name.clone();
        let age = self.workers[at].pings.age_ms(self.mono as u64);
        if age.is_none_or(|age| age > lease::DISPATCH_AGE_MAX.0 as u64) {
            let reason = "no recent sign of the leader".to_owned();
            self.report(at, Command::AttemptDeclined { worker: name, attempt, reason, is_passing: true });
            return Ok(());
        }
        match self.workers[at].journal.get(&attempt).cloned() {
            None if !self.is_calm && self.random.chance(self.swarm.declines) => {
                let reason = "another session".to_owned();
                let is_passing = self.random.chance(500);
                self.report(at, Command::AttemptDeclined { worker: name, attempt, reason, is_passing });
            }
            None => {
                let began = self.number();
                let from_ms = self.workers[at].pings.answered_ms().unwrap_or(0);
                let lease = assignment.lease.map(|length| Lease { length, from_ms });
                self.workers[at].journal.insert(attempt, Known::Accepted { began, lease });
                let (boot, ms) = (self.workers[at].boot, self.random.range(1, 200));
                self.after(ms, Happening::Worker { worker: at, doing: Doing::Begin { attempt, boot } });
                if self.swarm.stops && !self.is_calm && self.random.chance(10) {
                    self.stop(at);
                }
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
        if self.is_lost_kill(at, attempt) {
            return Ok(());
        }
        match self.workers[at].journal.get(&attempt).cloned() {
            Some(Known::Alive { .. }) if self.workers[at].ending.contains(&attempt) => {}
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

    /// The first kill of a task that nothing else ends. Of one that the log does not have as live only the next
    /// registration would bring another.
    fn is_lost_kill(&mut self, at: usize, attempt: AttemptId) -> bool {
        let node = self.replica.nodes.get(&NodeRef::from(attempt));
        let is_live = node.and_then(|node| node.live_attempt()).is_some_and(|live| live.number == attempt.number);
        let endless = self.workers[at].endless.get_mut(&attempt).filter(|_| is_live);
        let is_lost = endless.is_some_and(|was_lost| !std::mem::replace(was_lost, true));
        if is_lost {
            self.note(|| format!("the kill of {attempt} is lost"));
        }
        is_lost
    }

    pub fn act(&mut self, at: usize, doing: Doing) -> Result<(), Broken> {
        let wait = self.workers[at].stopped_until - self.mono;
        match doing {
            Doing::Connect | Doing::Unlink { .. } | Doing::Heartbeat { .. } | Doing::Begin { .. } if wait > 0 => {
                self.after(wait, Happening::Worker { worker: at, doing });
            }
            Doing::Connect => self.connect(at),
            Doing::Unlink { session } => {
                if self.workers[at].session == Some(session) {
                    self.workers[at].unlink();
                    self.connect(at);
                }
            }
            Doing::LeaseEnds { attempt } => self.lease_ends(at, attempt),
            Doing::Heartbeat { session } => {
                let worker = &self.workers[at];
                if worker.session == Some(session) && worker.is_registered {
                    let name = worker.name.clone();
                    self.ping(at, Command::WorkerHeard { worker: name, session, clock_off: Millis(0) });
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
            let unproven = registration.inventory.iter().filter(|item| item.is == InventoryState::Unproven);
            for attempt in unproven.map(|item| item.attempt).collect::<Vec<_>>() {
                self.orphan(at, attempt);
            }
            self.ping(at, Command::RegisterWorker(registration));
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
        let lease = match worker.journal.get(&attempt) {
            Some(Known::Accepted { lease, .. }) => *lease,
            _ => None,
        };
        let (name, started) = (worker.name.clone(), self.wall());
        if lease.is_some_and(|lease| lease.ends() <= self.mono) {
            self.refuse_late(at, attempt);
            return Ok(());
        }
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
        let is_long = self.swarm.leases && !self.is_calm && self.random.chance(200);
        let ms = if is_long { self.random.range(25_000, 150_000) } else { self.random.span(50, 25_000) };
        let token = self.number();
        let worker = &mut self.workers[at];
        worker.journal.insert(attempt, Known::Alive { started });
        worker.tasks.insert(attempt, token);
        if let Some(lease) = lease {
            worker.leases.insert(attempt, lease);
            let ms = lease.ends() - self.mono;
            self.after(ms, Happening::Worker { worker: at, doing: Doing::LeaseEnds { attempt } });
        }
        if self.is_endless(attempt) {
            self.counts.endless += 1;
            self.workers[at].endless.insert(attempt, false);
        } else {
            self.after(ms, Happening::Worker { worker: at, doing: Doing::End { attempt, token, class } });
        }
        self.report(at, Command::AttemptStarted { worker: name, attempt, at: started });
        Ok(())
    }

    fn is_endless(&mut self, attempt: AttemptId) -> bool {
        !self.is_calm && !self.is_steady(attempt) && self.random.chance(self.swarm.endless)
    }

    /// Operators leave steady workflows alone, so nobody would end an endless task there.
    fn is_steady(&self, attempt: AttemptId) -> bool {
        let head = self.replica.instances.get(&attempt.instance);
        self.steady.keys().any(|at| head.is_none_or(|head| head.workflow.as_str() == format!("w{at}")))
    }

    /// A task that lost its shim: nothing but a kill ends it.
    fn orphan(&mut self, at: usize, attempt: AttemptId) {
        let token = self.number();
        let is_steady = self.is_steady(attempt);
        let worker = &mut self.workers[at];
        if !is_steady && worker.tasks.contains_key(&attempt) && !worker.ending.contains(&attempt) {
            worker.tasks.insert(attempt, token);
            worker.endless.entry(attempt).or_insert(true);
        }
    }

    /// The shim does not start what would have no lease any more.
    fn refuse_late(&mut self, at: usize, attempt: AttemptId) {
        self.note(|| format!("w{at} does not start {attempt}: its lease is over"));
        self.counts.late_starts += 1;
        self.ledger.exit(attempt, Some(OutcomeClass::Infrastructure));
        let now = self.wall();
        let outcome = outcome(OutcomeClass::Infrastructure, now, now);
        let known = Known::Finished { outcome: Box::new(outcome.clone()), is_acknowledged: false };
        let worker = &mut self.workers[at];
        worker.journal.insert(attempt, known);
        let worker = worker.name.clone();
        self.report(at, Command::AttemptFinished { worker, attempt, outcome });
    }

    /// The shim ends its task by itself, if no later lease has come meanwhile.
    fn lease_ends(&mut self, at: usize, attempt: AttemptId) {
        let token = self.number();
        let ms = self.random.range(0, lease::KILL_GRACE.0);
        let worker = &mut self.workers[at];
        let is_over = worker.leases.get(&attempt).is_some_and(|lease| lease.ends() <= self.mono);
        let node = self.replica.nodes.get(&NodeRef::from(attempt));
        // What its worker could not prove gone has lost its shim, and with it what would end it.
        let is_unproven = node.and_then(|node| node.attempt(attempt.number)).is_some_and(|known| known.is_unproven);
        if !is_over || is_unproven || !worker.tasks.contains_key(&attempt) {
            return;
        }
        worker.leases.remove(&attempt);
        worker.ending.insert(attempt);
        worker.tasks.insert(attempt, token);
        self.counts.leases_ended += 1;
        self.note(|| format!("w{at}: the lease of {attempt} ends"));
        let doing = Doing::End { attempt, token, class: OutcomeClass::Infrastructure };
        self.after(ms, Happening::Worker { worker: at, doing });
    }

    /// The task is gone and its shim has written down how. The daemon need not be there.
    fn end(&mut self, at: usize, attempt: AttemptId, token: u64, class: OutcomeClass) {
        let worker = &mut self.workers[at];
        if worker.tasks.get(&attempt) != Some(&token) {
            return;
        }
        worker.tasks.remove(&attempt);
        worker.leases.remove(&attempt);
        worker.ending.remove(&attempt);
        worker.endless.remove(&attempt);
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
        // A daemon that is not there or stopped finds it later.
        if worker.is_running && worker.stopped_until <= self.mono {
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
        // Of a monitor they are a measurement.
        outputs: vec![("value".to_owned(), started.0.to_string()), ("max".to_owned(), "7".to_owned())],
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
        Message::Registered { epoch, .. } => format!("registered in epoch {epoch}"),
        Message::Answered { nonce } => format!("answered {nonce}"),
        Message::Refused => "refused".to_owned(),
    }
}
