//! What happened, in order, from any recent point on.

use std::collections::VecDeque;

use tokio::sync::watch;

use crate::engine::LogRecord;
use crate::engine::event::Event;
use crate::model::id::Seq;

use super::{Replica, lock};

/// Entries fetched at once.
const FETCH_MAX: usize = 64;

/// One event with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    pub seq: Seq,
    pub event: Event,
}

/// The events asked for are gone from memory: load the view again and go on from its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read events that are no longer kept; load the view again")]
pub struct Reset;

/// Reads at its own pace; one that is too slow gets `Reset`, it holds nobody up.
pub struct Subscription {
    replica: Replica,
    seq: Seq,
    applied: watch::Receiver<Seq>,
    waiting: VecDeque<Happened>,
}

impl Subscription {
    pub(super) fn new(replica: Replica, seq: Seq) -> Result<Self, Reset> {
        let applied = replica.watch_seq();
        lock(&replica.shared.ring).after(seq, 0).ok_or(Reset)?;
        Ok(Self { replica, seq, applied, waiting: VecDeque::new() })
    }

    /// The next event; waits for it. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Happened, Reset> {
        loop {
            self.applied.mark_unchanged();
            if let Some(happened) = self.next_now()? {
                return Ok(happened);
            }
            if self.applied.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// The next event, if it has happened. For who waits no longer: a timer takes a millisecond even when it is due.
    pub fn next_now(&mut self) -> Result<Option<Happened>, Reset> {
        if self.waiting.is_empty() {
            self.fetch()?;
        }
        let happened = self.waiting.pop_front();
        if let Some(happened) = &happened {
            self.seq = happened.seq;
        }
        Ok(happened)
    }

    fn fetch(&mut self) -> Result<(), Reset> {
        let found = lock(&self.replica.shared.ring).after(self.seq, FETCH_MAX).ok_or(Reset)?;
        for (base, record) in found {
            let LogRecord::Events(entry) = &*record else { continue };
            let numbered = (base.0 + 1..).map(Seq).zip(&entry.events);
            let new = numbered.filter(|(seq, _)| *seq > self.seq);
            self.waiting.extend(new.map(|(seq, event)| Happened { seq, event: event.clone() }));
        }
        Ok(())
    }
}
