//! `workflow errors`: files that do not load.

use clap::Args;

use crate::api::{ExitCode, LoadErrorView, Page};
use crate::cli::console::{Format, Outcome, Table, Verb, augment};
use crate::cli::remote::client::Ask;
use crate::cli::remote::{self, Remote, show};

pub const VERB: Verb = Verb {
    path: "workflow errors",
    about: "Files that do not load, with line and hint",
    examples: &["ractorflow workflow errors", "ractorflow workflow errors --warnings"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    /// Also files that load with warnings, such as a prerequisite that is not there
    #[arg(long)]
    warnings: bool,
    /// Rows at most; without it as the server is set (50)
    #[arg(long)]
    limit: Option<u32>,
    /// Go on where the page before ended
    #[arg(long)]
    cursor: Option<String>,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let ask = Ask::new(["load-errors"]).maybe("limit", arguments.limit).maybe("cursor", arguments.cursor);
    let ask = if arguments.warnings { ask.with("warnings", true) } else { ask };
    let page: Page<LoadErrorView> = remote.client.get(&ask).await?;
    let console = remote.console;
    if matches!(console.format, Format::Table | Format::Wide) {
        if page.items.is_empty() {
            console.data(console.word("all files load", "所有文件均已加载"))?;
        }
        for error in &page.items {
            console.data(&show::load_error(error, console))?;
        }
    } else {
        console.list(&page, &page.items, |one| one.path.clone(), |_| Table::new())?;
    }
    show::more(page.next.as_deref(), console);
    Ok(ExitCode::Ok)
}
