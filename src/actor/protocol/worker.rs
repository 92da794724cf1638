//! What a worker and the active Master say to each other.
//!
//! The worker opens: `Register` is a call, answered by `Registered` with the number of the session; every
//! later order names that session. What a worker reports (`Started`, `Finished`, …) it repeats until `Ack`;
//! what a Master orders (`Dispatch`, `Kill`) it may repeat at will: the same attempt again is a no-op.

use serde::{Deserialize, Serialize};

use crate::model::assignment::{Assignment, Outcome};
use crate::model::duration::Millis;
use crate::model::id::{AttemptId, Boot, Epoch, WorkerId};
use crate::model::time::Timestamp;

/// One registration of one worker with one leadership, given by the Master; never reused within an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionNumber(pub u64);

/// Worker → Master. Casts but for `Register`, which is a call answered by `Registered`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkerMessage {
    Register(Box<Register>),
    /// Every `heartbeat_ms`, and at once when load changes from or to full.
    Heartbeat(Heartbeat),
    /// The process runs. Said when it starts and again at the beginning of every session; needs no `Ack`.
    Started(Started),
    /// Repeated until acknowledged after commit.
    Finished(Box<Finished>),
    /// The dispatch was not taken, nothing was started and nothing will be.
    Refused(Refused),
    /// Answer to a `Kill` of attempts that this worker does not have: they are not here, and a later
    /// `Dispatch` of them will meet the tombstone. Repeated until acknowledged.
    Tombstoned {
        attempts: Vec<AttemptId>,
    },
    /// Processes of an attempt survive every kill, or its shim vanished and its processes cannot be proven
    /// gone. Repeated until acknowledged.
    Unproven {
        attempt: AttemptId,
        message: String,
    },
}

/// Master → worker. All casts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MasterMessage {
    /// The answer to `Register`.
    Registered(Registered),
    /// The answer to `Heartbeat`: echoes its nonce. Renews the leases of all attempts, from the moment at which the
    /// heartbeat was sent; said only by a leader whose quorum has just answered and whose engine has counted it.
    HeartbeatAnswered {
        session: SessionNumber,
        epoch: Epoch,
        nonce: u64,
    },
    Dispatch(Box<Dispatch>),
    Kill(Kill),
    /// These results (`Finished`, `Tombstoned`, `Unproven`) are committed and may be forgotten.
    Ack {
        session: SessionNumber,
        epoch: Epoch,
        attempts: Vec<AttemptId>,
    },
    /// No attempt listed will ever be dispatched again: its tombstone or result may go after ten minutes.
    SupersededUpTo {
        session: SessionNumber,
        epoch: Epoch,
        attempts: Vec<AttemptId>,
    },
    /// Take no new dispatches (`true`) or take them again.
    Drain {
        session: SessionNumber,
        epoch: Epoch,
        is_draining: bool,
    },
    /// Register again: the Master no longer trusts what it knows of this worker.
    RegisterAgain {
        epoch: Epoch,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    pub worker: WorkerId,
    /// UUID of the data directory: with `machine_id` it decides whether this is the *same* worker.
    pub data_id: String,
    /// Start counter of the daemon on this data directory.
    pub boot: Boot,
    /// The kernel's boot id: a new one proves that no earlier process lives.
    pub boot_id: String,
    pub machine_id: String,
    pub host: String,
    pub addresses: Vec<String>,
    pub labels: Vec<String>,
    pub slots: u32,
    pub version: String,
    pub highest_epoch: Epoch,
    pub is_draining: bool,
    /// Words of the action types that this build runs.
    pub action_types: Vec<String>,
    /// How the tree of an attempt is held together here: `cgroup` or `sweep`.
    pub containment: Containment,
    /// The lease of attempts whose node says nothing, as configured here; `None`: as the master is configured.
    #[serde(default)]
    pub lease: Option<Millis>,
    /// Echoed in `Registered`, as that of a heartbeat is.
    #[serde(default)]
    pub nonce: u64,
    /// Every attempt of which a Master may not know the end, also finished and tombstoned ones. Outcomes follow as
    /// `Finished`. At most as many as there are slots, and what waits in the outbox.
    pub inventory: Vec<AttemptReport>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Containment {
    Cgroup,
    Sweep,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptReport {
    pub attempt: AttemptId,
    /// The epoch that dispatched it; of a tombstone the epoch that killed it.
    pub epoch: Epoch,
    pub state: ReportedState,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportedState {
    /// Journaled, its process not yet started.
    Accepted,
    Running {
        started: Timestamp,
    },
    /// Its `Finished` is in the outbox.
    Finished,
    Tombstoned,
    /// Its processes cannot be proven gone: its `Unproven` is in the outbox.
    Unproven,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    pub session: SessionNumber,
    pub epoch: Epoch,
    /// How many masters must have all of a log before its spool goes.
    #[serde(default = "one")]
    pub log_copies: u32,
    /// Of the `Register` that it answers: the first sign of the leader, from which leases count.
    #[serde(default)]
    pub nonce: u64,
}

fn one() -> u32 {
    1
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    pub session: SessionNumber,
    /// Echoed in `HeartbeatAnswered`; the worker remembers when it sent it. Decides leases and the age of a dispatch.
    pub nonce: u64,
    pub load: Load,
    /// The worker's wall clock.
    #[serde(default)]
    pub wall: Option<Timestamp>,
}

/// What placement and pages want to know of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Load {
    pub attempts_running: u32,
    /// Results not acknowledged yet.
    pub outbox: u32,
    pub spool_bytes: u64,
    pub disk_free_bytes: u64,
    /// The kernel's one-minute load average, in hundredths.
    pub load_hundredths: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    pub session: SessionNumber,
    pub attempt: AttemptId,
    pub epoch: Epoch,
    /// On the worker's clock.
    pub started: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    pub session: SessionNumber,
    pub attempt: AttemptId,
    /// The epoch that dispatched it.
    pub epoch: Epoch,
    pub outcome: Outcome,
    /// Lines of its log, for pages; the log itself goes over bulk.
    pub n_log_lines: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub session: SessionNumber,
    pub attempt: AttemptId,
    pub reason: RefusalReason,
}

/// Why a dispatch was not taken. None of these is the task's fault: the Master dispatches again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// It names a session that is not the current one.
    OtherSession,
    /// A higher epoch was heard.
    OldEpoch,
    /// The last heartbeat answered was sent too long ago: the order may be stale.
    TooOld,
    /// A kill of this attempt came first.
    Tombstoned,
    Draining,
    /// The journal cannot be written, or the spool's disk is full.
    NoDisk,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispatch {
    pub session: SessionNumber,
    /// The leadership that sends it: may be higher than the one that dispatched it (`assignment.epoch`).
    pub epoch: Epoch,
    pub assignment: Assignment,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    pub session: SessionNumber,
    pub epoch: Epoch,
    pub attempt: AttemptId,
    /// From SIGTERM to SIGKILL.
    pub grace: Millis,
}

/// Worker → log store, over bulk: bytes of an attempt's log, packed as the spool packs them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogChunk {
    pub attempt: AttemptId,
    pub offset: u64,
    #[serde(with = "super::byte_string")]
    pub bytes: Vec<u8>,
    /// Nothing follows.
    pub is_end: bool,
    /// What is not there yet was dropped and never comes; `offset` is how long all of it was.
    #[serde(default)]
    pub is_cut: bool,
}

/// Log store → worker: everything before `offset` is on disk. A chunk beyond it is sent again from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogAck {
    pub attempt: AttemptId,
    pub offset: u64,
    pub is_complete: bool,
}

impl MasterMessage {
    /// The leadership that speaks; lower ones than the highest heard are refused.
    pub fn epoch(&self) -> Epoch {
        match self {
            MasterMessage::Registered(registered) => registered.epoch,
            MasterMessage::HeartbeatAnswered { epoch, .. }
            | MasterMessage::Ack { epoch, .. }
            | MasterMessage::SupersededUpTo { epoch, .. }
            | MasterMessage::Drain { epoch, .. }
            | MasterMessage::RegisterAgain { epoch } => *epoch,
            MasterMessage::Dispatch(dispatch) => dispatch.epoch,
            MasterMessage::Kill(kill) => kill.epoch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ProtocolError, decode, encode};
    use super::*;

    #[test]
    fn a_message_reads_back_as_it_was_written() {
        let kill = MasterMessage::Kill(Kill {
            session: SessionNumber(3),
            epoch: Epoch(7),
            attempt: "10342.1.5.0.2".parse().unwrap(),
            grace: Millis::seconds(10),
        });
        let bytes = encode(&kill).unwrap();
        assert_eq!(decode::<MasterMessage>(&bytes).unwrap(), kill);
        assert_eq!(kill.epoch(), Epoch(7));
    }

    #[test]
    fn a_log_chunk_costs_hardly_more_than_its_bytes() {
        let chunk = LogChunk {
            attempt: "1.1.1.0.1".parse().unwrap(),
            offset: 0,
            bytes: vec![0xff; 10_000],
            is_end: false,
            is_cut: false,
        };
        let bytes = encode(&chunk).unwrap();
        assert!(bytes.len() < 10_200, "{}", bytes.len());
        assert_eq!(decode::<LogChunk>(&bytes).unwrap(), chunk);
    }

    #[test]
    fn bytes_from_elsewhere_are_an_error_and_no_panic() {
        assert!(matches!(decode::<MasterMessage>(&[]), Err(ProtocolError::Empty)));
        assert!(matches!(decode::<MasterMessage>(&[9, 1, 2]), Err(ProtocolError::Version(9))));
        let whole = encode(&MasterMessage::RegisterAgain { epoch: Epoch(1) }).unwrap();
        for cut in 1..whole.len() {
            assert!(decode::<MasterMessage>(&whole[..cut]).is_err(), "{cut}");
        }
    }
}
