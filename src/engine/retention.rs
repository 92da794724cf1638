//! What leaves the memory or the store by age, in small batches.

use super::engine::Step;
use super::event::EventKind;
use super::request::REQUESTS_MAX;
use super::state::Due;

/// Rows of one batch.
const BATCH: usize = 64;

impl Step<'_> {
    /// Everything of this kind that is due, up to a batch.
    pub(super) fn tidy(&mut self) {
        let (mut instances, mut fires, mut chunks, mut requests, mut facts) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (at, due) in self.state.derived.deadlines.iter().take(BATCH) {
            if *at > self.at {
                break;
            }
            match due {
                Due::RestInstance(number) => instances.push(*number),
                Due::RestFire(key) => fires.push(key.clone()),
                Due::TrimChunk(hash) => chunks.push(hash.clone()),
                Due::TrimRequest(by, key) => requests.push((by.clone(), key.clone())),
                Due::TrimFact(subject, date) => facts.push((subject.clone(), *date)),
                Due::Retry(_) | Due::NodeTimeout(_) | Due::FileGone(_, _) => {}
            }
        }
        if !instances.is_empty() || !fires.is_empty() {
            self.emit(EventKind::Rested { instances, fires });
        }
        if !chunks.is_empty() {
            self.emit(EventKind::ChunksTrimmed { hashes: chunks });
        }
        if !requests.is_empty() {
            self.emit(EventKind::RequestsTrimmed { requests });
        }
        if !facts.is_empty() {
            self.emit(EventKind::Trimmed { instances: Vec::new(), fires: Vec::new(), facts });
        }
    }

    /// Keeps the remembered requests of one principal within their bound, oldest first.
    pub(super) fn bound_requests(&mut self, by: &crate::model::id::Principal) {
        if self.state.derived.requests.get(by).copied().unwrap_or(0) < REQUESTS_MAX {
            return;
        }
        let requests: Vec<_> = self
            .state
            .derived
            .deadlines
            .iter()
            .filter_map(|(_, due)| match due {
                Due::TrimRequest(who, key) if who == by => Some((who.clone(), key.clone())),
                _ => None,
            })
            .take(BATCH)
            .collect();
        self.emit(EventKind::RequestsTrimmed { requests });
    }
}
