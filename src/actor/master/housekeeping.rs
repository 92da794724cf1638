//! Once a minute: what is too old goes, what rests leaves memory, and the engine is compared with the replica.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::actor::clock;
use crate::actor::log_store::LogStore;
use crate::engine::command::{Command, Envelope, Reply};
use crate::model::id::InstanceNumber;

use super::leader::LeaderMessage;
use super::shared::Shared;

const EVERY: Duration = Duration::from_secs(60);
/// Instances that go in one round; the next one follows at once while there are more.
const BATCH: u32 = 200;
const DAY_MS: i64 = 86_400_000;

pub async fn keep_house(shared: Arc<Shared>, logs: Arc<LogStore>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
        if let Some(leader) = shared.leader() {
            let durable = shared.raft.replica().durable().seq;
            // A loop that just ended has nothing to forget.
            let _ = leader.cast(LeaderMessage::Tidy { durable });
            while trim_old(&shared, &logs).await {
                tokio::task::yield_now().await;
            }
        }
        let logs = logs.clone();
        let trimmed = tokio::task::spawn_blocking(move || logs.trim()).await;
        if let Ok(Err(error)) = trimmed {
            tracing::warn!(%error, "old task logs could not be removed");
        }
    }
}

/// Removes a batch of instances that ended too long ago, with their logs. True when there may be more.
async fn trim_old(shared: &Shared, logs: &Arc<LogStore>) -> bool {
    let days = i64::from(shared.config.retention.instances_days);
    let before = clock::wall().plus_ms(-days * DAY_MS);
    let found = shared.raft.replica().query(move |queries| queries.finished_before(before, BATCH)).await;
    let instances = match found {
        Ok(instances) if !instances.is_empty() => instances,
        Ok(_) => return false,
        Err(error) => {
            tracing::warn!(%error, "old instances could not be looked for");
            return false;
        }
    };
    match shared.submit(Envelope::internal(Command::Trim { instances })).await {
        Ok((Reply::Trimmed { instances }, _)) => {
            let n_trimmed = instances.len();
            remove_logs(logs, instances).await;
            n_trimmed == BATCH as usize
        }
        Ok(_) => false,
        Err(error) => {
            tracing::warn!(%error, "old instances could not be removed");
            false
        }
    }
}

/// Logs go after the commit; what stays behind because of a crash goes with the quota.
pub async fn remove_logs(logs: &Arc<LogStore>, instances: Vec<InstanceNumber>) {
    let logs = logs.clone();
    let removed = tokio::task::spawn_blocking(move || {
        for instance in instances {
            if let Err(error) = logs.remove(instance) {
                tracing::warn!(%instance, %error, "the logs of a removed instance could not be removed");
            }
        }
    });
    // A panic there is logged by the runtime; there is nothing to undo.
    let _ = removed.await;
}
