//! The files of definitions on the masters: kept by content beside the log, which names them.
//!
//! A version is proposed only when the leader and a majority of the voters hold its files; a voter that was away, or
//! came later, or lost one, fetches what its state names. What no kept version names goes after a while.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::actor::file_store::{Incoming, object_of};
use crate::actor::protocol::definition::ReportedFile;
use crate::cluster::bulk::{BulkError, BulkOffer, BulkRequest, BulkSink};
use crate::cluster::{Peer, Role};
use crate::model::attachment::AttachedFile;
use crate::model::id::ContentHash;
use crate::model::message::Message;
use crate::say;

use super::shared::Shared;
use super::voters::name_of;

/// How often a master looks whether it holds what its state names.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A file that no version names may be on its way into one for this long.
const UNNAMED_KEPT: Duration = Duration::from_secs(3_600);
/// Transfers that break are begun again where they stopped.
const SEND_TRIES: u32 = 3;

/// What a report says of a definition's files, by path.
pub type Facts = BTreeMap<String, Result<(ContentHash, u64), Message>>;

pub fn facts(files: Vec<ReportedFile>) -> Facts {
    files.into_iter().map(|file| (file.path, file.found.map(|held| (held.hash, held.bytes)))).collect()
}

/// What is wrong with a file that a definition names, as its reader asks.
pub fn look(facts: &Facts, path: &str) -> Result<(), Message> {
    match facts.get(path) {
        Some(Ok(_)) => Ok(()),
        Some(Err(fault)) => Err(fault.clone()),
        None => Err(say!("the file {} did not come with the definition", path)),
    }
}

pub fn held(facts: &Facts) -> BTreeMap<String, (ContentHash, u64)> {
    facts.iter().filter_map(|(path, found)| Some((path.clone(), found.clone().ok()?))).collect()
}

/// Gives another master the files, from where it has them already.
pub async fn give(shared: &Shared, peer: &Peer, files: &BTreeMap<ContentHash, u64>) -> Result<(), String> {
    for (hash, bytes) in files {
        let offer = || BulkOffer { object: object_of(hash), length: Some(*bytes), hash: Some(hash.clone()) };
        let mut tries = 0;
        loop {
            let mut input = tokio::fs::File::open(shared.files.path(hash)).await.map_err(|error| error.to_string())?;
            match peer.bulk_put(offer(), &mut input).await {
                Ok(_) => break,
                Err(BulkError::Broken | BulkError::Idle { .. }) if tries < SEND_TRIES && peer.is_up() => tries += 1,
                Err(error) => return Err(error.to_string()),
            }
        }
    }
    Ok(())
}

/// Returns once enough voters hold the files that a majority survives with them: before that no version may name them.
pub async fn spread(shared: &Shared, files: &[AttachedFile]) -> Result<(), String> {
    let files: BTreeMap<ContentHash, u64> = files.iter().map(|file| (file.hash.clone(), file.bytes)).collect();
    if let Some((hash, _)) = files.iter().find(|(hash, bytes)| !shared.files.has(hash, **bytes)) {
        return Err(format!("the file {hash} is not here"));
    }
    if files.is_empty() {
        return Ok(());
    }
    let voters = shared.raft.metrics().voters;
    let given = voters.iter().filter(|voter| **voter != shared.id.0).map(|voter| {
        let files = &files;
        async move {
            let given = match shared.peer(&name_of(*voter)) {
                Some(peer) => give(shared, &peer, files).await,
                None => Err("it is not connected".to_owned()),
            };
            if let Err(error) = &given {
                // It fetches them itself once it is back.
                tracing::info!(voter, %error, "a voter does not have the files of a definition yet");
            }
            given.is_ok()
        }
    });
    let n_held = 1 + join_all(given).await.into_iter().filter(|is_held| *is_held).count();
    let n_needed = voters.len() / 2 + 1;
    if n_held >= n_needed { Ok(()) } else { Err(format!("{n_held} of {} masters hold its files", voters.len())) }
}

/// Fetches what the state names and this master does not hold, until the end.
pub async fn follow(shared: Arc<Shared>) {
    let mut told: BTreeSet<ContentHash> = BTreeSet::new();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let mut named = shared.raft.replica().with_state(|state| state.attached_files());
        let files = shared.files.clone();
        let missing = tokio::task::spawn_blocking(move || {
            named.retain(|hash, bytes| !files.has(hash, *bytes));
            named
        });
        let missing = missing.await.unwrap_or_default();
        told.retain(|hash| missing.contains_key(hash));
        for (hash, bytes) in missing {
            if let Err(error) = fetch(&shared, &hash, bytes).await
                && told.insert(hash.clone())
            {
                tracing::warn!(%hash, %error, "a file of a definition is not here and cannot be fetched yet");
            }
        }
    }
}

async fn fetch(shared: &Shared, hash: &ContentHash, bytes: u64) -> Result<(), String> {
    let mut why = "no other master is connected".to_owned();
    for peer in shared.peers().into_iter().filter(|peer| peer.role() == Role::Master) {
        let incoming = shared.files.receive(hash, bytes).await.map_err(|error| error.to_string())?;
        if matches!(incoming, Incoming::Here(_)) {
            return Ok(());
        }
        let request = BulkRequest { object: object_of(hash), offset: incoming.offset(), hash: Some(hash.clone()) };
        let taken = match peer.bulk_get(request).await {
            Ok(download) => incoming.take(download.reader).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match taken {
            Ok(()) => {
                tracing::info!(%hash, from = %peer.name(), "a file of a definition is here");
                return Ok(());
            }
            Err(error) => why = format!("{}: {error}", peer.name()),
        }
    }
    Err(why)
}

/// Removes what no kept version names.
pub async fn sweep(shared: &Arc<Shared>) {
    let named = shared.raft.replica().with_state(|state| state.attached_files());
    let files = shared.files.clone();
    let swept = tokio::task::spawn_blocking(move || files.sweep(|hash| named.contains_key(hash), UNNAMED_KEPT)).await;
    match swept {
        Ok(Ok(0)) | Err(_) => {}
        Ok(Ok(n_files)) => tracing::info!(n_files, "files that no kept version names are removed"),
        Ok(Err(error)) => tracing::warn!(%error, "files that no version names could not be removed"),
    }
}
