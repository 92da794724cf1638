//! Who answers reads and changes: implemented over the cluster link, and in memory for the page tests.

use std::pin::Pin;

use async_trait::async_trait;
use futures_util::Stream;

use super::change::{ChangeAnswer, ChangeEnvelope};
use super::error::ApiError;
use super::log::{LogPage, LogQuery};
use super::query::{Answer, QueryEnvelope};
use super::view::{EventView, HealthView};

pub type EventStream = Pin<Box<dyn Stream<Item = EventItem> + Send>>;

/// What an event stream carries.
#[derive(Debug, Clone, PartialEq)]
pub enum EventItem {
    Event(EventView),
    /// Events up to `seq` are no longer kept, or the stream fell behind: load the view again, go on from `seq`.
    Reset {
        seq: u64,
    },
}

/// The masters, as an HttpServer sees them. Fails over, retries reads, never retries a change under another key.
#[async_trait]
pub trait MasterClient: Send + Sync + 'static {
    async fn query(&self, query: QueryEnvelope) -> Result<Answer, ApiError>;

    /// Answered after commit.
    async fn change(&self, change: ChangeEnvelope) -> Result<ChangeAnswer, ApiError>;

    /// Events after seq `from`, in order, without a gap; `None`: only new ones. The stream survives the loss of
    /// a master and ends only at shutdown.
    async fn events(&self, from: Option<u64>) -> Result<EventStream, ApiError>;

    async fn log(&self, query: LogQuery) -> Result<LogPage, ApiError>;

    /// Known without asking anybody.
    fn health(&self) -> HealthView;
}
