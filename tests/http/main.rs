//! The HTTP server against masters in memory: API, sessions, pages, streams.

#[path = "../fixtures/english.rs"]
mod english;
#[path = "../fixtures/fake_master.rs"]
mod fake_master;

mod akkaflow;
mod api;
mod links;
mod pages;
mod routes;
mod security;
mod streams;

use std::net::SocketAddr;
use std::sync::Arc;

use fake_master::FakeMaster;
use ractorflow::http::{AkkaflowRoutes, App, HttpLimits, HttpOptions, LoginLinks, serve};
use ractorflow::model::time::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub const TOKEN: &str = "the-admin-token";

/// A server on a port of its own, stopped when dropped.
pub struct Server {
    pub master: Arc<FakeMaster>,
    pub address: SocketAddr,
    pub login: LoginLinks,
    pub client: reqwest::Client,
    shutdown: CancellationToken,
    _home: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Server {
    pub async fn start(master: FakeMaster) -> Self {
        Self::start_with(master, HttpLimits::default(), 0).await
    }

    pub async fn start_with(master: FakeMaster, limits: HttpLimits, port: u16) -> Self {
        Self::start_all(master, limits, port, AkkaflowRoutes::Off).await
    }

    pub async fn start_akkaflow(akkaflow: AkkaflowRoutes) -> Self {
        Self::start_all(FakeMaster::default(), HttpLimits::default(), 0, akkaflow).await
    }

    async fn start_all(master: FakeMaster, limits: HttpLimits, port: u16, akkaflow: AkkaflowRoutes) -> Self {
        let home = tempfile::tempdir().unwrap();
        let login = LoginLinks::open(&home.path().join("login.key"), &home.path().join("run")).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let options = HttpOptions {
            id: "h1".to_owned(),
            bind: address,
            url: format!("http://{address}"),
            admin_token: format!("{TOKEN}\n"),
            login: login.clone(),
            allowed_hosts: vec!["flow.example.com".to_owned()],
            is_insecure: false,
            zone: chrono_tz::Asia::Shanghai,
            limits,
            akkaflow,
        };
        let master = Arc::new(master);
        let shutdown = CancellationToken::new();
        let app = App::new(master.clone(), options, shutdown.clone());
        tokio::spawn(async move { serve(listener, app).await.unwrap() });
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { master, address, login, client, shutdown, _home: home }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    pub async fn page(&self, path: &str) -> String {
        let answer = self.client.get(self.url(path)).header("accept", "text/html").send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert_eq!(status, 200, "{path}: {text}");
        text
    }

    pub async fn json(&self, path: &str) -> serde_json::Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    /// A change as a program makes it.
    pub async fn post(&self, path: &str, body: &str) -> reqwest::Response {
        self.client.post(self.url(path)).bearer_auth(TOKEN).body(body.to_owned()).send().await.unwrap()
    }

    /// Cookie and CSRF token of a fresh session.
    pub fn sign_in(&self) -> (String, String) {
        let now =
            Timestamp(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64);
        let session = self.login.accept(&self.login.issue(now), now).unwrap();
        (format!("ractorflow_session={}", self.login.cookie(&session)), self.login.csrf(&session))
    }
}

/// Not a test: serves the fixture for tests/pages/screenshots until its standard input is closed.
#[tokio::test]
#[ignore = "serves pages for the screenshots script"]
async fn serve_fixture() {
    let full = Server::start_with(FakeMaster::default(), HttpLimits::default(), 0).await;
    let empty = Server::start_with(FakeMaster::empty(), HttpLimits::default(), 0).await;
    let switching = Server::start_with(FakeMaster::default(), HttpLimits::default(), 0).await;
    switching.page("/").await;
    switching.page("/i/10342").await;
    switching.master.is_down.store(true, std::sync::atomic::Ordering::SeqCst);
    println!("serving {} {} {}", full.address, empty.address, switching.address);
    let mut line = String::new();
    tokio::task::spawn_blocking(move || std::io::stdin().read_line(&mut line)).await.unwrap().unwrap();
}
