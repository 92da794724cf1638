//! `supervise` over real processes.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::client;

/// A supervisor of `sh`, ended when dropped.
struct Supervised {
    home: tempfile::TempDir,
    child: Child,
}

impl Supervised {
    /// `script` runs as the daemon: `RACTORFLOW_BIN` is the shell.
    fn start(script: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("conf")).unwrap();
        std::fs::write(
            home.path().join("conf/ractorflow.toml"),
            "[supervise]\nbackoff_min_ms = 1\nbackoff_max_ms = 5\n",
        )
        .unwrap();
        let daemon = home.path().join("daemon");
        std::fs::write(&daemon, script).unwrap();
        let child = Self::command(home.path(), &daemon);
        Self { home, child }
    }

    fn command(home: &Path, daemon: &Path) -> Child {
        client(&["supervise", "--node", "x1", "--home"])
            .arg(home)
            .args(["--"])
            .arg(daemon)
            .env("RACTORFLOW_BIN", "/bin/sh")
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.home.path().join("pids")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn signal(&self, pid: u32, signal: Signal) {
        kill(Pid::from_raw(pid as i32), signal).unwrap();
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in self.lines().iter().filter_map(|line| line.parse::<i32>().ok()) {
            // Only what is still our script: its name is in its arguments.
            let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if arguments.contains(self.home.path().to_str().unwrap()) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "waited for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

const STAYS: &str = "echo $$ >> \"$RACTORFLOW_HOME/pids\"; trap 'exit 0' TERM; while :; do sleep 0.01; done";

#[test]
fn a_daemon_that_ends_is_started_again_until_the_supervisor_is_told_to_stop() {
    let mut supervised = Supervised::start(STAYS);
    eventually("the daemon", || supervised.lines().len() == 1);
    let first: u32 = supervised.lines()[0].parse().unwrap();
    supervised.signal(first, Signal::SIGKILL);
    eventually("another one", || supervised.lines().len() == 2);
    supervised.signal(supervised.child.id(), Signal::SIGTERM);
    assert!(supervised.child.wait().unwrap().success());
    let second: i32 = supervised.lines()[1].parse().unwrap();
    assert!(kill(Pid::from_raw(second), None).is_err(), "the daemon was told too");
    let said = std::fs::read_to_string(supervised.home.path().join("logs/x1.out")).unwrap();
    assert!(said.contains("ended (signal 9)"), "{said}");
}

#[test]
fn a_daemon_that_always_ends_is_reported_and_still_tried() {
    let supervised = Supervised::start("echo $$ >> \"$RACTORFLOW_HOME/pids\"; exit 3");
    let file = supervised.home.path().join("run/x1.attention");
    eventually("attention", || file.exists());
    let attention: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(attention["last"], serde_json::json!({"say": "exit code {}", "with": [{"number": 3}]}));
    let tried = supervised.lines().len();
    assert!(tried >= 10, "{tried}");
    eventually("more tries", || supervised.lines().len() > tried);
}

#[test]
fn a_second_supervisor_of_the_same_node_is_refused() {
    let supervised = Supervised::start(STAYS);
    eventually("the daemon", || supervised.lines().len() == 1);
    let mut second = Supervised::command(supervised.home.path(), &supervised.home.path().join("daemon"));
    assert_eq!(second.wait().unwrap().code(), Some(6));
    assert_eq!(supervised.lines().len(), 1);
}

/// What a container's first process does when it is told to end: at any time, and for the home that it started.
#[test]
fn the_script_for_containers_stops_what_it_started() {
    use std::os::unix::fs::PermissionsExt;
    for during_start in [true, false] {
        let home = tempfile::tempdir().unwrap();
        let program = home.path().join("program");
        // Says what it is asked to do; the start waits where the test wants it to.
        let says = "#!/bin/sh\necho \"$RACTORFLOW_HOME $*\" >> \"$0.said\"\ncase $2 in\n\
                    start) while [ -e \"$0.waits\" ]; do sleep 0.01; done;;\n\
                    status) echo '{\"nodes\": [{\"state\": \"ready\"}, {\"state\": \"stopped\"}]}'; exit 3;;\nesac\n";
        std::fs::write(&program, says).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let waits = home.path().join("program.waits");
        if during_start {
            std::fs::write(&waits, "").unwrap();
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("sbin/docker-standalone-startup");
        let mut foreground = std::process::Command::new(script)
            .args(["--port-base", "20000", "--home", "/one"])
            .env("RACTORFLOW_BIN", &program)
            .env("RACTORFLOW_HOME", "/other")
            .spawn()
            .unwrap();
        let said = || std::fs::read_to_string(home.path().join("program.said")).unwrap_or_default();
        let before = if during_start { "start" } else { "status" };
        eventually(before, || said().contains(&format!("local {before}")));
        kill(Pid::from_raw(foreground.id() as i32), Signal::SIGTERM).unwrap();
        let _ = std::fs::remove_file(&waits);
        assert!(foreground.wait().unwrap().success());
        let lines = said();
        assert!(lines.starts_with("/one local start --standalone --port-base 20000 --home /one\n"), "{lines}");
        assert!(lines.ends_with("/one local stop --now\n"), "{lines}");
    }
}
