//! The only place that reads the clocks for the engine.

use crate::engine::command::Now;
use crate::model::duration::Millis;
use crate::model::time::Timestamp;

pub fn now() -> Now {
    Now { wall: wall(), mono: boottime() }
}

pub fn wall() -> Timestamp {
    std::time::SystemTime::now().into()
}

/// Milliseconds that the machine has been up, also while it slept.
pub fn boottime() -> Millis {
    let clock = nix::time::ClockId::CLOCK_BOOTTIME;
    nix::time::clock_gettime(clock).map_or(Millis(0), |at| Millis(at.tv_sec() * 1000 + at.tv_nsec() / 1_000_000))
}

/// `boottime` as the shim counts it.
pub fn boot_ms() -> u64 {
    boottime().0.max(0) as u64
}
