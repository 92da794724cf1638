//! Leases with real processes: a worker's daemon is stopped, its task ends by itself, and only then does another
//! worker start the node.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::cluster::{Cluster, text_of};
use crate::takeover::leader;

/// A task that says again and again that it lives, asked nicely it does not end.
fn work(ledger: &Path, gate: &Path, attributes: &str) -> String {
    let (ledger, gate) = (ledger.display(), gate.display());
    format!(
        r#"<work-flow name="work" schema="1"><start name="start" to="a"/>
  <action name="a" lease="10s"{attributes}><script><code><![CDATA[
    trap '' TERM
    until [ -e {gate} ]; do echo "$(cut -d' ' -f1 /proc/uptime) $RF_ATTEMPT $RF_FENCE $$" >> {ledger}; sleep 0.1; done
  ]]></code></script><ok to="end"/></action><end name="end"/></work-flow>"#
    )
}

/// One sign of life of an attempt.
struct Sign {
    at: f64,
    attempt: u32,
    fence: String,
    pid: i32,
}

fn signs(ledger: &Path) -> Vec<Sign> {
    let text = fs::read_to_string(ledger).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| {
            let [at, attempt, fence, pid] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("torn ledger line: {line:?}")
            };
            Sign {
                at: at.parse().expect("seconds since boot"),
                attempt: attempt.parse().expect("a number"),
                fence: fence.to_owned(),
                pid: pid.parse().expect("a pid"),
            }
        })
        .collect()
}

fn attempts(cluster: &Cluster) -> Vec<Value> {
    let instance = cluster.json(&["instance", "show", "last"]);
    let nodes = instance["nodes"].as_array().cloned().unwrap_or_default();
    let node = nodes.iter().find(|node| node["name"] == "a").expect("node a").clone();
    node["attempts"].as_array().cloned().unwrap_or_default()
}

/// What a reader compares: leadership first, then attempt.
fn fence(text: &str) -> (u64, u32) {
    let (epoch, number) = text.split_once('.').expect("two numbers");
    (epoch.parse().expect("an epoch"), number.parse().expect("a number"))
}

/// Three masters and two workers, on one of which the task runs; its files are in `directory`.
fn running(directory: &Path, attributes: &str) -> (Cluster, String) {
    let ledger = directory.join("ledger");
    let text = work(&ledger, &directory.join("gate"), attributes);
    let cluster = Cluster::with_masters(3, &[("work.xml", &text)]).with_workers(2);
    cluster.start();
    cluster.await_true("the workflow", || cluster.try_json(&["workflow", "show", "work"]).is_some());
    let run = cluster.client(&["run", "work", "-q"]);
    assert!(run.status.success(), "{}", text_of(&run));
    cluster.await_true("a sign of life", || !signs(&ledger).is_empty());
    let worker = attempts(&cluster)[0]["worker"].as_str().expect("a worker").to_owned();
    (cluster, worker)
}

/// What `why` says while the lease of a worker that is not heard goes on.
fn why_it_waits(cluster: &Cluster) -> String {
    cluster.await_some("the reason", || {
        let why = text_of(&cluster.client(&["why", "last/a"]));
        why.contains("its lease ends in").then_some(why)
    })
}

/// `disturb` is called once the worker is stopped.
fn a_stopped_worker(disturb: impl FnOnce(&Cluster)) {
    let directory = tempfile::tempdir().expect("a directory");
    let (ledger, gate) = (directory.path().join("ledger"), directory.path().join("gate"));
    let (cluster, worker) = running(directory.path(), "");

    let frozen = cluster.freeze(&worker);
    disturb(&cluster);
    let why = why_it_waits(&cluster);
    assert!(why.contains(&format!("{worker} has not been heard for")) && why.contains("runs elsewhere"), "{why}");
    cluster.await_true("the second attempt", || signs(&ledger).iter().any(|sign| sign.attempt == 2));
    let seen = signs(&ledger);
    let first: Vec<&Sign> = seen.iter().filter(|sign| sign.attempt == 1).collect();
    let second: Vec<&Sign> = seen.iter().filter(|sign| sign.attempt == 2).collect();
    let last = first.last().expect("signs of the first");
    println!("{worker} stopped: the first attempt ended at {}, the second began at {}", last.at, second[0].at);
    assert!(last.at < second[0].at, "two live attempts: {} and {}", last.at, second[0].at);
    assert!(!Path::new(&format!("/proc/{}", last.pid)).exists(), "the first attempt lives");
    assert!(fence(&last.fence) < fence(&second[0].fence), "{} and {}", last.fence, second[0].fence);

    // Awake again it reports what became of the first attempt, which changes nothing.
    drop(frozen);
    fs::write(&gate, "").expect("the gate opens");
    let wait = cluster.client(&["instance", "wait", "last", "--timeout", "1m"]);
    assert_eq!(wait.status.code(), Some(0), "{}", text_of(&wait));
    let back = |node: &Value| node["id"] == worker.as_str() && node["state"] == "up";
    cluster.await_true("the worker to be back", || {
        let status = cluster.try_json(&["cluster", "status"]).unwrap_or_default();
        status["workers"].as_array().is_some_and(|workers| workers.iter().any(back))
    });
    let late = cluster.await_some("the late result", || {
        attempts(&cluster)[0]["message"].as_str().filter(|message| message.contains("not applied")).map(str::to_owned)
    });
    println!("the first attempt, back: {late}");
    let attempts = attempts(&cluster);
    let states: Vec<&str> = attempts.iter().filter_map(|attempt| attempt["state"].as_str()).collect();
    assert_eq!(states, ["lost", "succeeded"], "{attempts:?}");
    let numbers: Vec<u32> = signs(&ledger).iter().map(|sign| sign.attempt).collect();
    assert!(numbers.is_sorted(), "no sign of the first attempt after one of the second");
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn a_stopped_workers_task_is_gone_before_another_worker_starts_it() {
    a_stopped_worker(|_| ());
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn so_it_is_when_the_leader_is_lost_at_the_same_time() {
    a_stopped_worker(|cluster| {
        let first = cluster.await_some("a leader", || leader(cluster));
        cluster.kill_for_good(&first);
        cluster.await_true("another leader", || leader(cluster).is_some_and(|second| second != first));
    });
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn a_task_that_must_not_run_twice_fails_with_its_worker_once_it_is_gone() {
    let directory = tempfile::tempdir().expect("a directory");
    let ledger = directory.path().join("ledger");
    let (cluster, worker) = running(directory.path(), " on-lost=\"fail\"");

    let frozen = cluster.freeze(&worker);
    let why = why_it_waits(&cluster);
    assert!(!why.contains("runs elsewhere"), "it will not: {why}");
    let wait = cluster.client(&["instance", "wait", "last", "--timeout", "2m"]);
    assert_eq!(wait.status.code(), Some(10), "{}", text_of(&wait));
    let seen = signs(&ledger);
    let last = seen.last().expect("signs");
    assert!(!Path::new(&format!("/proc/{}", last.pid)).exists(), "failed, but its task lives");
    assert!(seen.iter().all(|sign| sign.attempt == 1), "it ran twice");
    let said = text_of(&cluster.client(&["why", "last/a"]));
    assert!(said.contains("lost with its worker"), "{said}");
    println!("{said}");
    drop(frozen);
    let states: Vec<String> =
        attempts(&cluster).iter().filter_map(|it| it["state"].as_str().map(str::to_owned)).collect();
    assert_eq!(states, ["lost"]);
}
