//! Events of the log as readers see them: one line each, with names instead of numbers.

use crate::api::{EventView, Topic};
use crate::engine::event::NodeRef;
use crate::engine::state::{AttemptEnd, FileState, State};
use crate::engine::{Event, EventKind};
use crate::model::decimal::Decimal;
use crate::model::id::{AttemptId, InstanceNumber, Seq};
use crate::model::message::{Message, Value};
use crate::model::state::{InstanceWord, NodeWord};
use crate::model::time::Timestamp;
use crate::say;
use crate::store::types::Happening;

/// The event as a reader should see it; `None` for bookkeeping that nobody asks about. `state` is that right
/// after the event, or a later one.
pub fn view(state: &State, seq: Seq, event: &Event) -> Option<EventView> {
    let line = Line { state, seq, event };
    Some(match &event.kind {
        EventKind::ClusterFounded { .. } => line.cluster("cluster_founded", say!("the cluster was founded")),
        EventKind::ClockJumped { by_ms } => line.cluster("clock_jumped", say!("the wall clock jumped by {} ms", by_ms)),
        EventKind::FeatureLevelRaised { level } => {
            line.cluster("feature_level_raised", say!("feature level {} is in force", level))
        }
        EventKind::AttentionRaised { subject, message } => {
            line.cluster("attention_raised", super::status::said_of(subject, message))
        }
        EventKind::WorkerRegistered { worker, slots, .. } => {
            line.worker("worker_registered", worker, say!("worker {} registered with {} slot{s}", worker, slots))
        }
        EventKind::WorkerSilent { worker, .. } => {
            line.worker("worker_silent", worker, say!("worker {} is silent", worker))
        }
        EventKind::WorkerDraining { worker, draining: true } => {
            line.worker("worker_draining", worker, say!("worker {} takes no new attempts", worker))
        }
        EventKind::WorkerDraining { worker, draining: false } => {
            line.worker("worker_undrained", worker, say!("worker {} takes attempts again", worker))
        }
        EventKind::WorkerDeclaredDead { worker, by, why } => line.worker(
            "worker_declared_dead",
            worker,
            match why.is_empty() {
                true => say!("{} declared worker {} dead", by, worker),
                false => say!("{} declared worker {} dead: {}", by, worker, why),
            },
        ),
        EventKind::LinkPut { link, by } => line.cluster("link_put", say!("{} put link {}", by, link.name)),
        EventKind::LinkRemoved { name, by, .. } => line.cluster("link_removed", say!("{} removed link {}", by, name)),
        EventKind::WorkerRemoved { worker } => line.worker("worker_removed", worker, say!("worker {} removed", worker)),

        EventKind::DefinitionAdded { workflow, version, by, .. } => {
            line.workflow("definition_added", workflow, say!("{} v{} by {}", workflow, version, by))
        }
        EventKind::OriginChanged { workflow, .. } => {
            line.workflow("file_moved", workflow, say!("the file of {} moved", workflow))
        }
        EventKind::FileAbsenceChanged { workflow, absent } => {
            let text = match absent {
                true => say!("the file of {} is gone", workflow),
                false => say!("the file of {} is back", workflow),
            };
            line.workflow("file_absence_changed", workflow, text)
        }
        EventKind::EnableChanged { workflow, enabled, by, .. } => {
            let text = match enabled {
                true => say!("{} enabled {}", by, workflow),
                false => say!("{} disabled {}", by, workflow),
            };
            line.workflow("enable_changed", workflow, text)
        }
        EventKind::WorkflowReset { workflow, by } => {
            line.workflow("workflow_reset", workflow, say!("{} reset {}", by, workflow))
        }
        EventKind::WorkflowRemoved { workflow, by } => {
            line.workflow("workflow_removed", workflow, say!("{} removed {}", by, workflow))
        }
        EventKind::FileRecorded { path, workflow, state: file, diagnostics, .. } => {
            let text = match (file, diagnostics.first()) {
                (FileState::Failed, Some(first)) => say!("{} does not load: {}", path, first.message),
                (FileState::Failed, None) => say!("{} does not load", path),
                (_, _) => say!("{} was read", path),
            };
            let mut view = line.topic(Topic::Workflow, "file_recorded", text);
            view.workflow = workflow.as_ref().map(|name| name.to_string());
            view
        }
        EventKind::FileForgotten { path, .. } => {
            line.topic(Topic::Workflow, "file_forgotten", say!("{} is no longer there", path))
        }
        EventKind::FirePlaced { fire } => line.workflow(
            "fire_placed",
            &fire.key.workflow,
            say!("trigger {} of {} for {}", fire.key.trigger, fire.key.workflow, fire.nominal),
        ),
        EventKind::FireSettled { key, state } => line.workflow(
            "fire_settled",
            &key.workflow,
            say!("trigger {} of {}: {}", key.trigger, key.workflow, state.said()),
        ),
        EventKind::FiresMissed { workflow, trigger, from, to } => line.workflow(
            "fires_missed",
            workflow,
            say!("trigger {} of {} missed its times from {} to {}", trigger, workflow, from, to),
        ),
        EventKind::LatchSet { workflow, .. } => {
            line.workflow("latch_set", workflow, say!("a prerequisite of {} is met", workflow))
        }
        EventKind::LatchesCleared { workflow } => {
            line.workflow("latches_cleared", workflow, say!("the prerequisites of {} start over", workflow))
        }

        EventKind::InstanceCreated { instance } => {
            let mut view = line.instance("instance_created", instance.number, None);
            view.workflow = Some(instance.workflow.to_string());
            view.instance_state = Some(InstanceWord::Queued);
            view.text = say!("#{} of {} created by {}", instance.number, instance.workflow, instance.by);
            view
        }
        EventKind::InstanceStarted { instance } => {
            line.moved("instance_started", *instance, InstanceWord::Running, say!("started"))
        }
        EventKind::InstancePaused { instance, by, .. } => {
            line.moved("instance_paused", *instance, InstanceWord::Paused, say!("paused by {}", by))
        }
        EventKind::InstanceResumed { instance, by } => {
            line.moved("instance_resumed", *instance, InstanceWord::Running, say!("resumed by {}", by))
        }
        EventKind::InstanceStopping { instance, reason, .. } => {
            line.instance("instance_stopping", *instance, Some(say!("#{} is ending: {}", instance, reason.said())))
        }
        EventKind::InstanceFinished { instance, end, reason, .. } => {
            let what = match reason {
                Some(reason) => say!("{}: {}", end.word(), reason.said()),
                None => say!("it ended: {}", end.word()),
            };
            line.moved("instance_finished", *instance, end.word(), what)
        }
        EventKind::InstanceRerun { instance, generation, by, .. } => {
            let mut view = line.moved("instance_rerun", *instance, InstanceWord::Queued, say!("rerun by {}", by));
            view.generation = Some(generation.0);
            view
        }
        EventKind::NodeQueued { node, .. } => line.node("node_queued", *node, NodeWord::Queued, say!("is ready")),
        EventKind::NodeRequeued { node } => {
            line.node("node_requeued", *node, NodeWord::Queued, say!("is queued again"))
        }
        EventKind::NodeRetrying { node, until } => {
            line.node("node_retrying", *node, NodeWord::Retrying, say!("is retried at {}", until))
        }
        EventKind::NodeLost { node, unproven: true, .. } => {
            line.node("node_lost", *node, NodeWord::Lost, say!("cannot be proven gone"))
        }
        EventKind::NodeLost { node, .. } => line.node("node_lost", *node, NodeWord::Lost, say!("is out of sight")),
        EventKind::NodeFound { node } => line.node("node_found", *node, NodeWord::Running, say!("is back")),
        EventKind::NodeFinished { node, end, reason, .. } => {
            line.node("node_finished", *node, end.word(), say!("{}: {}", end.word(), reason.said()))
        }
        EventKind::AttemptDispatched { attempt, worker, .. } => {
            line.attempt("attempt_dispatched", *attempt, Some(NodeWord::Dispatched), say!("sent to {}", worker))
        }
        EventKind::AttemptStarted { attempt, .. } => {
            line.attempt("attempt_started", *attempt, Some(NodeWord::Running), say!("started"))
        }
        EventKind::AttemptEnded { attempt, end: AttemptEnd::Lost, outcome: None } => {
            line.attempt("attempt_ended", *attempt, None, say!("was given up: gone with its worker"))
        }
        EventKind::AttemptEnded { attempt, outcome, .. } => {
            let what = match outcome.as_ref().and_then(|outcome| outcome.message.as_ref()) {
                Some(said) => say!("ended: {}", said),
                None => say!("ended"),
            };
            line.attempt("attempt_ended", *attempt, None, what)
        }
        EventKind::Measured { attempt, measured } => {
            let bound = |bound: &Option<Decimal>| bound.as_ref().map_or("-".to_owned(), Decimal::to_string);
            let (value, min, max) = (measured.value.to_string(), bound(&measured.min), bound(&measured.max));
            line.attempt("measured", *attempt, None, say!("value {}, minimum {}, maximum {}", value, min, max))
        }
        EventKind::ResultStale { attempt, .. } => {
            line.attempt("result_stale", *attempt, None, say!("reported after it no longer counted"))
        }
        EventKind::MailOwed { mail } => {
            let first = mail.items.first()?;
            let to = Value::list(mail.to.iter().map(String::as_str));
            let text = say!("a mail about #{} is owed to {}", first.instance, to);
            line.instance("mail_owed", first.instance, Some(text))
        }
        EventKind::MailAdded { mail, item } => {
            // Those to whom it goes are known as long as it is owed.
            let mail = state.mails.get(mail)?;
            let to = Value::list(mail.to.iter().map(String::as_str));
            let text = say!("a mail about #{} is owed to {}", item.instance, to);
            line.instance("mail_owed", item.instance, Some(text))
        }
        EventKind::MailFaulted { why } => {
            line.cluster("mail_faulted", say!("the mail server does not take mails: {}", why))
        }
        EventKind::InstanceMarked { .. }
        | EventKind::ResetMoved { .. }
        | EventKind::DailyResetMoved { .. }
        | EventKind::MailClosed { .. }
        | EventKind::MailSettled { .. }
        | EventKind::NodeStopping { .. }
        | EventKind::NodeTimeoutPassed { .. }
        | EventKind::WorkerSeen { .. }
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

/// What happened to the cluster as a whole.
pub fn happening(state: &State, happening: &Happening) -> Option<EventView> {
    let masters = |ids: &[u64]| Value::list(ids.iter().map(|id| format!("m{id}")));
    match happening {
        Happening::Event { seq, event } => match &event.kind {
            // News here alone: in the streams of events it would be said for each worker at each take-over.
            EventKind::WorkerSeen { worker, epoch } => {
                let line = Line { state, seq: *seq, event };
                Some(line.worker(
                    "worker_seen",
                    worker,
                    say!("worker {} is in contact with the leader of term {}", worker, epoch.0),
                ))
            }
            _ => view(state, *seq, event),
        },
        Happening::TookOver { seq, at, node, epoch } => Some(bare(
            *seq,
            *at,
            Topic::Cluster,
            "took_over",
            say!("{} leads from now on, term {}", format!("m{}", node.0), epoch.0),
        )),
        Happening::Members { seq, at, joined, left } => {
            let said = match (joined.as_slice(), left.as_slice()) {
                (joined, []) => say!("masters joined: {}", masters(joined)),
                ([], left) => say!("masters left: {}", masters(left)),
                (joined, left) => say!("masters joined: {}; left: {}", masters(joined), masters(left)),
            };
            Some(bare(*seq, *at, Topic::Cluster, "members_changed", said))
        }
    }
}

/// With nothing that it is about.
fn bare(seq: Seq, at: Timestamp, topic: Topic, kind: &str, text: Message) -> EventView {
    EventView {
        seq: seq.0,
        time: at.into(),
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
        text,
    }
}

struct Line<'a> {
    state: &'a State,
    seq: Seq,
    event: &'a Event,
}

impl Line<'_> {
    fn topic(&self, topic: Topic, kind: &str, text: Message) -> EventView {
        bare(self.seq, self.event.at, topic, kind, text)
    }

    fn cluster(&self, kind: &str, text: Message) -> EventView {
        self.topic(Topic::Cluster, kind, text)
    }

    fn worker(&self, kind: &str, worker: &impl ToString, text: Message) -> EventView {
        EventView { worker: Some(worker.to_string()), ..self.cluster(kind, text) }
    }

    fn workflow(&self, kind: &str, workflow: &impl ToString, text: Message) -> EventView {
        EventView { workflow: Some(workflow.to_string()), ..self.topic(Topic::Workflow, kind, text) }
    }

    fn instance(&self, kind: &str, number: InstanceNumber, text: Option<Message>) -> EventView {
        let head = self.state.instances.get(&number);
        EventView {
            instance: Some(number.0),
            workflow: head.map(|head| head.workflow.to_string()),
            generation: head.map(|head| head.generation().number.0),
            ..self.topic(Topic::Instance, kind, text.unwrap_or_default())
        }
    }

    fn moved(&self, kind: &str, number: InstanceNumber, to: InstanceWord, what: Message) -> EventView {
        EventView { instance_state: Some(to), ..self.instance(kind, number, Some(say!("#{} {}", number, what))) }
    }

    fn node(&self, kind: &str, node: NodeRef, to: NodeWord, what: Message) -> EventView {
        let name = self.name(node);
        EventView {
            generation: Some(node.generation.0),
            node_state: Some(to),
            text: say!("#{}/{} {}", node.instance, name, what),
            node: Some(name),
            ..self.instance(kind, node.instance, None)
        }
    }

    fn attempt(&self, kind: &str, attempt: AttemptId, to: Option<NodeWord>, what: Message) -> EventView {
        let node = NodeRef::from(attempt);
        let name = self.name(node);
        EventView {
            generation: Some(attempt.generation.0),
            attempt: Some(attempt.number),
            node_state: to,
            text: say!("#{}/{} attempt {} {}", attempt.instance, name, attempt.number, what),
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
