//! `workflow check`: would the cluster load this file?

use std::path::PathBuf;

use clap::Args;

use crate::api::change::CheckRequest;
use crate::api::{CheckView, ExitCode};
use crate::cli::console::{Failure, Outcome, Verb, augment};
use crate::cli::remote::client::Ask;
use crate::cli::remote::{self, Remote, show};

pub const VERB: Verb = Verb {
    path: "workflow check",
    about: "Ask the cluster whether it would load a file; changes nothing",
    examples: &["ractorflow workflow check orders.xml"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::DefinitionInvalid],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    file: PathBuf,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let path = arguments.file.display().to_string();
    let text = super::read_definition(&arguments.file)?;
    let ask = Ask::new(["workflows:check"]);
    let view: CheckView = remote.client.post(&ask, &CheckRequest { text, path: path.clone() }).await?;
    let console = remote.console;
    console.show(&view, &path, || {
        let running = match view.running_version {
            Some(version) => {
                format!(". {} v{version}", console.word("Untouched: running version", "未改动: 仍在运行的版本"))
            }
            None => String::new(),
        };
        let summary = match view.is_valid {
            true => console.word("it would load", "可以加载").to_owned(),
            false => format!("{} {}", view.errors, console.word("errors", "个错误")),
        };
        format!(
            "{}{summary}, {} {}{running}",
            show::diagnostics(&view.diagnostics, console),
            view.warnings,
            console.word("warnings", "个警告")
        )
    })?;
    if view.is_valid { Ok(ExitCode::Ok) } else { Ok::<_, Failure>(ExitCode::DefinitionInvalid) }
}
