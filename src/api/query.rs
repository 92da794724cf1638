//! Every read, as it goes to a master, and its reply.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::link::LinkKind;
use crate::model::message::Message;
use crate::model::state::InstanceWord;
use crate::say;

use super::page::{Page, PageRequest};
use super::time::Time;
use super::view::*;
use super::window::NodeWindow;

/// A read and how fresh it must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueryEnvelope {
    /// The answer must include everything up to this seq; `None`: at most a second stale.
    pub min_seq: Option<u64>,
    pub query: Query,
}

impl From<Query> for QueryEnvelope {
    fn from(query: Query) -> Self {
        Self { min_seq: None, query }
    }
}

/// Every read. Each variant names the reply it gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// `Reply::Status`
    Status,
    /// `Reply::Workflows`
    Workflows { filter: WorkflowFilter, page: PageRequest },
    /// `Reply::Folders`
    Folders,
    /// `Reply::Workflow`
    Workflow {
        name: String,
        #[serde(default)]
        nodes: NodeWindow,
    },
    /// `Reply::Versions`, newest first
    Versions { name: String, page: PageRequest },
    /// `Reply::Version`, with its text; `None`: the newest
    Version {
        name: String,
        version: Option<u32>,
        #[serde(default)]
        text: TextPart,
        #[serde(default)]
        nodes: NodeWindow,
    },
    /// `Reply::NextFires`, soonest first; `None`: of all workflows
    NextFires { name: Option<String>, limit: u32 },
    /// `Reply::Today`
    Today,
    /// `Reply::LoadErrors`; with `warnings` also the files that load with warnings
    LoadErrors {
        page: PageRequest,
        #[serde(default)]
        warnings: bool,
    },
    /// `Reply::LoadError`
    LoadError { id: String },
    /// `Reply::Check`: would this text load? Changes nothing.
    Check { path: String, text: String },
    /// `Reply::Instances`, newest first
    Instances { filter: InstanceFilter, page: PageRequest },
    /// `Reply::Instance`; `generation` `None`: the newest
    Instance {
        instance: InstanceRef,
        generation: Option<u32>,
        #[serde(default)]
        nodes: NodeWindow,
        /// How long the answer may be held back until the instance has ended. An older master answers at once.
        #[serde(default)]
        end_within_ms: u32,
    },
    /// `Reply::Events`, oldest first: why each transition happened
    InstanceEvents { instance: InstanceRef, page: PageRequest },
    /// `Reply::Monitors`, by workflow and node; `None`: of all workflows
    Monitors { workflow: Option<String>, page: PageRequest },
    /// `Reply::Measurements`, newest first
    Measurements { filter: MeasurementFilter, page: PageRequest },
    /// `Reply::Why`
    Why { subject: WhySubject },
    /// `Reply::Workers`
    Workers,
    /// `Reply::Cluster`
    Cluster,
    /// `Reply::Events`, newest first: what happened to the cluster as a whole
    ClusterEvents { page: PageRequest },
    /// `Reply::Links`: what the cluster keeps, and what its workers have in their files
    Links,
    /// `Reply::Link`, with its text masked
    Link { name: String, kind: Option<LinkKind> },
    /// `Reply::LinkTests`: opens it on workers, which takes its time; `from` `None`: on all
    TestLink { name: String, kind: Option<LinkKind>, from: Option<String> },
    /// `Reply::Metrics`
    Metrics,
}

impl Query {
    /// An instance with its first nodes.
    pub fn instance(instance: InstanceRef) -> Self {
        Query::Instance { instance, generation: None, nodes: NodeWindow::default(), end_within_ms: 0 }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Query::Status => "status",
            Query::Workflows { .. } => "workflows",
            Query::Folders => "folders",
            Query::Workflow { .. } => "workflow",
            Query::Versions { .. } => "versions",
            Query::Version { .. } => "version",
            Query::NextFires { .. } => "next_fires",
            Query::Today => "today",
            Query::LoadErrors { .. } => "load_errors",
            Query::LoadError { .. } => "load_error",
            Query::Check { .. } => "check",
            Query::Instances { .. } => "instances",
            Query::Instance { .. } => "instance",
            Query::InstanceEvents { .. } => "instance_events",
            Query::Monitors { .. } => "monitors",
            Query::Measurements { .. } => "measurements",
            Query::Why { .. } => "why",
            Query::Workers => "workers",
            Query::Cluster => "cluster",
            Query::ClusterEvents { .. } => "cluster_events",
            Query::Links => "links",
            Query::Link { .. } => "link",
            Query::TestLink { .. } => "test_link",
            Query::Metrics => "metrics",
        }
    }
}

/// Most bytes of a definition's text in one answer.
pub const TEXT_BYTES_MAX: u32 = 1024 * 1024;

/// Which part of a definition's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextPart {
    /// Byte to begin with.
    pub from: u64,
    /// At most `TEXT_BYTES_MAX`.
    pub bytes: u32,
}

impl Default for TextPart {
    fn default() -> Self {
        Self { from: 0, bytes: TEXT_BYTES_MAX }
    }
}

/// Which instance: `10342`, `#10342`, `last`, `last:<workflow>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceRef {
    Number(u64),
    Last,
    LastOf(String),
}

/// The text names no instance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.said().english())]
pub struct NotAnInstance {
    text: String,
}

impl NotAnInstance {
    pub fn said(&self) -> Message {
        say!("\"{}\" is not an instance (write a number, #number, last or last:workflow)", self.text)
    }
}

impl FromStr for InstanceRef {
    type Err = NotAnInstance;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text == "last" {
            return Ok(InstanceRef::Last);
        }
        if let Some(workflow) = text.strip_prefix("last:").filter(|name| !name.is_empty()) {
            return Ok(InstanceRef::LastOf(workflow.to_owned()));
        }
        let digits = text.strip_prefix('#').unwrap_or(text);
        match digits.parse() {
            Ok(number) if digits.bytes().all(|b| b.is_ascii_digit()) => Ok(InstanceRef::Number(number)),
            _ => Err(NotAnInstance { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for InstanceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InstanceRef::Number(number) => write!(f, "{number}"),
            InstanceRef::Last => f.write_str("last"),
            InstanceRef::LastOf(workflow) => write!(f, "last:{workflow}"),
        }
    }
}

/// What "why" is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhySubject {
    Instance(InstanceRef),
    Node {
        instance: InstanceRef,
        node: String,
    },
    /// Why did it (not) fire.
    Workflow(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WorkflowFilter {
    /// Part of the name or description, case-insensitive.
    pub text: Option<String>,
    pub dir: Option<String>,
    pub owner: Option<String>,
    pub tag: Option<String>,
    pub enabled: Option<bool>,
    pub has_error: Option<bool>,
    /// State of the newest instance.
    pub last_state: Option<InstanceWord>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InstanceFilter {
    pub workflow: Option<String>,
    /// Any of these; empty: all.
    pub states: Vec<InstanceWord>,
    /// `scheduled triggered run backfill sub`.
    pub kind: Option<String>,
    /// Created at or after.
    pub since: Option<Time>,
    /// Created before.
    pub until: Option<Time>,
    /// Part of the name or description of the workflow, or the number of the instance.
    pub text: Option<String>,
    /// `creator` of the version that it runs.
    #[serde(default)]
    pub creator: Option<String>,
}

/// What one node measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasurementFilter {
    pub workflow: String,
    pub node: String,
    /// Measured at or after.
    pub since: Option<Time>,
    /// Measured before.
    pub until: Option<Time>,
}

/// The reply and how fresh it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Everything up to this event is in the reply; an event stream from here misses nothing.
    pub seq: u64,
    pub epoch: u64,
    /// Wall clock of the master that answered.
    pub as_of: Time,
    /// Age of the data: 0 on the leader.
    pub age_ms: u64,
    /// Who answered (`m1`).
    pub by: String,
    pub reply: Reply,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Status(Box<StatusView>),
    Workflows(Page<WorkflowSummary>),
    Folders(Box<FoldersView>),
    Workflow(Box<WorkflowView>),
    Versions(Page<VersionView>),
    Version(Box<DefinitionView>),
    NextFires(Vec<NextFireView>),
    Today(Box<TodayView>),
    LoadErrors(Page<LoadErrorView>),
    LoadError(Box<LoadErrorView>),
    Check(Box<CheckView>),
    Instances(Page<InstanceSummary>),
    Instance(Box<InstanceView>),
    Events(Page<EventView>),
    Monitors(Page<MonitorView>),
    Measurements(Page<MeasurementView>),
    Why(Box<WhyView>),
    Workers(Vec<WorkerView>),
    Cluster(Box<ClusterView>),
    Links(Box<LinksView>),
    Link(Box<LinkView>),
    LinkTests(Vec<LinkTestView>),
    Metrics(Vec<MetricView>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_named_by_number_or_as_the_last_one() {
        assert_eq!("10342".parse(), Ok(InstanceRef::Number(10342)));
        assert_eq!("#10342".parse(), Ok(InstanceRef::Number(10342)));
        assert_eq!("last".parse(), Ok(InstanceRef::Last));
        assert_eq!("last:日报".parse(), Ok(InstanceRef::LastOf("日报".to_owned())));
        for bad in ["", "#", "last:", "x", "-1", "+1", "1.5", "99999999999999999999"] {
            assert!(bad.parse::<InstanceRef>().is_err(), "{bad}");
        }
    }
}
