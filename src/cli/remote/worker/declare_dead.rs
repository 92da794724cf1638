//! `worker declare-dead`: a person has looked, nothing of it runs any more.

use clap::Args;
use serde_json::json;

use crate::api::ExitCode;
use crate::cli::console::{Outcome, Verb, augment};
use crate::cli::remote::act::ChangeOptions;
use crate::cli::remote::{self, Remote};

pub const VERB: Verb = Verb {
    path: "worker declare-dead",
    about: "Say that nothing of a lost worker runs any more; its attempts run elsewhere",
    examples: &["ractorflow worker declare-dead w2 --reason 'machine scrapped'"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::NotFound, ExitCode::Conflict],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    worker: String,
    #[command(flatten)]
    change: ChangeOptions,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let answer = remote.change("workers", &arguments.worker, "declare-dead", &json!({}), &arguments.change).await?;
    remote.tell(&arguments.worker, ("declared dead", "已宣告死亡"), &answer)
}
