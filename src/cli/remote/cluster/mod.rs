//! Verbs on the cluster.

pub mod nodes;
pub mod status;
