//! The thread that carries changes from memory to `state.db`.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::super::StoreError;
use super::super::space::{Space, with_ballast};
use super::super::state_db::{Batch, Point, SnapshotFile, StateDb};
use super::super::types::{MeasurementsKept, SnapshotMeta};
use super::events::of_instances;
use super::{ReplicaConfig, Shared, lock};

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

pub(super) enum Job {
    /// Something was applied.
    Changed,
    /// Somebody waits for it, or there is much of it.
    Hurry,
    /// Write all of it now.
    Drain { reply: Reply<Point> },
    /// Replace disk and memory by a snapshot.
    Install { meta: SnapshotMeta, file: SnapshotFile, reply: Reply<()> },
    /// Write all of it and end.
    Close { reply: Reply<()> },
}

pub(super) struct Projector {
    shared: Weak<Shared>,
    database: StateDb,
    every: Duration,
    unasked: Duration,
    /// When something was written last.
    written: Instant,
    space: Option<Arc<Space>>,
    measurements_kept: MeasurementsKept,
    /// Nothing is written after a failure: the process ends and the log has it all.
    failed: Option<StoreError>,
}

enum Next {
    GoOn,
    Stop,
}

impl Projector {
    pub fn new(shared: Weak<Shared>, database: StateDb, config: &ReplicaConfig) -> Self {
        let (every, space) = (config.project_every, config.space.clone());
        let unasked = config.project_unasked.max(every);
        let measurements_kept = config.measurements_kept;
        Self { shared, database, every, unasked, written: Instant::now(), space, measurements_kept, failed: None }
    }

    pub fn run(mut self, inbox: Receiver<Job>) {
        while let Ok(job) = inbox.recv() {
            let next = match job {
                Job::Changed => self.gather(&inbox, false),
                Job::Hurry => self.gather(&inbox, true),
                other => self.perform(other),
            };
            if matches!(next, Next::Stop) {
                break;
            }
        }
    }

    /// Lets changes collect for a while, so that one fsync serves many entries, and of rows that change with each
    /// of them only the last is written. Who asks for them does not wait so long.
    fn gather(&mut self, inbox: &Receiver<Job>, is_asked: bool) -> Next {
        let soon = self.written + self.every;
        let mut until = if is_asked { soon } else { Instant::now() + self.unasked };
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match inbox.recv_timeout(left) {
                Ok(Job::Changed) => {}
                Ok(Job::Hurry) => until = until.min(soon),
                Ok(other) => {
                    if matches!(self.perform(other), Next::Stop) {
                        return Next::Stop;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.project();
                    let _ = self.guard(|projector| projector.database.tidy());
                    return Next::GoOn;
                }
                Err(RecvTimeoutError::Disconnected) => return Next::Stop,
            }
        }
    }

    fn perform(&mut self, job: Job) -> Next {
        match job {
            Job::Changed | Job::Hurry => {}
            Job::Drain { reply } => {
                let _ = reply.send(self.project());
            }
            Job::Install { meta, file, reply } => {
                let installed = self.guard(|projector| projector.install(&meta, &file));
                let _ = reply.send(installed);
            }
            Job::Close { reply } => {
                let _ = reply.send(self.project().map(|_| ()));
                return Next::Stop;
            }
        }
        Next::GoOn
    }

    /// Copies what changed at one entry boundary and writes it in one transaction.
    fn project(&mut self) -> Result<Point, StoreError> {
        self.guard(|projector| {
            let Some(shared) = projector.shared.upgrade() else {
                return Err(StoreError::Closed { file: projector.database.file().to_owned() });
            };
            let (batch, fresh) = {
                let mut core = shared.write();
                // Cleared under the lock: what is applied after it tells again.
                shared.is_told.store(false, Ordering::Release);
                shared.is_hurried.store(false, Ordering::Release);
                let batch = Batch {
                    point: core.point(),
                    rows: core.state.drain_dirty(),
                    events: Vec::new(),
                    happened: std::mem::take(&mut core.happened),
                    measured: std::mem::take(&mut core.measured),
                    measurements_kept: projector.measurements_kept,
                };
                (batch, std::mem::take(&mut core.fresh))
            };
            if batch.point == *shared.durable.borrow() {
                return Ok(batch.point);
            }
            let batch = Batch { events: of_instances(fresh), ..batch };
            with_ballast(projector.space.as_deref(), || projector.database.write(&batch))?;
            shared.write().state.forget_rested(batch.point.seq);
            shared.durable.send_replace(batch.point.clone());
            projector.written = Instant::now();
            Ok(batch.point)
        })
    }

    fn install(&mut self, meta: &SnapshotMeta, file: &SnapshotFile) -> Result<(), StoreError> {
        let Some(shared) = self.shared.upgrade() else {
            return Err(StoreError::Closed { file: self.database.file().to_owned() });
        };
        with_ballast(self.space.as_deref(), || self.database.install(file.path()))?;
        let (state, point) = self.database.load()?;
        {
            // What was dirty is of a history that the snapshot replaces.
            let mut core = shared.write();
            core.state = state.with_archive(shared.archive.clone());
            core.applied = point.log_id;
            core.membership = point.membership.clone();
            core.fresh.clear();
            core.happened.clear();
            core.measured.clear();
            lock(&shared.ring).reset(point.seq);
            *lock(&shared.snapshot) = Some(meta.clone());
        }
        shared.seq.send_replace(point.seq);
        shared.epoch.send_replace(point.epoch);
        shared.durable.send_replace(point);
        Ok(())
    }

    fn guard<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let done = act(self);
        if let Err(error) = &done {
            self.failed = Some(error.clone());
            if let Some(shared) = self.shared.upgrade() {
                tracing::error!(%error, "the state cannot be written; this process has to end");
                shared.failed.send_replace(Some(error.clone()));
            }
        }
        done
    }
}
