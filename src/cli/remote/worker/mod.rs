//! Verbs on workers.

pub mod declare_dead;
pub mod drain;
pub mod list;
