//! SQLite through the one way for all databases.

use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;

use super::*;
use crate::connector::link;

const DEADLINE: Duration = Duration::from_secs(30);

fn link(type_word: &str, url: &str) -> (tempfile::TempDir, DbLink) {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "<db-links><link name='a' type='{type_word}' jdbc-url='{url}' username='u' password='s3cret!'/></db-links>"
    );
    std::fs::write(dir.path().join(link::DB_LINKS_FILE), text).unwrap();
    let link = link::db_link(dir.path(), "a").unwrap();
    (dir, link)
}

async fn open(link: &DbLink, home: &Path) -> Result<Database, DatabaseError> {
    Database::open(link, home, DEADLINE, Arc::new(|_| {})).await
}

async fn sqlite() -> (tempfile::TempDir, Database) {
    let (dir, link) = link("SQLITE", "jdbc:sqlite:a.db");
    let database = open(&link, dir.path()).await.unwrap();
    (dir, database)
}

fn batch_of(rows: &[Row]) -> Batch {
    let mut batch = Batch::new(rows[0].len(), 1);
    for value in rows.iter().flatten() {
        batch.push_value(value.as_ref().map(|value| value.as_bytes()));
    }
    batch
}

async fn script(database: &mut Database, text: &str) -> Result<u64, DatabaseError> {
    let mut n = 0;
    for statement in split(text, database.dialect()).unwrap() {
        n += database.execute(&statement).await?;
    }
    Ok(n)
}

#[tokio::test]
async fn statements_run_and_rows_come_as_text() {
    let (_dir, mut database) = sqlite().await;
    let text = "create table t (a int, b real, c text, d blob);\ninsert into t values (1, 2, '数', x'00ff'), (null, 1e300, '', null);";
    assert_eq!(script(&mut database, text).await.unwrap(), 2);
    let mut answer = database.run(&Statement::new("select * from t order by a")).await.unwrap();
    let mut parts = Vec::new();
    while let Some(part) = answer.next().await.unwrap() {
        parts.push(part);
    }
    let row = |values: [Option<&str>; 4]| Part::Row(values.map(|value| value.map(str::to_owned)).to_vec());
    let columns = [("a", "INT"), ("b", "REAL"), ("c", "TEXT"), ("d", "BLOB")];
    assert_eq!(
        parts,
        [
            Part::Columns(columns.map(|(name, kind)| Column { name: name.into(), type_name: kind.into() }).to_vec()),
            row([None, Some("1e300"), Some(""), None]),
            row([Some("1"), Some("2.0"), Some("数"), Some("0x00FF")]),
            Part::Done { n_rows: 2 },
        ]
    );
}

#[tokio::test]
async fn values_are_bound_and_never_code() {
    let (_dir, mut database) = sqlite().await;
    script(&mut database, "create table t (a int, b text)").await.unwrap();
    let values = ["7", "it's; drop table t --"].map(str::to_owned);
    let mut statements = split("insert into t values (?, ?)", Dialect::Sqlite).unwrap();
    share(&mut statements, &values).unwrap();
    assert_eq!(database.execute(&statements[0]).await.unwrap(), 1);
    let mut statements = split("select a + 1, b from t where a = ?", Dialect::Sqlite).unwrap();
    share(&mut statements, &values[..1]).unwrap();
    let rows = database.rows(&statements[0], 10).await.unwrap();
    assert_eq!(rows, [[Some("8".to_owned()), Some(values[1].clone())]]);
}

#[tokio::test]
async fn a_transaction_is_taken_back() {
    let (_dir, mut database) = sqlite().await;
    script(&mut database, "create table t (a int)").await.unwrap();
    database.begin().await.unwrap();
    script(&mut database, "insert into t values (1)").await.unwrap();
    database.rollback().await.unwrap();
    database.begin().await.unwrap();
    script(&mut database, "insert into t values (2)").await.unwrap();
    database.commit().await.unwrap();
    assert_eq!(database.rows(&Statement::new("select a from t"), 9).await.unwrap(), [[Some("2".to_owned())]]);
}

#[tokio::test]
async fn an_error_names_link_place_and_line() {
    let (_dir, mut database) = sqlite().await;
    let error = script(&mut database, "select 1;\n\nselect a,\n  b from nowhere").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "link a (SQLite a.db): line 3 of the SQL: no such table: nowhere (SQLite 1) (is the link's file the right one?)"
    );
    let error =
        script(&mut database, "create table t (a int unique);\ninsert into t values (1), (1)").await.unwrap_err();
    assert_eq!((error.kind, error.line), (ErrorKind::Statement, Some(2)));
    assert_eq!(error.code.as_deref(), Some("SQLite 2067"));
}

#[tokio::test]
async fn what_runs_is_cancelled() {
    let (_dir, mut database) = sqlite().await;
    let canceller = database.canceller();
    let endless = "with recursive n(a) as (select 1 union all select a + 1 from n) select a from n";
    let mut answer = database.run(&Statement::new(endless)).await.unwrap();
    assert!(matches!(answer.next().await.unwrap(), Some(Part::Columns(_))));
    canceller.cancel().await.unwrap();
    let error = loop {
        match answer.next().await {
            Ok(part) => assert!(part.is_some()),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind, ErrorKind::Cancelled);
    drop(answer);
    // It is over for this statement alone.
    assert_eq!(database.execute(&Statement::new("select 1")).await.unwrap(), 1);
    // One that comes too early is not lost.
    canceller.cancel().await.unwrap();
    let error = database.execute(&Statement::new("select 1")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled);
}

#[tokio::test]
async fn an_answer_that_nobody_reads_ends() {
    let (_dir, mut database) = sqlite().await;
    let endless = "with recursive n(a) as (select 1 union all select a + 1 from n) select a from n";
    let mut answer = database.run(&Statement::new(endless)).await.unwrap();
    assert!(matches!(answer.next().await.unwrap(), Some(Part::Columns(_))));
    assert_eq!(answer.next().await.unwrap(), Some(Part::Row(vec![Some("1".to_owned())])));
    drop(answer);
    assert_eq!(database.execute(&Statement::new("select 1")).await.unwrap(), 1);
}

#[tokio::test]
async fn many_rows_are_inserted_in_one_transaction() {
    let (_dir, mut database) = sqlite().await;
    script(&mut database, "create table \"a b\" (\"x\"\"y\" int not null, z text)").await.unwrap();
    let columns = database.columns_of("\"a b\"").await.unwrap();
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["x\"y", "z"]);
    assert_eq!(columns.iter().map(|column| column.is_nullable).collect::<Vec<_>>(), [false, true]);
    let insert = async |database: &mut Database, rows: Vec<Vec<Row>>| {
        let (sender, receiver) = mpsc::channel(1);
        let feed = async move {
            for batch in rows {
                let _ = sender.send(batch_of(&batch)).await;
            }
        };
        tokio::join!(database.bulk_insert("\"a b\"", &columns, receiver), feed).0
    };
    let row = |a: i32| vec![Some(a.to_string()), None];
    let batches = (0..10).map(|batch| (0..100).map(|a| row(batch * 100 + a)).collect()).collect();
    assert_eq!(insert(&mut database, batches).await.unwrap(), 1000);
    let error = insert(&mut database, vec![vec![row(1)], vec![vec![None, None]]]).await.unwrap_err();
    assert!(error.to_string().contains("NOT NULL constraint failed"), "{error}");
    assert!(error.is_about_rows() && error.row == Some(2), "{error:?}");
    let count = database.rows(&Statement::new("select count(*) from \"a b\""), 1).await.unwrap();
    assert_eq!(count, [[Some("1000".to_owned())]]);
}

#[tokio::test]
async fn a_load_that_is_cancelled_leaves_nothing() {
    let (_dir, mut database) = sqlite().await;
    script(&mut database, "create table t (a int)").await.unwrap();
    let canceller = database.canceller();
    let (sender, receiver) = mpsc::channel(1);
    let feed = async move {
        let batch = || batch_of(&[vec![Some("1".to_owned())]]);
        sender.send(batch()).await.unwrap();
        canceller.cancel().await.unwrap();
        while sender.send(batch()).await.is_ok() {}
    };
    let columns = database.columns_of("t").await.unwrap();
    let (inserted, ()) = tokio::join!(database.bulk_insert("t", &columns, receiver), feed);
    assert_eq!(inserted.unwrap_err().kind, ErrorKind::Cancelled);
    assert_eq!(database.rows(&Statement::new("select count(*) from t"), 1).await.unwrap(), [[Some("0".to_owned())]]);
}

#[tokio::test]
async fn a_placeholder_without_a_value_is_no_null() {
    let (_dir, mut database) = sqlite().await;
    let error = database.execute(&Statement::new("select ?, :name")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Statement);
}

#[tokio::test]
async fn what_cannot_be_opened_says_why() {
    let (dir, db2) = link("DB2", "jdbc:db2://h:50000/x");
    let error = open(&db2, dir.path()).await.err().unwrap();
    let said = error.to_string();
    // Whatever this host has: it has no such driver, no driver manager, or the build has nothing of it.
    assert!(said.starts_with("link a (Db2 h:50000/x) cannot be opened: "), "{said}");
    let [odbc, driver] = ["ODBC", "Db2"].map(|word| said.contains(word));
    assert!(error.kind == ErrorKind::NotBuilt && odbc && driver, "{said}");
    assert_eq!(has_driver(&db2).await.unwrap_err().to_string(), said);
    let (dir, nowhere) = link("SQLITE", "jdbc:sqlite:no/such/dir/a.db");
    let error = open(&nowhere, dir.path()).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.to_string().contains("is the directory there"), "{error}");
    for (kind, url) in [("POSTGRESQL", "jdbc:postgresql://127.0.0.1:1/d"), ("MYSQL", "jdbc:mysql://127.0.0.1:1/d")] {
        let (dir, closed) = link(kind, url);
        let error = open(&closed, dir.path()).await.err().unwrap();
        if error.kind != ErrorKind::NotBuilt {
            assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
            assert!(error.to_string().contains("does the server run"), "{error}");
        }
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn rows_of_a_query_come_in_batches() {
    let (_dir, mut database) = sqlite().await;
    let text = "with recursive k(i) as (select 1 union all select i + 1 from k where i < 10000) \
                select i as id, null as n, x'0aff' as b, 'line' || char(10) as t, 1.0 as r from k";
    let (told, columns) = tokio::sync::oneshot::channel();
    let (sender, mut rows) = mpsc::channel(1);
    let take = async {
        let mut batches = Vec::new();
        while let Some(batch) = rows.recv().await {
            batches.push(batch);
        }
        batches
    };
    let fetched = Fetched { columns: told, rows: sender, has_zones: true, frees_file: false };
    let statement = Statement::new(text);
    let (n, batches) = tokio::join!(database.fetch(&statement, fetched), take);
    assert_eq!((n.unwrap(), batches.iter().map(Batch::n_rows).sum::<usize>()), (10_000, 10_000));
    assert_eq!(columns.await.unwrap().iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["id", "n", "b", "t", "r"]);
    let last = batches.last().unwrap();
    let values: Vec<_> = last.row(last.n_rows() - 1).map(|v| v.map(|v| std::str::from_utf8(v).unwrap())).collect();
    assert_eq!(values, [Some("10000"), None, Some("\\x0aff"), Some("line\n"), Some("1.0")]);
    assert_eq!(last.first_row() + last.n_rows() as u64, 10_001);
}

#[tokio::test]
async fn rows_that_are_set_aside_keep_nobody_from_writing() {
    let (dir, mut reader) = sqlite().await;
    script(&mut reader, "create table s as with recursive k(i) as (select 1 union all select i + 1 from k where i < 50000) select i, 'text of one row, and more of it' as t from k").await.unwrap();
    for (frees_file, is_free) in [(true, true), (false, false)] {
        let (told, columns) = tokio::sync::oneshot::channel();
        let (sender, mut rows) = mpsc::channel(1);
        let fetched = Fetched { columns: told, rows: sender, has_zones: true, frees_file };
        let statement = Statement::new("select t, i from s order by i desc");
        let take = async {
            assert_eq!(columns.await.unwrap().iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["t", "i"]);
            // Its reading has begun, and stands still.
            let first = rows.recv().await.unwrap();
            let writer = rusqlite::Connection::open(dir.path().join("a.db")).unwrap();
            writer.busy_timeout(Duration::ZERO).unwrap();
            assert_eq!(writer.execute_batch("begin exclusive; rollback").is_ok(), is_free);
            let mut n = first.n_rows();
            while let Some(batch) = rows.recv().await {
                n += batch.n_rows();
            }
            assert_eq!((n, first.row(0).nth(1).unwrap()), (50_000, Some(&b"50000"[..])));
        };
        let (n, ()) = tokio::join!(reader.fetch(&statement, fetched), take);
        assert_eq!(n.unwrap(), 50_000);
    }
}
