//! Hosts that are reached by SSH: file links of type SFTP. Here are the session, the trust in the host and a command
//! that ends with its session; what the session carries for files is in `file`.
//!
//! Must not know what a node is. Start reading at `Session::open`, then `remote`.

mod error;
#[cfg(feature = "ssh")]
mod remote;
#[cfg(feature = "ssh")]
mod session;
#[cfg(feature = "ssh")]
mod trust;

#[cfg(not(feature = "ssh"))]
use std::{path::Path, time::Duration};

#[cfg(feature = "ssh")]
pub(super) use error::place;
pub use error::{ErrorKind, SshError};
#[cfg(feature = "ssh")]
pub use session::Session;

#[cfg(not(feature = "ssh"))]
use super::link::FileLink;

pub const PORT: u16 = 22;

/// A command for the other host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    /// Run by the program that its first line names (`#!`), else by bash, else by sh.
    pub text: String,
    /// Names that a shell could not export are left out.
    pub environment: Vec<(String, String)>,
    /// The text of `$RF_PARAMS` there.
    pub params: String,
}

/// What comes from the other host while the command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

/// How the command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// As a shell would show it: 128 and the signal's number for one that a signal ended.
    pub exit_code: u32,
    /// What it wrote to `$RF_OUTPUT`.
    pub outputs: Vec<u8>,
}

/// A session where this build has none.
#[cfg(not(feature = "ssh"))]
pub struct Session(std::convert::Infallible);

#[cfg(not(feature = "ssh"))]
impl Session {
    pub async fn open(link: &FileLink, _conf_dir: &Path, _within: Duration) -> Result<Self, SshError> {
        Err(SshError::new(link, ErrorKind::NotBuilt))
    }

    pub async fn run(
        &self,
        _script: &Script,
        _stop: impl Future<Output = ()>,
        _line: impl FnMut(Stream, &str),
    ) -> Result<Ended, SshError> {
        match self.0 {}
    }
}
