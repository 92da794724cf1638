//! A worker process: the worker's actors and its links to the masters, joined.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::actor::file_store::object_of;
use crate::actor::link_slot::LinkSlot;
use crate::actor::protocol::voter::MasterAt;
use crate::actor::protocol::worker::{LogAck, LogChunk, MasterMessage, Register, Registered, WorkerMessage};
use crate::actor::protocol::{ProtocolError, decode, encode, kind};
use crate::actor::worker::{LinkDesk, LinkFailed, MasterLink, Worker, WorkerConfig, WorkerError};
use crate::cluster::bulk::{BulkError, BulkOffer, BulkRequest};
use crate::cluster::{
    ByteReader, CallError, DownReason, Link, LinkConfig, LinkError, LinkHandler, Peer, Refusal, Role, Standing,
};
use crate::config::{Config, Home};
use crate::model::id::{AttemptId, ContentHash, WorkerId};

/// A registration waits for a commit.
const REGISTER_TIMEOUT: Duration = Duration::from_secs(10);
/// What the program is called beside the main binary.
const SHIM: &str = "ractorflow-shim";

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("{} is not there: build it, or set RACTORFLOW_SHIM", .0.display())]
    NoShim(PathBuf),
}

pub struct WorkerProcess {
    worker: Worker,
    link: Link,
    slots: u32,
}

impl WorkerProcess {
    pub async fn start(home: &Home, config: &Config, link: LinkConfig) -> Result<Self, StartError> {
        let name = link.node.name.to_string();
        let mut settings = WorkerConfig::new(
            WorkerId::from(name.as_str()),
            home.node_dir(&name),
            shim_program()?,
            link.node.data_dir.to_string(),
            link.node.boot,
        )?
        .with(&config.worker)
        .in_cluster_of(&config.cluster.masters);
        settings.conf_dir = home.conf_dir();
        settings.task_settings.mail = config.mail.clone();
        let slots = settings.slots;
        let desk = LinkDesk::new(settings.own_program.clone(), settings.conf_dir.clone());
        let worker = Worker::start(settings).await?;
        let call_timeout = Duration::from_millis(config.cluster.call_timeout_ms);
        let masters =
            Masters { worker: worker.clone(), desk, links: Mutex::default(), link: LinkSlot::default(), call_timeout };
        let handler = Arc::new(masters);
        let link = Link::start(link, handler.clone()).await?;
        handler.link.set(link.clone());
        Ok(Self { worker, link, slots })
    }

    pub fn slots(&self) -> u32 {
        self.slots
    }

    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Ends this process's part. Tasks go on under their shims, for the next start to find.
    pub async fn stop(&self) {
        self.link.stop().await;
        self.worker.stop().await;
    }
}

/// `RACTORFLOW_SHIM`, else the one beside this program.
///
/// # Errors
/// There is none.
pub fn shim_program() -> Result<PathBuf, StartError> {
    let named = std::env::var_os("RACTORFLOW_SHIM").filter(|path| !path.is_empty()).map(PathBuf::from);
    let beside = || std::env::current_exe().ok().and_then(|path| Some(path.parent()?.join(SHIM)));
    let program = named.or_else(beside).unwrap_or_else(|| PathBuf::from(SHIM));
    if program.is_file() { Ok(program) } else { Err(StartError::NoShim(program)) }
}

/// What masters say, to the worker's gateway; one `MasterLink` per session.
struct Masters {
    worker: Worker,
    desk: LinkDesk,
    links: Mutex<BTreeMap<u64, Arc<dyn MasterLink>>>,
    link: LinkSlot,
    call_timeout: Duration,
}

impl Masters {
    fn links(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<dyn MasterLink>>> {
        self.links.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Masters {
    fn note(&self, standing: &Standing) {
        if let Some(leader) = &standing.leader {
            self.worker.standing(standing.epoch, leader);
        }
    }
}

#[async_trait]
impl LinkHandler for Masters {
    fn peer_up(&self, peer: Peer) {
        if peer.role() != Role::Master {
            return;
        }
        tracing::info!(master = %peer.name(), "connected");
        let session = peer.session();
        let link: Arc<dyn MasterLink> = Arc::new(OverPeer { peer: peer.clone(), call_timeout: self.call_timeout });
        self.links().insert(session, link.clone());
        self.worker.master_up(link);
        self.note(&peer.standing());
    }

    fn peer_standing(&self, peer: &Peer) {
        self.note(&peer.standing());
    }

    fn peer_down(&self, peer: &Peer, reason: &DownReason) {
        tracing::info!(master = %peer.name(), %reason, "disconnected");
        if let Some(link) = self.links().remove(&peer.session()) {
            self.worker.master_down(&link);
        }
    }

    async fn cast(&self, from: &Peer, kind: u16, body: Bytes) {
        let link = self.links().get(&from.session()).cloned();
        match (kind, link) {
            (kind::MASTERS, _) => match decode::<Vec<MasterAt>>(&body) {
                Ok(masters) => self.link.acquaint(masters),
                Err(error) => tracing::warn!(master = %from.name(), %error, "a list of masters cannot be read"),
            },
            (kind::MASTER, Some(link)) => match decode::<MasterMessage>(&body) {
                Ok(message) => self.worker.from_master(&link, message),
                Err(error) => tracing::warn!(master = %from.name(), %error, "a master's message cannot be read"),
            },
            _ => tracing::debug!(from = %from.name(), kind, "a message of an unknown kind"),
        }
    }

    async fn call(&self, from: &Peer, kind: u16, body: Bytes) -> Result<Bytes, Refusal> {
        if kind != kind::LINKS || from.role() != Role::Master {
            return Err(Refusal::Unsupported);
        }
        let refused = |error: ProtocolError| Refusal::Refused(error.to_string());
        let order = decode(&body).map_err(refused)?;
        encode(&self.desk.answer(order).await).map(Bytes::from).map_err(refused)
    }
}

struct OverPeer {
    peer: Peer,
    call_timeout: Duration,
}

fn broken(error: impl ToString) -> LinkFailed {
    LinkFailed::Broken(error.to_string())
}

fn not_answered(error: CallError) -> LinkFailed {
    match error {
        CallError::Refused(_) | CallError::Unsupported => LinkFailed::Refused(error.to_string()),
        CallError::Timeout | CallError::Down | CallError::Busy | CallError::TooLarge { .. } => broken(error),
    }
}

#[async_trait]
impl MasterLink for OverPeer {
    fn master(&self) -> &str {
        self.peer.name()
    }

    fn cast(&self, message: &WorkerMessage) -> Result<(), LinkFailed> {
        let body = encode(message).map_err(broken)?;
        self.peer.cast(kind::WORKER, body).map_err(broken)
    }

    async fn register(&self, register: Box<Register>) -> Result<Registered, LinkFailed> {
        let body = encode(&WorkerMessage::Register(register)).map_err(broken)?;
        let answer = self.peer.call(kind::WORKER, body, REGISTER_TIMEOUT).await.map_err(not_answered)?;
        let answer: Result<Registered, String> = decode(&answer).map_err(broken)?;
        answer.map_err(LinkFailed::Refused)
    }

    async fn read_file(&self, hash: &ContentHash, offset: u64) -> Result<ByteReader, LinkFailed> {
        let request = BulkRequest { object: object_of(hash), offset, hash: Some(hash.clone()) };
        match self.peer.bulk_get(request).await {
            Ok(download) => Ok(download.reader),
            Err(BulkError::Refused(refusal)) => Err(LinkFailed::Refused(refusal.to_string())),
            Err(error) => Err(broken(error)),
        }
    }

    /// A piece travels as one bulk object named by attempt and offset. When the master has less or more of the
    /// log than expected it refuses, and says how much it has.
    async fn put(&self, chunk: LogChunk) -> Result<LogAck, LinkFailed> {
        let LogChunk { attempt, offset, bytes, is_end, is_cut } = chunk;
        let end = offset + bytes.len() as u64;
        let kind = match (is_cut, is_end) {
            (true, _) => PieceKind::Cut,
            (false, true) => PieceKind::Last,
            (false, false) => PieceKind::Part,
        };
        let object = piece_name(attempt, offset, kind);
        let offer = BulkOffer { object, length: Some(bytes.len() as u64), hash: None };
        match self.peer.bulk_put(offer, &mut Cursor::new(bytes)).await {
            Ok(_) => Ok(LogAck { attempt, offset: end, is_complete: is_end }),
            Err(BulkError::Refused(_)) => {
                let body = encode(&attempt).map_err(broken)?;
                let length = self.peer.call(kind::LOG_LENGTH, body, self.call_timeout).await.map_err(not_answered)?;
                Ok(LogAck { attempt, offset: decode(&length).map_err(broken)?, is_complete: false })
            }
            Err(error) => Err(broken(error)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    Part,
    Last,
    /// No bytes: what the master does not have yet was dropped. Its offset is how long all of it was.
    Cut,
}

/// `log/<attempt>/<offset>/<0|1|2>`.
fn piece_name(attempt: AttemptId, offset: u64, kind: PieceKind) -> String {
    let kind = match kind {
        PieceKind::Part => 0,
        PieceKind::Last => 1,
        PieceKind::Cut => 2,
    };
    format!("log/{attempt}/{offset}/{kind}")
}

/// Reads `piece_name` back.
pub fn read_piece_name(object: &str) -> Option<(AttemptId, u64, PieceKind)> {
    let mut parts = object.strip_prefix("log/")?.split('/');
    let (attempt, offset) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let kind = match parts.next()? {
        "0" => PieceKind::Part,
        "1" => PieceKind::Last,
        "2" => PieceKind::Cut,
        _ => return None,
    };
    parts.next().is_none().then_some((attempt, offset, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_of_a_log_is_named_so_that_it_reads_back() {
        let attempt: AttemptId = "10342.1.5.0.2".parse().unwrap();
        for kind in [PieceKind::Part, PieceKind::Last, PieceKind::Cut] {
            assert_eq!(read_piece_name(&piece_name(attempt, 17, kind)), Some((attempt, 17, kind)));
        }
        for bad in ["log/1.1.1.0.1/1/3", "", "log/", "log/1.1.1.0.1/x/0", "log/1.1.1.0.1/1/0/9", "file/1"] {
            assert_eq!(read_piece_name(bad), None, "{bad}");
        }
    }
}
