//! `workflow trigger`: as if its trigger had fired.

use clap::Args;

use crate::api::ExitCode;
use crate::api::change::TriggerRequest;
use crate::cli::console::{Outcome, Verb, augment};
use crate::cli::remote::act::ChangeOptions;
use crate::cli::remote::run::parameters;
use crate::cli::remote::stay::StayOptions;
use crate::cli::remote::{self, Remote};

pub const VERB: Verb = Verb {
    path: "workflow trigger",
    about: "Start a workflow as its trigger would: its success counts for those that wait for it",
    examples: &[
        "ractorflow workflow trigger orders",
        "ractorflow workflow trigger orders --with-downstream --skip mail",
        "ractorflow workflow trigger orders --wait --timeout 30m",
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
    ],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    workflow: String,
    /// Run what waits for it too, and what waits for that
    #[arg(long)]
    with_downstream: bool,
    /// Nodes to skip
    #[arg(long, value_name = "NODE")]
    skip: Vec<String>,
    /// Parameter
    #[arg(short, long = "param", value_name = "NAME=VALUE")]
    param: Vec<String>,
    /// The time that the run is for
    #[arg(long, value_name = "TIME")]
    nominal: Option<String>,
    /// The date that its data is of; not together with --nominal
    #[arg(long, value_name = "YYYY-MM-DD")]
    business_date: Option<String>,
    #[command(flatten)]
    stay: StayOptions,
    #[command(flatten)]
    change: ChangeOptions,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let stay = arguments.stay.read()?;
    let request = TriggerRequest {
        with_downstream: arguments.with_downstream,
        skip: arguments.skip,
        params: parameters(&arguments.param)?,
        nominal: arguments.nominal,
        business_date: arguments.business_date,
    };
    let answer = remote.change("workflows", &arguments.workflow, "trigger", &request, &arguments.change).await?;
    match stay {
        None => remote.tell(&arguments.workflow, ("triggered", "已触发"), &answer),
        Some(stay) => stay.with_started(&remote, &answer).await,
    }
}
