//! Files of links on other systems: what every file system must do, whichever it is.

mod hdfs;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "ssh")]
mod sftp;
mod silent;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ractorflow::connector::database::{Database, split};
use ractorflow::connector::link;
use ractorflow::model::action::BodyElement;
use ractorflow::model::assignment::Rendered;
use ractorflow::model::message::Voice;
use ractorflow::node::task::{self, Services, Task};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::assignment::{assignment, element};

const DEADLINE: Duration = Duration::from_secs(120);
/// Longest time that it may take a server to notice that its client is gone.
const GONE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// In a home's `big` are so many: more than fit into everything that is under way at once.
const MANY: usize = 200_000;

/// A home with a SQLite database `lite`, and links to files.
pub struct Home {
    dir: TempDir,
}

type Attributes<'a> = &'a [(&'a str, &'a str)];

impl Home {
    pub fn new(file_links: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("conf")).expect("a directory");
        let databases =
            "<db-links><link name='lite' type='SQLITE' jdbc-url='jdbc:sqlite:lite.db'/></db-links>".to_owned();
        fs::write(dir.path().join("conf/db_links.xml"), databases).expect("a file");
        let home = Self { dir };
        home.link(file_links);
        home
    }

    pub fn link(&self, file_links: &str) {
        fs::write(self.path("conf/file_links.xml"), format!("<file-links>{file_links}</file-links>")).expect("a file");
    }

    pub fn conf(&self) -> PathBuf {
        self.path("conf")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub async fn sql(&self, text: &str) -> Vec<String> {
        let link = link::db_link(&self.conf(), "lite").expect("a link");
        let mut database =
            Database::open(&link, self.dir.path(), DEADLINE, Arc::new(|_| {})).await.expect("a connection");
        let mut found = Vec::new();
        for statement in split(text, database.dialect()).expect("a script") {
            for row in database.rows(&statement, 100).await.expect(&statement.text) {
                found.push(row.iter().map(|v| v.as_deref().unwrap_or("∅").to_owned()).collect::<Vec<_>>().join("|"));
            }
        }
        found
    }

    /// Outputs of a success, message of a failure.
    pub async fn run(&self, body: BodyElement<Rendered>, stopped: watch::Receiver<bool>) -> Result<String, String> {
        self.run_with(body, Services::default(), stopped).await
    }

    async fn run_with(
        &self,
        body: BodyElement<Rendered>,
        services: Services,
        stopped: watch::Receiver<bool>,
    ) -> Result<String, String> {
        let conf = self.conf();
        let task = Task::new(assignment("1.1.1.0.1", body), &conf, services, Voice::default(), stopped);
        let done = tokio::time::timeout(DEADLINE, task::run(&task)).await.expect("it ends");
        done.map(|()| task.output_lines()).map_err(|failure| failure.message.english())
    }

    pub async fn transfer(
        &self,
        source: BodyElement<Rendered>,
        target: BodyElement<Rendered>,
    ) -> Result<String, String> {
        let (_stop, stopped) = watch::channel(false);
        self.run(transfer(source, target), stopped).await
    }

    pub async fn monitor(&self, link: &str, pattern: &str, attributes: Attributes<'_>) -> Result<String, String> {
        let (_stop, stopped) = watch::channel(false);
        let services = Services { monitor_entries_max: 4, ..Services::default() };
        self.run_with(monitor(link, pattern, attributes), services, stopped).await
    }

    /// A table `big` of many rows.
    async fn many(&self) -> Vec<String> {
        let text = format!(
            "create table big (id integer, text text); insert into big \
             with recursive n(i) as (select 1 union all select i + 1 from n where i < {MANY}) \
             select i, 'row ' || i || ' of 数据 ' || hex(i * 7919) from n;"
        );
        self.sql(&text).await;
        self.sum("big").await
    }

    async fn sum(&self, table: &str) -> Vec<String> {
        self.sql(&format!("select count(*), sum(id), sum(length(text)), min(text), max(text) from {table}")).await
    }
}

pub fn transfer(source: BodyElement<Rendered>, target: BodyElement<Rendered>) -> BodyElement<Rendered> {
    element("transfer", None, vec![source, target])
}

fn with(mut element: BodyElement<Rendered>, attributes: Attributes<'_>) -> BodyElement<Rendered> {
    let rendered = |text: &str| Rendered { text: text.to_owned(), variables: Vec::new() };
    element.attributes.extend(attributes.iter().map(|(name, value)| ((*name).to_owned(), rendered(value))));
    element
}

pub fn query(text: &str) -> BodyElement<Rendered> {
    with(element("source", Some(text), vec![]), &[("type", "DB"), ("db-link", "lite")])
}

pub fn table(name: &str) -> BodyElement<Rendered> {
    with(element("target", None, vec![]), &[("type", "DB"), ("db-link", "lite"), ("table", name)])
}

pub fn from_file(link: &str, path: &str) -> BodyElement<Rendered> {
    let attributes = &[("type", "FILE"), ("file-link", link), ("delimited", ","), ("header", "true")];
    with(element("source", Some(path), vec![]), attributes)
}

pub fn to_file(link: &str, path: &str, more: Attributes<'_>) -> BodyElement<Rendered> {
    let attributes = &[("type", "FILE"), ("file-link", link), ("path", path), ("delimited", ","), ("header", "true")];
    with(with(element("target", None, vec![]), attributes), more)
}

fn monitor(link: &str, pattern: &str, attributes: Attributes<'_>) -> BodyElement<Rendered> {
    let file = with(with(element("file", Some(pattern), vec![]), &[("file-link", link)]), attributes);
    with(element("file-monitor", None, vec![file]), &[("pause", "20ms")])
}

/// What is really there, seen past the code under test.
pub trait There {
    /// Name of the link in the home.
    fn link(&self) -> &str;
    /// A directory, without a slash at its end.
    fn directory(&self) -> String;
    fn put(&self, name: &str, bytes: &[u8]) -> impl Future<Output = ()>;
    fn get(&self, name: &str) -> impl Future<Output = Option<Vec<u8>>>;
    /// Everything in the directory, what nobody should see too.
    fn names(&self) -> impl Future<Output = Vec<String>>;
    /// Has a file begun to be written that is not yet there?
    fn has_begun(&self) -> impl Future<Output = bool>;
    /// Is something of a client there, a connection or what it did not finish?
    fn is_in_use(&self) -> impl Future<Output = bool>;

    /// Is something of a client still there when it should long be gone?
    async fn is_left(&self) -> bool {
        let begun = Instant::now();
        while self.is_in_use().await && begun.elapsed() < GONE {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.is_in_use().await
    }
}

/// Connections to a server of this machine that are open.
fn has_connections(port: u16) -> bool {
    let table = fs::read_to_string("/proc/net/tcp").expect("connections");
    let is_open = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.get(1).is_some_and(|local| local.ends_with(&format!(":{port:04X}"))) && words.get(3) == Some(&"01")
    };
    table.lines().any(is_open)
}

/// Rows go there and come back as they were, few and many; a file is there whole or as it was.
async fn both_ways(home: &Home, there: &impl There) {
    let at = |name: &str| format!("{}/{name}", there.directory());
    let link = there.link();
    home.sql(
        "create table few (id integer, text text); insert into few values (1, 'a,b'), (2, null), (3, '红 \"x\"\n')",
    )
    .await;
    let text = "id,text\n1,\"a,b\"\n2,null\n3,\"红 \"\"x\"\"\n\"\n";
    let outputs = home.transfer(query("select * from few order by id"), to_file(link, &at("few.csv"), &[])).await;
    let outputs = outputs.expect("a file there");
    assert!(outputs.contains(&format!(r#"{{"name":"bytes","value":"{}"}}"#, text.len())), "{outputs}");
    assert_eq!(there.get("few.csv").await.as_deref(), Some(text.as_bytes()));
    home.transfer(from_file(link, &at("few.csv")), table("back")).await.expect("a table here");
    assert_eq!(home.sql("select * from back order by id").await, ["1|a,b", "2|∅", "3|红 \"x\"\n"]);

    // Over what is there, more than is ever under way at once; from one there to another there, and back.
    let sum = home.many().await;
    home.transfer(query("big"), to_file(link, &at("few.csv"), &[])).await.expect("a large file there");
    home.transfer(from_file(link, &at("few.csv")), to_file(link, &at("copy.csv"), &[])).await.expect("a copy there");
    assert_eq!(there.get("copy.csv").await, there.get("few.csv").await);
    home.transfer(from_file(link, &at("copy.csv")), table("big_back")).await.expect("a large table here");
    assert_eq!(home.sum("big_back").await, sum);

    // Nothing at all is a file too.
    home.transfer(query("select * from few where id > 9"), to_file(link, &at("none.csv"), &[]))
        .await
        .expect("a header");
    assert_eq!(there.get("none.csv").await.as_deref(), Some(&b"id,text\n"[..]));
    there.put("empty.csv", b"").await;
    home.transfer(from_file(link, &at("empty.csv")), to_file(link, &at("empty2.csv"), &[])).await.expect("nothing");
    assert_eq!(there.get("empty2.csv").await.as_deref(), Some(&b""[..]));
    let same = home.transfer(from_file(link, &at("copy.csv")), to_file(link, &at("copy.csv"), &[])).await;
    assert!(same.expect_err("the same").contains("are the same file"));
    assert!(!there.is_left().await, "a connection is left");
}

/// What fails leaves what was there, and says which file of which link, and what to do.
async fn failures(home: &Home, there: &impl There) {
    let at = |name: &str| format!("{}/{name}", there.directory());
    let link = there.link();
    there.put("out.csv", b"old").await;
    let before = there.names().await;
    fs::write(home.path("bad.csv"), "id,text\n1,a\n2,\"b\n").expect("a file");
    let bad = || from_file("local", home.path("bad.csv").to_str().expect("a path"));
    let said = home.transfer(bad(), to_file(link, &at("out.csv"), &[])).await.expect_err("an open quote");
    assert!(said.contains("bad.csv") && said.contains("never closed"), "{said}");
    assert_eq!(there.get("out.csv").await.as_deref(), Some(&b"old"[..]));
    assert_eq!(there.names().await, before, "something is left");
    let deleted = [("is-pre-del", "true")];
    home.transfer(bad(), to_file(link, &at("out.csv"), &deleted)).await.expect_err("an open quote");
    assert_eq!(there.get("out.csv").await, None, "it is deleted before");
    home.transfer(query("select 1"), to_file(link, &at("out.csv"), &deleted)).await.expect("nothing to delete");

    let said = home.transfer(from_file(link, &at("gone.csv")), table("t")).await.expect_err("no such file");
    assert!(said.starts_with(&format!("there is no file {link}:{} (", at("gone.csv"))), "{said}");
    there.put("latin.csv", b"id,text\n1,caf\xe9\n").await;
    let said = home.transfer(from_file(link, &at("latin.csv")), table("t")).await.expect_err("not UTF-8");
    assert!(said.starts_with(&format!("{link}:{} (", at("latin.csv"))) && said.contains("row 1"), "{said}");
    assert!(!there.is_left().await, "a connection is left");
}

/// A file that nobody finishes writing: a kill leaves what was there, and no connection.
async fn kills(home: &Home, there: &impl There) {
    let at = |name: &str| format!("{}/{name}", there.directory());
    there.put("kept.csv", b"old").await;
    let before = there.names().await;
    let pipe = home.path("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let (stop, stopped) = watch::channel(false);
    let source = from_file("local", pipe.to_str().expect("a path"));
    let killed = home.run(transfer(source, to_file(there.link(), &at("kept.csv"), &[])), stopped);
    // Rows enough that some have gone over there.
    let writing = tokio::task::spawn_blocking(move || {
        use std::io::Write;
        let mut pipe = fs::File::options().write(true).open(pipe).expect("a pipe");
        let row = format!("{},{}\n", 1, "x".repeat(1000));
        writeln!(pipe, "id,text").expect("a row");
        for _ in 0..20_000 {
            if pipe.write_all(row.as_bytes()).is_err() {
                break;
            }
        }
        pipe
    });
    let stopping = async {
        let pipe = writing.await.expect("rows");
        let begun = Instant::now();
        while !there.has_begun().await {
            assert!(begun.elapsed() < DEADLINE, "nothing is written there");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        assert!(there.is_in_use().await, "it is not seen while it runs");
        stop.send_replace(true);
        pipe
    };
    let (outcome, pipe) = tokio::join!(killed, stopping);
    assert_eq!(outcome.expect_err("it was killed"), "killed");
    drop(pipe);
    assert_eq!(there.get("kept.csv").await.as_deref(), Some(&b"old"[..]));
    assert_eq!(there.names().await, before, "something is left");
    assert!(!there.is_left().await, "a connection is left");
}

/// Files are counted there by pattern and size, and never without a bound.
async fn monitors(home: &Home, there: &impl There) {
    let at = |name: &str| format!("{}/{name}", there.directory());
    let link = there.link();
    for (name, text) in [("in_a.csv", "12345"), ("in_b.csv", "123"), ("in_c.txt", "")] {
        there.put(name, text.as_bytes()).await;
    }
    let outputs = home.monitor(link, &at("in_*.csv"), &[("min-num", "2")]).await.expect("two files");
    assert!(outputs.contains(r#"{"name":"count","value":"2"}"#) && outputs.contains(r#""value":"8""#), "{outputs}");
    let said = home.monitor(link, &at("in_?.csv"), &[("min-num", "3")]).await.expect_err("too few");
    assert!(said.starts_with(&format!("{link}:{} (", at("in_?.csv"))) && said.contains("at least 3"), "{said}");
    let said = home.monitor(link, &at("in_*"), &[("min-each-size", "4B")]).await.expect_err("too small");
    assert!(said.contains("2 of 3 files are smaller than 4 bytes, in_b.csv"), "{said}");
    for name in ["in_d.csv", "in_e.csv"] {
        there.put(name, b"1").await;
    }
    let said = home.monitor(link, &at("in_*.csv"), &[]).await.expect_err("too many");
    assert!(said.contains("has more than 4 entries (worker.monitor_entries_max)"), "{said}");
    assert!(!there.is_left().await, "a connection is left");
}

/// As `ractorflow link test` does it.
async fn tested(home: &Home, name: &str, path: Option<&str>) -> Result<String, String> {
    let link = link::file_link(&home.conf(), name).map_err(|error| error.said().english())?;
    let path = path.map(Path::new);
    let found = ractorflow::connector::file::test(&link, &home.conf(), Duration::from_secs(20), path).await;
    found.map(|found| format!("{found:?}")).map_err(|error| error.said().english())
}
