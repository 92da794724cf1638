//! `cluster init | join-token | join | cert` on files; hosts that really join are in tests/acceptance/hosts.rs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use crate::client;

/// A home that begins a cluster whose first master is here and whose second is on no host.
fn begun() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("conf")).unwrap();
    let masters = "m1@127.0.0.1:2751,m2@192.0.2.7:2751";
    let made = on(&home, &["cluster", "init", "--masters", masters, "--workers", "w1"]);
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    home
}

fn on(home: &tempfile::TempDir, words: &[&str]) -> Output {
    client(words).arg("--home").arg(home.path()).current_dir(home.path()).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn a_cluster_of_several_hosts_begins_once() {
    let home = begun();
    let conf = home.path().join("conf");
    let settings = text(&conf.join("ractorflow.toml"));
    assert!(settings.contains(r#"masters = ["m1@127.0.0.1:2751", "m2@192.0.2.7:2751"]"#), "{settings}");
    assert!(settings.contains("workers = [\"w1\"]\n") && settings.contains("http = []\n"), "{settings}");
    for secret in ["cluster.ca.key", "cluster.cookie", "admin.token"] {
        assert_eq!(fs::metadata(conf.join(secret)).unwrap().permissions().mode() & 0o777, 0o600, "{secret}");
    }
    let authority = text(&conf.join("cluster.ca.pem"));
    assert_eq!(on(&home, &["cluster", "init"]).status.code(), Some(6));
    assert_eq!(text(&conf.join("cluster.ca.pem")), authority);
}

#[test]
fn a_certificate_is_issued_rotated_and_revoked_by_hand() {
    let home = begun();
    let issue = ["cluster", "cert", "issue", "w2", "--role", "worker", "--out", "bundle"];
    assert_eq!(on(&home, &issue).status.code(), Some(0));
    let bundle = home.path().join("bundle");
    let mut names: Vec<_> = fs::read_dir(&bundle).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["cluster.ca.pem", "cluster.cookie", "w2.key", "w2.pem"]);
    for secret in ["cluster.cookie", "w2.key"] {
        assert_eq!(fs::metadata(bundle.join(secret)).unwrap().permissions().mode() & 0o777, 0o600, "{secret}");
    }
    assert_eq!(fs::metadata(&bundle).unwrap().permissions().mode() & 0o777, 0o700);
    let certificate = text(&bundle.join("w2.pem"));
    let first = certificate.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
    let again = on(&home, &["cluster", "cert", "issue", "w2", "--role", "worker", "--out", "other"]);
    assert_eq!(again.status.code(), Some(6), "{}", said(&again));
    assert!(!home.path().join("other").exists());
    for (name, role) in [("m1", "worker"), ("w", "master"), ("../w3", "worker")] {
        assert_eq!(
            on(&home, &["cluster", "cert", "issue", name, "--role", role]).status.code(),
            Some(1),
            "{name} {role}"
        );
    }

    assert_eq!(on(&home, &["cluster", "cert", "rotate", "w2", "--out", "rotated"]).status.code(), Some(0));
    assert_ne!(text(&home.path().join("rotated/w2.pem")), certificate);
    assert_eq!(on(&home, &["cluster", "cert", "revoke", "w2", "--former"]).status.code(), Some(0));
    let revoked = text(&home.path().join("conf/cluster.revoked"));
    assert!(revoked.starts_with(&first) && revoked.lines().count() == 1, "{revoked}");
    assert_eq!(on(&home, &["cluster", "cert", "revoke", "w2"]).status.code(), Some(0));
    assert_eq!(text(&home.path().join("conf/cluster.revoked")).lines().count(), 2);
    assert_eq!(on(&home, &["cluster", "cert", "revoke", "w2"]).status.code(), Some(5), "none counts any more");
    assert_eq!(on(&home, &["cluster", "cert", "rotate"]).status.code(), Some(5), "no node has run here");
}

#[test]
fn a_token_is_made_where_the_key_is_and_names_a_master_that_can_be_reached() {
    let home = begun();
    let none = on(&home, &["cluster", "join-token"]);
    assert_eq!(none.status.code(), Some(1), "loopback is no address for others: {}", said(&none));
    let made = on(&home, &["cluster", "join-token", "--address", "10.0.0.1:2751", "--hours", "1"]);
    let token = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    assert!(token.starts_with("rfj_") && token.ends_with("@10.0.0.1:2751"), "{token}");
    let kept = text(&home.path().join("conf/cluster.tokens"));
    assert!(!kept.contains(&token[4..36]) && kept.contains(r#""roles":["worker","http"]"#), "{kept}");
    assert_eq!(on(&home, &["cluster", "join-token", "--hours", "1000"]).status.code(), Some(2));
    // A home of one cluster is not given to another.
    let other = begun();
    let refused = on(&other, &["cluster", "join", &token, "--node", "w2", "--role", "worker"]);
    assert_eq!(refused.status.code(), Some(6), "{}", said(&refused));
    let nonsense = on(&other, &["cluster", "join", "rfj_x", "--node", "w2", "--role", "worker"]);
    assert_eq!(nonsense.status.code(), Some(2), "{}", said(&nonsense));
    fs::remove_file(home.path().join("conf/cluster.ca.key")).unwrap();
    assert_eq!(on(&home, &["cluster", "join-token"]).status.code(), Some(1));
}
