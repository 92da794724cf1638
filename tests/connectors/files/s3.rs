//! Objects of a real server of S3: moto, in a process of its own.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use tempfile::TempDir;

use super::{
    Home, There, both_ways, failures, from_file, has_connections, kills, monitors, query, table, tested, to_file,
};

const UP: Duration = Duration::from_secs(120);
const BUCKET: &str = "landing";

struct Store {
    child: Child,
    port: u16,
    client: Client,
    _dir: TempDir,
}

/// Where `tests/run` puts it.
fn program() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a directory");
    target.join("moto/bin/moto_server")
}

impl Store {
    /// `None` where it is not installed.
    async fn start() -> Option<Self> {
        if !program().exists() {
            println!(
                "\n*** NOT TRIED: there is no server of S3 at {} (tests/run installs it) ***\n",
                program().display()
            );
            return None;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("it").port();
        let log = fs::File::create(dir.path().join("log")).expect("a log");
        let mut command = Command::new(program());
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        let mut child = command.spawn().expect("it starts");
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = child.try_wait().expect("its state");
            let log = || fs::read_to_string(dir.path().join("log")).unwrap_or_default();
            assert!(ended.is_none() && begun.elapsed() < UP, "moto did not come up: {ended:?}\n{}", log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Its own connections must not count.
        let client = Client::builder().pool_max_idle_per_host(0).build().expect("a client");
        let store = Self { child, port, client, _dir: dir };
        store.ask(Method::PUT, &format!("/{BUCKET}"), Vec::new(), &[]).await.expect("a bucket");
        Some(store)
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// As somebody, whose signature it does not check at first.
    async fn ask(&self, method: Method, path: &str, body: Vec<u8>, headers: &[(&str, &str)]) -> Option<Vec<u8>> {
        let request = self.client.request(method, format!("{}{path}", self.endpoint())).body(body);
        let is_named = headers.iter().any(|(name, _)| *name == "authorization");
        let request = if is_named { request } else { request.header("authorization", caller("s3")) };
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.send().await.expect("an answer");
        let is_good = answer.status().is_success();
        let bytes = answer.bytes().await.expect("a body").to_vec();
        is_good.then_some(bytes)
    }

    /// A user with a key; from now on nothing is done without one.
    async fn with_user(&self) -> (String, String) {
        let iam = caller("iam");
        let headers = [("authorization", iam.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        let policy = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C\
                      %22Action%22%3A%22%2A%22%2C%22Resource%22%3A%22%2A%22%7D%5D%7D";
        let mut answer = String::new();
        for call in ["CreateUser", &format!("PutUserPolicy&PolicyName=all&PolicyDocument={policy}"), "CreateAccessKey"]
        {
            let body = format!("Version=2010-05-08&UserName=etl&Action={call}").into_bytes();
            answer = String::from_utf8(self.ask(Method::POST, "/", body, &headers).await.expect(call)).expect("text");
        }
        let headers = [("content-type", "text/plain")];
        self.ask(Method::POST, "/moto-api/reset-auth", b"0".to_vec(), &headers).await.expect("logins from now on");
        let of = |word: &str| all_of(&answer, word).pop().expect("a key");
        (of("AccessKeyId"), of("SecretAccessKey"))
    }

    fn link(&self, name: &str, username: &str, password: &str, bucket: &str) -> String {
        format!(
            "<link name='{name}' type='S3' host='127.0.0.1' port='{}' username='{username}' password='{password}'>\
             <properties><property name='bucket'>{bucket}</property><property name='tls'>false</property>\
             <property name='part-size'>5MB</property></properties></link>",
            self.port
        )
    }

    async fn listed(&self, query: &str, word: &str) -> Vec<String> {
        let answer = self.ask(Method::GET, &format!("/{BUCKET}?{query}"), Vec::new(), &[]).await.expect("a list");
        all_of(&String::from_utf8(answer).expect("text"), word)
    }
}

/// Somebody who asks this service.
fn caller(service: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0")
}

/// Texts of all elements of this name.
fn all_of(xml: &str, word: &str) -> Vec<String> {
    let (open, close) = (format!("<{word}>"), format!("</{word}>"));
    xml.split(&open).skip(1).filter_map(|rest| rest.split_once(&close)).map(|(text, _)| text.to_owned()).collect()
}

impl There for Store {
    fn link(&self) -> &str {
        "far"
    }

    fn directory(&self) -> String {
        "/in".to_owned()
    }

    async fn put(&self, name: &str, bytes: &[u8]) {
        self.ask(Method::PUT, &format!("/{BUCKET}/in/{name}"), bytes.to_vec(), &[]).await.expect("an object");
    }

    async fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.ask(Method::GET, &format!("/{BUCKET}/in/{name}"), Vec::new(), &[]).await
    }

    async fn names(&self) -> Vec<String> {
        self.listed("list-type=2", "Key").await
    }

    async fn has_begun(&self) -> bool {
        !self.listed("uploads", "UploadId").await.is_empty()
    }

    /// Parts of objects that are not there are paid for.
    async fn is_in_use(&self) -> bool {
        self.has_begun().await || has_connections(self.port)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a server of its own"]
async fn objects_are_written_read_and_counted() {
    let Some(store) = Store::start().await else { return };
    let home = Home::new(&store.link("far", "any", "secret key", BUCKET));
    both_ways(&home, &store).await;
    failures(&home, &store).await;
    kills(&home, &store).await;
    let said = home.transfer(from_file("far", "/in/"), table("t")).await.expect_err("no object");
    assert!(said.contains("is not a regular file"), "{said}");
    // This server takes a slash in a query for another one than was signed, so here, where it does not look.
    assert_eq!(tested(&home, "far", Some("/in")).await.expect("it is there"), "Some(Directory)");
    let said = tested(&home, "far", Some("/none")).await.expect_err("nothing there");
    assert!(said.starts_with("there is no file far:/none ("), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a server of its own"]
async fn objects_are_monitored() {
    let Some(store) = Store::start().await else { return };
    let home = Home::new(&store.link("far", "any", "secret key", BUCKET));
    monitors(&home, &store).await;
    // What lies deeper is of another directory.
    store.put("deep/x_1.csv", b"1").await;
    store.put("x_2.csv", b"1").await;
    let outputs = home.monitor("far", "/in/x_*", &[]).await.expect("one object");
    assert!(outputs.contains(r#"{"name":"count","value":"1"}"#), "{outputs}");
    let said = home.monitor("far", "/none/*", &[]).await.expect_err("nothing");
    assert!(said.contains("0 files, at least 1"), "{said}");
}

/// Every request is signed with the link's keys; what the store refuses is said in its words, without them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a server of its own"]
async fn a_store_that_checks_signatures_lets_the_right_key_in() {
    let Some(store) = Store::start().await else { return };
    let (key, secret) = store.with_user().await;
    let home = Home::new(&store.link("far", &key, &secret, BUCKET));
    let sum = home.many().await;
    let path = "/in/数 a&b+%.csv";
    home.transfer(query("big"), to_file("far", path, &[])).await.expect("an object");
    home.transfer(from_file("far", path), table("big_back")).await.expect("a table");
    assert_eq!(home.sum("big_back").await, sum);
    assert_eq!(tested(&home, "far", None).await.expect("it opens"), "None");
    assert!(tested(&home, "far", Some(path)).await.expect("it is there").starts_with("Some(File"));

    let wrong = format!("not {secret}");
    home.link(&store.link("far", &key, &wrong, BUCKET));
    let said = tested(&home, "far", None).await.expect_err("the wrong key");
    let place = format!("far:/ ({}/{BUCKET}): ", store.endpoint());
    assert!(said.starts_with(&place) && said.contains("SignatureDoesNotMatch") && !said.contains(&secret), "{said}");
    let said = home.transfer(query("big"), to_file("far", path, &[])).await.expect_err("the wrong key");
    assert!(said.contains("SignatureDoesNotMatch") && !said.contains(&secret), "{said}");
    let said = home.transfer(from_file("far", path), table("t")).await.expect_err("the wrong key");
    assert!(said.contains("the store does not let this access key in"), "{said}");
    home.link(&store.link("far", &key, &secret, "nowhere"));
    let said = tested(&home, "far", None).await.expect_err("no such bucket");
    assert!(said.contains("NoSuchBucket"), "{said}");
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("it").port();
    home.link(&store.link("far", &key, &secret, BUCKET).replace(&store.port.to_string(), &port.to_string()));
    let said = tested(&home, "far", None).await.expect_err("nobody listens");
    assert!(said.contains("refused"), "{said}");
}
