//! `instance rerun`.

use clap::Args;

use crate::api::ExitCode;
use crate::api::change::{RerunMode, RerunRequest, RerunVersion};
use crate::cli::console::{Outcome, Verb, augment};
use crate::cli::remote::act::ChangeOptions;
use crate::cli::remote::stay::StayOptions;
use crate::cli::remote::{self, Remote};
use crate::say;

pub const VERB: Verb = Verb {
    path: "instance rerun",
    about: "Run an instance again: all, from what failed, from a node, only a node",
    examples: &[
        "ractorflow instance rerun 10342",
        "ractorflow instance rerun last:orders --from load --version same",
        "ractorflow instance rerun 10342 --wait --timeout 30m",
        "ractorflow instance rerun @failed --yes",
    ],
    exits: &[
        ExitCode::NotRunning,
        ExitCode::Denied,
        ExitCode::NotFound,
        ExitCode::Conflict,
        ExitCode::TimedOutWaiting,
        ExitCode::Detached,
        ExitCode::InstanceFailed,
        ExitCode::InstanceKilled,
        ExitCode::Partial,
    ],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    /// 10342, #10342, last, last:WORKFLOW, @failed
    #[arg(required = true, value_name = "INSTANCE")]
    instances: Vec<String>,
    /// Every node
    #[arg(long, group = "mode")]
    all: bool,
    /// What failed and what follows it [default]
    #[arg(long, group = "mode")]
    from_failed: bool,
    /// This node and what follows it
    #[arg(long, value_name = "NODE", group = "mode")]
    from: Option<String>,
    /// This node alone
    #[arg(long, value_name = "NODE", group = "mode")]
    only: Option<String>,
    /// Which definition
    #[arg(long, value_parser = ["same", "latest"], default_value = "latest")]
    version: String,
    #[command(flatten)]
    stay: StayOptions,
    /// Do not ask when there are several
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    change: ChangeOptions,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let stay = arguments.stay.read()?;
    let (mode, node) = match (&arguments.from, &arguments.only) {
        (Some(node), _) => (RerunMode::FromNode, Some(node.clone())),
        (None, Some(node)) => (RerunMode::OnlyNode, Some(node.clone())),
        (None, None) if arguments.all => (RerunMode::All, None),
        (None, None) => (RerunMode::FromFailed, None),
    };
    let version = if arguments.version == "same" { RerunVersion::Same } else { RerunVersion::Latest };
    let request = RerunRequest { mode, node, version };
    let numbers = remote.numbers(&arguments.instances).await?;
    let targets: Vec<String> = numbers.iter().map(u64::to_string).collect();
    remote.confirm(&say!("rerun"), &targets, arguments.yes)?;
    let options = &arguments.change;
    match stay {
        None => {
            remote.change_each("instances", &targets, "rerun", ("runs again as", "已重跑"), &request, options).await
        }
        Some(stay) => stay.with_each(&remote, &numbers, "rerun", &say!("runs again"), &request, options).await,
    }
}
