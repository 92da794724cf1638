//! The directories of an installation: `RACTORFLOW_HOME`, else the unpacked tree that the binary is part of.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::message::Message;
use crate::say;

use super::ready::Ready;

/// Owns conf/, data/, logs/, run/ and xmlconfig/.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

#[derive(Debug, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum HomeError {
    NotADirectory(PathBuf),
    NotFound,
}

impl HomeError {
    pub fn said(&self) -> Message {
        match self {
            Self::NotADirectory(path) => say!("RACTORFLOW_HOME is not a directory: {}", path),
            Self::NotFound => say!("no installation found; set RACTORFLOW_HOME or use --home DIR"),
        }
    }
}

impl Home {
    /// `root` is made absolute, so that a daemon may change its directory.
    pub fn at(root: impl AsRef<Path>) -> Self {
        let root = root.as_ref();
        Self { root: std::path::absolute(root).unwrap_or_else(|_| root.to_owned()) }
    }

    /// `explicit` (a flag), else `RACTORFLOW_HOME`, else the tree around the binary, else the one around the
    /// current directory. A tree is known by its sbin/start-cluster or conf/ractorflow.toml.
    pub fn find(explicit: Option<&Path>) -> Result<Self, HomeError> {
        if let Some(root) = explicit {
            return Ok(Self::at(root));
        }
        if let Some(root) = std::env::var_os("RACTORFLOW_HOME").filter(|root| !root.is_empty()) {
            let root = PathBuf::from(root);
            return if root.exists() && !root.is_dir() {
                Err(HomeError::NotADirectory(root))
            } else {
                Ok(Self::at(root))
            };
        }
        let binary = std::env::current_exe().ok();
        let current = std::env::current_dir().ok();
        [binary, current].iter().flatten().find_map(|start| Self::around(start)).ok_or(HomeError::NotFound)
    }

    fn around(start: &Path) -> Option<Self> {
        start
            .ancestors()
            .find(|dir| dir.join("sbin/start-cluster").is_file() || dir.join("conf/ractorflow.toml").is_file())
            .map(Self::at)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn conf_dir(&self) -> PathBuf {
        self.root.join("conf")
    }

    pub fn config_file(&self) -> PathBuf {
        self.conf_dir().join("ractorflow.toml")
    }

    /// What the local command line signs in with; 0600.
    pub fn admin_token_file(&self) -> PathBuf {
        self.conf_dir().join("admin.token")
    }

    /// The secret that the cluster's processes share; 0600.
    pub fn cookie_file(&self) -> PathBuf {
        self.conf_dir().join("cluster.cookie")
    }

    /// Certificate of the cluster's authority.
    pub fn authority_file(&self) -> PathBuf {
        self.conf_dir().join("cluster.ca.pem")
    }

    /// Key of the authority, only where the cluster was made; 0600.
    pub fn authority_key_file(&self) -> PathBuf {
        self.conf_dir().join("cluster.ca.key")
    }

    /// What shows others that a process is this node.
    pub fn certificate_file(&self, node: &str) -> PathBuf {
        self.conf_dir().join(format!("{node}.pem"))
    }

    /// 0600.
    pub fn certificate_key_file(&self, node: &str) -> PathBuf {
        self.conf_dir().join(format!("{node}.key"))
    }

    /// Certificates that count no more.
    pub fn revoked_file(&self) -> PathBuf {
        self.conf_dir().join("cluster.revoked")
    }

    /// Certificates that the authority gave, only where its key is.
    pub fn issued_file(&self) -> PathBuf {
        self.conf_dir().join("cluster.issued")
    }

    /// Tokens that let hosts join, as hashes; 0600.
    pub fn join_tokens_file(&self) -> PathBuf {
        self.conf_dir().join("cluster.tokens")
    }

    /// What login links and sessions are signed with; 0600.
    pub fn login_key_file(&self) -> PathBuf {
        self.conf_dir().join("login.key")
    }

    pub fn data_dir(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Everything that one process keeps: `data/m1`.
    pub fn node_dir(&self, node: &str) -> PathBuf {
        self.data_dir().join(node)
    }

    /// UUID of a node's data directory: its identity in the cluster.
    pub fn node_uuid_file(&self, node: &str) -> PathBuf {
        self.node_dir(node).join("node.uuid")
    }

    pub fn logs_dir(&self) -> PathBuf {
        self.root.join("logs")
    }

    pub fn log_file(&self, node: &str) -> PathBuf {
        self.logs_dir().join(format!("{node}.log"))
    }

    pub fn run_dir(&self) -> PathBuf {
        self.root.join("run")
    }

    pub fn pid_file(&self, node: &str) -> PathBuf {
        self.run_dir().join(format!("{node}.pid"))
    }

    pub fn ready_file(&self, node: &str) -> PathBuf {
        self.run_dir().join(format!("{node}.ready"))
    }

    /// What was imported of the runs that akkaflow made.
    pub fn akkaflow_past_file(&self) -> PathBuf {
        self.data_dir().join("imported/akkaflow.db")
    }

    pub fn xmlconfig_dir(&self) -> PathBuf {
        self.root.join("xmlconfig")
    }

    /// Says that a role is ready. The file appears whole or not at all.
    pub fn write_ready(&self, ready: &Ready) -> io::Result<()> {
        let path = self.ready_file(&ready.node);
        let temporary = path.with_extension("ready.new");
        std::fs::create_dir_all(self.run_dir())?;
        std::fs::write(&temporary, serde_json::to_vec(ready)?)?;
        std::fs::rename(temporary, path)
    }

    /// `None` while the role is not ready.
    pub fn read_ready(&self, node: &str) -> Option<Ready> {
        serde_json::from_slice(&std::fs::read(self.ready_file(node)).ok()?).ok()
    }

    /// At the end of a role, and by `supervise` before each start.
    pub fn remove_ready(&self, node: &str) -> io::Result<()> {
        match std::fs::remove_file(self.ready_file(node)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ready::Role;
    use super::*;

    #[test]
    fn readiness_is_read_back_and_gone_after_removal() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        assert_eq!(home.read_ready("h1"), None);
        let ready = Ready {
            node: "h1".to_owned(),
            role: Role::Http,
            pid: 7,
            address: Some("127.0.0.1:8090".to_owned()),
            note: Message::default(),
            is_waiting: false,
        };
        home.write_ready(&ready).unwrap();
        assert_eq!(home.read_ready("h1"), Some(ready));
        home.remove_ready("h1").unwrap();
        home.remove_ready("h1").unwrap();
        assert_eq!(home.read_ready("h1"), None);
    }

    #[test]
    fn a_tree_is_found_from_below() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("target/release");
        std::fs::create_dir_all(&deep).unwrap();
        assert_eq!(Home::around(&deep.join("ractorflow")), None);
        std::fs::create_dir_all(dir.path().join("conf")).unwrap();
        std::fs::write(dir.path().join("conf/ractorflow.toml"), "").unwrap();
        assert_eq!(Home::around(&deep.join("ractorflow")), Some(Home::at(dir.path())));
    }
}
