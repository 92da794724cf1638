//! The wall clock of this process, for ages and deadlines of sessions. Times of instances come from masters.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::time::Timestamp;

pub fn now() -> Timestamp {
    let ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    Timestamp(i64::try_from(ms).unwrap_or(i64::MAX))
}
