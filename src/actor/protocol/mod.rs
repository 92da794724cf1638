//! Bodies of the messages that cross machines, one file per pair of roles.
//!
//! Owns their types and their encoding: one version byte, then MessagePack with field names, so that a reader
//! of another release can skip fields it does not know and default those it misses. Every type here is a
//! contract: add fields with `#[serde(default)]`, never rename. Knows no transport. Start at `worker`.

mod byte_string;
pub mod client;
pub mod definition;
pub mod kind;
pub mod link;
pub mod voter;
pub mod worker;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Version of the encoding. Raised only when a body can no longer be read field by field.
pub const VERSION: u8 = 1;

#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    #[error("the message is empty")]
    Empty,
    #[error("the message has version {0}, this build reads {VERSION}")]
    Version(u8),
    #[error("the message cannot be read: {0}")]
    Decode(#[from] rmp_serde::decode::Error),
    #[error("the message cannot be written: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
}

pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, ProtocolError> {
    let mut out = Vec::with_capacity(256);
    out.push(VERSION);
    rmp_serde::encode::write_named(&mut out, message)?;
    Ok(out)
}

/// Data from another process: a wrong byte is an error, never a panic.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ProtocolError> {
    match bytes.split_first() {
        None => Err(ProtocolError::Empty),
        Some((&VERSION, body)) => Ok(rmp_serde::from_slice(body)?),
        Some((&version, _)) => Err(ProtocolError::Version(version)),
    }
}
