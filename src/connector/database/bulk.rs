//! Loading many rows: the statements that each database has for it, and what is known of a table.

use super::dialect::Dialect;
use super::error::DatabaseError;
use super::split::Statement;
use super::{Database, Row};

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    pub name: String,
    /// As the database writes it: `varchar(20)`.
    pub type_name: String,
    pub is_nullable: bool,
    /// Blank without one, or where the database has none.
    pub comment: String,
}

/// Most columns that are looked at.
const COLUMNS_MAX: usize = 10_000;

/// Where rows go.
pub(super) struct Insert {
    dialect: Dialect,
    table: String,
    columns: String,
    n_columns: usize,
}

impl Insert {
    pub fn new(dialect: Dialect, table: &str, columns: &[String]) -> Self {
        let names: Vec<String> = columns.iter().map(|column| dialect.quote_identifier(column)).collect();
        Self { dialect, table: dialect.quote_table(table), columns: names.join(", "), n_columns: columns.len() }
    }

    /// With a placeholder for each column.
    pub fn prepared(&self) -> String {
        let places = vec!["?"; self.n_columns].join(", ");
        format!("INSERT INTO {} ({}) VALUES ({places})", self.table, self.columns)
    }
}

#[cfg(feature = "postgres")]
impl Insert {
    pub fn copy(&self) -> String {
        format!("COPY {} ({}) FROM STDIN", self.table, self.columns)
    }
}

#[cfg(feature = "mysql")]
impl Insert {
    /// The beginning of one statement for many rows.
    pub fn head(&self) -> String {
        format!("INSERT INTO {} ({}) VALUES ", self.table, self.columns)
    }

    /// `(…)` of one row.
    pub fn push_values(&self, row: &Row, out: &mut String) {
        out.push('(');
        for (at, value) in row.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            match value {
                Some(value) => out.push_str(&self.dialect.literal(value)),
                None => out.push_str("NULL"),
            }
        }
        out.push(')');
    }

    pub fn load(&self) -> String {
        format!(
            "LOAD DATA LOCAL INFILE 'rows' INTO TABLE {} CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' ({})",
            self.table, self.columns
        )
    }
}

/// A row as COPY of PostgreSQL and LOAD DATA of MySQL read it: tabs between values, `\N` for NULL.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(super) fn push_line(row: &Row, out: &mut Vec<u8>) {
    for (at, value) in row.iter().enumerate() {
        if at > 0 {
            out.push(b'\t');
        }
        let Some(value) = value else {
            out.extend_from_slice(b"\\N");
            continue;
        };
        for byte in value.bytes() {
            match byte {
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\t' => out.extend_from_slice(b"\\t"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                byte => out.push(byte),
            }
        }
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
        })
        .collect())
}

fn query(dialect: Dialect, schema: Option<&str>, name: &str, table: &str) -> Statement {
    let literal = |text: &str| dialect.literal(text);
    Statement::new(match dialect {
        Dialect::Sqlite => {
            let schema = schema.map(|schema| format!(", {}", literal(schema))).unwrap_or_default();
            format!(
                "SELECT name, type, NOT \"notnull\", '' FROM pragma_table_xinfo({}{schema}) WHERE hidden <> 1",
                literal(name)
            )
        }
        Dialect::PostgreSql => format!(
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, col_description(a.attrelid, a.attnum) \
             FROM pg_attribute a WHERE a.attrelid = to_regclass({}) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            literal(&dialect.quote_table(table))
        ),
        _ => format!(
            "SELECT column_name, column_type, is_nullable, column_comment FROM information_schema.columns \
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
