//! What the link of a master process speaks to: until its voter has started, only questions about the voter are
//! answered; then everything goes to the `Gateway`.

use std::sync::{Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::actor::protocol::{encode, kind};
use crate::cluster::bulk::{BulkOffer, BulkRequest, BulkSink, BulkSource};
use crate::cluster::raft::{LogFacts, VoterFacts};
use crate::cluster::{DownReason, LinkHandler, Peer, Refusal, Role};

use super::gateway::Gateway;

pub struct Door {
    facts: Mutex<VoterFacts>,
    gateway: OnceLock<Gateway>,
}

impl Door {
    pub fn new(facts: VoterFacts) -> Self {
        Self { facts: Mutex::new(facts), gateway: OnceLock::new() }
    }

    /// The voter runs: from now on the gateway answers.
    pub fn open(&self, gateway: Gateway) {
        // A second gateway would be a second voter: the first one stays.
        let _ = self.gateway.set(gateway);
    }

    pub fn set_log(&self, log: Option<LogFacts>) {
        self.lock().log = log;
    }

    pub fn facts(&self) -> VoterFacts {
        let mut facts = self.lock().clone();
        if let Some(gateway) = self.gateway.get() {
            let raft = &gateway.shared.raft;
            facts.log = Some(LogFacts { cluster: raft.cluster().to_owned(), members: raft.metrics().nodes });
        }
        facts
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VoterFacts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gateway(&self) -> Result<&Gateway, Refusal> {
        // In a moment it will not be busy any more: whoever asks, asks again.
        self.gateway.get().ok_or(Refusal::Busy)
    }
}

#[async_trait]
impl LinkHandler for Door {
    fn peer_up(&self, peer: Peer) {
        match self.gateway.get() {
            Some(gateway) => gateway.peer_up(peer),
            None => tracing::info!(peer = %peer.name(), "connected"),
        }
    }

    fn peer_down(&self, peer: &Peer, reason: &DownReason) {
        if let Some(gateway) = self.gateway.get() {
            gateway.peer_down(peer, reason);
        }
    }

    async fn cast(&self, from: &Peer, kind: u16, body: Bytes) {
        if let Some(gateway) = self.gateway.get() {
            gateway.cast(from, kind, body).await;
        }
    }

    async fn call(&self, from: &Peer, kind: u16, body: Bytes) -> Result<Bytes, Refusal> {
        if kind == kind::VOTER_FACTS && from.role() == Role::Master {
            return encode(&self.facts()).map(Bytes::from).map_err(|error| Refusal::Refused(error.to_string()));
        }
        self.gateway()?.call(from, kind, body).await
    }

    async fn bulk_read(&self, from: &Peer, request: BulkRequest) -> Result<BulkSource, Refusal> {
        self.gateway()?.bulk_read(from, request).await
    }

    async fn bulk_write(&self, from: &Peer, offer: BulkOffer) -> Result<Box<dyn BulkSink>, Refusal> {
        self.gateway()?.bulk_write(from, offer).await
    }
}
