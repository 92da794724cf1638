//! The first act of the first leader: the cluster gets its id and its time zone, once and for good.

use ractor::ActorRef;
use tokio::sync::oneshot;

use crate::engine::command::{Command, Envelope};
use crate::model::schedule::Zone;

use super::leader::{LeaderMessage, Submission};
use super::shared::Shared;

pub async fn found(shared: &Shared, leader: &ActorRef<LeaderMessage>) -> Result<(), String> {
    if shared.raft.replica().with_state(|state| !state.cluster.id.is_empty()) {
        return Ok(());
    }
    let zone = Zone::parse(&shared.config.time.zone_name()).unwrap_or_else(|error| {
        tracing::warn!(%error, "the configured time zone is not known; the cluster's is UTC");
        Zone::UTC
    });
    let command = Command::Found { id: shared.raft.cluster().to_owned(), zone };
    let (reply, answer) = oneshot::channel();
    let submission = Box::new(Submission { envelope: Envelope::internal(command), reply: Some(reply) });
    leader.cast(LeaderMessage::Submit(submission)).map_err(|error| error.to_string())?;
    match answer.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(rejected)) => Err(rejected.to_string()),
        Err(_) => Err("the leader loop ended".to_owned()),
    }
}
