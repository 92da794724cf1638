//! `local stop`: ends the processes of this home. `sbin/stop-cluster` and the scripts per role.
//!
//! With running tasks it refuses until it is told what becomes of them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{ArgMatches, Args, FromArgMatches};
use nix::sys::signal::Signal;

use crate::api::change::{DrainRequest, KillRequest};
use crate::api::{ExitCode, InstanceSummary, WorkerView};
use crate::cli::console::{Console, Failure, Global, Outcome, Verb, augment};
use crate::cli::remote::client::{Ask, Client};
use crate::cli::remote::{address, block_on};
use crate::cli::server::process::{Process, wait_until};
use crate::config::{Config, Home, Role};
use crate::model::duration::Millis;
use crate::model::message::{Message, Value};
use crate::say;

use super::plan;

pub const VERB: Verb = Verb {
    path: "local stop",
    about: "Stop the processes of this home",
    examples: &["ractorflow local stop --drain", "ractorflow local stop --only w1 --leave-running"],
    exits: &[ExitCode::Conflict, ExitCode::TimedOutWaiting],
    is_hidden: true,
    arguments: augment::<Arguments>,
    run,
};

/// Instances that `--now` kills in one round.
const RUNNING_MAX: usize = 10_000;
/// What killed tasks have to be gone.
const KILL_PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Args)]
struct Arguments {
    /// Start nothing new, wait for what runs, then stop
    #[arg(long)]
    drain: bool,
    /// Kill what runs, then stop
    #[arg(long, conflicts_with_all = ["drain", "leave_running"])]
    now: bool,
    /// Stop the daemons alone: tasks go on and are found again at the next start
    #[arg(long, conflicts_with = "drain")]
    leave_running: bool,
    /// Longest wait of --drain
    #[arg(long, value_name = "TIME", default_value = "1h")]
    timeout: String,
    /// Only this process
    #[arg(short = 'n', long, value_name = "NODE")]
    only: Option<String>,
    /// Only the processes of this role
    #[arg(long, value_parser = ["master", "worker", "http"])]
    role: Option<String>,
}

/// Workers that were closed for a stop, to be opened at the next start.
pub fn drained_file(home: &Home) -> PathBuf {
    home.run_dir().join("drained")
}

fn run(matches: &ArgMatches, console: &Console) -> Outcome {
    let arguments = Arguments::from_arg_matches(matches)?;
    let patience =
        Millis::parse(&arguments.timeout).map_err(|error| Failure::usage(say!("--timeout: {}", error.to_string())))?;
    let home = Home::find(console.global.home.as_deref())?;
    // A home whose settings became wrong can still be stopped.
    let config = Config::load(&home).unwrap_or_default();
    let alive = alive(&home, &config, &arguments);
    if alive.is_empty() {
        console.data(&console.say(&say!("not running")))?;
        return Ok(ExitCode::Ok);
    }
    // A master or a web server that stops leaves tasks alone.
    let workers: Vec<&str> =
        alive.iter().filter(|one| one.role.is_none_or(has_tasks)).map(|one| one.node.as_str()).collect();
    if !workers.is_empty() && !arguments.leave_running {
        let is_all = arguments.only.is_none() && arguments.role.is_none();
        let only = (!is_all && !workers.contains(&plan::STANDALONE)).then_some(workers.as_slice());
        settle_tasks(&home, console, &arguments, only, Duration::from_millis(patience.0 as u64))?;
    }
    stop(&home, &alive, Duration::from_millis(config.start.stop_timeout_ms));
    console
        .data(&console.say(&say!("stopped {}", alive.iter().map(|n| n.node.as_str()).collect::<Vec<_>>().join(" "))))?;
    Ok(ExitCode::Ok)
}

struct Alive {
    node: String,
    /// `None` when nothing says it: then it may have tasks.
    role: Option<Role>,
    supervisor: Option<Process>,
    daemon: Option<Process>,
}

fn has_tasks(role: Role) -> bool {
    match role {
        Role::Worker | Role::Standalone => true,
        Role::Master | Role::Http => false,
    }
}

fn alive(home: &Home, config: &Config, arguments: &Arguments) -> Vec<Alive> {
    let planned = plan::of_cluster(config);
    let role_of = |node: &str| {
        let planned = planned.iter().find(|planned| planned.node == node).map(|planned| planned.role);
        planned.or_else(|| home.read_ready(node).map(|ready| ready.role))
    };
    plan::known(home)
        .into_iter()
        .filter(|(node, _)| arguments.only.as_ref().is_none_or(|only| only == node))
        .map(|(node, daemon)| Alive { role: role_of(&node), supervisor: plan::supervisor(home, &node), daemon, node })
        .filter(|one| arguments.role.as_ref().is_none_or(|role| one.role.is_some_and(|known| known.word() == role)))
        .filter(|one| one.supervisor.is_some() || one.daemon.is_some())
        .collect()
}

/// Asks the supervisors, which pass it on; what is still there at the end of the time is killed.
fn stop(home: &Home, alive: &[Alive], within: Duration) {
    for one in alive {
        match (&one.supervisor, &one.daemon) {
            (Some(supervisor), _) => supervisor.signal(Signal::SIGTERM),
            (None, Some(daemon)) => daemon.signal(Signal::SIGTERM),
            (None, None) => {}
        }
    }
    let processes = || alive.iter().flat_map(|one| [&one.supervisor, &one.daemon]).flatten();
    if !wait_until(within, || processes().all(|process| !process.is_alive())) {
        // Supervisors first, or they would start again what is killed.
        alive.iter().filter_map(|one| one.supervisor.as_ref()).for_each(|process| process.signal(Signal::SIGKILL));
        processes().for_each(|process| process.signal(Signal::SIGKILL));
        wait_until(Duration::from_secs(5), || processes().all(|process| !process.is_alive()));
    }
    for one in alive {
        for file in [
            home.pid_file(&one.node),
            home.run_dir().join(format!("{}.supervise.pid", one.node)),
            home.ready_file(&one.node),
        ] {
            // Mostly they removed them themselves.
            let _ = std::fs::remove_file(file);
        }
    }
}

/// Sees to it that no task runs, the way that was asked for. `only` are workers to look at; `None` is all of them.
fn settle_tasks(
    home: &Home,
    console: &Console,
    arguments: &Arguments,
    only: Option<&[&str]>,
    patience: Duration,
) -> Result<(), Failure> {
    let global = Global { home: Some(home.root().to_owned()), addr: Vec::new(), ..console.global.clone() };
    let settled = block_on(async {
        let client = Client::new(address::resolve(&global)?, console)?;
        let tasks = Tasks { client: &client, only };
        if arguments.drain {
            return drain(home, console, &tasks, patience).await;
        }
        let running = tasks.running().await?;
        if running.is_empty() {
            return Ok(());
        }
        if arguments.now {
            return kill_all(home, console, &tasks).await;
        }
        let names: Vec<String> = running.iter().take(5).cloned().collect();
        let said = say!("{} task{s} running: {}", running.len(), Value::list(names));
        Err(Failure::new(ExitCode::Conflict, said).hint(say!(
            "--drain waits for them, --now kills them, --leave-running lets them go on without the daemons"
        )))
    });
    match settled {
        // What cannot be asked cannot be drained; but --now means now.
        Err(failure) if arguments.now => {
            console.talk(&say!("tasks may go on under their shims: {}", failure.message));
            Ok(())
        }
        Err(failure) if failure.exit == ExitCode::NotRunning => {
            Err(Failure::new(ExitCode::Conflict, say!("cannot ask which tasks are running: {}", failure.message))
                .hint(say!("--now or --leave-running stop without asking")))
        }
        other => other,
    }
}

struct Tasks<'a> {
    client: &'a Client,
    only: Option<&'a [&'a str]>,
}

impl Tasks<'_> {
    async fn workers(&self) -> Result<Vec<WorkerView>, Failure> {
        let mut workers: Vec<WorkerView> = self.client.get(&Ask::new(["workers"])).await?;
        workers.retain(|worker| self.only.is_none_or(|only| only.contains(&worker.id.as_str())));
        Ok(workers)
    }

    /// `#12 load` of each running attempt.
    async fn running(&self) -> Result<Vec<String>, Failure> {
        let workers = self.workers().await?;
        let attempts = workers.iter().flat_map(|worker| &worker.running);
        Ok(attempts.map(|attempt| format!("#{} {}", attempt.instance, attempt.node)).collect())
    }

    async fn await_none(&self, patience: Duration, mut tell: impl FnMut(usize)) -> Result<bool, Failure> {
        let end = Instant::now() + patience;
        let mut last = usize::MAX;
        loop {
            let running = self.running().await?.len();
            if running == 0 {
                return Ok(true);
            }
            if running != last {
                tell(running);
                last = running;
            }
            if Instant::now() >= end {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Closes the workers; `run/drained` remembers which, so that the next start opens them.
async fn close_workers(home: &Home, tasks: &Tasks<'_>) -> Result<(), Failure> {
    let open: Vec<String> = tasks.workers().await?.into_iter().filter(|w| w.state == "up").map(|w| w.id).collect();
    let mut remembered = std::fs::read_to_string(drained_file(home)).unwrap_or_default();
    for worker in &open {
        remembered.push_str(&format!("{worker}\n"));
    }
    std::fs::write(drained_file(home), remembered)?;
    for worker in open {
        let target = format!("{worker}:drain");
        tasks.client.change(&Ask::new(["workers", &target]), &DrainRequest { off: false }, None).await?;
    }
    Ok(())
}

async fn drain(home: &Home, console: &Console, tasks: &Tasks<'_>, patience: Duration) -> Result<(), Failure> {
    close_workers(home, tasks).await?;
    let is_done = tasks.await_none(patience, |n| console.talk(&say!("waiting for {} task{s}", n))).await?;
    if is_done {
        return Ok(());
    }
    let left = tasks.running().await?.len();
    Err(Failure::new(
        ExitCode::TimedOutWaiting,
        say!("tasks that still run: {}; nothing was stopped, nothing new starts", left),
    )
    .hint(say!("wait longer with --timeout, or use --now; start-cluster opens the workers again")))
}

async fn kill_all(home: &Home, console: &Console, tasks: &Tasks<'_>) -> Result<(), Failure> {
    close_workers(home, tasks).await?;
    let workers = tasks.workers().await?;
    let mut instances: Vec<u64> = match tasks.only {
        Some(_) => workers.iter().flat_map(|worker| &worker.running).map(|attempt| attempt.instance).collect(),
        None => {
            let ask = Ask::new(["instances"]).with("state", "running");
            let running: Vec<InstanceSummary> = tasks.client.all(&ask, RUNNING_MAX).await?;
            running.into_iter().map(|instance| instance.number).collect()
        }
    };
    instances.sort_unstable();
    instances.dedup();
    for number in instances {
        let target = format!("{number}:kill");
        let ask = Ask::new(["instances", &target]).with("reason", "stop-cluster --now");
        let killed = tasks.client.change(&ask, &KillRequest { force: true, grace: None }, None).await;
        // It may have ended by itself meanwhile.
        if let Err(failure) = killed.as_ref()
            && failure.exit != ExitCode::Conflict
            && failure.exit != ExitCode::NotFound
        {
            console.talk(&Message::verbatim(failure.text(console.language)));
        }
    }
    if !tasks.await_none(KILL_PATIENCE, |_| ()).await? {
        console.talk(&say!("some tasks are not gone yet; they end under their shims"));
    }
    Ok(())
}
