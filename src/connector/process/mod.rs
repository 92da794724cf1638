//! Local processes, each held by a shim that outlives the worker.
//!
//! Owns the words between worker, zygote and shim, the spool's form on disk, cgroups and the search in /proc.
//! Knows nothing of nodes, retries or masters. Start at `zygote` (starting), `spool` (what came of it) and
//! `shim` (the other side, compiled into a binary of its own).

pub mod cgroup;
pub mod frame;
pub mod link;
pub mod profile;
pub mod spool;
pub mod sweep;
pub mod wire;
pub mod zygote;

const _: () = assert!(wire::LEASE_GRACE_MS == crate::model::lease::KILL_GRACE.0 as u64);
