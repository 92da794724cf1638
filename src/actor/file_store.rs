//! Files by their content, on masters and workers: `<SHA-256>` in one directory.
//!
//! Owns that only whole files have such a name, and that a copy handed out has the content its name says: a damaged
//! file is noticed, removed, and fetched again by whoever wants it. Which files are kept is the user's to say. Start
//! at `FileStore`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use crate::cluster::bulk::{BulkOffer, BulkSink, BulkSource, FileSink, file_source};
use crate::cluster::{ByteReader, Refusal};
use crate::model::id::ContentHash;

const PREFIX: &str = "file/";
const COPY_BYTES: usize = 256 * 1024;
/// What a broken transfer left is of use to the next one for this long.
const PART_KEPT: Duration = Duration::from_secs(86_400);

/// How a file is called on the bulk connection.
pub fn object_of(hash: &ContentHash) -> String {
    format!("{PREFIX}{hash}")
}

/// Reads `object_of` back.
pub fn hash_of_object(object: &str) -> Option<ContentHash> {
    object.strip_prefix(PREFIX).filter(|hash| is_hash(hash)).map(ContentHash::from)
}

fn is_hash(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

pub struct FileStore {
    root: PathBuf,
    /// Files that are being received.
    busy: Mutex<BTreeMap<ContentHash, Arc<tokio::sync::Mutex<()>>>>,
    /// Files that were read as a whole and were right, as they were then.
    verified: Mutex<BTreeMap<ContentHash, Stamp>>,
}

/// Size, change of the content, inode.
type Stamp = (u64, i64, i64, u64);

impl FileStore {
    pub fn open(root: PathBuf) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().mode(0o700).recursive(true).create(&root)?;
        Ok(Self { root, busy: Mutex::default(), verified: Mutex::default() })
    }

    pub fn path(&self, hash: &ContentHash) -> PathBuf {
        self.root.join(hash.as_str())
    }

    /// Is a file of that name and length here?
    pub fn has(&self, hash: &ContentHash, bytes: u64) -> bool {
        is_hash(hash.as_str()) && fs::metadata(self.path(hash)).is_ok_and(|metadata| metadata.len() == bytes)
    }

    /// Takes a copy of what `from` reads, if it has this content. Blocks.
    pub fn import(&self, mut from: impl Read, hash: &ContentHash, bytes: u64) -> io::Result<bool> {
        if !is_hash(hash.as_str()) {
            return Ok(false);
        }
        let made = self.root.join(format!("{hash}.{}.import", uuid::Uuid::new_v4().simple()));
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&made)?;
        let copied = copy(&mut (&mut from).take(bytes.saturating_add(1)), &mut file).and_then(|found| {
            file.sync_all()?;
            Ok(found)
        });
        match copied {
            Ok(found) if found == (hash.clone(), bytes) => {
                fs::rename(&made, self.path(hash))?;
                File::open(&self.root)?.sync_all()?;
                Ok(true)
            }
            other => {
                let _ = fs::remove_file(&made);
                other.map(|_| false)
            }
        }
    }

    /// Writes the file to a new place, and looks at its content doing so. False: it is not here, or was damaged and is
    /// not here any more. Blocks.
    pub fn copy_out(&self, hash: &ContentHash, bytes: u64, to: &Path) -> io::Result<bool> {
        let path = self.path(hash);
        let mut from = match File::open(&path) {
            Ok(from) => from,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let mut out = File::options().write(true).create_new(true).mode(0o700).open(to)?;
        let found = copy(&mut from, &mut out)?;
        if found != (hash.clone(), bytes) {
            tracing::warn!(%hash, "a file does not have the content that its name says any more; it is fetched again");
            drop(out);
            fs::remove_file(to)?;
            remove(&path)?;
            return Ok(false);
        }
        // The last use, for what has to go when there is no room. A file system that does not note it keeps the first.
        let _ = from.set_modified(SystemTime::now());
        Ok(true)
    }

    /// One at a time receives a file, or reads it to see whether it is right.
    fn turn(&self, hash: &ContentHash) -> Arc<tokio::sync::Mutex<()>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.retain(|_, turn| Arc::strong_count(turn) > 1);
        busy.entry(hash.clone()).or_default().clone()
    }

    /// A place for a file that comes from elsewhere; waits while it is already coming.
    pub async fn receive(&self, hash: &ContentHash, bytes: u64) -> Result<Incoming, Refusal> {
        if !is_hash(hash.as_str()) {
            return Err(Refusal::Refused("the hash is not a SHA-256 in hexadecimal".to_owned()));
        }
        let turn = self.turn(hash);
        let turn = turn.lock_owned().await;
        if self.has(hash, bytes) {
            return Ok(Incoming::Here(bytes));
        }
        let offer = BulkOffer { object: object_of(hash), length: Some(bytes), hash: Some(hash.clone()) };
        let sink = FileSink::open(&self.path(hash), &offer, bytes).await?;
        Ok(Incoming::Coming { sink, _turn: turn })
    }

    /// What a peer asks for, once this process has seen that it is right.
    pub async fn source(self: &Arc<Self>, hash: ContentHash, offset: u64) -> Result<BulkSource, Refusal> {
        let refused = |error: io::Error| Refusal::Refused(error.to_string());
        let turn = self.turn(&hash).lock_owned().await;
        let (store, of) = (self.clone(), hash.clone());
        let is_right = tokio::task::spawn_blocking(move || store.verify(&of)).await;
        drop(turn);
        if !is_right.map_err(|error| Refusal::Refused(error.to_string()))?.map_err(refused)? {
            return Err(Refusal::Refused(format!("no file {hash} is here")));
        }
        file_source(&self.path(&hash), offset, Some(hash)).await.map_err(refused)
    }

    fn verify(&self, hash: &ContentHash) -> io::Result<bool> {
        let path = self.path(hash);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        let stamp = (metadata.size(), metadata.mtime(), metadata.mtime_nsec(), metadata.ino());
        let verified = || self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified().get(hash) == Some(&stamp) {
            return Ok(true);
        }
        if copy(&mut file, &mut io::sink())?.0 == *hash {
            verified().insert(hash.clone(), stamp);
            return Ok(true);
        }
        tracing::warn!(%hash, "a file does not have the content that its name says any more; it is fetched again");
        verified().remove(hash);
        remove(&path)?;
        Ok(false)
    }

    /// Removes what nobody keeps and is older than `grace`, and what broken transfers left. Blocks.
    pub fn sweep(&self, is_kept: impl Fn(&ContentHash) -> bool, grace: Duration) -> io::Result<usize> {
        let mut n_removed = 0;
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            let age = entry.metadata().and_then(|metadata| metadata.modified());
            let age = age.ok().and_then(|at| at.elapsed().ok()).unwrap_or_default();
            let is_gone = if is_hash(&name) {
                age > grace && !is_kept(&ContentHash::from(name.as_str()))
            } else {
                age > PART_KEPT
            };
            if is_gone {
                remove(&entry.path())?;
                self.verified.lock().unwrap_or_else(PoisonError::into_inner).remove(&ContentHash::from(name));
                n_removed += 1;
            }
        }
        Ok(n_removed)
    }

    /// Removes the files that were not used for longest until at most so many bytes are here. Blocks.
    pub fn shrink(&self, bytes_max: u64) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            files.push((metadata.modified()?, metadata.len(), entry.path()));
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in files {
            if total <= bytes_max {
                break;
            }
            let is_whole = path.file_name().and_then(|name| name.to_str()).is_some_and(is_hash);
            if is_whole {
                remove(&path)?;
                total -= bytes;
            }
        }
        Ok(())
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Copies all, with its hash and length.
pub fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<(ContentHash, u64)> {
    let (mut hasher, mut chunk, mut total) = (Sha256::new(), vec![0; COPY_BYTES], 0);
    loop {
        let bytes = match from.read(&mut chunk) {
            Ok(0) => return Ok((ContentHash::from(hex::encode(hasher.finalize())), total)),
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&chunk[..bytes]);
        to.write_all(&chunk[..bytes])?;
        total += bytes as u64;
    }
}

/// A file on its way here.
pub enum Incoming {
    /// So many bytes: it came meanwhile.
    Here(u64),
    Coming {
        sink: FileSink,
        _turn: tokio::sync::OwnedMutexGuard<()>,
    },
}

impl Incoming {
    /// Takes all that the reader gives. What came of a reader that breaks stays for the next.
    pub async fn take(self, mut reader: ByteReader) -> Result<(), Refusal> {
        let mut sink: Box<dyn BulkSink> = Box::new(self);
        let mut chunk = vec![0; COPY_BYTES];
        loop {
            let bytes = reader.read(&mut chunk).await.map_err(|error| Refusal::Refused(error.to_string()))?;
            if bytes == 0 {
                return sink.finish().await;
            }
            sink.write(Bytes::copy_from_slice(&chunk[..bytes])).await?;
        }
    }
}

#[async_trait]
impl BulkSink for Incoming {
    fn offset(&self) -> u64 {
        match self {
            Incoming::Here(bytes) => *bytes,
            Incoming::Coming { sink, .. } => sink.offset(),
        }
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), Refusal> {
        match self {
            Incoming::Here(_) => Err(Refusal::Refused("the file is here already".to_owned())),
            Incoming::Coming { sink, .. } => sink.write(chunk).await,
        }
    }

    async fn finish(self: Box<Self>) -> Result<(), Refusal> {
        match *self {
            Incoming::Here(_) => Ok(()),
            Incoming::Coming { sink, _turn } => Box::new(sink).finish().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Arc<FileStore>) {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::open(dir.path().join("files")).unwrap();
        (dir, Arc::new(store))
    }

    fn hash(content: &[u8]) -> ContentHash {
        ContentHash::from(hex::encode(Sha256::digest(content)))
    }

    #[test]
    fn a_file_that_changed_while_it_was_taken_is_not_taken() {
        let (_dir, store) = store();
        assert!(!store.import(&b"other"[..], &hash(b"right"), 5).unwrap());
        assert!(!store.import(&b"right and more"[..], &hash(b"right"), 5).unwrap());
        assert!(!store.has(&hash(b"right"), 5));
        assert!(store.import(&b"right"[..], &hash(b"right"), 5).unwrap());
        assert!(store.has(&hash(b"right"), 5) && !store.has(&hash(b"right"), 6));
        assert_eq!(fs::read_dir(&store.root).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_damaged_file_is_never_handed_out() {
        let (dir, store) = store();
        let right = hash(b"right");
        store.import(&b"right"[..], &right, 5).unwrap();
        let to = dir.path().join("a");
        assert!(store.copy_out(&right, 5, &to).unwrap());
        assert_eq!(fs::read(&to).unwrap(), b"right");
        assert!(store.source(right.clone(), 0).await.is_ok());
        fs::write(store.path(&right), b"wrong").unwrap();
        assert!(!store.copy_out(&right, 5, &dir.path().join("b")).unwrap());
        assert!(!dir.path().join("b").exists() && !store.has(&right, 5));
        store.import(&b"right"[..], &right, 5).unwrap();
        fs::write(store.path(&right), b"wrong").unwrap();
        assert!(store.source(right.clone(), 0).await.is_err());
        assert!(!store.has(&right, 5));
    }

    #[tokio::test]
    async fn a_file_is_received_once_by_those_who_want_it_at_the_same_time() {
        let (_dir, store) = store();
        let right = hash(b"right");
        let mut first = store.receive(&right, 5).await.unwrap();
        first.write(Bytes::from_static(b"ri")).await.unwrap();
        let second = tokio::spawn({
            let (store, right) = (store.clone(), right.clone());
            async move { store.receive(&right, 5).await.unwrap().offset() }
        });
        // The first breaks off; who comes next goes on behind what is here.
        drop(first);
        assert_eq!(second.await.unwrap(), 2);
        let third = store.receive(&right, 5).await.unwrap();
        third.take(Box::pin(io::Cursor::new(b"ght"))).await.unwrap();
        assert!(matches!(store.receive(&right, 5).await.unwrap(), Incoming::Here(5)));
        assert!(store.receive(&ContentHash::from("../../etc/passwd"), 5).await.is_err());
    }

    #[test]
    fn what_nobody_keeps_goes_and_what_was_not_used_for_longest_goes_first() {
        let (_dir, store) = store();
        let contents: [&[u8]; 3] = [b"one", b"two", b"three"];
        for (age, content) in contents.iter().enumerate() {
            store.import(*content, &hash(content), content.len() as u64).unwrap();
            let file = File::options().write(true).open(store.path(&hash(content))).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(100 * (3 - age as u64))).unwrap();
        }
        let held = || contents.map(|content| store.has(&hash(content), content.len() as u64));
        store.shrink(9).unwrap();
        assert_eq!(held(), [false, true, true]);
        store.sweep(|hash_of| *hash_of == hash(b"three"), Duration::from_secs(1_000)).unwrap();
        assert_eq!(held(), [false, true, true], "young files may be on their way into a version");
        store.sweep(|hash_of| *hash_of == hash(b"three"), Duration::from_secs(10)).unwrap();
        assert_eq!(held(), [false, false, true]);
    }

    #[test]
    fn an_object_is_named_so_that_it_reads_back() {
        let right = hash(b"right");
        assert_eq!(hash_of_object(&object_of(&right)), Some(right));
        for wrong in ["file/", "file/../x", "log/1", "snapshot/1"] {
            assert_eq!(hash_of_object(wrong), None);
        }
    }
}
