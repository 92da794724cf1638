//! Many rows at a time: the statements that each database has for it, and what is known of a table.

#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;

use tokio::sync::{mpsc, oneshot};

use super::dialect::Dialect;
use super::error::DatabaseError;
use super::split::Statement;
use super::types::Form;
use super::{Column, Database, Row};
use crate::connector::rows::Batch;

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    pub name: String,
    /// As the database writes it: `varchar(20)`.
    pub type_name: String,
    pub is_nullable: bool,
    /// Computed from others: it takes no value.
    pub is_generated: bool,
    /// Blank without one, or where the database has none.
    pub comment: String,
}

/// What a query gives: its columns first, then its rows.
pub struct Fetched {
    pub columns: oneshot::Sender<Vec<Column>>,
    pub rows: mpsc::Sender<Batch>,
    /// Does the reader understand times with a zone behind them? Else they come without.
    pub has_zones: bool,
    /// SQLite: the rows are set aside before the columns are told, so that from then on no reader is in the way of who
    /// writes into the same file.
    pub frees_file: bool,
}

/// Most columns that are looked at.
const COLUMNS_MAX: usize = 10_000;
/// A load is told to the database in pieces of about this size, so that an error is known before all has been sent.
#[cfg(any(feature = "postgres", feature = "mysql"))]
const PIECE_BYTES: usize = 16 << 20;
/// What a column cannot hold is an error whatever the mode of a MySQL server is, and 0 is no request for a new number.
#[cfg(any(feature = "mysql", feature = "odbc"))]
pub(super) const STRICT_MYSQL: &str =
    "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO')";
/// What goes over the wire at once.
#[cfg(any(feature = "postgres", feature = "mysql"))]
const WIRE_BYTES: usize = 64 << 10;

/// Where rows go.
pub(super) struct Insert {
    table: String,
    columns: String,
    /// How the values of each column are written.
    forms: Vec<Form>,
    #[cfg_attr(not(feature = "mysql"), allow(dead_code))]
    names: Vec<String>,
}

impl Insert {
    pub fn new(dialect: Dialect, table: &str, columns: &[TableColumn]) -> Self {
        let names: Vec<String> = columns.iter().map(|column| dialect.quote_identifier(&column.name)).collect();
        let forms = columns.iter().map(|column| Form::of(&column.type_name)).collect();
        Self { table: dialect.quote_table(table), columns: names.join(", "), forms, names }
    }

    #[cfg(feature = "odbc")]
    pub(super) fn forms(&self) -> &[Form] {
        &self.forms
    }

    /// With a placeholder for each column, written as its form wants it.
    pub(super) fn prepared(&self, place: impl Fn(Form) -> &'static str) -> String {
        let places: Vec<&str> = self.forms.iter().map(|form| place(*form)).collect();
        format!("INSERT INTO {} ({}) VALUES ({})", self.table, self.columns, places.join(", "))
    }
}

/// A row as COPY of PostgreSQL and LOAD DATA of MySQL read it: tabs between values, `\N` for NULL.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn push_line<'v>(row: impl Iterator<Item = Option<&'v [u8]>>, out: &mut Vec<u8>) {
    for (at, value) in row.enumerate() {
        if at > 0 {
            out.push(b'\t');
        }
        let Some(value) = value else {
            out.extend_from_slice(b"\\N");
            continue;
        };
        let mut from = 0;
        for (at, byte) in value.iter().enumerate() {
            let escaped = match byte {
                b'\\' => b"\\\\",
                b'\t' => b"\\t",
                b'\n' => b"\\n",
                b'\r' => b"\\r",
                _ => continue,
            };
            out.extend_from_slice(&value[from..at]);
            out.extend_from_slice(escaped);
            from = at + 1;
        }
        out.extend_from_slice(&value[from..]);
    }
    out.push(b'\n');
}

pub(super) async fn columns_of(database: &mut Database, table: &str) -> Result<Vec<TableColumn>, DatabaseError> {
    let dialect = database.dialect();
    // The parts of a name as it would be written in a statement.
    let parts: Vec<String> = table.split('.').map(|part| unquoted(part.trim(), dialect)).collect();
    let (schema, name) = match parts.as_slice() {
        [.., schema, name] => (Some(schema.as_str()), name.as_str()),
        [name] => (None, name.as_str()),
        [] => (None, ""),
    };
    let rows = database.rows(&query(dialect, schema, name, table), COLUMNS_MAX).await?;
    let text = |row: &Row, at: usize| row.get(at).cloned().flatten().unwrap_or_default();
    Ok(rows
        .iter()
        .map(|row| TableColumn {
            name: text(row, 0),
            type_name: text(row, 1),
            is_nullable: matches!(text(row, 2).as_str(), "YES" | "t" | "1"),
            comment: text(row, 3),
            is_generated: matches!(text(row, 4).as_str(), "YES" | "t" | "1"),
        })
        .collect())
}

fn query(dialect: Dialect, schema: Option<&str>, name: &str, table: &str) -> Statement {
    let literal = |text: &str| dialect.literal(text);
    Statement::new(match dialect {
        Dialect::Sqlite => {
            let schema = schema.map(|schema| format!(", {}", literal(schema))).unwrap_or_default();
            format!(
                "SELECT name, type, NOT \"notnull\", '', hidden > 1 FROM pragma_table_xinfo({}{schema}) WHERE hidden <> 1",
                literal(name)
            )
        }
        Dialect::PostgreSql => format!(
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, col_description(a.attrelid, a.attnum), \
             coalesce(to_jsonb(a) ->> 'attgenerated', '') <> '' \
             FROM pg_attribute a WHERE a.attrelid = to_regclass({}) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            literal(&dialect.quote_table(table))
        ),
        _ => format!(
            "SELECT column_name, column_type, is_nullable, column_comment, \
             coalesce(generation_expression, '') <> '' FROM information_schema.columns \
             WHERE table_schema = {} AND table_name = {} ORDER BY ordinal_position",
            schema.map_or_else(|| "DATABASE()".to_owned(), literal),
            literal(name)
        ),
    })
}

fn unquoted(part: &str, dialect: Dialect) -> String {
    let inside = |open: char, close: char| part.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    match (inside('"', '"'), inside('`', '`')) {
        (Some(name), _) => name.replace("\"\"", "\""),
        (_, Some(name)) => name.replace("``", "`"),
        _ if dialect.has_brackets() => inside('[', ']').unwrap_or(part).to_owned(),
        _ => part.to_owned(),
    }
}
