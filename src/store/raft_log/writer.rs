//! The thread that owns `raft.db`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use openraft::storage::LogFlushed;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::super::StoreError;
use super::super::file;
use super::super::meta;
use super::super::space::{Space, with_ballast};
use super::super::types::{LogEntry, LogId, TypeConfig, Vote};
use super::durable::Marker;
use super::rows::{self, Row};

pub type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

pub enum Job {
    Append {
        rows: Vec<Row>,
        /// Whom to tell, if anybody, besides the marker.
        callback: Option<LogFlushed<TypeConfig>>,
    },
    SaveVote {
        vote: Vote,
        reply: Reply<()>,
    },
    /// Removes `from` and all after it; answers the entry that is the last one now.
    Truncate {
        from: u64,
        reply: Reply<Option<LogId>>,
    },
    Purge {
        upto: LogId,
        reply: Reply<()>,
    },
    Read {
        start: u64,
        end: u64,
        byte_limit: usize,
        reply: Reply<Vec<LogEntry>>,
    },
    /// A disk that takes its time: until the sender is gone.
    #[cfg(test)]
    Hold(Receiver<()>),
    Stop,
}

/// WAL bytes after which it is written back, between two jobs.
const CHECKPOINT_BYTES: u64 = 4 << 20;
/// Rows deleted at once below the purge point, so that an append never waits long.
const PURGE_ROWS: u64 = 500;
/// Pause after which the thread tidies up.
const IDLE: Duration = Duration::from_millis(20);

pub struct Writer {
    connection: Connection,
    file: PathBuf,
    /// Every row below has to go.
    garbage_below: Option<u64>,
    written_bytes: u64,
    space: Option<Arc<Space>>,
    marker: Marker,
    /// The first failure; nothing is tried after it.
    failed: Option<StoreError>,
}

impl Writer {
    pub fn new(
        connection: Connection,
        file: PathBuf,
        purged: Option<LogId>,
        space: Option<Arc<Space>>,
        marker: Marker,
    ) -> Self {
        let garbage_below = purged.map(|purged| purged.index + 1);
        Self { connection, file, garbage_below, written_bytes: 0, space, marker, failed: None }
    }

    pub fn run(mut self, inbox: Receiver<Job>) {
        loop {
            match inbox.recv_timeout(IDLE) {
                Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(job) => self.perform(job),
                Err(RecvTimeoutError::Timeout) => {
                    self.tidy();
                    // Nothing to do until the next job: sleep without waking up.
                    if self.garbage_below.is_none() || self.failed.is_some() {
                        match inbox.recv() {
                            Ok(Job::Stop) | Err(_) => break,
                            Ok(job) => self.perform(job),
                        }
                    }
                }
            }
            if self.written_bytes > 4 * CHECKPOINT_BYTES {
                self.tidy();
            }
        }
    }

    fn perform(&mut self, job: Job) {
        match job {
            Job::Append { rows, callback } => {
                let done = self.guard(|writer| writer.append(&rows));
                if let (Ok(()), Some(last)) = (&done, rows.last()) {
                    self.marker.raise(last.index + 1);
                }
                if let Some(callback) = callback {
                    callback.log_io_completed(done.map_err(std::io::Error::other));
                }
            }
            Job::SaveVote { vote, reply } => {
                let done = self.guard(|writer| meta::write(&writer.connection, &writer.file, "vote", &vote));
                let _ = reply.send(done);
            }
            Job::Truncate { from, reply } => {
                self.marker.lower(from);
                let _ = reply.send(self.guard(|writer| writer.truncate(from)));
            }
            Job::Purge { upto, reply } => {
                let done = self.guard(|writer| meta::write(&writer.connection, &writer.file, "purged", &upto));
                self.garbage_below = self.garbage_below.max(Some(upto.index + 1));
                if done.is_ok() {
                    self.marker.raise(upto.index + 1);
                }
                let _ = reply.send(done);
            }
            Job::Read { start, end, byte_limit, reply } => {
                // A read that fails says so to its caller alone.
                let found = rows::read_range(&self.connection, &self.file, start, end, byte_limit);
                let _ = reply.send(found);
            }
            #[cfg(test)]
            Job::Hold(held) => drop(held.recv()),
            Job::Stop => {}
        }
    }

    /// Runs a write unless one failed before, and remembers if it fails. On a full disk it is run twice.
    fn guard<T>(&mut self, mut write: impl FnMut(&mut Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let space = self.space.clone();
        let done = with_ballast(space.as_deref(), || write(self));
        if let Err(error) = &done {
            tracing::error!(%error, "the raft log cannot be written; this process has to end");
            self.failed = Some(error.clone());
            self.marker.fail(error.clone());
        }
        done
    }

    fn append(&mut self, rows: &[Row]) -> Result<(), StoreError> {
        let transaction =
            self.connection.unchecked_transaction().map_err(|error| StoreError::sqlite(&self.file, error))?;
        for row in rows {
            rows::insert(&transaction, &self.file, row)?;
            self.written_bytes += row.body.len() as u64 + 4096;
        }
        transaction.commit().map_err(|error| StoreError::sqlite(&self.file, error))
    }

    fn truncate(&mut self, from: u64) -> Result<Option<LogId>, StoreError> {
        let wrap = |error| StoreError::sqlite(&self.file, error);
        self.connection.execute("DELETE FROM log WHERE idx >= ?1", [from]).map_err(wrap)?;
        let Some(previous) = from.checked_sub(1) else { return Ok(None) };
        let found = rows::read_range(&self.connection, &self.file, previous, from, usize::MAX)?;
        let is_garbage = self.garbage_below.is_some_and(|below| previous < below);
        Ok(found.into_iter().next().map(|entry| entry.log_id).filter(|_| !is_garbage))
    }

    /// Deletes purged rows and writes the WAL back.
    fn tidy(&mut self) {
        if self.failed.is_some() {
            return;
        }
        if let Some(below) = self.garbage_below {
            let deleted = self.guard(|writer| {
                writer
                    .connection
                    .execute(
                        "DELETE FROM log WHERE idx IN (SELECT idx FROM log WHERE idx < ?1 ORDER BY idx LIMIT ?2)",
                        (below, PURGE_ROWS),
                    )
                    .map_err(|error| StoreError::sqlite(&writer.file, error))
            });
            match deleted {
                Ok(0) | Err(_) => self.garbage_below = None,
                Ok(_) => self.written_bytes += 64 << 10,
            }
        }
        if self.written_bytes > CHECKPOINT_BYTES {
            self.written_bytes = 0;
            let _ = self.guard(|writer| file::checkpoint(&writer.connection, &writer.file));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::durable_below;
    use super::*;

    #[test]
    fn after_a_failed_write_nothing_is_written_any_more() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("raft.db");
        let connection = file::open_writer(&file, true).unwrap();
        let (marker, _durable) = durable_below(0, file.clone());
        let mut writer = Writer::new(connection, file, None, None, marker);
        let save = |writer: &mut Writer| {
            let (reply, mut answer) = oneshot::channel();
            writer.perform(Job::SaveVote { vote: Vote::new(1, 1), reply });
            answer.try_recv().unwrap()
        };
        // There is no such table yet.
        assert!(save(&mut writer).is_err());
        let table = "CREATE TABLE meta (name TEXT PRIMARY KEY, crc INTEGER NOT NULL, body BLOB NOT NULL)";
        writer.connection.execute_batch(table).unwrap();
        assert!(save(&mut writer).is_err(), "the second try could have worked, and must not be made");
    }
}
