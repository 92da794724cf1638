//! The processes of one attempt: signalling all of them, reaping, and the proof that none is left.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::super::sweep::{self, Marks};
use super::sys;

pub struct Tree {
    pub child: i32,
    token: String,
    cgroup: Option<PathBuf>,
    /// In clock ticks since boot: nothing of the attempt is older.
    since: u64,
}

#[derive(Debug, Default, Clone, Copy)]
pub struct Reaped {
    /// Wait status of the main process, when it has just ended.
    pub child: Option<i32>,
    /// The shim has no children left. As it is subreaper, no descendant lives either.
    pub is_childless: bool,
}

impl Tree {
    /// `since_ms`: `sys::boot_ms` before the child was there.
    pub fn new(child: i32, since_ms: u64, token: &str, cgroup: Option<PathBuf>) -> Self {
        let since = sys::ticks(since_ms);
        Tree { child, token: token.to_owned(), cgroup, since }
    }

    /// Collects ended children, adopted ones too.
    pub fn reap(&self) -> Reaped {
        let mut reaped = Reaped::default();
        loop {
            let mut status = 0;
            // SAFETY: `status` lives through the call.
            match unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) } {
                0 => return reaped,
                pid if pid == self.child => reaped.child = Some(status),
                pid if pid > 0 => {}
                _ => {
                    if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
                        continue;
                    }
                    reaped.is_childless = true;
                    return reaped;
                }
            }
        }
    }

    /// SIGTERM to every process; stopped ones are woken to take it.
    pub fn terminate(&self) {
        for pid in self.members().unwrap_or_else(|_| vec![self.child]) {
            signal(pid, libc::SIGTERM);
            signal(pid, libc::SIGCONT);
        }
    }

    /// SIGKILL to every process. Returns how many were seen alive, or an error when that cannot be known.
    pub fn kill(&self) -> io::Result<usize> {
        if let Some(cgroup) = &self.cgroup {
            // Missing before Linux 5.14: the sweep below does it then.
            let _ = fs::write(cgroup.join("cgroup.kill"), "1");
        }
        let members = self.members()?;
        for &pid in &members {
            signal(pid, libc::SIGKILL);
        }
        Ok(members.len())
    }

    /// Is the cgroup empty? True without one: then the sweep decides.
    pub fn is_cgroup_empty(&self) -> bool {
        let Some(cgroup) = &self.cgroup else { return true };
        match fs::read_to_string(cgroup.join("cgroup.events")) {
            Ok(events) => events.lines().any(|line| line == "populated 0"),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    /// Removes the cgroup. Success proves it empty.
    pub fn remove_cgroup(&self) -> bool {
        match &self.cgroup {
            None => true,
            Some(cgroup) => match fs::remove_dir(cgroup) {
                Ok(()) => true,
                Err(error) => error.kind() == io::ErrorKind::NotFound,
            },
        }
    }

    pub fn was_out_of_memory(&self) -> bool {
        let Some(cgroup) = &self.cgroup else { return false };
        let Ok(events) = fs::read_to_string(cgroup.join("memory.events")) else { return false };
        events.lines().any(|line| line.strip_prefix("oom_kill ").is_some_and(|n| n.trim() != "0"))
    }

    pub fn members(&self) -> io::Result<Vec<i32>> {
        let mut members = sweep::members(&Marks {
            token: &self.token,
            shim: Some(std::process::id() as i32),
            session: Some((self.child, self.since)),
        })?;
        if let Some(cgroup) = &self.cgroup {
            members.extend(cgroup_members(cgroup));
            members.sort_unstable();
            members.dedup();
        }
        Ok(members)
    }
}

fn cgroup_members(cgroup: &Path) -> Vec<i32> {
    let Ok(procs) = fs::read_to_string(cgroup.join("cgroup.procs")) else { return Vec::new() };
    // 0 stands for a process outside our pid namespace: no signal can name it.
    let pids = procs.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|&pid| pid > 0);
    pids.filter(|&pid| sweep::read(pid).is_some_and(|process| !process.is_zombie)).collect()
}

fn signal(pid: i32, signal: i32) {
    // SAFETY: plain kill. A process that is gone already is what we want.
    unsafe { libc::kill(pid, signal) };
}
