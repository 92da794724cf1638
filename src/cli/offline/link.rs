//! `link check`: the named databases and hosts in this host's own `conf/`, what is wrong with the files, and whether
//! they open from here. Needs no cluster.

use std::path::Path;

use clap::{ArgMatches, Args, FromArgMatches};
use serde::Serialize;

use crate::api::ExitCode;
use crate::cli::console::{Cell, Console, Failure, Outcome, Table, Verb, augment};
use crate::config::Home;
use crate::connector::link::{self, DbLink, FileLink};
use crate::connector::probe;
use crate::model::link::LinkKind;
use crate::model::message::Message;
use crate::say;

pub const CHECK: Verb = Verb {
    path: "link check",
    about: "The links in this host's own conf/, what is wrong with the files, and whether they open from here",
    examples: &["ractorflow link check", "ractorflow link check --open dwh"],
    exits: &[ExitCode::NotFound, ExitCode::DefinitionInvalid, ExitCode::Partial],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: check,
};

#[derive(Debug, Args)]
struct Arguments {
    /// Names of links; without one, all of them
    #[arg(value_name = "LINK")]
    names: Vec<String>,
    /// Open them from this host and sign in, as a node that runs here would
    #[arg(long)]
    open: bool,
}

/// A link as it is shown: never its password.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    /// `database` or `file`.
    kind: &'static str,
    r#type: &'static str,
    place: String,
    username: String,
    description: Option<String>,
}

/// What came of a try.
#[derive(Debug, Serialize)]
struct Tried {
    name: String,
    kind: &'static str,
    is_ok: bool,
    took_ms: u64,
    /// The step that was not passed.
    failed_at: Option<&'static str>,
    /// Why not.
    error: Option<Message>,
    hint: Option<Message>,
}

enum Link {
    Database(Box<DbLink>),
    File(Box<FileLink>),
}

impl Link {
    fn name(&self) -> &str {
        match self {
            Link::Database(link) => &link.name,
            Link::File(link) => &link.name,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Link::Database(_) => "database",
            Link::File(_) => "file",
        }
    }

    fn row(&self) -> Row {
        let (name, kind) = (self.name().to_owned(), self.kind());
        match self {
            Link::Database(link) => Row {
                name,
                kind,
                r#type: link.kind.word(),
                place: link.url.to_string(),
                username: link.username.clone(),
                description: link.description.clone(),
            },
            Link::File(link) => Row {
                name,
                kind,
                r#type: link.kind.word(),
                place: link.port.map_or_else(|| link.host.clone(), |port| format!("{}:{port}", link.host)),
                username: link.username.clone(),
                description: link.description.clone(),
            },
        }
    }
}

fn check(matches: &ArgMatches, console: &Console) -> Outcome {
    let arguments = Arguments::from_arg_matches(matches)?;
    let home = Home::find(console.global.home.as_deref())?;
    let conf_dir = home.conf_dir();
    let (all, faults) = all(&conf_dir);
    let links = if arguments.names.is_empty() { all } else { named(&conf_dir, &arguments.names)? };
    if arguments.open { open(&links, &home, console) } else { list(&links, &faults, console) }
}

fn list(links: &[Link], faults: &[(Message, bool)], console: &Console) -> Outcome {
    let rows: Vec<Row> = links.iter().map(Link::row).collect();
    console.list(
        &rows,
        &rows,
        |row| row.name.clone(),
        |rows| {
            let mut table = Table::new()
                .column(console.word("NAME", "名称"))
                .column(console.word("KIND", "种类"))
                .column(console.word("TYPE", "类型"))
                .column(console.word("ADDRESS", "地址"))
                .column(console.word("USER", "用户"))
                .column(console.word("DESCRIPTION", "描述"));
            for row in rows {
                table.row(vec![
                    Cell::from(row.name.as_str()),
                    Cell::from(kind_word(row.kind, console)),
                    Cell::from(row.r#type),
                    Cell::from(row.place.as_str()),
                    Cell::from(row.username.as_str()),
                    Cell::from(row.description.as_deref().unwrap_or("")),
                ]);
            }
            table
        },
    )?;
    for (fault, _) in faults {
        console.talk(fault);
    }
    Ok(if faults.iter().any(|(_, is_error)| *is_error) { ExitCode::DefinitionInvalid } else { ExitCode::Ok })
}

fn kind_word<'a>(kind: &'static str, console: &Console) -> &'a str {
    match kind {
        "database" => console.word("database", "数据库"),
        _ => console.word("file", "文件"),
    }
}

/// Every link of both files, and what is wrong: the sentence, and whether it is an error.
fn all(conf_dir: &Path) -> (Vec<Link>, Vec<(Message, bool)>) {
    let (databases, files) = (link::db_links(conf_dir), link::file_links(conf_dir));
    let faults = databases.faults.iter().chain(&files.faults);
    let faults = faults.map(|fault| (fault.said(), fault.is_error())).collect();
    let links = databases.links.into_iter().map(|link| Link::Database(Box::new(link)));
    (links.chain(files.links.into_iter().map(|link| Link::File(Box::new(link)))).collect(), faults)
}

fn open(links: &[Link], home: &Home, console: &Console) -> Outcome {
    let conf_dir = home.conf_dir();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut tried = Vec::new();
    for link in links {
        let kind = LinkKind::from_word(link.kind());
        for one in runtime.block_on(probe::links(&conf_dir, home.root(), &[], kind, link.name())) {
            let failed_at = one.failed.as_ref().map(|failed| failed.at.word());
            let (error, hint) = one.failed.map_or((None, None), |failed| (Some(failed.why), failed.hint));
            let (name, kind, is_ok, took_ms) = (one.name, link.kind(), error.is_none(), one.took_ms);
            tried.push(Tried { name, kind, is_ok, took_ms, failed_at, error, hint });
        }
    }
    // A driver's thread may hang for good; the process does not wait for it.
    runtime.shutdown_background();
    console.list(
        &tried,
        &tried,
        |tried| tried.name.clone(),
        |tried| {
            let mut table = Table::new()
                .column(console.word("NAME", "名称"))
                .column(console.word("KIND", "种类"))
                .column(console.word("RESULT", "结果"));
            for one in tried {
                let result = match &one.error {
                    None => format!("{}, {} ms", console.word("ok", "成功"), one.took_ms),
                    Some(why) => match &one.hint {
                        Some(hint) => format!("{} ({})", console.say(why), console.say(hint)),
                        None => console.say(why),
                    },
                };
                table.row(vec![
                    Cell::from(one.name.as_str()),
                    Cell::from(kind_word(one.kind, console)),
                    Cell::from(result),
                ]);
            }
            table
        },
    )?;
    let n_ok = tried.iter().filter(|one| one.is_ok).count();
    Ok(match n_ok {
        n if n == tried.len() => ExitCode::Ok,
        0 => ExitCode::Other,
        _ => ExitCode::Partial,
    })
}

/// A name may be that of a database and of a host: then both are meant.
fn named(conf_dir: &Path, names: &[String]) -> Result<Vec<Link>, Failure> {
    let mut found = Vec::new();
    for name in names {
        let database = link::db_link(conf_dir, name).map(|link| Link::Database(Box::new(link)));
        let file = link::file_link(conf_dir, name).map(|link| Link::File(Box::new(link)));
        match (database, file) {
            (Ok(database), Ok(file)) => found.extend([database, file]),
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => found.push(one),
            // The file that has it tells what is wrong with it; else the one of databases which names there are.
            (Err(link::LinkError::Unknown { .. }), Err(error @ link::LinkError::Faulty { .. })) => {
                return Err(Failure::other(error.said()));
            }
            (Err(error @ link::LinkError::Faulty { .. }), Err(_)) => return Err(Failure::other(error.said())),
            (Err(databases), Err(files)) => {
                return Err(Failure::new(ExitCode::NotFound, say!("{}; {}", databases.said(), files.said())));
            }
        }
    }
    Ok(found)
}
