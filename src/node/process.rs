//! What the types that start a process have in common: the plan they make, its environment, its outcome.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::connector::process::sweep::TOKEN_VARIABLE;
use crate::connector::process::wire::{Ending, Status};
use crate::model::assignment::{Assignment, Outcome, OutcomeClass, RetryRules};
use crate::model::message::Message;
use crate::model::parameter;
use crate::model::time::Timestamp;
use crate::say;

use super::attachment::Attachment;
use super::task::Verdict;
use super::{output, verdict};

/// Longest message of an outcome.
const MESSAGE_MAX: usize = 4 * 1024;
/// What of the last line of stderr a message carries.
const LAST_LINE_MAX: usize = 1024;

/// A process to be started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// A path, or a name to be looked up in the task's PATH.
    pub program: String,
    /// With the program's own name first.
    pub args: Vec<String>,
    /// Put into the work directory before.
    pub files: Vec<PlannedFile>,
    /// Brought there too, from the masters or from this host.
    pub attached: Vec<Attachment>,
    /// Values that were kept out of the text.
    pub variables: Vec<(String, String)>,
    /// The program is our own, as `task`; the worker knows where it is and what it must be told.
    pub is_own: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    pub name: String,
    pub bytes: Vec<u8>,
    pub is_program: bool,
}

/// Why nothing is started: the same assignment would be refused again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum Refusal {
    NotInThisBuild(Message),
    Missing(&'static str),
    Wrong(Message),
}

impl Refusal {
    pub fn said(&self) -> Message {
        match self {
            Refusal::NotInThisBuild(what) => say!("{} is not in this build", what),
            Refusal::Missing(what) => say!("{} is missing", what),
            Refusal::Wrong(message) => message.clone(),
        }
    }
}

/// The files that a task is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskFiles {
    pub output: PathBuf,
    pub params: PathBuf,
}

/// The environment of a task and what had to be left out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskEnvironment {
    /// `NAME=value`, the token first.
    pub entries: Vec<Vec<u8>>,
    pub warnings: Vec<String>,
}

/// Later layers win: what a login shell has, `<env>`, values kept out of code, and the names that are ours.
pub fn environment(
    assignment: &Assignment,
    base: BTreeMap<Vec<u8>, Vec<u8>>,
    plan: &Plan,
    files: &TaskFiles,
    token: &str,
) -> TaskEnvironment {
    let mut variables = base;
    let mut warnings = Vec::new();
    let mut put = |name: &str, value: &str| {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            warnings
                .push(format!("variable \"{}\" is left out: it cannot be in an environment", name.escape_default()));
        } else {
            variables.insert(name.as_bytes().to_vec(), value.as_bytes().to_vec());
        }
    };
    for (name, value) in assignment.env.iter().chain(&plan.variables) {
        put(name, value);
    }
    let params = parameter::environment(&assignment.params);
    for (name, value) in &params.variables {
        put(name, value);
    }
    let attempt = assignment.attempt;
    for (name, value) in [
        ("RF_WORKFLOW", assignment.workflow.to_string()),
        ("RF_INSTANCE", attempt.instance.to_string()),
        ("RF_NODE", assignment.node.to_string()),
        ("RF_INDEX", attempt.index.to_string()),
        ("RF_ATTEMPT", attempt.number.to_string()),
        ("RF_FENCE", format!("{}.{}", assignment.epoch, attempt.number)),
        ("RF_NOMINAL_TIME", assignment.nominal.to_string()),
        ("RF_BUSINESS_DATE", assignment.business_date.to_string()),
        ("RF_OUTPUT", files.output.display().to_string()),
        ("RF_PARAMS", files.params.display().to_string()),
    ] {
        put(name, &value);
    }
    warnings.extend(params.warnings);
    // First, so that it is found even where a process made its environment larger than what is searched.
    let token = format!("{TOKEN_VARIABLE}={token}").into_bytes();
    variables.remove(TOKEN_VARIABLE.as_bytes());
    let entries = std::iter::once(token)
        .chain(variables.into_iter().map(|(name, value)| [name.as_slice(), b"=", &value].concat()))
        .collect();
    TaskEnvironment { entries, warnings }
}

/// The text of `$RF_PARAMS`: all parameters, names to texts.
pub fn params_json(assignment: &Assignment) -> Vec<u8> {
    let map: serde_json::Map<String, serde_json::Value> =
        assignment.params.iter().map(|(name, value)| (name.clone(), value.text.clone().into())).collect();
    serde_json::Value::Object(map).to_string().into_bytes()
}

/// What a shim's status means for the node; `output_bytes_max` bounds its outputs. `said` gives what a task that is
/// code of ours said of its failure, and is asked for a failure alone.
pub fn outcome(
    rules: &RetryRules,
    status: &Status,
    said: impl FnOnce() -> Option<Verdict>,
    output_file: &Path,
    output_bytes_max: usize,
) -> Outcome {
    let (mut class, mut message, mut outputs) = judge(status, output_file, output_bytes_max);
    let mut exit_code_shown = status.exit_code;
    if class == OutcomeClass::Failed
        && let Some(said) = said()
    {
        // Nobody chose that of our own process.
        (class, message, exit_code_shown) = (said.class, Some(said.message), said.exit_code);
        outputs = said.outputs;
    }
    let is_tasks = matches!(class, OutcomeClass::Failed | OutcomeClass::AttemptTimeout | OutcomeClass::OutOfMemory);
    let stderr = String::from_utf8_lossy(&status.stderr_tail);
    let retry_verdict = is_tasks
        .then(|| {
            verdict::judge(
                rules,
                exit_code_shown.or_else(|| exit_code(status)),
                &message.as_ref().map(Message::english).unwrap_or_default(),
                &stderr,
            )
        })
        .flatten();
    Outcome {
        class,
        exit_code: exit_code_shown,
        signal: status.signal,
        message: message.map(|message| message.cut(MESSAGE_MAX)),
        retry_verdict,
        outputs,
        started: Timestamp(status.started_ms),
        finished: Timestamp(status.finished_ms),
        has_log: None,
    }
}

/// An outcome of something that never ran.
pub fn unstarted(class: OutcomeClass, message: Message, now: Timestamp) -> Outcome {
    Outcome {
        class,
        exit_code: None,
        signal: None,
        message: Some(message.cut(MESSAGE_MAX)),
        retry_verdict: None,
        outputs: Vec::new(),
        started: now,
        finished: now,
        has_log: None,
    }
}

fn judge(
    status: &Status,
    output_file: &Path,
    output_bytes_max: usize,
) -> (OutcomeClass, Option<Message>, Vec<(String, String)>) {
    match status.ending {
        Ending::Killed => (OutcomeClass::Killed, Some(say!("killed")), Vec::new()),
        Ending::TimedOut => {
            (OutcomeClass::AttemptTimeout, Some(say!("ended at the timeout of the attempt")), Vec::new())
        }
        Ending::LeaseEnded => (OutcomeClass::Infrastructure, Some(say!("ended with the worker's lease")), Vec::new()),
        Ending::ShimSignalled => {
            (OutcomeClass::Infrastructure, Some(say!("its shim was told by a signal to end")), Vec::new())
        }
        Ending::Exited if status.is_out_of_memory => {
            (OutcomeClass::OutOfMemory, Some(say!("killed by the kernel: out of memory")), Vec::new())
        }
        Ending::Exited if status.exit_code == Some(0) => match output::read(output_file, output_bytes_max) {
            Ok(outputs) => (OutcomeClass::Succeeded, None, outputs),
            Err(error) => (OutcomeClass::Failed, Some(say!("$RF_OUTPUT: {}", error.said())), Vec::new()),
        },
        Ending::Exited => (OutcomeClass::Failed, Some(failure(status)), Vec::new()),
    }
}

fn failure(status: &Status) -> Message {
    let how = match (status.exit_code, status.signal) {
        (Some(code), _) => say!("exit code {}", code),
        (None, Some(signal)) => match nix::sys::signal::Signal::try_from(signal) {
            Ok(name) => say!("ended by signal {} ({})", signal, name.as_str()),
            Err(_) => say!("ended by signal {}", signal),
        },
        (None, None) => say!("ended in an unknown way"),
    };
    match last_line(&status.stderr_tail) {
        Some(line) => say!("{}: {}", how, line),
        None => how,
    }
}

fn last_line(stderr: &[u8]) -> Option<String> {
    let line = stderr.rsplit(|&b| b == b'\n').find(|line| !line.trim_ascii().is_empty())?;
    Some(cut(plain(&String::from_utf8_lossy(line)).trim(), LAST_LINE_MAX))
}

/// Without colours and other control sequences: it is shown in tables and on pages.
fn plain(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' if rest.peek() == Some(&'[') => {
                while rest.next().is_some_and(|c| !('@'..='~').contains(&c) || c == '[') {}
            }
            '\t' => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// What a shell would show as the exit code.
fn exit_code(status: &Status) -> Option<i32> {
    status.exit_code.or(status.signal.map(|signal| 128 + signal))
}

fn cut(text: &str, max: usize) -> String {
    let end = text.floor_char_boundary(max);
    if end == text.len() { text.to_owned() } else { format!("{}…", &text[..text.floor_char_boundary(max - 4)]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::assignment::RetryVerdict;
    use crate::model::policy::ExitRange;
    use crate::node::testing::{assignment, element};

    fn status(code: i32, stderr: &str) -> Status {
        Status { exit_code: Some(code), stderr_tail: stderr.as_bytes().to_vec(), ..Status::default() }
    }

    #[test]
    fn a_failure_says_its_code_and_the_last_line_of_stderr() {
        let outcome =
            outcome(&RetryRules::default(), &status(7, "a\nlast one \n\n"), || None, Path::new("/nonexistent"), 100);
        assert_eq!(
            (outcome.class, outcome.message.unwrap().english()),
            (OutcomeClass::Failed, "exit code 7: last one".to_owned())
        );
        assert_eq!(outcome.retry_verdict, None);
    }

    #[test]
    fn what_a_task_of_ours_says_takes_the_place_of_its_exit_code() {
        let said = |class| Some(Verdict { class, message: say!("killed"), exit_code: None, outputs: Vec::new() });
        let judged = |code, said| outcome(&RetryRules::default(), &status(code, "x"), || said, Path::new("/none"), 100);
        let refused = judged(1, said(OutcomeClass::Refused));
        assert_eq!((refused.class, refused.exit_code), (OutcomeClass::Refused, None));
        assert_eq!(refused.message.unwrap().english(), "killed");
        // It cannot make a success of a failure, nor a failure of a success.
        assert_eq!(judged(0, said(OutcomeClass::Failed)).class, OutcomeClass::Succeeded);
    }

    #[test]
    fn the_last_line_carries_no_control_sequence() {
        let said = |line: &str| failure(&status(3, line)).english();
        assert_eq!(said("\x1b[31mORA-01653\x1b[0m: unable\tto extend\r\n"), "exit code 3: ORA-01653: unable to extend");
        assert_eq!(said("a\x07b\x1b[1;2"), "exit code 3: ab");
    }

    #[test]
    fn a_failure_is_judged_by_the_retry_rules_and_a_success_is_not() {
        let rules = RetryRules { on_exit: vec![ExitRange { from: 75, to: 75 }], ..RetryRules::default() };
        let judge = |code| outcome(&rules, &status(code, ""), || None, Path::new("/nonexistent"), 100).retry_verdict;
        assert_eq!(judge(75), Some(RetryVerdict::Retry));
        assert_eq!(judge(1), Some(RetryVerdict::NoRetry));
        assert_eq!(judge(0), None);
    }

    #[test]
    fn bad_outputs_fail_a_task_that_ended_well() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("output");
        std::fs::write(&file, "rows\n").unwrap();
        let rules = RetryRules::default();
        let bad = outcome(&rules, &status(0, ""), || None, &file, 100);
        assert_eq!(bad.class, OutcomeClass::Failed);
        assert!(bad.message.unwrap().english().contains("line 1"));
        std::fs::write(&file, "rows=12\n").unwrap();
        assert_eq!(
            outcome(&rules, &status(0, ""), || None, &file, 100).outputs,
            [("rows".to_owned(), "12".to_owned())]
        );
    }

    #[test]
    fn the_environment_has_our_names_and_no_layer_can_replace_them() {
        let mut assignment = assignment(element("exec", &[], vec![]));
        assignment.env =
            vec![("RF_FENCE".into(), "stolen".into()), ("COLOUR".into(), "red".into()), ("A=B".into(), "x".into())];
        let base = BTreeMap::from([
            (b"COLOUR".to_vec(), b"blue".to_vec()),
            (TOKEN_VARIABLE.as_bytes().to_vec(), b"old".to_vec()),
        ]);
        let plan = Plan { variables: vec![("RF_V1".into(), "v".into())], ..Plan::default() };
        let files = TaskFiles { output: "/spool/x.output".into(), params: "/spool/x.params".into() };
        let made = environment(&assignment, base, &plan, &files, "tok");
        let texts: Vec<String> = made.entries.iter().map(|entry| String::from_utf8_lossy(entry).into_owned()).collect();
        assert_eq!(texts[0], "RF_ATTEMPT_TOKEN=tok");
        assert_eq!(texts.iter().filter(|text| text.starts_with("RF_ATTEMPT_TOKEN")).count(), 1);
        for wanted in
            ["COLOUR=red", "RF_FENCE=3.1", "RF_V1=v", "RF_OUTPUT=/spool/x.output", "RF_ATTEMPT=1", "RF_NODE=n"]
        {
            assert!(texts.iter().any(|text| text == wanted), "{wanted}: {texts:?}");
        }
        assert_eq!(made.warnings.len(), 1);
    }
}
