//! The last lines of start-cluster: what was loaded, where the pages are, and at the very first start one example
//! that has run, so that a new user sees the whole way work.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::Utc;

use crate::api::change::{DrainRequest, RunRequest};
use crate::api::{Changed, ClusterView, LoadErrorView, NextFireView, StatusView, Time, WorkflowSummary};
use crate::cli::console::{Console, Failure, Global, age, span};
use crate::cli::remote::client::{Ask, Client};
use crate::cli::remote::{address, block_on};
use crate::cli::server::role::login_links;
use crate::config::{Config, Definitions, Home};
use crate::model::message::Message;
use crate::model::time::Timestamp;
use crate::say;

use super::stop::drained_file;

/// How long workers may take to connect, files to load, and the first example to run.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);
/// Between two looks at the path of every file.
const LOOK_AT_ALL: Duration = Duration::from_millis(300);
/// A file whose workflow is known from elsewhere is never known by its path: when nothing has moved for so long, nothing
/// is waited for.
const STANDSTILL: Duration = Duration::from_secs(2);
const LOAD_PATIENCE: Duration = Duration::from_secs(20);
const RUN_PATIENCE: Duration = Duration::from_secs(40);
/// The example that is run at the first start.
const EXAMPLE: &str = "hello_every_minute";

/// `has_started`: false when everything ran before; then nothing is waited for.
pub fn report(home: &Home, console: &Console, has_started: bool, n_workers: usize) -> Result<(), Failure> {
    let config = Config::load(home)?;
    let global = Global { home: Some(home.root().to_owned()), addr: Vec::new(), ..console.global.clone() };
    block_on(async {
        let client = Client::new(address::resolve(&global)?, console)?;
        let cluster = connected(&client, n_workers).await?;
        let cluster = joined(home, &client, console, cluster).await?;
        console.data(&console.say(&say!(
            "votes {}/{}   {}",
            cluster.votes,
            cluster.voters,
            console.say(&cluster.verdict)
        )))?;
        if has_started {
            end_drain(home, &client).await?;
            let status = loaded(home, &config, &client, console).await?;
            let counts = &status.counts;
            let is_first = counts.succeeded + counts.failed + counts.killed + counts.running + counts.queued == 0;
            if is_first && has_example(&client).await? {
                run_example(&client, console).await?;
            }
        }
        let has_example = has_started && has_example(&client).await?;
        last_lines(home, &config, &client, console, has_example)
    })
}

/// Waits until the master knows the workers that were started: before that nothing can run.
async fn connected(client: &Client, n_workers: usize) -> Result<ClusterView, Failure> {
    let end = Instant::now() + CONNECT_PATIENCE;
    loop {
        let cluster: ClusterView = client.get(&Ask::new(["cluster"])).await?;
        let n_up = cluster.workers.iter().filter(|worker| worker.state != "down" && worker.state != "dead").count();
        if n_up >= n_workers || Instant::now() >= end {
            return Ok(cluster);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Masters of the settings that run here and do not vote yet are added, one after the other.
async fn joined(home: &Home, client: &Client, console: &Console, cluster: ClusterView) -> Result<ClusterView, Failure> {
    let is_outside = |place: Option<&str>| matches!(place, Some("outside" | "learner"));
    let outside = cluster.nodes.iter().filter(|node| is_outside(node.role_state.as_deref()));
    let here: Vec<String> = outside.map(|node| node.id.clone()).filter(|id| home.read_ready(id).is_some()).collect();
    if here.is_empty() {
        return Ok(cluster);
    }
    for id in here {
        let target = format!("{id}:add");
        client.change(&Ask::new(["cluster", "members", &target]), &serde_json::json!({}), None).await?;
        console.data(&console.say(&say!("{} is a voter now", id)))?;
    }
    client.get(&Ask::new(["cluster"])).await
}

/// Workers that `stop-cluster --drain` closed are opened again.
async fn end_drain(home: &Home, client: &Client) -> Result<(), Failure> {
    let file = drained_file(home);
    let Ok(workers) = std::fs::read_to_string(&file) else { return Ok(()) };
    for worker in workers.lines() {
        let target = format!("{worker}:drain");
        let opened = client.change(&Ask::new(["workers", &target]), &DrainRequest { off: true }, None).await;
        // A worker that is no longer known needs no opening.
        opened.map(|_| ()).or_else(|failure| match failure.exit {
            crate::api::ExitCode::NotFound => Ok(()),
            _ => Err(failure),
        })?;
    }
    std::fs::remove_file(file)?;
    Ok(())
}

/// Waits until every file below xmlconfig/ is a workflow or an error.
async fn loaded(home: &Home, config: &Config, client: &Client, console: &Console) -> Result<StatusView, Failure> {
    let mut files = HashSet::new();
    find_files(&home.xmlconfig_dir(), "", 0, &config.definitions, &mut files);
    let end = Instant::now() + LOAD_PATIENCE;
    let mut has_said = false;
    let (mut moved, mut before) = (Instant::now(), None);
    let status = loop {
        let status: StatusView = client.get(&Ask::new(["status"])).await?;
        // The number alone says it at the first start; later, workflows whose files are gone by now count as well.
        let has_all = (status.workflows + status.load_errors) as usize >= files.len();
        let n_unknown = if has_all { n_unknown(&files, config, client).await? } else { files.len() };
        let seen = Some((status.workflows, status.load_errors, n_unknown));
        if seen != before {
            (moved, before) = (Instant::now(), seen);
        }
        let is_still = has_all && moved.elapsed() >= STANDSTILL;
        if n_unknown == 0 || is_still || Instant::now() >= end {
            break status;
        }
        if !has_said && end.saturating_duration_since(Instant::now()) < LOAD_PATIENCE - Duration::from_secs(2) {
            console.talk(&say!("  waiting for {} file{s} of xmlconfig/ to load", files.len()));
            has_said = true;
        }
        tokio::time::sleep(if has_all { LOOK_AT_ALL } else { LOOK }).await;
    };
    let ask = Ask::new(["workflows"]).with("enabled", false);
    let disabled: Vec<WorkflowSummary> = client.all(&ask, config.definitions.files_max).await?;
    let next: Vec<NextFireView> = client.get(&Ask::new(["schedule"]).with("limit", 1)).await?;
    let now = Time(Timestamp::from(Utc::now()));
    let next = next.first().map_or_else(Message::default, |next| {
        say!(" Next: {} at {} ({}).", next.workflow, next.local, age(next.due, now))
    });
    console.data(&console.say(&say!(
        "Loaded {} workflow{s} from xmlconfig/ ({} disabled, {} error{s}).{}",
        status.workflows,
        disabled.iter().filter(|one| one.version.is_some()).count(),
        status.load_errors,
        next
    )))?;
    if status.load_errors > 0 {
        console.talk(&say!("  errors: ./sbin/ractorflow workflow errors"));
    }
    Ok(status)
}

async fn has_example(client: &Client) -> Result<bool, Failure> {
    let ask = Ask::new(["workflows"]).with("text", EXAMPLE);
    let found: Vec<WorkflowSummary> = client.all(&ask, 500).await?;
    Ok(found.iter().any(|workflow| workflow.name == EXAMPLE && workflow.version.is_some()))
}

async fn run_example(client: &Client, console: &Console) -> Result<(), Failure> {
    console.talk(&say!("  running the example {} once", EXAMPLE));
    let target = format!("{EXAMPLE}:run");
    let answer = client.change(&Ask::new(["workflows", &target]), &RunRequest::default(), Some("first-run")).await?;
    let Changed::Instances(instances) = &answer.changed else { return Ok(()) };
    let Some(made) = instances.last() else { return Ok(()) };
    let ended = client.wait(made.number, Some(answer.seq), Some(Instant::now() + RUN_PATIENCE)).await?;
    console.data(&console.say(&say!(
        "Ran {}: #{} {} in {}",
        EXAMPLE,
        ended.number,
        ended.state,
        span(ended.duration_ms)
    )))
}

fn last_lines(
    home: &Home,
    config: &Config,
    client: &Client,
    console: &Console,
    has_example: bool,
) -> Result<(), Failure> {
    let settings = &config.http;
    let login = login_links(home, settings)?.issue(Timestamp::from(Utc::now()));
    console.data(&console.say(&say!(
        "Web UI   {}/login?once={}   (one-time link, valid {} min; only this machine: set [http] bind to open it)",
        client.address(),
        login,
        settings.login_link_minutes
    )))?;
    if has_example {
        console.data(&console.say(&say!("Try      ./sbin/ractorflow run {} --follow", EXAMPLE)))?;
    }
    console.data(&console.say(&say!("Stop     ./sbin/stop-cluster        Logs  logs/         Docs  docs/")))
}

/// How many of these files are neither a workflow nor an error yet.
async fn n_unknown(files: &HashSet<String>, config: &Config, client: &Client) -> Result<usize, Failure> {
    let files_max = config.definitions.files_max;
    let workflows: Vec<WorkflowSummary> = client.all(&Ask::new(["workflows"]), files_max).await?;
    let errors: Vec<LoadErrorView> = client.all(&Ask::new(["load-errors"]), files_max).await?;
    let present =
        workflows.into_iter().filter(|workflow| !workflow.is_file_missing).filter_map(|workflow| workflow.file);
    let known: HashSet<String> = present.chain(errors.into_iter().map(|error| error.path)).collect();
    Ok(files.difference(&known).count())
}

/// XML files that a look at the directory would load, by their paths below `xmlconfig/`.
fn find_files(dir: &Path, below: &str, depth: usize, limits: &Definitions, found: &mut HashSet<String>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten().take(limits.files_max) {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.') && found.len() < limits.files_max) else {
            continue;
        };
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < limits.depth_max => {
                find_files(&entry.path(), &format!("{below}{name}/"), depth + 1, limits, found);
            }
            Ok(kind) if kind.is_file() && name.ends_with(".xml") => {
                found.insert(format!("{below}{name}"));
            }
            Ok(_) | Err(_) => {}
        }
    }
}
