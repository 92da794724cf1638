//! `link list`.

use crate::api::{ExitCode, LinkView, LinksView};
use crate::cli::console::{Cell, Console, NoArgs, Outcome, Table, Verb, augment};
use crate::cli::remote::client::Ask;
use crate::cli::remote::{self, Remote};
use crate::say;

pub const VERB: Verb = Verb {
    path: "link list",
    about: "Links that the cluster keeps, and those in the files of its workers",
    examples: &["ractorflow link list", "ractorflow link list -o json"],
    exits: &[ExitCode::NotRunning, ExitCode::Denied],
    is_hidden: false,
    arguments: augment::<NoArgs>,
    run: |matches, console| remote::run(matches, console, run),
};

async fn run(_: NoArgs, remote: Remote<'_>) -> Outcome {
    let view: LinksView = remote.client.get(&Ask::new(["links"])).await?;
    let console = remote.console;
    console.list(&view, &view.links, |link| link.name.clone(), |links| table(links, console))?;
    for worker in &view.workers {
        if let Some(error) = &worker.error {
            console.talk(&say!("{}: {}", worker.worker, error));
        }
        for fault in &worker.faults {
            console.talk(&say!("{}: {}", worker.worker, fault));
        }
    }
    Ok(ExitCode::Ok)
}

fn table(links: &[LinkView], console: &Console) -> Table {
    let mut table = Table::new()
        .column(console.word("NAME", "名称"))
        .column(console.word("KIND", "种类"))
        .column(console.word("TYPE", "类型"))
        .column(console.word("ADDRESS", "地址"))
        .column(console.word("USER", "用户"))
        .column(console.word("FROM", "来源"))
        .column(console.word("USED BY", "使用者"))
        .column(console.word("DESCRIPTION", "描述"));
    for link in links {
        let mut used = link.used_by.iter().take(3).cloned().collect::<Vec<_>>().join(" ");
        let more = link.used_by.len().saturating_sub(3) + link.used_by_more as usize;
        if more > 0 {
            used.push_str(&format!(" +{more}"));
        }
        table.row(vec![
            Cell::from(link.name.as_str()),
            Cell::from(kind(&link.kind, console)),
            Cell::from(link.type_word.as_str()),
            Cell::from(link.place.as_str()),
            Cell::from(link.username.as_str()),
            Cell::from(origin(link, console)),
            Cell::from(used),
            Cell::from(link.description.as_str()),
        ]);
    }
    table
}

pub fn kind<'a>(word: &'a str, console: &Console) -> &'a str {
    match word {
        "database" => console.word("database", "数据库"),
        "file" => console.word("file", "文件"),
        other => other,
    }
}

/// Who has it. Where both do, a worker's own file counts there.
pub fn origin(link: &LinkView, console: &Console) -> String {
    let files = link.in_files_of.join(",");
    match (link.is_kept, files.is_empty()) {
        (true, true) => console.word("cluster", "集群").to_owned(),
        (true, false) => {
            format!("{}; {} {files}", console.word("cluster", "集群"), console.word("but file of", "但文件优先于"))
        }
        (false, _) => format!("{} {files}", console.word("file of", "文件：")),
    }
}
