//! The level of words that a build knows, on the wire and in the log.

/// Rises with every message kind, event kind or field that older builds do not know. A peer's level says what may
/// be sent to it; the cluster's level (`cluster finalize-upgrade`) says what may be written into the log.
pub const FEATURE_LEVEL: u32 = 1;
