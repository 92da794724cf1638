//! Processes as files know them: pid files that cannot name a stranger, single start, who holds a port.
//!
//! A pid alone may have been given to another process since, so a pid file also holds the start time that the kernel
//! counts and the boot that it counts from.

use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// One process, and no other that may get its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    /// Clock ticks after boot.
    start: u64,
    boot: String,
}

impl Process {
    pub fn current() -> io::Result<Self> {
        Self::running(std::process::id()).ok_or_else(|| io::Error::other("/proc does not show this process"))
    }

    /// The process that has this number now.
    pub fn running(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything, also parentheses; what follows the last one does not.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        if state == "Z" || state == "X" {
            return None;
        }
        let start = fields.nth(18)?.parse().ok()?;
        Some(Self { pid, start, boot: boot_id() })
    }

    /// What the file says, if that very process still runs.
    pub fn from_file(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        let mut words = text.split_whitespace();
        let pid = words.next()?.parse().ok()?;
        let start = words.next()?.parse().ok()?;
        let written = Self { pid, start, boot: words.next()?.to_owned() };
        written.is_alive().then_some(written)
    }

    pub fn is_alive(&self) -> bool {
        Self::running(self.pid).as_ref() == Some(self)
    }

    /// The first line is the pid alone, for scripts.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let temporary = path.with_extension("pid.new");
        std::fs::write(&temporary, format!("{}\n{} {}\n", self.pid, self.start, self.boot))?;
        std::fs::rename(temporary, path)
    }

    /// Nothing happens to a process that is gone.
    pub fn signal(&self, signal: Signal) {
        if self.is_alive() {
            // It may end between the look and the signal: then there is nobody to tell.
            let _ = kill(Pid::from_raw(self.pid as i32), signal);
        }
    }

    /// True when it ended within the time.
    pub fn wait_gone(&self, within: Duration) -> bool {
        wait_until(within, || !self.is_alive())
    }
}

/// Looks until it is so or the time is over; the looks get rarer up to 50 ms.
pub fn wait_until(within: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + within;
    let mut pause = Duration::from_millis(2);
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn boot_id() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    if text.trim().is_empty() { "unknown".to_owned() } else { text.trim().to_owned() }
}

/// Held for as long as the value lives; the kernel lets go when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// `None` when another process holds it.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The lock that this process took before an exec, as that descriptor. `None` when it is no lock on that file.
    pub fn carried(descriptor: RawFd, path: &Path) -> Option<Self> {
        let file = File::from(carried(descriptor)?);
        let (own, named) = (file.metadata().ok()?, std::fs::metadata(path).ok()?);
        // Taken again, it stays what it is.
        let is_it = (own.dev(), own.ino()) == (named.dev(), named.ino()) && file.try_lock().is_ok();
        is_it.then_some(Self { file })
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Everything that a process opens is closed by exec, so that no daemon or task holds it; what is to come along is
/// told so just before, and made private again just after.
pub fn carry(descriptor: BorrowedFd<'_>, is_carried: bool) -> io::Result<()> {
    let flags = if is_carried { FdFlag::empty() } else { FdFlag::FD_CLOEXEC };
    fcntl(descriptor, FcntlArg::F_SETFD(flags)).map(drop).map_err(io::Error::from)
}

/// What came along as that descriptor, private again. `None` when there is none that was carried.
pub fn carried(descriptor: RawFd) -> Option<OwnedFd> {
    // Standard input and output are everybody's.
    if descriptor <= 2 {
        return None;
    }
    // SAFETY: borrowed for the two calls; the first fails when it is not open.
    let known = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let flags = FdFlag::from_bits_retain(fcntl(known, FcntlArg::F_GETFD).ok()?);
    // What this program opened itself since is not it.
    if flags.contains(FdFlag::FD_CLOEXEC) {
        return None;
    }
    carry(known, false).ok()?;
    // SAFETY: open, and nobody's: what std opens is closed by exec.
    Some(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Who listens on a TCP port of this host: pid and command, where the kernel lets us see it.
pub fn port_owner(port: u16) -> Option<(u32, String)> {
    let inodes = listening_inodes(port);
    if inodes.is_empty() {
        return None;
    }
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(descriptors) = std::fs::read_dir(entry.path().join("fd")) else { continue };
        for descriptor in descriptors.flatten() {
            let Ok(target) = std::fs::read_link(descriptor.path()) else { continue };
            if inodes.iter().any(|inode| target.as_os_str() == format!("socket:[{inode}]").as_str()) {
                let command = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                return Some((pid, command.trim().to_owned()));
            }
        }
    }
    None
}

/// Can this address be listened on now?
pub fn is_port_free(host: &str, port: u16) -> bool {
    // A port of a connection that was just closed is free for us, as it is for the daemon: std sets SO_REUSEADDR.
    std::net::TcpListener::bind((host, port)).is_ok()
}

fn listening_inodes(port: u16) -> Vec<String> {
    let mut inodes = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (Some(local), Some(state), Some(inode)) = (fields.get(1), fields.get(3), fields.get(9)) else {
                continue;
            };
            let is_port = local.rsplit_once(':').is_some_and(|(_, hex)| u16::from_str_radix(hex, 16) == Ok(port));
            if is_port && *state == "0A" {
                inodes.push((*inode).to_owned());
            }
        }
    }
    inodes
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd, IntoRawFd};

    use super::*;

    #[test]
    fn a_pid_file_names_the_process_that_wrote_it_and_no_later_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pid");
        let me = Process::current().unwrap();
        me.write(&path).unwrap();
        assert_eq!(Process::from_file(&path), Some(me.clone()));
        let earlier = Process { start: me.start.wrapping_sub(1), ..me.clone() };
        earlier.write(&path).unwrap();
        assert_eq!(Process::from_file(&path), None, "same number, other start");
        Process { boot: "another".to_owned(), ..me }.write(&path).unwrap();
        assert_eq!(Process::from_file(&path), None, "same number, other boot");
        std::fs::write(&path, "garbage").unwrap();
        assert_eq!(Process::from_file(&path), None);
    }

    #[test]
    fn a_child_that_ended_is_not_alive_even_before_it_is_waited_for() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = Process { pid: child.id(), start: 0, boot: boot_id() };
        assert!(wait_until(Duration::from_secs(10), || Process::running(process.pid).is_none()));
        child.wait().unwrap();
    }

    #[test]
    fn a_lock_is_held_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let first = Lock::take(&path).unwrap();
        assert!(first.is_some());
        assert!(Lock::take(&path).unwrap().is_none());
        drop(first);
        assert!(Lock::take(&path).unwrap().is_some());
    }

    #[test]
    fn a_carried_descriptor_is_private_again_and_another_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let lock = Lock::take(&path).unwrap().unwrap();
        let number = lock.as_fd().as_raw_fd();
        assert!(Lock::carried(number, &path).is_none(), "nobody carried it");
        carry(lock.as_fd(), true).unwrap();
        std::mem::forget(lock);
        let lock = Lock::carried(number, &path).unwrap();
        let flags = fcntl(lock.as_fd(), FcntlArg::F_GETFD).unwrap();
        assert!(FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC));
        assert!(Lock::take(&path).unwrap().is_none(), "still held");
        let other = File::open(dir.path()).unwrap();
        carry(other.as_fd(), true).unwrap();
        assert!(Lock::carried(other.into_raw_fd(), &path).is_none(), "another file");
        for number in [-1, 0, 2, 1 << 20] {
            assert!(carried(number).is_none(), "{number}");
        }
    }

    #[test]
    fn the_holder_of_a_port_is_found() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!is_port_free("127.0.0.1", port));
        assert_eq!(port_owner(port).map(|(pid, _)| pid), Some(std::process::id()));
    }
}
