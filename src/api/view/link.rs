//! Links: what the cluster keeps and what the workers have in their own files. Never a secret.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::time::Time;
use crate::model::message::Message;

/// Named databases and file systems, of the cluster and of the files of its workers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LinksView {
    /// By kind and name.
    pub links: Vec<LinkView>,
    /// What each worker says of its own files.
    pub workers: Vec<WorkerLinksView>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LinkView {
    /// `database` or `file`.
    pub kind: String,
    pub name: String,
    /// The word of `type`: `MYSQL`, `SFTP`.
    #[serde(rename = "type")]
    pub type_word: String,
    /// Address without options and secrets.
    pub place: String,
    pub username: String,
    pub description: String,
    /// The cluster keeps it: every worker has it that has none of that name in its own file.
    pub is_kept: bool,
    /// Workers that have it in their own file, which goes before what the cluster keeps.
    pub in_files_of: Vec<String>,
    #[schema(value_type = Option<String>)]
    pub changed: Option<Time>,
    pub changed_by: Option<String>,
    /// Workflows whose newest version names it; at most 50.
    pub used_by: Vec<String>,
    pub used_by_more: u32,
    /// What the cluster keeps of it; in the answer about one link alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<LinkTextView>,
}

/// A kept link as it was written. What is secret reads `***`; a reference such as `${env:NAME}` is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LinkTextView {
    pub url: String,
    pub host: String,
    pub port: String,
    pub password: String,
    pub properties: Vec<LinkPropertyView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LinkPropertyView {
    pub name: String,
    pub value: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerLinksView {
    pub worker: String,
    /// Why it did not say.
    #[schema(value_type = Option<String>)]
    pub error: Option<Message>,
    /// What is wrong with its files, each with its place.
    #[schema(value_type = Vec<String>)]
    pub faults: Vec<Message>,
}

/// What came of opening a link, from each worker that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LinkTestView {
    pub kind: String,
    pub name: String,
    /// The worker that tried.
    pub from: String,
    pub is_ok: bool,
    /// `file` when the worker's own file has the link, `cluster` when the cluster keeps it.
    pub origin: Option<String>,
    /// Where it failed: `name config driver resolve connect tls login query worker`.
    pub failed_at: Option<String>,
    #[schema(value_type = Option<String>)]
    pub error: Option<Message>,
    #[schema(value_type = Option<String>)]
    pub hint: Option<Message>,
    /// Steps that were passed, with their time.
    pub steps: Vec<LinkStepView>,
    pub took_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LinkStepView {
    pub step: String,
    pub took_ms: u64,
}
