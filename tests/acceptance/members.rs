//! Who votes changes while the cluster works: a home of one grows to three, masters come, go and are replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::cluster::{Cluster, text_of};
use crate::takeover::leader;

const QUICK: &str = r#"<work-flow name="quick" schema="1" instance-limit="4"><start name="start" to="a"/>
  <action name="a"><exec program="/bin/true"/><ok to="end"/></action><end name="end"/></work-flow>"#;

fn voters(cluster: &Cluster) -> Vec<String> {
    let Some(status) = cluster.try_json(&["cluster", "status"]) else { return Vec::new() };
    let nodes = status["nodes"].as_array().cloned().unwrap_or_default();
    let votes = |node: &Value| matches!(node["role_state"].as_str(), Some("active" | "standby"));
    nodes.iter().filter(|node| votes(node)).filter_map(|node| node["id"].as_str().map(str::to_owned)).collect()
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn a_home_of_one_master_grows_to_three_and_keeps_what_it_had() {
    let mut cluster = Cluster::with_masters(1, &[("quick.xml", QUICK)]);
    let said = cluster.start();
    assert!(said.contains("votes 1/1"), "{said}");
    cluster.await_true("the workflow", || cluster.try_json(&["workflow", "show", "quick"]).is_some());
    let run = cluster.client(&["run", "quick", "--wait"]);
    assert!(run.status.success(), "{}", text_of(&run));
    cluster.grow(3);
    let said = cluster.start();
    assert!(said.contains("m2 is a voter now") && said.contains("votes 3/3"), "{said}");
    assert_eq!(voters(&cluster), ["m1", "m2", "m3"]);
    let nodes = cluster.json(&["cluster", "nodes"]);
    for node in nodes.as_array().into_iter().flatten() {
        assert!(node["pid"].is_u64() && node["version"].is_string() && node["started"].is_string(), "{node}");
    }
    let finalized = cluster.client(&["cluster", "finalize-upgrade"]);
    assert!(finalized.status.success() && text_of(&finalized).contains("in force"), "{}", text_of(&finalized));
    // It survives the loss of the one that had everything.
    cluster.kill_for_good("m1");
    cluster.await_true("another leader", || leader(&cluster).is_some_and(|id| id != "m1"));
    assert_eq!(cluster.json(&["instance", "list"])["items"].as_array().map(Vec::len), Some(1));
    let run = cluster.client(&["run", "quick", "--wait"]);
    assert!(run.status.success(), "{}", text_of(&run));
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn add_remove_replace_under_load() {
    let cluster = Cluster::with_masters(3, &[("quick.xml", QUICK)]);
    cluster.start();
    cluster.await_true("the workflow", || cluster.try_json(&["workflow", "show", "quick"]).is_some());
    let is_over = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut acknowledged = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let run = cluster.client(&["run", "quick", "-q"]);
                if run.status.success() {
                    acknowledged.push(String::from_utf8_lossy(&run.stdout).trim().trim_start_matches('#').to_owned());
                }
            }
            acknowledged
        });
        let done = |arguments: &[&str]| {
            let output = cluster.client(arguments);
            assert!(output.status.success(), "{arguments:?}: {}", text_of(&output));
        };
        let first = cluster.await_some("a leader", || leader(&cluster));
        let refused = cluster.client(&["cluster", "member", "remove", &first]);
        assert_eq!(refused.status.code(), Some(6), "the leader is not removed: {}", text_of(&refused));
        let standby = ["m1", "m2", "m3"].into_iter().find(|id| *id != first).expect("a standby");
        done(&["cluster", "member", "remove", standby]);
        cluster.await_true("two voters", || voters(&cluster).len() == 2);
        // Its disk is new: it may come back, as a new voter.
        cluster.stop_one(standby);
        std::fs::remove_dir_all(cluster.home().join("data").join(standby)).expect("a new disk");
        cluster.start_one(standby);
        cluster.await_true("it to be connected", || {
            cluster.client(&["cluster", "member", "add", standby]).status.success()
        });
        cluster.await_true("three voters", || voters(&cluster).len() == 3);
        let third = ["m1", "m2", "m3"].into_iter().find(|id| *id != first && *id != standby).expect("a third");
        done(&["cluster", "member", "remove", third]);
        done(&["cluster", "member", "add", third]);
        cluster.await_true("three voters again", || voters(&cluster).len() == 3);
        is_over.store(true, Ordering::Relaxed);
        let acknowledged = load.join().expect("the load ends");
        assert!(acknowledged.len() > 5, "the load ran: {}", acknowledged.len());
        for number in &acknowledged {
            let wait = cluster.client(&["instance", "wait", number, "--timeout", "1m"]);
            assert_eq!(wait.status.code(), Some(0), "#{number}: {}", text_of(&wait));
        }
        println!("members changed under load: {} instances acknowledged and ended, 0 lost", acknowledged.len());
    });
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn the_last_master_is_promoted_when_the_others_are_lost_for_good() {
    let cluster = Cluster::with_masters(3, &[("quick.xml", QUICK)]);
    cluster.start();
    cluster.await_true("the workflow", || cluster.try_json(&["workflow", "show", "quick"]).is_some());
    let run = cluster.client(&["run", "quick", "--wait"]);
    assert!(run.status.success(), "{}", text_of(&run));
    for id in ["m1", "m2"] {
        cluster.stop_one(id);
        std::fs::remove_dir_all(cluster.home().join("data").join(id)).expect("it is lost");
    }
    let running = cluster.client(&["cluster", "promote", "m3", "--force"]);
    assert_eq!(running.status.code(), Some(6), "{}", text_of(&running));
    cluster.stop_one("m3");
    let asked = cluster.client(&["cluster", "promote", "m3"]);
    assert_eq!(asked.status.code(), Some(6), "{}", text_of(&asked));
    assert!(text_of(&asked).contains("--force"), "{}", text_of(&asked));
    let promoted = cluster.client(&["cluster", "promote", "m3", "--force"]);
    assert!(promoted.status.success(), "{}", text_of(&promoted));
    assert!(cluster.start_one("m3").status.success());
    cluster.await_true("m3 to lead", || leader(&cluster).is_some_and(|id| id == "m3"));
    assert_eq!(voters(&cluster), ["m3"]);
    assert_eq!(cluster.json(&["instance", "list"])["items"].as_array().map(Vec::len), Some(1));
    let run = cluster.client(&["run", "quick", "--wait"]);
    assert!(run.status.success(), "{}", text_of(&run));
}
