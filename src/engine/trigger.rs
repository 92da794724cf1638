//! From triggers to fires: which nominal times have come, which were missed, which fires stand for them.
//!
//! The next time derives from a trigger's `evaluated_up_to`, never from now, so none is lost or made twice.

use crate::model::id::{TriggerId, WorkflowName};
use crate::model::policy::{Misfire, Overlap};
use crate::model::schedule::{Zone, business_date, due, next_fire, previous_fire};
use crate::model::time::Timestamp;
use crate::model::trigger::{Coordinator, FireKey, Occurrence, Trigger};
use crate::say;

use super::engine::Step;
use super::event::EventKind;
use super::state::{Fire, FireSkip, FireState, State};

/// Most fires made of one trigger in one go; more are continued at once.
const FIRES_MAX: usize = 256;

/// Trigger id of fires that completed latches make.
pub const LATCH_TRIGGER: &str = "depend";
/// Trigger id of instances that a person or program asked for.
pub const MANUAL_TRIGGER: &str = "manual";

/// A trigger with the coordinator's window taken into account.
pub(super) fn effective(coordinator: &Coordinator, trigger: &Trigger) -> Trigger {
    let mut trigger = trigger.clone();
    let (outer, inner) = (coordinator.window, &mut trigger.window);
    inner.from = inner.from.max(outer.from);
    inner.to = match (inner.to, outer.to) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    trigger
}

impl State {
    /// The next nominal time of any trigger of an enabled workflow.
    pub(super) fn next_time(&self, name: &WorkflowName) -> Option<Timestamp> {
        if !self.is_enabled(name) {
            return None;
        }
        let version = self.current_version(name)?;
        let coordinator = version.definition().coordinator.as_ref()?;
        let marks = coordinator.triggers.iter().filter_map(|trigger| {
            let mark = self.triggers.get(&(name.clone(), trigger.id.clone()))?;
            next_fire(&effective(coordinator, trigger), &self.cluster.zone, mark.evaluated_up_to)
        });
        marks.min()
    }
}

impl Step<'_> {
    /// Makes the fires of a workflow whose times have come.
    pub(super) fn evaluate(&mut self, name: &WorkflowName) {
        self.live.agenda.replan.insert(name.clone());
        if !self.state.is_enabled(name) {
            return;
        }
        let Some(version) = self.state.current_version(name).cloned() else { return };
        let Some(coordinator) = &version.definition().coordinator else { return };
        let mut times: Vec<(Timestamp, usize)> = Vec::new();
        for (at, trigger) in coordinator.triggers.iter().enumerate() {
            let key = (name.clone(), trigger.id.clone());
            let Some(mark) = self.state.triggers.get(&key).map(|mark| mark.evaluated_up_to) else { continue };
            let found = find(coordinator, &effective(coordinator, trigger), &self.state.cluster.zone, mark, self.wall);
            if let Some((from, to)) = found.missed {
                self.emit(EventKind::FiresMissed { workflow: name.clone(), trigger: trigger.id.clone(), from, to });
                let message = say!("trigger {}: times from {} to {} were missed", trigger.id, from, to);
                self.attention(format!("workflow:{}", name), message);
            }
            if let Some(up_to) = found.up_to {
                self.emit(EventKind::TriggerAdvanced { workflow: name.clone(), trigger: trigger.id.clone(), up_to });
            }
            times.extend(found.times.into_iter().map(|time| (time, at)));
        }
        // At one nominal time in document order: the first is the one that others merge into.
        times.sort();
        for (nominal, at) in times {
            self.place(name, coordinator, &coordinator.triggers[at], nominal);
        }
    }

    fn place(&mut self, name: &WorkflowName, coordinator: &Coordinator, trigger: &Trigger, nominal: Timestamp) {
        let occurrence = Occurrence::Nominal(nominal);
        let key = FireKey { workflow: name.clone(), trigger: trigger.id.clone(), occurrence };
        // A person may have taken this occurrence with `trigger --nominal`.
        if self.state.fires.contains_key(&key) {
            return;
        }
        let zone = trigger.zone.unwrap_or(self.state.cluster.zone);
        let twin = trigger.params.is_empty().then(|| self.twin(coordinator, &key, nominal)).flatten();
        let older = self.older_pending(coordinator, &key);
        let fire = Fire {
            nominal,
            due: due(nominal, trigger.jitter, name, &trigger.id, &key.occurrence),
            business_date: business_date(nominal, &zone, coordinator.business_date.as_ref()),
            zone,
            placed: self.at,
            unmet: self.state.unmet(name, coordinator),
            state: FireState::Pending,
            is_resting: false,
            key: key.clone(),
        };
        let n_waiting = self.state.derived.n_pending(name) + self.state.derived.n_queued(name);
        let limit = self.state.current_version(name).map_or(1, |version| version.definition().instance_limit);
        // With nothing ahead of it, a fire that has a place does not wait.
        let is_free = n_waiting == 0
            && fire.unmet.is_empty()
            && (coordinator.overlap == Overlap::Allow || self.state.derived.n_started(name) < limit as usize);
        let queue_limit = self.settings.limits.queue_of(Some(coordinator));
        let is_full = n_waiting >= queue_limit as usize && !is_free;
        self.emit(EventKind::FirePlaced { fire: Box::new(fire) });
        if let Some(into) = twin {
            self.emit(EventKind::FireSettled { key, state: FireState::Merged { into, at: self.at } });
            return;
        }
        if is_full && older.is_none() {
            self.skip_fire(&key, FireSkip::QueueFull);
            let message = say!("a fire of trigger {} is skipped: {} wait already", trigger.id, queue_limit);
            self.attention(format!("workflow:{}", name), message);
            return;
        }
        if let Some(older) = older {
            let state = FireState::Superseded { by: key, at: self.at };
            self.emit(EventKind::FireSettled { key: older, state });
        }
    }

    /// A fire of another trigger at the same nominal time, which this one merges into.
    fn twin(&self, coordinator: &Coordinator, key: &FireKey, nominal: Timestamp) -> Option<FireKey> {
        let others = coordinator.triggers.iter().filter(|other| other.id != key.trigger && other.params.is_empty());
        others
            .map(|other| FireKey {
                workflow: key.workflow.clone(),
                trigger: other.id.clone(),
                occurrence: Occurrence::Nominal(nominal),
            })
            .find(|twin| {
                self.state.fires.get(twin).is_some_and(|fire| match &fire.state {
                    FireState::Pending | FireState::Started { .. } => true,
                    FireState::Merged { .. } | FireState::Superseded { .. } | FireState::Skipped { .. } => false,
                })
            })
    }

    /// With latches a trigger has at most one pending fire: the newest.
    fn older_pending(&self, coordinator: &Coordinator, key: &FireKey) -> Option<FireKey> {
        if coordinator.prerequisites.is_empty() {
            return None;
        }
        self.state.pending_fires(&key.workflow).find(|other| other.trigger == key.trigger).cloned()
    }

    pub(super) fn skip_fire(&mut self, key: &FireKey, reason: FireSkip) {
        self.emit(EventKind::FireSettled { key: key.clone(), state: FireState::Skipped { reason, at: self.at } });
        self.consume_latches(&key.workflow);
    }

    pub(super) fn consume_latches(&mut self, name: &WorkflowName) {
        if self.state.latches_of(name).next().is_some() {
            self.emit(EventKind::LatchesCleared { workflow: name.clone() });
        }
    }
}

/// What has come of one trigger since its mark.
struct Found {
    /// Times to make fires of, oldest first.
    times: Vec<Timestamp>,
    /// First and last of the times that are not made up for.
    missed: Option<(Timestamp, Timestamp)>,
    /// The new mark; `None`: nothing came.
    up_to: Option<Timestamp>,
}

fn find(coordinator: &Coordinator, trigger: &Trigger, zone: &Zone, mark: Timestamp, now: Timestamp) -> Found {
    let policy = &coordinator.misfire;
    let Some(first) = next_fire(trigger, zone, mark).filter(|first| *first <= now) else {
        return Found { times: Vec::new(), missed: None, up_to: None };
    };
    // Times before this were found late: nobody led when they came.
    let late_before = now.plus_ms(-policy.grace.0);
    let mut recent = Vec::new();
    let mut up_to = now;
    let mut after = mark.max(late_before.plus_ms(-1));
    while let Some(next) = next_fire(trigger, zone, after).filter(|next| *next <= now) {
        recent.push(next);
        after = next;
        if recent.len() == FIRES_MAX {
            up_to = next;
            break;
        }
    }
    if first >= late_before {
        return Found { times: recent, missed: None, up_to: Some(up_to) };
    }
    let made_up = match policy.policy {
        Misfire::None => 0,
        // The newest of all: a time that was not late is newer than any that was.
        Misfire::Last => usize::from(recent.is_empty()),
        Misfire::All => (policy.max as usize).min(FIRES_MAX),
    };
    let oldest = mark.max(now.plus_ms(-policy.window.0).plus_ms(-1));
    let mut late = Vec::new();
    let mut before = late_before;
    while late.len() < made_up {
        match previous_fire(trigger, zone, before).filter(|previous| *previous > oldest) {
            Some(previous) => {
                late.push(previous);
                before = previous;
            }
            None => break,
        }
    }
    late.reverse();
    let last_missed = previous_fire(trigger, zone, late.first().copied().unwrap_or(late_before));
    let missed = last_missed.filter(|last| *last >= first).map(|last| (first, last));
    late.extend(recent);
    Found { times: late, missed, up_to: Some(up_to) }
}

/// Is this trigger id one of a definition's own?
pub(super) fn is_own(coordinator: Option<&Coordinator>, id: &TriggerId) -> bool {
    coordinator.is_some_and(|coordinator| coordinator.triggers.iter().any(|trigger| trigger.id == *id))
}
