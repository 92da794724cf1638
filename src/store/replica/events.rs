//! Which events are the history of an instance, and which that of the cluster as a whole.

use crate::engine::LogRecord;
use crate::engine::event::{Event, EventKind, NodeRef};
use crate::engine::state::{FileState, State};
use crate::model::id::{InstanceNumber, Seq};
use crate::model::time::Timestamp;

use super::super::types::{EntryData, Happening, Measurement};

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
        | EventKind::Measured { attempt, .. }
        | EventKind::ResultStale { attempt, .. } => Some(attempt.instance),
        EventKind::MailOwed { mail } => mail.items.first().map(|item| item.instance),
        EventKind::MailAdded { item, .. } => Some(item.instance),
        // Of the cluster, a workflow, a worker; and being put away or fetched is not history.
        _ => None,
    }
}

/// Adds what an applied record measured, with the names that its numbers stand for. `state` is that right after it.
pub(super) fn of_monitors(measured: &mut Vec<Measurement>, base: Seq, record: &LogRecord, state: &State) {
    let LogRecord::Events(entry) = record else { return };
    for (seq, event) in (base.0 + 1..).map(Seq).zip(&entry.events) {
        let EventKind::Measured { attempt, measured: found } = &event.kind else { continue };
        let head = state.instances.get(&attempt.instance);
        let Some((head, node)) = head.zip(state.node_name(NodeRef::from(*attempt))) else { continue };
        let (workflow, measured_now) = (head.workflow.clone(), (**found).clone());
        measured.push(Measurement { workflow, node, seq, attempt: *attempt, measured: measured_now });
    }
}

/// Adds what an applied record means for the cluster. `base` is the number of the event before its first, `clock`
/// the time of the last event that was applied.
pub(super) fn of_cluster(happened: &mut Vec<Happening>, base: Seq, record: &LogRecord, clock: Timestamp) {
    match record {
        LogRecord::TakeOver(taken) => {
            // A clock that is behind must not put a take-over before what it comes after.
            let at = taken.at.max(clock);
            happened.push(Happening::TookOver { seq: base, at, node: taken.node, epoch: taken.epoch });
        }
        LogRecord::Events(entry) => {
            let numbered = (base.0 + 1..).map(Seq).zip(&entry.events);
            let kept = numbered.filter(|(_, event)| is_of_cluster(&event.kind));
            happened.extend(kept.map(|(seq, event)| Happening::Event { seq, event: without_bulk(event) }));
        }
    }
}

fn is_of_cluster(kind: &EventKind) -> bool {
    match kind {
        EventKind::ClusterFounded { .. }
        | EventKind::ClockJumped { .. }
        | EventKind::FeatureLevelRaised { .. }
        | EventKind::AttentionRaised { .. }
        | EventKind::MailFaulted { .. }
        | EventKind::LinkPut { .. }
        | EventKind::LinkRemoved { .. }
        | EventKind::WorkerRegistered { .. }
        | EventKind::WorkerSeen { .. }
        | EventKind::WorkerSilent { .. }
        | EventKind::WorkerDraining { .. }
        | EventKind::WorkerDeclaredDead { .. }
        | EventKind::WorkerRemoved { .. }
        | EventKind::DefinitionAdded { .. }
        | EventKind::OriginChanged { .. }
        | EventKind::FileAbsenceChanged { .. }
        | EventKind::EnableChanged { .. }
        | EventKind::WorkflowReset { .. }
        | EventKind::WorkflowRemoved { .. } => true,
        EventKind::FileRecorded { state, .. } => matches!(state, FileState::Failed),
        _ => false,
    }
}

/// What a list of events says of it needs the first diagnostic alone, and no chunk.
fn without_bulk(event: &Event) -> Event {
    let mut event = event.clone();
    match &mut event.kind {
        EventKind::FileRecorded { diagnostics, .. } => diagnostics.truncate(1),
        EventKind::DefinitionAdded { chunks, .. } => chunks.clear(),
        // Nobody opens it again: an old secret need not be kept, sealed or not.
        EventKind::LinkPut { link, .. } => link.sealed.clear(),
        _ => {}
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::entry::{Entry, TakeOver};
    use crate::model::id::{Boot, Epoch, MasterId, WorkerId};

    #[test]
    fn a_take_over_has_its_own_time_whatever_was_before_and_comes_after() {
        let taken = |at| TakeOver { node: MasterId(2), boot: Boot(1), term: 5, epoch: Epoch(2), at: Timestamp(at) };
        let silent =
            Event { at: Timestamp(901), kind: EventKind::WorkerSilent { worker: WorkerId::from("w1"), heard: None } };
        let started = Event { at: Timestamp(900), kind: EventKind::InstanceStarted { instance: InstanceNumber(1) } };
        let events = vec![started, silent.clone()];
        let entry = LogRecord::Events(Entry { epoch: Epoch(2), base_seq: Seq(7), feature_level: 1, events });
        for (of_its_clock, said) in [(800, 800), (90, 100)] {
            let mut happened = Vec::new();
            of_cluster(&mut happened, Seq(7), &LogRecord::TakeOver(taken(of_its_clock)), Timestamp(100));
            of_cluster(&mut happened, Seq(7), &entry, Timestamp(901));
            let expected = [
                Happening::TookOver { seq: Seq(7), at: Timestamp(said), node: MasterId(2), epoch: Epoch(2) },
                Happening::Event { seq: Seq(9), event: silent.clone() },
            ];
            assert_eq!(happened, expected);
        }
    }
}
