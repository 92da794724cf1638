//! The worker's end of a shim's socket.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::sys::socket::{self, AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::wire::{FromShim, STDERR_TAIL_MAX, ToShim};

/// A status with its end of stderr is the longest thing a shim says.
const RECEIVE_MAX: usize = STDERR_TAIL_MAX + 8 * 1024;

/// A packet socket on the runtime.
#[derive(Debug)]
pub struct ShimLink {
    fd: AsyncFd<OwnedFd>,
}

impl ShimLink {
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(ShimLink { fd: on_runtime(fd)? })
    }

    /// Connects to a shim that an earlier daemon started. An error says that no shim listens there.
    pub fn attach(run_dir: &Path, socket_name: &str) -> io::Result<Self> {
        let fd = packet_socket()?;
        // By way of /proc: the directory may be longer than a socket address holds.
        let place = std::fs::File::open(run_dir)?;
        let path = format!("/proc/self/fd/{}/{socket_name}", place.as_raw_fd());
        socket::connect(fd.as_raw_fd(), &UnixAddr::new(path.as_str())?)?;
        Self::new(fd)
    }

    /// The next packet; `None` when the shim is gone.
    pub async fn receive(&self) -> io::Result<Option<FromShim>> {
        let mut buffer = vec![0; RECEIVE_MAX];
        let received = self
            .fd
            .async_io(Interest::READABLE, |fd| Ok(socket::recv(fd.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT)?))
            .await;
        match received {
            Ok(0) => Ok(None),
            Ok(n) => Ok(Some(FromShim::decode(&buffer[..n]).map_err(io::Error::other)?)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Orders are small and few: a socket that is full means that the shim no longer reads.
    pub fn send(&self, order: ToShim) -> io::Result<()> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        socket::send(self.fd.get_ref().as_raw_fd(), &order.encode(), flags)?;
        Ok(())
    }
}

/// Two connected packet sockets, closed by exec, not blocking.
pub(super) fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(socket::socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?)
}

/// Lets the runtime watch a socket that is ours.
pub(super) fn on_runtime(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is open and stays the same descriptor until it is dropped with the AsyncFd.
    Ok(unsafe { AsyncFd::register(fd) }?)
}

fn packet_socket() -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(socket::socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?)
}
