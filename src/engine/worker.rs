//! Workers: registration and adoption, silence, loss, drain.
//!
//! An attempt is given up only when it is known dead: its worker's machine was started anew, the worker found
//! nothing and left a tombstone, or a person declared the worker dead. Silence alone proves nothing, unless a lease
//! ends the attempt (`lease`).

use std::collections::BTreeMap;

use crate::model::duration::Millis;
use crate::model::id::{AttemptId, WorkerId};
use crate::say;

use super::command::{InventoryState, Registration, Rejected, Reply};
use super::effect::Effect;
use super::engine::{Engine, LiveWorker, Step};
use super::event::{EventKind, NodeRef};
use super::state::{AttemptState, NodeState, Presence};

const SLOTS_MAX: u32 = 10_000;
const LABELS_MAX: usize = 256;

impl Step<'_> {
    pub(super) fn register_worker(&mut self, registration: Registration) -> Result<Reply, Rejected> {
        let name = registration.worker.clone();
        if registration.slots == 0 || registration.slots > SLOTS_MAX || registration.labels.len() > LABELS_MAX {
            return Err(Rejected::Invalid(say!(
                "a worker has 1 to {} slots and at most {} labels",
                SLOTS_MAX,
                LABELS_MAX
            )));
        }
        if self.live.workers.get(&name).is_some_and(|live| live.session > registration.session) {
            return Err(Rejected::StaleSession);
        }
        let old = self.state.workers.get(&name);
        let is_another = old.is_some_and(|old| !old.identity.is_same_worker(&registration.identity));
        if is_another && self.state.derived.attempts.contains_key(&name) {
            return Err(Rejected::conflict_hint(
                say!("another worker named {} may still run attempts", name),
                say!("start it again, or `ractorflow worker declare-dead {}`, or choose another name", name),
            ));
        }
        let is_news = old.is_none_or(|old| {
            !old.is_online()
                || old.identity != registration.identity
                || old.slots != registration.slots
                || old.labels != registration.labels
                || old.hosts != registration.hosts
                || old.version != registration.version
                || old.lease != registration.lease
        });
        if is_news {
            self.emit(EventKind::WorkerRegistered {
                worker: name.clone(),
                identity: registration.identity,
                slots: registration.slots,
                labels: registration.labels,
                hosts: registration.hosts,
                version: registration.version,
                lease: registration.lease,
            });
        }
        let epoch = self.state.cluster.epoch;
        if self.state.workers.get(&name).is_some_and(|worker| worker.seen_epoch < epoch) {
            self.emit(EventKind::WorkerSeen { worker: name.clone(), epoch });
        }
        let session = registration.session;
        let live = LiveWorker { session, is_linked: true, heard: self.mono, is_clock_off: false, held_until: None };
        self.live.workers.insert(name.clone(), live);
        self.live.agenda.dispatch = true;
        // Before anything else that goes to it.
        self.effects.push(Effect::AdmitWorker { worker: name.clone(), session });
        let inventory: BTreeMap<AttemptId, InventoryState> =
            registration.inventory.into_iter().map(|item| (item.attempt, item.is)).collect();
        self.reconcile(&name, &inventory);
        // What is of an earlier boot of its machine is dealt with from there.
        self.live.agenda.workers.insert(name);
        Ok(Reply::Registered { epoch })
    }

    /// Compares what the log says of a worker's attempts with what the worker has.
    fn reconcile(&mut self, name: &WorkerId, inventory: &BTreeMap<AttemptId, InventoryState>) {
        let boots = self.state.workers.get(name).map_or(0, |worker| worker.machine_boots);
        let mine: Vec<AttemptId> = self.state.derived.attempts.get(name).into_iter().flatten().copied().collect();
        for (attempt, is) in inventory {
            if *is == InventoryState::Alive && !mine.contains(attempt) {
                self.effects.push(Effect::KillAttempt {
                    worker: name.clone(),
                    attempt: *attempt,
                    grace: self.settings.kill_grace,
                    why: "superseded".to_owned(),
                });
            }
        }
        for attempt in mine {
            let id = NodeRef::from(attempt);
            let Some(node) = self.state.nodes.get(&id) else { continue };
            let Some(live) = node.live_attempt() else { continue };
            if live.worker_boot < boots {
                continue;
            }
            let is_lost = matches!(node.state, NodeState::Lost { .. });
            let (is_stopping, is_unproven) = (node.stop.is_some(), live.is_unproven);
            let has_started = matches!(live.state, AttemptState::Running);
            match inventory.get(&attempt) {
                Some(InventoryState::Alive) => {
                    self.live.doubted.remove(&attempt);
                    self.live.declined.remove(&attempt);
                    if is_lost {
                        self.emit(EventKind::NodeFound { node: id });
                    }
                    // To be stopped, or not known to have started: the worker tells again what it knows.
                    if is_stopping || !has_started {
                        self.send_again(attempt);
                    }
                }
                // Its result is on the way.
                Some(InventoryState::Finished) => {
                    if is_lost {
                        self.emit(EventKind::NodeFound { node: id });
                    }
                }
                Some(InventoryState::Tombstone) => self.lose(attempt),
                Some(InventoryState::Unproven) => {
                    if !is_lost || !is_unproven {
                        self.emit(EventKind::NodeLost { node: id, asks: false, unproven: true });
                    }
                }
                // The dispatch never arrived: the same attempt again, which is a no-op if it did after all.
                None if !has_started && !is_stopping => {
                    if is_lost {
                        self.emit(EventKind::NodeFound { node: id });
                    }
                    self.send_again(attempt);
                }
                // It is not where it ran: the worker must look everywhere and leave a tombstone.
                None => {
                    self.live.doubted.insert(attempt);
                    self.send_again(attempt);
                }
            }
        }
    }

    pub(super) fn send_again(&mut self, attempt: AttemptId) {
        self.live.awaits(attempt, self.mono);
        self.resend();
    }

    /// `Done`: it counts as a sign of life and may be answered, which renews the worker's leases. Nothing else may.
    pub(super) fn worker_heard(&mut self, name: &WorkerId, session: u64, clock_off: Millis) -> Result<Reply, Rejected> {
        let is_online = self.state.workers.get(name).is_some_and(super::state::Worker::is_online);
        let reply = match self.live.workers.get_mut(name) {
            Some(live) if live.session > session => return Err(Rejected::StaleSession),
            Some(live) if live.session == session && live.is_linked && is_online => {
                live.heard = self.mono;
                Reply::Done
            }
            // Given up as silent, or never heard by this leadership: its attempts must be compared first.
            Some(_) | None => {
                self.effects.push(Effect::AskToRegister { worker: name.clone() });
                Reply::Unchanged
            }
        };
        self.watch_clock_of(name, clock_off);
        Ok(reply)
    }

    /// A worker whose clock differs too much is told once per session, and again when it was right meanwhile.
    fn watch_clock_of(&mut self, name: &WorkerId, clock_off: Millis) {
        let is_off = clock_off.0.abs() > self.settings.clock_skew_max.0;
        let Some(live) = self.live.workers.get_mut(name).filter(|live| live.is_clock_off != is_off) else { return };
        live.is_clock_off = is_off;
        if is_off {
            let seconds = clock_off.0.unsigned_abs() / 1000;
            let message = match clock_off.0 < 0 {
                true => say!(
                    "the clock is {} s behind the master's: times that this worker says are wrong by that much",
                    seconds
                ),
                false => say!(
                    "the clock is {} s ahead of the master's: times that this worker says are wrong by that much",
                    seconds
                ),
            };
            self.attention(format!("worker:{name}"), message);
        }
    }

    pub(super) fn worker_unlinked(&mut self, name: &WorkerId, session: u64) -> Result<Reply, Rejected> {
        if let Some(live) = self.live.workers.get_mut(name).filter(|live| live.session == session) {
            live.is_linked = false;
        }
        Ok(Reply::Unchanged)
    }

    /// Workers that have been silent for too long.
    pub(super) fn watch_workers(&mut self) {
        let silent: Vec<WorkerId> = self
            .state
            .workers
            .values()
            .filter(|worker| worker.is_online())
            .filter(|worker| {
                let heard = self.live.workers.get(&worker.name).map_or(self.live.since, |live| live.heard);
                self.mono.0 - heard.0 >= self.settings.lost_after.0
            })
            .map(|worker| worker.name.clone())
            .collect();
        for name in silent {
            if let Some(live) = self.live.workers.get_mut(&name) {
                live.is_linked = false;
            }
            let silence = self.silence(&name);
            self.emit(silence);
            self.attention(format!("worker:{}", name), say!("not heard of any more"));
        }
    }

    /// Deals with a worker's attempts that are out of sight or known dead. False: more is left.
    pub(super) fn sweep(&mut self, name: &WorkerId) -> bool {
        let Some(worker) = self.state.workers.get(name) else { return true };
        let boots = worker.machine_boots;
        let is_silent = matches!(worker.presence, Presence::Silent { .. });
        if is_silent && self.state.derived.attempts.contains_key(name) {
            self.tell_silence(name);
        }
        let attempts: Vec<AttemptId> = self.state.derived.attempts.get(name).into_iter().flatten().copied().collect();
        for attempt in attempts {
            if self.is_full() {
                return false;
            }
            let id = NodeRef::from(attempt);
            let Some(node) = self.state.nodes.get(&id) else { continue };
            let is_dead = node.live_attempt().is_some_and(|live| live.worker_boot < boots);
            if is_dead {
                self.lose(attempt);
                continue;
            }
            if is_silent && !matches!(node.state, NodeState::Lost { .. }) {
                self.emit(EventKind::NodeLost { node: id, asks: false, unproven: false });
            }
            self.await_lease(attempt);
        }
        true
    }

    pub(super) fn drain_worker(&mut self, name: &WorkerId, draining: bool) -> Result<Reply, Rejected> {
        let worker = self.state.workers.get(name).ok_or_else(|| Rejected::no_worker(name))?;
        if worker.is_draining == draining {
            return Ok(Reply::Unchanged);
        }
        self.emit(EventKind::WorkerDraining { worker: name.clone(), draining });
        Ok(Reply::Done)
    }

    pub(super) fn declare_worker_dead(&mut self, name: &WorkerId, why: String) -> Result<Reply, Rejected> {
        super::instance::check_text(Some(&why))?;
        let worker = self.state.workers.get(name).ok_or_else(|| Rejected::no_worker(name))?;
        match &worker.presence {
            Presence::DeclaredDead { .. } => return Ok(Reply::Unchanged),
            Presence::Online { .. } if self.live.workers.get(name).is_some_and(|live| live.is_linked) => {
                return Err(Rejected::conflict_hint(
                    say!("worker {} is online", name),
                    say!("stop it first; then its attempts are known to be gone"),
                ));
            }
            Presence::Online { .. } | Presence::Silent { .. } => {}
        }
        let by = self.by.clone();
        self.emit(EventKind::WorkerDeclaredDead { worker: name.clone(), by, why });
        self.live.workers.remove(name);
        Ok(Reply::Done)
    }

    pub(super) fn remove_worker(&mut self, name: &WorkerId) -> Result<Reply, Rejected> {
        let worker = self.state.workers.get(name).ok_or_else(|| Rejected::no_worker(name))?;
        if worker.is_online() {
            return Err(Rejected::conflict(say!("worker {} is online", name)));
        }
        if self.state.derived.attempts.contains_key(name) {
            return Err(Rejected::conflict_hint(
                say!("worker {} may still run attempts", name),
                say!("`ractorflow worker declare-dead {}`", name),
            ));
        }
        self.emit(EventKind::WorkerRemoved { worker: name.clone() });
        self.live.workers.remove(name);
        Ok(Reply::Done)
    }
}

impl Engine {
    /// When the next worker will have been silent for too long.
    pub(super) fn next_silence(&self) -> Option<Millis> {
        let online = self.state.workers.values().filter(|worker| worker.is_online());
        online
            .map(|worker| {
                let heard = self.live.workers.get(&worker.name).map_or(self.live.since, |live| live.heard);
                Millis(heard.0 + self.settings.lost_after.0)
            })
            .min()
    }

    /// Is this worker linked to this leadership right now?
    pub fn is_linked(&self, worker: &WorkerId) -> bool {
        self.live.workers.get(worker).is_some_and(|live| live.is_linked)
    }
}
