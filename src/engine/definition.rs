//! Definitions: how they travel through the log, and the commands on workflows.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::model::id::{ContentHash, Principal, VersionNumber, WorkflowName};
use crate::model::message::Message;
use crate::model::schedule::next_fire;
use crate::model::time::Timestamp;
use crate::say;

use super::command::{Rejected, Reply};
use super::engine::Step;
use super::event::EventKind;
use super::settings::Settings;
use super::state::{Bundle, Chunk, DailyReset, FileState, FireSkip, FireState, Origin, PendingReset, State, Workflow};

/// Size of the pieces in which a bundle goes through the log.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// Most pieces of one bundle: text and parsed form of a file of 4 MiB.
const CHUNKS_MAX: usize = 512;

/// Why chunks do not make a bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum BundleFault {
    Missing(ContentHash),
    TooLong,
    Unreadable(String),
}

impl BundleFault {
    pub fn said(&self) -> Message {
        match self {
            BundleFault::Missing(hash) => say!("chunk {} is missing", hash),
            BundleFault::TooLong => say!("more than {} chunks", CHUNKS_MAX),
            BundleFault::Unreadable(error) => say!("the bundle cannot be read: {}", error),
        }
    }
}

/// A bundle as pieces to store, each with its hash.
pub fn pack(bundle: &Bundle) -> Vec<(ContentHash, Vec<u8>)> {
    let bytes = rmp_serde::to_vec_named(bundle).expect("plain data always encodes");
    bytes.chunks(CHUNK_BYTES).map(|piece| (hash_of(piece), piece.to_vec())).collect()
}

/// The bundle that stored pieces make.
pub fn unpack(chunks: &BTreeMap<ContentHash, Chunk>, hashes: &[ContentHash]) -> Result<Bundle, BundleFault> {
    if hashes.len() > CHUNKS_MAX {
        return Err(BundleFault::TooLong);
    }
    let mut bytes = Vec::with_capacity(hashes.len() * CHUNK_BYTES);
    for hash in hashes {
        let chunk = chunks.get(hash).ok_or_else(|| BundleFault::Missing(hash.clone()))?;
        bytes.extend_from_slice(&chunk.bytes);
    }
    rmp_serde::from_slice(&bytes).map_err(|error| BundleFault::Unreadable(error.to_string()))
}

/// Lower-case hex SHA-256.
pub fn hash_of(bytes: &[u8]) -> ContentHash {
    ContentHash::from(hex::encode(Sha256::digest(bytes)))
}

/// What decides whether a definition changed: its text, and the files that it names, each with its hash or with why it
/// has none. Without files it is the hash of the text.
pub fn content_of<'a>(text: &ContentHash, files: impl IntoIterator<Item = (&'a str, String)>) -> ContentHash {
    let mut hasher: Option<Sha256> = None;
    for (path, found) in files {
        let hasher = hasher.get_or_insert_with(|| Sha256::new_with_prefix(text.as_str()));
        for part in [path, &found] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    hasher.map_or_else(|| text.clone(), |hasher| ContentHash::from(hex::encode(hasher.finalize())))
}

impl Step<'_> {
    pub(super) fn store_chunk(&mut self, hash: ContentHash, bytes: Vec<u8>) -> Result<Reply, Rejected> {
        if bytes.len() > CHUNK_BYTES {
            return Err(Rejected::Invalid(say!("a chunk has at most {} bytes", CHUNK_BYTES)));
        }
        if hash_of(&bytes) != hash {
            return Err(Rejected::Invalid(say!("the chunk does not have this hash")));
        }
        // Stored again when it is there already: that keeps it from being trimmed under way.
        self.emit(EventKind::ChunkStored { hash, bytes });
        Ok(Reply::Done)
    }

    pub(super) fn bundle(&self, chunks: &[ContentHash]) -> Result<Bundle, Rejected> {
        let bundle = unpack(&self.state.chunks, chunks).map_err(|fault| match fault {
            BundleFault::Missing(_) => Rejected::conflict_hint(fault.said(), say!("store the chunks again")),
            BundleFault::TooLong | BundleFault::Unreadable(_) => Rejected::DefinitionInvalid(fault.said()),
        })?;
        check(&bundle)?;
        Ok(bundle)
    }

    pub(super) fn apply_definition(
        &mut self,
        content: ContentHash,
        chunks: Vec<ContentHash>,
    ) -> Result<Reply, Rejected> {
        let bundle = self.bundle(&chunks)?;
        let name = bundle.definition.name.clone();
        if let Some(current) = self.state.current_version(&name).filter(|version| version.content == content) {
            let version = current.number;
            self.emit(EventKind::ChunksTrimmed { hashes: chunks });
            return Ok(Reply::Version { workflow: name, version, is_new: false });
        }
        self.check_new_workflow(&name)?;
        let version = self.add_version(&name, content.clone(), chunks, None, self.by.clone());
        self.compare_files(&name, &content, version);
        Ok(Reply::Version { workflow: name, version, is_new: true })
    }

    /// Makes the next version. Times that have come under the old one are seen to first. `by`: who applied it, or
    /// `file:` with the master that reported the file and its path.
    pub(super) fn add_version(
        &mut self,
        name: &WorkflowName,
        content: ContentHash,
        chunks: Vec<ContentHash>,
        origin: Option<Origin>,
        by: Principal,
    ) -> VersionNumber {
        if self.live.plan.get(name).is_some_and(|next| *next <= self.wall) {
            self.evaluate(name);
        }
        let last = self.state.workflows.get(name).map_or(VersionNumber(0), |workflow| workflow.current);
        let version = last.next();
        self.emit(EventKind::DefinitionAdded { workflow: name.clone(), version, content, chunks, origin, by });
        self.drop_fires_of_gone_triggers(name);
        version
    }

    /// Pending fires of triggers that an edit removed never start.
    fn drop_fires_of_gone_triggers(&mut self, name: &WorkflowName) {
        let Some(version) = self.state.current_version(name).cloned() else { return };
        let is_kept = |trigger: &crate::model::id::TriggerId| {
            version.definition().coordinator.as_ref().is_some_and(|coordinator| {
                coordinator.triggers.iter().any(|kept| kept.id == *trigger)
                    || trigger.as_str() == super::trigger::LATCH_TRIGGER && !coordinator.prerequisites.is_empty()
            })
        };
        let gone: Vec<_> = self.state.pending_fires(name).filter(|key| !is_kept(&key.trigger)).cloned().collect();
        for key in gone {
            let state = FireState::Skipped { reason: FireSkip::Expired, at: self.at };
            self.emit(EventKind::FireSettled { key, state });
        }
    }

    pub(super) fn enable_workflow(
        &mut self,
        name: &WorkflowName,
        enabled: bool,
        why: Option<String>,
    ) -> Result<Reply, Rejected> {
        let workflow = self.state.workflow(name).ok_or_else(|| Rejected::no_workflow(name))?;
        let has_coordinator =
            self.state.current_version(name).is_some_and(|version| version.definition().coordinator.is_some());
        if !has_coordinator {
            return Err(Rejected::conflict_hint(
                say!("workflow {} has no coordinator, so there is nothing to enable", name),
                say!("add a <coordinator> to its file"),
            ));
        }
        if workflow.is_file_absent && enabled {
            return Err(Rejected::conflict_hint(
                say!("the file of workflow {} is gone", name),
                say!("put the file back, or apply the definition"),
            ));
        }
        if workflow.enabled_override.as_ref().is_some_and(|o| o.enabled == enabled) {
            return Ok(Reply::Unchanged);
        }
        let by = self.by.clone();
        self.emit(EventKind::EnableChanged { workflow: name.clone(), enabled, by, why });
        Ok(Reply::Done)
    }

    pub(super) fn reset_workflow(&mut self, name: &WorkflowName) -> Result<Reply, Rejected> {
        self.state.workflow(name).ok_or_else(|| Rejected::no_workflow(name))?;
        self.reset(name, self.by.clone());
        Ok(Reply::Reset { workflows: 1 })
    }

    /// As many as one entry has room for at once, the others by the ticks that follow.
    pub(super) fn reset_all(&mut self) -> Result<Reply, Rejected> {
        let n = self.state.workflows.values().filter(|workflow| workflow.removed.is_none()).count();
        let by = self.by.clone();
        self.reset_those_after(PendingReset { after: None, by });
        Ok(Reply::Reset { workflows: n as u32 })
    }

    /// What is left of a reset of all workflows.
    pub(super) fn continue_reset(&mut self) {
        let pending = self.state.cluster.pending_reset.clone();
        if let Some(reset) = pending.filter(|_| !self.is_full()) {
            self.reset_those_after(reset);
        }
    }

    fn reset_those_after(&mut self, mut reset: PendingReset) {
        let is_next = |workflow: &&Workflow| workflow.removed.is_none() && Some(&workflow.name) > reset.after.as_ref();
        let names: Vec<_> = self.state.workflows.values().filter(is_next).map(|w| w.name.clone()).collect();
        for name in names {
            if self.is_full() {
                return self.emit(EventKind::ResetMoved { reset: Some(reset) });
            }
            self.reset(&name, reset.by.clone());
            reset.after = Some(name);
        }
        if self.state.cluster.pending_reset.is_some() {
            self.emit(EventKind::ResetMoved { reset: None });
        }
    }

    /// What has come about and was not used counts no more, of all workflows; what is left is continued by the next
    /// tick. A new rule holds from now on: it resets nothing for the times before it.
    pub(super) fn reset_daily(&mut self) {
        let settings = self.settings;
        let Some(rule) = &settings.daily_reset else {
            return self.emit(EventKind::DailyResetMoved { reset: None });
        };
        let moved = DailyReset { cron: rule.cron.clone(), up_to: self.wall };
        if self.state.cluster.daily_reset.as_ref().is_some_and(|known| known.cron == rule.cron) {
            let latched = self.state.latches.keys().map(|(name, _)| name);
            // A fire that waits for a place only, and not for others, stays.
            let waiting = self.state.derived.pending_fires.keys().filter(|name| self.state.waits_for_others(name));
            let names: BTreeSet<WorkflowName> = latched.chain(waiting).cloned().collect();
            for name in names {
                if self.is_full() {
                    return;
                }
                self.reset(&name, self.by.clone());
            }
        }
        self.emit(EventKind::DailyResetMoved { reset: Some(moved) });
    }

    /// Readiness begins anew: latches unset, pending fires dropped, times up to now seen to.
    fn reset(&mut self, name: &WorkflowName, by: Principal) {
        self.skip_pending(name);
        self.emit(EventKind::WorkflowReset { workflow: name.clone(), by });
    }

    pub(super) fn skip_pending(&mut self, name: &WorkflowName) {
        let pending: Vec<_> = self.state.pending_fires(name).cloned().collect();
        for key in pending {
            let state = FireState::Skipped { reason: FireSkip::Operator, at: self.at };
            self.emit(EventKind::FireSettled { key, state });
        }
    }

    pub(super) fn delete_workflow(&mut self, name: &WorkflowName) -> Result<Reply, Rejected> {
        let workflow = self.state.workflow(name).ok_or_else(|| Rejected::no_workflow(name))?;
        if let Some(refusal) = self.state.deletion_obstacle(name) {
            return Err(refusal);
        }
        let origin = workflow.origin.clone();
        self.remove_workflow(name);
        // The file stays where it is; it is not loaded again before it changes.
        let file = origin.and_then(|origin| self.state.files.get(&(origin.source, origin.path)).cloned());
        if let Some(file) = file {
            self.emit(EventKind::FileRecorded {
                source: file.source,
                path: file.path,
                content: file.content,
                workflow: file.workflow,
                state: FileState::Dismissed,
                diagnostics: file.diagnostics,
            });
        }
        Ok(Reply::Done)
    }

    pub(super) fn remove_workflow(&mut self, name: &WorkflowName) {
        self.skip_pending(name);
        let by = self.by.clone();
        self.emit(EventKind::WorkflowRemoved { workflow: name.clone(), by });
    }
}

impl State {
    /// Why a workflow cannot be deleted now.
    pub fn deletion_obstacle(&self, name: &WorkflowName) -> Option<Rejected> {
        if let Some(live) = self.derived.live_instances.get(name).and_then(|live| live.first()) {
            return Some(Rejected::conflict_hint(
                say!("instance #{} of workflow {} is not finished", live, name),
                say!("wait for it or `ractorflow instance kill {}`", live),
            ));
        }
        let dependant = self.derived.dependants.get(name).and_then(|who| who.iter().find(|who| *who != name));
        dependant.map(|dependant| {
            Rejected::conflict_hint(
                say!("workflow {} depends on {}", dependant, name),
                say!("delete {} first or change its depend-list", dependant),
            )
        })
    }

    /// The files that kept versions name, with their lengths.
    pub fn attached_files(&self) -> BTreeMap<ContentHash, u64> {
        self.derived.attached.iter().map(|(hash, (_, bytes))| (hash.clone(), *bytes)).collect()
    }

    pub fn pending_fires(&self, name: &WorkflowName) -> impl Iterator<Item = &crate::model::trigger::FireKey> {
        self.derived.pending_fires.get(name).into_iter().flatten().map(|(_, key)| key)
    }

    /// The files that define this workflow, or last did.
    pub fn files_of(&self, name: &WorkflowName) -> impl Iterator<Item = &super::state::SourceFile> {
        self.derived.files.get(name).into_iter().flatten().filter_map(|key| self.files.get(key))
    }

    /// Has it prerequisites?
    pub fn waits_for_others(&self, name: &WorkflowName) -> bool {
        let coordinator = self.current_version(name).and_then(|version| version.definition().coordinator.as_ref());
        coordinator.is_some_and(|coordinator| !coordinator.prerequisites.is_empty())
    }

    /// Workflows that name this one as a prerequisite.
    pub fn dependants(&self, name: &WorkflowName) -> impl Iterator<Item = &WorkflowName> {
        self.derived.dependants.get(name).into_iter().flatten()
    }
}

/// What the engine relies on, whoever parsed the definition.
/// When the daily reset has something to do; the beginning of time: its rule is another one now.
pub(super) fn reset_due(state: &State, settings: &Settings) -> Option<Timestamp> {
    match (&settings.daily_reset, &state.cluster.daily_reset) {
        (None, None) => None,
        (Some(rule), Some(known)) if rule.cron == known.cron => {
            next_fire(&rule.trigger, &state.cluster.zone, known.up_to)
        }
        (_, _) => Some(Timestamp(0)),
    }
}

fn check(bundle: &Bundle) -> Result<(), Rejected> {
    let definition = &bundle.definition;
    let n = definition.nodes.len();
    let invalid = |what: Message| Err(Rejected::DefinitionInvalid(say!("{}: {}", definition.name, what)));
    if n == 0 || n > crate::model::definition::NODES_MAX {
        return invalid(say!("a definition has 1 to {} nodes", crate::model::definition::NODES_MAX));
    }
    if definition.start.at() >= n || definition.edges.iter().any(|e| e.from.at() >= n || e.to.at() >= n) {
        return invalid(say!("an edge points nowhere"));
    }
    if definition.instance_limit == 0 {
        return invalid(say!("instance-limit must be at least 1"));
    }
    let mut waits: Vec<u32> = vec![0; n];
    definition.edges.iter().for_each(|edge| waits[edge.to.at()] += 1);
    let graph = super::state::Graph::of(definition);
    let mut free: Vec<usize> = (0..n).filter(|at| waits[*at] == 0).collect();
    let mut n_seen = 0;
    while let Some(at) = free.pop() {
        n_seen += 1;
        for edge in &graph.out[at] {
            let to = definition.edges[edge.at()].to.at();
            waits[to] -= 1;
            if waits[to] == 0 {
                free.push(to);
            }
        }
    }
    if n_seen == n { Ok(()) } else { invalid(say!("its edges form a cycle")) }
}
