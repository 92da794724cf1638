//! Outside systems that nodes talk to: processes under their shim, named links; later databases, file systems, mail.

pub mod link;
pub mod process;
