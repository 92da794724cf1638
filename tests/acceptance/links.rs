//! Links that the cluster keeps: used by nodes, kept over a take-over, and no secret readable anywhere.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cluster::{Cluster, text_of};
use crate::takeover::leader;

/// What must be found nowhere.
const CANARY: &str = "canary-5b1e0c77-secret";
const SECOND: &str = "canary-0d4f-second";

const WORK: &str = r#"<work-flow name="work" schema="1">
  <start name="start" to="a"/>
  <action name="a"><sql db-link="ods">create table if not exists t (a int); insert into t values (1); select count(*) as n from t</sql><ok to="end"/></action>
  <end name="end"/>
</work-flow>"#;

pub fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&path, found),
            Ok(kind) if kind.is_file() => found.push(path),
            _ => {}
        }
    }
}

fn holds(path: &Path, word: &str) -> bool {
    let bytes = fs::read(path).unwrap_or_default();
    let hex: String = word.bytes().map(|byte| format!("{byte:02x}")).collect();
    [word.as_bytes(), hex.as_bytes()].iter().any(|word| bytes.windows(word.len()).any(|window| window == *word))
}

/// Files of the home, and what every user of the machine sees of our processes.
fn leaks(cluster: &Cluster, allowed: &[&Path]) -> Vec<String> {
    let mut found = Vec::new();
    files(cluster.home(), &mut found);
    let is_checked = |path: &&PathBuf| !allowed.contains(&path.as_path());
    let mut leaks: Vec<String> = found
        .iter()
        .filter(is_checked)
        .filter(|path| holds(path, CANARY) || holds(path, SECOND))
        .map(|path| path.display().to_string())
        .collect();
    assert!(found.iter().any(|path| path.ends_with("raft.db")) && found.iter().any(|path| path.ends_with("state.db")));
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()) {
            if holds(&path.join("cmdline"), CANARY) || holds(&path.join("cmdline"), SECOND) {
                leaks.push(path.join("cmdline").display().to_string());
            }
            let environ = path.join("environ");
            let mode = fs::metadata(&environ).map_or(0, |metadata| metadata.permissions().mode());
            if mode & 0o077 != 0 && (holds(&environ, CANARY) || holds(&environ, SECOND)) {
                leaks.push(environ.display().to_string());
            }
        }
    }
    leaks
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn a_kept_link_outlives_its_leader_and_its_secret_is_nowhere() {
    let cluster = Cluster::with_masters(3, &[("work.xml", WORK)]);
    cluster.start();
    let secret = cluster.home().join("secret");
    fs::write(&secret, format!("{CANARY}\n")).expect("a file");
    let database = cluster.home().join("ods.db");
    let url = format!("jdbc:sqlite:{}", database.display());
    let file = secret.display().to_string();
    let added = cluster.client(&[
        "link",
        "add",
        "ods",
        "--type",
        "SQLITE",
        "--url",
        &url,
        "--user",
        "etl",
        "--password-file",
        &file,
        "--secret-property",
        &format!("vault={file}"),
    ]);
    assert!(added.status.success(), "{}", text_of(&added));
    let again = cluster.client(&["link", "add", "ods", "--type", "SQLITE", "--url", &url, "--no-password"]);
    assert_eq!(again.status.code(), Some(6), "{}", text_of(&again));

    cluster.await_true("the workflow", || cluster.try_json(&["workflow", "show", "work"]).is_some());
    let run = cluster.client(&["run", "work", "--wait", "--timeout", "60s"]);
    assert_eq!(run.status.code(), Some(0), "{}\n{}", text_of(&run), text_of(&cluster.client(&["logs", "last"])));

    // What is told of it is all that is told.
    let mut told = String::new();
    for words in [
        &["link", "list"][..],
        &["link", "show", "ods"],
        &["link", "show", "ods", "-o", "json"],
        &["link", "list", "-o", "json"],
        &["link", "test", "ods", "-o", "json"],
        &["logs", "last"],
        &["instance", "show", "last", "-o", "json"],
    ] {
        let output = cluster.client(words);
        assert!(output.status.success(), "{words:?}: {}", text_of(&output));
        told += &text_of(&output);
    }
    for path in ["/links", "/links/ods", "/i/1", "/cluster"] {
        told += &cluster.page(path).unwrap_or_default();
    }
    assert!(told.contains("***") && !told.contains("canary"), "{told}");
    assert_eq!(cluster.json(&["link", "test", "ods"])[0]["is_ok"], Value::Bool(true));
    assert_eq!(cluster.json(&["link", "show", "ods"])["used_by"][0], "work");

    // The leader goes; the link stays, and can be changed under the next one.
    let first = cluster.await_some("a leader", || leader(&cluster));
    cluster.kill_for_good(&first);
    cluster.await_some("another leader", || leader(&cluster).filter(|second| *second != first));
    fs::write(&secret, SECOND).expect("a file");
    let changed = cluster.client(&["link", "update", "ods", "--password-file", &file, "--key", "once"]);
    assert!(changed.status.success(), "{}", text_of(&changed));
    let repeated = cluster.json(&["link", "update", "ods", "--password-file", &file, "--key", "once"]);
    assert_eq!(repeated["is_repeat"], Value::Bool(true), "{repeated}");
    let other = cluster.client(&["link", "update", "ods", "--no-password", "--key", "once"]);
    assert_eq!(other.status.code(), Some(6), "the key was for something else: {}", text_of(&other));
    let run = cluster.client(&["run", "work", "--wait", "--timeout", "60s"]);
    assert_eq!(run.status.code(), Some(0), "{}", text_of(&run));
    assert!(cluster.start_one(&first).status.success());
    cluster.await_true("all votes", || {
        cluster.try_json(&["cluster", "status"]).is_some_and(|status| status["votes"] == 3)
    });

    // A host's own file goes before it, and the list says so.
    let own = "<db-links><link name='ods' type='SQLITE' jdbc-url='jdbc:sqlite:no/such/directory/x.db'/></db-links>";
    fs::write(cluster.home().join("conf/db_links.xml"), own).expect("a file");
    let tried = cluster.client(&["link", "test", "ods", "--from", "w1", "-o", "json"]);
    let tried: Value = serde_json::from_slice(&tried.stdout).expect("JSON");
    assert_eq!((&tried[0]["origin"], &tried[0]["is_ok"]), (&"file".into(), &Value::Bool(false)), "{tried}");
    assert_eq!(cluster.json(&["link", "list"])["links"][0]["in_files_of"][0], "w1");
    fs::remove_file(cluster.home().join("conf/db_links.xml")).expect("removed");

    let found = leaks(&cluster, &[&secret]);
    assert_eq!(found, Vec::<String>::new(), "the secret can be read there");
    let removed = cluster.client(&["link", "remove", "ods"]);
    assert!(removed.status.success(), "{}", text_of(&removed));
    let run = cluster.client(&["run", "work", "--wait", "--timeout", "60s"]);
    assert_eq!(run.status.code(), Some(10), "{}", text_of(&run));
    let why = text_of(&cluster.client(&["logs", "last"]));
    assert!(why.contains("there is no link \"ods\""), "{why}");
    cluster.stop("--now");
    assert_eq!(leaks(&cluster, &[&secret]), Vec::<String>::new(), "nor after the end");
    println!("link kept over kill -9 of {first}; no secret in any file of the home, argument list or open environ");
}
