//! Three voters whose messages travel in memory: what will travel over the link.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use crate::model::id::Seq;
use crate::store::types::{SnapshotMeta, Vote, VoterNode};

use super::super::*;
use super::crash::copy;
use super::{PATIENCE, events, take_over};

/// Who can be reached. A voter that is not in here is as good as dead.
#[derive(Default)]
struct Wire {
    hosts: Mutex<BTreeMap<u64, RaftHost>>,
    /// Pairs (from, to) whose questions get lost.
    cuts: Mutex<BTreeSet<(u64, u64)>>,
}

impl Wire {
    fn host(&self, voter: u64) -> Result<RaftHost, PeerError> {
        let found = self.hosts.lock().unwrap().get(&voter).cloned();
        found.ok_or_else(|| PeerError { voter, reason: "not there".to_owned() })
    }

    fn cut(&self, voter: u64) -> RaftHost {
        self.hosts.lock().unwrap().remove(&voter).unwrap()
    }
}

/// The wire as one voter sees it: one that is cut off neither sends nor receives.
struct Peers {
    own: u64,
    wire: Arc<Wire>,
}

impl Peers {
    fn host(&self, voter: u64) -> Result<RaftHost, PeerError> {
        if self.wire.cuts.lock().unwrap().contains(&(self.own, voter)) {
            return Err(PeerError { voter, reason: "cut".to_owned() });
        }
        self.wire.host(self.own)?;
        self.wire.host(voter)
    }
}

#[async_trait]
impl RaftPeers for Peers {
    async fn call(&self, voter: u64, request: RaftRequest, timeout: Duration) -> Result<RaftResponse, PeerError> {
        // Through bytes, as on the link.
        let bytes = rmp_serde::to_vec_named(&request).unwrap();
        let request = rmp_serde::from_slice(&bytes).unwrap();
        let answer = tokio::time::timeout(timeout, self.host(voter)?.handle(request)).await;
        answer.map_err(|_| PeerError { voter, reason: "too late".to_owned() })
    }

    async fn send_snapshot(&self, voter: u64, vote: Vote, meta: SnapshotMeta, file: &Path) -> Result<Vote, PeerError> {
        let host = self.host(voter)?;
        let received = host.new_snapshot_file();
        std::fs::copy(file, received.path()).unwrap();
        let failed = |error: FatalError| PeerError { voter, reason: error.to_string() };
        host.install_snapshot(vote, meta, received).await.map_err(failed)
    }
}

struct Cluster {
    home: tempfile::TempDir,
    wire: Arc<Wire>,
    /// Voters of low priority.
    low: Vec<u64>,
}

impl Cluster {
    async fn new() -> Self {
        Self::with_low(Vec::new()).await
    }

    async fn with_low(low: Vec<u64>) -> Self {
        let cluster = Self { home: tempfile::tempdir().unwrap(), wire: Arc::default(), low };
        for voter in 1..=3 {
            cluster.start(voter).await;
        }
        cluster
    }

    async fn start(&self, voter: u64) {
        let host = RaftHost::start(HostConfig {
            directory: self.home.path().join(format!("m{voter}")),
            voter,
            cluster: "c".to_owned(),
            listed: (1..=3).map(|voter| (voter, format!("m{voter}"))).collect(),
            founding: (voter == 1).then(|| {
                (1..=3).map(|voter| (voter, VoterNode { addr: format!("m{voter}"), data_dir: None })).collect()
            }),
            is_low_priority: self.low.contains(&voter),
            raft: Default::default(),
            master: crate::config::Master { ballast_bytes: 0, ..Default::default() },
            retention: Default::default(),
            peers: Arc::new(Peers { own: voter, wire: self.wire.clone() }),
        });
        let host = host.await.unwrap();
        self.wire.hosts.lock().unwrap().insert(voter, host);
    }

    fn hosts(&self) -> Vec<RaftHost> {
        self.wire.hosts.lock().unwrap().values().cloned().collect()
    }

    /// The one that leads and hears from the others.
    async fn leader(&self) -> RaftHost {
        until(|| self.hosts().into_iter().find(|host| host.leadership().borrow().is_fresh())).await
    }

    async fn all_reach(&self, seq: Seq) {
        until(|| self.hosts().iter().all(|host| host.replica().seq() == seq).then_some(())).await;
    }

    async fn stop(&self) {
        for host in self.hosts() {
            host.shutdown().await;
        }
    }
}

async fn until<T>(mut is: impl FnMut() -> Option<T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = is() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.expect("the condition comes about in time")
}

/// A leader writes an entry while the others do. When it dies before the entry is on its own disk, the others may have
/// committed it; back again, it must not give the index to another entry of the same term.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_lost_what_the_others_have_is_a_follower_when_it_comes_back() {
    let cluster = Cluster::new().await;
    let leading =
        |(voter, host): (&u64, &RaftHost)| host.leadership().borrow().is_fresh().then(|| (*voter, host.clone()));
    let (voter, leader) = until(|| cluster.wire.hosts.lock().unwrap().iter().find_map(leading)).await;
    assert!(take_over(&leader, 1).await.is_applied());
    leader.propose(events(1, 0, 3)).await.unwrap();
    cluster.all_reach(Seq(3)).await;
    let (own, before) = (cluster.home.path().join(format!("m{voter}")), cluster.home.path().join("before"));
    for names in [["raft.db", "raft.db-wal"], ["state.db", "state.db-wal"]] {
        copy(&own, &before, names);
    }
    leader.propose(events(1, 3, 1)).await.unwrap();
    cluster.all_reach(Seq(4)).await;
    cluster.wire.cut(voter);
    leader.shutdown().await;
    drop(leader);
    for name in ["raft.db", "state.db"] {
        ["", "-wal", "-shm"].iter().for_each(|end| drop(std::fs::remove_file(own.join(format!("{name}{end}")))));
        copy(&before, &own, [name, &format!("{name}-wal")]);
    }
    cluster.start(voter).await;
    let next = cluster.leader().await;
    assert!(take_over(&next, 2).await.is_applied());
    assert!(next.propose(events(2, 4, 1)).await.unwrap().is_applied());
    cluster.all_reach(Seq(5)).await;
    assert!(cluster.hosts().iter().all(|host| host.replica().n_skipped() == 0));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_voters_elect_replicate_and_survive_the_loss_of_the_leader() {
    let cluster = Cluster::new().await;
    let leader = cluster.leader().await;
    assert!(take_over(&leader, 1).await.is_applied());
    assert!(leader.propose(events(1, 0, 4)).await.unwrap().is_applied());
    cluster.all_reach(Seq(4)).await;
    let term = leader.leadership().borrow().term;
    let lost = cluster.wire.cut(leader.voter());

    let second = cluster.leader().await;
    assert!(second.leadership().borrow().term > term);
    assert!(take_over(&second, 1).await.is_applied());
    assert!(second.propose(events(2, 4, 1)).await.unwrap().is_applied());
    // Cut off, the old leader neither commits nor counts as fresh for long.
    until(|| (!lost.leadership().borrow().is_fresh()).then_some(())).await;
    let refused = second.propose(events(1, 5, 1)).await.unwrap();
    assert!(!refused.is_applied(), "an entry of the lost leader's epoch must not apply");

    // Back again, it follows.
    cluster.wire.hosts.lock().unwrap().insert(lost.voter(), lost);
    cluster.all_reach(Seq(5)).await;
    let hashes: Vec<u64> = cluster.hosts().iter().map(|host| host.replica().with_state(|state| state.hash())).collect();
    assert!(hashes.iter().all(|hash| *hash == hashes[0]));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_that_was_away_longer_than_the_log_reaches_gets_a_snapshot() {
    let cluster = Cluster::new().await;
    let leader = cluster.leader().await;
    take_over(&leader, 1).await;
    let away = cluster.hosts().into_iter().find(|host| host.voter() != leader.voter()).unwrap().voter();
    cluster.wire.cut(away).shutdown().await;
    for n in 0..20 {
        assert!(leader.propose(events(1, n * 3, 3)).await.unwrap().is_applied());
    }
    leader.purge_log_for_test().await;
    cluster.start(away).await;
    let host = cluster.wire.host(away).unwrap();
    until(|| (host.replica().seq() == Seq(60)).then_some(())).await;
    assert!(host.metrics().purged.is_some(), "it got the past as a snapshot, not as entries");
    assert!(leader.propose(events(1, 60, 1)).await.unwrap().is_applied());
    cluster.all_reach(Seq(61)).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disks_that_take_their_time_unseat_no_leader_that_is_heard() {
    let cluster = Cluster::new().await;
    let leader = cluster.leader().await;
    assert!(take_over(&leader, 1).await.is_applied());
    let term = leader.leadership().borrow().term;
    // Longer than any timeout of theirs: each heartbeat waits behind an entry that is being written.
    for host in cluster.hosts().into_iter().filter(|host| host.voter() != leader.voter()) {
        host.stall_log_for_test(Duration::from_secs(4));
    }
    assert!(leader.propose(events(1, 0, 1)).await.unwrap().is_applied());
    cluster.all_reach(Seq(1)).await;
    let terms: Vec<_> = cluster.hosts().iter().map(|host| host.metrics().term).collect();
    assert_eq!(terms, [term; 3], "nobody campaigned");
    cluster.stop().await;
}

/// The others have the entry already, and openraft has counted the leader's own as written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_leaders_own_disk_has_not_got_is_neither_applied_nor_acknowledged_by_anybody() {
    let cluster = Cluster::new().await;
    let leader = cluster.leader().await;
    assert!(take_over(&leader, 1).await.is_applied());
    let term = leader.metrics().term;
    let release = leader.hold_log_for_test();
    let mut proposing = tokio::spawn({
        let leader = leader.clone();
        async move { leader.propose(events(1, 0, 1)).await }
    });
    let is_with = |host: &RaftHost| host.metrics().last_log_index > leader.metrics().applied.map(|id| id.index);
    until(|| cluster.hosts().iter().all(is_with).then_some(())).await;
    let is_answered = tokio::time::timeout(Duration::from_millis(100), &mut proposing).await.is_ok();
    assert_eq!((is_answered, leader.replica().seq()), (false, Seq(0)));
    let seqs: Vec<_> = cluster.hosts().iter().map(|host| host.replica().seq()).collect();
    let terms: Vec<_> = cluster.hosts().iter().map(|host| host.metrics().term).collect();
    // On a busy machine another may lead by now: whatever its own disk and a third one's have is committed.
    assert!(seqs == [Seq(0); 3] || terms != [term; 3], "{seqs:?} {terms:?}");
    drop(release);
    let _ = proposing.await.unwrap();
    cluster.all_reach(Seq(1)).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_disk_hangs_gives_way() {
    let cluster = Cluster::new().await;
    let first = cluster.leader().await;
    assert!(take_over(&first, 1).await.is_applied());
    let release = first.hold_log_for_test();
    let proposing = tokio::spawn({
        let first = first.clone();
        async move { first.propose(events(1, 0, 1)).await }
    });
    let mut others = cluster.hosts().into_iter().filter(|host| host.voter() != first.voter());
    let (second, third) = (others.next().unwrap(), others.next().unwrap());
    let leads = |host: &RaftHost| host.leadership().borrow().is_fresh().then(|| host.clone());
    let next = until(|| leads(&second).or_else(|| leads(&third))).await;
    next.has_applied_its_log().await;
    assert!(take_over(&next, 2).await.is_applied());
    drop(release);
    // What was proposed reached the others before, so it is either in the history of all or of none.
    let seq = next.replica().seq();
    assert!(next.propose(events(2, seq.0, 1)).await.unwrap().is_applied());
    cluster.all_reach(Seq(seq.0 + 1)).await;
    let _ = proposing.await.unwrap();
    assert!(!first.leadership().borrow().is_leader);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_that_hears_nobody_unseats_no_leader_that_the_others_hear() {
    let cluster = Cluster::new().await;
    let leader = cluster.leader().await;
    assert!(take_over(&leader, 1).await.is_applied());
    let term = leader.leadership().borrow().term;
    let deaf = cluster.hosts().into_iter().find(|host| host.voter() != leader.voter()).unwrap();
    // It can ask others, and nothing of the leader reaches it: several of its timeouts go by.
    cluster.wire.cuts.lock().unwrap().insert((leader.voter(), deaf.voter()));
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(leader.leadership().borrow().is_fresh(), "an idle leader with a quorum stays fresh");
    assert_eq!(leader.metrics().term, term);
    assert_eq!(deaf.metrics().term, term, "nobody would vote for it, so it did not even begin");
    cluster.wire.cuts.lock().unwrap().clear();
    assert!(leader.propose(events(1, 0, 1)).await.unwrap().is_applied());
    cluster.all_reach(Seq(1)).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lead_is_handed_over_and_nothing_proposed_meanwhile_is_lost() {
    let cluster = Cluster::new().await;
    let leader = cluster.leader().await;
    assert!(take_over(&leader, 1).await.is_applied());
    let target = cluster.hosts().into_iter().find(|host| host.voter() != leader.voter()).unwrap();
    assert_eq!(leader.hand_over(leader.voter()).await, Err(HandOverError::Leads(leader.voter())));
    assert_eq!(leader.hand_over(9).await, Err(HandOverError::NotAVoter(9)));
    assert_eq!(target.hand_over(leader.voter()).await, Err(HandOverError::NotLeader));
    until(|| leader.led_for().is_some_and(|led| led > Duration::from_millis(1100)).then_some(())).await;
    assert!(leader.propose(events(1, 0, 3)).await.unwrap().is_applied());
    leader.hand_over(target.voter()).await.unwrap();
    let late = leader.propose(events(1, 3, 1)).await;
    assert!(matches!(late, Err(ProposeError::NotLeader { .. })), "{late:?}");
    until(|| target.leadership().borrow().is_fresh().then_some(())).await;
    assert!(take_over(&target, 1).await.is_applied());
    cluster.all_reach(Seq(3)).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_gone_leaves_the_lead_where_it_is() {
    let cluster = Cluster::new().await;
    let leader = cluster.leader().await;
    assert!(take_over(&leader, 1).await.is_applied());
    let away = cluster.hosts().into_iter().find(|host| host.voter() != leader.voter()).unwrap().voter();
    let lost = cluster.wire.cut(away);
    until(|| leader.led_for().is_some_and(|led| led > Duration::from_millis(1100)).then_some(())).await;
    assert!(leader.propose(events(1, 0, 1)).await.unwrap().is_applied());
    assert!(leader.hand_over(away).await.is_err());
    assert!(leader.propose(events(1, 1, 1)).await.unwrap().is_applied());
    lost.shutdown().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_of_low_priority_gives_way_to_a_preferred_voter() {
    let cluster = Cluster::with_low(vec![2, 3]).await;
    let first = cluster.leader().await;
    assert_eq!(first.voter(), 1, "the preferred voter campaigns first");
    let lost = cluster.wire.cut(1);
    let second = cluster.leader().await;
    assert!(take_over(&second, 1).await.is_applied());
    assert!(second.propose(events(1, 0, 2)).await.unwrap().is_applied());
    cluster.wire.hosts.lock().unwrap().insert(1, lost.clone());
    until(|| lost.leadership().borrow().is_fresh().then_some(())).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gave_the_lead_away_campaigns_again_when_nobody_leads() {
    let cluster = Cluster::new().await;
    let first = cluster.leader().await;
    assert!(take_over(&first, 1).await.is_applied());
    let mut others = cluster.hosts().into_iter().filter(|host| host.voter() != first.voter());
    let (second, third) = (others.next().unwrap(), others.next().unwrap());
    until(|| first.led_for().is_some_and(|led| led > Duration::from_millis(1100)).then_some(())).await;
    first.hand_over(second.voter()).await.unwrap();
    until(|| second.leadership().borrow().is_fresh().then_some(())).await;
    // The third votes but cannot ask: nobody else can win.
    cluster.wire.cuts.lock().unwrap().insert((third.voter(), first.voter()));
    let lost = cluster.wire.cut(second.voter());
    until(|| first.leadership().borrow().is_fresh().then_some(())).await;
    lost.shutdown().await;
    cluster.stop().await;
}
