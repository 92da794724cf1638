//! `workflow versions`.

use clap::Args;

use crate::api::{ExitCode, Page, VersionView};
use crate::cli::console::{Cell, Outcome, Table, Verb, augment, instant};
use crate::cli::remote::client::Ask;
use crate::cli::remote::{self, Remote, show};

pub const VERB: Verb = Verb {
    path: "workflow versions",
    about: "Versions of a workflow, newest first",
    examples: &["ractorflow workflow versions orders"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::NotFound],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    workflow: String,
    /// Rows at most; without it as the server is set (50)
    #[arg(long)]
    limit: Option<u32>,
    /// Go on where the page before ended
    #[arg(long)]
    cursor: Option<String>,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let ask = Ask::new(["workflows", &arguments.workflow, "versions"]);
    let ask = ask.maybe("limit", arguments.limit).maybe("cursor", arguments.cursor);
    let page: Page<VersionView> = remote.client.get(&ask).await?;
    let console = remote.console;
    console.list(
        &page,
        &page.items,
        |one| one.version.to_string(),
        |items| {
            let mut table = Table::new()
                .column(console.word("VERSION", "版本"))
                .column(console.word("ADDED", "加入时间"))
                .column(console.word("BY", "来源"))
                .right(console.word("NODES", "节点"))
                .column(console.word("CHANGES", "变更"))
                .wide(console.word("HASH", "哈希"));
            for one in items {
                let mark = if one.is_current { " *" } else { "" };
                table.row([
                    Cell::from(format!("v{}{mark}", one.version)),
                    Cell::from(instant(one.added)),
                    Cell::from(one.by.clone()),
                    Cell::from(one.nodes.to_string()),
                    Cell::from(console.say_all(&one.changes)),
                    Cell::from(one.hash.clone()),
                ]);
            }
            table
        },
    )?;
    show::more(page.next.as_deref(), console);
    Ok(ExitCode::Ok)
}
