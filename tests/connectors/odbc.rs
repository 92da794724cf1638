//! Databases through ODBC, with Debian's drivers on real servers. What Oracle, Hive, Impala and the like do with their
//! vendors' drivers nobody has seen here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ractorflow::connector::database::{Database, DatabaseError, ErrorKind, Part, Statement, share, split};
use ractorflow::connector::link;
use tempfile::TempDir;

use crate::databases::{row, rows, script};
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

/// All three that Debian has.
pub fn has_drivers() -> bool {
    let drivers =
        [("PostgreSQL Unicode", "odbc-postgresql"), ("MariaDB Unicode", "odbc-mariadb"), ("SQLite3", "libsqliteodbc")];
    drivers.iter().all(|(driver, package)| has(driver, package))
}

pub fn postgres() -> Option<Server> {
    has("PostgreSQL Unicode", "odbc-postgresql").then(Server::postgres).flatten()
}

pub fn mariadb() -> Option<Server> {
    has("MariaDB Unicode", "odbc-mariadb").then(|| Server::mariadb(false, false)).flatten()
}

pub fn lite() -> Option<TempDir> {
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

/// Drivers that were opened before may have set a locale for everybody; a task has opened none.
#[test]
#[ignore = "needs a driver of ODBC"]
fn a_process_of_its_own_loses_no_character() {
    let alone = Command::new(std::env::current_exe().expect("a program"))
        .args(["--ignored", "--exact", "odbc::sqlite_by_odbc"])
        .env("LC_ALL", "C")
        .output()
        .expect("a process");
    let said = String::from_utf8_lossy(&alone.stdout);
    assert!(alone.status.success() && said.contains("1 passed"), "{}", said.chars().take(2000).collect::<String>());
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
    passwords(&server, "POSTGRESQL", "PostgreSQL Unicode", |n, word| {
        format!("create user u{n} superuser password '{word}'")
    })
    .await;
}

/// Whatever stands in a password, it signs in, and becomes no attribute.
async fn passwords(server: &Server, type_word: &str, driver: &str, create: impl Fn(usize, &str) -> String) {
    let words = ["a;b", "a}b", "{a}b;c", "a};Database=nowhere;x={", "a b=c&d", "密码;"];
    let mut database = open(server.odbc(type_word, driver, PASSWORD)).await.expect("a connection");
    for (n, word) in words.iter().enumerate() {
        script(&mut database, &create(n, word)).await.expect("a user");
    }
    for (n, word) in words.iter().enumerate() {
        let conf = server.odbc(type_word, driver, &word.replace('&', "&amp;"));
        let file = conf.join("db_links.xml");
        let text = fs::read_to_string(&file).expect("links").replace("username='wf'", &format!("username='u{n}'"));
        fs::write(&file, text).expect("links");
        match open(conf).await {
            Ok(mut database) => assert_eq!(rows(&mut database, "select 1").await, [row([Some("1")])]),
            Err(error) => panic!("{word}: {error}"),
        }
    }
}

#[tokio::test]
#[ignore = "starts a server of its own"]
async fn mariadb_by_odbc() {
    let Some(server) = mariadb() else { return };
    common(server.odbc("MARIADB", "MariaDB Unicode", PASSWORD)).await;
    let seen =
        "select count(*) from information_schema.processlist where info like '%sleep(61)%' and id <> connection_id()";
    works(server.odbc("MARIADB", "MariaDB Unicode", PASSWORD), "select sleep(61)", seen).await;
    let refused = open(server.odbc("MARIADB", "MariaDB Unicode", "wrong-word")).await.err().expect("a refusal");
    assert_eq!(refused.kind, ErrorKind::Login, "{refused}");
    passwords(&server, "MARIADB", "MariaDB Unicode", |n, word| {
        format!("create user u{n}@'127.0.0.1' identified by '{word}'; grant all on wf.* to u{n}@'127.0.0.1'")
    })
    .await;
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

/// URLs of JDBC find the driver of their name in this host's own list. Here others stand behind the names.
#[tokio::test]
#[ignore = "starts a server of its own"]
async fn akka_08_urls_of_jdbc_reach_the_driver_of_their_name() {
    let Some(server) = postgres() else { return };
    let home = tempfile::tempdir().expect("a directory");
    fs::create_dir(home.path().join("conf")).expect("a directory");
    let login = format!("username='wf' password=\"{PASSWORD}\"");
    let port = server.port;
    let text = format!(
        "<db-links><link name='house' type='CLICKHOUSE' jdbc-url='jdbc:clickhouse://127.0.0.1:1,127.0.0.1:{port}/postgres' {login}/>\
         <link name='wrong' type='CLICKHOUSE' jdbc-url='jdbc:clickhouse://127.0.0.1:{port}/postgres' username='wf' password='wrong-word'/>\
         <link name='sid' type='ORACLE' jdbc-url='jdbc:oracle:thin:@127.0.0.1:{port}:dw' {login}/></db-links>"
    );
    let links = home.path().join("conf/db_links.xml");
    fs::write(&links, text).expect("a file");
    fs::set_permissions(&links, fs::Permissions::from_mode(0o600)).expect("its mode");
    let drivers = "[ClickHouse ODBC Driver (Unicode)]\nDriver=psqlodbcw.so\n";
    fs::write(home.path().join("odbcinst.ini"), drivers).expect("a file");
    let opened = |name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ractorflow"));
        command.env_clear().env("RACTORFLOW_LANG", "en").env("ODBCSYSINI", home.path());
        command.arg("--home").arg(home.path()).args(["link", "check", "--open", name, "-o", "json"]);
        let output = command.output().expect("it runs");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!said.contains("s3cret") && !said.contains("wrong-word"), "{said}");
        (output.status.success(), said)
    };
    let (is_ok, said) = opened("house");
    assert!(is_ok, "{said}");
    let (is_ok, said) = opened("wrong");
    assert!(!is_ok && said.contains("refuses us"), "{said}");
    let (is_ok, said) = opened("sid");
    let place = home.path().join("odbcinst.ini").display().to_string();
    let words = ["no ODBC driver for Oracle", "oracle-instantclient-odbc", "ClickHouse ODBC Driver", &place];
    assert!(!is_ok && words.iter().all(|word| said.contains(word)), "{said}");
}
