//! `workflow next`: when it fires, with the parameters as they will render.

use clap::Args;

use crate::api::{ExitCode, NextFireView};
use crate::cli::console::{Outcome, Verb, augment};
use crate::cli::remote::client::Ask;
use crate::cli::remote::{self, Remote, show};

pub const VERB: Verb = Verb {
    path: "workflow next",
    about: "When a workflow fires next, with its parameters; without a name, all of them",
    examples: &["ractorflow workflow next orders -n 5", "ractorflow workflow next"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::NotFound],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    workflow: Option<String>,
    #[arg(short = 'n', long, default_value_t = 10)]
    limit: u32,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let ask = match &arguments.workflow {
        Some(workflow) => Ask::new(["workflows", workflow, "next"]),
        None => Ask::new(["schedule"]),
    };
    let fires: Vec<NextFireView> = remote.client.get(&ask.with("limit", arguments.limit)).await?;
    let console = remote.console;
    console.list(&fires, &fires, |one| one.local.clone(), |items| show::next_fires(items, console))?;
    Ok(ExitCode::Ok)
}
