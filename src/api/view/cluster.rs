//! The cluster: nodes, workers, health, metrics.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::time::Time;
use crate::model::message::Message;

/// Who leads, would we survive a loss, where is room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClusterView {
    /// Where pages and API answer: `http://127.0.0.1:8090`. Filled in by the HttpServer that answers.
    pub http: String,
    pub nodes: Vec<ClusterNodeView>,
    pub name: String,
    pub version: String,
    /// Who is active; null while nobody is.
    pub leader: Option<String>,
    pub epoch: u64,
    pub seq: u64,
    /// What the log may hold; `cluster finalize-upgrade` raises it.
    #[serde(default)]
    pub feature_level: u32,
    /// All voters can read this level, higher than the one in force.
    #[serde(default)]
    pub feature_level_possible: Option<u32>,
    pub votes: u32,
    pub voters: u32,
    /// One sentence on what the cluster would survive.
    #[schema(value_type = String)]
    pub verdict: Message,
    pub is_healthy: bool,
    pub workers: Vec<WorkerView>,
    /// The newest last, at most 50.
    pub events: Vec<ClusterEventView>,
    /// Where the page of events before these begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_before: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct ClusterNodeView {
    pub id: String,
    /// `master worker http`.
    pub roles: Vec<String>,
    pub pid: Option<u32>,
    /// `up suspect down draining`.
    pub state: String,
    /// True on the active master alone.
    pub leader: bool,
    /// The epoch it knows; what workers and fences call the term.
    pub term: u64,
    pub address: Option<String>,
    pub version: Option<String>,
    /// Whom this node takes for the leader.
    pub sees_leader: Option<String>,
    /// Of masters: `active standby learner outside`; a learner receives the log and does not vote.
    pub role_state: Option<String>,
    /// Entries of the log that it has not got yet, as the active master sees it.
    pub lag_entries: Option<u64>,
    pub applied_seq: Option<u64>,
    #[schema(value_type = Option<String>)]
    pub started: Option<Time>,
    #[schema(value_type = Option<String>)]
    pub last_seen: Option<Time>,
    pub rtt_us: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkerView {
    pub id: String,
    /// `up suspect down draining dead`.
    pub state: String,
    pub host: String,
    pub address: Option<String>,
    pub pid: Option<u32>,
    pub version: Option<String>,
    pub labels: Vec<String>,
    pub slots: u32,
    pub slots_used: u32,
    #[schema(value_type = Option<String>)]
    pub since: Option<Time>,
    #[schema(value_type = Option<String>)]
    pub last_seen: Option<Time>,
    /// At most 100.
    pub running: Vec<WorkerAttemptView>,
    /// How many more there are.
    #[serde(default)]
    pub running_more: u32,
    /// What a person should know: `lost 3 attempts, waits to come back or for declare-dead`.
    #[schema(value_type = Option<String>)]
    pub message: Option<Message>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerAttemptView {
    pub attempt: String,
    pub instance: u64,
    pub workflow: String,
    pub node: String,
    pub number: u32,
    #[schema(value_type = Option<String>)]
    pub started: Option<Time>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClusterEventView {
    #[schema(value_type = String)]
    pub time: Time,
    #[schema(value_type = String)]
    pub text: Message,
}

impl From<super::EventView> for ClusterEventView {
    fn from(event: super::EventView) -> Self {
        Self { time: event.time, text: event.text }
    }
}

/// What an HttpServer knows of the masters without asking.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct HealthView {
    /// A session with at least one master is up.
    pub is_connected: bool,
    pub leader: Option<String>,
    pub epoch: u64,
    /// Since the leader was last heard; `None`: never.
    pub leader_age_ms: Option<u64>,
    /// This very process is the active master (standalone).
    pub is_leader_here: bool,
    pub seq: u64,
}

/// One sample for /metrics. The prefix `ractorflow_` is added there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MetricView {
    /// Without prefix, base units, counters end in `_total`.
    pub name: String,
    pub help: String,
    /// `counter` or `gauge`.
    pub kind: String,
    pub labels: Vec<(String, String)>,
    pub value: f64,
}
