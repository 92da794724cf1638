//! Programs that a task of ours starts beside its own work: each in a process group of its own, which ends with the
//! task.

use std::io;
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::model::message::Message;
use crate::say;

use super::task::{Failure, Task};

/// Most output that is kept.
pub const OUTPUT_BYTES_MAX: u64 = 64 * 1024;

/// Ended with all its children when it is dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may be gone already.
            let _ = killpg(group, Signal::SIGTERM);
        }
    }
}

/// Waits until it has ended well; what it wrote to stdout, where the caller has that piped. The failure says what went
/// wrong and not where.
pub async fn run(task: &Task<'_>, mut command: Command) -> Result<Vec<u8>, Failure> {
    let failed = |error: io::Error| Failure::of(Message::verbatim(error.to_string()));
    command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(failed)?;
    let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw));
    let stdout = child.stdout.take();
    let ending = async {
        let mut written = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(OUTPUT_BYTES_MAX + 1).read_to_end(&mut written).await?;
        }
        io::Result::Ok((child.wait().await?, written))
    };
    let (status, written) = task.unless_stopped(ending).await?.map_err(failed)?;
    group.0 = None;
    if written.len() as u64 > OUTPUT_BYTES_MAX {
        return Err(Failure::of(say!("it wrote more than {} bytes", OUTPUT_BYTES_MAX)));
    }
    judge(status).map(|()| written)
}

fn judge(status: ExitStatus) -> Result<(), Failure> {
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(Failure::of(say!("exit code {}", code))),
        None => Err(Failure::of(say!("ended in an unknown way"))),
    }
}
