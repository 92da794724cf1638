//! Certificates that were taken back: what one master reads in `conf/cluster.revoked`, all masters learn and write down.
//!
//! A revocation is never unsaid, so lists are joined, whoever tells them and in whatever order.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::actor::protocol::{decode, encode, kind};
use crate::cluster::Role;
use crate::cluster::tls::revoked_serial;
use crate::config::replace_file;

use super::shared::Shared;

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Beyond this nothing more is learnt from others; the own file counts whatever its length.
const LINES_MAX: usize = 20_000;
const LINE_BYTES_MAX: usize = 256;

pub struct Revocations {
    file: PathBuf,
    /// Lines by the serial number in them; only ever more.
    known: Mutex<BTreeMap<String, String>>,
}

impl Revocations {
    pub fn new(file: PathBuf) -> Self {
        Self { file, known: Mutex::default() }
    }

    /// What another master knows.
    pub fn hear(&self, from: &str, body: &[u8]) {
        let Ok(lines) = decode::<Vec<String>>(body) else {
            return tracing::warn!(peer = from, "a list of revoked certificates cannot be read");
        };
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            for line in &lines {
                // What is written down must be one line.
                let is_line = line.len() <= LINE_BYTES_MAX && !line.contains(['\n', '\r']);
                if let Some(serial) = revoked_serial(line).filter(|_| is_line && known.len() < LINES_MAX)
                    && !known.contains_key(&serial)
                {
                    tracing::warn!(peer = from, %line, "a certificate was revoked");
                    known.insert(serial, line.clone());
                }
            }
        }
        if let Err(error) = self.look() {
            tracing::error!(file = %self.file.display(), %error, "revoked certificates cannot be written down");
        }
    }

    /// Learns what the file has, and writes what it lacks. Lines that others put there meanwhile are written again
    /// by the next look of who knows them.
    fn look(&self) -> io::Result<Vec<String>> {
        let text = match std::fs::read(&self.file) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lacking = known.clone();
        for line in text.lines() {
            if let Some(serial) = revoked_serial(line) {
                lacking.remove(&serial);
                known.entry(serial).or_insert_with(|| line.to_owned());
            }
        }
        if !lacking.is_empty() {
            let mut longer = text;
            if !longer.is_empty() && !longer.ends_with('\n') {
                longer.push('\n');
            }
            for line in lacking.values() {
                longer.push_str(line);
                longer.push('\n');
            }
            replace_file(&self.file, longer.as_bytes(), 0o644)?;
        }
        Ok(known.values().take(LINES_MAX).cloned().collect())
    }

    /// Tells every other master, at the start of a session and when there is more to tell.
    pub async fn tell(self: Arc<Self>, shared: Arc<Shared>) {
        let mut told: BTreeMap<u64, usize> = BTreeMap::new();
        let mut has_failed = false;
        loop {
            match self.look() {
                Ok(lines) => {
                    has_failed = false;
                    tell_masters(&shared, &lines, &mut told);
                }
                Err(error) if !has_failed => {
                    has_failed = true;
                    tracing::error!(file = %self.file.display(), %error, "revoked certificates cannot be read");
                }
                Err(_) => {}
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn tell_masters(shared: &Shared, lines: &[String], told: &mut BTreeMap<u64, usize>) {
    let masters: Vec<_> = shared.peers().into_iter().filter(|peer| peer.role() == Role::Master).collect();
    told.retain(|session, _| masters.iter().any(|peer| peer.session() == *session));
    let Ok(body) = encode(&lines) else { return };
    for peer in masters {
        if told.get(&peer.session()).copied().unwrap_or(0) == lines.len() {
            continue;
        }
        // A peer that cannot take it now is told at the next look.
        if peer.cast(kind::REVOKED, &body).is_ok() {
            told.insert(peer.session(), lines.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(of: &[&str]) -> Vec<u8> {
        encode(&of.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn lists_are_joined_and_written_down_and_nothing_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("cluster.revoked");
        std::fs::write(&file, "# ours\nAB12 worker w1 revoked 2026-01-01").unwrap();
        let list = Revocations::new(file.clone());
        assert_eq!(list.look().unwrap(), ["AB12 worker w1 revoked 2026-01-01"]);
        list.hear("m2", &lines(&["cd34 worker w2 revoked 2026-02-02", "ab12 said otherwise", "no serial", "ef\n00 x"]));
        let both = "# ours\nAB12 worker w1 revoked 2026-01-01\ncd34 worker w2 revoked 2026-02-02\n";
        assert_eq!(std::fs::read_to_string(&file).unwrap(), both);
        // Somebody wrote the file at the same time from what they had read before.
        std::fs::write(&file, "ef56 worker w3 revoked 2026-03-03\n").unwrap();
        assert_eq!(list.look().unwrap().len(), 3);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(["AB12", "cd34", "ef56"].iter().all(|serial| text.contains(serial)), "{text}");
        list.hear("m2", b"garbage");
        assert_eq!(list.look().unwrap().len(), 3);
    }

    #[test]
    fn where_nothing_is_revoked_nothing_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("cluster.revoked");
        let list = Revocations::new(file.clone());
        assert_eq!(list.look().unwrap(), Vec::<String>::new());
        list.hear("m2", &lines(&[]));
        assert!(!file.exists());
    }
}
