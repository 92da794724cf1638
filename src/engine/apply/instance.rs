//! Events of instances.

use crate::model::duration::Millis;
use crate::model::id::{Generation, InstanceNumber, Principal, VersionNumber};
use crate::model::time::Timestamp;

use super::super::event::InstanceMark;
use super::super::state::{
    AggregateKey, GenerationHead, Instance, InstanceEnd, InstanceState, Marks, Phase, RerunPlan, State, StopReason,
    Verdict,
};
use super::Illegal;

impl State {
    pub(super) fn instance_created(&mut self, instance: &Instance) -> Result<(), Illegal> {
        let number = instance.number;
        if number != self.cluster.last_instance.next() {
            return Err(Illegal::of(number, format!("does not follow {}", self.cluster.last_instance)));
        }
        if !matches!(instance.state, InstanceState::Queued { .. }) || instance.generations.len() != 1 {
            return Err(Illegal::of(number, "does not begin queued in its first generation"));
        }
        if self.version(&instance.workflow, instance.version()).is_none() {
            return Err(Illegal::of(number, "is of a version that does not exist"));
        }
        self.cluster.last_instance = number;
        self.derived.head(instance, true);
        self.instances.insert(number, instance.clone());
        self.touch(AggregateKey::Instance(number));
        Ok(())
    }

    pub(super) fn instance_started(&mut self, number: InstanceNumber, at: Timestamp) -> Result<(), Illegal> {
        self.with_head(number, |head| {
            if !matches!(head.state, InstanceState::Queued { .. }) {
                return Err(Illegal::of(number, "is not queued"));
            }
            head.state = InstanceState::Running { since: at };
            if let Some(generation) = head.generations.last_mut() {
                generation.started = Some(at);
            }
            Ok(())
        })
    }

    pub(super) fn instance_paused(
        &mut self,
        number: InstanceNumber,
        by: &Principal,
        why: Option<&String>,
        at: Timestamp,
    ) -> Result<(), Illegal> {
        self.with_head(number, |head| {
            let started = match &head.state {
                InstanceState::Queued { .. } => None,
                InstanceState::Running { since } if head.verdict.is_none() => Some(*since),
                InstanceState::Running { .. } | InstanceState::Paused { .. } | InstanceState::Done { .. } => {
                    return Err(Illegal::of(number, "cannot be paused"));
                }
            };
            head.state = InstanceState::Paused { since: at, started, by: by.clone(), why: why.cloned() };
            Ok(())
        })
    }

    pub(super) fn instance_resumed(&mut self, number: InstanceNumber, at: Timestamp) -> Result<(), Illegal> {
        let since = match self.instances.get(&number).map(|head| &head.state) {
            Some(InstanceState::Paused { since, .. }) => *since,
            _ => return Err(Illegal::of(number, "is not paused")),
        };
        // A pause does not count against a timeout, unless an attempt ran through it.
        let waiting: Vec<_> = self.derived.walks.get(&number).map_or(Vec::new(), |walk| {
            let head = &self.instances[&number];
            let ids = walk.live.iter().map(|node| head.node_ref(*node));
            ids.filter(|id| {
                self.nodes.get(id).is_some_and(|node| node.deadline.is_some() && node.live_attempt().is_none())
            })
            .collect()
        });
        for id in waiting {
            self.with_record(id, |node| {
                node.deadline = node.deadline.map(|deadline| deadline.plus_ms(at.since(since)));
                Ok(())
            })?;
        }
        self.with_head(number, |head| {
            head.state = match &head.state {
                InstanceState::Paused { started: Some(since), .. } => InstanceState::Running { since: *since },
                InstanceState::Paused { started: None, .. }
                | InstanceState::Queued { .. }
                | InstanceState::Running { .. }
                | InstanceState::Done { .. } => InstanceState::Queued { since: at },
            };
            Ok(())
        })
    }

    pub(super) fn instance_stopping(
        &mut self,
        number: InstanceNumber,
        end: InstanceEnd,
        reason: &StopReason,
        grace: Option<Millis>,
        at: Timestamp,
    ) -> Result<(), Illegal> {
        self.with_head(number, |head| {
            if !head.is_started() {
                return Err(Illegal::of(number, "has not started, so cannot be stopping"));
            }
            // A person's kill overrules a verdict that is still being carried out; nothing else does.
            if head.verdict.is_some() && !matches!(reason, StopReason::Killed { .. }) {
                return Err(Illegal::of(number, "is stopping already"));
            }
            if let InstanceState::Paused { started: Some(since), .. } = &head.state {
                head.state = InstanceState::Running { since: *since };
            }
            head.verdict = Some(Verdict { end, reason: reason.clone(), at, grace });
            head.marks.failing = end == InstanceEnd::Failed;
            Ok(())
        })
    }

    pub(super) fn instance_finished(
        &mut self,
        number: InstanceNumber,
        end: InstanceEnd,
        reason: Option<&StopReason>,
        outputs: &[(String, String)],
        at: Timestamp,
    ) -> Result<(), Illegal> {
        if self.derived.walks.get(&number).is_some_and(|walk| !walk.live.is_empty()) {
            return Err(Illegal::of(number, "has live nodes, so cannot be finished"));
        }
        self.with_head(number, |head| {
            if head.is_terminal() {
                return Err(Illegal::of(number, "is finished"));
            }
            head.state = InstanceState::Done { end, at, reason: reason.cloned() };
            head.verdict = None;
            head.marks.failing = false;
            head.outputs = outputs.to_vec();
            if let Some(generation) = head.generations.last_mut() {
                generation.finished = Some(at);
                generation.end = Some(end);
                generation.reason = reason.cloned();
            }
            Ok(())
        })
    }

    pub(super) fn instance_rerun(
        &mut self,
        number: InstanceNumber,
        generation: Generation,
        version: VersionNumber,
        plan: &RerunPlan,
        by: &Principal,
        at: Timestamp,
    ) -> Result<(), Illegal> {
        let workflow = self.instances.get(&number).map(|head| head.workflow.clone());
        if workflow.is_none_or(|workflow| self.version(&workflow, version).is_none()) {
            return Err(Illegal::of(number, "has no such version"));
        }
        self.with_head(number, |head| {
            if !head.is_terminal() || head.is_resting {
                return Err(Illegal::of(number, "is not terminal"));
            }
            if generation != head.generation().number.next() {
                return Err(Illegal::of(number, "generations are counted without gaps"));
            }
            head.state = InstanceState::Queued { since: at };
            head.phase = Phase::Main;
            head.marks = Marks::default();
            head.verdict = None;
            let outputs = std::mem::take(&mut head.outputs);
            if let Some(before) = head.generations.last_mut() {
                before.outputs = outputs;
            }
            head.generations.push(GenerationHead {
                number: generation,
                version,
                plan: plan.clone(),
                by: by.clone(),
                opened: at,
                started: None,
                finished: None,
                end: None,
                reason: None,
                outputs: Vec::new(),
            });
            Ok(())
        })
    }

    pub(super) fn instance_marked(&mut self, number: InstanceNumber, mark: InstanceMark) -> Result<(), Illegal> {
        self.with_head(number, |head| {
            match mark {
                InstanceMark::Late => head.marks.late = true,
                InstanceMark::Warnings => head.marks.warnings = true,
                InstanceMark::Forced => head.marks.forced = true,
            }
            Ok(())
        })
    }
}
