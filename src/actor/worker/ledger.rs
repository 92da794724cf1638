//! What a worker knows of attempts, and the rules of taking, killing and forgetting them. No clock, no I/O.
//!
//! ```text
//! (unknown) ─ dispatch ─► Live ─ end ─► Ended ─ ack, 10 min ─► (forgotten)
//!     └─ kill ─► Tombstone ─ ack, 10 min ─► (forgotten)
//! ```
//! It changes by `apply(&Record)` alone; the journal holds the records, so a restart ends in the same state.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::actor::protocol::worker::{AttemptReport, ReportedState};
use crate::model::assignment::{Outcome, RetryRules};
use crate::model::duration::Millis;
use crate::model::id::{AttemptId, Epoch};
use crate::model::time::Timestamp;

/// One change, as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// A daemon began. Another boot id than before proves every live attempt dead.
    Opened {
        boot_id: String,
    },
    Epoch(Epoch),
    Accepted {
        attempt: AttemptId,
        live: Box<Live>,
    },
    Started {
        attempt: AttemptId,
        started: Timestamp,
    },
    Ended {
        attempt: AttemptId,
        report: Box<Report>,
    },
    /// It was accepted, and it is certain that no process was or will be started for it.
    NeverStarted {
        attempt: AttemptId,
    },
    Tombstoned {
        attempt: AttemptId,
        epoch: Epoch,
    },
    Acknowledged {
        attempt: AttemptId,
        at: Timestamp,
    },
    Forgotten {
        attempt: AttemptId,
    },
}

/// An attempt whose process runs, or is about to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// The epoch that dispatched it.
    pub epoch: Epoch,
    /// Name of its spool and work directories and of its socket.
    pub name: String,
    pub token: String,
    pub cgroup: Option<String>,
    pub retry_rules: RetryRules,
    pub accepted: Timestamp,
    pub started: Option<Timestamp>,
    /// Its shim ends it this long after the last sign of a leader; `None`: never.
    #[serde(default)]
    pub lease: Option<Millis>,
}

/// How an attempt ended, for the master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    Finished { outcome: Outcome, n_log_lines: u64 },
    Unproven { message: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Live(Live),
    Ended {
        epoch: Epoch,
        report: Report,
    },
    Tombstone {
        epoch: Epoch,
    },
    /// Result or tombstone are committed; the id is kept against late orders.
    Done {
        epoch: Epoch,
        was: Done,
        at: Timestamp,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    Ended,
    Tombstone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DispatchVerdict {
    Take,
    /// Known already: nothing is done a second time.
    Known,
    Tombstoned,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillVerdict {
    /// It runs here.
    Kill,
    /// Not here: the tombstone is (or is to be) in the ledger.
    Tombstone { is_new: bool },
    /// It has ended; its result says so.
    Ended,
}

#[derive(Debug, Default)]
pub struct Ledger {
    entries: BTreeMap<AttemptId, Entry>,
    highest_epoch: Epoch,
    boot_id: String,
    n_live: usize,
}

impl Ledger {
    pub fn on_dispatch(&self, attempt: AttemptId) -> DispatchVerdict {
        match self.entries.get(&attempt) {
            None => DispatchVerdict::Take,
            Some(Entry::Live(_) | Entry::Ended { .. } | Entry::Done { was: Done::Ended, .. }) => DispatchVerdict::Known,
            Some(Entry::Tombstone { .. } | Entry::Done { was: Done::Tombstone, .. }) => DispatchVerdict::Tombstoned,
        }
    }

    pub fn on_kill(&self, attempt: AttemptId) -> KillVerdict {
        match self.entries.get(&attempt) {
            None => KillVerdict::Tombstone { is_new: true },
            Some(Entry::Live(_)) => KillVerdict::Kill,
            Some(Entry::Ended { .. } | Entry::Done { was: Done::Ended, .. }) => KillVerdict::Ended,
            Some(Entry::Tombstone { .. } | Entry::Done { was: Done::Tombstone, .. }) => {
                KillVerdict::Tombstone { is_new: false }
            }
        }
    }

    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Opened { boot_id } => self.boot_id.clone_from(boot_id),
            Record::Epoch(epoch) => self.highest_epoch = self.highest_epoch.max(*epoch),
            Record::Accepted { attempt, live } => self.put(*attempt, Entry::Live((**live).clone())),
            Record::Started { attempt, started } => {
                if let Some(Entry::Live(live)) = self.entries.get_mut(attempt) {
                    live.started = Some(*started);
                }
            }
            Record::Ended { attempt, report } => {
                if let Some(Entry::Live(live)) = self.entries.get(attempt) {
                    let epoch = live.epoch;
                    self.put(*attempt, Entry::Ended { epoch, report: (**report).clone() });
                }
            }
            Record::NeverStarted { attempt } | Record::Forgotten { attempt } => self.take(*attempt),
            Record::Tombstoned { attempt, epoch } => self.put(*attempt, Entry::Tombstone { epoch: *epoch }),
            Record::Acknowledged { attempt, at } => {
                let done = match self.entries.get(attempt) {
                    Some(Entry::Ended { epoch, .. }) => Entry::Done { epoch: *epoch, was: Done::Ended, at: *at },
                    Some(Entry::Tombstone { epoch }) => Entry::Done { epoch: *epoch, was: Done::Tombstone, at: *at },
                    Some(Entry::Live(_) | Entry::Done { .. }) | None => return,
                };
                self.put(*attempt, done);
            }
        }
    }

    pub fn entry(&self, attempt: AttemptId) -> Option<&Entry> {
        self.entries.get(&attempt)
    }

    pub fn live(&self) -> impl Iterator<Item = (AttemptId, &Live)> {
        self.entries.iter().filter_map(|(attempt, entry)| match entry {
            Entry::Live(live) => Some((*attempt, live)),
            Entry::Ended { .. } | Entry::Tombstone { .. } | Entry::Done { .. } => None,
        })
    }

    pub fn n_live(&self) -> usize {
        self.n_live
    }

    /// What the master has not acknowledged.
    pub fn unacknowledged(&self) -> impl Iterator<Item = (AttemptId, &Entry)> {
        self.entries.iter().filter_map(|(attempt, entry)| match entry {
            Entry::Ended { .. } | Entry::Tombstone { .. } => Some((*attempt, entry)),
            Entry::Live(_) | Entry::Done { .. } => None,
        })
    }

    /// Acknowledged before `before`.
    pub fn forgettable(&self, before: Timestamp) -> Vec<AttemptId> {
        self.entries
            .iter()
            .filter(|(_, entry)| matches!(entry, Entry::Done { at, .. } if *at < before))
            .map(|(attempt, _)| *attempt)
            .collect()
    }

    pub fn highest_epoch(&self) -> Epoch {
        self.highest_epoch
    }

    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// What a master may not know yet. What it has acknowledged is committed and left out: that can be very much.
    pub fn inventory(&self) -> Vec<AttemptReport> {
        self.entries
            .iter()
            .filter_map(|(attempt, entry)| {
                let (epoch, state) = match entry {
                    Entry::Live(Live { epoch, started: Some(started), .. }) => {
                        (*epoch, ReportedState::Running { started: *started })
                    }
                    Entry::Live(live) => (live.epoch, ReportedState::Accepted),
                    Entry::Ended { epoch, report: Report::Finished { .. } } => (*epoch, ReportedState::Finished),
                    Entry::Ended { epoch, report: Report::Unproven { .. } } => (*epoch, ReportedState::Unproven),
                    Entry::Tombstone { epoch } => (*epoch, ReportedState::Tombstoned),
                    Entry::Done { .. } => return None,
                };
                Some(AttemptReport { attempt: *attempt, epoch, state })
            })
            .collect()
    }

    /// The records that make an equal ledger: what a new journal begins with.
    pub fn records(&self) -> Vec<Record> {
        let mut records = vec![Record::Opened { boot_id: self.boot_id.clone() }, Record::Epoch(self.highest_epoch)];
        for (&attempt, entry) in &self.entries {
            match entry {
                Entry::Live(live) => records.push(Record::Accepted { attempt, live: Box::new(live.clone()) }),
                Entry::Ended { epoch, report } => {
                    records.push(Record::Accepted { attempt, live: Box::new(Live::past(*epoch)) });
                    records.push(Record::Ended { attempt, report: Box::new(report.clone()) });
                }
                Entry::Tombstone { epoch } => records.push(Record::Tombstoned { attempt, epoch: *epoch }),
                Entry::Done { epoch, was: Done::Tombstone, at } => {
                    records.push(Record::Tombstoned { attempt, epoch: *epoch });
                    records.push(Record::Acknowledged { attempt, at: *at });
                }
                Entry::Done { epoch, was: Done::Ended, at } => {
                    let report = Report::Unproven { message: String::new() };
                    records.push(Record::Accepted { attempt, live: Box::new(Live::past(*epoch)) });
                    records.push(Record::Ended { attempt, report: Box::new(report) });
                    records.push(Record::Acknowledged { attempt, at: *at });
                }
            }
        }
        records
    }

    fn put(&mut self, attempt: AttemptId, entry: Entry) {
        self.n_live += usize::from(matches!(entry, Entry::Live(_)));
        let old = self.entries.insert(attempt, entry);
        self.n_live -= usize::from(matches!(old, Some(Entry::Live(_))));
    }

    fn take(&mut self, attempt: AttemptId) {
        let old = self.entries.remove(&attempt);
        self.n_live -= usize::from(matches!(old, Some(Entry::Live(_))));
    }
}

impl Live {
    /// Of an attempt that has ended: only the epoch still matters.
    fn past(epoch: Epoch) -> Self {
        Live {
            epoch,
            name: String::new(),
            token: String::new(),
            cgroup: None,
            retry_rules: RetryRules::default(),
            accepted: Timestamp(0),
            started: None,
            lease: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(number: u32) -> AttemptId {
        format!("1.1.2.0.{number}").parse().unwrap()
    }

    fn accepted(number: u32) -> Record {
        Record::Accepted { attempt: attempt(number), live: Box::new(Live::past(Epoch(4))) }
    }

    fn ended(number: u32) -> Record {
        Record::Ended { attempt: attempt(number), report: Box::new(Report::Unproven { message: "m".into() }) }
    }

    fn ledger(records: &[Record]) -> Ledger {
        let mut ledger = Ledger::default();
        records.iter().for_each(|record| ledger.apply(record));
        ledger
    }

    #[test]
    fn the_same_dispatch_is_taken_once_whatever_became_of_it() {
        let mut ledger = ledger(&[]);
        assert_eq!(ledger.on_dispatch(attempt(1)), DispatchVerdict::Take);
        for record in [accepted(1), ended(1), Record::Acknowledged { attempt: attempt(1), at: Timestamp(5) }] {
            ledger.apply(&record);
            assert_eq!(ledger.on_dispatch(attempt(1)), DispatchVerdict::Known, "{record:?}");
        }
        assert_eq!(ledger.n_live(), 0);
    }

    #[test]
    fn a_kill_before_its_dispatch_leaves_a_tombstone() {
        let mut ledger = ledger(&[]);
        assert_eq!(ledger.on_kill(attempt(1)), KillVerdict::Tombstone { is_new: true });
        ledger.apply(&Record::Tombstoned { attempt: attempt(1), epoch: Epoch(2) });
        assert_eq!(ledger.on_kill(attempt(1)), KillVerdict::Tombstone { is_new: false });
        assert_eq!(ledger.on_dispatch(attempt(1)), DispatchVerdict::Tombstoned);
        ledger.apply(&Record::Acknowledged { attempt: attempt(1), at: Timestamp(9) });
        assert_eq!(ledger.on_dispatch(attempt(1)), DispatchVerdict::Tombstoned);
        assert_eq!(ledger.forgettable(Timestamp(9)), []);
        assert_eq!(ledger.forgettable(Timestamp(10)), [attempt(1)]);
    }

    #[test]
    fn an_attempt_that_never_started_may_be_dispatched_again() {
        let ledger = ledger(&[accepted(1), Record::NeverStarted { attempt: attempt(1) }]);
        assert_eq!(ledger.on_dispatch(attempt(1)), DispatchVerdict::Take);
        assert!(ledger.inventory().is_empty());
    }

    #[test]
    fn the_records_of_a_ledger_make_an_equal_one() {
        let first = ledger(&[
            Record::Opened { boot_id: "b".into() },
            Record::Epoch(Epoch(7)),
            Record::Epoch(Epoch(3)),
            accepted(1),
            Record::Started { attempt: attempt(1), started: Timestamp(8) },
            accepted(2),
            ended(2),
            accepted(3),
            ended(3),
            Record::Acknowledged { attempt: attempt(3), at: Timestamp(1) },
            Record::Tombstoned { attempt: attempt(4), epoch: Epoch(2) },
            accepted(5),
            Record::Forgotten { attempt: attempt(5) },
        ]);
        let second = ledger(&first.records());
        assert_eq!(first.entries, second.entries);
        assert_eq!((second.highest_epoch(), second.boot_id(), second.n_live()), (Epoch(7), "b", 1));
        assert_eq!(first.inventory(), second.inventory());
        let told: Vec<AttemptId> = first.inventory().iter().map(|report| report.attempt).collect();
        assert_eq!(told, [attempt(1), attempt(2), attempt(4)], "what is acknowledged is not told again");
    }
}
