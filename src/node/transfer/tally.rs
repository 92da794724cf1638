//! What has been moved so far, for progress and outputs, and what was refused.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::connector::delimited::Reject;
use crate::model::message::Message;
use crate::say;

use super::super::task::{Failure, Task};

const TOLD_EVERY: Duration = Duration::from_secs(5);
/// Rejects that are told; of the others the number is known.
const REJECTS_SHOWN: usize = 20;

/// Whose bytes are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Of the file that is written, else of the one that is read, else of the values.
    Written,
    Read,
    Values,
}

pub struct Tally {
    began: Instant,
    n_written: AtomicU64,
    counted: Counted,
    n_bytes: AtomicU64,
    n_rejected: AtomicU64,
    max_rejects: u64,
    rejects: Mutex<VecDeque<Reject>>,
}

impl Tally {
    pub fn new(max_rejects: u64, counted: Counted) -> Self {
        Self {
            began: Instant::now(),
            n_written: AtomicU64::new(0),
            counted,
            n_bytes: AtomicU64::new(0),
            n_rejected: AtomicU64::new(0),
            max_rejects,
            rejects: Mutex::default(),
        }
    }

    pub fn takes_rejects(&self) -> bool {
        self.max_rejects > 0
    }

    pub fn wrote(&self, n_rows: u64) {
        self.n_written.fetch_add(n_rows, Ordering::Relaxed);
    }

    /// Rows that are in a table, and the bytes of their values.
    pub fn moved(&self, n_rows: u64, n_bytes: u64) {
        self.wrote(n_rows);
        self.add_bytes(Counted::Values, n_bytes);
    }

    pub fn add_bytes(&self, of: Counted, n: u64) {
        if of == self.counted {
            self.n_bytes.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// Are so many more than may be?
    pub fn is_too_many(&self, n_more: usize) -> bool {
        self.n_rejected.load(Ordering::Relaxed) + n_more as u64 > self.max_rejects
    }

    /// A row that was read and is not written. The first one too many ends the transfer.
    pub fn reject(&self, reject: Reject) -> Result<(), Failure> {
        let n = self.n_rejected.fetch_add(1, Ordering::Relaxed) + 1;
        if n > self.max_rejects {
            let said = said(&reject);
            // It is in the failure itself.
            self.n_rejected.fetch_sub(1, Ordering::Relaxed);
            return Err(Failure::of(match self.max_rejects {
                0 => said,
                max => say!("more than {} rows are rejected (max-rejects); {}", max, said),
            }));
        }
        let mut rejects = self.rejects.lock().unwrap_or_else(PoisonError::into_inner);
        if rejects.len() < REJECTS_SHOWN {
            rejects.push_back(reject);
        }
        Ok(())
    }

    /// A line now and then while it runs.
    pub async fn tell(&self, task: &Task<'_>) -> Result<(), Failure> {
        loop {
            tokio::time::sleep(TOLD_EVERY).await;
            task.log(&self.line());
        }
    }

    fn line(&self) -> Message {
        let n = self.n_written.load(Ordering::Relaxed);
        let seconds = self.began.elapsed().as_secs_f64().max(0.001);
        let per_second = (n as f64 / seconds).round() as u64;
        let mib = self.n_bytes.load(Ordering::Relaxed) as f64 / f64::from(1 << 20);
        say!("{} row{s}, {} rows/s, {} MiB", n, per_second, format!("{mib:.1}"))
    }

    pub fn tell_rejects(&self, task: &Task<'_>) {
        let rejects = std::mem::take(&mut *self.rejects.lock().unwrap_or_else(PoisonError::into_inner));
        let n = self.n_rejected.load(Ordering::Relaxed);
        for reject in &rejects {
            task.warn(&say!("rejected: {}", said(reject)));
        }
        if n > rejects.len() as u64 {
            task.warn(&say!("  and {} more", n - rejects.len() as u64));
        }
    }

    pub fn finish(&self, task: &Task<'_>) {
        task.log(&self.line());
        let get = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let n_rejected = get(&self.n_rejected);
        task.output("read", get(&self.n_written) + n_rejected);
        task.output("written", get(&self.n_written));
        task.output("rejected", n_rejected);
        task.output("bytes", get(&self.n_bytes));
    }
}

fn said(reject: &Reject) -> Message {
    match reject.line {
        Some(line) => say!("row {} (line {}): {}", reject.row, line, reject.message),
        None => say!("row {}: {}", reject.row, reject.message),
    }
}
