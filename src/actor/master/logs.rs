//! Task logs: from a name that a person knows to the attempt's file, and lines of it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::actor::clock;
use crate::actor::log_store::{LogError, LogSelection, LogStore};
use crate::actor::protocol::client::LogCopyRead;
use crate::actor::protocol::{decode, encode, kind};
use crate::actor::worker_process::{PieceKind, read_piece_name};
use crate::api::{ApiError, ErrorCode, LogLine, LogPage, LogQuery, LogStart, LogStream};
use crate::cluster::bulk::{BulkOffer, BulkSink};
use crate::cluster::{Peer, Refusal, Role};
use crate::engine::event::NodeRef;
use crate::engine::state::{AttemptState, Instance, State};
use crate::model::id::{AttemptId, Generation, InstanceNumber};
use crate::say;

use super::query::query_error;
use super::shared::Shared;

/// Longest time that an answer is held back for more lines.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// After the end of an attempt its last lines are on their way this long at most.
const ARRIVAL: Duration = Duration::from_secs(2);
/// What another master may take to say what it has.
const COPY_TIMEOUT: Duration = Duration::from_secs(2);
/// Lines that there surely are may take longer, when many logs come at once.
const SURE_ARRIVAL: Duration = Duration::from_secs(10);

/// So long after its end nothing of an attempt's log is waited for: a worker copies at once, and again every second.
const PAST_MS: i64 = 300_000;

struct Target {
    attempt: AttemptId,
    is_ended: bool,
    /// Of one that ended: did it write anything? `None`: not known.
    has_log: Option<bool>,
    /// It ended so long ago that nothing of it is on its way any more.
    is_past: bool,
}

pub async fn page(shared: &Arc<Shared>, logs: &Arc<LogStore>, query: LogQuery) -> Result<LogPage, ApiError> {
    let target = resolve(shared, &query).await?;
    let selection =
        LogSelection { start: query.start, limit: query.limit, grep: query.grep.clone(), stream: query.stream };
    let mut page = read(logs, target.attempt, selection.clone()).await?;
    if target.is_ended
        && target.has_log != Some(false)
        && let Some(better) = elsewhere(shared, logs, target.attempt, &selection).await
    {
        return Ok(better);
    }
    if target.is_past && page.total == 0 {
        return Ok(gone(page, &target, query.start));
    }
    if page.lines.is_empty() && !page.ended {
        let asked = Duration::from_millis(query.wait_ms.into());
        let wait = match (target.is_ended, target.has_log) {
            (true, Some(false)) => Duration::ZERO,
            (true, Some(true)) => asked.clamp(ARRIVAL, SURE_ARRIVAL),
            (true, None) => ARRIVAL,
            (false, _) => asked.min(WAIT_MAX),
        };
        let known = page.next.saturating_sub(1).max(page.total);
        logs.wait(target.attempt, known, wait).await;
        page = read(logs, target.attempt, selection).await?;
        // What has not come by now does not come: its worker is gone, or it never wrote anything.
        page.ended |= page.lines.is_empty() && target.is_ended;
    }
    Ok(page)
}

/// Of what was written nothing is left: said in the place of the lines, so that an empty page is not taken for them.
fn gone(page: LogPage, target: &Target, start: LogStart) -> LogPage {
    let is_asked = target.has_log == Some(true) && !matches!(start, LogStart::Line(line) if line > 1);
    let text = "the log is not kept any more: it is beyond [retention] task_logs_days or the bounds of [worker]";
    let line = LogLine { n: 1, time: clock::wall().into(), stream: LogStream::System, text: text.to_owned() };
    let lines: Vec<LogLine> = is_asked.then_some(line).into_iter().collect();
    LogPage { next: lines.len() as u64 + 1, total: lines.len() as u64, lines, ended: true, ..page }
}

/// The page of another master, when this one does not have all of the log and that one has more.
async fn elsewhere(
    shared: &Arc<Shared>,
    logs: &Arc<LogStore>,
    attempt: AttemptId,
    selection: &LogSelection,
) -> Option<LogPage> {
    let here = logs.len(attempt);
    if here.is_complete {
        return None;
    }
    let question = encode(&attempt).ok()?;
    let mut best: Option<(u64, Peer)> = None;
    for peer in shared.peers().into_iter().filter(|peer| peer.role() == Role::Master) {
        let Ok(answer) = peer.call(kind::LOG_LENGTH, &question, COPY_TIMEOUT).await else { continue };
        let Ok(bytes) = decode::<u64>(&answer) else { continue };
        if bytes > best.as_ref().map_or(here.bytes, |(most, _)| *most) {
            best = Some((bytes, peer));
        }
    }
    let (_, peer) = best?;
    let LogSelection { start, limit, grep, stream } = selection.clone();
    let body = encode(&LogCopyRead { attempt, start, limit, grep, stream }).ok()?;
    let answer = peer.call(kind::LOG_COPY, body, COPY_TIMEOUT).await.ok()?;
    decode::<Result<LogPage, ApiError>>(&answer).ok()?.ok()
}

/// Another master reads what this one has.
pub async fn copy(logs: &Arc<LogStore>, wanted: LogCopyRead) -> Result<LogPage, ApiError> {
    let LogCopyRead { attempt, start, limit, grep, stream } = wanted;
    read(logs, attempt, LogSelection { start, limit, grep, stream }).await
}

async fn read(logs: &Arc<LogStore>, attempt: AttemptId, selection: LogSelection) -> Result<LogPage, ApiError> {
    let logs = logs.clone();
    let rows = tokio::task::spawn_blocking(move || logs.read(attempt, &selection)).await;
    let rows = match rows.map_err(ApiError::internal)? {
        Ok(rows) => rows,
        Err(LogError::Unknown(_)) => {
            return Ok(LogPage {
                lines: Vec::new(),
                next: 1,
                ended: false,
                total: 0,
                attempt: attempt.number,
                generation: attempt.generation.0,
                is_cut: false,
            });
        }
        Err(error @ LogError::File { .. }) => return Err(ApiError::internal(error)),
    };
    Ok(LogPage {
        lines: rows.lines,
        next: rows.next,
        ended: rows.ended,
        total: rows.total,
        attempt: attempt.number,
        generation: attempt.generation.0,
        is_cut: rows.is_cut,
    })
}

async fn resolve(shared: &Arc<Shared>, query: &LogQuery) -> Result<Target, ApiError> {
    let number = InstanceNumber(query.instance);
    let replica = shared.raft.replica();
    // Only the one node is looked at: an instance can have 20,000.
    let live = replica.with_state(|state| {
        let head = state.instances.get(&number)?;
        Some(place(state, head, query).map(|id| state.nodes.get(&id).cloned()))
    });
    let node = match live {
        Some(found) => found?,
        None => {
            let head = replica.query(move |queries| queries.instance(number)).await.map_err(query_error)?;
            let head = head.ok_or_else(|| {
                ApiError::new(ErrorCode::InstanceNotFound, say!("there is no instance {}", query.instance))
            })?;
            let id = replica.with_state(|state| place(state, &head, query))?;
            replica.query(move |queries| queries.node(id)).await.map_err(query_error)?
        }
    };
    let node = node.ok_or_else(|| {
        ApiError::new(ErrorCode::AttemptNotFound, say!("node {} has not started", query.node))
            .hint(say!("`ractorflow why` says what it waits for"))
    })?;
    let attempt = match query.attempt {
        Some(number) => node.attempt(number),
        None => node.attempts.last(),
    };
    let attempt = attempt
        .ok_or_else(|| ApiError::new(ErrorCode::AttemptNotFound, say!("node {} has no such attempt", query.node)))?;
    Ok(Target {
        attempt: AttemptId { index: attempt.index, ..node.id.attempt(attempt.number) },
        is_ended: matches!(attempt.state, AttemptState::Ended { .. }),
        has_log: attempt.outcome().and_then(|outcome| outcome.has_log),
        is_past: attempt.outcome().is_some_and(|outcome| clock::wall().since(outcome.finished) > PAST_MS),
    })
}

/// Where the record of the node that the query names is.
fn place(state: &State, head: &Instance, query: &LogQuery) -> Result<NodeRef, ApiError> {
    let generation = query.generation.map_or(head.generation().number, Generation);
    let version = head.generations.iter().find(|known| known.number == generation).map(|known| known.version);
    let version = version.and_then(|version| state.version(&head.workflow, version));
    let node = version.and_then(|version| version.definition().node_named(&query.node)).ok_or_else(|| {
        ApiError::new(ErrorCode::NodeNotFound, say!("instance #{} has no node {}", head.number, query.node))
    })?;
    Ok(NodeRef { instance: head.number, generation, node })
}

/// A worker has a piece of a log for this master.
pub fn sink(logs: Arc<LogStore>, offer: &BulkOffer) -> Result<Box<dyn BulkSink>, Refusal> {
    let Some((attempt, offset, kind)) = read_piece_name(&offer.object) else { return Err(Refusal::Unsupported) };
    if kind == PieceKind::Cut {
        return Ok(Box::new(Cut { logs, attempt, length: offset }));
    }
    let is_end = kind == PieceKind::Last;
    let known = logs.len(attempt).bytes;
    let end = offset + offer.length.unwrap_or(0);
    if known < offset || known > end {
        // The worker asks how much is here, and goes on from there.
        return Err(Refusal::Refused(format!("{known} bytes of the log are here")));
    }
    Ok(Box::new(Piece { logs, attempt, start: offset, at: known, end, is_end }))
}

/// The worker let go of the rest.
struct Cut {
    logs: Arc<LogStore>,
    attempt: AttemptId,
    length: u64,
}

#[async_trait]
impl BulkSink for Cut {
    fn offset(&self) -> u64 {
        0
    }

    async fn write(&mut self, _: Bytes) -> Result<(), Refusal> {
        Err(Refusal::Refused("a cut has no bytes".to_owned()))
    }

    async fn finish(self: Box<Self>) -> Result<(), Refusal> {
        let Cut { logs, attempt, length } = *self;
        on_disk(move || logs.cut(attempt, length, clock::wall().0)).await
    }
}

struct Piece {
    logs: Arc<LogStore>,
    attempt: AttemptId,
    start: u64,
    at: u64,
    end: u64,
    is_end: bool,
}

#[async_trait]
impl BulkSink for Piece {
    fn offset(&self) -> u64 {
        self.at - self.start
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), Refusal> {
        let (logs, attempt, at) = (self.logs.clone(), self.attempt, self.at);
        self.at = on_disk(move || logs.append(attempt, at, &chunk)).await?;
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<(), Refusal> {
        if self.at < self.end {
            return Err(Refusal::Refused(format!("{} bytes of the log are here", self.at)));
        }
        if self.is_end {
            let (logs, attempt, end) = (self.logs.clone(), self.attempt, self.end);
            on_disk(move || logs.finish(attempt, end)).await?;
        }
        Ok(())
    }
}

/// Writing may wait for the disk: not on the threads that move messages.
async fn on_disk<T: Send + 'static>(
    write: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, Refusal> {
    let written = tokio::task::spawn_blocking(write).await.map_err(|error| Refusal::Refused(error.to_string()))?;
    written.map_err(|error| Refusal::Refused(error.to_string()))
}
