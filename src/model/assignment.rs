//! What a worker is asked to do, and what it answers.

use serde::{Deserialize, Serialize};

use super::action::BodyElement;
use super::attachment::AttachedFile;
use super::duration::Millis;
use super::id::{AttemptId, Epoch, NodeName, VersionNumber, WorkflowName};
use super::link::KeptLink;
use super::parameter::Value;
use super::policy::{ExitRange, OnIsolation};
use super::time::{CivilDate, Timestamp};
use crate::model::message::Message;

/// A rendered text. Values that must stay out of the code travel beside it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rendered {
    pub text: String,
    /// Shell variables (`RF_V1`, …) that `text` refers to, for its environment; or SQL values to bind, in order.
    pub variables: Vec<(String, String)>,
}

/// One attempt, complete: a worker needs nothing else to run it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    pub attempt: AttemptId,
    /// The epoch that dispatched it: `RF_FENCE` is `epoch.attempt number`.
    pub epoch: Epoch,
    pub workflow: WorkflowName,
    pub version: VersionNumber,
    pub node: NodeName,
    pub nominal: Timestamp,
    pub business_date: CivilDate,
    pub body: BodyElement<Rendered>,
    pub params: Vec<(String, Value)>,
    pub env: Vec<(String, String)>,
    pub attempt_timeout: Option<Millis>,
    /// Its shim ends it when the worker has heard no leader for this long. `None`: with a single voter, and with
    /// `on-isolation="continue"`.
    pub lease: Option<Millis>,
    pub on_isolation: OnIsolation,
    pub retry_rules: RetryRules,
    /// akkaflow's line trimming of script text.
    pub script_trim: bool,
    /// Of the definition: `schema="1"` asks for more than akkaflow did.
    #[serde(default)]
    pub is_strict: bool,
    /// Of the workflow.
    #[serde(default)]
    pub mail_receivers: Vec<String>,
    /// The links of the cluster that the body names, sealed. A host's own file goes before them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<KeptLink>,
    /// The files of the version that its node names.
    #[serde(default)]
    pub files: Vec<AttachedFile>,
}

/// Matched on the worker, so that output never enters the log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RetryRules {
    pub on_exit: Vec<ExitRange>,
    pub not_on_exit: Vec<ExitRange>,
    pub on_match: Option<String>,
    pub not_on_match: Option<String>,
}

/// How one attempt ended, as its worker saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub class: OutcomeClass,
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    /// One line for people; never task output beyond the last error line. At most 4 KiB.
    pub message: Option<Message>,
    /// What the retry rules said of a failure; `None` when there are none or it succeeded.
    pub retry_verdict: Option<RetryVerdict>,
    /// `name=value` of `$RF_OUTPUT`, in order, bounds already checked.
    pub outputs: Vec<(String, String)>,
    /// On the worker's clock.
    pub started: Timestamp,
    pub finished: Timestamp,
    /// Did it write anything? Who reads its log waits for what is still on its way, and not for what will never be.
    #[serde(default)]
    pub has_log: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeClass {
    Succeeded,
    /// The task's own failure: exit code, bad input.
    Failed,
    /// The node type is not in this build, a file is missing: the same again would fail again.
    Refused,
    /// The worker could not start or keep it: costs the lost budget.
    Infrastructure,
    OutOfMemory,
    AttemptTimeout,
    Killed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryVerdict {
    /// A rule says retry, or no rule forbids it.
    Retry,
    /// A `not-on-*` rule matched, or no `on-*` rule did.
    NoRetry,
}
