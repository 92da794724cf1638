//! The shim in a supervisor's place: it waits where the big program would keep megabytes for it.
//!
//! Compiled into `ractorflow-shim` only, with `lookout`. It is the same process as the supervisor, by exec: same pid,
//! same children, same lock. Must not decide what an end means: it becomes the supervisor again, which does. Only where
//! that cannot be run any more does it do the least: what asks it to end reaches the daemon.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use super::lookout::{self, ENDED, Ended, UNABLE};

/// While the program cannot be run (an upgrade may be replacing it), this long until the next try.
const RETRY: Duration = Duration::from_secs(1);

/// `arguments` are those after the mode. Returns only when there is nothing left to look after.
pub fn serve(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut number = || arguments.next()?.to_str()?.parse::<i32>().ok();
    let (Some(pidfd), Some(child)) = (number(), number()) else { return ExitCode::from(2) };
    let child = Some(child).filter(|pid| *pid > 0);
    let (Some(binary), Some(verb)) = (arguments.next(), arguments.next()) else { return ExitCode::from(2) };
    let ended = wait(pidfd, child).ok();
    let word = ended.map_or_else(|| UNABLE.to_owned(), Ended::word);
    let mut supervisor = Command::new(binary);
    supervisor.arg(verb).arg(ENDED).arg(word).args(arguments);
    let mut is_said = false;
    loop {
        let error = supervisor.exec();
        if !is_said {
            eprintln!("ractorflow-shim: cannot run {}: {error}; tried again", supervisor.get_program().display());
            is_said = true;
        }
        let is_asked = lookout::signals().and_then(|signals| lookout::is_asked_within(&signals, RETRY));
        if is_asked.unwrap_or(true) {
            return end(pidfd, child, ended);
        }
    }
}

fn wait(pidfd: RawFd, child: Option<i32>) -> std::io::Result<Ended> {
    // They are blocked since before the exec; here it counts for whoever runs this by hand.
    lookout::block_signals()?;
    lookout::wait(pidfd, child, Some(&lookout::signals()?))
}

fn end(pidfd: RawFd, child: Option<i32>, ended: Option<Ended>) -> ExitCode {
    match ended {
        Some(Ended::Exit(_) | Ended::Signal(_) | Ended::Gone) => {}
        Some(Ended::Asked) | None => {
            lookout::signal(pidfd, libc::SIGTERM);
            // Without an answer there is nobody left to wait for either.
            let _ = lookout::wait(pidfd, child, None);
        }
    }
    ExitCode::FAILURE
}
