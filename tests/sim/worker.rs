//! A simulated worker: machine, daemon, journal, outbox, and tasks that outlive the daemon.
//!
//! What it knows of an attempt stands in the journal, which a crash of the daemon leaves and a boot of the
//! machine clears. Nothing here decides when things happen: the world does.

use std::collections::BTreeMap;

use ractorflow::engine::command::{InventoryItem, InventoryState, Registration};
use ractorflow::engine::state::WorkerIdentity;
use ractorflow::model::assignment::Outcome;
use ractorflow::model::id::{AttemptId, Boot, Epoch, WorkerId};
use ractorflow::model::time::Timestamp;

use crate::random::Random;
use crate::swarm::Swarm;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Journalled; its task has not begun.
    Accepted {
        began: u64,
    },
    Alive {
        started: Timestamp,
    },
    /// Ended; in the outbox until the leader has it for good.
    Finished {
        outcome: Box<Outcome>,
        is_acknowledged: bool,
    },
    Tombstone,
}

pub struct Worker {
    pub name: WorkerId,
    at: usize,
    slots: u32,
    pub machine_boot: u32,
    /// Starts of the daemon.
    pub boot: u64,
    pub is_machine_up: bool,
    pub is_running: bool,
    /// Off until a person's word that it is dead has been taken.
    pub is_held: bool,
    /// The link as this side sees it.
    pub session: Option<u64>,
    pub is_registered: bool,
    /// No link before this moment.
    pub cut_until: i64,
    pub epoch: Epoch,
    pub journal: BTreeMap<AttemptId, Known>,
    /// Running tasks, each with a token that its end must show.
    pub tasks: BTreeMap<AttemptId, u64>,
}

impl Worker {
    pub fn new(at: usize, random: &mut Random) -> Self {
        Self {
            name: WorkerId::from(format!("w{at}").as_str()),
            at,
            slots: random.range(2, 8) as u32,
            machine_boot: 1,
            boot: 1,
            is_machine_up: true,
            is_running: true,
            is_held: false,
            session: None,
            is_registered: false,
            cut_until: 0,
            epoch: Epoch(0),
            journal: BTreeMap::new(),
            tasks: BTreeMap::new(),
        }
    }

    pub fn registration(&self, session: u64, random: &mut Random, swarm: &Swarm, is_calm: bool) -> Registration {
        let unproven = if is_calm { 0 } else { swarm.unproven };
        let inventory = self
            .journal
            .iter()
            .filter_map(|(attempt, known)| {
                let is = match known {
                    Known::Accepted { .. } | Known::Alive { .. } if random.chance(unproven) => InventoryState::Unproven,
                    Known::Accepted { .. } | Known::Alive { .. } => InventoryState::Alive,
                    Known::Finished { is_acknowledged: false, .. } => InventoryState::Finished,
                    Known::Finished { is_acknowledged: true, .. } => return None,
                    Known::Tombstone => InventoryState::Tombstone,
                };
                Some(InventoryItem { attempt: *attempt, is })
            })
            .collect();
        Registration {
            worker: self.name.clone(),
            session,
            identity: WorkerIdentity {
                uuid: format!("uuid-{}", self.at),
                machine: format!("machine-{}", self.at),
                machine_boot: format!("boot-{}", self.machine_boot),
                boot: Boot(self.boot),
            },
            slots: self.slots,
            labels: vec![format!("label-w{}", self.at)],
            hosts: vec![format!("host-w{}", self.at)],
            version: "0.1.0".to_owned(),
            inventory,
        }
    }

    /// The daemon is gone; tasks go on under their shims.
    pub fn crash(&mut self) {
        self.is_running = false;
        self.unlink();
    }

    pub fn unlink(&mut self) {
        self.session = None;
        self.is_registered = false;
    }

    /// A daemon starts over the journal: what was accepted and never began will not begin any more.
    pub fn restart(&mut self) {
        self.is_running = true;
        self.boot += 1;
        for known in self.journal.values_mut() {
            if matches!(known, Known::Accepted { .. }) {
                *known = Known::Tombstone;
            }
        }
    }

    /// The machine loses power: every task is gone, and what was not on disk; whether a result was is chance.
    pub fn power_off(&mut self, random: &mut Random) -> Vec<AttemptId> {
        self.crash();
        self.is_machine_up = false;
        self.journal.retain(|_, known| matches!(known, Known::Finished { .. }) && random.chance(500));
        std::mem::take(&mut self.tasks).into_keys().collect()
    }

    pub fn power_on(&mut self) {
        self.is_machine_up = true;
        self.machine_boot += 1;
    }

    pub fn outbox(&self) -> Vec<(AttemptId, Outcome)> {
        self.journal
            .iter()
            .filter_map(|(attempt, known)| match known {
                Known::Finished { outcome, is_acknowledged: false } => Some((*attempt, (**outcome).clone())),
                Known::Finished { .. } | Known::Accepted { .. } | Known::Alive { .. } | Known::Tombstone => None,
            })
            .collect()
    }
}
