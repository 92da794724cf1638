//! Starting the main process of an attempt.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::super::wire::{Fault, Spec};
use super::sys;

/// `clone_args.flags`; libc's constant does not fit its own type.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Where it went wrong, told by the child through a pipe.
const AT_WORK_DIR: u8 = 1;
const AT_EXEC: u8 = 2;
const AT_SETUP: u8 = 3;

/// Starts the process with its output on the given ends of pipes. Returns its pid once its program runs.
pub fn spawn(spec: &Spec, cgroup: Option<&Path>, stdout: OwnedFd, stderr: OwnedFd) -> Result<i32, (String, Fault)> {
    let world = |what: &str, error: io::Error| (format!("{what}: {error}"), Fault::World);
    let task = |error: io::Error| (error.to_string(), Fault::Task);
    let prepared = Prepared::new(spec).map_err(task)?;
    let (report, report_out) = sys::pipe().map_err(|error| world("cannot make a pipe", error))?;
    let place = cgroup.map(open_cgroup).transpose().map_err(|error| world("cannot open the cgroup", error))?;
    // SAFETY: one thread, so the child may use everything it inherits.
    let shim = unsafe { libc::getpid() };
    match fork_into(place.as_ref()).map_err(|error| world("cannot fork", error))? {
        Forked::Child { enter } => {
            let stage = prepared.become_task(spec, shim, enter.then_some(cgroup).flatten(), [&stdout, &stderr]);
            let errno = io::Error::last_os_error().raw_os_error().unwrap_or(0);
            let mut said = [stage, 0, 0, 0, 0];
            said[1..].copy_from_slice(&errno.to_le_bytes());
            // SAFETY: nothing of the shim may run twice, so no destructor does.
            unsafe {
                libc::write(report_out.as_raw_fd(), said.as_ptr().cast(), said.len());
                libc::_exit(127)
            }
        }
        Forked::Parent { pid } => {
            drop((stdout, stderr, report_out));
            let mut said = [0; 5];
            match sys::read(report.as_raw_fd(), &mut said) {
                Ok(Some(5)) => {
                    // SAFETY: our own child, which has ended.
                    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
                    let error = io::Error::from_raw_os_error(i32::from_le_bytes([said[1], said[2], said[3], said[4]]));
                    Err(explain(spec, said[0], &error))
                }
                // The pipe closed without a word: exec went well (or the child was killed, which its status says).
                _ => Ok(pid),
            }
        }
    }
}

fn explain(spec: &Spec, stage: u8, error: &io::Error) -> (String, Fault) {
    let is_tasks = matches!(
        error.raw_os_error(),
        Some(libc::ENOENT | libc::EACCES | libc::ENOEXEC | libc::ENOTDIR | libc::EPERM | libc::E2BIG | libc::ELOOP)
    );
    let fault = if is_tasks && stage == AT_EXEC { Fault::Task } else { Fault::World };
    let message = match stage {
        AT_EXEC => format!("cannot run {}: {error}", String::from_utf8_lossy(&spec.program)),
        AT_WORK_DIR => format!("cannot enter the work directory {}: {error}", spec.work_dir),
        _ => format!("cannot prepare the process: {error}"),
    };
    (message, fault)
}

struct Prepared {
    /// The program, or what PATH makes of its name.
    candidates: Vec<CString>,
    args: Vec<CString>,
    env: Vec<CString>,
    work_dir: CString,
}

impl Prepared {
    fn new(spec: &Spec) -> io::Result<Self> {
        let texts =
            |list: &[Vec<u8>]| list.iter().map(|text| sys::c_string(text.clone())).collect::<io::Result<Vec<_>>>();
        Ok(Prepared {
            candidates: candidates(spec)?,
            args: texts(&spec.args)?,
            env: texts(&spec.env)?,
            work_dir: sys::c_string(spec.work_dir.as_bytes())?,
        })
    }

    /// Runs in the child; comes back only when something went wrong, with `errno` set.
    fn become_task(&self, spec: &Spec, shim: i32, enter: Option<&Path>, output: [&OwnedFd; 2]) -> u8 {
        if let Some(cgroup) = enter
            && std::fs::write(cgroup.join("cgroup.procs"), "0").is_err()
        {
            return AT_SETUP;
        }
        let pointers = |texts: &[CString]| -> Vec<*const libc::c_char> {
            texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
        };
        let (args, env) = (pointers(&self.args), pointers(&self.env));
        // SAFETY: calls on the process itself; the pointer lists end in null and outlive exec.
        unsafe {
            libc::setsid();
            for (fd, end) in (1..).zip(output) {
                if libc::dup2(end.as_raw_fd(), fd) < 0 {
                    return AT_SETUP;
                }
            }
            // Whatever else is open must not reach the task; the report pipe still needs to work until exec.
            if libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) != 0 {
                return AT_SETUP;
            }
            sys::receive_signals();
            libc::umask(spec.umask as libc::mode_t);
            if libc::chdir(self.work_dir.as_ptr()) != 0 {
                return AT_WORK_DIR;
            }
            if spec.no_new_privs && libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
                return AT_SETUP;
            }
            // The task must not outlive its shim unwatched. A shim that died before this line is noticed by hand.
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 || libc::getppid() != shim {
                return AT_SETUP;
            }
            let mut worst = libc::ENOENT;
            for candidate in &self.candidates {
                libc::execve(candidate.as_ptr(), args.as_ptr(), env.as_ptr());
                match *libc::__errno_location() {
                    libc::ENOENT | libc::ENOTDIR => {}
                    errno => worst = errno,
                }
            }
            *libc::__errno_location() = worst;
        }
        AT_EXEC
    }
}

/// A name without a slash is looked up in the PATH that the task will see.
fn candidates(spec: &Spec) -> io::Result<Vec<CString>> {
    if spec.program.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the program has no name"));
    }
    if spec.program.contains(&b'/') {
        return Ok(vec![sys::c_string(spec.program.clone())?]);
    }
    let path =
        spec.env.iter().find_map(|entry| entry.strip_prefix(b"PATH=")).unwrap_or(b"/usr/local/bin:/usr/bin:/bin");
    path.split(|&b| b == b':')
        .map(|dir| {
            let dir = if dir.is_empty() { Path::new(".") } else { Path::new(OsStr::from_bytes(dir)) };
            sys::c_string(dir.join(OsStr::from_bytes(&spec.program)).into_os_string().as_bytes())
        })
        .collect()
}

fn open_cgroup(dir: &Path) -> io::Result<File> {
    std::fs::OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(dir)
}

enum Forked {
    /// `enter`: the child must move itself into the cgroup.
    Child {
        enter: bool,
    },
    Parent {
        pid: i32,
    },
}

/// Born inside the cgroup where the kernel can do that: moving a process there later waits for every CPU.
fn fork_into(cgroup: Option<&File>) -> io::Result<Forked> {
    if let Some(place) = cgroup {
        // SAFETY: all zeroes is a valid clone_args; without CLONE_VM this is a fork.
        let result = unsafe {
            let mut args: libc::clone_args = std::mem::zeroed();
            args.flags = CLONE_INTO_CGROUP;
            args.exit_signal = libc::SIGCHLD as u64;
            args.cgroup = place.as_raw_fd() as u64;
            libc::syscall(libc::SYS_clone3, &mut args, std::mem::size_of::<libc::clone_args>())
        };
        match result {
            0 => return Ok(Forked::Child { enter: false }),
            pid if pid > 0 => return Ok(Forked::Parent { pid: pid as i32 }),
            // Older kernels and some sandboxes do not have it.
            _ => {}
        }
    }
    // SAFETY: one thread.
    match unsafe { libc::fork() } {
        0 => Ok(Forked::Child { enter: cgroup.is_some() }),
        pid if pid > 0 => Ok(Forked::Parent { pid }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A pair of pipe ends for one stream: ours, not blocking, and the task's.
pub fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = sys::pipe()?;
    let raw: RawFd = ours.as_raw_fd();
    sys::set_nonblocking(raw)?;
    Ok((ours, theirs))
}
