//! The zygote: keeps one shim ready, which waits for the next request of the worker, and forks another when it is taken.
//!
//! It is single-threaded and small, so a fork of it is cheap however large the worker has grown, and nobody waits for
//! it. It ends when the worker's socket ends; its shims live on, the one that is ready ends too.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::Duration;

use super::super::wire::{Fault, FromShim, PACKET_MAX, Spec, ZygoteRequest};
use super::events::{self, Ready};
use super::sys;

/// The worker's socket.
const WORKER: RawFd = 0;

/// Of a request, and a little more, so that one that is too large is seen as such.
const REQUEST_MAX: usize = PACKET_MAX + 1024;

/// Largest file of a spec: the kernel takes about 2 MiB of arguments and environment.
const SPEC_FILE_MAX: u64 = 8 << 20;

/// Pause after a ready shim that ended by itself: whatever killed it may kill the next.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until the worker closes its end. `home`: the cgroup that it and its shims live in.
pub fn serve(home: Option<&Path>) -> io::Result<()> {
    prepare()?;
    if let Some(home) = home {
        // Only a comfort for those who look at the tree of cgroups.
        let _ = std::fs::write(home.join("cgroup.procs"), "0");
    }
    loop {
        match stand_by() {
            Ok(Taken::ByRequest) => {}
            Ok(Taken::ByNobody) if is_worker_gone() => return Ok(()),
            Ok(Taken::ByNobody) => std::thread::sleep(PAUSE),
            Err(_) => {
                // Tried again when somebody asks: by then there may be room.
                await_request()?;
                if let Err(error) = stand_by() {
                    let Some(reply) = sys::receive(WORKER, &mut Vec::new(), REQUEST_MAX)? else { return Ok(()) };
                    if let Some(reply) = reply {
                        refuse(&reply, format!("cannot fork a shim: {error}"));
                    }
                }
            }
        }
    }
}

fn await_request() -> io::Result<()> {
    sys::poll(&mut [libc::pollfd { fd: WORKER, events: libc::POLLIN, revents: 0 }], -1)
}

enum Taken {
    ByRequest,
    /// It ended while it waited.
    ByNobody,
}

/// Forks a shim that waits for a request, and waits until it has one.
fn stand_by() -> io::Result<Taken> {
    let (taken, tell) = sys::pipe()?;
    // SAFETY: plain calls; one thread, so the child may go on with everything it has.
    let (zygote, pid) = unsafe { (libc::getpid(), libc::fork()) };
    match pid {
        0 => {
            drop(taken);
            be_ready(zygote, tell)
        }
        pid if pid < 0 => Err(io::Error::last_os_error()),
        _ => {
            drop(tell);
            Ok(match sys::read(taken.as_raw_fd(), &mut [0]) {
                Ok(Some(1)) => Taken::ByRequest,
                _ => Taken::ByNobody,
            })
        }
    }
}

/// The life of a shim up to its request.
fn be_ready(zygote: i32, tell: OwnedFd) -> ! {
    // Without its zygote nobody would put another in its place: then the worker starts a new one.
    // SAFETY: calls on this process.
    let is_orphan = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 || libc::getppid() != zygote };
    if !is_orphan {
        let ready = Ready::new(&tell);
        // Not zeroed: each page that is touched is a page to be found, cleared and given back.
        let mut buffer = Vec::new();
        if let Ok(Some(Some(reply))) = sys::receive(WORKER, &mut buffer, REQUEST_MAX) {
            // SAFETY: calls on this process. The worker's socket must not be held open by a shim, which may outlive
            // the zygote; 1 is /dev/null.
            unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, 0);
                libc::dup2(1, WORKER);
                libc::write(tell.as_raw_fd(), [1u8].as_ptr().cast(), 1);
            }
            drop(tell);
            match read_spec(&buffer) {
                Ok(spec) => events::run(&spec, reply, ready, buffer),
                Err(message) => refuse(&reply, message),
            }
        }
    }
    // SAFETY: ends this fork only. Destructors and exit handlers belong to the zygote.
    unsafe { libc::_exit(0) }
}

/// Nothing waits in its socket and it is closed, or there is no such socket.
fn is_worker_gone() -> bool {
    let mut byte = 0u8;
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // SAFETY: one byte is ours.
    match unsafe { libc::recv(WORKER, (&raw mut byte).cast(), 1, flags) } {
        0 => true,
        1.. => false,
        _ => !matches!(io::Error::last_os_error().kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
    }
}

fn prepare() -> io::Result<()> {
    sys::default_signals();
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    // SAFETY: plain calls on this process. A session of its own keeps Ctrl-C of the worker's terminal away; as
    // subreaper it inherits what a dead shim leaves behind; ignored SIGCHLD lets the kernel reap the shims.
    unsafe {
        libc::setsid();
        sys::check(libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))?;
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        for fd in [1, 2] {
            sys::check(libc::dup2(null.as_raw_fd(), fd))?;
        }
    }
    Ok(())
}

fn read_spec(packet: &[u8]) -> Result<Spec, String> {
    match ZygoteRequest::decode(packet) {
        Ok(ZygoteRequest::Spec(spec)) => Ok(*spec),
        Ok(ZygoteRequest::SpecFile(path)) => {
            use std::io::Read;
            let mut bytes = Vec::new();
            File::open(&path)
                .and_then(|file| file.take(SPEC_FILE_MAX).read_to_end(&mut bytes))
                .map_err(|error| format!("cannot read {path}: {error}"))?;
            Spec::decode(&bytes).map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    }
}

fn refuse(reply: &OwnedFd, message: String) {
    // A worker that is gone needs no answer.
    let _ = sys::send(reply.as_raw_fd(), &FromShim::Failed { message, fault: Fault::World }.encode());
}
