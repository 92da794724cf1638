//! `workflow apply`: load files without copying them into xmlconfig/.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::api::change::{AppliedFile, ApplyRequest};
use crate::api::{ChangeAnswer, Changed, ExitCode};
use crate::cli::console::{Failure, Outcome, Table, Verb, augment};
use crate::cli::remote::act::ChangeOptions;
use crate::cli::remote::client::Ask;
use crate::cli::remote::{self, Remote, show};
use crate::say;

pub const VERB: Verb = Verb {
    path: "workflow apply",
    about: "Load a file as the newest version of its workflow",
    examples: &[
        "ractorflow workflow apply orders.xml",
        "ractorflow workflow apply orders.xml --expect-version 12",
        "ractorflow workflow apply orders.xml --attach lib/load.sh",
    ],
    exits: &[
        ExitCode::NotRunning,
        ExitCode::Denied,
        ExitCode::NotFound,
        ExitCode::Conflict,
        ExitCode::DefinitionInvalid,
        ExitCode::Partial,
    ],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

/// With the text they must fit into one request; larger ones come by way of the directory.
const ATTACHED_BYTES_MAX: usize = 3 << 20;

#[derive(Debug, Args)]
struct Arguments {
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Refuse when the newest version is another one
    #[arg(long, value_name = "N")]
    expect_version: Option<u32>,
    /// File that the definition names by a relative path, written as there; one that has not changed may be left out
    #[arg(long, value_name = "PATH")]
    attach: Vec<String>,
    #[command(flatten)]
    change: ChangeOptions,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let console = remote.console;
    let is_for_one =
        arguments.change.key.is_some() || arguments.expect_version.is_some() || !arguments.attach.is_empty();
    if arguments.files.len() > 1 && is_for_one {
        return Err(Failure::usage(say!("--key, --expect-version and --attach are for one file")));
    }
    let mut answers: Vec<ChangeAnswer> = Vec::new();
    let mut last: Option<Failure> = None;
    for file in &arguments.files {
        let path = file.display().to_string();
        let text = super::read_definition(file)?;
        let files = attached(file, &arguments.attach)?;
        let request = ApplyRequest { text, path: path.clone(), expect_version: arguments.expect_version, files };
        let ask = Ask::new(["workflows:apply"]).maybe("reason", arguments.change.reason.as_deref());
        match remote.client.change(&ask, &request, arguments.change.key.as_deref()).await {
            Ok(answer) => {
                if !console.is_json() {
                    tell(&remote, &path, &answer)?;
                }
                answers.push(answer);
            }
            Err(failure) if arguments.files.len() == 1 => return Err(failure),
            Err(failure) => {
                eprintln!("{path}: {}", failure.text(console.language));
                last = Some(failure);
            }
        }
    }
    if console.is_json() {
        match answers.as_slice() {
            [answer] if arguments.files.len() == 1 => console.show(answer, "", String::new)?,
            answers => console.list(&answers, answers, |_| String::new(), |_| Table::new())?,
        }
    }
    Ok(match last {
        None => ExitCode::Ok,
        Some(failure) if answers.is_empty() => failure.exit,
        Some(_) => ExitCode::Partial,
    })
}

/// Beside the definition, else from where the command was given.
fn attached(definition: &Path, paths: &[String]) -> Result<Vec<AppliedFile>, Failure> {
    let mut total = 0;
    let mut files = Vec::new();
    for path in paths {
        let beside = definition.parent().unwrap_or(Path::new("")).join(path);
        let place = if beside.exists() { beside } else { PathBuf::from(path) };
        let bytes = std::fs::read(&place)
            .map_err(|error| Failure::new(ExitCode::NotFound, say!("cannot read {}: {}", place, error.to_string())))?;
        total += bytes.len();
        if total > ATTACHED_BYTES_MAX {
            let message = say!("the attached files have more than {} bytes together", ATTACHED_BYTES_MAX);
            return Err(Failure::usage(message).hint(say!("copy the definition and its files into xmlconfig/")));
        }
        files.push(AppliedFile { path: path.clone(), content: hex::encode(bytes) });
    }
    Ok(files)
}

fn tell(remote: &Remote<'_>, path: &str, answer: &ChangeAnswer) -> Result<(), Failure> {
    let console = remote.console;
    let Changed::Applied(applied) = &answer.changed else { return Ok(()) };
    console.show(answer, &applied.workflow.name, || {
        let how = if applied.is_new {
            console.word("new version", "新版本")
        } else {
            console.word("no change, version", "无变化, 版本")
        };
        format!(
            "{}{path}: {}: {how} v{}",
            show::diagnostics(&applied.warnings, console),
            applied.workflow.name,
            applied.version
        )
    })
}
