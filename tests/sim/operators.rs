//! People and programs: commands with request keys, asked again until they are answered.

use ractorflow::engine::command::{Envelope, Expired, RequestKey, RerunVersion, RunRequest, TriggerRequest};
use ractorflow::engine::definition::hash_of;
use ractorflow::engine::state::{Bundle, Forced, InstanceState, NodeState, RerunPlan};
use ractorflow::engine::{Command, Rejected, Reply, pack};
use ractorflow::model::definition::{Definition, NodeKind};
use ractorflow::model::id::{ContentHash, InstanceNumber, NodeName, Principal, WorkflowName};
use ractorflow::model::time::Timestamp;
use ractorflow::model::trigger::TriggerSource;

use crate::Broken;
use crate::definitions::definition;
use crate::world::{Happening, Origin, World, broken};

/// A command of a client and what it has heard.
pub struct Asked {
    envelope: Envelope,
    pub answer: Option<Result<Reply, Rejected>>,
    /// The machine that stays off until this is answered.
    holds: Option<usize>,
}

impl World {
    /// The workflows of the seed, before anything else happens.
    pub fn define_all(&mut self) -> Result<(), Broken> {
        let has_steady = self.random.chance(600);
        for at in 0..self.swarm.workflows {
            let is_steady = at == 0 && has_steady;
            let definition = definition(&mut self.random, &self.swarm, at, is_steady);
            if is_steady {
                let trigger = definition.coordinator.as_ref().and_then(|coordinator| coordinator.triggers.first());
                if let Some(TriggerSource::Every { period, .. }) = trigger.map(|trigger| &trigger.source) {
                    self.steady.insert(at, period.0);
                }
            }
            let command = self.store(definition)?;
            self.receive(Envelope::internal(command), Origin::Nobody)?;
        }
        Ok(())
    }

    /// Stores a definition's chunks; the command that makes it a version.
    fn store(&mut self, definition: Definition) -> Result<Command, Broken> {
        let bundle = Bundle { text: format!("{}", self.number()), path: None, definition, files: Vec::new() };
        let content = hash_of(bundle.text.as_bytes());
        let mut chunks = Vec::new();
        for (hash, bytes) in pack(&bundle) {
            chunks.push(hash.clone());
            self.receive(Envelope::internal(Command::StoreChunk { hash, bytes }), Origin::Nobody)?;
        }
        Ok(Command::ApplyDefinition { content, chunks })
    }

    /// Asks a command of an operator after so long.
    pub fn ask_for(&mut self, command: Command, ms: i64, holds: Option<usize>) {
        let client = self.asked.len();
        let key = format!("request-{client}");
        let request = RequestKey { key, digest: ContentHash::from(format!("{client}").as_str()) };
        let envelope = Envelope { by: Principal::from("user:li"), request: Some(request), command };
        self.asked.push(Asked { envelope, answer: None, holds });
        self.after(ms, Happening::AskAgain { client });
    }

    /// Sends a request, and again later if no answer comes.
    pub fn ask_again(&mut self, client: usize) -> Result<(), Broken> {
        if self.asked[client].answer.is_some() {
            return Ok(());
        }
        let number = self.number();
        for way in self.ways() {
            let envelope = Box::new(self.asked[client].envelope.clone());
            self.after(way, Happening::ToLeader { envelope, origin: Origin::Client(client), number });
        }
        let ms = self.random.range(1000, 8000);
        self.after(ms, Happening::AskAgain { client });
        Ok(())
    }

    /// The answer may be lost too.
    pub fn answer_client(&mut self, client: usize, answer: Result<Reply, Rejected>) {
        if self.ways().is_empty() {
            return;
        }
        let asked = &mut self.asked[client];
        if let (Some(Ok(first)), Ok(second)) = (&asked.answer, &answer) {
            if first != second {
                self.contradiction = Some(format!("request-{client}: first {first:?}, then {second:?}"));
            }
        }
        if asked.answer.is_some() {
            return;
        }
        if let (Ok(_), Command::KillInstance { .. }) = (&answer, &asked.envelope.command) {
            self.counts.kills += 1;
        }
        if let (Ok(Reply::Created { instance }), Some(request)) = (&answer, &asked.envelope.request) {
            let made = self.ledger.created.get(&("user:li".to_owned(), request.key.clone()));
            if made != Some(instance) {
                self.contradiction = Some(format!("request-{client}: answered {instance}, made {made:?}"));
            }
        }
        if let Some(worker) = asked.holds.take() {
            self.workers[worker].is_held = false;
        }
        asked.answer = Some(answer);
    }

    /// Replies are checked when they come; this says what was found.
    pub fn replies_agree(&mut self) -> Result<(), Broken> {
        match self.contradiction.take() {
            Some(what) => broken("a_request_has_one_answer", what),
            None => Ok(()),
        }
    }

    /// One command of somebody, and the time of the next.
    pub fn ask(&mut self) -> Result<(), Broken> {
        if self.is_calm {
            return Ok(());
        }
        let pace = self.swarm.pace;
        let ms = self.random.range(pace / 4, pace * 7 / 4);
        self.after(ms, Happening::Ask);
        let command = match self.random.below(20) {
            0..=6 => Some(self.run_one()),
            7..=9 => Some(self.trigger_one()),
            10 | 11 if self.swarm.kills => {
                self.instance(false).map(|instance| Command::KillInstance { instance, why: None, grace: None })
            }
            12 | 13 if self.swarm.reruns => self.rerun(),
            14 if self.swarm.pauses => {
                let is_back = self.random.chance(600);
                self.instance(false).map(|instance| match is_back {
                    true => Command::ResumeInstance { instance },
                    false => Command::PauseInstance { instance, why: None },
                })
            }
            15 if self.swarm.marks => self.mark(),
            16 if self.swarm.switches => self.switch(),
            17 if self.swarm.edits => {
                let at = self.unsteady();
                match at {
                    Some(at) => {
                        let definition = definition(&mut self.random, &self.swarm, at, false);
                        Some(self.store(definition)?)
                    }
                    None => None,
                }
            }
            18 if self.swarm.deletions => self.delete(),
            19 if self.swarm.drains => {
                let at = self.random.below(self.workers.len());
                let worker = self.workers[at].name.clone();
                Some(match self.random.below(4) {
                    0 => Command::DrainWorker { worker, draining: true },
                    1 => Command::RemoveWorker { worker },
                    _ => Command::DrainWorker { worker, draining: false },
                })
            }
            _ => None,
        };
        if let Some(command) = command {
            self.ask_for(command, 0, None);
        }
        Ok(())
    }

    fn unsteady(&mut self) -> Option<usize> {
        let at = self.random.below(self.swarm.workflows);
        (!self.steady.contains_key(&at)).then_some(at)
    }

    fn run_one(&mut self) -> Command {
        let at = self.random.below(self.swarm.workflows);
        let mut request = RunRequest::of(&format!("w{at}"));
        if self.random.chance(100) {
            request.skip = self.action_of(&request.workflow.clone()).into_iter().collect();
        }
        Command::Run(request)
    }

    fn trigger_one(&mut self) -> Command {
        let Some(at) = self.unsteady() else { return self.run_one() };
        let mut request = TriggerRequest::of(&format!("w{at}"));
        request.with_downstream = self.random.chance(300);
        if self.random.chance(300) {
            let ago = self.random.range(0, 10) * 60_000;
            request.nominal = Some(Timestamp((self.wall().0 - ago).div_euclid(60_000) * 60_000));
        }
        Command::Trigger(request)
    }

    /// Some instance that is finished, or that is not.
    fn instance(&mut self, is_finished: bool) -> Option<InstanceNumber> {
        let found: Vec<InstanceNumber> = self
            .replica
            .instances
            .values()
            .filter(|head| head.is_terminal() == is_finished)
            .map(|head| head.number)
            .collect();
        if found.is_empty() {
            let last = self.replica.cluster.last_instance.0;
            return (last > 0).then(|| InstanceNumber(self.random.range(1, last as i64) as u64));
        }
        Some(*self.random.pick(&found))
    }

    fn action_of(&mut self, workflow: &WorkflowName) -> Option<NodeName> {
        let version = self.replica.current_version(workflow)?;
        let names: Vec<NodeName> = version
            .definition()
            .nodes
            .iter()
            .filter(|node| matches!(node.kind, NodeKind::Action(_)))
            .map(|node| node.name.clone())
            .collect();
        (!names.is_empty()).then(|| self.random.pick(&names).clone())
    }

    fn rerun(&mut self) -> Option<Command> {
        let is_old = self.random.chance(150);
        let last = self.replica.cluster.last_instance.0;
        let instance = match is_old && last > 0 {
            true => InstanceNumber(self.random.range(1, last as i64) as u64),
            false => self.instance(true)?,
        };
        let workflow = self.replica.instances.get(&instance).map(|head| head.workflow.clone());
        let node = workflow.and_then(|workflow| self.action_of(&workflow));
        let plan = match (self.random.below(4), node) {
            (0, Some(node)) => RerunPlan::From { node },
            (1, Some(node)) => RerunPlan::Only { node },
            (2, _) => RerunPlan::FromFailed,
            _ => RerunPlan::All,
        };
        let version = *self.random.pick(&[RerunVersion::Same, RerunVersion::Latest]);
        Some(Command::RerunInstance { instance, plan, version })
    }

    fn mark(&mut self) -> Option<Command> {
        let instance = self.instance(false)?;
        let workflow = self.replica.instances.get(&instance)?.workflow.clone();
        let node = self.action_of(&workflow)?;
        if self.random.chance(300) {
            return Some(Command::RetryNode { instance, node, why: "looks fine".to_owned() });
        }
        let mark = *self.random.pick(&[Forced::Succeeded, Forced::Skipped, Forced::Failed]);
        Some(Command::MarkNode { instance, node, mark, why: "done by hand".to_owned() })
    }

    fn switch(&mut self) -> Option<Command> {
        let workflow = WorkflowName::from(format!("w{}", self.unsteady()?).as_str());
        Some(match self.random.below(5) {
            0 | 1 => Command::EnableWorkflow { workflow, enabled: true, why: None },
            2 => Command::EnableWorkflow { workflow, enabled: false, why: None },
            3 => Command::ResetWorkflow { workflow },
            _ if self.steady.is_empty() => Command::ResetAll,
            _ => return None,
        })
    }

    fn delete(&mut self) -> Option<Command> {
        Some(match self.random.below(3) {
            0 => Command::DeleteWorkflow { workflow: WorkflowName::from(format!("w{}", self.unsteady()?).as_str()) },
            1 => Command::DeleteInstance { instance: self.instance(true)? },
            _ => Command::Trim(Expired { instances: vec![self.instance(true)?], ..Expired::default() }),
        })
    }

    /// What a person does about everything that waits for one.
    pub fn attend(&mut self) {
        let mut commands = Vec::new();
        for head in self.replica.instances.values().filter(|head| !head.is_terminal()) {
            if matches!(head.state, InstanceState::Paused { .. }) {
                commands.push(Command::ResumeInstance { instance: head.number });
                continue;
            }
            for node in self.replica.nodes.values().filter(|node| node.id.instance == head.number) {
                let Some(name) = self.replica.node_name(node.id) else { continue };
                let instance = head.number;
                match &node.state {
                    NodeState::Lost { asks: true, .. } => {
                        commands.push(Command::RetryNode { instance, node: name, why: "again".to_owned() });
                    }
                    NodeState::Queued { .. } => {
                        let why = "nobody can run it".to_owned();
                        commands.push(Command::MarkNode { instance, node: name, mark: Forced::Skipped, why });
                    }
                    NodeState::Dispatched { .. }
                    | NodeState::Running { .. }
                    | NodeState::Retrying { .. }
                    | NodeState::Lost { asks: false, .. }
                    | NodeState::Done { .. } => {}
                }
            }
        }
        for command in commands {
            self.ask_for(command, 0, None);
        }
    }
}
