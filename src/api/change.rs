//! Every change, as it goes to the leader, and what it answers.

use std::collections::BTreeMap;

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::link::LinkKind;

use super::view::{DiagnosticView, WorkflowSummary};

/// Longest idempotency key, in printable ASCII characters.
pub const KEY_MAX: usize = 64;

/// A change, who wants it, and the key that makes a repetition harmless.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangeEnvelope {
    /// `token:admin`, `session:…`, `file:m1:…`.
    pub principal: String,
    pub idempotency_key: String,
    /// Typed by a person; kept in the history.
    pub reason: Option<String>,
    pub change: Change,
}

/// Every change. What it answers is `Changed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Start an instance that affects no dependants.
    Run {
        workflow: String,
        request: RunRequest,
    },
    /// Set the workflow ready, as if its trigger had fired.
    Trigger {
        workflow: String,
        request: TriggerRequest,
    },
    Enable {
        workflow: String,
    },
    Disable {
        workflow: String,
    },
    /// Clear the latches of its prerequisites; `None`: of all workflows.
    Reset {
        workflow: Option<String>,
    },
    /// Load this text as the newest version.
    Apply {
        request: ApplyRequest,
    },
    DeleteWorkflow {
        workflow: String,
    },
    Kill {
        instance: u64,
        request: KillRequest,
    },
    Pause {
        instance: u64,
    },
    Resume {
        instance: u64,
    },
    Rerun {
        instance: u64,
        request: RerunRequest,
    },
    Mark {
        instance: u64,
        request: MarkRequest,
    },
    DeleteInstance {
        instance: u64,
    },
    /// All its attempts are known dead: a person looked.
    DeclareDead {
        worker: String,
    },
    /// No new attempts there; `off` ends it.
    Drain {
        worker: String,
        off: bool,
    },
    /// The cluster keeps a new link; `kind` `None`: as its type says.
    AddLink {
        name: String,
        kind: Option<LinkKind>,
        request: LinkRequest,
    },
    /// What the request names of a link that the cluster keeps; `kind` `None`: the only one of this name.
    UpdateLink {
        name: String,
        kind: Option<LinkKind>,
        request: LinkRequest,
    },
    RemoveLink {
        name: String,
        kind: Option<LinkKind>,
    },
    /// The lead goes to another master.
    SwitchOver {
        request: SwitchOverRequest,
    },
    /// A master that runs becomes a voter.
    AddMember {
        node: String,
    },
    /// A master does not vote any more.
    RemoveMember {
        node: String,
    },
    /// What only the new version can read may be written from now on.
    FinalizeUpgrade,
}

impl Change {
    /// The verb, part of the digest that an idempotency key is bound to.
    pub fn verb(&self) -> &'static str {
        match self {
            Change::Run { .. } => "run",
            Change::Trigger { .. } => "trigger",
            Change::Enable { .. } => "enable",
            Change::Disable { .. } => "disable",
            Change::Reset { .. } => "reset",
            Change::Apply { .. } => "apply",
            Change::DeleteWorkflow { .. } => "delete-workflow",
            Change::Kill { .. } => "kill",
            Change::Pause { .. } => "pause",
            Change::Resume { .. } => "resume",
            Change::Rerun { .. } => "rerun",
            Change::Mark { .. } => "mark",
            Change::DeleteInstance { .. } => "delete-instance",
            Change::DeclareDead { .. } => "declare-dead",
            Change::Drain { .. } => "drain",
            Change::AddLink { .. } => "add-link",
            Change::UpdateLink { .. } => "update-link",
            Change::RemoveLink { .. } => "remove-link",
            Change::SwitchOver { .. } => "switch-over",
            Change::AddMember { .. } => "add-member",
            Change::RemoveMember { .. } => "remove-member",
            Change::FinalizeUpgrade => "finalize-upgrade",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunRequest {
    pub params: BTreeMap<String, String>,
    /// Leave out the param-list of the definition.
    pub no_defaults: bool,
    /// The time that the run is for, RFC 3339; default now.
    pub nominal: Option<String>,
    /// Business date `yyyy-MM-dd`; default by the definition's rule from `nominal`.
    pub business_date: Option<String>,
    /// Names of nodes that are skipped.
    pub skip: Vec<String>,
    pub version: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TriggerRequest {
    /// Run the dependants too, and theirs.
    pub with_downstream: bool,
    /// Names of nodes that are skipped.
    pub skip: Vec<String>,
    pub params: BTreeMap<String, String>,
    /// The time that the run is for, RFC 3339; default now. Takes the trigger's own occurrence then, if there is one.
    pub nominal: Option<String>,
    /// Business date `yyyy-MM-dd`: takes the occurrence that is for it. Not together with `nominal`.
    pub business_date: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KillRequest {
    /// KILL at once, without TERM and grace.
    pub force: bool,
    /// Between TERM and KILL, as the definition language writes it (`30s`), at most 1 h; default: as configured. A
    /// second kill may shorten it, not lengthen it.
    pub grace: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RerunMode {
    /// Every node.
    All,
    /// What failed and what follows it; the rest keeps its success.
    #[default]
    FromFailed,
    /// `node` and what follows it.
    FromNode,
    /// `node` alone.
    OnlyNode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RerunVersion {
    Same,
    #[default]
    Latest,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RerunRequest {
    pub mode: RerunMode,
    /// For `from_node` and `only_node`.
    pub node: Option<String>,
    pub version: RerunVersion,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MarkAs {
    Succeeded,
    Skipped,
    Failed,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkRequest {
    pub node: String,
    #[serde(rename = "as")]
    pub mark: MarkAs,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApplyRequest {
    pub text: String,
    /// Where it came from, for messages; never read by the server.
    pub path: String,
    /// Refuse when the newest version is not this one.
    pub expect_version: Option<u32>,
    /// Files that the text names by relative paths; those of the newest version need not be given again.
    pub files: Vec<AppliedFile>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AppliedFile {
    /// As the text names it.
    pub path: String,
    /// Its content in hexadecimal.
    pub content: String,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CheckRequest {
    pub text: String,
    /// For messages only.
    pub path: String,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DrainRequest {
    /// End it.
    pub off: bool,
}

/// A text that goes in and never comes out: no view has one, and printing it shows nothing.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(..)")
    }
}

/// A link, in the words of `db_links.xml` and `file_links.xml`. Of an update, what is left out stays as it is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LinkRequest {
    /// `MYSQL POSTGRESQL SQLITE ORACLE …`, `SFTP S3 HDFS`.
    #[serde(rename = "type")]
    pub type_word: Option<String>,
    /// The `jdbc-url` of a database, without a password.
    pub url: Option<String>,
    /// Of a file system.
    pub host: Option<String>,
    pub port: Option<String>,
    pub username: Option<String>,
    /// In clear, to be sealed, or `${env:NAME}`, `${file:PATH}` of the hosts that use it; blank for none.
    #[schema(value_type = Option<String>)]
    pub password: Option<Hidden>,
    /// By name; null removes one.
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    pub properties: BTreeMap<String, Option<Hidden>>,
    pub description: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LinkTestRequest {
    /// A worker's name, or `all`.
    pub from: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SwitchOverRequest {
    /// `m2`; default the master whose log is most complete, of low priority last.
    pub to: Option<String>,
    /// Who led when it was asked for: when another leads by now, it has happened.
    pub from: Option<String>,
}

/// The change is committed: it survives whatever happens next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChangeAnswer {
    /// Reads with `min_seq` of this see the change.
    pub seq: u64,
    /// The key was seen before; this is the first answer again.
    pub is_repeat: bool,
    pub changed: Changed,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    /// Nothing to add. Also when it was so already.
    Done,
    /// Instances that were created or are affected, newest last.
    Instances(Vec<InstanceMade>),
    Applied(Box<Applied>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceMade {
    pub number: u64,
    pub id: String,
    pub workflow: String,
    pub version: u32,
    pub generation: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Applied {
    pub workflow: WorkflowSummary,
    pub version: u32,
    /// False: the content is that of the newest version.
    pub is_new: bool,
    pub warnings: Vec<DiagnosticView>,
}
