//! `history list` and `history show`: runs that another scheduler made, as an import took them over. Nothing of them
//! can be killed or run again here.

use clap::{ArgMatches, Args, FromArgMatches};
use serde::Serialize;

use crate::api::ExitCode;
use crate::cli::console::{Cell, Console, Failure, Outcome, Table, Verb, augment};
use crate::config::Home;
use crate::model::state::{InstanceWord, NodeWord};
use crate::say;
use crate::store::StoreError;
use crate::store::past::{Past, PastFilter, PastInstance, PastLine, PastNode};

pub const LIST: Verb = Verb {
    path: "history list",
    about: "Runs of akkaflow that were imported, newest first",
    examples: &[
        "ractorflow history list --workflow orders",
        "ractorflow history list --state failed --since 2019-09-01",
    ],
    exits: &[ExitCode::NotFound],
    is_hidden: false,
    arguments: augment::<ListArguments>,
    run: list,
};

pub const SHOW: Verb = Verb {
    path: "history show",
    about: "An imported run with its nodes, or its log",
    examples: &["ractorflow history show 0a1b2c3d", "ractorflow history show 0a1b2c3d --log"],
    exits: &[ExitCode::NotFound],
    is_hidden: false,
    arguments: augment::<ShowArguments>,
    run: show,
};

#[derive(Debug, Args)]
struct ListArguments {
    #[arg(long)]
    workflow: Option<String>,
    /// Part of the workflow's name
    #[arg(long = "match", value_name = "TEXT")]
    text: Option<String>,
    /// Who wrote the workflow
    #[arg(long)]
    creator: Option<String>,
    /// succeeded, failed, killed, or the Chinese word
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Option<InstanceWord>,
    /// Started on this day or later
    #[arg(long, value_name = "YYYY-MM-DD")]
    since: Option<chrono::NaiveDate>,
    /// Started before this day
    #[arg(long, value_name = "YYYY-MM-DD")]
    until: Option<chrono::NaiveDate>,
    /// Rows at most
    #[arg(long, default_value_t = 50)]
    limit: u32,
}

#[derive(Debug, Args)]
struct ShowArguments {
    /// As akkaflow named it
    id: String,
    /// What it wrote
    #[arg(long)]
    log: bool,
}

fn state(word: &str) -> Result<InstanceWord, String> {
    let found = InstanceWord::ALL.iter().copied().find(|state| state.word() == word || state.word_zh() == word);
    found.ok_or_else(|| InstanceWord::ALL.iter().map(|state| state.word()).collect::<Vec<_>>().join(", "))
}

fn open(console: &Console) -> Result<Past, Failure> {
    let home = Home::find(console.global.home.as_deref())?;
    let past = Past::open(&home.akkaflow_past_file()).map_err(failed)?;
    past.ok_or_else(|| {
        Failure::new(ExitCode::NotFound, say!("no runs of another scheduler were imported into this home"))
            .hint(say!("`ractorflow import akkaflow --history` takes them over"))
    })
}

fn failed(error: StoreError) -> Failure {
    Failure::theirs(error)
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        failed(error)
    }
}

fn list(matches: &ArgMatches, console: &Console) -> Outcome {
    let arguments = ListArguments::from_arg_matches(matches)?;
    let day = |day: Option<chrono::NaiveDate>| day.map(|day| day.to_string());
    let filter = PastFilter {
        workflow: arguments.workflow,
        text: arguments.text,
        creator: arguments.creator,
        state: arguments.state,
        since: day(arguments.since),
        until: day(arguments.until),
        limit: arguments.limit,
    };
    let found = open(console)?.list(&filter)?;
    console.list(&found, &found, |one| one.id.clone(), |items| instances(items, console))?;
    Ok(ExitCode::Ok)
}

fn instances(items: &[PastInstance], console: &Console) -> Table {
    let mut table = Table::new()
        .column("ID")
        .column(console.word("WORKFLOW", "工作流"))
        .column(console.word("STATE", "状态"))
        .column(console.word("STARTED", "开始时间"))
        .column(console.word("FINISHED", "结束时间"))
        .wide(console.word("CREATOR", "创建者"))
        .wide(console.word("DIR", "目录"))
        .empty(console.word("no instances", "没有实例"));
    let or_none = |text: &Option<String>| Cell::from(text.clone().unwrap_or_else(|| "-".to_owned()));
    for one in items {
        table.row([
            Cell::from(one.id.clone()),
            Cell::from(one.workflow.clone()),
            Cell::instance(one.state, console),
            or_none(&one.started),
            or_none(&one.finished),
            or_none(&one.creator),
            or_none(&one.dir),
        ]);
    }
    table
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    instance: &'a PastInstance,
    nodes: &'a [PastNode],
}

fn show(matches: &ArgMatches, console: &Console) -> Outcome {
    let arguments = ShowArguments::from_arg_matches(matches)?;
    let past = open(console)?;
    let Some((instance, nodes)) = past.find(&arguments.id)? else {
        return Err(Failure::new(ExitCode::NotFound, say!("no imported run has the id {}", arguments.id)));
    };
    if arguments.log {
        past.lines(&arguments.id, |line| print(&line, console))?;
        return Ok(ExitCode::Ok);
    }
    let shown = Shown { instance: &instance, nodes: &nodes };
    console.show(&shown, &instance.id, || text(&instance, &nodes, console))?;
    Ok(ExitCode::Ok)
}

/// `[INFO] [2019-09-01 01:00:00 +08:00] [load] text`: the time in the zone of this machine.
fn print(line: &PastLine, console: &Console) -> Result<(), Failure> {
    if console.is_json() {
        return console.data(&serde_json::to_string(line).map_err(|error| Failure::theirs(&error))?);
    }
    let time = line.time_ms.and_then(chrono::DateTime::from_timestamp_millis);
    let time = time.map_or_else(
        || "-".to_owned(),
        |at| at.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M:%S %:z").to_string(),
    );
    let (level, node) = (line.level.as_deref().unwrap_or("-"), line.node.as_deref().unwrap_or("-"));
    console.raw(format!("[{level}] [{time}] [{node}] {}\n", line.text).as_bytes())
}

fn text(instance: &PastInstance, nodes: &[PastNode], console: &Console) -> String {
    let mut text = instances(std::slice::from_ref(instance), console).render(console);
    let mut line = |label: &str, value: &Option<String>| {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            text.push_str(&format!("{label}: {value}\n"));
        }
    };
    line(console.word("description", "描述"), &instance.description);
    line(console.word("parameters", "参数"), &instance.params);
    let mut table = Table::new()
        .column(console.word("NODE", "节点"))
        .column(console.word("TYPE", "类型"))
        .column(console.word("STATE", "状态"))
        .column(console.word("STARTED", "开始时间"))
        .column(console.word("FINISHED", "结束时间"))
        .column(console.word("MESSAGE", "信息"));
    for node in nodes {
        let or_none = |text: &Option<String>| Cell::from(text.clone().unwrap_or_else(|| "-".to_owned()));
        table.row([
            Cell::from(node.name.clone()),
            Cell::from(node.kind.clone()),
            NodeWord::from_word(&node.state).map_or(Cell::from("-"), |state| Cell::node(state, console)),
            or_none(&node.started),
            or_none(&node.finished),
            Cell::from(node.message.clone().unwrap_or_default()),
        ]);
    }
    format!("{text}\n{}", table.render(console))
}
