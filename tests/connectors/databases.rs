//! What the databases have in common, and what each does in its own way.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ractorflow::connector::database::{
    Column, Database, DatabaseError, ErrorKind, OnNotice, Part, Row, Statement, share, split,
};
use ractorflow::connector::link;
use ractorflow::connector::rows::Batch;
use tokio::sync::mpsc;

use crate::server::{PASSWORD, Server};

const DEADLINE: Duration = Duration::from_secs(30);

type Notices = Arc<Mutex<Vec<String>>>;

async fn open(server: &Server, type_word: &str, options: &str) -> (Database, Notices) {
    let home = server.links(type_word, options);
    let link = link::db_link(home, "a").expect("a link");
    assert_eq!(link.password.expose(), PASSWORD);
    let notices = Notices::default();
    let kept = notices.clone();
    let notice: OnNotice = Arc::new(move |text| kept.lock().expect("a lock").push(text));
    (Database::open(&link, home, DEADLINE, notice).await.expect("a connection"), notices)
}

async fn refused(server: &Server, type_word: &str, options: &str, password: &str) -> DatabaseError {
    let home = server.links_with(type_word, options, password);
    let link = link::db_link(home, "a").expect("a link");
    Database::open(&link, home, DEADLINE, Arc::new(|_| {})).await.err().expect("a refusal")
}

pub async fn script(database: &mut Database, text: &str) -> Result<u64, DatabaseError> {
    let mut n = 0;
    for statement in split(text, database.dialect()).expect("a script") {
        n += database.execute(&statement).await?;
    }
    Ok(n)
}

pub async fn rows(database: &mut Database, text: &str) -> Vec<Row> {
    database.rows(&Statement::new(text), 1000).await.expect("rows")
}

async fn parts(database: &mut Database, text: &str) -> Vec<Part> {
    let statement = Statement::new(text);
    let mut answer = database.run(&statement).await.expect("an answer");
    let mut parts = Vec::new();
    while let Some(part) = answer.next().await.expect("a part") {
        parts.push(part);
    }
    parts
}

pub fn row<const N: usize>(values: [Option<&str>; N]) -> Row {
    values.map(|value| value.map(str::to_owned)).to_vec()
}

fn columns(pairs: &[(&str, &str)]) -> Part {
    let column = |(name, kind): &(&str, &str)| Column { name: (*name).to_owned(), type_name: (*kind).to_owned() };
    Part::Columns(pairs.iter().map(column).collect())
}

/// The same on all: transactions, values, errors with lines, many rows, early ends.
async fn common(database: &mut Database) {
    script(database, "create table t (a int not null, b varchar(200));").await.expect("a table");
    database.begin().await.expect("begin");
    assert_eq!(
        script(database, "insert into t values (1, 'x'); insert into t values (2, 'y')").await.expect("rows"),
        2
    );
    database.rollback().await.expect("rollback");
    assert_eq!(rows(database, "select count(*) from t").await, [row([Some("0")])]);

    // Values are text and never code.
    for evil in ["it's", "\\", "\\'; drop table t; -- ", "数据 '\"` \\' \t\n$$", ""] {
        let values = ["7".to_owned(), evil.to_owned()];
        let mut statements = split("insert into t values (?, ?);", database.dialect()).expect("a script");
        share(&mut statements, &values).expect("two values");
        assert_eq!(database.execute(&statements[0]).await.expect("a row"), 1, "{evil:?}");
        let mut statements =
            split("select a + 1, b from t where a = ? and b = ?", database.dialect()).expect("a script");
        share(&mut statements, &values).expect("two values");
        assert_eq!(database.rows(&statements[0], 9).await.expect("rows"), [row([Some("8"), Some(evil)])], "{evil:?}");
    }

    // An error names the line of the script and does not end the connection.
    let error = script(database, "select 1;\n\nselect a\nfrm t").await.expect_err("no SQL");
    assert_eq!((error.kind, error.line), (ErrorKind::Statement, Some(4)), "{error}");
    let error = script(database, "select 1;\nselect * from nowhere").await.expect_err("no table");
    assert_eq!((error.kind, error.line), (ErrorKind::Statement, Some(2)), "{error}");
    assert!(error.hint.is_some() && !error.to_string().contains("s3cret"), "{error}");

    // Most of a long answer is never taken.
    script(database, "delete from t").await.expect("no rows");
    let long = "with recursive n(a) as (select 1 union all select a + 1 from n where a < 100000) select a from n";
    {
        let statement = Statement::new(long);
        let mut answer = database.run(&statement).await.expect("an answer");
        assert!(matches!(answer.next().await, Ok(Some(Part::Columns(_)))));
        assert!(matches!(answer.next().await, Ok(Some(Part::Row(_)))));
    }
    assert_eq!(rows(database, "select 1").await, [row([Some("1")])]);

    bulk(database).await;
}

fn batch_of(rows: &[Row]) -> Batch {
    let mut batch = Batch::new(rows[0].len(), 1);
    for value in rows.iter().flatten() {
        batch.push_value(value.as_ref().map(|value| value.as_bytes()));
    }
    batch
}

async fn insert(database: &mut Database, rows: Vec<Vec<Row>>) -> Result<u64, DatabaseError> {
    let (sender, receiver) = mpsc::channel(1);
    let feed = async move {
        for batch in rows {
            if sender.send(batch_of(&batch)).await.is_err() {
                break;
            }
        }
    };
    let columns = database.columns_of("t").await.expect("columns");
    tokio::join!(database.bulk_insert("t", &columns, receiver), feed).0
}

async fn bulk(database: &mut Database) {
    let evil = "tab\t line\n cr\r back\\slash \\N '\" 数据";
    let line = |a: usize| vec![Some(a.to_string()), if a % 2 == 0 { Some(evil.to_owned()) } else { None }];
    let batches = (0..50).map(|batch| (0..100).map(|at| line(batch * 100 + at)).collect()).collect();
    database.begin().await.expect("begin");
    assert_eq!(insert(database, batches).await.expect("rows"), 5000);
    database.commit().await.expect("commit");
    let counted = "select count(*), count(b), sum(a) from t";
    assert_eq!(rows(database, counted).await, [row([Some("5000"), Some("2500"), Some("12497500")])]);
    assert_eq!(rows(database, "select b from t where a = 4").await, [row([Some(evil)])]);
    // What the table cannot hold is an error, not another value.
    for bad in [row([Some("many"), None]), row([Some("1"), Some(&"x".repeat(201))]), row([None, None])] {
        database.begin().await.expect("begin");
        let error = insert(database, vec![vec![line(1)], vec![bad.clone()]]).await.expect_err("it does not fit");
        assert_eq!(error.kind, ErrorKind::Statement, "{bad:?}: {error}");
        assert!(error.is_about_rows() && error.row.is_none_or(|row| row == 2), "{bad:?}: {error:?}");
        database.rollback().await.expect("rollback");
    }
    // A load that is cancelled is none.
    database.begin().await.expect("begin");
    let canceller = database.canceller();
    let (sender, receiver) = mpsc::channel(1);
    let feed = async move {
        sender.send(batch_of(&[line(1)])).await.expect("it is taken");
        canceller.cancel().await.expect("it is cancelled");
        while sender.send(batch_of(&[line(1)])).await.is_ok() {}
    };
    let columns = database.columns_of("t").await.expect("columns");
    let (inserted, ()) = tokio::join!(database.bulk_insert("t", &columns, receiver), feed);
    assert_eq!(inserted.expect_err("it was cancelled").kind, ErrorKind::Cancelled);
    database.rollback().await.expect("rollback");
    assert_eq!(rows(database, counted).await, [row([Some("5000"), Some("2500"), Some("12497500")])]);
}

async fn wait_for(database: &mut Database, query: &str, expected: &str) {
    let begun = tokio::time::Instant::now();
    while rows(database, query).await != [row([Some(expected)])] {
        assert!(begun.elapsed() < DEADLINE, "{query} never gave {expected}");
        tokio::task::yield_now().await;
    }
}

/// Cancels as soon as `seen`, asked through a second connection, says that the statement runs there; and it is
/// gone from there afterwards.
async fn cancelled(database: &mut Database, other: &mut Database, sleep: &str, seen: &str) {
    let canceller = database.canceller();
    let watch = async {
        wait_for(other, seen, "1").await;
        canceller.cancel().await.expect("it is cancelled");
    };
    let statement = Statement::new(sleep);
    let (error, ()) = tokio::join!(database.execute(&statement), watch);
    assert_eq!(error.expect_err("it ends").kind, ErrorKind::Cancelled);
    wait_for(other, seen, "0").await;
    assert_eq!(rows(database, "select 1").await, [row([Some("1")])]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts PostgreSQL"]
async fn postgresql() {
    let Some(mut server) = Server::postgres() else { return };
    let (mut database, notices) = open(&server, "POSTGRESQL", "").await;
    common(&mut database).await;

    let text =
        "select 1::int as a, 1.50::numeric as b, true as c, date '2026-11-27' as d, null as e, '\\x00ff'::bytea as f";
    let names = [("a", "int4"), ("b", "numeric"), ("c", "bool"), ("d", "date"), ("e", "text"), ("f", "bytea")];
    let values = [Some("1"), Some("1.50"), Some("t"), Some("2026-11-27"), None, Some("\\x00ff")];
    assert_eq!(parts(&mut database, text).await, [columns(&names), Part::Row(row(values)), Part::Done { n_rows: 1 }]);

    // A body with its own semicolons, notices, a position.
    let body = "create function f() returns int as $$ begin raise notice 'from f'; return 1; end; $$ language plpgsql;\nselect f();";
    script(&mut database, body).await.expect("a function");
    assert!(notices.lock().expect("a lock").iter().any(|text| text == "NOTICE: from f"), "{notices:?}");
    let error = script(&mut database, "select 1;\nselect 1,\n  nothing").await.expect_err("no column");
    assert_eq!((error.sqlstate.as_deref(), error.line, error.column), (Some("42703"), Some(3), Some(3)), "{error}");

    script(&mut database, "create schema ods; create table ods.\"T\" (id bigint not null, \"n a\" numeric(10,2)); comment on column ods.\"T\".id is '主键'").await.expect("a table");
    let found = database.columns_of("ods.T").await.expect("columns");
    let found: Vec<_> =
        found.iter().map(|c| (c.name.as_str(), c.type_name.as_str(), c.is_nullable, c.comment.as_str())).collect();
    assert_eq!(found, [("id", "bigint", false, "主键"), ("n a", "numeric(10,2)", true, "")]);
    assert!(database.columns_of("nowhere").await.expect("no columns").is_empty());
    let (mut own, _) = open(&server, "POSTGRESQL", "?currentSchema=ods,public&ApplicationName=etl").await;
    let said = rows(&mut own, "select current_schema(), current_setting('application_name')").await;
    assert_eq!(said, [row([Some("ods"), Some("etl")])]);

    let seen = "select count(*) from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active' and pid <> pg_backend_pid()";
    cancelled(&mut database, &mut own, "select pg_sleep(60)", seen).await;

    let error = refused(&server, "POSTGRESQL", "", "wrong secret").await;
    assert_eq!((error.kind, error.sqlstate.as_deref()), (ErrorKind::Login, Some("28P01")), "{error}");
    assert!(!error.to_string().contains("wrong secret"), "{error}");
    let [ours, other] = server.authorities();
    let is_protected = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    for (options, expected) in [
        ("?sslmode=disable".to_owned(), "f"),
        (String::new(), "t"),
        ("?sslmode=require".to_owned(), "t"),
        (format!("?sslmode=verify-ca&sslrootcert={}", ours.display()), "t"),
    ] {
        let (mut database, _) = open(&server, "POSTGRESQL", &options).await;
        assert_eq!(rows(&mut database, is_protected).await, [row([Some(expected)])], "{options}");
    }
    for (mode, authority) in [("verify-full", &ours), ("verify-ca", &other)] {
        let options = format!("?sslmode={mode}&sslrootcert={}", authority.display());
        let error = refused(&server, "POSTGRESQL", &options, PASSWORD).await;
        assert_eq!(error.kind, ErrorKind::Unreachable, "{mode}: {error}");
    }

    server.stop();
    let error = database.execute(&Statement::new("select 1")).await.expect_err("it is gone");
    assert_eq!(error.kind, ErrorKind::Lost, "{error}");
    let error = refused(&server, "POSTGRESQL", "", PASSWORD).await;
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts MariaDB"]
async fn mariadb() {
    let Some(mut server) = Server::mariadb(true, false) else { return };
    let (mut database, notices) = open(&server, "MYSQL", "?useUnicode=true&characterEncoding=UTF-8").await;
    common(&mut database).await;

    let text = "select 1 as a, 1.50 as b, date '2026-11-27' as d, null as e, x'00ff' as f, b'101' as g";
    let parts = parts(&mut database, text).await;
    let values = [Some("1"), Some("1.50"), Some("2026-11-27"), None, Some("0x00FF"), Some("5")];
    let Some(Part::Columns(names)) = parts.first() else { panic!("{parts:?}") };
    assert_eq!(names.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["a", "b", "d", "e", "f", "g"]);
    assert_eq!(parts.get(2), Some(&Part::Done { n_rows: 1 }));
    let Some(Part::Row(found)) = parts.get(1) else { panic!("{parts:?}") };
    assert_eq!(found[..5], row(values)[..5]);

    // A routine with several results, warnings.
    let body =
        "create procedure p() begin if 1 then select 'a;b'; end if; select 2, 3; end;\ncreate table w (a tinyint);";
    script(&mut database, body).await.expect("a procedure");
    let answer = self::parts(&mut database, "call p()").await;
    let results: Vec<_> = answer.iter().filter(|part| matches!(part, Part::Row(_))).cloned().collect();
    assert_eq!(results, [Part::Row(row([Some("a;b")])), Part::Row(row([Some("2"), Some("3")]))]);
    script(&mut database, "set sql_mode = ''; insert into w values (1000)").await.expect("a warning");
    assert!(notices.lock().expect("a lock").iter().any(|text| text.starts_with("Warning 1264")), "{notices:?}");
    // In whatever mode the session is.
    script(&mut database, "set sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'").await.expect("a mode");
    let mut statements = split("select ?", database.dialect()).expect("a script");
    share(&mut statements, &["\\' or '1".to_owned()]).expect("a value");
    assert_eq!(database.rows(&statements[0], 1).await.expect("a row"), [row([Some("\\' or '1")])]);

    script(&mut database, "create table `T x` (id bigint not null comment '主键', b decimal(10,2))")
        .await
        .expect("a table");
    let found = database.columns_of("wf.T x").await.expect("columns");
    let found: Vec<_> =
        found.iter().map(|c| (c.name.as_str(), c.type_name.as_str(), c.is_nullable, c.comment.as_str())).collect();
    assert_eq!(found, [("id", "bigint(20)", false, "主键"), ("b", "decimal(10,2)", true, "")]);

    let (mut other, _) = open(&server, "MARIADB", "?useSSL=false").await;
    let seen =
        "select count(*) from information_schema.processlist where info like '%sleep(60)%' and id <> connection_id()";
    cancelled(&mut database, &mut other, "select sleep(60)", seen).await;

    let error = refused(&server, "MYSQL", "", "wrong secret").await;
    assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Login, Some("MySQL 1045")), "{error}");
    assert!(!error.to_string().contains("wrong secret"), "{error}");
    let error = refused(&server, "MYSQL", "?sslMode=REQUIRED", PASSWORD).await;
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");

    server.stop();
    let error = database.execute(&Statement::new("select 1")).await.expect_err("it is gone");
    assert_eq!(error.kind, ErrorKind::Lost, "{error}");
    let error = refused(&server, "MYSQL", "", PASSWORD).await;
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
}

/// Where LOAD DATA LOCAL is forbidden, rows go in by INSERT. And with TLS.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts MariaDB"]
async fn mariadb_without_local_infile() {
    let Some(server) = Server::mariadb(false, true) else { return };
    let (mut database, _) = open(&server, "MARIADB", "").await;
    common(&mut database).await;
    let [ours, other] = server.authorities();
    for (options, is_protected) in [
        ("?useSSL=false".to_owned(), false),
        (String::new(), true),
        ("?useSSL=true".to_owned(), true),
        (format!("?sslMode=VERIFY_IDENTITY&serverSslCert={}", ours.display()), true),
    ] {
        let (mut database, _) = open(&server, "MYSQL", &options).await;
        let cipher = rows(&mut database, "show status like 'Ssl_cipher'").await;
        assert_eq!(cipher[0][1].as_deref().is_some_and(|name| !name.is_empty()), is_protected, "{options}");
    }
    let options = format!("?sslMode=VERIFY_CA&serverSslCert={}", other.display());
    let error = refused(&server, "MYSQL", &options, PASSWORD).await;
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
}
