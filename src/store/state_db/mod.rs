//! `state.db`: what the log adds up to, for restarts and queries.
//!
//! `StateDb` is the one writing connection; the projector thread of `replica` owns it. Rows of different
//! aggregates that one entry changed are written in one transaction together with the `Point` of the log
//! they are of, so the file is never between two entries. Start reading at `schema`.

mod archive;
pub mod body;
mod load;
pub mod measurement;
mod readers;
mod schema;
mod snapshot;
mod write;

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::engine::event::Event;
use crate::engine::state::{Aggregate, AggregateKey, State};
use crate::model::id::{Epoch, InstanceNumber, Seq};

use super::StoreError;
use super::types::{Happening, LogId, Measurement, MeasurementsKept, Membership, SnapshotMeta};
use super::{file, meta};

pub use archive::DiskArchive;
pub(super) use load::{fire as load_fire, generation as load_generation, instance as load_instance, node as load_node};
pub use readers::Readers;
pub(super) use snapshot::make_snapshot;
pub use snapshot::{SnapshotFile, backup, verify};

/// A moment of the log. `state.db` holds exactly what was applied up to it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Point {
    pub log_id: Option<LogId>,
    pub membership: Membership,
    pub seq: Seq,
    pub epoch: Epoch,
}

impl Point {
    pub fn snapshot_meta(&self) -> SnapshotMeta {
        let snapshot_id = match self.log_id {
            Some(log_id) => format!("{}-{}", log_id.leader_id.term, log_id.index),
            None => "empty".to_owned(),
        };
        SnapshotMeta { last_log_id: self.log_id, last_membership: self.membership.clone(), snapshot_id }
    }
}

/// What one transaction writes: the rows changed since the last one, as they were at `point`.
#[derive(Default)]
pub struct Batch {
    pub point: Point,
    pub rows: Vec<(AggregateKey, Option<Aggregate>)>,
    pub events: Vec<(InstanceNumber, Seq, Event)>,
    /// What happened to the cluster as a whole, in order.
    pub happened: Vec<Happening>,
    /// What monitors came to, in order.
    pub measured: Vec<Measurement>,
    pub measurements_kept: MeasurementsKept,
}

/// WAL bytes after which it is written back.
const CHECKPOINT_BYTES: u64 = 8 << 20;

pub struct StateDb {
    connection: Connection,
    file: PathBuf,
    written_bytes: u64,
}

impl StateDb {
    /// Opens or makes the file and brings its schema up to this build.
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        let mut connection = file::open_writer(file, false)?;
        file::migrate(&mut connection, file, schema::MIGRATIONS)?;
        Ok(Self { connection, file: file.to_owned(), written_bytes: 0 })
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The state of the file and the point that it is of.
    pub fn load(&self) -> Result<(State, Point), StoreError> {
        // One read transaction, so that rows and point are of one moment.
        let transaction =
            self.connection.unchecked_transaction().map_err(|error| StoreError::sqlite(&self.file, error))?;
        let point = read_point(&transaction, &self.file)?;
        let state = State::from_aggregates(load::aggregates(&transaction, &self.file)?);
        Ok((state, point))
    }

    /// Writes all of it or nothing; on disk when it returns.
    pub fn write(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let wrap = |error| StoreError::sqlite(&self.file, error);
        let transaction = self.connection.unchecked_transaction().map_err(wrap)?;
        let mut bytes = write::rows(&transaction, &self.file, &batch.rows)?;
        bytes += write::events(&transaction, &self.file, &batch.events)?;
        bytes += write::happened(&transaction, &self.file, &batch.happened)?;
        bytes += measurement::write(&transaction, &self.file, &batch.measured, batch.measurements_kept)?;
        meta::write(&transaction, &self.file, "point", &batch.point)?;
        transaction.commit().map_err(wrap)?;
        self.written_bytes += bytes;
        Ok(())
    }

    /// Writes the WAL back when it has grown; between two batches.
    pub fn tidy(&mut self) -> Result<(), StoreError> {
        if self.written_bytes < CHECKPOINT_BYTES {
            return Ok(());
        }
        // Also when it fails for want of room: then it is tried again after as much as this.
        self.written_bytes = 0;
        file::checkpoint(&self.connection, &self.file)
    }

    /// Replaces everything by the snapshot, in one step for readers.
    pub fn install(&mut self, snapshot: &Path) -> Result<(), StoreError> {
        snapshot::install(&mut self.connection, &self.file, snapshot)
    }
}

pub fn read_point(connection: &Connection, path: &Path) -> Result<Point, StoreError> {
    Ok(meta::read(connection, path, "point")?.unwrap_or_default())
}

#[cfg(test)]
mod tests;
