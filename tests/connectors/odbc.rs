//! Databases through ODBC, with Debian's drivers on real servers. What Oracle, Hive, Impala and the like do with their
//! vendors' drivers nobody has seen here.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ractorflow::connector::database::{Database, DatabaseError, ErrorKind, Part, Row, Statement, share, split};
use ractorflow::connector::link;
use ractorflow::model::action::BodyElement;
use ractorflow::model::assignment::Rendered;
use ractorflow::model::message::Voice;
use ractorflow::node::task::{self, Services, Task};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::assignment::{assignment, element};
use crate::nodes::works;
use crate::server::{PASSWORD, Server};

const DEADLINE: Duration = Duration::from_secs(60);

/// Is the driver there, by the name that its package gives it?
fn has(driver: &str, package: &str) -> bool {
    let known = fs::read_to_string("/etc/odbcinst.ini").unwrap_or_default().contains(&format!("[{driver}]"));
    if !known {
        println!("\n*** NOT TRIED: {package} is not installed ***\n");
    }
    known
}

fn postgres() -> Option<Server> {
    has("PostgreSQL Unicode", "odbc-postgresql").then(Server::postgres).flatten()
}

fn mariadb() -> Option<Server> {
    has("MariaDB Unicode", "odbc-mariadb").then(|| Server::mariadb(false, false)).flatten()
}

fn lite() -> Option<TempDir> {
    let dir = has("SQLite3", "libsqliteodbc").then(|| tempfile::tempdir().expect("a directory"))?;
    let url = format!("odbc:Driver={{SQLite3}};Database={}", dir.path().join("lite.db").display());
    let text = format!("<db-links><link name='a' type='SQLITE' jdbc-url='{url}'/></db-links>");
    fs::write(dir.path().join("db_links.xml"), text).expect("a file");
    Some(dir)
}

async fn open(conf: &Path) -> Result<Database, DatabaseError> {
    let link = link::db_link(conf, "a").expect("a link");
    Database::open(&link, conf, DEADLINE, Arc::new(|_| {})).await
}

async fn script(database: &mut Database, text: &str) -> Result<u64, DatabaseError> {
    let mut n = 0;
    for statement in split(text, database.dialect()).expect("a script") {
        n += database.execute(&statement).await?;
    }
    Ok(n)
}

async fn rows(database: &mut Database, text: &str) -> Vec<Row> {
    database.rows(&Statement::new(text), 1000).await.expect("rows")
}

fn row<const N: usize>(values: [Option<&str>; N]) -> Row {
    values.map(|value| value.map(str::to_owned)).to_vec()
}

async fn common(conf: &Path) {
    let mut database = open(conf).await.expect("a connection");
    let database = &mut database;
    script(database, "create table t (a int not null, b varchar(200))").await.expect("a table");
    database.begin().await.expect("begin");
    let two = "insert into t values (1, 'x'); insert into t values (2, 'y')";
    assert_eq!(script(database, two).await.expect("rows"), 2);
    database.rollback().await.expect("rollback");
    assert_eq!(rows(database, "select count(*) from t").await, [row([Some("0")])]);
    database.begin().await.expect("begin");
    assert_eq!(script(database, two).await.expect("rows"), 2);
    database.commit().await.expect("commit");
    assert_eq!(script(database, "update t set b = 'z'").await.expect("rows"), 2);

    for evil in ["it's", "\\", "\\'; drop table t; -- ", "数据 '\"` \\' \t\n$$ 😀"] {
        let values = ["7".to_owned(), evil.to_owned()];
        let mut statements = split("insert into t values (?, ?);", database.dialect()).expect("a script");
        share(&mut statements, &values).expect("two values");
        assert_eq!(database.execute(&statements[0]).await.expect("a row"), 1, "{evil:?}");
        let mut statements = split("select a, b from t where b = ?", database.dialect()).expect("a script");
        share(&mut statements, &values[1..]).expect("a value");
        assert_eq!(database.rows(&statements[0], 9).await.expect("rows"), [row([Some("7"), Some(evil)])], "{evil:?}");
    }
    let long = "数".repeat(100_000);
    let statement = format!("select '{long}' as a, null as b, 1.5 as c");
    assert_eq!(rows(database, &statement).await, [row([Some(long.as_str()), None, Some("1.5")])]);

    // An error names link and line, and does not end the connection.
    let error = script(database, "select 1;\n\nselect * from nowhere").await.expect_err("no table");
    assert_eq!((error.kind, error.line), (ErrorKind::Statement, Some(3)), "{error}");
    assert!(error.sqlstate.is_some() && error.to_string().contains("nowhere"), "{error}");

    // Most of a long answer is never taken.
    let many = "with recursive n(a) as (select 1 union all select a + 1 from n where a < 900) select x.a from n x, n y";
    {
        let statement = Statement::new(many);
        let mut answer = database.run(&statement).await.expect("an answer");
        assert!(matches!(answer.next().await, Ok(Some(Part::Columns(_)))));
        assert!(matches!(answer.next().await, Ok(Some(Part::Row(_)))));
    }
    assert_eq!(rows(database, "select 1").await, [row([Some("1")])]);
    let columns = database.columns_of("t").await.expect("columns");
    assert_eq!(columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(database.columns_of("nowhere").await.expect("none").is_empty());
}

#[tokio::test]
#[ignore = "starts a server of its own"]
async fn postgres_by_odbc() {
    let Some(server) = postgres() else { return };
    common(server.odbc("POSTGRESQL", "PostgreSQL Unicode", PASSWORD)).await;
    let seen = "select count(*) from pg_stat_activity where query like '%pg_sleep(61)%' and state = 'active' and pid <> pg_backend_pid()";
    works(server.odbc("POSTGRESQL", "PostgreSQL Unicode", PASSWORD), "select pg_sleep(61)", seen).await;
    let refused = open(server.odbc("POSTGRESQL", "PostgreSQL Unicode", "wrong-word")).await.err().expect("a refusal");
    assert_eq!(refused.kind, ErrorKind::Login, "{refused}");
    assert!(!refused.to_string().contains("wrong-word"), "{refused}");
}

#[tokio::test]
#[ignore = "starts a server of its own"]
async fn mariadb_by_odbc() {
    let Some(server) = mariadb() else { return };
    common(server.odbc("MARIADB", "MariaDB Unicode", PASSWORD)).await;
    let seen =
        "select count(*) from information_schema.processlist where info like '%sleep(61)%' and id <> connection_id()";
    works(server.odbc("MARIADB", "MariaDB Unicode", PASSWORD), "select sleep(61)", seen).await;
}

#[tokio::test]
#[ignore = "needs a driver of ODBC"]
async fn sqlite_by_odbc() {
    let Some(dir) = lite() else { return };
    common(dir.path()).await;
    let mut database = open(dir.path()).await.expect("a connection");
    let canceller = database.canceller();
    let endless = "with recursive n(a) as (select 1 union all select a + 1 from n) select count(*) from n";
    let cancelling = async {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            canceller.cancel().await.expect("it is asked");
        }
    };
    let statement = Statement::new(endless);
    let error = tokio::select! {
        done = database.execute(&statement) => done.expect_err("it was cancelled"),
        () = cancelling => unreachable!("it asks for ever"),
    };
    assert_eq!(error.kind, ErrorKind::Cancelled, "{error}");
}

#[tokio::test]
#[ignore = "starts a server of its own"]
async fn whatever_odbc_reaches_is_described_by_its_driver() {
    let Some(server) = postgres() else { return };
    let mut database = open(server.odbc("ODBC", "PostgreSQL Unicode", PASSWORD)).await.expect("a connection");
    script(
        &mut database,
        "create table wide (id bigint not null, name varchar(20), amount numeric(10,2), data bytea, at timestamp)",
    )
    .await
    .expect("a table");
    let columns = database.columns_of("wide").await.expect("columns");
    let found: Vec<_> = columns.iter().map(|column| (column.name.as_str(), column.type_name.as_str())).collect();
    assert_eq!(
        found,
        [
            ("id", "bigint"),
            ("name", "varchar(20)"),
            ("amount", "decimal(10,2)"),
            ("data", "varbinary"),
            ("at", "timestamp")
        ]
    );
    assert!(database.columns_of("nowhere").await.expect("none").is_empty());
    // As a monitor asks: one value.
    assert_eq!(rows(&mut database, "select count(*) from wide").await, [row([Some("0")])]);
}

#[tokio::test]
#[ignore = "needs ODBC"]
async fn a_driver_that_is_not_there_is_told_with_its_package() {
    let dir = tempfile::tempdir().expect("a directory");
    for (word, url, package) in [
        ("IMPALA", "jdbc:impala://127.0.0.1/d", "ClouderaImpalaODBC"),
        ("ORACLE", "jdbc:oracle:thin:@//127.0.0.1:1521/X", "oracle-instantclient-odbc"),
    ] {
        let text =
            format!("<db-links><link name='a' type='{word}' jdbc-url='{url}' username='u' password='p'/></db-links>");
        fs::write(dir.path().join("db_links.xml"), text).expect("a file");
        let error = open(dir.path()).await.err().expect("no driver");
        assert!(error.kind == ErrorKind::NotBuilt && error.to_string().contains(package), "{error}");
    }
}

fn with(mut element: BodyElement<Rendered>, attributes: &[(&str, &str)]) -> BodyElement<Rendered> {
    let value = |text: &str| Rendered { text: text.to_owned(), variables: Vec::new() };
    element.attributes.extend(attributes.iter().map(|(name, text)| ((*name).to_owned(), value(text))));
    element
}

async fn transfer(conf: &Path, source: BodyElement<Rendered>, target: BodyElement<Rendered>) -> Result<String, String> {
    let (_stop, stopped) = watch::channel(false);
    let body = element("transfer", None, vec![source, target]);
    let task = Task::new(assignment("1.1.1.0.1", body), conf, Services::default(), Voice::default(), stopped);
    let done = tokio::time::timeout(DEADLINE, task::run(&task)).await.expect("it ends");
    done.map(|()| task.output_lines()).map_err(|failure| failure.message.english())
}

/// From a file into a new table, from there into another file: the same rows.
async fn there_and_back(conf: &Path) {
    let (from, to) = (conf.join("from.csv"), conf.join("to.csv"));
    let names = ["plain", "it's; --", "数据", "\\\\N", "tab"];
    let line = |id: usize| format!("{id},{},{id}.25,{}\n", names[id % names.len()], if id % 3 == 0 { "" } else { "x" });
    let text = format!("id,name,amount,note\n{}", (1..=12_000).map(line).collect::<String>());
    fs::write(&from, &text).expect("a file");
    let csv = [("type", "FILE"), ("delimited", ","), ("header", "true")];
    let file = |word: &str, path: &Path| {
        let path = path.display().to_string();
        let text = (word == "source").then_some(path.as_str());
        with(with(element(word, text, vec![]), &csv), &[("path", &path)])
    };
    let table = [("type", "DB"), ("db-link", "a"), ("table", "moved")];
    let into = transfer(conf, file("source", &from), with(element("target", None, vec![]), &table)).await;
    assert!(into.as_ref().is_ok_and(|outputs| outputs.contains("12000")), "{into:?}");
    let query = with(
        element("source", Some("select id, name, amount, note from moved order by cast(id as decimal(10,0))"), vec![]),
        &[("type", "DB"), ("db-link", "a")],
    );
    let out = transfer(conf, query, file("target", &to)).await;
    assert!(out.as_ref().is_ok_and(|outputs| outputs.contains("12000")), "{out:?}");
    let back = fs::read_to_string(&to).expect("a file");
    let (n, first) = (back.lines().count(), back.lines().take(4).collect::<Vec<_>>());
    assert_eq!(n, 12_001, "{first:?}");
    assert!(back.contains("数据") && back.contains("it's; --"), "{first:?}");
}

#[tokio::test]
#[ignore = "starts a server of its own"]
async fn transfers_into_and_out_of_postgres_by_odbc() {
    let Some(server) = postgres() else { return };
    there_and_back(server.odbc("POSTGRESQL", "PostgreSQL Unicode", PASSWORD)).await;
}

#[tokio::test]
#[ignore = "starts a server of its own"]
async fn transfers_into_and_out_of_mariadb_by_odbc() {
    let Some(server) = mariadb() else { return };
    there_and_back(server.odbc("MARIADB", "MariaDB Unicode", PASSWORD)).await;
}

#[tokio::test]
#[ignore = "needs a driver of ODBC"]
async fn transfers_into_and_out_of_sqlite_by_odbc() {
    let Some(dir) = lite() else { return };
    there_and_back(dir.path()).await;
}
