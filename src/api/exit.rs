//! Exit codes of the command line. Each has one meaning in every command.

use crate::model::state::InstanceWord;

use super::error::ErrorCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExitCode {
    Ok = 0,
    Other = 1,
    Usage = 2,
    NotRunning = 3,
    Denied = 4,
    NotFound = 5,
    Conflict = 6,
    DefinitionInvalid = 7,
    /// The wait ended, the work goes on.
    TimedOutWaiting = 8,
    /// The user stopped watching, the work goes on.
    Detached = 9,
    InstanceFailed = 10,
    InstanceKilled = 11,
    /// Some targets of a bulk command succeeded, some did not.
    Partial = 12,
    /// `plan` and `diff`: there is something to change.
    ChangesPresent = 20,
}

impl ExitCode {
    pub const ALL: &'static [(ExitCode, &'static str)] = &[
        (ExitCode::Ok, "ok"),
        (ExitCode::Other, "other error"),
        (ExitCode::Usage, "usage"),
        (ExitCode::NotRunning, "cluster not running"),
        (ExitCode::Denied, "authentication or permission"),
        (ExitCode::NotFound, "not found"),
        (ExitCode::Conflict, "conflict"),
        (ExitCode::DefinitionInvalid, "definition invalid"),
        (ExitCode::TimedOutWaiting, "timed out waiting (work continues)"),
        (ExitCode::Detached, "detached (work continues)"),
        (ExitCode::InstanceFailed, "instance failed"),
        (ExitCode::InstanceKilled, "instance killed"),
        (ExitCode::Partial, "partial success"),
        (ExitCode::ChangesPresent, "changes present"),
    ];

    pub fn code(self) -> u8 {
        self as u8
    }

    /// How `--wait` ends for an instance; `None` while it has not ended.
    pub fn of_instance(state: InstanceWord) -> Option<Self> {
        match state {
            InstanceWord::Succeeded => Some(ExitCode::Ok),
            InstanceWord::Failed => Some(ExitCode::InstanceFailed),
            InstanceWord::Killed => Some(ExitCode::InstanceKilled),
            InstanceWord::Queued | InstanceWord::Running | InstanceWord::Paused => None,
        }
    }
}

impl From<ErrorCode> for ExitCode {
    fn from(code: ErrorCode) -> Self {
        code.meaning().exit
    }
}
