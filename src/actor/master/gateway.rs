//! The door of a master process: every message of the link, handed to whom it concerns.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use ractor::ActorRef;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::actor::definition::watcher::WatcherMessage;
use crate::actor::file_store::hash_of_object;
use crate::actor::log_store::LogStore;
use crate::actor::protocol::client::{EventsAfter, LogCopyRead};
use crate::actor::protocol::definition::{SourceContent, SourceReport};
use crate::actor::protocol::worker::{Registered, WorkerMessage};
use crate::actor::protocol::{decode, encode, kind};
use crate::api::{ChangeEnvelope, LogQuery, QueryEnvelope};
use crate::cluster::bulk::{BulkOffer, BulkRequest, BulkSink, BulkSource};
use crate::cluster::{DownReason, LinkHandler, Peer, Refusal, Role};
use crate::engine::command::{Command, Envelope};
use crate::model::id::{AttemptId, Boot, ContentHash, MasterId};

use super::api::MasterApi;
use super::revocations::Revocations;
use super::shared::Shared;
use super::{acquaint, heard, logs, voters};

pub struct Gateway {
    pub shared: Arc<Shared>,
    pub api: Arc<MasterApi>,
    pub logs: Arc<LogStore>,
    pub watcher: ActorRef<WatcherMessage>,
    pub revocations: Arc<Revocations>,
}

#[async_trait]
impl LinkHandler for Gateway {
    fn peer_up(&self, peer: Peer) {
        tracing::info!(peer = %peer.name(), "connected");
        acquaint::tell(&peer, &self.shared.raft.members().borrow());
    }

    fn peer_down(&self, peer: &Peer, reason: &DownReason) {
        tracing::info!(peer = %peer.name(), %reason, "disconnected");
        if let Some((worker, session)) = self.shared.workers.unlinked(peer.name(), peer.session()) {
            let command = Command::WorkerUnlinked { worker, session: session.0 };
            // Without a leader there is nobody to tell: the next one asks every worker anew.
            let _ = self.shared.post(Envelope::internal(command), None);
        }
        if let Some(voter) = voters::voter_of(peer) {
            // What it reported somebody else reports now.
            let _ = self.shared.post(Envelope::internal(Command::MasterDown { node: MasterId(voter) }), None);
        }
    }

    async fn cast(&self, from: &Peer, kind: u16, body: Bytes) {
        match kind {
            kind::WORKER => match decode::<WorkerMessage>(&body) {
                Ok(message) => heard::heard(&self.shared, from, message),
                Err(error) => tracing::warn!(peer = %from.name(), %error, "a worker's message cannot be read"),
            },
            kind::SOURCE_GRANTED if from.role() == Role::Master => {
                // A watcher that has stopped reports nothing any more.
                let _ = self.watcher.cast(WatcherMessage::ListAgain);
            }
            kind::REVOKED if from.role() == Role::Master => self.revocations.hear(from.name(), &body),
            other => tracing::debug!(peer = %from.name(), kind = other, "a message of an unknown kind"),
        }
    }

    async fn call(&self, from: &Peer, kind: u16, body: Bytes) -> Result<Bytes, Refusal> {
        match kind {
            kind::WORKER => {
                let answer: Result<Registered, String> = match read::<WorkerMessage>(&body)? {
                    WorkerMessage::Register(register) => heard::register(&self.shared, from.clone(), *register).await,
                    _ => return Err(Refusal::Unsupported),
                };
                write(&answer)
            }
            kind::LOG_LENGTH => write(&self.logs.len(read::<AttemptId>(&body)?).bytes),
            kind::LOG_COPY if from.role() == Role::Master => {
                write(&logs::copy(&self.logs, read::<LogCopyRead>(&body)?).await)
            }
            kind::QUERY => write(&self.api.query(read::<QueryEnvelope>(&body)?).await),
            kind::CHANGE => write(&self.api.change(read::<ChangeEnvelope>(&body)?).await),
            kind::EVENTS => write(&self.api.events(read::<EventsAfter>(&body)?).await),
            kind::LOG => write(&self.api.log(read::<LogQuery>(&body)?).await),
            kind::SOURCE_REPORT => {
                let (node, boot) = watcher_of(from)?;
                write(&self.api.definitions.report(read::<SourceReport>(&body)?, node, boot).await)
            }
            kind::SOURCE_CONTENT => {
                let (node, boot) = watcher_of(from)?;
                write(&self.api.definitions.content(read::<SourceContent>(&body)?, node, boot).await)
            }
            kind::RAFT => voters::answer(&self.shared.raft, from, &body).await,
            kind::SNAPSHOT => voters::install(&self.shared.raft, from, &body).await,
            _ => Err(Refusal::Unsupported),
        }
    }

    async fn bulk_read(&self, from: &Peer, request: BulkRequest) -> Result<BulkSource, Refusal> {
        if !matches!(from.role(), Role::Master | Role::Worker) {
            return Err(Refusal::Unsupported);
        }
        let hash = hash_of_object(&request.object).ok_or(Refusal::Unsupported)?;
        self.shared.files.source(hash, request.offset).await
    }

    async fn bulk_write(&self, from: &Peer, offer: BulkOffer) -> Result<Box<dyn BulkSink>, Refusal> {
        if from.role() == Role::Master {
            if let Some(hash) = hash_of_object(&offer.object) {
                return self.receive(&hash, &offer).await;
            }
            return voters::receive(&self.shared.raft, from, &offer).await;
        }
        if from.role() != Role::Worker {
            return Err(Refusal::Unsupported);
        }
        logs::sink(self.logs.clone(), &offer)
    }
}

impl Gateway {
    /// A file of a definition, from the master that reports it or from the leader.
    async fn receive(&self, hash: &ContentHash, offer: &BulkOffer) -> Result<Box<dyn BulkSink>, Refusal> {
        let bytes = offer.length.filter(|_| offer.hash.as_ref() == Some(hash));
        let bytes = bytes.ok_or_else(|| Refusal::Refused("a file is offered with its length and hash".to_owned()))?;
        let bytes_max = self.shared.config.definitions.attached_bytes_max;
        if bytes > bytes_max {
            return Err(Refusal::Refused(format!("a file may have {bytes_max} bytes, not {bytes}")));
        }
        Ok(Box::new(self.shared.files.receive(hash, bytes).await?))
    }
}

/// Only a master may report a directory.
fn watcher_of(from: &Peer) -> Result<(MasterId, Boot), Refusal> {
    match voters::voter_of(from) {
        Some(id) => Ok((MasterId(id), from.info().boot)),
        None => Err(Refusal::Refused("only a master reports definitions".to_owned())),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    decode(body).map_err(|error| Refusal::Refused(error.to_string()))
}

fn write<T: Serialize>(answer: &T) -> Result<Bytes, Refusal> {
    encode(answer).map(Bytes::from).map_err(|error| Refusal::Refused(error.to_string()))
}
