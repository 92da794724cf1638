//! Verbs on files: they need no cluster.

pub mod check;
pub mod completion;
pub mod config_check;
pub mod config_show;
pub mod import;
pub mod link;
pub mod past;
pub mod version;
pub mod xsd;
