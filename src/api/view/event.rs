//! The event stream: what happened, in order, small enough to send to every open page.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::time::Time;
use crate::model::message::Message;
use crate::model::state::{InstanceWord, NodeWord};

/// One thing that happened. The id of its server-sent event is `seq`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventView {
    pub seq: u64,
    #[schema(value_type = String)]
    pub time: Time,
    pub topic: Topic,
    /// Past-tense word: `instance_created`, `node_finished`, ….
    pub kind: String,
    pub workflow: Option<String>,
    pub instance: Option<u64>,
    pub generation: Option<u32>,
    pub node: Option<String>,
    pub attempt: Option<u32>,
    pub worker: Option<String>,
    /// State of the instance after the event, where it changed.
    #[schema(value_type = Option<String>)]
    pub instance_state: Option<InstanceWord>,
    /// State of the node after the event, where it changed.
    #[schema(value_type = Option<String>)]
    pub node_state: Option<NodeWord>,
    /// One line for people: why it happened.
    #[schema(value_type = String)]
    pub text: Message,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    Workflow,
    Instance,
    Cluster,
}

impl Topic {
    pub const ALL: &'static [Topic] = &[Topic::Workflow, Topic::Instance, Topic::Cluster];

    pub fn word(self) -> &'static str {
        match self {
            Topic::Workflow => "workflow",
            Topic::Instance => "instance",
            Topic::Cluster => "cluster",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|topic| topic.word() == word)
    }
}
