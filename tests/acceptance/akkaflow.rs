//! Scripts of an akkaflow user, against a real cluster: the command lines, the HTTP routes, a standby by its own script.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Output;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::cluster::{Cluster, text_of};

const HELLO: &str = r#"<work-flow name="日报" creator="Kent">
  <coordinator><param-list><param name="day" value="never"/></param-list></coordinator>
  <start name="start" to="say"/>
  <action name="say"><script><code>echo hello ${param:day}</code></script><ok to="end"/></action>
  <end name="end"/>
</work-flow>"#;

/// As an earlier version of akkaflow had it.
const EARLIER: &str = r#"<work-flow name="早">
  <start name="start" to="watch"/>
  <action name="watch"><file-watcher><file dir="/in">*.csv</file></file-watcher><ok to="look"/></action>
  <action name="look"><data-monitor><source type="NUM">1</source><min-threshold type="NUM">2</min-threshold></data-monitor><ok to="end"/></action>
  <end name="end"/>
</work-flow>"#;

fn script(cluster: &Cluster, name: &str, arguments: &[&str]) -> Output {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sbin").join(name);
    cluster.command(path.to_str().expect("an ASCII path")).args(arguments).output().expect(name)
}

fn reply(output: &Output) -> Value {
    let value: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text_of(output)));
    assert!(output.status.success() && value["result"] == "success", "{value}");
    value
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn akka_11_command_lines_and_routes_of_akkaflow_work_on_a_real_cluster() {
    let cluster = Cluster::new(&[("日报.xml", HELLO)]).setting("RACTORFLOW_COMPAT__AKKAFLOW_HTTP", "true");
    cluster.start();
    cluster.await_true("the workflow", || cluster.try_json(&["workflow", "show", "日报"]).is_some());

    let nothing = script(&cluster, "akka", &[]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(text_of(&nothing).contains("akka workflow -run"), "{}", text_of(&nothing));
    let run = reply(&script(&cluster, "akka", &["workflow", "-run", "--param", "day=2026-11-19", "日报"]));
    let number = run["data"].as_str().expect("a number").to_owned();
    assert!(cluster.client(&["instance", "wait", &number]).status.success());
    let log = |number: &str| text_of(&script(&cluster, "akka", &["instance", "-info", number, "--log"]));
    assert!(log(&number).contains("hello 2026-11-19"), "{}", log(&number));
    // What akkaflow's own server refused: a trigger, which takes what the param-list says, and a rerun.
    let triggered = reply(&script(&cluster, "akka", &["workflow", "-trigger", "日报"]));
    let triggered = triggered["data"].as_str().expect("a number").to_owned();
    assert!(cluster.client(&["instance", "wait", &triggered]).status.success());
    assert!(log(&triggered).contains("hello never"), "{}", log(&triggered));
    reply(&script(&cluster, "akka", &["instance", "-rerun", &number]));
    assert!(cluster.client(&["instance", "wait", &number]).status.success());
    let again = cluster.json(&["instance", "show", &number]);
    assert_eq!((&again["generation"], &again["state"]), (&Value::from(2), &Value::from("succeeded")));
    assert!(log(&number).contains("hello 2026-11-19"), "with the parameters that it had: {}", log(&number));
    for words in [&["front"][..], &["instance", "-search", "--status", "成功"], &["workflow", "-info", "日报"]] {
        let shown = script(&cluster, "akka", words);
        assert!(shown.status.success() && text_of(&shown).contains("日报"), "{words:?}: {}", text_of(&shown));
    }

    let file = cluster.home().join("earlier.xml");
    std::fs::write(&file, EARLIER).expect("a file");
    let checked = script(&cluster, "akka", &["workflow", "-check", file.to_str().expect("an ASCII path")]);
    let said: Value = serde_json::from_slice(&checked.stdout).expect("JSON");
    let said = said["msg"].as_str().expect("text");
    assert!(said.contains("write <file-monitor> instead of <file-watcher>"), "{said}");
    assert!(said.contains("note: it is ignored, as akkaflow does\n"), "its place is told once: {said}");

    let token = std::fs::read_to_string(cluster.home().join("conf/admin.token")).expect("the token");
    let path = "/akkaflow/workflow/%E6%97%A5%E6%8A%A5?action=run&day=2026-11-20";
    assert!(get(&cluster, path, "").contains(r#""result":"fail""#));
    let answer = get(&cluster, path, &format!("Authorization: Bearer {}\r\n", token.trim()));
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""result":"success""#), "{answer}");
    let number = answer.split(r#""data":""#).nth(1).and_then(|rest| rest.split('"').next()).expect("a number");
    assert!(cluster.client(&["instance", "wait", number]).status.success());
    let log = cluster.client(&["logs", number]);
    assert!(text_of(&log).contains("hello 2026-11-20"), "{}", text_of(&log));
}

/// In a new home, in the foreground, as a container starts it; TERM ends it with all its parts.
#[test]
#[ignore = "real processes: tests/run acceptance"]
fn akka_16_all_roles_start_in_one_process_in_a_new_home() {
    let cluster = Cluster::new(&[("日报.xml", HELLO)]);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sbin/docker-standalone-startup");
    let port_base = cluster.port_base().to_string();
    let mut command = cluster.command(path.to_str().expect("an ASCII path"));
    let mut foreground = command.args(["--port-base", &port_base]).spawn().expect("it starts");
    cluster.await_true("the workflow", || cluster.try_json(&["workflow", "show", "日报"]).is_some());
    let run = cluster.client(&["run", "日报", "--wait"]);
    assert!(run.status.success(), "{}", text_of(&run));
    kill(Pid::from_raw(foreground.id() as i32), Signal::SIGTERM).expect("it lives");
    assert!(foreground.wait().expect("it ends").success());
    assert_eq!(cluster.client(&["status"]).status.code(), Some(3), "its parts ended with it");
}

fn get(cluster: &Cluster, path: &str, headers: &str) -> String {
    let status = cluster.json(&["cluster", "status"]);
    let address = status["http"].as_str().expect("an address").trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).expect("a connection");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Connection: close\r\n\r\n").expect("sent");
    let mut text = Vec::new();
    stream.read_to_end(&mut text).expect("an answer");
    String::from_utf8_lossy(&text).into_owned()
}
