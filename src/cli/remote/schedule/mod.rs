//! Verbs on what is to come.

pub mod today;
