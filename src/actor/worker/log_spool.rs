//! Copies spools to the log stores of masters, while they grow and after, and removes what was copied.
//!
//! To the leader first, and to one standby where there are several voters, so that the loss of a master loses no
//! log. One copy task at a time for each; it never holds up an attempt. What is on a master's disk is learned from
//! its answers, so nothing about it is kept here: after a restart the first answer says where to go on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;

use crate::actor::protocol::worker::LogChunk;
use crate::connector::process::spool::SpoolFiles;
use crate::connector::process::wire::Status;
use crate::model::id::AttemptId;

use super::WorkerConfig;
use super::link::MasterLink;
use super::quota::{self, Bounds, Kept};
use super::spare::Spares;
use super::tools::Tools;

/// Bytes handed over at once.
const CHUNK: usize = 256 * 1024;
/// Chunks of one spool before the next gets its turn.
const CHUNKS_PER_TURN: usize = 16;
/// After a failed copy.
const RETRY: Duration = Duration::from_secs(1);
const QUOTA_EVERY: Duration = Duration::from_secs(5);

#[derive(RactorMessage)]
pub enum LogSpoolMessage {
    /// The masters that logs go to, the leader first, and how many must have all of a log before it goes here.
    Masters {
        links: Vec<Arc<dyn MasterLink>>,
        copies: usize,
    },
    Live {
        attempt: AttemptId,
        name: String,
    },
    Ended {
        attempt: AttemptId,
        name: String,
    },
    Copied {
        master: String,
        round: u64,
        results: Vec<Copied>,
        has_failed: bool,
    },
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
    pub spares: Arc<Spares>,
    /// Told what is kept.
    pub kept: Arc<AtomicU64>,
}

pub struct LogSpool;

pub struct LogSpoolState {
    given: LogSpoolArguments,
    targets: Vec<Target>,
    copies: usize,
    /// By name, which holds the attempt and the daemon's start.
    spools: BTreeMap<String, Spool>,
    is_look_due: bool,
    /// Sets of masters so far: an answer of an earlier one says nothing about this one's.
    round: u64,
}

/// A master that gets copies.
struct Target {
    link: Arc<dyn MasterLink>,
    is_copying: bool,
}

#[derive(Debug, Clone)]
struct Spool {
    attempt: AttemptId,
    is_ended: bool,
    /// How long it was before the quota took it.
    dropped: Option<u64>,
    copies: BTreeMap<String, Copy>,
}

/// How much of a spool one master has.
#[derive(Debug, Clone, Default)]
struct Copy {
    acknowledged: u64,
    is_complete: bool,
}

impl Spool {
    fn new(attempt: AttemptId, is_ended: bool) -> Self {
        Self { attempt, is_ended, dropped: None, copies: BTreeMap::new() }
    }

    fn copy(&self, master: &str) -> Copy {
        self.copies.get(master).cloned().unwrap_or_default()
    }
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
        Ok(LogSpoolState { given, targets: Vec::new(), copies: 1, spools, is_look_due: false, round: 0 })
    }

    async fn handle(
        &self,
        myself: ActorRef<LogSpoolMessage>,
        message: LogSpoolMessage,
        state: &mut LogSpoolState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            LogSpoolMessage::Masters { links, copies } => {
                state.targets = links.into_iter().map(|link| Target { link, is_copying: false }).collect();
                state.copies = copies.max(1);
                state.round += 1;
                // Who comes back may have less than it had.
                state.spools.values_mut().for_each(|spool| spool.copies.clear());
                state.copy(&myself);
            }
            LogSpoolMessage::Live { attempt, name } => {
                state.spools.insert(name, Spool::new(attempt, false));
                state.look_later(&myself);
            }
            LogSpoolMessage::Ended { attempt, name } => {
                state.spools.entry(name).or_insert_with(|| Spool::new(attempt, true)).is_ended = true;
                state.copy(&myself);
            }
            LogSpoolMessage::Look => {
                state.is_look_due = false;
                state.copy(&myself);
                state.look_later(&myself);
            }
            LogSpoolMessage::Copied { master, round, results, has_failed } => {
                if round != state.round {
                    return Ok(());
                }
                if let Some(target) = state.targets.iter_mut().find(|target| target.link.master() == master) {
                    target.is_copying = false;
                }
                let has_progress = !results.is_empty();
                state.note(&master, results);
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
        if self.targets.is_empty() {
            return;
        }
        let is_empty =
            |name: &str, spool: &Spool| spool.is_ended && spool.dropped.is_none() && self.files(name).len(None) == 0;
        let nothing_to_copy = self.spools.iter().filter(|(name, spool)| is_empty(name, spool));
        self.remove(nothing_to_copy.map(|(name, _)| name.clone()).collect());
        for at in 0..self.targets.len() {
            self.copy_to(at, myself);
        }
    }

    fn files(&self, name: &str) -> SpoolFiles {
        SpoolFiles::new(self.given.root.join(name))
    }

    fn copy_to(&mut self, at: usize, myself: &ActorRef<LogSpoolMessage>) {
        let target = &self.targets[at];
        if target.is_copying {
            return;
        }
        let (link, master) = (target.link.clone(), target.link.master().to_owned());
        let mut work = Vec::new();
        for (name, spool) in &self.spools {
            let (files, copy) = (self.files(name), spool.copy(&master));
            let has_more = if spool.is_ended { !copy.is_complete } else { files.len(None) > copy.acknowledged };
            if has_more {
                work.push((
                    name.clone(),
                    files,
                    Work {
                        attempt: spool.attempt,
                        is_ended: spool.is_ended,
                        from: copy.acknowledged,
                        dropped: spool.dropped,
                    },
                ));
            }
        }
        if work.is_empty() {
            return;
        }
        self.targets[at].is_copying = true;
        let (myself, round) = (myself.clone(), self.round);
        tokio::spawn(async move {
            let mut results = Vec::new();
            let mut has_failed = false;
            for (name, files, work) in work {
                let Some(copied) = copy_one(link.as_ref(), name, &files, &work).await else {
                    has_failed = true;
                    break;
                };
                results.extend(copied);
            }
            // The actor is gone only with the worker.
            let _ = myself.cast(LogSpoolMessage::Copied { master, round, results, has_failed });
        });
    }

    /// A spool goes when enough masters have all of it.
    fn note(&mut self, master: &str, results: Vec<Copied>) {
        let mut complete = Vec::new();
        for copied in results {
            let Some(spool) = self.spools.get_mut(&copied.name) else { continue };
            let copy = Copy { acknowledged: copied.acknowledged, is_complete: copied.is_complete };
            spool.copies.insert(master.to_owned(), copy);
            if spool.copies.values().filter(|copy| copy.is_complete).count() >= self.copies {
                complete.push(copied.name);
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
        let spares = self.given.spares.clone();
        tokio::task::spawn_blocking(move || {
            for files in gone {
                spares.give_status(&files);
                if let Err(error) = files.remove() {
                    tracing::warn!(spool = %files.base().display(), %error, "a copied spool stays");
                }
            }
        });
    }

    /// While no master takes logs spools only grow: what is beyond the bounds goes, and masters are told of the cut.
    fn keep_quota(&mut self) {
        let config = &self.given.config;
        let is_there = |(_, spool): &(&String, &Spool)| spool.dropped.is_none();
        let kept = self.spools.iter().filter(is_there).map(|(name, spool)| {
            let files = self.files(name);
            Kept {
                workflow: Tools::workflow_of(name).map(str::to_owned),
                instance: spool.attempt.instance,
                is_ended: spool.is_ended,
                changed: std::fs::metadata(files.log()).and_then(|meta| meta.modified()).ok(),
                bytes: files.disk_bytes(),
                name: name.clone(),
            }
        });
        let bounds = Bounds { workflow: config.workflow_log_bytes_max, worker: config.log_bytes_max };
        let (beyond, left) = quota::beyond(kept.collect(), bounds);
        self.given.kept.store(left, Ordering::Relaxed);
        for name in beyond {
            let files = self.files(&name);
            let length = files.len(files.status().ok().flatten().as_ref());
            tracing::warn!(spool = %name, bytes = length, "let go of before it was copied: too much output is kept here");
            if let Err(error) = files.drop_output(length) {
                tracing::warn!(spool = %name, %error, "a spool that is too much stays");
                continue;
            }
            if let Some(spool) = self.spools.get_mut(&name) {
                spool.dropped = Some(length);
                spool.copies.clear();
            }
        }
    }
}

/// What of a spool is to be copied to one master.
struct Work {
    attempt: AttemptId,
    is_ended: bool,
    from: u64,
    dropped: Option<u64>,
}

/// `None` when the link failed; an empty answer when nothing was to be done.
async fn copy_one(link: &dyn MasterLink, name: String, files: &SpoolFiles, spool: &Work) -> Option<Option<Copied>> {
    if let Some(length) = spool.dropped {
        let chunk = LogChunk { attempt: spool.attempt, offset: length, bytes: Vec::new(), is_end: true, is_cut: true };
        return match link.put(chunk).await {
            Ok(answer) if answer.is_complete => Some(Some(Copied { name, acknowledged: length, is_complete: true })),
            // A master of an older release does not know what that is.
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(spool = %name, %error, "the end of a log was not told");
                None
            }
        };
    }
    // An unreadable status means that only the plain log can be had.
    let status: Option<Status> = if spool.is_ended { files.status().ok().flatten() } else { None };
    let mut offset = spool.from;
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
        if files.dropped().is_some() {
            // The quota took it meanwhile: what was read may not be what it was.
            break;
        }
        if bytes.is_empty() && !is_end {
            break;
        }
        let chunk = LogChunk { attempt: spool.attempt, offset, bytes, is_end, is_cut: false };
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
    Some((offset != spool.from).then_some(Copied { name, acknowledged: offset, is_complete: false }))
}

/// Spools of an earlier daemon. Those whose attempts still run are announced as live by their actors.
fn left_over(root: &std::path::Path) -> BTreeMap<String, Spool> {
    let mut spools = BTreeMap::new();
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        if let Some(name) = entry.file_name().to_str()
            && let Some(name) = SpoolFiles::name_of(name)
            && let Some(attempt) = name.split('@').next().and_then(|id| id.parse().ok())
        {
            let dropped = SpoolFiles::new(root.join(name)).dropped();
            spools.insert(name.to_owned(), Spool { dropped, ..Spool::new(attempt, true) });
        }
    }
    spools
}
