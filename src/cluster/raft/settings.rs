//! openraft's settings, the same for one voter and for several.

use std::time::Duration;

use openraft::{Config, SnapshotPolicy};

/// How often a leader proves itself; ours, because `heartbeat_interval` is the AppendEntries timeout too.
pub const HEARTBEAT: Duration = Duration::from_millis(300);
/// How often the log is looked at for purging.
pub const PURGE_EVERY: Duration = Duration::from_secs(30);

/// The vote lease is `election_timeout_max`. Elections, heartbeats and snapshots are triggered by the host.
pub fn settings(cluster: &str) -> Config {
    Config {
        cluster_name: cluster.to_owned(),
        heartbeat_interval: 900,
        election_timeout_min: 950,
        election_timeout_max: 1000,
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

#[cfg(test)]
mod tests {
    #[test]
    fn openraft_accepts_the_settings() {
        super::settings("c").validate().unwrap();
    }
}
