//! `import akkaflow`: what akkaflow's database holds, into the files of this home: definitions into `xmlconfig/`, links
//! into `conf/`, and, where that is asked for, past runs into a file of their own. Never over something else that is
//! there, unless told to.
//!
//! Owns the order of the steps and what is told of them; `table` reads, `definition` and `link` write.

mod definition;
mod history;
mod link;
mod table;

use std::sync::Arc;
use std::time::Duration;

use clap::{ArgMatches, Args, FromArgMatches};
use serde::Serialize;

use crate::api::ExitCode;
use crate::cli::console::{Cell, Console, Failure, Outcome, Table, Verb, augment};
use crate::config::{Config, Home};
use crate::connector::database::Database;
use crate::connector::link as named;
use crate::model::message::Message;
use crate::say;

pub const VERB: Verb = Verb {
    path: "import akkaflow",
    about: "Take over the workflows and links in akkaflow's database",
    examples: &["ractorflow import akkaflow --link akkaflow --dry-run", "ractorflow import akkaflow --link akkaflow"],
    exits: &[ExitCode::NotFound, ExitCode::Partial],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run,
};

/// To reach the database and sign in.
const OPEN_WITHIN: Duration = Duration::from_secs(15);

#[derive(Debug, Args)]
struct Arguments {
    /// Link to akkaflow's database in conf/db_links.xml
    #[arg(long, value_name = "LINK")]
    link: String,
    /// Only what the database holds and what would be done with it
    #[arg(long)]
    dry_run: bool,
    /// Overwrite files that hold another definition of the same workflow
    #[arg(long)]
    force: bool,
    /// Leave out the links
    #[arg(long)]
    no_links: bool,
    /// Take over past runs too, with their logs: `ractorflow history` shows them
    #[arg(long)]
    history: bool,
    /// ... only those that started on this day or later
    #[arg(long, value_name = "YYYY-MM-DD", requires = "history")]
    since: Option<chrono::NaiveDate>,
}

/// One thing of the database and what became of it.
#[derive(Debug, Serialize)]
struct Row {
    /// `workflow`, `db-link`, `file-link` or `history`.
    kind: &'static str,
    name: String,
    /// Where it is here, below the home.
    file: String,
    done: Done,
    /// What a person should know of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<Message>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Done {
    Written,
    Overwritten,
    /// It is here already, and the same.
    Same,
    /// Something else is here, and stays.
    Kept,
    /// There is nothing that could be written.
    Unusable,
}

/// What every step works with.
struct Steps<'a> {
    home: &'a Home,
    config: &'a Config,
    is_dry: bool,
    is_forced: bool,
}

fn run(matches: &ArgMatches, console: &Console) -> Outcome {
    let arguments = Arguments::from_arg_matches(matches)?;
    let home = Home::find(console.global.home.as_deref())?;
    // A home that was not started yet has no settings of its own.
    let config = if home.config_file().exists() { Config::load(&home)? } else { Config::default() };
    let link = named::db_link(&home.conf_dir(), &arguments.link).map_err(|error| {
        Failure::new(ExitCode::NotFound, error.said())
            .hint(say!("write akkaflow's database into conf/db_links.xml, as for any other link"))
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let found = runtime.block_on(async {
        let opened = Database::open(&link, home.root(), OPEN_WITHIN, Arc::new(|_| {})).await;
        let mut database = opened.map_err(|error| Failure::other(error.said()))?;
        let found = table::read(&mut database, config.limits.workflows_max, !arguments.no_links).await?;
        let past = match arguments.history {
            true => history::import(&mut database, &home, arguments.since, arguments.dry_run).await?,
            false => Vec::new(),
        };
        Ok::<_, Failure>((found, past))
    });
    runtime.shutdown_background();
    let (found, past) = found?;
    let steps = Steps { home: &home, config: &config, is_dry: arguments.dry_run, is_forced: arguments.force };
    let mut rows = definition::import(found.workflows, &steps)?;
    rows.extend(link::import(named::DB_LINKS_FILE, "db-link", found.db_links, &steps)?);
    rows.extend(link::import(named::FILE_LINKS_FILE, "file-link", found.file_links, &steps)?);
    rows.extend(past);
    console.list(&rows, &rows, |row| row.name.clone(), |rows| table_of(rows, arguments.dry_run, console))?;
    if arguments.dry_run {
        console.talk(&say!("nothing was written"));
    }
    let is_left = rows.iter().any(|row| matches!(row.done, Done::Kept | Done::Unusable));
    Ok(if is_left { ExitCode::Partial } else { ExitCode::Ok })
}

fn table_of(rows: &[Row], is_dry: bool, console: &Console) -> Table {
    let mut table = Table::new()
        .column(console.word("KIND", "种类"))
        .column(console.word("NAME", "名称"))
        .column(console.word("FILE", "文件"))
        .column(if is_dry { console.word("WOULD BE", "将会") } else { console.word("RESULT", "结果") })
        .column(console.word("NOTE", "说明"))
        .empty(console.word("the database holds no workflow and no link", "数据库中没有工作流和链接"));
    for row in rows {
        let done = match row.done {
            Done::Written => console.word("written", "写入"),
            Done::Overwritten => console.word("overwritten", "覆盖"),
            Done::Same => console.word("the same already", "已相同"),
            Done::Kept => console.word("left alone", "未改动"),
            Done::Unusable => console.word("unusable", "无法使用"),
        };
        let kind = match row.kind {
            "workflow" => console.word("workflow", "工作流"),
            "db-link" => console.word("database", "数据库"),
            "history" => console.word("past runs", "历史运行"),
            _ => console.word("file system", "文件系统"),
        };
        table.row([
            Cell::from(kind),
            Cell::from(row.name.clone()),
            Cell::from(row.file.clone()),
            Cell::from(done),
            Cell::from(row.note.as_ref().map(|note| console.say(note)).unwrap_or_default()),
        ]);
    }
    table
}

/// Writes beside the file and puts it there in one step, so that nobody reads half of it.
fn write(path: &std::path::Path, text: &str, mode: u32) -> Result<(), Failure> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let failed = |error: std::io::Error| Failure::other(say!("cannot write {}: {}", path, error.to_string()));
    let dir = path.parent().unwrap_or(path);
    std::fs::create_dir_all(dir).map_err(failed)?;
    let temporary = dir.join(format!(".import-{}", uuid::Uuid::now_v7()));
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&temporary, path));
    written.map_err(|error| {
        // What is left of it has no name that anybody reads.
        let _ = std::fs::remove_file(&temporary);
        failed(error)
    })
}
