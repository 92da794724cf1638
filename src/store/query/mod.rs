//! Reading `state.db`: history in pages, by keys and never by offsets, at a cost that does not grow with it.
//!
//! What lives now is asked of the state in memory (`Replica::with_state`); this is for what may be long ago. Each
//! statement is checked in tests to walk an index. Start reading at `Queries`.

mod history;
mod instances;
mod measurements;

use std::path::Path;

use rusqlite::Connection;

use crate::api::page::LIMIT_MAX;

use super::StoreError;
use super::replica::Replica;

pub use history::{FinishedCount, RecentRun, StoredEvent};
pub use instances::{Among, NodeTally};
pub use measurements::{Monitor, StoredMeasurement};

#[derive(Debug, Clone, thiserror::Error)]
pub enum QueryError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("read the page: the cursor is not one that this list gave")]
    BadCursor,
    #[error("read the page: {0} is not between 1 and {LIMIT_MAX}")]
    BadLimit(u32),
    #[error("read: the process is stopping")]
    Stopping,
}

/// Queries that read the disk at once; more wait. Each may hold a connection and a thread.
pub const CONCURRENT_MAX: usize = 8;

/// One connection, of one moment for each call.
pub struct Queries<'a> {
    connection: &'a Connection,
    file: &'a Path,
}

impl Replica {
    /// Runs queries on a thread where they may wait for the disk.
    pub async fn query<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Queries) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let _permit = self.query_permit().await.ok_or(QueryError::Stopping)?;
        let readers = self.readers().clone();
        let asked = tokio::task::spawn_blocking(move || {
            readers.with(|connection, file| Ok(ask(&Queries { connection, file })))?
        });
        asked.await.map_err(|_| QueryError::Stopping)?
    }
}

impl<'a> Queries<'a> {
    /// For programs that read a file without a running replica.
    pub fn new(connection: &'a Connection, file: &'a Path) -> Self {
        Self { connection, file }
    }

    fn rows<T>(
        &self,
        query: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, QueryError> {
        let wrap = |error| StoreError::sqlite(self.file, error);
        let mut statement = self.connection.prepare_cached(query).map_err(wrap)?;
        let found = statement.query_map(params, read).map_err(wrap)?;
        Ok(found.collect::<Result<_, _>>().map_err(wrap)?)
    }

    fn first<T>(
        &self,
        query: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, QueryError> {
        Ok(self.rows(query, params, read)?.into_iter().next())
    }
}

fn check_limit(limit: u32) -> Result<usize, QueryError> {
    if (1..=LIMIT_MAX).contains(&limit) { Ok(limit as usize) } else { Err(QueryError::BadLimit(limit)) }
}

#[cfg(test)]
mod tests;
