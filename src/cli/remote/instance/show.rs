//! `instance show`.

use clap::Args;

use crate::api::{ExitCode, InstanceView};
use crate::cli::console::{Outcome, Verb, augment};
use crate::cli::remote::client::Ask;
use crate::cli::remote::select::{reference, state_words};
use crate::cli::remote::{self, Remote, show, workflow};
use crate::model::state::NodeWord;

pub const VERB: Verb = Verb {
    path: "instance show",
    about: "One instance with its nodes and attempts",
    examples: &[
        "ractorflow instance show 10342",
        "ractorflow instance show last:orders -o json",
        "ractorflow instance show 10342 --state failed,running",
    ],
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
    /// Only nodes in these states, such as failed,running
    #[arg(long, value_name = "STATES", value_delimiter = ',', value_parser = node_state)]
    state: Vec<NodeWord>,
    /// Every node, also when they are too many for a table (JSON has them always)
    #[arg(long)]
    all: bool,
    /// The text of the definition that it runs, alone
    #[arg(long, conflicts_with_all = ["state", "all"])]
    xml: bool,
}

fn node_state(word: &str) -> Result<NodeWord, String> {
    let found = NodeWord::ALL.iter().copied().find(|state| state.word() == word || state.word_zh() == word);
    found.ok_or_else(|| {
        let words: Vec<&str> = NodeWord::ALL.iter().map(|state| state.word()).collect();
        format!("one of {}", words.join(", "))
    })
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let instance = reference(&arguments.instance)?.to_string();
    let ask = Ask::new(["instances", &instance]).maybe("generation", arguments.generation);
    let mut view: InstanceView = remote.client.get(&ask.maybe("node_state", state_words(&arguments.state))).await?;
    if arguments.xml {
        return workflow::show::xml(&view.workflow, Some(view.version), &remote).await;
    }
    let console = remote.console;
    if arguments.all || (console.is_json() && !arguments.state.is_empty()) {
        remote.add_rest(&mut view, &arguments.state).await?;
    } else if arguments.state.is_empty() {
        view = remote.for_output(view).await?;
    }
    console.show(&view, &view.number.to_string(), || show::instance(&view, console))?;
    Ok(ExitCode::Ok)
}
