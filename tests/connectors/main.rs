//! Databases and hosts of links against real servers, which the tests start for themselves and end again: `tests/run
//! connectors`, or `cargo test --test connectors -- --ignored`. A server that is not installed is said aloud.

#[cfg(feature = "mysql")]
mod akkaflow;
#[path = "../fixtures/assignment.rs"]
mod assignment;
mod databases;
mod files;
mod mail;
mod metadata;
mod monitors;
mod nodes;
#[cfg(feature = "odbc")]
mod odbc;
mod server;
#[cfg(feature = "ssh")]
mod ssh;
#[cfg(feature = "ssh")]
mod sshd;
mod transfers;
#[path = "../fixtures/webhdfs.rs"]
mod webhdfs;
