//! One voter: its log, its replica, openraft between them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use openraft::error::{ClientWriteError, Fatal, RaftError};
use openraft::{BasicNode, Raft, ServerState};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config;
use crate::store::file::DataLock;
use crate::store::raft_log::{LogConfig, LogIdentity, RaftLog};
use crate::store::replica::{Replica, ReplicaConfig};
use crate::store::state_db::SnapshotFile;
use crate::store::types::{Applied, EntryData, LogId, SnapshotData, SnapshotMeta, TypeConfig, Vote};
use crate::store::{Space, StoreError};

use super::leadership::{Leadership, QuorumAck};
use super::network::{Network, RaftPeers, RaftRequest, RaftResponse};
use super::settings::{self, PURGE_EVERY};
use super::timer::{ElectionTimer, Fired};

pub struct HostConfig {
    /// Where `raft.db` and `state.db` are.
    pub directory: PathBuf,
    pub voter: u64,
    /// Every voter with its address, this one too. Counts only while the cluster is new.
    pub members: BTreeMap<u64, String>,
    /// The cluster this voter belongs to. Must be the same on all; a new one is made for a cluster of one.
    pub cluster: Option<String>,
    pub raft: config::Raft,
    pub master: config::Master,
    pub peers: Arc<dyn RaftPeers>,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("start the voter: the configuration lists no voter {0}")]
    NotAMember(u64),
    #[error("start the voter: a new cluster of several voters needs a cluster id from the one that founds it")]
    NoClusterId,
    #[error("start the voter: {0}")]
    Raft(String),
}

/// The log or the state cannot be written or does not add up: the process has to end and start again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this voter has failed: {0}")]
pub struct FatalError(pub String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    #[error("this voter does not lead")]
    NotLeader { leader: Option<u64> },
    #[error(transparent)]
    Fatal(#[from] FatalError),
}

/// Handle to the running voter; clones share it.
#[derive(Clone)]
pub struct RaftHost {
    inner: Arc<Inner>,
}

struct Inner {
    voter: u64,
    cluster: String,
    raft: Raft<TypeConfig>,
    log: RaftLog,
    replica: Replica,
    space: Arc<Space>,
    leadership: watch::Receiver<Leadership>,
    timer: Mutex<ElectionTimer>,
    stop: CancellationToken,
    tasks: TaskTracker,
    lock: Mutex<Option<DataLock>>,
}

impl RaftHost {
    /// Opens or makes the stores, catches up to what was committed, and takes part. With a single voter it
    /// leads soon after.
    pub async fn start(config: HostConfig) -> Result<Self, StartError> {
        if !config.members.contains_key(&config.voter) {
            return Err(StartError::NotAMember(config.voter));
        }
        let lock = DataLock::take(&config.directory)?;
        let file = config.directory.join("raft.db");
        let cluster = match (config.cluster.clone(), RaftLog::peek_cluster(&file)?) {
            (Some(cluster), _) | (None, Some(cluster)) => cluster,
            (None, None) if config.members.len() == 1 => uuid::Uuid::new_v4().to_string(),
            (None, None) => return Err(StartError::NoClusterId),
        };
        let identity = LogIdentity { cluster: cluster.clone(), voter: config.voter, members: config.members.clone() };
        let space = Space::open(&config.directory, config.master.ballast_bytes, config.master.disk_free_min_bytes)?;
        let space = Arc::new(space);
        let log = RaftLog::open(LogConfig {
            file,
            identity,
            append_bytes_max: config.raft.append_bytes_max,
            space: Some(space.clone()),
        })?;
        let (replica, machine) = Replica::open(ReplicaConfig {
            directory: config.directory.clone(),
            project_every: Duration::from_millis(config.master.projector_interval_ms),
            events_kept: config.master.view_events_max,
            space: Some(space.clone()),
        })?;
        let settings = settings::settings(&cluster, &config.raft)
            .validate()
            .map_err(|error| StartError::Raft(error.to_string()))?;
        let network = Network { peers: config.peers };
        let is_pristine = log.is_pristine() && replica.applied().is_none();
        let raft = Raft::new(config.voter, Arc::new(settings), network, log.clone(), machine)
            .await
            .map_err(|error| StartError::Raft(error.to_string()))?;
        if is_pristine {
            let members: BTreeMap<u64, BasicNode> =
                config.members.iter().map(|(id, address)| (*id, BasicNode::new(address))).collect();
            raft.initialize(members).await.map_err(|error| StartError::Raft(error.to_string()))?;
        }
        let is_single = config.members.len() == 1;
        let quorum = QuorumAck::new(is_single);
        let first = Leadership { is_leader: false, term: 0, leader: None, quorum };
        let (publish, leadership) = watch::channel(first);
        let host = Self {
            inner: Arc::new(Inner {
                voter: config.voter,
                cluster,
                raft,
                log,
                replica,
                space,
                leadership,
                timer: Mutex::new(ElectionTimer::new(Instant::now(), settings::waits(&config.raft), random_below)),
                stop: CancellationToken::new(),
                tasks: TaskTracker::new(),
                lock: Mutex::new(Some(lock)),
            }),
        };
        host.spawn(watch_leadership(host.clone(), publish));
        host.spawn(purge_by_size(host.clone(), config.raft.log_keep_bytes));
        if is_single {
            // No other voter could object; openraft may have resumed as leader, then this does nothing.
            let elected = host.inner.raft.trigger().elect().await;
            elected.map_err(|error| StartError::Raft(error.to_string()))?;
        } else {
            host.spawn(campaign(host.clone()));
            host.spawn(heartbeat(host.clone(), Duration::from_millis(config.raft.heartbeat_every_ms)));
        }
        Ok(host)
    }

    pub fn voter(&self) -> u64 {
        self.inner.voter
    }

    /// The cluster's id, as in `raft.db`.
    pub fn cluster(&self) -> &str {
        &self.inner.cluster
    }

    /// Is there room for changes? Asked before a command of a client is taken.
    pub fn space(&self) -> &Space {
        &self.inner.space
    }

    pub fn replica(&self) -> &Replica {
        &self.inner.replica
    }

    /// Commits one entry and gives what became of it here. On `Fatal`, and when the caller stops waiting, the
    /// outcome is unknown. Never tried again with the same entry: commands are, entries are not.
    pub async fn propose(&self, entry: EntryData) -> Result<Applied, ProposeError> {
        match self.inner.raft.client_write(entry).await {
            Ok(response) => Ok(response.data),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to))) => {
                Err(ProposeError::NotLeader { leader: to.leader_id })
            }
            Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(error))) => {
                Err(FatalError(error.to_string()).into())
            }
            Err(RaftError::Fatal(error)) => Err(FatalError(error.to_string()).into()),
        }
    }

    /// Changes when this voter gains or loses the lead, or the term changes.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.inner.leadership.clone()
    }

    /// Waits for the failure that must end the process.
    pub async fn failed(&self) -> FatalError {
        let mut metrics = self.inner.raft.metrics();
        let raft = async {
            loop {
                if let Err(error @ (Fatal::StorageError(_) | Fatal::Panicked)) =
                    &metrics.borrow_and_update().running_state
                {
                    return FatalError(error.to_string());
                }
                if metrics.changed().await.is_err() {
                    return std::future::pending().await;
                }
            }
        };
        tokio::select! {
            error = raft => error,
            error = self.inner.replica.failed() => FatalError(error.to_string()),
        }
    }

    /// Answers what another voter asks.
    pub async fn handle(&self, request: RaftRequest) -> RaftResponse {
        let answered = match request {
            RaftRequest::Append(rpc) => {
                let answer = self.inner.raft.append_entries(rpc).await;
                if answer.as_ref().is_ok_and(|answer| answer.is_success()) {
                    self.heard();
                }
                answer.map(RaftResponse::Append)
            }
            RaftRequest::Vote(rpc) => {
                let answer = self.inner.raft.vote(rpc).await;
                if answer.as_ref().is_ok_and(|answer| answer.vote_granted) {
                    self.heard();
                }
                answer.map(RaftResponse::Vote)
            }
        };
        answered.unwrap_or_else(|error| RaftResponse::Failed(error.to_string()))
    }

    /// Where a snapshot that is being received goes. It is deleted when dropped.
    pub fn new_snapshot_file(&self) -> SnapshotFile {
        SnapshotFile::new_in(&self.inner.replica.readers().directory())
    }

    /// Installs a snapshot that a leader sent; gives this voter's vote.
    pub async fn install_snapshot(
        &self,
        vote: Vote,
        meta: SnapshotMeta,
        file: SnapshotFile,
    ) -> Result<Vote, FatalError> {
        self.heard();
        let data = SnapshotData::File { meta: meta.clone(), file };
        let snapshot = openraft::Snapshot { meta, snapshot: Box::new(data) };
        let installed = self.inner.raft.install_full_snapshot(vote, snapshot).await;
        installed.map(|response| response.vote).map_err(|error| FatalError(error.to_string()))
    }

    pub fn metrics(&self) -> HostMetrics {
        let metrics = self.inner.raft.metrics().borrow().clone();
        HostMetrics {
            term: metrics.current_term,
            leader: metrics.current_leader,
            is_leader: metrics.state == ServerState::Leader,
            last_log_index: metrics.last_log_index,
            applied: metrics.last_applied,
            purged: metrics.purged,
            voters: metrics.membership_config.voter_ids().collect(),
            matched: metrics
                .replication
                .map(|of| of.into_iter().map(|(id, matched)| (id, matched.map(|log_id| log_id.index))).collect())
                .unwrap_or_default(),
            log_bytes: self.inner.log.bytes(),
        }
    }

    /// Stops taking part, writes what is in memory, closes the files.
    pub async fn shutdown(&self) {
        self.inner.stop.cancel();
        if let Err(error) = self.inner.raft.shutdown().await {
            tracing::warn!(%error, "raft did not stop cleanly");
        }
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.inner.replica.close().await;
        let log = self.inner.log.clone();
        let _ = tokio::task::spawn_blocking(move || log.close()).await;
        self.inner.lock.lock().expect("nothing panics while it holds this lock").take();
    }

    /// As if the log had grown beyond what is kept.
    #[cfg(test)]
    pub(super) async fn purge_log_for_test(&self) {
        let upto = self.metrics().applied.expect("something was applied").index;
        purge_to(self, upto).await.expect("the voter runs");
        let mut metrics = self.inner.raft.metrics();
        let is_purged = |index: Option<LogId>| index.is_some_and(|log_id| log_id.index >= upto);
        metrics.wait_for(|metrics| is_purged(metrics.purged)).await.expect("the voter runs");
    }

    fn heard(&self) {
        self.timer().heard(Instant::now());
    }

    fn timer(&self) -> std::sync::MutexGuard<'_, ElectionTimer> {
        self.inner.timer.lock().expect("nothing panics while it holds the timer")
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.inner.stop.clone();
        self.inner.tasks.spawn(async move {
            tokio::select! {
                () = task => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

/// Numbers for pages and /metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostMetrics {
    pub term: u64,
    pub leader: Option<u64>,
    pub is_leader: bool,
    pub last_log_index: Option<u64>,
    pub applied: Option<LogId>,
    pub purged: Option<LogId>,
    pub voters: Vec<u64>,
    /// On the leader: how far each voter's log reaches.
    pub matched: BTreeMap<u64, Option<u64>>,
    pub log_bytes: u64,
}

async fn watch_leadership(host: RaftHost, publish: watch::Sender<Leadership>) {
    let mut metrics = host.inner.raft.metrics();
    loop {
        let seen = {
            let metrics = metrics.borrow_and_update();
            let quorum = publish.borrow().quorum.clone();
            quorum.note(metrics.millis_since_quorum_ack);
            let is_leader = metrics.state == ServerState::Leader && metrics.running_state.is_ok();
            Leadership { is_leader, term: metrics.current_term, leader: metrics.current_leader, quorum }
        };
        publish.send_if_modified(|published| {
            let is_news = !published.is_same(&seen);
            *published = seen;
            is_news
        });
        if metrics.changed().await.is_err() {
            return;
        }
    }
}

/// Several voters: campaigns when nothing was heard for long enough.
async fn campaign(host: RaftHost) {
    loop {
        let deadline = host.timer().deadline();
        tokio::time::sleep_until(deadline.into()).await;
        if host.inner.leadership.borrow().is_leader {
            host.heard();
            continue;
        }
        if host.timer().fire(Instant::now()) == Fired::Campaign && host.inner.raft.trigger().elect().await.is_err() {
            return;
        }
    }
}

/// Several voters: a leader shows that it is alive, and learns that the others are.
async fn heartbeat(host: RaftHost, every: Duration) {
    let mut every = tokio::time::interval(every);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let is_leader = host.inner.leadership.borrow().is_leader;
        if is_leader && host.inner.raft.trigger().heartbeat().await.is_err() {
            return;
        }
    }
}

/// Lets old log entries go: those beyond `keep_bytes` that the state on disk already holds.
async fn purge_by_size(host: RaftHost, keep_bytes: u64) {
    let mut every = tokio::time::interval(PURGE_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let Some(upto) = host.inner.log.purgeable_for(keep_bytes) else { continue };
        if purge_to(&host, upto).await.is_err() {
            return;
        }
    }
}

/// Purges what the state on disk holds, and nothing that it does not.
async fn purge_to(host: &RaftHost, upto: u64) -> Result<(), Fatal<u64>> {
    let raft = &host.inner.raft;
    let mut metrics = raft.metrics();
    raft.trigger().snapshot().await?;
    let has_reached = |index: Option<u64>| index.is_some_and(|index| index >= upto);
    let wait = metrics.wait_for(|metrics| has_reached(metrics.snapshot.map(|log_id| log_id.index)));
    let is_built = tokio::time::timeout(Duration::from_secs(60), wait).await.is_ok_and(|built| built.is_ok());
    if is_built { raft.trigger().purge_log(upto).await } else { Ok(()) }
}

/// Spreads election deadlines of different processes.
fn random_below(n: u64) -> u64 {
    getrandom::u64().unwrap_or(0) % n.max(1)
}
