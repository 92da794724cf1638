//! A small world for tests: an engine, a replica that is fed its events, a clock and workers that do as told.
//!
//! After every command the replica is compared with the engine, all invariants are checked and the history is
//! watched.

use std::collections::BTreeMap;

use crate::model::action::{ActionBody, BodyElement, TextContext};
use crate::model::assignment::{Assignment, Outcome, OutcomeClass};
use crate::model::definition::{Action, Definition, Edge, EdgeKind, EnvEntry, Node, NodeKind, OutputDeclaration};
use crate::model::duration::Millis;
use crate::model::id::{
    AttemptId, Boot, Epoch, InstanceNumber, MasterId, NodeIndex, NodeName, Principal, TriggerId, WorkerId, WorkflowName,
};
use crate::model::parameter::{ParamDeclaration, ParseOptions, Template};
use crate::model::policy::{ActionPolicy, DstFold, DstGap, KillResult, Overlap, QueueOrder};
use crate::model::schedule::{Cron, Zone};
use crate::model::state::{InstanceWord, NodeWord};
use crate::model::time::Timestamp;
use crate::model::trigger::{Coordinator, MisfirePolicy, Prerequisite, Trigger, TriggerSource, Window};

use super::super::command::{InventoryItem, InventoryState, Registration, RerunVersion, RunRequest, TriggerRequest};
use super::super::definition::{hash_of, pack};
use super::super::invariant::{History, check, check_quiet};
use super::super::state::{Bundle, RerunPlan, WorkerIdentity};
use super::super::*;

/// 2026-03-01 00:00:00 UTC.
pub const START: Timestamp = Timestamp(1_772_323_200_000);
pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

pub const LOST_AFTER: Millis = Millis::seconds(600);

pub struct Bench {
    pub engine: Engine,
    pub replica: State,
    pub now: Now,
    pub history: History,
    /// Of the last command.
    pub events: Vec<EventKind>,
    pub effects: Vec<Effect>,
    /// What workers were sent and have not answered.
    pub sent: BTreeMap<AttemptId, (WorkerId, Assignment)>,
    pub kills: Vec<AttemptId>,
    pub settings: Settings,
    /// As the process of all leaders noted them.
    pub take_overs: TakeOvers,
    /// False: no comparison and no invariants, for big states.
    pub is_checked: bool,
    pub archive: std::sync::Arc<Shelf>,
    session: u64,
    request: u64,
}

impl Bench {
    pub fn new() -> Self {
        // Signs of life cost a tick each: fewer are needed so.
        Self::with(Settings { lost_after: LOST_AFTER, ..Settings::default() })
    }

    pub fn with(settings: Settings) -> Self {
        let archive = std::sync::Arc::new(Shelf::default());
        let mut replica = State::default().with_archive(archive.clone());
        let now = Now { wall: START, mono: Millis(1_000_000) };
        take_over(&mut replica);
        let mut take_overs = TakeOvers::default();
        take_overs.note(replica.cluster.epoch, now.mono);
        let mut bench = Self {
            engine: Engine::new(&replica, settings.clone(), now, take_overs.clone()),
            replica,
            take_overs,
            now,
            history: History::default(),
            events: Vec::new(),
            effects: Vec::new(),
            sent: BTreeMap::new(),
            kills: Vec::new(),
            settings,
            is_checked: true,
            archive,
            session: 0,
            request: 0,
        };
        bench.ok(Command::Found { id: "test".to_owned(), zone: Zone::UTC });
        bench
    }

    /// With workers `w1`… of so many slots.
    pub fn with_workers(slots: &[u32]) -> Self {
        let mut bench = Self::new();
        for (at, slots) in slots.iter().enumerate() {
            bench.register(&format!("w{}", at + 1), *slots, "boot-1", &[]);
        }
        bench
    }

    pub fn send(&mut self, envelope: Envelope) -> Result<Reply, Rejected> {
        let is_compared = self.is_checked && envelope.command != Command::Tick;
        let before = if is_compared { self.engine.state().hash() } else { 0 };
        let result = self.engine.handle(self.now, envelope);
        match result {
            Err(rejected) => {
                assert!(!matches!(rejected, Rejected::Internal(_)), "{rejected}");
                assert!(
                    !is_compared || self.engine.state().hash() == before,
                    "a rejection changed something: {rejected}"
                );
                self.events.clear();
                self.effects.clear();
                Err(rejected)
            }
            Ok(output) => {
                self.commit(&output);
                Ok(output.reply)
            }
        }
    }

    fn commit(&mut self, output: &Output) {
        let entry = Entry {
            epoch: self.replica.cluster.epoch,
            base_seq: self.replica.cluster.seq,
            feature_level: 1,
            events: output.events.clone(),
        };
        let bytes = rmp_serde::to_vec_named(&LogRecord::Events(entry)).unwrap();
        let record: LogRecord = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(self.replica.apply_record(1, &record), Applied::Applied);
        assert_eq!(self.replica.diverged(), None);
        for event in &output.events {
            self.history.see(event).unwrap();
        }
        if self.is_checked {
            self.check(output);
        }
        self.note(output);
    }

    fn check(&self, output: &Output) {
        assert_eq!(self.replica.difference(self.engine.state()), None);
        let is_quiet = self.engine.next_wakeup().is_none_or(|next| next.delay(self.now).0 > 0);
        let broken = if is_quiet { check_quiet(&self.replica) } else { check(&self.replica) };
        assert_eq!(broken, [], "after {:?}", output.events);
    }

    fn note(&mut self, output: &Output) {
        let rested = output.events.iter().find_map(|event| match &event.kind {
            EventKind::Rested { instances, fires } => Some((instances.clone(), fires.clone())),
            _ => None,
        });
        if let Some((instances, fires)) = rested {
            for number in instances {
                let head = self.replica.aggregate(&state::AggregateKey::Instance(number)).unwrap();
                let nodes = self.replica.node_range(number).map(|(_, node)| state::Aggregate::Node(node.clone()));
                let rows = std::iter::once(head).chain(nodes).collect();
                self.archive.rows.lock().unwrap().insert(number, rows);
            }
            for key in fires {
                let fire = self.replica.fires[&key].clone();
                self.archive.fires.lock().unwrap().insert(key, fire);
            }
            let durable = self.replica.cluster.seq;
            self.replica.forget_rested(durable);
            self.engine.forget_rested(durable);
        }
        self.events = output.events.iter().map(|event| event.kind.clone()).collect();
        self.effects = output.effects.clone();
        for effect in &output.effects {
            match effect {
                Effect::SendAttempt { worker, assignment, .. } => {
                    self.sent.insert(assignment.attempt, (worker.clone(), (**assignment).clone()));
                }
                Effect::KillAttempt { attempt, .. } => self.kills.push(*attempt),
                Effect::AcknowledgeResult { .. }
                | Effect::AskToRegister { .. }
                | Effect::AdmitWorker { .. }
                | Effect::GrantSource { .. }
                | Effect::SendMail { .. } => {}
            }
        }
    }

    pub fn ok(&mut self, command: Command) -> Reply {
        self.send(Envelope::internal(command)).unwrap()
    }

    pub fn refused(&mut self, command: Command) -> Rejected {
        self.send(Envelope::internal(command)).unwrap_err()
    }

    /// Lets time pass and ticks until nothing is left to do now; linked workers give signs of life.
    pub fn pass(&mut self, ms: i64) {
        self.pass_with(ms, true);
    }

    /// As `pass`, while no worker is heard.
    pub fn pass_in_silence(&mut self, ms: i64) {
        self.pass_with(ms, false);
    }

    fn pass_with(&mut self, ms: i64, is_heard: bool) {
        let end = self.now.wall.plus_ms(ms);
        for _ in 0..100_000 {
            let next = self.engine.next_wakeup().map_or(i64::MAX, |deadline| deadline.delay(self.now).0);
            let left = end.since(self.now.wall);
            if next > left {
                break;
            }
            self.advance(next);
            if is_heard {
                self.hear_all();
            }
            self.ok(Command::Tick);
        }
        let left = end.since(self.now.wall);
        self.advance(left);
        if is_heard {
            self.hear_all();
        }
    }

    /// Instances of a workflow, those at rest too.
    pub fn heads_of(&self, workflow: &str) -> Vec<state::Instance> {
        let mut heads: BTreeMap<InstanceNumber, state::Instance> = BTreeMap::new();
        for row in self.archive.rows.lock().unwrap().values().flatten() {
            if let state::Aggregate::Instance(head) = row {
                heads.insert(head.number, head.clone());
            }
        }
        heads.extend(self.replica.instances.iter().map(|(number, head)| (*number, head.clone())));
        heads.into_values().filter(|head| head.workflow.as_str() == workflow).collect()
    }

    fn hear_all(&mut self) {
        let linked = self.engine.live.workers.iter().filter(|(_, live)| live.is_linked);
        let linked: Vec<_> = linked.map(|(name, live)| (name.clone(), live.session)).collect();
        for (worker, session) in linked {
            // One that was given up already has to register anew.
            let command = Command::WorkerHeard { worker, session, clock_off: Millis(0) };
            let heard = self.engine.handle(self.now, Envelope::internal(command));
            // What was cut before may go on with it.
            if let Some(output) = heard.ok().filter(|output| !output.events.is_empty()) {
                self.commit(&output);
            }
        }
    }

    /// Time passes for nobody: no leader.
    pub fn advance(&mut self, ms: i64) {
        self.now.wall = self.now.wall.plus_ms(ms);
        self.now.mono = Millis(self.now.mono.0 + ms);
    }

    /// Ticks as long as there is something to do at once.
    pub fn settle(&mut self) {
        self.pass(0);
    }

    /// A new leadership over what the replica holds, loaded from its rows.
    pub fn take_over(&mut self) {
        let rows: Vec<_> = self.replica.keys().iter().map(|key| self.replica.aggregate(key).unwrap()).collect();
        let loaded = State::from_aggregates(rows).with_archive(self.archive.clone());
        assert_eq!(loaded.difference(&self.replica), None);
        assert_eq!(loaded.hash(), self.replica.hash());
        self.replica = loaded;
        self.lose_leader();
        self.engine = Engine::new(&self.replica, self.settings.clone(), self.now, self.take_overs.clone());
        self.ok(Command::Tick);
    }

    /// Another process takes over, and this one sees it; until the next `take_over` nobody leads here.
    pub fn lose_leader(&mut self) {
        take_over(&mut self.replica);
        self.take_overs.note(self.replica.cluster.epoch, self.now.mono);
    }

    pub fn define(&mut self, definition: Definition) {
        let bundle = Bundle { text: format!("{definition:?}"), path: None, definition, files: Vec::new() };
        let content = hash_of(bundle.text.as_bytes());
        let chunks = self.store(&bundle);
        self.ok(Command::ApplyDefinition { content, chunks });
    }

    pub fn store(&mut self, bundle: &Bundle) -> Vec<crate::model::id::ContentHash> {
        let pieces = pack(bundle);
        pieces
            .into_iter()
            .map(|(hash, bytes)| {
                self.ok(Command::StoreChunk { hash: hash.clone(), bytes });
                hash
            })
            .collect()
    }

    pub fn run(&mut self, workflow: &str) -> InstanceNumber {
        match self.ok(Command::Run(RunRequest::of(workflow))) {
            Reply::Created { instance } => instance,
            other => panic!("{other:?}"),
        }
    }

    pub fn trigger(&mut self, workflow: &str) -> InstanceNumber {
        match self.ok(Command::Trigger(TriggerRequest::of(workflow))) {
            Reply::Created { instance } => instance,
            other => panic!("{other:?}"),
        }
    }

    pub fn rerun(&mut self, instance: InstanceNumber, plan: RerunPlan) {
        self.ok(Command::RerunInstance { instance, plan, version: RerunVersion::Latest });
    }

    /// A command with a request key of its own.
    pub fn ask(&mut self, command: Command) -> Result<Reply, Rejected> {
        self.request += 1;
        let key = format!("request-{}", self.request);
        self.ask_as(&key, "digest", command)
    }

    pub fn ask_as(&mut self, key: &str, digest: &str, command: Command) -> Result<Reply, Rejected> {
        let request = command::RequestKey { key: key.to_owned(), digest: crate::model::id::ContentHash::from(digest) };
        self.send(Envelope { by: Principal::from("user:li"), request: Some(request), command })
    }

    pub fn register(&mut self, name: &str, slots: u32, machine_boot: &str, inventory: &[(AttemptId, InventoryState)]) {
        let registration = self.registration(name, slots, machine_boot, inventory);
        self.ok(Command::RegisterWorker(registration));
        self.settle();
    }

    pub fn registration(
        &mut self,
        name: &str,
        slots: u32,
        machine_boot: &str,
        inventory: &[(AttemptId, InventoryState)],
    ) -> Registration {
        self.session += 1;
        Registration {
            worker: WorkerId::from(name),
            session: self.session,
            identity: WorkerIdentity {
                uuid: format!("uuid-{name}"),
                machine: format!("machine-{name}"),
                machine_boot: machine_boot.to_owned(),
                boot: Boot(1),
            },
            slots,
            labels: vec![format!("label-{name}")],
            hosts: vec![format!("host-{name}")],
            lease: None,
            version: "0.1.0".to_owned(),
            inventory: inventory.iter().map(|(attempt, is)| InventoryItem { attempt: *attempt, is: *is }).collect(),
        }
    }

    /// The worker's link is gone, and with it its signs of life.
    pub fn unlink(&mut self, name: &str) {
        let worker = WorkerId::from(name);
        let session = self.engine.live.session(&worker);
        self.ok(Command::WorkerUnlinked { worker, session });
    }

    /// The attempt that was sent for a node and has not been answered.
    pub fn attempt(&self, instance: InstanceNumber, node: &str) -> AttemptId {
        let found =
            self.sent.iter().find(|(id, (_, assignment))| id.instance == instance && assignment.node.as_str() == node);
        *found.unwrap_or_else(|| panic!("node {node} was not sent")).0
    }

    pub fn attempt_number(&self, instance: InstanceNumber, node: &str, number: u32) -> AttemptId {
        let found = self.sent.iter().find(|(id, (_, assignment))| {
            id.instance == instance && assignment.node.as_str() == node && id.number == number
        });
        *found.unwrap_or_else(|| panic!("attempt {number} of node {node} was not sent")).0
    }

    /// Is the worker told to register anew when it gives a sign of life?
    pub fn is_asked_to_register(&mut self, name: &str) -> bool {
        let worker = WorkerId::from(name);
        let session = self.engine.live.workers.get(&worker).map_or(0, |live| live.session);
        self.ok(Command::WorkerHeard { worker: worker.clone(), session, clock_off: Millis(0) });
        self.effects == [Effect::AskToRegister { worker }]
    }

    pub fn is_sent(&self, instance: InstanceNumber, node: &str) -> bool {
        self.sent.iter().any(|(id, (_, a))| id.instance == instance && a.node.as_str() == node)
    }

    pub fn start(&mut self, instance: InstanceNumber, node: &str) {
        let attempt = self.attempt(instance, node);
        let worker = self.sent[&attempt].0.clone();
        let at = self.now.wall;
        self.ok(Command::AttemptStarted { worker, attempt, at });
    }

    pub fn finish(&mut self, instance: InstanceNumber, node: &str, class: OutcomeClass) {
        self.finish_with(instance, node, outcome(class));
    }

    pub fn finish_with(&mut self, instance: InstanceNumber, node: &str, outcome: Outcome) {
        let attempt = self.attempt(instance, node);
        let (worker, _) = self.sent.remove(&attempt).unwrap();
        self.ok(Command::AttemptFinished { worker, attempt, outcome });
        self.settle();
    }

    pub fn succeed(&mut self, instance: InstanceNumber, node: &str) {
        self.start(instance, node);
        self.finish(instance, node, OutcomeClass::Succeeded);
    }

    pub fn fail(&mut self, instance: InstanceNumber, node: &str) {
        self.start(instance, node);
        self.finish(instance, node, OutcomeClass::Failed);
    }

    /// Everything that is sent succeeds until nothing is sent any more.
    pub fn succeed_all(&mut self) {
        while let Some((attempt, (worker, _))) = self.sent.pop_first() {
            self.ok(Command::AttemptFinished { worker, attempt, outcome: outcome(OutcomeClass::Succeeded) });
            self.settle();
        }
    }

    /// Why a node is as it is, now.
    pub fn why(&self, instance: InstanceNumber, node: &str) -> Vec<Reason> {
        let subject = why::Subject::Node(instance, NodeName::from(node));
        why(&self.replica, &self.settings.limits, &subject, self.now.wall).unwrap()
    }

    pub fn word(&self, instance: InstanceNumber) -> InstanceWord {
        self.replica.instances[&instance].word()
    }

    pub fn node(&self, instance: InstanceNumber, node: &str) -> NodeWord {
        let head = &self.replica.instances[&instance];
        let views = self.replica.node_views(head);
        views.iter().find(|view| view.name.as_str() == node).unwrap_or_else(|| panic!("no node {node}")).word
    }

    pub fn instances_of(&self, workflow: &str) -> Vec<InstanceNumber> {
        let of = |head: &&state::Instance| head.workflow.as_str() == workflow;
        self.replica.instances.values().filter(of).map(|head| head.number).collect()
    }
}

/// What the store keeps of instances and fires at rest.
#[derive(Default)]
pub struct Shelf {
    pub rows: std::sync::Mutex<BTreeMap<InstanceNumber, Vec<state::Aggregate>>>,
    pub fires: std::sync::Mutex<BTreeMap<crate::model::trigger::FireKey, state::Fire>>,
}

impl state::Archive for Shelf {
    fn instance(&self, number: InstanceNumber) -> Option<Vec<state::Aggregate>> {
        self.rows.lock().unwrap().get(&number).cloned()
    }

    fn instance_by_request(&self, _by: &Principal, key: &str) -> Option<InstanceNumber> {
        let is_of = |row: &state::Aggregate| matches!(row, state::Aggregate::Instance(head) if head.request.as_deref() == Some(key));
        self.rows.lock().unwrap().iter().find(|(_, rows)| rows.iter().any(is_of)).map(|(number, _)| *number)
    }

    fn fire(&self, key: &crate::model::trigger::FireKey) -> Option<state::Fire> {
        self.fires.lock().unwrap().get(key).cloned()
    }
}

fn take_over(replica: &mut State) {
    let epoch = replica.cluster.epoch.next();
    let record = LogRecord::TakeOver(TakeOver { node: MasterId(1), boot: Boot(epoch.0), term: 1, epoch, at: START });
    assert_eq!(replica.apply_record(1, &record), Applied::Applied);
    assert_eq!(replica.cluster.epoch, Epoch(epoch.0));
}

pub fn outcome(class: OutcomeClass) -> Outcome {
    Outcome {
        class,
        exit_code: Some(i32::from(class != OutcomeClass::Succeeded)),
        signal: None,
        message: None,
        retry_verdict: None,
        outputs: Vec::new(),
        started: START,
        finished: START,
        has_log: None,
    }
}

/// Builds definitions: `Flow::new("w").start("a").action("a", "end").end("end")`.
pub struct Flow {
    pub definition: Definition,
    wires: Vec<(String, String, EdgeKind)>,
}

impl Flow {
    pub fn new(name: &str) -> Self {
        let definition = Definition {
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
            instance_limit: 1,
            zone: None,
            on_delete: None,
            compat: Vec::new(),
            coordinator: None,
            params: Vec::new(),
            env: Vec::new(),
            outputs: Vec::new(),
            nodes: Vec::new(),
            edges: Vec::new(),
            start: NodeIndex(0),
        };
        Self { definition, wires: Vec::new() }
    }

    /// One action `a` between start and end.
    pub fn simple(name: &str) -> Self {
        Self::new(name).start("a").action("a", "end").end("end")
    }

    fn node(mut self, name: &str, kind: NodeKind) -> Self {
        let line = self.definition.nodes.len() as u32 + 1;
        self.definition.nodes.push(Node { name: NodeName::from(name), description: None, kind, line });
        self
    }

    fn wire(mut self, from: &str, to: &str, kind: EdgeKind) -> Self {
        self.wires.push((from.to_owned(), to.to_owned(), kind));
        self
    }

    pub fn start(self, to: &str) -> Self {
        self.node("start", NodeKind::Start).wire("start", to, EdgeKind::Start)
    }

    pub fn end(self, name: &str) -> Self {
        self.node(name, NodeKind::End)
    }

    pub fn fork(self, name: &str, to: &[&str]) -> Self {
        to.iter().fold(self.node(name, NodeKind::Fork), |flow, to| flow.wire(name, to, EdgeKind::ForkPath))
    }

    pub fn join(self, name: &str, to: &str) -> Self {
        self.node(name, NodeKind::Join).wire(name, to, EdgeKind::Join)
    }

    pub fn kill(self, name: &str, result: KillResult, message: &str) -> Self {
        self.node(name, NodeKind::Kill { message: Some(template(message)), result, late_result: None })
    }

    pub fn action(self, name: &str, ok: &str) -> Self {
        self.action_with(name, ok, |_| ())
    }

    pub fn action_with(self, name: &str, ok: &str, change: impl FnOnce(&mut ActionPolicy)) -> Self {
        let mut policy = ActionPolicy::default();
        change(&mut policy);
        let tree = BodyElement { word: "exec".to_owned(), attributes: Vec::new(), children: Vec::new(), text: None };
        let body = ActionBody { word: "exec".to_owned(), tree, is_built: true };
        let action = Action { body, policy, late: Vec::new(), env: Vec::new() };
        self.node(name, NodeKind::Action(Box::new(action))).wire(name, ok, EdgeKind::Ok)
    }

    pub fn error(self, from: &str, to: &str) -> Self {
        self.wire(from, to, EdgeKind::Error)
    }

    /// Changes the last action.
    pub fn with(mut self, change: impl FnOnce(&mut Action)) -> Self {
        match &mut self.definition.nodes.last_mut().unwrap().kind {
            NodeKind::Action(action) => change(action),
            _ => panic!("not an action"),
        }
        self
    }

    pub fn text(self, text: &str) -> Self {
        let text = template(text);
        self.with(|action| action.body.tree.text = Some(text))
    }

    pub fn env(self, name: &str, value: &str) -> Self {
        let entry = EnvEntry { name: name.to_owned(), value: template(value) };
        self.with(|action| action.env.push(entry))
    }

    pub fn param(mut self, name: &str, value: &str) -> Self {
        self.definition.params.push(ParamDeclaration::string(name, Some(template(value))));
        self
    }

    pub fn output(mut self, name: &str, value: &str) -> Self {
        self.definition.outputs.push(OutputDeclaration { name: name.to_owned(), value: template(value) });
        self
    }

    pub fn limit(mut self, limit: u32) -> Self {
        self.definition.instance_limit = limit;
        self
    }

    pub fn coordinator(&mut self) -> &mut Coordinator {
        self.definition.coordinator.get_or_insert_with(|| Coordinator {
            is_enabled: true,
            window: Window::default(),
            zone: None,
            business_date: None,
            overlap: Overlap::Queue,
            queue_order: QueueOrder::Fifo,
            queue_limit: None,
            misfire: MisfirePolicy::default(),
            triggers: Vec::new(),
            prerequisites: Vec::new(),
        })
    }

    pub fn coordinated(mut self, change: impl FnOnce(&mut Coordinator)) -> Self {
        change(self.coordinator());
        self
    }

    pub fn cron(self, id: &str, cron: &str) -> Self {
        let cron = Cron::parse(cron, false).unwrap().0;
        self.trigger(id, TriggerSource::Cron { cron, seconds: vec![0] })
    }

    pub fn every(self, id: &str, seconds: i64) -> Self {
        self.trigger(id, TriggerSource::Every { period: Millis::seconds(seconds), anchor: None })
    }

    pub fn trigger(self, id: &str, source: TriggerSource) -> Self {
        let trigger = Trigger {
            id: TriggerId::from(id),
            source,
            window: Window::default(),
            zone: None,
            dst_gap: DstGap::RunAfter,
            dst_fold: DstFold::First,
            jitter: Millis(0),
            params: Vec::new(),
        };
        self.coordinated(|coordinator| coordinator.triggers.push(trigger))
    }

    pub fn after(self, workflow: &str) -> Self {
        let prerequisite = Prerequisite { workflow: WorkflowName::from(workflow) };
        self.coordinated(|coordinator| coordinator.prerequisites.push(prerequisite))
    }

    /// As `build`, for many nodes.
    pub fn build_fast(mut self) -> Definition {
        let index: BTreeMap<String, NodeIndex> = self
            .definition
            .nodes
            .iter()
            .enumerate()
            .map(|(at, node)| (node.name.to_string(), NodeIndex(at as u32)))
            .collect();
        let wires = std::mem::take(&mut self.wires);
        self.definition.edges =
            wires.iter().map(|(from, to, kind)| Edge { from: index[from], to: index[to], kind: *kind }).collect();
        self.build()
    }

    pub fn build(mut self) -> Definition {
        let index = |definition: &Definition, name: &str| {
            definition.node_named(name).unwrap_or_else(|| panic!("no node {name}"))
        };
        for (from, to, kind) in &self.wires {
            let edge = Edge { from: index(&self.definition, from), to: index(&self.definition, to), kind: *kind };
            self.definition.edges.push(edge);
        }
        self.definition.start = index(&self.definition, "start");
        self.definition
    }
}

pub fn template(text: &str) -> Template {
    let options = ParseOptions::new(false, TextContext::Plain).nodes(&|_| true).prerequisites(&|_| true);
    Template::parse(text, &options).0
}
