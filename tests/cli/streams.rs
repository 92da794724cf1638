//! Following and waiting: the server tells, Ctrl-C detaches.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Server;

fn follow(server: &Server, arguments: &[&str]) -> Child {
    server.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn read_until(child: &mut Child, text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.as_mut().unwrap()).lines() {
        lines.push(line.unwrap());
        if lines.last().unwrap().contains(text) {
            break;
        }
    }
    lines
}

#[test]
fn lines_come_while_the_task_runs_and_ctrl_c_leaves_it_running() {
    let server = Server::start();
    let mut child = follow(&server, &["logs", "-f", "10342"]);
    let lines = read_until(&mut child, "batch 2/9");
    assert!(lines.iter().any(|line| line.contains("238,000 行")), "{lines:?}");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(9));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("ractorflow logs -f 10342"), "{said}");
    assert!(server.master.changes.lock().unwrap().is_empty(), "watching changes nothing");
}

#[test]
fn following_ends_with_the_instance_and_as_it_did() {
    let server = Server::start();
    let mut child = follow(&server, &["logs", "-f", "10342"]);
    read_until(&mut child, "batch 2/9");
    server.master.end_instance();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn a_wait_ends_when_the_instance_does() {
    let server = Server::start();
    let child = follow(&server, &["instance", "wait", "10342", "-o", "json"]);
    while server.master.waits.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    server.master.end_instance();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let view: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(view["state"], "succeeded");
}

#[test]
fn part_of_a_log() {
    let server = Server::start();
    let tail = server.text(&["logs", "10342/clean_orders", "-n", "2"]);
    assert_eq!(tail.lines().count(), 2, "{tail}");
    let found = server.text(&["logs", "10342/clean_orders", "--grep", "deadlock"]);
    assert!(found.contains("ORA-00060") && found.lines().count() == 1, "{found}");
}
