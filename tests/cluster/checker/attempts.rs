//! What tasks did, held against what the log says of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Attempt, History, Life, MS, Rules, What};

/// Times are read a moment before they are written.
const READING: u64 = MS;

fn tasks(history: &History) -> impl Iterator<Item = &Life> {
    history.lives.iter().filter(|life| !life.is_child)
}

fn place(attempt: &Attempt) -> (u64, &str) {
    (attempt.instance, attempt.node.as_str())
}

/// Processes of different attempts of a node, children too, never live at once.
pub fn one_live_attempt(history: &History) -> Vec<String> {
    // First start and last sign of each attempt, by node.
    let mut nodes: BTreeMap<(u64, &str), BTreeMap<u32, (u64, u64)>> = BTreeMap::new();
    for life in &history.lives {
        let span = nodes.entry(place(&life.attempt)).or_default().entry(life.attempt.number);
        span.and_modify(|(start, last)| (*start, *last) = ((*start).min(life.start), (*last).max(life.last)))
            .or_insert((life.start, life.last));
    }
    let mut broken = Vec::new();
    for ((instance, node), spans) in nodes {
        let mut spans: Vec<_> = spans.into_iter().map(|(number, (start, last))| (start, last, number)).collect();
        spans.sort_unstable();
        for pair in spans.windows(2) {
            let ((_, last, first), (start, _, second)) = (pair[0], pair[1]);
            if start + READING < last {
                let overlap = (last - start) / MS;
                broken
                    .push(format!("#{instance}/{node}: attempts {first} and {second} lived at once for {overlap} ms"));
            }
        }
    }
    broken
}

/// What starts was sent by the log before, under an epoch that is not later; numbers rise by one.
pub fn no_phantoms(history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    let mut sent: BTreeMap<&Attempt, u64> = BTreeMap::new();
    let mut newest: BTreeMap<(u64, &str), u32> = BTreeMap::new();
    for record in &history.records {
        let What::Dispatched { attempt, .. } = &record.what else { continue };
        sent.insert(attempt, record.epoch);
        let last = newest.insert(place(attempt), attempt.number).unwrap_or(0);
        if attempt.number != last + 1 {
            broken.push(format!("{attempt} was sent after attempt {last}"));
        }
    }
    for life in tasks(history) {
        match sent.get(&life.attempt) {
            None => broken.push(format!("{} started and no log entry sent it", life.attempt)),
            Some(epoch) if life.epoch < *epoch => {
                broken.push(format!("{} carries epoch {}, it was sent in {epoch}", life.attempt, life.epoch));
            }
            Some(_) => {}
        }
    }
    broken
}

/// One way through the states, each step once; what has ended stays so.
pub fn legal_transitions(history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    let (mut created, mut began, mut finished) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut done, mut sent, mut ended) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let say = |broken: &mut Vec<String>, is_wrong: bool, what: String| {
        if is_wrong {
            broken.push(what);
        }
    };
    for record in &history.records {
        match &record.what {
            What::Created { instance, .. } => {
                say(&mut broken, !created.insert(*instance), format!("#{instance} was created twice"))
            }
            What::Began { instance } => {
                say(&mut broken, !created.contains(instance), format!("#{instance} began and was never created"));
                say(&mut broken, !began.insert(*instance), format!("#{instance} began twice"));
            }
            What::Finished { instance, .. } => {
                say(&mut broken, !finished.insert(*instance), format!("#{instance} finished twice"))
            }
            What::Queued { instance, node } => {
                say(&mut broken, finished.contains(instance), format!("#{instance}/{node} was queued after the end"));
            }
            What::Done { instance, node, .. } => {
                say(&mut broken, !done.insert((*instance, node.as_str())), format!("#{instance}/{node} ended twice"));
            }
            What::Dispatched { attempt, .. } => {
                say(&mut broken, !sent.insert(attempt), format!("{attempt} was sent twice"));
                say(
                    &mut broken,
                    done.contains(&place(attempt)),
                    format!("{attempt} was sent after its node had ended"),
                );
                say(
                    &mut broken,
                    finished.contains(&attempt.instance),
                    format!("{attempt} was sent after the end of its instance"),
                );
            }
            What::Ended { attempt, .. } => {
                say(&mut broken, !sent.contains(attempt), format!("{attempt} ended and was never sent"));
                say(&mut broken, !ended.insert(attempt), format!("{attempt} ended twice"));
            }
            What::TakeOver { .. }
            | What::Answered { .. }
            | What::Enabled { .. }
            | What::Stopping { .. }
            | What::Stale { .. } => {}
        }
    }
    broken.extend(history.unfinished.iter().map(|instance| format!("#{instance} never came to an end")));
    broken
}

fn workflows(history: &History) -> BTreeMap<u64, &str> {
    let created = history.records.iter().filter_map(|record| match &record.what {
        What::Created { instance, workflow, .. } => Some((*instance, workflow.as_str())),
        _ => None,
    });
    created.collect()
}

fn rules<'a>(history: &'a History, workflow: Option<&&str>) -> Option<&'a Rules> {
    history.rules.get(*workflow?)
}

/// No task starts before those that it waits for have succeeded.
pub fn dependency_order(history: &History) -> Vec<String> {
    let workflows = workflows(history);
    let mut successes: BTreeMap<(u64, &str), u64> = BTreeMap::new();
    for life in tasks(history).filter(|life| life.exit == Some(0)) {
        successes.insert(place(&life.attempt), life.last);
    }
    let mut broken = Vec::new();
    for life in tasks(history) {
        let Some(rules) = rules(history, workflows.get(&life.attempt.instance)) else { continue };
        for before in rules.before.get(&life.attempt.node).into_iter().flatten() {
            match successes.get(&(life.attempt.instance, before.as_str())) {
                Some(end) if *end <= life.start + READING => {}
                Some(_) => broken.push(format!("{} started before {before} had ended", life.attempt)),
                None => broken.push(format!("{} started and {before} never succeeded", life.attempt)),
            }
        }
    }
    broken
}

/// The log says success where, and only where, the task said so itself; nothing is dropped without a word.
pub fn true_results(history: &History) -> Vec<String> {
    let mut ends = BTreeMap::new();
    let (mut stale, mut stopping) = (BTreeSet::new(), BTreeSet::new());
    for record in &history.records {
        match &record.what {
            What::Ended { attempt, end, exit_code } => {
                ends.insert(attempt, (end.as_str(), *exit_code));
            }
            What::Stale { attempt } => {
                stale.insert(attempt);
            }
            What::Stopping { instance, .. } => {
                stopping.insert(*instance);
            }
            _ => {}
        }
    }
    let mut broken = Vec::new();
    let mut said: BTreeMap<&Attempt, Option<i32>> = BTreeMap::new();
    for life in tasks(history) {
        said.insert(&life.attempt, life.exit);
        let attempt = &life.attempt;
        let Some(exit) = life.exit else { continue };
        let is_excused = stale.contains(attempt) || stopping.contains(&attempt.instance);
        match ends.get(attempt) {
            Some(("succeeded", _)) if exit == 0 => {}
            Some(("failed", code)) if exit != 0 && *code == Some(exit) => {}
            _ if is_excused && exit != 0 => {}
            Some((end, _)) if is_excused && *end != "succeeded" => {}
            None if is_excused => {}
            Some((end, code)) => broken.push(format!("{attempt} exited with {exit}, the log says {end} ({code:?})")),
            None => broken.push(format!("{attempt} exited with {exit}, the log never heard of it")),
        }
    }
    for (attempt, (end, _)) in ends {
        if end == "succeeded" && !matches!(said.get(attempt), Some(Some(0))) {
            broken.push(format!("the log says that {attempt} succeeded, the task does not"));
        }
    }
    broken
}

/// No more attempts than retries and losses allow; where a second start is forbidden there is none.
pub fn policy_bounds(history: &History) -> Vec<String> {
    let workflows = workflows(history);
    let mut sent: BTreeMap<(u64, &str), usize> = BTreeMap::new();
    for record in &history.records {
        if let What::Dispatched { attempt, .. } = &record.what {
            *sent.entry(place(attempt)).or_default() += 1;
        }
    }
    let mut started: BTreeMap<(u64, &str), usize> = BTreeMap::new();
    tasks(history).for_each(|life| *started.entry(place(&life.attempt)).or_default() += 1);
    let mut broken = Vec::new();
    for ((instance, node), count) in sent {
        let Some(rules) = rules(history, workflows.get(&instance)) else { continue };
        if let Some(max) = rules.attempts_max.get(node).filter(|max| count > **max) {
            broken.push(format!("#{instance}/{node} had {count} attempts of {max}"));
        }
    }
    for ((instance, node), count) in started {
        let Some(rules) = rules(history, workflows.get(&instance)) else { continue };
        if count > 1 && rules.once.iter().any(|once| once == node) {
            broken.push(format!("#{instance}/{node} must not start twice and started {count} times"));
        }
    }
    broken
}

/// Live instances of a workflow, and attempts on a worker by the log and by the tasks' own account.
pub fn limits(history: &History) -> Vec<String> {
    let workflows = workflows(history);
    let mut broken = Vec::new();
    let mut instances: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    let mut workers: BTreeMap<&str, BTreeSet<&Attempt>> = BTreeMap::new();
    let mut worker_of: BTreeMap<&Attempt, &str> = BTreeMap::new();
    for record in &history.records {
        match &record.what {
            What::Began { instance } => {
                let Some(workflow) = workflows.get(instance) else { continue };
                let live = instances.entry(workflow).or_default();
                live.insert(*instance);
                let limit = rules(history, Some(workflow)).map(|rules| rules.instance_limit);
                if limit.is_some_and(|limit| live.len() > limit) {
                    broken.push(format!("{workflow} has {} live instances at event {}", live.len(), record.seq));
                }
            }
            What::Finished { instance, .. } => {
                let workflow = workflows.get(instance).copied().unwrap_or_default();
                instances.entry(workflow).or_default().remove(instance);
            }
            What::Dispatched { attempt, worker } => {
                worker_of.insert(attempt, worker);
                let live = workers.entry(worker).or_default();
                live.insert(attempt);
                if history.slots.get(worker).is_some_and(|slots| live.len() > *slots) {
                    broken.push(format!("{worker} has {} attempts at event {}", live.len(), record.seq));
                }
            }
            What::Ended { attempt, .. } => {
                workers.values_mut().for_each(|live| {
                    live.remove(attempt);
                });
            }
            _ => {}
        }
    }
    // Ends before starts of the same moment.
    let mut steps: BTreeMap<&str, Vec<(u64, i32)>> = BTreeMap::new();
    for life in tasks(history) {
        let Some(worker) = worker_of.get(&life.attempt) else { continue };
        steps.entry(worker).or_default().extend([(life.start, 1), (life.last, -1)]);
    }
    for (worker, mut steps) in steps {
        steps.sort_unstable();
        let mut live = 0;
        for (at, step) in steps {
            live += step;
            if history.slots.get(worker).is_some_and(|slots| live > *slots as i32) {
                broken.push(format!("{live} tasks live on {worker} at {at}"));
                break;
            }
        }
    }
    broken
}

/// Losing masters or daemons changes nothing for a task that runs: one start, and nobody gives it up.
pub fn adoption(history: &History) -> Vec<String> {
    let mut starts: BTreeMap<&Attempt, u32> = BTreeMap::new();
    tasks(history).for_each(|life| *starts.entry(&life.attempt).or_default() += 1);
    let twice = starts.iter().filter(|(_, count)| **count > 1);
    let mut broken: Vec<String> =
        twice.map(|(attempt, count)| format!("{attempt} was started {count} times")).collect();
    if !history.may_lose_attempts {
        broken.extend(lost(history).map(|attempt| format!("{attempt} was given up as lost")));
    }
    broken
}

/// Attempts that the log gave up although their task had begun. One that was sent and never arrived may be given up.
pub fn lost(history: &History) -> impl Iterator<Item = &Attempt> {
    let begun: BTreeSet<&Attempt> = tasks(history).map(|life| &life.attempt).collect();
    history.records.iter().filter_map(move |record| match &record.what {
        What::Ended { attempt, end, .. } if end == "lost" && begun.contains(attempt) => Some(attempt),
        _ => None,
    })
}
