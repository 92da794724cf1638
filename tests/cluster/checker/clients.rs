//! What clients were told, held against what the log says and what can be read.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Asked, History, MS, Op, Told, What};

/// Where the effect of each key is in the log.
fn effects(history: &History) -> BTreeMap<&str, Vec<u64>> {
    let mut effects: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for record in &history.records {
        match &record.what {
            What::Answered { key } | What::Created { key: Some(key), .. } => {
                effects.entry(key).or_default().push(record.seq);
            }
            _ => {}
        }
    }
    effects
}

/// Everything acknowledged is in the log, was there when it was acknowledged, and shows in what is read at the end.
pub fn nothing_lost(history: &History) -> Vec<String> {
    let effects = effects(history);
    let mut broken = Vec::new();
    // What a switch may show at the end: its last acknowledged position, or one whose outcome is open since.
    let mut positions: BTreeMap<&str, BTreeSet<bool>> = BTreeMap::new();
    for op in &history.ops {
        if let Told::Ok { seq, instances, .. } = &op.outcome {
            match effects.get(op.key.as_str()).and_then(|seqs| seqs.first()) {
                None => broken.push(format!("{} was acknowledged and is not in the log", told(op))),
                Some(effect) if effect > seq => {
                    broken.push(format!("{} was acknowledged at event {seq}, its effect is event {effect}", told(op)));
                }
                Some(_) => {}
            }
            if matches!(op.what, Asked::Run { .. }) && instances.is_empty() {
                broken.push(format!("{} was acknowledged without an instance", told(op)));
            }
        }
        if let Asked::Enable { workflow, on } = &op.what {
            let possible = positions.entry(workflow).or_insert_with(|| BTreeSet::from([true]));
            match op.outcome {
                Told::Ok { .. } => *possible = BTreeSet::from([*on]),
                Told::Unknown { .. } => {
                    possible.insert(*on);
                }
                Told::Failed { .. } => {}
            }
        }
    }
    for (workflow, possible) in positions {
        match history.enabled_at_end.get(workflow) {
            Some(is) if possible.contains(is) => {}
            Some(is) => broken.push(format!("{workflow} is read as enabled={is} at the end, it must be {possible:?}")),
            None => broken.push(format!("{workflow} cannot be read at the end")),
        }
    }
    broken
}

/// Everything in the log was asked for; once; and what was refused has no effect.
pub fn nothing_invented(history: &History) -> Vec<String> {
    let asked: BTreeMap<&str, &Op> = history.ops.iter().map(|op| (op.key.as_str(), op)).collect();
    let mut broken = Vec::new();
    for (key, seqs) in effects(history) {
        match asked.get(key) {
            None => broken.push(format!("nobody asked for what event {} answers ({key})", seqs[0])),
            Some(op) if matches!(op.outcome, Told::Failed { .. }) => {
                broken.push(format!("{} was refused and is event {}", told(op), seqs[0]));
            }
            Some(_) => {}
        }
    }
    // A run is an instance and an answer; each of them once.
    let (mut answers, mut instances) = (BTreeSet::new(), BTreeSet::new());
    for record in &history.records {
        let is_again = match &record.what {
            What::Answered { key } => !answers.insert(key),
            What::Created { key: Some(key), .. } => !instances.insert(key),
            _ => false,
        };
        if is_again {
            broken.push(format!("event {} is the second effect of one request", record.seq));
        }
    }
    let switched = history.ops.iter().filter_map(|op| match &op.what {
        Asked::Enable { workflow, on } => Some((workflow.as_str(), *on)),
        Asked::Run { .. } | Asked::Kill { .. } => None,
    });
    let switched: BTreeSet<(&str, bool)> = switched.collect();
    let mut positions: BTreeMap<&str, bool> = BTreeMap::new();
    for record in &history.records {
        match &record.what {
            What::Created { instance, key: None, .. } => broken.push(format!("#{instance} has no cause")),
            What::Enabled { workflow, on } => {
                if !switched.contains(&(workflow.as_str(), *on)) {
                    broken.push(format!("nobody asked for {workflow} enabled={on} of event {}", record.seq));
                }
                if positions.insert(workflow, *on) == Some(*on) {
                    broken.push(format!("{workflow} became enabled={on} twice in a row, at event {}", record.seq));
                }
            }
            _ => {}
        }
    }
    broken
}

/// After a kill is acknowledged nothing new is sent, and soon no process is left, however it hides.
pub fn kills_are_final(history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    let mut killed = BTreeSet::new();
    for record in &history.records {
        match &record.what {
            What::Stopping { instance, is_kill: true } => {
                killed.insert(*instance);
            }
            What::Dispatched { attempt, .. } if killed.contains(&attempt.instance) => {
                broken.push(format!("{attempt} was sent after its instance was killed"));
            }
            _ => {}
        }
    }
    for op in &history.ops {
        let (Asked::Kill { instance }, Told::Ok { at, .. }) = (&op.what, &op.outcome) else { continue };
        let last = history.lives.iter().filter(|life| life.attempt.instance == *instance).map(|life| life.last).max();
        if let Some(late) = last.and_then(|last| last.checked_sub(at + history.kill_max)).filter(|late| *late > 0) {
            broken.push(format!("a process of #{instance} lived {} ms longer than a kill allows", late / MS));
        }
    }
    broken.extend(history.alive_at_end.iter().map(|pid| format!("process {pid} of a task outlives everything")));
    broken
}

fn told(op: &Op) -> String {
    format!("{:?} ({})", op.what, op.key)
}
