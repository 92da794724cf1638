//! `instance list`.

use clap::Args;

use crate::api::{ExitCode, InstanceSummary, Page};
use crate::cli::console::{Outcome, Verb, augment};
use crate::cli::remote::client::Ask;
use crate::cli::remote::{self, Remote, show};

pub const VERB: Verb = Verb {
    path: "instance list",
    about: "Instances, newest first",
    examples: &[
        "ractorflow instance list --workflow orders",
        "ractorflow instance list --state failed --since 2026-11-20T00:00:00+08:00 -o json",
        "ractorflow instance search --from 2026-11-19 --to 2026-11-20 --creator li --key order",
    ],
    exits: &[ExitCode::NotRunning, ExitCode::Denied],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {
    #[arg(long)]
    workflow: Option<String>,
    /// queued, running, paused, succeeded, failed, killed, or the Chinese word; several with commas
    #[arg(long, value_name = "STATE", visible_alias = "status")]
    state: Option<String>,
    /// scheduled, triggered, run, backfill or sub
    #[arg(long)]
    kind: Option<String>,
    /// Created at or after: RFC 3339, or a date from its beginning
    #[arg(long, value_name = "TIME", visible_alias = "from")]
    since: Option<String>,
    /// Created before: RFC 3339, or a date until its end
    #[arg(long, value_name = "TIME", visible_alias = "to")]
    until: Option<String>,
    /// Creator of the workflow, as its file says
    #[arg(long)]
    creator: Option<String>,
    /// Part of the workflow's name or description, or the number
    #[arg(long = "match", value_name = "TEXT", visible_alias = "key")]
    text: Option<String>,
    /// Rows at most; without it as the server is set (50)
    #[arg(long)]
    limit: Option<u32>,
    /// Go on where the page before ended
    #[arg(long)]
    cursor: Option<String>,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    let ask = Ask::new(["instances"])
        .maybe("workflow", arguments.workflow)
        .maybe("state", arguments.state)
        .maybe("kind", arguments.kind)
        .maybe("since", arguments.since)
        .maybe("until", arguments.until)
        .maybe("creator", arguments.creator)
        .maybe("text", arguments.text)
        .maybe("cursor", arguments.cursor)
        .maybe("limit", arguments.limit);
    let page: Page<InstanceSummary> = remote.client.get(&ask).await?;
    let console = remote.console;
    console.list(&page, &page.items, |one| one.number.to_string(), |items| show::instances(items, console))?;
    show::more(page.next.as_deref(), console);
    Ok(ExitCode::Ok)
}
