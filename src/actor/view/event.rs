//! Events of the log as readers see them: one line each, with names instead of numbers.

use crate::api::{EventView, Topic};
use crate::engine::event::NodeRef;
use crate::engine::state::{InstanceEnd, State};
use crate::engine::{Event, EventKind};
use crate::model::id::{AttemptId, InstanceNumber, Seq};
use crate::model::state::{InstanceWord, NodeWord};

/// The event as a reader should see it; `None` for bookkeeping that nobody asks about. `state` is that right
/// after the event, or a later one.
pub fn view(state: &State, seq: Seq, event: &Event) -> Option<EventView> {
    let line = Line { state, seq, event };
    Some(match &event.kind {
        EventKind::ClusterFounded { .. } => line.cluster("cluster_founded", "the cluster was founded"),
        EventKind::ClockJumped { by_ms } => {
            line.cluster("clock_jumped", format!("the wall clock jumped by {by_ms} ms"))
        }
        EventKind::FeatureLevelRaised { level } => {
            line.cluster("feature_level_raised", format!("feature level {level} is in force"))
        }
        EventKind::AttentionRaised { subject, message } => {
            line.cluster("attention_raised", format!("{subject}: {message}"))
        }
        EventKind::WorkerRegistered { worker, slots, .. } => {
            line.worker("worker_registered", worker, format!("worker {worker} registered with {slots} slots"))
        }
        EventKind::WorkerSilent { worker } => {
            line.worker("worker_silent", worker, format!("worker {worker} is silent"))
        }
        EventKind::WorkerDraining { worker, draining: true } => {
            line.worker("worker_draining", worker, format!("worker {worker} takes no new attempts"))
        }
        EventKind::WorkerDraining { worker, draining: false } => {
            line.worker("worker_undrained", worker, format!("worker {worker} takes attempts again"))
        }
        EventKind::WorkerDeclaredDead { worker, by, why } => {
            line.worker("worker_declared_dead", worker, format!("{by} declared worker {worker} dead: {why}"))
        }
        EventKind::WorkerRemoved { worker } => {
            line.worker("worker_removed", worker, format!("worker {worker} removed"))
        }

        EventKind::DefinitionAdded { workflow, version, by, .. } => {
            line.workflow("definition_added", workflow, format!("{workflow} v{version} by {by}"))
        }
        EventKind::OriginChanged { workflow, .. } => {
            line.workflow("file_moved", workflow, format!("the file of {workflow} moved"))
        }
        EventKind::FileAbsenceChanged { workflow, absent } => {
            let what = if *absent { "is gone" } else { "is back" };
            line.workflow("file_absence_changed", workflow, format!("the file of {workflow} {what}"))
        }
        EventKind::EnableChanged { workflow, enabled, by, .. } => {
            let what = if *enabled { "enabled" } else { "disabled" };
            line.workflow("enable_changed", workflow, format!("{by} {what} {workflow}"))
        }
        EventKind::WorkflowReset { workflow, by } => {
            line.workflow("workflow_reset", workflow, format!("{by} reset {workflow}"))
        }
        EventKind::WorkflowRemoved { workflow, by } => {
            line.workflow("workflow_removed", workflow, format!("{by} removed {workflow}"))
        }
        EventKind::FileRecorded { path, workflow, .. } => {
            let mut view = line.topic(Topic::Workflow, "file_recorded", format!("{path} was read"));
            view.workflow = workflow.as_ref().map(|name| name.to_string());
            view
        }
        EventKind::FileForgotten { path, .. } => {
            line.topic(Topic::Workflow, "file_forgotten", format!("{path} is no longer there"))
        }
        EventKind::FirePlaced { fire } => line.workflow(
            "fire_placed",
            &fire.key.workflow,
            format!("trigger {} of {} for {}", fire.key.trigger, fire.key.workflow, fire.nominal),
        ),
        EventKind::FireSettled { key, state } => line.workflow(
            "fire_settled",
            &key.workflow,
            format!("trigger {} of {}: {}", key.trigger, key.workflow, state.word()),
        ),
        EventKind::FiresMissed { workflow, trigger, from, to } => line.workflow(
            "fires_missed",
            workflow,
            format!("trigger {trigger} of {workflow} missed its times from {from} to {to}"),
        ),
        EventKind::LatchSet { workflow, .. } => {
            line.workflow("latch_set", workflow, format!("a prerequisite of {workflow} is met"))
        }
        EventKind::LatchesCleared { workflow } => {
            line.workflow("latches_cleared", workflow, format!("the prerequisites of {workflow} start over"))
        }

        EventKind::InstanceCreated { instance } => {
            let mut view = line.instance("instance_created", instance.number, None);
            view.workflow = Some(instance.workflow.to_string());
            view.instance_state = Some(InstanceWord::Queued);
            view.text = format!("#{} of {} created by {}", instance.number, instance.workflow, instance.by);
            view
        }
        EventKind::InstanceStarted { instance } => {
            line.moved("instance_started", *instance, InstanceWord::Running, "started")
        }
        EventKind::InstancePaused { instance, by, .. } => {
            line.moved("instance_paused", *instance, InstanceWord::Paused, &format!("paused by {by}"))
        }
        EventKind::InstanceResumed { instance, by } => {
            line.moved("instance_resumed", *instance, InstanceWord::Running, &format!("resumed by {by}"))
        }
        EventKind::InstanceStopping { instance, reason, .. } => {
            line.instance("instance_stopping", *instance, Some(format!("#{instance} is ending: {reason}")))
        }
        EventKind::InstanceFinished { instance, end, reason, .. } => {
            let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            line.moved("instance_finished", *instance, end.word(), &format!("{}{why}", end_word(*end)))
        }
        EventKind::InstanceRerun { instance, generation, by, .. } => {
            let mut view = line.moved("instance_rerun", *instance, InstanceWord::Queued, &format!("rerun by {by}"));
            view.generation = Some(generation.0);
            view
        }
        EventKind::NodeQueued { node, .. } => line.node("node_queued", *node, NodeWord::Queued, "is ready"),
        EventKind::NodeRequeued { node } => line.node("node_requeued", *node, NodeWord::Queued, "is queued again"),
        EventKind::NodeRetrying { node, until } => {
            line.node("node_retrying", *node, NodeWord::Retrying, &format!("is retried at {until}"))
        }
        EventKind::NodeLost { node, .. } => line.node("node_lost", *node, NodeWord::Lost, "is out of sight"),
        EventKind::NodeFound { node } => line.node("node_found", *node, NodeWord::Running, "is back"),
        EventKind::NodeFinished { node, end, reason, .. } => {
            line.node("node_finished", *node, end.word(), &format!("{}: {reason}", end.word()))
        }
        EventKind::AttemptDispatched { attempt, worker } => {
            line.attempt("attempt_dispatched", *attempt, Some(NodeWord::Dispatched), &format!("sent to {worker}"))
        }
        EventKind::AttemptStarted { attempt, .. } => {
            line.attempt("attempt_started", *attempt, Some(NodeWord::Running), "started")
        }
        EventKind::AttemptEnded { attempt, outcome, .. } => {
            let said = outcome.as_ref().and_then(|outcome| outcome.message.clone()).unwrap_or_default();
            line.attempt("attempt_ended", *attempt, None, &format!("ended {said}"))
        }
        EventKind::ResultStale { attempt, .. } => {
            line.attempt("result_stale", *attempt, None, "reported after it no longer counted")
        }
        EventKind::InstanceMarked { .. }
        | EventKind::NodeStopping { .. }
        | EventKind::NodeTimeoutPassed { .. }
        | EventKind::RequestAnswered { .. }
        | EventKind::RequestsTrimmed { .. }
        | EventKind::ChunkStored { .. }
        | EventKind::ChunksTrimmed { .. }
        | EventKind::SourceOffered { .. }
        | EventKind::SourceGranted { .. }
        | EventKind::ReportTaken { .. }
        | EventKind::FileMissed { .. }
        | EventKind::FileRenamed { .. }
        | EventKind::TriggerAdvanced { .. }
        | EventKind::FactRecorded { .. }
        | EventKind::ClosureOpened { .. }
        | EventKind::ClosureStarted { .. }
        | EventKind::ClosureDone { .. }
        | EventKind::ClosureEnded { .. }
        | EventKind::Rested { .. }
        | EventKind::InstanceRecalled { .. }
        | EventKind::Trimmed { .. } => return None,
    })
}

struct Line<'a> {
    state: &'a State,
    seq: Seq,
    event: &'a Event,
}

impl Line<'_> {
    fn topic(&self, topic: Topic, kind: &str, text: impl Into<String>) -> EventView {
        EventView {
            seq: self.seq.0,
            time: self.event.at.into(),
            topic,
            kind: kind.to_owned(),
            workflow: None,
            instance: None,
            generation: None,
            node: None,
            attempt: None,
            worker: None,
            instance_state: None,
            node_state: None,
            text: text.into(),
        }
    }

    fn cluster(&self, kind: &str, text: impl Into<String>) -> EventView {
        self.topic(Topic::Cluster, kind, text)
    }

    fn worker(&self, kind: &str, worker: &impl ToString, text: String) -> EventView {
        EventView { worker: Some(worker.to_string()), ..self.cluster(kind, text) }
    }

    fn workflow(&self, kind: &str, workflow: &impl ToString, text: String) -> EventView {
        EventView { workflow: Some(workflow.to_string()), ..self.topic(Topic::Workflow, kind, text) }
    }

    fn instance(&self, kind: &str, number: InstanceNumber, text: Option<String>) -> EventView {
        let head = self.state.instances.get(&number);
        EventView {
            instance: Some(number.0),
            workflow: head.map(|head| head.workflow.to_string()),
            generation: head.map(|head| head.generation().number.0),
            ..self.topic(Topic::Instance, kind, text.unwrap_or_default())
        }
    }

    fn moved(&self, kind: &str, number: InstanceNumber, to: InstanceWord, what: &str) -> EventView {
        EventView { instance_state: Some(to), ..self.instance(kind, number, Some(format!("#{number} {what}"))) }
    }

    fn node(&self, kind: &str, node: NodeRef, to: NodeWord, what: &str) -> EventView {
        let name = self.name(node);
        EventView {
            generation: Some(node.generation.0),
            node_state: Some(to),
            text: format!("#{}/{name} {what}", node.instance),
            node: Some(name),
            ..self.instance(kind, node.instance, None)
        }
    }

    fn attempt(&self, kind: &str, attempt: AttemptId, to: Option<NodeWord>, what: &str) -> EventView {
        let node = NodeRef::from(attempt);
        let name = self.name(node);
        EventView {
            generation: Some(attempt.generation.0),
            attempt: Some(attempt.number),
            node_state: to,
            text: format!("#{}/{name} attempt {} {what}", attempt.instance, attempt.number),
            node: Some(name),
            ..self.instance(kind, attempt.instance, None)
        }
    }

    fn name(&self, node: NodeRef) -> String {
        let definition = self.state.instances.get(&node.instance).and_then(|head| {
            let generation = head.generations.iter().find(|generation| generation.number == node.generation)?;
            self.state.versions.get(&(head.workflow.clone(), generation.version))
        });
        match definition.and_then(|version| version.definition().nodes.get(node.node.at())) {
            Some(node) => node.name.to_string(),
            None => format!("node {}", node.node),
        }
    }
}

fn end_word(end: InstanceEnd) -> &'static str {
    end.word().word()
}
