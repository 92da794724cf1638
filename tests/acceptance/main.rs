//! Acceptance: what a user is promised, on real processes. Run by `tests/run acceptance`, one at a time:
//! `cargo test --release --test acceptance -- --ignored --test-threads=1 --nocapture`. Each test prints what it saw.

mod big;
mod cluster;
mod definitions;
mod disk;
mod faults;
mod hosts;
mod lease;
mod ledger;
mod limits;
mod load;
mod members;
mod start;
mod takeover;
