//! Outside systems that nodes talk to: processes under their shim, named links and the databases and hosts behind
//! them, mail; later file systems.

pub mod database;
pub mod link;
pub mod mail;
pub mod process;
pub mod ssh;
