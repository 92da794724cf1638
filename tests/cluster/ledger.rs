//! The ledger: what tasks write about their own lives, one line an event, appended in a single write and synced.
//!
//! The task is this very binary, started by the worker: `cluster task LEDGER MILLISECONDS [word …]`.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use crate::history::{Attempt, Life, MS, now};

/// A life without an end lasted at least until its last beat.
const BEAT_MS: u64 = 250;

/// The task. Words: `fail-first` fails its first attempt, `stubborn` ignores TERM and has a child of another session.
pub fn task(arguments: &[String]) -> ExitCode {
    let [ledger, milliseconds, words @ ..] = arguments else { return ExitCode::from(64) };
    let Ok(mut file) = OpenOptions::new().create(true).append(true).open(ledger) else { return ExitCode::from(65) };
    let Ok(milliseconds) = milliseconds.parse::<u64>() else { return ExitCode::from(64) };
    let has = |word: &str| words.iter().any(|other| other == word);
    if has("stubborn") {
        // SAFETY: nothing but the disposition of a signal changes, before other threads exist.
        let ignored =
            unsafe { nix::sys::signal::signal(nix::sys::signal::SIGTERM, nix::sys::signal::SigHandler::SigIgn) };
        if ignored.is_err() {
            return ExitCode::from(66);
        }
        if !has("child") && spawn_child(arguments).is_err() {
            return ExitCode::from(67);
        }
    }
    let kind = if has("child") { "child" } else { "task" };
    let number = variable("RF_ATTEMPT");
    let code = u8::from(has("fail-first") && number == "1") * 7;
    if say(&mut file, kind, "start", "-", true).is_err() {
        return ExitCode::from(68);
    }
    let end = now() + milliseconds * MS;
    while now() < end {
        let left = (end - now().min(end)) / MS;
        std::thread::sleep(Duration::from_millis(left.clamp(1, BEAT_MS)));
        if say(&mut file, kind, "beat", "-", false).is_err() {
            return ExitCode::from(68);
        }
    }
    match say(&mut file, kind, "end", &code.to_string(), true) {
        Ok(()) => ExitCode::from(code),
        Err(_) => ExitCode::from(68),
    }
}

fn spawn_child(arguments: &[String]) -> std::io::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("task").args(arguments).arg("child");
    // SAFETY: setsid is allowed between fork and exec.
    unsafe {
        command.pre_exec(|| nix::unistd::setsid().map(|_| ()).map_err(std::io::Error::from));
    }
    command.spawn().map(|_| ())
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| "-".to_owned())
}

fn say(file: &mut File, kind: &str, event: &str, code: &str, is_synced: bool) -> std::io::Result<()> {
    let [instance, node, attempt, fence] = ["RF_INSTANCE", "RF_NODE", "RF_ATTEMPT", "RF_FENCE"].map(variable);
    let line = format!("{} {kind} {event} {instance} {node} {attempt} {fence} {} {code}\n", now(), std::process::id());
    file.write_all(line.as_bytes())?;
    if is_synced { file.sync_data() } else { Ok(()) }
}

/// What has been read of a ledger so far.
#[derive(Default)]
pub struct Ledger {
    lives: Vec<Life>,
    by_process: BTreeMap<(Attempt, u32), usize>,
    read: u64,
}

impl Ledger {
    /// Reads on, and gives all lives in the order in which they began. `Err`: a line that no task writes.
    pub fn look(&mut self, file: &Path) -> Result<&[Life], String> {
        let wrap = |error| format!("{}: {error}", file.display());
        let mut text = String::new();
        match File::open(file) {
            Ok(mut open) => {
                open.seek(SeekFrom::Start(self.read)).map_err(wrap)?;
                open.read_to_string(&mut text).map_err(wrap)?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(wrap(error)),
        }
        // A line that is being written is complete at the next look.
        let complete = text.rfind('\n').map_or(0, |end| end + 1);
        self.read += complete as u64;
        text[..complete].lines().try_for_each(|line| self.take(line).ok_or(format!("no line of a task: {line:?}")))?;
        Ok(&self.lives)
    }

    fn take(&mut self, line: &str) -> Option<()> {
        let fields: Vec<&str> = line.split(' ').collect();
        let [at, kind, event, instance, node, number, fence, pid, code] = fields[..] else { return None };
        let (at, pid) = (at.parse().ok()?, pid.parse().ok()?);
        let epoch = fence.split('.').next()?.parse().ok()?;
        let attempt = Attempt { instance: instance.parse().ok()?, node: node.to_owned(), number: number.parse().ok()? };
        let key = (attempt.clone(), pid);
        let known = self.by_process.get(&key).copied();
        match (event, known) {
            ("start", None) => {
                self.by_process.insert(key, self.lives.len());
                let is_child = kind == "child";
                self.lives.push(Life { attempt, epoch, pid, is_child, start: at, last: at, exit: None });
            }
            ("beat", Some(life)) => self.lives[life].last = at,
            ("end", Some(life)) => {
                self.lives[life].last = at;
                self.lives[life].exit = Some(code.parse().ok()?);
            }
            _ => return None,
        }
        Some(())
    }
}

/// Tasks that run now.
pub fn running(lives: &[Life]) -> Vec<&Life> {
    lives.iter().filter(|life| life.exit.is_none() && !life.is_child && is_alive(life.pid)).collect()
}

/// Is there a process of that number which is a task of ours?
pub fn is_alive(pid: u32) -> bool {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    command.split(|byte| *byte == 0).nth(1) == Some(b"task")
}
