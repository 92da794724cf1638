//! Which column of the source goes into which of the table. Pure.

use crate::connector::database::{Column, Dialect, TableColumn, column_type};
use crate::model::message::{Message, Value};
use crate::say;

/// Most names that an error lists.
const NAMES_SHOWN: usize = 50;

/// What the source has: names that somebody chose, or places alone.
pub struct SourceColumns {
    pub columns: Vec<Column>,
    pub has_names: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Name,
    Position,
}

/// The columns of the table in the order of the source's: by name where all names are known, by position where none
/// is, or where those that are known stand in their places.
pub fn matched(
    source: &SourceColumns,
    table: &str,
    target: &[TableColumn],
) -> Result<(Vec<TableColumn>, How), Message> {
    let target: Vec<&TableColumn> = target.iter().filter(|column| !column.is_generated).collect();
    let places: Vec<Option<usize>> = source.columns.iter().map(|column| place(&column.name, &target)).collect();
    let taken = |places: &[Option<usize>]| {
        let mut found: Vec<usize> = places.iter().flatten().copied().collect();
        found.sort_unstable();
        let n = found.len();
        found.dedup();
        n == found.len()
    };
    if source.has_names && places.iter().all(Option::is_some) && taken(&places) {
        return Ok((places.iter().flatten().map(|place| target[*place].clone()).collect(), How::Name));
    }
    let are_in_place = !source.has_names || places.iter().enumerate().all(|(at, place)| place.is_none_or(|p| p == at));
    if source.columns.len() == target.len() && are_in_place {
        return Ok((target.into_iter().cloned().collect(), How::Position));
    }
    let names = |names: Vec<&str>| Value::list(names.into_iter().take(NAMES_SHOWN));
    let own = names(target.iter().map(|column| column.name.as_str()).collect());
    if !source.has_names {
        return Err(say!(
            "the first row has {} field{s}, the table {} has {} column{s}: {} (header=\"true\" says that it holds their names)",
            source.columns.len(),
            table,
            target.len(),
            own
        ));
    }
    let unknown = source.columns.iter().zip(&places).filter(|(_, place)| place.is_none());
    let unknown: Vec<&str> = unknown.map(|(column, _)| column.name.as_str()).collect();
    if unknown.is_empty() {
        let all = names(source.columns.iter().map(|column| column.name.as_str()).collect());
        return Err(say!("a column stands twice in the source: {}", all));
    }
    Err(say!("the table {} has no column {}; it has {}", table, names(unknown), own))
}

fn place(name: &str, target: &[&TableColumn]) -> Option<usize> {
    let exact = target.iter().position(|column| column.name == name);
    exact.or_else(|| target.iter().position(|column| column.name.to_lowercase() == name.to_lowercase()))
}

/// akkaflow's name of a column that has none.
pub fn unnamed(at: usize) -> String {
    format!("col_{at}")
}

/// The statement that makes a table for these.
pub fn create(source: &[Column], table: &str, dialect: Dialect) -> String {
    let column = |(at, column): (usize, &Column)| {
        let name = if column.name.is_empty() { unnamed(at) } else { column.name.clone() };
        format!("{} {}", dialect.new_column(&name), column_type(&column.type_name, dialect))
    };
    let columns: Vec<String> = source.iter().enumerate().map(column).collect();
    let end = if dialect == Dialect::MySql { " DEFAULT CHARACTER SET utf8mb4" } else { "" };
    format!("CREATE TABLE {} ({}){end}", dialect.quote_table(table), columns.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(names: &[&str], has_names: bool) -> SourceColumns {
        let column = |name: &&str| Column { name: (*name).to_owned(), type_name: "int4".to_owned() };
        SourceColumns { columns: names.iter().map(column).collect(), has_names }
    }

    fn tried(from: &SourceColumns, to: &[&str]) -> Result<(Vec<String>, How), String> {
        let column = |name: &&str| TableColumn {
            name: name.trim_start_matches('=').to_owned(),
            type_name: "int".to_owned(),
            is_nullable: true,
            is_generated: name.starts_with('='),
            comment: String::new(),
        };
        let to: Vec<TableColumn> = to.iter().map(column).collect();
        let names = |columns: Vec<TableColumn>| columns.into_iter().map(|column| column.name).collect();
        matched(from, "t", &to).map(|(columns, how)| (names(columns), how)).map_err(|message| message.english())
    }

    fn ok(names: &[&str], how: How) -> Result<(Vec<String>, How), String> {
        Ok((names.iter().map(|name| (*name).to_owned()).collect(), how))
    }

    #[test]
    fn columns_go_by_name_or_by_position_and_are_never_guessed() {
        assert_eq!(tried(&source(&["b", "A"], true), &["a", "b", "c"]), ok(&["b", "a"], How::Name));
        assert_eq!(tried(&source(&["x", "y"], true), &["a", "b"]), ok(&["a", "b"], How::Position));
        assert_eq!(tried(&source(&["a", "b+1", "c"], true), &["a", "b", "c"]), ok(&["a", "b", "c"], How::Position));
        assert_eq!(tried(&source(&["x", "y"], false), &["a", "=g", "b"]), ok(&["a", "b"], How::Position));
        assert_eq!(
            tried(&source(&["a", "a"], true), &["a", "b"]).unwrap_err(),
            "a column stands twice in the source: a, a"
        );
        let known = tried(&source(&["id", "phone", "nam"], true), &["id", "name", "phone"]).unwrap_err();
        assert_eq!(known, "the table t has no column nam; it has id, name, phone");
        let few = tried(&source(&["x"], false), &["a", "b"]).unwrap_err();
        assert!(few.starts_with("the first row has 1 field, the table t has 2 columns: a, b"), "{few}");
    }

    #[test]
    fn a_new_table_has_the_sources_columns() {
        let made = create(&source(&["id", "", "a`b"], true).columns, "s.t", Dialect::MySql);
        assert_eq!(
            made,
            "CREATE TABLE `s`.`t` (`id` integer, `col_1` integer, `a``b` integer) DEFAULT CHARACTER SET utf8mb4"
        );
        let made = create(&source(&["id", "Date", "a b"], true).columns, "ods.t", Dialect::Oracle);
        assert_eq!(made, "CREATE TABLE ods.t (\"ID\" NUMBER(10), \"DATE\" NUMBER(10), \"a b\" NUMBER(10))");
    }
}
