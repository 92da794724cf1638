//! `worker drain`.

use clap::Args;

use crate::api::ExitCode;
use crate::api::change::DrainRequest;
use crate::cli::console::{Outcome, Verb, augment};
use crate::cli::remote::act::ChangeOptions;
use crate::cli::remote::{self, Remote};

pub const VERB: Verb = Verb {
    path: "worker drain",
    about: "Give a worker nothing new; what runs there goes on",
    examples: &["ractorflow worker drain w1", "ractorflow worker drain w1 --off"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::NotFound, ExitCode::Conflict],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    worker: String,
    /// Give it work again
    #[arg(long)]
    off: bool,
    #[command(flatten)]
    change: ChangeOptions,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let request = DrainRequest { off: arguments.off };
    let answer = remote.change("workers", &arguments.worker, "drain", &request, &arguments.change).await?;
    let done = if arguments.off {
        ("takes work again", "已恢复接收任务")
    } else {
        ("takes nothing new", "不再接收新任务")
    };
    remote.tell(&arguments.worker, done, &answer)
}
