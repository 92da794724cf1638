//! `cluster status`: who leads, what would be survived.

use crate::api::{ClusterView, ExitCode};
use crate::cli::console::{NoArgs, Outcome, Verb, augment};
use crate::cli::remote::client::Ask;
use crate::cli::remote::{self, Remote, show};

use super::nodes;

pub const VERB: Verb = Verb {
    path: "cluster status",
    about: "Who leads, and what the cluster would survive",
    examples: &["ractorflow cluster status", "ractorflow cluster status -o json"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied],
    is_hidden: false,
    arguments: augment::<NoArgs>,
    run: |matches, console| remote::run(matches, console, run),
};

async fn run(_: NoArgs, remote: Remote<'_>) -> Outcome {
    let view: ClusterView = remote.client.get(&Ask::new(["cluster"])).await?;
    let console = remote.console;
    console.show(&view, view.leader.as_deref().unwrap_or("-"), || {
        let none = console.word("none", "无");
        let leader = view.leader.as_deref().unwrap_or(none);
        let possible = view.feature_level_possible.map_or_else(String::new, |level| {
            let words =
                console.word("can be raised by `cluster finalize-upgrade` to", "可用 `cluster finalize-upgrade` 升到");
            format!(", {words} {level}")
        });
        format!(
            "{}   {}   {} {}{possible}\n{} {}/{}   {} {leader}   {} {}   {} {}\n{}\n\n{}\n{}",
            view.name,
            view.version,
            console.word("feature level", "特性级别"),
            view.feature_level,
            console.word("votes", "选票"),
            view.votes,
            view.voters,
            console.word("leader", "主"),
            console.word("term", "任期"),
            view.epoch,
            console.word("seq", "序号"),
            view.seq,
            console.say(&view.verdict),
            nodes::table(&view.nodes, console).render(console),
            show::workers(&view.workers, console).render(console),
        )
    })?;
    Ok(ExitCode::Ok)
}
