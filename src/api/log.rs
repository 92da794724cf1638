//! Task logs by line: range, tail, search and waiting for more.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::time::Time;

/// Most lines of one page.
pub const LINES_MAX: u32 = 5_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    Stdout,
    Stderr,
    /// Written by Ractorflow, not by the task.
    System,
}

impl LogStream {
    pub fn word(self) -> &'static str {
        match self {
            LogStream::Stdout => "stdout",
            LogStream::Stderr => "stderr",
            LogStream::System => "system",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// Line number from 1, over all streams in order of arrival.
    pub n: u64,
    #[schema(value_type = String)]
    pub time: Time,
    pub stream: LogStream,
    /// Without the line end; decoded, never raw bytes. Long lines are cut and say so.
    pub text: String,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogStart {
    /// This line number, from 1.
    Line(u64),
    /// So many lines before the present end.
    Tail(u32),
}

/// What of which log. Node index and attempt number are resolved by the master that answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogQuery {
    pub instance: u64,
    /// `None`: the newest.
    pub generation: Option<u32>,
    pub node: String,
    pub index: u32,
    /// `None`: the newest attempt.
    pub attempt: Option<u32>,
    pub start: LogStart,
    /// At most `LINES_MAX`.
    pub limit: u32,
    /// Only lines that contain this text (not a pattern).
    pub grep: Option<String>,
    pub stream: Option<LogStream>,
    /// When nothing is past `start` and the attempt still runs: wait so long for a line. At most 30 s.
    pub wait_ms: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogPage {
    pub lines: Vec<LogLine>,
    /// Line to ask for next; with `grep` the first line not looked at.
    pub next: u64,
    /// No line will come after `next`.
    pub ended: bool,
    /// Lines known so far.
    pub total: u64,
    /// The attempt that this is the log of.
    pub attempt: u32,
    pub generation: u32,
    /// Some lines between head and tail were dropped at the size cap.
    pub is_cut: bool,
}
