//! `MasterClient` over the cluster link: follows the highest epoch, fails over, repeats only what is safe to repeat.
//!
//! Reads go to the leader, or to any master while there is none. A change whose outcome is unknown is sent again
//! under its own key, which makes the repetition harmless. Start reading at `LinkClient::call`.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use crate::actor::link_slot::LinkSlot;
use crate::actor::protocol::client::{EventsAfter, EventsPage};
use crate::actor::protocol::voter::MasterAt;
use crate::actor::protocol::{decode, encode, kind};
use crate::api::view::{EventView, HealthView};
use crate::api::{
    Answer, ApiError, ChangeAnswer, ChangeEnvelope, ErrorCode, EventItem, EventStream, LogPage, LogQuery, MasterClient,
    Query, QueryEnvelope,
};
use crate::cluster::{CallError, DownReason, Link, LinkHandler, Peer, Refusal, Role};
use crate::model::id::Epoch;
use crate::model::message::Message;
use crate::say;

/// Between tries while no master answers.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// A read gives up after this long without an answer.
const READ_PATIENCE: Duration = Duration::from_secs(5);
/// A change gives up after this long: its outcome is unknown then.
const CHANGE_PATIENCE: Duration = Duration::from_secs(15);
/// How long an answer about events is held back, and the call's own limit above it.
const EVENTS_WAIT: Duration = Duration::from_secs(20);
const CALL_MARGIN: Duration = Duration::from_secs(5);
const EVENTS_PAGE: u32 = 500;
/// Masters ask workers first: longer than that takes.
const LINK_TEST_TIMEOUT: Duration = Duration::from_secs(30);
const LINKS_TIMEOUT: Duration = Duration::from_secs(8);

#[derive(Clone)]
pub struct LinkClient {
    inner: Arc<Inner>,
}

struct Inner {
    link: LinkSlot,
    seen: Mutex<Seen>,
    /// Of one call; a commit takes milliseconds.
    call_timeout: Duration,
    /// A master came, or told of another epoch or leader.
    standings: Arc<Notify>,
}

/// What pages say about the masters without asking them.
#[derive(Default)]
struct Seen {
    leader_heard: Option<Instant>,
    seq: u64,
}

impl LinkClient {
    pub fn new(call_timeout: Duration) -> Self {
        let (link, seen, standings) = (LinkSlot::default(), Mutex::default(), Arc::default());
        Self { inner: Arc::new(Inner { link, seen, call_timeout, standings }) }
    }

    /// The link is started with this client's `handler`, so it comes after.
    pub fn attach(&self, link: Link) {
        self.inner.link.set(link);
    }

    pub fn handler(&self) -> Arc<dyn LinkHandler> {
        Arc::new(Masters { link: self.inner.link.clone(), standings: self.inner.standings.clone() })
    }

    fn masters(&self) -> Vec<Peer> {
        let peers = self.inner.link.get().map(|link| link.peers()).unwrap_or_default();
        peers.into_iter().filter(|peer| peer.role() == Role::Master && peer.is_up()).collect()
    }

    /// The master that the highest epoch names as its leader, if it is connected.
    fn leader(&self) -> Option<(Peer, Epoch)> {
        let masters = self.masters();
        let (epoch, leader) = masters
            .iter()
            .filter_map(|peer| {
                let standing = peer.standing();
                Some((standing.epoch, standing.leader?))
            })
            .max_by(|a, b| a.0.cmp(&b.0))?;
        masters.into_iter().find(|peer| *peer.name() == leader).map(|peer| (peer, epoch))
    }

    /// Asks until somebody answers or patience ends. `is_change`: only the leader is asked.
    async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        kind: u16,
        question: &Q,
        patience: Duration,
        timeout: Duration,
        is_change: bool,
    ) -> Result<A, ApiError> {
        let body = encode(question)
            .map_err(|error| ApiError::new(ErrorCode::BadRequest, Message::verbatim(error.to_string())))?;
        let body = Bytes::from(body);
        let start = Instant::now();
        let mut was_sent = false;
        loop {
            let peer = match self.leader() {
                Some((peer, epoch)) => Some((peer, epoch)),
                None if is_change => None,
                None => self.masters().into_iter().next().map(|peer| (peer, Epoch(0))),
            };
            if let Some((peer, epoch)) = peer {
                let answered = tokio::select! {
                    answered = peer.call(kind, &body, timeout) => answered,
                    // It may be stopped or cut off and never answer; who took over does.
                    () = self.superseded(&peer, epoch) => Err(CallError::Timeout),
                };
                match answered {
                    Ok(bytes) => {
                        self.note_leader();
                        let answer: Result<A, ApiError> = decode(&bytes).map_err(ApiError::internal)?;
                        match answer {
                            Err(error) if is_transient(error.code) && start.elapsed() < patience => {}
                            answer => return answer,
                        }
                    }
                    Err(error) => {
                        was_sent |= !matches!(error, CallError::Busy | CallError::TooLarge { .. });
                        if let Some(error) = final_error(&error) {
                            return Err(error);
                        }
                    }
                }
            }
            if start.elapsed() >= patience {
                return Err(nobody(is_change && was_sent, self.masters().is_empty()));
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// Ends when another master leads than the one that was asked, under a later epoch.
    async fn superseded(&self, asked: &Peer, epoch: Epoch) {
        loop {
            let mut next = pin!(self.inner.standings.notified());
            // Before the look: what is told in between counts.
            next.as_mut().enable();
            if self.leader().is_some_and(|(leader, now)| is_superseded((asked.name(), epoch), (leader.name(), now))) {
                return;
            }
            next.await;
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.inner.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn note_leader(&self) {
        if self.leader().is_some() {
            self.seen().leader_heard = Some(Instant::now());
        }
    }

    fn note_seq(&self, seq: u64) {
        let mut seen = self.seen();
        seen.seq = seen.seq.max(seq);
    }
}

/// Is what was asked under that epoch better asked of who leads now? The same master may go on under a later one.
fn is_superseded<N: PartialEq>(asked: (N, Epoch), leads: (N, Epoch)) -> bool {
    leads.1 > asked.1 && leads.0 != asked.0
}

/// The leader changes or catches up: the same question again will be answered.
fn is_transient(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::NoLeader | ErrorCode::Behind)
}

fn final_error(error: &CallError) -> Option<ApiError> {
    match error {
        CallError::Timeout | CallError::Down | CallError::Busy => None,
        CallError::Unsupported => {
            Some(ApiError::new(ErrorCode::NotInThisBuild, say!("the master is older and does not know this request")))
        }
        CallError::TooLarge { bytes, bytes_max } => {
            Some(ApiError::new(ErrorCode::TooLarge, say!("{} bytes; at most {} are taken", bytes, bytes_max)))
        }
        CallError::Refused(text) => Some(ApiError::internal(text)),
    }
}

fn nobody(is_unknown: bool, is_alone: bool) -> ApiError {
    if is_unknown {
        return ApiError::new(ErrorCode::TimedOut, say!("no master answered in time; the outcome is unknown"))
            .hint(say!("repeat the request with the same Idempotency-Key"));
    }
    let detail = match is_alone {
        true => say!("no master can be reached"),
        false => say!("no master is active right now"),
    };
    ApiError::new(ErrorCode::NoLeader, detail).retry_after_ms(1000)
}

#[async_trait]
impl MasterClient for LinkClient {
    async fn query(&self, query: QueryEnvelope) -> Result<Answer, ApiError> {
        let timeout = match &query.query {
            Query::TestLink { .. } => LINK_TEST_TIMEOUT,
            Query::Links => LINKS_TIMEOUT,
            Query::Instance { end_within_ms, .. } => {
                self.inner.call_timeout + Duration::from_millis((*end_within_ms).into())
            }
            _ => self.inner.call_timeout,
        };
        let answer: Answer = self.call(kind::QUERY, &query, READ_PATIENCE, timeout, false).await?;
        self.note_seq(answer.seq);
        Ok(answer)
    }

    async fn change(&self, change: ChangeEnvelope) -> Result<ChangeAnswer, ApiError> {
        let answer: ChangeAnswer =
            self.call(kind::CHANGE, &change, CHANGE_PATIENCE, self.inner.call_timeout, true).await?;
        self.note_seq(answer.seq);
        Ok(answer)
    }

    async fn events(&self, from: Option<u64>) -> Result<EventStream, ApiError> {
        let first = match from {
            Some(seq) => seq,
            // "From now on" must not slip while the first page is waited for.
            None => self.page(None, Duration::ZERO).await?.next,
        };
        Ok(self.stream(first))
    }

    async fn log(&self, query: LogQuery) -> Result<LogPage, ApiError> {
        let timeout = Duration::from_millis(query.wait_ms.into()) + CALL_MARGIN;
        self.call(kind::LOG, &query, READ_PATIENCE, timeout, false).await
    }

    fn health(&self) -> HealthView {
        let leader = self.leader();
        let seen = self.seen();
        let age = match &leader {
            // A live session with the leader is proof enough.
            Some((peer, _)) => peer.answered_ping_age().or(seen.leader_heard.map(|at| at.elapsed())),
            None => seen.leader_heard.map(|at| at.elapsed()),
        };
        HealthView {
            is_connected: !self.masters().is_empty(),
            epoch: leader.as_ref().map_or(0, |(_, epoch)| epoch.0),
            leader: leader.map(|(peer, _)| peer.name().to_string()),
            leader_age_ms: age.map(|age| age.as_millis() as u64),
            is_leader_here: false,
            seq: seen.seq,
        }
    }
}

impl LinkClient {
    fn stream(&self, first: u64) -> EventStream {
        let start = (self.clone(), first, Vec::<EventView>::new().into_iter());
        Box::pin(stream::unfold(start, move |(client, mut next, mut waiting)| async move {
            loop {
                if let Some(event) = waiting.next() {
                    return Some((EventItem::Event(event), (client, next, waiting)));
                }
                match client.page(Some(next), EVENTS_WAIT).await {
                    Ok(page) if page.is_reset => {
                        let reset = EventItem::Reset { seq: page.next };
                        return Some((reset, (client, page.next, Vec::new().into_iter())));
                    }
                    Ok(page) => {
                        next = page.next;
                        waiting = page.events.into_iter();
                    }
                    // No master for now: the stream goes on when there is one.
                    Err(_) => tokio::time::sleep(RETRY_PAUSE).await,
                }
            }
        }))
    }

    async fn page(&self, after: Option<u64>, wait: Duration) -> Result<EventsPage, ApiError> {
        let question = EventsAfter { after, limit: EVENTS_PAGE, wait_ms: wait.as_millis() as u32 };
        let page: EventsPage = self.call(kind::EVENTS, &question, READ_PATIENCE, wait + CALL_MARGIN, false).await?;
        self.note_seq(page.next);
        Ok(page)
    }
}

/// Nobody calls an HttpServer.
struct Masters {
    link: LinkSlot,
    standings: Arc<Notify>,
}

#[async_trait]
impl LinkHandler for Masters {
    fn peer_up(&self, peer: Peer) {
        tracing::info!(master = %peer.name(), "connected");
        self.standings.notify_waiters();
    }

    fn peer_standing(&self, _: &Peer) {
        self.standings.notify_waiters();
    }

    fn peer_down(&self, peer: &Peer, reason: &DownReason) {
        tracing::info!(master = %peer.name(), %reason, "disconnected");
    }

    async fn cast(&self, from: &Peer, kind: u16, body: Bytes) {
        if kind == kind::MASTERS {
            return match decode::<Vec<MasterAt>>(&body) {
                Ok(masters) => self.link.acquaint(masters),
                Err(error) => tracing::warn!(master = %from.name(), %error, "a list of masters cannot be read"),
            };
        }
        tracing::debug!(master = %from.name(), kind, "a message of an unknown kind");
    }

    async fn call(&self, _: &Peer, _: u16, _: Bytes) -> Result<Bytes, Refusal> {
        Err(Refusal::Unsupported)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_master_of_a_later_epoch_supersedes() {
        assert!(is_superseded(("m1", Epoch(3)), ("m2", Epoch(4))));
        assert!(!is_superseded(("m1", Epoch(3)), ("m1", Epoch(4))));
        assert!(!is_superseded(("m1", Epoch(3)), ("m2", Epoch(3))));
        assert!(!is_superseded(("m1", Epoch(3)), ("m2", Epoch(2))));
    }
}
