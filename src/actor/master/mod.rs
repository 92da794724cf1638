//! The master process: the door, the leader loop, and what hangs on it.
//!
//! `door` is where the link ends; `founding` brings the voter to its log, `voters` joins it with the others. `root` follows the leadership, `leader` owns the engine, `gateway` is the door for messages of the link,
//! `mailer` hands in the mails that are owed, `definitions` and `heard` turn reports into commands, `change`, `query` and `logs` answer HttpServers.

mod acquaint;
mod api;
mod attached;
mod change;
mod definitions;
mod door;
mod found;
mod founding;
mod gateway;
mod heard;
mod housekeeping;
mod leader;
mod links;
mod logs;
mod mailer;
mod membership;
mod pace;
mod query;
mod revocations;
mod root;
mod shared;
mod standing;
mod start;
mod voters;
mod waiting;
mod workers;

pub use start::{Master, MasterStart, Place, StartError, link_limits};
