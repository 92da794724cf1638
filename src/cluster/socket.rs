//! Sockets of the link: their options, and the control connection as ractor_cluster gets it.
//!
//! The wrapped halves are where the link takes hold of ractor_cluster's wire: they count what left (the write
//! window), stop reading while too much is unhandled, note every byte as a sign of life, and end at once when
//! the session does, whatever still waits to be written.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ractor_cluster::{BoxRead, BoxWrite, ClusterBidiStream};
use socket2::{SockRef, Socket, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;

use super::error::DownReason;
use super::frame::HEADER_BYTES;
use super::session::{Session, locked};
use super::tls::Stream;

const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_PROBES: u32 = 3;
/// Bytes unacknowledged for so long end the connection in the kernel.
const USER_TIMEOUT: Duration = Duration::from_secs(5);
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// What ractor_cluster writes before each message.
const LENGTH_BYTES: usize = 8;

pub(super) async fn connect(address: SocketAddr, wait: Duration) -> io::Result<TcpStream> {
    let stream = tokio::time::timeout(wait, TcpStream::connect(address)).await??;
    prepare(&stream)?;
    Ok(stream)
}

pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))
}

/// Sizes of the frames given to ractor_cluster, in the order in which they will be written.
pub(super) type SentSizes = Arc<Mutex<VecDeque<usize>>>;

/// The control connection of a session. Its label is the session's number, by which ractor_cluster's events
/// are told apart.
pub(super) struct ControlStream {
    pub stream: Stream,
    pub session: Arc<Session>,
    pub sent: SentSizes,
}

impl ClusterBidiStream for ControlStream {
    fn split(self: Box<Self>) -> (BoxRead, BoxWrite) {
        let socket = self.stream.socket();
        let (reader, writer) = self.stream.into_halves();
        let reader = BufReader::with_capacity(READ_BUFFER_BYTES, reader);
        let reader = ControlReader { reader, socket, session: self.session.clone() };
        let writer = ControlWriter { writer, session: self.session, sent: self.sent, lengths: Lengths::default() };
        (Box::new(reader), Box::new(writer))
    }

    fn peer_label(&self) -> Option<String> {
        Some(label(self.session.number))
    }
}

pub(super) fn label(session: u64) -> String {
    format!("{session:016x}")
}

pub(super) fn session_of(label: &str) -> Option<u64> {
    u64::from_str_radix(label, 16).ok()
}

struct ControlReader {
    reader: BufReader<BoxRead>,
    socket: Option<Socket>,
    session: Arc<Session>,
}

impl ControlReader {
    /// What the kernel still holds for the peer must not reach it after we called the session over.
    fn discard_unsent(&self) {
        if let Some(socket) = self.socket.as_ref().filter(|_| self.session.end() != Some(&DownReason::Stopped)) {
            let _ = socket.set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for ControlReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if ready!(self.session.poll_readable(context)).is_err() {
            self.discard_unsent();
            // Reads as the end of the stream: the reader stops without a complaint in the log.
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.reader).poll_read(context, buffer));
        if buffer.filled().len() > before {
            self.session.touch();
        }
        Poll::Ready(read)
    }
}

struct ControlWriter {
    writer: BoxWrite,
    session: Arc<Session>,
    sent: SentSizes,
    lengths: Lengths,
}

impl AsyncWrite for ControlWriter {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if !self.session.is_writable(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let written = ready!(Pin::new(&mut self.writer).poll_write(context, bytes))?;
        let this = &mut *self;
        for _ in 0..this.lengths.ended(&bytes[..written]) {
            let size = locked(&this.sent).pop_front();
            if let Some(size) = size {
                this.session.written(size);
            }
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(context)
    }
}

/// Follows the length-prefixed messages through the written bytes.
#[derive(Debug, Default)]
struct Lengths {
    prefix: [u8; LENGTH_BYTES],
    prefix_bytes: usize,
    left: u64,
    is_frame: bool,
}

impl Lengths {
    /// How many messages that carry one of our frames ended in these bytes. ractor_cluster's own pings are
    /// shorter than any frame of ours.
    fn ended(&mut self, mut bytes: &[u8]) -> usize {
        let mut frames = 0;
        while !bytes.is_empty() {
            if self.prefix_bytes < LENGTH_BYTES {
                let taken = bytes.len().min(LENGTH_BYTES - self.prefix_bytes);
                self.prefix[self.prefix_bytes..self.prefix_bytes + taken].copy_from_slice(&bytes[..taken]);
                self.prefix_bytes += taken;
                bytes = &bytes[taken..];
                if self.prefix_bytes < LENGTH_BYTES {
                    break;
                }
                self.left = u64::from_be_bytes(self.prefix);
                self.is_frame = self.left >= HEADER_BYTES as u64;
            } else {
                let taken = (bytes.len() as u64).min(self.left);
                self.left -= taken;
                bytes = &bytes[taken as usize..];
            }
            if self.left == 0 {
                frames += usize::from(self.is_frame);
                self.prefix_bytes = 0;
            }
        }
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_however_the_bytes_are_cut() {
        let mut wire = Vec::new();
        for length in [100_u64, 20, 40, 0, 300] {
            wire.extend_from_slice(&length.to_be_bytes());
            wire.extend(vec![0xff; length as usize]);
        }
        for cut in [1, 3, 8, 9, 64, 1000] {
            let mut lengths = Lengths::default();
            let frames: usize = wire.chunks(cut).map(|bytes| lengths.ended(bytes)).sum();
            assert_eq!(frames, 3, "in pieces of {cut}");
        }
    }

    #[test]
    fn a_label_names_its_session() {
        assert_eq!(session_of(&label(0xfeed_0000_0000_0001)), Some(0xfeed_0000_0000_0001));
        assert_eq!(session_of("127.0.0.1:80"), None);
    }
}
