//! `sql`: statements on a named link, all or none where the database can.
//!
//! Rows of results go to the log as a bounded table; the rest is counted. At a kill the statement is cancelled in the
//! database before the connection is left.

use std::pin::Pin;
use std::time::Instant;

use crate::connector::database::{Column, Database, DatabaseError, Part, Row, Statement, share, split};
use crate::say;

use super::database;
use super::output::is_name;
use super::task::{Failure, Task};

/// Rows of one result that the log shows.
const ROWS_SHOWN: usize = 100;
/// Longest value in the log.
const VALUE_CHARS_MAX: usize = 200;
/// Longest value that is an output.
const OUTPUT_BYTES_MAX: usize = 16 * 1024;
/// All of them together: less than a worker takes by default.
const OUTPUTS_BYTES_MAX: usize = 32 * 1024;
/// Outputs `first.COLUMN`.
const OUTPUTS_MAX: usize = 40;

/// What the last result began with.
#[derive(Default)]
struct First {
    columns: Vec<Column>,
    row: Option<Row>,
}

pub fn run<'a>(task: &'a Task<'_>) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>> {
    Box::pin(async {
        let (mut database, statements) = opened(task).await?;
        let canceller = database.canceller();
        database::until_stopped(task, &canceller, all(task, &mut database, &statements)).await
    })
}

/// The link's database and what is to run there.
async fn opened(task: &Task<'_>) -> Result<(Database, Vec<Statement>), Failure> {
    let body = &task.assignment.body;
    let name = body.attribute("db-link").map_or("", |name| name.text.trim());
    let link = database::linked(task, name)?;
    let script = body.text.as_ref().ok_or_else(|| Failure::refused(say!("{} is missing", "sql")))?;
    let database = database::open(task, &link).await?;
    let mut statements = split(&script.text, database.dialect()).map_err(|error| Failure::refused(error.said()))?;
    let values: Vec<String> = script.variables.iter().map(|(_, value)| value.clone()).collect();
    share(&mut statements, &values).map_err(|error| Failure::refused(error.said()))?;
    if statements.is_empty() {
        return Err(Failure::refused(say!("there is no statement to run")));
    }
    Ok((database, statements))
}

async fn all(task: &Task<'_>, database: &mut Database, statements: &[Statement]) -> Result<(), Failure> {
    let failed = |error: DatabaseError| Failure::of(error.said());
    database.begin().await.map_err(failed)?;
    let (mut n_changed, mut first) = (0, First::default());
    for (at, statement) in statements.iter().enumerate() {
        let began = Instant::now();
        match one(task, database, statement, &mut first).await {
            Ok((n_rows, is_result)) => {
                let ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
                task.log(&say!("line {}: {} row{s}, {} ms: {}", statement.line, n_rows, ms, statement.head()));
                if !is_result {
                    n_changed += n_rows;
                }
            }
            Err(error) => {
                // The first error counts; a connection that is gone has rolled back by itself.
                let _ = database.rollback().await;
                let place = say!("statement {} of {}", at + 1, statements.len());
                return Err(Failure::of(say!("{}: {}", place, error.said())));
            }
        }
    }
    database.commit().await.map_err(failed)?;
    task.output("rows", n_changed);
    for (name, value) in first.outputs() {
        task.output(&name, value);
    }
    Ok(())
}

impl First {
    /// By the column's name, else by its position (`count(*)` cannot be named in a reference). What is too long is left
    /// out: that the log shows it is enough.
    fn outputs(&self) -> impl Iterator<Item = (String, &str)> {
        let named = self.columns.iter().zip(self.row.iter().flatten()).enumerate().take(OUTPUTS_MAX);
        let mut n_bytes = 0;
        named.filter_map(move |(at, (column, value))| {
            let (by_name, value) = (format!("first.{}", column.name), value.as_deref().unwrap_or(""));
            let name = if !column.name.is_empty() && is_name(&by_name) { by_name } else { format!("first.{}", at + 1) };
            let n = name.len() + value.len();
            let fits = value.len() <= OUTPUT_BYTES_MAX && n_bytes + n <= OUTPUTS_BYTES_MAX;
            n_bytes += if fits { n } else { 0 };
            fits.then_some((name, value))
        })
    }
}

/// Rows given or changed, and whether it gave any.
async fn one(
    task: &Task<'_>,
    database: &mut Database,
    statement: &Statement,
    first: &mut First,
) -> Result<(u64, bool), DatabaseError> {
    let mut answer = database.run(statement).await?;
    let (mut n_rows, mut is_result, mut n_shown) = (0, false, 0);
    while let Some(part) = answer.next().await? {
        match part {
            Part::Columns(columns) => {
                (is_result, n_shown) = (true, 0);
                task.print(&line(columns.iter().map(|column| column.name.as_str())));
                *first = First { columns, row: None };
            }
            Part::Row(row) => {
                n_shown += 1;
                if n_shown <= ROWS_SHOWN {
                    task.print(&line(row.iter().map(|value| value.as_deref().unwrap_or("NULL"))));
                }
                first.row.get_or_insert(row);
            }
            Part::Done { n_rows: n } => {
                n_rows += n;
                if n_shown > ROWS_SHOWN {
                    task.log(&say!("  and {} more", n_shown - ROWS_SHOWN));
                }
            }
        }
    }
    Ok((n_rows, is_result))
}

/// Values side by side, each on one line and of bounded length.
fn line<'v>(values: impl Iterator<Item = &'v str>) -> String {
    let cell = |value: &str| -> String {
        let mut shown: String =
            value.chars().take(VALUE_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
        if value.chars().nth(VALUE_CHARS_MAX).is_some() {
            shown.push('…');
        }
        shown
    };
    values.map(cell).collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::assignment::Rendered;
    use crate::node::testing::{assignment, element, task, with_attribute};

    fn home() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let links = r#"<db-links><link name="here" type="SQLITE" jdbc-url="jdbc:sqlite:data.db" username="" password=""/></db-links>"#;
        std::fs::create_dir(dir.path().join("conf")).unwrap();
        std::fs::write(dir.path().join("conf/db_links.xml"), links).unwrap();
        dir
    }

    async fn sql(home: &tempfile::TempDir, link: &str, text: &str, values: &[&str]) -> Result<String, Failure> {
        let mut body = with_attribute(element("sql", &[], vec![]), "db-link", link);
        let variables = values.iter().map(|value| (String::new(), (*value).to_owned())).collect();
        body.text = Some(Rendered { text: text.to_owned(), variables });
        let conf = home.path().join("conf");
        let task = task(assignment(body), &conf);
        run(&task).await.map(|()| task.output_lines())
    }

    #[tokio::test]
    async fn all_statements_or_none() {
        let home = home();
        let made =
            sql(&home, "here", "create table t (a text, n int);\ninsert into t values ('x;y', 1), ('z', 2);", &[]);
        assert!(made.await.unwrap().contains(r#"{"name":"rows","value":"2"}"#));
        let failure =
            sql(&home, "here", "insert into t values ('lost', 3);\ninsert into nowhere values (1)", &[]).await;
        let said = failure.unwrap_err().message.english();
        assert!(said.starts_with("statement 2 of 2: ") && said.contains("nowhere") && said.contains("here"), "{said}");
        let outputs = sql(&home, "here", "select count(*) as n, max(a) as top from t", &[]).await.unwrap();
        assert!(outputs.contains(r#"{"name":"first.n","value":"2"}"#) && outputs.contains("first.top"), "{outputs}");
        let unnamed = sql(&home, "here", "select 'x' as a, count(*) from t", &[]).await.unwrap();
        assert!(unnamed.contains(r#"{"name":"first.2","value":"2"}"#), "{unnamed}");
    }

    #[test]
    fn outputs_of_a_row_are_bounded_together() {
        let columns = (0..100).map(|n| Column { name: format!("c{n}"), type_name: "text".to_owned() }).collect();
        let row = Some((0..100).map(|_| Some("v".repeat(10_000))).collect());
        let first = First { columns, row };
        let names: Vec<String> = first.outputs().map(|(name, _)| name).collect();
        assert_eq!(names, ["first.c0", "first.c1", "first.c2"]);
    }

    #[tokio::test]
    async fn values_from_outside_are_bound_and_never_code() {
        let home = home();
        sql(&home, "here", "create table t (a text)", &[]).await.unwrap();
        let hostile = "'); drop table t; --";
        sql(&home, "here", "insert into t values (?)", &[hostile]).await.unwrap();
        let outputs = sql(&home, "here", "select a from t", &[]).await.unwrap();
        assert!(outputs.contains(hostile), "{outputs}");
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let home = home();
        let unknown = sql(&home, "heer", "select 1", &[]).await.unwrap_err();
        assert!(unknown.is_refusal && unknown.message.english().contains("heer"), "{unknown}");
        let nothing = sql(&home, "here", " -- only a comment\n", &[]).await.unwrap_err();
        assert!(nothing.is_refusal);
    }

    #[test]
    fn a_row_is_one_line_of_bounded_length() {
        let long = "x".repeat(VALUE_CHARS_MAX + 1);
        let shown = line(["a\nb", long.as_str()].into_iter());
        assert!(shown.starts_with("a b | xxx") && shown.ends_with('…') && !shown.contains('\n'));
    }
}
