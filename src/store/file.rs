//! Opening SQLite files the same way everywhere, checksums, and the lock that keeps a second process out.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use rusqlite::{Connection, OpenFlags};

use super::StoreError;

/// Checksum of a row: its key goes in too, so that a row copied to another place does not pass.
pub fn checksum(key: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(body);
    hasher.finalize()
}

/// Opens for writing, with each commit on disk before it returns.
pub fn open_writer(file: &Path, is_exclusive: bool) -> Result<Connection, StoreError> {
    let wrap = |error| StoreError::sqlite(file, error);
    let connection = Connection::open(file).map_err(wrap)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(wrap)?;
    if is_exclusive {
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(wrap)?;
    }
    connection.pragma_update(None, "journal_mode", "WAL").map_err(wrap)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(wrap)?;
    // Checkpoints are ours to time: never between a proposal and its fsync.
    connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(wrap)?;
    connection.pragma_update(None, "foreign_keys", false).map_err(wrap)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Opens for reading beside a writer.
pub fn open_reader(file: &Path) -> Result<Connection, StoreError> {
    let wrap = |error| StoreError::sqlite(file, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).map_err(wrap)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(wrap)?;
    connection.pragma_update(None, "query_only", true).map_err(wrap)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// A WAL longer than this is cut; below it the file is reused, because overwriting needs no metadata fsync.
const WAL_BYTES_KEPT: u64 = 64 << 20;

/// Writes back what the WAL holds, as far as readers allow and the disk has room: without, nothing is lost, for the WAL
/// has it all, and the next time tries again.
pub fn checkpoint(connection: &Connection, file: &Path) -> Result<(), StoreError> {
    let bytes = std::fs::metadata(wal_path(file)).map(|found| found.len()).unwrap_or(0);
    let statement = match bytes > WAL_BYTES_KEPT {
        true => "PRAGMA wal_checkpoint(TRUNCATE)",
        false => "PRAGMA wal_checkpoint(PASSIVE)",
    };
    let done = connection.query_row(statement, [], |_| Ok(())).map_err(|error| StoreError::sqlite(file, error));
    unless_full(done)
}

fn unless_full(done: Result<(), StoreError>) -> Result<(), StoreError> {
    match done {
        Err(error) if error.is_full() => {
            tracing::warn!(%error, "the WAL is not written back: the disk is full");
            Ok(())
        }
        done => done,
    }
}

pub fn wal_path(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// Brings the schema up to `steps.len()`; step n takes version n to n + 1. Forward only.
pub fn migrate(connection: &mut Connection, file: &Path, steps: &[&str]) -> Result<(), StoreError> {
    let wrap = |error| StoreError::sqlite(file, error);
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(wrap)?;
    let known = steps.len() as i64;
    if found > known || found < 0 {
        return Err(StoreError::NewerSchema { file: file.to_owned(), found, known });
    }
    for (at, step) in steps.iter().enumerate().skip(found as usize) {
        let transaction = connection.transaction().map_err(wrap)?;
        transaction.execute_batch(step).map_err(wrap)?;
        transaction.pragma_update(None, "user_version", at as i64 + 1).map_err(wrap)?;
        transaction.commit().map_err(wrap)?;
    }
    Ok(())
}

/// Held by the one process that uses a data directory; released by the kernel when it dies.
#[derive(Debug)]
pub struct DataLock {
    _held: Flock<File>,
}

impl DataLock {
    /// Takes `<directory>/store.pid`.
    pub fn take(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join("store.pid");
        let wrap = |error| StoreError::io(&path, error);
        std::fs::create_dir_all(directory).map_err(wrap)?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(wrap)?;
        let mut held = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(mut file, errno)| {
            if errno != nix::errno::Errno::EWOULDBLOCK {
                return StoreError::io(&path, errno.into());
            }
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            StoreError::InUse { file: path.clone(), pid: pid.trim().to_owned() }
        })?;
        held.set_len(0).map_err(wrap)?;
        held.rewind().map_err(wrap)?;
        writeln!(held, "{}", std::process::id()).map_err(wrap)?;
        Ok(Self { _held: held })
    }
}

/// Makes a rename or a new file in `directory` survive a power cut.
pub fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    let wrap = |error| StoreError::io(directory, error);
    File::open(directory).map_err(wrap)?.sync_all().map_err(wrap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wal_that_finds_no_room_stays_where_it_is() {
        let error = |reason: &str, is_full| StoreError::Sqlite { file: "a".into(), reason: reason.to_owned(), is_full };
        assert!(unless_full(Err(error("disk full", true))).is_ok());
        assert!(unless_full(Err(error("fsync", false))).is_err());
    }
}
