//! Acceptance: what a user is promised, on real processes. Run by `tests/run acceptance`, one at a time:
//! `cargo test --release --test acceptance -- --ignored --test-threads=1 --nocapture`. Each test prints what it saw.

mod akkaflow;
mod attached;
mod big;
mod cluster;
mod definitions;
mod disk;
mod faults;
mod hosts;
#[path = "../fixtures/last_words.rs"]
mod last_words;
mod lease;
mod ledger;
mod limits;
mod links;
mod load;
mod mail;
mod members;
#[path = "../fixtures/net.rs"]
// Cuts in one direction are for tests/cluster.
#[allow(dead_code)]
mod net;
mod secrets;
#[path = "../connectors/server.rs"]
// Other databases are for tests/connectors.
#[allow(dead_code)]
mod server;
mod start;
mod takeover;
