use openraft::testing::{StoreBuilder, Suite};

use super::super::history::{Step, World};
use super::super::raft_log::{LogConfig, LogIdentity, RaftLog};
use super::super::types::{LogEntry, LogId, StorageError, TypeConfig};
use super::*;
use crate::api::PageRequest;
use crate::engine::LogRecord;
use crate::engine::event::EventKind;
use openraft::storage::RaftStateMachine;

struct Builder;

impl StoreBuilder<TypeConfig, RaftLog, ReplicaMachine, tempfile::TempDir> for Builder {
    async fn build(&self) -> Result<(tempfile::TempDir, RaftLog, ReplicaMachine), StorageError> {
        let home = tempfile::tempdir().unwrap();
        let members = [(0, String::new())].into();
        let identity = LogIdentity { cluster: "c".to_owned(), voter: 0, members };
        let log = RaftLog::open(LogConfig {
            file: home.path().join("raft.db"),
            identity,
            append_bytes_max: 1 << 20,
            space: None,
        })
        .unwrap();
        let (_, machine) = Replica::open(ReplicaConfig::new(home.path())).unwrap();
        Ok((home, log, machine))
    }
}

#[test]
fn openrafts_own_storage_suite_passes() {
    Suite::test_all(Builder).unwrap();
}

fn open(home: &Path) -> (Replica, ReplicaMachine) {
    // Only what a test drains is written.
    let config = ReplicaConfig { project_every: Duration::from_secs(3600), ..ReplicaConfig::new(home) };
    Replica::open(config).unwrap()
}

#[tokio::test]
async fn who_asks_for_what_is_applied_need_not_wait_until_it_is_written_unasked() {
    let home = tempfile::tempdir().unwrap();
    let (every, unasked) = (Duration::from_millis(1), Duration::from_secs(3600));
    let config = ReplicaConfig { project_every: every, project_unasked: unasked, ..ReplicaConfig::new(home.path()) };
    let (replica, mut machine) = Replica::open(config).unwrap();
    for (index, step) in World::random(3, 60).iter().enumerate() {
        machine.apply([log_entry(index, step)]).await.unwrap();
        if index % 10 == 0 {
            let seq = replica.seq();
            assert_eq!(seq.0, step.seq);
            assert!(seq.0 == 0 || replica.durable().seq < seq, "nobody has asked");
            assert!(replica.is_queryable(seq, Duration::from_secs(60)).await);
            assert_eq!(replica.durable().seq, seq);
        }
    }
    replica.close().await;
}

#[tokio::test]
async fn much_is_written_without_being_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let (every, unasked) = (Duration::from_millis(1), Duration::from_secs(3600));
    let config = ReplicaConfig { project_every: every, project_unasked: unasked, ..ReplicaConfig::new(home.path()) };
    let (replica, mut machine) = Replica::open(ReplicaConfig { fresh_max: 20, ..config }).unwrap();
    for (index, step) in World::random(4, 60).iter().enumerate() {
        machine.apply([log_entry(index, step)]).await.unwrap();
    }
    let mut durable = replica.shared.durable.subscribe();
    let written = durable.wait_for(|point| point.log_id.is_some());
    assert!(tokio::time::timeout(Duration::from_secs(60), written).await.is_ok());
    replica.close().await;
}

fn log_entry(index: usize, step: &Step) -> LogEntry {
    let leader_id = openraft::CommittedLeaderId::new(1, 1);
    let payload = openraft::EntryPayload::Normal(step.record.clone());
    LogEntry { log_id: LogId::new(leader_id, index as u64), payload }
}

fn hash(replica: &Replica) -> u64 {
    replica.with_state(|state| state.hash())
}

#[tokio::test]
async fn after_every_batch_of_a_random_history_the_file_loads_to_what_memory_holds() {
    for seed in 1..=2 {
        let home = tempfile::tempdir().unwrap();
        let (replica, mut machine) = open(home.path());
        let history = World::random(seed, 500);
        assert!(history.len() > 200, "{}", history.len());
        let mut rested = 0;
        for (index, step) in history.iter().enumerate() {
            let applied = machine.apply([log_entry(index, step)]).await.unwrap();
            assert_eq!(applied[0].seq, step.seq);
            assert_eq!(hash(&replica), step.hash, "seed {seed}, entry {index}");
            if index % 5 != 0 {
                continue;
            }
            let point = replica.drain().await.unwrap();
            assert_eq!((point.seq.0, point.log_id), (step.seq, replica.applied()));
            let (loaded, of) = StateDb::open(replica.readers().file()).unwrap().load().unwrap();
            assert_eq!(of, point);
            let difference = replica.with_state(|state| loaded.difference(state));
            assert_eq!(difference, None, "seed {seed}, entry {index}");
            assert_eq!(loaded.hash(), step.hash, "seed {seed}, entry {index}");
            rested =
                rested.max(replica.with_state(|state| state.cluster.last_instance.0 as usize - state.instances.len()));
        }
        assert!(rested > 0, "some instances must have left memory");
        verify_file(&replica);
        replica.close().await;
    }
}

#[tokio::test]
async fn what_monitors_measured_stands_beside_the_state_also_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let (mut replica, mut machine) = open(home.path());
    let (mut measured, mut ended) = (Vec::new(), 0);
    for (index, step) in World::random(5, 300).iter().enumerate() {
        if index == 150 {
            replica.close().await;
            drop(machine);
            (replica, machine) = open(home.path());
        }
        let base = replica.seq().0;
        machine.apply([log_entry(index, step)]).await.unwrap();
        let LogRecord::Events(entry) = &*step.record else { continue };
        for (seq, event) in (base + 1..).zip(&entry.events) {
            match &event.kind {
                EventKind::Measured { attempt, .. } => {
                    let workflow = replica.with_state(|state| state.instances[&attempt.instance].workflow.clone());
                    measured.push((workflow, seq, *attempt));
                }
                EventKind::AttemptEnded { outcome: Some(_), .. } => ended += 1,
                _ => {}
            }
        }
    }
    replica.drain().await.unwrap();
    let asked = replica.query(|queries| {
        let mut found = Vec::new();
        for monitor in queries.monitors(None, &PageRequest::first(10))?.items {
            let page = PageRequest::first(500);
            let rows = queries.measurements(&monitor.workflow, &monitor.node, None, None, &page)?.items;
            assert_eq!((monitor.node.as_str(), monitor.n_measurements as usize), ("x", rows.len()));
            found.extend(rows.into_iter().map(|row| (monitor.workflow.clone(), row.seq.0, row.attempt)));
        }
        Ok(found)
    });
    let mut found = asked.await.unwrap();
    found.sort_unstable();
    measured.sort_unstable();
    assert_eq!(found, measured);
    assert!(measured.len() > 10 && measured.len() < ended, "{} of {ended}: those of one node in three", measured.len());
    replica.close().await;
}

fn verify_file(replica: &Replica) {
    super::super::state_db::verify(replica.readers().file()).unwrap();
}

#[tokio::test]
async fn entries_of_another_epoch_or_base_are_skipped_alike_when_they_are_applied_again() {
    let history = World::random(9, 60);
    // The same entries with foreign ones between them: repeated, and out of order.
    let mut entries = Vec::new();
    for (at, step) in history.iter().enumerate() {
        entries.push(step.clone());
        if at % 4 == 3 {
            entries.push(history[at].clone());
            entries.push(history[(at + 2).min(history.len() - 1)].clone());
            entries.push(history[0].clone());
        }
    }
    // Deliver in pieces: the second replica starts from the first one's file half-way.
    let mut outcomes = Vec::new();
    let mut hashes = Vec::new();
    for restart_at in [usize::MAX, entries.len() / 2] {
        let home = tempfile::tempdir().unwrap();
        let (mut replica, mut machine) = open(home.path());
        let mut seen = Vec::new();
        for (index, step) in entries.iter().enumerate() {
            if index == restart_at {
                replica.close().await;
                drop(machine);
                (replica, machine) = open(home.path());
            }
            seen.extend(machine.apply([log_entry(index, step)]).await.unwrap());
        }
        outcomes.push(seen);
        hashes.push(hash(&replica));
        replica.close().await;
    }
    assert_eq!(outcomes[0], outcomes[1]);
    assert_eq!(hashes[0], hashes[1]);
    assert!(outcomes[0].iter().any(|applied| !applied.is_applied()));
}
