//! Instances: how they come to be, and the commands on them.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::model::definition::NodeKind;
use crate::model::duration::Millis;
use crate::model::hash;
use crate::model::id::{Generation, InstanceNumber, NodeName, TriggerId, VersionNumber, WorkflowName};
use crate::model::message::Message;
use crate::model::schedule::{Zone, business_date, fires_of_date, next_fire};
use crate::model::time::{CivilDate, Timestamp};
use crate::model::trigger::{FireKey, Kind, Occurrence};
use crate::say;

use super::command::{Expired, Rejected, Reply, RerunVersion, RunRequest, Thing, TriggerRequest};
use super::engine::Step;
use super::event::EventKind;
use super::render::{Resolved, Run};
use super::state::{
    Aggregate, Closure, ClosureMember, Fire, FireState, Forced, GenerationHead, Instance, InstanceEnd, InstanceState,
    Marks, NodeEnd, NodeReason, NodeState, Phase, RerunPlan, SkipReason, State, Stop, StopReason, Verdict, Version,
};
use super::trigger::effective;

/// Most workflows of one downstream run.
const CLOSURE_MAX: usize = 1000;
/// The most that a kill may wait between TERM and KILL.
pub const KILL_GRACE_MAX: Millis = Millis::seconds(3600);
/// Longest note or reason.
pub const TEXT_MAX: usize = 4096;

/// What an instance is made from.
#[derive(Clone)]
pub(super) struct Birth {
    pub workflow: WorkflowName,
    /// `None`: the current one.
    pub version: Option<VersionNumber>,
    pub kind: Kind,
    pub fire: Option<FireKey>,
    pub trigger: Option<TriggerId>,
    pub closure: Option<u64>,
    pub affects: bool,
    pub nominal: Timestamp,
    pub due: Timestamp,
    pub business_date: CivilDate,
    pub zone: Zone,
    pub caller: Vec<(String, String)>,
    pub defaults: bool,
    pub skipped: Vec<NodeName>,
    pub is_beyond_limit: bool,
    pub note: Option<String>,
}

impl State {
    /// The zone that dates of a workflow's runs are in, unless a trigger made them.
    pub fn zone_of(&self, name: &WorkflowName) -> Zone {
        let definition = self.current_version(name).map(|version| version.definition());
        let of_coordinator = definition.and_then(|definition| definition.coordinator.as_ref()?.zone);
        of_coordinator.or_else(|| definition?.zone).unwrap_or(self.cluster.zone)
    }

    pub(super) fn head_of(
        &self,
        birth: &Birth,
        version: &Version,
        at: Timestamp,
        by: &crate::model::id::Principal,
    ) -> Instance {
        let number = self.cluster.last_instance.next();
        Instance {
            number,
            id: instance_id(&self.cluster.id, number),
            workflow: birth.workflow.clone(),
            kind: birth.kind,
            fire: birth.fire.clone(),
            trigger: birth.trigger.clone(),
            parent: None,
            closure: birth.closure,
            affects: birth.affects,
            nominal: birth.nominal,
            due: birth.due,
            business_date: birth.business_date,
            zone: birth.zone,
            params: Vec::new(),
            prerequisite_outputs: Vec::new(),
            skipped: birth.skipped.clone(),
            is_beyond_limit: birth.is_beyond_limit,
            priority: 0,
            by: by.clone(),
            request: None,
            note: birth.note.clone(),
            created: at,
            state: InstanceState::Queued { since: at },
            phase: Phase::Main,
            marks: Marks::default(),
            verdict: None,
            generations: vec![GenerationHead {
                number: Generation(1),
                version: version.number,
                plan: RerunPlan::All,
                by: by.clone(),
                opened: at,
                started: None,
                finished: None,
                end: None,
                reason: None,
                outputs: Vec::new(),
            }],
            outputs: Vec::new(),
            is_resting: false,
        }
    }
}

impl Step<'_> {
    /// Makes an instance of an existing workflow. One whose parameters cannot be resolved is made all the same
    /// and fails at once, so that a fire is never lost in silence; commands check before (`check_birth`).
    pub(super) fn create(&mut self, birth: Birth) -> InstanceNumber {
        let number = self.state.cluster.last_instance.next();
        let version = match birth.version {
            Some(version) => self.state.version(&birth.workflow, version).cloned(),
            None => self.state.current_version(&birth.workflow).cloned(),
        };
        let Some(version) = version else { return number };
        let by = if birth.fire.is_some() && birth.kind == Kind::Scheduled {
            crate::model::id::Principal::from("schedule")
        } else {
            self.by.clone()
        };
        let mut head = self.state.head_of(&birth, &version, self.at, &by);
        head.request = self.request.clone();
        let resolved = self.resolve(&head, &version, &birth);
        let fault = match resolved {
            Ok(Resolved { params, prerequisite_outputs }) => {
                head.params = params;
                head.prerequisite_outputs = prerequisite_outputs;
                None
            }
            Err(message) => Some(message),
        };
        let is_beyond_limit = head.is_beyond_limit;
        self.emit(EventKind::InstanceCreated { instance: Box::new(head) });
        match fault {
            Some(message) => {
                self.attention(format!("workflow:{}", birth.workflow), say!("instance #{}: {}", number, message));
                self.finish(number, InstanceEnd::Failed, Some(StopReason::Uncreatable { message }));
            }
            None if is_beyond_limit => self.emit(EventKind::InstanceStarted { instance: number }),
            None => {}
        }
        number
    }

    fn resolve(&self, head: &Instance, version: &Version, birth: &Birth) -> Result<Resolved, Message> {
        Run::new(self.state, self.settings, head, version).resolve(&birth.caller, birth.defaults)
    }

    /// Would `create` make a sound instance?
    fn check_birth(&self, birth: &Birth) -> Result<(), Rejected> {
        let version = match birth.version {
            Some(number) => self
                .state
                .version(&birth.workflow, number)
                .ok_or_else(|| Rejected::no_version(number, &birth.workflow))?,
            None => {
                self.state.current_version(&birth.workflow).ok_or_else(|| Rejected::no_workflow(&birth.workflow))?
            }
        };
        for node in &birth.skipped {
            if version.definition().node_named(node.as_str()).is_none() {
                return Err(Rejected::no_node(say!("no node {} in workflow {}", node, &birth.workflow)));
            }
        }
        check_text(birth.note.as_deref())?;
        let head = self.state.head_of(birth, version, self.at, &self.by);
        self.resolve(&head, version, birth).map(|_| ()).map_err(Rejected::Invalid)
    }

    pub(super) fn run(&mut self, request: RunRequest) -> Result<Reply, Rejected> {
        let name = request.workflow;
        self.state.workflow(&name).ok_or_else(|| Rejected::no_workflow(&name))?;
        self.check_params(&request.params)?;
        let zone = self.state.zone_of(&name);
        let nominal = request.nominal.unwrap_or(whole_seconds(self.at));
        let business_date = request.business_date.unwrap_or_else(|| self.date_of(&name, nominal, &zone));
        let birth = Birth {
            kind: Kind::Run,
            version: request.version,
            fire: None,
            trigger: None,
            closure: None,
            affects: false,
            nominal,
            due: nominal,
            business_date,
            zone,
            caller: request.params,
            defaults: request.defaults,
            skipped: request.skip,
            is_beyond_limit: false,
            note: request.note,
            workflow: name,
        };
        self.check_birth(&birth)?;
        self.check_queue(&birth.workflow)?;
        self.check_room()?;
        Ok(Reply::Created { instance: self.create(birth) })
    }

    fn date_of(&self, name: &WorkflowName, nominal: Timestamp, zone: &Zone) -> CivilDate {
        let version = self.state.current_version(name);
        let shift = version
            .and_then(|version| version.definition().coordinator.as_ref())
            .and_then(|coordinator| coordinator.business_date.as_ref());
        business_date(nominal, zone, shift)
    }

    pub(super) fn trigger(&mut self, request: TriggerRequest) -> Result<Reply, Rejected> {
        let name = request.workflow.clone();
        self.state.workflow(&name).ok_or_else(|| Rejected::no_workflow(&name))?;
        let version = self.state.current_version(&name).cloned().ok_or_else(|| Rejected::no_workflow(&name))?;
        if version.definition().coordinator.is_none() {
            return Err(Rejected::conflict_hint(
                say!("workflow {} has no coordinator, so it cannot be triggered", name),
                say!("`ractorflow run {}` runs it", name),
            ));
        }
        self.check_params(&request.params)?;
        let wanted = self.wanted_time(&version, &request)?;
        if let Some(date) = request.business_date.filter(|_| wanted.is_none() && request.with_downstream) {
            // What runs after it derives its date from the nominal time, which says nothing of this one.
            let message = say!("no trigger of workflow {} has a time for {}, so name the time", name, date);
            return Err(Rejected::Invalid(message));
        }
        let nominal = wanted.unwrap_or(whole_seconds(self.at));
        let (trigger, fire) = match wanted {
            Some(nominal) => self.occurrence(&version, &request, nominal)?,
            None => (request.trigger.clone(), None),
        };
        let of_trigger = |id: &TriggerId| {
            let coordinator = version.definition().coordinator.as_ref()?;
            coordinator.triggers.iter().find(|trigger| trigger.id == *id)?.zone
        };
        let zone = trigger.as_ref().and_then(of_trigger).unwrap_or_else(|| self.state.zone_of(&name));
        let birth = Birth {
            workflow: name.clone(),
            version: None,
            kind: Kind::Triggered,
            fire: fire.as_ref().map(|fire| fire.key.clone()),
            trigger,
            closure: None,
            affects: !request.with_downstream,
            nominal,
            due: nominal,
            business_date: request.business_date.unwrap_or_else(|| self.date_of(&name, nominal, &zone)),
            zone,
            caller: request.params,
            defaults: true,
            skipped: request.skip,
            is_beyond_limit: false,
            note: request.note,
        };
        self.check_birth(&birth)?;
        self.check_queue(&name)?;
        self.check_room()?;
        if request.with_downstream {
            return self.trigger_downstream(birth);
        }
        let pending = fire.as_ref().is_some_and(|fire| self.state.fires.contains_key(&fire.key));
        if let Some(fire) = fire.clone().filter(|_| !pending) {
            self.emit(EventKind::FirePlaced { fire: Box::new(fire) });
        }
        let number = self.create(birth);
        if let Some(fire) = fire {
            let state = FireState::Started { instance: number, at: self.at };
            self.emit(EventKind::FireSettled { key: fire.key, state });
        }
        self.consume_latches(&name);
        Ok(Reply::Created { instance: number })
    }

    /// The nominal time that a request names, itself or by the business date of one occurrence.
    fn wanted_time(&self, version: &Version, request: &TriggerRequest) -> Result<Option<Timestamp>, Rejected> {
        let coordinator = version.definition().coordinator.as_ref();
        if let Some(id) = request.trigger.as_ref().filter(|id| !super::trigger::is_own(coordinator, id)) {
            return Err(Rejected::NotFound {
                what: Thing::Trigger,
                said: say!("no trigger {} of workflow {}", id, version.workflow),
            });
        }
        let Some(date) = request.business_date else { return Ok(request.nominal) };
        if request.nominal.is_some() {
            return Err(Rejected::Invalid(say!("give the nominal time or the business date, not both")));
        }
        let Some(coordinator) = coordinator else { return Ok(None) };
        let triggers =
            coordinator.triggers.iter().filter(|t| request.trigger.as_ref().is_none_or(|wanted| *wanted == t.id));
        let shift = coordinator.business_date.as_ref();
        let mut times: Vec<Timestamp> = triggers
            .flat_map(|trigger| {
                let trigger = effective(coordinator, trigger);
                fires_of_date(&trigger, &self.state.cluster.zone, shift, date, 2)
            })
            .collect();
        times.sort_unstable();
        times.dedup();
        match times.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(*one)),
            [first, ..] => Err(Rejected::Invalid(say!(
                "workflow {} has several times for {}, the first is {}: name one by --nominal",
                version.workflow,
                date,
                first
            ))),
        }
    }

    /// The real occurrence of a time trigger that `--nominal` names, if there is one.
    fn occurrence(
        &self,
        version: &Version,
        request: &TriggerRequest,
        nominal: Timestamp,
    ) -> Result<(Option<TriggerId>, Option<Fire>), Rejected> {
        let Some(coordinator) = &version.definition().coordinator else { return Ok((None, None)) };
        if nominal > self.at {
            return Err(Rejected::Invalid(say!("the nominal time is in the future")));
        }
        let cluster_zone = &self.state.cluster.zone;
        let candidates =
            coordinator.triggers.iter().filter(|t| request.trigger.as_ref().is_none_or(|wanted| *wanted == t.id));
        for trigger in candidates {
            let fires_then =
                next_fire(&effective(coordinator, trigger), cluster_zone, nominal.plus_ms(-1)) == Some(nominal);
            if !fires_then {
                continue;
            }
            let occurrence = Occurrence::Nominal(nominal);
            let key = FireKey { workflow: version.workflow.clone(), trigger: trigger.id.clone(), occurrence };
            let known = self.state.fires.get(&key).cloned().or_else(|| self.state.archive.fire(&key));
            if let Some(fire) = known {
                return match &fire.state {
                    FireState::Pending => Ok((Some(trigger.id.clone()), Some(fire))),
                    FireState::Started { instance, .. } => Err(Rejected::conflict_hint(
                        say!("that time ran as instance #{}", instance),
                        say!("`ractorflow instance rerun {}`", instance),
                    )),
                    FireState::Merged { .. } | FireState::Superseded { .. } | FireState::Skipped { .. } => {
                        Ok((Some(trigger.id.clone()), None))
                    }
                };
            }
            let zone = trigger.zone.unwrap_or(*cluster_zone);
            let fire = Fire {
                key,
                nominal,
                due: nominal,
                business_date: business_date(nominal, &zone, coordinator.business_date.as_ref()),
                zone,
                placed: self.at,
                unmet: Vec::new(),
                state: FireState::Pending,
                is_resting: false,
            };
            return Ok((Some(trigger.id.clone()), Some(fire)));
        }
        Ok((request.trigger.clone(), None))
    }

    fn trigger_downstream(&mut self, birth: Birth) -> Result<Reply, Rejected> {
        let root = birth.workflow.clone();
        let mut members = BTreeMap::from([(root.clone(), ClosureMember::Waiting)]);
        let mut todo = vec![root.clone()];
        while let Some(name) = todo.pop() {
            for dependant in self.state.dependants(&name) {
                if self.state.is_enabled(dependant) && !members.contains_key(dependant) {
                    members.insert(dependant.clone(), ClosureMember::Waiting);
                    todo.push(dependant.clone());
                }
            }
        }
        if members.len() > CLOSURE_MAX {
            return Err(Rejected::Invalid(say!("more than {} workflows depend on {}", CLOSURE_MAX, root)));
        }
        let id = self.state.cluster.last_closure + 1;
        let nominal = birth.nominal;
        let closure = Closure {
            id,
            root: root.clone(),
            nominal,
            by: self.by.clone(),
            opened: self.at,
            members,
            instances: BTreeMap::new(),
        };
        self.emit(EventKind::ClosureOpened { closure: Box::new(closure) });
        let number = self.start_member(id, &root, nominal, birth.caller, birth.skipped, birth.note);
        Ok(Reply::Created { instance: number })
    }

    /// An instance that commands may change: brought back from rest if need be.
    fn recall(&mut self, number: InstanceNumber) -> Result<Instance, Rejected> {
        if let Some(head) = self.state.instances.get(&number) {
            if head.is_resting {
                self.emit(EventKind::InstanceRecalled { instance: number });
            }
        } else {
            let rows = self.state.archived(number).unwrap_or_default();
            if !rows.iter().any(|row| matches!(row, Aggregate::Instance(_))) {
                return Err(Rejected::no_instance(number));
            }
            self.emit(EventKind::InstanceRecalled { instance: number });
        }
        self.state.instances.get(&number).cloned().ok_or_else(|| Rejected::no_instance(number))
    }

    /// The head as it is, in memory or in the archive, without bringing it back.
    fn peek(&self, number: InstanceNumber) -> Result<Instance, Rejected> {
        self.state.head_anywhere(number).ok_or_else(|| Rejected::no_instance(number))
    }

    pub(super) fn kill_instance(
        &mut self,
        number: InstanceNumber,
        why: Option<String>,
        grace: Option<Millis>,
    ) -> Result<Reply, Rejected> {
        check_text(why.as_deref())?;
        if grace.is_some_and(|grace| grace > KILL_GRACE_MAX || grace < Millis(0)) {
            return Err(Rejected::Invalid(say!("the grace of a kill is at most {}", KILL_GRACE_MAX.to_string())));
        }
        let head = self.peek(number)?;
        match &head.state {
            InstanceState::Done { end: InstanceEnd::Killed, .. } => return Ok(Reply::Unchanged),
            InstanceState::Done { end, .. } => {
                return Err(Rejected::conflict(say!("instance #{} is finished ({})", number, end.word())));
            }
            InstanceState::Queued { .. } | InstanceState::Running { .. } | InstanceState::Paused { .. } => {}
        }
        let reason = match head.verdict {
            Some(Verdict { reason: reason @ StopReason::Killed { .. }, grace: given, .. }) => {
                if self.kill_grace(grace) >= self.kill_grace(given) {
                    return Ok(Reply::Unchanged);
                }
                // Whoever killed it first did; this only hastens it.
                reason
            }
            Some(_) | None => StopReason::Killed { by: self.by.clone(), why },
        };
        self.stop_instance_within(number, InstanceEnd::Killed, reason, grace);
        Ok(Reply::Done)
    }

    /// What a stop gives between TERM and KILL.
    pub(super) fn kill_grace(&self, asked: Option<Millis>) -> Millis {
        asked.unwrap_or(self.settings.kill_grace)
    }

    /// Ends an instance: at once if nothing of it runs, else when all is stopped.
    pub(super) fn stop_instance(&mut self, number: InstanceNumber, end: InstanceEnd, reason: StopReason) {
        self.stop_instance_within(number, end, reason, None);
    }

    fn stop_instance_within(
        &mut self,
        number: InstanceNumber,
        end: InstanceEnd,
        reason: StopReason,
        grace: Option<Millis>,
    ) {
        let Some(head) = self.state.instances.get(&number) else { return };
        // Only a person's kill overrules a verdict that is being carried out.
        if head.verdict.is_some() && !matches!(reason, StopReason::Killed { .. }) {
            return;
        }
        let is_started = head.is_started();
        let has_live = self.state.derived.walks.get(&number).is_some_and(|walk| !walk.live.is_empty());
        if is_started && has_live {
            self.emit(EventKind::InstanceStopping { instance: number, end, reason, grace });
        } else {
            self.finish(number, end, Some(reason));
        }
    }

    pub(super) fn pause_instance(&mut self, number: InstanceNumber, why: Option<String>) -> Result<Reply, Rejected> {
        check_text(why.as_deref())?;
        let head = self.peek(number)?;
        match &head.state {
            InstanceState::Paused { .. } => return Ok(Reply::Unchanged),
            InstanceState::Done { .. } => {
                return Err(Rejected::conflict(say!("instance #{} is finished", number)));
            }
            InstanceState::Running { .. } if head.verdict.is_some() => {
                return Err(Rejected::conflict(say!("instance #{} is being stopped", number)));
            }
            InstanceState::Queued { .. } | InstanceState::Running { .. } => {}
        }
        let by = self.by.clone();
        self.emit(EventKind::InstancePaused { instance: number, by, why });
        Ok(Reply::Done)
    }

    pub(super) fn resume_instance(&mut self, number: InstanceNumber) -> Result<Reply, Rejected> {
        match &self.peek(number)?.state {
            InstanceState::Paused { .. } => {
                let by = self.by.clone();
                self.emit(EventKind::InstanceResumed { instance: number, by });
                Ok(Reply::Done)
            }
            InstanceState::Queued { .. } | InstanceState::Running { .. } => Ok(Reply::Unchanged),
            InstanceState::Done { .. } => Err(Rejected::conflict(say!("instance #{} is finished", number))),
        }
    }

    pub(super) fn rerun_instance(
        &mut self,
        number: InstanceNumber,
        plan: RerunPlan,
        version: RerunVersion,
    ) -> Result<Reply, Rejected> {
        let head = self.peek(number)?;
        if !head.is_terminal() {
            return Err(Rejected::conflict_hint(
                say!("instance #{} is not finished", number),
                say!("`ractorflow instance kill {}` first", number),
            ));
        }
        let current = self.state.current_version(&head.workflow).map(|version| version.number);
        let version = match version {
            RerunVersion::Same => head.version(),
            RerunVersion::Latest => current.ok_or_else(|| {
                Rejected::conflict_hint(
                    say!("workflow {} was deleted", head.workflow),
                    say!("rerun with `--version same`"),
                )
            })?,
        };
        let definition = self
            .state
            .version(&head.workflow, version)
            .cloned()
            .ok_or_else(|| Rejected::no_version(version, &head.workflow))?;
        if let RerunPlan::From { node } | RerunPlan::Only { node } = &plan {
            if definition.definition().node_named(node.as_str()).is_none() {
                return Err(Rejected::no_node(say!("no node {} in version {}", node, version)));
            }
        }
        // Templates of another version may ask for parameters that were never given.
        Run::new(self.state, self.settings, &head, &definition).check().map_err(Rejected::Invalid)?;
        self.check_room()?;
        let head = self.recall(number)?;
        let generation = head.generation().number.next();
        let by = self.by.clone();
        self.emit(EventKind::InstanceRerun { instance: number, generation, version, plan, by });
        Ok(Reply::Rerun { instance: number, generation })
    }

    pub(super) fn delete_instance(&mut self, number: InstanceNumber) -> Result<Reply, Rejected> {
        if !self.peek(number)?.is_terminal() {
            return Err(Rejected::conflict_hint(
                say!("instance #{} is not finished", number),
                say!("`ractorflow instance kill {}` first", number),
            ));
        }
        self.emit_trimmed(Expired { instances: vec![number], ..Expired::default() }, Vec::new());
        Ok(Reply::Done)
    }

    fn action_node(
        &self,
        number: InstanceNumber,
        name: &NodeName,
    ) -> Result<(Instance, super::event::NodeRef), Rejected> {
        let head = self.peek(number)?;
        if !head.is_started() || head.verdict.is_some() {
            return Err(Rejected::conflict_hint(
                say!("instance #{} is not running", number),
                say!("`ractorflow instance rerun {} --from-failed` runs what is missing", number),
            ));
        }
        let missing = || Rejected::no_node(say!("no node {} in instance #{}", name, number));
        let version = self.state.version_of(&head).ok_or_else(missing)?;
        let at = version.definition().node_named(name.as_str()).ok_or_else(missing)?;
        if !matches!(version.definition().node(at).kind, NodeKind::Action(_)) {
            return Err(Rejected::Invalid(say!("{} is not an action", name)));
        }
        let id = head.node_ref(at);
        Ok((head, id))
    }

    pub(super) fn mark_node(
        &mut self,
        number: InstanceNumber,
        name: &NodeName,
        mark: Forced,
        why: String,
    ) -> Result<Reply, Rejected> {
        check_text(Some(&why))?;
        let (_, id) = self.action_node(number, name)?;
        let end = match mark {
            Forced::Succeeded => NodeEnd::Succeeded,
            Forced::Skipped => NodeEnd::Skipped(SkipReason::Operator),
            Forced::Failed => NodeEnd::Failed,
        };
        let node = self.state.nodes.get(&id);
        if node.is_some_and(super::state::Node::is_terminal) {
            return Err(Rejected::conflict(say!("node {} of instance #{} has ended", name, number)));
        }
        let reason = NodeReason::Marked { by: self.by.clone(), why };
        let live = node.and_then(|node| node.live_attempt()).map(|attempt| id.attempt(attempt.number));
        let is_out_of_sight = node.is_some_and(|node| matches!(node.state, NodeState::Lost { asks: false, .. }));
        self.emit(EventKind::InstanceMarked { instance: number, mark: super::event::InstanceMark::Forced });
        match live {
            // Nobody can tell whether it lives: the person who marks it answers for that.
            Some(attempt) if is_out_of_sight => {
                self.emit(EventKind::AttemptEnded { attempt, end: super::state::AttemptEnd::Lost, outcome: None });
                self.end_node(id, end, reason, Vec::new(), true);
            }
            Some(attempt) => {
                let stop = Stop { end, reason, at: self.at, grace: None };
                self.stop_attempt(attempt, stop, &format!("marked by {}", self.by));
            }
            None => self.end_node(id, end, reason, Vec::new(), true),
        }
        Ok(Reply::Done)
    }

    pub(super) fn retry_node(&mut self, number: InstanceNumber, name: &NodeName, why: &str) -> Result<Reply, Rejected> {
        check_text(Some(why))?;
        let (_, id) = self.action_node(number, name)?;
        match self.state.nodes.get(&id).map(|node| &node.state) {
            Some(NodeState::Lost { asks: true, .. } | NodeState::Retrying { .. }) => {
                self.emit(EventKind::NodeRequeued { node: id });
                Ok(Reply::Done)
            }
            Some(NodeState::Lost { asks: false, worker, .. }) => Err(Rejected::conflict_hint(
                say!("node {} may still run on worker {}", name, worker),
                say!("`ractorflow worker declare-dead {}` if nothing runs there any more", worker),
            )),
            Some(
                NodeState::Queued { .. }
                | NodeState::Dispatched { .. }
                | NodeState::Running { .. }
                | NodeState::Done { .. },
            )
            | None => Err(Rejected::conflict(say!("node {} of instance #{} is not lost", name, number))),
        }
    }
}

fn instance_id(cluster: &str, number: InstanceNumber) -> Uuid {
    let number = number.0.to_le_bytes();
    let high = hash::fixed(&[cluster.as_bytes(), b"instance-high", &number]);
    let low = hash::fixed(&[cluster.as_bytes(), b"instance-low", &number]);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&high.to_be_bytes());
    bytes[8..].copy_from_slice(&low.to_be_bytes());
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp(at.0.div_euclid(1000) * 1000)
}

pub(super) fn check_text(text: Option<&str>) -> Result<(), Rejected> {
    match text {
        Some(text) if text.len() > TEXT_MAX => Err(Rejected::Invalid(say!("a text is longer than {} bytes", TEXT_MAX))),
        Some(_) | None => Ok(()),
    }
}
