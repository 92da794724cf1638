//! The first five minutes of a new user.

use crate::cluster::{Cluster, text_of};

const HELLO: &str = r#"<work-flow name="greet" schema="1">
  <start name="start" to="say"/>
  <action name="say"><script><code>echo hello from $RF_WORKFLOW</code></script><ok to="end"/></action>
  <end name="end"/>
</work-flow>"#;

/// Fires by itself, each second.
pub const TICK: &str = r#"<work-flow name="tick" schema="1">
  <coordinator><trigger id="second" every="1s"/></coordinator>
  <start name="start" to="say"/>
  <action name="say"><script><code>echo tick</code></script><ok to="end"/></action>
  <end name="end"/>
</work-flow>"#;

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn a_file_that_is_copied_in_runs_with_no_further_command() {
    let cluster = Cluster::new(&[]);
    let said = cluster.start();
    println!("{said}");
    assert!(said.contains("votes 1/1"), "{said}");
    assert!(said.contains("/login?once="), "{said}");
    let again = cluster.start();
    assert!(again.contains("already running"), "a second start is a no-op:\n{again}");

    cluster.write("tick.xml", TICK);
    let number = cluster.await_some("a finished instance of tick", || {
        let list = cluster.try_json(&["instance", "list", "--workflow", "tick"])?;
        let first = list["items"].as_array()?.iter().find(|item| item["state"] == "succeeded")?;
        first["number"].as_u64()
    });
    println!("tick ran as #{number}");
    let page = cluster.page("/").expect("the home page");
    assert!(page.contains("tick"), "{page}");
    let page = cluster.page(&format!("/i/{number}")).expect("the instance page");
    assert!(page.contains("tick") && page.contains("say"), "{page}");
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn run_wait_logs_and_exit_codes_speak_the_truth() {
    let failing = HELLO.replace("greet", "fails").replace("echo hello from $RF_WORKFLOW", "exit 3");
    let cluster = Cluster::started(&[("greet.xml", HELLO), ("fails.xml", &failing)]);
    cluster.await_true("both workflows", || {
        cluster.try_json(&["workflow", "list"]).is_some_and(|list| list["items"].as_array().map_or(0, Vec::len) == 2)
    });
    let run = cluster.client(&["run", "greet", "--wait"]);
    assert_eq!(run.status.code(), Some(0), "{}", text_of(&run));
    let logs = cluster.client(&["logs", "last"]);
    assert!(text_of(&logs).contains("hello from greet"), "{}", text_of(&logs));
    let run = cluster.client(&["run", "fails", "--wait"]);
    assert_eq!(run.status.code(), Some(10), "{}", text_of(&run));
    let show = cluster.json(&["instance", "show", "last"]);
    let say = show["nodes"].as_array().expect("nodes").iter().find(|node| node["name"] == "say").expect("say");
    assert_eq!(say["state"], "failed");
    assert_eq!(say["attempts"][0]["exit_code"], 3);
    assert_eq!(cluster.client(&["instance", "show", "999999"]).status.code(), Some(5));
    assert_eq!(cluster.client(&["run", "nothing-of-that-name"]).status.code(), Some(5));
    assert_eq!(cluster.client(&["run"]).status.code(), Some(2));
    assert!(cluster.stop("--drain").status.success());
    assert_eq!(cluster.client(&["status"]).status.code(), Some(3));
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn who_waits_for_an_instance_does_not_wait_for_the_database() {
    // The database hears of nothing within this test; memory has it all.
    let cluster = Cluster::new(&[("greet.xml", HELLO)]).setting("RACTORFLOW_MASTER__PROJECTOR_INTERVAL_MS", "3600000");
    cluster.start();
    cluster.await_true("the workflow", || cluster.try_json(&["workflow", "show", "greet"]).is_some());
    for _ in 0..3 {
        let run = cluster.client(&["run", "greet", "--wait", "-q"]);
        assert!(run.status.success(), "{}", text_of(&run));
        let number = String::from_utf8_lossy(&run.stdout).trim().to_owned();
        let shown = cluster.json(&["instance", "show", &number]);
        assert_eq!(shown["state"], "succeeded", "{shown}");
        assert!(cluster.client(&["why", &number]).status.success());
    }
}
