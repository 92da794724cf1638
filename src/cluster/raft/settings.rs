//! openraft's settings, the same for one voter and for several.

use std::time::Duration;

use openraft::{Config, SnapshotPolicy};

use crate::config::Raft;

use super::timer::Waits;

/// How often the log is looked at for purging.
pub const PURGE_EVERY: Duration = Duration::from_secs(30);

/// `heartbeat_interval` is the AppendEntries timeout too, `election_timeout_max` the vote lease. Elections,
/// heartbeats and snapshots are triggered by the host.
pub fn settings(cluster: &str, raft: &Raft) -> Config {
    Config {
        cluster_name: cluster.to_owned(),
        heartbeat_interval: raft.append_timeout_ms,
        election_timeout_min: raft.election_timeout_min_ms,
        election_timeout_max: raft.election_timeout_max_ms,
        enable_elect: false,
        enable_heartbeat: false,
        snapshot_policy: SnapshotPolicy::Never,
        // Purging follows the size of the log, not the number of entries.
        max_in_snapshot_log_to_keep: u64::MAX,
        max_payload_entries: 300,
        // A snapshot goes over the bulk link and may take its time.
        install_snapshot_timeout: 600_000,
        replication_lag_threshold: 1_000_000_000,
        ..Config::default()
    }
}

/// A voter of low priority waits so much longer that the others have campaigned before.
const LOW_PRIORITY_EXTRA: Duration = Duration::from_millis(700);

pub fn waits(raft: &Raft, is_low_priority: bool) -> Waits {
    let extra = if is_low_priority { LOW_PRIORITY_EXTRA } else { Duration::ZERO };
    Waits {
        silence: Duration::from_millis(raft.campaign_after_ms) + extra,
        silence_random_ms: raft.campaign_random_ms,
        again: Duration::from_millis(raft.campaign_again_ms),
        again_random_ms: raft.campaign_again_random_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openraft_accepts_the_default_settings() {
        settings("c", &Raft::default()).validate().unwrap();
    }
}
