//! `workflow reset`: prerequisites count as not met.

use clap::Args;
use serde_json::json;

use crate::api::ExitCode;
use crate::cli::console::{Outcome, Verb, augment};
use crate::cli::remote::act::ChangeOptions;
use crate::cli::remote::client::Ask;
use crate::cli::remote::{self, Remote};

pub const VERB: Verb = Verb {
    path: "workflow reset",
    about: "Forget which prerequisites of a workflow are met",
    examples: &["ractorflow workflow reset orders", "ractorflow workflow reset --all"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::NotFound, ExitCode::Conflict],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    workflow: Option<String>,
    /// Of all workflows
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    change: ChangeOptions,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let done = ("reset", "已重置");
    match &arguments.workflow {
        Some(workflow) => {
            let answer = remote.change("workflows", workflow, "reset", &json!({}), &arguments.change).await?;
            remote.tell(workflow, done, &answer)
        }
        None => {
            let ask = Ask::new(["workflows:reset"]).maybe("reason", arguments.change.reason.as_deref());
            let answer = remote.client.change(&ask, &json!({}), arguments.change.key.as_deref()).await?;
            remote.tell(remote.console.word("all workflows", "所有工作流"), done, &answer)
        }
    }
}
