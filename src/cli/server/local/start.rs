//! `local start`: starts what is missing and waits until it can work. `sbin/start-cluster` and the scripts per role.
//!
//! A second start is a no-op. Nothing here sleeps and hopes: roles say when they are ready, in files.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::{ArgMatches, Args, FromArgMatches};

use crate::api::ExitCode;
use crate::cli::console::{Console, Failure, Outcome, Verb, augment};
use crate::cli::server::process::{Process, is_port_free, port_owner, wait_until};
use crate::cli::server::supervise;
use crate::config::{Config, Home, Ready, Role};
use crate::model::message::Message;
use crate::say;

use super::plan::{self, Planned};
use super::{first_run, prepare};

pub const VERB: Verb = Verb {
    path: "local start",
    about: "Start the processes of this home",
    examples: &["ractorflow local start", "ractorflow local start --only w1"],
    exits: &[ExitCode::Conflict],
    is_hidden: true,
    arguments: augment::<Arguments>,
    run,
};

/// Ends in a row after which waiting longer makes no sense.
const ENDS_MAX: usize = 3;
const PORT_PATIENCE: Duration = Duration::from_secs(5);
/// Lines of a daemon's log that explain why it does not start.
const LAST_LINES: usize = 12;

#[derive(Debug, Args)]
struct Arguments {
    /// Where the product was unpacked: its examples go into a new home
    #[arg(long, value_name = "DIR", env = "RACTORFLOW_TREE", hide_env = true)]
    tree: Option<PathBuf>,
    /// First of ten ports of a cluster of its own beside others on this host
    #[arg(long, value_name = "N")]
    port_base: Option<u16>,
    /// Masters on this host: 1, 3 or 5
    #[arg(long, value_name = "N")]
    masters: Option<u64>,
    /// Workers on this host
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Only this process
    #[arg(short = 'n', long, value_name = "NODE")]
    only: Option<String>,
    /// Only one process of this role [default: the first one]
    #[arg(long, value_parser = ["master", "worker", "http"])]
    role: Option<String>,
    /// Only the masters that stand by: all but the first, or the only one of this host
    #[arg(long, conflicts_with_all = ["only", "role", "workers"])]
    standby: bool,
    /// Slots of the worker
    #[arg(short, long, value_name = "N", requires = "role")]
    slots: Option<u32>,
    /// All roles in one process
    #[arg(long, conflicts_with_all = ["only", "role", "workers", "standby"])]
    standalone: bool,
}

fn run(matches: &ArgMatches, console: &Console) -> Outcome {
    let arguments = Arguments::from_arg_matches(matches)?;
    let home = Home::find(console.global.home.as_deref())?;
    let mut settings = if home.config_file().exists() { Config::load(&home)? } else { Config::default() };
    // One process has one vote; the list of a home that has one stays, and its first start waits for the others.
    let alone = (arguments.standalone && !home.config_file().exists()).then_some(1);
    if let Some(masters) = arguments.masters.or(alone) {
        plan::with_masters(&mut settings, masters)?;
    }
    if let Some(base) = arguments.port_base {
        plan::with_port_base(&mut settings, base)?;
    }
    if let Some(workers) = arguments.workers {
        settings.start.workers = (1..=workers).map(|n| format!("w{n}")).collect();
    }
    let made = prepare::prepare(&home, arguments.tree.as_deref(), &settings)?;
    if arguments.masters.is_some() && !made.settings && prepare::write_masters(&home, &settings)? {
        console.talk(&say!("cluster.masters is now {}", plan::masters_text(&settings)));
    }
    let config = Config::load(&home)?;
    let config = Config { cluster: settings.cluster, http: settings.http, start: settings.start, ..config };
    let planned = choose(&arguments, &config)?;

    let first = made.words().map_or_else(Message::default, |words| say!("   (first run: {})", words));
    console.talk(&say!(
        "Ractorflow {}   home {}   conf conf/ractorflow.toml   data data/{}",
        env!("CARGO_PKG_VERSION"),
        home.root(),
        first
    ));
    let missing: Vec<&Planned> = planned.iter().filter(|planned| !is_running(&home, planned)).collect();
    if missing.is_empty() {
        console.data(&console.say(&say!("already running")))?;
    }
    missing.iter().try_for_each(|planned| check_ports(&home, planned))?;
    let begun = Instant::now();
    let started =
        missing.iter().map(|planned| start(&home, planned, &config, &arguments)).collect::<Result<Vec<_>, _>>()?;
    let deadline = begun + Duration::from_millis(config.start.ready_timeout_ms);
    for started in &started {
        let ready = await_ready(&home, started, deadline)?;
        for ready in ready {
            console.data(&line(&ready, begun.elapsed(), console))?;
        }
    }
    if missing.is_empty() {
        for ready in planned.iter().flat_map(|planned| &planned.nodes).filter_map(|node| home.read_ready(node)) {
            console.data(&line(&ready, Duration::ZERO, console))?;
        }
    }
    let readies = || planned.iter().flat_map(|planned| &planned.nodes).filter_map(|node| home.read_ready(node));
    let waiting = readies().find(|ready| ready.is_waiting);
    if let Some(ready) = waiting {
        console.talk(&say!(
            "{} {}: start the other hosts; ractorflow cluster join-token lets one join",
            ready.node,
            ready.note
        ));
    } else if arguments.only.is_none() && arguments.role.is_none() && readies().any(|ready| ready.role == Role::Http) {
        let n_workers =
            planned.iter().filter(|planned| planned.role != Role::Master && planned.role != Role::Http).count();
        first_run::report(&home, console, !missing.is_empty(), n_workers)?;
    }
    Ok(ExitCode::Ok)
}

/// Which processes were asked for.
fn choose(arguments: &Arguments, config: &Config) -> Result<Vec<Planned>, Failure> {
    if arguments.standalone {
        return Ok(vec![plan::standalone(config)]);
    }
    let all = plan::of_cluster(config);
    if arguments.standby {
        let masters: Vec<Planned> = all.into_iter().filter(|planned| planned.role == Role::Master).collect();
        let n_active = usize::from(masters.len() > 1);
        return match masters.is_empty() {
            true => Err(Failure::usage(say!("the settings of this home name no {} on this host", "master"))),
            false => Ok(masters.into_iter().skip(n_active).collect()),
        };
    }
    let first = arguments.role.as_ref().and_then(|role| all.iter().find(|planned| planned.role.word() == role));
    let Some(only) = &arguments.only.clone().or(first.map(|planned| planned.node.clone())) else {
        return match &arguments.role {
            Some(role) => Err(Failure::usage(say!("the settings of this home name no {} on this host", role))),
            None => Ok(all),
        };
    };
    let chosen = match (all.into_iter().find(|planned| &planned.node == only), arguments.role.as_deref()) {
        (Some(planned), None) => planned,
        (Some(planned), Some(role)) if planned.role.word() == role => planned,
        (None, Some("worker")) => Planned {
            node: only.clone(),
            role: Role::Worker,
            addresses: Vec::new(),
            nodes: vec![only.clone()],
            arguments: Vec::new(),
        },
        (Some(planned), Some(role)) => {
            return Err(Failure::usage(say!("{} is a {}, not a {}", only, planned.role.word(), role)));
        }
        (None, _) => return Err(Failure::usage(say!("the settings of this home name no process \"{}\"", only))),
    };
    Ok(vec![chosen])
}

/// A daemon whose supervisor is gone does not count: nobody would start it again. A new supervisor adopts it.
fn is_running(home: &Home, planned: &Planned) -> bool {
    plan::supervisor(home, &planned.node).is_some()
}

/// Ports of a daemon that is adopted are its own.
fn check_ports(home: &Home, planned: &Planned) -> Result<(), Failure> {
    if Process::from_file(&home.pid_file(&planned.node)).is_some() {
        return Ok(());
    }
    for (host, port) in &planned.addresses {
        // A port without a listener is taken by a connection that passes: that is worth a moment.
        let is_free = || is_port_free(host, *port);
        wait_until(PORT_PATIENCE, || is_free() || port_owner(*port).is_some());
        if is_free() {
            continue;
        }
        let holder = match port_owner(*port) {
            Some((pid, command)) => say!("pid {} ({})", pid, command),
            None => say!("a connection, or a process of another user"),
        };
        let key = if planned.role == Role::Http { "[http] port" } else { "[cluster] masters" };
        return Err(Failure::new(
            ExitCode::Conflict,
            say!("port {} for {} is taken by {}", port, planned.node, holder),
        )
        .hint(say!("change {} in conf/ractorflow.toml, use --port-base, or stop that process", key)));
    }
    Ok(())
}

/// A process that was started, and where its output stood then.
struct Started<'a> {
    planned: &'a Planned,
    supervisor: u32,
    output_from: usize,
}

fn start<'a>(
    home: &Home,
    planned: &'a Planned,
    config: &Config,
    arguments: &Arguments,
) -> Result<Started<'a>, Failure> {
    let is_adopted = Process::from_file(&home.pid_file(&planned.node)).is_some();
    if !is_adopted {
        planned.nodes.iter().try_for_each(|node| home.remove_ready(node))?;
    }
    let output = supervise::output_file(home, &planned.node)?;
    let output_from = output.metadata()?.len() as usize;
    let mut command = Command::new(supervise::binary()?);
    command.args(["supervise", "--detach", "--node", &planned.node, "--home"]).arg(home.root());
    command.args(["--", "server", planned.role.word()]);
    if planned.role != Role::Standalone {
        command.args(["--id", &planned.node]);
    }
    command.args(&planned.arguments);
    if arguments.port_base.is_some() {
        command.env("RACTORFLOW_CLUSTER__MASTERS", plan::masters_text(config));
        command.env("RACTORFLOW_HTTP__PORT", config.http.port.to_string());
    }
    if let Some(slots) = arguments.slots {
        command.env("RACTORFLOW_WORKER__SLOTS", slots.to_string());
    }
    let child = command
        .current_dir(home.root())
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .map_err(|error| Failure::other(say!("cannot start {}: {}", planned.node, error.to_string())))?;
    Ok(Started { planned, supervisor: child.id(), output_from })
}

fn await_ready(home: &Home, started: &Started<'_>, deadline: Instant) -> Result<Vec<Ready>, Failure> {
    let planned = started.planned;
    let read = || planned.nodes.iter().map(|node| home.read_ready(node)).collect::<Option<Vec<_>>>();
    let mut ends = 0;
    let mut is_supervised = true;
    wait_until(deadline.saturating_duration_since(Instant::now()), || {
        is_supervised = Process::running(started.supervisor).is_some();
        ends = supervise::ends_in(&output_since(home, started));
        read().is_some() || !is_supervised || ends >= ENDS_MAX
    });
    if let Some(ready) = read() {
        return Ok(ready);
    }
    let why = if !is_supervised {
        say!("it could not be started")
    } else if ends >= ENDS_MAX {
        say!("it ended {} times", ends)
    } else {
        say!("it did not become ready in time")
    };
    let said = say!("{} does not start: {}", planned.node, why);
    let mut words = last_lines(&output_since(home, started));
    words.extend(last_lines(&std::fs::read_to_string(home.log_file(&planned.node)).unwrap_or_default()));
    Err(Failure::other(Message::lines([said, Message::verbatim(format!("  {}", words.join("\n  ")))]))
        .hint(say!("more in {} and the .out file beside it", home.log_file(&planned.node))))
}

fn output_since(home: &Home, started: &Started<'_>) -> String {
    let path = home.logs_dir().join(format!("{}.out", started.planned.node));
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(bytes.get(started.output_from..).unwrap_or_default()).into_owned()
}

fn last_lines(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].iter().map(|line| (*line).to_owned()).collect()
}

/// `  master    m1   127.0.0.1:2751   pid 4101   active, epoch 1   0.31 s`
fn line(ready: &Ready, took: Duration, console: &Console) -> String {
    let address = ready.address.as_deref().unwrap_or("-");
    let took = if took.is_zero() { String::new() } else { format!("{:>6.2} s", took.as_secs_f64()) };
    let pid = format!("pid {}", ready.pid);
    format!(
        "  {:<8} {:<5} {address:<21} {pid:<12} {:<22} {took}",
        ready.role.word(),
        ready.node,
        console.say(&ready.note)
    )
    .trim_end()
    .to_owned()
}
