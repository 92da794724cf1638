//! What a worker needs of its link to a master.

use async_trait::async_trait;

use crate::actor::protocol::worker::{LogAck, LogChunk, Register, Registered, WorkerMessage};
use crate::cluster::ByteReader;
use crate::model::id::ContentHash;

#[derive(Debug, thiserror::Error)]
pub enum LinkFailed {
    /// It may or may not have arrived: say it again later, as it is.
    #[error("the link to the master failed: {0}")]
    Broken(String),
    /// The master answers and says no.
    #[error("the master refuses: {0}")]
    Refused(String),
}

/// One session of the link with one master.
#[async_trait]
pub trait MasterLink: Send + Sync + 'static {
    /// The master's node name.
    fn master(&self) -> &str;

    /// Queues a message; casts arrive in order.
    fn cast(&self, message: &WorkerMessage) -> Result<(), LinkFailed>;

    async fn register(&self, register: Box<Register>) -> Result<Registered, LinkFailed>;

    /// A file of a version, by content, from an offset on.
    async fn read_file(&self, hash: &ContentHash, offset: u64) -> Result<ByteReader, LinkFailed>;

    /// Hands over bytes of a log and learns how much is on the master's disk.
    async fn put(&self, chunk: LogChunk) -> Result<LogAck, LinkFailed>;
}
