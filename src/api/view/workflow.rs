//! Workflows, their definitions, versions, fires and load errors.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::time::Time;
use crate::model::message::Message;
use crate::model::state::InstanceWord;

use crate::api::window::LeftOut;

use super::instance::{InstanceSummary, WhyView};

/// A row of the list of workflows. A file that never loaded has a row too: `version` is null then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkflowSummary {
    pub name: String,
    pub description: Option<String>,
    pub owner: Option<String>,
    pub creator: Option<String>,
    /// Path in the tree, `/dw/orders`.
    pub dir: String,
    pub tags: Vec<String>,
    pub enabled: bool,
    /// The version that runs.
    pub version: Option<u32>,
    /// Path below xmlconfig.
    pub file: Option<String>,
    /// The file is gone; what runs is the last version.
    pub is_file_missing: bool,
    pub nodes: u32,
    /// One line per trigger, in words: `0 1 * * * (Asia/Shanghai)`.
    #[schema(value_type = Vec<String>)]
    pub schedule: Vec<Message>,
    #[schema(value_type = Option<String>)]
    pub next_fire: Option<Time>,
    pub running: u32,
    pub queued: u32,
    pub instance_limit: u32,
    /// The newest instances, oldest first, at most 14.
    pub history: Vec<RunBar>,
    pub last: Option<LastRun>,
    /// Median of the last successes.
    pub usual_ms: Option<i64>,
    pub load_error: Option<LoadErrorBrief>,
    /// Of the version that runs.
    #[serde(default)]
    pub warnings: u32,
}

/// The tree of folders.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct FoldersView {
    /// Each before those in it, the root first.
    pub folders: Vec<FolderView>,
    /// There are more than are here.
    pub is_cut: bool,
}

/// A folder of the tree that the `dir` of workflows makes. What is counted is in it and in the folders below.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct FolderView {
    /// `/dw/orders`
    pub dir: String,
    /// Workflows in the folder itself.
    pub workflows: u32,
    pub below: u32,
    pub disabled: u32,
    /// Instances that run.
    pub running: u32,
    /// Workflows whose newest instance failed.
    pub failed: u32,
    /// Files that do not load.
    pub errors: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunBar {
    pub number: u64,
    #[schema(value_type = String)]
    pub state: InstanceWord,
    pub duration_ms: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastRun {
    pub number: u64,
    #[schema(value_type = String)]
    pub state: InstanceWord,
    #[schema(value_type = String)]
    pub created: Time,
    #[schema(value_type = Option<String>)]
    pub finished: Option<Time>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoadErrorBrief {
    pub id: String,
    #[schema(value_type = String)]
    pub text: Message,
    pub line: Option<u32>,
    pub column: Option<u32>,
    pub errors: u32,
    #[schema(value_type = String)]
    pub since: Time,
}

/// Everything about one workflow; of its nodes a window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkflowView {
    pub summary: WorkflowSummary,
    /// Markdown of the author.
    pub doc: Option<String>,
    pub zone: Option<String>,
    pub is_strict: bool,
    pub mail_receivers: Vec<String>,
    /// Ends that are mailed: `succeeded failed killed`.
    #[serde(default)]
    pub mail_levels: Vec<String>,
    /// Why its receivers get nothing.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub mail_note: Option<Message>,
    pub params: Vec<ParamDeclarationView>,
    /// In the order of the definition, at most 500.
    pub nodes: Vec<DefinitionNodeView>,
    /// Those that leave the nodes of the window.
    pub edges: Vec<EdgeView>,
    /// Cursor of the nodes and edges that come after; null: there are none.
    #[serde(default)]
    pub nodes_next: Option<String>,
    #[serde(default)]
    pub nodes_total: u32,
    /// In a window around a node: what leads out of it.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// Fields of which only the first part is here, because the whole would be too long; the XML has all.
    #[serde(default)]
    pub cut: Vec<String>,
    pub coordinator: Option<CoordinatorView>,
    /// Soonest first, with the parameters as they will render.
    pub next_fires: Vec<NextFireView>,
    /// Newest first, at most 10.
    pub versions: Vec<VersionView>,
    /// That the newest version brings along.
    #[serde(default)]
    pub files: Vec<VersionFileView>,
    /// Newest first, at most 20.
    pub instances: Vec<InstanceSummary>,
    /// Workflows that wait for this one, at most 200.
    pub dependents: Vec<String>,
    pub load_error: Option<LoadErrorView>,
    /// Of the version that runs: what was found when its file was loaded, and prerequisites that are not there now.
    #[serde(default)]
    pub warnings: Vec<DiagnosticView>,
    /// How often it still fires today.
    #[serde(default)]
    pub left_today: u32,
    /// Why it does not fire; `None` when nothing holds it.
    pub why: Option<WhyView>,
}

impl WorkflowView {
    pub fn has_prerequisites(&self) -> bool {
        self.coordinator.as_ref().is_some_and(|coordinator| !coordinator.prerequisites.is_empty())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DefinitionNodeView {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub description: Option<String>,
    /// Line of the element in the file.
    pub line: u32,
    /// False: it will be refused when it runs.
    pub is_built: bool,
    /// Policies that differ from the default, as `name=value`.
    pub policies: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EdgeView {
    pub from: String,
    pub to: String,
    /// `start fork_path join ok error`.
    pub kind: String,
    /// In an instance: `pending live dead`; null in a definition.
    pub state: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CoordinatorView {
    pub is_enabled: bool,
    #[schema(value_type = Option<String>)]
    pub from: Option<Time>,
    #[schema(value_type = Option<String>)]
    pub to: Option<Time>,
    pub triggers: Vec<TriggerView>,
    pub prerequisites: Vec<PrerequisiteView>,
    pub overlap: String,
    pub misfire: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TriggerView {
    pub id: String,
    /// `cron every at`.
    pub kind: String,
    /// As written.
    pub text: String,
    pub zone: String,
    #[schema(value_type = Option<String>)]
    pub next: Option<Time>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PrerequisiteView {
    pub workflow: String,
    /// It succeeded since this workflow last ran.
    pub is_set: bool,
    #[schema(value_type = Option<String>)]
    pub since: Option<Time>,
    /// No workflow of that name is loaded.
    pub is_missing: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ParamDeclarationView {
    pub name: String,
    /// `string text int decimal bool date datetime duration enum list`.
    #[serde(rename = "type")]
    pub kind: String,
    /// As written.
    pub value: Option<String>,
    /// As it would render now.
    pub rendered: Option<String>,
    pub required: bool,
    /// May a caller set it.
    pub external: bool,
    pub choices: Vec<String>,
    pub label: Option<String>,
    pub description: Option<String>,
}

/// A fire that will come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NextFireView {
    pub workflow: String,
    pub trigger: String,
    /// The computed time; what the parameters derive from.
    #[schema(value_type = String)]
    pub nominal: Time,
    /// With jitter.
    #[schema(value_type = String)]
    pub due: Time,
    /// The same instant as a clock in the zone shows it: `2026-11-20 01:00:00 +08:00`.
    pub local: String,
    pub zone: String,
    pub business_date: Option<String>,
    /// Rendered as the instance would get them; long values are cut.
    pub params: Vec<(String, String)>,
    /// Some are left out: they would be too long together.
    #[serde(default)]
    pub is_params_cut: bool,
    /// Prerequisites not met now.
    pub waits_for: Vec<String>,
    pub version: u32,
    pub usual_ms: Option<i64>,
    /// Will not run as things stand (`disabled`, `queue full`), in words.
    #[schema(value_type = Option<String>)]
    pub blocked: Option<Message>,
}

/// What is still to fire today, in the zone of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TodayView {
    /// `yyyy-MM-dd`
    pub date: String,
    pub zone: String,
    /// Of all workflows together.
    pub left: u64,
    /// Workflows that fire today, and those that wait for others: the soonest first, at most 1,000.
    pub workflows: Vec<TodayRow>,
    /// There are more.
    pub is_cut: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TodayRow {
    pub workflow: String,
    /// How often it still fires: by its triggers, and no oftener than what it waits for comes about. Counted up to 1,000.
    pub left: u32,
    /// The next time of its triggers, if that is today.
    #[schema(value_type = Option<String>)]
    pub next: Option<Time>,
    pub waits_for: Vec<PrerequisiteView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionView {
    pub workflow: String,
    pub version: u32,
    /// SHA-256 of the content.
    pub hash: String,
    #[schema(value_type = String)]
    pub added: Time,
    /// `file:m1:…` or who applied it.
    pub by: String,
    pub file: Option<String>,
    pub nodes: u32,
    pub is_current: bool,
    /// What differs from the version before, in words; the first 50 and how many more.
    #[schema(value_type = Vec<String>)]
    pub changes: Vec<Message>,
}

/// A file that travels with a version: its node has it beside it when it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionFileView {
    pub node: String,
    /// As the definition names it.
    pub path: String,
    pub bytes: u64,
    /// SHA-256 of the content.
    pub hash: String,
}

/// One version with its text, or a piece of it, and a window on its nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DefinitionView {
    pub version: VersionView,
    /// From the byte that was asked for, at most 1 MiB; ends with a line where it can.
    pub text: String,
    /// Number of the line that `text` begins in.
    #[serde(default)]
    pub line: u32,
    /// Byte to ask for next; null: the text ends here.
    #[serde(default)]
    pub text_next: Option<u64>,
    /// Length of the whole.
    #[serde(default)]
    pub text_bytes: u64,
    /// That it brings along.
    #[serde(default)]
    pub files: Vec<VersionFileView>,
    pub nodes: Vec<DefinitionNodeView>,
    pub edges: Vec<EdgeView>,
    /// Cursor of the nodes and edges that come after; null: there are none.
    #[serde(default)]
    pub nodes_next: Option<String>,
}

/// A file that does not load, with all its faults; or one that loads, with its warnings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoadErrorView {
    /// Names the file in URLs; stable while the error lasts.
    pub id: String,
    /// Below xmlconfig.
    pub path: String,
    pub source: String,
    /// When the text says so much.
    pub workflow: Option<String>,
    pub hash: String,
    #[schema(value_type = String)]
    pub since: Time,
    /// The version that goes on running.
    pub running_version: Option<u32>,
    /// It is that version: there are only warnings.
    #[serde(default)]
    pub is_loaded: bool,
    pub diagnostics: Vec<DiagnosticView>,
}

/// One fault, or one warning, of a definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiagnosticView {
    /// `error` or `warning`.
    pub severity: String,
    /// `RF-W0201`.
    pub code: String,
    #[schema(value_type = String)]
    pub message: Message,
    pub path: String,
    /// From 1; columns count characters.
    pub line: u32,
    pub column: u32,
    pub end_line: u32,
    /// The first column after the fault.
    pub end_column: u32,
    /// What stands under the caret: `expected </action>`.
    #[schema(value_type = Option<String>)]
    pub label: Option<Message>,
    #[schema(value_type = Option<String>)]
    pub hint: Option<Message>,
    /// Another place that explains it: `opened at 2:3`.
    pub related: Vec<RelatedView>,
    /// The lines around it, at most 7.
    pub source: Vec<SourceLine>,
    /// The faulty line as it might be meant.
    pub suggestion: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RelatedView {
    pub line: u32,
    pub column: u32,
    #[schema(value_type = String)]
    pub text: Message,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceLine {
    pub n: u32,
    pub text: String,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CheckView {
    pub is_valid: bool,
    pub workflow: Option<String>,
    pub path: String,
    pub errors: u32,
    pub warnings: u32,
    pub diagnostics: Vec<DiagnosticView>,
    /// The version that runs now, untouched by the check.
    pub running_version: Option<u32>,
}
