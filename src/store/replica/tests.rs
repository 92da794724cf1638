use openraft::testing::{StoreBuilder, Suite};

use super::super::raft_log::{LogConfig, LogIdentity, RaftLog};
use super::super::types::{StorageError, TypeConfig};
use super::*;

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
