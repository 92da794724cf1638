//! `cluster switch-over`: the lead goes to another master, in a fraction of a second.

use clap::Args;

use crate::api::change::SwitchOverRequest;
use crate::api::{ClusterView, ExitCode};
use crate::cli::console::{Failure, Outcome, Verb, augment};
use crate::cli::remote::act::ChangeOptions;
use crate::cli::remote::client::Ask;
use crate::cli::remote::{self, Remote};
use crate::say;

pub const VERB: Verb = Verb {
    path: "cluster switch-over",
    about: "Hand the lead to another master, for example before maintenance",
    examples: &["ractorflow cluster switch-over", "ractorflow cluster switch-over --to m2"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::NotFound, ExitCode::Conflict],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    /// The master that shall lead [default: the one whose log is most complete]
    #[arg(long, value_name = "NODE")]
    to: Option<String>,
    #[command(flatten)]
    change: ChangeOptions,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let before: ClusterView = remote.client.get(&Ask::new(["cluster"])).await?;
    let Some(from) = before.leader else {
        return Err(Failure::new(ExitCode::NotRunning, say!("no master is active")));
    };
    // Whoever repeats this after the switch finds another leader, and nothing to do.
    let request = SwitchOverRequest { to: arguments.to, from: Some(from.clone()) };
    let ask = Ask::new(["cluster:switch-over"]).maybe("reason", arguments.change.reason.as_deref());
    let answer = remote.client.change(&ask, &request, arguments.change.key.as_deref()).await?;
    remote.tell(&from, ("handed over the lead", "已交出主节点"), &answer)
}
