//! `workflow disable`.

use clap::Args;
use serde_json::json;

use crate::api::ExitCode;
use crate::cli::console::{Outcome, Verb, augment};
use crate::cli::remote::act::ChangeOptions;
use crate::cli::remote::{self, Remote};
use crate::say;

pub const VERB: Verb = Verb {
    path: "workflow disable",
    about: "Stop a workflow from firing; what runs goes on",
    examples: &["ractorflow workflow disable orders", "ractorflow workflow disable orders stock --yes"],
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
    remote.confirm(&say!("disable"), &arguments.workflows, arguments.yes)?;
    remote
        .change_each(
            "workflows",
            &arguments.workflows,
            "disable",
            ("disabled", "已停用"),
            &json!({}),
            &arguments.change,
        )
        .await
}
