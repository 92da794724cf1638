//! Several masters: one is lost while tasks run, again and again, and nobody notices but the log.

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::cluster::{Cluster, text_of};
use crate::ledger;

/// Rounds that count, of either kind.
const ROUNDS: usize = 6;

/// Who leads, as the cluster says it.
pub fn leader(cluster: &Cluster) -> Option<String> {
    let nodes = cluster.nodes();
    let leader = nodes.iter().find(|node| node["leader"] == Value::Bool(true))?;
    leader["id"].as_str().map(str::to_owned)
}

fn work(ledger: &std::path::Path, seconds: &str) -> String {
    let script = ledger::task(ledger, seconds);
    format!(
        r#"<work-flow name="work" schema="1" instance-limit="6">
  <start name="start" to="fork"/>
  <fork name="fork"><path to="a"/><path to="b"/></fork>
  <action name="a"><script><code><![CDATA[{script}]]></code></script><ok to="join"/></action>
  <action name="b"><script><code><![CDATA[{script}]]></code></script><ok to="join"/></action>
  <join name="join" to="c"/>
  <action name="c"><script><code><![CDATA[{script}]]></code></script><ok to="end"/></action>
  <end name="end"/>
</work-flow>"#
    )
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn the_leader_is_killed_again_and_again_and_no_task_notices() {
    let directory = tempfile::tempdir().expect("a directory");
    let ledger = directory.path().join("ledger");
    let cluster = Cluster::with_masters(3, &[("work.xml", &work(&ledger, "1.5"))]);
    let said = cluster.start();
    assert!(said.contains("votes 3/3"), "{said}");
    cluster.await_true("the workflow", || cluster.try_json(&["workflow", "show", "work"]).is_some());

    let mut acknowledged = BTreeSet::new();
    let (mut counted, mut excluded, mut survived) = (0, 0, 0);
    while counted < ROUNDS {
        for _ in 0..2 {
            let run = cluster.client(&["run", "work", "-q"]);
            if run.status.success() {
                acknowledged.insert(String::from_utf8_lossy(&run.stdout).trim().trim_start_matches('#').to_owned());
            }
        }
        cluster.await_true("a task to run", || ledger::lives(&ledger).iter().any(|life| life.exit.is_none()));
        let first = cluster.await_some("a leader", || leader(&cluster));
        let running = ledger::lives(&ledger).into_iter().filter(|life| life.exit.is_none()).count();
        // With its supervisor, so that it stays away: one that is back within its lease goes on leading.
        cluster.kill_for_good(&first);
        let second = cluster.await_some("another leader", || leader(&cluster).filter(|second| *second != first));
        let run = cluster.client(&["run", "work", "-q"]);
        assert!(run.status.success(), "a run after the take-over: {}", text_of(&run));
        acknowledged.insert(String::from_utf8_lossy(&run.stdout).trim().trim_start_matches('#').to_owned());
        println!("round {counted}: {first} killed, {second} leads, {running} tasks were running");
        if running == 0 {
            excluded += 1;
            assert!(excluded < ROUNDS * 3, "too few rounds counted");
        } else {
            counted += 1;
            survived += running;
        }
        let back = cluster.start_one(&first);
        assert!(back.status.success(), "{first} comes back: {}", text_of(&back));
        cluster.await_true("all votes", || {
            cluster.try_json(&["cluster", "status"]).is_some_and(|status| status["votes"] == 3)
        });
    }
    for number in &acknowledged {
        let wait = cluster.client(&["instance", "wait", number, "--timeout", "2m"]);
        assert_eq!(wait.status.code(), Some(0), "#{number} did not succeed: {}", text_of(&wait));
    }
    let lives = ledger::lives(&ledger);
    let n_lives = ledger::check_one_live_attempt(&lives);
    assert!(lives.iter().all(|life| life.exit.is_some()), "every task lived to its end");
    let instances: BTreeSet<&str> = lives.iter().map(|life| life.instance.as_str()).collect();
    assert_eq!(n_lives, instances.len() * 3, "each node ran once");
    println!(
        "kill -9 of the leader: {counted} rounds counted, {excluded} excluded, {survived} tasks were running at a kill, \
         {} instances acknowledged, {n_lives} lives, 0 re-run, 0 doubled, 0 lost",
        acknowledged.len()
    );
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn a_wait_and_a_follow_go_on_while_the_leader_is_lost() {
    let script = "for n in 1 2 3 4 5 6 7 8; do echo line-$n; sleep 1; done";
    let cluster = Cluster::with_masters(
        3,
        &[(
            "slow.xml",
            &format!(
                r#"<work-flow name="slow" schema="1"><start name="start" to="a"/>
  <action name="a"><script><code><![CDATA[{script}]]></code></script><ok to="end"/></action><end name="end"/></work-flow>"#
            ),
        )],
    );
    cluster.start();
    cluster.await_true("the workflow", || cluster.try_json(&["workflow", "show", "slow"]).is_some());
    let follow = cluster
        .command(env!("CARGO_BIN_EXE_ractorflow"))
        .args(["run", "slow", "--follow"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run --follow");
    cluster.await_true("the instance to run", || {
        cluster.try_json(&["instance", "show", "last"]).is_some_and(|instance| instance["state"] == "running")
    });
    let wait = cluster
        .command(env!("CARGO_BIN_EXE_ractorflow"))
        .args(["instance", "wait", "last", "--timeout", "2m"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("instance wait");
    let first = cluster.await_some("a leader", || leader(&cluster));
    cluster.kill_for_good(&first);
    let wait = wait.wait_with_output().expect("wait ends");
    assert_eq!(wait.status.code(), Some(0), "{}", text_of(&wait));
    let follow = follow.wait_with_output().expect("follow ends");
    assert_eq!(follow.status.code(), Some(0), "{}", text_of(&follow));
    let said = text_of(&follow);
    for n in 1..=8 {
        assert_eq!(said.matches(&format!("line-{n}")).count(), 1, "line {n} once:\n{said}");
    }
    // The lost master has the beginning of the log alone; when it leads again it asks who has the rest.
    assert!(cluster.start_one(&first).status.success());
    cluster.await_true("the first one to lead again", || {
        cluster.client(&["cluster", "switch-over", "--to", &first]).status.success()
            && leader(&cluster).is_some_and(|now| now == first)
    });
    let logs = text_of(&cluster.client(&["logs", "last/a"]));
    assert_eq!(logs.matches("line-").count(), 8, "{logs}");
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn wiped_voter_is_refused() {
    let cluster = Cluster::with_masters(3, &[]);
    cluster.start();
    let lost = cluster.await_some("a standby", || {
        let leader = leader(&cluster)?;
        ["m1", "m2", "m3"].into_iter().find(|id| *id != leader)
    });
    cluster.stop_one(lost);
    fs::remove_dir_all(cluster.home().join("data").join(lost)).expect("its disk is gone");
    let said = text_of(&cluster.start_one(lost));
    assert!(said.contains("its log is gone") && said.contains("cluster member remove"), "{said}");
    // The log alone is gone.
    let other = ["m1", "m2", "m3"].into_iter().find(|id| *id != lost && Some(*id) != leader(&cluster).as_deref());
    let other = other.expect("another standby");
    cluster.stop_one(other);
    fs::remove_file(cluster.home().join("data").join(other).join("raft.db")).expect("its log is gone");
    let said = text_of(&cluster.start_one(other));
    assert!(said.contains("raft.db is gone"), "{said}");
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn different_member_list_is_refused() {
    let cluster = Cluster::with_masters(3, &[]);
    let base = cluster.port_base();
    let masters =
        |ids: &[u16]| ids.iter().map(|id| format!("m{id}@127.0.0.1:{}", base + id - 1)).collect::<Vec<_>>().join(",");
    let mut roles = [
        cluster.spawn_role("master", "m1", &masters(&[1, 2, 3])),
        cluster.spawn_role("master", "m2", &masters(&[1, 2, 4])),
    ];
    // Each refuses the other; whichever asked first ends, and then the other has nobody to compare with.
    cluster.await_true("one of them to end", || roles.iter_mut().any(|role| role.has_ended()));
    let ended = roles.into_iter().find_map(|mut role| role.has_ended().then_some(role)).expect("one has ended");
    let output = ended.wait_with_output().expect("its output");
    let said = text_of(&output);
    assert!(!output.status.success() && said.contains("give all the same list"), "{said}");
}
