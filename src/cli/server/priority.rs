//! The share of the processor that a master asks for.
//!
//! A master needs little and needs it at once: on a machine whose tasks want more than all of it, a leader that waits
//! for its turn looks dead to the others, and work would stop for an election. Only masters ask: what a worker starts
//! would inherit it.

/// The niceness of a master: about ten times the share of an ordinary process.
const MASTER_NICE: libc::c_int = -10;

/// Asks for it. Without the right to (root, or `LimitNICE=` of a service) the master runs as any other process.
pub fn prefer_this_process() {
    // SAFETY: takes three numbers and touches no memory.
    let answer = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, MASTER_NICE) };
    if answer == 0 {
        tracing::info!(nice = MASTER_NICE, "goes before other processes");
    } else {
        let error = std::io::Error::last_os_error();
        tracing::info!(%error, "runs at ordinary priority");
    }
}
