//! What the parts of one master process share: its voter, the leader loop while it leads, its workers.
//!
//! Owns no decision. `submit` is the only way to the engine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, RwLock};

use ractor::ActorRef;
use tokio::sync::oneshot;

use crate::actor::clock;
use crate::actor::file_store::FileStore;
use crate::cluster::raft::RaftHost;
use crate::cluster::{Link, Peer};
use crate::config::{Config, Undefined};
use crate::engine::command::{Envelope, Rejected};
use crate::engine::{Limits, MailRules, ResetRule, Retention, Settings, TakeOvers};
use crate::model::id::{Boot, ContentHash, MasterId, SourceId};
use crate::model::time::Timestamp;
use crate::node::spec;

use crate::model::definition::Compat;
use crate::model::duration::Millis;
use crate::model::feature::FEATURE_LEVEL;
use crate::model::schedule::Zone;

use super::leader::{Answer, LeaderMessage, Submission};
use super::workers::Workers;

pub struct Shared {
    pub id: MasterId,
    /// `m1`.
    pub name: String,
    pub boot: Boot,
    pub config: Config,
    pub settings: Settings,
    pub raft: RaftHost,
    /// The files that definitions name.
    pub files: Arc<FileStore>,
    pub workers: Workers,
    /// Where the secret of the cluster is.
    pub conf_dir: PathBuf,
    /// Where other processes reach this one.
    address: String,
    pub started: Timestamp,
    link: OnceLock<Link>,
    /// `Some` while this process is the active Master.
    leader: RwLock<Option<ActorRef<LeaderMessage>>>,
    take_overs: Mutex<TakeOvers>,
}

impl Shared {
    pub fn new(
        id: MasterId,
        name: String,
        boot: Boot,
        address: String,
        config: Config,
        conf_dir: PathBuf,
        raft: RaftHost,
        files: Arc<FileStore>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            name,
            boot,
            settings: settings(&config),
            config,
            raft,
            files,
            workers: Workers::default(),
            conf_dir,
            address,
            started: clock::wall(),
            link: OnceLock::new(),
            leader: RwLock::new(None),
            take_overs: Mutex::default(),
        })
    }

    /// The link is started with the gateway, which needs this: it comes after.
    pub fn attach(&self, link: Link) {
        // A second link would be a second identity: the first one stays.
        let _ = self.link.set(link);
    }

    pub fn address(&self) -> Option<String> {
        Some(self.address.clone())
    }

    pub fn peers(&self) -> Vec<Peer> {
        self.link.get().map(Link::peers).unwrap_or_default()
    }

    /// The active Master as this replica knows it, if it is another process and connected.
    pub fn leader_peer(&self) -> Option<Peer> {
        let leader = self.raft.replica().with_state(|state| state.cluster.leader)?;
        self.link.get()?.peer(&super::voters::name_of(leader.node.0)).filter(|_| leader.node != self.id)
    }

    pub fn peer(&self, name: &str) -> Option<Peer> {
        self.link.get()?.peer(name)
    }

    /// Voters that can be reached now, this one included.
    pub fn connected_voters(&self, voters: &[u64]) -> u32 {
        let peers = self.peers();
        let is_here = |id: &&u64| **id == self.id.0 || peers.iter().any(|peer| **peer.name() == *format!("m{id}"));
        voters.iter().filter(is_here).count() as u32
    }

    /// What each voter says that it can read; `None` where it is not connected.
    pub fn announced_levels(&self) -> BTreeMap<MasterId, Option<u32>> {
        let of = |voter: u64| match voter == self.id.0 {
            true => Some(FEATURE_LEVEL),
            false => self.peer(&super::voters::name_of(voter)).map(|peer| peer.hello().feature_level),
        };
        self.raft.metrics().voters.into_iter().map(|voter| (MasterId(voter), of(voter))).collect()
    }

    pub fn set_leader(&self, leader: Option<ActorRef<LeaderMessage>>) {
        *self.leader.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = leader;
    }

    /// Notes on this process's own clock when which take-over had been applied, until the end. A late note does no
    /// harm: an engine waits longer then.
    pub async fn note_take_overs(self: Arc<Self>) {
        let mut epochs = self.raft.replica().watch_epoch();
        loop {
            let epoch = *epochs.borrow_and_update();
            self.locked_take_overs().note(epoch, clock::boottime());
            if epochs.changed().await.is_err() {
                return;
            }
        }
    }

    pub fn take_overs(&self) -> TakeOvers {
        self.locked_take_overs().clone()
    }

    fn locked_take_overs(&self) -> MutexGuard<'_, TakeOvers> {
        self.take_overs.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The lease of attempts whose node says nothing. A single voter gives none: nobody else could take over.
    pub fn lease(&self) -> Option<Millis> {
        let lease = Millis(self.config.worker.lease_ms as i64);
        (self.raft.metrics().voters.len() > 1).then_some(lease)
    }

    pub fn leader(&self) -> Option<ActorRef<LeaderMessage>> {
        self.leader.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// Asks the engine and waits for the commit. `NotLeader` also when the outcome is unknown: repeat the
    /// command under the same request key.
    pub async fn submit(&self, envelope: Envelope) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.post(envelope, Some(reply))?;
        answer.await.unwrap_or(Err(Rejected::NotLeader))
    }

    /// Asks without waiting.
    pub fn post(&self, envelope: Envelope, reply: Option<oneshot::Sender<Answer>>) -> Result<(), Rejected> {
        let leader = self.leader().ok_or(Rejected::NotLeader)?;
        let submission = Box::new(Submission { envelope, reply });
        leader.cast(LeaderMessage::Submit(submission)).map_err(|_| Rejected::NotLeader)
    }

    /// The cluster's time zone.
    pub fn zone(&self) -> Zone {
        self.raft.replica().with_state(|state| state.cluster.zone.clone())
    }

    /// Would the content of this file be news?
    pub fn is_unknown(&self, source: &SourceId, path: &str, hash: &ContentHash) -> bool {
        self.raft.replica().with_state(|state| {
            let file = state.files.get(&(source.clone(), path.to_owned()));
            file.is_none_or(|file| file.content != *hash || file.missing.is_some())
        })
    }

    pub fn has_chunk(&self, hash: &ContentHash) -> bool {
        self.raft.replica().with_state(|state| state.chunks.contains_key(hash))
    }

    /// Paths and contents that this source had when it was last heard.
    pub fn files_of(&self, source: &SourceId) -> Vec<(String, ContentHash)> {
        self.raft.replica().with_state(|state| {
            state
                .files
                .range((source.clone(), String::new())..)
                .take_while(|((of, _), _)| of == source)
                .map(|((_, path), file)| (path.clone(), file.content.clone()))
                .collect()
        })
    }
}

/// What the configuration says to the engine.
fn settings(config: &Config) -> Settings {
    let compat = &config.compat;
    let switches = [
        (compat.script_trim, Compat::ScriptTrim),
        (compat.undefined_param == Undefined::Keep, Compat::UndefinedParam),
        (compat.splice, Compat::Splice),
        (compat.wall_clock, Compat::WallClock),
        (compat.week_is_day, Compat::WeekIsDay),
    ];
    Settings {
        lost_after: Millis(config.master.worker_lost_ms as i64),
        resend_after: Millis(config.master.dispatch_resend_ms as i64),
        kill_grace: Millis(config.worker.kill_grace_ms as i64),
        // Decided with each leadership, by the number of voters.
        lease: None,
        on_delete: config.definitions.on_delete,
        compat: switches.into_iter().filter(|(is_on, _)| *is_on).map(|(_, switch)| switch).collect(),
        output_bytes_max: config.worker.output_bytes_max,
        delete_after: Millis(config.definitions.delete_after_ms as i64),
        source_differs: Millis(config.definitions.source_differs_ms as i64),
        requests_kept: Millis(config.master.request_keys_keep_hours as i64 * 3_600_000),
        requests_max: config.master.request_keys_max,
        ended_max: config.master.ended_instances_max,
        clock_jump: Millis(config.time.clock_jump_ms as i64),
        clock_skew_max: Millis(config.time.clock_skew_max_ms as i64),
        retention: Retention {
            instances_for: Millis(i64::from(config.retention.instances_days) * 86_400_000),
            instances_per_workflow: config.retention.instances_per_workflow,
            versions_per_workflow: config.retention.versions_per_workflow,
        },
        daily_reset: Some(config.schedule.reset_cron.as_str())
            .filter(|cron| !cron.is_empty())
            .and_then(ResetRule::parse),
        mail: MailRules {
            is_on: config.mail.is_set(),
            retry_failures: config.mail.retry_failures,
            group_within: Millis(i64::from(config.mail.group_seconds) * 1000),
            give_up_after: Millis(i64::from(config.mail.give_up_hours) * 3_600_000),
        },
        limits: Limits {
            instances_live_max: config.limits.instances_live_max,
            queue_limit: config.limits.queue_limit,
            workflows_max: config.limits.workflows_max,
            run_params_max: config.limits.run_params_max,
            run_params_bytes_max: config.limits.run_params_bytes_max,
        },
        actions: spec::all().iter().map(|spec| **spec).collect(),
    }
}
