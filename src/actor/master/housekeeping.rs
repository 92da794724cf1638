//! Once a minute: what is beyond the bounds of retention goes, also files that no
//! version names; what rests leaves memory, and the engine is compared with the replica.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use crate::actor::clock;
use crate::actor::log_store::LogStore;
use crate::engine::command::{Command, Envelope, Expired, Reply};
use crate::engine::state::State;
use crate::engine::{Retention, TRIM_MAX};
use crate::model::id::{InstanceNumber, VersionNumber, WorkflowName};
use crate::model::time::Timestamp;
use crate::store::{Queries, QueryError};

use super::attached;
use super::leader::LeaderMessage;
use super::shared::Shared;

const EVERY: Duration = Duration::from_secs(60);
/// The first round is soon after the start: a bound may have been lowered.
const FIRST: Duration = Duration::from_secs(5);
/// Between two batches the store catches up with the log.
const CATCH_UP: Duration = Duration::from_secs(10);
const BATCH: u32 = TRIM_MAX as u32;

pub async fn keep_house(shared: Arc<Shared>, logs: Arc<LogStore>, stop: CancellationToken) {
    let mut looked = Looked::default();
    let mut pause = FIRST;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = EVERY,
            () = stop.cancelled() => return,
        }
        if let Some(leader) = shared.leader() {
            let durable = shared.raft.replica().durable().seq;
            // A loop that just ended has nothing to forget.
            let _ = leader.cast(LeaderMessage::Tidy { durable, lease: shared.lease() });
            while trim(&shared, &logs, &mut looked).await {
                tokio::task::yield_now().await;
            }
        }
        attached::sweep(&shared).await;
        let logs = logs.clone();
        let trimmed = tokio::task::spawn_blocking(move || logs.trim(SystemTime::now())).await;
        if let Ok(Err(error)) = trimmed {
            tracing::warn!(%error, "old task logs could not be removed");
        }
    }
}

/// The newest instance that each workflow had when it was found within its bound: it is looked at again when it has
/// a newer one.
#[derive(Debug, Clone, Default)]
struct Looked(BTreeMap<WorkflowName, InstanceNumber>);

/// Removes a batch of what is beyond the bounds, with its logs. True when there may be more.
async fn trim(shared: &Shared, logs: &Arc<LogStore>, looked: &mut Looked) -> bool {
    let retention = shared.settings.retention;
    let replica = shared.raft.replica();
    let (names, spare) = replica.with_state(|state| {
        let names: Vec<WorkflowName> = state.workflows.keys().cloned().collect();
        (names, spare_versions(state, retention.versions_per_workflow))
    });
    let (now, mut known) = (clock::wall(), std::mem::take(looked));
    let found = replica.query(move |queries| {
        let expired = expired(queries, &retention, now, &names, spare, &mut known)?;
        Ok((expired, known))
    });
    let expired = match found.await {
        Ok((expired, known)) => {
            *looked = known;
            expired
        }
        Err(error) => {
            tracing::warn!(%error, "what is beyond the bounds of retention could not be looked for");
            return false;
        }
    };
    if expired.is_empty() {
        return false;
    }
    match shared.submit(Envelope::internal(Command::Trim(expired))).await {
        Ok((Reply::Trimmed { instances }, seq)) => {
            tracing::info!(instances = instances.len(), "what is beyond the bounds of retention is removed");
            remove_logs(logs, instances).await;
            // Not before the store shows it: else the same would be found again. An instance that went may have been
            // the last of its version.
            replica.is_queryable(seq, CATCH_UP).await
        }
        Ok(_) => false,
        Err(error) => {
            tracing::warn!(%error, "what is beyond the bounds of retention could not be removed");
            false
        }
    }
}

/// Versions beside the newest `keep`, oldest first; whether an instance needs them is not looked at.
fn spare_versions(state: &State, keep: u32) -> Vec<(WorkflowName, VersionNumber)> {
    let mut spare = Vec::new();
    // Only a workflow with more versions than that can have one to spare.
    for workflow in state.workflows.values().filter(|workflow| workflow.current.0 > keep) {
        let of = (workflow.name.clone(), VersionNumber(0))..=(workflow.name.clone(), workflow.current);
        let numbers: Vec<_> = state.versions.range(of).map(|(key, _)| key.clone()).collect();
        spare.extend(numbers.into_iter().rev().skip(keep as usize).collect::<Vec<_>>().into_iter().rev());
    }
    spare
}

fn expired(
    queries: &Queries,
    retention: &Retention,
    now: Timestamp,
    names: &[WorkflowName],
    spare: Vec<(WorkflowName, VersionNumber)>,
    looked: &mut Looked,
) -> Result<Expired, QueryError> {
    let before = now.plus_ms(-retention.instances_for.0);
    let mut instances = queries.finished_before(before, BATCH)?;
    looked.0.retain(|name, _| names.binary_search(name).is_ok());
    for name in names {
        let room = BATCH.saturating_sub(instances.len() as u32);
        let Some(newest) = queries.last_instance(Some(name))?.filter(|_| room > 0) else { continue };
        if looked.0.get(name) == Some(&newest) {
            continue;
        }
        let beyond = queries.finished_beyond(name, retention.instances_per_workflow, room)?;
        if beyond.is_empty() {
            looked.0.insert(name.clone(), newest);
        }
        instances.extend(beyond);
    }
    instances.sort_unstable();
    instances.dedup();
    let mut versions = Vec::new();
    for (name, number) in spare {
        if versions.len() >= TRIM_MAX {
            break;
        }
        if !queries.is_version_run(&name, number)? {
            versions.push((name, number));
        }
    }
    Ok(Expired { instances, fires: queries.fires_before(before, BATCH)?, versions })
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
