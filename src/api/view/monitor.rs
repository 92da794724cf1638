//! What data-monitor nodes measured.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::time::Time;
use crate::model::message::Message;

/// A node that has measured something, with the newest of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MonitorView {
    pub workflow: String,
    pub node: String,
    /// How many measurements are kept of it.
    pub measurements: u32,
    /// The newest ones, newest first, at most 30; only the first with its message.
    pub recent: Vec<MeasurementView>,
}

/// One number, and the bounds that it was held to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MeasurementView {
    /// Of its event; a later one is larger.
    pub seq: u64,
    /// On the worker's clock.
    #[schema(value_type = String)]
    pub at: Time,
    /// Exact decimal numbers, as texts.
    pub value: String,
    /// Inclusive; null: there was no such bound.
    pub min: Option<String>,
    pub max: Option<String>,
    pub is_within: bool,
    /// What the node said when it failed.
    #[schema(value_type = Option<String>)]
    pub message: Option<Message>,
    pub instance: u64,
    pub generation: u32,
    pub attempt: u32,
    /// False: the instance was deleted since.
    pub is_instance_kept: bool,
}
