//! The master process: the door, the leader loop, and what hangs on it.
//!
//! `root` follows the leadership, `leader` owns the engine, `gateway` is the door for messages of the link,
//! `definitions` and `heard` turn reports into commands, `change`, `query` and `logs` answer HttpServers.

mod api;
mod change;
mod definitions;
mod found;
mod gateway;
mod heard;
mod housekeeping;
mod leader;
mod logs;
mod query;
mod root;
mod shared;
mod start;
mod workers;

pub use start::{Master, StartError, link_limits};
