//! Outside systems that nodes talk to: processes under their shim, later databases, file systems, mail.

pub mod process;
