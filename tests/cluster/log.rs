//! The replicated log as each voter has it on disk, read when the voters are stopped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use openraft::EntryPayload;
use ractorflow::engine::event::{EventKind, NodeRef};
use ractorflow::engine::state::{NodeEnd, StopReason};
use ractorflow::engine::{Applied, Event, LogRecord, State};
use ractorflow::model::id::AttemptId;
use ractorflow::store::types::LogEntry;
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};

use crate::history::{Attempt, Record, Replica, What};

/// First byte of an entry; then MessagePack.
const FORMAT: u8 = 1;

/// What is on disk, without looking into it.
fn replica(node: &str, file: &Path) -> Result<Replica, String> {
    let mut replica = Replica { node: node.to_owned(), ..Replica::default() };
    each(file, u64::MAX, |index, committed, body| {
        replica.committed = replica.committed.max(committed);
        let hash = Sha256::digest(body);
        replica.entries.insert(index, hash[..8].iter().fold(0, |hash, byte| hash << 8 | u64::from(*byte)));
        Ok(())
    })?;
    match replica.entries.keys().next() {
        Some(first) if *first > 1 => {
            Err(format!("{}: its beginning is gone, so nothing can be checked", file.display()))
        }
        _ => Ok(replica),
    }
}

/// Each entry up to that index, with the highest index that was known to be committed when it was written.
fn each(file: &Path, last: u64, mut take: impl FnMut(u64, u64, &[u8]) -> Result<(), String>) -> Result<(), String> {
    let wrap = |error: rusqlite::Error| format!("{}: {error}", file.display());
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(wrap)?;
    let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).map_err(wrap)?;
    if sound != "ok" {
        return Err(format!("{}: {sound}", file.display()));
    }
    let last = i64::try_from(last).unwrap_or(i64::MAX);
    let mut statement =
        connection.prepare("SELECT idx, committed, body FROM log WHERE idx <= ?1 ORDER BY idx").map_err(wrap)?;
    let mut rows = statement.query([last]).map_err(wrap)?;
    while let Some(row) = rows.next().map_err(wrap)? {
        let committed: i64 = row.get(1).map_err(wrap)?;
        let body = row.get_ref(2).map_err(wrap)?.as_blob().map_err(|error| format!("{}: {error}", file.display()))?;
        take(row.get(0).map_err(wrap)?, u64::try_from(committed).unwrap_or(0), body)?;
    }
    Ok(())
}

/// The log of each voter, and what the committed part of it says.
pub fn read_all(files: &BTreeMap<String, PathBuf>) -> Result<(Vec<Replica>, Vec<Record>), String> {
    let mut replicas = files.iter().map(|(node, file)| replica(node, file)).collect::<Result<Vec<_>, _>>()?;
    // At rest, what most voters have alike is committed, whether or not one of them came to know.
    let is_common = |index: &u64, hash: &u64| {
        let alike = replicas.iter().filter(|replica| replica.entries.get(index) == Some(hash)).count();
        alike * 2 > replicas.len()
    };
    let mut common = (0, None);
    for replica in &replicas {
        let last = replica.entries.iter().take_while(|(index, hash)| is_common(index, hash)).last();
        let last = last.map_or(0, |(index, _)| *index);
        if last > common.0 {
            common = (last, files.get(&replica.node));
        }
    }
    let (last, Some(file)) = common else { return Err("no entry is on most voters".to_owned()) };
    let mut reader = Reader { state: State::default(), records: Vec::new() };
    each(file, last, |index, _, body| {
        let wrong = |why: String| format!("{}: entry {index}: {why}", file.display());
        let Some((&FORMAT, rest)) = body.split_first() else { return Err(wrong("another format".to_owned())) };
        let entry: LogEntry = rmp_serde::from_slice(rest).map_err(|error| wrong(error.to_string()))?;
        reader.take(&entry);
        Ok(())
    })?;
    // Every replica applies the same; this one stands for all.
    replicas.iter_mut().for_each(|replica| replica.diverged = reader.state.diverged().map(|why| why.to_string()));
    Ok((replicas, reader.records))
}

/// Applies the log as a replica does; the state tells the names of nodes.
struct Reader {
    state: State,
    records: Vec<Record>,
}

impl Reader {
    fn take(&mut self, entry: &LogEntry) {
        let EntryPayload::Normal(record) = &entry.payload else { return };
        let term = entry.log_id.leader_id.term;
        let (index, before) = (entry.log_id.index, self.state.cluster.seq.0);
        // Names first: what ends may be forgotten by the same entry.
        let named = match record.as_ref() {
            LogRecord::TakeOver(_) => Vec::new(),
            LogRecord::Events(entry) => entry.events.iter().map(|event| self.of(event)).collect(),
        };
        if self.state.apply_record(term, record) != Applied::Applied {
            return;
        }
        let epoch = self.state.cluster.epoch.0;
        let record_at = |seq, what| Record { index, term, epoch, seq, what };
        match record.as_ref() {
            LogRecord::TakeOver(take_over) => {
                self.records.push(record_at(before, What::TakeOver { node: take_over.node.0 }));
            }
            LogRecord::Events(entry) => {
                for (event, (seq, early)) in entry.events.iter().zip((before + 1..).zip(named)) {
                    // Of an instance that the same entry makes there is a name only now.
                    if let Some(what) = early.or_else(|| self.of(event)) {
                        self.records.push(record_at(seq, what));
                    }
                }
            }
        }
    }

    fn of(&self, event: &Event) -> Option<What> {
        Some(match &event.kind {
            EventKind::RequestAnswered { key, .. } => What::Answered { key: key.clone() },
            EventKind::EnableChanged { workflow, enabled, .. } => {
                What::Enabled { workflow: workflow.to_string(), on: *enabled }
            }
            EventKind::InstanceCreated { instance } => What::Created {
                instance: instance.number.0,
                workflow: instance.workflow.to_string(),
                key: instance.request.clone(),
            },
            EventKind::InstanceStarted { instance } => What::Began { instance: instance.0 },
            EventKind::InstanceStopping { instance, reason, .. } => {
                What::Stopping { instance: instance.0, is_kill: matches!(reason, StopReason::Killed { .. }) }
            }
            EventKind::InstanceFinished { instance, end, .. } => {
                What::Finished { instance: instance.0, end: format!("{end:?}").to_lowercase() }
            }
            EventKind::NodeQueued { node, .. } => What::Queued { instance: node.instance.0, node: self.name(*node)? },
            EventKind::NodeFinished { node, end, .. } => {
                let end = match end {
                    NodeEnd::Succeeded => "succeeded",
                    NodeEnd::Failed => "failed",
                    NodeEnd::Killed => "killed",
                    NodeEnd::TimedOut => "timed_out",
                    NodeEnd::Skipped(_) => "skipped",
                    NodeEnd::UpstreamFailed => "upstream_failed",
                };
                What::Done { instance: node.instance.0, node: self.name(*node)?, end: end.to_owned() }
            }
            EventKind::AttemptDispatched { attempt, worker, .. } => {
                What::Dispatched { attempt: self.attempt(attempt)?, worker: worker.to_string() }
            }
            EventKind::AttemptEnded { attempt, end, outcome } => What::Ended {
                attempt: self.attempt(attempt)?,
                end: format!("{end:?}").to_lowercase(),
                exit_code: outcome.as_ref().and_then(|outcome| outcome.exit_code),
            },
            EventKind::ResultStale { attempt, .. } => What::Stale { attempt: self.attempt(attempt)? },
            _ => return None,
        })
    }

    fn attempt(&self, id: &AttemptId) -> Option<Attempt> {
        Some(Attempt { instance: id.instance.0, node: self.name(NodeRef::from(*id))?, number: id.number })
    }

    fn name(&self, node: NodeRef) -> Option<String> {
        let instance = self.state.instances.get(&node.instance)?;
        let version = self.state.version_of(instance)?;
        Some(version.definition().node(node.node).name.to_string())
    }
}

/// `cluster log FILE INSTANCE`: the events of an instance as they are stored, to see what happened.
pub fn show(arguments: &[String]) -> Result<(), String> {
    let [file, instance] = arguments else { return Err("cluster log FILE INSTANCE".to_owned()) };
    let words = [format!("InstanceNumber({instance})"), format!("number: InstanceNumber({instance}),")];
    each(Path::new(file), u64::MAX, |index, _, body| {
        let entry: Result<LogEntry, _> = rmp_serde::from_slice(body.get(1..).unwrap_or_default());
        let entry = entry.map_err(|error| format!("entry {index}: {error}"))?;
        let EntryPayload::Normal(record) = &entry.payload else { return Ok(()) };
        match record.as_ref() {
            LogRecord::TakeOver(take_over) => println!("{index} {take_over:?}"),
            LogRecord::Events(entry) => {
                for event in &entry.events {
                    let text = format!("{:?}", event.kind);
                    if words.iter().any(|word| text.contains(word)) {
                        println!("{index} epoch {} {} {text}", entry.epoch, event.at);
                    }
                }
            }
        }
        Ok(())
    })
}
