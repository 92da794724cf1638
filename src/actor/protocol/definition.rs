//! What the watcher of a definitions directory says to the active Master.
//!
//! Two steps, so that an unchanged directory of ten thousand files costs ten thousand hashes and no text: the
//! watcher reports names and hashes, the Master answers which contents it wants.

use serde::{Deserialize, Serialize};

use crate::model::id::{ContentHash, SourceId};
use crate::model::message::Message;

/// Numbered from 1 in each run of the watcher; the first is a full listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReport {
    pub source: SourceId,
    /// The process that watches: `m1`.
    pub reporter: String,
    pub number: u64,
    /// `items` are all files of the directory.
    pub is_full: bool,
    pub items: Vec<ReportItem>,
}

/// Paths are relative to the directory, with `/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportItem {
    Present {
        path: String,
        hash: ContentHash,
    },
    Moved {
        from: String,
        to: String,
        hash: ContentHash,
    },
    /// Missing for longer than the grace.
    Gone {
        path: String,
    },
    Unreadable {
        path: String,
        reason: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SourceAnswer {
    /// Contents to send with `SourceContent`.
    pub wanted: Vec<String>,
    /// After a full listing: files that were known of this source and are not in it. The watcher reports them
    /// gone when they stay away.
    pub missing: Vec<(String, ContentHash)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceContent {
    pub source: SourceId,
    pub path: String,
    pub hash: ContentHash,
    #[serde(with = "super::byte_string")]
    pub bytes: Vec<u8>,
    /// Those that it names. The master has them already: they go before, over the bulk connection.
    #[serde(default)]
    pub files: Vec<ReportedFile>,
}

/// A file that a definition names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedFile {
    /// As it is written.
    pub path: String,
    pub found: Result<HeldFile, Message>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldFile {
    pub hash: ContentHash,
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::super::{decode, encode};
    use super::*;

    #[test]
    fn the_largest_file_fits_into_a_message_whatever_its_bytes() {
        let content = SourceContent {
            source: SourceId::from("a-source"),
            path: "a.xml".to_owned(),
            hash: ContentHash::from("f".repeat(64)),
            bytes: vec![0xe6; 4 << 20],
            files: Vec::new(),
        };
        let bytes = encode(&content).unwrap();
        assert!(bytes.len() < (4 << 20) + 1_000, "{}", bytes.len());
        assert_eq!(decode::<SourceContent>(&bytes).unwrap(), content);
    }
}
