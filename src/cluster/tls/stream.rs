//! A connection of the link, encrypted or not.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use ractor_cluster::{BoxRead, BoxWrite};
use socket2::{SockRef, Socket};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

pub(in crate::cluster) enum Stream {
    Plain(TcpStream),
    Secret(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(in crate::cluster) fn secret(stream: TlsStream<TcpStream>) -> Self {
        Stream::Secret(Box::new(stream))
    }

    /// A second handle of the socket, for its options. None when the process has no file descriptor left.
    pub(in crate::cluster) fn socket(&self) -> Option<Socket> {
        let stream = match self {
            Stream::Plain(stream) => stream,
            Stream::Secret(stream) => stream.get_ref().0,
        };
        SockRef::from(stream).try_clone().ok()
    }

    pub(in crate::cluster) fn into_halves(self) -> (BoxRead, BoxWrite) {
        match self {
            Stream::Plain(stream) => {
                let (reader, writer) = stream.into_split();
                (Box::new(reader), Box::new(writer))
            }
            Stream::Secret(stream) => {
                let (reader, writer) = tokio::io::split(*stream);
                (Box::new(Ended(reader)), Box::new(writer))
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Secret(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Secret(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Secret(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Secret(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// A process that dies says no farewell: without TLS that is the plain end of the stream, and so it is here. Messages
/// carry their length, so a cut one is never taken for a whole one.
struct Ended<R>(R);

impl<R: AsyncRead + Unpin> AsyncRead for Ended<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.0).poll_read(context, buffer) {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            other => other,
        }
    }
}
