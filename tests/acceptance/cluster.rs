//! A real cluster in a directory of its own: the release binaries, started by the scripts that a user runs.
//!
//! Everything here waits for a condition with a deadline; nothing sleeps and hopes. Processes are ended by the
//! pid that the cluster itself reports, and `Drop` stops what a failing test leaves behind.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::last_words::last_words;

pub struct Cluster {
    directory: tempfile::TempDir,
    port_base: u16,
    settings: Vec<(String, String)>,
    masters: usize,
    workers: usize,
}

/// A process of a role.
pub struct Role(Option<std::process::Child>);

impl Role {
    pub fn has_ended(&mut self) -> bool {
        self.0.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|status| status.is_some()))
    }

    pub fn wait_with_output(mut self) -> std::io::Result<Output> {
        self.0.take().expect("it is waited for once").wait_with_output()
    }
}

/// A daemon that is stopped, and goes on when this is dropped.
pub struct Frozen(nix::unistd::Pid);

impl Drop for Frozen {
    fn drop(&mut self) {
        // One that has ended needs no waking.
        let _ = nix::sys::signal::kill(self.0, nix::sys::signal::Signal::SIGCONT);
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// How long a condition may take before the test gives up. Generous: tests assert outcomes, never speed.
pub const PATIENCE: Duration = Duration::from_secs(60);

impl Cluster {
    /// An empty home with the given workflows and no examples; not started.
    pub fn new(files: &[(&str, &str)]) -> Self {
        Self::with_masters(1, files)
    }

    /// The same with so many masters.
    pub fn with_masters(masters: usize, files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let cluster = Self { directory, port_base: free_ports(), masters, workers: 1, settings: Vec::new() };
        fs::create_dir_all(cluster.xmlconfig()).expect("xmlconfig");
        for (path, text) in files {
            cluster.write(path, text);
        }
        cluster
    }

    /// Settings of this home; before the first start.
    pub fn configure(&self, text: &str) {
        fs::create_dir_all(self.home().join("conf")).expect("conf");
        fs::write(self.home().join("conf/ractorflow.toml"), text).expect("the settings are written");
    }

    /// The next start is asked for so many workers.
    pub fn with_workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    pub fn started(files: &[(&str, &str)]) -> Self {
        let cluster = Self::new(files);
        cluster.start();
        cluster
    }

    /// The next start is asked for so many masters.
    pub fn grow(&mut self, masters: usize) {
        self.masters = masters;
    }

    /// A setting of the configuration, by its variable; before `start`.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn home(&self) -> &Path {
        self.directory.path()
    }

    pub fn xmlconfig(&self) -> PathBuf {
        self.home().join("xmlconfig")
    }

    pub fn write(&self, path: &str, text: &str) {
        let full = self.xmlconfig().join(path);
        fs::create_dir_all(full.parent().expect("a parent")).expect("directories");
        fs::write(full, text).expect("a definition is written");
    }

    pub fn start(&self) -> String {
        let [port_base, masters, workers] =
            [self.port_base.to_string(), self.masters.to_string(), self.workers.to_string()];
        let arguments = ["--port-base", &port_base, "--masters", &masters, "--workers", &workers];
        let output = self.script("start-cluster", &arguments);
        assert!(output.status.success(), "start-cluster failed:\n{}", text_of(&output));
        text_of(&output)
    }

    pub fn stop(&self, how: &str) -> Output {
        self.script("stop-cluster", &[how])
    }

    pub fn port_base(&self) -> u16 {
        self.port_base
    }

    pub fn stop_one(&self, id: &str) -> Output {
        self.script("stop-cluster", &["--only", id, "--leave-running"])
    }

    pub fn start_one(&self, id: &str) -> Output {
        let (port_base, masters) = (self.port_base.to_string(), self.masters.to_string());
        self.script("start-cluster", &["--only", id, "--port-base", &port_base, "--masters", &masters])
    }

    /// One role without a supervisor; it is killed when the handle is dropped.
    pub fn spawn_role(&self, role: &str, id: &str, masters: &str) -> Role {
        let mut command = self.command(env!("CARGO_BIN_EXE_ractorflow"));
        let command = command.env("RACTORFLOW_CLUSTER__MASTERS", masters).args(["server", role, "--id", id]);
        let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn();
        Role(Some(child.expect("the role starts")))
    }

    fn script(&self, name: &str, arguments: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("sbin").join(name);
        let home = self.home().to_str().expect("an ASCII path");
        self.command(script.to_str().expect("an ASCII path"))
            .args(["--home", home])
            .args(arguments)
            .output()
            .expect(name)
    }

    /// The `ractorflow` client, talking to this cluster.
    pub fn client(&self, arguments: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_ractorflow")).args(arguments).output().expect("ractorflow runs")
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("RACTORFLOW_HOME", self.home())
            .env("RACTORFLOW_BIN", env!("CARGO_BIN_EXE_ractorflow"))
            .env("RACTORFLOW_SHIM", env!("CARGO_BIN_EXE_ractorflow-shim"))
            .env("RACTORFLOW_LANG", "en")
            // Daemons are killed again and again here; waiting longer each time would test the patience only.
            .env("RACTORFLOW_SUPERVISE__BACKOFF_MAX_MS", "300")
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .env_remove("RACTORFLOW_ADDR");
        command
    }

    /// Runs a client command that must succeed and print JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.client(&[arguments, &["-o", "json"]].concat());
        assert!(output.status.success(), "{arguments:?} failed:\n{}", text_of(&output));
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?} did not print JSON ({error}):\n{}", text_of(&output)))
    }

    /// As `json`, but `None` while the cluster cannot answer.
    pub fn try_json(&self, arguments: &[&str]) -> Option<Value> {
        let output = self.client(&[arguments, &["-o", "json"]].concat());
        output.status.success().then(|| serde_json::from_slice(&output.stdout).ok()).flatten()
    }

    /// `[{id roles pid state leader term}]`.
    pub fn nodes(&self) -> Vec<Value> {
        let output = self.script("status-cluster", &["-o", "json"]);
        let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        status["nodes"].as_array().cloned().unwrap_or_default()
    }

    pub fn pid_of(&self, id: &str) -> Option<i32> {
        self.nodes().iter().find(|node| node["id"] == id)?["pid"].as_i64().map(|pid| pid as i32)
    }

    /// Stops a daemon with SIGSTOP until the guard is dropped.
    pub fn freeze(&self, id: &str) -> Frozen {
        let pid = self.await_some(&format!("a pid of {id}"), || self.pid_of(id));
        let pid = nix::unistd::Pid::from_raw(pid);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP)
            .unwrap_or_else(|error| panic!("stop {id} ({pid}): {error}"));
        Frozen(pid)
    }

    /// Ends one daemon with SIGKILL; its supervisor starts it again.
    pub fn kill_9(&self, id: &str) -> i32 {
        let pid = self.await_some(&format!("a pid of {id}"), || self.pid_of(id));
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
            .unwrap_or_else(|error| panic!("kill -9 {id} ({pid}): {error}"));
        pid
    }

    /// Ends a daemon and its supervisor with SIGKILL: it stays away until `start_one`.
    pub fn kill_for_good(&self, id: &str) {
        let file = self.home().join("run").join(format!("{id}.supervise.pid"));
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let pid: i32 = text.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a pid");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
            .unwrap_or_else(|error| panic!("kill -9 the supervisor of {id} ({pid}): {error}"));
        self.kill_9(id);
    }

    pub fn page(&self, path: &str) -> Option<String> {
        let port = self.port_base_http()?;
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
        )
        .ok()?;
        let mut text = Vec::new();
        stream.read_to_end(&mut text).ok()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    }

    fn port_base_http(&self) -> Option<u16> {
        let output = self.script("status-cluster", &["-o", "json"]);
        let status: Value = serde_json::from_slice(&output.stdout).ok()?;
        status["http"].as_str()?.rsplit(':').next()?.trim_end_matches('/').parse().ok()
    }

    pub fn await_true(&self, what: &str, mut condition: impl FnMut() -> bool) {
        self.await_some(what, || condition().then_some(()));
    }

    pub fn await_some<T>(&self, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(value) = condition() {
                return value;
            }
            if Instant::now() > deadline {
                panic!("waited {PATIENCE:?} for {what}\n{}", last_words(self.home(), 15));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", last_words(self.home(), 15));
        }
        self.stop("--now");
    }
}

pub fn text_of(output: &Output) -> String {
    format!(
        "exit {:?}\n{}{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A base whose next hundred ports are free at this moment, below those that the kernel gives to connections.
fn free_ports() -> u16 {
    let start = 20_000 + (std::process::id() % 300) as u16 * 100;
    (0..100u16)
        .map(|step| 20_000 + (start - 20_000 + step * 300) % 12_000)
        .find(|base| (0..100).all(|offset| TcpListener::bind(("127.0.0.1", base + offset)).is_ok()))
        .expect("a hundred free ports in a row")
}
