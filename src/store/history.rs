//! A random history for tests: what an engine proposed, entry by entry, with the state's hash after each.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::command::{Registration, RerunVersion, RunRequest, TriggerRequest};
use crate::engine::event::{Event, EventKind};
use crate::engine::state::{Bundle, RerunPlan, WorkerIdentity};
use crate::engine::{
    Applied, Command, Effect, Engine, Entry, Envelope, LogRecord, Now, Settings, State, TakeOver, TakeOvers,
    definition, pack,
};
use crate::model::action::{ActionBody, BodyElement};
use crate::model::assignment::{Outcome, OutcomeClass};
use crate::model::definition::{Action, Definition, Edge, EdgeKind, Node, NodeKind};
use crate::model::duration::Millis;
use crate::model::hash;
use crate::model::id::{
    AttemptId, Boot, ContentHash, Epoch, InstanceNumber, MasterId, NodeIndex, NodeName, Principal, Seq, WorkerId,
    WorkflowName,
};
use crate::model::policy::ActionPolicy;
use crate::model::schedule::Zone;
use crate::model::time::Timestamp;

use super::types::EntryData;

/// One entry and what the state is after it.
#[derive(Clone)]
pub struct Step {
    pub record: Arc<LogRecord>,
    pub hash: u64,
    pub seq: u64,
}

/// A leadership of `boot` that begins in `term`.
pub fn leadership(term: u64, boot: u64, epoch: Epoch) -> EntryData {
    Arc::new(LogRecord::TakeOver(TakeOver {
        node: MasterId(1),
        boot: Boot(boot),
        term,
        epoch,
        at: Timestamp::default(),
    }))
}

/// An entry of so many events that hardly change anything.
pub fn trifles(epoch: u64, base: u64, count: usize) -> EntryData {
    let event = Event { at: Timestamp(1), kind: EventKind::ClockJumped { by_ms: 7 } };
    let events = vec![event; count];
    Arc::new(LogRecord::Events(Entry { epoch: Epoch(epoch), base_seq: Seq(base), feature_level: 1, events }))
}

/// Drives an engine with random commands. Its term is always 1.
pub struct World {
    engine: Engine,
    replica: State,
    now: Now,
    seed: u64,
    drawn: u64,
    sent: BTreeMap<AttemptId, WorkerId>,
    pub steps: Vec<Step>,
}

impl World {
    /// A history of `commands` random commands.
    pub fn random(seed: u64, commands: usize) -> Vec<Step> {
        let mut world = Self::new(seed);
        for _ in 0..commands {
            world.act();
        }
        world.steps
    }

    fn new(seed: u64) -> Self {
        let now = Now { wall: Timestamp(1_772_323_200_000), mono: Millis(1_000) };
        let mut replica = State::default();
        let mut steps = Vec::new();
        take_over(&mut replica, &mut steps);
        let engine = Engine::new(&replica, Settings::default(), now, TakeOvers::default());
        let mut world = Self { engine, replica, now, seed, drawn: 0, sent: BTreeMap::new(), steps };
        world.send(Command::Found { id: "test".to_owned(), zone: Zone::UTC });
        for name in ["a", "b"] {
            world.define(name, 1);
            world.register(name);
        }
        world
    }

    /// 0…n-1.
    fn draw(&mut self, n: u64) -> u64 {
        self.drawn += 1;
        hash::fixed(&[&self.seed.to_le_bytes(), &self.drawn.to_le_bytes()]) % n
    }

    fn act(&mut self) {
        let workflow = WorkflowName::from(["a", "b"][self.draw(2) as usize]);
        let last = self.replica.cluster.last_instance.0;
        let instance = InstanceNumber(1 + self.draw(last.max(1)));
        match self.draw(20) {
            0..=2 => self.ask(Command::Run(RunRequest::of(workflow.as_str()))),
            3 => self.ask(Command::Trigger(TriggerRequest::of(workflow.as_str()))),
            4 => self.send(Command::KillInstance { instance, why: None, grace: None }),
            5 => self.send(Command::PauseInstance { instance, why: None }),
            6 => self.send(Command::ResumeInstance { instance }),
            7 => {
                let (plan, version) = (RerunPlan::FromFailed, RerunVersion::Latest);
                self.send(Command::RerunInstance { instance, plan, version });
            }
            8 if self.draw(4) == 0 => self.send(Command::DeleteInstance { instance }),
            9 if self.draw(4) == 0 => {
                let salt = self.draw(1_000) as u32 + 2;
                self.define(workflow.as_str(), salt);
            }
            10 if self.draw(4) == 0 => self.restart(),
            11 => self.pass(120_000),
            12..=13 => self.pass(5_000),
            _ => self.finish_one(),
        }
        self.pass(1);
    }

    fn finish_one(&mut self) {
        let Some((attempt, worker)) = self.sent.pop_first() else { return };
        let class = match self.draw(5) {
            0 => OutcomeClass::Failed,
            1 => OutcomeClass::Killed,
            _ => OutcomeClass::Succeeded,
        };
        let outcome = Outcome {
            class,
            exit_code: Some(0),
            signal: None,
            message: None,
            retry_verdict: None,
            // Of node x they are a measurement.
            outputs: vec![("value".to_owned(), self.drawn.to_string())],
            started: self.now.wall,
            finished: self.now.wall,
            has_log: Some(true),
        };
        if self.draw(2) == 0 {
            self.send(Command::AttemptStarted { worker: worker.clone(), attempt, at: self.now.wall });
        }
        self.send(Command::AttemptFinished { worker, attempt, outcome });
    }

    /// A new leadership over the same history.
    fn restart(&mut self) {
        take_over(&mut self.replica, &mut self.steps);
        self.engine = Engine::new(&self.replica, Settings::default(), self.now, TakeOvers::default());
        for name in ["a", "b"] {
            self.register(name);
        }
    }

    fn pass(&mut self, ms: i64) {
        let end = self.now.wall.plus_ms(ms);
        for _ in 0..1_000 {
            let next = self.engine.next_wakeup().map_or(i64::MAX, |deadline| deadline.delay(self.now).0);
            if next > end.since(self.now.wall) {
                break;
            }
            self.advance(next);
            self.send(Command::Tick);
        }
        self.advance(end.since(self.now.wall));
    }

    fn advance(&mut self, ms: i64) {
        self.now = Now { wall: self.now.wall.plus_ms(ms), mono: Millis(self.now.mono.0 + ms) };
    }

    fn register(&mut self, name: &str) {
        let session = self.drawn + 1;
        self.drawn += 1;
        self.send(Command::RegisterWorker(Registration {
            worker: WorkerId::from(name),
            session,
            identity: WorkerIdentity {
                uuid: name.to_owned(),
                machine: name.to_owned(),
                machine_boot: "1".to_owned(),
                boot: Boot(1),
            },
            slots: 4,
            labels: Vec::new(),
            hosts: Vec::new(),
            lease: None,
            version: "0".to_owned(),
            inventory: Vec::new(),
        }));
    }

    fn define(&mut self, name: &str, salt: u32) {
        let bundle = Bundle { text: format!("{name} {salt}"), path: None, definition: flow(name), files: Vec::new() };
        let mut chunks = Vec::new();
        for (hash, bytes) in pack(&bundle) {
            self.send(Command::StoreChunk { hash: hash.clone(), bytes });
            chunks.push(hash);
        }
        let content = definition::hash_of(bundle.text.as_bytes());
        self.send(Command::ApplyDefinition { content, chunks });
    }

    /// With a request key.
    fn ask(&mut self, command: Command) {
        let key = format!("key-{}", self.draw(1_000_000));
        let request = crate::engine::command::RequestKey { key, digest: ContentHash::from("digest") };
        self.handle(Envelope { by: Principal::from("user:li"), request: Some(request), command });
    }

    fn send(&mut self, command: Command) {
        self.handle(Envelope::internal(command));
    }

    fn handle(&mut self, envelope: Envelope) {
        let Ok(output) = self.engine.handle(self.now, envelope) else { return };
        for effect in &output.effects {
            if let Effect::SendAttempt { worker, assignment, .. } = effect {
                self.sent.insert(assignment.attempt, worker.clone());
            }
        }
        if output.events.is_empty() {
            return;
        }
        let record = LogRecord::Events(Entry {
            epoch: self.replica.cluster.epoch,
            base_seq: self.replica.cluster.seq,
            feature_level: 1,
            events: output.events,
        });
        apply(&mut self.replica, &mut self.steps, record);
    }
}

fn take_over(replica: &mut State, steps: &mut Vec<Step>) {
    let (node, boot) = (MasterId(1), Boot(steps.len() as u64));
    let take_over = TakeOver { node, boot, term: 1, epoch: replica.cluster.epoch.next(), at: Timestamp::default() };
    apply(replica, steps, LogRecord::TakeOver(take_over));
}

fn apply(replica: &mut State, steps: &mut Vec<Step>, record: LogRecord) {
    assert_eq!(replica.apply_record(1, &record), Applied::Applied);
    assert_eq!(replica.diverged(), None);
    steps.push(Step { record: Arc::new(record), hash: replica.hash(), seq: replica.cluster.seq.0 });
}

/// start → fork → (x, y) → join → z → end.
fn flow(name: &str) -> Definition {
    let action = |word: &str| {
        let tree = BodyElement { word: word.to_owned(), attributes: Vec::new(), children: Vec::new(), text: None };
        let body = ActionBody { word: word.to_owned(), tree, is_built: true };
        NodeKind::Action(Box::new(Action { body, policy: ActionPolicy::default(), late: Vec::new(), env: Vec::new() }))
    };
    let kinds = [
        ("start", NodeKind::Start),
        ("fork", NodeKind::Fork),
        ("x", action("data-monitor")),
        ("y", action("exec")),
        ("join", NodeKind::Join),
        ("z", action("exec")),
        ("end", NodeKind::End),
    ];
    let node = |(at, (name, kind)): (usize, (&str, NodeKind))| Node {
        name: NodeName::from(name),
        description: None,
        kind,
        line: at as u32 + 1,
    };
    let edge = |(from, to, kind)| Edge { from: NodeIndex(from), to: NodeIndex(to), kind };
    let edges = [
        (0, 1, EdgeKind::Start),
        (1, 2, EdgeKind::ForkPath),
        (1, 3, EdgeKind::ForkPath),
        (2, 4, EdgeKind::Ok),
        (3, 4, EdgeKind::Ok),
        (4, 5, EdgeKind::Join),
        (5, 6, EdgeKind::Ok),
    ];
    Definition {
        name: WorkflowName::from(name),
        description: None,
        creator: "li".to_owned(),
        owner: None,
        tags: Vec::new(),
        doc: None,
        dir: "/".to_owned(),
        create_time: None,
        mail_levels: Vec::new(),
        mail_receivers: Vec::new(),
        is_strict: false,
        instance_limit: 3,
        zone: None,
        on_delete: None,
        compat: Vec::new(),
        coordinator: None,
        params: Vec::new(),
        env: Vec::new(),
        outputs: Vec::new(),
        nodes: kinds.into_iter().enumerate().map(node).collect(),
        edges: edges.into_iter().map(edge).collect(),
        start: NodeIndex(0),
    }
}
