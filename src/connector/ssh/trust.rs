//! Whether the host that answers is the one that was meant: its key is in a `known_hosts` file, or the link names it.
//!
//! An unknown host is refused with its fingerprint: nothing is learnt by itself.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use russh::client::Handler;
use russh::keys::known_hosts::known_host_keys_path;
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate};

use super::error::ErrorKind;
use crate::connector::link::FileLink;

/// In the directory of the links, looked at before the user's own.
const KNOWN_HOSTS: &str = "known_hosts";

pub(super) struct Trust {
    host: String,
    port: u16,
    /// `SHA256:…`; when there are any, they alone count.
    pinned: Vec<String>,
    files: Vec<PathBuf>,
    /// Why the host was refused.
    fault: Arc<Mutex<Option<ErrorKind>>>,
}

/// Where the reason of a refusal is found after the connection failed.
#[derive(Clone)]
pub(super) struct Fault(Arc<Mutex<Option<ErrorKind>>>);

impl Fault {
    pub fn take(&self) -> Option<ErrorKind> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Trust {
    pub fn of(link: &FileLink, conf_dir: &Path) -> Self {
        let pinned = link.property("host-key").unwrap_or_default();
        let pinned = pinned.split(',').map(str::trim).filter(|key| !key.is_empty()).map(str::to_owned).collect();
        let files = match link.property("known-hosts") {
            Some(file) => vec![conf_dir.join(file)],
            None => {
                let home = std::env::home_dir().map(|home| home.join(".ssh").join(KNOWN_HOSTS));
                std::iter::once(conf_dir.join(KNOWN_HOSTS)).chain(home).collect()
            }
        };
        Self { host: link.host.clone(), port: link.port.unwrap_or(super::PORT), pinned, files, fault: Arc::default() }
    }

    pub fn fault(&self) -> Fault {
        Fault(self.fault.clone())
    }

    /// Kinds of keys by which the host is known: asked for first, else it might show another of its keys.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        self.known().into_iter().map(|(_, _, key)| key.algorithm()).collect()
    }

    fn known(&self) -> Vec<(&Path, usize, PublicKey)> {
        let of_file = |file: &'_ PathBuf| known_host_keys_path(&self.host, self.port, file).unwrap_or_default();
        let of_file = |file| of_file(file).into_iter().map(move |(line, key)| (file.as_path(), line, key));
        self.files.iter().flat_map(of_file).collect()
    }

    fn judge(&self, shown: &PublicKey) -> Result<(), ErrorKind> {
        let fingerprint = shown.fingerprint(HashAlg::Sha256).to_string();
        if !self.pinned.is_empty() {
            let is_meant = self.pinned.contains(&fingerprint);
            return if is_meant { Ok(()) } else { Err(ErrorKind::OtherHost { fingerprint }) };
        }
        let known = self.known();
        if known.iter().any(|(_, _, key)| key.key_data() == shown.key_data()) {
            return Ok(());
        }
        let changed = known.iter().find(|(_, _, key)| key.algorithm() == shown.algorithm());
        Err(match changed {
            Some((file, line, _)) => {
                ErrorKind::ChangedHost { fingerprint, known_hosts: file.to_path_buf(), line: *line }
            }
            None => {
                ErrorKind::UnknownHost { fingerprint, known_hosts: self.files.first().cloned().unwrap_or_default() }
            }
        })
    }
}

impl Handler for Trust {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let judged = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.judge(key),
            // Not asked for, so not shown.
            PublicKeyOrCertificate::Certificate(_) => {
                Err(ErrorKind::OtherHost { fingerprint: "certificate".to_owned() })
            }
        };
        let is_trusted = judged.is_ok();
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = judged.err();
        Ok(is_trusted)
    }
}
