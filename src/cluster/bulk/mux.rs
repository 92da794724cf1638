//! Many transfers over one stream: a task that reads frames and hands them to their transfer, and one that
//! writes what the transfers queued.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::frame::{BulkFrameError, Frame, read};
use super::{BulkError, transfer};
use crate::cluster::config::LinkLimits;
use crate::cluster::error::Refusal;
use crate::cluster::session::{Session, locked};

/// Frames waiting for the socket, over all transfers.
const FRAMES_QUEUED_MAX: usize = 16;
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// Serves the bulk connection of a session until it breaks or the session ends. `is_dialer` keeps the numbers
/// that the two sides give their transfers apart.
pub(in crate::cluster) async fn run<S>(session: Arc<Session>, stream: S, is_dialer: bool)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (frames, queued) = mpsc::channel(FRAMES_QUEUED_MAX);
    let mux = Arc::new(Mux {
        limits: session.own.limits,
        frames,
        transfers: Mutex::default(),
        next: AtomicU32::new(if is_dialer { 1 } else { 2 }),
        is_dialer,
        served: AtomicUsize::new(0),
        closed: session.closed.child_token(),
    });
    if let Some(old) = session.bulk.mux.send_replace(Some(mux.clone())) {
        old.close();
    }
    let (source, sink) = tokio::io::split(stream);
    let ended = tokio::select! {
        ended = write_frames(sink, queued) => ended.map_err(BulkFrameError::from),
        ended = read_frames(&mux, &session, source) => ended,
        () = mux.closed.cancelled() => Ok(()),
    };
    if let Err(error) = ended {
        tracing::debug!(peer = %session.name(), "bulk connection ended: {error}");
    }
    mux.close();
    session.bulk.mux.send_if_modified(|current| {
        let is_ours = current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &mux));
        if is_ours {
            *current = None;
        }
        is_ours
    });
}

pub(in crate::cluster) struct Mux {
    pub(super) limits: LinkLimits,
    frames: mpsc::Sender<Vec<u8>>,
    transfers: Mutex<HashMap<u32, Route>>,
    next: AtomicU32,
    is_dialer: bool,
    /// Transfers the peer opened.
    served: AtomicUsize,
    closed: CancellationToken,
}

/// Where the frames of a transfer go. Only the connection holds the sender, so its end ends the queue.
#[derive(Clone)]
struct Route {
    /// Bounded by the credit we gave.
    inbound: mpsc::UnboundedSender<Frame>,
    flow: Arc<Flow>,
}

struct Flow {
    /// Bytes we may still send.
    credit: Semaphore,
    /// Bytes the peer may still send.
    granted: AtomicUsize,
}

impl Flow {
    fn add_credit(&self, bytes: u32) {
        let room = Semaphore::MAX_PERMITS - self.credit.available_permits();
        self.credit.add_permits((bytes as usize).min(room));
    }

    /// Whether the peer kept to its credit.
    fn take_granted(&self, bytes: usize) -> bool {
        let take = |granted: usize| granted.checked_sub(bytes);
        self.granted.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok()
    }
}

impl Mux {
    pub(super) fn close(&self) {
        self.closed.cancel();
        for (_, route) in locked(&self.transfers).drain() {
            route.flow.credit.close();
        }
    }

    /// A new transfer of our side.
    pub(super) fn open(self: &Arc<Self>) -> Result<Transfer, BulkError> {
        if locked(&self.transfers).len() >= 2 * self.limits.bulk_transfers_max {
            return Err(BulkError::Refused(Refusal::Busy));
        }
        self.register(self.next.fetch_add(2, Ordering::Relaxed), false).ok_or(BulkError::Broken)
    }

    fn register(self: &Arc<Self>, number: u32, is_served: bool) -> Option<Transfer> {
        let (inbound, frames) = mpsc::unbounded_channel();
        let granted = AtomicUsize::new(self.limits.bulk_window_bytes);
        let flow = Arc::new(Flow { credit: Semaphore::new(0), granted });
        {
            let mut transfers = locked(&self.transfers);
            if self.closed.is_cancelled() || transfers.contains_key(&number) {
                return None;
            }
            transfers.insert(number, Route { inbound, flow: flow.clone() });
        }
        if is_served {
            self.served.fetch_add(1, Ordering::AcqRel);
        }
        Some(Transfer { mux: self.clone(), number, flow, frames, is_served, is_over: false, unreported: 0 })
    }
}

/// One end of a transfer. Dropped before its end, it tells the other side.
pub(super) struct Transfer {
    pub(super) mux: Arc<Mux>,
    number: u32,
    flow: Arc<Flow>,
    frames: mpsc::UnboundedReceiver<Frame>,
    is_served: bool,
    is_over: bool,
    /// Bytes taken and not yet given back as credit.
    unreported: usize,
}

impl Transfer {
    pub(super) async fn send(&self, frame: Frame) -> Result<(), BulkError> {
        let queued = self.mux.frames.send(frame.encode(self.number));
        match self.mux.closed.run_until_cancelled(self.idle(queued)).await {
            Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(_))) | None => Err(BulkError::Broken),
            Some(Err(idle)) => Err(idle),
        }
    }

    /// Sends a chunk once the receiver has room for it.
    pub(super) async fn send_data(&mut self, chunk: bytes::Bytes) -> Result<(), BulkError> {
        let flow = self.flow.clone();
        match self.idle(flow.credit.acquire_many(chunk.len() as u32)).await? {
            Ok(credit) => credit.forget(),
            // Closed: by a refusal that waits in the queue, or by the end of the connection.
            Err(_) => return Err(self.reason().await),
        }
        self.send(Frame::Data(chunk)).await
    }

    async fn reason(&mut self) -> BulkError {
        while let Some(frame) = self.frames.recv().await {
            if let Frame::Reset(refusal) = frame {
                self.is_over = true;
                return BulkError::Refused(refusal);
            }
        }
        BulkError::Broken
    }

    pub(super) async fn receive(&mut self) -> Result<Frame, BulkError> {
        let idle_ms = self.mux.limits.bulk_idle_ms_max;
        let wait = std::time::Duration::from_millis(idle_ms);
        match tokio::time::timeout(wait, self.frames.recv()).await {
            Ok(Some(Frame::Reset(refusal))) => {
                self.is_over = true;
                Err(BulkError::Refused(refusal))
            }
            Ok(Some(frame)) => Ok(frame),
            Ok(None) => Err(BulkError::Broken),
            Err(_) => Err(BulkError::Idle { idle_ms }),
        }
    }

    /// Lets so many more bytes come, told in quarters of the window.
    pub(super) async fn consumed(&mut self, bytes: usize) -> Result<(), BulkError> {
        self.unreported += bytes;
        if self.unreported < self.mux.limits.bulk_window_bytes / 4 {
            return Ok(());
        }
        let credit = std::mem::take(&mut self.unreported);
        self.flow.granted.fetch_add(credit, Ordering::AcqRel);
        self.send(Frame::Credit(credit as u32)).await
    }

    pub(super) fn set_credit(&self, bytes: u32) {
        self.flow.add_credit(bytes);
    }

    pub(super) fn over(&mut self) {
        self.is_over = true;
    }

    pub(super) async fn refuse(mut self, refusal: Refusal) {
        self.is_over = true;
        let _ = self.send(Frame::Reset(refusal)).await;
    }

    async fn idle<T>(&self, step: impl Future<Output = T>) -> Result<T, BulkError> {
        let idle_ms = self.mux.limits.bulk_idle_ms_max;
        let wait = std::time::Duration::from_millis(idle_ms);
        tokio::time::timeout(wait, step).await.map_err(|_| BulkError::Idle { idle_ms })
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        locked(&self.mux.transfers).remove(&self.number);
        if self.is_served {
            self.mux.served.fetch_sub(1, Ordering::AcqRel);
        }
        if !self.is_over && !self.mux.closed.is_cancelled() {
            let reset = Frame::Reset(Refusal::Refused("the other side gave the transfer up".into()));
            let (frames, frame) = (self.mux.frames.clone(), reset.encode(self.number));
            tokio::spawn(async move { frames.send(frame).await });
        }
    }
}

async fn write_frames(sink: impl AsyncWrite, mut queued: mpsc::Receiver<Vec<u8>>) -> std::io::Result<()> {
    let mut sink = std::pin::pin!(sink);
    while let Some(frame) = queued.recv().await {
        sink.write_all(&frame).await?;
        if queued.is_empty() {
            sink.flush().await?;
        }
    }
    Ok(())
}

async fn read_frames(mux: &Arc<Mux>, session: &Arc<Session>, source: impl AsyncRead) -> Result<(), BulkFrameError> {
    let mut source = std::pin::pin!(BufReader::with_capacity(READ_BUFFER_BYTES, source));
    loop {
        let (number, frame) = read(&mut source, mux.limits.bulk_chunk_bytes.max(READ_BUFFER_BYTES)).await?;
        let route = locked(&mux.transfers).get(&number).cloned();
        match (route, frame) {
            (None, open @ (Frame::OpenRead(_) | Frame::OpenWrite(_))) => {
                let is_theirs = (number % 2 == 1) != mux.is_dialer;
                let transfer = if is_theirs { mux.register(number, true) } else { None };
                let transfer = transfer.ok_or(BulkFrameError::Unreadable(0))?;
                if mux.served.load(Ordering::Acquire) > mux.limits.bulk_transfers_max {
                    tokio::spawn(transfer.refuse(Refusal::Busy));
                } else {
                    tokio::spawn(transfer::serve(session.clone(), transfer, open));
                }
            }
            // The rest of a transfer that one side gave up.
            (None, _) => {}
            (Some(route), Frame::Credit(bytes)) => route.flow.add_credit(bytes),
            (Some(route), frame) => {
                if let Frame::Data(chunk) = &frame
                    && !route.flow.take_granted(chunk.len())
                {
                    return Err(BulkFrameError::Length(chunk.len()));
                }
                let is_reset = matches!(frame, Frame::Reset(_));
                // Nobody waits any more for a transfer being dropped.
                let _ = route.inbound.send(frame);
                if is_reset {
                    route.flow.credit.close();
                }
            }
        }
    }
}
