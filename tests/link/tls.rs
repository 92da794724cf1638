//! The link with mutual TLS: everything it does in the clear, and who stays out.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use ractorflow::cluster::Role;
use ractorflow::cluster::tls::{Authority, NodeKey, Subject, Validity};
use tempfile::TempDir;

use crate::node::{Node, Spec, files_in};

/// An authority with certificates of nodes.
struct Certificates(TempDir);

impl Certificates {
    fn of(nodes: &[(&str, Role)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let made = Authority::make(SystemTime::now()).unwrap();
        let authority = Authority::open(&made.certificate, &made.key).unwrap();
        for (name, role) in nodes {
            let key = NodeKey::generate().unwrap();
            let subject = Subject { name: (*name).into(), role: *role };
            let issued = authority.issue(&subject, &key.public(), Validity::of_node(SystemTime::now())).unwrap();
            let files = files_in(directory.path(), name);
            fs::write(files.authority, &made.certificate).unwrap();
            fs::write(files.certificate, issued.certificate).unwrap();
            fs::write(files.key, key.secret()).unwrap();
            fs::write(directory.path().join(format!("{name}.serial")), issued.serial).unwrap();
        }
        Self(directory)
    }

    /// A node that shows the certificate of `certificate`.
    fn show(&self, certificate: &str, spec: Spec) -> Spec {
        Spec { tls: Some((self.0.path().to_owned(), certificate.to_owned())), ..spec }
    }

    fn revoke(&self, node: &str) {
        let serial = fs::read_to_string(self.0.path().join(format!("{node}.serial"))).unwrap();
        fs::write(self.0.path().join("revoked"), format!("{serial} {node}\n")).unwrap();
    }
}

const ALL: [(&str, Role); 4] = [("m1", Role::Master), ("m2", Role::Master), ("w1", Role::Worker), ("h1", Role::Http)];

/// A master and a worker that see each other.
fn pair(certificates: &Certificates) -> (Node, Node) {
    let mut master = Node::start(&certificates.show("m1", Spec::master("m1")));
    let mut worker = Node::start(&certificates.show("w1", Spec::worker("w1", Some(&master))));
    master.hear("up w1#1 ");
    worker.hear("up m1#1 ");
    (master, worker)
}

#[test]
fn an_encrypted_link_carries_what_a_plain_one_does() {
    let certificates = Certificates::of(&ALL);
    let (mut master, mut worker) = pair(&certificates);
    assert_eq!(master.ask("echo w1 8388608"), "8388608 bytes");
    assert_eq!(master.ask("casts w1 20000"), "sent");
    assert_eq!(worker.hear("casts "), "casts 20000");
    assert_eq!(worker.ask("get m1 8000000 cut"), "8000000 bytes in several");
    assert_eq!(master.ask("put w1 8000000 whole"), "8000000 bytes in one go");
    println!("small encrypted calls: {}", worker.ask("latency m1 2000"));
    worker.kill();
    assert_eq!(master.hear("down "), "down w1#1 Closed");
}

#[test]
fn a_node_that_is_cut_comes_back_encrypted() {
    let certificates = Certificates::of(&ALL);
    let (mut master, mut worker) = pair(&certificates);
    for _ in 0..3 {
        assert_eq!(worker.ask("cut m1"), "cut");
        master.hear("down w1#1 ");
        master.hear("up w1#1 ");
        worker.hear("up m1#1 ");
        assert_eq!(master.ask("echo w1 100000"), "100000 bytes");
    }
}

/// Those who stay out, while somebody who comes later gets in.
fn stay_out(master: &mut Node, certificates: &Certificates, rogues: Vec<Spec>) {
    let mut rogues: Vec<Node> = rogues.iter().map(Node::start).collect();
    let _honest = Node::start(&certificates.show("h1", Spec { role: Role::Http, ..Spec::worker("h1", Some(master)) }));
    master.hear("up h1#1 ");
    for rogue in &mut rogues {
        assert_eq!(rogue.ask("echo m1 10"), "no such peer", "{}", rogue.name);
    }
    assert!(master.heard().iter().all(|line| !line.starts_with("up ")), "{:?}", master.heard());
}

#[test]
fn a_certificate_speaks_for_its_name_and_role_alone() {
    let certificates = Certificates::of(&ALL);
    let mut master = Node::start(&certificates.show("m1", Spec::master("m1")));
    let dial = |name: &str, role| Spec { role, ..Spec::worker(name, Some(&master)) };
    let rogues = vec![
        // A worker that would be a master, as itself and under a master's name; a master that would be a worker.
        certificates.show("w1", dial("w1", Role::Master)),
        certificates.show("w1", dial("m2", Role::Master)),
        certificates.show("w1", dial("w2", Role::Worker)),
        certificates.show("m2", dial("m2", Role::Worker)),
    ];
    stay_out(&mut master, &certificates, rogues);
}

#[test]
fn a_stranger_stays_out_with_another_authority_or_in_the_clear() {
    let (certificates, others) = (Certificates::of(&ALL), Certificates::of(&ALL));
    let mut master = Node::start(&certificates.show("m1", Spec::master("m1")));
    let dial = |name: &str| Spec::worker(name, Some(&master));
    let rogues = vec![others.show("w1", dial("w1")), dial("w2")];
    stay_out(&mut master, &certificates, rogues);
}

#[test]
fn the_right_certificate_with_a_wrong_cookie_stays_out() {
    let certificates = Certificates::of(&ALL);
    let mut master = Node::start(&certificates.show("m1", Spec::master("m1")));
    let rogue = certificates.show("w1", Spec { cookie: 8, ..Spec::worker("w1", Some(&master)) });
    stay_out(&mut master, &certificates, vec![rogue]);
}

#[test]
fn a_master_that_is_not_who_was_dialed_is_left() {
    let certificates = Certificates::of(&ALL);
    // It has a certificate of a worker, and calls itself m1.
    let mut false_master = Node::start(&certificates.show("w1", Spec::master("m1")));
    let mut worker =
        Node::start(&certificates.show("h1", Spec { role: Role::Http, ..Spec::worker("h1", Some(&false_master)) }));
    let mut master = Node::start(&certificates.show("m2", Spec::master("m2")));
    let dial = vec![("m1".to_owned(), false_master.address), ("m2".to_owned(), master.address)];
    let mut second = Node::start(&certificates.show("w1", Spec { dial, ..Spec::worker("w1", None) }));
    master.hear("up w1#1 ");
    assert_eq!(second.ask("echo m1 10"), "no such peer");
    assert_eq!(worker.ask("echo m1 10"), "no such peer");
    assert!(false_master.heard().iter().all(|line| !line.starts_with("up ")));
}

#[test]
fn a_revoked_certificate_ends_the_session_and_stays_out() {
    let certificates = Certificates::of(&ALL);
    let (mut master, mut worker) = pair(&certificates);
    certificates.revoke("w1");
    assert!(master.hear("down w1#1 ").contains("revoked"));
    let _honest = Node::start(&certificates.show("h1", Spec { role: Role::Http, ..Spec::worker("h1", Some(&master)) }));
    master.hear("up h1#1 ");
    assert_eq!(worker.ask("echo m1 10"), "no such peer");
}

#[test]
fn silent_strangers_and_half_handshakes_are_ended_and_keep_nobody_out() {
    let certificates = Certificates::of(&ALL);
    let quick = Spec { handshake_ms_max: 1_000, ..Spec::master("m1") };
    let mut master = Node::start(&certificates.show("m1", quick));
    let mut silent: Vec<_> = (0..150).map(|_| TcpStream::connect(master.address).unwrap()).collect();
    for (n, stream) in silent.iter_mut().enumerate() {
        // Nothing, the head of a TLS record that never comes, noise, and what a plain node says. An older one may have
        // been ended to make room.
        let _ = match n % 4 {
            0 => Ok(()),
            1 => stream.write_all(&[0x16, 3, 1, 0x40, 0]),
            2 => stream.write_all(&[0xff; 64]),
            _ => stream.write_all(b"RFLOWC1\n0123456789abcdef0123456789abcdef"),
        };
    }
    let _worker = Node::start(&certificates.show("w1", Spec::worker("w1", Some(&master))));
    master.hear("up w1#1 ");
    for stream in &mut silent {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        // An alert may come before the end.
        let mut said = Vec::new();
        let ended = stream.read_to_end(&mut said);
        let is_reset = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
        assert!(ended.is_ok() || ended.as_ref().is_err_and(is_reset), "{ended:?}");
        assert!(said.len() < 16, "nothing of the cluster is told: {said:?}");
    }
    assert_eq!(master.ask("echo w1 10"), "10 bytes");
}
