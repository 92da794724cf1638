//! Events of workers.

use crate::model::duration::Millis;
use crate::model::id::{Epoch, Principal, WorkerId};
use crate::model::time::Timestamp;

use super::super::state::{AggregateKey, Presence, State, Worker, WorkerIdentity};
use super::Illegal;

impl State {
    #[allow(clippy::too_many_arguments)] // the fields of one event
    pub(super) fn worker_registered(
        &mut self,
        name: &WorkerId,
        identity: &WorkerIdentity,
        slots: u32,
        labels: &[String],
        hosts: &[String],
        version: &str,
        lease: Option<Millis>,
        at: Timestamp,
    ) {
        let old = self.workers.get(name);
        let machine_boots = match old {
            Some(old) if old.identity.is_same_worker(identity) => {
                let is_new_boot = old.identity.machine_boot != identity.machine_boot;
                old.machine_boots + u32::from(is_new_boot)
            }
            Some(old) => old.machine_boots + 1,
            None => 1,
        };
        let since = match old.map(|old| &old.presence) {
            Some(Presence::Online { since }) => *since,
            Some(Presence::Silent { .. } | Presence::DeclaredDead { .. }) | None => at,
        };
        let worker = Worker {
            name: name.clone(),
            identity: identity.clone(),
            machine_boots,
            slots,
            labels: labels.to_vec(),
            hosts: hosts.to_vec(),
            version: version.to_owned(),
            presence: Presence::Online { since },
            is_draining: old.is_some_and(|old| old.is_draining),
            registered: at,
            lease,
            seen_epoch: old.map_or(Epoch(0), |old| old.seen_epoch),
        };
        self.workers.insert(name.clone(), worker);
        self.touch(AggregateKey::Worker(name.clone()));
    }

    fn with_worker(&mut self, name: &WorkerId, change: impl FnOnce(&mut Worker)) -> Result<(), Illegal> {
        let worker = self.workers.get_mut(name).ok_or_else(|| Illegal::new(format!("no worker {name}")))?;
        change(worker);
        self.touch(AggregateKey::Worker(name.clone()));
        Ok(())
    }

    pub(super) fn worker_seen(&mut self, name: &WorkerId, epoch: Epoch) -> Result<(), Illegal> {
        if epoch != self.cluster.epoch {
            return Err(Illegal::new(format!("worker {name} is seen by epoch {epoch}, which does not lead")));
        }
        self.with_worker(name, |worker| worker.seen_epoch = epoch)
    }

    pub(super) fn worker_silent(
        &mut self,
        name: &WorkerId,
        heard: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<(), Illegal> {
        self.with_worker(name, |worker| {
            let since = match &worker.presence {
                Presence::Silent { since, .. } => *since,
                Presence::Online { .. } | Presence::DeclaredDead { .. } => at,
            };
            worker.presence = Presence::Silent { since, heard };
        })
    }

    pub(super) fn worker_draining(&mut self, name: &WorkerId, draining: bool) -> Result<(), Illegal> {
        self.with_worker(name, |worker| worker.is_draining = draining)
    }

    pub(super) fn worker_declared_dead(
        &mut self,
        name: &WorkerId,
        by: &Principal,
        why: &str,
        at: Timestamp,
    ) -> Result<(), Illegal> {
        self.with_worker(name, |worker| {
            worker.presence = Presence::DeclaredDead { at, by: by.clone(), why: why.to_owned() };
            // Whatever it still runs belongs to the time before.
            worker.machine_boots += 1;
        })
    }

    pub(super) fn worker_removed(&mut self, name: &WorkerId) -> Result<(), Illegal> {
        if self.derived.attempts.contains_key(name) {
            return Err(Illegal::new(format!("worker {name} has live attempts")));
        }
        self.workers.remove(name).ok_or_else(|| Illegal::new(format!("no worker {name}")))?;
        self.touch(AggregateKey::Worker(name.clone()));
        Ok(())
    }
}
