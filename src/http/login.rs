//! One-time login links and sessions, both signed with a key file, so that any process with the same home can
//! issue a link and any HttpServer of it can accept it, also after a restart.
//!
//! A link is `expiry.nonce.mac`; a session cookie is `id.started.expiry.mac`. What was used or signed out is
//! remembered by an empty file named after it, made with O_EXCL: two servers cannot both accept one link.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::model::duration::Millis;
use crate::model::time::Timestamp;

/// Unless `lasting` says otherwise.
const LINK_MS: i64 = 15 * 60_000;
const SESSION_MAX_MS: i64 = 7 * 86_400_000;
/// A session that is not used for so long ends.
const SESSION_IDLE_MS: i64 = 8 * 3_600_000;
/// The cookie is renewed when it is older than this.
const SESSION_RENEW_MS: i64 = 5 * 60_000;

#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    #[error("the login key {path} cannot be read or made: {source}")]
    Key { path: PathBuf, source: io::Error },
    #[error("the login key {0} is not 64 hex digits (remove it to get a new one)")]
    BadKey(PathBuf),
    #[error("the directory {path} for used login links cannot be written: {source}")]
    Memory { path: PathBuf, source: io::Error },
}

/// Issues and accepts login links and sessions.
#[derive(Clone)]
pub struct LoginLinks {
    key: Arc<[u8; 32]>,
    memory: PathBuf,
    link_ms: i64,
    session_ms: i64,
}

impl std::fmt::Debug for LoginLinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginLinks").field("memory", &self.memory).finish_non_exhaustive()
    }
}

/// A signed-in browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id: String,
    started: i64,
    expires: i64,
}

impl LoginLinks {
    /// Reads the key file, or makes it (0600) when there is none. `run_dir` remembers what was used.
    pub fn open(key_file: &Path, run_dir: &Path) -> Result<Self, LoginError> {
        let key = read_or_make_key(key_file)?;
        let memory = run_dir.join("login");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&memory)
            .map_err(|source| LoginError::Memory { path: memory.clone(), source })?;
        Ok(Self { key: Arc::new(key), memory, link_ms: LINK_MS, session_ms: SESSION_MAX_MS })
    }

    /// How long a link can be used, and how long a browser stays signed in at most.
    pub fn lasting(self, link: Millis, session: Millis) -> Self {
        Self { link_ms: link.0, session_ms: session.0, ..self }
    }

    pub fn session_seconds(&self) -> i64 {
        self.session_ms / 1000
    }

    fn idle_ms(&self) -> i64 {
        SESSION_IDLE_MS.min(self.session_ms)
    }

    /// A value for `/login?once=…`: valid once, for a while.
    pub fn issue(&self, now: Timestamp) -> String {
        let body = format!("{}.{}", now.0 + self.link_ms, nonce());
        format!("{body}.{}", self.mac("link", &body))
    }

    /// Accepts a link once and opens a session.
    pub fn accept(&self, once: &str, now: Timestamp) -> Option<Session> {
        let (body, mac) = once.rsplit_once('.')?;
        if !is_equal(mac, &self.mac("link", body)) {
            return None;
        }
        let (expires, nonce) = body.split_once('.')?;
        let expires: i64 = expires.parse().ok()?;
        if now.0 >= expires || !self.remember("link", expires, nonce) {
            return None;
        }
        self.forget_old(now);
        Some(self.open_session(now))
    }

    fn open_session(&self, now: Timestamp) -> Session {
        Session { id: nonce(), started: now.0, expires: now.0 + self.idle_ms() }
    }

    /// The cookie's value.
    pub fn cookie(&self, session: &Session) -> String {
        let body = format!("{}.{}.{}", session.id, session.started, session.expires);
        format!("{body}.{}", self.mac("session", &body))
    }

    /// The session of a cookie, if it is ours, has not ended and was not signed out.
    pub fn session(&self, cookie: &str, now: Timestamp) -> Option<Session> {
        let (body, mac) = cookie.rsplit_once('.')?;
        if !is_equal(mac, &self.mac("session", body)) {
            return None;
        }
        let mut parts = body.split('.');
        let session = Session {
            id: parts.next()?.to_owned(),
            started: parts.next()?.parse().ok()?,
            expires: parts.next()?.parse().ok()?,
        };
        let is_over = now.0 >= session.expires || now.0 >= session.started + self.session_ms;
        let is_out = self.marker("out", session.started + self.session_ms, &session.id).exists();
        (!is_over && !is_out).then_some(session)
    }

    /// The session with a later end, when its cookie is old enough to be sent again.
    pub fn renewed(&self, session: &Session, now: Timestamp) -> Option<Session> {
        let is_old = session.expires - now.0 < self.idle_ms() - SESSION_RENEW_MS.min(self.idle_ms() / 2);
        is_old.then(|| Session { expires: now.0 + self.idle_ms(), ..session.clone() })
    }

    /// Ends the session in every HttpServer of this home, at once.
    pub fn sign_out(&self, session: &Session) {
        self.remember("out", session.started + self.session_ms, &session.id);
    }

    /// What a form of this session must carry.
    pub fn csrf(&self, session: &Session) -> String {
        self.mac("csrf", &session.id)
    }

    pub fn is_csrf(&self, session: &Session, token: &str) -> bool {
        is_equal(token, &self.csrf(session))
    }

    /// False when it was remembered before, or cannot be: then it counts as used.
    fn remember(&self, kind: &str, until: i64, name: &str) -> bool {
        name.bytes().all(|b| b.is_ascii_hexdigit())
            && OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.marker(kind, until, name)).is_ok()
    }

    fn marker(&self, kind: &str, until: i64, name: &str) -> PathBuf {
        self.memory.join(format!("{until}-{kind}-{name}"))
    }

    /// Markers are needed only until what they are about would have ended anyway.
    fn forget_old(&self, now: Timestamp) {
        let Ok(entries) = fs::read_dir(&self.memory) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let until = name.to_str().and_then(|name| name.split('-').next()).and_then(|t| t.parse::<i64>().ok());
            if until.is_some_and(|until| until < now.0) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn mac(&self, purpose: &str, body: &str) -> String {
        hex::encode(hmac_sha256(self.key.as_slice(), format!("{purpose}:{body}").as_bytes()))
    }
}

fn read_or_make_key(path: &Path) -> Result<[u8; 32], LoginError> {
    let failed = |source| LoginError::Key { path: path.to_owned(), source };
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            let key = random();
            file.write_all(hex::encode(key).as_bytes()).map_err(failed)?;
            file.sync_all().map_err(failed)?;
            Ok(key)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let text = fs::read_to_string(path).map_err(failed)?;
            let bytes = hex::decode(text.trim()).map_err(|_| LoginError::BadKey(path.to_owned()))?;
            bytes.try_into().map_err(|_| LoginError::BadKey(path.to_owned()))
        }
        Err(error) => Err(failed(error)),
    }
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the kernel gives random bytes");
    bytes
}

fn nonce() -> String {
    hex::encode(&random()[..16])
}

/// RFC 2104 over SHA-256, for keys of at most one block.
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    debug_assert!(key.len() <= BLOCK);
    let mut block = [0u8; BLOCK];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::new().chain_update(block.map(|b| b ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|b| b ^ 0x5c)).chain_update(inner).finalize().into()
}

/// Equal, in a time that does not depend on where they differ.
pub fn is_equal(left: &str, right: &str) -> bool {
    // Hashing first hides the length as well.
    let left = Sha256::digest(left.as_bytes());
    let right = Sha256::digest(right.as_bytes());
    left.iter().zip(right.iter()).fold(0u8, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn links() -> (tempfile::TempDir, LoginLinks) {
        let dir = tempfile::tempdir().unwrap();
        let links = LoginLinks::open(&dir.path().join("login.key"), &dir.path().join("run")).unwrap();
        (dir, links)
    }

    #[test]
    fn the_mac_is_that_of_rfc_4231() {
        let mac = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hex::encode(mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn a_link_opens_one_session_also_from_another_process_with_the_same_home() {
        let (dir, links) = links();
        let other = LoginLinks::open(&dir.path().join("login.key"), &dir.path().join("run")).unwrap();
        let once = other.issue(NOW);
        let session = links.accept(&once, NOW).expect("first use");
        assert_eq!(links.accept(&once, NOW), None, "second use");
        assert_eq!(other.accept(&once, NOW), None, "second use elsewhere");
        assert_eq!(other.session(&links.cookie(&session), NOW), Some(session));
    }

    #[test]
    fn a_link_ends_after_fifteen_minutes_and_cannot_be_forged() {
        let (_dir, links) = links();
        let once = links.issue(NOW);
        assert_eq!(links.accept(&once, NOW.plus_ms(LINK_MS)), None);
        let later = once.replacen(|c: char| c.is_ascii_digit(), "9", 1);
        assert_eq!(links.accept(&later, NOW), None);
        for bad in ["", ".", "..", "a.b.c", "1..", &once[1..]] {
            assert_eq!(links.accept(bad, NOW), None, "{bad}");
        }
    }

    #[test]
    fn a_session_ends_when_idle_when_old_and_when_signed_out() {
        let (_dir, links) = links();
        let session = links.accept(&links.issue(NOW), NOW).unwrap();
        let cookie = links.cookie(&session);
        assert!(links.session(&cookie, NOW.plus_ms(SESSION_IDLE_MS - 1)).is_some());
        assert_eq!(links.session(&cookie, NOW.plus_ms(SESSION_IDLE_MS)), None);
        let much_later = NOW.plus_ms(SESSION_MAX_MS);
        let kept_alive = Session { expires: much_later.0 + SESSION_IDLE_MS, ..session.clone() };
        assert_eq!(links.session(&links.cookie(&kept_alive), much_later), None);
        links.sign_out(&session);
        assert_eq!(links.session(&cookie, NOW), None);
    }

    #[test]
    fn links_and_sessions_last_as_long_as_configured() {
        let (_dir, links) = links();
        let (minute, hour) = (Millis::seconds(60), Millis::seconds(3600));
        let links = links.lasting(minute, hour);
        assert_eq!(links.accept(&links.issue(NOW), NOW.plus_ms(minute.0)), None);
        let session = links.accept(&links.issue(NOW), NOW.plus_ms(minute.0 - 1)).unwrap();
        let begun = Timestamp(session.started);
        let used = links.renewed(&session, begun.plus_ms(hour.0 - 2)).expect("renewed while it is used");
        assert!(links.session(&links.cookie(&used), begun.plus_ms(hour.0 - 1)).is_some());
        assert_eq!(links.session(&links.cookie(&used), begun.plus_ms(hour.0)), None, "used or not");
        assert_eq!(links.session_seconds(), 3600);
    }

    #[test]
    fn a_link_is_no_session_and_a_session_no_csrf_token() {
        let (_dir, links) = links();
        let session = links.accept(&links.issue(NOW), NOW).unwrap();
        assert_eq!(links.session(&links.issue(NOW), NOW), None);
        assert!(links.is_csrf(&session, &links.csrf(&session)));
        assert!(!links.is_csrf(&session, &links.cookie(&session)));
        assert!(!links.is_csrf(&session, ""));
    }

    #[test]
    fn the_key_file_is_private_and_a_damaged_one_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, _links) = links();
        let path = dir.path().join("login.key");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "short").unwrap();
        assert!(matches!(LoginLinks::open(&path, dir.path()), Err(LoginError::BadKey(_))));
    }
}
