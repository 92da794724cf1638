//! The newest events in memory, for streams.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::engine::LogRecord;
use crate::engine::event::EventKind;
use crate::model::id::Seq;

/// Definitions travel through the log; their chunks must not fill the memory.
const CHUNK_BYTES_KEPT: usize = 16 << 20;

/// Applied entries, newest last; the events of each follow `base` without a gap.
pub struct Ring {
    entries: VecDeque<Kept>,
    /// Every event after this one is here.
    base: Seq,
    events: usize,
    events_kept: usize,
    chunk_bytes: usize,
}

struct Kept {
    base: Seq,
    record: Arc<LogRecord>,
    events: usize,
    chunk_bytes: usize,
}

impl Ring {
    pub fn new(base: Seq, events_kept: usize) -> Self {
        Self { entries: VecDeque::new(), base, events: 0, events_kept, chunk_bytes: 0 }
    }

    /// Forgets everything: the state has jumped to `seq`.
    pub fn reset(&mut self, seq: Seq) {
        *self = Self::new(seq, self.events_kept);
    }

    pub fn push(&mut self, base: Seq, record: Arc<LogRecord>) {
        let LogRecord::Events(entry) = &*record else { return };
        let events = entry.events.len();
        let chunk_bytes = entry.events.iter().map(|event| chunk_bytes(&event.kind)).sum();
        self.events += events;
        self.chunk_bytes += chunk_bytes;
        self.entries.push_back(Kept { base, record, events, chunk_bytes });
        while self.events > self.events_kept || self.chunk_bytes > CHUNK_BYTES_KEPT {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.events -= oldest.events;
            self.chunk_bytes -= oldest.chunk_bytes;
            self.base = Seq(oldest.base.0 + oldest.events as u64);
        }
    }

    /// Entries with events after `seq`, at most `limit` of them, each with the number of the event before its
    /// first; `None` when some of those events are gone.
    pub fn after(&self, seq: Seq, limit: usize) -> Option<Vec<(Seq, Arc<LogRecord>)>> {
        if seq < self.base {
            return None;
        }
        let skip = self.entries.partition_point(|kept| kept.base.0 + kept.events as u64 <= seq.0);
        Some(self.entries.range(skip..).take(limit).map(|kept| (kept.base, kept.record.clone())).collect())
    }
}

fn chunk_bytes(kind: &EventKind) -> usize {
    match kind {
        EventKind::ChunkStored { bytes, .. } => bytes.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Entry;
    use crate::engine::event::Event;
    use crate::model::id::Epoch;
    use crate::model::time::Timestamp;

    fn entry(base: u64, events: usize) -> Arc<LogRecord> {
        let event = Event { at: Timestamp(0), kind: EventKind::ClockJumped { by_ms: 1 } };
        let events = vec![event; events];
        Arc::new(LogRecord::Events(Entry { epoch: Epoch(1), base_seq: Seq(base), feature_level: 1, events }))
    }

    #[test]
    fn a_ring_gives_what_came_after_a_number_and_nothing_when_that_is_gone() {
        let mut ring = Ring::new(Seq(100), 10);
        for n in 0..4 {
            ring.push(Seq(100 + n * 4), entry(100 + n * 4, 4));
        }
        assert_eq!(ring.base, Seq(108));
        assert!(ring.after(Seq(107), 9).is_none());
        let bases = |seq| ring.after(Seq(seq), 9).unwrap().into_iter().map(|(base, _)| base.0).collect::<Vec<_>>();
        assert_eq!(bases(108), [108, 112]);
        assert_eq!(bases(111), [108, 112]);
        assert_eq!(bases(112), [112]);
        assert!(bases(116).is_empty());
    }
}
