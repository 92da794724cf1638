//! Keeps one daemon running: starts it again when it ends, waits longer each time, and says so when it does not help.
//!
//! Only a signal ends it: TERM and INT are passed on and then nothing is started again. A daemon that already runs
//! (its supervisor was killed) is adopted, not doubled.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use clap::{ArgMatches, Args, FromArgMatches};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::api::ExitCode;
use crate::cli::console::{Console, Failure, Outcome, Verb, augment};
use crate::config::{Config, Home, Supervise};
use crate::model::message::{self, Message};
use crate::say;

use super::log::set_aside;
use super::process::{Lock, Process};

pub const VERB: Verb = Verb {
    path: "supervise",
    about: "Keep a daemon running",
    examples: &["ractorflow supervise --node w1 -- server worker --id w1"],
    exits: &[ExitCode::Conflict],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run,
};

/// What the daemon itself writes to stdout and stderr (a panic, mostly) is kept up to this size.
const OUTPUT_BYTES_MAX: u64 = 1024 * 1024;
/// An adopted daemon is not our child, so its end is looked for.
const ADOPTED_LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
struct Arguments {
    /// Name of the daemon, such as w1
    #[arg(long)]
    node: String,
    /// Leave the terminal
    #[arg(long)]
    detach: bool,
    /// What to run: arguments of ractorflow
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// `run/<node>.attention`: the daemon keeps ending.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    pub node: String,
    pub restarts: u32,
    #[serde(serialize_with = "message::parts")]
    pub last: Message,
}

fn run(matches: &ArgMatches, console: &Console) -> Outcome {
    let arguments = Arguments::from_arg_matches(matches)?;
    let home = Home::find(console.global.home.as_deref())?;
    let config = Config::load(&home)?;
    if arguments.detach {
        // Refused when the process leads a group already; then it has no terminal to leave.
        let _ = nix::unistd::setsid();
    }
    std::fs::create_dir_all(home.run_dir())?;
    std::fs::create_dir_all(home.logs_dir())?;
    let node = &arguments.node;
    let Some(_lock) = Lock::take(&home.run_dir().join(format!("{node}.supervise.lock")))? else {
        return Err(Failure::new(ExitCode::Conflict, say!("{} is supervised by another process", node)));
    };
    let pid_file = home.run_dir().join(format!("{node}.supervise.pid"));
    Process::current()?.write(&pid_file)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(keep_running(&home, &arguments, &config.supervise));
    let _ = std::fs::remove_file(pid_file);
    ended.map(|()| ExitCode::Ok)
}

async fn keep_running(home: &Home, arguments: &Arguments, settings: &Supervise) -> Result<(), Failure> {
    let binary = binary()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let node = arguments.node.as_str();
    let mut backoff = Backoff::new(settings);
    loop {
        let started = Instant::now();
        let mut daemon = match Process::from_file(&home.pid_file(node)) {
            Some(running) => Daemon::Adopted(running),
            None => {
                home.remove_ready(node)?;
                Daemon::Own(start(home, node, &binary, &arguments.command)?)
            }
        };
        let ended = tokio::select! {
            ended = daemon.wait() => Some(ended),
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
        };
        let Some(how) = ended else {
            daemon.terminate();
            daemon.wait().await;
            clean(home, node)?;
            return Ok(());
        };
        let wait = backoff.next(started.elapsed());
        note(
            home,
            node,
            &format!(
                "{node} ended ({}); starting it again in {} ms, restart {}",
                how.english(),
                wait.as_millis(),
                backoff.restarts
            ),
        )?;
        if backoff.restarts >= settings.attention_after {
            let attention = Attention { node: node.to_owned(), restarts: backoff.restarts, last: how };
            std::fs::write(attention_file(home, node), serde_json::to_vec(&attention).map_err(io::Error::other)?)?;
        } else {
            let _ = std::fs::remove_file(attention_file(home, node));
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    clean(home, node)
}

pub fn attention_file(home: &Home, node: &str) -> std::path::PathBuf {
    home.run_dir().join(format!("{node}.attention"))
}

/// The waits between restarts: doubling, and short again after a daemon that settled.
struct Backoff<'a> {
    settings: &'a Supervise,
    restarts: u32,
}

impl<'a> Backoff<'a> {
    fn new(settings: &'a Supervise) -> Self {
        Self { settings, restarts: 0 }
    }

    fn next(&mut self, lived: Duration) -> Duration {
        if lived >= Duration::from_millis(self.settings.settled_after_ms) {
            self.restarts = 0;
        }
        let doubled = self.settings.backoff_min_ms.saturating_mul(1_u64 << self.restarts.min(20));
        self.restarts = self.restarts.saturating_add(1);
        Duration::from_millis(doubled.min(self.settings.backoff_max_ms))
    }
}

enum Daemon {
    Own(Child),
    Adopted(Process),
}

impl Daemon {
    async fn wait(&mut self) -> Message {
        match self {
            Daemon::Own(child) => match child.wait().await {
                Ok(status) => told(status),
                Err(error) => Message::verbatim(error.to_string()),
            },
            Daemon::Adopted(process) => {
                while process.is_alive() {
                    tokio::time::sleep(ADOPTED_LOOK).await;
                }
                say!("it was adopted, its exit code is not known")
            }
        }
    }

    fn terminate(&self) {
        let process = match self {
            Daemon::Own(child) => child.id().and_then(Process::running),
            Daemon::Adopted(process) => Some(process.clone()),
        };
        if let Some(process) = process {
            process.signal(Signal::SIGTERM);
        }
    }
}

fn told(status: ExitStatus) -> Message {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => say!("exit code {}", code),
        (None, Some(signal)) => say!("signal {}", signal),
        (None, None) => say!("unknown"),
    }
}

fn start(home: &Home, node: &str, binary: &std::path::Path, command: &[OsString]) -> Result<Child, Failure> {
    let output = output_file(home, node)?;
    Command::new(binary)
        .args(command)
        .arg("--home")
        .arg(home.root())
        .env("RACTORFLOW_HOME", home.root())
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .map_err(|error| Failure::other(say!("cannot start {}: {}", binary, error.to_string())))
}

/// `logs/<node>.out`, begun anew when it has grown.
pub fn output_file(home: &Home, node: &str) -> io::Result<File> {
    let path = home.logs_dir().join(format!("{node}.out"));
    if std::fs::metadata(&path).is_ok_and(|meta| meta.len() > OUTPUT_BYTES_MAX) {
        set_aside(&path, 1)?;
    }
    File::options().create(true).append(true).open(path)
}

fn note(home: &Home, node: &str, text: &str) -> io::Result<()> {
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    writeln!(output_file(home, node)?, "{now} supervise: {text}")
}

/// The binary to run: `RACTORFLOW_BIN`, else this one. Resolved once, so that a later restart finds what replaced it.
pub fn binary() -> io::Result<std::path::PathBuf> {
    match std::env::var_os("RACTORFLOW_BIN").filter(|path| !path.is_empty()) {
        Some(path) => Ok(path.into()),
        None => std::env::current_exe(),
    }
}

fn clean(home: &Home, node: &str) -> Result<(), Failure> {
    home.remove_ready(node)?;
    for file in [home.pid_file(node), attention_file(home, node)] {
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_wait_longer_up_to_a_bound_and_start_over_when_it_helped() {
        let settings = Supervise::default();
        let mut backoff = Backoff::new(&settings);
        let short = Duration::from_millis(5);
        let waits: Vec<u128> = (0..10).map(|_| backoff.next(short).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
        assert_eq!(backoff.restarts, 10);
        assert_eq!(backoff.next(Duration::from_secs(61)).as_millis(), 200);
        assert_eq!(backoff.restarts, 1);
    }
}
