//! The figures of a run.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Broken;
use crate::world::{Counts, World};

/// Least instances and nodes of the median seed.
const INSTANCES_MIN: u64 = 20;
const NODES_MIN: u64 = 8 * INSTANCES_MIN;

/// What one seed came to.
#[derive(Debug, Clone)]
pub struct Sample {
    counts: Counts,
    instances: u64,
    nodes: u64,
    reruns: u64,
    losses: u64,
    given_up: u64,
    stale: u64,
    mails: [u64; 4],
}

impl Sample {
    pub fn of(world: &World) -> Self {
        Self {
            counts: world.counts.clone(),
            instances: world.ledger.instances,
            nodes: world.ledger.nodes,
            reruns: world.ledger.reruns,
            losses: world.ledger.losses,
            given_up: world.ledger.given_up,
            stale: world.ledger.stale,
            mails: [world.post.owed, world.post.sent, world.post.again, world.post.refused],
        }
    }
}

/// A class of what happened: its name, its sum, the value of the median seed.
struct Row {
    name: &'static str,
    sum: u64,
    median: u64,
}

pub struct Report {
    rows: Vec<Row>,
    seeds: usize,
    failed: usize,
    milliseconds: i64,
    elapsed: Duration,
}

type Figure = (&'static str, fn(&Sample) -> u64);

const FIGURES: &[Figure] = &[
    ("instances", |s| s.instances),
    ("nodes", |s| s.nodes),
    ("takeovers", |s| s.counts.takeovers),
    ("worker_losses", |s| s.counts.machine_losses + s.counts.daemon_crashes),
    ("machine_losses", |s| s.counts.machine_losses),
    ("daemon_crashes", |s| s.counts.daemon_crashes),
    ("attempts_lost", |s| s.losses),
    ("stale_results", |s| s.stale),
    ("old_entries_skipped", |s| s.counts.skipped_entries),
    ("drops", |s| s.counts.drops),
    ("duplicates", |s| s.counts.duplicates),
    ("reorders", |s| s.counts.reorders),
    ("stopped_daemons", |s| s.counts.stops),
    ("engines_made_anew", |s| s.counts.remakes),
    ("leases_ended", |s| s.counts.leases_ended),
    ("endless_tasks", |s| s.counts.endless),
    ("late_starts", |s| s.counts.late_starts),
    ("given_up_by_lease", |s| s.given_up),
    ("kills", |s| s.counts.kills),
    ("reruns", |s| s.reruns),
    ("mails_owed", |s| s.mails[0]),
    ("mails_sent", |s| s.mails[1]),
    ("mails_sent_again", |s| s.mails[2]),
    ("mails_delayed", |s| s.mails[3]),
    ("steps", |s| s.counts.steps),
];

impl Report {
    pub fn of(samples: &[Sample], failed: usize, elapsed: Duration) -> Self {
        let rows = FIGURES
            .iter()
            .map(|(name, figure)| {
                let mut values: Vec<u64> = samples.iter().map(figure).collect();
                values.sort_unstable();
                let median = values.get(values.len() / 2).copied().unwrap_or(0);
                Row { name, sum: values.iter().sum(), median }
            })
            .collect();
        let milliseconds = samples.iter().map(|sample| sample.counts.milliseconds).sum();
        Self { rows, seeds: samples.len(), failed, milliseconds, elapsed }
    }

    /// Classes that did not happen at all, and a median seed that is too small to say anything.
    pub fn missing(&self) -> Vec<String> {
        let mut missing: Vec<String> =
            self.rows.iter().filter(|row| row.sum == 0).map(|row| format!("no {}", row.name)).collect();
        for (name, min) in [("instances", INSTANCES_MIN), ("nodes", NODES_MIN)] {
            if let Some(row) = self.rows.iter().find(|row| row.name == name && row.median < min) {
                missing.push(format!("the median seed has {} {name}, fewer than {min}", row.median));
            }
        }
        missing
    }

    fn hours(&self) -> i64 {
        self.milliseconds / 3_600_000
    }

    pub fn json(&self, failures: &[(u64, Broken)], missing: &[String]) -> Value {
        let mut report = json!({
            "seeds": self.seeds + self.failed,
            "failed": self.failed,
            "simulated_hours": self.hours(),
            "seconds": self.elapsed.as_secs_f64(),
        });
        for row in &self.rows {
            report[row.name] = json!(row.sum);
        }
        report["median"] = self.rows.iter().map(|row| (row.name.to_owned(), json!(row.median))).collect();
        report["failures"] = failures
            .iter()
            .take(20)
            .map(|(seed, broken)| json!({"seed": seed, "invariant": broken.invariant, "what": broken.what}))
            .collect();
        report["missing"] = json!(missing);
        report
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} seeds, {} simulated hours", self.seeds + self.failed, self.hours())?;
        for row in &self.rows {
            write!(f, ", {} {}", row.sum, row.name.replace('_', " "))?;
        }
        Ok(())
    }
}
