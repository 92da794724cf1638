use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::model::id::Seq;
use crate::store::history::{leadership, trifles as events};
use crate::store::types::{Applied, VoterNode};

use super::*;

mod crash;
mod voters;

const PATIENCE: Duration = Duration::from_secs(20);

fn config(home: &Path) -> HostConfig {
    let node = VoterNode { addr: "127.0.0.1:1".to_owned(), data_dir: None };
    HostConfig {
        directory: home.to_owned(),
        voter: 1,
        cluster: "c".to_owned(),
        listed: BTreeMap::from([(1, node.addr.clone())]),
        founding: Some(BTreeMap::from([(1, node)])),
        is_low_priority: false,
        raft: Default::default(),
        master: crate::config::Master { ballast_bytes: 0, ..Default::default() },
        retention: Default::default(),
        peers: Arc::new(NoPeers),
    }
}

async fn leading(home: &Path) -> RaftHost {
    let host = RaftHost::start(config(home)).await.unwrap();
    let mut leadership = host.leadership();
    tokio::time::timeout(PATIENCE, leadership.wait_for(|seen| seen.is_leader)).await.unwrap().unwrap();
    host.has_applied_its_log().await;
    host
}

async fn take_over(host: &RaftHost, boot: u64) -> Applied {
    let term = host.leadership().borrow().term;
    let epoch = host.replica().with_state(|state| state.cluster.epoch.next());
    host.propose(leadership(term, boot, epoch)).await.unwrap()
}

#[tokio::test]
async fn a_single_voter_leads_applies_and_goes_on_with_a_higher_epoch_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let host = leading(home.path()).await;
    assert!(host.leadership().borrow().is_fresh());
    assert!(take_over(&host, 1).await.is_applied());
    assert_eq!(host.propose(events(1, 0, 3)).await.unwrap().seq, 3);
    let stale = host.propose(events(1, 0, 3)).await.unwrap();
    assert!(!stale.is_applied());
    assert_eq!((stale.seq, host.replica().n_skipped()), (3, 1));
    assert!(host.propose(events(1, 3, 1)).await.unwrap().is_applied());
    let term = host.leadership().borrow().term;
    let cluster = host.cluster().to_owned();
    host.shutdown().await;
    drop(host);

    let host = leading(home.path()).await;
    assert_eq!(host.cluster(), cluster);
    assert!(host.leadership().borrow().term > term, "it was elected again");
    assert_eq!(host.replica().seq(), Seq(4));
    assert!(take_over(&host, 2).await.is_applied());
    let old = host.propose(events(1, 4, 1)).await.unwrap();
    assert!(!old.is_applied(), "an entry of the epoch before must not apply");
    assert!(host.propose(events(2, 4, 1)).await.unwrap().is_applied());
    host.shutdown().await;
}

#[tokio::test]
async fn a_second_process_on_the_same_directory_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let host = leading(home.path()).await;
    let error = RaftHost::start(config(home.path())).await.err().unwrap();
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    host.shutdown().await;
}

#[tokio::test]
async fn a_stream_gives_every_event_once_and_in_order() {
    let home = tempfile::tempdir().unwrap();
    let host = leading(home.path()).await;
    take_over(&host, 1).await;
    host.propose(events(1, 0, 5)).await.unwrap();
    let mut stream = host.replica().subscribe_from(Seq(2)).unwrap();
    for seq in 3..=5 {
        assert_eq!(stream.next().await.unwrap().seq, Seq(seq));
    }
    let next = tokio::spawn(async move { stream.next().await });
    host.propose(events(1, 5, 1)).await.unwrap();
    assert_eq!(tokio::time::timeout(PATIENCE, next).await.unwrap().unwrap().unwrap().seq, Seq(6));
    host.shutdown().await;
}

/// Not a check of anything: prints what a commit costs here. Run it with `--ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn commit_latency() {
    let home = tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or_else(|_| ".".to_owned())).unwrap();
    let host = leading(home.path()).await;
    take_over(&host, 1).await;
    for size in [1, 10, 300] {
        let mut base = host.replica().seq().0;
        let mut took = Vec::new();
        for _ in 0..1000 {
            let start = Instant::now();
            base = host.propose(events(1, base, size)).await.unwrap().seq;
            took.push(start.elapsed().as_micros());
        }
        took.sort_unstable();
        println!("{size} events an entry: p50 {} us, p99 {} us", took[500], took[990]);
    }
    host.shutdown().await;
}
