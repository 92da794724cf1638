//! Copies spools to the master's log store, while they grow and after, and removes what was copied.
//!
//! One copy task at a time; it never holds up an attempt. What is on the master's disk is learned from the
//! answers, so nothing about it is kept here: after a restart the first answer says where to go on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;

use crate::actor::protocol::worker::LogChunk;
use crate::connector::process::spool::SpoolFiles;
use crate::connector::process::wire::Status;
use crate::model::id::AttemptId;

use super::WorkerConfig;
use super::link::MasterLink;
use super::session::Session;

/// Bytes handed over at once.
const CHUNK: usize = 256 * 1024;
/// Chunks of one spool before the next gets its turn.
const CHUNKS_PER_TURN: usize = 16;
/// After a failed copy.
const RETRY: Duration = Duration::from_secs(1);
const QUOTA_EVERY: Duration = Duration::from_secs(30);

#[derive(RactorMessage)]
pub enum LogSpoolMessage {
    Session(Option<Session>),
    Live { attempt: AttemptId, name: String },
    Ended { attempt: AttemptId, name: String },
    Copied { round: u64, results: Vec<Copied>, has_failed: bool },
    Look,
    KeepQuota,
}

#[derive(Debug)]
pub struct Copied {
    name: String,
    acknowledged: u64,
    is_complete: bool,
}

pub struct LogSpoolArguments {
    pub config: Arc<WorkerConfig>,
    pub root: PathBuf,
}

pub struct LogSpool;

pub struct LogSpoolState {
    given: LogSpoolArguments,
    session: Option<Session>,
    /// By name, which holds the attempt and the daemon's start.
    spools: BTreeMap<String, Spool>,
    is_copying: bool,
    is_look_due: bool,
    /// Sessions so far: an answer of an earlier one says nothing about this one's master.
    round: u64,
}

#[derive(Debug, Clone)]
struct Spool {
    attempt: AttemptId,
    is_ended: bool,
    acknowledged: u64,
}

impl Actor for LogSpool {
    type Msg = LogSpoolMessage;
    type State = LogSpoolState;
    type Arguments = LogSpoolArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<LogSpoolMessage>,
        given: LogSpoolArguments,
    ) -> Result<LogSpoolState, ActorProcessingErr> {
        myself.send_interval(QUOTA_EVERY, || LogSpoolMessage::KeepQuota);
        let spools = left_over(&given.root);
        Ok(LogSpoolState { given, session: None, spools, is_copying: false, is_look_due: false, round: 0 })
    }

    async fn handle(
        &self,
        myself: ActorRef<LogSpoolMessage>,
        message: LogSpoolMessage,
        state: &mut LogSpoolState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            LogSpoolMessage::Session(session) => {
                state.session = session;
                state.round += 1;
                state.is_copying = false;
                // Another master may have less.
                state.spools.values_mut().for_each(|spool| spool.acknowledged = 0);
                state.copy(&myself);
            }
            LogSpoolMessage::Live { attempt, name } => {
                state.spools.insert(name, Spool { attempt, is_ended: false, acknowledged: 0 });
                state.look_later(&myself);
            }
            LogSpoolMessage::Ended { attempt, name } => {
                let spool = state.spools.entry(name).or_insert(Spool { attempt, is_ended: true, acknowledged: 0 });
                spool.is_ended = true;
                state.copy(&myself);
            }
            LogSpoolMessage::Look => {
                state.is_look_due = false;
                state.copy(&myself);
                state.look_later(&myself);
            }
            LogSpoolMessage::Copied { round, results, has_failed } => {
                if round == state.round {
                    state.is_copying = false;
                }
                let has_progress = !results.is_empty();
                state.note(round, results);
                if has_failed {
                    myself.send_after(RETRY, || LogSpoolMessage::Look);
                } else if has_progress {
                    state.copy(&myself);
                }
            }
            LogSpoolMessage::KeepQuota => state.keep_quota(),
        }
        Ok(())
    }
}

impl LogSpoolState {
    /// Growing files are looked at from time to time; with none growing nothing wakes up.
    fn look_later(&mut self, myself: &ActorRef<LogSpoolMessage>) {
        if !self.is_look_due && self.spools.values().any(|spool| !spool.is_ended) {
            self.is_look_due = true;
            myself.send_after(Duration::from_millis(self.given.config.log_copy_ms), || LogSpoolMessage::Look);
        }
    }

    fn copy(&mut self, myself: &ActorRef<LogSpoolMessage>) {
        let Some(session) = self.session.clone().filter(|_| !self.is_copying) else { return };
        let mut work = Vec::new();
        let mut nothing_to_copy = Vec::new();
        for (name, spool) in &self.spools {
            let files = SpoolFiles::new(self.given.root.join(name));
            if spool.is_ended && files.len(None) == 0 {
                nothing_to_copy.push(name.clone());
            } else if spool.is_ended || files.len(None) > spool.acknowledged {
                work.push((name.clone(), files, spool.clone()));
            }
        }
        self.remove(nothing_to_copy);
        if work.is_empty() {
            return;
        }
        self.is_copying = true;
        let (myself, round) = (myself.clone(), self.round);
        tokio::spawn(async move {
            let mut results = Vec::new();
            let mut has_failed = false;
            for (name, files, spool) in work {
                let Some(copied) = copy_one(session.link.as_ref(), name, &files, &spool).await else {
                    has_failed = true;
                    break;
                };
                results.extend(copied);
            }
            // The actor is gone only with the worker.
            let _ = myself.cast(LogSpoolMessage::Copied { round, results, has_failed });
        });
    }

    fn note(&mut self, round: u64, results: Vec<Copied>) {
        let mut complete = Vec::new();
        for copied in results {
            if copied.is_complete {
                complete.push(copied.name);
            } else if round == self.round
                && let Some(spool) = self.spools.get_mut(&copied.name)
            {
                spool.acknowledged = copied.acknowledged;
            }
        }
        self.remove(complete);
    }

    fn remove(&mut self, names: Vec<String>) {
        if names.is_empty() {
            return;
        }
        let mut gone = Vec::with_capacity(names.len());
        for name in names {
            self.spools.remove(&name);
            gone.push(SpoolFiles::new(self.given.root.join(name)));
        }
        tokio::task::spawn_blocking(move || {
            for files in gone {
                if let Err(error) = files.remove() {
                    tracing::warn!(spool = %files.base().display(), %error, "a copied spool stays");
                }
            }
        });
    }

    /// Without masters spools only grow in number: the oldest ended ones go when they are too many bytes.
    fn keep_quota(&mut self) {
        let mut ended: Vec<_> = self
            .spools
            .iter()
            .filter(|(_, spool)| spool.is_ended)
            .map(|(name, _)| {
                let files = SpoolFiles::new(self.given.root.join(name));
                let modified = std::fs::metadata(files.log()).and_then(|meta| meta.modified()).ok();
                (modified, name.clone(), files.disk_bytes())
            })
            .collect();
        ended.sort();
        let mut total: u64 = ended.iter().map(|(_, _, bytes)| bytes).sum();
        for (_, name, bytes) in ended {
            if total <= self.given.config.log_bytes_max {
                return;
            }
            tracing::warn!(spool = %name, bytes, "removed before it was copied: the worker's log quota is reached");
            self.remove(vec![name]);
            total -= bytes;
        }
    }
}

/// `None` when the link failed; an empty answer when nothing was to be done.
async fn copy_one(link: &dyn MasterLink, name: String, files: &SpoolFiles, spool: &Spool) -> Option<Option<Copied>> {
    // An unreadable status means that only the plain log can be had.
    let status: Option<Status> = if spool.is_ended { files.status().ok().flatten() } else { None };
    let mut offset = spool.acknowledged;
    for _ in 0..CHUNKS_PER_TURN {
        let length = files.len(status.as_ref());
        let bytes = match files.read(status.as_ref(), offset, CHUNK) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::warn!(spool = %name, %error, "a log cannot be read and is given up");
                return Some(Some(Copied { name, acknowledged: offset, is_complete: spool.is_ended }));
            }
        };
        let is_end = spool.is_ended && offset + bytes.len() as u64 >= length;
        if bytes.is_empty() && !is_end {
            break;
        }
        let chunk = LogChunk { attempt: spool.attempt, offset, bytes, is_end };
        let answer = match link.put(chunk).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(spool = %name, %error, "a log was not copied");
                return None;
            }
        };
        if is_end && answer.is_complete {
            return Some(Some(Copied { name, acknowledged: answer.offset, is_complete: true }));
        }
        if answer.offset > length {
            tracing::warn!(spool = %name, "the master has more of a log than this worker");
            return Some(Some(Copied { name, acknowledged: length, is_complete: spool.is_ended }));
        }
        offset = answer.offset;
    }
    Some((offset != spool.acknowledged).then_some(Copied { name, acknowledged: offset, is_complete: false }))
}

/// Spools of an earlier daemon. Those whose attempts still run are announced as live by their actors.
fn left_over(root: &std::path::Path) -> BTreeMap<String, Spool> {
    let mut spools = BTreeMap::new();
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        if let Some(name) = entry.file_name().to_str()
            && let Some(name) = SpoolFiles::name_of(name)
            && let Some(attempt) = name.split('@').next().and_then(|id| id.parse().ok())
        {
            spools.insert(name.to_owned(), Spool { attempt, is_ended: true, acknowledged: 0 });
        }
    }
    spools
}
