//! `instance mark`: a person says how a node ended.

use clap::Args;

use crate::api::ExitCode;
use crate::api::change::{MarkAs, MarkRequest};
use crate::cli::console::{Outcome, Verb, augment};
use crate::cli::remote::act::ChangeOptions;
use crate::cli::remote::select::reference;
use crate::cli::remote::{self, Remote};

pub const VERB: Verb = Verb {
    path: "instance mark",
    about: "Say how a node ended: succeeded, skipped or failed",
    examples: &["ractorflow instance mark 10342 load succeeded --reason 'loaded by hand'"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::NotFound, ExitCode::Conflict],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    /// 10342, #10342, last, last:WORKFLOW
    instance: String,
    node: String,
    #[arg(value_parser = ["succeeded", "skipped", "failed"])]
    state: String,
    #[command(flatten)]
    change: ChangeOptions,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let number = remote.number(&reference(&arguments.instance)?).await?.to_string();
    let mark = match arguments.state.as_str() {
        "succeeded" => MarkAs::Succeeded,
        "skipped" => MarkAs::Skipped,
        _ => MarkAs::Failed,
    };
    let request = MarkRequest { node: arguments.node.clone(), mark };
    let answer = remote.change("instances", &number, "mark", &request, &arguments.change).await?;
    let target = format!("{number}/{}", arguments.node);
    remote.tell(&target, ("marked", "已标记"), &answer)
}
