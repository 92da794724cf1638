//! Action node types: one file each and one row in the registry.
//!
//! A type is its words (`spec`) and what it makes of a rendered assignment. All are processes under a shim: some make
//! a `Plan` of somebody else's program, the others are code of ours that a process of our own program runs (`task`);
//! `process::outcome` reads what came of either.
//! Must not know actors, masters or the engine. A new type is a file, a row here, and an example.

pub mod attachment;
pub mod beside;
mod command;
mod command_line;
mod data_monitor;
mod database;
mod email;
mod exec;
mod file_executor;
mod file_monitor;
mod files;
mod http;
mod metadata;
mod output;
pub mod process;
mod script;
mod shell;
pub mod spec;
mod sql;
mod ssh;
pub mod task;
mod transfer;
mod verdict;

use crate::model::action::ActionSpec;
use crate::model::assignment::Assignment;
use crate::say;

use process::{Plan, Refusal};

/// One action type.
pub struct NodeType {
    pub word: &'static str,
    pub run: Run,
}

/// How a type runs.
pub enum Run {
    /// As a process under a shim.
    Process(fn(&Assignment) -> Result<Plan, Refusal>),
    /// As code of ours in a process of its own.
    Task(task::Run),
    /// As either, as its own plan says.
    ProcessOrTask(fn(&Assignment) -> Result<Plan, Refusal>, task::Run),
}

/// Every type, in the order of the manual.
pub const NODE_TYPES: &[NodeType] = &[
    NodeType { word: "script", run: Run::Process(script::plan) },
    NodeType { word: "shell", run: Run::Process(shell::plan) },
    NodeType { word: "exec", run: Run::Process(exec::plan) },
    NodeType { word: "file-executor", run: Run::Process(file_executor::plan) },
    NodeType { word: "sql", run: Run::Task(sql::run) },
    NodeType { word: "transfer", run: Run::ProcessOrTask(transfer::plan, transfer::run) },
    NodeType { word: "data-monitor", run: Run::Task(data_monitor::run) },
    NodeType { word: "metadata", run: Run::Task(metadata::run) },
    NodeType { word: "file-monitor", run: Run::Task(file_monitor::run) },
    NodeType { word: "email", run: Run::Task(email::run) },
    NodeType { word: "http", run: Run::Task(http::run) },
    NodeType { word: "ssh", run: Run::Task(ssh::run) },
];

impl NodeType {
    pub fn find(word: &str) -> Option<&'static NodeType> {
        NODE_TYPES.iter().find(|kind| kind.word == word)
    }

    pub fn spec(&self) -> Option<&'static ActionSpec> {
        spec::find(self.word)
    }
}

/// What is to be started for an assignment.
pub fn plan(assignment: &Assignment) -> Result<Plan, Refusal> {
    let word = &assignment.body.word;
    match NodeType::find(word).map(|kind| &kind.run) {
        Some(Run::Process(plan) | Run::ProcessOrTask(plan, _)) => plan(assignment),
        Some(Run::Task(_)) => task::plan(assignment),
        None => Err(Refusal::NotInThisBuild(say!("action type {}", word))),
    }
}

/// Words of the types that this build runs.
pub fn built_words() -> Vec<String> {
    NODE_TYPES.iter().map(|kind| kind.word.to_owned()).collect()
}

#[cfg(test)]
mod testing {
    use std::path::Path;

    use super::task::{Services, Task};
    use crate::model::action::BodyElement;
    use crate::model::assignment::{Assignment, Rendered, RetryRules};
    use crate::model::id::{Epoch, VersionNumber};
    use crate::model::message::Voice;
    use crate::model::policy::OnIsolation;
    use crate::model::time::{CivilDate, Timestamp};

    /// A run that nobody stops, without services.
    pub fn task(assignment: Assignment, conf_dir: &Path) -> Task<'_> {
        let (_, stopped) = tokio::sync::watch::channel(false);
        Task::new(assignment, conf_dir, Services::default(), Voice::default(), stopped)
    }

    pub fn element(word: &str, text: &[&str], children: Vec<BodyElement<Rendered>>) -> BodyElement<Rendered> {
        let text = text.first().map(|text| Rendered { text: (*text).to_owned(), variables: Vec::new() });
        BodyElement { word: word.to_owned(), attributes: Vec::new(), children, text }
    }

    pub fn with_attribute(mut element: BodyElement<Rendered>, name: &str, value: &str) -> BodyElement<Rendered> {
        element.attributes.push((name.to_owned(), Rendered { text: value.to_owned(), variables: Vec::new() }));
        element
    }

    pub fn assignment(body: BodyElement<Rendered>) -> Assignment {
        Assignment {
            attempt: "10342.1.5.0.1".parse().unwrap(),
            epoch: Epoch(3),
            workflow: "w".into(),
            version: VersionNumber(1),
            node: "n".into(),
            nominal: Timestamp(0),
            business_date: CivilDate(0),
            body,
            params: Vec::new(),
            env: Vec::new(),
            attempt_timeout: None,
            lease: None,
            on_isolation: OnIsolation::Stop,
            retry_rules: RetryRules::default(),
            script_trim: false,
            is_strict: true,
            mail_receivers: Vec::new(),
            links: Vec::new(),
            files: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{assignment, element};
    use super::*;

    #[test]
    fn registry_and_words_agree() {
        let words: Vec<_> = spec::all().iter().map(|spec| spec.element.word).collect();
        let rows: Vec<_> = NODE_TYPES.iter().map(|kind| kind.word).collect();
        assert_eq!(words, rows);
        assert!(NODE_TYPES.iter().all(|kind| kind.spec().is_some()));
    }

    #[test]
    fn a_type_that_is_not_built_is_refused_by_name() {
        let refusal = plan(&assignment(element("teleport", &[], vec![]))).unwrap_err();
        assert_eq!(refusal.to_string(), "action type teleport is not in this build");
    }
}
