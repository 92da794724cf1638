//! The worker and its shims with real processes. Every process started here ends with its test.

mod daemon;
mod master;
mod process;
mod support;
mod task;
