//! The raft log: entries, vote and purge point in `raft.db`, on disk before anything is acknowledged. (`durable` says how
//! that is with what a leader appends.)
//!
//! One thread (`writer`) owns the file; everything else talks to it over a channel. The entries of the last
//! minutes are kept in memory, so that replicating and applying them reads no file. A failed write poisons
//! the log: every later call fails too, openraft stops, and the process exits.

mod cache;
mod durable;
mod offline;
mod rows;
mod writer;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use openraft::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader, StorageIOError};
use tokio::sync::oneshot;

pub use self::durable::{Durable, Marker, durable_below};
pub use self::offline::OfflineLog;

use self::cache::Cache;
use self::writer::{Job, Writer};
use super::types::{LogEntry, LogId, StorageError, TypeConfig, Vote};
use super::{Space, StoreError};

/// Whose log it is. Written when the file is made, compared ever after: a voter that came back with another
/// disk or another list of voters could split the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogIdentity {
    pub cluster: String,
    pub voter: u64,
    pub members: BTreeMap<u64, String>,
}

pub struct LogConfig {
    pub file: PathBuf,
    pub identity: LogIdentity,
    /// At most this much in one AppendEntries, or a single entry.
    pub append_bytes_max: usize,
    /// Whose ballast is given up when the disk is full.
    pub space: Option<Arc<Space>>,
}

/// Handle to the log; clones share it.
#[derive(Clone)]
pub struct RaftLog {
    shared: Arc<Shared>,
}

struct Shared {
    file: PathBuf,
    voter: u64,
    append_bytes_max: usize,
    jobs: std::sync::mpsc::Sender<Job>,
    durable: Durable,
    state: Mutex<LogMemory>,
}

/// What is known without asking the file.
struct LogMemory {
    cache: Cache,
    last: Option<LogId>,
    purged: Option<LogId>,
    committed: Option<LogId>,
    vote: Option<Vote>,
    /// Bytes of entries by their index, in steps, for purging by size.
    sizes: BTreeMap<u64, u64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// Entries per step of `LogMemory::sizes`.
const SIZE_STEP: u64 = 256;

/// What an existing file says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSummary {
    pub cluster: String,
    /// No entry and no vote: only such a log may be initialised.
    pub is_pristine: bool,
}

impl RaftLog {
    /// Looks at an existing file; `None` where there is no log yet.
    pub fn peek(file: &Path) -> Result<Option<LogSummary>, StoreError> {
        if !file.exists() {
            return Ok(None);
        }
        rows::summary(&super::file::open_writer(file, true)?, file)
    }

    /// Opens or makes the file and starts its thread.
    pub fn open(config: LogConfig) -> Result<Self, StoreError> {
        let LogConfig { file, identity, append_bytes_max, space } = config;
        let opened = rows::open(&file, &identity)?;
        let (jobs, inbox) = std::sync::mpsc::channel();
        let end = opened.last.max(opened.purged).map_or(0, |last| last.index + 1);
        let (marker, durable) = durable_below(end, file.clone());
        let writer = Writer::new(opened.connection, file.clone(), opened.purged, space, marker);
        let thread = std::thread::Builder::new()
            .name("raft-log".to_owned())
            .spawn(move || writer.run(inbox))
            .map_err(|error| StoreError::io(&file, error))?;
        let state = LogMemory {
            cache: Cache::default(),
            last: opened.last,
            purged: opened.purged,
            committed: opened.committed,
            vote: opened.vote,
            sizes: opened.sizes,
            thread: Some(thread),
        };
        let voter = identity.voter;
        Ok(Self { shared: Arc::new(Shared { file, voter, append_bytes_max, jobs, durable, state: Mutex::new(state) }) })
    }

    /// True until the first entry or vote: only such a log may be initialised.
    pub fn is_pristine(&self) -> bool {
        let memory = self.memory();
        memory.last.is_none() && memory.purged.is_none() && memory.vote.is_none()
    }

    pub fn last(&self) -> Option<LogId> {
        self.memory().last
    }

    /// How far the log is on disk, for those who must not go ahead of it.
    pub fn durable(&self) -> Durable {
        self.shared.durable.clone()
    }

    /// Bytes of all entries held.
    pub fn bytes(&self) -> u64 {
        self.memory().sizes.values().sum()
    }

    /// The index up to which entries can go while about `keep_bytes` of the newest stay.
    pub fn purgeable_for(&self, keep_bytes: u64) -> Option<u64> {
        let memory = self.memory();
        let mut kept = 0;
        for (step, bytes) in memory.sizes.iter().rev() {
            kept += bytes;
            if kept > keep_bytes {
                return (step * SIZE_STEP).checked_sub(1);
            }
        }
        None
    }

    #[cfg(test)]
    pub fn stall_for_test(&self, time: std::time::Duration) {
        let release = self.hold_for_test();
        std::thread::spawn(move || {
            std::thread::sleep(time);
            drop(release);
        });
    }

    /// Writes nothing until the sender is gone.
    #[cfg(test)]
    pub fn hold_for_test(&self) -> std::sync::mpsc::Sender<()> {
        let (release, held) = std::sync::mpsc::channel();
        let _ = self.shared.jobs.send(Job::Hold(held));
        release
    }

    /// Stops the thread after what it was given. Later calls fail with `Closed`.
    pub fn close(&self) {
        let thread = self.memory().thread.take();
        let _ = self.shared.jobs.send(Job::Stop);
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }

    /// Does this voter append the entry as the leader of its term? From another leader it is on disk before the answer.
    fn leads_with(&self, vote: &Vote, entry: &LogEntry) -> bool {
        let (leads, of) = (vote.leader_id(), entry.log_id.leader_id);
        leads.voted_for() == Some(self.shared.voter) && of.node_id == self.shared.voter && of.term == leads.term
    }

    fn memory(&self) -> MutexGuard<'_, LogMemory> {
        self.shared.state.lock().expect("no code panics while it holds the log's memory")
    }

    async fn ask<T>(&self, make: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job) -> Result<T, StoreError> {
        let closed = || StoreError::Closed { file: self.shared.file.clone() };
        let (sender, answer) = oneshot::channel();
        self.shared.jobs.send(make(sender)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    async fn read(&self, start: u64, end: u64, byte_limit: usize) -> Result<Vec<LogEntry>, StoreError> {
        let start = {
            let memory = self.memory();
            let first = memory.purged.map_or(0, |purged| purged.index + 1);
            let (start, end) = (start.max(first), end.min(memory.last.map_or(0, |last| last.index + 1)));
            if start >= end {
                return Ok(Vec::new());
            }
            if let Some(entries) = memory.cache.range(start, end, byte_limit) {
                return Ok(entries);
            }
            start
        };
        self.ask(|reply| Job::Read { start, end, byte_limit, reply }).await
    }
}

impl RaftLogReader<TypeConfig> for RaftLog {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<LogEntry>, StorageError> {
        let start = match range.start_bound() {
            Bound::Included(at) => *at,
            Bound::Excluded(at) => at.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(at) => at.saturating_add(1),
            Bound::Excluded(at) => *at,
            Bound::Unbounded => u64::MAX,
        };
        self.read(start, end, usize::MAX).await.map_err(|error| StorageIOError::read_logs(&error).into())
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<LogEntry>, StorageError> {
        self.read(start, end, self.shared.append_bytes_max)
            .await
            .map_err(|error| StorageIOError::read_logs(&error).into())
    }
}

impl RaftLogStorage<TypeConfig> for RaftLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let memory = self.memory();
        Ok(LogState { last_purged_log_id: memory.purged, last_log_id: memory.last.max(memory.purged) })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let vote = *vote;
        self.ask(|reply| Job::SaveVote { vote, reply }).await.map_err(|error| StorageIOError::write_vote(&error))?;
        self.memory().vote = Some(vote);
        Ok(())
    }

    /// What openraft starts with. A voter that led when its process ended has to be elected again: openraft would let
    /// it lead on in the same term, but of that term others may have entries that were not on its own disk yet
    /// (ADR 0016), and it would give their indexes to other entries.
    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        let own = self.shared.voter;
        let vote = self.memory().vote;
        Ok(vote.map(|vote| Vote { committed: vote.committed && vote.leader_id.node_id != own, ..vote }))
    }

    /// Costs no fsync: the next entry's row carries it. What is lost of it with a power cut is committed
    /// again by the next leader before anything new is.
    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        self.memory().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        Ok(self.memory().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let committed = self.memory().committed;
        let (mut rows, mut is_own) = (Vec::new(), true);
        for entry in entries {
            let row = rows::encode(&entry, committed).map_err(|error| StorageIOError::write_logs(&error))?;
            let mut memory = self.memory();
            is_own &= memory.vote.is_some_and(|vote| self.leads_with(&vote, &entry));
            memory.last = Some(entry.log_id);
            *memory.sizes.entry(row.index / SIZE_STEP).or_default() += row.body.len() as u64;
            memory.cache.push(entry, row.body.len());
            rows.push(row);
        }
        // openraft waits for the callback before it sends the entries to anybody.
        let (callback, at_once) = if is_own { (None, Some(callback)) } else { (Some(callback), None) };
        self.shared.jobs.send(Job::Append { rows, callback }).map_err(|_| {
            let closed = StoreError::Closed { file: self.shared.file.clone() };
            StorageIOError::write_logs(&closed)
        })?;
        if let Some(callback) = at_once {
            callback.log_io_completed(Ok(()));
        }
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let from = log_id.index;
        let previous = self
            .ask(|reply| Job::Truncate { from, reply })
            .await
            .map_err(|error| StorageIOError::write_logs(&error))?;
        let mut memory = self.memory();
        memory.cache.truncate(from);
        memory.last = previous.or(memory.purged);
        // The step that holds `from` keeps counting what was cut: purging by size is approximate.
        memory.sizes.split_off(&(from / SIZE_STEP + 1));
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.ask(|reply| Job::Purge { upto: log_id, reply })
            .await
            .map_err(|error| StorageIOError::write_logs(&error))?;
        let mut memory = self.memory();
        memory.purged = memory.purged.max(Some(log_id));
        memory.last = memory.last.max(memory.purged);
        memory.cache.purge(log_id.index);
        memory.sizes = memory.sizes.split_off(&(log_id.index / SIZE_STEP));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
