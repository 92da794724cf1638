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

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn what_is_beyond_a_limit_is_refused_and_says_how_to_mend_it() {
    let params: String = (1..=6).map(|n| format!("    <param name=\"k{n}\" value=\"\"/>\n")).collect();
    let all: String = (1..=6).map(|n| format!("${{param:k{n}}}")).collect();
    let long = format!(
        "<work-flow name=\"long\">\n  <param-list>\n{params}    <param name=\"b\" value=\"{all}\"/>\n    \
         <param name=\"c\" value=\"{all}\"/>\n  </param-list>\n  <start name=\"s\" to=\"e\"/>\n  <end name=\"e\"/>\n</work-flow>\n"
    );
    let cluster = Cluster::new(&[("stubborn.xml", STUBBORN), ("long.xml", &long)]);
    cluster.configure(
        "[limits]\ninstances_live_max = 1\nworkflows_max = 2\nrun_params_max = 7\nrun_params_bytes_max = 900000\n\
         [master]\nentry_bytes_max = 1048576\n",
    );
    cluster.start();
    cluster.await_true("both workflows", || cluster.try_json(&["workflow", "show", "stubborn"]).is_some());
    cluster.await_true("both workflows", || cluster.try_json(&["workflow", "show", "long"]).is_some());
    let refused = |arguments: &[&str], names: &str| {
        let text = text_of(&cluster.client(arguments));
        println!("{}", text.chars().take(400).collect::<String>());
        assert!(text.contains(names), "{text}");
    };
    let given = |names: std::ops::RangeInclusive<u32>, length: usize| -> Vec<String> {
        names.flat_map(|n| ["-p".to_owned(), format!("k{n}={}", "x".repeat(length))]).collect()
    };
    let run = |given: &[String]| -> Vec<String> {
        ["run", "long"].map(str::to_owned).into_iter().chain(given.iter().cloned()).collect()
    };
    for (given, names) in [
        (given(1..=8, 1), "limits.run_params_max"),
        (given(1..=7, 130_000), "limits.run_params_bytes_max"),
        (given(1..=6, 120_000), "master.entry_bytes_max"),
    ] {
        refused(&run(&given).iter().map(String::as_str).collect::<Vec<_>>(), names);
    }
    // The leader goes on after the entry that it did not make.
    let fine = cluster.client(&["run", "long", "-p", "k1=x", "--wait"]);
    assert!(fine.status.success(), "{}", text_of(&fine));
    let number = begun(&cluster);
    refused(&["run", "long"], "limits.instances_live_max");
    let killed = cluster.client(&["instance", "kill", &number, "--force", "--yes"]);
    assert!(killed.status.success(), "{}", text_of(&killed));
    cluster.write("third.xml", &STUBBORN.replace("stubborn", "third"));
    let errors = cluster.await_some("the file for which there is no room", || {
        let errors = text_of(&cluster.client(&["workflow", "errors"]));
        errors.contains("third.xml").then_some(errors)
    });
    assert!(errors.contains("limits.workflows_max"), "{errors}");
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn of_the_past_the_newest_is_kept() {
    const QUICK: &str = r#"<work-flow name="quick" creator="1">
  <start name="s" to="a"/>
  <action name="a"><exec program="echo"><arg>kept?</arg></exec><ok to="e"/></action>
  <end name="e"/>
</work-flow>
"#;
    let cluster = Cluster::new(&[("quick.xml", QUICK)]);
    cluster.configure("[retention]\ninstances_per_workflow = 3\nversions_per_workflow = 2\n");
    cluster.start();
    for version in 1..=6 {
        cluster.write("quick.xml", &QUICK.replace("creator=\"1\"", &format!("creator=\"{version}\"")));
        cluster.await_true("the version", || {
            cluster.try_json(&["workflow", "show", "quick"]).is_some_and(|view| view["summary"]["version"] == version)
        });
        let run = cluster.client(&["run", "quick", "--wait"]);
        assert!(run.status.success(), "{}", text_of(&run));
    }
    // The bounds are looked at once a minute, and soon after a start.
    assert!(cluster.stop("--now").status.success());
    cluster.start();
    let numbers = |arguments: &[&str], key: &str| -> Vec<u64> {
        let list = cluster.try_json(arguments).unwrap_or_default();
        list["items"].as_array().into_iter().flatten().filter_map(|item| item[key].as_u64()).collect()
    };
    cluster.await_true("the newest instances alone", || numbers(&["instance", "list"], "number") == [6, 5, 4]);
    // Of the versions beyond the newest two that of an instance that is kept stays.
    cluster.await_true("the newest versions alone", || {
        numbers(&["workflow", "versions", "quick"], "version") == [6, 5, 4]
    });
    let shown = cluster.client(&["instance", "show", "4"]);
    assert!(shown.status.success(), "{}", text_of(&shown));
    assert!(text_of(&cluster.client(&["logs", "4"])).contains("kept?"));
    let gone = cluster.client(&["instance", "show", "3"]);
    assert_eq!(gone.status.code(), Some(5), "{}", text_of(&gone));
    println!("instances 6 5 4 and versions 6 5 4 are kept");
}
