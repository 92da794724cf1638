//! `metadata`: the comments of a table and its columns, taken over from other tables or written in the file.
//!
//! Nothing is changed unless every column ends up with a comment, as in akkaflow; nothing else of a column is changed
//! at all.

use std::pin::Pin;

use crate::connector::database::{Comments, Database, DatabaseError, TableColumn};
use crate::model::message::Value;
use crate::say;

use super::database;
use super::task::{Failure, Task, attribute};

/// Most names that an error lists.
const NAMES_SHOWN: usize = 50;

pub fn run<'a>(task: &'a Task<'_>) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>> {
    Box::pin(async {
        let body = &task.assignment.body;
        let needed =
            |name: &'static str| attribute(body, name).ok_or_else(|| Failure::refused(say!("{} is missing", name)));
        let (link, table) = (needed("db-link")?, needed("table")?);
        let link = database::linked(task, link)?;
        let mut database = database::open(task, &link).await?;
        let canceller = database.canceller();
        database::until_stopped(task, &canceller, comment(task, &mut database, table)).await
    })
}

async fn comment(task: &Task<'_>, database: &mut Database, table: &str) -> Result<(), Failure> {
    let body = &task.assignment.body;
    let mut columns = known(database, table).await?;
    let before = columns.clone();
    let from = attribute(body, "from").unwrap_or_default();
    for other in from.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        for given in known(database, other).await?.into_iter().filter(|given| !given.comment.is_empty()) {
            if let Some(column) = columns.iter_mut().find(|column| is_same(column, &given.name)) {
                column.comment = given.comment;
            }
        }
    }
    for element in body.children("column-comment") {
        let name = attribute(element, "name").unwrap_or_default();
        let Some(column) = columns.iter_mut().find(|column| is_same(column, name)) else {
            let names = names(columns.iter());
            return Err(Failure::refused(say!("the table {} has no column {}; it has {}", table, name, names)));
        };
        column.comment = element.text.as_ref().map_or(String::new(), |text| text.text.trim().to_owned());
    }
    let blank: Vec<&TableColumn> = columns.iter().filter(|column| column.comment.is_empty()).collect();
    if !blank.is_empty() {
        let names = names(blank.into_iter());
        return Err(Failure::refused(say!(
            "columns of {} would have no comment: {}; write <column-comment name=\"…\">",
            table,
            names
        )));
    }
    let changed = columns.into_iter().zip(before).filter(|(now, before)| now.comment != before.comment);
    let comments = Comments {
        table: task.child_text("table-comment").map(str::to_owned),
        columns: changed.map(|(now, _)| (now.name, now.comment)).collect(),
    };
    database.set_comments(table, &comments).await.map_err(failed)?;
    task.log(&say!("{} comment{s} of columns changed", comments.columns.len()));
    task.output("columns", comments.columns.len());
    Ok(())
}

async fn known(database: &mut Database, table: &str) -> Result<Vec<TableColumn>, Failure> {
    let columns = database.columns_of(table).await.map_err(failed)?;
    if columns.is_empty() {
        let link = database.link().name.clone();
        return Err(Failure::refused(say!("link {} has no table {}", link, table)));
    }
    Ok(columns)
}

fn is_same(column: &TableColumn, name: &str) -> bool {
    column.name.to_lowercase() == name.to_lowercase()
}

fn names<'c>(columns: impl Iterator<Item = &'c TableColumn>) -> Value {
    Value::list(columns.take(NAMES_SHOWN).map(|column| column.name.as_str()))
}

fn failed(error: DatabaseError) -> Failure {
    Failure::of(error.said())
}
