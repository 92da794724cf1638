//! Action node types: one file each and one row in the registry.

pub mod spec;
