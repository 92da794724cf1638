//! The replicated state on this voter: in memory, and behind it on disk.
//!
//! `State` is changed by `machine` alone, with committed entries, on the leader too. The projector thread copies
//! what changed to `state.db` a little later; what is not there yet comes again from the log after a restart.
//! Readers take a short lock (`with_state`) or read the file (`readers`); `stream` replays what happened.

mod events;
mod machine;
mod projector;
mod ring;
mod stream;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::engine::state::{Archive, State};
use crate::model::id::{Epoch, Seq};

use super::state_db::{DiskArchive, Point, Readers, SnapshotFile, StateDb};
use super::types::{EntryData, Happening, LogId, Measurement, MeasurementsKept, Membership, SnapshotMeta};
use super::{Space, StoreError};

use self::projector::{Job, Projector};
use self::ring::Ring;

pub use self::machine::ReplicaMachine;
pub use self::stream::{Happened, Reset, Subscription};

/// Who reads asks for what is missing, and a restart takes it from the log: it is only the disk's work that counts.
pub const PROJECT_UNASKED: Duration = Duration::from_millis(200);
pub const FRESH_MAX: usize = 1_024;

pub struct ReplicaConfig {
    /// Where `state.db` is or will be.
    pub directory: PathBuf,
    /// The longest that a change waits before it is written to `state.db`, once somebody asks for it.
    pub project_every: Duration,
    /// The longest that it waits when nobody does.
    pub project_unasked: Duration,
    /// So many entries are enough to write them unasked.
    pub fresh_max: usize,
    /// Events kept in memory for streams.
    pub events_kept: usize,
    pub measurements_kept: MeasurementsKept,
    /// Whose ballast is given up when the disk is full.
    pub space: Option<Arc<Space>>,
}

impl ReplicaConfig {
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            project_every: Duration::from_millis(20),
            project_unasked: PROJECT_UNASKED,
            fresh_max: FRESH_MAX,
            events_kept: 100_000,
            measurements_kept: MeasurementsKept::default(),
            space: None,
        }
    }
}

/// Handle to the state; clones share it.
#[derive(Clone)]
pub struct Replica {
    shared: Arc<Shared>,
}

struct Shared {
    core: RwLock<Core>,
    ring: Mutex<Ring>,
    /// The last sequence number applied in memory.
    seq: watch::Sender<Seq>,
    /// The leadership that was applied last.
    epoch: watch::Sender<Epoch>,
    /// What `state.db` holds.
    durable: watch::Sender<Point>,
    snapshot: Mutex<Option<SnapshotMeta>>,
    failed: watch::Sender<Option<StoreError>>,
    /// The projector has been told that there is something to write.
    is_told: AtomicBool,
    /// And that it is waited for.
    is_hurried: AtomicBool,
    fresh_max: usize,
    skipped: AtomicU64,
    jobs: std::sync::mpsc::Sender<Job>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    readers: Readers,
    archive: Arc<dyn Archive>,
    queries: tokio::sync::Semaphore,
}

/// State and where in the log it is, always of the same moment.
struct Core {
    state: State,
    applied: Option<LogId>,
    membership: Membership,
    /// Applied since the last projection, each with the number of the event before its first.
    fresh: Vec<(Seq, EntryData)>,
    /// What of that is of the cluster as a whole.
    happened: Vec<Happening>,
    measured: Vec<Measurement>,
}

impl Core {
    fn point(&self) -> Point {
        Point {
            log_id: self.applied,
            membership: self.membership.clone(),
            seq: self.state.cluster.seq,
            epoch: self.state.cluster.epoch,
        }
    }
}

impl Replica {
    /// Loads the state as `state.db` has it. What the log has beyond that is applied by openraft when it starts.
    pub fn open(config: ReplicaConfig) -> Result<(Self, ReplicaMachine), StoreError> {
        SnapshotFile::sweep(&config.directory);
        let file = config.directory.join("state.db");
        let database = StateDb::open(&file)?;
        let readers = Readers::new(&file);
        let archive: Arc<dyn Archive> = Arc::new(DiskArchive::new(readers.clone()));
        let (state, point) = database.load()?;
        let core = Core {
            state: state.with_archive(archive.clone()),
            applied: point.log_id,
            membership: point.membership.clone(),
            fresh: Vec::new(),
            happened: Vec::new(),
            measured: Vec::new(),
        };
        let (jobs, inbox) = std::sync::mpsc::channel();
        let shared = Arc::new(Shared {
            core: RwLock::new(core),
            ring: Mutex::new(Ring::new(point.seq, config.events_kept)),
            seq: watch::Sender::new(point.seq),
            epoch: watch::Sender::new(point.epoch),
            snapshot: Mutex::new(point.log_id.is_some().then(|| point.snapshot_meta())),
            durable: watch::Sender::new(point),
            failed: watch::Sender::new(None),
            is_told: AtomicBool::new(false),
            is_hurried: AtomicBool::new(false),
            fresh_max: config.fresh_max,
            skipped: AtomicU64::new(0),
            jobs,
            thread: Mutex::new(None),
            readers,
            archive,
            queries: tokio::sync::Semaphore::new(super::query::CONCURRENT_MAX),
        });
        // The thread holds the state weakly: a replica that is dropped without `close` ends like a killed process.
        let projector = Projector::new(Arc::downgrade(&shared), database, &config);
        let thread = std::thread::Builder::new()
            .name("projector".to_owned())
            .spawn(move || projector.run(inbox))
            .map_err(|error| StoreError::io(&file, error))?;
        *lock(&shared.thread) = Some(thread);
        let replica = Self { shared };
        let machine = ReplicaMachine::new(replica.clone());
        Ok((replica, machine))
    }

    /// Reads the state in memory. Keep it short: applying waits meanwhile.
    pub fn with_state<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.read().state)
    }

    /// A copy of the whole state, for a new leader's engine.
    pub fn clone_state(&self) -> State {
        self.read().state.clone()
    }

    /// The last sequence number applied in memory.
    pub fn seq(&self) -> Seq {
        *self.shared.seq.borrow()
    }

    /// Changes with each applied entry.
    pub fn watch_seq(&self) -> watch::Receiver<Seq> {
        self.shared.seq.subscribe()
    }

    /// Changes with each take-over.
    pub fn watch_epoch(&self) -> watch::Receiver<Epoch> {
        self.shared.epoch.subscribe()
    }

    /// Where in the log the state in memory is.
    pub fn applied(&self) -> Option<LogId> {
        self.read().applied
    }

    /// What `state.db` holds: the point that a restart begins from.
    pub fn durable(&self) -> Point {
        self.shared.durable.borrow().clone()
    }

    /// Entries that took no effect since the start, because of another epoch or base.
    pub fn n_skipped(&self) -> u64 {
        self.shared.skipped.load(Ordering::Relaxed)
    }

    /// Waits until memory has reached `seq`; false when it has not after `timeout`.
    pub async fn reaches(&self, seq: Seq, timeout: Duration) -> bool {
        let mut applied = self.shared.seq.subscribe();
        let reached = applied.wait_for(|now| *now >= seq);
        tokio::time::timeout(timeout, reached).await.is_ok_and(|reached| reached.is_ok())
    }

    /// Waits until queries on `state.db` see everything up to `seq`; false when not after `timeout`.
    pub async fn is_queryable(&self, seq: Seq, timeout: Duration) -> bool {
        if self.shared.durable.borrow().seq >= seq {
            return true;
        }
        let mut durable = self.shared.durable.subscribe();
        // What is applied now. Of what comes later its own entry tells, and it may wait its time.
        self.shared.hurry();
        let reached = durable.wait_for(|point| point.seq >= seq);
        tokio::time::timeout(timeout, reached).await.is_ok_and(|reached| reached.is_ok())
    }

    /// Writes all that is applied to `state.db` now, and gives the point it holds then.
    pub async fn drain(&self) -> Result<Point, StoreError> {
        self.ask(|reply| Job::Drain { reply }).await
    }

    /// Connections for queries.
    pub fn readers(&self) -> &Readers {
        &self.shared.readers
    }

    /// What left memory, for the leader's engine.
    pub fn archive(&self) -> Arc<dyn Archive> {
        self.shared.archive.clone()
    }

    /// Waits for a failure of `state.db`, which must end the process.
    pub async fn failed(&self) -> StoreError {
        let mut failed = self.shared.failed.subscribe();
        loop {
            if let Some(error) = failed.borrow_and_update().clone() {
                return error;
            }
            if failed.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Everything from the event after `seq` on, or `Reset` when that is no longer in memory.
    pub fn subscribe_from(&self, seq: Seq) -> Result<Subscription, Reset> {
        Subscription::new(self.clone(), seq)
    }

    /// Writes what is not written, and closes the file.
    pub async fn close(&self) {
        let _ = self.ask(|reply| Job::Close { reply }).await;
        let thread = lock(&self.shared.thread).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    pub(super) async fn query_permit(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.shared.queries.acquire().await.ok()
    }

    async fn ask<T>(&self, make: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job) -> Result<T, StoreError> {
        let closed = || StoreError::Closed { file: self.shared.readers.file().to_owned() };
        let (reply, answer) = oneshot::channel();
        self.shared.jobs.send(make(reply)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    fn read(&self) -> RwLockReadGuard<'_, Core> {
        self.shared.core.read().expect("no code panics while it changes the state")
    }
}

impl Shared {
    fn write(&self) -> RwLockWriteGuard<'_, Core> {
        self.core.write().expect("no code panics while it changes the state")
    }

    /// Wakes the projector, once until it has looked.
    fn tell_projector(&self) {
        if !self.is_told.swap(true, Ordering::AcqRel) {
            let _ = self.jobs.send(Job::Changed);
        }
    }

    fn hurry(&self) {
        if !self.is_hurried.swap(true, Ordering::AcqRel) {
            let _ = self.jobs.send(Job::Hurry);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while it holds one of the replica's locks")
}

#[cfg(test)]
mod tests;
