//! The Worker: takes attempts from the active Master, runs them under shims, reports and copies their logs.
//!
//! Actors: `gateway` (sessions with masters, what may be obeyed), `supervisor` (ledger and journal, one child
//! actor per attempt), `attempt`, `outbox` (results until acknowledged), `log_spool` (logs until copied). `files`
//! brings what lies beside a task. The
//! rules are in `ledger`, without clock or I/O. Knows no node state and decides no retry. Running tasks do not
//! need this process: a new one finds them by journal, sockets and spools. Start at `Worker::start`.

mod attempt;
mod files;
mod gateway;
mod journal;
mod ledger;
mod link;
mod link_desk;
mod log_spool;
pub mod machine;
mod outbox;
mod quota;
mod session;
mod spare;
mod supervisor;
mod tools;
mod tree;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorRef};

use crate::actor::protocol::worker::MasterMessage;
use crate::config::{self, MasterAddress};
use crate::model::id::{Boot, Epoch, WorkerId};

pub use journal::JournalError;
pub use link::{LinkFailed, MasterLink};
pub use link_desk::LinkDesk;

use gateway::{Gateway, GatewayArguments, GatewayMessage};
use log_spool::{LogSpool, LogSpoolArguments};
use outbox::Outbox;
use supervisor::{AttemptSupervisor, SupervisorArguments, SupervisorMessage};
use tools::Tools;

/// Longest wait of one actor for another's answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Everything a worker is told at its start.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    pub worker: WorkerId,
    /// Journal, spools and work directories.
    pub data_dir: PathBuf,
    pub shim_program: PathBuf,
    /// Our own program and the directory of links: action types that are code of ours run so.
    pub own_program: PathBuf,
    pub conf_dir: PathBuf,
    /// For the tasks that run so.
    pub task_settings: config::TaskSettings,
    /// UUID and start counter of the data directory.
    pub data_id: String,
    pub boot: Boot,
    pub boot_id: String,
    pub machine_id: String,
    pub host: String,
    pub addresses: Vec<String>,
    pub labels: Vec<String>,
    pub slots: u32,
    /// Off: trees are held together by subreaper and token alone.
    pub uses_cgroups: bool,
    /// Sourced once for the environment of tasks.
    pub profile: Option<PathBuf>,
    pub heartbeat_ms: u64,
    pub dispatch_age_max_ms: u64,
    /// Of attempts whose node says nothing, where there are several masters.
    pub lease_ms: u64,
    pub finished_keep_ms: u64,
    pub outbox_max: usize,
    /// From SIGTERM to SIGKILL at the attempt's own deadline.
    pub kill_grace_ms: u64,
    /// How long left-over processes may hold the output open.
    pub drain_ms: u64,
    /// Names and values of one attempt's outputs.
    pub output_bytes_max: usize,
    pub attempt_log_bytes_max: u64,
    /// Of all attempts of a workflow whose output is still here.
    pub workflow_log_bytes_max: u64,
    pub log_bytes_max: u64,
    pub log_disk_percent_max: u8,
    /// Of the files of versions that are kept for the next attempt.
    pub files_bytes_max: u64,
    /// How often growing logs are copied.
    pub log_copy_ms: u64,
    pub umask: u32,
    /// Setuid programs give a task no privileges.
    pub no_new_privs: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error("cannot use {}: {source}", path.display())]
    Directory { path: PathBuf, source: std::io::Error },
    #[error("cannot read the machine's boot id: {0}")]
    BootId(std::io::Error),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("cannot start an actor of the worker: {0}")]
    Actor(#[from] ractor::SpawnErr),
}

/// A running worker. Dropping it stops nothing; `stop` ends the daemon's part and leaves tasks running.
#[derive(Clone)]
pub struct Worker {
    gateway: ActorRef<GatewayMessage>,
    supervisor: ActorRef<SupervisorMessage>,
    others: Arc<[ractor::ActorCell]>,
    tools: Arc<Tools>,
}

impl WorkerConfig {
    /// With the defaults of this machine.
    pub fn new(
        worker: WorkerId,
        data_dir: PathBuf,
        shim_program: PathBuf,
        data_id: String,
        boot: Boot,
    ) -> Result<Self, WorkerError> {
        Ok(WorkerConfig {
            worker,
            data_dir,
            shim_program,
            own_program: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("ractorflow")),
            conf_dir: PathBuf::from("conf"),
            task_settings: config::TaskSettings::default(),
            data_id,
            boot,
            boot_id: machine::boot_id().map_err(WorkerError::BootId)?,
            machine_id: machine::machine_id(),
            host: machine::host_name(),
            addresses: machine::addresses(),
            labels: Vec::new(),
            slots: machine::default_slots(),
            uses_cgroups: true,
            profile: Some(PathBuf::from("/etc/profile")),
            heartbeat_ms: 2_000,
            dispatch_age_max_ms: 5_000,
            lease_ms: 600_000,
            finished_keep_ms: 600_000,
            outbox_max: 100_000,
            kill_grace_ms: 10_000,
            drain_ms: 5_000,
            output_bytes_max: 64 * 1024,
            attempt_log_bytes_max: 1 << 30,
            workflow_log_bytes_max: 4 << 30,
            log_bytes_max: 16 << 30,
            log_disk_percent_max: 90,
            files_bytes_max: 4 << 30,
            log_copy_ms: 200,
            umask: 0o027,
            no_new_privs: true,
        })
    }

    /// Loopback addresses and their name mean every host, so they name this one only where the whole cluster is on it.
    pub fn in_cluster_of(mut self, masters: &[MasterAddress]) -> Self {
        if masters.iter().all(MasterAddress::is_loopback) {
            self.addresses.extend(machine::LOOPBACK.map(str::to_owned));
        }
        self
    }

    /// What conf/ractorflow.toml says under `[worker]`.
    pub fn with(mut self, conf: &config::Worker) -> Self {
        if conf.slots > 0 {
            self.slots = conf.slots;
        }
        self.labels.clone_from(&conf.labels);
        self.kill_grace_ms = conf.kill_grace_ms;
        self.outbox_max = conf.outbox_max;
        self.finished_keep_ms = conf.finished_keep_ms;
        self.dispatch_age_max_ms = conf.dispatch_age_max_ms;
        self.lease_ms = conf.lease_ms;
        self.output_bytes_max = conf.output_bytes_max;
        self.task_settings.monitor_entries_max = conf.monitor_entries_max;
        self.attempt_log_bytes_max = conf.attempt_log_bytes_max;
        self.workflow_log_bytes_max = conf.workflow_log_bytes_max;
        self.log_bytes_max = conf.log_bytes_max;
        self.log_disk_percent_max = conf.log_disk_percent_max;
        self.files_bytes_max = conf.files_bytes_max;
        self.log_copy_ms = conf.log_flush_ms;
        self.no_new_privs = conf.no_new_privs;
        self
    }
}

impl Worker {
    /// Reads the journal, finds what still runs, and waits for a master.
    pub async fn start(config: WorkerConfig) -> Result<Worker, WorkerError> {
        let config = Arc::new(config);
        let tools = Arc::new(Tools::open(config.clone())?);
        let (outbox, _) = Actor::spawn(None, Outbox, config.outbox_max).await?;
        let kept = tools.kept_bytes.clone();
        let (root, spares) = (tools.spool_root(), tools.spares.clone());
        let arguments = LogSpoolArguments { config: config.clone(), root, spares, kept };
        let (log_spool, _) = Actor::spawn(None, LogSpool, arguments).await?;
        let (journal, ledger) = journal::Journal::open(config.data_dir.join("journal"))?;
        let arguments = SupervisorArguments {
            journal,
            ledger,
            tools: tools.clone(),
            outbox: outbox.clone(),
            log_spool: log_spool.clone(),
        };
        let (supervisor, _) = Actor::spawn(None, AttemptSupervisor, arguments).await?;
        let arguments = GatewayArguments {
            config,
            containment: tools.containment(),
            supervisor: supervisor.clone(),
            outbox: outbox.clone(),
            log_spool: log_spool.clone(),
            files: tools.files.clone(),
        };
        let (gateway, _) = Actor::spawn(None, Gateway, arguments).await?;
        let others = [outbox.get_cell(), log_spool.get_cell()].into();
        Ok(Worker { gateway, supervisor, others, tools })
    }

    /// A session of the link with a master began.
    pub fn master_up(&self, link: Arc<dyn MasterLink>) {
        // A worker that has stopped has no use for a master.
        let _ = self.gateway.cast(GatewayMessage::MasterUp(link));
    }

    /// That session is over. `link` is the one given to `master_up`.
    pub fn master_down(&self, link: &Arc<dyn MasterLink>) {
        let _ = self.gateway.cast(GatewayMessage::MasterDown(link.clone()));
    }

    /// A master told who leads.
    pub fn standing(&self, epoch: Epoch, leader: &str) {
        let _ = self.gateway.cast(GatewayMessage::Standing { epoch, leader: leader.to_owned() });
    }

    pub fn from_master(&self, link: &Arc<dyn MasterLink>, message: MasterMessage) {
        let _ = self.gateway.cast(GatewayMessage::FromMaster(link.clone(), message));
    }

    /// Attempts that run or are about to.
    pub async fn n_live(&self) -> usize {
        ractor::call_t!(self.supervisor, SupervisorMessage::CountLive, ANSWER_MAX.as_millis() as u64).unwrap_or(0)
    }

    /// Kills every attempt and returns when the last has ended.
    pub async fn kill_all(&self, grace_ms: u64) {
        let _ = self.supervisor.cast(SupervisorMessage::KillAll { grace_ms });
        while self.n_live().await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends the daemon's part. Tasks go on under their shims.
    pub async fn stop(&self) {
        for cell in [self.gateway.get_cell(), self.supervisor.get_cell()].iter().chain(self.others.iter()) {
            let _ = cell.stop_and_wait(None, Some(ANSWER_MAX)).await;
        }
        self.tools.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_name_this_host_only_where_the_cluster_has_no_other() {
        let is_named = |other: &str| {
            let masters =
                [MasterAddress::local(1, 1), MasterAddress { host: other.to_owned(), ..MasterAddress::local(2, 2) }];
            let config = WorkerConfig::new("w1".into(), "data".into(), "shim".into(), String::new(), Boot(1)).unwrap();
            config.in_cluster_of(&masters).addresses.iter().any(|own| own == "127.0.0.1")
        };
        assert!(is_named("127.0.0.2") && !is_named("10.0.0.1"));
    }
}
