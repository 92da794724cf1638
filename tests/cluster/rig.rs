//! A cluster on six hosts, set up by the commands that a user types: m1 m2 m3 w1 w2 h1, a home each, nothing shared but
//! the network. Clients live on h1, because the web server listens on loopback.
//!
//! What is left when this process ends, however it ends, is taken away by a reaper that outlives it.

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::clock;
use crate::http::Client;
use crate::last_words::last_words;
use crate::load::Door;
use crate::net::{Net, ip};

pub const MASTERS: [&str; 3] = ["m1", "m2", "m3"];
pub const WORKERS: [&str; 2] = ["w1", "w2"];
pub const HTTP: &str = "h1";
pub const HOSTS: [&str; 6] = ["m1", "m2", "m3", "w1", "w2", "h1"];
const HTTP_PORT: u16 = 8090;
/// How long a condition may take before the run gives up. Generous: it asks whether, not how fast.
pub const PATIENCE: Duration = Duration::from_secs(90);
pub const SLOTS: usize = 16;

pub struct Rig {
    pub net: Arc<Net>,
    directory: PathBuf,
    binaries: PathBuf,
    client: Client,
    is_kept: bool,
    /// Ends when its input does.
    reaper: Child,
}

/// Why there is no rig.
pub enum Absent {
    /// Not possible on this machine.
    Skipped(String),
    Failed(String),
}

impl Rig {
    /// Hosts, homes and processes, with definitions on m1. This thread is on h1 from here on.
    pub fn up(
        binaries: &Path,
        below: &Path,
        definitions: impl Fn(&Path) -> Vec<(String, String)>,
        is_kept: bool,
    ) -> Result<Self, Absent> {
        let failed = |error: &dyn std::fmt::Display| Absent::Failed(error.to_string());
        let directory = below.join(format!("rfc{}", std::process::id()));
        // A home without the directory would get the examples.
        for host in HOSTS {
            fs::create_dir_all(directory.join(host).join("xmlconfig")).map_err(|error| failed(&error))?;
        }
        let reaper = start_reaper(&directory, is_kept).map_err(|error| failed(&error))?;
        let net = match Net::new(&HOSTS) {
            Ok(net) => Arc::new(net),
            Err(why) => {
                end_reaper(reaper);
                return Err(Absent::Skipped(why));
            }
        };
        let client = Client::new(HTTP_PORT, "", Duration::from_secs(5));
        let mut rig = Self { net, directory, binaries: binaries.to_owned(), client, is_kept, reaper };
        for (file, text) in definitions(&rig.ledger()) {
            let path = rig.home("m1").join("xmlconfig").join(file);
            fs::write(&path, text).map_err(|error| failed(&error))?;
        }
        rig.found().map_err(Absent::Failed)?;
        Ok(rig)
    }

    /// As docs/operations.md shows for several hosts.
    fn found(&mut self) -> Result<(), String> {
        let address = |host: &&str| format!("{host}@{}:2751", self.net.address(host));
        let masters: Vec<String> = MASTERS.iter().map(address).collect();
        self.must("m1", &format!("sbin/ractorflow cluster init --masters {}", masters.join(",")))?;
        self.must("m1", "sbin/start-cluster")?;
        for host in ["m2", "m3", "w1", "w2", "h1"] {
            let role = role(host);
            let token = self.must("m1", &format!("sbin/ractorflow cluster join-token --role {role}"))?;
            let token = token.trim();
            self.must(host, &format!("sbin/ractorflow cluster join {token} --node {host} --role {role}"))?;
            self.must(host, "sbin/start-cluster")?;
        }
        self.net.enter(HTTP)?;
        let path = self.home(HTTP).join("conf/admin.token");
        let token = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        self.client = Client::new(HTTP_PORT, token.trim(), Duration::from_secs(5));
        self.await_votes(3)
    }

    pub fn door(&self) -> Result<Door, String> {
        let path = self.home(HTTP).join("conf/admin.token");
        let token = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let net = Arc::clone(&self.net);
        Ok(Door { net, host: HTTP.to_owned(), port: HTTP_PORT, token: token.trim().to_owned() })
    }

    pub fn home(&self, host: &str) -> PathBuf {
        self.directory.join(host)
    }

    pub fn ledger(&self) -> PathBuf {
        ledger_of(&self.directory)
    }

    pub fn raft_log(&self, master: &str) -> PathBuf {
        self.home(master).join("data").join(master).join("raft.db")
    }

    /// A line as it is typed on that host, with more in the environment.
    pub fn run_with(&self, host: &str, line: &str, environment: &[(&str, String)]) -> Result<Output, String> {
        Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", self.net.namespace(host)))
            .args(["sh", "-c", line])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("RACTORFLOW_HOME", self.home(host))
            .env("RACTORFLOW_BIN", self.binaries.join("ractorflow"))
            .env("RACTORFLOW_SHIM", self.binaries.join("ractorflow-shim"))
            .env("RACTORFLOW_LANG", "en")
            .env("RACTORFLOW_SUPERVISE__BACKOFF_MAX_MS", "300")
            .env("RACTORFLOW_WORKER__SLOTS", SLOTS.to_string())
            // Everything stays in the log, so that it can be read at the end.
            .env("RACTORFLOW_RAFT__LOG_KEEP_BYTES", (64_u64 << 30).to_string())
            .env("RACTORFLOW_RETENTION__INSTANCES_PER_WORKFLOW", "10000000")
            .env_remove("RACTORFLOW_ADDR")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("nsenter: {error}"))
    }

    pub fn run(&self, host: &str, line: &str) -> Result<Output, String> {
        self.run_with(host, line, &[])
    }

    pub fn must(&self, host: &str, line: &str) -> Result<String, String> {
        let output = self.run(host, line)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).join("");
        Err(format!("{host}$ {line}\nexit {:?}\n{said}", output.status.code()))
    }

    pub fn get(&mut self, path: &str) -> Option<Value> {
        let answer = self.client.get(path).ok()?;
        answer.is_ok().then_some(answer.body)
    }

    pub fn post(&mut self, path: &str, body: &str) -> Result<(), String> {
        let key = uuid::Uuid::now_v7().to_string();
        let answer = self.client.post(path, &key, body)?;
        if answer.is_ok() { Ok(()) } else { Err(format!("{path}: {} {}", answer.status, answer.code())) }
    }

    pub fn status(&mut self) -> Option<Value> {
        self.get("/api/v1/cluster")
    }

    /// Who leads, as the cluster says.
    pub fn leader(&mut self) -> Option<String> {
        self.status()?["leader"].as_str().map(str::to_owned)
    }

    pub fn await_votes(&mut self, votes: u64) -> Result<(), String> {
        self.await_some(&format!("{votes} votes and a leader"), |rig| {
            let status = rig.status()?;
            (status["votes"].as_u64() == Some(votes) && status["leader"].is_string()).then_some(())
        })
    }

    pub fn await_some<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Option<T>) -> Result<T, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(value) = look(self) {
                return Ok(value);
            }
            if Instant::now() > deadline {
                return Err(format!("waited {PATIENCE:?} for {what}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The daemon of a host.
    pub fn pid(&self, host: &str) -> Option<Pid> {
        pid_in(&self.home(host).join("run").join(format!("{host}.pid")))
    }

    fn supervisor(&self, host: &str) -> Option<Pid> {
        pid_in(&self.home(host).join("run").join(format!("{host}.supervise.pid")))
    }

    pub fn runs(&self, host: &str) -> bool {
        self.pid(host).is_some_and(|pid| is_of(&self.directory, pid))
    }

    pub fn signal(&self, host: &str, signal: Signal) -> Result<(), String> {
        let pid = self.pid(host).filter(|pid| is_of(&self.directory, *pid)).ok_or(format!("{host} does not run"))?;
        kill(pid, signal).map_err(|error| format!("{signal} to {host}: {error}"))
    }

    /// Ends daemon and supervisor with SIGKILL: it stays away until `start`.
    pub fn kill_for_good(&self, host: &str) -> Result<(), String> {
        if let Some(pid) = self.supervisor(host).filter(|pid| is_of(&self.directory, *pid)) {
            kill(pid, Signal::SIGKILL).map_err(|error| format!("SIGKILL to the supervisor of {host}: {error}"))?;
        }
        self.signal(host, Signal::SIGKILL)
    }

    /// Returns when it is ready.
    pub fn start(&self, host: &str) -> Result<(), String> {
        self.must(host, "sbin/start-cluster").map(|_| ())
    }

    /// Starts it without waiting for it.
    pub fn start_later(&self, host: &str, environment: &[(&str, String)]) -> Result<(), String> {
        let mut environment = environment.to_vec();
        environment.push(("RACTORFLOW_START__READY_TIMEOUT_MS", "1000".to_owned()));
        // Not ready within a second is no failure here.
        self.run_with(host, "sbin/start-cluster", &environment).map(|_| ())
    }

    /// The ends of the daemons' logs.
    pub fn last_words(&self) -> String {
        HOSTS.iter().map(|host| last_words(&self.home(host), 12)).collect()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if self.is_kept {
            println!("homes and logs are kept in {}", self.directory.display());
        }
        // Its end of the pipe is closed; it does the rest.
        drop(self.reaper.stdin.take());
        let _ = self.reaper.wait();
    }
}

pub fn role(host: &str) -> &'static str {
    match host.as_bytes().first() {
        Some(b'm') => "master",
        Some(b'w') => "worker",
        _ => "http",
    }
}

fn ledger_of(directory: &Path) -> PathBuf {
    directory.join("ledger")
}

fn pid_in(file: &Path) -> Option<Pid> {
    let text = fs::read_to_string(file).ok()?;
    text.split_whitespace().next()?.parse().ok().map(Pid::from_raw)
}

/// A number may have gone to somebody else: only a process of these homes is touched.
fn is_of(directory: &Path, pid: Pid) -> bool {
    let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let own = format!("RACTORFLOW_HOME={}/", directory.display());
    let is_daemon = read("environ").split(|byte| *byte == 0).any(|variable| variable.starts_with(own.as_bytes()));
    let ledger = ledger_of(directory);
    let is_task = read("cmdline").split(|byte| *byte == 0).nth(2) == Some(ledger.as_os_str().as_encoded_bytes());
    is_daemon || is_task
}

fn start_reaper(directory: &Path, is_kept: bool) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("reap").arg(directory).arg(format!("rfc{}", std::process::id())).arg(is_kept.to_string());
    // SAFETY: setsid is allowed between fork and exec. The terminal's signals are not for it.
    unsafe {
        command.pre_exec(|| nix::unistd::setsid().map(|_| ()).map_err(std::io::Error::from));
    }
    command.stdin(Stdio::piped()).spawn()
}

fn end_reaper(mut reaper: Child) {
    drop(reaper.stdin.take());
    let _ = reaper.wait();
}

/// `cluster reap DIRECTORY PREFIX KEEP`: waits for the end of its parent, then ends what is left of the rig.
pub fn reap(arguments: &[String]) -> ExitCode {
    let [directory, prefix, is_kept] = arguments else { return ExitCode::from(64) };
    let begun = SystemTime::now();
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    let directory = Path::new(directory);
    // A supervisor may start something between two looks.
    for _ in 0..100 {
        let pids: Vec<Pid> = processes().filter(|pid| is_of(directory, *pid)).collect();
        if pids.is_empty() {
            break;
        }
        for pid in pids {
            let _ = kill(pid, Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    for host in HOSTS.iter().chain(&["switch"]) {
        let _ = ip(&["netns", "del", &format!("{prefix}{host}")]);
    }
    clock::remove_leftovers(begun);
    if is_kept == "false"
        && let Err(error) = fs::remove_dir_all(directory)
    {
        let _ = writeln!(std::io::stderr(), "{}: {error}", directory.display());
    }
    ExitCode::SUCCESS
}

fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw))
}
