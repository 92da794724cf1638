//! The seal of links that the cluster keeps: XChaCha20-Poly1305 under a key that every host of the cluster can make
//! and nobody else.
//!
//! The key comes from `conf/cluster.cookie`, the secret that each host gets when it joins: 0600, outside of data and
//! backups. So neither log, database, snapshot nor dispatch holds a secret that is readable by itself. Name and kind
//! of the link are bound in: a seal put beside another name does not open.

use std::path::Path;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

use crate::model::link::{KeptLink, LinkKind, LinkText};
use crate::model::message::Message;
use crate::say;

pub const COOKIE_FILE: &str = "cluster.cookie";
const COOKIE_BYTES_MIN: usize = 32;
const COOKIE_FILE_BYTES_MAX: u64 = 64 * 1024;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// What tells which key a seal is under: of its digest.
const MARK_BYTES: usize = 4;
const VERSION: u8 = 1;
const PURPOSE: &[u8] = b"ractorflow/links/1";

/// Why a seal was not made or not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum SealError {
    /// The secret of the cluster cannot be read here.
    Key(Message),
    /// The seal was made under another secret.
    OtherKey,
    /// It is none of ours, or was changed.
    Broken,
}

impl SealError {
    pub fn said(&self) -> Message {
        match self {
            Self::Key(why) => say!("the secret of the cluster cannot be used: {}", why),
            Self::OtherKey => say!(
                "it was sealed under another secret of the cluster (conf/cluster.cookie is not the same); enter its password again with `ractorflow link update`"
            ),
            Self::Broken => say!("its seal is broken; enter it again with `ractorflow link update`"),
        }
    }
}

/// Never printed, and gone with this value.
#[derive(Clone)]
pub struct SealKey {
    key: [u8; KEY_BYTES],
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(..)")
    }
}

impl SealKey {
    /// Of this host.
    pub fn read(conf_dir: &Path) -> Result<Self, SealError> {
        let path = conf_dir.join(COOKIE_FILE);
        let failed = |why: String| SealError::Key(say!("{}: {}", path, why));
        let length = std::fs::metadata(&path).map_err(|error| failed(error.to_string()))?.len();
        if length > COOKIE_FILE_BYTES_MAX {
            return Err(SealError::Key(say!("it is larger than {} bytes", COOKIE_FILE_BYTES_MAX)));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
        let cookie = hex::decode(text.trim()).map_err(|error| failed(error.to_string()))?;
        if cookie.len() < COOKIE_BYTES_MIN {
            return Err(SealError::Key(say!("{} is too short to be a secret", path)));
        }
        Ok(Self::of(&cookie))
    }

    /// The cookie is random through and through, so a plain digest of it, marked for this purpose, is a key.
    pub fn of(cookie: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update((PURPOSE.len() as u64).to_be_bytes())
            .chain_update(PURPOSE)
            .chain_update(cookie)
            .finalize();
        Self { key: digest.into() }
    }

    fn mark(&self) -> [u8; MARK_BYTES] {
        let digest = Sha256::new().chain_update(b"mark").chain_update(self.key).finalize();
        let mut mark = [0; MARK_BYTES];
        mark.copy_from_slice(&digest[..MARK_BYTES]);
        mark
    }

    /// A digest that says nothing to whoever does not have the key: of texts with secrets, which could be guessed.
    pub fn digest(&self, text: &[u8]) -> String {
        let digest = Sha256::new().chain_update(b"digest").chain_update(self.key).chain_update(text).finalize();
        hex::encode(Sha256::new().chain_update(self.key).chain_update(digest).finalize())
    }

    pub fn seal(&self, text: &LinkText) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| SealError::Key(Message::verbatim(error.to_string())))?;
        let plain = rmp_serde::to_vec_named(text).map_err(|_| SealError::Broken)?;
        let bound = bound(text.kind, &text.name);
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg: &plain, aad: &bound })
            .map_err(|_| SealError::Broken)?;
        Ok(hex::encode([&[VERSION][..], &self.mark(), &nonce, &sealed].concat()))
    }

    pub fn open(&self, link: &KeptLink) -> Result<LinkText, SealError> {
        let bytes = hex::decode(&link.sealed).map_err(|_| SealError::Broken)?;
        let (version, rest) = bytes.split_first().ok_or(SealError::Broken)?;
        let (mark, rest) = rest.split_at_checked(MARK_BYTES).ok_or(SealError::Broken)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Broken)?;
        if *version != VERSION {
            return Err(SealError::Broken);
        }
        if mark != self.mark() {
            return Err(SealError::OtherKey);
        }
        let bound = bound(link.kind, &link.name);
        let plain = self
            .cipher()
            .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &bound })
            .map_err(|_| SealError::Broken)?;
        rmp_serde::from_slice(&plain).map_err(|_| SealError::Broken)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(self.key))
    }
}

fn bound(kind: LinkKind, name: &str) -> Vec<u8> {
    [kind.word().as_bytes(), &[0], name.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str) -> LinkText {
        LinkText { password: "canary-8f31".into(), ..LinkText::new(LinkKind::Database, name) }
    }

    fn kept(key: &SealKey, text: &LinkText) -> KeptLink {
        KeptLink {
            kind: text.kind,
            name: text.name.clone(),
            type_word: String::new(),
            place: String::new(),
            username: String::new(),
            description: String::new(),
            sealed: key.seal(text).unwrap(),
        }
    }

    #[test]
    fn a_seal_opens_under_its_key_and_its_name_alone() {
        let key = SealKey::of(&[7; 32]);
        let one = kept(&key, &text("a"));
        assert_eq!(key.open(&one).unwrap(), text("a"));
        assert!(!one.sealed.contains(&hex::encode("canary-8f31")));
        assert_ne!(one.sealed, kept(&key, &text("a")).sealed, "the same text twice looks different");
        assert_eq!(SealKey::of(&[8; 32]).open(&one), Err(SealError::OtherKey));
        assert_eq!(key.open(&KeptLink { name: "b".into(), ..one.clone() }), Err(SealError::Broken));
        assert_eq!(key.open(&KeptLink { kind: LinkKind::File, ..one.clone() }), Err(SealError::Broken));
        for cut in 0..one.sealed.len() {
            assert!(key.open(&KeptLink { sealed: one.sealed[..cut].to_owned(), ..one.clone() }).is_err(), "{cut}");
        }
        assert_eq!(format!("{key:?}"), "SealKey(..)");
    }

    #[test]
    fn the_key_is_that_of_the_hosts_secret() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(SealKey::read(dir.path()), Err(SealError::Key(_))));
        let file = dir.path().join(COOKIE_FILE);
        std::fs::write(&file, "abcd\n").unwrap();
        assert!(matches!(SealKey::read(dir.path()), Err(SealError::Key(_))));
        std::fs::write(&file, format!("{}\n", hex::encode([7; 32]))).unwrap();
        let key = SealKey::read(dir.path()).unwrap();
        assert_eq!(key.key, SealKey::of(&[7; 32]).key);
        assert_ne!(key.digest(b"a"), SealKey::of(&[8; 32]).digest(b"a"));
        assert_eq!(key.digest(b"a"), SealKey::of(&[7; 32]).digest(b"a"));
    }
}
