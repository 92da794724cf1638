//! Command lines of akkaflow, through the binary, against masters in memory.

use ractorflow::api::Change;
use ractorflow::api::change::RerunMode;
use serde_json::{Value, json};

use crate::{Server, assert_golden, client};

/// The line, its exit code and the object that akkaflow's users read.
fn reply(server: &Server, words: &[&str]) -> (i32, Value) {
    let output = server.run(&[&["akka"], words].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{words:?}: {error}\n{text}"));
    (output.status.code().unwrap(), value)
}

fn last_change(server: &Server) -> Change {
    server.master.changes.lock().unwrap().last().expect("a change").change.clone()
}

#[test]
fn what_changes_something_is_answered_as_akkaflow_did() {
    let server = Server::start();
    let file = tempfile::NamedTempFile::with_suffix(".xml").unwrap();
    std::fs::write(file.path(), "<work-flow name=\"orders\"/>").unwrap();
    let path = file.path().to_str().unwrap();
    for (words, data) in [
        (&["instance", "-kill", "10342"][..], Value::Null),
        (&["instance", "-del", "10338"], Value::Null),
        (&["instance", "-rerun", "10338"], json!("10338")),
        (&["workflow", "-add", path], json!("orders")),
        (&["workflow", "-check", path], Value::Null),
        (&["workflow", "-del", "orders"], Value::Null),
        (&["workflow", "-reset", "orders"], Value::Null),
        (&["workflow", "-run", "--param", "a=1&b=x y", "orders"], json!("10350")),
        (&["workflow", "-trigger", "orders"], json!("10350")),
        (&["workflow", "-trigger", "orders", "--blood"], json!("10350")),
        (&["util", "-reset-all"], Value::Null),
    ] {
        let (exit, value) = reply(&server, words);
        assert_eq!(exit, 0, "{words:?}: {value}");
        assert_eq!(value["result"], "success", "{words:?}: {value}");
        assert!(value["msg"].as_str().is_some_and(|said| !said.is_empty()), "{words:?}: {value}");
        assert_eq!(value["data"], data, "{words:?}: {value}");
        assert_eq!(value.as_object().unwrap().len(), 3, "{value}");
    }
}

#[test]
fn w07_lines_that_akkaflows_server_refused_do_what_they_say() {
    let server = Server::start();
    reply(&server, &["workflow", "-run", "orders", "-p", "a=1&b=x=y"]);
    let Change::Run { workflow, request } = last_change(&server) else { panic!("{:?}", last_change(&server)) };
    assert_eq!((workflow.as_str(), request.params["a"].as_str(), request.params["b"].as_str()), ("orders", "1", "x=y"));
    reply(&server, &["workflow", "-trigger", "--blood", "orders"]);
    assert!(matches!(last_change(&server), Change::Trigger { request, .. } if request.with_downstream));
    reply(&server, &["instance", "-rerun", "10338"]);
    assert!(matches!(last_change(&server), Change::Rerun { request, .. } if request.mode == RerunMode::All));
    reply(&server, &["instance", "-rerun", "10338", "--recover"]);
    assert!(matches!(last_change(&server), Change::Rerun { request, .. } if request.mode == RerunMode::FromFailed));
    reply(&server, &["util", "-reset-all"]);
    assert!(matches!(last_change(&server), Change::Reset { workflow: None }));
}

#[test]
fn a_failure_is_an_object_too_and_has_its_exit_code() {
    let server = Server::start();
    for (words, code) in [
        (&["workflow", "-add", "/nowhere.xml"][..], 5),
        (&["instance", "-kill", "yesterday"], 2),
        (&["workflow", "-run", "--param", "novalue", "orders"], 2),
    ] {
        let (exit, value) = reply(&server, words);
        assert_eq!(
            (exit, &value["result"], &value["data"]),
            (code, &json!("fail"), &Value::Null),
            "{words:?}: {value}"
        );
        assert!(value["msg"].as_str().unwrap().starts_with("error"), "{value}");
    }
    let denied =
        server.command(&["akka", "workflow", "-del", "orders"]).env("RACTORFLOW_TOKEN", "wrong").output().unwrap();
    let value: Value = serde_json::from_slice(&denied.stdout).unwrap();
    assert_eq!((denied.status.code(), &value["result"]), (Some(4), &json!("fail")), "{value}");
    let broken = tempfile::NamedTempFile::with_suffix(".xml").unwrap();
    std::fs::write(broken.path(), "<broken").unwrap();
    let (exit, value) = reply(&server, &["workflow", "-check", broken.path().to_str().unwrap()]);
    assert_eq!((exit, &value["result"]), (7, &json!("fail")), "{value}");
}

#[test]
fn akka_12_what_is_looked_at_is_printed_for_people() {
    let server = Server::start();
    for (name, words) in [
        ("front", &["front"][..]),
        ("instance-info", &["instance", "-info", "10338"]),
        ("instance-info-log", &["instance", "-info", "10338", "--log"]),
        ("instance-info-xml", &["instance", "-info", "10338", "--xml"]),
        ("instance-search", &["instance", "-search", "--sdate", "2026-11-01", "--status", "失败", "--key", "or"]),
        ("workflow-info", &["workflow", "-info", "日报_订单"]),
        ("workflow-info-xml", &["workflow", "-info", "日报_订单", "--xml"]),
        ("workflow-info-log", &["workflow", "-info", "日报_订单", "--log"]),
        ("workflow-list", &["workflow", "-list"]),
        ("util-del-dir", &["util", "-del-dir", "/A/B"]),
    ] {
        let output = server.run(&[&["akka"], words].concat());
        assert_eq!(output.status.code(), Some(0), "{words:?}: {output:?}");
        assert_golden(&format!("akka/{name}.txt"), &String::from_utf8(output.stdout).unwrap());
    }
}

#[test]
fn akka_13_front_has_the_last_days_what_runs_and_what_ended() {
    let server = Server::start();
    let text = server.text(&["akka", "front"]);
    let days = text.split("\nDays\n").nth(1).unwrap_or_default().lines().skip(1).take_while(|line| !line.is_empty());
    let days: Vec<&str> = days.collect();
    assert_eq!(days.len(), 8, "{text}");
    assert!(days.iter().all(|day| day.starts_with("2026-11-") && day.split_whitespace().count() == 5), "{text}");
    assert!(text.contains("\nRunning\n") && text.contains("\nFinished\n"), "{text}");
}

#[test]
fn the_line_of_ours_is_said_on_stderr_unless_it_shall_be_quiet() {
    let server = Server::start();
    let said = |arguments: &[&str]| String::from_utf8(server.run(arguments).stderr).unwrap();
    assert_eq!(
        said(&["akka", "workflow", "-run", "--param", "a=1&b=x y", "orders"]),
        "here: ractorflow run orders -p a=1 -p 'b=x y'\n"
    );
    assert_eq!(said(&["--lang", "zh", "akka", "util", "-reset-all"]), "本系统命令：ractorflow workflow reset --all\n");
    assert_eq!(said(&["-q", "akka", "util", "-reset-all"]), "");
}

#[test]
fn without_arguments_it_says_what_it_understands() {
    for lang in ["en", "zh"] {
        let output = client(&["--lang", lang, "akka"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_golden(&format!("akka/usage.{lang}.txt"), &String::from_utf8(output.stdout).unwrap());
    }
    let exit = |words: &[&str]| client(&[&["akka"], words].concat()).output().unwrap().status.code();
    assert_eq!(exit(&["workflow"]), Some(1));
    assert_eq!(exit(&["help"]), Some(0));
    assert_eq!(exit(&["workflow", "--help"]), Some(0));
    let misused = client(&["--lang", "zh", "akka", "instance", "-stop", "7"]).output().unwrap();
    assert_eq!(misused.status.code(), Some(2));
    let said = String::from_utf8(misused.stderr).unwrap();
    assert!(said.contains("akkaflow 没有命令“instance -stop”") && said.contains("akka instance -kill ID"), "{said}");
    assert!(!said.contains("akka workflow"), "{said}");
}
