//! The environment that tasks start from: the worker's own, with what a login shell adds.
//!
//! akkaflow sourced /etc/profile before every script. That costs several processes a task, so it is done once,
//! and again when /etc/profile or a file of /etc/profile.d changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Mutex;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A profile that takes longer is left out, and the log says so.
const SOURCE_MAX: Duration = Duration::from_secs(10);
const OUTPUT_MAX: usize = 1 << 20;

/// Variables of the daemon that are none of a task's business.
const HIDDEN_PREFIXES: [&str; 2] = ["RACTORFLOW_", "RF_"];
const HIDDEN: [&str; 6] = ["_", "SHLVL", "PWD", "OLDPWD", "NOTIFY_SOCKET", "LISTEN_FDS"];

#[derive(Debug)]
pub struct BaseEnvironment {
    profile: Option<PathBuf>,
    cached: Mutex<Option<Cached>>,
}

#[derive(Debug)]
struct Cached {
    variables: BTreeMap<Vec<u8>, Vec<u8>>,
    stamp: Vec<(PathBuf, SystemTime, u64)>,
    looked: Instant,
}

impl BaseEnvironment {
    /// `profile` is /etc/profile, or `None` for the worker's environment alone.
    pub fn new(profile: Option<PathBuf>) -> Self {
        BaseEnvironment { profile, cached: Mutex::new(None) }
    }

    pub async fn variables(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut cached = self.cached.lock().await;
        if let Some(cached) = cached.as_mut() {
            if cached.looked.elapsed() < LOOK_EVERY {
                return cached.variables.clone();
            }
            cached.looked = Instant::now();
            if cached.stamp == stamp(self.profile.as_deref()) {
                return cached.variables.clone();
            }
        }
        let stamp = stamp(self.profile.as_deref());
        let mut variables = own();
        if let Some(profile) = self.profile.as_deref().filter(|profile| profile.exists()) {
            match source(profile).await {
                Ok(sourced) => variables = sourced,
                Err(error) => tracing::warn!(profile = %profile.display(), %error, "profile left out"),
            }
        }
        *cached = Some(Cached { variables: variables.clone(), stamp, looked: Instant::now() });
        variables
    }
}

fn own() -> BTreeMap<Vec<u8>, Vec<u8>> {
    use std::os::unix::ffi::OsStringExt;
    std::env::vars_os()
        .map(|(name, value)| (name.into_vec(), value.into_vec()))
        .filter(|(name, _)| !is_hidden(name))
        .collect()
}

fn is_hidden(name: &[u8]) -> bool {
    HIDDEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix.as_bytes()))
        || HIDDEN.iter().any(|hidden| name == hidden.as_bytes())
}

#[derive(Debug, thiserror::Error)]
enum SourceError {
    #[error("cannot run bash: {0}")]
    Run(#[from] std::io::Error),
    #[error("it takes longer than {} s", SOURCE_MAX.as_secs())]
    Slow,
    #[error("its environment is larger than {OUTPUT_MAX} bytes")]
    Large,
}

async fn source(profile: &Path) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, SourceError> {
    use std::os::unix::ffi::OsStringExt;
    let own: Vec<_> = own().into_iter().collect();
    let output = tokio::process::Command::new("/bin/bash")
        .args(["-c", ". \"$1\" >/dev/null 2>&1 </dev/null; exec env -0", "bash"])
        .arg(profile)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .env_clear()
        .envs(
            own.into_iter()
                .map(|(name, value)| (std::ffi::OsString::from_vec(name), std::ffi::OsString::from_vec(value))),
        )
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(SOURCE_MAX, output).await.map_err(|_| SourceError::Slow)??;
    if output.stdout.len() > OUTPUT_MAX {
        return Err(SourceError::Large);
    }
    Ok(parse(&output.stdout))
}

fn parse(env: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    env.split(|&b| b == 0)
        .filter_map(|entry| {
            let at = entry.iter().position(|&b| b == b'=')?;
            let name = entry[..at].to_vec();
            (!name.is_empty() && !is_hidden(&name)).then(|| (name, entry[at + 1..].to_vec()))
        })
        .collect()
}

fn stamp(profile: Option<&Path>) -> Vec<(PathBuf, SystemTime, u64)> {
    let Some(profile) = profile else { return Vec::new() };
    let mut files = vec![profile.to_owned()];
    if let Ok(entries) = std::fs::read_dir(profile.with_extension("d")) {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    files.sort();
    files
        .into_iter()
        .filter_map(|file| {
            let meta = std::fs::metadata(&file).ok()?;
            Some((file, meta.modified().ok()?, meta.len()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_profile_adds_its_exports_and_the_daemons_own_names_stay_out() {
        let dir = tempfile::tempdir().unwrap();
        let profile = dir.path().join("profile");
        std::fs::write(&profile, "export COLOUR='a b\nc'\nexport RF_FENCE=9\necho noise\n").unwrap();
        let base = BaseEnvironment::new(Some(profile));
        let variables = base.variables().await;
        assert_eq!(variables.get(b"COLOUR".as_slice()).map(Vec::as_slice), Some(b"a b\nc".as_slice()));
        assert!(!variables.contains_key(b"RF_FENCE".as_slice()));
        assert!(variables.contains_key(b"PATH".as_slice()));
    }

    #[tokio::test]
    async fn a_missing_profile_leaves_the_workers_environment() {
        let base = BaseEnvironment::new(Some(PathBuf::from("/nonexistent/profile")));
        assert!(base.variables().await.contains_key(b"PATH".as_slice()));
    }
}
