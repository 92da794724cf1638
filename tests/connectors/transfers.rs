//! `transfer` between real servers, SQLite and files: every pair, what fails, what is refused, kills.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ractorflow::connector::database::{Database, Statement, split};
use ractorflow::connector::link;
use ractorflow::model::action::BodyElement;
use ractorflow::model::assignment::Rendered;
use ractorflow::model::message::Voice;
use ractorflow::node::task::{self, Services, Task};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::assignment::{assignment, element};
use crate::server::{PASSWORD, Server};

const DEADLINE: Duration = Duration::from_secs(60);
const CSV: &[(&str, &str)] = &[("delimited", ","), ("header", "true"), ("null", "\\N")];
/// What the table `s` is in each database.
const TABLES: [(&str, &str); 3] = [
    (
        "pg",
        "create table s (id bigint primary key, name varchar(40), amount numeric(10,2), at timestamp, data bytea, note text, ok boolean)",
    ),
    (
        "my",
        "create table s (id bigint primary key, name varchar(40), amount decimal(10,2), at datetime(6), data blob, note text, ok tinyint(1))",
    ),
    (
        "lite",
        "create table s (id integer primary key, name text, amount real, at text, data blob, note text, ok boolean)",
    ),
];

/// A home with links to all of them.
struct Home {
    dir: TempDir,
    /// Does a load say which row it is? Drivers of ODBC send many together.
    tells_rows: bool,
    _servers: [Server; 2],
}

impl Home {
    fn new(local_infile: bool) -> Option<Self> {
        Self::with(local_infile, |kind, port, _| match kind {
            "POSTGRESQL" => format!("jdbc:postgresql://127.0.0.1:{port}/postgres"),
            "MYSQL" => format!("jdbc:mysql://127.0.0.1:{port}/wf"),
            _ => "jdbc:sqlite:lite.db".to_owned(),
        })
    }

    /// The same databases, each through its driver of ODBC.
    #[cfg(feature = "odbc")]
    fn through_odbc() -> Option<Self> {
        crate::odbc::has_drivers().then_some(())?;
        let server = "Server=127.0.0.1;Port";
        let home = Self::with(false, |kind, port, dir| match kind {
            "POSTGRESQL" => format!("odbc:Driver={{PostgreSQL Unicode}};{server}={port};Database=postgres"),
            "MYSQL" => format!("odbc:Driver={{MariaDB Unicode}};{server}={port};Database=wf"),
            _ => format!("odbc:Driver={{SQLite3}};Database={}", dir.join("lite.db").display()),
        });
        home.map(|home| Self { tells_rows: false, ..home })
    }

    fn with(local_infile: bool, url: impl Fn(&str, u16, &Path) -> String) -> Option<Self> {
        let (postgres, mariadb) = (Server::postgres()?, Server::mariadb(local_infile, false)?);
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("conf")).expect("a directory");
        let login = format!("username='wf' password=\"{PASSWORD}\"");
        let link = |name, kind, port, login| {
            format!("<link name='{name}' type='{kind}' jdbc-url='{}' {login}/>", url(kind, port, dir.path()))
        };
        let text = format!(
            "<db-links>{}{}{}</db-links>",
            link("pg", "POSTGRESQL", postgres.port, login.as_str()),
            link("my", "MYSQL", mariadb.port, login.as_str()),
            link("lite", "SQLITE", 0, "")
        );
        fs::write(dir.path().join("conf/db_links.xml"), text).expect("a file");
        Some(Self { dir, tells_rows: true, _servers: [postgres, mariadb] })
    }

    fn conf(&self) -> PathBuf {
        self.path("conf")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn open(&self, name: &str) -> Database {
        let link = link::db_link(&self.conf(), name).expect("a link");
        Database::open(&link, self.dir.path(), DEADLINE, Arc::new(|_| {})).await.expect("a connection")
    }

    async fn sql(&self, name: &str, text: &str) -> Vec<String> {
        let mut database = self.open(name).await;
        let mut found = Vec::new();
        for statement in split(text, database.dialect()).expect("a script") {
            for row in database.rows(&statement, 100).await.expect(&statement.text) {
                found.push(row.iter().map(|v| v.as_deref().unwrap_or("∅").to_owned()).collect::<Vec<_>>().join("|"));
            }
        }
        found
    }

    async fn run(&self, body: BodyElement<Rendered>, stopped: watch::Receiver<bool>) -> Result<String, String> {
        let conf = self.conf();
        let task = Task::new(assignment("1.1.1.0.1", body), &conf, Services::default(), Voice::default(), stopped);
        let done = tokio::time::timeout(DEADLINE, task::run(&task)).await.expect("it ends");
        done.map(|()| task.output_lines()).map_err(|failure| failure.message.english())
    }

    async fn transfer(&self, source: BodyElement<Rendered>, target: BodyElement<Rendered>) -> Result<String, String> {
        let (_stop, stopped) = watch::channel(false);
        self.run(element("transfer", None, vec![source, target]), stopped).await
    }
}

fn rendered(text: &str) -> Rendered {
    Rendered { text: text.to_owned(), variables: Vec::new() }
}

fn with(mut element: BodyElement<Rendered>, attributes: &[(&str, &str)]) -> BodyElement<Rendered> {
    element.attributes.extend(attributes.iter().map(|(name, value)| ((*name).to_owned(), rendered(value))));
    element
}

fn query(link: &str, text: &str) -> BodyElement<Rendered> {
    with(element("source", Some(text), vec![]), &[("type", "DB"), ("db-link", link)])
}

fn table(link: &str, table: &str) -> BodyElement<Rendered> {
    with(element("target", None, vec![]), &[("type", "DB"), ("db-link", link), ("table", table)])
}

fn file(word: &str, path: &Path) -> BodyElement<Rendered> {
    let path = path.display().to_string();
    let text = (word == "source").then_some(path.as_str());
    with(with(element(word, text, vec![]), &[("type", "FILE"), ("path", &path)]), CSV)
}

/// Values that a format could mistake for something else.
fn rows(n: usize) -> String {
    let name = ["plain", "", "\\N", "it's; --", "数据"];
    let note =
        ["tab\there", "\"line\nbreak\r\n\"", "back\\slash \\n \\t", "\\N", "\"say \"\"hi\"\"\"", "null", "", "\"a,b\""];
    let mut text = "id,name,amount,at,data,note,ok\n".to_owned();
    for id in 1..=n {
        let data = if id % 3 == 0 { "\\N" } else { "\\x00ff5c0a" };
        let (name, note) = (name[id % name.len()], note[id % note.len()]);
        text.push_str(&format!(
            "{id},{name},{id}.25,2026-11-27 10:00:00.{:06},{data},{note},{}\n",
            100_001 + 10 * id,
            id % 2
        ));
    }
    text
}

async fn pairs(home: &Home) {
    let text = rows(3000);
    let origin = home.path("origin.csv");
    fs::write(&origin, &text).expect("a file");
    let out = home.path("out.csv");
    home.transfer(file("source", &origin), file("target", &out)).await.expect("a file");
    assert!(fs::read_to_string(&out).expect("a file") == text, "file to file");
    for (name, create) in TABLES {
        home.sql(name, create).await;
        let done = home.transfer(file("source", &origin), table(name, "s")).await.expect("rows");
        assert!(done.contains(r#""written","value":"3000""#), "{done}");
    }
    for (from, _) in TABLES {
        for (to, _) in TABLES {
            // Made there, with the types that come over.
            let name = format!("from_{from}");
            home.transfer(query(from, "s"), table(to, &name)).await.unwrap_or_else(|e| panic!("{from} to {to}: {e}"));
            let all = format!("select * from {name} order by id");
            home.transfer(query(to, &all), file("target", &out))
                .await
                .unwrap_or_else(|e| panic!("{from} to {to}: {e}"));
            // SQLite's driver of ODBC writes bytes so, and calls them text.
            let found = fs::read_to_string(&out).expect("a file").replace("X'00FF5C0A'", "\\x00ff5c0a");
            let first = found.lines().zip(text.lines()).find(|(a, b)| a != b);
            assert!(found == text, "{from} to {to}: {first:?}");
        }
    }
}

/// A table that refuses some rows; what is there stays when one does, and others are taken when that is allowed.
async fn refusals(home: &Home) {
    for (name, check) in [("pg", "check (n <> 'bad')"), ("my", "check (n <> 'bad')")] {
        home.sql(
            name,
            &format!(
                "create table r (id int not null primary key, n varchar(5) {check}); insert into r values (0, 'old')"
            ),
        )
        .await;
        let child = |word: &str, text: &str| element(word, Some(text), vec![]);
        for (rows, children, said) in [
            ("1,x\n2,y\nmany,z\n", vec![], "row 3: target: link"),
            ("1,x\n2,too long\n", vec![], "row 2: target: link"),
            ("1,x\n1,y\n", vec![], "target: link"),
            ("1,x\n2,bad\n", vec![], "target: link"),
            (
                "1,x\n",
                vec![child("pre", "insert into r values (9, 'pre'); select nothing")],
                "pre: statement 2 of 2: link",
            ),
            (
                "1,x\n",
                vec![child("after", "insert into r values (9, 'end'); select nothing")],
                "after: statement 2 of 2: link",
            ),
        ] {
            let input = home.path("in.csv");
            fs::write(&input, format!("id,n\n{rows}")).expect("a file");
            let mut target = with(table(name, "r"), &[("is-pre-truncate", "true")]);
            target.children = children;
            let failed = home.transfer(file("source", &input), target).await.expect_err("it fails");
            let untold =
                ["row 2: ", "row 3: "].iter().find_map(|row| said.strip_prefix(row)).filter(|_| !home.tells_rows);
            let said = untold.unwrap_or(said);
            assert!(failed.contains(said) && !failed.contains("s3cret"), "{name}: {failed}");
            assert_eq!(home.sql(name, "select * from r").await, ["0|old"], "{name}: {failed}");
        }
        let mut text = "id,n\n".to_owned();
        (1..=20_000).for_each(|id| text.push_str(&format!("{id},x\n")));
        let bad = ["many,x\n", "20001,too long\n", "12000,y\n", "20002,bad\n", "20003\n", ",x\n"];
        let text = text.replace("12345,x\n", &format!("12345,x\n{}", bad.concat()));
        let input = home.path("in.csv");
        fs::write(&input, text).expect("a file");
        let body = |max: &str, atomic: &str| {
            let target = with(table(name, "r"), &[("is-pre-truncate", "true"), ("atomic", atomic), ("task-num", "3")]);
            with(element("transfer", None, vec![file("source", &input), target]), &[("max-rejects", max)])
        };
        let (_stop, stopped) = watch::channel(false);
        let failed = home.run(body("5", "true"), stopped.clone()).await.expect_err("one too many");
        assert!(failed.contains("more than 5 rows are rejected"), "{failed}");
        assert_eq!(home.sql(name, "select * from r").await, ["0|old"]);
        for atomic in ["true", "false"] {
            let done = home.run(body("6", atomic), stopped.clone()).await.expect("the others");
            assert!(
                done.contains(r#""rejected","value":"6""#) && done.contains(r#""written","value":"20000""#),
                "{done}"
            );
            assert_eq!(home.sql(name, "select count(*), min(id), max(id) from r").await, ["20000|1|20000"]);
        }
        // A table that is made and fails is not there.
        let failed = home.transfer(
            query("lite", "select 1 as id, 'x' as \"\" union all select abs(-9223372036854775808), 'y'"),
            table(name, "made"),
        );
        failed.await.expect_err("an overflow");
        let mut database = home.open(name).await;
        assert!(database.columns_of("made").await.expect("columns").is_empty(), "{name}");
    }
}

/// At a kill nothing runs any more in either database, and nothing is changed. `loads`: what the statements begin with
/// by which they are filled.
async fn kills(home: &Home, loads: [&str; 2]) {
    const PG: &str =
        "select count(*) from pg_stat_activity where state = 'active' and pid <> pg_backend_pid() and query like '";
    const MY: &str = "select count(*) from information_schema.processlist where id <> connection_id() and info like '";
    let endless = "with recursive k(id) as (select 1 union all select id + 1 from k) select id from k";
    for (name, create) in [
        ("pg", "create table k (id bigint)"),
        ("my", "create table k (id bigint)"),
        ("lite", "create table k (id bigint)"),
    ] {
        home.sql(name, &format!("{create}; insert into k values (0)")).await;
    }
    for (source, target, seen_by, seen) in [
        (
            query("pg", "select 1 as id, pg_sleep(61)::text as s"),
            table("my", "made_k"),
            "pg",
            format!("{PG}%pg_sleep(61)%'"),
        ),
        (query("my", "select sleep(61) as id"), table("pg", "k"), "my", format!("{MY}%sleep(61)%'")),
        (query("lite", endless), table("pg", "k"), "pg", format!("{PG}{}%'", loads[0])),
        (query("lite", endless), table("my", "k"), "my", format!("{MY}{}%'", loads[1])),
    ] {
        let (stop, stopped) = watch::channel(false);
        let target = with(target, &[("is-pre-truncate", "true")]);
        let mut other = home.open(seen_by).await;
        let watching = async {
            let statement = Statement::new(seen.clone());
            let mut n_seen =
                async || other.rows(&statement, 1).await.expect("a look")[0][0].clone().unwrap_or_default();
            while n_seen().await == "0" {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            stop.send_replace(true);
            while n_seen().await != "0" {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let running = home.run(element("transfer", None, vec![source, target]), stopped);
        let both = async { tokio::join!(running, watching).0 };
        let outcome = tokio::time::timeout(DEADLINE, both).await.expect("it ends in the database");
        assert_eq!(outcome.expect_err("it was killed"), "killed");
        for name in ["pg", "my"] {
            assert_eq!(home.sql(name, "select * from k").await, ["0"], "{seen}");
        }
        assert!(home.open("my").await.columns_of("made_k").await.expect("columns").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts PostgreSQL and MariaDB"]
async fn between_postgresql_mariadb_sqlite_and_files() {
    let Some(home) = Home::new(true) else { return };
    pairs(&home).await;
    refusals(&home).await;
    kills(&home, ["COPY", "LOAD DATA"]).await;
}

#[cfg(feature = "odbc")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts PostgreSQL and MariaDB"]
async fn between_databases_reached_through_odbc() {
    let Some(home) = Home::through_odbc() else { return };
    pairs(&home).await;
    refusals(&home).await;
    kills(&home, ["INSERT", "INSERT"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts PostgreSQL and MariaDB"]
async fn by_insert_where_load_data_is_forbidden() {
    let Some(home) = Home::new(false) else { return };
    pairs(&home).await;
    refusals(&home).await;
}
