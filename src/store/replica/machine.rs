//! openraft's state machine: applies committed entries to the state in memory.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use openraft::storage::RaftStateMachine;
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot, StorageIOError};

use crate::engine::entry::Applied as EngineApplied;
use crate::model::time::Timestamp;

use super::super::StoreError;
use super::super::raft_log::Durable;
use super::super::state_db::SnapshotFile;
use super::super::types::{
    Applied, EntryData, Happening, LogEntry, LogId, Membership, Outcome, SnapshotData, SnapshotMeta, StorageError,
    TypeConfig, VoterNode,
};
use super::events::{of_cluster, of_monitors};
use super::projector::Job;
use super::{Core, Replica, lock};

/// The one who may change the state. Given to openraft, kept by nobody else.
pub struct ReplicaMachine {
    replica: Replica,
    /// What is applied is on disk before.
    log: Option<Durable>,
}

/// Builds snapshots: as the state is on disk anyway, that is only to say what is there.
pub struct SnapshotBuilder {
    replica: Replica,
}

/// A replica cannot go on from here.
#[derive(Debug, thiserror::Error)]
#[error("apply an entry of feature level {0}: this build does not know it; upgrade this voter")]
struct TooNew(u32);

impl ReplicaMachine {
    pub(super) fn new(replica: Replica) -> Self {
        Self { replica, log: None }
    }

    /// Applies nothing that this log does not have on disk.
    pub fn behind(self, log: Durable) -> Self {
        Self { log: Some(log), ..self }
    }

    fn apply_one(&self, entry: LogEntry) -> Result<Applied, StorageError> {
        let shared = &self.replica.shared;
        let mut core = shared.write();
        core.applied = Some(entry.log_id);
        let outcome = match entry.payload {
            EntryPayload::Blank => Outcome::Applied,
            EntryPayload::Membership(membership) => {
                let members = |membership: &openraft::Membership<u64, VoterNode>| -> BTreeSet<u64> {
                    membership.nodes().map(|(id, _)| *id).collect()
                };
                let (before, after) = (members(core.membership.membership()), members(&membership));
                if before != after {
                    // An entry of membership has no time. This one differs by what the replicas need to hear of it, for
                    // people to read alone; and never lies before what it comes after.
                    let (seq, at) =
                        (core.state.cluster.seq, Timestamp::from(SystemTime::now()).max(core.state.cluster.clock));
                    let (joined, left) = (&after - &before, &before - &after);
                    let (joined, left) = (joined.into_iter().collect(), left.into_iter().collect());
                    core.happened.push(Happening::Members { seq, at, joined, left });
                }
                core.membership = Membership::new(Some(entry.log_id), membership);
                Outcome::Applied
            }
            EntryPayload::Normal(record) => self.apply_record(&mut core, entry.log_id, record)?,
        };
        Ok(Applied { seq: core.state.cluster.seq.0, outcome })
    }

    fn apply_record(&self, core: &mut Core, log_id: LogId, record: EntryData) -> Result<Outcome, StorageError> {
        let shared = &self.replica.shared;
        let base = core.state.cluster.seq;
        match core.state.apply_record(log_id.leader_id.term, &record) {
            EngineApplied::Applied => {
                let clock = core.state.cluster.clock;
                of_cluster(&mut core.happened, base, &record, clock);
                of_monitors(&mut core.measured, base, &record, &core.state);
                core.fresh.push((base, record.clone()));
                lock(&shared.ring).push(base, record);
                Ok(Outcome::Applied)
            }
            EngineApplied::Skipped(reason) => {
                shared.skipped.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%log_id, reason, "a log entry was skipped");
                Ok(Outcome::Skipped(reason.to_owned()))
            }
            EngineApplied::TooNew { feature_level } => {
                Err(StorageIOError::apply(log_id, &TooNew(feature_level)).into())
            }
        }
    }
}

impl RaftStateMachine<TypeConfig> for ReplicaMachine {
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), StorageError> {
        let core = self.replica.read();
        Ok((core.applied, core.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Applied>, StorageError>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<LogEntry> = entries.into_iter().collect();
        if let (Some(log), Some(last)) = (&self.log, entries.last()) {
            let written = log.reaches(last.log_id.index).await;
            written.map_err(|error| StorageIOError::write_logs(&error))?;
        }
        let applied = entries.into_iter().map(|entry| self.apply_one(entry)).collect();
        let shared = &self.replica.shared;
        shared.tell_projector();
        let (seq, epoch) = {
            let core = self.replica.read();
            if core.fresh.len() >= shared.fresh_max {
                shared.hurry();
            }
            (core.state.cluster.seq, core.state.cluster.epoch)
        };
        shared.seq.send_if_modified(|published| std::mem::replace(published, seq) != seq);
        shared.epoch.send_if_modified(|published| std::mem::replace(published, epoch) != epoch);
        applied
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder { replica: self.replica.clone() }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<SnapshotData>, StorageError> {
        let file = SnapshotFile::new_in(&self.replica.readers().directory());
        Ok(Box::new(SnapshotData::File { meta: SnapshotMeta::default(), file }))
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Box<SnapshotData>) -> Result<(), StorageError> {
        let failed = |error: StoreError| StorageIOError::write_snapshot(Some(meta.signature()), &error);
        let made = tokio::task::spawn_blocking(move || snapshot.into_file()).await;
        let made = made.map_err(|error| StorageIOError::write_snapshot(Some(meta.signature()), &error))?;
        let (_, file) = made.map_err(failed)?;
        let meta = meta.clone();
        let installed = self.replica.ask(|reply| Job::Install { meta: meta.clone(), file, reply }).await;
        Ok(installed.map_err(|error| StorageIOError::write_snapshot(Some(meta.signature()), &error))?)
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError> {
        let meta = lock(&self.replica.shared.snapshot).clone();
        Ok(meta.map(|meta| Snapshot { meta, snapshot: Box::new(self.replica.lazy_snapshot()) }))
    }
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError> {
        let drained = self.replica.drain().await;
        let point = drained.map_err(|error| StorageIOError::write_snapshot(None, &error))?;
        let meta = point.snapshot_meta();
        *lock(&self.replica.shared.snapshot) = Some(meta.clone());
        Ok(Snapshot { meta, snapshot: Box::new(self.replica.lazy_snapshot()) })
    }
}

impl Replica {
    fn lazy_snapshot(&self) -> SnapshotData {
        SnapshotData::Lazy { source: self.readers().file().to_owned(), directory: self.readers().directory() }
    }
}
