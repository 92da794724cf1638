//! The status page: is all right, and what to do first?

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::time::Time;
use crate::model::message::Message;
use crate::model::state::InstanceWord;

use super::instance::InstanceSummary;
use super::workflow::NextFireView;

/// Fires of today are counted up to this.
pub const DUE_TODAY_MAX: u32 = 1_000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StatusView {
    pub counts: InstanceCounts,
    pub workflows: u32,
    pub workflows_enabled: u32,
    pub load_errors: u32,
    /// Fires still to come today, in the cluster's zone; counted up to 1,000.
    pub due_today: u32,
    pub cluster: ClusterBrief,
    /// Worst first, at most 100.
    pub attention: Vec<AttentionView>,
    /// Oldest first, at most 50.
    pub running: Vec<InstanceSummary>,
    /// Newest first, at most 20.
    pub finished: Vec<InstanceSummary>,
    /// The next fire of each workflow, soonest first, at most 20.
    pub upcoming: Vec<NextFireView>,
    /// The last 14 days, oldest first, today last.
    pub days: Vec<DayView>,
}

/// Instances by state. The terminal ones: of the last 14 days; `failed` that no later success made good stand in
/// `unresolved`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct InstanceCounts {
    pub queued: u64,
    pub running: u64,
    pub paused: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub killed: u64,
    pub unresolved: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ClusterBrief {
    pub is_healthy: bool,
    pub leader: Option<String>,
    pub epoch: u64,
    pub votes: u32,
    pub voters: u32,
    pub workers_up: u32,
    pub workers: u32,
    pub slots: u32,
    pub slots_used: u32,
    /// What is wrong, in words.
    #[schema(value_type = Option<String>)]
    pub message: Option<Message>,
}

/// Something that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttentionView {
    pub kind: AttentionKind,
    #[schema(value_type = String)]
    pub since: Time,
    /// One line: what is the matter.
    #[schema(value_type = String)]
    pub text: Message,
    /// The task's or the parser's own words.
    #[schema(value_type = Option<String>)]
    pub detail: Option<Message>,
    pub workflow: Option<String>,
    pub instance: Option<u64>,
    pub node: Option<String>,
    pub attempt: Option<u32>,
    pub worker: Option<String>,
    /// Id of a load error.
    pub load_error: Option<String>,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub column: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttentionKind {
    Failed,
    TimedOut,
    Lost,
    LoadError,
    /// The longest-waiting node has been queued for long.
    Stuck,
    Paused,
    WorkerDown,
    /// The mail server does not take what is owed, or a mail was given up.
    Mail,
    Source,
    Clock,
    Disk,
    Cluster,
}

/// Instances that ended on a day (today also those that run), by their end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DayView {
    /// `yyyy-MM-dd` in the cluster's zone.
    pub date: String,
    pub succeeded: u64,
    pub failed: u64,
    pub killed: u64,
    pub running: u64,
}

impl InstanceCounts {
    pub fn of(&self, state: InstanceWord) -> u64 {
        match state {
            InstanceWord::Queued => self.queued,
            InstanceWord::Running => self.running,
            InstanceWord::Paused => self.paused,
            InstanceWord::Succeeded => self.succeeded,
            InstanceWord::Failed => self.failed,
            InstanceWord::Killed => self.killed,
        }
    }
}

impl StatusView {
    /// For people: `1000+` where counting stopped.
    pub fn due_today_text(&self) -> String {
        let more = if self.due_today >= DUE_TODAY_MAX { "+" } else { "" };
        format!("{}{more}", self.due_today)
    }
}
