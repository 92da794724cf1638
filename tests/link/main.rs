//! The cluster link between processes: each node is this binary started again (see `node`), driven from here.

mod node;
mod tls;

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use nix::sys::signal::Signal;
use node::{Node, Spec};

/// A master and a worker that see each other.
fn pair() -> (Node, Node, Spec) {
    let mut master = Node::start(&Spec::master("m1"));
    let spec = Spec::worker("w1", Some(&master));
    let mut worker = Node::start(&spec);
    master.hear("up w1#1 ");
    worker.hear("up m1#1 ");
    (master, worker, spec)
}

#[test]
fn calls_cross_both_ways_up_to_the_greatest_message() {
    let (mut master, mut worker, _) = pair();
    assert_eq!(worker.ask("echo m1 100"), "100 bytes");
    assert_eq!(master.ask("echo w1 0"), "0 bytes");
    assert_eq!(master.ask("echo w1 8388608"), "8388608 bytes");
    assert_eq!(worker.ask("echo m1 8388609"), "too large, at most 8388608");
    assert_eq!(worker.ask("echo m1 10"), "10 bytes", "the refusal did not harm the session");
}

#[test]
fn casts_arrive_in_the_order_they_were_sent() {
    let (mut master, mut worker, _) = pair();
    assert_eq!(master.ask("casts w1 20000"), "sent");
    assert_eq!(worker.hear("casts "), "casts 20000");
    assert!(worker.heard().iter().all(|line| !line.starts_with("disorder")));
}

#[test]
fn the_death_of_a_peer_is_noticed_and_its_restart_accepted() {
    let (mut master, mut worker, mut spec) = pair();
    worker.kill();
    assert_eq!(master.hear("down "), "down w1#1 Closed");
    spec.boot = 2;
    let mut restarted = Node::start(&spec);
    master.hear("up w1#2 ");
    restarted.hear("up m1#1 ");
    assert_eq!(master.ask("echo w1 10"), "10 bytes");
}

#[test]
fn a_session_that_was_cut_comes_back_as_often_as_it_is() {
    let (mut master, mut worker, _) = pair();
    for _ in 0..8 {
        assert_eq!(worker.ask("cut m1"), "cut");
        master.hear("down w1#1 ");
        master.hear("up w1#1 ");
        worker.hear("up m1#1 ");
        assert_eq!(master.ask("echo w1 100000"), "100000 bytes");
    }
}

#[test]
fn each_of_several_peers_is_reached_by_its_name() {
    let mut second = Node::start(&Spec::master("m2"));
    let mut first = Node::start(&Spec { dial: vec![("m2".into(), second.address)], ..Spec::master("m1") });
    let dial = vec![("m1".into(), first.address), ("m2".into(), second.address)];
    let mut worker = Node::start(&Spec { dial, ..Spec::worker("w1", None) });
    worker.hear("up m1#1 ");
    worker.hear("up m2#1 ");
    first.hear("up m2#1 ");
    first.hear("up w1#1 ");
    second.hear("up w1#1 ");
    assert_eq!(first.ask("casts w1 10"), "sent");
    assert_eq!(worker.hear("casts "), "casts 10");
    assert_eq!(worker.ask("casts m2 11"), "sent");
    assert_eq!(second.hear("casts "), "casts 11");
    assert_eq!(second.ask("casts m1 12"), "sent");
    assert_eq!(first.hear("casts "), "casts 12");
}

#[test]
fn a_stopped_peer_is_down_by_its_silence_and_comes_back() {
    let master_spec = Spec { heartbeat_ms: 100, peer_down_ms: 800, ..Spec::master("m1") };
    let mut master = Node::start(&master_spec);
    let worker = Node::start(&Spec::worker("w1", Some(&master)));
    let first = master.hear("up w1#1 ");
    worker.signal(Signal::SIGSTOP);
    assert!(master.hear("down ").starts_with("down w1#1 Silent"));
    assert_eq!(master.ask("echo w1 10"), "no such peer");
    worker.signal(Signal::SIGCONT);
    assert_ne!(master.hear("up w1#1 "), first, "a new session");
    assert_eq!(master.ask("echo w1 10"), "10 bytes");
}

#[test]
fn a_restart_is_accepted_while_the_old_process_hangs() {
    let (mut master, worker, mut spec) = pair();
    worker.signal(Signal::SIGSTOP);
    spec.boot = 2;
    let _restarted = Node::start(&spec);
    assert_eq!(master.hear("down "), "down w1#1 Evicted");
    master.hear("up w1#2 ");
    // The old one wakes up, dials again, and stays out.
    worker.signal(Signal::SIGCONT);
    assert_eq!(master.ask("echo w1 10"), "10 bytes");
    let mut worker = worker;
    worker.hear("down m1#1 ");
    assert_eq!(worker.ask("echo m1 10"), "no such peer");
    assert!(master.heard().iter().all(|line| !line.starts_with("down")));
}

#[test]
fn another_directory_or_an_older_start_does_not_get_a_name_that_is_held() {
    let mut master = Node::start(&Spec::master("m1"));
    let spec = Spec { boot: 5, ..Spec::worker("w1", Some(&master)) };
    let _holder = Node::start(&spec);
    master.hear("up w1#5 ");
    let mut thief = Node::start(&Spec { boot: 9, ..Spec::worker("w1", Some(&master)) });
    let mut ghost = Node::start(&Spec { boot: 4, ..spec });
    // Somebody who comes later and gets in shows that these had their chance.
    let _other = Node::start(&Spec::worker("w2", Some(&master)));
    master.hear("up w2#1 ");
    assert_eq!(thief.ask("echo m1 10"), "no such peer");
    assert_eq!(ghost.ask("echo m1 10"), "no such peer");
    assert_eq!(master.ask("echo w1 10"), "10 bytes");
    assert!(master.heard().iter().all(|line| !line.starts_with("down")));
}

#[test]
fn a_wrong_cookie_stays_out() {
    let mut master = Node::start(&Spec::master("m1"));
    let mut stranger = Node::start(&Spec { cookie: 8, ..Spec::worker("w9", Some(&master)) });
    let _worker = Node::start(&Spec::worker("w1", Some(&master)));
    master.hear("up w1#1 ");
    assert_eq!(stranger.ask("echo m1 10"), "no such peer");
    assert_eq!(master.ask("echo w9 10"), "no such peer");
}

#[test]
fn silent_connections_are_ended_and_do_not_keep_others_out() {
    let mut master = Node::start(&Spec { handshake_ms_max: 1_000, ..Spec::master("m1") });
    let mut silent: Vec<_> = (0..200).map(|_| TcpStream::connect(master.address).unwrap()).collect();
    let _worker = Node::start(&Spec::worker("w1", Some(&master)));
    master.hear("up w1#1 ");
    for stream in &mut silent {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let ended = stream.read(&mut [0; 1]);
        assert!(
            matches!(&ended, Ok(0))
                || matches!(&ended, Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset),
            "{ended:?}"
        );
    }
    assert_eq!(master.ask("echo w1 10"), "10 bytes");
}

#[test]
fn a_peer_that_takes_nothing_makes_the_sender_busy_then_is_cut_and_comes_back() {
    let mut master = Node::start(&Spec { over_budget_ms_max: 300, heartbeat_ms: 100, ..Spec::master("m1") });
    let mut worker = Node::start(&Spec::worker("w1", Some(&master)));
    master.hear("up w1#1 ");
    assert_eq!(master.ask("fill w1"), "Down after being busy");
    let down = master.hear("down ");
    assert!(down.starts_with("down w1#1 OverBudget"), "{down}");
    worker.tell("release 1000000");
    master.hear("up w1#1 ");
    assert_eq!(master.ask("echo w1 10"), "10 bytes");
}

#[test]
fn transfers_go_on_where_they_were_cut() {
    let (mut master, mut worker, _) = pair();
    assert_eq!(master.ask("get w1 8000000 whole"), "8000000 bytes in one go");
    assert_eq!(worker.ask("get m1 8000000 cut"), "8000000 bytes in several");
    assert_eq!(worker.ask("put m1 8000000 cut"), "8000000 bytes in several");
    assert!(master.heard().iter().all(|line| !line.starts_with("down")), "the session outlived its bulk connection");
}

#[test]
fn transfers_do_not_delay_heartbeats() {
    let quick = |spec| Spec { heartbeat_ms: 100, peer_down_ms: 1_000, ..spec };
    let mut master = Node::start(&quick(Spec::master("m1")));
    let mut worker = Node::start(&quick(Spec::worker("w1", Some(&master))));
    master.hear("up w1#1 ");
    worker.hear("up m1#1 ");
    for _ in 0..3 {
        master.tell("get w1 20000000 whole");
        worker.tell("get m1 20000000 whole");
    }
    println!("small calls beside six transfers: {}", worker.ask("latency m1 200"));
    for _ in 0..3 {
        assert_eq!(master.hear("answer get "), "answer get 20000000 bytes in one go");
    }
    assert!(master.heard().iter().all(|line| !line.starts_with("down")));
    assert!(worker.heard().iter().all(|line| !line.starts_with("down")));
}

#[test]
fn a_small_call_goes_round() {
    let (_master, mut worker, _) = pair();
    println!("small calls: {}", worker.ask("latency m1 2000"));
}
