//! What can go wrong on the link, as seen by its users.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The link could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error(
        "use {address} for the cluster link: this node has no certificate of the cluster, and without one the link stays \
         on loopback (127.0.0.1 or ::1)"
    )]
    NoCertificate { address: SocketAddr },
    #[error("use {address} for the cluster link: others need an address of this host that they can reach")]
    Unspecified { address: SocketAddr },
    #[error("use {} for the cluster link: {why}", path.display())]
    Certificate { path: PathBuf, why: String },
    #[error("listen on {address} for the cluster link: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("use a cluster cookie of {bytes} bytes: at least {bytes_min} random bytes are needed")]
    ShortCookie { bytes: usize, bytes_min: usize },
    #[error("use the node name {0:?}: 1 to 64 of letters, digits, '.', '_' and '-' are allowed")]
    BadName(String),
    /// ractor's registries belong to the process.
    #[error("start a second networked link in one process")]
    SecondNetwork,
    #[error("start the link's actors: {0}")]
    Actor(String),
    #[error("get random bytes for the link: {0}")]
    Random(String),
}

/// A message was not taken. `Ok` in turn means queued here, not received there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    #[error("send: the session is over")]
    Down,
    /// The queue towards the peer is full; nothing was queued.
    #[error("send: the queue towards the peer is full")]
    Busy,
    #[error("send {bytes} bytes: a message may have {bytes_max}, larger things go over bulk")]
    TooLarge { bytes: usize, bytes_max: usize },
}

/// A call got no answer, or the answer was no. After `Timeout` and `Down` it is unknown whether the other
/// side acted: repeat with the same id, never with a new one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("get an answer in time")]
    Timeout,
    #[error("get an answer: the session is over")]
    Down,
    /// The other side does not know this kind of message; it did nothing.
    #[error("get an answer: the peer does not know this kind of message")]
    Unsupported,
    /// The queue here or the calls there are at their bound; nothing was done.
    #[error("get an answer: the peer is busy")]
    Busy,
    #[error("send {bytes} bytes: a message may have {bytes_max}, larger things go over bulk")]
    TooLarge { bytes: usize, bytes_max: usize },
    /// The other side's handler said no.
    #[error("get a positive answer: {0}")]
    Refused(String),
}

impl From<SendError> for CallError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Down => CallError::Down,
            SendError::Busy => CallError::Busy,
            SendError::TooLarge { bytes, bytes_max } => CallError::TooLarge { bytes, bytes_max },
        }
    }
}

/// A handler's no. Answers that a caller acts upon belong in the body of a reply instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    #[error("unsupported")]
    Unsupported,
    #[error("busy")]
    Busy,
    #[error("{0}")]
    Refused(String),
}

impl From<Refusal> for CallError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unsupported => CallError::Unsupported,
            Refusal::Busy => CallError::Busy,
            Refusal::Refused(text) => CallError::Refused(text),
        }
    }
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DownReason {
    #[error("the connection was closed")]
    Closed,
    #[error("nothing was heard for {silent_ms} ms")]
    Silent { silent_ms: u64 },
    #[error("its queue stayed full for {over_ms} ms")]
    OverBudget { over_ms: u64 },
    #[error("a newer session of the same node took over")]
    Evicted,
    #[error("it broke the protocol: {0}")]
    Protocol(String),
    /// By `Peer::cut`.
    #[error("cut: {0}")]
    Cut(String),
    #[error("the link was stopped")]
    Stopped,
}
