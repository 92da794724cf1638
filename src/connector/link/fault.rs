//! What is wrong with a file of links, where, and how to mend it. Never the value of a secret.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::read::{Element, Place};
use crate::model::diagnostic::Severity;
use crate::model::fault::nearest;
use crate::model::message::{Message, Value};
use crate::say;

/// Most names that an error lists.
const NAMES_SHOWN: usize = 20;

/// One fault at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkFault {
    pub severity: Severity,
    pub file: PathBuf,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    pub message: Message,
    /// How to mend it.
    pub hint: Option<Message>,
}

impl LinkFault {
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// In one line, with its place.
    pub fn said(&self) -> Message {
        // A link that the cluster keeps has no place in a file.
        match &self.hint {
            Some(hint) if self.line == 0 => say!("{} ({})", self.message, hint),
            None if self.line == 0 => self.message.clone(),
            Some(hint) => say!("{}:{}:{}: {} ({})", self.file, self.line, self.column, self.message, hint),
            None => say!("{}:{}:{}: {}", self.file, self.line, self.column, self.message),
        }
    }
}

/// Why a link cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum LinkError {
    Unknown {
        name: String,
        file: PathBuf,
        exists: bool,
        /// What the file has instead.
        names: Vec<String>,
    },
    /// The link, or the file before it could be found in it. Warnings may be among them.
    Faulty { name: String, faults: Vec<LinkFault> },
}

impl LinkError {
    pub fn said(&self) -> Message {
        match self {
            Self::Unknown { name, file, exists: false, .. } => {
                say!("there is no link \"{}\": the file {} does not exist", name, file)
            }
            Self::Unknown { name, file, names, .. } if names.is_empty() => {
                say!("there is no link \"{}\": {} has none", name, file)
            }
            Self::Unknown { name, file, names, .. } => {
                let shown = Value::list(names.iter().take(NAMES_SHOWN));
                match nearest(name, names.iter().map(String::as_str)) {
                    Some(near) => {
                        say!("there is no link \"{}\" in {} (did you mean {}?); it has {}", name, file, near, shown)
                    }
                    None => say!("there is no link \"{}\" in {}; it has {}", name, file, shown),
                }
            }
            Self::Faulty { name, faults } => {
                let errors = faults.iter().filter(|fault| fault.severity == Severity::Error);
                say!("link \"{}\" cannot be used: {}", name, Message::lines(errors.map(LinkFault::said)))
            }
        }
    }
}

/// Faults of one file while it is read.
pub(super) struct Faults<'a> {
    file: &'a Path,
    pub found: Vec<LinkFault>,
}

impl<'a> Faults<'a> {
    pub fn new(file: &'a Path) -> Self {
        Self { file, found: Vec::new() }
    }

    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|fault| fault.severity == Severity::Error)
    }

    /// For commands that a hint shows.
    pub fn file(&self) -> &Path {
        self.file
    }

    /// May others on this machine read the file?
    pub fn is_open_to_others(&self) -> bool {
        std::fs::metadata(self.file).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
    }

    pub fn error(&mut self, at: Place, message: Message, hint: impl Into<Option<Message>>) {
        self.push(Severity::Error, at, message, hint.into());
    }

    pub fn warning(&mut self, at: Place, message: Message, hint: impl Into<Option<Message>>) {
        self.push(Severity::Warning, at, message, hint.into());
    }

    fn push(&mut self, severity: Severity, at: Place, message: Message, hint: Option<Message>) {
        let file = self.file.to_owned();
        self.found.push(LinkFault { severity, file, line: at.line, column: at.column, message, hint });
    }
}

/// A name that an earlier link has: which of the two is meant nobody can know.
pub(super) fn repeated(element: &Element, all: &[Element], faults: &mut Faults<'_>) {
    let Some(name) = element.trimmed("name") else { return };
    let other = all.iter().find(|other| other.at != element.at && other.trimmed("name") == Some(name));
    if let Some(other) = other {
        let message = say!("link \"{}\" is there twice; the other is in line {}", name, other.at.line);
        faults.error(element.at, message, say!("give one of them another name"));
    }
}
