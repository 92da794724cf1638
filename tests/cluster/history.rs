//! What is known after a run, from sources that owe each other nothing: what clients asked and were told, what the
//! voters' logs hold, what tasks wrote about themselves. All times are nanoseconds of the boot clock, which never jumps
//! and is the same for everybody on one machine.

use std::collections::BTreeMap;

pub type Nanos = u64;

pub fn now() -> Nanos {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).expect("the boot clock is readable");
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

pub const MS: Nanos = 1_000_000;

/// One request of a client, repeated under its key until its outcome was known.
#[derive(Debug, Clone, PartialEq)]
pub struct Op {
    pub key: String,
    pub what: Asked,
    pub invoked: Nanos,
    pub outcome: Told,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    Enable { workflow: String, on: bool },
    Run { workflow: String },
    Kill { instance: u64 },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// Acknowledged: it may never be lost.
    Ok { at: Nanos, seq: u64, instances: Vec<u64> },
    /// Refused: it may have no effect.
    Failed { at: Nanos, why: String },
    /// No answer, or none that says: one effect at most.
    Unknown { why: String },
}

/// An event of the replicated log that counts, as a replica sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Of the log entry.
    pub index: u64,
    pub term: u64,
    pub epoch: u64,
    pub seq: u64,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    TakeOver { node: u64 },
    Answered { key: String },
    Enabled { workflow: String, on: bool },
    Created { instance: u64, workflow: String, key: Option<String> },
    Began { instance: u64 },
    Stopping { instance: u64, is_kill: bool },
    Finished { instance: u64, end: String },
    Queued { instance: u64, node: String },
    Done { instance: u64, node: String, end: String },
    Dispatched { attempt: Attempt, worker: String },
    Ended { attempt: Attempt, end: String, exit_code: Option<i32> },
    Stale { attempt: Attempt },
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt {
    pub instance: u64,
    pub node: String,
    pub number: u32,
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}/{} attempt {}", self.instance, self.node, self.number)
    }
}

/// A process of an attempt, by its own account.
#[derive(Debug, Clone, PartialEq)]
pub struct Life {
    pub attempt: Attempt,
    /// The epoch that sent it, from its fence.
    pub epoch: u64,
    pub pid: u32,
    /// A descendant, not the process that the worker started.
    pub is_child: bool,
    pub start: Nanos,
    /// The last sign of it; its end, if it wrote one.
    pub last: Nanos,
    pub exit: Option<i32>,
}

/// The log of one voter, as hashes of its entries by index.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Replica {
    pub node: String,
    pub entries: BTreeMap<u64, u64>,
    /// The highest index that is known to be committed.
    pub committed: u64,
    /// Set when the replica itself found an event that cannot be.
    pub diverged: Option<String>,
}

/// A workflow, as far as the rules depend on it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rules {
    pub instance_limit: usize,
    /// Nodes that must have ended before this one starts.
    pub before: BTreeMap<String, Vec<String>>,
    /// Most attempts by node: one, the retries, and those that a loss may cost.
    pub attempts_max: BTreeMap<String, usize>,
    /// `on-lost="fail"`: never a second start.
    pub once: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub struct History {
    pub ops: Vec<Op>,
    /// Of the voter with the longest committed log.
    pub records: Vec<Record>,
    pub replicas: Vec<Replica>,
    pub lives: Vec<Life>,
    /// What reads said after calm returned: workflow → enabled.
    pub enabled_at_end: BTreeMap<String, bool>,
    /// Instances that were not terminal after calm returned.
    pub unfinished: Vec<u64>,
    /// Processes of tasks that lived after everything had ended.
    pub alive_at_end: Vec<u32>,
    pub rules: BTreeMap<String, Rules>,
    pub slots: BTreeMap<String, usize>,
    /// From the acknowledgement of a kill until no process may be left.
    pub kill_max: Nanos,
    /// A worker was away for longer than its lease: its attempts may have been given up.
    pub may_lose_attempts: bool,
    /// Of the rounds that count.
    pub gaps: Vec<Gap>,
}

/// A fault, and how long it was until the next leadership showed.
#[derive(Debug, Clone, PartialEq)]
pub struct Gap {
    pub scenario: &'static str,
    pub fault: Nanos,
    /// From the fault to the first acknowledgement of an event of a later epoch.
    pub commit: Option<Nanos>,
    /// From the fault to the first start of a task that a later epoch sent.
    pub start: Option<Nanos>,
    /// What I20 allows.
    pub commit_max: Nanos,
    pub start_max: Nanos,
}
