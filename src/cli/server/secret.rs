//! Secrets of the cluster, made where it is made, readable by their owner alone.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::api::ExitCode;
use crate::cli::console::Failure;
use crate::config::{Config, Home};
use crate::model::message::Message;
use crate::say;

use super::security;

#[derive(Debug, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum SecretError {
    Make { path: PathBuf, error: io::Error },
    Readable { path: PathBuf, mode: u32 },
    Short(PathBuf),
    Elsewhere(String),
    Authority(#[from] crate::cluster::tls::TlsError),
}

impl SecretError {
    pub fn said(&self) -> Message {
        match self {
            Self::Make { path, error } => say!("cannot make {}: {}", path, error.to_string()),
            Self::Readable { path, mode } => {
                say!("{} may be read by others (mode {}); run: chmod 600 {0}", path, format!("{mode:o}"))
            }
            Self::Short(path) => say!("{} is too short to be a secret", path),
            Self::Elsewhere(masters) => {
                say!("the settings name masters on other hosts ({}), but this home belongs to no cluster yet", masters)
            }
            Self::Authority(error) => say!("cannot make the cluster's certificate authority: {}", error.to_string()),
        }
    }
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        let said = error.said();
        match error {
            SecretError::Elsewhere(_) => Self::new(ExitCode::Conflict, said).hint(say!(
                "where the cluster begins: ractorflow cluster init; on every other host: ractorflow cluster join TOKEN, with the token that ractorflow cluster join-token prints there"
            )),
            _ => Self::other(said),
        }
    }
}

/// Makes what is missing, unless this host has to join a cluster that is made elsewhere. True when something was made.
pub fn ensure(home: &Home, config: &Config) -> Result<bool, SecretError> {
    let elsewhere = security::masters_elsewhere(config);
    if !elsewhere.is_empty() && !home.authority_file().exists() {
        return Err(SecretError::Elsewhere(elsewhere.join(", ")));
    }
    make_all(home)
}

/// Makes what is missing: this host begins the cluster, or belongs to it.
pub fn make_all(home: &Home) -> Result<bool, SecretError> {
    security::make_authority(home)?;
    let cookie = make(&home.cookie_file(), || random_hex())?;
    let token = make(&home.admin_token_file(), || format!("rft_{}", random_hex()))?;
    check(&home.cookie_file())?;
    check(&home.admin_token_file())?;
    Ok(cookie || token)
}

/// Written aside and linked into place: two processes that start together end with one secret, never half of one.
pub fn make(path: &Path, text: impl Fn() -> String) -> Result<bool, SecretError> {
    if path.exists() {
        return Ok(false);
    }
    let failed = |error| SecretError::Make { path: path.to_owned(), error };
    let temporary = path.with_extension(format!("new-{}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| {
            writeln!(file, "{}", text())?;
            file.sync_all()
        })
        .and_then(|()| std::fs::hard_link(&temporary, path));
    let _ = std::fs::remove_file(&temporary);
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

pub fn check(path: &Path) -> Result<(), SecretError> {
    let failed = |error| SecretError::Make { path: path.to_owned(), error };
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretError::Readable { path: path.to_owned(), mode });
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    if text.trim().len() < 32 { Err(SecretError::Short(path.to_owned())) } else { Ok(()) }
}

/// 32 random bytes.
fn random_hex() -> String {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).expect("the kernel gives random bytes once it has booted");
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_made_once_for_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        std::fs::create_dir_all(home.conf_dir()).unwrap();
        assert!(ensure(&home, &Config::default()).unwrap());
        let token = std::fs::read_to_string(home.admin_token_file()).unwrap();
        assert_eq!(token.trim().len(), 4 + 64);
        assert!(!ensure(&home, &Config::default()).unwrap());
        assert_eq!(std::fs::read_to_string(home.admin_token_file()).unwrap(), token);
        for path in [home.cookie_file(), home.admin_token_file(), home.authority_key_file()] {
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(home.conf_dir()).unwrap().count(), 4, "nothing is left over");
    }

    #[test]
    fn a_host_with_masters_elsewhere_makes_no_cluster_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        std::fs::create_dir_all(home.conf_dir()).unwrap();
        let mut config = Config::default();
        // An address for documentation: no host has it.
        config.cluster.masters[1].host = "192.0.2.7".to_owned();
        let refused = ensure(&home, &config).unwrap_err();
        assert!(refused.to_string().contains("m2@192.0.2.7:2752"), "{refused}");
        assert_eq!(std::fs::read_dir(home.conf_dir()).unwrap().count(), 0);
        make_all(&home).unwrap();
        assert!(!ensure(&home, &config).unwrap());
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        std::fs::create_dir_all(home.conf_dir()).unwrap();
        ensure(&home, &Config::default()).unwrap();
        std::fs::set_permissions(home.cookie_file(), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(ensure(&home, &Config::default()), Err(SecretError::Readable { mode: 0o644, .. })));
    }
}
