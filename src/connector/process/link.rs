//! The worker's end of a shim's socket.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::sys::socket::{self, AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::wire::{FromShim, STDERR_TAIL_MAX, ToShim};

/// A status with its end of stderr is the longest thing a shim says.
const RECEIVE_MAX: usize = STDERR_TAIL_MAX + 8 * 1024;
/// Once each for the look at a packet and for taking it.
const RESETS_MAX: usize = 2;
/// A status without stderr.
const RECEIVE_USUAL: usize = 512;

/// A packet socket on the runtime.
#[derive(Debug)]
pub struct ShimLink {
    fd: AsyncFd<OwnedFd>,
}

impl ShimLink {
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(ShimLink { fd: on_runtime(fd)? })
    }

    /// Connects to a shim that an earlier daemon started. An error says that no shim of this user listens there.
    pub fn attach(socket_name: &str) -> io::Result<Self> {
        let fd = packet_socket()?;
        socket::connect(fd.as_raw_fd(), &UnixAddr::new_abstract(socket_name.as_bytes())?)?;
        // Anybody may take a name that is free.
        let peer = socket::getsockopt(&fd, socket::sockopt::PeerCredentials)?;
        if peer.uid() != nix::unistd::geteuid().as_raw() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "another user's process listens there"));
        }
        Self::new(fd)
    }

    /// The next packet; `None` when the shim is gone.
    pub async fn receive(&self) -> io::Result<Option<FromShim>> {
        let receive = || self.fd.async_io(Interest::READABLE, |fd| receive_whole(fd.as_raw_fd()));
        let mut received = receive().await;
        // A shim that ended without reading its orders resets the connection, and the kernel tells that first. What it
        // had said stands behind it.
        for _ in 0..RESETS_MAX {
            match &received {
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => received = receive().await,
                _ => break,
            }
        }
        match received {
            Ok(packet) if packet.is_empty() => Ok(None),
            Ok(packet) => Ok(Some(FromShim::decode(&packet).map_err(io::Error::other)?)),
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

/// One packet, in as much memory as it takes: nearly all are short.
fn receive_whole(fd: RawFd) -> io::Result<Vec<u8>> {
    let mut packet = vec![0; RECEIVE_USUAL];
    let flags = MsgFlags::MSG_DONTWAIT;
    // With MSG_TRUNC the length is that of the packet, also where the buffer is shorter.
    let length = socket::recv(fd, &mut packet, flags | MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC)?;
    packet.resize(length.clamp(1, RECEIVE_MAX), 0);
    let received = socket::recv(fd, &mut packet, flags)?;
    packet.truncate(received);
    Ok(packet)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::process::wire::Fault;

    #[tokio::test]
    async fn what_a_shim_said_before_it_ended_is_heard_though_it_left_orders_unread() {
        let (ours, theirs) = packet_pair().unwrap();
        let link = ShimLink::new(ours).unwrap();
        link.send(ToShim::Kill { grace_ms: 1 }).unwrap();
        let said = FromShim::Failed { message: "x".repeat(RECEIVE_USUAL), fault: Fault::Task };
        socket::send(theirs.as_raw_fd(), &said.encode(), MsgFlags::empty()).unwrap();
        drop(theirs);
        let heard = link.receive().await.unwrap();
        assert!(
            matches!(&heard, Some(FromShim::Failed { message, .. }) if message.len() == RECEIVE_USUAL),
            "{heard:?}"
        );
        assert!(link.receive().await.unwrap().is_none(), "and then it is gone");
    }
}
