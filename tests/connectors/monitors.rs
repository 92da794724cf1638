//! `data-monitor` on real servers: numbers as the database writes them, and a kill that ends its query there.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ractorflow::connector::database::{Database, Statement};
use ractorflow::connector::link;
use ractorflow::model::action::BodyElement;
use ractorflow::model::assignment::Rendered;
use ractorflow::model::message::Voice;
use ractorflow::node::task::{self, Failure, Services, Task, Verdict};
use tokio::sync::watch;

use crate::assignment::{assignment, element};
use crate::server::Server;

fn with(mut element: BodyElement<Rendered>, attributes: &[(&str, &str)]) -> BodyElement<Rendered> {
    let rendered = |text: &str| Rendered { text: text.to_owned(), variables: Vec::new() };
    element.attributes.extend(attributes.iter().map(|(name, value)| ((*name).to_owned(), rendered(value))));
    element
}

/// What the outcome gets, and whether it is a failure.
async fn look(
    conf: &Path,
    source: &str,
    min: &str,
    max: &str,
    stopped: watch::Receiver<bool>,
) -> (Verdict, Result<(), Failure>) {
    let query = |word: &str, text: &str| with(element(word, Some(text), vec![]), &[("type", "SQL"), ("db-link", "a")]);
    let mut children = vec![query("source", source)];
    children.extend((!min.is_empty()).then(|| query("min", min)));
    children.extend((!max.is_empty()).then(|| query("max", max)));
    let body = with(element("data-monitor", None, children), &[("pause", "1ms")]);
    let task = Task::new(assignment("1.1.1.0.1", body), conf, Services::default(), Voice::default(), stopped);
    let done = task::run(&task).await;
    let failure = done.clone().err().unwrap_or_else(|| Failure::of(Default::default()));
    (task.verdict(failure), done)
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Queries, and what each is in exact decimal digits.
async fn is_exact(conf: &Path, numbers: &[(&str, &str)]) {
    let (_stop, stopped) = watch::channel(false);
    let look = async |source: &str, min: &str, max: &str| look(conf, source, min, max, stopped.clone()).await;
    for (query, number) in numbers {
        let (verdict, done) = look(query, "select -1.5e0", "select 1e25").await;
        done.expect(query);
        let max = "10000000000000000000000000";
        assert_eq!(verdict.outputs, pairs(&[("value", number), ("min", "-1.5"), ("max", max)]), "{query}");
    }
    let (verdict, done) = look("select 3, 9 union all select 8, 9", "", "select 2.50").await;
    let message = done.expect_err("out of bounds").message.english();
    assert_eq!(verdict.outputs, pairs(&[("value", "3"), ("max", "2.5")]));
    let wanted = "node load: the value 3 (SQL on link a: select 3, 9 union all select 8, 9) is above the maximum 2.5 (SQL on link a: select 2.50)";
    assert!(message.starts_with(wanted), "{message}");
    let wrong = look("select n from nowhere", "", "").await.1.expect_err("no such table").message.english();
    assert!(wrong.starts_with("node load: <source>: SQL on link a: select n from nowhere: "), "{wrong}");
}

async fn works(conf: &Path, numbers: &[(&str, &str)], sleep: &str, seen: &str) {
    is_exact(conf, numbers).await;
    let (stop, stopped) = watch::channel(false);
    let link = link::db_link(conf, "a").expect("a link");
    let opened = Database::open(&link, conf, Duration::from_secs(30), Arc::new(|_| {})).await;
    let mut other = opened.expect("a connection");
    // Its bound sleeps: all of its queries are ended, not the first alone.
    let killed = look(conf, "select 1", "", sleep, stopped);
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
    let ((verdict, done), ()) = tokio::time::timeout(Duration::from_secs(60), both).await.expect("it ends there");
    assert_eq!(done.expect_err("it was killed").message.english(), "killed");
    assert!(verdict.outputs.is_empty());
}

const POSTGRES_NUMBERS: &[(&str, &str)] = &[
    ("select count(*) from generate_series(1, 12)", "12"),
    ("select 12345678901234567890.123456789::numeric", "12345678901234567890.123456789"),
    ("select 1.5e15::float8", "1500000000000000"),
    ("select 0.1::float4", "0.1"),
    ("select '7'::text", "7"),
];
const POSTGRES_SLEEP: &str = "select 1 from (select pg_sleep(62)) s";
const POSTGRES_SEEN: &str = "select count(*) from pg_stat_activity where query like '%pg_sleep(62)%' and state = 'active' and pid <> pg_backend_pid()";

const MARIADB_NUMBERS: &[(&str, &str)] = &[
    ("select count(*) from information_schema.schemata where schema_name = 'wf'", "1"),
    ("select cast(12345678901234567890.123456789 as decimal(40,9))", "12345678901234567890.123456789"),
    ("select 1.5e15", "1500000000000000"),
    ("select '7'", "7"),
];
const MARIADB_SLEEP: &str = "select sleep(62)";
const MARIADB_SEEN: &str =
    "select count(*) from information_schema.processlist where info like '%sleep(62)%' and id <> connection_id()";

#[tokio::test]
#[ignore = "starts PostgreSQL"]
async fn monitors_on_postgres() {
    let Some(server) = Server::postgres() else { return };
    works(server.links("POSTGRESQL", ""), POSTGRES_NUMBERS, POSTGRES_SLEEP, POSTGRES_SEEN).await;
}

#[tokio::test]
#[ignore = "starts MariaDB"]
async fn monitors_on_mariadb() {
    let Some(server) = Server::mariadb(false, false) else { return };
    works(server.links("MARIADB", "?useSSL=false"), MARIADB_NUMBERS, MARIADB_SLEEP, MARIADB_SEEN).await;
}

#[cfg(feature = "odbc")]
mod by_odbc {
    use super::*;
    use crate::odbc;
    use crate::server::PASSWORD;

    #[tokio::test]
    #[ignore = "starts PostgreSQL"]
    async fn monitors_on_postgres() {
        let Some(server) = odbc::postgres() else { return };
        let conf = server.odbc("POSTGRESQL", "PostgreSQL Unicode", PASSWORD);
        works(conf, POSTGRES_NUMBERS, POSTGRES_SLEEP, POSTGRES_SEEN).await;
    }

    #[tokio::test]
    #[ignore = "starts MariaDB"]
    async fn monitors_on_mariadb() {
        let Some(server) = odbc::mariadb() else { return };
        let conf = server.odbc("MARIADB", "MariaDB Unicode", PASSWORD);
        works(conf, MARIADB_NUMBERS, MARIADB_SLEEP, MARIADB_SEEN).await;
    }

    #[tokio::test]
    #[ignore = "needs a driver of ODBC"]
    async fn monitors_on_sqlite() {
        let Some(home) = odbc::lite() else { return };
        let numbers =
            [("select count(*) from (select 1 union all select 2)", "2"), ("select 2.5", "2.5"), ("select '7'", "7")];
        is_exact(home.path(), &numbers).await;
    }
}
