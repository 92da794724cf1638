//! Each exit code has one meaning in every verb.

use std::sync::atomic::Ordering;

use crate::english::is_english;
use crate::fake_master::FakeMaster;
use crate::{Server, assert_golden, client};

fn exit(server: &Server, arguments: &[&str]) -> i32 {
    let output = server.run(arguments);
    output.status.code().unwrap_or_else(|| panic!("{arguments:?}: {output:?}"))
}

#[test]
fn what_is_wrong_has_its_code() {
    let server = Server::start();
    for (arguments, code) in [
        (&["instance", "show", "10338"][..], 0),
        (&["instance", "show", "yesterday"], 2),
        (&["instance", "list", "--limit", "100000"], 2),
        (&["instance", "list", "--state", "sleeping"], 2),
        (&["run", "orders", "-p", "novalue"], 2),
        (&["run"], 2),
        (&["instance", "kill", "1", "2"], 2),
        (&["instance", "show", "1"], 5),
        (&["workflow", "show", "nowhere"], 5),
        (&["logs", "10338/nowhere"], 5),
        (&["logs", "10352"], 5),
        (&["workflow", "apply", "/nowhere.xml"], 5),
        (&["instance", "pause", "10338"], 6),
        (&["instance", "pause", "10342", "10338", "--yes"], 12),
        (&["instance", "wait", "10342", "--timeout", "50ms"], 8),
        (&["instance", "wait", "10338"], 10),
        (&["workflow", "enable", "orders", "--token", "wrong"], 4),
    ] {
        assert_eq!(exit(&server, arguments), code, "{arguments:?}");
    }
}

#[test]
fn what_has_ended_is_not_said_to_come_yet() {
    let server = Server::start();
    let said = |arguments: &[&str]| String::from_utf8(server.run(arguments).stderr).unwrap();
    assert!(said(&["logs", "10352"]).starts_with("error: instance #10352 ended without output\n"));
    assert!(said(&["instance", "logs", "10352", "--lang", "zh"]).contains("实例 #10352 已结束，没有输出"));
    assert!(said(&["logs", "10350"]).contains("yet"), "that one may still write");
}

#[test]
fn what_waits_for_a_retry_says_until_when() {
    let server = Server::start();
    let row = |lang| {
        let text = server.text(&["instance", "show", "10351", "--lang", lang]);
        text.lines().find(|line| line.contains("clean_orders")).unwrap_or_default().to_owned()
    };
    assert!(row("en").contains("tries again at 20"), "{}", row("en"));
    assert!(row("zh").contains("重试"), "{}", row("zh"));
}

#[test]
fn a_run_that_waits_ends_as_the_instance_ended() {
    let server = Server::start();
    server.master.has_ended.store(true, Ordering::SeqCst);
    assert_eq!(exit(&server, &["run", "orders", "--wait"]), 0);
    assert_eq!(exit(&server, &["workflow", "trigger", "orders", "--wait"]), 0);
    assert_eq!(exit(&server, &["instance", "rerun", "10338", "--follow"]), 0);
}

/// Of what the fake says, 10338 ends failed, 10352 killed and 10342 not at all.
#[test]
fn whatever_starts_something_can_wait_and_ends_as_it_did() {
    let server = Server::start();
    for (arguments, code) in [
        (&["instance", "rerun", "10338", "--wait"][..], 10),
        (&["instance", "rerun", "10338", "--follow"], 10),
        (&["instance", "rerun", "10352", "--wait"], 11),
        (&["instance", "rerun", "10342", "--wait", "--timeout", "50ms"], 8),
        (&["workflow", "trigger", "orders", "--wait", "--timeout", "50ms"], 8),
        (&["instance", "rerun", "10352", "10338", "--wait", "--yes"], 10),
        (&["instance", "rerun", "10352", "10338", "--follow", "--yes"], 2),
        (&["instance", "kill", "10352", "--wait"], 0),
        (&["instance", "kill", "10342", "--wait", "--timeout", "50ms"], 8),
        (&["instance", "kill", "10342", "--timeout", "50ms"], 2),
        (&["run", "orders", "--timeout", "30m"], 2),
        (&["instance", "rerun", "10338", "--timeout", "30m"], 2),
    ] {
        assert_eq!(exit(&server, arguments), code, "{arguments:?}");
    }
    let several = ["instance", "rerun", "10352", "10338", "--wait", "--yes", "-o", "json"];
    let output = server.run(&several);
    let views: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let states: Vec<_> = views.as_array().unwrap().iter().map(|view| view["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["killed", "failed"]);
    let output = server.run(&several[..6]);
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<&str> = text.lines().filter(|line| line.contains("#103")).collect();
    assert!(matches!(rows[..], [one, two] if one.contains("K killed") && two.contains("F failed")), "{text}");
}

#[test]
fn nobody_there_is_not_running() {
    let output = client(&["status", "--addr", "127.0.0.1:9", "-o", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let error: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(error["error"]["exit"], 3);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("127.0.0.1:9") && said.contains("start-cluster"), "{said}");
}

/// What clap finds wrong, in both languages: each with its code, and the command that was probably meant.
#[test]
fn what_is_typed_wrongly_is_said_in_the_language_asked_for() {
    for (name, arguments) in [
        ("verb-of-a-noun", &["kill", "7"][..]),
        ("verb-of-akkaflow", &["submit", "日报_订单"]),
        ("verb-of-akkaflow-of-a-noun", &["instance", "info", "7"]),
        ("verb-of-several", &["delete", "日报 订单"]),
        ("verb-of-another-noun", &["workflow", "rerun", "7"]),
        ("unknown-command", &["instanse", "list"]),
        ("unknown-option", &["instance", "kill", "7", "--forse"]),
        ("missing-argument", &["instance", "kill"]),
        ("invalid-value", &["status", "--color", "sometimes"]),
        ("not-a-number", &["logs", "7", "-n", "many"]),
        ("conflict", &["instance", "kill", "7", "--force", "--grace", "5s"]),
        ("missing-command", &["instance"]),
    ] {
        for lang in ["en", "zh"] {
            let output = client(arguments).env("RACTORFLOW_LANG", lang).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{arguments:?}");
            assert!(output.stdout.is_empty(), "{arguments:?}");
            assert_golden(&format!("usage/{name}.{lang}.txt"), &String::from_utf8(output.stderr).unwrap());
        }
    }
    let said = |command: &mut std::process::Command| {
        let output = command.env_remove("RACTORFLOW_LANG").output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let by_locale = said(client(&["kill", "7"]).env("LANG", "zh_CN.UTF-8"));
    assert!(by_locale.contains("是不是想用: ractorflow instance kill 7"), "{by_locale}");
    assert!(said(&mut client(&["kill", "7", "--lang", "zh"])).contains("没有命令“kill”"));
    assert!(said(&mut client(&["kill", "7"])).contains("did you mean: ractorflow instance kill 7"));
}

/// What the cluster refuses and what the client finds out by itself, in the language that was asked for.
#[test]
fn a_refusal_speaks_chinese_and_no_english() {
    let server = Server::start();
    for (arguments, said) in [
        (&["instance", "show", "99"][..], "错误[instance-not-found]: 没有实例 #99"),
        (&["instance", "show", "yesterday"], "错误: “yesterday”不是实例"),
        (&["instance", "pause", "10338"], "错误[wrong-state]"),
        (&["instance", "pause", "10342", "10338"], "建议: 用 --yes 可不经询问直接执行"),
        (&["instance", "wait", "10342", "--timeout", "50ms"], "实例 #10342 没有及时结束"),
        (&["logs", "10338/nowhere"], "没有节点“nowhere”"),
        (&["run", "orders", "-p", "novalue"], "“novalue”不是 名称=值 的形式"),
        (&["workflow", "enable", "orders", "--token", "wrong"], "错误[unauthorized]"),
        (&["status", "--addr", "ftp://x"], "不是 http:// 地址"),
        (&["status", "--addr", "127.0.0.1:9"], "建议: 请用 ./sbin/start-cluster 启动"),
    ] {
        let output = server.run(&[arguments, &["--lang", "zh"][..]].concat());
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(said), "{arguments:?}: {text}");
        assert!(!text.lines().any(is_english), "{arguments:?}: {text}");
        // A program reads the same in every language.
        let json = |lang| server.run(&[arguments, &["-o", "json", "--lang", lang][..]].concat()).stdout;
        assert_eq!(json("zh"), json("en"), "{arguments:?}");
    }
}

#[test]
fn the_next_address_is_asked_when_one_does_not_answer() {
    let server = Server::start();
    let addresses = format!("127.0.0.1:9,{}", server.address);
    assert_eq!(exit(&server, &["status", "--addr", &addresses]), 0);
}

#[test]
fn a_cluster_without_a_master_is_waited_for() {
    let master = FakeMaster::default();
    master.is_down.store(true, Ordering::SeqCst);
    let server = Server::with(master);
    let child = server.command(&["workflow", "enable", "orders"]).spawn().unwrap();
    // The client has asked at least once when the first refusal is out.
    while server.master.queries.load(Ordering::SeqCst) == 0 && server.master.changes.lock().unwrap().is_empty() {
        if server.master.is_down.swap(false, Ordering::SeqCst) {
            break;
        }
    }
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(server.master.changes.lock().unwrap().len(), 1);
}

#[test]
fn the_same_key_has_one_effect() {
    let server = Server::start();
    for _ in 0..2 {
        assert_eq!(exit(&server, &["run", "orders", "--key", "once"]), 0);
    }
    assert_eq!(server.master.changes.lock().unwrap().len(), 1);
    assert!(server.text(&["run", "orders", "--key", "once"]).contains("as before"));
}

#[test]
fn errors_are_on_stdout_as_json_and_on_stderr_as_text() {
    let server = Server::start();
    let output = server.run(&["instance", "show", "1", "-o", "json"]);
    let error: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(error["error"]["code"], "instance-not-found");
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("error[instance-not-found]: "));
    let output = server.run(&["instance", "show", "1"]);
    assert!(output.stdout.is_empty(), "data alone goes to stdout");
}
