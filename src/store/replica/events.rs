//! Which events are the history of an instance, and which that of the cluster.

use crate::engine::LogRecord;
use crate::engine::event::{Event, EventKind};
use crate::model::id::{InstanceNumber, MasterId, Seq};

use super::super::state_db::Moment;
use super::super::types::EntryData;

/// What the history of the cluster needs to know of earlier batches: who took over, and has done nothing yet.
pub(super) type TookOver = Option<(MasterId, u64)>;

/// What a person asks for who wants to know what happened to the cluster. A take-over has no time of its own: it has
/// that of the first thing that the new leader did.
pub(super) fn of_cluster(entries: &[(Seq, EntryData)], pending: &mut TookOver) -> Vec<(Seq, Moment)> {
    let mut found = Vec::new();
    for (base, record) in entries {
        match &**record {
            LogRecord::TakeOver(take_over) => *pending = Some((take_over.node, take_over.term)),
            LogRecord::Events(entry) => {
                if let Some(first) = entry.events.first()
                    && let Some((node, term)) = pending.take()
                {
                    found.push((*base, Moment::TookOver { at: first.at, node, term }));
                }
                let numbered = (base.0 + 1..).map(Seq).zip(&entry.events);
                let of_cluster = numbered.filter(|(_, event)| is_of_cluster(&event.kind));
                found.extend(of_cluster.map(|(seq, event)| (seq, Moment::Event(event.clone()))));
            }
        }
    }
    found
}

fn is_of_cluster(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::ClusterFounded { .. }
            | EventKind::ClockJumped { .. }
            | EventKind::FeatureLevelRaised { .. }
            | EventKind::AttentionRaised { .. }
            | EventKind::DefinitionAdded { .. }
            | EventKind::OriginChanged { .. }
            | EventKind::FileAbsenceChanged { .. }
            | EventKind::EnableChanged { .. }
            | EventKind::WorkflowReset { .. }
            | EventKind::WorkflowRemoved { .. }
            | EventKind::WorkerRegistered { .. }
            | EventKind::WorkerSilent { .. }
            | EventKind::WorkerDraining { .. }
            | EventKind::WorkerDeclaredDead { .. }
            | EventKind::WorkerRemoved { .. }
    )
}

/// The events of applied entries that belong to an instance, numbered.
pub(super) fn of_instances(entries: &[(Seq, EntryData)]) -> Vec<(InstanceNumber, Seq, Event)> {
    let mut found = Vec::new();
    for (base, record) in entries {
        let LogRecord::Events(entry) = &**record else { continue };
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::entry::{Entry, TakeOver};
    use crate::model::id::{Boot, Epoch};
    use crate::model::time::Timestamp;

    #[test]
    fn a_take_over_has_the_time_of_what_the_leader_did_first_also_in_a_later_batch() {
        let take_over = LogRecord::TakeOver(TakeOver { node: MasterId(2), boot: Boot(1), term: 7, epoch: Epoch(3) });
        let entry = |base: u64, kinds: Vec<EventKind>| {
            let events = kinds.into_iter().map(|kind| Event { at: Timestamp(base as i64), kind }).collect();
            let entry = Entry { epoch: Epoch(3), base_seq: Seq(base), feature_level: 1, events };
            (Seq(base), Arc::new(LogRecord::Events(entry)))
        };
        let mut pending = None;
        assert_eq!(of_cluster(&[(Seq(40), Arc::new(take_over))], &mut pending), []);
        let jump = EventKind::ClockJumped { by_ms: 1 };
        let rest = EventKind::Rested { instances: vec![], fires: vec![] };
        let found = of_cluster(&[entry(40, vec![rest, jump.clone()]), entry(42, vec![])], &mut pending);
        let at = Timestamp(40);
        let expected = [
            (Seq(40), Moment::TookOver { at, node: MasterId(2), term: 7 }),
            (Seq(42), Moment::Event(Event { at, kind: jump })),
        ];
        assert_eq!(found, expected);
        assert_eq!(pending, None);
    }
}
