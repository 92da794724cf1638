//! Verbs on the cluster.

pub mod finalize_upgrade;
pub mod member;
pub mod nodes;
pub mod status;
pub mod switch_over;
