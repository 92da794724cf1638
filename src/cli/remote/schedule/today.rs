//! `schedule today`: what is still to fire today.

use clap::Args;

use crate::api::{ExitCode, PrerequisiteView, TodayView};
use crate::cli::console::{Cell, Console, Language, Outcome, Table, Verb, augment, instant};
use crate::cli::remote::client::Ask;
use crate::cli::remote::{self, Remote};

pub const VERB: Verb = Verb {
    path: "schedule today",
    about: "How often each workflow still fires today, and what it waits for",
    examples: &["ractorflow schedule today", "ractorflow schedule today -o json"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| remote::run(matches, console, run),
};

#[derive(Debug, Args)]
struct Arguments {}

async fn run(_: Arguments, remote: Remote<'_>) -> Outcome {
    let view: TodayView = remote.client.get(&Ask::new(["schedule", "today"])).await?;
    let names: Vec<&str> = view.workflows.iter().map(|row| row.workflow.as_str()).collect();
    remote.console.show(&view, &names.join("\n"), || text(&view, remote.console))?;
    Ok(ExitCode::Ok)
}

fn text(view: &TodayView, console: &Console) -> String {
    let mut table = Table::new()
        .column(console.word("WORKFLOW", "工作流"))
        .right(console.word("LEFT", "剩余"))
        .column(console.word("NEXT", "下次触发"))
        .column(console.word("WAITS FOR", "前置"))
        .empty(console.word("nothing is left today", "今日不再有触发"));
    for row in &view.workflows {
        let waits_for: Vec<String> = row.waits_for.iter().map(|one| prerequisite(one, console)).collect();
        table.row([
            Cell::from(row.workflow.clone()),
            Cell::from(row.left.to_string()),
            Cell::from(row.next.map_or("-".to_owned(), instant)),
            Cell::from(waits_for.join(", ")),
        ]);
    }
    let (date, zone, left) = (&view.date, &view.zone, view.left);
    let more = if view.is_cut { console.word("; not all are shown", "；未全部列出") } else { "" };
    let sum = match console.language {
        Language::En => format!("{date} ({zone}): {left} left{more}\n"),
        Language::Zh => format!("{date} ({zone})：剩余 {left} 次{more}\n"),
    };
    table.render(console) + &sum
}

/// A prerequisite with its readiness.
pub fn prerequisite(one: &PrerequisiteView, console: &Console) -> String {
    let standing = match (one.is_missing, one.is_set) {
        (true, _) => console.word("not loaded", "未加载"),
        (false, true) => console.word("ready", "已就绪"),
        (false, false) => console.word("not ready", "未就绪"),
    };
    format!("{} ({standing})", one.workflow)
}
