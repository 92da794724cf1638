//! Directories of definitions, their files and what could not be loaded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::model::diagnostic::Diagnostic;
use crate::model::id::{Boot, ContentHash, MasterId, Principal, SourceId, VersionNumber, WorkflowName};
use crate::model::message::Message;
use crate::model::time::Timestamp;

use super::super::command::Reply;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub id: SourceId,
    /// As its reporter names it.
    pub directory: String,
    /// Masters that see it, with the boot in which they said so.
    pub offers: BTreeMap<MasterId, Boot>,
    /// Whose reports count; `None` until one that sees it is up.
    pub reporter: Option<MasterId>,
    /// Number of the last report taken from it.
    pub reports: u64,
}

/// A file below a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    pub source: SourceId,
    pub path: String,
    pub content: ContentHash,
    /// The workflow that this file last defined, also while the file is broken.
    pub workflow: Option<WorkflowName>,
    pub state: FileState,
    /// Errors and warnings of its last reading.
    pub diagnostics: Vec<Diagnostic>,
    pub seen: Timestamp,
    /// Gone since then; deleted for good 10 s later.
    pub missing: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// Its content is this version.
    Loaded { version: VersionNumber },
    /// It has errors; the last good version stays.
    Failed,
    /// Another source or `workflow apply` gave the current version, and this copy differs: `workflow apply` decides.
    Differs,
    /// The workflow was deleted by an operator: the file is not loaded until it changes.
    Dismissed,
    /// Another file of this source defines the same workflow.
    Duplicate { other: String },
}

/// A path with its content hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogicalFile {
    pub path: String,
    pub content: ContentHash,
}

/// A piece of a definition on its way through the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    pub hash: ContentHash,
    #[serde(with = "super::bytes")]
    pub bytes: Vec<u8>,
    pub stored: Timestamp,
}

/// The answer given to a request key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub by: Principal,
    pub key: String,
    pub digest: ContentHash,
    pub reply: Reply,
    pub at: Timestamp,
}

/// Something a person should see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    pub number: u64,
    pub at: Timestamp,
    /// `workflow:orders`, `worker:w1`, `cluster`.
    pub subject: String,
    pub message: Message,
}
