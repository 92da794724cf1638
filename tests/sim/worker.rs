//! A simulated worker: machine, daemon, journal, outbox, and tasks that outlive the daemon under their shims.
//!
//! What it knows of an attempt stands in the journal, which a crash of the daemon leaves and a boot of the
//! machine clears. Nothing here decides when things happen: the world does.

use std::collections::{BTreeMap, BTreeSet};

use ractorflow::engine::command::{InventoryItem, InventoryState, Registration};
use ractorflow::engine::state::WorkerIdentity;
use ractorflow::model::assignment::Outcome;
use ractorflow::model::duration::Millis;
use ractorflow::model::id::{AttemptId, Boot, Epoch, WorkerId};
use ractorflow::model::lease::{self, Pings};
use ractorflow::model::time::Timestamp;

use crate::random::Random;
use crate::swarm::Swarm;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Journalled; its task has not begun. The lease counts from the last ping that was answered then.
    Accepted {
        began: u64,
        lease: Option<Lease>,
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

/// What the shim of an attempt was told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    pub length: Millis,
    pub from_ms: u64,
}

impl Lease {
    pub fn deadline(&self) -> i64 {
        lease::deadline_ms(self.from_ms, self.length) as i64
    }

    /// By a shim's clock that is as slow as clocks may be.
    pub fn ends(&self) -> i64 {
        self.deadline() + self.length.0 / 1000
    }
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
    /// The daemon is stopped until then: it neither reads nor acts, and what is sent to it waits.
    pub stopped_until: i64,
    /// What is sent to it before this moment comes later by so much.
    pub slow: (i64, i64),
    /// What it sends between these moments is lost, and nobody is told.
    pub mute: (i64, i64),
    /// Of the running daemon.
    pub pings: Pings,
    pub epoch: Epoch,
    pub journal: BTreeMap<AttemptId, Known>,
    /// Running tasks, each with a token that its end must show.
    pub tasks: BTreeMap<AttemptId, u64>,
    /// What ends running tasks by itself. A task without one runs on whatever happens.
    pub leases: BTreeMap<AttemptId, Lease>,
    /// Their shims are ending them already; a kill makes that no later.
    pub ending: BTreeSet<AttemptId>,
    /// Running tasks that only a kill ends, and whether their first kill was lost already.
    pub endless: BTreeMap<AttemptId, bool>,
    /// Of attempts whose node says nothing.
    lease: Option<Millis>,
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
            stopped_until: 0,
            slow: (0, 0),
            mute: (0, 0),
            pings: Pings::default(),
            epoch: Epoch(0),
            journal: BTreeMap::new(),
            tasks: BTreeMap::new(),
            leases: BTreeMap::new(),
            ending: BTreeSet::new(),
            endless: BTreeMap::new(),
            lease: random.chance(300).then(|| Millis(random.range(10_000, 40_000))),
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
            lease: self.lease,
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
        self.pings = Pings::default();
        self.stopped_until = 0;
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
        self.leases.clear();
        self.ending.clear();
        self.endless.clear();
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
