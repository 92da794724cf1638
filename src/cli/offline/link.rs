//! `link list` and `link test`: the named databases and hosts, as this host's `conf/` has them and as it reaches them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{ArgMatches, Args, FromArgMatches};
use serde::Serialize;

use crate::api::ExitCode;
use crate::cli::console::{Cell, Console, Failure, NoArgs, Outcome, Table, Verb, augment};
use crate::config::Home;
use crate::connector::database::Database;
use crate::connector::link::{self, DbLink, FileKind, FileLink};
use crate::connector::ssh::Session;
use crate::model::message::Message;
use crate::say;

/// For one link, to reach it and sign in.
const OPEN_WITHIN: Duration = Duration::from_secs(15);

pub const LIST: Verb = Verb {
    path: "link list",
    about: "The links in this host's conf/, and what is wrong with the files",
    examples: &["ractorflow link list", "ractorflow link list -o json"],
    exits: &[ExitCode::DefinitionInvalid],
    is_hidden: false,
    arguments: augment::<NoArgs>,
    run: list,
};

pub const TEST: Verb = Verb {
    path: "link test",
    about: "Open links from this host and sign in, as a node that runs here would",
    examples: &["ractorflow link test dwh", "ractorflow link test"],
    exits: &[ExitCode::NotFound, ExitCode::Partial],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: test,
};

#[derive(Debug, Args)]
struct Arguments {
    /// Names of links; without one, all of them
    #[arg(value_name = "LINK")]
    names: Vec<String>,
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
    /// Why not.
    error: Option<Message>,
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

    /// Opened, signed in, and closed again.
    async fn open(&self, conf_dir: &Path, home: &Path) -> Result<(), Message> {
        match self {
            Link::Database(link) => {
                let opened = Database::open(link, home, OPEN_WITHIN, Arc::new(|_| {})).await;
                opened.map(drop).map_err(|error| error.said())
            }
            Link::File(link) => match link.kind {
                FileKind::Local => Ok(()),
                FileKind::Sftp => {
                    Session::open(link, conf_dir, OPEN_WITHIN).await.map(drop).map_err(|error| error.said())
                }
                kind @ (FileKind::Hdfs | FileKind::S3) => {
                    Err(say!("{} is not in this build", say!("a link of type {}", kind.word())))
                }
            },
        }
    }
}

fn list(_: &ArgMatches, console: &Console) -> Outcome {
    let home = Home::find(console.global.home.as_deref())?;
    let (links, faults) = all(&home.conf_dir());
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
    for (fault, _) in &faults {
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

fn test(matches: &ArgMatches, console: &Console) -> Outcome {
    let arguments = Arguments::from_arg_matches(matches)?;
    let home = Home::find(console.global.home.as_deref())?;
    let conf_dir = home.conf_dir();
    let links = if arguments.names.is_empty() { all(&conf_dir).0 } else { named(&conf_dir, &arguments.names)? };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut tried = Vec::new();
    for link in &links {
        let began = Instant::now();
        let error = runtime.block_on(link.open(&conf_dir, home.root())).err();
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tried.push(Tried { name: link.name().to_owned(), kind: link.kind(), is_ok: error.is_none(), took_ms, error });
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
                    Some(why) => console.say(why),
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
