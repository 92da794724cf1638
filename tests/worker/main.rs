//! The worker and its shims with real processes. Every process started here ends with its test.

mod akkaflow;
#[path = "../fixtures/assignment.rs"]
mod assignment;
mod daemon;
mod files;
mod master;
mod process;
mod support;
mod task;
