//! The log of a voter that is stopped, for repairs.

use std::path::{Path, PathBuf};

use openraft::{EntryPayload, Membership};
use rusqlite::{Connection, OptionalExtension};

use super::super::types::{LogEntry, LogId, Vote, VoterNode};
use super::super::{StoreError, file, meta};
use super::{RaftLog, rows};

pub struct OfflineLog {
    connection: Connection,
    file: PathBuf,
}

impl RaftLog {
    /// `None` where there is no log.
    pub fn open_offline(path: &Path) -> Result<Option<OfflineLog>, StoreError> {
        if RaftLog::peek(path)?.is_none() {
            return Ok(None);
        }
        Ok(Some(OfflineLog { connection: file::open_writer(path, true)?, file: path.to_owned() }))
    }
}

impl OfflineLog {
    /// The last entry and the vote.
    pub fn ends(&self) -> Result<(Option<LogId>, Option<Vote>), StoreError> {
        let purged: Option<LogId> = meta::read(&self.connection, &self.file, "purged")?;
        let last = match self.newest()? {
            Some(index) if purged.is_none_or(|purged| index > purged.index) => {
                Some(rows::read_one(&self.connection, &self.file, index)?.log_id)
            }
            Some(_) | None => purged,
        };
        Ok((last, meta::read(&self.connection, &self.file, "vote")?))
    }

    /// The newest membership that stands in the log. Reads backwards, all of it if need be.
    pub fn last_membership(&self) -> Result<Option<Membership<u64, VoterNode>>, StoreError> {
        let wrap = |error| StoreError::sqlite(&self.file, error);
        let mut below = self.newest()?.map(|index| index + 1);
        while let Some(end) = below {
            let index: Option<u64> = self
                .connection
                .query_row("SELECT idx FROM log WHERE idx < ?1 ORDER BY idx DESC LIMIT 1", [end], |row| row.get(0))
                .optional()
                .map_err(wrap)?;
            let Some(index) = index else { return Ok(None) };
            if let EntryPayload::Membership(membership) = rows::read_one(&self.connection, &self.file, index)?.payload {
                return Ok(Some(membership));
            }
            below = Some(index);
        }
        Ok(None)
    }

    pub fn append_one(&self, entry: &LogEntry) -> Result<(), StoreError> {
        rows::insert(&self.connection, &self.file, &rows::encode(entry, None)?)
    }

    pub fn save_vote(&self, vote: &Vote) -> Result<(), StoreError> {
        meta::write(&self.connection, &self.file, "vote", vote)
    }

    fn newest(&self) -> Result<Option<u64>, StoreError> {
        self.connection
            .query_row("SELECT idx FROM log ORDER BY idx DESC LIMIT 1", [], |row| row.get(0))
            .optional()
            .map_err(|error| StoreError::sqlite(&self.file, error))
    }
}
