//! A process that died at any moment: log and state on disk are of different moments, and it starts again.

use std::path::{Path, PathBuf};

use crate::store::history::World;

use super::super::*;
use super::{config, leading, take_over};

pub fn copy(from: &Path, to: &Path, names: [&str; 2]) {
    std::fs::create_dir_all(to).unwrap();
    for name in names {
        let source = from.join(name);
        if source.exists() {
            std::fs::copy(source, to.join(name)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_disk_held_when_the_process_died_everything_committed_is_there_again() {
    let home = tempfile::tempdir().unwrap();
    let live = home.path().join("live");
    let history = World::random(5, 60);
    let host = leading(&live).await;
    // What the disk holds after some of the entries: (entry, its copy).
    let mut copies: Vec<(usize, PathBuf)> = Vec::new();
    for (at, step) in history.iter().enumerate() {
        let applied = host.propose(step.record.clone()).await.unwrap();
        assert!(applied.is_applied());
        if at % 12 == 0 || at + 1 == history.len() {
            let to = home.path().join(format!("copy-{at}"));
            copy(&live, &to, ["raft.db", "raft.db-wal"]);
            copy(&live, &to, ["state.db", "state.db-wal"]);
            copies.push((at, to));
        }
    }
    host.shutdown().await;
    // The state on disk may be as old as one likes, only never newer than the log.
    for (log, (at, log_copy)) in copies.iter().enumerate() {
        for state in [0, log / 2, log] {
            let dead = home.path().join(format!("dead-{log}-{state}"));
            copy(log_copy, &dead, ["raft.db", "raft.db-wal"]);
            copy(&copies[state].1, &dead, ["state.db", "state.db-wal"]);
            let host = leading(&dead).await;
            // The last entry counts as committed again once an entry of this leadership is.
            assert!(take_over(&host, 99).await.is_applied(), "log {log}, state {state}");
            let seq = host.replica().seq().0;
            assert_eq!(seq, history[*at].seq, "log {log}, state {state}");
            let drained = host.replica().drain().await.unwrap();
            assert_eq!(drained.seq.0, seq);
            host.shutdown().await;
            std::fs::remove_dir_all(&dead).unwrap();
        }
    }
}

#[tokio::test]
async fn a_damaged_entry_that_must_be_applied_keeps_the_voter_from_starting() {
    let home = tempfile::tempdir().unwrap();
    let host = leading(home.path()).await;
    for step in World::random(6, 3) {
        host.propose(step.record).await.unwrap();
    }
    host.shutdown().await;
    std::fs::remove_file(home.path().join("state.db")).unwrap();
    let connection = rusqlite::Connection::open(home.path().join("raft.db")).unwrap();
    assert_eq!(connection.execute("UPDATE log SET crc = crc + 1 WHERE idx = 3", []).unwrap(), 1);
    drop(connection);
    let error = RaftHost::start(config(home.path())).await.err().unwrap().to_string();
    assert!(error.contains("log entry 3") && error.contains("raft.db"), "{error}");
}
