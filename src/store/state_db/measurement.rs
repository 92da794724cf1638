//! Rows of what monitors measured: added as they come out of the log, let go by number and age.

use std::path::Path;

use rusqlite::{Connection, Params};
use serde::{Deserialize, Serialize};

use crate::model::id::AttemptId;
use crate::model::measurement::Measured;

use super::super::StoreError;
use super::super::types::{Measurement, MeasurementsKept};

/// Rows that go with one that comes: a bound that was lowered is reached over several.
const TRIM_MAX: u32 = 200;

pub const INSERT: &str = "INSERT OR IGNORE INTO measurement (workflow, node, seq, at, instance, body) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
/// How many of a node are beyond its bound is counted and not searched for.
pub const TRIM_NODE: &str = "DELETE FROM measurement WHERE workflow = ?1 AND node = ?2 AND seq IN (\
     SELECT seq FROM measurement WHERE workflow = ?1 AND node = ?2 ORDER BY seq LIMIT MIN(?4, MAX(0, \
     (SELECT measurements FROM monitor WHERE workflow = ?1 AND node = ?2) - ?3)))";
pub const TRIM_OLD: &str = "DELETE FROM measurement WHERE (workflow, node, seq) IN (\
     SELECT workflow, node, seq FROM measurement WHERE at < ?1 ORDER BY at LIMIT ?2)";

/// What a row holds beside the columns that queries look for. Fields are added with a default, never renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    pub attempt: AttemptId,
    pub measured: Measured,
}

/// Adds them, and lets go of what is beyond the bounds; gives about how many bytes went to the WAL.
pub fn write(
    connection: &Connection,
    file: &Path,
    measured: &[Measurement],
    kept: MeasurementsKept,
) -> Result<u64, StoreError> {
    let table = Table { connection, file };
    let mut bytes = 0;
    for one in measured {
        let body = rmp_serde::to_vec_named(&Body { attempt: one.attempt, measured: one.measured.clone() })
            .map_err(|error| StoreError::damaged(file, format!("measurement {} for writing", one.seq), error))?;
        bytes += body.len() as u64 + 512;
        let (workflow, node, at) = (one.workflow.as_str(), one.node.as_str(), one.measured.at.0);
        table.execute(INSERT, (workflow, node, one.seq.0, at, one.attempt.instance.0, body))?;
        table.execute(TRIM_NODE, (workflow, node, kept.per_node, TRIM_MAX))?;
        table.execute(TRIM_OLD, (at.saturating_sub(kept.within.0), TRIM_MAX))?;
    }
    Ok(bytes)
}

struct Table<'a> {
    connection: &'a Connection,
    file: &'a Path,
}

impl Table<'_> {
    fn execute(&self, statement: &str, params: impl Params) -> Result<(), StoreError> {
        let wrap = |error| StoreError::sqlite(self.file, error);
        self.connection.prepare_cached(statement).map_err(wrap)?.execute(params).map_err(wrap)?;
        Ok(())
    }
}
