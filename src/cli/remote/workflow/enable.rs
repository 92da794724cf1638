//! `workflow enable`.

use clap::Args;
use serde_json::json;

use crate::api::ExitCode;
use crate::cli::console::{Outcome, Verb, augment};
use crate::cli::remote::act::ChangeOptions;
use crate::cli::remote::{self, Remote};
use crate::say;

pub const VERB: Verb = Verb {
    path: "workflow enable",
    about: "Let a workflow fire",
    examples: &["ractorflow workflow enable orders", "ractorflow workflow enable orders stock --yes"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::NotFound, ExitCode::Conflict, ExitCode::Partial],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    #[arg(required = true, value_name = "WORKFLOW")]
    workflows: Vec<String>,
    /// Do not ask when there are several
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    change: ChangeOptions,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    remote.confirm(&say!("enable"), &arguments.workflows, arguments.yes)?;
    remote
        .change_each("workflows", &arguments.workflows, "enable", ("enabled", "已启用"), &json!({}), &arguments.change)
        .await
}
