//! kill -9 of each daemon at random points while tasks run: nothing acknowledged is lost, no node runs twice at
//! once, and running tasks do not notice.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster::{Cluster, text_of};
use crate::ledger;

const ROUNDS: usize = 30;

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn thirty_kills_of_the_worker_lose_and_double_nothing() {
    kill_rounds("w1");
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn thirty_kills_of_the_master_lose_and_double_nothing() {
    kill_rounds("m1");
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn thirty_kills_of_the_http_server_lose_and_double_nothing() {
    kill_rounds("h1");
}

fn kill_rounds(victim: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let ledger = directory.path().join("ledger");
    let script = ledger::task(&ledger, "0.4");
    let cluster = Cluster::started(&[(
        "work.xml",
        &format!(
            r#"<work-flow name="work" schema="1" instance-limit="4">
  <start name="start" to="fork"/>
  <fork name="fork"><path to="a"/><path to="b"/></fork>
  <action name="a"><script><code><![CDATA[{script}]]></code></script><ok to="join"/></action>
  <action name="b"><script><code><![CDATA[{script}]]></code></script><ok to="join"/></action>
  <join name="join" to="c"/>
  <action name="c"><script><code><![CDATA[{script}]]></code></script><ok to="end"/></action>
  <end name="end"/>
</work-flow>"#
        ),
    )]);
    cluster.await_true("the workflow", || cluster.try_json(&["workflow", "show", "work"]).is_some());

    let mut acknowledged = BTreeSet::new();
    let (mut counted, mut excluded, mut survived) = (0, 0, 0);
    let mut seed: u64 = 0x9e37_79b9_7f4a_7c15;
    while counted < ROUNDS {
        for _ in 0..2 {
            let run = cluster.client(&["run", "work", "-q"]);
            if run.status.success() {
                acknowledged.insert(String::from_utf8_lossy(&run.stdout).trim().trim_start_matches('#').to_owned());
            }
        }
        // A pause drawn from a fixed sequence puts the kill at another point of the tasks' lives each round.
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        std::thread::sleep(Duration::from_millis(100 + (seed >> 33) % 400));
        let running: Vec<_> = ledger::lives(&ledger).into_iter().filter(|life| life.exit.is_none()).collect();
        let before = cluster.kill_9(victim);
        if running.is_empty() {
            excluded += 1;
            assert!(excluded < ROUNDS * 3, "too few rounds had a task running");
        } else {
            counted += 1;
            survived += running.len();
        }
        cluster.await_true("the victim to be back", || cluster.pid_of(victim).is_some_and(|pid| pid != before));
        cluster.await_true("the cluster to answer", || cluster.client(&["status"]).status.success());
    }
    for number in &acknowledged {
        let wait = cluster.client(&["instance", "wait", number, "--timeout", "2m"]);
        assert_eq!(wait.status.code(), Some(0), "#{number} did not succeed: {}", text_of(&wait));
    }
    let lives = ledger::lives(&ledger);
    let n_lives = ledger::check_one_live_attempt(&lives);
    let cut_short = lives.iter().filter(|life| life.exit.is_none()).count();
    assert_eq!(cut_short, 0, "every task lived to its end");
    assert_eq!(n_lives, acknowledged_lives(&cluster, &lives, acknowledged.len()), "each node ran once");
    println!(
        "kill -9 {victim}: {counted} rounds counted, {excluded} excluded (no task running), {survived} tasks were running at a kill, \
         {} instances acknowledged, {n_lives} lives, 0 lost, 0 doubled, 0 cut short",
        acknowledged.len()
    );
}

/// Three lives per instance; an instance whose acknowledgement was lost with the victim may exist besides.
fn acknowledged_lives(cluster: &Cluster, lives: &[ledger::Life], acknowledged: usize) -> usize {
    let instances: BTreeSet<&str> = lives.iter().map(|life| life.instance.as_str()).collect();
    assert!(instances.len() >= acknowledged);
    for number in &instances {
        let wait = cluster.client(&["instance", "wait", number, "--timeout", "2m"]);
        assert_eq!(wait.status.code(), Some(0), "{}", text_of(&wait));
    }
    instances.len() * 3
}
