//! Definitions on disk: the watcher of `xmlconfig/` and the reports it sends to the active master.

pub mod attached;
pub mod scan;
pub mod source;
pub mod watcher;
