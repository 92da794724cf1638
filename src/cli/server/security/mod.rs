//! The certificates of a home: the authority where the cluster was made, one certificate per node, how other hosts get
//! theirs, and which ones count no more. `cluster init | join-token | join | cert`.
//!
//! What a certificate is belongs to `cluster::tls`; here are its files in conf/. Start reading at `tls`.

pub mod cert;
pub mod desk;
pub mod init;
pub mod join;
pub mod join_token;
pub mod ledger;
pub mod place;
pub mod token;

use std::sync::Arc;
use std::time::SystemTime;

use crate::cli::console::Failure;
use crate::cluster::Role;
use crate::cluster::tls::{Authority, JoinDesk, NodeKey, Subject, TlsConfig, TlsFiles, Validity};
use crate::config::{Config, Home, MasterAddress};
use crate::say;

use super::local::plan;
use super::secret::{self, SecretError};
use ledger::Ledger;

/// What a process of this home needs for the link. `None`: every connection stays on loopback, in the clear.
pub fn tls(home: &Home, config: &Config, node: &str, role: Role) -> Result<Option<TlsConfig>, Failure> {
    let is_always = config.cluster.tls == "always";
    if !is_always && config.cluster.masters.iter().all(MasterAddress::is_loopback) {
        return Ok(None);
    }
    let files = TlsFiles {
        authority: home.authority_file(),
        certificate: home.certificate_file(node),
        key: home.certificate_key_file(node),
        revoked: home.revoked_file(),
    };
    let has_authority_key = home.authority_key_file().exists();
    if !files.certificate.exists() || !files.key.exists() {
        if !has_authority_key {
            return Err(Failure::other(say!("{} has no certificate of the cluster", node)).hint(say!(
                "ractorflow cluster join TOKEN --node {} --role {}, with the token that ractorflow cluster join-token prints where the cluster was made",
                node,
                role.to_string()
            )));
        }
        issue_here(home, node, role)?;
    }
    secret::check(&files.key)?;
    let desk = has_authority_key.then(|| Arc::new(desk::HomeDesk::new(home.clone())) as Arc<dyn JoinDesk>);
    Ok(Some(TlsConfig { files, is_always, desk }))
}

/// A new key and certificate for a node of this home.
pub fn issue_here(home: &Home, node: &str, role: Role) -> Result<(), Failure> {
    let ledger = Ledger::open(home)?;
    let key = NodeKey::generate().map_err(|error| Failure::theirs(&error))?;
    let certificate = issue(home, &ledger, node, role, &key.public())?;
    place::certificate(home, node, &certificate, &key.secret())
}

/// Signs a key and writes that down. The certificate in PEM.
pub fn issue(home: &Home, ledger: &Ledger, node: &str, role: Role, public_key: &[u8]) -> Result<String, Failure> {
    let subject = Subject { name: node.into(), role };
    let authority = authority(home)?;
    let issued = authority
        .issue(&subject, public_key, Validity::of_node(SystemTime::now()))
        .map_err(|error| Failure::theirs(&error))?;
    ledger.issued(&issued, &subject)?;
    let until = chrono::DateTime::<chrono::Utc>::from(issued.until).format("%Y-%m-%d");
    Ok(format!("# {role} {node}, valid until {until}, serial {}\n{}", issued.serial, issued.certificate))
}

/// The authority of the cluster, where its key is.
pub fn authority(home: &Home) -> Result<Authority, Failure> {
    if !home.authority_key_file().exists() {
        return Err(Failure::other(say!("the key of the cluster's authority is not in this home"))
            .hint(say!("run this where the cluster was made: its conf/ has cluster.ca.key")));
    }
    secret::check(&home.authority_key_file())?;
    let certificate = std::fs::read_to_string(home.authority_file())?;
    let key = std::fs::read_to_string(home.authority_key_file())?;
    Authority::open(&certificate, &key).map_err(|error| Failure::theirs(&error))
}

/// Makes the authority of a home that has none. Of two processes that start together one makes it.
pub fn make_authority(home: &Home) -> Result<bool, SecretError> {
    if home.authority_file().exists() {
        return Ok(false);
    }
    let failed = |error| SecretError::Make { path: home.authority_file(), error };
    let _alone = ledger::lock(home).map_err(failed)?;
    if home.authority_file().exists() {
        return Ok(false);
    }
    let made = Authority::make(SystemTime::now())?;
    // The certificate last: where it is, the key is whole.
    place::file(&home.authority_key_file(), made.key.as_bytes(), place::SECRET).map_err(failed)?;
    place::file(&home.authority_file(), made.certificate.as_bytes(), place::PUBLIC).map_err(failed)?;
    Ok(true)
}

/// Masters that another host must run.
pub fn masters_elsewhere(config: &Config) -> Vec<String> {
    let elsewhere = config.cluster.masters.iter().filter(|master| !plan::is_here(&master.host));
    elsewhere.map(ToString::to_string).collect()
}

/// As the command line and the certificates know roles.
fn role(word: &str) -> Result<Role, String> {
    Role::from_word(word).ok_or_else(|| format!("\"{word}\" is no role: master, worker or http"))
}

#[cfg(test)]
mod tests;
