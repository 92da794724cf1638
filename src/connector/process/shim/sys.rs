//! The few system calls that std has no words for.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::super::wire::SOCKET_NAME_MAX;

/// Turns the -1 of a system call into the error.
pub fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

pub fn c_string(bytes: impl Into<Vec<u8>>) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a text holds a NUL byte"))
}

/// Milliseconds on CLOCK_BOOTTIME, which goes on while the machine sleeps.
pub fn boot_ms() -> u64 {
    clock_ms(libc::CLOCK_BOOTTIME) as u64
}

/// Milliseconds since 1970.
pub fn wall_ms() -> i64 {
    clock_ms(libc::CLOCK_REALTIME)
}

/// What `/proc/PID/stat` counts the start of a process in.
pub fn ticks(boot_ms: u64) -> u64 {
    // SAFETY: a plain call. A negative answer means that it is not known, and no kernel has another figure than 100.
    let per_second = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(100);
    boot_ms.saturating_mul(per_second) / 1000
}

fn clock_ms(clock: libc::clockid_t) -> i64 {
    let mut at = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `at` is a valid timespec for the call to fill.
    unsafe { libc::clock_gettime(clock, &mut at) };
    at.tv_sec * 1000 + at.tv_nsec / 1_000_000
}

/// A pipe whose ends are closed by exec; the reading end does not block.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: `fds` has room for two descriptors; on success both are ours.
    unsafe {
        check(libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC))?;
        Ok((OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])))
    }
}

pub fn set_nonblocking(fd: RawFd) -> io::Result<()> {
    // SAFETY: flags of a descriptor that is open for the call.
    unsafe {
        let flags = check(libc::fcntl(fd, libc::F_GETFL))?;
        check(libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK))?;
    }
    Ok(())
}

/// Reads what is there; `None` when the call would block.
pub fn read(fd: RawFd, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    loop {
        // SAFETY: the buffer is ours and its length is passed.
        let n = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
        if n >= 0 {
            return Ok(Some(n as usize));
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::Interrupted => continue,
            io::ErrorKind::WouldBlock => return Ok(None),
            _ => return Err(error),
        }
    }
}

/// Reads what is there in place of what `buffer` holds; `None` when the call would block.
pub fn read_into(fd: RawFd, buffer: &mut Vec<u8>, max: usize) -> io::Result<Option<usize>> {
    buffer.clear();
    buffer.reserve(max);
    loop {
        // SAFETY: `max` bytes are reserved, and only what the kernel wrote becomes part of the buffer.
        let n = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), max) };
        if n >= 0 {
            // SAFETY: see above.
            unsafe { buffer.set_len(n as usize) };
            return Ok(Some(n as usize));
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::Interrupted => continue,
            io::ErrorKind::WouldBlock => return Ok(None),
            _ => return Err(error),
        }
    }
}

/// Sends one packet without waiting and without SIGPIPE.
pub fn send(fd: RawFd, packet: &[u8]) -> io::Result<()> {
    // SAFETY: the packet is valid for its length.
    let n = unsafe { libc::send(fd, packet.as_ptr().cast(), packet.len(), libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) };
    if n < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// One packet of at most `max` bytes, and the descriptor that came with it. `Ok(None)` at the end of the connection.
pub fn receive(fd: RawFd, buffer: &mut Vec<u8>, max: usize) -> io::Result<Option<Option<OwnedFd>>> {
    buffer.clear();
    buffer.reserve(max);
    loop {
        let mut iov = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: max };
        // Room for one control message with one descriptor, aligned as the kernel wants it.
        let mut control = [0u64; 8];
        // SAFETY: all pointers are to locals that outlive the call; `max` bytes are reserved.
        let (n, passed) = unsafe {
            let mut message: libc::msghdr = std::mem::zeroed();
            message.msg_iov = &mut iov;
            message.msg_iovlen = 1;
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = std::mem::size_of_val(&control) as _;
            let n = libc::recvmsg(fd, &mut message, libc::MSG_CMSG_CLOEXEC);
            let mut passed = None;
            if n >= 0 {
                let head = libc::CMSG_FIRSTHDR(&message);
                if !head.is_null() && (*head).cmsg_level == libc::SOL_SOCKET && (*head).cmsg_type == libc::SCM_RIGHTS {
                    let raw: RawFd = std::ptr::read_unaligned(libc::CMSG_DATA(head).cast());
                    passed = Some(OwnedFd::from_raw_fd(raw));
                }
            }
            (n, passed)
        };
        if n < 0 {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return Err(error);
        }
        // SAFETY: the kernel wrote so many, and no more than `max`.
        unsafe { buffer.set_len(n as usize) };
        return Ok(if n == 0 && passed.is_none() { None } else { Some(passed) });
    }
}

/// A listening packet socket with an abstract name: it has no file, and its name goes with it. An inode for each
/// attempt that is gone a moment later would be dear on ext4, which looks at every lately deleted one before it gives
/// one out.
pub fn listen(name: &str) -> io::Result<OwnedFd> {
    let (address, length) = abstract_address(name)?;
    // SAFETY: the address is initialised and its length is passed; the descriptor is ours.
    unsafe {
        let socket = OwnedFd::from_raw_fd(check(libc::socket(
            libc::AF_UNIX,
            libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
            0,
        ))?);
        check(libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length))?;
        check(libc::listen(socket.as_raw_fd(), 4))?;
        Ok(socket)
    }
}

fn abstract_address(name: &str) -> io::Result<(libc::sockaddr_un, libc::socklen_t)> {
    // SAFETY: all zeroes is a valid sockaddr_un.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as _;
    if name.is_empty() || name.len() > SOCKET_NAME_MAX.min(address.sun_path.len() - 1) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the socket's name is empty or too long"));
    }
    // The first byte stays zero: that makes the name abstract.
    for (slot, byte) in address.sun_path[1..].iter_mut().zip(name.bytes()) {
        *slot = byte as _;
    }
    let length = std::mem::offset_of!(libc::sockaddr_un, sun_path) + 1 + name.len();
    Ok((address, length as _))
}

/// Renames a file unless there is one of the new name.
///
/// # Errors
/// `AlreadyExists`; or the old one is not there, or the file system cannot do it.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (c_string(from.as_os_str().as_bytes())?, c_string(to.as_os_str().as_bytes())?);
    // SAFETY: both strings end in a zero byte and outlive the call.
    let done =
        unsafe { libc::renameat2(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::RENAME_NOREPLACE) };
    check(done).map(|_| ())
}

/// Takes a waiting connection of the same user; `None` when there is none.
pub fn accept(listener: RawFd) -> Option<OwnedFd> {
    // SAFETY: plain accept; the descriptor is ours on success. `peer` is filled by the kernel up to its length.
    unsafe {
        let fd = libc::accept4(
            listener,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
        );
        if fd < 0 {
            return None;
        }
        let fd = OwnedFd::from_raw_fd(fd);
        let mut peer: libc::ucred = std::mem::zeroed();
        let mut length = std::mem::size_of::<libc::ucred>() as libc::socklen_t;
        let known =
            libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, (&raw mut peer).cast(), &mut length);
        let is_ours = known == 0 && (peer.uid == libc::geteuid() || peer.uid == 0);
        is_ours.then_some(fd)
    }
}

/// SIGCHLD, SIGTERM, SIGINT and SIGHUP, blocked and readable.
pub fn signals() -> io::Result<OwnedFd> {
    // SAFETY: the set is initialised before use; the descriptor is ours.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            libc::sigaddset(&mut set, signal);
        }
        check(libc::sigprocmask(libc::SIG_SETMASK, &set, std::ptr::null_mut()))?;
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        let fd = check(libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Ignored signals are handed down by fork and exec, so none may be ignored that a task should see. What a
/// parent of the worker ignored (nohup) ends here.
pub fn default_signals() {
    for signal in 1..32 {
        // SAFETY: plain calls; those for SIGKILL and SIGSTOP fail and change nothing.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// A task starts with no signal blocked, and SIGPIPE as usual.
pub fn receive_signals() {
    // SAFETY: the set is initialised before use.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
}

/// A timer on CLOCK_BOOTTIME that becomes readable at `at_ms`.
pub fn boot_timer() -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is ours.
    unsafe {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        Ok(OwnedFd::from_raw_fd(check(libc::timerfd_create(libc::CLOCK_BOOTTIME, flags))?))
    }
}

pub fn arm(timer: RawFd, at_ms: u64) -> io::Result<()> {
    let value = libc::itimerspec {
        it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 },
        // 0 would disarm it.
        it_value: libc::timespec { tv_sec: (at_ms / 1000) as _, tv_nsec: ((at_ms % 1000) * 1_000_000).max(1) as _ },
    };
    // SAFETY: `value` lives through the call.
    unsafe { check(libc::timerfd_settime(timer, libc::TFD_TIMER_ABSTIME, &value, std::ptr::null_mut()))? };
    Ok(())
}

/// Waits for the descriptors, at most `timeout_ms` (-1: for good).
pub fn poll(fds: &mut [libc::pollfd], timeout_ms: i32) -> io::Result<()> {
    // SAFETY: the slice is valid for its length.
    match check(unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as _, timeout_ms) }) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}
