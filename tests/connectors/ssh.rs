//! The type `ssh` on a real OpenSSH server.

use std::path::Path;
use std::time::Duration;

use ractorflow::connector::link;
use ractorflow::connector::ssh::{Script, Session, Stream};
use ractorflow::model::assignment::{Assignment, Rendered};
use ractorflow::model::message::Voice;
use ractorflow::node::task::{self, Failure, Services, Task, Verdict};
use tokio::sync::watch;

use crate::assignment::{assignment, element};
use crate::sshd::Sshd;

const MINE: &[(&str, &str)] = &[("private-key", "mine"), ("passphrase", "pass phrase")];

fn ssh(command: &str) -> Assignment {
    let mut body = element("ssh", None, vec![element("command", Some(command), Vec::new())]);
    body.attributes.push(("file-link".to_owned(), Rendered { text: "host".to_owned(), variables: Vec::new() }));
    let mut assignment = assignment("1.1.1.0.1", body);
    assignment.env = vec![("COLOUR".to_owned(), "it's 红".to_owned())];
    assignment
}

/// Outputs of a success, verdict of a failure.
async fn run(conf: &Path, command: &str, stopped: watch::Receiver<bool>) -> Result<String, Verdict> {
    let task = Task::new(ssh(command), conf, Services::default(), Voice::default(), stopped);
    match task::run(&task).await {
        Ok(()) => Ok(task.output_lines()),
        Err(failure) => Err(task.verdict(failure)),
    }
}

async fn said(conf: &Path) -> Result<String, Failure> {
    let (_stop, stopped) = watch::channel(false);
    let task = Task::new(ssh("true"), conf, Services::default(), Voice::default(), stopped);
    task::run(&task).await.map(|()| task.output_lines())
}

#[tokio::test]
#[ignore = "starts a server of its own"]
async fn a_command_has_its_environment_its_exit_code_and_its_outputs() {
    let Some(server) = Sshd::start() else { return };
    server.known(Some(&server.host_key));
    let conf = server.links(MINE);
    let (_stop, stopped) = watch::channel(false);
    let command =
        "echo \"colour=$COLOUR\" >\"$RF_OUTPUT\"\necho \"fence=$RF_FENCE\" >>\"$RF_OUTPUT\"; cat \"$RF_PARAMS\"";
    let outputs = run(conf, command, stopped.clone()).await.expect("a success");
    assert!(outputs.contains(r#"{"name":"colour","value":"it's 红"}"#) && outputs.contains("fence"), "{outputs}");
    let verdict = run(conf, "echo 'no space left' >&2; exit 75", stopped.clone()).await.expect_err("a failure");
    assert_eq!(verdict.exit_code, Some(75));
    let said = verdict.message.english();
    assert_eq!(said, format!("exit code 75 on {}@127.0.0.1: no space left", server.user));
    // Larger than what is under way at once, in both directions.
    let command = format!("# {}\nseq 1 200000\necho n=$(wc -c <\"$0\") >\"$RF_OUTPUT\"", "x".repeat(300_000));
    let outputs = run(conf, &command, stopped).await.expect("a success");
    assert!(outputs.contains(&format!("\"{}\"", command.len() + 1)), "{outputs}");
}

#[tokio::test]
#[ignore = "starts a server of its own"]
async fn a_host_is_trusted_when_it_is_known_and_only_then() {
    let Some(server) = Sshd::start() else { return };
    let conf = server.links(MINE);
    server.known(None);
    let failure = said(conf).await.expect_err("an unknown host");
    let text = failure.message.english();
    assert!(failure.is_refusal && text.contains("SHA256:") && text.contains("known_hosts"), "{text}");
    let (_, fingerprint) = text.split_once("its host key ").expect("a fingerprint");
    let fingerprint = fingerprint.split(' ').next().expect("a fingerprint").to_owned();

    server.known(Some(&server.file("other.pub")));
    let text = said(conf).await.expect_err("another host").message.english();
    assert!(text.contains("is not the one of line 1 of"), "{text}");

    let pinned: Vec<_> = MINE.iter().copied().chain([("host-key", fingerprint.as_str())]).collect();
    said(server.links(&pinned)).await.expect("the link names its key");
    let other: Vec<_> = MINE.iter().copied().chain([("host-key", "SHA256:other")]).collect();
    server.known(Some(&server.host_key));
    let text = said(server.links(&other)).await.expect_err("not that one").message.english();
    assert!(text.contains("is not the link's host-key"), "{text}");
}

#[tokio::test]
#[ignore = "starts a server of its own"]
async fn who_may_not_sign_in_is_told_why() {
    let Some(server) = Sshd::start() else { return };
    server.known(Some(&server.host_key));
    let text = said(server.links(&[("private-key", "other")])).await.expect_err("not authorized").message.english();
    assert!(text.contains("refuses the login; it accepts: publickey"), "{text}");
    let text = said(server.links(&[("private-key", "mine")])).await.expect_err("no passphrase").message.english();
    assert!(text.contains("the private key") && text.contains("cannot be read"), "{text}");
}

/// A kill, and the end of the one who asked: what runs over there ends with its children.
#[tokio::test]
#[ignore = "starts a server of its own"]
async fn a_command_ends_with_a_kill_and_with_its_connection() {
    let Some(server) = Sshd::start() else { return };
    server.known(Some(&server.host_key));
    let conf = server.links(MINE);
    let place = tempfile::tempdir().expect("a directory");
    let file = |name: &str| place.path().join(name).display().to_string();
    let command = |name: &str| format!("sleep 600 & echo $! >{0}.new; mv {0}.new {0}; wait", file(name));

    let (stop, stopped) = watch::channel(false);
    let command_text = command("killed");
    let killed = run(conf, &command_text, stopped);
    let stopping = async {
        let pid = pid_in(&file("killed")).await;
        stop.send_replace(true);
        gone(&pid).await;
    };
    let both = async { tokio::join!(killed, stopping) };
    let (outcome, ()) = tokio::time::timeout(Duration::from_secs(60), both).await.expect("it ends over there");
    assert_eq!(outcome.expect_err("it was killed").message.english(), "killed");

    let link = link::file_link(conf, "host").expect("a link");
    let session = Session::open(&link, conf, Duration::from_secs(30)).await.expect("a session");
    let script = Script { text: command("left"), ..Script::default() };
    let left = file("left");
    let pid = tokio::select! {
        ended = session.run(&script, std::future::pending(), |_: Stream, _: &str| {}) => panic!("{ended:?}"),
        pid = pid_in(&left) => pid,
    };
    // As when the process that asked was killed.
    drop(session);
    tokio::time::timeout(Duration::from_secs(60), gone(&pid)).await.expect("it ends with the connection");
}

async fn pid_in(file: &str) -> String {
    loop {
        match std::fs::read_to_string(file) {
            Ok(pid) => return pid.trim().to_owned(),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn gone(pid: &str) {
    let is_alive = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    while is_alive() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
