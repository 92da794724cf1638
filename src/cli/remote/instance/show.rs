//! `instance show`.

use clap::Args;

use crate::api::{ExitCode, InstanceView};
use crate::cli::console::{Outcome, Verb, augment};
use crate::cli::remote::client::Ask;
use crate::cli::remote::select::reference;
use crate::cli::remote::{self, Remote, show};

pub const VERB: Verb = Verb {
    path: "instance show",
    about: "One instance with its nodes and attempts",
    examples: &["ractorflow instance show 10342", "ractorflow instance show last:orders -o json"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::NotFound],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    /// 10342, #10342, last, last:WORKFLOW
    instance: String,
    /// An earlier generation of an instance that was rerun
    #[arg(long, value_name = "N")]
    generation: Option<u32>,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let instance = reference(&arguments.instance)?.to_string();
    let ask = Ask::new(["instances", &instance]).maybe("generation", arguments.generation);
    let view: InstanceView = remote.client.get(&ask).await?;
    let console = remote.console;
    console.show(&view, &view.number.to_string(), || show::instance(&view, console))?;
    Ok(ExitCode::Ok)
}
