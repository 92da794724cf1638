//! `workflow list`.

use clap::Args;

use crate::api::{ExitCode, Page, WorkflowSummary};
use crate::cli::console::{Outcome, Verb, augment};
use crate::cli::remote::client::Ask;
use crate::cli::remote::{self, Remote, show};

pub const VERB: Verb = Verb {
    path: "workflow list",
    about: "Workflows, with their last run and next fire",
    examples: &["ractorflow workflow list", "ractorflow workflow list order --enabled true -o wide"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    /// Part of the name or description
    text: Option<String>,
    #[arg(long)]
    dir: Option<String>,
    #[arg(long)]
    owner: Option<String>,
    #[arg(long)]
    tag: Option<String>,
    #[arg(long, value_name = "true|false")]
    enabled: Option<bool>,
    /// Only those whose file does not load
    #[arg(long)]
    has_error: bool,
    /// State of the newest instance
    #[arg(long, value_name = "STATE")]
    last_state: Option<String>,
    /// Rows at most; without it as the server is set (50)
    #[arg(long)]
    limit: Option<u32>,
    /// Go on where the page before ended
    #[arg(long)]
    cursor: Option<String>,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let ask = Ask::new(["workflows"])
        .maybe("text", arguments.text)
        .maybe("dir", arguments.dir)
        .maybe("owner", arguments.owner)
        .maybe("tag", arguments.tag)
        .maybe("enabled", arguments.enabled)
        .maybe("has_error", arguments.has_error.then_some(true))
        .maybe("last_state", arguments.last_state)
        .maybe("cursor", arguments.cursor)
        .maybe("limit", arguments.limit);
    let page: Page<WorkflowSummary> = remote.client.get(&ask).await?;
    let console = remote.console;
    console.list(&page, &page.items, |one| one.name.clone(), |items| show::workflows(items, console))?;
    show::more(page.next.as_deref(), console);
    Ok(ExitCode::Ok)
}
