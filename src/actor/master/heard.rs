//! What workers say, as commands for the engine.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::actor::clock;
use crate::actor::protocol::worker::{
    Heartbeat, MasterMessage, RefusalReason, Register, Registered, ReportedState, WorkerMessage,
};
use crate::cluster::Peer;
use crate::engine::command::{Command, Envelope, InventoryItem, InventoryState, Registration, Reply};
use crate::engine::state::WorkerIdentity;
use crate::model::duration::{self, Millis};
use crate::model::id::WorkerId;
use crate::model::lease::LEASE_MIN;

use super::shared::Shared;

/// A worker opens or renews its session. It hears `Registered` before anything that follows from it, and after the
/// commit: from then on this leadership may renew its leases, and later ones have to know.
///
/// # Errors
/// The text for the worker's log.
pub async fn register(shared: &Shared, peer: Peer, register: Register) -> Result<Registered, String> {
    if shared.leader().is_none() {
        return Err("this master does not lead".to_owned());
    }
    if **peer.name() != *register.worker.as_str() {
        return Err(format!("the process {} may not register as worker {}", peer.name(), register.worker));
    }
    let epoch = shared.workers.epoch();
    if register.highest_epoch > epoch {
        return Err(format!("the worker has heard epoch {}, this master leads epoch {epoch}", register.highest_epoch));
    }
    let worker = register.worker.clone();
    let session = shared.workers.open(worker.clone(), peer, register.nonce);
    let command = Command::RegisterWorker(Registration {
        worker: worker.clone(),
        session: session.0,
        identity: WorkerIdentity {
            uuid: register.data_id,
            machine: register.machine_id,
            machine_boot: register.boot_id,
            boot: register.boot,
        },
        slots: register.slots,
        labels: register.labels,
        hosts: std::iter::once(register.host).chain(register.addresses).collect(),
        version: register.version,
        lease: register.lease.filter(|lease| (LEASE_MIN..=duration::MAX).contains(lease)),
        inventory: register
            .inventory
            .into_iter()
            .map(|report| InventoryItem {
                attempt: report.attempt,
                is: match report.state {
                    ReportedState::Accepted | ReportedState::Running { .. } => InventoryState::Alive,
                    ReportedState::Finished => InventoryState::Finished,
                    ReportedState::Tombstoned => InventoryState::Tombstone,
                    ReportedState::Unproven => InventoryState::Unproven,
                },
            })
            .collect(),
    });
    shared.submit(Envelope::internal(command)).await.map_err(|rejected| rejected.to_string())?;
    if !shared.raft.leadership().borrow().is_fresh() {
        // A registration that is no news is not committed: another may lead by now, and this would be its word.
        return Err("no quorum of masters answers".to_owned());
    }
    shared.workers.admit(&worker, session).ok_or_else(|| "it registered anew meanwhile".to_owned())
}

/// Everything but `Register`.
pub fn heard(shared: &Arc<Shared>, peer: &Peer, message: WorkerMessage) {
    let worker = WorkerId::from(&**peer.name());
    let session = match &message {
        WorkerMessage::Heartbeat(heartbeat) => Some(heartbeat.session),
        WorkerMessage::Started(started) => Some(started.session),
        WorkerMessage::Finished(finished) => Some(finished.session),
        WorkerMessage::Refused(refused) => Some(refused.session),
        WorkerMessage::Register(_) | WorkerMessage::Tombstoned { .. } | WorkerMessage::Unproven { .. } => None,
    };
    if session.is_some_and(|session| !shared.workers.is_current(&worker, session)) {
        // Said on a session that is over; what matters of it is repeated on the next one.
        return;
    }
    let post = |command: Command| {
        if let Err(error) = shared.post(Envelope::internal(command), None) {
            tracing::debug!(%worker, %error, "a worker's message has to wait for a leader");
        }
    };
    match message {
        WorkerMessage::Register(_) => {}
        WorkerMessage::Heartbeat(heartbeat) => beat(shared, worker.clone(), heartbeat),
        WorkerMessage::Started(started) => {
            post(Command::AttemptStarted { worker: worker.clone(), attempt: started.attempt, at: started.started })
        }
        WorkerMessage::Finished(finished) => post(Command::AttemptFinished {
            worker: worker.clone(),
            attempt: finished.attempt,
            outcome: finished.outcome,
        }),
        WorkerMessage::Refused(refused) => post(Command::AttemptDeclined {
            worker: worker.clone(),
            attempt: refused.attempt,
            reason: refusal(refused.reason).to_owned(),
            is_passing: matches!(
                refused.reason,
                RefusalReason::OtherSession | RefusalReason::OldEpoch | RefusalReason::TooOld
            ),
        }),
        WorkerMessage::Tombstoned { attempts } => {
            for attempt in attempts {
                post(Command::AttemptAbsent { worker: worker.clone(), attempt });
            }
        }
        WorkerMessage::Unproven { attempt, message } => {
            tracing::error!(%worker, %attempt, %message, "the processes of an attempt cannot be proven gone");
            shared.workers.send(&worker, |_, epoch| MasterMessage::RegisterAgain { epoch });
        }
    }
}

/// Answers once the engine has counted the heartbeat: an answer that it knew nothing of would renew leases behind
/// its back.
fn beat(shared: &Arc<Shared>, worker: WorkerId, heartbeat: Heartbeat) {
    let (reply, counted) = oneshot::channel();
    let Heartbeat { session, nonce, wall, .. } = heartbeat;
    // A worker of an older release does not say.
    let clock_off = Millis(wall.map_or(0, |theirs| theirs.since(clock::wall())));
    let command = Command::WorkerHeard { worker: worker.clone(), session: session.0, clock_off };
    if let Err(error) = shared.post(Envelope::internal(command), Some(reply)) {
        tracing::debug!(%worker, %error, "a heartbeat is not answered: there is no leader here");
        return;
    }
    let shared = shared.clone();
    tokio::spawn(async move {
        let is_counted = matches!(counted.await, Ok(Ok((Reply::Done, _))));
        // Without a fresh quorum another may lead by now: the worker must not count this as a sign of the leader.
        if is_counted && shared.raft.leadership().borrow().is_fresh() {
            shared.workers.answer(&worker, session, nonce);
        }
    });
}

fn refusal(reason: RefusalReason) -> &'static str {
    match reason {
        RefusalReason::OtherSession => "it was sent on another session",
        RefusalReason::OldEpoch => "it was sent by a superseded leader",
        RefusalReason::TooOld => "the worker had not heard from the leader for too long",
        RefusalReason::Tombstoned => "a kill came first",
        RefusalReason::Draining => "the worker is draining",
        RefusalReason::NoDisk => "the worker's disk is full",
    }
}
