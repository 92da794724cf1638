//! Many instances at once, and requests that are sent twice.

use std::collections::BTreeSet;

use crate::cluster::{Cluster, text_of};

fn chain(name: &str, nodes: usize) -> String {
    let mut text = format!(
        "<work-flow name=\"{name}\" schema=\"1\" instance-limit=\"50\">\n  <start name=\"start\" to=\"n1\"/>\n"
    );
    for n in 1..=nodes {
        let next = if n == nodes { "end".to_owned() } else { format!("n{}", n + 1) };
        text.push_str(&format!("  <action name=\"n{n}\"><exec program=\"/bin/true\"/><ok to=\"{next}\"/></action>\n"));
    }
    text + "  <end name=\"end\"/>\n</work-flow>"
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn a_thousand_instances_of_ten_nodes_by_four_clients_end_complete() {
    let cluster = Cluster::started(&[("chain.xml", &chain("chain", 10))]);
    cluster.await_true("the workflow", || cluster.try_json(&["workflow", "show", "chain"]).is_some());
    let numbers: BTreeSet<String> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    (0..250)
                        .map(|_| {
                            let run = cluster.client(&["run", "chain", "-q"]);
                            assert!(run.status.success(), "{}", text_of(&run));
                            String::from_utf8_lossy(&run.stdout).trim().trim_start_matches('#').to_owned()
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
    });
    assert_eq!(numbers.len(), 1000, "each request made an instance of its own");
    for number in &numbers {
        let wait = cluster.client(&["instance", "wait", number, "--timeout", "10m"]);
        assert_eq!(wait.status.code(), Some(0), "{}", text_of(&wait));
    }
    for number in numbers.iter().step_by(97) {
        let show = cluster.json(&["instance", "show", number]);
        let nodes = show["nodes"].as_array().expect("nodes");
        assert_eq!(nodes.len(), 12);
        assert!(nodes.iter().all(|node| node["state"] == "succeeded"), "{show}");
    }
    println!("1000 instances x 10 nodes complete");
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn the_same_request_twice_has_one_effect_also_across_a_restart() {
    let cluster = Cluster::started(&[("chain.xml", &chain("chain", 1))]);
    cluster.await_true("the workflow", || cluster.try_json(&["workflow", "show", "chain"]).is_some());
    let key = uuid::Uuid::now_v7().to_string();
    let first = cluster.client(&["run", "chain", "-q", "--key", &key]);
    assert!(first.status.success(), "{}", text_of(&first));
    let second = cluster.client(&["run", "chain", "-q", "--key", &key]);
    assert_eq!(first.stdout, second.stdout, "{}", text_of(&second));
    cluster.kill_9("m1");
    let third = cluster.await_some("the master to be back", || {
        let third = cluster.client(&["run", "chain", "-q", "--key", &key]);
        third.status.success().then_some(third)
    });
    assert_eq!(first.stdout, third.stdout);
    let list = cluster.json(&["instance", "list", "--workflow", "chain"]);
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list}");
    let other = cluster.client(&["instance", "kill", "1", "--key", &key]);
    assert_eq!(other.status.code(), Some(6), "another request under the same key is refused: {}", text_of(&other));
}
