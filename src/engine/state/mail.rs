//! Mails that are owed: to whom, about what, and whether the mail server takes them.

use serde::{Deserialize, Serialize};

use crate::model::id::{Generation, InstanceNumber, NodeName, WorkflowName};
use crate::model::message::Message;
use crate::model::time::Timestamp;

use super::InstanceEnd;

/// One mail, from the moment on that something is owed to its receivers until the mail server has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedMail {
    pub number: u64,
    /// In order, each once.
    pub to: Vec<String>,
    /// Oldest first, at least one.
    pub items: Vec<MailItem>,
    pub opened: Timestamp,
    /// Until then more is added to it.
    pub due: Timestamp,
    /// Nothing is added any more: it is being handed in, by whoever leads.
    pub is_closed: bool,
}

/// What a mail tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailItem {
    pub instance: InstanceNumber,
    pub generation: Generation,
    pub workflow: WorkflowName,
    pub about: MailAbout,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailAbout {
    Ended {
        end: InstanceEnd,
    },
    /// The node failed so often that somebody should know, and is tried again.
    Retrying {
        node: NodeName,
    },
    /// ... and succeeded after that.
    Recovered {
        node: NodeName,
    },
}

impl MailAbout {
    /// Part of the Message-ID.
    pub fn word(&self) -> &'static str {
        match self {
            MailAbout::Ended { end: InstanceEnd::Succeeded } => "succeeded",
            MailAbout::Ended { end: InstanceEnd::Failed } => "failed",
            MailAbout::Ended { end: InstanceEnd::Killed } => "killed",
            MailAbout::Retrying { .. } => "retrying",
            MailAbout::Recovered { .. } => "recovered",
        }
    }
}

/// How a mail ceased to be owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailEnd {
    /// The mail server has it.
    Sent,
    /// Nobody can get it, or it has waited for too long.
    Dropped { why: Message },
}

/// The mail server does not take what is owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailTrouble {
    pub since: Timestamp,
    pub why: Message,
}
