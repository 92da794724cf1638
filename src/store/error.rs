//! What can go wrong with a store file.

use std::path::{Path, PathBuf};

/// A store file could not be used. Any of these while running ends the process: a failed write or fsync is
/// never tried again, because the kernel may have dropped the page and would report success the second time. Only a
/// write that found the disk full is (`space::with_ballast`).
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error("use {file}: {reason}")]
    Sqlite { file: PathBuf, reason: String, is_full: bool },
    #[error("use {file}: {reason}")]
    Io { file: PathBuf, reason: String },
    #[error("read log entry {index} of {file}: its checksum does not match, so the file is damaged")]
    DamagedEntry { file: PathBuf, index: u64 },
    #[error("read {what} of {file}: {reason}, so the file is damaged")]
    Damaged { file: PathBuf, what: String, reason: String },
    #[error("open {file}: its schema is version {found}, this build knows up to {known}; start a newer build")]
    NewerSchema { file: PathBuf, found: i64, known: i64 },
    #[error("open {file}: it belongs to cluster {found}, not to {expected}")]
    OtherCluster { file: PathBuf, found: String, expected: String },
    #[error("open {file}: it belongs to voter {found}, this process is voter {expected}")]
    OtherVoter { file: PathBuf, found: u64, expected: u64 },
    #[error(
        "open {file}: the cluster was formed with voters {found}, the configuration says {expected}; \
         change the membership of a cluster with `cluster` commands, not in the configuration"
    )]
    OtherMembers { file: PathBuf, found: String, expected: String },
    #[error("open {file}: process {pid} uses it")]
    InUse { file: PathBuf, pid: String },
    #[error("use {file}: the store is closed")]
    Closed { file: PathBuf },
}

impl StoreError {
    pub fn sqlite(file: &Path, error: rusqlite::Error) -> Self {
        let is_full = error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull);
        Self::Sqlite { file: file.to_owned(), reason: error.to_string(), is_full }
    }

    /// The disk has no room. Unlike every other failed write it changed nothing, so it may be tried again.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Sqlite { is_full: true, .. })
    }

    pub fn io(file: &Path, error: std::io::Error) -> Self {
        Self::Io { file: file.to_owned(), reason: error.to_string() }
    }

    pub fn damaged(file: &Path, what: impl Into<String>, reason: impl ToString) -> Self {
        Self::Damaged { file: file.to_owned(), what: what.into(), reason: reason.to_string() }
    }
}
