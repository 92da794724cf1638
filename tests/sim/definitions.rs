//! Definitions at random: sequences, forks with joins, error edges, kill nodes, policies, triggers.

use std::collections::BTreeMap;

use ractorflow::model::action::{ActionBody, BodyElement};
use ractorflow::model::definition::{Action, Definition, Edge, EdgeKind, Node, NodeKind};
use ractorflow::model::duration::Millis;
use ractorflow::model::id::{NodeIndex, NodeName, TriggerId, WorkflowName};
use ractorflow::model::policy::{
    ActionPolicy, Backoff, DstFold, DstGap, KillResult, MailLevel, Misfire, OnIsolation, OnLost, Overlap, QueueOrder,
    TimeoutAction,
};
use ractorflow::model::schedule::Cron;
use ractorflow::model::trigger::{Coordinator, MisfirePolicy, Prerequisite, Trigger, TriggerSource, Window};

use crate::random::Random;
use crate::swarm::Swarm;

/// Ends that are mailed.
const MAILED: &[&[MailLevel]] = &[
    &[MailLevel::Failed, MailLevel::Killed],
    &[],
    &[MailLevel::Succeeded],
    &[MailLevel::Succeeded, MailLevel::Failed, MailLevel::Killed],
];

struct Builder<'a> {
    random: &'a mut Random,
    swarm: &'a Swarm,
    nodes: Vec<Node>,
    wires: Vec<(String, String, EdgeKind)>,
    /// Actions that may still be made.
    left: i64,
    has_kill: bool,
}

impl Builder<'_> {
    fn node(&mut self, name: &str, kind: NodeKind) {
        let line = self.nodes.len() as u32 + 1;
        self.nodes.push(Node { name: NodeName::from(name), description: None, kind, line });
    }

    fn wire(&mut self, from: &str, to: &str, kind: EdgeKind) {
        self.wires.push((from.to_owned(), to.to_owned(), kind));
    }

    /// Some steps that lead to `next`; its entry. Made from the end, so no edge can lead back.
    fn steps(&mut self, n: i64, next: &str, depth: u32) -> String {
        let mut next = next.to_owned();
        for _ in 0..n {
            next = if depth < 3 && self.left > 3 && self.random.chance(300) {
                self.fork(&next, depth)
            } else {
                self.action(&next)
            };
            if self.left <= 0 {
                break;
            }
        }
        next
    }

    fn fork(&mut self, next: &str, depth: u32) -> String {
        let id = self.nodes.len();
        let (fork, join) = (format!("fork{id}"), format!("join{id}"));
        self.node(&join, NodeKind::Join);
        self.wire(&join, next, EdgeKind::Join);
        let n = self.random.range(2, 4);
        let mut ways = Vec::new();
        for _ in 0..n {
            let steps = self.random.range(1, 2);
            ways.push(self.steps(steps, &join, depth + 1));
        }
        self.node(&fork, NodeKind::Fork);
        for way in ways {
            self.wire(&fork, &way, EdgeKind::ForkPath);
        }
        fork
    }

    fn action(&mut self, next: &str) -> String {
        self.left -= 1;
        let name = format!("a{}", self.nodes.len());
        let policy = self.policy();
        // By place and not by chance: the course of a seed does not hang on it.
        let word = if self.nodes.len() % 4 == 1 { "data-monitor" } else { "exec" };
        let tree = BodyElement { word: word.to_owned(), attributes: Vec::new(), children: Vec::new(), text: None };
        let body = ActionBody { word: word.to_owned(), tree, is_built: !self.random.chance(5) };
        let action = Action { body, policy, late: Vec::new(), env: Vec::new() };
        self.node(&name, NodeKind::Action(Box::new(action)));
        self.wire(&name, next, EdgeKind::Ok);
        if self.random.chance(250) {
            let to = match self.random.below(3) {
                0 if self.has_kill => "kill".to_owned(),
                1 if self.left > 0 => self.action(next),
                _ => next.to_owned(),
            };
            self.wire(&name, &to, EdgeKind::Error);
        }
        name
    }

    fn policy(&mut self) -> ActionPolicy {
        let random = &mut *self.random;
        let mut policy = ActionPolicy::default();
        if random.chance(400) {
            policy.retry.times = random.range(0, 3) as u32;
            policy.retry.interval = Millis(random.span(0, 20_000));
            policy.retry.backoff = *random.pick(&[Backoff::Fixed, Backoff::Exponential]);
            policy.retry.max_interval = Millis(60_000);
            policy.retry.jitter_percent = random.range(0, 50) as u32;
        }
        policy.lost_retry_times = random.range(0, 4) as u32;
        policy.on_lost = *random.pick(&[OnLost::Retry, OnLost::Retry, OnLost::Retry, OnLost::Fail, OnLost::Ask]);
        policy.lease = random.chance(300).then(|| Millis(random.range(10_000, 40_000)));
        policy.on_isolation =
            *random.pick(&[OnIsolation::Stop, OnIsolation::Stop, OnIsolation::Stop, OnIsolation::Continue]);
        policy.is_ignore = random.chance(40);
        if random.chance(self.swarm.timeouts) {
            policy.timeout = Some(Millis(random.span(500, 60_000)));
            policy.timeout_action =
                *random.pick(&[TimeoutAction::Fail, TimeoutAction::KillInstance, TimeoutAction::Warn]);
        }
        policy.slots = if random.chance(150) { random.range(2, 3) as u32 } else { 1 };
        if random.chance(60) {
            let worker = random.below(self.swarm.workers);
            policy.workers = vec![if random.chance(500) { format!("label-w{worker}") } else { format!("!w{worker}") }];
        } else if random.chance(30) {
            policy.host = Some(format!("host-w{}", random.below(self.swarm.workers)));
        }
        policy
    }
}

/// Workflow `w{at}`; prerequisites are workflows of lower numbers. `is_steady` ones have one trigger whose times
/// must all be made up for, and are left alone by operators.
pub fn definition(random: &mut Random, swarm: &Swarm, at: usize, is_steady: bool) -> Definition {
    let n = random.span(1, 30).max(random.range(1, 16));
    let has_kill = random.chance(400);
    let mut builder = Builder { random, swarm, nodes: Vec::new(), wires: Vec::new(), left: n, has_kill };
    builder.node("end", NodeKind::End);
    if has_kill {
        let result = *builder.random.pick(&[KillResult::Killed, KillResult::Failed]);
        builder.node("kill", NodeKind::Kill { message: None, result, late_result: None });
    }
    let entry = builder.steps(n, "end", 0);
    builder.node("start", NodeKind::Start);
    builder.wire("start", &entry, EdgeKind::Start);
    let (mut nodes, wires) = (builder.nodes, builder.wires);
    if !wires.iter().any(|(_, to, _)| to == "kill") {
        nodes.retain(|node| node.name.as_str() != "kill");
    }
    let index: BTreeMap<&str, NodeIndex> =
        nodes.iter().enumerate().map(|(at, node)| (node.name.as_str(), NodeIndex(at as u32))).collect();
    let edges =
        wires.iter().map(|(a, b, kind)| Edge { from: index[a.as_str()], to: index[b.as_str()], kind: *kind }).collect();
    let start = index["start"];
    Definition {
        name: WorkflowName::from(format!("w{at}").as_str()),
        description: None,
        creator: "li".to_owned(),
        owner: None,
        tags: Vec::new(),
        doc: None,
        dir: "/".to_owned(),
        create_time: None,
        // Without a draw: a seed goes the same way with and without mails.
        mail_levels: MAILED[at % MAILED.len()].to_vec(),
        mail_receivers: MAILED[at % MAILED.len()].iter().map(|_| format!("r{}@example.com", at % 2)).collect(),
        is_strict: false,
        instance_limit: random.range(1, 4) as u32,
        zone: None,
        on_delete: None,
        compat: Vec::new(),
        coordinator: coordinator(random, swarm, at, is_steady),
        params: Vec::new(),
        env: Vec::new(),
        outputs: Vec::new(),
        nodes,
        edges,
        start,
    }
}

fn coordinator(random: &mut Random, swarm: &Swarm, at: usize, is_steady: bool) -> Option<Coordinator> {
    if !is_steady && random.chance(150) {
        return None;
    }
    let mut coordinator = Coordinator {
        is_enabled: is_steady || !random.chance(100),
        zone: None,
        window: Window::default(),
        business_date: None,
        overlap: *random.pick(&[
            Overlap::Queue,
            Overlap::Queue,
            Overlap::QueueOne,
            Overlap::Skip,
            Overlap::Replace,
            Overlap::Allow,
        ]),
        queue_order: *random.pick(&[QueueOrder::Fifo, QueueOrder::Lifo]),
        queue_limit: Some(random.span(2, 100) as u32),
        misfire: MisfirePolicy {
            policy: *random.pick(&[Misfire::None, Misfire::Last, Misfire::All]),
            ..MisfirePolicy::default()
        },
        triggers: Vec::new(),
        prerequisites: Vec::new(),
    };
    if is_steady {
        coordinator.misfire = MisfirePolicy { policy: Misfire::All, max: 100_000, ..MisfirePolicy::default() };
    }
    if is_steady || (swarm.triggers && random.chance(700)) {
        let n = if is_steady { 1 } else { random.range(1, 2) };
        for number in 0..n {
            coordinator.triggers.push(trigger(random, &format!("t{number}"), is_steady));
        }
    }
    if !is_steady && swarm.prerequisites && at > 0 && random.chance(600) {
        for other in 0..at {
            if random.chance(500) {
                let workflow = WorkflowName::from(format!("w{other}").as_str());
                coordinator.prerequisites.push(Prerequisite { workflow });
            }
        }
    }
    Some(coordinator)
}

fn trigger(random: &mut Random, id: &str, is_steady: bool) -> Trigger {
    let source = if is_steady || random.chance(600) {
        TriggerSource::Every { period: Millis::seconds(random.range(3, 12) * 20), anchor: None }
    } else {
        let text = *random.pick(&["*/2 * * * *", "*/3 * * * *", "1-59/5 * * * *", "0 * * * *"]);
        let cron = Cron::parse(text, false).expect("the expression is right").0;
        TriggerSource::Cron { cron, seconds: vec![if random.chance(500) { 0 } else { 30 }] }
    };
    Trigger {
        id: TriggerId::from(id),
        source,
        window: Window::default(),
        zone: None,
        dst_gap: DstGap::RunAfter,
        dst_fold: DstFold::First,
        jitter: Millis(if random.chance(300) { random.range(1, 30_000) } else { 0 }),
        params: Vec::new(),
    }
}
