//! `cluster finalize-upgrade`: the way back to the old version is closed.

use clap::Args;
use serde_json::json;

use crate::api::{ClusterView, ExitCode};
use crate::cli::console::{Outcome, Verb, augment};
use crate::cli::remote::act::ChangeOptions;
use crate::cli::remote::client::Ask;
use crate::cli::remote::{self, Remote};

pub const VERB: Verb = Verb {
    path: "cluster finalize-upgrade",
    about: "After all masters were upgraded: let the log hold what older versions cannot read",
    examples: &["ractorflow cluster finalize-upgrade --reason 'a week without trouble'"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::Conflict],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    #[command(flatten)]
    change: ChangeOptions,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let ask = Ask::new(["cluster:finalize-upgrade"]).maybe("reason", arguments.change.reason.as_deref());
    let answer = remote.client.change(&ask, &json!({}), arguments.change.key.as_deref()).await?;
    let min_seq = Ask::new(["cluster"]).maybe("min_seq", Some(answer.seq));
    let view: ClusterView = remote.client.get(&min_seq).await?;
    let words = remote.console.word("feature level", "特性级别");
    let target = format!("{words} {}", view.feature_level);
    remote.tell(&target, ("is in force", "已生效"), &answer)
}
