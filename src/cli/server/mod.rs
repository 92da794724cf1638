//! The server roles as processes: how they are started, kept alive, found again and stopped.
//!
//! Owns pid files, locks, secrets, logging set-up and the logic behind the scripts in sbin/. What a role does is wired
//! in `role`; what happens inside it belongs to `actor`. Start reading at `local`.

pub mod link_probe;
pub mod local;
pub mod log;
pub mod priority;
pub mod process;
pub mod promote;
pub mod role;
pub mod secret;
pub mod security;
pub mod supervise;
pub mod task;
