//! Files that lie beside a task: those of a version, fetched by content, and those of the worker's host.

use std::fs;
use std::sync::atomic::Ordering;

use ractorflow::engine::definition::hash_of;
use ractorflow::model::assignment::{Assignment, OutcomeClass};
use ractorflow::model::attachment::AttachedFile;
use ractorflow::model::id::NodeIndex;

use crate::assignment::{assignment, element};
use crate::master::{Home, Link, script};
use crate::support::eventually;

/// Names a file of a version, which the master has.
fn attach(task: &mut Assignment, path: &str, content: &[u8]) -> AttachedFile {
    let file =
        AttachedFile { node: NodeIndex(1), path: path.to_owned(), hash: hash_of(content), bytes: content.len() as u64 };
    task.files.push(file.clone());
    task.body.children.push(element("attach-file", Some(path), vec![]));
    file
}

fn give(link: &Link, content: &[u8]) {
    link.files.lock().unwrap().insert(hash_of(content), content.to_vec());
}

/// A script that says how large its file is and what it hashes to.
fn summing(attempt: &str) -> Assignment {
    script(attempt, "sha256sum < data.bin; stat -c %a data.bin; echo more >> data.bin")
}

#[tokio::test]
async fn w07_a_large_file_comes_from_the_master_once_and_each_attempt_has_a_copy() {
    let home = Home::new();
    let (worker, link) = home.start(home.config(1), 1).await;
    let content: Vec<u8> = (0..150_000_u32).flat_map(|n| n.to_le_bytes()).collect();
    give(&link, &content);
    for attempt in ["1.1.1.0.1", "1.1.1.0.2"] {
        let mut task = summing(attempt);
        attach(&mut task, "lib/data.bin", &content);
        link.dispatch(&task);
        assert_eq!(link.outcome(task.attempt).await.class, OutcomeClass::Succeeded);
        let lines = eventually("the log", || Some(home.lines(task.attempt)).filter(|lines| lines.len() == 2)).await;
        assert_eq!(lines, [format!("{}  -", hash_of(&content)), "700".to_owned()]);
    }
    assert_eq!(link.n_reads.load(Ordering::SeqCst), 1, "what the first attempt wrote into its copy stayed there");
    worker.stop().await;
}

#[tokio::test]
async fn a_damaged_copy_is_noticed_and_fetched_again() {
    let home = Home::new();
    let (worker, link) = home.start(home.config(1), 1).await;
    give(&link, b"right\n");
    let run = async |attempt: &str| {
        let mut task = summing(attempt);
        let file = attach(&mut task, "data.bin", b"right\n");
        link.dispatch(&task);
        assert_eq!(link.outcome(task.attempt).await.class, OutcomeClass::Succeeded);
        let lines = eventually("the log", || Some(home.lines(task.attempt)).filter(|lines| lines.len() == 2)).await;
        assert_eq!(lines[0], format!("{}  -", file.hash));
        home.dir.path().join("data/files").join(file.hash.as_str())
    };
    let kept = run("1.1.1.0.1").await;
    fs::write(&kept, b"wrong\n").unwrap();
    run("1.1.1.0.2").await;
    assert_eq!(fs::read(&kept).unwrap(), b"right\n");
    assert_eq!(link.n_reads.load(Ordering::SeqCst), 2);
    worker.stop().await;
}

#[tokio::test]
async fn w07_a_file_executor_runs_its_script_beside_its_files_and_its_exit_code_counts() {
    let home = Home::new();
    let (worker, link) = home.start(home.config(1), 1).await;
    let host = home.dir.path().join("items.log");
    fs::write(&host, "a\nb\n").unwrap();
    let load: &[u8] = b"cat items.log; echo \"$1\"; pwd; exit 4\n";
    give(&link, load);
    let list = element("attach-list", None, vec![element("file", host.to_str(), vec![])]);
    let command = element("command", Some("bash bin/load.sh \"x y\""), vec![]);
    let mut task = assignment("1.1.1.0.1", element("file-executor", None, vec![command, list]));
    let file =
        AttachedFile { node: NodeIndex(1), path: "bin/load.sh".into(), hash: hash_of(load), bytes: load.len() as u64 };
    task.files.push(file);
    link.dispatch(&task);
    let outcome = link.outcome(task.attempt).await;
    assert_eq!((outcome.class, outcome.exit_code), (OutcomeClass::Failed, Some(4)));
    let lines = eventually("the log", || Some(home.lines(task.attempt)).filter(|lines| lines.len() == 4)).await;
    assert_eq!(lines[..3], ["a", "b", "x y"]);
    assert!(lines[3].contains("data/work"), "{lines:?}");

    let mut gone = script("1.1.2.0.1", "true");
    gone.body.children.push(element("attach-file", Some("/no/such/file"), vec![]));
    link.dispatch(&gone);
    let refused = link.outcome(gone.attempt).await;
    assert_eq!(refused.class, OutcomeClass::Refused);
    assert!(refused.message.unwrap().english().contains("/no/such/file cannot be read on this worker"));
    worker.stop().await;
}

#[tokio::test]
async fn an_attempt_that_waits_for_its_file_can_be_killed_and_a_file_may_come_late() {
    let home = Home::new();
    let (worker, link) = home.start(home.config(1), 1).await;
    let mut killed = summing("1.1.1.0.1");
    attach(&mut killed, "data.bin", b"late\n");
    let mut late = summing("1.1.2.0.1");
    attach(&mut late, "data.bin", b"late\n");
    link.dispatch(&killed);
    link.dispatch(&late);
    eventually("somebody to ask", || (link.n_reads.load(Ordering::SeqCst) > 1).then_some(())).await;
    link.kill(killed.attempt, 100);
    assert_eq!(link.outcome(killed.attempt).await.class, OutcomeClass::Killed);
    give(&link, b"late\n");
    assert_eq!(link.outcome(late.attempt).await.class, OutcomeClass::Succeeded);
    worker.stop().await;
}
