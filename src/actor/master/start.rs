//! Starting and stopping a master process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ractor::{Actor, ActorRef};
use tokio_util::sync::CancellationToken;

use crate::actor::definition::scan::ScanLimits;
use crate::actor::definition::source;
use crate::actor::definition::watcher::{ReportError, ReportTo, Watcher, WatcherConfig, WatcherMessage};
use crate::actor::log_store::{LogLimits, LogStore};
use crate::actor::protocol::definition::{SourceAnswer, SourceContent, SourceReport};
use crate::cluster::raft::{FatalError, HostConfig, NoPeers, RaftHost};
use crate::cluster::{Cookie, Link, LinkConfig, LinkLimits, NodeIdentity, Standing};
use crate::config::{Config, Home};

use super::api::MasterApi;
use super::definitions::Definitions;
use super::gateway::Gateway;
use super::housekeeping;
use super::root::{Root, RootMessage};
use super::shared::Shared;

/// Without an end of the tag for this long a text is broken, not half-written.
const INCOMPLETE_GRACE: Duration = Duration::from_millis(1200);
/// How long a single voter may take to become the active Master.
const ACTIVE_PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0} is not one of the masters that the configuration lists")]
    NotAMaster(String),
    #[error("several masters are not in this build: list one in cluster.masters")]
    SeveralMasters,
    #[error("the address of {0} cannot be used: {1}")]
    Address(String, String),
    #[error(transparent)]
    Raft(#[from] crate::cluster::raft::StartError),
    #[error(transparent)]
    Link(#[from] crate::cluster::LinkError),
    #[error("{what}: {error}")]
    Io { what: &'static str, error: std::io::Error },
    #[error("an actor did not start: {0}")]
    Actor(String),
}

pub struct Master {
    shared: Arc<Shared>,
    link: Link,
    root: ActorRef<RootMessage>,
    watcher: ActorRef<WatcherMessage>,
    /// Ends what is no actor.
    stop: CancellationToken,
}

impl Master {
    pub async fn start(
        home: &Home,
        config: &Config,
        identity: NodeIdentity,
        cookie: Cookie,
    ) -> Result<Self, StartError> {
        let name = identity.name.to_string();
        let listed = config.cluster.masters.iter().find(|master| master.name() == name);
        let listed = listed.ok_or_else(|| StartError::NotAMaster(name.clone()))?;
        if config.cluster.masters.len() > 1 {
            return Err(StartError::SeveralMasters);
        }
        let id = listed.id;
        let address = listed.address();
        let listen = address.parse().map_err(|error: std::net::AddrParseError| {
            StartError::Address(name.clone(), format!("{address}: {error}"))
        })?;
        let directory = home.node_dir(&name);
        let logs = LogStore::open(directory.join("task-logs"), log_limits(config));
        let logs = Arc::new(logs.map_err(|error| StartError::Io { what: "task logs", error })?);
        let members = config.cluster.masters.iter().map(|master| (master.id.0, master.address()));
        let raft = RaftHost::start(HostConfig {
            directory,
            voter: id.0,
            members: members.collect::<BTreeMap<_, _>>(),
            cluster: None,
            raft: config.raft.clone(),
            master: config.master.clone(),
            peers: Arc::new(NoPeers),
        })
        .await?;
        let shared = Shared::new(id, name, identity.boot, address, config.clone(), raft);
        let definitions = Arc::new(Definitions::new(shared.clone()));
        let stop = CancellationToken::new();
        tokio::spawn(housekeeping::keep_house(shared.clone(), logs.clone(), stop.clone()));
        let api = Arc::new(MasterApi { shared: shared.clone(), definitions: definitions.clone(), logs: logs.clone() });
        let gateway = Arc::new(Gateway { shared: shared.clone(), api, logs });
        let link = Link::start(
            LinkConfig {
                node: identity,
                listen: Some(listen),
                advertise: None,
                cookie,
                peers_to_dial: Vec::new(),
                limits: link_limits(config),
            },
            gateway,
        )
        .await?;
        shared.attach(link.clone());
        let root = start_root(&shared, &link).await?;
        let watcher = start_watcher(home, config, &shared, definitions).await?;
        Ok(Self { shared, link, root, watcher, stop })
    }

    /// Waits until this process is the active Master; false when it is not after a while.
    pub async fn is_active(&self) -> bool {
        let deadline = tokio::time::Instant::now() + ACTIVE_PATIENCE;
        while self.shared.leader().is_none() {
            if tokio::time::Instant::now() > deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        true
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

async fn start_root(shared: &Arc<Shared>, link: &Link) -> Result<ActorRef<RootMessage>, StartError> {
    let (link, name) = (link.clone(), shared.name.clone());
    let on_epoch = Box::new(move |epoch, leads: bool| {
        link.set_standing(Standing { epoch, leader: leads.then(|| name.as_str().into()) });
    });
    let spawned = Actor::spawn(None, Root, (shared.clone(), on_epoch as _)).await;
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
            gone_after: Duration::from_millis(settings.settle_ms * 2),
            file_bytes_max: settings.file_bytes_max as u64,
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

/// Reports of this host's own watcher.
struct Here {
    shared: Arc<Shared>,
    definitions: Arc<Definitions>,
}

#[async_trait]
impl ReportTo for Here {
    async fn report(&self, report: SourceReport) -> Result<SourceAnswer, ReportError> {
        self.definitions.report(report, self.shared.id, self.shared.boot).await
    }

    async fn content(&self, content: SourceContent) -> Result<(), ReportError> {
        self.definitions.content(content, self.shared.id, self.shared.boot).await
    }

    fn is_complete(&self, bytes: &[u8]) -> bool {
        crate::xml::is_complete(bytes)
    }
}

fn log_limits(config: &Config) -> LogLimits {
    LogLimits { bytes_max: config.worker.log_bytes_max, ..LogLimits::default() }
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
