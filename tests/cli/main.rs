//! The command line as a user has it: the real binary, against a real HTTP server with masters in memory.
//!
//! Golden files under tests/cli/golden hold help, tables and JSON of every verb; BLESS=1 writes them.

#[path = "../fixtures/english.rs"]
mod english;
#[path = "../fixtures/fake_master.rs"]
mod fake_master;

mod akka;
mod certificates;
mod exits;
mod golden;
mod large;
mod offline;
mod processes;
mod streams;

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::sync::Arc;

use fake_master::FakeMaster;
use ractorflow::http::{AkkaflowRoutes, App, HttpLimits, HttpOptions, LoginLinks, serve};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "the-admin-token";

/// A server on a port of its own, stopped when dropped.
pub struct Server {
    pub master: Arc<FakeMaster>,
    pub address: SocketAddr,
    shutdown: CancellationToken,
    home: tempfile::TempDir,
    _runtime: Runtime,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Server {
    pub fn start() -> Self {
        Self::with(FakeMaster::default())
    }

    pub fn with(master: FakeMaster) -> Self {
        let home = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let login = LoginLinks::open(&home.path().join("login.key"), &home.path().join("run")).unwrap();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let options = HttpOptions {
            id: "h1".to_owned(),
            bind: address,
            url: format!("http://{address}"),
            admin_token: TOKEN.to_owned(),
            login,
            allowed_hosts: Vec::new(),
            is_insecure: false,
            zone: chrono_tz::Asia::Shanghai,
            limits: HttpLimits::default(),
            akkaflow: AkkaflowRoutes::Off,
        };
        let master = Arc::new(master);
        let shutdown = CancellationToken::new();
        let app = App::new(master.clone(), options, shutdown.clone());
        runtime.spawn(serve(listener, app));
        Self { master, address, shutdown, home, _runtime: runtime }
    }

    /// The client, set up for this server and nothing of the machine that the test runs on.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = client(arguments);
        command
            .env("RACTORFLOW_ADDR", self.address.to_string())
            .env("RACTORFLOW_TOKEN", TOKEN)
            .env("RACTORFLOW_HOME", self.home.path());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("ractorflow runs")
    }

    /// stdout, with what differs from run to run named instead.
    pub fn text(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        String::from_utf8(output.stdout).unwrap().replace(&self.address.to_string(), "SERVER")
    }
}

/// The client in an environment that is the same everywhere.
pub fn client(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ractorflow"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .env("TZ", "Asia/Shanghai")
        .env("RACTORFLOW_LANG", "en")
        .args(arguments);
    command
}

/// Compares with tests/cli/golden/<name>, or writes it with BLESS=1.
pub fn assert_golden(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == text, "{name} differs; BLESS=1 writes it anew\n--- golden\n{golden}\n--- now\n{text}");
}
