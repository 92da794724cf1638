//! Outside systems that nodes talk to: processes under their shim, mail, later databases and file systems.

pub mod mail;
pub mod process;
