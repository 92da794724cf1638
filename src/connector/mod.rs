//! Outside systems that nodes talk to: processes under their shim, the links that name others, mail, later databases
//! and file systems.

pub mod link;
pub mod mail;
pub mod process;
