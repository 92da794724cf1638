//! akkaflow's tables, by the names of their columns: versions differ in what they have.

use std::collections::BTreeMap;

use crate::api::ExitCode;
use crate::cli::console::Failure;
use crate::connector::database::{Database, DatabaseError, Part, Statement};
use crate::say;

/// Links of each kind; nobody has more.
const LINKS_MAX: usize = 10_000;

/// What the database holds. A row is its columns by name, in lower case; what is NULL is left out.
#[derive(Debug, Default)]
pub struct Found {
    pub workflows: Vec<Record>,
    pub db_links: Vec<Record>,
    pub file_links: Vec<Record>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record(BTreeMap<String, String>);

impl Record {
    /// The first of these columns that there is.
    pub fn get(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.0.get(*name)).map(String::as_str)
    }

    #[cfg(test)]
    pub fn of(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }
}

/// `workflows_max` as the settings of the cluster bound them.
pub async fn read(database: &mut Database, workflows_max: usize, with_links: bool) -> Result<Found, Failure> {
    let workflows = match rows(database, "workflow", workflows_max).await? {
        Some(rows) => rows,
        None => {
            let said = say!("the database of link \"{}\" has no table {}", database.link().name, "workflow");
            return Err(Failure::new(ExitCode::NotFound, said).hint(say!("is it the one that akkaflow uses?")));
        }
    };
    let mut found = Found { workflows, ..Found::default() };
    if with_links {
        found.db_links = rows(database, "db_link", LINKS_MAX).await?.unwrap_or_default();
        found.file_links = rows(database, "file_link", LINKS_MAX).await?.unwrap_or_default();
    }
    Ok(found)
}

/// `None`: there is no such table.
async fn rows(database: &mut Database, table: &str, max: usize) -> Result<Option<Vec<Record>>, Failure> {
    let mut records = Vec::new();
    let is_there = each(database, table, "ORDER BY name", |record| {
        if records.len() == max {
            return Err(Failure::other(say!("table {} has more than {} rows", table, max)));
        }
        records.push(record);
        Ok(())
    });
    Ok(is_there.await?.then_some(records))
}

/// Gives every row of a table, as it comes; `false`: there is no such table.
pub async fn each(
    database: &mut Database,
    table: &str,
    rest: &str,
    mut take: impl FnMut(Record) -> Result<(), Failure>,
) -> Result<bool, Failure> {
    let failed = |error: DatabaseError| Failure::other(error.said());
    if database.columns_of(table).await.map_err(failed)?.is_empty() {
        return Ok(false);
    }
    let mut answer = database.run(&Statement::new(format!("SELECT * FROM {table} {rest}"))).await.map_err(failed)?;
    let mut names: Vec<String> = Vec::new();
    while let Some(part) = answer.next().await.map_err(failed)? {
        match part {
            Part::Columns(columns) => names = columns.into_iter().map(|column| column.name.to_lowercase()).collect(),
            Part::Row(row) => {
                let values = names.iter().cloned().zip(row);
                take(Record(values.filter_map(|(name, value)| Some((name, value?))).collect()))?;
            }
            Part::Done { .. } => {}
        }
    }
    Ok(true)
}
