//! The daemon of a supervisor: started or adopted, asked to end, and waited for in this process.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::lookout::{self, Ended};
use super::output_file;
use crate::cli::console::Failure;
use crate::cli::server::process::{Process, carried};
use crate::config::Home;
use crate::connector::process::sweep;
use crate::say;

/// Where there are no pidfds a daemon's end is looked for.
const LOOK: Duration = Duration::from_millis(200);

pub struct Daemon {
    /// Its pid when it is a child of ours.
    pub child: Option<i32>,
    name: Name,
}

enum Name {
    Handle(OwnedFd),
    /// `None` has ended before it could be looked at.
    Looked(Option<Process>),
}

impl Daemon {
    pub fn start(home: &Home, node: &str, binary: &Path, command: &[OsString]) -> Result<Self, Failure> {
        let output = output_file(home, node)?;
        let mut daemon = Command::new(binary);
        daemon
            .args(command)
            .arg("--home")
            .arg(home.root())
            .env("RACTORFLOW_HOME", home.root())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        // SAFETY: one system call, which is allowed between fork and exec. What asks us to end is blocked here, and
        // would be there.
        unsafe { daemon.pre_exec(lookout::unblock_signals) };
        let child =
            daemon.spawn().map_err(|error| Failure::other(say!("cannot start {}: {}", binary, error.to_string())))?;
        Ok(Self::own(child.id()))
    }

    /// Until it is waited for, nobody else gets a child's number.
    fn own(child: u32) -> Self {
        let name = match lookout::pidfd(child) {
            Ok(handle) => Name::Handle(handle),
            Err(_) => Name::Looked(Process::running(child)),
        };
        Self { child: Some(child as i32), name }
    }

    pub fn adopt(running: Process) -> Self {
        let name = match lookout::pidfd(running.pid) {
            // Only what is still that process now was it when the descriptor was made.
            Ok(handle) if running.is_alive() => Name::Handle(handle),
            _ => Name::Looked(Some(running)),
        };
        Self { child: None, name }
    }

    /// As it was before an exec. A child is found without the descriptor too: starting another one would double it.
    pub fn carried(pidfd: RawFd, child: Option<i32>) -> Option<Self> {
        if let Some(handle) = carried(pidfd) {
            return Some(Self { child, name: Name::Handle(handle) });
        }
        let is_ours = |pid: &i32| sweep::read(*pid).is_some_and(|process| process.parent == std::process::id() as i32);
        child.filter(is_ours).map(|pid| Self::own(pid as u32))
    }

    pub fn handle(&self) -> Option<&OwnedFd> {
        match &self.name {
            Name::Handle(handle) => Some(handle),
            Name::Looked(_) => None,
        }
    }

    pub fn terminate(&self) {
        match &self.name {
            Name::Handle(handle) => lookout::signal(handle.as_raw_fd(), Signal::SIGTERM as i32),
            Name::Looked(Some(process)) => process.signal(Signal::SIGTERM),
            Name::Looked(None) => {}
        }
    }

    /// Until it ends or, with `signals`, TERM or INT waits.
    pub fn wait(&self, signals: Option<&OwnedFd>) -> io::Result<Ended> {
        let process = match &self.name {
            Name::Handle(handle) => return lookout::wait(handle.as_raw_fd(), self.child, signals),
            Name::Looked(process) => process,
        };
        while process.as_ref().is_some_and(Process::is_alive) {
            match signals {
                Some(signals) if lookout::is_asked_within(signals, LOOK)? => return Ok(Ended::Asked),
                Some(_) => {}
                None => std::thread::sleep(LOOK),
            }
        }
        Ok(lookout::end_of(self.child))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_found_without_its_descriptor_and_a_stranger_is_not() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = child.id() as i32;
        let daemon = Daemon::carried(-1, Some(pid)).unwrap();
        daemon.terminate();
        assert_eq!(daemon.wait(None).unwrap(), Ended::Signal(15));
        assert!(Daemon::carried(-1, Some(pid)).is_none(), "it is gone");
        assert!(Daemon::carried(-1, Some(std::os::unix::process::parent_id() as i32)).is_none());
        assert!(Daemon::carried(-1, None).is_none());
        assert!(child.wait().is_err(), "it was waited for");
    }

    #[test]
    fn an_end_is_seen_with_a_handle_and_without() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        std::fs::create_dir_all(home.logs_dir()).unwrap();
        let command = ["-c".into(), "exec sleep 600".into()];
        for has_handle in [true, false] {
            let start = || {
                let mut daemon = Daemon::start(&home, "x1", Path::new("/bin/sh"), &command).unwrap();
                let pid = daemon.child.unwrap() as u32;
                if !has_handle {
                    daemon.name = Name::Looked(Process::running(pid));
                }
                (daemon, pid)
            };
            let (own, pid) = start();
            let mut adopted = Daemon::adopt(Process::running(pid).unwrap());
            if !has_handle {
                adopted.name = Name::Looked(Process::running(pid));
            }
            own.terminate();
            assert_eq!(adopted.wait(None).unwrap(), Ended::Gone);
            assert_eq!(own.wait(None).unwrap(), Ended::Signal(15));
            adopted.terminate();
        }
    }
}
