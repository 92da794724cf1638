//! Between threads that read and write a file as it comes, and file systems whose calls are waited for.
//!
//! A task of its own stands on the other side of a short channel, so memory is bounded, and it does what the thread
//! cannot: it ends at a stop, and takes back what was written when nobody publishes it.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::FileError;
use super::{ReadFile, WriteFile};

/// Pieces under way between both.
const PIECES_WAITING: usize = 4;
/// For what is under way at a stop.
const STOP_WITHIN: Duration = Duration::from_secs(2);
/// Of what is written.
const PIECE_BYTES: usize = 256 << 10;

/// A file that comes into being on another system.
#[async_trait::async_trait]
pub(super) trait Upload: Send {
    async fn write(&mut self, piece: Bytes) -> Result<(), FileError>;
    /// Puts it in its place.
    async fn publish(&mut self) -> Result<(), FileError>;
    /// Leaves nothing of it.
    async fn discard(&mut self);
}

/// The file that comes in these pieces.
pub(super) fn reader(
    mut pieces: BoxStream<'static, Result<Bytes, FileError>>,
    length: Option<u64>,
    stop: CancellationToken,
    tasks: &TaskTracker,
) -> Box<dyn ReadFile> {
    let (sender, receiver) = mpsc::channel(PIECES_WAITING);
    tasks.spawn(async move {
        loop {
            let next = tokio::select! {
                next = pieces.next() => next,
                () = stop.cancelled() => Some(Err(FileError::Stopped)),
                // Nobody reads on.
                () = sender.closed() => None,
            };
            let Some(piece) = next else { break };
            let is_last = piece.is_err();
            if sender.send(piece).await.is_err() || is_last {
                break;
            }
        }
    });
    Box::new(Incoming { receiver, piece: Bytes::new(), length })
}

struct Incoming {
    receiver: mpsc::Receiver<Result<Bytes, FileError>>,
    piece: Bytes,
    length: Option<u64>,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let n = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..n]);
        Ok(n)
    }
}

impl ReadFile for Incoming {
    fn length(&self) -> Option<u64> {
        self.length
    }
}

/// What is begun over there is finished soon after a stop, so that it is known what there is to take back; a server
/// that is silent holds up nothing.
pub(super) async fn finished<T>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, FileError>>,
) -> Result<T, FileError> {
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => done,
        () = stop.cancelled() => {
            let done = tokio::time::timeout(STOP_WITHIN, work).await;
            done.unwrap_or(Err(FileError::Stopped))
        }
    }
}

enum Order {
    Write(Bytes),
    Publish(oneshot::Sender<Result<(), FileError>>),
}

/// Why it ended before its time.
type Fault = Arc<Mutex<Option<FileError>>>;

/// The file that is written by `upload`.
pub(super) fn writer(upload: Box<dyn Upload>, stop: CancellationToken, tasks: &TaskTracker) -> Box<dyn WriteFile> {
    let (orders, receiver) = mpsc::channel(PIECES_WAITING);
    let fault = Fault::default();
    tasks.spawn(follow(upload, receiver, stop, fault.clone()));
    Box::new(Outgoing { orders, piece: BytesMut::new(), fault })
}

async fn follow(mut upload: Box<dyn Upload>, mut orders: mpsc::Receiver<Order>, stop: CancellationToken, fault: Fault) {
    let failed = loop {
        let order = tokio::select! {
            biased;
            () = stop.cancelled() => break Some(FileError::Stopped),
            order = orders.recv() => order,
        };
        let done = match order {
            Some(Order::Write(piece)) => finished(&stop, upload.write(piece)).await,
            Some(Order::Publish(answer)) => {
                let published = finished(&stop, upload.publish()).await;
                if published.is_err() {
                    upload.discard().await;
                }
                // Nobody may be left to be told.
                let _ = answer.send(published);
                return;
            }
            // Dropped without being published.
            None => break None,
        };
        if let Err(error) = done {
            break Some(error);
        }
    };
    *fault.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    drop(orders);
    upload.discard().await;
}

struct Outgoing {
    orders: mpsc::Sender<Order>,
    piece: BytesMut,
    fault: Fault,
}

impl Outgoing {
    fn order(&self, order: Order) -> io::Result<()> {
        self.orders.blocking_send(order).map_err(|_| self.fault())
    }

    fn fault(&self) -> io::Error {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner).take();
        fault.unwrap_or(FileError::Stopped).into()
    }

    fn give(&mut self) -> io::Result<()> {
        let piece = self.piece.split().freeze();
        if piece.is_empty() { Ok(()) } else { self.order(Order::Write(piece)) }
    }
}

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(PIECE_BYTES - self.piece.len());
        self.piece.extend_from_slice(&bytes[..n]);
        if self.piece.len() == PIECE_BYTES {
            self.give()?;
        }
        Ok(n)
    }

    /// What is buffered goes on its way.
    fn flush(&mut self) -> io::Result<()> {
        self.give()
    }
}

impl WriteFile for Outgoing {
    fn publish(mut self: Box<Self>) -> io::Result<()> {
        self.give()?;
        let (answer, published) = oneshot::channel();
        self.order(Order::Publish(answer))?;
        match published.blocking_recv() {
            Ok(published) => published.map_err(io::Error::from),
            Err(_) => Err(self.fault()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::message::Message;

    /// Says what was done to it.
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<String>>>);

    impl Seen {
        fn add(&self, what: impl Into<String>) {
            self.0.lock().unwrap().push(what.into());
        }

        fn all(&self) -> Vec<String> {
            self.0.lock().unwrap().clone()
        }
    }

    struct Fake {
        seen: Seen,
        fails_at: Option<&'static str>,
    }

    impl Fake {
        fn done(&self, what: &'static str, said: String) -> Result<(), FileError> {
            self.seen.add(said);
            match self.fails_at == Some(what) {
                true => Err(FileError::Refused { place: "there".into(), why: Message::verbatim("disk full") }),
                false => Ok(()),
            }
        }
    }

    #[async_trait::async_trait]
    impl Upload for Fake {
        async fn write(&mut self, piece: Bytes) -> Result<(), FileError> {
            self.done("write", format!("write {}", piece.len()))
        }

        async fn publish(&mut self) -> Result<(), FileError> {
            self.done("publish", "publish".into())
        }

        async fn discard(&mut self) {
            self.seen.add("discard");
        }
    }

    /// What was done, and what the thread got.
    async fn run(
        fails_at: Option<&'static str>,
        stop: CancellationToken,
        work: impl FnOnce(Box<dyn WriteFile>) -> io::Result<()> + Send + 'static,
    ) -> (Vec<String>, Result<(), String>) {
        let (seen, tasks) = (Seen::default(), TaskTracker::new());
        let writer = writer(Box::new(Fake { seen: seen.clone(), fails_at }), stop, &tasks);
        let done = tokio::task::spawn_blocking(move || work(writer)).await.unwrap();
        tasks.close();
        tasks.wait().await;
        (seen.all(), done.map_err(|error| said_of(&error)))
    }

    fn said_of(error: &io::Error) -> String {
        super::super::said(error).english()
    }

    fn whole(mut file: Box<dyn WriteFile>) -> io::Result<()> {
        file.write_all(&vec![b'x'; PIECE_BYTES + 7])?;
        file.publish()
    }

    #[tokio::test]
    async fn a_file_is_published_or_taken_back() {
        let stop = CancellationToken::new();
        let (seen, done) = run(None, stop.clone(), whole).await;
        assert_eq!((seen, done), (vec![format!("write {PIECE_BYTES}"), "write 7".into(), "publish".into()], Ok(())));
        let dropped = |mut file: Box<dyn WriteFile>| file.write_all(b"half");
        assert_eq!(run(None, stop.clone(), dropped).await, (vec!["discard".into()], Ok(())));
        let (seen, done) = run(Some("publish"), stop.clone(), whole).await;
        assert_eq!((&seen[2..], done), (&["publish".to_owned(), "discard".to_owned()][..], Err("disk full".into())));
        let (seen, done) = run(Some("write"), stop, |mut file| {
            // Until it is heard of.
            loop {
                file.write_all(&[b'x'; PIECE_BYTES])?;
            }
        })
        .await;
        assert_eq!((seen[1].as_str(), done), ("discard", Err("disk full".into())));
    }

    #[tokio::test]
    async fn a_stop_reaches_a_thread_that_waits() {
        let stop = CancellationToken::new();
        stop.cancel();
        let (seen, done) = run(None, stop.clone(), |mut file| {
            loop {
                file.write_all(&[b'x'; PIECE_BYTES])?;
            }
        })
        .await;
        assert_eq!((seen.last().map(String::as_str), done), (Some("discard"), Err("killed".into())));
        let tasks = TaskTracker::new();
        let mut file = reader(futures_util::stream::pending().boxed(), None, stop, &tasks);
        let read = tokio::task::spawn_blocking(move || file.read(&mut [0; 8])).await.unwrap();
        assert_eq!(said_of(&read.unwrap_err()), "killed");
    }

    #[tokio::test]
    async fn pieces_are_read_as_one_stream_and_the_first_error_ends_it() {
        let tasks = TaskTracker::new();
        let pieces = ["ab", "", "cde"].map(|piece| Ok(Bytes::from(piece)));
        let pieces = futures_util::stream::iter(pieces.into_iter().chain([Err(FileError::Busy { place: "f".into() })]));
        let mut file = reader(pieces.boxed(), Some(5), CancellationToken::new(), &tasks);
        assert_eq!(file.length(), Some(5));
        let (text, error) = tokio::task::spawn_blocking(move || {
            let mut text = Vec::new();
            let error = file.read_to_end(&mut text).unwrap_err();
            (text, error)
        })
        .await
        .unwrap();
        assert_eq!((text.as_slice(), said_of(&error).as_str()), (&b"abcde"[..], "another transfer is writing f"));
    }
}
