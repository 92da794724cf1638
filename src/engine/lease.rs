//! Leases: an attempt on a worker that nobody hears is given up once its shim has ended it for certain.
//!
//! The wait counts from the last moment at which any leadership may have renewed the lease. This leadership knows
//! when it heard the worker itself. Of earlier ones it knows that each commits `WorkerSeen` before its first
//! answer: so nobody has renewed the lease after the first take-over that followed the last `WorkerSeen`, and when
//! that was each process remembers on its own clock. See `model::lease` for the rule of timing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::model::duration::Millis;
use crate::model::id::{AttemptId, Epoch, WorkerId};
use crate::model::lease;
use crate::model::policy::OnIsolation;
use crate::model::time::Timestamp;

use super::engine::{Live, Step};
use super::event::{EventKind, NodeRef};
use super::settings::Settings;
use super::state::{Attempt, Node, Presence, State, Version, Worker, policy};

/// Take-overs remembered; without the oldest ones the wait is only longer.
const TAKE_OVERS_MAX: usize = 1000;
/// A leader that comes so late to the end of a lease has slept itself, and the shim perhaps with it.
const OVERSLEPT_MS: i64 = 2000;
/// A difference of clocks that nobody needs to be told of.
const TOLD_WITHIN_MS: i64 = 2000;

/// When this process had applied which take-overs, by its own clock that never jumps.
#[derive(Debug, Clone, Default)]
pub struct TakeOvers {
    noted: BTreeMap<Epoch, Millis>,
}

impl TakeOvers {
    /// At `at` the take-over of `epoch` was in this process's state. The first note of an epoch counts; that of
    /// the epoch that a process starts with is the moment of its start.
    pub fn note(&mut self, epoch: Epoch, at: Millis) {
        self.noted.entry(epoch).or_insert(at);
        if self.noted.len() > TAKE_OVERS_MAX {
            self.noted.pop_first();
        }
    }

    /// A moment at which a leadership later than `seen` had begun.
    pub(super) fn after(&self, seen: Epoch) -> Option<Millis> {
        let later = (Bound::Excluded(seen), Bound::Unbounded);
        self.noted.range(later).next().map(|(_, at)| *at)
    }
}

/// Moments of attempts, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Timers {
    of: BTreeMap<AttemptId, Millis>,
    order: BTreeSet<(Millis, AttemptId)>,
}

impl Timers {
    pub fn set(&mut self, attempt: AttemptId, at: Millis) {
        self.clear(attempt);
        self.of.insert(attempt, at);
        self.order.insert((at, attempt));
    }

    pub fn clear(&mut self, attempt: AttemptId) {
        if let Some(at) = self.of.remove(&attempt) {
            self.order.remove(&(at, attempt));
        }
    }

    pub fn first(&self) -> Option<(Millis, AttemptId)> {
        self.order.first().copied()
    }
}

impl Live {
    /// No leadership has renewed a lease of this worker later than that.
    pub fn last_renewal(&self, worker: &Worker) -> Millis {
        match self.workers.get(&worker.name) {
            Some(live) => live.heard,
            None => self.take_overs.after(worker.seen_epoch).unwrap_or(self.since),
        }
    }
}

impl Step<'_> {
    /// Wall time of a moment of the other clock, as far as anybody can tell.
    fn wall_of(&self, mono: Millis) -> Timestamp {
        self.at.plus_ms(mono.0 - self.mono.0)
    }

    pub(super) fn silence(&self, name: &WorkerId) -> EventKind {
        let heard = self.state.workers.get(name).map(|worker| self.wall_of(self.live.last_renewal(worker)));
        EventKind::WorkerSilent { worker: name.clone(), heard }
    }

    /// Tells from when the leases of a silent worker count, where an earlier leadership knew something else.
    pub(super) fn tell_silence(&mut self, name: &WorkerId) {
        let Some(worker) = self.state.workers.get(name) else { return };
        let Presence::Silent { heard, .. } = &worker.presence else { return };
        let now = self.wall_of(self.live.last_renewal(worker));
        if heard.is_none_or(|heard| heard.since(now).abs() > TOLD_WITHIN_MS) {
            self.emit(EventKind::WorkerSilent { worker: name.clone(), heard: Some(now) });
        }
    }

    /// Sets the moment at which an attempt on a silent worker is over.
    pub(super) fn await_lease(&mut self, attempt: AttemptId) {
        match self.lease_over(attempt) {
            Some(at) => self.live.leases.set(attempt, at),
            None => self.live.leases.clear(attempt),
        }
    }

    /// Gives up what is over by now.
    pub(super) fn end_leases(&mut self) {
        while let Some((at, attempt)) = self.live.leases.first() {
            if at > self.mono || self.is_full() {
                break;
            }
            self.live.leases.clear(attempt);
            if self.mono.0 - at.0 > OVERSLEPT_MS {
                // Who wakes now ends what it should have ended meanwhile.
                let again = self.mono.0 + lease::KILL_GRACE.0 + lease::MARGIN.0;
                self.live.leases.set(attempt, Millis(again));
                continue;
            }
            match self.lease_over(attempt) {
                Some(over) if over <= self.mono => self.lose(attempt),
                Some(over) => self.live.leases.set(attempt, over),
                None => {}
            }
        }
    }

    fn lease_over(&self, attempt: AttemptId) -> Option<Millis> {
        let node = self.state.nodes.get(&NodeRef::from(attempt))?;
        let live = node.live_attempt().filter(|live| live.number == attempt.number)?;
        let worker = self.state.workers.get(&live.worker)?;
        let lease = binding_lease(live, worker)?;
        Some(Millis(self.live.last_renewal(worker).0.saturating_add(lease::over_after(lease).0)))
    }
}

/// The lease that ends a live attempt by itself, while its worker is silent.
fn binding_lease(live: &Attempt, worker: &Worker) -> Option<Millis> {
    let is_silent = matches!(worker.presence, Presence::Silent { .. });
    live.lease.filter(|_| is_silent && !live.is_unproven)
}

impl State {
    /// Of an attempt that goes to `worker` now; `None`: the task goes on whatever its worker hears, and is never
    /// given up because of silence.
    pub(super) fn lease(
        &self,
        settings: &Settings,
        node: &Node,
        version: &Version,
        worker: &WorkerId,
    ) -> Option<Millis> {
        let policy = policy(node, version).filter(|policy| policy.on_isolation == OnIsolation::Stop)?;
        let own = || self.workers.get(worker).and_then(|worker| worker.lease);
        settings.lease.map(|default| policy.lease.or_else(own).unwrap_or(default))
    }

    /// When a live attempt on a silent worker is over for certain, in wall time and about; `None`: nobody can know.
    pub(super) fn lease_ends(&self, live: &Attempt) -> Option<Timestamp> {
        let worker = self.workers.get(&live.worker)?;
        let Presence::Silent { heard: Some(heard), .. } = &worker.presence else { return None };
        Some(heard.plus_ms(lease::over_after(binding_lease(live, worker)?).0))
    }
}
