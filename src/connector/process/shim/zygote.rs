//! The zygote: waits for requests of its worker and forks a shim for each.
//!
//! It is single-threaded and small, so a fork of it is cheap however large the worker has grown. It ends when the
//! worker's socket ends; its shims live on.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use super::super::wire::{Fault, FromShim, PACKET_MAX, Spec, ZygoteRequest};
use super::{events, sys};

/// The worker's socket.
const WORKER: RawFd = 0;

/// Largest file of a spec: the kernel takes about 2 MiB of arguments and environment.
const SPEC_FILE_MAX: u64 = 8 << 20;

/// Serves until the worker closes its end.
pub fn serve() -> io::Result<()> {
    let null = prepare()?;
    let mut buffer = vec![0; PACKET_MAX + 1024];
    while let Some((length, reply)) = sys::receive(WORKER, &mut buffer)? {
        let Some(reply) = reply else { continue };
        match read_spec(&buffer[..length]) {
            Ok(spec) => fork(&spec, reply, &null),
            Err(message) => refuse(&reply, message),
        }
    }
    Ok(())
}

fn prepare() -> io::Result<File> {
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
    Ok(null)
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

fn fork(spec: &Spec, reply: OwnedFd, null: &File) {
    // SAFETY: one thread, so the child may go on with everything it has.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: the worker's socket must not be held open by a shim, which may outlive the zygote.
            unsafe { libc::dup2(null.as_raw_fd(), WORKER) };
            events::run(spec, reply)
        }
        pid if pid < 0 => refuse(&reply, format!("cannot fork a shim: {}", io::Error::last_os_error())),
        _ => {}
    }
}

fn refuse(reply: &OwnedFd, message: String) {
    // A worker that is gone needs no answer.
    let _ = sys::send(reply.as_raw_fd(), &FromShim::Failed { message, fault: Fault::World }.encode());
}
