//! `status`: is all right, and what to do first?

use std::time::Duration;

use clap::Args;

use crate::api::{AttentionView, ExitCode, StatusView};
use crate::cli::console::{Cell, Console, Failure, Format, Outcome, Table, Verb, augment, instant};

use super::client::Ask;
use super::{Remote, show};

pub const VERB: Verb = Verb {
    path: "status",
    about: "Is all right? What needs a person, what runs, what comes next",
    examples: &["ractorflow status", "ractorflow status --watch"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied, ExitCode::Detached],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: |matches, console| super::run(matches, console, run),
};

/// Between two looks of --watch, however many events come.
const WATCH_PAUSE: Duration = Duration::from_millis(500);
/// Days of the table of days.
const DAYS: usize = 8;
/// Rows of each list.
const ROWS: usize = 10;

#[derive(Debug, Args)]
struct Arguments {
    /// Show it again whenever something happens
    #[arg(short, long)]
    watch: bool,
}

async fn run(arguments: Arguments, remote: Remote<'_>) -> Outcome {
    if !arguments.watch {
        print(&remote, false).await?;
        return Ok(ExitCode::Ok);
    }
    tokio::select! {
        ended = watch(&remote) => ended,
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::Detached),
    }
}

async fn watch(remote: &Remote<'_>) -> Outcome {
    loop {
        let opened = remote.client.stream(&Ask::new(["events"]), None).await;
        print(remote, true).await?;
        let mut stream = opened?;
        while stream.next().await?.is_some() {
            tokio::time::sleep(WATCH_PAUSE).await;
            stream.forget_waiting();
            print(remote, true).await?;
        }
        tokio::time::sleep(WATCH_PAUSE).await;
    }
}

async fn print(remote: &Remote<'_>, is_again: bool) -> Result<(), Failure> {
    let view: StatusView = remote.client.get(&Ask::new(["status"])).await?;
    let console = remote.console;
    if is_again && console.width.is_some() && !console.is_json() {
        console.raw(b"\x1b[H\x1b[2J")?;
    }
    console.show(&view, verdict(&view, console).as_str(), || text(&view, console))
}

fn verdict(view: &StatusView, console: &Console) -> String {
    let health =
        if view.cluster.is_healthy { console.word("healthy", "健康") } else { console.word("not healthy", "异常") };
    let none = console.word("none", "无");
    format!(
        "{} {} · {} {} · {} {} · {} {} · {} {health} ({} {}, {} {}, {} {}/{}, {} {}/{})",
        view.counts.unresolved,
        console.word("failed", "失败"),
        view.counts.running,
        console.word("running", "运行中"),
        view.counts.queued,
        console.word("queued", "排队"),
        view.due_today_text(),
        console.word("due today", "今日待触发"),
        console.word("cluster", "集群"),
        console.word("leader", "主"),
        view.cluster.leader.as_deref().unwrap_or(none),
        console.word("term", "任期"),
        view.cluster.epoch,
        console.word("votes", "选票"),
        view.cluster.votes,
        view.cluster.voters,
        console.word("slots", "槽位"),
        view.cluster.slots_used,
        view.cluster.slots,
    )
}

/// What it is about, as it is typed to look at it.
fn subject(one: &AttentionView) -> String {
    let place = [one.line, one.column].into_iter().flatten().map(|n| format!(":{n}")).collect::<String>();
    let words = [
        one.workflow.clone(),
        one.instance.map(|number| format!("#{number}{}", one.node.as_ref().map_or(String::new(), |n| format!("/{n}")))),
        one.file.as_ref().map(|file| format!("{file}{place}")),
        one.worker.clone(),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    if words.is_empty() { String::new() } else { format!("{}: ", words.join(" ")) }
}

fn text(view: &StatusView, console: &Console) -> String {
    let mut text = format!("{}\n", verdict(view, console));
    if let Some(message) = &view.cluster.message {
        text.push_str(&format!("{}\n", console.say(message)));
    }
    if !view.attention.is_empty() {
        text.push_str(&format!("\n{}\n", console.word("Needs attention", "需要处理")));
        for one in view.attention.iter().take(ROWS) {
            let said = console.say(&one.text);
            // Most sentences name their subject themselves.
            let is_named = one.instance.is_some_and(|number| said.contains(&format!("#{number}")));
            let subject = if is_named { String::new() } else { subject(one) };
            text.push_str(&format!("  {}  {subject}{said}\n", instant(one.since)));
            if let Some(detail) = &one.detail {
                text.push_str(&format!("      {}\n", console.say(detail).lines().next().unwrap_or_default()));
            }
        }
    }
    if console.format == Format::Wide {
        let title = console.word("Days", "近日");
        text.push_str(&format!("\n{title}\n{}", days(view, console).render(console)));
    }
    for (title, items) in
        [(console.word("Running", "正在运行"), &view.running), (console.word("Finished", "最近结束"), &view.finished)]
    {
        if !items.is_empty() {
            let shown = &items[..items.len().min(ROWS)];
            text.push_str(&format!("\n{title}\n{}", show::instances(shown, console).render(console)));
        }
    }
    if !view.upcoming.is_empty() {
        let shown = &view.upcoming[..view.upcoming.len().min(ROWS)];
        let title = console.word("Next", "即将触发");
        text.push_str(&format!("\n{title}\n{}", show::next_fires(shown, console).render(console)));
    }
    text
}

/// How the instances of the last days ended, today first.
fn days(view: &StatusView, console: &Console) -> Table {
    let mut table = Table::new()
        .column(console.word("DAY", "日期"))
        .right(console.word("SUCCEEDED", "成功"))
        .right(console.word("FAILED", "失败"))
        .right(console.word("KILLED", "已杀死"))
        .right(console.word("RUNNING", "运行中"));
    for day in view.days.iter().rev().take(DAYS) {
        let counts = [day.succeeded, day.failed, day.killed, day.running];
        table.row(std::iter::once(Cell::from(day.date.clone())).chain(counts.map(|n| Cell::from(n.to_string()))));
    }
    table
}
