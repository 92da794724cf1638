//! The passwords of links: on no page, in no answer, file, argument list or environment, whatever a login comes to.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cluster::{Cluster, text_of};
use crate::links::files;
use crate::server::{PASSWORD, Server};

/// Refused by the server.
const WRONG: &str = "canary-wrong-7f31c2";
/// Of `PASSWORD`, however it is escaped.
const RIGHT: &str = "s3cret";
/// Most pages that are read.
const PAGES_MAX: usize = 400;

const WORKS: &str = r#"<work-flow name="works" schema="1">
  <start name="start" to="a"/>
  <action name="a"><sql db-link="right">select 1 as n</sql><ok to="end"/></action>
  <end name="end"/>
</work-flow>"#;

const FAILS: &str = r#"<work-flow name="fails" schema="1">
  <start name="start" to="fork"/>
  <fork name="fork"><path to="monitor"/><path to="transfer"/><path to="metadata"/></fork>
  <action name="monitor"><data-monitor><source type="SQL" db-link="wrong">select 1</source></data-monitor><ok to="join"/><error to="join"/></action>
  <action name="transfer"><transfer><source type="DB" db-link="right">select 1 as n</source><target type="DB" db-link="kept" table="t"/></transfer><ok to="join"/><error to="join"/></action>
  <action name="metadata"><metadata table="t" db-link="wrong"/><ok to="join"/><error to="join"/></action>
  <join name="join" to="sql"/>
  <action name="sql"><sql db-link="wrong">select 1</sql><ok to="end"/></action>
  <end name="end"/>
</work-flow>"#;

const LONG: &str = r#"<work-flow name="long" schema="1">
  <start name="start" to="fork"/>
  <fork name="fork"><path to="sql"/><path to="script"/></fork>
  <action name="sql"><sql db-link="right">select sleep(600)</sql><ok to="join"/></action>
  <action name="script"><script><code>sleep 600</code></script><ok to="join"/></action>
  <join name="join" to="end"/>
  <end name="end"/>
</work-flow>"#;

struct Reader<'a> {
    cluster: &'a Cluster,
    address: String,
    token: String,
}

impl<'a> Reader<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        let status = cluster.json(&["cluster", "status"]);
        let address = status["http"].as_str().expect("an address").trim_start_matches("http://").to_owned();
        let token = fs::read_to_string(cluster.home().join("conf/admin.token")).expect("the token").trim().to_owned();
        Self { cluster, address, token }
    }

    /// Status line, headers and body; of a stream that goes on what came at once.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        let patience = if path == "/api/v1/events" { 1 } else { 30 };
        stream.set_read_timeout(Some(Duration::from_secs(patience))).expect("a timeout");
        let (address, token) = (&self.address, &self.token);
        let accept = if path.starts_with("/api") { "application/json" } else { "text/html" };
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n")
            .expect("sent");
        let mut text = Vec::new();
        let ended = stream.read_to_end(&mut text);
        assert!(ended.is_ok() || patience == 1, "{path}: {ended:?}");
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Every page that a link leads to, by its address.
    fn pages(&self) -> BTreeMap<String, String> {
        let mut pages = BTreeMap::new();
        let mut next = VecDeque::from(["/".to_owned()]);
        while let Some(path) = next.pop_front() {
            if pages.len() == PAGES_MAX || pages.contains_key(&path) {
                continue;
            }
            let text = self.get(&path);
            for href in text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                let mut href = href.split('#').next().unwrap_or_default().replace("&amp;", "&");
                if href.starts_with('?') {
                    href.insert_str(0, path.split('?').next().unwrap_or_default());
                }
                // The same page in other clothes.
                let is_same = ["lang=", "theme=", "tz="].iter().any(|word| href.contains(word));
                let is_page = href.starts_with('/') && !href.starts_with("/assets") && !href.starts_with("/api");
                let is_page = is_page && !is_same;
                if is_page && !pages.contains_key(&href) {
                    next.push_back(href);
                }
            }
            pages.insert(path, text);
        }
        pages
    }

    /// Every answer of the API about these instances and workflows.
    fn answers(&self, nodes: &[(&str, &[&str])], numbers: &[&str]) -> String {
        let mut told = String::new();
        let routes =
            include_str!("../http/routes.txt").lines().filter_map(|line| line.strip_prefix("GET  read   /api"));
        for route in routes {
            let mut paths = Vec::new();
            for (name, nodes) in nodes {
                for (node, number) in nodes.iter().flat_map(|node| numbers.iter().map(move |number| (node, number))) {
                    let target = if route.contains("/links/") {
                        "kept"
                    } else if route.contains("/instances/") {
                        number
                    } else {
                        name
                    };
                    let path = route.replace("{target}", target).replace("{name}", name).replace("{node}", node);
                    let path = path.replace("{instance}", number).replace("{attempt}", "1").replace("{version}", "1");
                    paths.push(format!("/api{}", path.replace("{id}", "1")));
                }
            }
            paths.sort();
            paths.dedup();
            for path in paths {
                assert!(!path.contains('{'), "{path}");
                told += &self.get(&path);
            }
        }
        told
    }

    fn state(&self, number: &str, node: &str) -> String {
        let view = self.cluster.json(&["instance", "show", number]);
        let nodes = view["nodes"].as_array().cloned().unwrap_or_default();
        let node = nodes.iter().find(|one| one["name"] == node);
        node.map_or(String::new(), |one| one["state"].as_str().unwrap_or_default().to_owned())
    }
}

/// Processes that this user can look into, with what their arguments or environment hold of the passwords.
fn open_processes() -> Vec<String> {
    let mut leaks = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        for name in ["cmdline", "environ"] {
            let path = entry.path().join(name);
            let bytes = fs::read(&path).unwrap_or_default();
            let holds = |word: &str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
            if holds(PASSWORD) || holds(WRONG) {
                leaks.push(path.display().to_string());
            }
        }
    }
    leaks
}

/// Files of the home but those that the passwords were written into.
fn open_files(home: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(home, &mut found);
    assert!(found.iter().any(|path| path.ends_with("state.db")), "{found:?}");
    found.retain(|path| !path.ends_with("conf/db_links.xml") && !path.ends_with("password"));
    let holds = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap_or_default();
        [RIGHT, WRONG].iter().any(|word| bytes.windows(word.len()).any(|window| window == word.as_bytes()))
    };
    found.into_iter().filter(holds).collect()
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn passwords_of_links_are_on_no_page_and_in_no_answer_file_argument_or_environment() {
    let Some(server) = Server::mariadb(false, false) else { return };
    let cluster = Cluster::new(&[("works.xml", WORKS), ("fails.xml", FAILS), ("long.xml", LONG)]);
    let url = format!("jdbc:mariadb://127.0.0.1:{}/wf?useSSL=false", server.port);
    let link = |name: &str, password: &str| {
        format!("<link name='{name}' type='MARIADB' jdbc-url='{url}' username='wf' password=\"{password}\"/>")
    };
    fs::create_dir_all(cluster.home().join("conf")).expect("conf");
    let links = format!("<db-links>{}{}</db-links>", link("right", PASSWORD), link("wrong", WRONG));
    fs::write(cluster.home().join("conf/db_links.xml"), links).expect("the links");
    cluster.start();
    cluster.await_true("the workflows", || cluster.try_json(&["workflow", "show", "works"]).is_some());
    // One of the hosts' files, and one that the cluster keeps.
    let file = cluster.home().join("password").display().to_string();
    fs::write(&file, WRONG).expect("a file");
    let words = ["link", "add", "kept", "--type", "MARIADB", "--url", &url, "--user", "wf", "--password-file", &file];
    let added = cluster.client(&words);
    assert!(added.status.success(), "{}", text_of(&added));
    let run = |name: &str| cluster.client(&["run", name, "--wait", "--timeout", "60s"]);
    let (works, fails) = (run("works"), run("fails"));
    assert_eq!((works.status.code(), fails.status.code()), (Some(0), Some(10)), "{}", text_of(&fails));
    // While tasks run.
    assert!(cluster.client(&["run", "long"]).status.success());
    let reader = Reader::new(&cluster);
    cluster.await_true("the tasks", || ["sql", "script"].iter().all(|node| reader.state("3", node) == "running"));
    assert_eq!(open_processes(), Vec::<String>::new(), "a password is in an argument or a variable");

    let mut told = String::new();
    for words in [
        &["link", "list"][..],
        &["link", "show", "right"],
        &["link", "show", "wrong", "-o", "json"],
        &["link", "test", "wrong"],
        &["link", "show", "kept"],
        &["link", "test", "right", "-o", "json"],
        &["status", "-o", "wide"],
        &["why", "2"],
        &["logs", "2"],
        &["logs", "2", "-o", "json"],
        &["instance", "show", "2", "-o", "json"],
        &["workflow", "show", "fails", "--xml"],
        &["config", "show"],
    ] {
        told += &text_of(&cluster.client(words));
    }
    let pages = reader.pages();
    for path in ["/workflows", "/instances", "/links", "/links/wrong", "/links/kept", "/cluster", "/w/fails"] {
        let is_read = |(found, page): (&String, &String)| found.starts_with(path) && page.starts_with("HTTP/1.1 200");
        assert!(pages.iter().any(is_read), "{path}: {:?}", pages.keys());
    }
    let said_on =
        |path: &str| pages.iter().any(|(found, page)| found.starts_with(path) && page.contains("Access denied"));
    assert!(pages["/"].contains("Access denied"), "attention shows the failed login");
    for path in ["/i/2", "/i/2?node=sql", "/i/2?node=transfer", "/i/2?node=metadata"] {
        assert!(said_on(path), "{path} shows the failed login: {:?}", pages.keys());
    }
    let nodes: [(&str, &[&str]); 3] =
        [("works", &["a"]), ("fails", &["sql", "monitor", "transfer", "metadata"]), ("long", &["sql", "script"])];
    told += &reader.answers(&nodes, &["1", "2", "3"]);
    assert!(told.contains("Access denied"), "{told}");
    for (place, text) in pages.iter().map(|(path, text)| (path.as_str(), text)).chain([("answers", &told)]) {
        assert!(!text.contains(RIGHT) && !text.contains(WRONG), "{place} holds a password");
    }

    let killed = cluster.client(&["instance", "kill", "3", "--wait"]);
    assert!(killed.status.success(), "{}", text_of(&killed));
    assert_eq!(open_files(cluster.home()), Vec::<PathBuf>::new(), "a password is in a file");
    println!("{} pages and {} KiB of answers hold no password", pages.len(), told.len() / 1024);
}
