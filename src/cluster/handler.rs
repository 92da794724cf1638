//! What the users of a link implement.

use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::AsyncRead;

use super::bulk::{BulkOffer, BulkRequest, BulkSink, BulkSource};
use super::error::{DownReason, Refusal};
use super::peer::Peer;

/// A stream of bytes from somewhere.
pub type ByteReader = Pin<Box<dyn AsyncRead + Send>>;

/// Receives what peers send. Per session: `peer_up` comes first; casts come one at a time, in the order they
/// were sent; calls run concurrently and in no order. `peer_down` comes last but for what was being handled.
///
/// A handler that takes long over a cast holds up the casts behind it, and beyond
/// `LinkLimits::inbound_bytes_max` the reading of the connection, which the peer's kernel endures for 5 s: pass
/// work on, never wait for the same peer.
#[async_trait]
pub trait LinkHandler: Send + Sync + 'static {
    /// The peer can be used. Must not block.
    fn peer_up(&self, peer: Peer);

    /// The session is over; calls on it fail. A new one brings a new `Peer`. Must not block.
    fn peer_down(&self, peer: &Peer, reason: &DownReason);

    /// The peer told of another epoch or leader, see `Peer::standing`. Must not block.
    fn peer_standing(&self, _peer: &Peer) {}

    async fn cast(&self, from: &Peer, kind: u16, body: Bytes);

    /// Unknown kinds are answered `Refusal::Unsupported`.
    async fn call(&self, from: &Peer, kind: u16, body: Bytes) -> Result<Bytes, Refusal>;

    /// The peer reads one of our objects from an offset.
    async fn bulk_read(&self, _from: &Peer, _request: BulkRequest) -> Result<BulkSource, Refusal> {
        Err(Refusal::Unsupported)
    }

    /// The peer has an object for us; the sink says how much of it is here already.
    async fn bulk_write(&self, _from: &Peer, _offer: BulkOffer) -> Result<Box<dyn BulkSink>, Refusal> {
        Err(Refusal::Unsupported)
    }
}
