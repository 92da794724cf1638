//! `link remove`.

use clap::Args;
use serde_json::json;

use crate::api::ExitCode;
use crate::cli::console::{Outcome, Verb, augment};
use crate::cli::remote::act::ChangeOptions;
use crate::cli::remote::{self, Remote};

use super::KindOption;

pub const VERB: Verb = Verb {
    path: "link remove",
    about: "Have the cluster forget a link; files of hosts are not touched",
    examples: &["ractorflow link remove dwh"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::NotFound, ExitCode::Conflict],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    #[arg(value_name = "LINK")]
    name: String,
    #[command(flatten)]
    kind: KindOption,
    #[command(flatten)]
    change: ChangeOptions,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let answer = remote.change_link(&arguments.name, "remove", &arguments.kind, &json!({}), &arguments.change).await?;
    remote.tell(&arguments.name, ("removed", "已删除"), &answer)
}
