//! The sessions of one node: found by number and by name, watched for silence, told to the handler in order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::config::LinkLimits;
use super::error::{DownReason, LinkError};
use super::handler::LinkHandler;
use super::identity::{Admission, Known, NodeIdentity, Process, Standing, admit};
use super::peer::Peer;
use super::session::{Notice, Own, Session, locked};
use crate::model::id::Boot;

/// Data directories whose highest start is remembered.
const BOOTS_MAX: usize = 4_096;

pub(super) struct Hub {
    pub own: Arc<Own>,
    pub stopped: CancellationToken,
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    by_number: HashMap<u64, Arc<Session>>,
    /// Sessions that hold a name, from the handshake on.
    by_name: HashMap<Arc<str>, Arc<Session>>,
    highest_boot: HashMap<Uuid, Boot>,
}

impl Hub {
    pub(super) fn start(
        identity: NodeIdentity,
        address: Option<Arc<str>>,
        limits: LinkLimits,
        handler: Arc<dyn LinkHandler>,
    ) -> Arc<Self> {
        // Unbounded by count, bounded by the sessions there can be: a few notices each.
        let (notices, told) = mpsc::unbounded_channel();
        let standing = RwLock::new(Standing::default());
        let (process, pinged) = (Process::this(), Notify::new());
        let own = Arc::new(Own { identity, address, process, standing, limits, handler, notices, pinged });
        let hub = Arc::new(Self { own, stopped: CancellationToken::new(), sessions: Mutex::default() });
        tokio::spawn(tell_handler(hub.clone(), told));
        tokio::spawn(keep_alive(hub.clone()));
        hub
    }

    /// Whether a node that proved the cookie may have its name; the session that holds it ends by `add`.
    pub(super) fn admit(&self, claimant: &NodeIdentity) -> Result<(), String> {
        let sessions = locked(&self.sessions);
        let live = sessions.by_name.get(&claimant.name).filter(|session| session.end().is_none());
        let known = Known {
            live: live.map(|session| &session.hello.identity),
            is_fresh: live.is_some_and(|session| session.silent_ms() < self.own.limits.peer_down_ms),
            highest_boot: sessions.highest_boot.get(&claimant.data_dir).copied(),
        };
        match admit(&self.own.identity, claimant, known) {
            Admission::Accept | Admission::Evict => Ok(()),
            Admission::Refuse(why) => Err(why),
        }
    }

    /// Takes a session into the books. One that held its name is over.
    pub(super) fn add(&self, session: &Arc<Session>) {
        let mut sessions = locked(&self.sessions);
        let identity = &session.hello.identity;
        if sessions.highest_boot.len() >= BOOTS_MAX {
            sessions.highest_boot.clear();
        }
        let highest = sessions.highest_boot.entry(identity.data_dir).or_insert(identity.boot);
        *highest = identity.boot.max(*highest);
        sessions.by_number.insert(session.number, session.clone());
        let old = sessions.by_name.insert(identity.name.clone(), session.clone());
        drop(sessions);
        if let Some(old) = old {
            old.close(DownReason::Evicted);
        }
        if self.stopped.is_cancelled() {
            session.close(DownReason::Stopped);
        }
    }

    pub(super) fn session(&self, number: u64) -> Option<Arc<Session>> {
        locked(&self.sessions).by_number.get(&number).cloned()
    }

    /// The session that holds a name, ready or not.
    pub(super) fn holder(&self, name: &str) -> Option<Arc<Session>> {
        locked(&self.sessions).by_name.get(name).filter(|session| session.end().is_none()).cloned()
    }

    pub(super) fn sessions(&self) -> Vec<Arc<Session>> {
        locked(&self.sessions).by_number.values().cloned().collect()
    }

    pub(super) fn sessions_len(&self) -> usize {
        locked(&self.sessions).by_number.len()
    }

    pub(super) fn peer(&self, name: &str) -> Option<Peer> {
        self.holder(name).filter(|session| session.is_usable()).map(Peer::of)
    }

    pub(super) fn peers(&self) -> Vec<Peer> {
        let mut peers: Vec<_> = self.usable().into_iter().map(Peer::of).collect();
        peers.sort_by(|a, b| a.name().cmp(b.name()));
        peers
    }

    fn usable(&self) -> Vec<Arc<Session>> {
        locked(&self.sessions).by_number.values().filter(|session| session.is_usable()).cloned().collect()
    }

    /// Tells every peer at once; a lower epoch than the known one changes nothing.
    pub(super) fn set_standing(&self, standing: Standing) {
        let mut known = self.own.standing.write().unwrap_or_else(PoisonError::into_inner);
        if standing.epoch < known.epoch || standing == *known {
            return;
        }
        *known = standing;
        drop(known);
        self.usable().iter().for_each(|session| session.ping());
    }

    pub(super) fn stop(&self) {
        self.stopped.cancel();
        self.sessions().iter().for_each(|session| session.close(DownReason::Stopped));
    }

    fn forget(&self, session: &Arc<Session>) {
        let mut sessions = locked(&self.sessions);
        sessions.by_number.remove(&session.number);
        if sessions.by_name.get(session.name()).is_some_and(|holder| Arc::ptr_eq(holder, session)) {
            sessions.by_name.remove(session.name());
        }
    }
}

/// One place tells the handler, so that the end of a session never overtakes its beginning, nor the beginning
/// of the next one the end of the last.
async fn tell_handler(hub: Arc<Hub>, mut told: mpsc::UnboundedReceiver<Notice>) {
    let handler = hub.own.handler.clone();
    loop {
        let notice = if hub.stopped.is_cancelled() && hub.sessions_len() == 0 {
            break;
        } else {
            tokio::select! {
                notice = told.recv() => notice,
                // Look again whether that was the last session.
                () = hub.stopped.cancelled(), if !hub.stopped.is_cancelled() => continue,
            }
        };
        match notice {
            Some(Notice::Up(session)) if session.end().is_none() => {
                handler.peer_up(Peer::of(session.clone()));
                session.announced.cancel();
                tracing::info!(peer = %session.hello.identity.wire_name(), role = %session.hello.identity.role, "peer is up");
            }
            Some(Notice::Up(_)) => {}
            Some(Notice::Standing(session)) => {
                session.take_standing_notice();
                if session.announced.is_cancelled() && session.end().is_none() {
                    handler.peer_standing(&Peer::of(session));
                }
            }
            Some(Notice::Down(session)) => {
                hub.forget(&session);
                if let (true, Some(reason)) = (session.announced.is_cancelled(), session.end()) {
                    tracing::info!(peer = %session.hello.identity.wire_name(), "peer is down: {reason}");
                    handler.peer_down(&Peer::of(session.clone()), reason);
                }
            }
            None => break,
        }
    }
}

/// Heartbeats, and the end of peers that are silent or stay over their budget.
async fn keep_alive(hub: Arc<Hub>) {
    let limits = hub.own.limits;
    let beat = Duration::from_millis(limits.heartbeat_ms.max(1));
    let mut ticks = tokio::time::interval(beat);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    loop {
        tokio::select! {
            () = hub.stopped.cancelled() => return,
            _ = ticks.tick() => {}
            () = hub.own.pinged.notified() => {
                if !joins_round(last.elapsed(), beat) {
                    continue;
                }
                ticks.reset();
            }
        }
        // After a pause of our own, the peers' heartbeats wait unread in the sockets: listen first.
        let has_overslept = last.elapsed() > beat * 3;
        last = Instant::now();
        let sessions = hub.sessions();
        for session in sessions.iter().filter(|session| !session.is_local) {
            if has_overslept {
                session.touch();
            }
            let silent_ms = session.silent_ms();
            if silent_ms > limits.peer_down_ms {
                session.close(DownReason::Silent { silent_ms });
            } else if let Some(over_ms) =
                session.over_budget_ms().filter(|over_ms| *over_ms > limits.over_budget_ms_max)
            {
                session.close(DownReason::OverBudget { over_ms });
            } else if session.is_usable() {
                session.ping();
            }
        }
        for session in sessions.iter().filter(|session| session.is_local) {
            if let Some(over_ms) = session.over_budget_ms().filter(|over_ms| *over_ms > limits.over_budget_ms_max) {
                session.close(DownReason::OverBudget { over_ms });
            }
        }
    }
}

/// One whose own round is half due pings together with the peer that woke it: so those of a cluster come to be at the same
/// moment, and an idle node is woken some times a second less. None of them ever waits longer than it would alone.
fn joins_round(since_last: Duration, beat: Duration) -> bool {
    since_last >= beat / 2
}

/// A number that nobody guesses and that is not used twice.
pub(super) fn random_number() -> Result<u64, LinkError> {
    getrandom::u64().map_err(|error| LinkError::Random(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two nodes with the same beat, whatever their phases, ping at the same time from the second round on, and as often
    /// as one alone would.
    #[test]
    fn rounds_of_nodes_come_to_be_at_one_moment() {
        let beat = 1000;
        for phase in 0..beat {
            let (mut due, mut last, mut rounds) = ([0, phase], [-beat, -beat], [Vec::new(), Vec::new()]);
            for now in 0..10 * beat {
                for node in [0, 1] {
                    if due[node] != now {
                        continue;
                    }
                    for (other, is_own) in [(node, true), (1 - node, false)] {
                        let since = Duration::from_millis((now - last[other]) as u64);
                        if is_own || joins_round(since, Duration::from_millis(beat as u64)) {
                            (last[other], due[other]) = (now, now + beat);
                            rounds[other].push(now);
                        }
                    }
                }
            }
            let is_together = rounds[0].iter().rev().zip(rounds[1].iter().rev()).take(8).all(|(a, b)| a == b);
            assert!(is_together && rounds.iter().all(|times| times.len() <= 12), "{phase}: {rounds:?}");
        }
    }
}
