//! What this master answers to HttpServers: reads from its replica, changes through the leader, events, logs.

use std::sync::Arc;
use std::time::Duration;

use crate::actor::log_store::LogStore;
use crate::actor::protocol::client::{EventsAfter, EventsPage};
use crate::actor::view::event;
use crate::api::{
    Answer, ApiError, Change, ChangeAnswer, ChangeEnvelope, Changed, ErrorCode, EventView, InstanceRef, LogPage,
    LogQuery, Query, QueryEnvelope, page,
};
use crate::model::id::{InstanceNumber, Seq};
use crate::say;

use super::change;
use super::definitions::Definitions;
use super::housekeeping;
use super::logs;
use super::membership;
use super::query;
use super::shared::Shared;

/// The leader waits this long for its own replica; a standby answers `behind` sooner.
const LEADER_READ_WAIT: Duration = Duration::from_secs(1);
/// A question that names no number waits this long for the database to be written.
const FRESH_WAIT: Duration = Duration::from_millis(50);
/// Longest time that an answer about events is held back.
const EVENTS_WAIT_MAX: Duration = Duration::from_secs(30);
/// And one about an instance that has not ended.
const END_WAIT_MAX: Duration = Duration::from_secs(60);
const EVENTS_MAX: usize = 1_000;

pub struct MasterApi {
    pub shared: Arc<Shared>,
    pub definitions: Arc<Definitions>,
    pub logs: Arc<LogStore>,
}

impl MasterApi {
    pub async fn query(&self, envelope: QueryEnvelope) -> Result<Answer, ApiError> {
        self.wait_for_end(&envelope).await?;
        if let Some(min_seq) = envelope.min_seq {
            // What is in memory is shown as it is there: the database comes after, for many changes at once.
            self.wait_for(Seq(min_seq), || query::is_in_memory(&self.shared, &envelope.query)).await?;
        } else if !query::is_in_memory(&self.shared, &envelope.query) {
            // What happened before the question belongs into the answer; a database that is late is asked all the same.
            let replica = self.shared.raft.replica();
            replica.is_queryable(replica.seq(), FRESH_WAIT).await;
        }
        query::answer(&self.shared, &self.definitions, envelope).await
    }

    /// Everything that a reader with this number must see is in memory and, unless that is enough, in the database.
    async fn wait_for(&self, seq: Seq, is_in_memory: impl Fn() -> bool) -> Result<(), ApiError> {
        let wait = match self.shared.leader() {
            Some(_) => LEADER_READ_WAIT,
            None => Duration::from_millis(self.shared.config.master.read_wait_ms),
        };
        let replica = self.shared.raft.replica();
        if replica.reaches(seq, wait).await && (is_in_memory() || replica.is_queryable(seq, wait).await) {
            return Ok(());
        }
        let detail = say!("this master has seen events up to {}, not yet {}", replica.seq(), seq);
        Err(ApiError::new(ErrorCode::Behind, detail).retry_after_ms(200))
    }

    /// Until the instance that is asked for has ended, if the question wants that, and no longer than it says.
    async fn wait_for_end(&self, envelope: &QueryEnvelope) -> Result<(), ApiError> {
        let Query::Instance { instance: InstanceRef::Number(number), end_within_ms, .. } = &envelope.query else {
            // Which one is the last may change: who asks so is told its number first.
            return Ok(());
        };
        if *end_within_ms == 0 {
            return Ok(());
        }
        if let Some(min_seq) = envelope.min_seq {
            // Before that it may not be there yet, and what is not there has not to be waited for.
            self.wait_for(Seq(min_seq), || true).await?;
        }
        let (replica, number) = (self.shared.raft.replica(), InstanceNumber(*number));
        let wait = Duration::from_millis((*end_within_ms).into()).min(END_WAIT_MAX);
        let mut applied = replica.watch_seq();
        let ended = async {
            // What is not in memory rests, or never was.
            while replica.with_state(|state| state.instances.get(&number).is_some_and(|it| !it.is_terminal())) {
                if applied.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(wait, ended).await;
        Ok(())
    }

    pub async fn change(&self, envelope: ChangeEnvelope) -> Result<ChangeAnswer, ApiError> {
        if self.shared.leader().is_none() {
            return Err(ApiError::new(ErrorCode::NoLeader, say!("this master does not lead")).retry_after_ms(200));
        }
        if let Some(done) = self.of_the_cluster(&envelope.change).await {
            done?;
            let seq = self.shared.raft.replica().seq().0;
            return Ok(ChangeAnswer { seq, is_repeat: false, changed: Changed::Done });
        }
        if self.shared.raft.space().is_low() {
            let detail = say!("the disk of this master is nearly full: only results of running tasks are taken");
            return Err(ApiError::new(ErrorCode::DiskFull, detail).hint(say!("free space on the masters")));
        }
        let deleted = match &envelope.change {
            Change::DeleteInstance { instance } => Some(InstanceNumber(*instance)),
            _ => None,
        };
        let answer = change::change(&self.shared, &self.definitions, envelope).await?;
        if let Some(instance) = deleted {
            housekeeping::remove_logs(&self.logs, vec![instance]).await;
        }
        Ok(answer)
    }

    /// Who votes and who leads is raft's, not the engine's. `None`: the change is of another sort.
    async fn of_the_cluster(&self, change: &Change) -> Option<Result<(), ApiError>> {
        match change {
            Change::SwitchOver { request } => Some(membership::switch_over(&self.shared, request).await),
            Change::AddMember { node } => Some(membership::add(&self.shared, node).await),
            Change::RemoveMember { node } => Some(membership::remove(&self.shared, node).await),
            _ => None,
        }
    }

    pub async fn events(&self, request: EventsAfter) -> Result<EventsPage, ApiError> {
        let replica = self.shared.raft.replica();
        let after = request.after.map_or_else(|| replica.seq(), Seq);
        let reset = || EventsPage { events: Vec::new(), next: replica.seq().0, is_reset: true };
        if after > replica.seq() {
            // A number of the future: this replica is behind, or its history is another one.
            self.wait_for(after, || true).await?;
        }
        let Ok(mut subscription) = replica.subscribe_from(after) else { return Ok(reset()) };
        let limit = (request.limit as usize).clamp(1, EVENTS_MAX);
        let deadline = tokio::time::Instant::now() + Duration::from_millis(request.wait_ms.into()).min(EVENTS_WAIT_MAX);
        let mut events: Vec<EventView> = Vec::new();
        let mut next = after;
        let mut bytes = 0;
        while events.len() < limit && bytes < page::PAGE_BYTES_MAX {
            // What is there is taken at once; only an empty page waits.
            let happened = if events.is_empty() {
                let Ok(happened) = tokio::time::timeout_at(deadline, subscription.next()).await else { break };
                happened.map(Some)
            } else {
                subscription.next_now()
            };
            let Ok(happened) = happened else { return Ok(reset()) };
            let Some(happened) = happened else { break };
            next = happened.seq;
            let view = replica.with_state(|state| event::view(state, happened.seq, &happened.event));
            bytes += view.as_ref().map_or(0, page::encoded_bytes);
            events.extend(view);
        }
        Ok(EventsPage { events, next: next.0, is_reset: false })
    }

    pub async fn log(&self, query: LogQuery) -> Result<LogPage, ApiError> {
        logs::page(&self.shared, &self.logs, query).await
    }
}
