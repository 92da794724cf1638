//! The `ractorflow` binary: wiring, no rules.

fn main() {}
