//! The shell: actors that turn messages into commands and perform effects after commit. No rules.

pub mod definition;
pub mod log_store;
pub mod protocol;
pub mod worker;
