//! The output of attempts on a master: what workers' spools hold, copied here while it grows.
//!
//! One file per attempt in the spool's packing, an index of lines in memory, blocks compressed once the attempt
//! is over. Owns reading by line, from the end, and with a search text; owns the bound on its disk. Knows no
//! link and no state of a node: who may append and what is complete is said by the caller. All calls but
//! `wait` do file work and belong on a blocking thread. Start at `LogStore`.

mod file;
mod index;
mod packed;
mod text;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use crate::api::{LogLine, LogStart, LogStream};
use crate::model::id::{AttemptId, InstanceNumber};

use file::LogFile;

/// Logs held open in memory; the longest unused goes first.
const OPEN_MAX: usize = 2_048;

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("the log of attempt {0} is not here")]
    Unknown(AttemptId),
    #[error("the log of attempt {attempt} cannot be used: {source}")]
    File { attempt: AttemptId, source: io::Error },
}

#[derive(Debug, Clone, Copy)]
pub struct LogLimits {
    /// All logs together; complete ones go first, oldest first.
    pub bytes_max: u64,
    /// Logs of an instance that last changed longer ago go, whatever the disk holds.
    pub kept_for: Duration,
    /// Complete logs of at least this size are compressed.
    pub compress_bytes_min: u64,
}

impl Default for LogLimits {
    fn default() -> Self {
        LogLimits { bytes_max: 16 << 30, kept_for: Duration::from_secs(30 * 86_400), compress_bytes_min: 64 * 1024 }
    }
}

/// Which lines.
#[derive(Debug, Clone)]
pub struct LogSelection {
    pub start: LogStart,
    pub limit: u32,
    /// Only lines that hold this text.
    pub grep: Option<String>,
    pub stream: Option<LogStream>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRows {
    pub lines: Vec<LogLine>,
    /// Line to ask for next.
    pub next: u64,
    /// The log is complete and `next` is past its end.
    pub ended: bool,
    /// Lines so far.
    pub total: u64,
    /// Lines between head and tail were dropped at the cap.
    pub is_cut: bool,
}

/// How far a log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogLength {
    pub bytes: u64,
    pub lines: u64,
    pub is_complete: bool,
}

pub struct LogStore {
    root: PathBuf,
    limits: LogLimits,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    logs: BTreeMap<AttemptId, Arc<Log>>,
    clock: u64,
}

struct Log {
    file: Mutex<LogFile>,
    length: watch::Sender<LogLength>,
    used: Mutex<u64>,
}

impl LogStore {
    pub fn open(root: impl Into<PathBuf>, limits: LogLimits) -> io::Result<Self> {
        let root = root.into();
        std::fs::create_dir_all(&root)?;
        Ok(LogStore { root, limits, open: Mutex::new(Open::default()) })
    }

    /// Bytes and lines that are on disk here; zero for an attempt that has no log yet.
    pub fn len(&self, attempt: AttemptId) -> LogLength {
        self.log(attempt, false).map(|log| *log.length.borrow()).unwrap_or_default()
    }

    /// Adds packed bytes that begin at `offset` of the stream. Returns the length afterwards: what is known
    /// already is skipped, and a gap changes nothing, so the sender goes on from the answer.
    pub fn append(&self, attempt: AttemptId, offset: u64, bytes: &[u8]) -> Result<u64, LogError> {
        let log = self.log(attempt, true)?;
        let mut file = lock(&log.file);
        let result = file.append(offset, bytes);
        log.length.send_replace(file.length());
        result.map_err(|source| LogError::File { attempt, source })?;
        Ok(file.length().bytes)
    }

    /// The log ends at `length`. False when less is here. Large logs are compressed now.
    pub fn finish(&self, attempt: AttemptId, length: u64) -> Result<bool, LogError> {
        let log = self.log(attempt, true)?;
        let mut file = lock(&log.file);
        let failed = |source| LogError::File { attempt, source };
        if file.length().bytes < length {
            return Ok(false);
        }
        file.complete(self.limits.compress_bytes_min).map_err(failed)?;
        log.length.send_replace(file.length());
        Ok(true)
    }

    /// The rest of a log that was `length` long was dropped by its worker: it ends here, with a mark.
    pub fn cut(&self, attempt: AttemptId, length: u64, at_ms: i64) -> Result<(), LogError> {
        let log = self.log(attempt, true)?;
        let mut file = lock(&log.file);
        let cut = file.cut(length, at_ms, self.limits.compress_bytes_min);
        log.length.send_replace(file.length());
        cut.map_err(|source| LogError::File { attempt, source })
    }

    pub fn read(&self, attempt: AttemptId, selection: &LogSelection) -> Result<LogRows, LogError> {
        let log = self.log(attempt, false)?;
        let failed = |source| LogError::File { attempt, source };
        // The lock is held for finding the place only: a long search must not stop the copy.
        let snapshot = lock(&log.file).snapshot();
        match snapshot.read(selection) {
            // It was packed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let snapshot = lock(&log.file).snapshot();
                snapshot.read(selection).map_err(failed)
            }
            other => other.map_err(failed),
        }
    }

    /// Waits until there are more than `known` lines or the log is complete; at most `max`.
    pub async fn wait(&self, attempt: AttemptId, known: u64, max: Duration) -> LogLength {
        let Ok(log) = self.log(attempt, true) else { return LogLength::default() };
        let mut length = log.length.subscribe();
        let grown = length.wait_for(|length| length.lines > known || length.is_complete);
        let _ = tokio::time::timeout(max, grown).await;
        *log.length.borrow()
    }

    /// Follows the length; every change is seen, some may be seen as one.
    pub fn follow(&self, attempt: AttemptId) -> Result<watch::Receiver<LogLength>, LogError> {
        Ok(self.log(attempt, true)?.length.subscribe())
    }

    /// Forgets the logs of an instance.
    pub fn remove(&self, instance: InstanceNumber) -> io::Result<()> {
        lock(&self.open).logs.retain(|attempt, _| attempt.instance != instance);
        match std::fs::remove_dir_all(self.instance_dir(instance)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Keeps the disk within its bounds at `now`: removes whole instances, those first whose logs changed longest
    /// ago. Returns the bytes that remain. Meant to be called every minute or so.
    pub fn trim(&self, now: SystemTime) -> io::Result<u64> {
        let mut dirs = Vec::new();
        for shelf in std::fs::read_dir(&self.root)?.flatten() {
            for dir in std::fs::read_dir(shelf.path()).into_iter().flatten().flatten() {
                let Some(instance) = dir.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
                let files = std::fs::read_dir(dir.path()).into_iter().flatten().flatten();
                let metas: Vec<_> = files.filter_map(|file| file.metadata().ok()).collect();
                let bytes: u64 = metas.iter().map(|meta| meta.len()).sum();
                let newest = metas.iter().filter_map(|meta| meta.modified().ok()).max();
                dirs.push((newest, InstanceNumber(instance), bytes));
            }
        }
        dirs.sort();
        let mut total: u64 = dirs.iter().map(|(_, _, bytes)| bytes).sum();
        for (newest, instance, bytes) in dirs {
            let is_old = newest.is_none_or(|at| now.duration_since(at).is_ok_and(|age| age > self.limits.kept_for));
            if total <= self.limits.bytes_max && !is_old {
                break;
            }
            if self.has_growing(instance) {
                continue;
            }
            self.remove(instance)?;
            total -= bytes;
        }
        Ok(total)
    }

    fn has_growing(&self, instance: InstanceNumber) -> bool {
        lock(&self.open)
            .logs
            .iter()
            .any(|(attempt, log)| attempt.instance == instance && !log.length.borrow().is_complete)
    }

    /// Directories of a thousand instances: one with a million entries would be slow to list.
    fn instance_dir(&self, instance: InstanceNumber) -> PathBuf {
        self.root.join((instance.0 / 1000).to_string()).join(instance.to_string())
    }

    fn log(&self, attempt: AttemptId, or_new: bool) -> Result<Arc<Log>, LogError> {
        let mut open = lock(&self.open);
        open.clock += 1;
        let now = open.clock;
        if let Some(log) = open.logs.get(&attempt) {
            *lock(&log.used) = now;
            return Ok(log.clone());
        }
        let path = self.instance_dir(attempt.instance).join(attempt.to_string());
        let failed = |source| LogError::File { attempt, source };
        let file = match LogFile::open(path).map_err(failed)? {
            Some(file) => file,
            None if or_new => LogFile::new(self.instance_dir(attempt.instance).join(attempt.to_string())),
            None => return Err(LogError::Unknown(attempt)),
        };
        let length = watch::Sender::new(file.length());
        let log = Arc::new(Log { file: Mutex::new(file), length, used: Mutex::new(now) });
        open.logs.insert(attempt, log.clone());
        open.close_unused();
        Ok(log)
    }
}

impl Open {
    /// A log that someone holds stays: two handles of one file would not know of each other's appends.
    fn close_unused(&mut self) {
        while self.logs.len() > OPEN_MAX {
            let unused =
                self.logs.iter().filter(|(_, log)| Arc::strong_count(log) == 1 && log.length.receiver_count() == 0);
            let Some(oldest) = unused.min_by_key(|(_, log)| *lock(&log.used)).map(|(attempt, _)| *attempt) else {
                return;
            };
            self.logs.remove(&oldest);
        }
    }
}

/// A panic while the lock was held leaves file and index as they were before the call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests;
