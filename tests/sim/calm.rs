//! After the faults: everything must come to rest, and what is left must say why.

use std::collections::BTreeSet;

use ractorflow::engine::state::{Instance, InstanceState, Node, NodeState};
use ractorflow::engine::why::{Subject, why};
use ractorflow::engine::{Command, Limits, Reason};
use ractorflow::model::id::{InstanceNumber, WorkflowName};

use crate::Broken;
use crate::fleet::Doing;
use crate::world::{Happening, World, broken};

/// Longer than anything sound takes to come to rest.
const REST: i64 = 24 * 3_600_000;

impl World {
    pub fn calm(&mut self) -> Result<(), Broken> {
        self.is_calm = true;
        self.note(|| "calm".to_owned());
        for at in 0..self.workers.len() {
            let worker = &mut self.workers[at];
            worker.cut_until = 0;
            worker.stopped_until = 0;
            (worker.slow, worker.mute) = ((0, 0), (0, 0));
            let doing = if !worker.is_machine_up {
                Doing::PowerOn
            } else if !worker.is_running {
                Doing::DaemonUp
            } else {
                // Messages that were lost on a link are made up for by the next one.
                worker.unlink();
                Doing::Connect
            };
            self.after(0, Happening::Worker { worker: at, doing });
        }
        self.take_all_in();
        self.until(self.mono + 180_000)?;
        self.end_endless();
        // Again, as a drain that was asked for before may have arrived only meanwhile.
        self.take_all_in();
        for (at, period) in self.steady.clone() {
            let name = WorkflowName::from(format!("w{at}").as_str());
            self.ledger.fires_are_complete(&name, period, self.wall())?;
        }
        for at in 0..self.swarm.workflows {
            let workflow = WorkflowName::from(format!("w{at}").as_str());
            self.ask_for(Command::EnableWorkflow { workflow, enabled: false, why: None }, 0, None);
        }
        self.until(self.mono + 60_000)?;
        self.rest(|world| world.waits_unnamed())?;
        for head in self.replica.instances.values().filter(|head| !head.is_terminal()) {
            let reasons = why(&self.replica, &Limits::default(), &Subject::Instance(head.number), self.wall());
            let reasons = reasons.unwrap_or_default();
            if reasons.is_empty() {
                return broken("every_wait_has_a_name", format!("instance {}", head.number));
            }
        }
        self.rest(|world| {
            let live = world.replica.instances.values().find(|head| !head.is_terminal());
            live.map(|head| format!("instance {} is {}", head.number, head.word()))
        })?;
        self.rest(|world| world.replica.mails.keys().next().map(|mail| format!("mail {mail} is owed")))?;
        self.post.is_complete()?;
        if let Some((attempt, worker)) = self.ledger.live.first_key_value() {
            return broken("nothing_runs_unknown", format!("{attempt} still lives on {worker}"));
        }
        if let Some(at) = self.asked.iter().position(|asked| asked.answer.is_none()) {
            return broken("every_request_is_answered", format!("request-{at}"));
        }
        self.verify_all()
    }

    /// Asks that every worker takes new attempts.
    fn take_all_in(&mut self) {
        for at in 0..self.workers.len() {
            let worker = self.workers[at].name.clone();
            self.ask_for(Command::DrainWorker { worker, draining: false }, 5000, None);
        }
    }

    /// Kills what would never end by itself.
    fn end_endless(&mut self) {
        let endless: BTreeSet<InstanceNumber> =
            self.workers.iter().flat_map(|worker| worker.endless.keys()).map(|attempt| attempt.instance).collect();
        for instance in endless {
            self.ask_for(Command::KillInstance { instance, why: None, grace: None }, 0, None);
        }
    }

    /// Lets time pass until `left` says that nothing is; persons do their part meanwhile.
    fn rest(&mut self, left: impl Fn(&World) -> Option<String>) -> Result<(), Broken> {
        let end = self.mono + REST;
        while let Some(what) = left(self) {
            if self.mono > end {
                return broken("comes_to_rest", what);
            }
            if self.waits_unnamed().is_none() {
                self.attend();
            }
            self.until(self.mono + 15_000)?;
        }
        Ok(())
    }

    /// The first thing that waits neither for a person nor for a worker that does not exist.
    fn waits_unnamed(&self) -> Option<String> {
        for head in self.replica.instances.values().filter(|head| !head.is_terminal()) {
            let what = || format!("instance {} is {}", head.number, head.word());
            match &head.state {
                InstanceState::Paused { .. } => continue,
                InstanceState::Queued { .. } => {
                    // Another of its workflow holds the place, and waits itself for something with a name.
                    let is_behind = |other: &Instance| other.workflow == head.workflow && other.is_started();
                    if !self.replica.instances.values().any(is_behind) {
                        return Some(what());
                    }
                }
                InstanceState::Running { .. } if head.verdict.is_some() => return Some(what()),
                InstanceState::Running { .. } => {}
                InstanceState::Done { .. } => {}
            }
            let nodes = self.replica.nodes.values().filter(|node| node.id.instance == head.number);
            for node in nodes.filter(|node| !node.is_terminal()) {
                if !self.is_named(node) {
                    return Some(format!("{:?} of {}", node.state, what()));
                }
            }
        }
        None
    }

    fn is_named(&self, node: &Node) -> bool {
        match &node.state {
            NodeState::Lost { asks, .. } => *asks,
            NodeState::Queued { .. } => {
                let Some(name) = self.replica.node_name(node.id) else { return false };
                let reasons =
                    why(&self.replica, &Limits::default(), &Subject::Node(node.id.instance, name), self.wall())
                        .unwrap_or_default();
                reasons.iter().any(|reason| matches!(reason, Reason::NoWorkerFits { .. } | Reason::NoWorkers))
            }
            NodeState::Dispatched { .. }
            | NodeState::Running { .. }
            | NodeState::Retrying { .. }
            | NodeState::Done { .. } => false,
        }
    }
}
