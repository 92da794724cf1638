//! Waiting for the end of a daemon, or for TERM and INT.
//!
//! Both programs wait with it: `ractorflow-shim`, which compiles this file itself, for nearly all the time of a
//! supervisor, and `ractorflow` where that cannot be. So there is nothing here but std and libc. Decides nothing; what an
//! end means is `super`'s. Start at `wait`.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// The shim's mode: `--wait PIDFD CHILD BINARY VERB ARGUMENT…`, where CHILD is the daemon's pid, or 0 when it is no child.
/// After the wait it becomes `BINARY VERB --ended WORD ARGUMENT…`.
pub const WAIT: &str = "--wait";
pub const ENDED: &str = "--ended";

/// What there is to say after a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Exit(i32),
    Signal(i32),
    /// It is no child of ours, so nobody tells how.
    Gone,
    /// TERM or INT came. It stays pending, so that whoever is told finds it too.
    Asked,
}

/// The word where it could not be waited for: nothing is known of the daemon.
pub const UNABLE: &str = "unable";

impl Ended {
    pub fn word(self) -> String {
        match self {
            Ended::Exit(code) => format!("exit:{code}"),
            Ended::Signal(signal) => format!("signal:{signal}"),
            Ended::Gone => "gone".to_owned(),
            Ended::Asked => "asked".to_owned(),
        }
    }

    /// A word that is not known is no end: the other program may be of another version.
    pub fn of_word(word: &str) -> Option<Self> {
        match word.split_once(':').unwrap_or((word, "")) {
            ("exit", code) => code.parse().ok().map(Ended::Exit),
            ("signal", signal) => signal.parse().ok().map(Ended::Signal),
            ("gone", "") => Some(Ended::Gone),
            ("asked", "") => Some(Ended::Asked),
            _ => None,
        }
    }
}

/// From here on TERM and INT wait until somebody looks, also across an exec. As they are blocked they wait even where
/// the parent ignored them (a shell's background job); a child that is started must unblock them.
pub fn block_signals() -> io::Result<()> {
    // SAFETY: plain calls with a set that is initialised.
    unsafe {
        check(libc::sigprocmask(libc::SIG_BLOCK, &asking(), std::ptr::null_mut()))?;
        // SIGCHLD: where it is ignored the kernel keeps no exit status.
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGCHLD] {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
    Ok(())
}

/// For a child between fork and exec; safe there.
pub fn unblock_signals() -> io::Result<()> {
    // SAFETY: a plain call with a set that is initialised.
    check(unsafe { libc::sigprocmask(libc::SIG_UNBLOCK, &asking(), std::ptr::null_mut()) }).map(drop)
}

/// Readable as soon as TERM or INT waits.
pub fn signals() -> io::Result<OwnedFd> {
    // SAFETY: the set is initialised; the descriptor is ours.
    unsafe { Ok(OwnedFd::from_raw_fd(check(libc::signalfd(-1, &asking(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))?)) }
}

/// Names a process for as long as it is open, whoever gets its number later. It readies when the process ends. Closed by
/// exec. Kernels before 5.3 have none, and some containers forbid it.
pub fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two numbers; the descriptor is ours.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0);
        Ok(OwnedFd::from_raw_fd(check(fd as libc::c_int)?))
    }
}

/// Nothing happens to a process that is gone.
pub fn signal(pidfd: RawFd, signal: libc::c_int) {
    // SAFETY: a descriptor and numbers; no details are passed.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, std::ptr::null::<libc::siginfo_t>(), 0) };
}

/// Until the process of `pidfd` ends or one of `signals` waits. `child` is its pid when it is a child of ours.
pub fn wait(pidfd: RawFd, child: Option<i32>, signals: Option<&OwnedFd>) -> io::Result<Ended> {
    loop {
        let mut looked_at = [looked_for(pidfd), looked_for(signals.map_or(-1, AsRawFd::as_raw_fd))];
        poll(&mut looked_at, -1)?;
        let [daemon, asked] = looked_at.map(|fd| fd.revents);
        if asked & libc::POLLIN != 0 {
            return Ok(Ended::Asked);
        }
        if daemon & (libc::POLLIN | libc::POLLHUP) != 0 {
            return Ok(end_of(child));
        }
        if (daemon | asked) != 0 {
            return Err(io::Error::other("this is no descriptor of a process"));
        }
    }
}

/// What a child's end was; it has ended, or is waited for.
pub fn end_of(child: Option<i32>) -> Ended {
    let Some(pid) = child else { return Ended::Gone };
    let mut status = 0;
    // SAFETY: `status` is ours to fill.
    while unsafe { libc::waitpid(pid, &mut status, 0) } != pid {
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return Ended::Gone;
        }
    }
    if libc::WIFEXITED(status) { Ended::Exit(libc::WEXITSTATUS(status)) } else { Ended::Signal(libc::WTERMSIG(status)) }
}

/// True at once when TERM or INT waits, false when none came within the time.
pub fn is_asked_within(signals: &OwnedFd, time: Duration) -> io::Result<bool> {
    let mut looked_at = [looked_for(signals.as_raw_fd())];
    // No other signal has a handler here, so nothing cuts the wait short.
    poll(&mut looked_at, i32::try_from(time.as_millis()).unwrap_or(i32::MAX))?;
    Ok(looked_at[0].revents != 0)
}

fn looked_for(fd: RawFd) -> libc::pollfd {
    libc::pollfd { fd, events: libc::POLLIN, revents: 0 }
}

fn poll(fds: &mut [libc::pollfd], timeout_ms: i32) -> io::Result<()> {
    // SAFETY: the slice is valid for its length.
    match check(unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as _, timeout_ms) }) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

fn asking() -> libc::sigset_t {
    // SAFETY: sigemptyset initialises the set.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGTERM);
        libc::sigaddset(&mut set, libc::SIGINT);
        set
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_comes_back_from_its_word() {
        let codes = (0..=255).map(Ended::Exit);
        let signals = (1..=64).map(Ended::Signal);
        for ended in codes.chain(signals).chain([Ended::Gone, Ended::Asked]) {
            assert_eq!(Ended::of_word(&ended.word()), Some(ended));
        }
        for other in [UNABLE, "", "exit", "exit:", "exit:x", "signal:", "gone:1", "slept"] {
            assert_eq!(Ended::of_word(other), None, "{other}");
        }
    }

    #[test]
    fn a_child_tells_how_it_ended_and_a_stranger_does_not() {
        for (script, end) in [("exit 7", Ended::Exit(7)), ("kill -9 $$", Ended::Signal(9))] {
            let mut child = std::process::Command::new("sh").args(["-c", script]).spawn().unwrap();
            let handle = pidfd(child.id()).unwrap();
            assert_eq!(wait(handle.as_raw_fd(), None, None).unwrap(), Ended::Gone, "as of no child");
            assert_eq!(wait(handle.as_raw_fd(), Some(child.id() as i32), None).unwrap(), end);
            assert_eq!(wait(handle.as_raw_fd(), None, None).unwrap(), Ended::Gone, "it stays ended");
            assert!(child.wait().is_err(), "it was waited for");
        }
    }

    #[test]
    fn what_is_no_descriptor_is_no_end_of_a_process() {
        assert!(wait(1 << 20, None, None).is_err());
    }
}
