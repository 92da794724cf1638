//! The files that tasks of this worker want beside them: fetched from a master once, kept by content, copied for
//! each attempt.

use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::actor::file_store::FileStore;
use crate::cluster::bulk::BulkSink;
use crate::model::id::ContentHash;
use crate::model::message::Message;
use crate::node::attachment::{Attachment, Origin};
use crate::say;

use super::link::MasterLink;

/// Without a byte of it for this long a file is not waited for.
const PATIENCE: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_millis(500);
/// A file that is damaged again and again is not fetched for ever.
const DAMAGED_MAX: u32 = 3;

/// Why a file is not there.
#[derive(Debug)]
pub enum Unplaced {
    /// The same again would fail again.
    Refused(Message),
    /// This worker, or the masters.
    World(Message),
}

pub struct Files {
    store: Arc<FileStore>,
    /// The leader first.
    masters: Mutex<Vec<Arc<dyn MasterLink>>>,
    bytes_max: u64,
}

impl Files {
    pub fn open(root: PathBuf, bytes_max: u64) -> io::Result<Self> {
        let store = FileStore::open(root)?;
        // Only what broken transfers left; whole files go when there is no room.
        store.sweep(|_| true, Duration::MAX)?;
        Ok(Self { store: Arc::new(store), masters: Mutex::default(), bytes_max })
    }

    pub fn set_masters(&self, masters: Vec<Arc<dyn MasterLink>>) {
        *self.masters.lock().unwrap_or_else(PoisonError::into_inner) = masters;
    }

    fn masters(&self) -> Vec<Arc<dyn MasterLink>> {
        self.masters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Copies all of them into the directory.
    pub async fn place(&self, attachments: &[Attachment], directory: &Path) -> Result<(), Unplaced> {
        for attachment in attachments {
            let to = directory.join(&attachment.name);
            match &attachment.from {
                Origin::Host(path) => self.place_of_host(path, to).await?,
                Origin::Version { hash, bytes } => self.place_of_version(&attachment.name, hash, *bytes, to).await?,
            }
        }
        Ok(())
    }

    async fn place_of_host(&self, path: &Path, to: PathBuf) -> Result<(), Unplaced> {
        let (from, bytes_max) = (path.to_owned(), self.bytes_max);
        let copied = tokio::task::spawn_blocking(move || copy_of_host(&from, &to, bytes_max)).await;
        copied.unwrap_or_else(|error| Err(Unplaced::World(Message::verbatim(error.to_string()))))
    }

    async fn place_of_version(&self, name: &str, hash: &ContentHash, bytes: u64, to: PathBuf) -> Result<(), Unplaced> {
        let world = |error: String| Unplaced::World(say!("the file {} cannot be brought here: {}", name, error));
        let mut progress = Progress { held: 0, since: Instant::now() };
        let mut n_damaged = 0;
        loop {
            let (store, hash_of, to) = (self.store.clone(), hash.clone(), to.clone());
            let copied = tokio::task::spawn_blocking(move || store.copy_out(&hash_of, bytes, &to)).await;
            if copied.map_err(|error| world(error.to_string()))?.map_err(|error| world(error.to_string()))? {
                return Ok(());
            }
            n_damaged += 1;
            if n_damaged > DAMAGED_MAX {
                return Err(world("it is damaged again and again".to_owned()));
            }
            while let Err(error) = self.fetch(hash, bytes, &mut progress).await {
                if progress.since.elapsed() > PATIENCE {
                    return Err(world(error));
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// From the first master that has it.
    async fn fetch(&self, hash: &ContentHash, bytes: u64, progress: &mut Progress) -> Result<(), String> {
        let (store, room) = (self.store.clone(), self.bytes_max.saturating_sub(bytes));
        let shrunk = tokio::task::spawn_blocking(move || store.shrink(room)).await;
        shrunk.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let mut why = "no master is connected".to_owned();
        for master in self.masters() {
            let incoming = self.store.receive(hash, bytes).await.map_err(|error| error.to_string())?;
            let held = incoming.offset();
            progress.note(held);
            if held == bytes && self.store.has(hash, bytes) {
                return Ok(());
            }
            let taken = match master.read_file(hash, held).await {
                Ok(reader) => incoming.take(reader).await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            match taken {
                Ok(()) => return Ok(()),
                Err(error) => why = format!("{}: {error}", master.master()),
            }
        }
        Err(why)
    }
}

struct Progress {
    held: u64,
    since: Instant,
}

impl Progress {
    fn note(&mut self, held: u64) {
        if held > self.held {
            *self = Progress { held, since: Instant::now() };
        }
    }
}

fn copy_of_host(from: &Path, to: &Path, bytes_max: u64) -> Result<(), Unplaced> {
    let unreadable =
        |error: io::Error| Unplaced::Refused(say!("{} cannot be read on this worker: {}", from, error.to_string()));
    let options = libc::O_NONBLOCK | libc::O_NOCTTY;
    let mut file = std::fs::File::options().read(true).custom_flags(options).open(from).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Unplaced::Refused(say!("{} is not a regular file", from)));
    }
    if metadata.len() > bytes_max {
        let message = say!("{} has {} bytes, more than worker.files_bytes_max ({})", from, metadata.len(), bytes_max);
        return Err(Unplaced::Refused(message));
    }
    let unwritable =
        |error: io::Error| Unplaced::World(say!("the file {} cannot be brought here: {}", from, error.to_string()));
    let mut out = std::fs::File::options().write(true).create_new(true).mode(0o700).open(to).map_err(unwritable)?;
    io::copy(&mut file, &mut out).map(drop).map_err(unwritable)
}
