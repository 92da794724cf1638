//! Keeps one daemon running: starts it again when it ends, waits longer each time, and says so when it does not help.
//!
//! Only a signal ends it: TERM and INT are passed on and then nothing is started again. A daemon that already runs
//! (its supervisor was killed) is adopted, not doubled. While there is nothing to decide, which is nearly always, the
//! process is not this program but the small `ractorflow-shim` (`stand_in`): it is replaced by exec and comes back by
//! exec. Every decision is here, in `Supervisor::keep_running`.

mod carried;
mod daemon;
#[allow(dead_code, reason = "the shim compiles it too, and uses its half")]
mod lookout;

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgMatches, Args, FromArgMatches};
use serde::{Deserialize, Serialize};

use crate::actor::worker_process::shim_program;
use crate::api::ExitCode;
use crate::cli::console::{Console, Failure, Outcome, Verb, augment};
use crate::config::{Config, Home, Supervise};
use crate::model::message::{self, Message};
use crate::say;

use self::carried::{Carried, Uptime};
use self::daemon::Daemon;
use self::lookout::Ended;
use super::log::set_aside;
use super::process::{Lock, Process, carry};

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
/// What `note` says when a daemon ended, and of nothing else.
const AGAIN: &str = "starting it again in";

#[derive(Debug, Args)]
struct Arguments {
    /// Name of the daemon, such as w1
    #[arg(long)]
    node: String,
    /// Leave the terminal
    #[arg(long)]
    detach: bool,
    // From the shim, with what it was given and how the wait ended. No words for users: nobody types them.
    #[arg(long, hide = true, requires = "ended")]
    resume: Option<String>,
    #[arg(long, hide = true, requires = "resume")]
    ended: Option<String>,
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
    lookout::block_signals()?;
    let home = Home::find(console.global.home.as_deref())?;
    let pid_file = home.run_dir().join(format!("{}.supervise.pid", arguments.node));
    let (mut supervisor, carried) = match (&arguments.resume, &arguments.ended) {
        (Some(resume), Some(ended)) => Supervisor::resume(&home, &arguments, resume, ended)?,
        _ => (Supervisor::begin(&home, &arguments, &pid_file)?, None),
    };
    let ended = supervisor.keep_running(carried);
    let _ = std::fs::remove_file(pid_file);
    ended.map(|()| ExitCode::Ok)
}

struct Supervisor<'a> {
    home: &'a Home,
    node: &'a str,
    command: &'a [OsString],
    binary: PathBuf,
    backoff: Backoff,
    lock: Lock,
    signals: OwnedFd,
    /// The shim could not, and is not asked again.
    is_waiting_here: bool,
}

/// A daemon with its start; `ended` is `None` while it must be waited for.
struct Life {
    daemon: Daemon,
    started: Uptime,
    ended: Option<Ended>,
}

impl<'a> Supervisor<'a> {
    fn begin(home: &'a Home, arguments: &'a Arguments, pid_file: &Path) -> Result<Self, Failure> {
        let config = Config::load(home)?;
        if arguments.detach {
            // Refused when the process leads a group already; then it has no terminal to leave.
            let _ = nix::unistd::setsid();
        }
        std::fs::create_dir_all(home.run_dir())?;
        std::fs::create_dir_all(home.logs_dir())?;
        let lock = take_lock(home, &arguments.node)?;
        Process::current()?.write(pid_file)?;
        Self::new(home, arguments, binary()?, Backoff::new(&config.supervise), lock)
    }

    /// As the process was before it was the shim.
    fn resume(
        home: &'a Home,
        arguments: &'a Arguments,
        carried: &str,
        ended: &str,
    ) -> Result<(Self, Option<Life>), Failure> {
        let carried = Carried::of_text(carried).map_err(io::Error::other)?;
        let node = &arguments.node;
        let lock = match Lock::carried(carried.lock, &lock_file(home, node)) {
            Some(lock) => lock,
            // The file was removed meanwhile: nobody can be refused by what we hold.
            None => take_lock(home, node)?,
        };
        // Without the descriptor the pid file leads to the daemon, if it lives.
        let daemon = Daemon::carried(carried.pidfd, carried.child);
        let ended = Ended::of_word(ended);
        let life = daemon.map(|daemon| Life { daemon, started: carried.started, ended });
        let mut supervisor = Self::new(home, arguments, resumed_binary()?, carried.backoff(), lock)?;
        if ended.is_none() {
            supervisor.wait_here_for(&Message::verbatim("it came back without an end".to_owned()))?;
        }
        Ok((supervisor, life))
    }

    fn new(
        home: &'a Home,
        arguments: &'a Arguments,
        binary: PathBuf,
        backoff: Backoff,
        lock: Lock,
    ) -> Result<Self, Failure> {
        let Arguments { node, command, .. } = arguments;
        let signals = lookout::signals()?;
        Ok(Self { home, node, command, binary, backoff, lock, signals, is_waiting_here: false })
    }

    fn keep_running(&mut self, mut known: Option<Life>) -> Result<(), Failure> {
        loop {
            let Life { daemon, started, ended } = match known.take() {
                Some(life) => life,
                None => self.live()?,
            };
            let ended = match ended {
                Some(ended) => ended,
                None => daemon.wait(Some(&self.signals))?,
            };
            let how = match ended {
                Ended::Exit(code) => say!("exit code {}", code),
                Ended::Signal(signal) => say!("signal {}", signal),
                Ended::Gone => say!("it was adopted, its exit code is not known"),
                Ended::Asked => {
                    daemon.terminate();
                    daemon.wait(None)?;
                    return clean(self.home, self.node);
                }
            };
            let wait = self.backoff.next(started.until(Uptime::now()?));
            self.tell(how, wait)?;
            if lookout::is_asked_within(&self.signals, wait)? {
                return clean(self.home, self.node);
            }
        }
    }

    /// Starts a daemon, or adopts the one that runs. Mostly this does not return, as the shim resumes when it ended.
    fn live(&mut self) -> Result<Life, Failure> {
        let started = Uptime::now()?;
        let daemon = match Process::from_file(&self.home.pid_file(self.node)) {
            Some(running) => Daemon::adopt(running),
            None => {
                self.home.remove_ready(self.node)?;
                Daemon::start(self.home, self.node, &self.binary, self.command)?
            }
        };
        if !self.is_waiting_here {
            let Err(why) = self.wait_as_shim(&daemon, started);
            self.wait_here_for(&why)?;
        }
        Ok(Life { daemon, started, ended: None })
    }

    fn wait_here_for(&mut self, why: &Message) -> io::Result<()> {
        self.is_waiting_here = true;
        self.note(&format!("the small program cannot wait for {}, this one does: {}", self.node, why.english()))
    }

    /// Becomes the shim, which becomes this program again when there is something to decide.
    fn wait_as_shim(&self, daemon: &Daemon, started: Uptime) -> Result<Infallible, Message> {
        let told = |error: &dyn std::fmt::Display| Message::verbatim(error.to_string());
        let shim = shim_program().map_err(|error| told(&error))?;
        let handle = daemon.handle().ok_or_else(|| Message::verbatim("this system has no pidfd".to_owned()))?;
        let [lock, pidfd] = [self.lock.as_fd(), handle.as_fd()];
        let carried = Carried::new(&self.backoff, lock.as_raw_fd(), pidfd.as_raw_fd(), daemon.child, started);
        let carried = carried.text().map_err(|error| told(&error))?;
        let (pidfd_word, child_word) = (pidfd.as_raw_fd().to_string(), daemon.child.unwrap_or(0).to_string());
        let binary = self.binary.as_os_str();
        let mut words: Vec<&OsStr> = vec![shim.as_os_str(), lookout::WAIT.as_ref(), pidfd_word.as_ref()];
        words.extend([child_word.as_ref(), binary, VERB.path.as_ref(), "--resume".as_ref(), carried.as_ref()]);
        words.extend(["--home".as_ref(), self.home.root().as_os_str(), "--node".as_ref(), self.node.as_ref()]);
        words.push("--".as_ref());
        words.extend(self.command.iter().map(OsString::as_os_str));
        let c_string = |word: &OsStr| CString::new(word.as_bytes());
        let words: Vec<CString> = words.into_iter().map(c_string).collect::<Result<_, _>>().map_err(|e| told(&e))?;
        let become_it = || {
            [lock, pidfd].into_iter().try_for_each(|descriptor| carry(descriptor, true))?;
            nix::unistd::execv(&words[0], &words).map_err(io::Error::from)
        };
        let error = become_it().map_or_else(|error| error, |never| match never {});
        for descriptor in [lock, pidfd] {
            carry(descriptor, false).map_err(|error| told(&error))?;
        }
        Err(told(&error))
    }

    /// In the log, and for `status-cluster` when it goes on and on.
    fn tell(&self, how: Message, wait: Duration) -> Result<(), Failure> {
        let Self { home, node, .. } = self;
        let Backoff { settings, restarts } = &self.backoff;
        let (said, wait) = (how.english(), wait.as_millis());
        self.note(&format!("{node} ended ({said}); {AGAIN} {wait} ms, restart {restarts}"))?;
        if *restarts >= settings.attention_after {
            let attention = Attention { node: (*node).to_owned(), restarts: *restarts, last: how };
            std::fs::write(attention_file(home, node), serde_json::to_vec(&attention).map_err(io::Error::other)?)?;
        } else {
            let _ = std::fs::remove_file(attention_file(home, node));
        }
        Ok(())
    }

    fn note(&self, text: &str) -> io::Result<()> {
        let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        writeln!(output_file(self.home, self.node)?, "{now} supervise: {text}")
    }
}

/// How often the daemon ended, by what `logs/<node>.out` says.
pub fn ends_in(output: &str) -> usize {
    output.lines().filter(|line| line.contains(" supervise: ") && line.contains(AGAIN)).count()
}

pub fn attention_file(home: &Home, node: &str) -> std::path::PathBuf {
    home.run_dir().join(format!("{node}.attention"))
}

/// The waits between restarts: doubling, and short again after a daemon that settled.
#[derive(Debug, Clone, PartialEq)]
struct Backoff {
    settings: Supervise,
    restarts: u32,
}

impl Backoff {
    fn new(settings: &Supervise) -> Self {
        Self { settings: settings.clone(), restarts: 0 }
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

fn lock_file(home: &Home, node: &str) -> PathBuf {
    home.run_dir().join(format!("{node}.supervise.lock"))
}

fn take_lock(home: &Home, node: &str) -> Result<Lock, Failure> {
    Lock::take(&lock_file(home, node))?
        .ok_or_else(|| Failure::new(ExitCode::Conflict, say!("{} is supervised by another process", node)))
}

/// `logs/<node>.out`, begun anew when it has grown.
pub fn output_file(home: &Home, node: &str) -> io::Result<File> {
    let path = home.logs_dir().join(format!("{node}.out"));
    if std::fs::metadata(&path).is_ok_and(|meta| meta.len() > OUTPUT_BYTES_MAX) {
        set_aside(&path, 1)?;
    }
    File::options().create(true).append(true).open(path)
}

/// The binary to run: `RACTORFLOW_BIN`, else this one. Resolved once, so that a later restart finds what replaced it.
pub fn binary() -> io::Result<PathBuf> {
    binary_or(std::env::current_exe)
}

/// The same once it was resolved. The kernel's word for this program changes as soon as its file is replaced.
fn resumed_binary() -> io::Result<PathBuf> {
    binary_or(|| std::env::args_os().next().map(PathBuf::from).ok_or_else(|| io::Error::other("no name to resume by")))
}

fn binary_or(other: impl FnOnce() -> io::Result<PathBuf>) -> io::Result<PathBuf> {
    match std::env::var_os("RACTORFLOW_BIN").filter(|path| !path.is_empty()) {
        Some(path) => Ok(path.into()),
        None => other(),
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
