//! What a voter does by itself: follow the leadership, campaign, show that it leads, let old entries go.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use openraft::ServerState;
use openraft::error::Fatal;
use tokio::sync::watch;

use super::host::{FatalError, RaftHost};
use super::leadership::Leadership;
use super::network::{PreVote, Pulse, RaftRequest, RaftResponse};
use super::settings::PURGE_EVERY;
use super::timer::Fired;

/// How long the others have to say whether they would vote.
const PRE_VOTE_TIMEOUT: Duration = Duration::from_millis(400);
/// How often somebody who cannot campaign looks whether it can by now.
const LOOK: Duration = Duration::from_millis(50);

pub(super) async fn watch_leadership(host: RaftHost, publish: watch::Sender<Leadership>) {
    let mut metrics = host.inner.raft.metrics();
    loop {
        let seen = {
            let metrics = metrics.borrow_and_update();
            host.inner.members.send_if_modified(|members| {
                let is_news = !metrics.membership_config.nodes().eq(members.iter());
                if is_news {
                    let now = metrics.membership_config.nodes();
                    *members = now.map(|(voter, node)| (*voter, node.clone())).collect();
                }
                is_news
            });
            let quorum = publish.borrow().quorum.clone();
            let is_only_voter = metrics.membership_config.voter_ids().eq([host.inner.voter]);
            quorum.note(metrics.millis_since_quorum_ack, is_only_voter);
            if let Err(error @ (Fatal::StorageError(_) | Fatal::Panicked)) = &metrics.running_state {
                host.inner.fatal.send_replace(Some(FatalError(error.to_string())));
            }
            let is_leader = metrics.state == ServerState::Leader && metrics.running_state.is_ok();
            Leadership { is_leader, term: metrics.current_term, leader: metrics.current_leader, quorum }
        };
        note_lead(&host, seen.is_leader);
        publish.send_if_modified(|published| {
            let is_news = !published.is_same(&seen);
            *published = seen;
            is_news
        });
        if metrics.changed().await.is_err() {
            return;
        }
    }
}

fn note_lead(host: &RaftHost, is_leader: bool) {
    let mut since = host.inner.leads_since.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    *since = is_leader.then(|| since.unwrap_or_else(Instant::now));
}

/// Campaigns when nothing was heard for long enough and a majority hears no leader either. A single voter asks
/// nobody. Who is no voter waits until it is one.
pub(super) async fn campaign(host: RaftHost) {
    let mut is_first = true;
    let mut leadership = host.leadership();
    loop {
        let (is_voter, is_alone) = {
            let metrics = host.inner.raft.metrics().borrow().clone();
            let voters: Vec<u64> = metrics.membership_config.voter_ids().collect();
            (voters.contains(&host.inner.voter), voters.len() == 1)
        };
        if leadership.borrow_and_update().is_leader {
            // Nothing to look for until that changes; from then on somebody else has to be heard.
            if leadership.changed().await.is_err() {
                return;
            }
            host.timer().heard(Instant::now());
            continue;
        }
        if !is_voter {
            host.timer().heard(Instant::now());
            tokio::time::sleep(LOOK).await;
            continue;
        }
        if is_alone {
            // No other voter could object; openraft may have resumed as leader, then this does nothing.
            if host.inner.raft.trigger().elect().await.is_err() {
                return;
            }
            tokio::time::sleep(LOOK).await;
            continue;
        }
        if std::mem::take(&mut is_first) && is_preferred(&host) {
            host.timer().at_boot(Instant::now());
        }
        let deadline = host.timer().deadline();
        tokio::time::sleep_until(deadline.into()).await;
        if host.timer().fire(Instant::now()) == Fired::Wait {
            continue;
        }
        if would_win(&host).await {
            if host.inner.raft.trigger().elect().await.is_err() {
                return;
            }
            host.timer().campaigned(Instant::now());
        }
    }
}

/// At the start of a whole cluster one voter campaigns at once, so that nobody waits for a timer: the first one.
fn is_preferred(host: &RaftHost) -> bool {
    let first = host.inner.raft.metrics().borrow().membership_config.voter_ids().min();
    first == Some(host.inner.voter) && !host.inner.is_low_priority
}

/// Pre-vote: does a majority hear no leader, and would it vote for this log? So a voter that is cut off, or comes
/// back, never unseats a leader that the others hear. During a change of members each of both majorities counts.
async fn would_win(host: &RaftHost) -> bool {
    let (term, configs) = {
        let metrics = host.inner.raft.metrics().borrow().clone();
        (metrics.current_term, metrics.membership_config.membership().get_joint_config().clone())
    };
    if host.heard_leader_at().is_some_and(|at| at.elapsed() < host.inner.vote_lease) {
        return false;
    }
    let own = host.inner.voter;
    let voters: BTreeSet<u64> = configs.iter().flatten().copied().filter(|voter| *voter != own).collect();
    let asked = PreVote { term: term + 1, last_log: host.inner.log.last() };
    let answers = voters.into_iter().map(|voter| async move {
        let answer = host.inner.peers.call(voter, RaftRequest::PreVote(asked), PRE_VOTE_TIMEOUT).await;
        matches!(answer, Ok(RaftResponse::PreVote(true))).then_some(voter)
    });
    let mut willing: BTreeSet<u64> = join_all(answers).await.into_iter().flatten().collect();
    willing.insert(own);
    configs.iter().all(|config| config.intersection(&willing).count() * 2 > config.len())
}

/// A leader shows that it is alive, and learns that the others are.
pub(super) async fn heartbeat(host: RaftHost, pulse: Pulse, every: Duration) {
    let mut every = tokio::time::interval(every);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let is_leader = host.inner.leadership.borrow().is_leader;
        let is_silent = host.inner.is_silent.load(std::sync::atomic::Ordering::Acquire);
        if is_leader && !is_silent {
            pulse.beat();
            if host.inner.raft.trigger().heartbeat().await.is_err() {
                return;
            }
        }
    }
}

/// Lets old log entries go: those beyond `keep_bytes` that the state on disk already holds.
pub(super) async fn purge_by_size(host: RaftHost, keep_bytes: u64) {
    let mut every = tokio::time::interval(PURGE_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let Some(upto) = host.inner.log.purgeable_for(keep_bytes) else { continue };
        if purge_to(&host, upto).await.is_err() {
            return;
        }
    }
}

/// Purges what the state on disk holds, and nothing that it does not.
pub(super) async fn purge_to(host: &RaftHost, upto: u64) -> Result<(), Fatal<u64>> {
    let raft = &host.inner.raft;
    let mut metrics = raft.metrics();
    raft.trigger().snapshot().await?;
    let has_reached = |index: Option<u64>| index.is_some_and(|index| index >= upto);
    let wait = metrics.wait_for(|metrics| has_reached(metrics.snapshot.map(|log_id| log_id.index)));
    let is_built = tokio::time::timeout(Duration::from_secs(60), wait).await.is_ok_and(|built| built.is_ok());
    if is_built { raft.trigger().purge_log(upto).await } else { Ok(()) }
}
