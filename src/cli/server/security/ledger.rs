//! What the authority has given and taken back, and the tokens that are out: files of lines in conf/, changed by one
//! process at a time.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cli::console::Failure;
use crate::cluster::Role;
use crate::cluster::tls::{Issued, Subject, revoked_serial};
use crate::config::Home;
use crate::say;

use super::place;

/// A certificate that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    pub serial: String,
    pub node: String,
    pub role: Role,
    /// Seconds since 1970.
    pub until: i64,
}

/// A token that is out, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// SHA-256 of the secret, in hexadecimal.
    pub hash: String,
    pub roles: Vec<Role>,
    /// Seconds since 1970.
    pub until: i64,
}

/// Held for as long as the value lives.
pub struct Ledger {
    home: Home,
    _alone: File,
}

/// Waits until no other process changes conf/.
pub fn lock(home: &Home) -> io::Result<File> {
    let directory = File::open(home.conf_dir())?;
    directory.lock()?;
    Ok(directory)
}

impl Ledger {
    pub fn open(home: &Home) -> Result<Self, Failure> {
        let alone =
            lock(home).map_err(|error| Failure::other(say!("lock {}: {}", home.conf_dir(), error.to_string())))?;
        Ok(Self { home: home.clone(), _alone: alone })
    }

    pub fn issued(&self, issued: &Issued, subject: &Subject) -> Result<(), Failure> {
        let mut given: Vec<Given> = read(&self.home.issued_file())?;
        given.push(Given {
            serial: issued.serial.clone(),
            node: subject.name.to_string(),
            role: subject.role,
            until: chrono::DateTime::<chrono::Utc>::from(issued.until).timestamp(),
        });
        write(&self.home.issued_file(), &given)
    }

    /// Certificates of a node that still count, oldest first.
    pub fn valid(&self, node: &str) -> Result<Vec<Given>, Failure> {
        let revoked = self.revoked_text()?;
        let revoked: BTreeSet<String> = revoked.lines().filter_map(revoked_serial).collect();
        let now = chrono::Utc::now().timestamp();
        let given: Vec<Given> = read(&self.home.issued_file())?;
        Ok(given
            .into_iter()
            .filter(|given| given.node == node && given.until > now && !revoked.contains(&given.serial))
            .collect())
    }

    /// The list as the masters read it.
    pub fn revoked_text(&self) -> Result<String, Failure> {
        match std::fs::read_to_string(self.home.revoked_file()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            other => Ok(other?),
        }
    }

    pub fn revoke(&self, certificates: &[Given]) -> Result<(), Failure> {
        let mut text = self.revoked_text()?;
        let today = chrono::Utc::now().format("%Y-%m-%d");
        for Given { serial, node, role, .. } in certificates {
            text.push_str(&format!("{serial} {role} {node} revoked {today}\n"));
        }
        Ok(place::file(&self.home.revoked_file(), text.as_bytes(), place::PUBLIC)?)
    }

    pub fn let_out(&self, pass: Pass) -> Result<(), Failure> {
        let mut passes = self.passes()?;
        passes.push(pass);
        write(&self.home.join_tokens_file(), &passes)
    }

    /// The pass with this secret, if it is still good.
    pub fn pass(&self, secret: &str) -> Result<Option<Pass>, Failure> {
        let hash = hash(secret);
        Ok(self.passes()?.into_iter().find(|pass| pass.hash == hash))
    }

    pub fn use_up(&self, pass: &Pass) -> Result<(), Failure> {
        let left: Vec<Pass> = self.passes()?.into_iter().filter(|other| other.hash != pass.hash).collect();
        write(&self.home.join_tokens_file(), &left)
    }

    fn passes(&self) -> Result<Vec<Pass>, Failure> {
        let now = chrono::Utc::now().timestamp();
        let passes: Vec<Pass> = read(&self.home.join_tokens_file())?;
        Ok(passes.into_iter().filter(|pass| pass.until > now).collect())
    }
}

/// How a secret of a token is kept. It is long and random, so a plain hash tells nothing of it.
pub fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

fn read<T: DeserializeOwned>(path: &std::path::Path) -> Result<Vec<T>, Failure> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let line =
        |line| serde_json::from_str(line).map_err(|error| Failure::other(say!("{}: {}", path, error.to_string())));
    text.lines().map(line).collect()
}

fn write<T: Serialize>(path: &std::path::Path, items: &[T]) -> Result<(), Failure> {
    let mut text = String::new();
    for item in items {
        text.push_str(&serde_json::to_string(item).map_err(|error| Failure::theirs(&error))?);
        text.push('\n');
    }
    Ok(place::file(path, text.as_bytes(), place::SECRET)?)
}
