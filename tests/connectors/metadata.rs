//! `metadata` on real servers: comments change and nothing else does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ractorflow::connector::database::{Database, Statement, split};
use ractorflow::connector::link;
use ractorflow::model::action::BodyElement;
use ractorflow::model::assignment::Rendered;
use ractorflow::model::message::Voice;
use ractorflow::node::task::{self, Services, Task};
use tokio::sync::watch;

use crate::assignment::{assignment, element};
use crate::server::Server;

fn rendered(text: &str) -> Rendered {
    Rendered { text: text.to_owned(), variables: Vec::new() }
}

fn with(mut element: BodyElement<Rendered>, attributes: &[(&str, &str)]) -> BodyElement<Rendered> {
    element.attributes.extend(attributes.iter().map(|(name, value)| ((*name).to_owned(), rendered(value))));
    element
}

async fn metadata(conf: &Path, from: &str, columns: &[(&str, &str)], table: Option<&str>) -> Result<String, String> {
    let (_stop, stopped) = watch::channel(false);
    metadata_until(conf, from, columns, table, stopped).await
}

async fn metadata_until(
    conf: &Path,
    from: &str,
    columns: &[(&str, &str)],
    table: Option<&str>,
    stopped: watch::Receiver<bool>,
) -> Result<String, String> {
    let column = |(name, text): &(&str, &str)| with(element("column-comment", Some(text), vec![]), &[("name", name)]);
    let mut children: Vec<_> = columns.iter().map(column).collect();
    children.extend(table.map(|text| element("table-comment", Some(text), vec![])));
    let body = with(element("metadata", None, children), &[("db-link", "a"), ("table", "m"), ("from", from)]);
    let task = Task::new(assignment("1.1.1.0.1", body), conf, Services::default(), Voice::default(), stopped);
    task::run(&task).await.map(|()| task.output_lines()).map_err(|failure| failure.message.english())
}

async fn open(conf: &Path) -> Database {
    let link = link::db_link(conf, "a").expect("a link");
    Database::open(&link, conf, Duration::from_secs(30), Arc::new(|_| {})).await.expect("a connection")
}

async fn script(database: &mut Database, text: &str) {
    for statement in split(text, database.dialect()).expect("a script") {
        database.execute(&statement).await.expect(&statement.text);
    }
}

async fn comments(database: &mut Database) -> Vec<String> {
    let columns = database.columns_of("m").await.expect("columns");
    columns.into_iter().map(|column| format!("{}={}", column.name, column.comment)).collect()
}

/// The same on both.
async fn common(conf: &Path, database: &mut Database) {
    let before = comments(database).await;
    let few = metadata(conf, "", &[("id", "x")], None).await.expect_err("columns without a comment");
    assert!(few.contains("columns of m would have no comment: name, at, doc"), "{few}");
    let unknown = metadata(conf, "", &[("nam", "x")], None).await.expect_err("no such column");
    assert!(unknown.contains("the table m has no column nam; it has id, name"), "{unknown}");
    let nowhere = metadata(conf, "nowhere", &[], None).await.expect_err("no such table");
    assert!(nowhere.contains("link a has no table nowhere"), "{nowhere}");
    assert_eq!(comments(database).await, before);
    let own = [("STATE", "it's 'new' \\ 状态"), ("at", "时间"), ("doc", "文档")];
    let done = metadata(conf, "f, g", &own, Some("表 'm'")).await.expect("comments");
    assert!(done.contains(r#""columns","value":"5""#), "{done}");
    let expected = ["id=主键", "name=later", "state=it's 'new' \\ 状态", "at=时间", "doc=文档"];
    assert_eq!(comments(database).await, expected);
    // Nothing is left to change.
    let done = metadata(conf, "", &[], None).await.expect("nothing");
    assert!(done.contains(r#""columns","value":"0""#), "{done}");
}

/// A kill while the table is in use by another: the statement that waits for it is ended over there, and nothing changes.
/// `waits`: how many statements of ours wait.
async fn is_killed(conf: &Path, database: &mut Database, hold: &[&str], release: &str, waits: &str) {
    let mut holder = open(conf).await;
    for text in hold {
        holder.execute(&Statement::new(*text)).await.expect(text);
    }
    let (stop, stopped) = watch::channel(false);
    let killed = metadata_until(conf, "", &[("id", "changed")], Some("changed"), stopped);
    let statement = Statement::new(waits);
    let watching = async {
        let mut watcher = open(conf).await;
        let n_waiting = async |watcher: &mut Database| watcher.rows(&statement, 1).await.expect("a look")[0][0].clone();
        while n_waiting(&mut watcher).await.as_deref() != Some("1") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.send_replace(true);
        while n_waiting(&mut watcher).await.as_deref() != Some("0") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let both = async { tokio::join!(killed, watching) };
    let (outcome, ()) = tokio::time::timeout(Duration::from_secs(60), both).await.expect("it ends over there");
    assert_eq!(outcome, Err("killed".to_owned()));
    holder.execute(&Statement::new(release)).await.expect(release);
    assert_eq!(comments(database).await[0], "id=主键", "as it was");
}

#[tokio::test]
#[ignore = "starts MariaDB"]
async fn w07_comments_on_mariadb_change_and_nothing_else_does() {
    let Some(server) = Server::mariadb(false, false) else { return };
    let conf = server.links("MARIADB", "?useSSL=false");
    let mut database = open(conf).await;
    script(
        &mut database,
        "create table f (id int comment '主键', name int comment 'earlier'); create table g (name int comment 'later', state int);
         create table m (id bigint unsigned not null auto_increment primary key,
           name varchar(20) character set latin1 collate latin1_general_cs not null default 'a, ''b'')',
           state enum('x,','y)') default 'x,' comment 'old' check (state <> ')'),
           at timestamp(3) not null default current_timestamp(3) on update current_timestamp(3),
           doc json generated always as (json_object('n', name)) virtual, key (name)) comment 'old table'",
    )
    .await;
    let show = async |database: &mut Database| {
        let rows = database.rows(&Statement::new("show create table m"), 1).await.expect("its definition");
        rows[0][1].clone().expect("a text")
    };
    let before = show(&mut database).await;
    common(conf, &mut database).await;
    let mut after = show(&mut database).await;
    for (new, old) in [
        (" COMMENT '主键'", ""),
        (" COMMENT 'later'", ""),
        ("COMMENT 'it''s ''new'' \\\\ 状态'", "COMMENT 'old'"),
        (" COMMENT '时间'", ""),
        (" COMMENT '文档'", ""),
        ("COMMENT='表 ''m'''", "COMMENT='old table'"),
    ] {
        assert!(after.contains(new), "{new}: {after}");
        after = after.replace(new, old);
    }
    assert_eq!(after, before);
    let waits = "select count(*) from information_schema.processlist where info like 'alter table%'";
    is_killed(conf, &mut database, &["lock tables m read"], "unlock tables", waits).await;
}

#[tokio::test]
#[ignore = "starts PostgreSQL"]
async fn comments_on_postgresql() {
    let Some(server) = Server::postgres() else { return };
    let conf = server.links("POSTGRESQL", "");
    let mut database = open(conf).await;
    script(
        &mut database,
        "create table f (id int, name int); create table g (name int, state int);
         comment on column f.id is '主键'; comment on column f.name is 'earlier'; comment on column g.name is 'later';
         create table m (id bigserial primary key, name varchar(20) not null default 'a', state text default 'x', at timestamptz, doc jsonb);
         comment on column m.state is 'old'",
    )
    .await;
    common(conf, &mut database).await;
    let said = database.rows(&Statement::new("select obj_description('m'::regclass)"), 1).await.expect("a comment");
    assert_eq!(said, [[Some("表 'm'".to_owned())]]);
    let waits = "select count(*) from pg_stat_activity where query ilike 'comment on%' and wait_event_type = 'Lock'";
    is_killed(conf, &mut database, &["begin", "lock table m in share mode"], "rollback", waits).await;
}
