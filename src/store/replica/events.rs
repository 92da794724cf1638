//! Which events are the history of an instance.

use crate::engine::LogRecord;
use crate::engine::event::{Event, EventKind};
use crate::model::id::{InstanceNumber, Seq};

use super::super::types::EntryData;

/// The events of applied entries that belong to an instance, numbered.
pub(super) fn of_instances(entries: Vec<(Seq, EntryData)>) -> Vec<(InstanceNumber, Seq, Event)> {
    let mut found = Vec::new();
    for (base, record) in entries {
        let LogRecord::Events(entry) = &*record else { continue };
        let numbered = (base.0 + 1..).map(Seq).zip(&entry.events);
        found.extend(numbered.filter_map(|(seq, event)| Some((instance_of(&event.kind)?, seq, event.clone()))));
    }
    found
}

fn instance_of(kind: &EventKind) -> Option<InstanceNumber> {
    match kind {
        EventKind::InstanceCreated { instance } => Some(instance.number),
        EventKind::InstanceStarted { instance }
        | EventKind::InstancePaused { instance, .. }
        | EventKind::InstanceResumed { instance, .. }
        | EventKind::InstanceStopping { instance, .. }
        | EventKind::InstanceFinished { instance, .. }
        | EventKind::InstanceRerun { instance, .. }
        | EventKind::InstanceMarked { instance, .. } => Some(*instance),
        EventKind::NodeQueued { node, .. }
        | EventKind::NodeRequeued { node }
        | EventKind::NodeRetrying { node, .. }
        | EventKind::NodeStopping { node, .. }
        | EventKind::NodeLost { node, .. }
        | EventKind::NodeFound { node }
        | EventKind::NodeFinished { node, .. } => Some(node.instance),
        EventKind::AttemptDispatched { attempt, .. }
        | EventKind::AttemptStarted { attempt, .. }
        | EventKind::AttemptEnded { attempt, .. }
        | EventKind::ResultStale { attempt, .. } => Some(attempt.instance),
        // Of the cluster, a workflow, a worker; and being put away or fetched is not history.
        _ => None,
    }
}
