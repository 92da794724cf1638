//! What leaves the memory or the store by age, in small batches.

use super::engine::Step;
use super::event::EventKind;
use super::state::Due;

/// Rows of one batch.
const BATCH: usize = 64;

impl Step<'_> {
    /// Everything of this kind that is due, up to a batch.
    pub(super) fn tidy(&mut self) {
        let (mut instances, mut fires, mut chunks, mut facts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (at, due) in self.state.derived.deadlines.iter().take(BATCH) {
            if *at > self.at {
                break;
            }
            match due {
                Due::RestInstance(number) => instances.push(*number),
                Due::RestFire(key) => fires.push(key.clone()),
                Due::TrimChunk(hash) => chunks.push(hash.clone()),
                Due::TrimFact(subject, date) => facts.push((subject.clone(), *date)),
                Due::Retry(_) | Due::NodeTimeout(_) => {}
            }
        }
        if !instances.is_empty() || !fires.is_empty() {
            self.emit(EventKind::Rested { instances, fires });
        }
        if !chunks.is_empty() {
            self.emit(EventKind::ChunksTrimmed { hashes: chunks });
        }
        if !facts.is_empty() {
            self.emit(EventKind::Trimmed { instances: Vec::new(), fires: Vec::new(), facts });
        }
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
