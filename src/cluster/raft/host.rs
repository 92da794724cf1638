//! One voter: its log, its replica, openraft between them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use openraft::error::{ClientWriteError, RaftError};
use openraft::{Raft, ServerState};
use tokio::sync::{RwLock, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config;
use crate::model::duration::Millis;
use crate::model::message::Message;
use crate::say;
use crate::store::file::DataLock;
use crate::store::raft_log::{LogConfig, LogIdentity, RaftLog};
use crate::store::replica::{FRESH_MAX, PROJECT_UNASKED, Replica, ReplicaConfig};
use crate::store::state_db::SnapshotFile;
use crate::store::types::{
    Applied, EntryData, LogId, MeasurementsKept, SnapshotData, SnapshotMeta, TypeConfig, Vote, VoterNode,
};
use crate::store::{Space, StoreError};

use super::founding::LogFacts;
use super::leadership::{Leadership, QuorumAck};
use super::network::{Network, PreVote, Pulse, RaftPeers, RaftRequest, RaftResponse};
use super::timer::ElectionTimer;
use super::{hand_over, settings, tasks};

/// The log; and beside it a mark that there was one.
const LOG_FILE: &str = "raft.db";
const MADE_FILE: &str = "raft.made";

pub struct HostConfig {
    /// Where `raft.db` and `state.db` are.
    pub directory: PathBuf,
    pub voter: u64,
    /// The cluster this voter belongs to; what `raft.db` says must be the same.
    pub cluster: String,
    /// The configured masters with their addresses. Noted in a new log, and compared with it while it is empty.
    pub listed: BTreeMap<u64, String>,
    /// Whom a new cluster consists of, if this voter founds it. `None`: an empty log waits for a leader to fill it.
    pub founding: Option<BTreeMap<u64, VoterNode>>,
    /// Campaigns later than others, and hands the lead over to one of them.
    pub is_low_priority: bool,
    pub raft: config::Raft,
    pub master: config::Master,
    pub retention: config::Retention,
    pub peers: Arc<dyn RaftPeers>,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{}", self.said().english())]
    LogGone { file: PathBuf, voter: u64 },
    #[error("start the voter: {0}")]
    Raft(String),
}

impl StartError {
    pub fn said(&self) -> Message {
        match self {
            Self::LogGone { file, voter } => say!(
                "{} is gone, but this data directory had a log; a voter must not forget what it promised. Bring the file back; or remove m{} with `ractorflow cluster member remove m{1}`, delete its data directory, start it, and add it again with `cluster member add m{1}`",
                file,
                voter
            ),
            Self::Store(_) | Self::Raft(_) => Message::verbatim(self.to_string()),
        }
    }
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
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) voter: u64,
    pub(super) cluster: String,
    pub(super) is_low_priority: bool,
    pub(super) vote_lease: Duration,
    pub(super) raft: Raft<TypeConfig>,
    pub(super) log: RaftLog,
    pub(super) replica: Replica,
    pub(super) peers: Arc<dyn RaftPeers>,
    pub(super) leadership: watch::Receiver<Leadership>,
    /// Voters and learners.
    pub(super) members: watch::Sender<BTreeMap<u64, VoterNode>>,
    /// Proposals hold it for reading. Whoever hands the lead over holds it for writing: then none is in flight.
    pub(super) proposals: RwLock<()>,
    /// No heartbeats for now, so that the others' vote leases end.
    pub(super) is_silent: AtomicBool,
    /// Why openraft has stopped, if by itself.
    pub(super) fatal: watch::Sender<Option<FatalError>>,
    /// When this voter began to lead.
    pub(super) leads_since: Mutex<Option<Instant>>,
    /// When a leader was heard last.
    heard_leader: Mutex<Option<Instant>>,
    space: Arc<Space>,
    timer: Mutex<ElectionTimer>,
    stop: CancellationToken,
    tasks: TaskTracker,
    lock: Mutex<Option<DataLock>>,
}

impl RaftHost {
    /// What the log of a directory says, without opening it for good; `None` where there is none.
    ///
    /// # Errors
    /// The file cannot be read, or a log that was there is gone.
    pub fn peek(directory: &Path, voter: u64) -> Result<Option<LogFacts>, StartError> {
        let file = directory.join(LOG_FILE);
        if !file.exists() && directory.join(MADE_FILE).exists() {
            return Err(StartError::LogGone { file, voter });
        }
        let summary = RaftLog::peek(&file)?;
        Ok(summary.map(|summary| LogFacts { cluster: summary.cluster, members: BTreeMap::new() }))
    }

    /// Is there anything in the log of a directory? Such a voter needs no founding.
    pub fn has_history(directory: &Path) -> Result<bool, StartError> {
        Ok(RaftLog::peek(&directory.join(LOG_FILE))?.is_some_and(|summary| !summary.is_pristine))
    }

    /// Opens or makes the stores, catches up to what was committed, and takes part. A single voter leads soon after.
    pub async fn start(config: HostConfig) -> Result<Self, StartError> {
        let lock = DataLock::take(&config.directory)?;
        let identity =
            LogIdentity { cluster: config.cluster.clone(), voter: config.voter, members: config.listed.clone() };
        let space = Space::open(&config.directory, config.master.ballast_bytes, config.master.disk_free_min_bytes)?;
        let space = Arc::new(space);
        let log = RaftLog::open(LogConfig {
            file: config.directory.join(LOG_FILE),
            identity,
            append_bytes_max: config.raft.append_bytes_max,
            space: Some(space.clone()),
        })?;
        let made = config.directory.join(MADE_FILE);
        if !made.exists() {
            std::fs::write(&made, &config.cluster).map_err(|error| StoreError::io(&made, error))?;
        }
        let (replica, machine) = Replica::open(ReplicaConfig {
            directory: config.directory.clone(),
            project_every: Duration::from_millis(config.master.projector_interval_ms),
            project_unasked: PROJECT_UNASKED,
            fresh_max: FRESH_MAX,
            events_kept: config.master.view_events_max,
            measurements_kept: MeasurementsKept {
                per_node: config.retention.measurements_per_node,
                within: Millis(i64::from(config.retention.measurements_days) * 86_400_000),
            },
            space: Some(space.clone()),
        })?;
        let settings = settings::settings(&config.cluster, &config.raft)
            .validate()
            .map_err(|error| StartError::Raft(error.to_string()))?;
        let pulse = Pulse::default();
        let network = Network { peers: config.peers.clone(), pulse: pulse.clone(), log: log.durable() };
        let is_pristine = log.is_pristine() && replica.applied().is_none();
        let machine = machine.behind(log.durable());
        let raft = Raft::new(config.voter, Arc::new(settings), network, log.clone(), machine)
            .await
            .map_err(|error| StartError::Raft(error.to_string()))?;
        if is_pristine && let Some(members) = config.founding {
            raft.initialize(members).await.map_err(|error| StartError::Raft(error.to_string()))?;
        }
        let quorum = QuorumAck::default();
        let first = Leadership { is_leader: false, term: 0, leader: None, quorum };
        let (publish, leadership) = watch::channel(first);
        let waits = settings::waits(&config.raft, config.is_low_priority);
        let host = Self {
            inner: Arc::new(Inner {
                voter: config.voter,
                cluster: config.cluster,
                is_low_priority: config.is_low_priority,
                vote_lease: Duration::from_millis(config.raft.election_timeout_max_ms),
                raft,
                log,
                replica,
                peers: config.peers,
                space,
                leadership,
                members: watch::Sender::default(),
                proposals: RwLock::new(()),
                is_silent: AtomicBool::new(false),
                fatal: watch::Sender::default(),
                leads_since: Mutex::new(None),
                heard_leader: Mutex::new(None),
                timer: Mutex::new(ElectionTimer::new(Instant::now(), waits, random_below)),
                stop: CancellationToken::new(),
                tasks: TaskTracker::new(),
                lock: Mutex::new(Some(lock)),
            }),
        };
        host.spawn(tasks::watch_leadership(host.clone(), publish));
        host.spawn(tasks::purge_by_size(host.clone(), config.raft.log_keep_bytes));
        host.spawn(tasks::campaign(host.clone()));
        host.spawn(tasks::heartbeat(host.clone(), pulse, Duration::from_millis(config.raft.heartbeat_every_ms)));
        host.spawn(hand_over::yield_lead(host.clone()));
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
        let _in_flight = self.inner.proposals.read().await;
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

    /// A new leader waits until what earlier leaders left in its log is applied: before that its replica is of the
    /// past. Also returns when the lead is lost.
    pub async fn has_applied_its_log(&self) {
        let mut metrics = self.inner.raft.metrics();
        let last = metrics.borrow().last_log_index;
        let is_through = |applied: Option<LogId>| applied.map(|log_id| log_id.index) >= last;
        let wait = metrics.wait_for(|now| now.state != ServerState::Leader || is_through(now.last_applied));
        // The voter has stopped: then there is nothing to wait for.
        let _ = wait.await;
    }

    /// Voters and learners; changes with the membership.
    pub fn members(&self) -> watch::Receiver<BTreeMap<u64, VoterNode>> {
        self.inner.members.subscribe()
    }

    /// Waits for the failure that must end the process.
    pub async fn failed(&self) -> FatalError {
        let mut fatal = self.inner.fatal.subscribe();
        let raft = async {
            if let Ok(found) = fatal.wait_for(Option::is_some).await
                && let Some(error) = found.clone()
            {
                return error;
            }
            std::future::pending().await
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
                // Before it is written: a disk that takes its time does not make the leader silent.
                if rpc.vote.committed && rpc.vote >= self.inner.raft.metrics().borrow().vote {
                    self.heard_leader();
                }
                let answer = self.inner.raft.append_entries(rpc).await;
                if answer.as_ref().is_ok_and(|answer| answer.is_success()) {
                    self.heard_leader();
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
            RaftRequest::PreVote(asked) => return RaftResponse::PreVote(self.would_vote(&asked)),
            RaftRequest::CampaignNow { term } => return RaftResponse::CampaignNow(self.campaign_now(term).await),
            RaftRequest::Priority => return RaftResponse::Priority { is_low: self.inner.is_low_priority },
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
        self.heard_leader();
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
            nodes: metrics.membership_config.nodes().map(|(id, node)| (*id, node.clone())).collect(),
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

    #[cfg(test)]
    pub(super) fn stall_log_for_test(&self, time: Duration) {
        self.inner.log.stall_for_test(time);
    }

    #[cfg(test)]
    pub(super) fn hold_log_for_test(&self) -> std::sync::mpsc::Sender<()> {
        self.inner.log.hold_for_test()
    }

    /// As if the log had grown beyond what is kept.
    #[cfg(test)]
    pub(super) async fn purge_log_for_test(&self) {
        let upto = self.metrics().applied.expect("something was applied").index;
        tasks::purge_to(self, upto).await.expect("the voter runs");
        let mut metrics = self.inner.raft.metrics();
        let is_purged = |index: Option<LogId>| index.is_some_and(|log_id| log_id.index >= upto);
        metrics.wait_for(|metrics| is_purged(metrics.purged)).await.expect("the voter runs");
    }

    /// Would this voter support a campaign? Not while it leads or hears a leader, nor for a shorter log than its own.
    fn would_vote(&self, asked: &PreVote) -> bool {
        let hears = self.heard_leader_at().is_some_and(|at| at.elapsed() < self.inner.vote_lease);
        let leads = self.inner.leadership.borrow().is_fresh();
        !hears && !leads && asked.last_log >= self.inner.log.last()
    }

    /// The leader hands over to this voter. No pre-vote: the leader itself wants the campaign.
    async fn campaign_now(&self, term: u64) -> bool {
        let is_of_now = self.inner.raft.metrics().borrow().current_term == term;
        is_of_now && self.inner.raft.trigger().elect().await.is_ok()
    }

    fn heard(&self) {
        self.timer().heard(Instant::now());
    }

    fn heard_leader(&self) {
        self.heard();
        *self.inner.heard_leader.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub(super) fn heard_leader_at(&self) -> Option<Instant> {
        *self.inner.heard_leader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long this voter has led; `None` when it does not.
    pub(super) fn led_for(&self) -> Option<Duration> {
        let since = *self.inner.leads_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map(|since| since.elapsed())
    }

    pub(super) fn silence(&self, is_silent: bool) {
        self.inner.is_silent.store(is_silent, Ordering::Release);
    }

    pub(super) fn timer(&self) -> std::sync::MutexGuard<'_, ElectionTimer> {
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
    /// Voters and learners.
    pub nodes: BTreeMap<u64, VoterNode>,
    /// On the leader: how far each voter's log reaches.
    pub matched: BTreeMap<u64, Option<u64>>,
    pub log_bytes: u64,
}

/// Spreads election deadlines of different processes.
fn random_below(n: u64) -> u64 {
    getrandom::u64().unwrap_or(0) % n.max(1)
}
