//! From fires to instances: latches, overlap, and what a success sets in motion elsewhere.

use crate::model::id::{InstanceNumber, TriggerId, WorkflowName};
use crate::model::policy::{Overlap, QueueOrder};
use crate::model::schedule::business_date;
use crate::model::time::Timestamp;
use crate::model::trigger::{Coordinator, Fact, FireKey, Kind, Occurrence, Subject};

use super::engine::Step;
use super::event::EventKind;
use super::instance::Birth;
use super::state::{ClosureMember, Fire, FireSkip, FireState, Instance, InstanceEnd, State, StopReason};
use super::trigger::LATCH_TRIGGER;

impl State {
    /// Prerequisites that have not come about.
    pub fn unmet(&self, name: &WorkflowName, coordinator: &Coordinator) -> Vec<WorkflowName> {
        let is_set =
            |workflow: &WorkflowName| self.latches.contains_key(&(name.clone(), Subject::Workflow(workflow.clone())));
        coordinator.prerequisites.iter().map(|p| &p.workflow).filter(|workflow| !is_set(workflow)).cloned().collect()
    }
}

impl Step<'_> {
    /// Starts what can start of a workflow's pending fires. False: stopped at the bound of events.
    pub(super) fn start_fires(&mut self, name: &WorkflowName) -> bool {
        if !self.state.is_enabled(name) {
            return true;
        }
        let Some(version) = self.state.current_version(name).cloned() else { return true };
        let definition = version.definition();
        let Some(coordinator) = &definition.coordinator else { return true };
        self.complete_latches(name, coordinator);
        let pending: Vec<FireKey> = self
            .state
            .derived
            .pending_fires
            .get(name)
            .into_iter()
            .flatten()
            .take_while(|(due, _)| *due <= self.wall)
            .map(|(_, key)| key.clone())
            .collect();
        if coordinator.overlap == Overlap::QueueOne {
            self.keep_newest(&pending);
        }
        for key in pending {
            if self.is_full() {
                self.live.agenda.workflows.insert(name.clone());
                return false;
            }
            let Some(fire) = self.state.fires.get(&key).filter(|fire| fire.state.is_pending()).cloned() else {
                continue;
            };
            if !self.state.unmet(name, coordinator).is_empty() {
                break;
            }
            if !self.has_room() {
                self.live.held.insert((fire.due, name.clone()));
                break;
            }
            let n_live = self.state.derived.n_started(name) + self.state.derived.n_queued(name);
            let is_at_limit = n_live >= definition.instance_limit as usize;
            match coordinator.overlap {
                Overlap::Allow => self.start_fire(&fire, is_at_limit),
                _ if !is_at_limit => self.start_fire(&fire, false),
                Overlap::Queue => self.start_fire(&fire, false),
                Overlap::QueueOne => break,
                Overlap::Skip => self.skip_fire(&key, FireSkip::Overlap),
                Overlap::Replace => {
                    self.replace_oldest(name, &key);
                    break;
                }
            }
        }
        true
    }

    /// A workflow without triggers fires when its latches are complete.
    fn complete_latches(&mut self, name: &WorkflowName, coordinator: &Coordinator) {
        let is_latch_only = coordinator.triggers.is_empty() && !coordinator.prerequisites.is_empty();
        let is_ready = is_latch_only
            && coordinator.window.holds(self.wall)
            && self.state.derived.n_pending(name) == 0
            && self.state.unmet(name, coordinator).is_empty();
        if !is_ready {
            return;
        }
        let Some(workflow) = self.state.workflow(name) else { return };
        let occurrence = Occurrence::Sequence(workflow.completions + 1);
        let nominal = self.state.latches_of(name).map(|latch| latch.fact.nominal).max().unwrap_or(self.at);
        let zone = self.state.zone_of(name);
        let fire = Fire {
            key: FireKey { workflow: name.clone(), trigger: TriggerId::from(LATCH_TRIGGER), occurrence },
            nominal,
            due: self.wall,
            business_date: business_date(nominal, &zone, coordinator.business_date.as_ref()),
            zone,
            placed: self.at,
            unmet: Vec::new(),
            state: FireState::Pending,
            is_resting: false,
        };
        self.emit(EventKind::FirePlaced { fire: Box::new(fire) });
    }

    /// `queue-one`: of the fires that wait, the newest stands for all.
    fn keep_newest(&mut self, pending: &[FireKey]) {
        let nominal = |key: &FireKey| self.state.fires.get(key).map(|fire| fire.nominal);
        let Some(newest) = pending.iter().max_by_key(|key| nominal(key)).cloned() else { return };
        let n_free = {
            let name = &newest.workflow;
            let limit = self.state.current_version(name).map_or(1, |v| v.definition().instance_limit) as usize;
            limit.saturating_sub(self.state.derived.n_started(name) + self.state.derived.n_queued(name))
        };
        // As many as can start at once start in their order; only what would wait is collapsed.
        for key in pending.iter().skip(n_free).filter(|key| **key != newest) {
            let state = FireState::Superseded { by: newest.clone(), at: self.at };
            self.emit(EventKind::FireSettled { key: key.clone(), state });
        }
    }

    fn start_fire(&mut self, fire: &Fire, is_beyond_limit: bool) {
        let number = self.create(Birth {
            workflow: fire.key.workflow.clone(),
            version: None,
            kind: Kind::Scheduled,
            fire: Some(fire.key.clone()),
            trigger: Some(fire.key.trigger.clone()),
            closure: None,
            affects: true,
            nominal: fire.nominal,
            due: fire.due,
            business_date: fire.business_date,
            zone: fire.zone,
            caller: Vec::new(),
            defaults: true,
            skipped: Vec::new(),
            is_beyond_limit,
            note: None,
        });
        self.emit(EventKind::FireSettled {
            key: fire.key.clone(),
            state: FireState::Started { instance: number, at: self.at },
        });
        self.consume_latches(&fire.key.workflow);
    }

    /// `replace`: the oldest running instance makes room; the fire starts when it is down.
    fn replace_oldest(&mut self, name: &WorkflowName, by: &FireKey) {
        let started: Vec<InstanceNumber> =
            self.state.derived.started_instances.get(name).into_iter().flatten().copied().collect();
        let is_stopping =
            |number: &InstanceNumber| self.state.instances.get(number).is_some_and(|head| head.verdict.is_some());
        if started.iter().any(is_stopping) {
            return;
        }
        if let Some(oldest) = started.first() {
            self.stop_instance(*oldest, InstanceEnd::Killed, StopReason::Replaced { by: by.clone() });
        }
    }

    /// Starts queued instances of a workflow while its limit allows.
    pub(super) fn admit(&mut self, name: &WorkflowName) {
        let current = self.state.current_version(name).cloned();
        loop {
            if self.is_full() {
                self.live.agenda.workflows.insert(name.clone());
                return;
            }
            let Some(queued) = self.state.derived.queued_instances.get(name) else { return };
            let order = current
                .as_ref()
                .and_then(|version| version.definition().coordinator.as_ref())
                .map_or(QueueOrder::Fifo, |coordinator| coordinator.queue_order);
            let next = match order {
                QueueOrder::Fifo => queued.first(),
                // The newest among those of the highest priority.
                QueueOrder::Lifo => queued
                    .first()
                    .and_then(|(priority, _)| queued.range(..=(*priority, InstanceNumber(u64::MAX))).next_back()),
            };
            let Some((_, number)) = next.copied() else { return };
            let limit = current
                .clone()
                .or_else(|| self.state.instances.get(&number).and_then(|head| self.state.version_of(head)).cloned())
                .map_or(1, |version| version.definition().instance_limit);
            if self.state.derived.n_started(name) >= limit as usize {
                return;
            }
            self.emit(EventKind::InstanceStarted { instance: number });
            if self.illegal.is_some() {
                return;
            }
        }
    }

    /// What the success of an instance means to others: a fact, and a latch in each workflow that waits for it.
    pub(super) fn announce(&mut self, head: &Instance) {
        if !head.affects {
            return;
        }
        let fact = Fact {
            subject: Subject::Workflow(head.workflow.clone()),
            business_date: head.business_date,
            nominal: head.nominal,
            instance: head.number,
        };
        self.emit(EventKind::FactRecorded { fact: fact.clone() });
        let dependants: Vec<_> = self.state.dependants(&head.workflow).cloned().collect();
        for workflow in dependants {
            self.emit(EventKind::LatchSet { workflow, fact: fact.clone() });
        }
    }

    /// Goes on with a downstream run after one of its instances ended.
    pub(super) fn follow_closure(&mut self, id: u64, head: &Instance, end: InstanceEnd) {
        let is_member =
            self.state.closures.get(&id).is_some_and(|closure| {
                closure.members.get(&head.workflow) == Some(&ClosureMember::Started(head.number))
            });
        if !is_member {
            return;
        }
        if end != InstanceEnd::Succeeded {
            self.emit(EventKind::ClosureEnded { closure: id });
            return;
        }
        self.emit(EventKind::ClosureDone { closure: id, workflow: head.workflow.clone() });
        let Some(closure) = self.state.closures.get(&id).cloned() else { return };
        let ready: Vec<WorkflowName> = closure
            .members
            .iter()
            .filter(|(_, member)| **member == ClosureMember::Waiting)
            .map(|(name, _)| name.clone())
            .filter(|name| {
                let prerequisites = self
                    .state
                    .current_version(name)
                    .and_then(|version| version.definition().coordinator.as_ref())
                    .map(|coordinator| coordinator.prerequisites.as_slice())
                    .unwrap_or_default();
                prerequisites.iter().any(|p| p.workflow == head.workflow)
                    && prerequisites
                        .iter()
                        .all(|p| closure.members.get(&p.workflow).is_none_or(|member| *member == ClosureMember::Done))
            })
            .collect();
        for name in ready {
            self.start_member(id, &name, closure.nominal, Vec::new(), Vec::new(), None);
        }
        let is_over =
            self.state.closures.get(&id).is_some_and(|closure| {
                !closure.members.values().any(|member| matches!(member, ClosureMember::Started(_)))
            });
        if is_over {
            self.emit(EventKind::ClosureEnded { closure: id });
        }
    }

    pub(super) fn start_member(
        &mut self,
        id: u64,
        name: &WorkflowName,
        nominal: Timestamp,
        caller: Vec<(String, String)>,
        skipped: Vec<crate::model::id::NodeName>,
        note: Option<String>,
    ) -> InstanceNumber {
        let zone = self.state.zone_of(name);
        let shift = self
            .state
            .current_version(name)
            .and_then(|version| version.definition().coordinator.as_ref())
            .and_then(|coordinator| coordinator.business_date.clone());
        let number = self.create(Birth {
            workflow: name.clone(),
            version: None,
            kind: Kind::Triggered,
            fire: None,
            trigger: None,
            closure: Some(id),
            // The downstream run itself goes on: latches would start the dependants a second time.
            affects: false,
            nominal,
            due: self.wall,
            business_date: business_date(nominal, &zone, shift.as_ref()),
            zone,
            caller,
            defaults: true,
            skipped,
            is_beyond_limit: false,
            note,
        });
        self.emit(EventKind::ClosureStarted { closure: id, workflow: name.clone(), instance: number });
        number
    }
}
