//! `local status`: which processes of this home run. `sbin/status-cluster`.

use clap::{ArgMatches, Args, FromArgMatches};
use serde::Serialize;

use crate::api::{ClusterView, ExitCode};
use crate::cli::console::{Cell, Console, Global, Outcome, Table, Verb, augment, standing};
use crate::cli::remote::address;
use crate::cli::remote::block_on;
use crate::cli::remote::client::{Ask, Client};
use crate::cli::server::supervise::{Attention, attention_file};
use crate::config::{Config, Home};
use crate::model::message::Message;
use crate::say;

use super::plan;

pub const VERB: Verb = Verb {
    path: "local status",
    about: "Which processes of this home run",
    examples: &["ractorflow local status", "ractorflow local status --home /opt/rf -o json"],
    exits: &[ExitCode::NotRunning],
    is_hidden: true,
    arguments: augment::<Arguments>,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    /// Only this process
    #[arg(long)]
    only: Option<String>,
}

/// What others' scripts read.
#[derive(Debug, Serialize)]
pub struct LocalStatus {
    /// Where the pages are; null while no HTTP server is ready.
    pub http: Option<String>,
    pub nodes: Vec<LocalNode>,
}

#[derive(Debug, Serialize)]
pub struct LocalNode {
    pub id: String,
    pub roles: Vec<String>,
    pub pid: Option<u32>,
    /// `ready starting failing stopped`
    pub state: String,
    pub leader: bool,
    pub term: Option<u64>,
    pub address: Option<String>,
    pub note: Option<Message>,
}

fn run(matches: &ArgMatches, console: &Console) -> Outcome {
    let arguments = Arguments::from_arg_matches(matches)?;
    let home = Home::find(console.global.home.as_deref())?;
    let config = Config::load(&home)?;
    let mut status = look(&home, &config);
    if let Some(only) = &arguments.only {
        status.nodes.retain(|node| &node.id == only);
    }
    if let Some(view) = status.http.as_ref().and_then(|_| cluster_view(&home, console)) {
        add_leadership(&mut status, &view);
    }
    let is_running = !status.nodes.is_empty() && status.nodes.iter().all(|node| node.pid.is_some());
    let none = console.word("not running", "未运行").to_owned();
    console.show(&status, status.http.as_deref().unwrap_or(&none), || table(&status, console))?;
    Ok(if is_running { ExitCode::Ok } else { ExitCode::NotRunning })
}

/// From the files in run/ alone, so that it works when nothing answers.
pub fn look(home: &Home, config: &Config) -> LocalStatus {
    let mut known = plan::known(home);
    let standalone = known.remove(plan::STANDALONE).flatten().map(|process| process.pid);
    // One process for all of them: those that it has, and that it is looked after between two of its lives.
    let is_supervised = plan::supervisor(home, plan::STANDALONE).is_some();
    let is_one = is_supervised || standalone.is_some();
    let in_one = plan::standalone(config).nodes;
    let mut nodes = Vec::new();
    for planned in plan::of_cluster(config).into_iter().filter(|one| !is_one || in_one.contains(&one.node)) {
        let own = known.remove(&planned.node).flatten().map(|process| process.pid);
        // A node without a process of its own lives in the standalone one, if that one says so.
        let shared = standalone.filter(|pid| home.read_ready(&planned.node).is_some_and(|ready| ready.pid == *pid));
        let mut node = node(home, &planned.node, vec![planned.role.word().to_owned()], own.or(shared));
        if node.state == "stopped" && is_supervised {
            node.state = "starting".to_owned();
        }
        nodes.push(node);
    }
    for (name, process) in known {
        // Started by name, not by the settings; a trace of one that was stopped is no news.
        if let Some(process) = process {
            let role = home.read_ready(&name).map(|ready| ready.role.word().to_owned());
            nodes.push(node(home, &name, role.into_iter().collect(), Some(process.pid)));
        }
    }
    let is_web = |node: &&LocalNode| node.roles.iter().any(|role| role == "http") && node.state == "ready";
    let http =
        nodes.iter().find(is_web).and_then(|node| node.address.clone()).map(|address| format!("http://{address}"));
    LocalStatus { http, nodes }
}

fn node(home: &Home, name: &str, roles: Vec<String>, pid: Option<u32>) -> LocalNode {
    let ready = home.read_ready(name).filter(|ready| Some(ready.pid) == pid);
    let attention: Option<Attention> =
        std::fs::read(attention_file(home, name)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let is_supervised = plan::supervisor(home, name).is_some();
    let state = match (pid, &ready, &attention) {
        (_, _, Some(_)) if ready.is_none() => "failing",
        (Some(_), Some(_), _) => "ready",
        (Some(_), None, _) => "starting",
        (None, _, _) if is_supervised => "starting",
        (None, _, _) => "stopped",
    };
    let failing = attention.map(|attention| say!("ended {} times: {}", attention.restarts, attention.last));
    LocalNode {
        id: name.to_owned(),
        roles,
        pid,
        state: state.to_owned(),
        leader: false,
        term: None,
        address: ready.as_ref().and_then(|ready| ready.address.clone()),
        note: failing.or_else(|| ready.map(|ready| ready.note).filter(|note| !note.is_empty())),
    }
}

/// One short question; a cluster that does not answer has no leader to show.
fn cluster_view(home: &Home, console: &Console) -> Option<ClusterView> {
    let global = Global { home: Some(home.root().to_owned()), addr: Vec::new(), ..console.global.clone() };
    let asked = block_on(async {
        let client = Client::new(address::resolve(&global)?, console)?;
        let ask = Ask::new(["cluster"]);
        let within = tokio::time::Duration::from_millis(1_500);
        match tokio::time::timeout(within, client.get::<ClusterView>(&ask)).await {
            Ok(answered) => answered,
            Err(_) => Err(crate::cli::console::Failure::other(say!("no answer in time"))),
        }
    });
    asked.ok()
}

fn add_leadership(status: &mut LocalStatus, view: &ClusterView) {
    for node in &mut status.nodes {
        let Some(seen) = view.nodes.iter().find(|seen| seen.id == node.id) else { continue };
        node.leader = seen.leader;
        node.term = Some(seen.term);
        if let Some(place) = &seen.role_state {
            // What it said when it started may be history.
            node.note = Some(standing(place));
        }
    }
}

fn table(status: &LocalStatus, console: &Console) -> String {
    let mut table = Table::new()
        .column(console.word("NODE", "节点"))
        .column(console.word("ROLES", "角色"))
        .right("PID")
        .column(console.word("STATE", "状态"))
        .column(console.word("ADDRESS", "地址"))
        .column(console.word("NOTE", "说明"));
    for node in &status.nodes {
        let note = node.note.clone().unwrap_or_default();
        let note = if node.leader { say!("leader, term {}, {}", node.term.unwrap_or(0), note) } else { note };
        table.row([
            Cell::from(node.id.clone()),
            Cell::from(node.roles.join(",")),
            Cell::from(node.pid.map_or("-".to_owned(), |pid| pid.to_string())),
            Cell::from(console.say(&standing(&node.state))),
            Cell::from(node.address.clone().unwrap_or_else(|| "-".to_owned())),
            Cell::from(console.say(&note)),
        ]);
    }
    let web = status.http.as_ref().map_or(String::new(), |http| format!("\nWeb UI   {http}/\n"));
    format!("{}{web}", table.render(console))
}
