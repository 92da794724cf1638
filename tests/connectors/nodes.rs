//! Action types on real servers.

use std::path::Path;
use std::time::Duration;

use ractorflow::connector::database::{Database, Statement};
use ractorflow::connector::link;
use ractorflow::model::assignment::{Assignment, Rendered};
use ractorflow::model::message::Voice;
use ractorflow::node::task::{self, Failure, Services, Task};
use tokio::sync::watch;

use crate::assignment::{assignment, element};
use crate::server::Server;

fn sql(text: &str) -> Assignment {
    let mut body = element("sql", Some(text), Vec::new());
    body.attributes.push(("db-link".to_owned(), Rendered { text: "a".to_owned(), variables: Vec::new() }));
    assignment("1.1.1.0.1", body)
}

async fn run(conf: &Path, text: &str, stopped: watch::Receiver<bool>) -> Result<String, Failure> {
    let task = Task::new(sql(text), conf, Services::default(), Voice::default(), stopped);
    task::run(&task).await.map(|()| task.output_lines())
}

/// All or nothing, and a kill that ends the statement in the database.
pub async fn works(conf: &Path, sleep: &str, seen: &str) {
    let (stop, stopped) = watch::channel(false);
    let made = "create table node_test (a varchar(20)); insert into node_test values ('甲;'), ('乙')";
    let outputs = run(conf, made, stopped.clone()).await.expect("statements");
    assert!(outputs.contains(r#"{"name":"rows","value":"2"}"#), "{outputs}");
    let failed = "insert into node_test values ('丙');\ninsert into nowhere values (1)";
    let failure = run(conf, failed, stopped.clone()).await.expect_err("no such table").message.english();
    assert!(failure.starts_with("statement 2 of 2: ") && failure.contains("nowhere"), "{failure}");
    let count = "select count(*) as n from node_test";
    assert!(run(conf, count, stopped.clone()).await.expect("a count").contains(r#""first.n","value":"2""#));

    let link = link::db_link(conf, "a").expect("a link");
    let opened = Database::open(&link, conf, Duration::from_secs(30), std::sync::Arc::new(|_| {})).await;
    let mut other = opened.expect("a connection");
    let script = format!("insert into node_test values ('丁');\n{sleep}");
    let killed = run(conf, &script, stopped.clone());
    let watching = async {
        let statement = Statement::new(seen);
        let n_seen = async |other: &mut Database| other.rows(&statement, 1).await.expect("a look")[0][0].clone();
        while n_seen(&mut other).await.as_deref() != Some("1") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.send_replace(true);
        while n_seen(&mut other).await.as_deref() != Some("0") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let both = async { tokio::join!(killed, watching) };
    let (outcome, ()) = tokio::time::timeout(Duration::from_secs(60), both).await.expect("it ends in the database");
    assert_eq!(outcome.expect_err("it was killed").message.english(), "killed");
    let rows = other.rows(&Statement::new(count), 1).await.expect("a count");
    assert_eq!(rows[0][0].as_deref(), Some("2"), "what was done before the kill is rolled back");
}

#[tokio::test]
#[ignore = "starts a server of its own"]
async fn sql_on_postgres() {
    let Some(server) = Server::postgres() else { return };
    let seen = "select count(*) from pg_stat_activity where query like '%pg_sleep(61)%' and state = 'active' and pid <> pg_backend_pid()";
    works(server.links("POSTGRESQL", ""), "select pg_sleep(61)", seen).await;
}

#[tokio::test]
#[ignore = "starts a server of its own"]
async fn sql_on_mariadb() {
    let Some(server) = Server::mariadb(false, false) else { return };
    let seen =
        "select count(*) from information_schema.processlist where info like '%sleep(61)%' and id <> connection_id()";
    works(server.links("MARIADB", "?useSSL=false"), "select sleep(61)", seen).await;
}
