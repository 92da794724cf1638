//! Help, table and JSON of every verb.

use ractorflow::cli::registry::VERBS;

use crate::english::is_english;
use crate::{Server, assert_golden, client};

/// One call of each verb that asks the cluster.
const CALLS: &[(&str, &[&str])] = &[
    ("status", &["status"]),
    ("why", &["why", "10350"]),
    ("logs", &["logs", "10338"]),
    ("run", &["run", "日报_订单", "-p", "day=2026-11-19", "--key", "k-run"]),
    ("workflow list", &["workflow", "list"]),
    ("workflow tree", &["workflow", "tree"]),
    ("workflow show", &["workflow", "show", "日报_订单"]),
    ("workflow delete", &["workflow", "delete", "orders", "--key", "k-delete"]),
    ("workflow enable", &["workflow", "enable", "orders", "--key", "k-enable"]),
    ("workflow disable", &["workflow", "disable", "orders", "stock", "--yes"]),
    ("workflow trigger", &["workflow", "trigger", "orders", "--with-downstream", "--key", "k-trigger"]),
    ("workflow reset", &["workflow", "reset", "--all", "--key", "k-reset"]),
    ("workflow errors", &["workflow", "errors"]),
    ("workflow next", &["workflow", "next"]),
    ("schedule today", &["schedule", "today"]),
    ("workflow versions", &["workflow", "versions", "日报_订单"]),
    ("instance list", &["instance", "list"]),
    ("instance show", &["instance", "show", "10338"]),
    ("instance logs", &["instance", "logs", "10338"]),
    ("instance wait", &["instance", "wait", "10338"]),
    ("instance kill", &["instance", "kill", "10342", "--grace", "5s", "--key", "k-kill"]),
    ("instance rerun", &["instance", "rerun", "10338", "--from", "clean_orders", "--key", "k-rerun"]),
    ("instance pause", &["instance", "pause", "10342", "10350", "--yes"]),
    ("instance resume", &["instance", "resume", "#10342", "--key", "k-resume"]),
    ("instance mark", &["instance", "mark", "10338", "clean_orders", "succeeded", "--key", "k-mark"]),
    ("instance delete", &["instance", "delete", "10338", "--key", "k-gone"]),
    ("worker list", &["worker", "list"]),
    ("worker drain", &["worker", "drain", "w1", "--key", "k-drain"]),
    ("worker declare-dead", &["worker", "declare-dead", "w2", "--key", "k-dead"]),
    ("link list", &["link", "list"]),
    ("link show", &["link", "show", "dwh"]),
    (
        "link add",
        &["link", "add", "dwh", "--type", "SQLITE", "--url", "jdbc:sqlite:x.db", "--no-password", "--key", "k-link"],
    ),
    ("link update", &["link", "update", "dwh", "--password-ref", "${env:DWH}", "--key", "k-link"]),
    ("link remove", &["link", "remove", "landing", "--key", "k-link"]),
    ("link test", &["link", "test", "dwh"]),
    ("cluster status", &["cluster", "status"]),
    ("cluster nodes", &["cluster", "nodes"]),
    ("cluster member", &["cluster", "member", "add", "m4", "--key", "k-member"]),
    ("cluster finalize-upgrade", &["cluster", "finalize-upgrade", "--key", "k-level"]),
    ("cluster switch-over", &["cluster", "switch-over", "--to", "m2", "--key", "k-switch"]),
];

/// These need a file, or print a text of others; they have tests of their own.
const ELSEWHERE: &[&str] = &[
    "check",
    "workflow check",
    "workflow apply",
    "link check",
    "config show",
    "config check",
    "schema xsd",
    "schema openapi",
    "completion",
    "version",
    "akka",
    // Needs a database: tests/connectors/akkaflow.rs.
    "import akkaflow",
    "history list",
    "history show",
    "cluster init",
    "cluster join-token",
    "cluster join",
    "cluster cert",
    "supervise",
    // Works on the files of a stopped master: tests/acceptance/members.rs.
    "cluster promote",
];

/// Whose tables are recorded in Chinese too.
const IN_CHINESE: &[&str] = &[
    "status",
    "why",
    "workflow list",
    "workflow tree",
    "workflow errors",
    "workflow next",
    "workflow versions",
    "instance list",
    "instance show",
    "instance kill",
    "worker list",
    "link list",
    "link test",
    "cluster status",
    "cluster nodes",
];

fn file_name(path: &str) -> String {
    path.replace(' ', "-")
}

#[test]
fn every_verb_is_called_here_or_elsewhere() {
    for verb in VERBS.iter().filter(|verb| !verb.is_hidden && verb.noun() != Some("server")) {
        let is_here = CALLS.iter().any(|(path, _)| *path == verb.path);
        let is_elsewhere = ELSEWHERE.contains(&verb.path);
        assert!(is_here != is_elsewhere, "{} has no golden call", verb.path);
    }
}

#[test]
fn help_of_every_verb() {
    assert_golden("help/ractorflow.txt", &help(&[]));
    for verb in VERBS.iter().filter(|verb| !verb.is_hidden) {
        let words: Vec<&str> = verb.path.split(' ').collect();
        let text = help(&words);
        assert!(text.contains(verb.about) && text.contains("Examples:") && text.contains("Exit codes:"), "{text}");
        // The options of all verbs are in the help of the program; here only the verb's own.
        let own = text.split("Global options:").next().unwrap_or_default();
        let after = text.split("Examples:").nth(1).unwrap_or_default();
        assert_golden(&format!("help/{}.txt", file_name(verb.path)), &format!("{own}Examples:{after}"));
    }
}

/// That every text has a Chinese one is a test beside them.
#[test]
fn help_in_chinese() {
    for (name, words) in
        [("ractorflow", &["--lang", "zh"][..]), ("instance-kill", &["instance", "kill", "--lang", "zh"])]
    {
        let text = help(words);
        for english in ["Usage", "Options", "Examples", "Exit codes", "Print", "default", "possible"] {
            assert!(!text.contains(english), "{english}: {text}");
        }
        assert_golden(&format!("zh/help/{name}.txt"), &text);
    }
}

fn help(words: &[&str]) -> String {
    let output = client(words).arg("--help").output().unwrap();
    assert!(output.status.success(), "{words:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn tables() {
    for (path, call) in CALLS {
        let text = Server::start().text(call);
        assert!(!text.trim().is_empty(), "{path} prints nothing");
        assert_golden(&format!("table/{}.txt", file_name(path)), &text);
    }
}

#[test]
fn json_is_json_and_stays_what_it_is() {
    for (path, call) in CALLS {
        let text = Server::start().text(&[call, &["-o", "json"][..]].concat());
        // Lines of a log come as they are read: one object each.
        for document in
            text.lines().filter(|_| path.ends_with("logs")).chain((!path.ends_with("logs")).then_some(text.as_str()))
        {
            let parsed: Result<serde_json::Value, _> = serde_json::from_str(document);
            assert!(parsed.is_ok(), "{path}: {parsed:?}\n{document}");
        }
        assert_golden(&format!("json/{}.json", file_name(path)), &text);
    }
}

#[test]
fn tables_speak_chinese_and_no_english() {
    for (path, call) in CALLS {
        let text = Server::start().text(&[call, &["--lang", "zh"][..]].concat());
        for line in text.lines().filter(|_| !path.ends_with("logs")) {
            assert!(!is_english(line), "{path}: {line}");
        }
        if IN_CHINESE.contains(path) {
            assert_golden(&format!("zh/{}.txt", file_name(path)), &text);
        }
    }
}

#[test]
fn names_alone_are_what_scripts_want() {
    let server = Server::start();
    assert_eq!(server.text(&["run", "orders", "-q"]), "10350\n");
    let list = server.text(&["instance", "list", "-o", "name"]);
    assert!(list.lines().all(|line| line.parse::<u64>().is_ok()), "{list}");
    let rows = server.text(&["instance", "list", "-o", "jsonl"]);
    assert_eq!(rows.lines().count(), list.lines().count());
    assert!(server.text(&["workflow", "list", "-o", "name"]).contains("日报_订单"));
}
