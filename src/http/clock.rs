//! The wall clock of this process, for ages and deadlines of sessions. Times of instances come from masters.

use std::time::SystemTime;

use crate::model::time::Timestamp;

pub fn now() -> Timestamp {
    SystemTime::now().into()
}
