//! The log itself: one writer at a time, the same on every voter, and going on after a fault.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{History, MS, Replica, Told, What};

/// Positions rise, epochs go up by one, a term has one leader.
pub fn one_writer(history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    let mut leaders: BTreeMap<u64, u64> = BTreeMap::new();
    for pair in history.records.windows(2) {
        let (before, after) = (&pair[0], &pair[1]);
        let at = format!("event {} of term {}, epoch {}", after.seq, after.term, after.epoch);
        let is_take_over = matches!(after.what, What::TakeOver { .. });
        if after.term < before.term || after.epoch < before.epoch {
            broken.push(format!("{at} comes after one of term {}, epoch {}", before.term, before.epoch));
        }
        if after.index < before.index || after.seq < before.seq || after.seq == before.seq && !is_take_over {
            broken.push(format!("{at} does not come after event {}", before.seq));
        }
        if is_take_over && after.epoch != before.epoch + 1 || !is_take_over && after.epoch != before.epoch {
            broken.push(format!("{at} follows epoch {}", before.epoch));
        }
    }
    for record in &history.records {
        let What::TakeOver { node } = record.what else { continue };
        if let Some(other) = leaders.insert(record.term, node).filter(|other| *other != node) {
            broken.push(format!("term {} was led by m{other} and m{node}", record.term));
        }
    }
    broken
}

/// What two voters both take for committed is the same, and most voters have all that was acknowledged.
pub fn prefixes(history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    for (n, one) in history.replicas.iter().enumerate() {
        for other in &history.replicas[n + 1..] {
            let common = one.committed.min(other.committed);
            let differ = |index: &u64| one.entries.get(index) != other.entries.get(index);
            let indexes: BTreeSet<u64> = one.entries.keys().chain(other.entries.keys()).copied().collect();
            if let Some(index) = indexes.range(..=common).find(|index| differ(index)) {
                broken.push(format!("{} and {} differ at committed entry {index}", one.node, other.node));
            }
        }
    }
    let newest = history.ops.iter().filter_map(|op| match op.outcome {
        Told::Ok { seq, .. } => Some(seq),
        Told::Failed { .. } | Told::Unknown { .. } => None,
    });
    let newest = newest.max().unwrap_or(0);
    let needed = history.records.iter().filter(|record| record.seq <= newest).map(|record| record.index).max();
    let lacks = |replica: &&Replica| replica.entries.keys().next_back().copied() < needed;
    let lacking: Vec<&str> = history.replicas.iter().filter(lacks).map(|replica| replica.node.as_str()).collect();
    if lacking.len() * 2 >= history.replicas.len() {
        let needed = needed.unwrap_or(0);
        broken.push(format!("most voters must have what was acknowledged, entry {needed}; {lacking:?} have not"));
    }
    for replica in &history.replicas {
        if let Some(why) = &replica.diverged {
            broken.push(format!("{} found an event that cannot be: {why}", replica.node));
        }
    }
    broken
}

/// The next commit and the next task come, and not too late.
pub fn goes_on(history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    for gap in &history.gaps {
        for (what, took, max) in [("commit", gap.commit, gap.commit_max), ("task", gap.start, gap.start_max)] {
            match took {
                None => broken.push(format!("{}: no {what} came after the fault at {}", gap.scenario, gap.fault)),
                Some(took) if took > max => {
                    let (took, max) = (took / MS, max / MS);
                    broken.push(format!("{}: the next {what} came after {took} ms, at most {max} ms", gap.scenario));
                }
                Some(_) => {}
            }
        }
    }
    broken
}
