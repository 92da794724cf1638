//! Secrets of the cluster, made where it is made, readable by their owner alone.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::cli::console::Failure;
use crate::config::Home;

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("cannot make {}: {error}", path.display())]
    Make { path: PathBuf, error: io::Error },
    #[error("{} may be read by others (mode {mode:o}); run: chmod 600 {}", path.display(), path.display())]
    Readable { path: PathBuf, mode: u32 },
    #[error("{} is too short to be a secret", .0.display())]
    Short(PathBuf),
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        Self::other(error.to_string())
    }
}

/// Makes what is missing. True when something was made.
pub fn ensure(home: &Home) -> Result<bool, SecretError> {
    let cookie = make(&home.cookie_file(), || random_hex())?;
    let token = make(&home.admin_token_file(), || format!("rft_{}", random_hex()))?;
    check(&home.cookie_file())?;
    check(&home.admin_token_file())?;
    Ok(cookie || token)
}

/// Written aside and linked into place: two processes that start together end with one secret, never half of one.
fn make(path: &Path, text: impl Fn() -> String) -> Result<bool, SecretError> {
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

fn check(path: &Path) -> Result<(), SecretError> {
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
        assert!(ensure(&home).unwrap());
        let token = std::fs::read_to_string(home.admin_token_file()).unwrap();
        assert_eq!(token.trim().len(), 4 + 64);
        assert!(!ensure(&home).unwrap());
        assert_eq!(std::fs::read_to_string(home.admin_token_file()).unwrap(), token);
        for path in [home.cookie_file(), home.admin_token_file()] {
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(home.conf_dir()).unwrap().count(), 2, "nothing is left over");
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        std::fs::create_dir_all(home.conf_dir()).unwrap();
        ensure(&home).unwrap();
        std::fs::set_permissions(home.cookie_file(), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(ensure(&home), Err(SecretError::Readable { mode: 0o644, .. })));
    }
}
