//! Outside systems that nodes talk to: processes under their shim, named links, databases; later file systems, mail.

pub mod database;
pub mod link;
pub mod process;
