//! Bulk transfers: task logs, snapshots, files of definitions.
//!
//! A second connection per session, so that nothing large ever stands before a heartbeat. Transfers share it in
//! chunks, each held back by the credit its receiver gave. A transfer that breaks is begun again at the offset
//! the receiver holds: reading by `BulkRequest::offset`, writing by `BulkSink::offset`; the hash of the whole
//! object says that it is still the same one. Start at `mux`.

mod file;
mod frame;
mod mux;
mod transfer;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncSeek};
use tokio::sync::watch;

pub use file::{FileSink, file_source};
pub(super) use mux::run;

use super::error::Refusal;
use super::handler::ByteReader;
use super::session::{KIND_RESERVED_MIN, locked};
use crate::model::id::ContentHash;

/// Asks the accepting side for the one-time token of a bulk connection.
pub(super) const KIND_BULK_TOKEN: u16 = KIND_RESERVED_MIN;
pub(super) const TOKEN_BYTES: usize = 32;
/// Tokens given and not yet used; an older one is void.
const TOKENS_MAX: usize = 2;

/// Read an object of the peer from `offset`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkRequest {
    /// The users' own naming, for example `log/10342.1.5.0.2/stdout` or `file/<hash>`.
    pub object: String,
    pub offset: u64,
    /// The object the earlier part came from; if it is another now, the peer refuses.
    pub hash: Option<ContentHash>,
}

/// An object that we have for the peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkOffer {
    pub object: String,
    /// Of the whole object; none while it grows.
    pub length: Option<u64>,
    pub hash: Option<ContentHash>,
}

/// A handler's answer to a `BulkRequest`: the bytes from the offset on.
pub struct BulkSource {
    pub reader: ByteReader,
    /// Of the whole object; none while it grows.
    pub length: Option<u64>,
    pub hash: Option<ContentHash>,
}

/// Where a handler puts what a peer offers. Dropped without `finish` when the transfer breaks: what was written
/// should stay, so that the next offer continues behind it.
#[async_trait]
pub trait BulkSink: Send {
    /// Bytes of the object that are here already.
    fn offset(&self) -> u64;
    async fn write(&mut self, chunk: Bytes) -> Result<(), Refusal>;
    /// All bytes came. `Ok` tells the sender that it may forget them.
    async fn finish(self: Box<Self>) -> Result<(), Refusal>;
}

/// An object of the peer, being read.
pub struct BulkDownload {
    pub reader: ByteReader,
    pub length: Option<u64>,
    pub hash: Option<ContentHash>,
}

/// What a sender reads from: it must be able to begin where the receiver stands.
pub trait BulkInput: AsyncRead + AsyncSeek + Send + Unpin {}

impl<T: AsyncRead + AsyncSeek + Send + Unpin> BulkInput for T {}

#[derive(Debug, thiserror::Error)]
pub enum BulkError {
    /// Begin again where it stopped.
    #[error("transfer: the connection broke")]
    Broken,
    #[error("transfer: no byte moved for {idle_ms} ms")]
    Idle { idle_ms: u64 },
    #[error("transfer: {0}")]
    Refused(Refusal),
    #[error("read what is to be sent: {0}")]
    Input(std::io::Error),
}

/// The bulk connection of a session, when there is one.
pub(super) struct BulkSlot {
    mux: watch::Sender<Option<Arc<mux::Mux>>>,
    tokens: Mutex<Vec<[u8; TOKEN_BYTES]>>,
}

impl Default for BulkSlot {
    fn default() -> Self {
        Self { mux: watch::Sender::new(None), tokens: Mutex::default() }
    }
}

impl BulkSlot {
    /// A call of the link's own kinds.
    pub(super) async fn on_own_call(&self, kind: u16) -> Result<Bytes, Refusal> {
        if kind != KIND_BULK_TOKEN {
            return Err(Refusal::Unsupported);
        }
        let mut token = [0; TOKEN_BYTES];
        getrandom::fill(&mut token).map_err(|error| Refusal::Refused(error.to_string()))?;
        let mut tokens = locked(&self.tokens);
        if tokens.len() >= TOKENS_MAX {
            tokens.remove(0);
        }
        tokens.push(token);
        Ok(Bytes::copy_from_slice(&token))
    }

    /// Uses a token up.
    pub(super) fn redeem(&self, token: &[u8]) -> bool {
        let mut tokens = locked(&self.tokens);
        let place = tokens.iter().position(|known| known.as_slice() == token);
        place.map(|place| tokens.swap_remove(place)).is_some()
    }

    async fn connected(&self, wait: Duration) -> Result<Arc<mux::Mux>, BulkError> {
        let mut mux = self.mux.subscribe();
        match tokio::time::timeout(wait, mux.wait_for(|mux| mux.is_some())).await {
            Ok(Ok(mux)) => mux.clone().ok_or(BulkError::Broken),
            Ok(Err(_)) | Err(_) => Err(BulkError::Broken),
        }
    }

    pub(super) async fn get(&self, request: BulkRequest, wait: Duration) -> Result<BulkDownload, BulkError> {
        transfer::get(self.connected(wait).await?, request).await
    }

    pub(super) async fn put(
        &self,
        offer: BulkOffer,
        input: &mut dyn BulkInput,
        wait: Duration,
    ) -> Result<u64, BulkError> {
        transfer::put(self.connected(wait).await?, offer, input).await
    }

    /// Ends the connection that there is, not the session.
    pub(super) fn cut(&self) {
        if let Some(mux) = self.mux.borrow().as_ref() {
            mux.close();
        }
    }
}
