//! What an SSH server refused, or why it was not asked: named by link and address, with what to do. Never a secret.

use std::path::PathBuf;

use crate::connector::link::FileLink;
use crate::model::message::Message;
use crate::say;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.said().english())]
pub struct SshError {
    pub link: String,
    /// `user@host:port`.
    pub place: String,
    pub kind: ErrorKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    /// This build has nothing that opens it.
    NotBuilt,
    /// The link is of another kind.
    NotSsh { word: &'static str },
    /// Nobody answers there: another time it may.
    Unreachable(Message),
    /// Nobody has said yet that this host is the right one.
    UnknownHost { fingerprint: String, known_hosts: PathBuf },
    /// It is not the host that was known under this name.
    ChangedHost { fingerprint: String, known_hosts: PathBuf, line: usize },
    /// It is not the host that the link names by `host-key`.
    OtherHost { fingerprint: String },
    /// A private key of ours cannot be used.
    Key(Message),
    /// The server does not let us in; what it would accept.
    Login { accepts: String },
    /// What was asked for.
    Refused(Message),
    /// The connection broke.
    Lost(Message),
}

impl SshError {
    pub(in crate::connector) fn new(link: &FileLink, kind: ErrorKind) -> Self {
        Self { link: link.name.clone(), place: place(link), kind }
    }

    /// The same again would fail again.
    pub fn is_for_good(&self) -> bool {
        !matches!(self.kind, ErrorKind::Unreachable(_) | ErrorKind::Lost(_) | ErrorKind::Login { .. })
    }

    /// In one line.
    pub fn said(&self) -> Message {
        let (link, place) = (&self.link, &self.place);
        match &self.kind {
            ErrorKind::NotBuilt => say!("link {} ({}): this build has no SSH (cargo feature ssh)", link, place),
            ErrorKind::NotSsh { word } => {
                say!("link {} is of type {}: a host for SSH is a file link of type SFTP", link, *word)
            }
            ErrorKind::Unreachable(why) => say!("link {} ({}) cannot be reached: {}", link, place, why),
            ErrorKind::UnknownHost { fingerprint, known_hosts } => say!(
                "link {} ({}): its host key {} is not known; if that is the host's, add it to {} (ssh-keyscan prints it) or name it in the link's property host-key",
                link,
                place,
                fingerprint,
                known_hosts
            ),
            ErrorKind::ChangedHost { fingerprint, known_hosts, line } => say!(
                "link {} ({}): its host key {} is not the one of line {} of {}; somebody may be in between, or the host was set up anew: then replace that line",
                link,
                place,
                fingerprint,
                *line,
                known_hosts
            ),
            ErrorKind::OtherHost { fingerprint } => {
                say!("link {} ({}): its host key {} is not the link's host-key", link, place, fingerprint)
            }
            ErrorKind::Key(why) => say!("link {} ({}): {}", link, place, why),
            ErrorKind::Login { accepts } if accepts.is_empty() => say!("link {} ({}) refuses the login", link, place),
            ErrorKind::Login { accepts } => {
                say!("link {} ({}) refuses the login; it accepts: {}", link, place, accepts)
            }
            ErrorKind::Refused(why) => say!("link {} ({}): {}", link, place, why),
            ErrorKind::Lost(why) => say!("link {} ({}): the connection was lost: {}", link, place, why),
        }
    }
}

pub(in crate::connector) fn place(link: &FileLink) -> String {
    format!("{}@{}:{}", link.username, link.host, link.port.unwrap_or(super::PORT))
}
