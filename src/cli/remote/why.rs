//! `why`: why is it not running, why did it (not) fire?

use clap::Args;

use crate::api::{ExitCode, InstanceRef, WhyView};
use crate::cli::console::{Outcome, Verb, augment};

use super::client::Ask;
use super::{Remote, show};

pub const VERB: Verb = Verb {
    path: "why",
    about: "Why an instance, a node or a workflow is not running, and what would change that",
    examples: &["ractorflow why 10342", "ractorflow why last:orders/load", "ractorflow why orders"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::NotFound],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| super::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    /// 10342, 10342/load, last, or the name of a workflow
    #[arg(value_name = "INSTANCE[/NODE]|WORKFLOW")]
    about: String,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let about = arguments.about.as_str();
    let (first, node) = about.split_once('/').map_or((about, None), |(first, node)| (first, Some(node)));
    let reference: Option<InstanceRef> = first.parse().ok();
    let instance = reference.as_ref().map(ToString::to_string);
    let ask = match (&instance, node) {
        (Some(instance), Some(node)) => Ask::new(["instances", instance, "nodes", node, "why"]),
        (Some(instance), None) => Ask::new(["instances", instance, "why"]),
        (None, _) => Ask::new(["workflows", about, "why"]),
    };
    let view: WhyView = remote.client.get(&ask).await?;
    let console = remote.console;
    console.show(&view, &console.say(&view.summary), || show::why(&view, console))?;
    Ok(ExitCode::Ok)
}
