//! Whole copies of `state.db`: snapshots for voters that are far behind, and backups.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::super::StoreError;
use super::super::file::{self, sync_directory};
use super::super::types::SnapshotMeta;
use super::{load, read_point, schema};

/// A snapshot on disk; deleted when dropped.
#[derive(Debug)]
pub struct SnapshotFile {
    path: PathBuf,
}

impl SnapshotFile {
    /// Where a snapshot that is being received can be written. Nothing is there yet.
    pub fn new_in(directory: &Path) -> Self {
        Self { path: directory.join(format!("snapshot-{}.tmp", uuid::Uuid::new_v4().simple())) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Deletes what a process that died left behind.
    pub fn sweep(directory: &Path) {
        let Ok(entries) = std::fs::read_dir(directory) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("snapshot-") && name.contains(".tmp") {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

impl Drop for SnapshotFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Copies the file as it is at one moment, on a connection of its own: neither writer nor readers wait.
pub fn make_snapshot(source: &Path, directory: &Path) -> Result<(SnapshotMeta, SnapshotFile), StoreError> {
    let made = SnapshotFile::new_in(directory);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let wrap = |error| StoreError::sqlite(source, error);
    let connection = Connection::open_with_flags(source, flags).map_err(wrap)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(wrap)?;
    connection.execute("VACUUM INTO ?1", [made.path.to_string_lossy()]).map_err(wrap)?;
    let point = read_point(&open_copy(&made.path)?, &made.path)?;
    sync_file(&made.path)?;
    Ok((point.snapshot_meta(), made))
}

/// Puts a snapshot in the place of everything in `connection`.
pub fn install(connection: &mut Connection, target: &Path, snapshot: &Path) -> Result<(), StoreError> {
    let mut source = Connection::open(snapshot).map_err(|error| StoreError::sqlite(snapshot, error))?;
    // A snapshot of an older build is brought up first; one of a newer build is refused.
    file::migrate(&mut source, snapshot, schema::MIGRATIONS)?;
    quick_check(&source, snapshot)?;
    copy(&source, connection, target)?;
    file::checkpoint(connection, target)
}

/// Copies `state.db` while it is in use, and checks the copy row by row.
pub fn backup(source: &Path, target: &Path) -> Result<(), StoreError> {
    let from = file::open_reader(source)?;
    let mut to = Connection::open(target).map_err(|error| StoreError::sqlite(target, error))?;
    copy(&from, &mut to, target)?;
    drop(to);
    sync_file(target)?;
    if let Some(directory) = target.parent() {
        sync_directory(directory)?;
    }
    verify(target)
}

/// Checks the structure of a copy, its schema version and the checksum of every row in it.
pub fn verify(path: &Path) -> Result<(), StoreError> {
    let connection = open_copy(path)?;
    let wrap = |error| StoreError::sqlite(path, error);
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(wrap)?;
    let known = schema::MIGRATIONS.len() as i64;
    if found > known {
        return Err(StoreError::NewerSchema { file: path.to_owned(), found, known });
    }
    quick_check(&connection, path)?;
    read_point(&connection, path)?;
    load::aggregates(&connection, path)?;
    let mut statement = connection.prepare("SELECT number FROM instance WHERE is_resting = 1").map_err(wrap)?;
    let resting = statement.query_map([], |row| row.get(0)).map_err(wrap)?;
    for number in resting {
        let number = crate::model::id::InstanceNumber(number.map_err(wrap)?);
        load::instance(&connection, path, number)?;
        load::nodes(&connection, path, number)?;
    }
    Ok(())
}

fn open_copy(path: &Path) -> Result<Connection, StoreError> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|error| StoreError::sqlite(path, error))
}

fn copy(from: &Connection, to: &mut Connection, target: &Path) -> Result<(), StoreError> {
    let wrap = |error| StoreError::sqlite(target, error);
    let backup = Backup::new(from, to).map_err(wrap)?;
    loop {
        match backup.step(-1).map_err(wrap)? {
            StepResult::Done => return Ok(()),
            StepResult::Busy | StepResult::Locked | StepResult::More => std::thread::sleep(Duration::from_millis(10)),
            other => return Err(StoreError::damaged(target, "the copy", format!("{other:?}"))),
        }
    }
}

fn quick_check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let wrap = |error| StoreError::sqlite(path, error);
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(wrap)?;
    if verdict == "ok" { Ok(()) } else { Err(StoreError::damaged(path, "the tables", verdict)) }
}

fn sync_file(path: &Path) -> Result<(), StoreError> {
    let wrap = |error| StoreError::io(path, error);
    std::fs::File::open(path).map_err(wrap)?.sync_all().map_err(wrap)
}
