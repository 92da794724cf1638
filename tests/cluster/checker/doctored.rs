//! A history that is sound, and what must be found when somebody tampers with it: a check that cannot fail checks nothing.

use std::collections::BTreeMap;

use crate::history::{Asked, Attempt, Gap, History, Life, MS, Op, Record, Replica, Rules, Told, What};

use super::{ALL, check};

type Doctor = fn(&mut History);

const DOCTORED: &[(&str, &str, Doctor)] = &[
    ("I1", "a second attempt begins while the first lives", |h| h.lives[2].start = h.lives[1].last - 50 * MS),
    ("I1", "a child outlives the next attempt's start", |h| {
        let child = Life { is_child: true, pid: 99, last: h.lives[2].start + 400 * MS, ..h.lives[1].clone() };
        h.lives.push(child);
    }),
    ("I2", "a task nobody sent", |h| h.lives[0].attempt.number = 7),
    ("I2", "a task of an older epoch than its dispatch", |h| h.lives[2].epoch = 1),
    ("I2", "an attempt number is left out", |h| renumber(h, "b", 2, 3)),
    ("I3", "an event of an old epoch after a take-over", |h| last(h).epoch = 1),
    ("I3", "an event of an old term", |h| last(h).term = 1),
    ("I3", "two events of one number", |h| last(h).seq -= 1),
    ("I3", "an epoch is left out", |h| {
        h.records.iter_mut().filter(|record| record.epoch == 2).for_each(|record| record.epoch = 3);
    }),
    ("I3", "two leaders in a term", |h| h.records.iter_mut().for_each(|record| record.term = 1)),
    ("I4", "an acknowledged change is not in the log", |h| h.records.retain(|record| !is_answer(record, "k-switch"))),
    ("I4", "acknowledged before it was in the log", |h| told(h, "k-run", 1)),
    ("I4", "a later read shows the old value", |h| forget(h.enabled_at_end.insert("switch0".to_owned(), true))),
    ("I4", "what was changed cannot be read", |h| h.enabled_at_end.clear()),
    ("I5", "an instance without a cause", |h| {
        h.records.iter_mut().for_each(|record| {
            if let What::Created { key, .. } = &mut record.what {
                *key = None;
            }
        });
    }),
    ("I5", "an effect nobody asked for", |h| h.ops.retain(|op| op.key != "k-kill")),
    ("I5", "an effect of what was refused", |h| {
        outcome(h, "k-kill", Told::Failed { at: 0, why: "409 wrong-state".to_owned() });
    }),
    ("I5", "a repeated request has two effects", |h| {
        let key = "k-kill".to_owned();
        append(h, What::Answered { key });
    }),
    ("I5", "a switch nobody touched", |h| append(h, What::Enabled { workflow: "switch9".to_owned(), on: false })),
    ("I6", "a node is sent again after its end", |h| {
        let attempt = attempt(1, "a", 2);
        append(h, What::Dispatched { attempt, worker: "w1".to_owned() });
    }),
    ("I6", "an attempt ends twice", |h| {
        let attempt = attempt(1, "a", 1);
        append(h, What::Ended { attempt, end: "failed".to_owned(), exit_code: Some(1) });
    }),
    ("I6", "an instance finishes twice", |h| append(h, What::Finished { instance: 1, end: "failed".to_owned() })),
    ("I6", "an instance never ends", |h| h.unfinished.push(1)),
    ("I7", "a task begins before the one it waits for ends", |h| h.lives[0].last = h.lives[1].start + 10 * MS),
    ("I7", "a task begins though the one it waits for failed", |h| h.lives[0].exit = Some(3)),
    ("I8", "success is recorded, the task failed", |h| h.lives[2].exit = Some(7)),
    ("I8", "success is recorded, the task never ended", |h| h.lives[2].exit = None),
    ("I8", "a result is dropped without a word", |h| {
        h.records.retain(|record| !matches!(&record.what, What::Ended { attempt, .. } if attempt.node == "a"));
    }),
    ("I8", "another exit code", |h| h.lives[1].exit = Some(9)),
    ("I9", "more attempts than the retries allow", |h| {
        rules(h).attempts_max.insert("b".to_owned(), 1);
    }),
    ("I9", "a node that must not start twice does", |h| rules(h).once.push("b".to_owned())),
    ("I11", "more instances than the limit", |h| rules(h).instance_limit = 0),
    ("I11", "more attempts than slots", |h| forget(h.slots.insert("w1".to_owned(), 0))),
    ("I11", "more tasks live at once than slots, whatever the log says", |h| {
        let more = Life { pid: 98, ..h.lives[0].clone() };
        h.lives.push(more);
    }),
    ("I12", "an attempt is sent after the kill", |h| {
        let attempt = attempt(2, "d", 2);
        append(h, What::Dispatched { attempt, worker: "w1".to_owned() });
    }),
    ("I12", "a process lives on after the kill", |h| h.lives[3].last += 60_000 * MS),
    ("I12", "a process is left at the end", |h| h.alive_at_end.push(4711)),
    ("I13", "an attempt starts twice", |h| {
        let again = Life { pid: 97, start: h.lives[0].last + MS, last: h.lives[0].last + 2 * MS, ..h.lives[0].clone() };
        h.lives.push(again);
    }),
    ("I13", "a running task is given up", |h| {
        h.records.iter_mut().for_each(|record| {
            if let What::Ended { attempt, end, .. } = &mut record.what
                && attempt.number == 1
                && attempt.node == "b"
            {
                *end = "lost".to_owned();
            }
        });
    }),
    ("I16", "two voters differ", |h| forget(h.replicas[1].entries.insert(3, 666))),
    ("I16", "a voter has a hole", |h| forget(h.replicas[1].entries.remove(&3))),
    ("I16", "most voters lack what was acknowledged", |h| {
        h.replicas[1..].iter_mut().for_each(|replica| {
            replica.committed = 4;
            replica.entries.retain(|index, _| *index <= 4);
        });
    }),
    ("I16", "a voter found an event that cannot be", |h| h.replicas[0].diverged = Some("twice".to_owned())),
    ("I20", "no commit comes after the fault", |h| h.gaps[0].commit = None),
    ("I20", "no task comes after the fault", |h| h.gaps[0].start = None),
    ("I20", "the next commit comes too late", |h| h.gaps[0].commit = Some(h.gaps[0].commit_max + 1)),
];

/// Each doctored history must be found out, by the invariant that it breaks, and the sound one must pass.
/// `Err` says what the checker missed.
pub fn self_test() -> Result<usize, Vec<String>> {
    let mut missed: Vec<String> = check(&sound()).iter().map(|broken| format!("the sound history: {broken}")).collect();
    for (invariant, what, doctor) in DOCTORED {
        let mut history = sound();
        doctor(&mut history);
        let found = check(&history);
        if !found.iter().any(|broken| broken.invariant.split(' ').next() == Some(invariant)) {
            missed.push(format!("{invariant} does not see: {what} (found {found:?})"));
        }
    }
    for (invariant, _) in ALL {
        let word = invariant.split(' ').next().unwrap_or_default();
        if !DOCTORED.iter().any(|(of, ..)| *of == word) {
            missed.push(format!("nothing shows that {invariant} can fail"));
        }
    }
    if missed.is_empty() { Ok(DOCTORED.len()) } else { Err(missed) }
}

/// What was there before is of no interest.
fn forget<T>(_: Option<T>) {}

fn attempt(instance: u64, node: &str, number: u32) -> Attempt {
    Attempt { instance, node: node.to_owned(), number }
}

/// #1: `a`, then `b`, which fails first and is taken over by another leader; #2: `d`, killed.
fn sound() -> History {
    let dispatched = |attempt| What::Dispatched { attempt, worker: "w1".to_owned() };
    let ended = |attempt, end: &str, exit_code| What::Ended { attempt, end: end.to_owned(), exit_code };
    let created = |instance, key: &str| What::Created { instance, workflow: "work".into(), key: Some(key.into()) };
    let done = |instance, node: &str, end: &str| What::Done { instance, node: node.to_owned(), end: end.to_owned() };
    let first = [
        created(1, "k-run"),
        What::Began { instance: 1 },
        dispatched(attempt(1, "a", 1)),
        ended(attempt(1, "a", 1), "succeeded", Some(0)),
        done(1, "a", "succeeded"),
        dispatched(attempt(1, "b", 1)),
        ended(attempt(1, "b", 1), "failed", Some(7)),
    ];
    let second = [
        dispatched(attempt(1, "b", 2)),
        What::Answered { key: "k-switch".to_owned() },
        What::Enabled { workflow: "switch0".to_owned(), on: false },
        ended(attempt(1, "b", 2), "succeeded", Some(0)),
        done(1, "b", "succeeded"),
        What::Finished { instance: 1, end: "succeeded".to_owned() },
        created(2, "k-doomed"),
        What::Began { instance: 2 },
        dispatched(attempt(2, "d", 1)),
        What::Answered { key: "k-kill".to_owned() },
        What::Stopping { instance: 2, is_kill: true },
        ended(attempt(2, "d", 1), "killed", None),
        done(2, "d", "killed"),
        What::Finished { instance: 2, end: "killed".to_owned() },
    ];
    let mut history = History { kill_max: 5000 * MS, ..History::default() };
    for (epoch, node, whats) in [(1, 1, &first[..]), (2, 2, &second[..])] {
        let (seq, index) = (history.records.last().map_or(0, |last| last.seq), history.records.len() as u64 + 1);
        history.records.push(Record { index, term: epoch, epoch, seq, what: What::TakeOver { node } });
        whats.iter().for_each(|what| append(&mut history, what.clone()));
    }
    let life = |attempt, epoch, pid, start: u64, last: u64, exit| Life {
        attempt,
        epoch,
        pid,
        is_child: false,
        start: start * MS,
        last: last * MS,
        exit,
    };
    history.lives = vec![
        life(attempt(1, "a", 1), 1, 10, 1000, 2000, Some(0)),
        life(attempt(1, "b", 1), 1, 11, 2100, 3000, Some(7)),
        life(attempt(1, "b", 2), 2, 12, 5000, 6000, Some(0)),
        life(attempt(2, "d", 1), 2, 13, 7000, 9000, None),
    ];
    let ok = |key: &str, what, at: u64, seq, instances| Op {
        key: key.to_owned(),
        what,
        invoked: (at - 10) * MS,
        outcome: Told::Ok { at: at * MS, seq, instances },
    };
    let run = |workflow: &str| Asked::Run { workflow: workflow.to_owned() };
    history.ops = vec![
        ok("k-run", run("work"), 900, 2, vec![1]),
        ok("k-switch", Asked::Enable { workflow: "switch0".to_owned(), on: false }, 5100, 10, vec![]),
        ok("k-doomed", run("work"), 6500, 15, vec![2]),
        ok("k-kill", Asked::Kill { instance: 2 }, 8000, 18, vec![]),
    ];
    let entries: BTreeMap<u64, u64> = history.records.iter().map(|record| (record.index, record.index * 31)).collect();
    let committed = history.records.len() as u64;
    let replica = |node: &str| Replica { node: node.to_owned(), entries: entries.clone(), committed, diverged: None };
    history.replicas = ["m1", "m2", "m3"].map(replica).into();
    history.enabled_at_end = BTreeMap::from([("switch0".to_owned(), false)]);
    let rules = Rules {
        instance_limit: 1,
        before: BTreeMap::from([("b".to_owned(), vec!["a".to_owned()])]),
        attempts_max: BTreeMap::from([("b".to_owned(), 2)]),
        once: vec!["a".to_owned()],
    };
    history.rules = BTreeMap::from([("work".to_owned(), rules)]);
    history.slots = BTreeMap::from([("w1".to_owned(), 1)]);
    let (commit, start) = (Some(1200 * MS), Some(1900 * MS));
    let (commit_max, start_max) = (3000 * MS, 5000 * MS);
    history.gaps = vec![Gap { scenario: "leader_killed", fault: 3100 * MS, commit, start, commit_max, start_max }];
    history
}

fn append(history: &mut History, what: What) {
    let Some(last) = history.records.last() else { return };
    let record = Record { index: last.index + 1, seq: last.seq + 1, what, ..last.clone() };
    history.records.push(record);
}

fn last(history: &mut History) -> &mut Record {
    history.records.last_mut().expect("the sound history has records")
}

fn rules(history: &mut History) -> &mut Rules {
    history.rules.get_mut("work").expect("the sound history has rules")
}

fn is_answer(record: &Record, wanted: &str) -> bool {
    matches!(&record.what, What::Answered { key } if key == wanted)
}

fn outcome(history: &mut History, key: &str, outcome: Told) {
    history.ops.iter_mut().filter(|op| op.key == key).for_each(|op| op.outcome = outcome.clone());
}

fn told(history: &mut History, key: &str, at_seq: u64) {
    history.ops.iter_mut().filter(|op| op.key == key).for_each(|op| {
        if let Told::Ok { seq, .. } = &mut op.outcome {
            *seq = at_seq - 1;
        }
    });
}

fn renumber(history: &mut History, node: &str, from: u32, to: u32) {
    let change = |attempt: &mut Attempt| {
        if attempt.node == node && attempt.number == from {
            attempt.number = to;
        }
    };
    history.lives.iter_mut().for_each(|life| change(&mut life.attempt));
    history.records.iter_mut().for_each(|record| match &mut record.what {
        What::Dispatched { attempt, .. } | What::Ended { attempt, .. } => change(attempt),
        _ => {}
    });
}
