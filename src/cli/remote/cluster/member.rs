//! `cluster member`: who votes.

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::api::{ChangeAnswer, ExitCode};
use crate::cli::console::{Failure, Outcome, Verb, augment};
use crate::cli::remote::act::ChangeOptions;
use crate::cli::remote::client::Ask;
use crate::cli::remote::{self, Remote};
use crate::say;

pub const VERB: Verb = Verb {
    path: "cluster member",
    about: "Add, remove or replace a master among the voters, while the cluster works",
    examples: &[
        "ractorflow cluster member add m4",
        "ractorflow cluster member remove m2 --reason 'machine scrapped'",
        "ractorflow cluster member replace m2 m4",
    ],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::NotFound, ExitCode::Conflict],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Action {
    /// A running master receives the log, then votes
    Add,
    /// A master votes no more, running or lost
    Remove,
    /// The second one is added, then the first one removed
    Replace,
}

#[derive(Debug, Args)]
struct Arguments {
    action: Action,
    /// Such as m4
    node: String,
    /// Of replace: the new one
    with: Option<String>,
    #[command(flatten)]
    change: ChangeOptions,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    match (arguments.action, &arguments.with) {
        (Action::Add, None) => add(&arguments.node, &arguments.change, &remote).await,
        (Action::Remove, None) => remove(&arguments.node, &arguments.change, &remote).await,
        (Action::Replace, Some(new)) => {
            add(new, &arguments.change, &remote).await?;
            remove(&arguments.node, &arguments.change, &remote).await
        }
        (Action::Replace, None) => Err(Failure::usage(say!("replace needs two masters: the old and the new one"))),
        (Action::Add | Action::Remove, Some(_)) => Err(Failure::usage(say!("one master at a time"))),
    }
}

async fn add(node: &str, options: &ChangeOptions, remote: &Remote<'_>) -> Outcome {
    let answer = act(node, "add", options, remote).await?;
    remote.tell(node, ("is a voter", "已成为投票成员"), &answer)
}

async fn remove(node: &str, options: &ChangeOptions, remote: &Remote<'_>) -> Outcome {
    let answer = act(node, "remove", options, remote).await?;
    remote.tell(node, ("votes no more", "已不再投票"), &answer)
}

async fn act(node: &str, verb: &str, options: &ChangeOptions, remote: &Remote<'_>) -> Result<ChangeAnswer, Failure> {
    let target = format!("{node}:{verb}");
    let ask = Ask::new(["cluster", "members", &target]).maybe("reason", options.reason.as_deref());
    remote.client.change(&ask, &json!({}), options.key.as_deref()).await
}
