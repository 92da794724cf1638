//! `cluster nodes`.

use crate::api::{ClusterNodeView, ClusterView, ExitCode};
use crate::cli::console::{Cell, Console, NoArgs, Outcome, Table, Verb, augment, instant, standing};
use crate::cli::remote::client::Ask;
use crate::cli::remote::{self, Remote};

pub const VERB: Verb = Verb {
    path: "cluster nodes",
    about: "The processes of the cluster as the active master sees them",
    examples: &["ractorflow cluster nodes", "ractorflow cluster nodes -o wide"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied],
    is_hidden: false,
    arguments: augment::<NoArgs>,
    run: |matches, console| remote::run(matches, console, run),
};

async fn run(_: NoArgs, remote: Remote<'_>) -> Outcome {
    let view: ClusterView = remote.client.get(&Ask::new(["cluster"])).await?;
    let console = remote.console;
    console.list(&view.nodes, &view.nodes, |one| one.id.clone(), |items| table(items, console))?;
    Ok(ExitCode::Ok)
}

fn state(one: &ClusterNodeView, console: &Console) -> String {
    let words = [Some(&one.state), one.role_state.as_ref()].into_iter().flatten();
    words.map(|word| console.say(&standing(word))).collect::<Vec<_>>().join(" ")
}

pub fn table(items: &[ClusterNodeView], console: &Console) -> Table {
    let mut table = Table::new()
        .column(console.word("NODE", "节点"))
        .column(console.word("ROLES", "角色"))
        .column(console.word("STATE", "状态"))
        .column(console.word("LEADER", "主"))
        .right(console.word("TERM", "任期"))
        .column(console.word("ADDRESS", "地址"))
        .right("PID")
        .wide(console.word("VERSION", "版本"))
        .wide(console.word("SEES LEADER", "眼中的主"))
        .wide(console.word("BEHIND", "落后条数"))
        .wide(console.word("STARTED", "启动时间"));
    for one in items {
        table.row([
            Cell::from(one.id.clone()),
            Cell::from(one.roles.join(",")),
            Cell::from(state(one, console)),
            Cell::from(if one.leader { "*" } else { "" }),
            Cell::from(if one.term == 0 { "-".to_owned() } else { one.term.to_string() }),
            Cell::from(one.address.clone().unwrap_or_else(|| "-".to_owned())),
            Cell::from(one.pid.map_or("-".to_owned(), |pid| pid.to_string())),
            Cell::from(one.version.clone().unwrap_or_else(|| "-".to_owned())),
            Cell::from(one.sees_leader.clone().unwrap_or_else(|| "-".to_owned())),
            Cell::from(one.lag_entries.map_or("-".to_owned(), |n| n.to_string())),
            Cell::from(one.started.map_or("-".to_owned(), instant)),
        ]);
    }
    table
}
