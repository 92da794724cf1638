//! The tables of `raft.db` and what a row holds.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use super::super::StoreError;
use super::super::file;
use super::super::meta;
use super::super::types::{LogEntry, LogId, Vote};
use super::{LogIdentity, LogSummary, SIZE_STEP};

const MIGRATIONS: &[&str] = &["
CREATE TABLE log (idx INTEGER PRIMARY KEY, committed INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE meta (name TEXT PRIMARY KEY, crc INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
"];

/// First byte of a row's body, so that another encoding can come later.
const ENTRY_FORMAT: u8 = 1;

/// `committed` of a row when nothing was committed yet.
const NONE_COMMITTED: i64 = -1;

/// One entry, ready to be written.
pub struct Row {
    pub index: u64,
    pub committed: i64,
    pub crc: u32,
    pub body: Vec<u8>,
}

pub struct Opened {
    pub connection: Connection,
    pub last: Option<LogId>,
    pub purged: Option<LogId>,
    pub committed: Option<LogId>,
    pub vote: Option<Vote>,
    pub sizes: BTreeMap<u64, u64>,
}

#[derive(Serialize, Deserialize)]
struct StoredIdentity {
    cluster: String,
    voter: u64,
    members: BTreeMap<u64, String>,
}

pub fn open(path: &Path, identity: &LogIdentity) -> Result<Opened, StoreError> {
    let mut connection = file::open_writer(path, true)?;
    file::migrate(&mut connection, path, MIGRATIONS)?;
    let purged: Option<LogId> = meta::read(&connection, path, "purged")?;
    let vote: Option<Vote> = meta::read(&connection, path, "vote")?;
    let stored = check_identity(&connection, path, identity)?;
    let wrap = |error| StoreError::sqlite(path, error);
    let newest: Option<(u64, i64)> = connection
        .query_row("SELECT idx, committed FROM log ORDER BY idx DESC LIMIT 1", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .map_err(wrap)?;
    let after = purged.map_or(0, |purged| purged.index + 1);
    let newest = newest.filter(|(index, _)| *index >= after);
    let last = match newest {
        Some((index, _)) => Some(read_one(&connection, path, index)?.log_id),
        None => purged,
    };
    let committed = match newest {
        Some((_, committed)) if committed != NONE_COMMITTED && committed as u64 >= after => {
            Some(read_one(&connection, path, committed as u64)?.log_id)
        }
        Some(_) | None => purged,
    };
    if last.is_none() && vote.is_none() {
        check_members(path, &stored, identity)?;
    }
    let sizes = read_sizes(&connection, after).map_err(wrap)?;
    Ok(Opened { connection, last, purged, committed, vote, sizes })
}

pub fn read_identity(connection: &Connection, path: &Path) -> Result<Option<LogIdentity>, StoreError> {
    let is_there = connection
        .query_row("SELECT 1 FROM sqlite_master WHERE name = 'meta'", [], |_| Ok(()))
        .optional()
        .map_err(|error| StoreError::sqlite(path, error))?;
    if is_there.is_none() {
        return Ok(None);
    }
    let found: Option<StoredIdentity> = meta::read(connection, path, "identity")?;
    Ok(found.map(|StoredIdentity { cluster, voter, members }| LogIdentity { cluster, voter, members }))
}

/// Whose log it is and whether there is anything in it; `None` when the file was made and nothing else.
pub fn summary(connection: &Connection, path: &Path) -> Result<Option<LogSummary>, StoreError> {
    let Some(identity) = read_identity(connection, path)? else { return Ok(None) };
    let wrap = |error| StoreError::sqlite(path, error);
    let has_entries: bool =
        connection.query_row("SELECT EXISTS (SELECT 1 FROM log)", [], |row| row.get(0)).map_err(wrap)?;
    let purged: Option<LogId> = meta::read(connection, path, "purged")?;
    let vote: Option<Vote> = meta::read(connection, path, "vote")?;
    let is_pristine = !has_entries && purged.is_none() && vote.is_none();
    Ok(Some(LogSummary { cluster: identity.cluster, is_pristine }))
}

fn check_identity(connection: &Connection, path: &Path, expected: &LogIdentity) -> Result<LogIdentity, StoreError> {
    let Some(found) = read_identity(connection, path)? else {
        let LogIdentity { cluster, voter, members } = expected.clone();
        meta::write(connection, path, "identity", &StoredIdentity { cluster, voter, members })?;
        return Ok(expected.clone());
    };
    if found.cluster != expected.cluster {
        let (found, expected) = (found.cluster, expected.cluster.clone());
        return Err(StoreError::OtherCluster { file: path.to_owned(), found, expected });
    }
    if found.voter != expected.voter {
        return Err(StoreError::OtherVoter { file: path.to_owned(), found: found.voter, expected: expected.voter });
    }
    Ok(found)
}

/// While the log is empty the configured list says who will vote; later the membership in the log does, and the
/// list may say what it likes. Addresses may change (another port base).
fn check_members(path: &Path, found: &LogIdentity, expected: &LogIdentity) -> Result<(), StoreError> {
    if found.members.keys().eq(expected.members.keys()) {
        return Ok(());
    }
    let list =
        |identity: &LogIdentity| identity.members.keys().map(|id| format!("m{id}")).collect::<Vec<_>>().join(",");
    Err(StoreError::OtherMembers { file: path.to_owned(), found: list(found), expected: list(expected) })
}

pub fn encode(entry: &LogEntry, committed: Option<LogId>) -> Result<Row, StoreError> {
    let index = entry.log_id.index;
    let mut body = vec![ENTRY_FORMAT];
    rmp_serde::encode::write_named(&mut body, entry)
        .map_err(|error| StoreError::damaged(Path::new("raft.db"), format!("entry {index} for writing"), error))?;
    let committed = committed.map_or(NONE_COMMITTED, |log_id| log_id.index as i64);
    let crc = entry_checksum(index, &body);
    Ok(Row { index, committed, crc, body })
}

pub fn insert(connection: &Connection, path: &Path, row: &Row) -> Result<(), StoreError> {
    let wrap = |error| StoreError::sqlite(path, error);
    connection
        .prepare_cached("INSERT OR REPLACE INTO log (idx, committed, crc, body) VALUES (?1, ?2, ?3, ?4)")
        .map_err(wrap)?
        .execute((row.index, row.committed, row.crc, &row.body))
        .map_err(wrap)?;
    Ok(())
}

/// The entries of `start..end`; stops before the one that would pass the limit, but gives at least one.
pub fn read_range(
    connection: &Connection,
    path: &Path,
    start: u64,
    end: u64,
    byte_limit: usize,
) -> Result<Vec<LogEntry>, StoreError> {
    let wrap = |error| StoreError::sqlite(path, error);
    let mut statement = connection
        .prepare_cached("SELECT idx, crc, body FROM log WHERE idx >= ?1 AND idx < ?2 ORDER BY idx")
        .map_err(wrap)?;
    let end = end.min(i64::MAX as u64);
    let mut rows = statement.query((start, end)).map_err(wrap)?;
    let mut entries = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next().map_err(wrap)? {
        let index: u64 = row.get(0).map_err(wrap)?;
        let body = row
            .get_ref(2)
            .map_err(wrap)?
            .as_blob()
            .map_err(|error| StoreError::damaged(path, format!("log entry {index}"), error))?;
        bytes += body.len();
        if bytes > byte_limit && !entries.is_empty() {
            break;
        }
        entries.push(decode(path, index, row.get(1).map_err(wrap)?, body)?);
    }
    Ok(entries)
}

pub fn read_one(connection: &Connection, path: &Path, index: u64) -> Result<LogEntry, StoreError> {
    let found = read_range(connection, path, index, index + 1, usize::MAX)?;
    found.into_iter().next().ok_or_else(|| StoreError::damaged(path, format!("log entry {index}"), "it is missing"))
}

fn decode(path: &Path, index: u64, crc: u32, body: &[u8]) -> Result<LogEntry, StoreError> {
    if crc != entry_checksum(index, body) {
        return Err(StoreError::DamagedEntry { file: path.to_owned(), index });
    }
    let wrong = |reason: String| StoreError::damaged(path, format!("log entry {index}"), reason);
    match body.split_first() {
        Some((&ENTRY_FORMAT, rest)) => rmp_serde::from_slice(rest).map_err(|error| wrong(error.to_string())),
        Some((format, _)) => Err(wrong(format!("it has format {format}, this build knows {ENTRY_FORMAT}"))),
        None => Err(wrong("it is empty".to_owned())),
    }
}

fn entry_checksum(index: u64, body: &[u8]) -> u32 {
    file::checksum(&index.to_le_bytes(), body)
}

fn read_sizes(connection: &Connection, after: u64) -> rusqlite::Result<BTreeMap<u64, u64>> {
    connection
        .prepare("SELECT idx / ?2, SUM(LENGTH(body)) FROM log WHERE idx >= ?1 GROUP BY 1")?
        .query_map((after, SIZE_STEP), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}
