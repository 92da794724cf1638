//! An instance, its nodes and their attempts.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::time::Time;
use crate::model::message::Message;
use crate::model::state::{AttemptWord, InstanceWord, NodeWord};

use crate::api::window::LeftOut;

use super::workflow::EdgeView;

/// A row of a list of instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceSummary {
    pub number: u64,
    pub id: String,
    pub workflow: String,
    pub version: u32,
    #[schema(value_type = String)]
    pub state: InstanceWord,
    pub generation: u32,
    /// `scheduled triggered run backfill sub`.
    pub kind: String,
    /// Id of the trigger that fired, for scheduled ones.
    pub trigger: Option<String>,
    /// Who asked, for the others.
    pub by: Option<String>,
    #[schema(value_type = String)]
    pub created: Time,
    #[schema(value_type = Option<String>)]
    pub started: Option<Time>,
    #[schema(value_type = Option<String>)]
    pub finished: Option<Time>,
    /// So far, while it runs.
    pub duration_ms: Option<i64>,
    /// Median of the last successes of this workflow.
    pub usual_ms: Option<i64>,
    #[schema(value_type = Option<String>)]
    pub nominal: Option<Time>,
    pub business_date: Option<String>,
    pub nodes_total: u32,
    /// In a terminal state.
    pub nodes_done: u32,
    /// Nodes by state, in the order of the states, zeros left out.
    pub progress: Vec<StateCount>,
    /// Names of running nodes, at most 3.
    pub now_on: Vec<String>,
    /// Why it ended so, or the first failure so far.
    #[schema(value_type = Option<String>)]
    pub message: Option<Message>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateCount {
    #[schema(value_type = String)]
    pub state: NodeWord,
    pub count: u32,
}

/// Everything about one instance, for one generation of it; of its nodes a window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InstanceView {
    pub number: u64,
    /// Internal UUID.
    pub id: String,
    pub workflow: String,
    pub version: u32,
    #[schema(value_type = String)]
    pub state: InstanceWord,
    /// In the order of the definition, unless another one was asked for; at most 500 of them.
    pub nodes: Vec<NodeView>,
    /// Those that leave the nodes of the window.
    pub edges: Vec<EdgeView>,
    /// Cursor of the nodes and edges that come after; null: there are none.
    #[serde(default)]
    pub nodes_next: Option<String>,
    /// The node to look at, when one was asked for.
    #[serde(default)]
    pub focus: Option<Box<NodeView>>,
    /// In a window around a node: what leads out of it.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// The generation that `nodes` are of.
    pub generation: u32,
    /// The newest 200, oldest first.
    pub generations: Vec<GenerationView>,
    pub kind: String,
    pub trigger: Option<String>,
    pub by: Option<String>,
    pub reason: Option<String>,
    #[schema(value_type = String)]
    pub created: Time,
    #[schema(value_type = Option<String>)]
    pub started: Option<Time>,
    #[schema(value_type = Option<String>)]
    pub finished: Option<Time>,
    pub duration_ms: Option<i64>,
    pub usual_ms: Option<i64>,
    #[schema(value_type = Option<String>)]
    pub nominal: Option<Time>,
    pub business_date: Option<String>,
    pub zone: Option<String>,
    pub params: Vec<ParamView>,
    pub outputs: Vec<ParamView>,
    /// `failing warnings late forced`.
    pub marks: Vec<String>,
    pub nodes_total: u32,
    pub nodes_done: u32,
    pub progress: Vec<StateCount>,
    /// Why it is not running or not going on; `None` when nothing holds it.
    pub why: Option<WhyView>,
    /// Why it ended so.
    #[schema(value_type = Option<String>)]
    pub message: Option<Message>,
    /// Leaderships during its life, the last 100.
    pub epochs: Vec<u64>,
    /// Neighbours of the same workflow.
    pub previous: Option<u64>,
    pub next: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GenerationView {
    pub generation: u32,
    #[schema(value_type = String)]
    pub state: InstanceWord,
    pub version: u32,
    #[schema(value_type = Option<String>)]
    pub started: Option<Time>,
    #[schema(value_type = Option<String>)]
    pub finished: Option<Time>,
    /// Who asked for it, and how (`rerun from failed`).
    pub by: Option<String>,
    #[schema(value_type = Option<String>)]
    pub how: Option<Message>,
}

/// A value with where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ParamView {
    pub name: String,
    /// Secrets are shown as `••••`.
    pub value: String,
    /// `definition` or `external`.
    pub origin: String,
    /// Of an external parameter: `caller`, or what it was derived from, such as `load_sales #12`.
    #[serde(default)]
    pub source: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeView {
    pub name: String,
    /// `start end fork join kill`, or the word of the action.
    #[serde(rename = "type")]
    pub kind: String,
    #[schema(value_type = String)]
    pub state: NodeWord,
    /// The last 100, of one node alone the last 500.
    pub attempts: Vec<AttemptView>,
    /// How many there were in all.
    #[serde(default)]
    pub attempts_total: u32,
    /// Position in the definition: part of attempt ids.
    pub node_index: u32,
    pub description: Option<String>,
    /// Set by `mark`: who and why is in `message`.
    pub is_forced: bool,
    /// Kept from an earlier generation.
    pub is_kept: bool,
    /// When all it depends on was done.
    #[schema(value_type = Option<String>)]
    pub ready: Option<Time>,
    #[schema(value_type = Option<String>)]
    pub started: Option<Time>,
    #[schema(value_type = Option<String>)]
    pub finished: Option<Time>,
    /// From the first start to the end or now; while it waits for a retry, to the end of its last attempt.
    pub duration_ms: Option<i64>,
    /// Attempts allowed in all.
    pub attempts_max: u32,
    #[schema(value_type = Option<String>)]
    pub retry_at: Option<Time>,
    pub exit_code: Option<i32>,
    #[schema(value_type = Option<String>)]
    pub message: Option<Message>,
    pub outputs: Vec<ParamView>,
    /// On the longest path.
    pub is_critical: bool,
    /// Why it does not run; `None` when it does or is done.
    pub why: Option<WhyView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttemptView {
    pub number: u32,
    pub worker: String,
    #[schema(value_type = String)]
    pub state: AttemptWord,
    #[schema(value_type = Option<String>)]
    pub started: Option<Time>,
    #[schema(value_type = Option<String>)]
    pub finished: Option<Time>,
    pub exit_code: Option<i32>,
    /// `instance.generation.node.index.number`.
    pub id: String,
    pub index: u32,
    pub signal: Option<i32>,
    #[schema(value_type = String)]
    pub dispatched: Time,
    pub duration_ms: Option<i64>,
    /// `succeeded failed refused infrastructure out_of_memory attempt_timeout killed`.
    pub class: Option<String>,
    #[schema(value_type = Option<String>)]
    pub message: Option<Message>,
    pub epoch: u64,
    /// False when it never started, wrote nothing or its log was trimmed.
    pub has_log: bool,
}

/// Causes from sure to likely, and what would change it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct WhyView {
    /// One sentence.
    #[schema(value_type = String)]
    pub summary: Message,
    pub reasons: Vec<WhyReason>,
}

impl WhyView {
    /// The summary is not just the first reason again.
    pub fn says_more(&self) -> bool {
        !self.summary.is_empty() && self.reasons.first().is_none_or(|reason| reason.text != self.summary)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhyReason {
    /// Stable word: `no-free-slot`, `waiting-for-node`, ….
    pub code: String,
    #[schema(value_type = String)]
    pub text: Message,
    /// What would unblock it, as a sentence; commands as they are typed.
    #[schema(value_type = Option<String>)]
    pub unblock: Option<Message>,
    /// Since when it has been so.
    #[schema(value_type = Option<String>)]
    pub since: Option<Time>,
}
