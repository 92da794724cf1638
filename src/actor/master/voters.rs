//! The other voters, over the cluster link: raft's questions and snapshots, both ways.
//!
//! Knows no rule of raft; openraft asks, the host answers. A snapshot goes over the bulk connection and is named
//! by its hash, so that a broken transfer goes on where it stopped.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::actor::protocol::voter::{SnapshotSent, VoterQuestion};
use crate::actor::protocol::{decode, encode, kind};
use crate::cluster::bulk::{BulkError, BulkOffer, BulkSink, FileSink};
use crate::cluster::raft::{PeerError, RaftHost, RaftPeers, RaftRequest, RaftResponse};
use crate::cluster::{Link, Peer, Refusal, Role};
use crate::model::id::ContentHash;
use crate::store::types::{SnapshotMeta, Vote};

const SNAPSHOT_PREFIX: &str = "snapshot/";
/// Largest snapshot that is taken.
const SNAPSHOT_BYTES_MAX: u64 = 64 << 30;
/// Broken transfers that are continued before raft is told.
const SEND_TRIES: u32 = 5;
/// How long a question waits for a voter that is not connected, and how often it looks.
const AWAY_WAIT: Duration = Duration::from_millis(200);
const AWAY_LOOK: Duration = Duration::from_millis(20);
const INSTALL_TIMEOUT: Duration = Duration::from_secs(600);

/// `m1` for voter 1.
pub fn name_of(voter: u64) -> String {
    format!("m{voter}")
}

/// The voter that a master's name stands for.
pub fn voter_of(peer: &Peer) -> Option<u64> {
    let is_master = peer.role() == Role::Master;
    peer.name().strip_prefix('m').filter(|_| is_master).and_then(|number| number.parse().ok())
}

pub struct LinkPeers {
    link: Link,
    cluster: OnceLock<String>,
}

impl LinkPeers {
    pub fn new(link: Link) -> Self {
        Self { link, cluster: OnceLock::new() }
    }

    /// Once it is known which cluster this is.
    pub fn belong_to(&self, cluster: &str) {
        let _ = self.cluster.set(cluster.to_owned());
    }

    fn cluster(&self) -> String {
        self.cluster.get().cloned().unwrap_or_default()
    }

    /// A voter that is away gets a moment to come back: openraft asks again at once, and would do nothing else.
    async fn peer(&self, voter: u64) -> Result<Peer, PeerError> {
        let find = || self.link.peer(&name_of(voter)).filter(|peer| peer.role() == Role::Master);
        let deadline = tokio::time::Instant::now() + AWAY_WAIT;
        loop {
            if let Some(peer) = find() {
                return Ok(peer);
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(unreachable(voter, "it is not connected"));
            }
            tokio::time::sleep(AWAY_LOOK).await;
        }
    }
}

fn unreachable(voter: u64, reason: impl ToString) -> PeerError {
    PeerError { voter, reason: reason.to_string() }
}

#[async_trait]
impl RaftPeers for LinkPeers {
    async fn call(&self, voter: u64, request: RaftRequest, timeout: Duration) -> Result<RaftResponse, PeerError> {
        let failed = |error: &dyn std::fmt::Display| unreachable(voter, error);
        let peer = tokio::time::timeout(timeout, self.peer(voter)).await.map_err(|error| failed(&error))??;
        let body = encode(&VoterQuestion { cluster: self.cluster(), request }).map_err(|error| failed(&error))?;
        let answer = peer.call(kind::RAFT, body, timeout).await.map_err(|error| failed(&error))?;
        decode(&answer).map_err(|error| failed(&error))
    }

    async fn send_snapshot(&self, voter: u64, vote: Vote, meta: SnapshotMeta, file: &Path) -> Result<Vote, PeerError> {
        let failed = |error: &dyn std::fmt::Display| unreachable(voter, error);
        let path = file.to_owned();
        let hashed = tokio::task::spawn_blocking(move || hash_of(&path)).await.map_err(|error| failed(&error))?;
        let (hash, length) = hashed.map_err(|error| failed(&error))?;
        let offer =
            || BulkOffer { object: format!("{SNAPSHOT_PREFIX}{hash}"), length: Some(length), hash: Some(hash.clone()) };
        let mut tries = 0;
        loop {
            let mut input = tokio::fs::File::open(file).await.map_err(|error| failed(&error))?;
            match self.peer(voter).await?.bulk_put(offer(), &mut input).await {
                Ok(_) => break,
                Err(BulkError::Broken | BulkError::Idle { .. }) if tries < SEND_TRIES => tries += 1,
                Err(error) => return Err(failed(&error)),
            }
        }
        let sent = SnapshotSent { cluster: self.cluster(), hash, vote, meta };
        let body = encode(&sent).map_err(|error| failed(&error))?;
        let answer = self.peer(voter).await?.call(kind::SNAPSHOT, body, INSTALL_TIMEOUT).await;
        decode(&answer.map_err(|error| failed(&error))?).map_err(|error| failed(&error))
    }
}

fn hash_of(path: &Path) -> std::io::Result<(ContentHash, u64)> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let (mut chunk, mut length) = (vec![0; 1 << 20], 0);
    loop {
        let bytes = file.read(&mut chunk)?;
        if bytes == 0 {
            break;
        }
        hasher.update(&chunk[..bytes]);
        length += bytes as u64;
    }
    Ok((ContentHash::from(hex::encode(hasher.finalize())), length))
}

/// Another voter asks.
pub async fn answer(host: &RaftHost, from: &Peer, body: &[u8]) -> Result<Bytes, Refusal> {
    let question: VoterQuestion = read(from, body)?;
    of_this_cluster(host, &question.cluster)?;
    write(&host.handle(question.request).await)
}

/// The leader offers a snapshot.
pub async fn receive(host: &RaftHost, from: &Peer, offer: &BulkOffer) -> Result<Box<dyn BulkSink>, Refusal> {
    let hash = offer.object.strip_prefix(SNAPSHOT_PREFIX).filter(|_| from.role() == Role::Master);
    let hash = hash.ok_or(Refusal::Unsupported)?;
    if offer.hash.as_ref().is_none_or(|offered| offered.as_str() != hash) {
        return Err(Refusal::Refused("the name of a snapshot is its hash".to_owned()));
    }
    let sink = FileSink::open(&arrived(host, hash)?, offer, SNAPSHOT_BYTES_MAX).await?;
    Ok(Box::new(sink))
}

/// It is here as a whole.
pub async fn install(host: &RaftHost, from: &Peer, body: &[u8]) -> Result<Bytes, Refusal> {
    let sent: SnapshotSent = read(from, body)?;
    of_this_cluster(host, &sent.cluster)?;
    let place = arrived(host, sent.hash.as_str())?;
    let file = host.new_snapshot_file();
    std::fs::rename(&place, file.path()).map_err(|error| Refusal::Refused(format!("the snapshot: {error}")))?;
    let installed = host.install_snapshot(sent.vote, sent.meta, file).await;
    write(&installed.map_err(|error| Refusal::Refused(error.to_string()))?)
}

/// Where a received snapshot waits. Swept at the next start if it never gets installed.
fn arrived(host: &RaftHost, hash: &str) -> Result<PathBuf, Refusal> {
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hash {
        return Err(Refusal::Refused("the name of a snapshot is its hash".to_owned()));
    }
    Ok(host.replica().readers().directory().join(format!("snapshot-{hash}.tmp")))
}

fn of_this_cluster(host: &RaftHost, cluster: &str) -> Result<(), Refusal> {
    if host.cluster() == cluster {
        return Ok(());
    }
    Err(Refusal::Refused(format!("this master belongs to cluster {}, not to {cluster}", host.cluster())))
}

fn read<T: serde::de::DeserializeOwned>(from: &Peer, body: &[u8]) -> Result<T, Refusal> {
    if from.role() != Role::Master {
        return Err(Refusal::Unsupported);
    }
    decode(body).map_err(|error| Refusal::Refused(error.to_string()))
}

fn write<T: serde::Serialize>(answer: &T) -> Result<Bytes, Refusal> {
    encode(answer).map(Bytes::from).map_err(|error| Refusal::Refused(error.to_string()))
}
