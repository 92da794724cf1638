//! What went wrong with a file: which one, of which link, and what its file system says of it. Never a secret.

use std::io;
use std::path::PathBuf;

use crate::connector::link::FileKind;
use crate::model::message::Message;
use crate::say;

/// `place` is the path, with link and address where it is not on this host: `landing:/in/a.csv (etl@10.1.2.5:22)`.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.why().english())]
pub enum FileError {
    /// This build has nothing that opens it.
    NotBuilt {
        link: String,
        kind: FileKind,
        feature: &'static str,
    },
    /// The link is written in a way that cannot work.
    Link {
        link: String,
        why: Message,
    },
    /// The file system cannot be reached, or does not let us in.
    Closed {
        said: Message,
        is_for_good: bool,
    },
    Relative {
        path: PathBuf,
    },
    /// Of this host, or of another one.
    NotFound {
        place: String,
        is_here: bool,
    },
    NoDirectory {
        place: String,
        is_here: bool,
    },
    NotAFile {
        place: String,
    },
    /// Somebody else writes it at this moment.
    Busy {
        place: String,
    },
    TooManyEntries {
        place: String,
        max: usize,
    },
    /// Of this host.
    Io {
        place: String,
        error: io::Error,
    },
    /// The other side does not take who we say we are, in its words.
    Denied {
        place: String,
        why: Message,
    },
    /// In the words of the other side.
    Refused {
        place: String,
        why: Message,
    },
    /// We were told to end.
    Stopped,
}

impl FileError {
    /// In one line.
    pub fn said(&self) -> Message {
        match self {
            Self::NotBuilt { link, kind, feature } => {
                say!("file link {}: {} is not in this build (cargo feature {})", link, kind.word(), *feature)
            }
            Self::Link { link, why } => say!("file link {}: {}", link, why),
            Self::Closed { said, .. } => said.clone(),
            Self::Relative { path } if path.to_string_lossy().contains("://") => say!(
                "{} is an address: write file-link=\"NAME\" for a link of conf/file_links.xml, and the path alone",
                path
            ),
            Self::Relative { path } => say!("the path {} must be absolute", path),
            Self::NotFound { place, is_here: true } => say!("there is no file {} on this worker", place),
            Self::NotFound { place, is_here: false } => say!("there is no file {}", place),
            Self::NoDirectory { place, is_here: true } => say!("there is no directory {} on this worker", place),
            Self::NoDirectory { place, is_here: false } => say!("there is no directory {}", place),
            Self::NotAFile { place } => say!("{} is not a regular file", place),
            Self::Busy { place } => say!("another transfer is writing {}", place),
            Self::TooManyEntries { place, max } => {
                say!("{} has more than {} entries (worker.monitor_entries_max)", place, *max)
            }
            Self::Io { place, error } => say!("{}: {}", place, error.to_string()),
            Self::Denied { place, why } | Self::Refused { place, why } => say!("{}: {}", place, why),
            Self::Stopped => say!("killed"),
        }
    }

    /// Where a directory was asked for: it is that which is missing.
    pub(super) fn of_directory(self) -> Self {
        match self {
            Self::NotFound { place, is_here } => Self::NoDirectory { place, is_here },
            other => other,
        }
    }

    /// Without the place, for one who says it himself.
    pub fn why(&self) -> Message {
        match self {
            Self::Io { error, .. } => Message::verbatim(error.to_string()),
            Self::Denied { why, .. } | Self::Refused { why, .. } => why.clone(),
            other => other.said(),
        }
    }

    /// The same again would fail again.
    pub fn is_for_good(&self) -> bool {
        match self {
            Self::NotBuilt { .. } | Self::Link { .. } | Self::Relative { .. } => true,
            Self::Closed { is_for_good, .. } => *is_for_good,
            _ => false,
        }
    }
}

impl From<FileError> for io::Error {
    fn from(error: FileError) -> Self {
        io::Error::other(error)
    }
}

/// What an error of a stream of ours says, without the place.
pub fn said(error: &io::Error) -> Message {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<FileError>()) {
        Some(inner) => inner.why(),
        None => Message::verbatim(error.to_string()),
    }
}
