//! Events of triggers, fires, latches, facts and downstream runs.

use crate::model::id::{InstanceNumber, TriggerId, WorkflowName};
use crate::model::time::Timestamp;
use crate::model::trigger::{Fact, FireKey, Occurrence};

use super::super::state::{AggregateKey, Closure, ClosureMember, Fire, FireState, Latch, State};
use super::Illegal;

impl State {
    pub(super) fn trigger_advanced(
        &mut self,
        workflow: &WorkflowName,
        trigger: &TriggerId,
        up_to: Timestamp,
    ) -> Result<(), Illegal> {
        let mark = self
            .triggers
            .get_mut(&(workflow.clone(), trigger.clone()))
            .ok_or_else(|| Illegal::new(format!("workflow {workflow} has no trigger {trigger}")))?;
        if up_to < mark.evaluated_up_to {
            return Err(Illegal::new(format!("trigger {trigger} of {workflow} would go back")));
        }
        mark.evaluated_up_to = up_to;
        self.touch(AggregateKey::Trigger(workflow.clone(), trigger.clone()));
        Ok(())
    }

    pub(super) fn fire_placed(&mut self, fire: &Fire) -> Result<(), Illegal> {
        if self.fires.contains_key(&fire.key) {
            return Err(Illegal::new(format!("fire {:?} exists", fire.key)));
        }
        if let Occurrence::Sequence(n) = &fire.key.occurrence {
            let workflow = self
                .workflows
                .get_mut(&fire.key.workflow)
                .ok_or_else(|| Illegal::new(format!("no workflow {}", fire.key.workflow)))?;
            if *n != workflow.completions + 1 {
                return Err(Illegal::new("completions are counted without gaps"));
            }
            workflow.completions = *n;
            self.touch(AggregateKey::Workflow(fire.key.workflow.clone()));
        }
        self.derived.fire(fire, true);
        self.fires.insert(fire.key.clone(), fire.clone());
        self.touch(AggregateKey::Fire(fire.key.clone()));
        Ok(())
    }

    pub(super) fn fire_settled(&mut self, key: &FireKey, state: &FireState) -> Result<(), Illegal> {
        if self.fires.get(key).is_none_or(|fire| !fire.state.is_pending()) || state.is_pending() {
            return Err(Illegal::new(format!("fire {key:?} is not pending")));
        }
        self.with_fire(key, |fire| fire.state = state.clone());
        Ok(())
    }

    pub(super) fn with_fire(&mut self, key: &FireKey, change: impl FnOnce(&mut Fire)) {
        if let Some(fire) = self.fires.get_mut(key) {
            self.derived.fire(fire, false);
            change(fire);
            self.derived.fire(fire, true);
            self.touch(AggregateKey::Fire(key.clone()));
        }
    }

    pub(super) fn fact_recorded(&mut self, fact: &Fact) {
        let id = (fact.subject.clone(), fact.business_date);
        if let Some(old) = self.facts.insert(id, fact.clone()) {
            self.derived.fact(&old.subject, old.business_date, old.nominal, false);
        }
        self.derived.fact(&fact.subject, fact.business_date, fact.nominal, true);
        self.touch(AggregateKey::Fact(fact.subject.clone(), fact.business_date));
    }

    pub(super) fn latch_set(&mut self, workflow: &WorkflowName, fact: &Fact, at: Timestamp) -> Result<(), Illegal> {
        if !self.workflows.contains_key(workflow) {
            return Err(Illegal::new(format!("no workflow {workflow}")));
        }
        let latch = Latch { workflow: workflow.clone(), fact: fact.clone(), set: at };
        self.latches.insert((workflow.clone(), fact.subject.clone()), latch);
        self.touch(AggregateKey::Latch(workflow.clone(), fact.subject.clone()));
        Ok(())
    }

    pub(super) fn latches_cleared(&mut self, workflow: &WorkflowName) {
        let subjects: Vec<_> = self.latches_of(workflow).map(|latch| latch.fact.subject.clone()).collect();
        for subject in subjects {
            self.latches.remove(&(workflow.clone(), subject.clone()));
            self.touch(AggregateKey::Latch(workflow.clone(), subject));
        }
    }

    pub(super) fn closure_opened(&mut self, closure: &Closure) -> Result<(), Illegal> {
        if closure.id != self.cluster.last_closure + 1 {
            return Err(Illegal::new("downstream runs are counted without gaps"));
        }
        self.cluster.last_closure = closure.id;
        self.closures.insert(closure.id, closure.clone());
        self.touch(AggregateKey::Closure(closure.id));
        Ok(())
    }

    pub(super) fn closure_started(
        &mut self,
        id: u64,
        workflow: &WorkflowName,
        instance: InstanceNumber,
    ) -> Result<(), Illegal> {
        self.with_member(id, workflow, ClosureMember::Started(instance))?;
        if let Some(closure) = self.closures.get_mut(&id) {
            closure.instances.insert(workflow.clone(), instance);
        }
        Ok(())
    }

    pub(super) fn closure_done(&mut self, id: u64, workflow: &WorkflowName) -> Result<(), Illegal> {
        self.with_member(id, workflow, ClosureMember::Done)
    }

    pub(super) fn closure_ended(&mut self, id: u64) -> Result<(), Illegal> {
        self.closures.remove(&id).ok_or_else(|| Illegal::new(format!("no downstream run {id}")))?;
        self.touch(AggregateKey::Closure(id));
        Ok(())
    }

    fn with_member(&mut self, id: u64, workflow: &WorkflowName, to: ClosureMember) -> Result<(), Illegal> {
        let member = self
            .closures
            .get_mut(&id)
            .and_then(|closure| closure.members.get_mut(workflow))
            .ok_or_else(|| Illegal::new(format!("downstream run {id} has no {workflow}")))?;
        match (*member, to) {
            (ClosureMember::Waiting, ClosureMember::Started(_)) | (ClosureMember::Started(_), ClosureMember::Done) => {
                *member = to;
            }
            (from, to) => return Err(Illegal::new(format!("downstream run {id}: {from:?} to {to:?}"))),
        }
        self.touch(AggregateKey::Closure(id));
        Ok(())
    }

    /// The prerequisites of a workflow that have come about.
    pub fn latches_of(&self, workflow: &WorkflowName) -> impl Iterator<Item = &Latch> {
        let workflow = workflow.clone();
        self.latches
            .range((workflow.clone(), crate::model::trigger::Subject::Workflow(WorkflowName::from("")))..)
            .take_while(move |((name, _), _)| *name == workflow)
            .map(|(_, latch)| latch)
    }
}
