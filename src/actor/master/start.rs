//! Starting and stopping a master process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ractor::{Actor, ActorRef};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::actor::definition::scan::ScanLimits;
use crate::actor::definition::source;
use crate::actor::definition::watcher::{Delivery, ReportError, ReportTo, Watcher, WatcherConfig, WatcherMessage};
use crate::actor::file_store::FileStore;
use crate::actor::log_store::{LogLimits, LogStore};
use crate::actor::protocol::definition::{SourceAnswer, SourceContent, SourceReport};
use crate::actor::protocol::{decode, encode, kind};
use crate::cluster::raft::{FatalError, HostConfig, RaftHost, VoterFacts};
use crate::cluster::tls::TlsConfig;
use crate::cluster::{Cookie, Link, LinkConfig, LinkLimits, NodeIdentity, PeerAddress, Standing};
use crate::config::{Config, Home};
use crate::model::message::Message;
use crate::say;

use super::api::MasterApi;
use super::definitions::Definitions;
use super::door::Door;
use super::gateway::Gateway;
use super::mailer::Desk;
use super::revocations::Revocations;
use super::root::{Root, RootMessage};
use super::shared::Shared;
use super::voters::{LinkPeers, name_of};
use super::{acquaint, attached, founding, housekeeping, standing};

/// Without an end of the tag for this long a text is broken, not half-written.
const INCOMPLETE_GRACE: Duration = Duration::from_millis(1200);
/// How long a voter may take until it knows a leader.
const SETTLE_PATIENCE: Duration = Duration::from_secs(30);
/// A voter that no leader has filled for this long waits to be added.
const OUTSIDE_AFTER: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{}", self.said().english())]
    NotAMaster(String),
    #[error("the address of {0} cannot be used: {1}")]
    Address(String, String),
    #[error(transparent)]
    Raft(#[from] crate::cluster::raft::StartError),
    #[error(transparent)]
    Founding(#[from] crate::cluster::raft::FoundingError),
    #[error("it was told to stop")]
    Stopped,
    #[error(transparent)]
    Link(#[from] crate::cluster::LinkError),
    #[error("{what}: {error}")]
    Io { what: &'static str, error: std::io::Error },
    #[error("an actor did not start: {0}")]
    Actor(String),
}

impl StartError {
    pub fn said(&self) -> Message {
        match self {
            Self::NotAMaster(name) => say!("{} is not one of the masters that the configuration lists", name),
            Self::Raft(error) => error.said(),
            Self::Founding(error) => error.said(),
            Self::Address(..) | Self::Stopped | Self::Link(_) | Self::Io { .. } | Self::Actor(_) => {
                Message::verbatim(self.to_string())
            }
        }
    }
}

/// What a master process is when it has settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Active,
    Standby,
    /// Receives the log, does not vote.
    Learner,
    /// No member: waits to be added.
    Outside,
}

pub struct Master {
    shared: Arc<Shared>,
    link: Link,
    root: ActorRef<RootMessage>,
    watcher: ActorRef<WatcherMessage>,
    /// Ends what is no actor.
    stop: CancellationToken,
}

/// What a master process starts with.
pub struct MasterStart<'a> {
    pub home: &'a Home,
    pub config: &'a Config,
    pub identity: NodeIdentity,
    pub cookie: Cookie,
    pub tls: Option<TlsConfig>,
    /// Leads only while no other can.
    pub is_low_priority: bool,
    /// The first start of a cluster waits for these masters.
    pub on_wait: &'a (dyn Fn(&BTreeSet<u64>) + Send + Sync),
    pub stop: CancellationToken,
}

impl Master {
    pub async fn start(start: MasterStart<'_>) -> Result<Self, StartError> {
        let MasterStart { home, config, identity, cookie, tls, is_low_priority, on_wait, stop } = start;
        let name = identity.name.to_string();
        let listed = config.cluster.masters.iter().find(|master| master.name() == name);
        let listed = listed.ok_or_else(|| StartError::NotAMaster(name.clone()))?;
        let (id, address) = (listed.id, listed.address());
        let listen = parse(&name, &address)?;
        let directory = home.node_dir(&name);
        let logs = LogStore::open(directory.join("task-logs"), log_limits(config));
        let logs = Arc::new(logs.map_err(|error| StartError::Io { what: "task logs", error })?);
        let files = FileStore::open(directory.join("files"));
        let files = Arc::new(files.map_err(|error| StartError::Io { what: "files of definitions", error })?);
        let masters: BTreeMap<u64, String> =
            config.cluster.masters.iter().map(|master| (master.id.0, master.address())).collect();
        let facts = VoterFacts { voter: id.0, data_dir: identity.data_dir, listed: masters.clone(), log: None };
        let door = Arc::new(Door::new(facts));
        // A voter that begins dials everybody: those that run may not know it yet.
        let is_new = !RaftHost::has_history(&directory)?;
        let is_dialed = |voter: u64| voter > id.0 || (is_new && voter != id.0);
        let peers_to_dial = masters
            .iter()
            .filter(|(voter, _)| is_dialed(**voter))
            .map(|(voter, address)| {
                Ok(PeerAddress { name: name_of(*voter), address: parse(&name_of(*voter), address)? })
            })
            .collect::<Result<Vec<_>, StartError>>()?;
        let boot = identity.boot;
        let link = Link::start(
            LinkConfig {
                node: identity,
                listen: Some(listen),
                advertise: None,
                cookie,
                tls,
                peers_to_dial,
                limits: link_limits(config),
            },
            door.clone(),
        )
        .await?;
        let beginning = stop.run_until_cancelled(founding::begin(&directory, &door, &link, on_wait)).await;
        let begin = match beginning.unwrap_or(Err(StartError::Stopped)) {
            Ok(begin) => begin,
            Err(error) => {
                link.stop().await;
                return Err(error);
            }
        };
        let peers = Arc::new(LinkPeers::new(link.clone()));
        peers.belong_to(&begin.cluster);
        let raft = RaftHost::start(HostConfig {
            directory,
            voter: id.0,
            cluster: begin.cluster,
            listed: masters,
            founding: begin.founding,
            is_low_priority,
            raft: config.raft.clone(),
            master: config.master.clone(),
            retention: config.retention.clone(),
            peers,
        })
        .await?;
        let shared = Shared::new(id, name, boot, address, config.clone(), home.conf_dir(), raft, files);
        shared.attach(link.clone());
        let definitions = Arc::new(Definitions::new(shared.clone()));
        let stop = CancellationToken::new();
        tokio::spawn(housekeeping::keep_house(shared.clone(), logs.clone(), stop.clone()));
        let (noting, stopped) = (shared.clone().note_take_overs(), stop.clone());
        tokio::spawn(async move { stopped.run_until_cancelled(noting).await });
        let (fetching, stopped) = (attached::follow(shared.clone()), stop.clone());
        tokio::spawn(async move { stopped.run_until_cancelled(fetching).await });
        let watcher = start_watcher(home, config, &shared, definitions.clone()).await?;
        let api = Arc::new(MasterApi { shared: shared.clone(), definitions, logs: logs.clone() });
        let desk = Desk { logs: logs.clone(), conf: home.conf_dir() };
        let root = start_root(&shared, &link, watcher.clone(), desk).await?;
        let revocations = Arc::new(Revocations::new(home.revoked_file()));
        let spreading = revocations.clone().tell(shared.clone());
        door.open(Gateway { shared: shared.clone(), api, logs, watcher: watcher.clone(), revocations });
        let telling = standing::tell(shared.clone(), link.clone());
        let following = acquaint::follow(shared.clone(), link.clone());
        let stopped = stop.clone();
        let all = async move { tokio::join!(telling, following, spreading) };
        tokio::spawn(async move { stopped.run_until_cancelled(all).await });
        Ok(Self { shared, link, root, watcher, stop })
    }

    /// Waits until this process is the active Master, or a standby of one, or knows that it is no voter yet;
    /// `None` when there is still no leader after a while.
    pub async fn settled(&self) -> Option<Place> {
        let deadline = tokio::time::Instant::now() + SETTLE_PATIENCE;
        let mut has_waited = false;
        loop {
            let metrics = self.shared.raft.metrics();
            let own = self.shared.id.0;
            if self.shared.leader().is_some() {
                return Some(Place::Active);
            }
            if metrics.voters.contains(&own) && metrics.leader.is_some_and(|leader| leader != own) {
                return Some(Place::Standby);
            }
            if has_waited && !metrics.voters.contains(&own) {
                return Some(if metrics.nodes.contains_key(&own) { Place::Learner } else { Place::Outside });
            }
            if tokio::time::Instant::now() > deadline {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            // A voter of a new cluster has an empty log until its leader fills it.
            has_waited = tokio::time::Instant::now() > deadline - SETTLE_PATIENCE + OUTSIDE_AFTER;
        }
    }

    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Waits for the failure that must end the process.
    pub async fn failed(&self) -> FatalError {
        self.shared.raft.failed().await
    }

    /// Effects first, then the loop, then the stores.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.watcher.stop(None);
        self.shared.set_leader(None);
        self.root.stop(None);
        self.link.stop().await;
        self.shared.raft.shutdown().await;
    }
}

fn parse(master: &str, address: &str) -> Result<std::net::SocketAddr, StartError> {
    let failed =
        |error: std::net::AddrParseError| StartError::Address(master.to_owned(), format!("{address}: {error}"));
    address.parse().map_err(failed)
}

async fn start_root(
    shared: &Arc<Shared>,
    link: &Link,
    watcher: ActorRef<WatcherMessage>,
    desk: Desk,
) -> Result<ActorRef<RootMessage>, StartError> {
    let (link, name) = (link.clone(), shared.name.clone());
    let on_epoch = Box::new(move |epoch, leads: bool| {
        link.set_standing(Standing { epoch, leader: leads.then(|| name.as_str().into()) });
        if leads {
            // The new leader's engine has to hear what this directory holds. A watcher that has stopped has nothing.
            let _ = watcher.cast(WatcherMessage::ListAgain);
        }
    });
    let spawned = Actor::spawn(None, Root, (shared.clone(), on_epoch as _, desk)).await;
    Ok(spawned.map_err(|error| StartError::Actor(error.to_string()))?.0)
}

async fn start_watcher(
    home: &Home,
    config: &Config,
    shared: &Arc<Shared>,
    definitions: Arc<Definitions>,
) -> Result<ActorRef<WatcherMessage>, StartError> {
    let root = home.xmlconfig_dir();
    let named = std::fs::create_dir_all(&root).and_then(|()| source::identify(&root));
    let settings = &config.definitions;
    let watcher = WatcherConfig {
        source: named.map_err(|error| StartError::Io { what: "xmlconfig/", error })?,
        root,
        reporter: shared.name.clone(),
        limits: ScanLimits {
            settle: Duration::from_millis(settings.settle_ms),
            // The engine counts the time until a missing file is a deleted one; here it only must not be a rename.
            // A definition that moves with its files is known again after two settlings.
            gone_after: Duration::from_millis(settings.settle_ms * 3),
            file_bytes_max: settings.file_bytes_max as u64,
            attached_bytes_max: settings.attached_bytes_max,
            files_max: settings.files_max,
            depth_max: settings.depth_max,
        },
        rescan: Duration::from_millis(settings.scan_interval_ms),
        incomplete_grace: INCOMPLETE_GRACE,
    };
    let to = Arc::new(Here { shared: shared.clone(), definitions });
    let spawned = Actor::spawn(None, Watcher, (watcher, to as Arc<dyn ReportTo>)).await;
    Ok(spawned.map_err(|error| StartError::Actor(error.to_string()))?.0)
}

/// Reports of this host's own watcher, to the leader: here or over the link.
struct Here {
    shared: Arc<Shared>,
    definitions: Arc<Definitions>,
}

/// A report waits for commits.
const REPORT_TIMEOUT: Duration = Duration::from_secs(20);

impl Here {
    async fn over_link<Q: Serialize, A: DeserializeOwned>(&self, kind: u16, question: &Q) -> Result<A, ReportError> {
        let peer = self.shared.leader_peer().ok_or(ReportError::NoLeader)?;
        let body = encode(question).map_err(|error| ReportError::Refused(error.to_string()))?;
        let answer = peer.call(kind, body, REPORT_TIMEOUT).await.map_err(|_| ReportError::NoLeader)?;
        decode::<Result<A, ReportError>>(&answer).map_err(|error| ReportError::Refused(error.to_string()))?
    }
}

#[async_trait]
impl ReportTo for Here {
    async fn report(&self, report: SourceReport) -> Result<SourceAnswer, ReportError> {
        if self.shared.leader().is_none() {
            return self.over_link(kind::SOURCE_REPORT, &report).await;
        }
        self.definitions.report(report, self.shared.id, self.shared.boot).await
    }

    async fn deliver(&self, files: Vec<Delivery>) -> Result<(), ReportError> {
        let (store, delivered) = (self.shared.files.clone(), files.clone());
        let taken = tokio::task::spawn_blocking(move || {
            delivered.iter().try_for_each(|file| match store.has(&file.hash, file.bytes) {
                true => Ok(()),
                false => file.take_into(&store),
            })
        });
        taken.await.unwrap_or_else(|error| Err(error.to_string())).map_err(ReportError::Refused)?;
        if self.shared.leader().is_some() {
            return Ok(());
        }
        let leader = self.shared.leader_peer().ok_or(ReportError::NoLeader)?;
        let files = files.into_iter().map(|file| (file.hash, file.bytes)).collect();
        attached::give(&self.shared, &leader, &files).await.map_err(ReportError::Refused)
    }

    async fn content(&self, content: SourceContent) -> Result<(), ReportError> {
        if self.shared.leader().is_none() {
            return self.over_link(kind::SOURCE_CONTENT, &content).await;
        }
        self.definitions.content(content, self.shared.id, self.shared.boot).await
    }

    fn is_complete(&self, bytes: &[u8]) -> bool {
        crate::xml::is_complete(bytes)
    }
}

fn log_limits(config: &Config) -> LogLimits {
    let kept_for = Duration::from_secs(u64::from(config.retention.task_logs_days) * 86_400);
    LogLimits { bytes_max: config.worker.log_bytes_max, kept_for, ..LogLimits::default() }
}

/// The configured bounds of a link; what is not configurable keeps its default.
pub fn link_limits(config: &Config) -> LinkLimits {
    let cluster = &config.cluster;
    LinkLimits {
        frame_bytes_max: cluster.frame_bytes_max as usize,
        message_bytes_max: cluster.message_bytes_max as usize,
        peer_queue_bytes_max: cluster.peer_queue_bytes_max as usize,
        heartbeat_ms: cluster.heartbeat_ms,
        peer_down_ms: cluster.peer_down_ms,
        handshake_ms_max: cluster.handshake_timeout_ms,
        dial_backoff_ms_min: cluster.reconnect_min_ms,
        dial_backoff_ms_max: cluster.reconnect_max_ms,
        preauth_connections_max: cluster.handshakes_max as usize,
        connections_max: cluster.peers_max as usize,
        bulk_window_bytes: cluster.bulk_window_bytes as usize,
        ..LinkLimits::default()
    }
}
