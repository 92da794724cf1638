//! What a link is started with: who we are, where to listen, whom to dial, and the bounds of everything.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::error::LinkError;
use super::identity::{NodeIdentity, Role};
use super::tls::TlsConfig;
use crate::model::id::MasterId;

#[derive(Debug, Clone)]
pub struct LinkConfig {
    pub node: NodeIdentity,
    /// Masters listen; workers and HttpServers only dial. Port 0 takes a free one, see `Link::listen_address`.
    pub listen: Option<SocketAddr>,
    /// The address others are told, unique in the cluster; the one listened on if none is given.
    pub advertise: Option<String>,
    pub cookie: Cookie,
    /// Without it the link stays on loopback.
    pub tls: Option<TlsConfig>,
    /// What `peers_to_dial` picked from the configured masters.
    pub peers_to_dial: Vec<PeerAddress>,
    pub limits: LinkLimits,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    /// The name the peer must answer with.
    pub name: String,
    pub address: SocketAddr,
}

/// A configured master, from which the dial rule picks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterAddress {
    pub id: MasterId,
    pub peer: PeerAddress,
}

/// Each pair of processes has one side that dials: workers and HttpServers dial every master, a master dials
/// those with a higher id than its own.
pub fn peers_to_dial(role: Role, own_id: Option<MasterId>, masters: &[MasterAddress]) -> Vec<PeerAddress> {
    let is_dialed = |master: &&MasterAddress| match role {
        Role::Worker | Role::Http => true,
        Role::Master => own_id.is_some_and(|own| own < master.id),
    };
    masters.iter().filter(is_dialed).map(|master| master.peer.clone()).collect()
}

/// The shared secret of the cluster: at least 32 random bytes. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Cookie(Vec<u8>);

impl Cookie {
    pub const BYTES_MIN: usize = 32;

    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, LinkError> {
        let bytes = bytes.into();
        if bytes.len() < Self::BYTES_MIN {
            return Err(LinkError::ShortCookie { bytes: bytes.len(), bytes_min: Self::BYTES_MIN });
        }
        Ok(Self(bytes))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie(..)")
    }
}

/// Every bound of the link. The defaults suit 1 to 50 machines on one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkLimits {
    /// One frame on the control connection; a message is cut into frames of this size.
    pub frame_bytes_max: usize,
    /// One message; larger ones are refused at the sender and belong on the bulk connection.
    pub message_bytes_max: usize,
    /// Bytes queued towards one peer; above it `cast` and `call` answer `Busy`.
    pub peer_queue_bytes_max: usize,
    /// How long a peer may stay above that before it is cut.
    pub over_budget_ms_max: u64,
    /// Bytes handed to the writer but not yet taken by the socket.
    pub write_window_bytes: usize,
    /// Bytes received and not yet handled; above it nothing more is read from the peer.
    pub inbound_bytes_max: usize,
    /// Calls of one peer being handled at once; above it they are answered `Busy`.
    pub inbound_calls_max: usize,
    pub heartbeat_ms: u64,
    /// Silence after which a peer is down.
    pub peer_down_ms: u64,
    pub connect_ms_max: u64,
    /// From the first byte to a usable session.
    pub handshake_ms_max: u64,
    pub dial_backoff_ms_min: u64,
    pub dial_backoff_ms_max: u64,
    /// Connections that have not proven the cookie; the oldest of them makes room.
    pub preauth_connections_max: usize,
    pub connections_max: usize,
    pub bulk_chunk_bytes: usize,
    /// Bytes of one bulk transfer that may be on the way unread.
    pub bulk_window_bytes: usize,
    /// Transfers of one peer at once.
    pub bulk_transfers_max: usize,
    /// A transfer that moves no byte for so long is ended.
    pub bulk_idle_ms_max: u64,
}

impl Default for LinkLimits {
    fn default() -> Self {
        Self {
            frame_bytes_max: 256 * 1024,
            message_bytes_max: 8 * 1024 * 1024,
            peer_queue_bytes_max: 32 * 1024 * 1024,
            over_budget_ms_max: 10_000,
            write_window_bytes: 512 * 1024,
            inbound_bytes_max: 16 * 1024 * 1024,
            inbound_calls_max: 1_024,
            heartbeat_ms: 1_000,
            peer_down_ms: 3_000,
            connect_ms_max: 1_000,
            handshake_ms_max: 4_000,
            dial_backoff_ms_min: 200,
            dial_backoff_ms_max: 2_000,
            preauth_connections_max: 64,
            connections_max: 1_024,
            bulk_chunk_bytes: 64 * 1024,
            bulk_window_bytes: 1024 * 1024,
            bulk_transfers_max: 64,
            bulk_idle_ms_max: 30_000,
        }
    }
}

impl LinkLimits {
    pub(super) fn handshake(&self) -> Duration {
        Duration::from_millis(self.handshake_ms_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master(id: u64) -> MasterAddress {
        let address = SocketAddr::from(([127, 0, 0, 1], 7000 + id as u16));
        MasterAddress { id: MasterId(id), peer: PeerAddress { name: format!("m{id}"), address } }
    }

    fn names(peers: Vec<PeerAddress>) -> Vec<String> {
        peers.into_iter().map(|peer| peer.name).collect()
    }

    #[test]
    fn workers_dial_every_master_and_masters_dial_upwards() {
        let masters = [master(1), master(2), master(3)];
        assert_eq!(names(peers_to_dial(Role::Worker, None, &masters)), ["m1", "m2", "m3"]);
        assert_eq!(names(peers_to_dial(Role::Master, Some(MasterId(2)), &masters)), ["m3"]);
        assert!(peers_to_dial(Role::Master, Some(MasterId(3)), &masters).is_empty());
    }

    #[test]
    fn a_short_cookie_is_refused_and_a_good_one_is_never_printed() {
        assert!(Cookie::new([7; 31]).is_err());
        assert_eq!(format!("{:?}", Cookie::new([7; 32]).unwrap()), "Cookie(..)");
    }
}
