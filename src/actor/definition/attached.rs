//! The files that definitions name, as they are on the disk: found, waited for while they change, hashed.
//!
//! Part of a definition's look: what is here counts under the same rule as the text, two equal looks `settle` apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::actor::file_store;
use crate::model::attachment::FILES_MAX;
use crate::model::id::ContentHash;
use crate::model::message::Message;
use crate::node::beside::{self, Beside};
use crate::say;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    size: u64,
    modified_ns: i128,
    inode: u64,
}

impl Stamp {
    pub fn of(metadata: &Metadata) -> Self {
        Stamp {
            size: metadata.size(),
            modified_ns: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
            inode: metadata.ino(),
        }
    }
}

/// A file that a definition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// As it is written.
    pub path: String,
    pub found: Result<Held, Message>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Where it is, from the top of the directory.
    pub place: String,
    pub hash: ContentHash,
    pub bytes: u64,
}

/// What a look saw at a path.
#[derive(Debug, PartialEq, Eq)]
enum Sight {
    File(String, Stamp),
    Fault(String),
}

#[derive(Debug)]
struct Look {
    sight: Sight,
    since: Instant,
}

#[derive(Debug, Default)]
pub struct Looks {
    root: PathBuf,
    settle: Duration,
    bytes_max: u64,
    /// By definition and by the path that it writes.
    looks: BTreeMap<String, BTreeMap<String, Look>>,
    /// Of what was read as a whole, by place.
    hashes: BTreeMap<String, (Stamp, ContentHash)>,
}

impl Looks {
    pub fn new(root: PathBuf, settle: Duration, bytes_max: u64) -> Self {
        Self { root, settle, bytes_max, ..Self::default() }
    }

    /// What a definition names; `None` while something of it still changes.
    pub fn of(&mut self, definition: &str, names: &[String], now: Instant) -> Option<Vec<Named>> {
        let known = self.looks.remove(definition).unwrap_or_default();
        let (mut looks, mut found, mut is_settled, mut total) = (BTreeMap::new(), Vec::new(), true, 0);
        for (at, path) in names.iter().enumerate() {
            let mut named = |found_there| found.push(Named { path: path.clone(), found: found_there });
            if at >= FILES_MAX {
                named(Err(say!("more than {} files are named", FILES_MAX)));
                continue;
            }
            let there = beside::find(&self.root, definition, path);
            let sight = match &there {
                Ok(there) => Sight::File(there.path.clone(), Stamp::of(&there.metadata)),
                Err(fault) => Sight::Fault(fault.english()),
            };
            let since = known.get(path).filter(|look| look.sight == sight).map_or(now, |look| look.since);
            looks.insert(path.clone(), Look { sight, since });
            if now.duration_since(since) < self.settle {
                is_settled = false;
                continue;
            }
            match there {
                Err(fault) => named(Err(fault)),
                Ok(there) => {
                    let bytes = there.metadata.len();
                    total += bytes;
                    if total > self.bytes_max {
                        named(Err(beside::too_large(&there, self.bytes_max)));
                        continue;
                    }
                    match self.hash(there) {
                        Ok(Some(held)) => named(Ok(held)),
                        Ok(None) => is_settled = false,
                        Err(error) => named(Err(say!("{} cannot be read: {}", path, error.to_string()))),
                    }
                }
            }
        }
        if !looks.is_empty() {
            self.looks.insert(definition.to_owned(), looks);
        }
        is_settled.then_some(found)
    }

    /// `None`: it changed while it was read.
    fn hash(&mut self, there: Beside) -> std::io::Result<Option<Held>> {
        let Beside { path, mut file, metadata } = there;
        let (stamp, bytes) = (Stamp::of(&metadata), metadata.len());
        if let Some((_, hash)) = self.hashes.get(&path).filter(|(known, _)| *known == stamp) {
            return Ok(Some(Held { place: path, hash: hash.clone(), bytes }));
        }
        let (hash, n_read) = file_store::copy(&mut file, &mut std::io::sink())?;
        if n_read != bytes || Stamp::of(&file.metadata()?) != stamp {
            return Ok(None);
        }
        self.hashes.insert(path.clone(), (stamp, hash.clone()));
        Ok(Some(Held { place: path, hash, bytes }))
    }

    /// Forgets what no definition names any more.
    pub fn keep(&mut self, is_there: impl Fn(&str) -> bool) {
        self.looks.retain(|definition, _| is_there(definition));
        let places: BTreeSet<&str> = self
            .looks
            .values()
            .flat_map(BTreeMap::values)
            .filter_map(|look| match &look.sight {
                Sight::File(place, _) => Some(place.as_str()),
                Sight::Fault(_) => None,
            })
            .collect();
        self.hashes.retain(|place, _| places.contains(place.as_str()));
    }
}

/// A file that a definition names, opened again at its place to be taken from there.
pub fn open(root: &Path, place: &str) -> std::io::Result<std::fs::File> {
    match beside::find(root, "", place) {
        Ok(there) => Ok(there.file),
        Err(fault) => Err(std::io::Error::other(fault.english())),
    }
}
