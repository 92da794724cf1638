//! `worker list`.

use crate::api::{ExitCode, WorkerView};
use crate::cli::console::{NoArgs, Outcome, Verb, augment};
use crate::cli::remote::client::Ask;
use crate::cli::remote::{self, Remote, show};

pub const VERB: Verb = Verb {
    path: "worker list",
    about: "Workers, their slots and what runs there",
    examples: &["ractorflow worker list", "ractorflow worker list -o wide"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied],
    is_hidden: false,
    arguments: augment::<NoArgs>,
    run: |matches, console| remote::run(matches, console, run),
};

async fn run(_: NoArgs, remote: Remote<'_>) -> Outcome {
    let workers: Vec<WorkerView> = remote.client.get(&Ask::new(["workers"])).await?;
    let console = remote.console;
    console.list(&workers, &workers, |one| one.id.clone(), |items| show::workers(items, console))?;
    Ok(ExitCode::Ok)
}
