//! One session with one incarnation of one peer: queue out, reassembly in, calls under way, signs of life.
//!
//! Knows no socket: a `Carrier` takes frames, and whoever reads frames calls `on_frame`. So the session between
//! two roles of one process differs from one over the network by its carrier alone. Start at `on_frame`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::bulk::BulkSlot;
use super::config::LinkLimits;
use super::error::{CallError, DownReason, Refusal, SendError};
use super::frame::{Header, Reassembler, Sort, split};
use super::handler::LinkHandler;
use super::identity::{Hello, NodeIdentity, Process, Standing};
use super::outbox::{Full, Lane, Outbox};
use super::peer::Peer;
use crate::model::id::Epoch;

/// Kinds from here on are the link's own.
pub const KIND_RESERVED_MIN: u16 = 0xff00;
/// Longer calls and replies leave the urgent lane.
const URGENT_BYTES_MAX: usize = 64 * 1024;
/// Pings, pongs and refusals may still be queued above the budget, up to this.
const RESERVE_BYTES: usize = 1024 * 1024;
/// What a waiting message costs besides its body.
const MESSAGE_WEIGHT_BYTES: usize = 128;

/// Takes frames towards the peer. Must not block; reports what left by `Session::written`.
pub(super) trait Carrier: Send + Sync {
    fn send(&self, frame: Vec<u8>);
}

/// What a session needs of the process it belongs to.
pub(super) struct Own {
    pub identity: NodeIdentity,
    pub address: Option<Arc<str>>,
    pub process: Process,
    pub standing: RwLock<Standing>,
    pub limits: LinkLimits,
    pub handler: Arc<dyn LinkHandler>,
    pub notices: mpsc::UnboundedSender<Notice>,
    /// A peer has pinged: a good moment for a round of our own.
    pub pinged: Notify,
}

/// What happened to a session, told to the handler one by one.
pub(super) enum Notice {
    Up(Arc<Session>),
    Standing(Arc<Session>),
    Down(Arc<Session>),
}

impl Own {
    pub(super) fn standing(&self) -> Standing {
        self.standing.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn hello(&self) -> Hello {
        Hello::new(self.identity.clone(), self.address.clone(), self.standing(), self.process.clone())
    }

    fn epoch(&self) -> Epoch {
        self.standing.read().unwrap_or_else(PoisonError::into_inner).epoch
    }
}

pub(super) struct Session {
    pub(super) number: u64,
    pub(super) hello: Hello,
    pub(super) is_local: bool,
    pub(super) own: Arc<Own>,
    pub(super) bulk: BulkSlot,
    /// The handler knows of the peer.
    pub(super) announced: CancellationToken,
    pub(super) closed: CancellationToken,
    /// The connection's resources are gone.
    pub(super) gone: CancellationToken,
    /// Of the peer's certificate, if the connection is encrypted.
    pub(super) serial: OnceLock<String>,
    standing: RwLock<Standing>,
    carrier: OnceLock<Box<dyn Carrier>>,
    end: OnceLock<DownReason>,
    outbox: Mutex<Outbox>,
    reassembler: Mutex<Reassembler>,
    pending: Mutex<HashMap<u64, oneshot::Sender<Result<Bytes, CallError>>>>,
    casts: mpsc::UnboundedSender<(u16, Bytes)>,
    next_message: AtomicU64,
    unhandled_bytes: AtomicUsize,
    calls: AtomicUsize,
    heard_ms: AtomicU64,
    answered_ping_ms: AtomicU64,
    has_standing_notice: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

/// A heartbeat and its echo.
#[derive(Debug, Serialize, Deserialize)]
struct Beat {
    /// The sender's own clock; a pong repeats the ping's.
    sent_ms: u64,
    standing: Standing,
}

impl Session {
    pub(super) fn new(own: Arc<Own>, number: u64, hello: Hello, is_local: bool) -> Arc<Self> {
        // Unbounded by count, bounded by bytes: nothing is read from the peer while too much waits here.
        let (casts, waiting) = mpsc::unbounded_channel();
        let session = Arc::new(Self {
            number,
            standing: RwLock::new(hello.standing.clone()),
            hello,
            is_local,
            own,
            bulk: BulkSlot::default(),
            announced: CancellationToken::new(),
            closed: CancellationToken::new(),
            gone: CancellationToken::new(),
            serial: OnceLock::new(),
            carrier: OnceLock::new(),
            end: OnceLock::new(),
            outbox: Mutex::new(Outbox::new()),
            reassembler: Mutex::default(),
            pending: Mutex::default(),
            casts,
            next_message: AtomicU64::new(1),
            unhandled_bytes: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            heard_ms: AtomicU64::new(boottime_ms()),
            answered_ping_ms: AtomicU64::new(0),
            has_standing_notice: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
        });
        tokio::spawn(deliver_casts(session.clone(), waiting));
        session
    }

    /// The connection is ready: what was queued goes out, and the handler is told.
    pub(super) fn attach(self: &Arc<Self>, carrier: Box<dyn Carrier>) {
        if self.carrier.set(carrier).is_err() {
            return;
        }
        self.touch();
        self.pump(&mut locked(&self.outbox));
        let _ = self.own.notices.send(Notice::Up(self.clone()));
        // Our standing may have changed since the handshake.
        self.ping();
    }

    /// Its connection broke before anybody was given it.
    pub(super) fn never_carried(self: &Arc<Self>) {
        self.close(DownReason::Closed);
        self.gone.cancel();
    }

    pub(super) fn close(self: &Arc<Self>, reason: DownReason) {
        if self.end.set(reason).is_err() {
            return;
        }
        self.closed.cancel();
        locked(&self.outbox).close();
        for (_, waiting) in locked(&self.pending).drain() {
            let _ = waiting.send(Err(CallError::Down));
        }
        self.reader.wake();
        self.writer.wake();
        let _ = self.own.notices.send(Notice::Down(self.clone()));
    }

    /// Whether messages can go out, known to the handler or about to be.
    pub(super) fn is_usable(&self) -> bool {
        self.carrier.get().is_some() && self.end().is_none()
    }

    pub(super) fn end(&self) -> Option<&DownReason> {
        self.end.get()
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.hello.identity.name
    }

    pub(super) fn standing(&self) -> Standing {
        self.standing.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    // ---- out

    pub(super) fn cast(&self, kind: u16, body: &[u8]) -> Result<(), SendError> {
        self.send(Sort::Cast, kind, self.fresh_number(), body, self.own.limits.peer_queue_bytes_max)
    }

    pub(super) async fn call(&self, kind: u16, body: &[u8], timeout: Duration) -> Result<Bytes, CallError> {
        let message = self.fresh_number();
        let (reply, answer) = oneshot::channel();
        let _forget = Forget { session: self, message };
        locked(&self.pending).insert(message, reply);
        self.send(Sort::Call, kind, message, body, self.own.limits.peer_queue_bytes_max)?;
        match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(CallError::Down),
            Err(_) => Err(CallError::Timeout),
        }
    }

    pub(super) fn ping(&self) {
        self.beat(Sort::Ping, boottime_ms());
    }

    fn beat(&self, sort: Sort, sent_ms: u64) {
        let beat = Beat { sent_ms, standing: self.own.standing() };
        let body = rmp_serde::to_vec_named(&beat).expect("a heartbeat of plain fields encodes");
        let _ = self.send_reserved(sort, 0, self.fresh_number(), &body);
    }

    fn fresh_number(&self) -> u64 {
        self.next_message.fetch_add(1, Ordering::Relaxed)
    }

    fn send_reserved(&self, sort: Sort, kind: u16, message: u64, body: &[u8]) -> Result<(), SendError> {
        self.send(sort, kind, message, body, self.own.limits.peer_queue_bytes_max + RESERVE_BYTES)
    }

    fn send(&self, sort: Sort, kind: u16, message: u64, body: &[u8], queue_bytes_max: usize) -> Result<(), SendError> {
        let limits = &self.own.limits;
        if body.len() > limits.message_bytes_max {
            return Err(SendError::TooLarge { bytes: body.len(), bytes_max: limits.message_bytes_max });
        }
        let header = Header {
            sort,
            kind,
            session: self.number,
            message,
            epoch: self.own.epoch(),
            fragment: 0,
            fragments: 1,
            total: 0,
        };
        let frames = split(header, body, limits.frame_bytes_max);
        let lane = match sort {
            Sort::Cast => Lane::Cast,
            Sort::Ping | Sort::Pong | Sort::Refusal => Lane::Urgent,
            Sort::Call | Sort::Reply if body.len() <= URGENT_BYTES_MAX && frames.len() == 1 => Lane::Urgent,
            Sort::Call | Sort::Reply => Lane::Long,
        };
        let mut outbox = locked(&self.outbox);
        match outbox.push(lane, frames, queue_bytes_max) {
            Ok(()) => {
                self.pump(&mut outbox);
                Ok(())
            }
            Err(Full::Closed) => Err(SendError::Down),
            Err(Full::OverBudget) => Err(SendError::Busy),
        }
    }

    fn pump(&self, outbox: &mut Outbox) {
        let Some(carrier) = self.carrier.get() else { return };
        while let Some(frame) = outbox.pop(self.own.limits.write_window_bytes) {
            carrier.send(frame);
        }
    }

    /// The connection took a frame of this length.
    pub(super) fn written(&self, bytes: usize) {
        let mut outbox = locked(&self.outbox);
        outbox.written(bytes, self.own.limits.peer_queue_bytes_max);
        self.pump(&mut outbox);
    }

    pub(super) fn queued_bytes(&self) -> usize {
        locked(&self.outbox).bytes()
    }

    // ---- in

    /// A frame came in. What cannot be one of ours ends the session.
    pub(super) fn on_frame(self: &Arc<Self>, header: Header, frame: Vec<u8>) {
        if self.end().is_some() {
            return;
        }
        self.touch();
        self.learn_epoch(header.epoch);
        let whole = locked(&self.reassembler).take(&header, frame, self.own.limits.message_bytes_max);
        match whole {
            Ok(Some(body)) => self.on_message(header, body),
            Ok(None) => {}
            Err(error) => self.close(DownReason::Protocol(error.to_string())),
        }
    }

    fn on_message(self: &Arc<Self>, header: Header, body: Bytes) {
        match header.sort {
            Sort::Cast => {
                self.unhandled_bytes.fetch_add(body.len() + MESSAGE_WEIGHT_BYTES, Ordering::AcqRel);
                let _ = self.casts.send((header.kind, body));
            }
            Sort::Call => self.on_call(header, body),
            Sort::Reply => self.on_answer(header.message, Ok(body)),
            Sort::Refusal => {
                let refusal = rmp_serde::from_slice(&body).unwrap_or(Refusal::Refused("an unreadable refusal".into()));
                self.on_answer(header.message, Err(refusal.into()));
            }
            Sort::Ping | Sort::Pong => self.on_beat(header.sort, &body),
        }
    }

    fn on_answer(&self, message: u64, answer: Result<Bytes, CallError>) {
        // A late answer finds nobody waiting: its caller gave up.
        if let Some(waiting) = locked(&self.pending).remove(&message) {
            let _ = waiting.send(answer);
        }
    }

    fn on_beat(self: &Arc<Self>, sort: Sort, body: &[u8]) {
        let Ok(beat) = rmp_serde::from_slice::<Beat>(body) else {
            return self.close(DownReason::Protocol("an unreadable heartbeat".into()));
        };
        if sort == Sort::Ping {
            self.beat(Sort::Pong, beat.sent_ms);
            self.own.pinged.notify_one();
        } else {
            self.answered_ping_ms.fetch_max(beat.sent_ms, Ordering::AcqRel);
        }
        let mut standing = self.standing.write().unwrap_or_else(PoisonError::into_inner);
        if beat.standing.epoch >= standing.epoch && beat.standing != *standing {
            *standing = beat.standing;
            drop(standing);
            self.note_standing();
        }
    }

    /// Each frame carries its sender's epoch; the leader's name follows with a heartbeat.
    fn learn_epoch(self: &Arc<Self>, epoch: Epoch) {
        if self.standing.read().unwrap_or_else(PoisonError::into_inner).epoch >= epoch {
            return;
        }
        *self.standing.write().unwrap_or_else(PoisonError::into_inner) = Standing { epoch, leader: None };
        self.note_standing();
    }

    fn note_standing(self: &Arc<Self>) {
        if !self.has_standing_notice.swap(true, Ordering::AcqRel) {
            let _ = self.own.notices.send(Notice::Standing(self.clone()));
        }
    }

    pub(super) fn take_standing_notice(&self) {
        self.has_standing_notice.store(false, Ordering::Release);
    }

    fn on_call(self: &Arc<Self>, header: Header, body: Bytes) {
        let working = Working::begin(self.clone(), body.len());
        if self.calls.load(Ordering::Acquire) > self.own.limits.inbound_calls_max {
            return self.answer(header.message, Err(Refusal::Busy));
        }
        tokio::spawn(async move {
            let session = &working.session;
            tokio::select! {
                biased;
                () = session.closed.cancelled() => return,
                () = session.announced.cancelled() => {}
            }
            let from = Peer::of(session.clone());
            let answer = match header.kind {
                KIND_RESERVED_MIN.. => session.bulk.on_own_call(header.kind).await,
                kind => session.own.handler.call(&from, kind, body).await,
            };
            session.answer(header.message, answer);
        });
    }

    fn answer(&self, message: u64, answer: Result<Bytes, Refusal>) {
        let refusal = match answer {
            Ok(body) => match self.send(Sort::Reply, 0, message, &body, self.own.limits.peer_queue_bytes_max) {
                Ok(()) | Err(SendError::Down) => return,
                Err(SendError::Busy) => Refusal::Busy,
                Err(error @ SendError::TooLarge { .. }) => Refusal::Refused(error.to_string()),
            },
            Err(refusal) => refusal,
        };
        let body = rmp_serde::to_vec_named(&refusal).expect("a refusal of plain fields encodes");
        // If even the reserve is used up, the caller's timeout tells it.
        let _ = self.send_reserved(Sort::Refusal, 0, message, &body);
    }

    // ---- life

    pub(super) fn touch(&self) {
        self.heard_ms.store(boottime_ms(), Ordering::Release);
    }

    /// Time since the last byte from the peer; none while we ourselves do not read.
    pub(super) fn silent_ms(&self) -> u64 {
        if self.is_full() {
            return 0;
        }
        boottime_ms().saturating_sub(self.heard_ms.load(Ordering::Acquire))
    }

    /// Age of the newest ping that was answered, counted from when it was sent.
    pub(super) fn answered_ping_age(&self) -> Option<Duration> {
        let sent_ms = self.answered_ping_ms.load(Ordering::Acquire);
        (sent_ms > 0).then(|| Duration::from_millis(boottime_ms().saturating_sub(sent_ms)))
    }

    pub(super) fn over_budget_ms(&self) -> Option<u64> {
        locked(&self.outbox).over_ms()
    }

    fn is_full(&self) -> bool {
        self.unhandled_bytes.load(Ordering::Acquire) >= self.own.limits.inbound_bytes_max
    }

    fn handled(&self, bytes: usize) {
        self.unhandled_bytes.fetch_sub(bytes, Ordering::AcqRel);
        if !self.is_full() {
            self.reader.wake();
        }
    }

    /// Ready when the connection may be read: `Err` once the session is over.
    pub(super) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<Result<(), ()>> {
        self.reader.register(context.waker());
        if self.end().is_some() {
            Poll::Ready(Err(()))
        } else if self.is_full() {
            // Not the peer's silence but ours.
            self.touch();
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }

    /// Whether the connection may be written; the writer is woken when the session ends.
    pub(super) fn is_writable(&self, context: &Context<'_>) -> bool {
        self.writer.register(context.waker());
        self.end().is_none()
    }
}

/// Casts one after the other, from when the handler knows the peer to the session's end.
async fn deliver_casts(session: Arc<Session>, mut waiting: mpsc::UnboundedReceiver<(u16, Bytes)>) {
    let closed = session.closed.clone();
    tokio::select! {
        biased;
        () = closed.cancelled() => return,
        () = session.announced.cancelled() => {}
    }
    let from = Peer::of(session.clone());
    while let Some(Some((kind, body))) = closed.run_until_cancelled(waiting.recv()).await {
        let bytes = body.len() + MESSAGE_WEIGHT_BYTES;
        session.own.handler.cast(&from, kind, body).await;
        session.handled(bytes);
    }
}

/// Takes a call off the books, however it ends.
struct Working {
    session: Arc<Session>,
    bytes: usize,
}

impl Working {
    fn begin(session: Arc<Session>, body_bytes: usize) -> Self {
        let bytes = body_bytes + MESSAGE_WEIGHT_BYTES;
        session.unhandled_bytes.fetch_add(bytes, Ordering::AcqRel);
        session.calls.fetch_add(1, Ordering::AcqRel);
        Self { session, bytes }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.session.calls.fetch_sub(1, Ordering::AcqRel);
        self.session.handled(self.bytes);
    }
}

/// Forgets a call whose caller went away.
struct Forget<'a> {
    session: &'a Session,
    message: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        locked(&self.session.pending).remove(&self.message);
    }
}

/// A poisoned lock only says that another thread panicked; the data behind ours is whole between statements.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds since the machine started, sleep included.
pub(super) fn boottime_ms() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("every supported kernel has this clock");
    now.tv_sec() as u64 * 1000 + now.tv_nsec() as u64 / 1_000_000
}
