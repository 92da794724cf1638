//! Large things through the whole cluster and all its views: a definition of 4 MiB, a fork of 10,000, a workflow of
//! 20,000 nodes. Nodes are ignored where only their number matters; a smaller fork runs real processes.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::process::Output;

use serde_json::Value;

use crate::cluster::{Cluster, text_of};

/// A page or an answer of the API is never longer, however large the instance.
const ANSWER_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A definition under construction: nodes in order, each led to by the one before.
struct Draft {
    text: String,
    nodes: usize,
}

impl Draft {
    fn new(name: &str) -> Self {
        let text = format!("<work-flow name=\"{name}\" schema=\"1\">\n  <start name=\"start\" to=\"n1\"/>\n");
        Self { text, nodes: 1 }
    }

    /// The name of the node that is written now.
    fn name(&mut self) -> String {
        self.nodes += 1;
        format!("n{}", self.nodes - 1)
    }

    fn ignored(&mut self) {
        let name = self.name();
        let to = self.next_name();
        let _ = writeln!(
            self.text,
            "  <action name=\"{name}\" is-ignore=\"true\"><exec program=\"/bin/false\"/><ok to=\"{to}\"/></action>"
        );
    }

    fn chain(&mut self, length: usize) {
        (0..length).for_each(|_| self.ignored());
    }

    fn script(&mut self, code: &str) {
        let name = self.name();
        let to = self.next_name();
        let _ = writeln!(
            self.text,
            "  <action name=\"{name}\"><script><code><![CDATA[{code}]]></code></script><ok to=\"{to}\"/></action>"
        );
    }

    /// A fork with its branches and their join.
    fn fork(&mut self, branches: usize, is_ignored: bool) {
        let fork = self.name();
        let first = self.nodes;
        let join = format!("n{}", first + branches);
        let _ = writeln!(self.text, "  <fork name=\"{fork}\">");
        for at in first..first + branches {
            let _ = writeln!(self.text, "    <path to=\"n{at}\"/>");
        }
        let _ = writeln!(self.text, "  </fork>");
        let ignore = if is_ignored { " is-ignore=\"true\"" } else { "" };
        for _ in 0..branches {
            let name = self.name();
            let _ = writeln!(
                self.text,
                "  <action name=\"{name}\"{ignore}><exec program=\"/bin/true\"/><ok to=\"{join}\"/></action>"
            );
        }
        assert_eq!(self.name(), join);
        let to = self.next_name();
        let _ = writeln!(self.text, "  <join name=\"{join}\" to=\"{to}\"/>");
    }

    fn next_name(&self) -> String {
        format!("n{}", self.nodes)
    }

    /// Closes it; the last node leads to the end.
    fn done(mut self) -> (String, usize) {
        let last = self.name();
        let _ = write!(self.text, "  <end name=\"{last}\"/>\n</work-flow>\n");
        (self.text, self.nodes)
    }
}

fn numbers_of(show: &Value, state: &str) -> usize {
    show["nodes"].as_array().expect("nodes").iter().filter(|node| node["state"] == state).count()
}

fn names(show: &Value) -> BTreeSet<&str> {
    show["nodes"].as_array().expect("nodes").iter().map(|node| node["name"].as_str().expect("a name")).collect()
}

fn loaded(cluster: &Cluster, name: &str) {
    cluster.await_true(name, || {
        let errors = cluster.try_json(&["workflow", "errors"]);
        let errors = errors.and_then(|list| list["items"].as_array().cloned()).unwrap_or_default();
        assert!(errors.is_empty(), "{name} does not load: {errors:?}");
        cluster.client(&["why", name]).status.success()
    });
}

/// Runs it to its end. Returns its number.
fn run(cluster: &Cluster, name: &str) -> String {
    let run = cluster.client(&["run", name, "-q"]);
    assert!(run.status.success(), "{}", text_of(&run));
    let number = String::from_utf8_lossy(&run.stdout).trim().trim_start_matches('#').to_owned();
    ended(cluster, &number, 0);
    number
}

fn ended(cluster: &Cluster, number: &str, exit: i32) {
    let wait = cluster.client(&["instance", "wait", number, "--timeout", "10m", "-q"]);
    assert_eq!(wait.status.code(), Some(exit), "{}", text_of(&wait));
}

/// Every page that shows the instance or its workflow answers, is bounded, and says that there is more.
fn pages_are_bounded(cluster: &Cluster, workflow: &str, number: &str, n_nodes: usize) {
    let mut paths = vec!["/".to_owned(), "/workflows".to_owned(), "/instances".to_owned()];
    paths.push(format!("/w/{workflow}"));
    paths.push(format!("/w/{workflow}/versions/latest"));
    paths.push(format!("/i/{number}"));
    paths.push(format!("/i/{number}?node=n{}", n_nodes / 2));
    // Lists are read from the database, which is a moment behind.
    cluster.await_true("the instance in the list", || {
        cluster.page("/instances").is_some_and(|page| page.contains(&format!("/i/{number}\"")))
    });
    for path in paths {
        let page = cluster.page(&path).unwrap_or_else(|| panic!("{path} does not answer"));
        assert!(page.starts_with("HTTP/1.1 200"), "{path}: {}", page.lines().next().unwrap_or_default());
        assert!(page.contains(workflow), "{path} names {workflow}");
        assert!(page.len() < ANSWER_BYTES_MAX, "{path} has {} bytes", page.len());
        println!("  {path}: {} bytes", page.len());
    }
    let page = cluster.page(&format!("/i/{number}")).expect("the page of the instance");
    assert!(page.contains(&n_nodes.to_string()), "the page says how many nodes there are");
    let api = cluster.page(&format!("/api/v1/instances/{number}")).expect("the instance");
    assert!(api.starts_with("HTTP/1.1 200") && api.len() < ANSWER_BYTES_MAX, "{} bytes", api.len());
    assert!(api.contains("\"nodes_next\":\""), "the API says that there are more nodes");
}

fn lines_of(output: &Output) -> usize {
    output.stdout.iter().filter(|byte| **byte == b'\n').count()
}

/// The table is bounded and says how to see the rest, the JSON is whole.
fn shown_whole(cluster: &Cluster, number: &str, n_nodes: usize) -> Value {
    let table = cluster.client(&["instance", "show", number]);
    assert!(table.status.success(), "{}", text_of(&table));
    assert!(lines_of(&table) < 1_000, "the table has {} lines", lines_of(&table));
    assert!(text_of(&table).contains("--all"), "the table says how to see the rest: {}", text_of(&table));
    let show = cluster.json(&["instance", "show", number]);
    assert_eq!(show["nodes"].as_array().map(Vec::len), Some(n_nodes));
    assert_eq!(names(&show).len(), n_nodes, "every node once");
    show
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn a_definition_of_almost_four_mebibytes_loads_shows_and_runs() {
    const BYTES: usize = 4 * 1024 * 1024;
    let mut draft = Draft::new("heavy");
    draft.script("echo heavy");
    // Each body is text that nobody runs, in a file that is mostly bodies.
    let body = "-- 这一行只占地方\n".repeat(200);
    while draft.text.len() + body.len() + 1_000 < BYTES {
        let (name, to) = (draft.name(), draft.next_name());
        let _ = writeln!(
            draft.text,
            "  <action name=\"{name}\" is-ignore=\"true\"><script><code><![CDATA[{body}]]></code></script><ok to=\"{to}\"/></action>"
        );
    }
    let (text, n_nodes) = draft.done();
    assert!(text.len() < BYTES && text.len() > BYTES - 10_000, "{}", text.len());
    // The same number of bytes in GBK is half as much again in UTF-8.
    let (gbk, _, _) = encoding_rs::GBK.encode(&text);
    let repeat = (BYTES - 2_000 - gbk.len()) / 3;
    let long = text.replacen("\"heavy\"", "\"gbk\"", 1).replacen(
        "<start",
        &format!("<!--{}-->\n  <start", "字".repeat(repeat)),
        1,
    );
    let long = format!("<?xml version=\"1.0\" encoding=\"GBK\"?>\n{long}");
    let (gbk, _, _) = encoding_rs::GBK.encode(&long);
    assert!(gbk.len() < BYTES);

    let cluster = Cluster::started(&[]);
    cluster.write("heavy.xml", &text);
    std::fs::write(cluster.xmlconfig().join("gbk.xml"), &gbk).expect("gbk.xml");
    for (name, text) in [("heavy", &text), ("gbk", &long)] {
        loaded(&cluster, name);
        let xml = cluster.client(&["workflow", "show", name, "--xml"]);
        assert!(xml.status.success(), "{}", String::from_utf8_lossy(&xml.stderr));
        assert!(xml.stdout == text.as_bytes(), "the text of {name} comes back whole");
        let show = cluster.json(&["workflow", "show", name]);
        assert_eq!(show["nodes"].as_array().map(Vec::len), Some(n_nodes));
        let number = run(&cluster, name);
        pages_are_bounded(&cluster, name, &number, n_nodes);
        let show = shown_whole(&cluster, &number, n_nodes);
        assert_eq!((numbers_of(&show, "skipped"), numbers_of(&show, "succeeded")), (n_nodes - 3, 3), "{name}");
    }
    println!("{} and {} bytes, {n_nodes} nodes: loaded, shown, run", text.len(), gbk.len());
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn a_fork_of_ten_thousand_is_joined() {
    let mut draft = Draft::new("wide");
    draft.fork(10_000, true);
    let (text, n_nodes) = draft.done();
    let cluster = Cluster::started(&[("wide.xml", &text)]);
    loaded(&cluster, "wide");
    let number = run(&cluster, "wide");
    let show = shown_whole(&cluster, &number, n_nodes);
    assert_eq!(numbers_of(&show, "skipped"), 10_000);
    assert_eq!(show["edges"].as_array().map(Vec::len), Some(20_002), "every edge once");
    pages_are_bounded(&cluster, "wide", &number, n_nodes);
    println!("fork of 10,000 joined");
}

/// `RACTORFLOW_TEST_FORK` runs more of them: each is a process, so the default keeps a small machine's time.
#[test]
#[ignore = "real processes: tests/run acceptance"]
fn a_fork_of_real_processes_is_joined_and_followed() {
    let branches = std::env::var("RACTORFLOW_TEST_FORK").ok().and_then(|n| n.parse().ok()).unwrap_or(600);
    let mut draft = Draft::new("real");
    draft.fork(branches, false);
    draft.script("echo joined");
    let (text, n_nodes) = draft.done();
    let cluster = Cluster::started(&[("real.xml", &text)]);
    loaded(&cluster, "real");
    let follow = cluster.client(&["run", "real", "--follow", "--timeout", "20m"]);
    assert_eq!(follow.status.code(), Some(0), "{}", text_of(&follow));
    assert!(text_of(&follow).contains("joined"), "{}", text_of(&follow));
    let show = cluster.json(&["instance", "show", "last:real"]);
    assert_eq!(numbers_of(&show, "succeeded"), n_nodes);
    let attempts = show["nodes"].as_array().expect("nodes").iter().filter_map(|node| node["attempts"].as_array());
    assert_eq!(attempts.map(Vec::len).sum::<usize>(), branches + 1, "each process ran once");
    println!("fork of {branches} processes joined");
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn twenty_thousand_nodes_run_are_killed_in_the_middle_and_rerun() {
    const NODES: usize = 20_000;
    let directory = tempfile::tempdir().expect("a directory");
    let gate = directory.path().join("gate");
    let mut draft = Draft::new("huge");
    for _ in 0..5 {
        draft.chain(500);
        draft.fork(1_500, true);
    }
    draft.fork(50, false);
    let half = draft.nodes;
    draft.script(&format!("until [ -e '{}' ]; do sleep 0.1; done\necho through", gate.display()));
    draft.fork(2_000, true);
    draft.chain(NODES - 1 - draft.nodes);
    let (text, n_nodes) = draft.done();
    assert_eq!(n_nodes, NODES);
    let cluster = Cluster::started(&[("huge.xml", &text)]);
    loaded(&cluster, "huge");
    let run = cluster.client(&["run", "huge", "-q"]);
    assert!(run.status.success(), "{}", text_of(&run));
    let number = String::from_utf8_lossy(&run.stdout).trim().trim_start_matches('#').to_owned();
    let gate_node = format!("n{half}");
    cluster.await_true("the gate to run", || {
        let page = cluster.page(&format!("/api/v1/instances/{number}/nodes/{gate_node}")).unwrap_or_default();
        page.contains("\"state\":\"running\"")
    });
    pages_are_bounded(&cluster, "huge", &number, NODES);
    let show = shown_whole(&cluster, &number, NODES);
    assert_eq!((numbers_of(&show, "running"), numbers_of(&show, "waiting")), (1, NODES - 1 - half));
    // What runs is the first thing that one sees.
    let table = text_of(&cluster.client(&["instance", "show", &number]));
    assert!(table.contains(&gate_node), "{table}");

    let kill = cluster.client(&["instance", "kill", &number, "--force"]);
    assert!(kill.status.success(), "{}", text_of(&kill));
    ended(&cluster, &number, 11);
    let show = shown_whole(&cluster, &number, NODES);
    assert_eq!(show["state"], "killed");
    assert_eq!(numbers_of(&show, "killed"), NODES - half);

    std::fs::write(&gate, "").expect("the gate opens");
    let rerun = cluster.client(&["instance", "rerun", &number, "--from-failed"]);
    assert!(rerun.status.success(), "{}", text_of(&rerun));
    ended(&cluster, &number, 0);
    let show = shown_whole(&cluster, &number, NODES);
    assert_eq!(show["generation"], 2);
    assert_eq!(numbers_of(&show, "succeeded") + numbers_of(&show, "skipped"), NODES);
    let logs = cluster.client(&["logs", &format!("{number}/{gate_node}")]);
    assert!(text_of(&logs).contains("through"), "{}", text_of(&logs));
    pages_are_bounded(&cluster, "huge", &number, NODES);
    println!("20,000 nodes: ran to the gate, killed, rerun to the end");
}
