//! The shell: actors that turn messages into commands and perform effects after commit. No rules.

pub mod clock;
pub mod definition;
pub mod file_store;
pub mod http;
pub mod identity;
mod link_slot;
pub mod log_store;
pub mod mail_server;
pub mod master;
pub mod protocol;
pub mod view;
pub mod worker;
pub mod worker_process;
