//! Ending what a dead shim left behind, and the proof that it is gone.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::connector::process::cgroup;
use crate::connector::process::sweep::{self, Marks};

/// When to stop trying.
const GIVE_UP: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);
/// Sweeps that must find nothing, one after the other.
const EMPTY_ROUNDS: u32 = 2;

/// What is known of an attempt's processes.
#[derive(Debug, Clone, Default)]
pub struct Remains {
    pub token: String,
    pub cgroup: Option<String>,
    /// The main process and its start, when it was seen alive.
    pub main: Option<(i32, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Nothing of it lives. `n_killed` processes were found and killed.
    Gone {
        n_killed: usize,
    },
    Unproven {
        n_left: usize,
    },
}

/// Kills and looks until two sweeps find nothing. Blocks for up to `GIVE_UP`.
pub fn end(remains: &Remains) -> Proof {
    let until = Instant::now() + GIVE_UP;
    let (mut n_killed, mut n_empty) = (0, 0);
    loop {
        let is_leaf_empty = remains.cgroup.as_deref().is_none_or(|leaf| cgroup::kill_leaf(Path::new(leaf)));
        let marks = Marks { token: &remains.token, shim: None, session: remains.main };
        // A /proc that cannot be read proves nothing.
        let members = sweep::members(&marks);
        let n_left = members.as_ref().map_or(1, Vec::len);
        for &pid in members.iter().flatten() {
            n_killed += usize::from(kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok());
        }
        n_empty = if n_left == 0 && is_leaf_empty { n_empty + 1 } else { 0 };
        if n_empty >= EMPTY_ROUNDS {
            return Proof::Gone { n_killed };
        }
        if Instant::now() > until {
            return Proof::Unproven { n_left: n_left.max(1) };
        }
        if n_empty == 0 {
            std::thread::sleep(PAUSE);
        }
    }
}
