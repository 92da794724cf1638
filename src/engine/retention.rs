//! What leaves the memory or the store by age, in small batches.

use crate::model::id::{InstanceNumber, VersionNumber, WorkflowName};
use crate::model::time::{CivilDate, Timestamp};
use crate::model::trigger::{FireKey, Subject};

use super::command::{Expired, Rejected, Reply};
use super::engine::Step;
use super::event::EventKind;
use super::settings::Settings;
use super::state::{Due, Instance, REST_AFTER, State};

/// Rows of one batch.
const BATCH: usize = 64;
/// Most rows of a kind that one `Command::Trim` takes.
pub const TRIM_MAX: usize = 100;

impl State {
    /// Does anything in memory that may still move stand on this version?
    pub(in crate::engine) fn is_version_needed(&self, name: &WorkflowName, number: VersionNumber) -> bool {
        let is_current = self.workflows.get(name).is_some_and(|workflow| workflow.current == number);
        // Earlier generations too: a rerun looks up what it keeps of the one before.
        let is_of = |head: &Instance| {
            head.workflow == *name && head.generations.iter().any(|generation| generation.version == number)
        };
        is_current || self.instances.values().any(is_of)
    }

    fn n_newer_versions(&self, name: &WorkflowName, number: VersionNumber) -> usize {
        let newer = self.versions.range((name.clone(), number.next())..);
        newer.take_while(|((of, _), _)| of == name).count()
    }
}

/// When the next ended instance goes to rest.
pub(super) fn rest_due(state: &State, settings: &Settings) -> Option<Timestamp> {
    let ended = &state.derived.ended_instances;
    let kept_for = if ended.len() > settings.ended_max { 0 } else { REST_AFTER.0 };
    ended.first().map(|(at, _)| at.plus_ms(kept_for))
}

impl Step<'_> {
    /// Everything of this kind that is due, up to a batch.
    pub(super) fn tidy(&mut self) {
        let (mut fires, mut chunks, mut facts) = (Vec::new(), Vec::new(), Vec::new());
        for (at, due) in self.state.derived.deadlines.iter().take(BATCH) {
            if *at > self.at {
                break;
            }
            match due {
                Due::RestFire(key) => fires.push(key.clone()),
                Due::TrimChunk(hash) => chunks.push(hash.clone()),
                Due::TrimFact(subject, date) => facts.push((subject.clone(), *date)),
                Due::Retry(_) | Due::NodeTimeout(_) | Due::CloseMail(_) => {}
            }
        }
        if !fires.is_empty() {
            self.emit(EventKind::Rested { instances: Vec::new(), fires });
        }
        if !chunks.is_empty() {
            self.emit(EventKind::ChunksTrimmed { hashes: chunks });
        }
        if !facts.is_empty() {
            self.emit_trimmed(Expired::default(), facts);
        }
    }

    /// Puts the oldest ended instances to rest, up to a batch.
    pub(super) fn rest(&mut self) {
        let ended = &self.state.derived.ended_instances;
        let n_over = ended.len().saturating_sub(self.settings.ended_max);
        let before = self.at.plus_ms(-REST_AFTER.0);
        let is_due = |(n, (at, _)): &(usize, &(_, _))| *n < n_over || *at <= before;
        let due = ended.iter().enumerate().take(BATCH).take_while(is_due);
        let instances: Vec<InstanceNumber> = due.map(|(_, (_, number))| *number).collect();
        if !instances.is_empty() {
            self.emit(EventKind::Rested { instances, fires: Vec::new() });
        }
    }

    /// Lets go of what the store found beyond the bounds, as far as nothing needs it.
    pub(super) fn trim(&mut self, expired: Expired) -> Result<Reply, Rejected> {
        let state = &self.state;
        let is_gone = |number: &InstanceNumber| state.derived.gone_instances.contains_key(number);
        let is_live = |number: &InstanceNumber| state.instances.get(number).is_some_and(|head| !head.is_terminal());
        let keep = self.settings.retention.versions_per_workflow as usize;
        let may_go = |(name, number): &(WorkflowName, VersionNumber)| {
            state.version(name, *number).is_some()
                && state.n_newer_versions(name, *number) >= keep
                && !state.is_version_needed(name, *number)
        };
        let is_settled = |key: &FireKey| state.fires.get(key).is_none_or(|fire| fire.is_resting);
        let Expired { instances, fires, versions } = expired;
        let expired = Expired {
            instances: instances.into_iter().filter(|n| !is_live(n) && !is_gone(n)).take(TRIM_MAX).collect(),
            fires: fires.into_iter().filter(is_settled).take(TRIM_MAX).collect(),
            versions: versions.into_iter().filter(may_go).take(TRIM_MAX).collect(),
        };
        if expired.is_empty() {
            return Ok(Reply::Unchanged);
        }
        let instances = expired.instances.clone();
        self.emit_trimmed(expired, Vec::new());
        Ok(Reply::Trimmed { instances })
    }

    pub(super) fn emit_trimmed(&mut self, expired: Expired, facts: Vec<(Subject, CivilDate)>) {
        let Expired { instances, fires, versions } = expired;
        self.emit(EventKind::Trimmed { instances, fires, facts, versions });
    }

    /// Requests that were remembered for long enough, up to a batch.
    pub(super) fn trim_requests(&mut self) {
        let before = self.at.plus_ms(-self.settings.requests_kept.0);
        let old = self.state.derived.answered.iter().take_while(|(at, _, _)| *at <= before).take(BATCH);
        let requests: Vec<_> = old.map(|(_, by, key)| (by.clone(), key.clone())).collect();
        if !requests.is_empty() {
            self.emit(EventKind::RequestsTrimmed { requests });
        }
    }

    /// Keeps the remembered requests of one principal within their bound, oldest first.
    pub(super) fn bound_requests(&mut self, by: &crate::model::id::Principal) {
        let Some(known) = self.state.derived.requests.get(by) else { return };
        if known.len() < self.settings.requests_max {
            return;
        }
        // A bound that was lowered is reached over several requests.
        let n_over = (known.len() + 1 - self.settings.requests_max).clamp(1, BATCH);
        let requests: Vec<_> = known.iter().take(n_over).map(|(_, key)| (by.clone(), key.clone())).collect();
        self.emit(EventKind::RequestsTrimmed { requests });
    }
}
