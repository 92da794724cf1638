//! Starting the main process of an attempt.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::super::wire::{Fault, Spec};
use super::birth::{self, Child, Place, Stack, Word};
use super::sys;

/// Where it went wrong, told by the child.
const AT_WORK_DIR: u8 = 1;
const AT_EXEC: u8 = 2;
const AT_SETUP: u8 = 3;

/// Starts the process with its stdout and stderr on the given ends of pipes. Returns its pid once its program runs.
pub fn spawn(
    spec: &Spec,
    cgroup: Option<&Path>,
    outputs: [OwnedFd; 2],
    stack: &mut Stack,
) -> Result<i32, (String, Fault)> {
    let world = |what: &str, error: io::Error| (format!("{what}: {error}"), Fault::World);
    let task = |error: io::Error| (error.to_string(), Fault::Task);
    let place = cgroup.map(open_cgroup).transpose().map_err(|error| world("cannot open the cgroup", error))?;
    // SAFETY: a plain call.
    let shim = unsafe { libc::getpid() };
    let task = Prepared::new(spec, shim, cgroup, outputs.each_ref()).map_err(task)?;
    let (pid, word) = birth::bear(&task, place.as_ref(), stack).map_err(|error| world("cannot fork", error))?;
    match word {
        Some(word) => {
            // SAFETY: our own child, which has ended.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
            Err(explain(spec, word.stage, &io::Error::from_raw_os_error(word.errno)))
        }
        // It left no word: its program runs (or it was killed, which its status says).
        None => Ok(pid),
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

struct Prepared<'a> {
    /// The program, or what PATH makes of its name.
    candidates: Vec<CString>,
    /// What `args` and `env` point to.
    _texts: [Vec<CString>; 2],
    /// Pointers, null behind the last.
    args: Vec<*const libc::c_char>,
    env: Vec<*const libc::c_char>,
    work_dir: CString,
    umask: libc::mode_t,
    no_new_privs: bool,
    shim: i32,
    /// `cgroup.procs`, for one that was not born inside.
    procs: Option<PathBuf>,
    output: [&'a OwnedFd; 2],
}

impl<'a> Prepared<'a> {
    fn new(spec: &Spec, shim: i32, cgroup: Option<&Path>, output: [&'a OwnedFd; 2]) -> io::Result<Self> {
        let texts =
            |list: &[Vec<u8>]| list.iter().map(|text| sys::c_string(text.clone())).collect::<io::Result<Vec<_>>>();
        let pointers = |texts: &[CString]| texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect();
        let texts = [texts(&spec.args)?, texts(&spec.env)?];
        Ok(Prepared {
            candidates: candidates(spec)?,
            args: pointers(&texts[0]),
            env: pointers(&texts[1]),
            _texts: texts,
            work_dir: sys::c_string(spec.work_dir.as_bytes())?,
            umask: spec.umask as libc::mode_t,
            no_new_privs: spec.no_new_privs,
            shim,
            procs: cgroup.map(|cgroup| cgroup.join("cgroup.procs")),
            output,
        })
    }

    /// Comes back only when something went wrong, with `errno` set.
    fn become_task(&self, place: Place) -> u8 {
        if let (Place::Outside, Some(procs)) = (place, &self.procs)
            && std::fs::write(procs, "0").is_err()
        {
            return AT_SETUP;
        }
        // SAFETY: calls on the process itself; the pointer lists end in null and outlive exec.
        unsafe {
            libc::setsid();
            for (fd, end) in (1..).zip(self.output) {
                if libc::dup2(end.as_raw_fd(), fd) < 0 {
                    return AT_SETUP;
                }
            }
            // Whatever else is open must not reach the task.
            if libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) != 0 {
                return AT_SETUP;
            }
            sys::receive_signals();
            libc::umask(self.umask);
            if libc::chdir(self.work_dir.as_ptr()) != 0 {
                return AT_WORK_DIR;
            }
            if self.no_new_privs && libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
                return AT_SETUP;
            }
            // The task must not outlive its shim unwatched. A shim that died before this line is noticed by hand.
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 || libc::getppid() != self.shim {
                return AT_SETUP;
            }
            let mut worst = libc::ENOENT;
            for candidate in &self.candidates {
                libc::execve(candidate.as_ptr(), self.args.as_ptr(), self.env.as_ptr());
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

impl Child for Prepared<'_> {
    fn live(&self, place: Place) -> Word {
        let stage = self.become_task(place);
        Word { stage, errno: io::Error::last_os_error().raw_os_error().unwrap_or(0) }
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

/// A pair of pipe ends for one stream: ours, not blocking, and the task's.
pub fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = sys::pipe()?;
    let raw: RawFd = ours.as_raw_fd();
    sys::set_nonblocking(raw)?;
    Ok((ours, theirs))
}
