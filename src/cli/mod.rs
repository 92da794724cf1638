//! The command line: verbs that talk HTTP, verbs on files, and the server roles.

pub mod offline;
pub mod remote;
pub mod server;
