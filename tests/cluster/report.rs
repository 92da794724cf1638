//! What a run has shown: figures, and what is broken.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::checker::{self, Broken};
use crate::course::{Calm, Round};
use crate::history::{Gap, History, Life, MS, Nanos, Record, Told, What};
use crate::scenario;

pub struct Report {
    pub history: History,
    pub rounds: Vec<Round>,
    pub calms: Vec<Calm>,
    pub broken: Vec<Broken>,
    pub seed: u64,
    pub binaries: String,
    pub load: (f64, f64),
}

impl Report {
    /// `is_strict`: the times that the design allows are checked too, not only that it goes on.
    pub fn of(mut history: History, rounds: Vec<Round>, calms: Vec<Calm>, is_strict: bool) -> Self {
        let counted = rounds.iter().filter(|round| round.excluded.is_none() && round.is_take_over);
        history.gaps = counted.map(|round| gap(&history, round, is_strict)).collect();
        let mut broken = checker::check(&history);
        for round in rounds.iter().filter(|round| !round.is_take_over && scenario::is_take_over(round.scenario)) {
            let what = format!("{}: {}", round.scenario, round.what);
            broken.push(Broken { invariant: "I20 it goes on in time", what });
        }
        for calm in &calms {
            let elections = elections(&history, calm);
            if elections > 0 {
                let what = format!("{}: {elections} needless elections: {}", calm.scenario, calm.what);
                broken.push(Broken { invariant: "no needless election", what });
            }
        }
        Self { history, rounds, calms, broken, seed: 0, binaries: String::new(), load: (0.0, 0.0) }
    }

    fn times(&self, scenario: &str, of: fn(&Gap) -> Option<Nanos>) -> Vec<u64> {
        let gaps = self.history.gaps.iter().filter(|gap| gap.scenario == scenario);
        let mut times: Vec<u64> = gaps.filter_map(of).map(|took| took / MS).collect();
        times.sort_unstable();
        times
    }

    fn broken_of(&self, invariants: &[&str]) -> usize {
        let is_of = |broken: &&Broken| invariants.iter().any(|word| broken.invariant.split(' ').next() == Some(word));
        self.broken.iter().filter(is_of).count()
    }

    /// Who led, in order: `epoch term node from-event`.
    fn leaders(&self) -> Vec<String> {
        let of = |record: &Record| match record.what {
            What::TakeOver { node } => {
                Some(format!("epoch {} term {} m{node} after event {}", record.epoch, record.term, record.seq))
            }
            _ => None,
        };
        self.history.records.iter().filter_map(of).collect()
    }

    pub fn json(&self) -> Value {
        let mut scenarios = BTreeMap::new();
        for round in &self.rounds {
            let name = round.scenario;
            scenarios.entry(name).or_insert_with(|| {
                let rounds: Vec<_> = self.rounds.iter().filter(|round| round.scenario == name).collect();
                let counted: Vec<_> = rounds.iter().filter(|round| round.excluded.is_none()).collect();
                let excluded: Vec<_> = rounds.iter().filter_map(|round| round.excluded.as_ref()).collect();
                json!({
                    "counted": counted.len(),
                    "excluded": excluded,
                    "next_commit_ms": quantiles(&self.times(name, |gap| gap.commit)),
                    "next_task_ms": quantiles(&self.times(name, |gap| gap.start)),
                    "tasks_running_at_fault": counted.iter().map(|round| round.running).sum::<usize>(),
                })
            });
        }
        let of = |told: fn(&Told) -> bool| self.history.ops.iter().filter(|op| told(&op.outcome)).count();
        let calms: Vec<_> = self
            .calms
            .iter()
            .map(|calm| {
                let elections = elections(&self.history, calm);
                json!({"scenario": calm.scenario, "what": calm.what, "seconds": calm.seconds, "elections": elections})
            })
            .collect();
        json!({
            "seed": self.seed,
            "binaries": self.binaries,
            "load_average": {"begin": self.load.0, "end": self.load.1},
            "scenarios": scenarios,
            "writes": {
                "acknowledged": of(|told| matches!(told, Told::Ok { .. })),
                "refused": of(|told| matches!(told, Told::Failed { .. })),
                "unknown": of(|told| matches!(told, Told::Unknown { .. })),
                "lost": self.broken_of(&["I4"]),
            },
            "tasks": {
                "started": self.history.lives.iter().filter(|life: &&Life| !life.is_child).count(),
                "rerun": checker::lost(&self.history).count(),
                "doubled": self.broken_of(&["I1"]),
            },
            "take_overs": self.history.records.iter().filter(|record| matches!(record.what, What::TakeOver { .. })).count(),
            "calm": calms,
            "needless_elections": self.calms.iter().map(|calm| elections(&self.history, calm)).sum::<usize>(),
            "leaders": self.leaders(),
            "broken": self.broken.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    }

    pub fn print(&self) {
        let figures = self.json();
        println!("seed {}, {}, load average {:.1} to {:.1}", self.seed, self.binaries, self.load.0, self.load.1);
        for (name, one) in figures["scenarios"].as_object().into_iter().flatten() {
            println!("{name}: {} rounds counted", one["counted"]);
            for why in one["excluded"].as_array().into_iter().flatten() {
                println!("  excluded: {}", why.as_str().unwrap_or_default());
            }
            for (key, what) in [("next_commit_ms", "next commit"), ("next_task_ms", "next task")] {
                if one[key]["n"] != 0 {
                    let of = |key2: &str| one[key][key2].to_string();
                    println!(
                        "  {what} after {} ms median, {} ms p99, {} ms at most",
                        of("median"),
                        of("p99"),
                        of("max")
                    );
                }
            }
        }
        for calm in figures["calm"].as_array().into_iter().flatten() {
            let what = calm["what"].as_str().unwrap_or_default();
            println!(
                "{}: {what}, {} s: {} elections",
                calm["scenario"].as_str().unwrap_or_default(),
                calm["seconds"],
                calm["elections"]
            );
        }
        let (writes, tasks) = (&figures["writes"], &figures["tasks"]);
        println!(
            "{} writes acknowledged, {} refused, {} unknown, {} lost; {} tasks, {} re-run, {} doubled; {} take-overs, {} needless",
            writes["acknowledged"],
            writes["refused"],
            writes["unknown"],
            writes["lost"],
            tasks["started"],
            tasks["rerun"],
            tasks["doubled"],
            figures["take_overs"],
            figures["needless_elections"],
        );
        let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
        for broken in &self.broken {
            let count = shown.entry(broken.invariant).or_default();
            *count += 1;
            if *count <= 10 {
                println!("BROKEN {broken}");
            }
        }
        shown
            .iter()
            .filter(|(_, count)| **count > 10)
            .for_each(|(invariant, count)| println!("BROKEN {invariant}: {count} in all"));
    }
}

fn gap(history: &History, round: &Round, is_strict: bool) -> Gap {
    let epoch = round.epoch;
    // The first event of a later leadership; what is acknowledged from there on was committed by it.
    let later =
        history.records.iter().find(|record| record.epoch > epoch && !matches!(record.what, What::TakeOver { .. }));
    let commit = later.and_then(|later| {
        let acknowledged = history.ops.iter().filter_map(|op| match &op.outcome {
            Told::Ok { at, seq, .. } if *at > round.fault && *seq >= later.seq => Some(*at),
            _ => None,
        });
        acknowledged.min()
    });
    let started = history.lives.iter().filter(|life| !life.is_child && life.epoch > epoch && life.start > round.fault);
    let since = |at: Nanos| at - round.fault;
    let (commit_max, start_max) = if is_strict { scenario::bounds(round.scenario) } else { scenario::bounds("") };
    Gap {
        scenario: round.scenario,
        fault: round.fault,
        commit: commit.map(since),
        start: started.map(|life| life.start).min().map(since),
        commit_max: commit_max * MS,
        start_max: start_max * MS,
    }
}

/// Take-overs while nothing called for one.
fn elections(history: &History, calm: &Calm) -> usize {
    let during = history.records.iter().filter(|record| record.seq >= calm.from_seq && record.seq < calm.to_seq);
    during.filter(|record| matches!(record.what, What::TakeOver { .. })).count()
}

fn quantiles(sorted: &[u64]) -> Value {
    let at = |share: usize| sorted.get((sorted.len() * share).div_ceil(100).saturating_sub(1)).copied();
    json!({"n": sorted.len(), "median": at(50), "p99": at(99), "max": sorted.last()})
}
