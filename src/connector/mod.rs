//! Outside systems that nodes talk to: processes under their shim, named links, the databases, hosts and file systems
//! behind them, delimited text, mail.

pub mod cause;
pub mod database;
pub mod delimited;
pub mod file;
pub mod link;
pub mod mail;
pub mod probe;
pub mod process;
pub mod rows;
pub mod ssh;
