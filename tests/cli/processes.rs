//! `supervise` over real processes.

use std::os::unix::fs::PermissionsExt;
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
    /// `script` runs as the daemon.
    fn start(script: &str) -> Self {
        Self::with_shim(script, None)
    }

    fn with_shim(script: &str, shim: Option<&str>) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("conf")).unwrap();
        std::fs::write(
            home.path().join("conf/ractorflow.toml"),
            "[supervise]\nbackoff_min_ms = 1\nbackoff_max_ms = 5\n",
        )
        .unwrap();
        std::fs::write(home.path().join("daemon"), script).unwrap();
        // The real one as a supervisor, a shell as the daemon.
        let real = env!("CARGO_BIN_EXE_ractorflow");
        let program = format!("#!/bin/sh\n[ \"$1\" != supervise ] || exec {real} \"$@\"\nexec /bin/sh \"$@\"\n");
        write_program(&home.path().join("program"), &program);
        let child = Self::command(home.path(), shim);
        Self { home, child }
    }

    fn command(home: &Path, shim: Option<&str>) -> Child {
        let mut command = client(&["supervise", "--node", "x1", "--home"]);
        command.arg(home).arg("--").arg(home.join("daemon")).env("RACTORFLOW_BIN", home.join("program"));
        if let Some(shim) = shim {
            command.env("RACTORFLOW_SHIM", shim);
        }
        command.stdin(Stdio::null()).spawn().unwrap()
    }

    /// Another supervisor in the place of one that was killed.
    fn replace(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = Self::command(self.home.path(), None);
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.home.path().join("pids")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The `n`th daemon, when it runs.
    fn daemon(&self, n: usize) -> u32 {
        eventually("a daemon", || self.lines().len() >= n);
        self.lines()[n - 1].parse().unwrap()
    }

    fn await_shim(&self) {
        eventually("the shim in the supervisor's place", || self.is_shim());
    }

    fn is_shim(&self) -> bool {
        let program = std::fs::read_link(format!("/proc/{}/exe", self.child.id())).unwrap_or_default();
        program.ends_with("ractorflow-shim")
    }

    fn signal(&self, pid: u32, signal: Signal) {
        kill(Pid::from_raw(pid as i32), signal).unwrap();
    }

    /// Asks the supervisor, and awaits that neither it nor a daemon is left.
    fn end(&mut self, signal: Signal) {
        self.signal(self.child.id(), signal);
        assert!(self.child.wait().unwrap().success());
        for line in self.lines() {
            assert!(!is_alive(line.parse().unwrap()), "daemon {line} was told too");
        }
        let left = std::fs::read_dir(self.home.path().join("run")).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["x1.supervise.lock"]);
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.home.path().join("logs/x1.out")).unwrap_or_default()
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

fn write_program(path: &Path, text: &str) {
    // Renamed into place: a file that somebody still writes cannot be run, and any child may hold it open a moment.
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(new, path).unwrap();
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "waited for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What ended may stay in the table of processes: an adopted daemon is nobody's child who would look.
fn is_alive(pid: i32) -> bool {
    ractorflow::connector::process::sweep::read(pid).is_some_and(|process| !process.is_zombie)
}

const STAYS: &str = "echo $$ >> \"$RACTORFLOW_HOME/pids\"; trap 'exit 0' TERM; while :; do sleep 0.01; done";

#[test]
fn a_daemon_that_ends_is_started_again_until_the_supervisor_is_told_to_stop() {
    let mut supervised = Supervised::start(STAYS);
    let first = supervised.daemon(1);
    supervised.signal(first, Signal::SIGKILL);
    supervised.daemon(2);
    supervised.end(Signal::SIGTERM);
    let said = supervised.said();
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
    for n in [1, 2] {
        let daemon = supervised.daemon(n);
        supervised.await_shim();
        let mut second = Supervised::command(supervised.home.path(), None);
        assert_eq!(second.wait().unwrap().code(), Some(6));
        assert_eq!(supervised.lines().len(), n);
        // The second time it came back from the shim, and went there again.
        supervised.signal(daemon, Signal::SIGKILL);
    }
}

#[test]
fn a_daemon_holds_nothing_of_its_supervisor() {
    let mut supervised = Supervised::start(STAYS);
    let first = supervised.daemon(1);
    supervised.await_shim();
    supervised.signal(first, Signal::SIGKILL);
    let second = supervised.daemon(2);
    supervised.await_shim();
    let held = std::fs::read_dir(format!("/proc/{second}/fd")).unwrap();
    let held: Vec<_> = held.map(|entry| std::fs::read_link(entry.unwrap().path()).unwrap_or_default()).collect();
    let is_ours = |path: &&std::path::PathBuf| {
        let path = path.to_string_lossy();
        ["supervise.lock", "[pidfd]", "[signalfd]"].iter().any(|end| path.ends_with(end))
    };
    assert_eq!(held.iter().filter(is_ours).collect::<Vec<_>>(), Vec::<&std::path::PathBuf>::new());
    supervised.child.kill().unwrap();
    supervised.child.wait().unwrap();
    assert!(is_alive(second as i32));
    let lock = std::fs::File::options().write(true).open(supervised.home.path().join("run/x1.supervise.lock")).unwrap();
    lock.try_lock().unwrap();
}

#[test]
fn a_daemon_whose_supervisor_was_killed_is_adopted() {
    let mut supervised = Supervised::start(&format!(
        "echo \"$$ $(cut -d' ' -f22 /proc/$$/stat) $(cat /proc/sys/kernel/random/boot_id)\" > \"$RACTORFLOW_HOME/run/x1.pid\"; {STAYS}"
    ));
    let first = supervised.daemon(1);
    supervised.await_shim();
    for _ in 0..2 {
        supervised.replace();
        supervised.await_shim();
        assert_eq!(supervised.lines().len(), 1);
        assert!(is_alive(first as i32));
    }
    supervised.signal(first, Signal::SIGKILL);
    supervised.daemon(2);
    assert!(supervised.said().contains("ended (it was adopted, its exit code is not known)"), "{}", supervised.said());
    // An adopted one is told as well.
    supervised.await_shim();
    supervised.replace();
    supervised.await_shim();
    supervised.end(Signal::SIGTERM);
    assert_eq!(supervised.lines().len(), 2);
}

/// The moments are those around an exec, in both directions; each is met as closely as a test can.
#[test]
fn what_asks_a_supervisor_to_end_is_never_lost() {
    for round in 0..12 {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let mut supervised = Supervised::start(STAYS);
            let pid_file = supervised.home.path().join("run/x1.supervise.pid");
            match round % 4 {
                // From here on it is blocked; the daemon is not started yet.
                0 => spin_until("the pid file", || pid_file.exists()),
                1 => spin_until("the daemon", || !supervised.lines().is_empty()),
                2 => spin_until("the shim", || supervised.is_shim()),
                _ => {
                    let daemon = supervised.daemon(1);
                    supervised.await_shim();
                    supervised.signal(daemon, Signal::SIGKILL);
                    if round % 8 == 3 {
                        spin_until("the supervisor", || !supervised.is_shim());
                    }
                }
            }
            supervised.end(signal);
        }
    }
}

fn spin_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "waited for {what}");
    }
}

#[test]
fn without_the_small_program_the_big_one_waits() {
    // Not there, and there but not to be run.
    for shim in ["/nowhere/ractorflow-shim", "/proc/self/status"] {
        let mut supervised = Supervised::with_shim(STAYS, Some(shim));
        let first = supervised.daemon(1);
        eventually("a word on it", || supervised.said().contains("the small program cannot wait for x1"));
        supervised.signal(first, Signal::SIGKILL);
        supervised.daemon(2);
        supervised.end(Signal::SIGTERM);
        assert_eq!(supervised.said().matches("the small program").count(), 1, "{}", supervised.said());
    }
}

#[test]
fn while_the_big_program_is_away_nothing_is_lost() {
    let mut supervised = Supervised::start(STAYS);
    let program = supervised.home.path().join("program");
    let away = supervised.home.path().join("away");
    let first = supervised.daemon(1);
    supervised.await_shim();
    std::fs::rename(&program, &away).unwrap();
    supervised.signal(first, Signal::SIGKILL);
    // What the test does not see, as the supervisor's output is the test's own: that it cannot be run.
    eventually("the end of the first daemon", || !is_alive(first as i32));
    assert!(supervised.is_shim());
    std::fs::rename(&away, &program).unwrap();
    let second = supervised.daemon(2);
    supervised.await_shim();
    std::fs::rename(&program, &away).unwrap();
    supervised.signal(supervised.child.id(), Signal::SIGTERM);
    assert_eq!(supervised.child.wait().unwrap().code(), Some(1), "nobody is left to tidy up");
    assert!(!is_alive(second as i32));
    assert_eq!(supervised.lines().len(), 2);
}

/// What a container's first process does when it is told to end: at any time, and for the home that it started.
#[test]
fn the_script_for_containers_stops_what_it_started() {
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
