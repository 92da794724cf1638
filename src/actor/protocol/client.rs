//! What an HttpServer and a master say to each other, beside the requests and views of `api`.

use serde::{Deserialize, Serialize};

use crate::api::{EventView, LogStart, LogStream};
use crate::model::id::AttemptId;

/// Asks for what happened after `after`; `None`: only from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsAfter {
    pub after: Option<u64>,
    pub limit: u32,
    /// How long the answer may be held back while nothing happens.
    pub wait_ms: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventsPage {
    pub events: Vec<EventView>,
    /// To be asked for next.
    pub next: u64,
    /// What came before `next` is not kept any more: load the view again.
    pub is_reset: bool,
}

/// Lines of the log of an attempt, as one master has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogCopyRead {
    pub attempt: AttemptId,
    pub start: LogStart,
    pub limit: u32,
    pub grep: Option<String>,
    pub stream: Option<LogStream>,
}
