//! What the settings and the words of an operator bound: kills with a grace, limits, what is kept.

use crate::cluster::{Cluster, text_of};

/// Ignores TERM and says when it has begun.
const STUBBORN: &str = r#"<work-flow name="stubborn" creator="test" instance-limit="9">
  <start name="start" to="work"/>
  <action name="work">
    <script>
      <code>trap '' TERM; echo begun; while :; do sleep 1; done</code>
    </script>
    <ok to="end"/>
  </action>
  <end name="end"/>
</work-flow>
"#;

fn begun(cluster: &Cluster) -> String {
    let run = cluster.client(&["run", "stubborn", "-q"]);
    let number = String::from_utf8_lossy(&run.stdout).trim().trim_start_matches('#').to_owned();
    cluster.await_true("the task's start", || text_of(&cluster.client(&["logs", &number])).contains("begun"));
    number
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn a_kill_takes_the_grace_that_it_names_and_force_takes_none() {
    let cluster = Cluster::new(&[("stubborn.xml", STUBBORN)]);
    // A kill that used this would not end within the patience of the test.
    cluster.configure("[worker]\nkill_grace_ms = 3600000\n");
    cluster.start();
    cluster.await_true("the workflow", || cluster.try_json(&["workflow", "show", "stubborn"]).is_some());
    let is_killed = |number: &str| {
        cluster.try_json(&["instance", "show", number]).is_some_and(|instance| instance["state"] == "killed")
    };
    for options in [&["--force"][..], &["--grace", "200ms"]] {
        let number = begun(&cluster);
        let killed = cluster.client(&[&["instance", "kill", &number, "--yes"], options].concat());
        assert!(killed.status.success(), "{}", text_of(&killed));
        cluster.await_true("the end", || is_killed(&number));
        println!("{options:?}: #{number} is killed");
    }
    let number = begun(&cluster);
    for (options, code) in [(&["--grace", "2h"][..], 2), (&["--grace", "soon"], 2), (&[], 0)] {
        let answer = cluster.client(&[&["instance", "kill", &number, "--yes"], options].concat());
        println!("{options:?}: {}", text_of(&answer));
        assert_eq!(answer.status.code(), Some(code));
    }
    assert!(!is_killed(&number), "the configured grace is an hour");
    let hastened = cluster.client(&["instance", "kill", &number, "--force", "--yes"]);
    assert!(hastened.status.success(), "{}", text_of(&hastened));
    cluster.await_true("the hastened end", || is_killed(&number));
}
