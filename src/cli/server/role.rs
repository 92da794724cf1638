//! The roles as processes: what each is made of, when it is ready, and what ends it.
//!
//! Wiring only. A role says it is ready by its file in run/, ends on TERM or INT, and ends with an error when its
//! store fails, so that its supervisor starts it again.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgMatches, Args, FromArgMatches};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::actor::http::LinkClient;
use crate::actor::identity;
use crate::actor::master::{Master, MasterStart, Place, link_limits};
use crate::actor::worker_process::WorkerProcess;
use crate::api::ExitCode;
use crate::cli::console::{Console, Failure, Language, Outcome, Verb, augment};
use crate::cluster::tls::TlsConfig;
use crate::cluster::{Cookie, Link, LinkConfig, PeerAddress, Role as LinkRole};
use crate::config::{Config, Home, Ready, Role};
use crate::http::{AkkaflowRoutes, App, HttpLimits, HttpOptions, LoginLinks, serve};
use crate::model::duration::Millis;
use crate::model::message::{Message, Value};
use crate::say;

use super::process::{Lock, Process};
use super::{log, priority, secret, security};

pub const MASTER: Verb = Verb {
    path: "server master",
    about: "Run a master in the foreground",
    examples: &["ractorflow server master --id m1"],
    exits: &[ExitCode::Conflict],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: run_master,
};

pub const WORKER: Verb = Verb {
    path: "server worker",
    about: "Run a worker in the foreground",
    examples: &["ractorflow server worker --id w1"],
    exits: &[ExitCode::Conflict],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: run_worker,
};

pub const HTTP: Verb = Verb {
    path: "server http",
    about: "Run an HTTP server in the foreground",
    examples: &["ractorflow server http --id h1 --port 8090"],
    exits: &[ExitCode::Conflict],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: run_http,
};

pub const STANDALONE: Verb = Verb {
    path: "server standalone",
    about: "Run master, worker and HTTP server in one process",
    examples: &["ractorflow server standalone"],
    exits: &[ExitCode::Conflict],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run: run_standalone,
};

#[derive(Debug, Args)]
struct Arguments {
    /// Name of the node, such as m1
    #[arg(long)]
    id: Option<String>,
    /// Port to listen on, instead of the configured one
    #[arg(long)]
    port: Option<u16>,
    /// Of a master: low leads only while no other can [default: by cluster.low_priority]
    #[arg(long, value_parser = ["normal", "low"])]
    priority: Option<String>,
}

/// Everything that a role starts from.
struct Context {
    home: Home,
    config: Config,
    port: Option<u16>,
    is_low_priority: bool,
    stop: CancellationToken,
}

fn run_master(matches: &ArgMatches, console: &Console) -> Outcome {
    run(matches, console, "m1", Role::Master)
}

fn run_worker(matches: &ArgMatches, console: &Console) -> Outcome {
    run(matches, console, "w1", Role::Worker)
}

fn run_http(matches: &ArgMatches, console: &Console) -> Outcome {
    run(matches, console, "h1", Role::Http)
}

fn run_standalone(matches: &ArgMatches, console: &Console) -> Outcome {
    run(matches, console, super::local::plan::STANDALONE, Role::Standalone)
}

fn run(matches: &ArgMatches, console: &Console, default_id: &str, role: Role) -> Outcome {
    let arguments = Arguments::from_arg_matches(matches)?;
    let home = Home::find(console.global.home.as_deref())?;
    let config = Config::load(&home)?;
    let id = arguments.id.clone().unwrap_or_else(|| default_id.to_owned());
    for directory in [home.conf_dir(), home.data_dir(), home.logs_dir(), home.run_dir(), home.xmlconfig_dir()] {
        std::fs::create_dir_all(directory)?;
    }
    secret::ensure(&home, &config)?;
    let Some(_lock) = Lock::take(&home.run_dir().join(format!("{id}.lock")))? else {
        return Err(Failure::new(ExitCode::Conflict, say!("{} runs already in this home", id)));
    };
    log::set_up(&home, &id, &config.logs)?;
    let pid_file = home.pid_file(&id);
    Process::current()?.write(&pid_file)?;
    if role == Role::Master {
        // Before there are threads: each would have a niceness of its own.
        priority::prefer_this_process();
    }
    // Several processes share the machine, and what a message costs is mostly that another thread is woken for its next
    // step: half the cores are enough for each. What waits for a disk or reads much has threads of its own.
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get() / 2).clamp(1, 8);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    let context = Context {
        home: home.clone(),
        config,
        port: arguments.port,
        is_low_priority: arguments.priority.as_deref() == Some("low"),
        stop: CancellationToken::new(),
    };
    let ended = runtime.block_on(until_told(context, id.clone(), role));
    let _ = std::fs::remove_file(pid_file);
    let _ = home.remove_ready(&id);
    ended.map(|()| ExitCode::Ok)
}

/// Runs the role until a signal or its failure.
async fn until_told(context: Context, id: String, role: Role) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = context.stop.clone();
    let running = async {
        match role {
            Role::Master => master(&context, &id).await,
            Role::Worker => worker(&context, &id).await,
            Role::Http => http(&context, &id).await,
            Role::Standalone => standalone(&context).await,
        }
    };
    let told = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(
        async {
            let ended = running.await;
            // A role that failed by itself must not wait for a signal.
            context.stop.cancel();
            ended
        },
        async {
            tokio::select! {
                () = told => {}
                () = context.stop.cancelled() => {}
            }
        }
    );
    if let Err(failure) = &ended {
        tracing::error!(error = %failure.text(Language::En), "ended");
    }
    ended
}

fn cookie(home: &Home) -> Result<Cookie, Failure> {
    let text = std::fs::read_to_string(home.cookie_file())?;
    let bytes =
        hex::decode(text.trim()).map_err(|error| Failure::other(say!("conf/cluster.cookie: {}", error.to_string())))?;
    Cookie::new(bytes).map_err(|error| Failure::theirs(&error))
}

fn masters(config: &Config) -> Result<Vec<PeerAddress>, Failure> {
    let parse = |master: &crate::config::MasterAddress| {
        let address = master.address().parse().map_err(|error: std::net::AddrParseError| {
            Failure::usage(say!(
                "cluster.masters: {}: {} (an IP address and a port are needed)",
                master.to_string(),
                error.to_string()
            ))
        })?;
        Ok(PeerAddress { name: master.name(), address })
    };
    config.cluster.masters.iter().map(parse).collect()
}

fn ready(context: &Context, node: &str, role: Role, address: Option<String>, note: Message) -> Result<(), Failure> {
    write_ready(
        context,
        Ready { node: node.to_owned(), role, pid: std::process::id(), address, note, is_waiting: false },
    )
}

fn write_ready(context: &Context, ready: Ready) -> Result<(), Failure> {
    context.home.write_ready(&ready)?;
    tracing::info!(node = ready.node, role = ready.role.word(), "ready");
    Ok(())
}

async fn start_master(context: &Context, id: &str) -> Result<Master, Failure> {
    let identity = identity::begin(&context.home, id, LinkRole::Master)?;
    let listed = context.config.cluster.masters.iter().find(|master| master.name() == id);
    let address = listed.map(|master| master.address());
    let on_wait = |missing: &BTreeSet<u64>| {
        let ready = Ready {
            node: id.to_owned(),
            role: Role::Master,
            pid: std::process::id(),
            address: address.clone(),
            note: say!("waits for {} (first start)", Value::list(missing.iter().map(|voter| format!("m{voter}")))),
            is_waiting: true,
        };
        if let Err(failure) = write_ready(context, ready) {
            tracing::warn!(error = %failure.text(Language::En), "cannot say that this master waits");
        }
    };
    let started = Master::start(MasterStart {
        home: &context.home,
        config: &context.config,
        identity,
        cookie: cookie(&context.home)?,
        tls: security::tls(&context.home, &context.config, id, LinkRole::Master)?,
        is_low_priority: context.is_low_priority || context.config.cluster.low_priority.iter().any(|low| low == id),
        on_wait: &on_wait,
        stop: context.stop.clone(),
    })
    .await;
    let master = started.map_err(|error| Failure::other(error.said()))?;
    let note = match master.settled().await {
        Some(Place::Active) => say!("active"),
        Some(Place::Standby) => say!("standby"),
        Some(Place::Learner) => say!("receives the log"),
        Some(Place::Outside) => say!("waits to be added: ractorflow cluster member add"),
        None => return Err(Failure::other(say!("{} found no leader", id))),
    };
    let address = master.link().listen_address().map(|address| address.to_string());
    ready(context, id, Role::Master, address, note)?;
    Ok(master)
}

async fn keep_master(context: &Context, master: Master) -> Result<(), Failure> {
    let failed = tokio::select! {
        error = master.failed() => Some(error),
        () = context.stop.cancelled() => None,
    };
    master.stop().await;
    match failed {
        Some(error) => Err(Failure::theirs(&error)),
        None => Ok(()),
    }
}

async fn master(context: &Context, id: &str) -> Result<(), Failure> {
    let master = start_master(context, id).await?;
    keep_master(context, master).await
}

/// Of a role that is dialed by nobody. Inside one process nothing is encrypted.
fn dialing(context: &Context, id: &str, role: LinkRole, peers: &[PeerAddress]) -> Result<Option<TlsConfig>, Failure> {
    if peers.is_empty() { Ok(None) } else { security::tls(&context.home, &context.config, id, role) }
}

async fn start_worker(context: &Context, id: &str, peers_to_dial: Vec<PeerAddress>) -> Result<WorkerProcess, Failure> {
    let node = identity::begin(&context.home, id, LinkRole::Worker)?;
    let tls = dialing(context, id, LinkRole::Worker, &peers_to_dial)?;
    let link = LinkConfig {
        node,
        listen: None,
        advertise: None,
        cookie: cookie(&context.home)?,
        tls,
        peers_to_dial,
        limits: link_limits(&context.config),
    };
    let started = WorkerProcess::start(&context.home, &context.config, link).await;
    let worker = started.map_err(|error| Failure::theirs(&error))?;
    ready(context, id, Role::Worker, None, say!("{} slot{s}", worker.slots()))?;
    Ok(worker)
}

async fn worker(context: &Context, id: &str) -> Result<(), Failure> {
    let worker = start_worker(context, id, masters(&context.config)?).await?;
    context.stop.cancelled().await;
    worker.stop().await;
    Ok(())
}

async fn start_http_link(
    context: &Context,
    id: &str,
    peers_to_dial: Vec<PeerAddress>,
) -> Result<(LinkClient, Link), Failure> {
    let client = LinkClient::new(Duration::from_millis(context.config.cluster.call_timeout_ms));
    let tls = dialing(context, id, LinkRole::Http, &peers_to_dial)?;
    let config = LinkConfig {
        node: identity::begin(&context.home, id, LinkRole::Http)?,
        listen: None,
        advertise: None,
        cookie: cookie(&context.home)?,
        tls,
        peers_to_dial,
        limits: link_limits(&context.config),
    };
    let link = Link::start(config, client.handler()).await.map_err(|error| Failure::theirs(&error))?;
    client.attach(link.clone());
    Ok((client, link))
}

/// Links and sessions of this home, lasting as configured.
pub fn login_links(home: &Home, settings: &crate::config::Http) -> Result<LoginLinks, Failure> {
    let links = LoginLinks::open(&home.login_key_file(), &home.run_dir());
    let links = links.map_err(|error| Failure::theirs(&error))?;
    let minutes = |n: u64| Millis::seconds(n as i64 * 60);
    Ok(links.lasting(minutes(settings.login_link_minutes), minutes(settings.session_hours * 60)))
}

async fn serve_http(context: &Context, id: &str, client: LinkClient) -> Result<(), Failure> {
    let settings = &context.config.http;
    let port = context.port.unwrap_or(settings.port);
    let ip = settings.bind.parse().map_err(|error: std::net::AddrParseError| {
        Failure::usage(say!("http.bind {}: {}", settings.bind, error.to_string()))
    })?;
    let bind = SocketAddr::new(ip, port);
    let listener = TcpListener::bind(bind)
        .await
        .map_err(|error| Failure::other(say!("listen on {}: {}", bind, error.to_string())))?;
    let bind = listener.local_addr()?;
    let url = format!("http://{bind}");
    let login = login_links(&context.home, settings)?;
    let zone = context.config.time.zone_name();
    let compat = &context.config.compat;
    let akkaflow = match (compat.akkaflow_http, compat.akkaflow_http_without_token) {
        (false, _) => AkkaflowRoutes::Off,
        (true, false) => AkkaflowRoutes::WithToken,
        (true, true) => AkkaflowRoutes::WithoutToken,
    };
    let options = HttpOptions {
        id: id.to_owned(),
        bind,
        url: url.clone(),
        admin_token: std::fs::read_to_string(context.home.admin_token_file())?.trim().to_owned(),
        login,
        allowed_hosts: Vec::new(),
        is_insecure: false,
        zone: zone.parse().unwrap_or(chrono_tz::Tz::UTC),
        limits: HttpLimits {
            definition_bytes_max: settings.request_body_bytes_max,
            request_ms: settings.request_timeout_ms,
            requests_max: settings.requests_max,
            event_streams_max: settings.streams_max,
            // Room for those that wait to be refused.
            connections_max: settings.requests_max + settings.streams_max + HttpLimits::default().connections_max,
            page_rows: settings.page_rows as u32,
            page_rows_max: settings.page_rows_max as u32,
            wait_ms_max: settings.wait_max_ms,
            ..HttpLimits::default()
        },
        akkaflow,
    };
    let app = App::new(Arc::new(client), options, context.stop.clone());
    ready(context, id, Role::Http, Some(bind.to_string()), Message::verbatim(url))?;
    serve(listener, app).await.map_err(|error| Failure::theirs(&error))
}

async fn http(context: &Context, id: &str) -> Result<(), Failure> {
    let (client, link) = start_http_link(context, id, masters(&context.config)?).await?;
    let served = serve_http(context, id, client).await;
    link.stop().await;
    served
}

/// The same parts as in three processes; only their links are joined inside this one.
async fn standalone(context: &Context) -> Result<(), Failure> {
    let planned = super::local::plan::standalone(&context.config);
    let name = |at: usize| planned.nodes.get(at).cloned().unwrap_or_default();
    let (m, w, h) = (name(0), name(1), name(2));
    let master = start_master(context, &m).await?;
    let worker = start_worker(context, &w, Vec::new()).await?;
    let (client, http_link) = start_http_link(context, &h, Vec::new()).await?;
    for link in [worker.link(), &http_link] {
        link.join_local(master.link()).map_err(|error| Failure::theirs(&error))?;
    }
    let served = tokio::select! {
        served = serve_http(context, &h, client) => served,
        error = master.failed() => Err(Failure::theirs(&error)),
    };
    context.stop.cancel();
    worker.stop().await;
    http_link.stop().await;
    master.stop().await;
    for node in &planned.nodes {
        let _ = context.home.remove_ready(node);
    }
    served
}
