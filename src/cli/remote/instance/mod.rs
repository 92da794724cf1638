//! Verbs on instances.

pub mod delete;
pub mod kill;
pub mod list;
pub mod logs;
pub mod mark;
pub mod pause;
pub mod rerun;
pub mod resume;
pub mod show;
pub mod wait;
