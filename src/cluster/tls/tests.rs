//! Certificates as the link takes and refuses them, over pipes in memory's place: real sockets on loopback.

use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::cluster::identity::NodeIdentity;
use crate::model::id::Boot;
use crate::model::message::Message;

const HOUR: Duration = Duration::from_secs(3600);

struct Ca {
    made: NewAuthority,
    directory: TempDir,
}

impl Ca {
    fn new() -> Self {
        Self { made: Authority::make(SystemTime::now()).unwrap(), directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn node(&self, name: &str, role: Role) -> (TlsConfig, Issued) {
        self.node_until(name, role, Validity::of_node(SystemTime::now()))
    }

    fn node_until(&self, name: &str, role: Role, validity: Validity) -> (TlsConfig, Issued) {
        let authority = Authority::open(&self.made.certificate, &self.made.key).unwrap();
        let key = NodeKey::generate().unwrap();
        let issued = authority.issue(&Subject { name: name.into(), role }, &key.public(), validity).unwrap();
        let files = TlsFiles {
            authority: self.path("ca.pem"),
            certificate: self.path(&format!("{name}.pem")),
            key: self.path(&format!("{name}.key")),
            revoked: self.path("revoked"),
        };
        std::fs::write(&files.authority, &self.made.certificate).unwrap();
        std::fs::write(&files.certificate, &issued.certificate).unwrap();
        std::fs::write(&files.key, key.secret()).unwrap();
        (TlsConfig { files, is_always: true, desk: None }, issued)
    }
}

fn security(config: &TlsConfig) -> Security {
    Security::open(Some(config.clone())).unwrap()
}

/// What both sides say of a connection from `dialer` to a master of the name.
async fn shake(
    dialer: &Security,
    acceptor: &Security,
    name: &str,
) -> (Result<Certified, String>, Result<Certified, String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = PeerAddress { name: name.into(), address: listener.local_addr().unwrap() };
    let dialing = async {
        let stream = TcpStream::connect(peer.address).await.unwrap();
        let (mut stream, certified) = dialer.dial(stream, &peer).await.map_err(|error| error.to_string())?;
        // In TLS 1.3 the dialer's certificate is looked at after the dialer is through.
        stream.read_u8().await.map_err(|error| error.to_string())?;
        Ok(certified.expect("it is encrypted"))
    };
    let accepting = async {
        let (stream, _) = listener.accept().await.unwrap();
        match acceptor.accept(stream).await.map_err(|error| error.to_string())? {
            Accepted::Node(mut stream, certified) => {
                stream.write_u8(1).await.unwrap();
                stream.flush().await.unwrap();
                Ok(certified.expect("it is encrypted"))
            }
            Accepted::Joining(..) => Err("joins".into()),
        }
    };
    tokio::join!(dialing, accepting)
}

#[tokio::test]
async fn two_nodes_of_one_authority_know_each_other_by_name_and_role() {
    let ca = Ca::new();
    let (m1, _) = ca.node("m1", Role::Master);
    for (name, role) in [("w_1", Role::Worker), ("M-2", Role::Http), ("m2", Role::Master)] {
        let (node, issued) = ca.node(name, role);
        let (dialer, acceptor) = shake(&security(&node), &security(&m1), "m1").await;
        assert_eq!(dialer.unwrap().subject, Subject { name: "m1".into(), role: Role::Master });
        let expected = Certified { subject: Subject { name: name.into(), role }, serial: issued.serial };
        assert_eq!(acceptor, Ok(expected));
    }
}

#[tokio::test]
async fn another_authority_of_the_same_name_is_refused_on_both_sides() {
    let (ours, theirs) = (Ca::new(), Ca::new());
    let (m1, _) = ours.node("m1", Role::Master);
    let (mut w1, _) = theirs.node("w1", Role::Worker);
    let (dialer, acceptor) = shake(&security(&w1), &security(&m1), "m1").await;
    assert!(dialer.unwrap_err().contains("certificate"));
    assert!(acceptor.unwrap_err().contains("certificate"));
    // It believes our authority, but has its certificate from another.
    w1.files.authority = m1.files.authority.clone();
    let (dialer, acceptor) = shake(&security(&w1), &security(&m1), "m1").await;
    assert!(acceptor.unwrap_err().contains("certificate"));
    assert!(dialer.is_err());
}

#[tokio::test]
async fn a_dialer_refuses_a_master_of_another_name_and_whoever_is_no_master() {
    let ca = Ca::new();
    let (w1, _) = ca.node("w1", Role::Worker);
    for (name, role) in [("m2", Role::Master), ("m1", Role::Worker)] {
        let (other, _) = ca.node(name, role);
        let (dialer, _) = shake(&security(&w1), &security(&other), "m1").await;
        assert!(dialer.unwrap_err().contains("not valid for name"), "{name} {role}");
    }
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let ca = Ca::new();
    let (m1, _) = ca.node("m1", Role::Master);
    let now = SystemTime::now();
    let (w1, _) = ca.node_until("w1", Role::Worker, Validity { from: now - 2 * HOUR, until: now - HOUR });
    let (dialer, acceptor) = shake(&security(&w1), &security(&m1), "m1").await;
    assert!(acceptor.unwrap_err().contains("expired"));
    assert!(dialer.is_err());
}

#[tokio::test]
async fn a_certificate_that_is_revoked_later_is_refused_from_then_on() {
    let ca = Ca::new();
    let (m1, _) = ca.node("m1", Role::Master);
    let (w1, issued) = ca.node("w1", Role::Worker);
    let (w1, m1) = (security(&w1), security(&m1));
    assert!(shake(&w1, &m1, "m1").await.1.is_ok());
    std::fs::write(ca.path("revoked"), format!("# ours\n{} worker w1\n", issued.serial)).unwrap();
    assert!(shake(&w1, &m1, "m1").await.1.unwrap_err().contains("revoked"));
    assert!(m1.is_revoked(&issued.serial));
}

#[tokio::test]
async fn a_rotated_certificate_counts_without_a_restart_and_a_broken_one_does_not() {
    let ca = Ca::new();
    let (m1, _) = ca.node("m1", Role::Master);
    let (w1, _) = ca.node("w1", Role::Worker);
    let (dialer, acceptor) = (security(&w1), security(&m1));
    let (_, rotated) = ca.node("w1", Role::Worker);
    assert_eq!(shake(&dialer, &acceptor, "m1").await.1.unwrap().serial, rotated.serial);
    std::fs::write(&w1.files.certificate, "half of").unwrap();
    assert_eq!(shake(&dialer, &acceptor, "m1").await.1.unwrap().serial, rotated.serial);
}

#[tokio::test]
async fn bytes_that_are_no_tls_end_the_connection() {
    let ca = Ca::new();
    let m1 = security(&ca.node("m1", Role::Master).0);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    stream.write_all(b"RFLOWC1\n and what a plain dialer says").await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    assert!(m1.accept(accepted).await.is_err());
}

#[test]
fn off_loopback_a_certificate_is_needed() {
    let none = Security::open(None).unwrap();
    assert!(none.check("127.0.0.1:7000".parse().unwrap()).is_ok());
    for off in ["192.168.1.4:7000", "[2001:db8::1]:7000"] {
        let error = none.check(off.parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("certificate"), "{error}");
    }
    let ca = Ca::new();
    let some = security(&ca.node("m1", Role::Master).0);
    assert!(some.check("192.168.1.4:7000".parse().unwrap()).is_ok());
    assert!(some.check("0.0.0.0:7000".parse().unwrap()).is_err());
}

#[test]
fn a_certificate_speaks_for_its_own_node_alone() {
    let identity = |name: &str, role| NodeIdentity {
        name: name.into(),
        role,
        data_dir: uuid::Uuid::nil(),
        boot: Boot(1),
        machine_id: "machine".into(),
        boot_id: "boot".into(),
    };
    let worker = Subject { name: "m2".into(), role: Role::Worker };
    assert!(worker.is(&identity("m2", Role::Worker)));
    assert!(!worker.is(&identity("m2", Role::Master)));
    assert!(!worker.is(&identity("m3", Role::Worker)));
}

#[test]
fn what_cannot_be_a_name_or_a_key_gets_no_certificate() {
    let ca = Ca::new();
    let authority = Authority::open(&ca.made.certificate, &ca.made.key).unwrap();
    let validity = Validity::of_node(SystemTime::now());
    let key = NodeKey::generate().unwrap().public();
    let issue = |name: &str, key: &[u8]| {
        authority.issue(&Subject { name: name.into(), role: Role::Worker }, key, validity).is_ok()
    };
    assert!(issue("w1", &key));
    assert!(!issue("w1", &key[1..]) && !issue("w1", b""));
    for name in ["", "w 1", "*", "w1/../m1", &"x".repeat(64)] {
        assert!(!issue(name, &key), "{name}");
    }
    let other = Ca::new();
    assert!(Authority::open(&ca.made.certificate, &other.made.key).is_err());
}

struct Desk;

impl JoinDesk for Desk {
    fn join(&self, request: JoinRequest) -> Result<JoinAnswer, Message> {
        if request.secret != "right" {
            return Err(Message::verbatim("wrong secret"));
        }
        Ok(JoinAnswer {
            authority: "ca".into(),
            certificates: request.nodes.into_iter().map(|node| node.name).collect(),
            cookie: "cookie".into(),
            masters: Vec::new(),
            low_priority: Vec::new(),
            revoked: String::new(),
        })
    }
}

/// Asks a listener of `config` once.
async fn ask_to_join(config: &TlsConfig, authority: &str, secret: &str) -> Result<JoinAnswer, JoinError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = security(config);
    let serving = async {
        let (stream, _) = listener.accept().await.unwrap();
        if let Ok(Accepted::Joining(stream, desk)) = acceptor.accept(stream).await {
            let _ = serve(stream, desk).await;
        }
    };
    let nodes = vec![JoiningNode { name: "w7".into(), role: Role::Worker, public_key: Vec::new() }];
    let request = JoinRequest { secret: secret.into(), nodes };
    tokio::join!(join(address, authority, &request, HOUR), serving).0
}

#[tokio::test]
async fn a_host_joins_a_master_whose_authority_it_knows_by_hash() {
    let ca = Ca::new();
    let (mut m1, _) = ca.node("m1", Role::Master);
    let hash = fingerprint(&ca.made.certificate).unwrap();
    let without_desk = ask_to_join(&m1, &hash, "right").await;
    assert!(without_desk.is_err(), "a master without the authority's key answers nobody");
    m1.desk = Some(Arc::new(Desk));
    assert_eq!(ask_to_join(&m1, &hash, "right").await.unwrap().certificates, ["w7"]);
    assert!(
        matches!(ask_to_join(&m1, &hash, "wrong").await, Err(JoinError::Refused(why)) if why.english() == "wrong secret")
    );
    // The secret is not told to somebody who shows another authority, nor to a worker of ours.
    let other = fingerprint(&Ca::new().made.certificate).unwrap();
    assert!(matches!(ask_to_join(&m1, &other, "right").await, Err(JoinError::Reach { .. })));
    let (mut w1, _) = ca.node("w1", Role::Worker);
    w1.desk = Some(Arc::new(Desk));
    assert!(matches!(ask_to_join(&w1, &hash, "right").await, Err(JoinError::Reach { .. })));
}

#[test]
fn files_that_do_not_fit_are_named() {
    let ca = Ca::new();
    let (mut config, _) = ca.node("m1", Role::Master);
    config.files.key = Path::new("/nonexistent/m1.key").into();
    let error = Security::open(Some(config)).err().unwrap().to_string();
    assert!(error.contains("/nonexistent/m1.key"), "{error}");
}
