//! The desk and the ledger on a home of their own.

use super::desk::HomeDesk;
use super::ledger::{self, Pass};
use super::*;
use crate::cluster::tls::{Certified, JoinRequest, JoiningNode, fingerprint};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

struct Made {
    _directory: tempfile::TempDir,
    home: Home,
}

fn made() -> Made {
    let directory = tempfile::tempdir().unwrap();
    let home = Home::at(directory.path());
    std::fs::create_dir_all(home.conf_dir()).unwrap();
    secret::make_all(&home).unwrap();
    Made { _directory: directory, home }
}

fn let_out(home: &Home, secret: &str, roles: &[Role], seconds: i64) {
    let until = chrono::Utc::now().timestamp() + seconds;
    let pass = Pass { hash: ledger::hash(secret), roles: roles.to_vec(), until };
    Ledger::open(home).unwrap().let_out(pass).unwrap();
}

fn ask(home: &Home, secret: &str, nodes: &[(&str, Role)]) -> Result<Vec<Certified>, String> {
    let node = |(name, role): &(&str, Role)| JoiningNode {
        name: (*name).to_owned(),
        role: *role,
        public_key: NodeKey::generate().unwrap().public(),
    };
    let request = JoinRequest { secret: secret.to_owned(), nodes: nodes.iter().map(node).collect() };
    let answer = HomeDesk::new(home.clone()).join(request).map_err(|why| why.english())?;
    let read = |pem: &String| Certified::read(&CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let own = std::fs::read_to_string(home.authority_file()).unwrap();
    assert_eq!(fingerprint(&answer.authority).unwrap(), fingerprint(&own).unwrap());
    Ok(answer.certificates.iter().map(read).collect())
}

#[test]
fn a_token_lets_the_named_roles_join_once() {
    let made = made();
    let home = &made.home;
    let_out(home, "one", &[Role::Worker, Role::Master], 60);
    assert!(ask(home, "two", &[("w2", Role::Worker)]).unwrap_err().contains("unknown"));
    assert!(ask(home, "one", &[("h2", Role::Http)]).unwrap_err().contains("lets no http join"));
    let got = ask(home, "one", &[("m2", Role::Master), ("w2", Role::Worker)]).unwrap();
    assert_eq!(got[0].subject, Subject { name: "m2".into(), role: Role::Master });
    assert_eq!(got[1].subject, Subject { name: "w2".into(), role: Role::Worker });
    assert!(ask(home, "one", &[("w3", Role::Worker)]).unwrap_err().contains("used up"));
    let file = std::fs::read_to_string(home.issued_file()).unwrap();
    assert!(file.contains(&got[0].serial) && file.contains(&got[1].serial), "{file}");
    let kept = std::fs::read_to_string(home.join_tokens_file()).unwrap();
    assert_eq!(kept, "");
}

#[test]
fn an_old_token_is_none_and_its_secret_is_not_kept() {
    let made = made();
    let_out(&made.home, "a-secret", &[Role::Worker], -1);
    let kept = std::fs::read_to_string(made.home.join_tokens_file()).unwrap();
    assert!(!kept.contains("a-secret"));
    assert!(ask(&made.home, "a-secret", &[("w2", Role::Worker)]).unwrap_err().contains("too old"));
}

#[test]
fn a_name_that_is_held_is_given_again_only_after_it_was_revoked() {
    let made = made();
    let home = &made.home;
    let all = [Role::Worker, Role::Http, Role::Master];
    for secret in ["1", "2", "3"] {
        let_out(home, secret, &all, 60);
    }
    let first = ask(home, "1", &[("w2", Role::Worker)]).unwrap();
    assert!(ask(home, "2", &[("w2", Role::Worker)]).unwrap_err().contains("cert revoke w2"));
    let ledger = Ledger::open(home).unwrap();
    ledger.revoke(&ledger.valid("w2").unwrap()).unwrap();
    drop(ledger);
    assert!(std::fs::read_to_string(home.revoked_file()).unwrap().starts_with(&first[0].serial));
    assert_ne!(ask(home, "2", &[("w2", Role::Worker)]).unwrap(), first);
    // A refusal does not use the token up; a bad name never gets through.
    for bad in [("m1", Role::Worker), ("worker", Role::Master), ("../m1", Role::Worker), ("", Role::Worker)] {
        assert!(ask(home, "3", &[bad]).is_err(), "{bad:?}");
    }
    assert!(ask(home, "3", &[("w4", Role::Worker), ("w4", Role::Http)]).unwrap_err().contains("twice"));
    assert!(ask(home, "3", &[("w4", Role::Worker)]).is_ok());
}

#[test]
fn a_home_on_loopback_needs_no_certificates_and_one_off_it_makes_its_own() {
    let made = made();
    let home = &made.home;
    let mut config = Config::default();
    assert!(tls(home, &config, "m1", Role::Master).unwrap().is_none());
    config.cluster.masters[1].host = "192.0.2.7".to_owned();
    let used = tls(home, &config, "m1", Role::Master).unwrap().unwrap();
    assert!(used.files.certificate.exists() && used.desk.is_some() && !used.is_always);
    let text = std::fs::read_to_string(&used.files.certificate).unwrap();
    assert!(text.starts_with("# master m1, valid until 20"), "{text}");
    // Where the authority's key is not, a node without a certificate is told what to do.
    std::fs::remove_file(home.authority_key_file()).unwrap();
    assert!(tls(home, &config, "m1", Role::Master).unwrap().unwrap().desk.is_none());
    let failure = tls(home, &config, "w1", Role::Worker).unwrap_err();
    assert!(failure.hint.unwrap().english().contains("cluster join TOKEN --node w1 --role worker"));
}
