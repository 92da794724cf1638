//! What attempts share: zygote, cgroups, directories, base environment.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::actor::protocol::worker::Containment;
use crate::connector::process::cgroup::Cgroups;
use crate::connector::process::profile::BaseEnvironment;
use crate::connector::process::spool::SpoolFiles;
use crate::connector::process::zygote::{Zygote, write_private};
use crate::model::hash;
use crate::model::id::{AttemptId, WorkflowName};

use super::files::Files;
use super::spare::Spares;
use super::{WorkerConfig, WorkerError, machine};

/// Output kept of an attempt while the disk, or the quota of this worker, is nearly full.
const FULL_DISK_LOG_BYTES: u64 = 64 * 1024;

pub struct Tools {
    pub config: Arc<WorkerConfig>,
    pub zygote: Zygote,
    pub cgroups: Option<Cgroups>,
    pub environment: BaseEnvironment,
    pub files: Arc<Files>,
    pub spares: Arc<Spares>,
    /// Output of attempts on this disk, as it was looked at last.
    pub kept_bytes: Arc<AtomicU64>,
}

impl Tools {
    pub fn open(config: Arc<WorkerConfig>) -> Result<Self, WorkerError> {
        let cgroups = if config.uses_cgroups { open_cgroups(&config) } else { None };
        let zygote = Zygote::new(config.shim_program.clone(), cgroups.as_ref().map(Cgroups::shims));
        let environment = BaseEnvironment::new(config.profile.clone());
        let path = config.data_dir.join("files");
        let files = Files::open(path.clone(), config.files_bytes_max);
        let files = Arc::new(files.map_err(|source| WorkerError::Directory { path, source })?);
        let path = config.data_dir.join("spare");
        let spares = Spares::open(path.clone());
        let spares = Arc::new(spares.map_err(|source| WorkerError::Directory { path, source })?);
        let tools = Tools { config, zygote, cgroups, environment, files, spares, kept_bytes: Arc::default() };
        for path in [tools.spool_root(), tools.work_root()] {
            make_private(&path, true).map_err(|source| WorkerError::Directory { path, source })?;
        }
        let path = tools.no_params();
        write_private(&path, b"{}").map_err(|source| WorkerError::Directory { path, source })?;
        Ok(tools)
    }

    /// Takes the zygote away, and the cgroups that are empty.
    pub async fn close(&self) {
        self.zygote.stop().await;
        if let Some(cgroups) = &self.cgroups {
            cgroups.remove();
        }
    }

    pub fn containment(&self) -> Containment {
        if self.cgroups.is_some() { Containment::Cgroup } else { Containment::Sweep }
    }

    /// Unique for good: an order for a zygote that an earlier daemon left behind names other files. Ends in what the
    /// workflow is known by where quotas are kept, also by the next daemon.
    pub fn name(&self, attempt: AttemptId, workflow: &WorkflowName) -> String {
        format!("{attempt}@{}@{:016x}", self.config.boot, hash::fixed(&[workflow.as_str().as_bytes()]))
    }

    /// The workflow's part of a name.
    pub fn workflow_of(name: &str) -> Option<&str> {
        name.split('@').nth(2)
    }

    pub fn spool_root(&self) -> PathBuf {
        self.config.data_dir.join("spool")
    }

    pub fn spool(&self, name: &str) -> SpoolFiles {
        SpoolFiles::new(self.spool_root().join(name))
    }

    /// `$RF_PARAMS` of every task without parameters.
    pub fn no_params(&self) -> PathBuf {
        self.config.data_dir.join("no-params.json")
    }

    pub fn work_root(&self) -> PathBuf {
        self.config.data_dir.join("work")
    }

    pub fn work_dir(&self, name: &str) -> PathBuf {
        self.work_root().join(name)
    }

    /// Where its shim can be reached. Nobody can guess it from the attempt alone, and so nobody can take it first; what
    /// everybody sees in /proc/net/unix does not give the token away.
    pub fn socket_name(attempt: AttemptId, token: &str) -> String {
        format!("rf-shim/{attempt}/{:016x}", hash::fixed(&[token.as_bytes()]))
    }

    /// What may be kept of the output of an attempt that starts now.
    pub fn log_bytes_max(&self) -> u64 {
        let is_full = machine::disk(&self.config.data_dir)
            .is_some_and(|(_, percent)| percent >= self.config.log_disk_percent_max);
        if is_full {
            return FULL_DISK_LOG_BYTES;
        }
        let config = &self.config;
        let room = config.log_bytes_max.saturating_sub(self.kept_bytes.load(Ordering::Relaxed));
        config.attempt_log_bytes_max.min(config.workflow_log_bytes_max).min(room).max(FULL_DISK_LOG_BYTES)
    }
}

/// A directory that only this user can enter.
pub fn make_private(path: &Path, with_parents: bool) -> io::Result<()> {
    std::fs::DirBuilder::new().mode(0o700).recursive(with_parents).create(path)
}

fn open_cgroups(config: &WorkerConfig) -> Option<Cgroups> {
    let id: String = config.data_id.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    match Cgroups::open(&format!("{}-{id}", config.worker)) {
        Ok(cgroups) => {
            cgroups.tidy();
            Some(cgroups)
        }
        Err(reason) => {
            tracing::info!(%reason, "no cgroups: trees of processes are found by token");
            None
        }
    }
}
