//! The worker and its shims with real processes. Every process started here ends with its test.

mod process;
mod support;
