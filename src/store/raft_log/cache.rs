//! The newest entries in memory.

use std::collections::VecDeque;

use super::super::types::LogEntry;

const CACHE_BYTES: usize = 16 << 20;
const CACHE_ENTRIES: usize = 8192;

/// A gap-free run of entries that ends with the last one of the log, or is empty.
#[derive(Default)]
pub struct Cache {
    entries: VecDeque<(LogEntry, usize)>,
    bytes: usize,
}

impl Cache {
    /// Adds the newest entry; the oldest ones go when it gets too much.
    pub fn push(&mut self, entry: LogEntry, bytes: usize) {
        if self.entries.back().is_some_and(|(last, _)| last.log_id.index + 1 != entry.log_id.index) {
            self.entries.clear();
            self.bytes = 0;
        }
        self.entries.push_back((entry, bytes));
        self.bytes += bytes;
        while self.entries.len() > 1 && (self.bytes > CACHE_BYTES || self.entries.len() > CACHE_ENTRIES) {
            self.pop_front();
        }
    }

    /// The entries of `start..end`, cut at the limit but never empty; `None` if the first is not here.
    pub fn range(&self, start: u64, end: u64, byte_limit: usize) -> Option<Vec<LogEntry>> {
        let first = self.entries.front()?.0.log_id.index;
        let skip = usize::try_from(start.checked_sub(first)?).ok()?;
        let mut bytes = 0;
        let mut found = Vec::new();
        for (entry, size) in self.entries.range(skip.min(self.entries.len())..) {
            bytes += size;
            if entry.log_id.index >= end || (bytes > byte_limit && !found.is_empty()) {
                break;
            }
            found.push(entry.clone());
        }
        (!found.is_empty()).then_some(found)
    }

    pub fn truncate(&mut self, from: u64) {
        while self.entries.back().is_some_and(|(entry, _)| entry.log_id.index >= from) {
            let (_, bytes) = self.entries.pop_back().expect("just seen");
            self.bytes -= bytes;
        }
    }

    pub fn purge(&mut self, upto: u64) {
        while self.entries.front().is_some_and(|(entry, _)| entry.log_id.index <= upto) {
            self.pop_front();
        }
    }

    fn pop_front(&mut self) {
        if let Some((_, bytes)) = self.entries.pop_front() {
            self.bytes -= bytes;
        }
    }
}
