//! Types that are code of ours: run by a process of our own program under a shim, like any other task.
//!
//! So they have what every task has: a log that outlives the worker, a kill of the whole tree, a lease, a limit of
//! time, and a driver that crashes takes nothing else with it (ADR 0010). Here: what such a type is given and what it
//! answers. Must not know how the process is started (`plan` says it) nor what a database is (`connector`).

use std::future::Future;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::connector::link::{self, DbLink, FileLink, LinkError};
use crate::connector::mail::MailServer;
use crate::model::action::BodyElement;
use crate::model::assignment::{Assignment, OutcomeClass, Rendered};
use crate::model::message::{Message, Voice};
use crate::say;

use super::output;
use super::process::{Plan, PlannedFile, Refusal};

/// Longest verdict that is read.
const VERDICT_BYTES_MAX: u64 = 64 * 1024;
/// The assignment, in the work directory.
pub const ASSIGNMENT_FILE: &str = "assignment";
/// ... and what the settings of the worker say of services, beside it.
pub const SETTINGS_FILE: &str = "settings";
/// In which it says why it failed.
pub const VERDICT_FILE: &str = "verdict";
/// Exit code of a task that failed and has written its verdict.
pub const EXIT_FAILED: u8 = 1;
/// ... of one that was told to stop and did.
pub const EXIT_STOPPED: u8 = 143;

/// What a type does.
pub type Run = for<'a> fn(&'a Task) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// Why it ended badly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", message.english())]
pub struct Failure {
    /// The same again would fail again, and is not tried.
    pub is_refusal: bool,
    pub message: Message,
}

impl Failure {
    pub fn of(message: Message) -> Self {
        Self { is_refusal: false, message }
    }

    pub fn refused(message: Message) -> Self {
        Self { is_refusal: true, message }
    }
}

/// What a task leaves beside its exit code, for the outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub class: OutcomeClass,
    pub message: Message,
    /// Of a command that the task ran elsewhere.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// What it found out before it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<(String, String)>,
}

/// What the cluster's settings give to tasks of ours.
#[derive(Debug, Clone)]
pub struct Services {
    pub mail: Option<MailServer>,
    /// Entries of a directory that a file-monitor looks at.
    pub monitor_entries_max: usize,
}

impl Default for Services {
    fn default() -> Self {
        Self { mail: None, monitor_entries_max: 100_000 }
    }
}

/// One run of such a type.
pub struct Task<'a> {
    pub assignment: Assignment,
    /// Where `db_links.xml` and `file_links.xml` are.
    pub conf_dir: &'a Path,
    pub services: Services,
    pub voice: Voice,
    /// Of the attempt: where files may be written.
    pub work_dir: PathBuf,
    stop: watch::Receiver<bool>,
    outputs: Mutex<Vec<(String, String)>>,
    findings: Mutex<Vec<(String, String)>>,
    secrets: Mutex<Vec<String>>,
    exit_code: OnceLock<i32>,
    /// What `database::linked` has read: a task that names a link at several places has one of it.
    pub(super) known_links: Mutex<Vec<DbLink>>,
    /// The same of `files::linked`.
    pub(super) known_file_links: Mutex<Vec<FileLink>>,
}

impl<'a> Task<'a> {
    pub fn new(
        assignment: Assignment,
        conf_dir: &'a Path,
        services: Services,
        voice: Voice,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            assignment,
            conf_dir,
            services,
            voice,
            work_dir: PathBuf::from("."),
            stop,
            outputs: Mutex::default(),
            findings: Mutex::default(),
            secrets: Mutex::default(),
            exit_code: OnceLock::new(),
            known_links: Mutex::default(),
            known_file_links: Mutex::default(),
        }
    }

    /// Text of a child element, blanks around it cut; `None` when it is missing or blank.
    pub fn child_text(&self, word: &str) -> Option<&str> {
        let text = self.assignment.body.child(word)?.text.as_ref()?;
        Some(text.text.trim()).filter(|text| !text.is_empty())
    }

    /// The link of this name, as this host and the cluster have it.
    pub fn db_link(&self, name: &str) -> Result<DbLink, LinkError> {
        link::db_link_among(self.conf_dir, &self.assignment.links, name)
    }

    pub fn file_link(&self, name: &str) -> Result<FileLink, LinkError> {
        link::file_link_among(self.conf_dir, &self.assignment.links, name)
    }

    /// Comes when the task is told to end: by a kill, its timeout or the end of its lease.
    pub async fn stopped(&self) {
        let mut stop = self.stop.clone();
        // The sender lives as long as the process.
        if stop.wait_for(|is_told| *is_told).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// What `work` gives, unless the task is told to end first: then the work is dropped.
    pub async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            done = work => Ok(done),
            () = self.stopped() => Err(Failure::of(say!("killed"))),
        }
    }

    /// Keeps a value out of everything that is written from now on.
    pub fn hide(&self, secret: &str) {
        // Shorter ones would blacken every text and hide nothing.
        if secret.chars().count() >= 4 {
            self.secrets.lock().unwrap_or_else(PoisonError::into_inner).push(secret.to_owned());
        }
    }

    fn masked(&self, text: &str) -> String {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }

    /// A line of the task's log.
    pub fn log(&self, message: &Message) {
        self.print(&message.in_voice(self.voice));
    }

    /// Lines of the task's log, as they are.
    pub fn print(&self, text: &str) {
        // Nobody is left to be told when the log is gone; the outcome still counts.
        let _ = writeln!(std::io::stdout().lock(), "{}", self.masked(text));
    }

    /// A line of the task's log that is no good news.
    pub fn warn(&self, message: &Message) {
        self.print_error(&message.in_voice(self.voice));
    }

    /// A line of another program's stderr.
    pub fn print_error(&self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{}", self.masked(text));
    }

    /// A command that was run elsewhere failed with it: rules of retry look at it.
    pub fn exited(&self, code: i32) {
        self.exit_code.get_or_init(|| code);
    }

    /// What a failure leaves for the outcome.
    pub fn verdict(&self, failure: Failure) -> Verdict {
        let class = if failure.is_refusal { OutcomeClass::Refused } else { OutcomeClass::Failed };
        let findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = findings.iter().map(|(name, value)| (name.clone(), self.masked(value))).collect();
        Verdict { class, message: failure.message, exit_code: self.exit_code.get().copied(), outputs }
    }

    /// What other nodes read as `${node:NAME.key}`.
    pub fn output(&self, name: &str, value: impl ToString) {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner).push((name.to_owned(), value.to_string()));
    }

    /// An output that others read even when the task fails after it. Of such there are few and short ones.
    pub fn finding(&self, name: &str, value: impl ToString) {
        let pair = (name.to_owned(), value.to_string());
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).push(pair.clone());
        self.output(&pair.0, pair.1);
    }

    /// The text of `$RF_OUTPUT`.
    pub fn output_lines(&self) -> String {
        let outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        let line = |(name, value): &(String, String)| serde_json::json!({ "name": name, "value": self.masked(value) });
        outputs.iter().map(|pair| format!("{}\n", line(pair))).collect()
    }
}

/// Text of an attribute, blanks around it cut; `None` when it is missing or blank.
pub(super) fn attribute<'e>(element: &'e BodyElement<Rendered>, name: &str) -> Option<&'e str> {
    element.attribute(name).map(|value| value.text.trim()).filter(|text| !text.is_empty())
}

/// The assignment goes to the process by a file that only this user reads: nothing of it is in its arguments.
pub fn plan(assignment: &Assignment) -> Result<Plan, Refusal> {
    let bytes = rmp_serde::to_vec_named(assignment)
        .map_err(|error| Refusal::Wrong(say!("the assignment cannot be written: {}", error.to_string())))?;
    let file = PlannedFile { name: ASSIGNMENT_FILE.to_owned(), bytes, is_program: false };
    Ok(Plan { files: vec![file], is_own: true, ..Plan::default() })
}

/// Reads what `plan` wrote.
pub fn read_assignment(bytes: &[u8]) -> Result<Assignment, rmp_serde::decode::Error> {
    rmp_serde::from_slice(bytes)
}

/// What a task said of its failure. Anything but a verdict of a failure is none: the file may have been written by
/// any program of the task.
pub fn read_verdict(path: &Path) -> Option<Verdict> {
    let mut bytes = Vec::new();
    output::open(path).ok()?.take(VERDICT_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    let verdict: Verdict = rmp_serde::from_slice(&bytes).ok()?;
    matches!(verdict.class, OutcomeClass::Failed | OutcomeClass::Refused).then_some(verdict)
}

/// Runs the type that the assignment names.
pub async fn run(task: &Task<'_>) -> Result<(), Failure> {
    let word = &task.assignment.body.word;
    match super::NodeType::find(word).map(|kind| &kind.run) {
        Some(super::Run::Task(run) | super::Run::ProcessOrTask(_, run)) => run(task).await,
        _ => Err(Failure::refused(say!("{} is not in this build", say!("action type {}", word)))),
    }
}
