//! `instance resume`.

use clap::Args;
use serde_json::json;

use crate::api::ExitCode;
use crate::cli::console::{Outcome, Verb, augment};
use crate::cli::remote::act::ChangeOptions;
use crate::cli::remote::{self, Remote};
use crate::say;

pub const VERB: Verb = Verb {
    path: "instance resume",
    about: "Go on after a pause",
    examples: &["ractorflow instance resume 10342", "ractorflow instance resume last:orders"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::NotFound, ExitCode::Conflict, ExitCode::Partial],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    /// 10342, #10342, last, last:WORKFLOW, @failed
    #[arg(required = true, value_name = "INSTANCE")]
    instances: Vec<String>,
    /// Do not ask when there are several
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    change: ChangeOptions,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let numbers: Vec<String> = remote.numbers(&arguments.instances).await?.iter().map(u64::to_string).collect();
    remote.confirm(&say!("resume"), &numbers, arguments.yes)?;
    remote.change_each("instances", &numbers, "resume", ("resumed", "已恢复"), &json!({}), &arguments.change).await
}
