//! Three hosts, set up by the commands that docs/operations.md shows: three network namespaces on one bridge, each with
//! a home of its own. They share nothing but the network between them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cluster::{PATIENCE, text_of};
use crate::last_words::last_words;
use crate::net::{Net, ip, port};

const DOCS: &str = include_str!("../../docs/operations.md");
const SOURCE: &str = "2e7d8a52-77a5-4d0b-9a3b-6f2f3c1f9a10";
const QUICK: &str = r#"<work-flow name="quick" schema="1" instance-limit="4"><start name="start" to="a"/>
  <action name="a"><exec program="/bin/true"/><ok to="end"/></action><end name="end"/></work-flow>"#;
const HOSTS: [&str; 3] = ["A", "B", "C"];

struct Hosts {
    homes: tempfile::TempDir,
    net: Net,
    /// The last token that was printed.
    token: String,
}

impl Hosts {
    /// `Err` says why there can be none here.
    fn new() -> Result<Self, String> {
        let homes = tempfile::tempdir().expect("a temporary directory");
        let hosts = Self { homes, net: Net::new(&HOSTS)?, token: String::new() };
        for host in HOSTS {
            fs::create_dir_all(hosts.home(host).join("xmlconfig")).expect("a home");
        }
        // B's directory is a copy of A's that somebody went on working in.
        for host in ["A", "B"] {
            let directory = hosts.home(host).join("xmlconfig");
            fs::write(directory.join("quick.xml"), QUICK).expect("a definition");
            fs::write(directory.join(".ractorflow-source"), SOURCE).expect("the name of the source");
        }
        fs::write(hosts.home("B").join("xmlconfig/later.xml"), QUICK.replace("quick", "later")).expect("a definition");
        Ok(hosts)
    }

    fn home(&self, host: &str) -> std::path::PathBuf {
        self.homes.path().join(host)
    }

    /// Runs a line as its host would.
    fn run(&self, host: &str, line: &str) -> Output {
        Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", self.net.namespace(host)))
            .args(["sh", "-c", &line.replace("TOKEN", &self.token)])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("RACTORFLOW_HOME", self.home(host))
            .env("RACTORFLOW_BIN", env!("CARGO_BIN_EXE_ractorflow"))
            .env("RACTORFLOW_SHIM", env!("CARGO_BIN_EXE_ractorflow-shim"))
            .env("RACTORFLOW_LANG", "en")
            .env("RACTORFLOW_SUPERVISE__BACKOFF_MAX_MS", "300")
            .env("RACTORFLOW_DEFINITIONS__SOURCE_DIFFERS_MS", "1500")
            .env_remove("RACTORFLOW_ADDR")
            .output()
            .expect("nsenter")
    }

    fn must(&self, host: &str, line: &str) -> String {
        let output = self.run(host, line);
        assert!(output.status.success(), "{host}$ {line}\n{}\n{}", text_of(&output), last_words(&self.home(host), 8));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn status(&self, host: &str) -> Option<Value> {
        let output = self.run(host, "sbin/ractorflow cluster status -o json");
        output.status.success().then(|| serde_json::from_slice(&output.stdout).ok()).flatten()
    }

    fn votes(&self, host: &str) -> Option<(u64, u64)> {
        let status = self.status(host)?;
        Some((status["votes"].as_u64()?, status["voters"].as_u64()?))
    }

    fn leader(&self, host: &str) -> Option<String> {
        let status = self.status(host)?;
        let nodes = status["nodes"].as_array()?;
        nodes.iter().find(|node| node["leader"] == true)?["id"].as_str().map(str::to_owned)
    }

    fn await_some<T>(&self, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(value) = condition() {
                return value;
            }
            if Instant::now() > deadline {
                let words: Vec<String> = HOSTS.iter().map(|host| last_words(&self.home(host), 8)).collect();
                panic!("waited {PATIENCE:?} for {what}\n{}", words.join("\n"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The cable of a host.
    fn cable(&self, host: &str, state: &str) {
        ip(&["-n", &self.net.namespace("switch"), "link", "set", &port(host), state]).expect("ip");
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in HOSTS {
            // Supervisors first, or they would start again what is ended.
            for suffix in [".supervise.pid", ".pid"] {
                end_processes(&self.home(host).join("run"), suffix);
            }
        }
    }
}

fn end_processes(run: &Path, suffix: &str) {
    for entry in fs::read_dir(run).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().ends_with(suffix) {
            continue;
        }
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        let pid = text.split_whitespace().next().and_then(|word| word.parse::<i32>().ok());
        // A number may have gone to somebody else: only a process of this test's homes is ended.
        let is_ours = |pid: &i32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let own = format!("RACTORFLOW_HOME={}", run.parent().unwrap_or(run).display());
            environment.split(|byte| *byte == 0).any(|variable| variable == own.as_bytes())
        };
        if let Some(pid) = pid.filter(is_ours) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

/// The lines `A$ …` of the chapter.
fn documented() -> Vec<(&'static str, &'static str)> {
    let chapter =
        DOCS.split("## Several hosts").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the chapter");
    let prompt = |line: &'static str| {
        let (host, command) = line.split_once("$ ")?;
        HOSTS.contains(&host).then_some((host, command))
    };
    chapter.lines().filter_map(prompt).collect()
}

#[test]
#[ignore = "real processes in network namespaces: tests/run acceptance"]
fn three_hosts_are_set_up_as_documented_and_survive_the_loss_of_one() {
    let mut hosts = match Hosts::new() {
        Ok(hosts) => hosts,
        Err(why) => return println!("skipped: no network namespaces here: {why}"),
    };
    // A host that names masters elsewhere makes no cluster of its own by accident.
    let masters = "RACTORFLOW_CLUSTER__MASTERS=m1@10.0.0.1:2751,m2@10.0.0.2:2751,m3@10.0.0.3:2751";
    let alone = hosts.run("B", &format!("{masters} sbin/ractorflow server master --id m2"));
    assert_eq!(alone.status.code(), Some(6), "{}", text_of(&alone));
    assert!(text_of(&alone).contains("cluster join"), "{}", text_of(&alone));

    let lines = documented();
    assert!(lines.len() >= 8, "{lines:?}");
    for (host, line) in lines {
        println!("{host}$ {line}");
        let said = hosts.must(host, line);
        print!("{said}");
        if line.contains("join-token") {
            hosts.token = said.trim().to_owned();
        }
    }
    hosts.await_some("three votes", || (hosts.votes("A") == Some((3, 3))).then_some(()));
    hosts.await_some("the workflow", || {
        hosts.run("A", "sbin/ractorflow workflow show quick").status.success().then_some(())
    });
    print!("{}", hosts.must("A", "sbin/ractorflow run quick --wait"));

    hosts.await_some("word of directories that differ", || {
        text_of(&hosts.run("A", "sbin/ractorflow status")).contains("the same .ractorflow-source").then_some(())
    });

    // The token was good for one join.
    let again =
        hosts.run("C", "sbin/ractorflow --home $RACTORFLOW_HOME/other cluster join TOKEN --node w9 --role worker");
    assert_eq!(again.status.code(), Some(4), "{}", text_of(&again));

    let leader = hosts.await_some("a leader", || hosts.leader("A"));
    let (lost, watch) = match leader.as_str() {
        "m1" => ("A", "B"),
        "m2" => ("B", "A"),
        _ => ("C", "A"),
    };
    println!("host {lost} with the leader {leader} is cut off");
    hosts.cable(lost, "down");
    let next = hosts.await_some("another leader", || hosts.leader(watch).filter(|id| *id != leader));
    hosts.await_some("two votes", || (hosts.votes(watch) == Some((2, 3))).then_some(()));
    println!("{next} leads with two of three votes");
    print!("{}", hosts.must(watch, "sbin/ractorflow run quick --wait"));
    hosts.cable(lost, "up");
    hosts.await_some("three votes again", || (hosts.votes(watch) == Some((3, 3))).then_some(()));

    // A worker whose certificate is taken back is gone for good: the masters of the host that was told tell the others.
    hosts.must("A", "sbin/ractorflow cluster cert revoke w2");
    hosts.await_some("the refusal of w2", || {
        let refuses = |host: &str, master: &str| {
            let log = fs::read_to_string(hosts.home(host).join(format!("logs/{master}.log"))).unwrap_or_default();
            log.contains("the certificate of worker w2 was revoked")
        };
        [("A", "m1"), ("B", "m2"), ("C", "m3")].into_iter().all(|(host, master)| refuses(host, master)).then_some(())
    });
}
