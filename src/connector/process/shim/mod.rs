//! The shim: a small process that holds one attempt, and the zygote that forks shims.
//!
//! Owns the life of one task's process tree: start, output to the spool, deadline, kill, exit status on disk.
//! Lives on when the worker or the zygote die. Single-threaded, no runtime, nothing but std and libc; compiled
//! into the binary `ractorflow-shim` only. Must not decide anything about retries or results. Start at `zygote`.

mod birth;
mod child;
mod events;
mod spool;
mod sys;
mod tree;
mod zygote;

pub use zygote::serve;
