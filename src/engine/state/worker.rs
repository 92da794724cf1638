//! Workers as the log knows them. Whether one is heard right now is in the engine's `Live`, never here.

use serde::{Deserialize, Serialize};

use crate::model::duration::Millis;
use crate::model::id::{Boot, Epoch, Principal, WorkerId};
use crate::model::time::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    pub name: WorkerId,
    pub identity: WorkerIdentity,
    /// Rises when the same worker comes back after a boot of its machine: attempts of earlier ones are dead.
    pub machine_boots: u32,
    pub slots: u32,
    pub labels: Vec<String>,
    pub hosts: Vec<String>,
    pub version: String,
    pub presence: Presence,
    /// Takes no new attempts.
    pub is_draining: bool,
    pub registered: Timestamp,
    /// Of attempts whose node says nothing; `None`: as the leader's settings say.
    #[serde(default)]
    pub lease: Option<Millis>,
    /// The last leadership that it registered with: later ones have never renewed a lease of it.
    #[serde(default)]
    pub seen_epoch: Epoch,
}

/// What proves that a worker is the same one, and that its machine was started anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerIdentity {
    /// UUID of its data directory.
    pub uuid: String,
    pub machine: String,
    /// The kernel's boot id.
    pub machine_boot: String,
    /// Start counter of the worker process.
    pub boot: Boot,
}

impl WorkerIdentity {
    /// The same data directory on the same machine.
    pub fn is_same_worker(&self, other: &WorkerIdentity) -> bool {
        self.uuid == other.uuid && self.machine == other.machine
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    Online {
        since: Timestamp,
    },
    /// Not heard of for longer than the loss time.
    Silent {
        since: Timestamp,
        /// No leadership has renewed a lease of it later, as far as the leading one knows.
        #[serde(default)]
        heard: Option<Timestamp>,
    },
    DeclaredDead {
        at: Timestamp,
        by: Principal,
        why: String,
    },
}

impl Worker {
    pub fn is_online(&self) -> bool {
        matches!(self.presence, Presence::Online { .. })
    }

    /// `online`, `silent` or `dead`; `draining` while it is online and takes nothing new.
    pub fn word(&self) -> &'static str {
        match &self.presence {
            Presence::Online { .. } if self.is_draining => "draining",
            Presence::Online { .. } => "online",
            Presence::Silent { .. } => "silent",
            Presence::DeclaredDead { .. } => "dead",
        }
    }
}
