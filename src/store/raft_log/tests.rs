use std::path::PathBuf;

use openraft::RaftLogReader;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};

use super::*;

fn identity() -> LogIdentity {
    LogIdentity { cluster: "c1".to_owned(), voter: 1, members: BTreeMap::from([(1, "127.0.0.1:1".to_owned())]) }
}

fn open(file: &Path, identity: &LogIdentity) -> Result<RaftLog, StoreError> {
    let (file, identity) = (file.to_owned(), identity.clone());
    RaftLog::open(LogConfig { file, identity, append_bytes_max: 1 << 20, space: None })
}

fn entry(term: u64, index: u64) -> LogEntry {
    openraft::testing::blank_ent::<TypeConfig>(term, 1, index)
}

struct Home {
    _directory: tempfile::TempDir,
    file: PathBuf,
}

fn home() -> Home {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("raft.db");
    Home { _directory: directory, file }
}

async fn filled(home: &Home, entries: u64) -> RaftLog {
    let mut log = open(&home.file, &identity()).unwrap();
    for index in 0..entries {
        log.blocking_append([entry(1, index)]).await.unwrap();
    }
    log
}

#[tokio::test]
async fn what_was_appended_is_there_after_the_process_died() {
    let home = home();
    let mut log = filled(&home, 20).await;
    log.save_vote(&Vote::new_committed(1, 1)).await.unwrap();
    log.save_committed(Some(entry(1, 19).log_id)).await.unwrap();
    log.blocking_append([entry(1, 20)]).await.unwrap();
    drop(log);
    let mut log = open(&home.file, &identity()).unwrap();
    assert_eq!(log.last(), Some(entry(1, 20).log_id));
    assert_eq!(log.read_vote().await.unwrap(), Some(Vote::new(1, 1)), "it has to be elected again");
    assert_eq!(log.read_committed().await.unwrap(), Some(entry(1, 19).log_id));
    assert_eq!(log.try_get_log_entries(3..7).await.unwrap().len(), 4);
    assert!(!log.is_pristine());
}

/// Entries that it had sent may be missing on its own disk: in the term that it led it must not propose again.
#[tokio::test]
async fn a_voter_that_led_does_not_lead_on_and_one_that_followed_does_follow_on() {
    let home = home();
    for (leader, is_committed) in [(1, false), (2, true)] {
        let mut log = open(&home.file, &identity()).unwrap();
        log.save_vote(&Vote::new_committed(leader, leader)).await.unwrap();
        drop(log);
        let vote = open(&home.file, &identity()).unwrap().read_vote().await.unwrap().unwrap();
        assert_eq!((vote.leader_id.node_id, vote.is_committed()), (leader, is_committed));
    }
}

#[tokio::test]
async fn a_purged_and_truncated_log_opens_as_it_was() {
    let home = home();
    let mut log = filled(&home, 30).await;
    log.purge(entry(1, 9).log_id).await.unwrap();
    log.truncate(entry(1, 25).log_id).await.unwrap();
    log.close();
    let mut log = open(&home.file, &identity()).unwrap();
    let state = log.get_log_state().await.unwrap();
    assert_eq!(state.last_purged_log_id, Some(entry(1, 9).log_id));
    assert_eq!(state.last_log_id, Some(entry(1, 24).log_id));
    let held = log.try_get_log_entries(..).await.unwrap();
    assert_eq!((held[0].log_id.index, held.len()), (10, 15));
}

#[tokio::test]
async fn a_flipped_bit_is_named_with_its_entry_and_file() {
    let home = home();
    let log = filled(&home, 5).await;
    log.close();
    let connection = rusqlite::Connection::open(&home.file).unwrap();
    let changed = connection
        .execute("UPDATE log SET body = substr(body, 1, 3) || x'ff' || substr(body, 5) WHERE idx = 2", [])
        .unwrap();
    assert_eq!(changed, 1);
    drop(connection);
    let mut log = open(&home.file, &identity()).unwrap();
    let error = log.try_get_log_entries(0..5).await.unwrap_err().to_string();
    assert!(error.contains("log entry 2") && error.contains("raft.db"), "{error}");
    assert_eq!(log.try_get_log_entries(3..5).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_damaged_last_entry_keeps_the_log_from_opening() {
    let home = home();
    filled(&home, 5).await.close();
    let connection = rusqlite::Connection::open(&home.file).unwrap();
    connection.execute("UPDATE log SET crc = crc + 1 WHERE idx = 4", []).unwrap();
    drop(connection);
    let error = open(&home.file, &identity()).err().unwrap().to_string();
    assert!(error.contains("log entry 4"), "{error}");
}

#[test]
fn another_cluster_voter_or_list_of_members_is_refused() {
    let home = home();
    open(&home.file, &identity()).unwrap().close();
    let refused = |identity: LogIdentity| open(&home.file, &identity).err().unwrap();
    let other = LogIdentity { cluster: "c2".to_owned(), ..identity() };
    assert!(matches!(refused(other), StoreError::OtherCluster { .. }));
    let other = LogIdentity { voter: 2, ..identity() };
    assert!(matches!(refused(other), StoreError::OtherVoter { found: 1, .. }));
    let members = BTreeMap::from([(1, String::new()), (2, String::new()), (3, String::new())]);
    let other = LogIdentity { members, ..identity() };
    let error = refused(other).to_string();
    assert!(error.contains("m1,m2,m3"), "{error}");
    let moved = LogIdentity { members: BTreeMap::from([(1, "127.0.0.1:9".to_owned())]), ..identity() };
    open(&home.file, &moved).unwrap().close();
    let summary = LogSummary { cluster: "c1".to_owned(), is_pristine: true };
    assert_eq!(RaftLog::peek(&home.file).unwrap(), Some(summary));
}

#[test]
fn a_newer_schema_is_refused() {
    let home = home();
    open(&home.file, &identity()).unwrap().close();
    let connection = rusqlite::Connection::open(&home.file).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    assert!(matches!(open(&home.file, &identity()), Err(StoreError::NewerSchema { found: 99, .. })));
}

#[tokio::test]
async fn purging_by_size_keeps_the_newest_entries() {
    let home = home();
    let log = filled(&home, 1000).await;
    let bytes = log.bytes();
    assert_eq!(log.purgeable_for(bytes), None);
    let upto = log.purgeable_for(bytes / 2).unwrap();
    assert!((255..=767).contains(&upto), "{upto}");
}
