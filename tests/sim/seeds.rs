//! Seeds that failed once, each with what it showed. They run first, with all checks after every step.

pub const NAMED: &[(u64, &str)] = &[];
