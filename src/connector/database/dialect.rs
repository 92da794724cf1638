//! How databases differ in writing: quotes, comments, bodies, placeholders.

use std::fmt::Write;

use super::split::Statement;
use crate::connector::link::DbKind;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// MariaDB too.
    MySql,
    PostgreSql,
    Sqlite,
    Oracle,
    SqlServer,
    /// Hive and Impala.
    Hive,
    /// What the standard says.
    Standard,
}

impl Dialect {
    pub fn of(kind: DbKind) -> Self {
        match kind {
            DbKind::MySql | DbKind::MariaDb => Self::MySql,
            DbKind::PostgreSql => Self::PostgreSql,
            DbKind::Sqlite => Self::Sqlite,
            DbKind::Oracle => Self::Oracle,
            DbKind::SqlServer => Self::SqlServer,
            DbKind::Hive | DbKind::Impala | DbKind::ClickHouse => Self::Hive,
            DbKind::Db2 | DbKind::Odbc => Self::Standard,
        }
    }

    /// Does a backslash in a string take the meaning of the character behind it?
    pub(super) fn has_backslash(self) -> bool {
        matches!(self, Self::MySql | Self::Hive)
    }

    pub(super) fn has_backticks(self) -> bool {
        matches!(self, Self::MySql | Self::Hive | Self::Sqlite)
    }

    pub(super) fn has_brackets(self) -> bool {
        matches!(self, Self::Sqlite | Self::SqlServer)
    }

    /// A name as it is written in a statement, whatever characters it has.
    pub fn quote_identifier(self, name: &str) -> String {
        match self {
            Self::MySql | Self::Hive => format!("`{}`", name.replace('`', "``")),
            Self::SqlServer => format!("[{}]", name.replace(']', "]]")),
            Self::PostgreSql | Self::Sqlite | Self::Oracle | Self::Standard => {
                format!("\"{}\"", name.replace('"', "\"\""))
            }
        }
    }

    /// Is the name written as it is, so that the database finds it in its own case?
    fn folds(self, name: &str) -> bool {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '#');
        matches!(self, Self::Oracle | Self::Standard)
            && name.chars().all(is_plain)
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
    }

    /// A table with its schema before it, each part quoted by itself. A part that is quoted already stays.
    pub fn quote_table(self, name: &str) -> String {
        let is_quoted =
            |part: &str| part.len() > 1 && part.starts_with(['"', '`', '[']) && part.ends_with(['"', '`', ']']);
        name.split('.')
            .map(str::trim)
            .map(|part| match is_quoted(part) || self.folds(part) {
                true => part.to_owned(),
                false => self.quote_identifier(part),
            })
            .collect::<Vec<_>>()
            .join(".")
    }

    /// A column of a new table, so that nobody has to write quotes to name it.
    pub fn new_column(self, name: &str) -> String {
        match self {
            Self::PostgreSql => self.quote_identifier(&name.to_lowercase()),
            Self::Oracle if self.folds(name) => self.quote_identifier(&name.to_uppercase()),
            // Who knows how it folds.
            Self::Standard if self.folds(name) => name.to_owned(),
            _ => self.quote_identifier(name),
        }
    }

    /// Takes the rows out of a table: inside the transaction that is open, where there is one.
    pub fn emptying(self, table: &str) -> String {
        let word = if self == Self::Hive { "TRUNCATE TABLE" } else { "DELETE FROM" };
        format!("{word} {}", self.quote_table(table))
    }

    /// Is a table that was made gone again after a rollback?
    pub fn takes_back_tables(self) -> bool {
        !matches!(self, Self::MySql | Self::Oracle | Self::Hive)
    }

    pub fn dropping(self, table: &str) -> String {
        let if_there = if self == Self::Oracle { "" } else { "IF EXISTS " };
        format!("DROP TABLE {if_there}{}", self.quote_table(table))
    }

    /// Sets a mark within a transaction, and goes back to it.
    pub fn mark(self) -> Option<[&'static str; 2]> {
        match self {
            Self::SqlServer => Some(["SAVE TRANSACTION piece", "ROLLBACK TRANSACTION piece"]),
            Self::Hive => None,
            _ => Some(["SAVEPOINT piece", "ROLLBACK TO SAVEPOINT piece"]),
        }
    }

    /// Gives a mark up. Elsewhere the next one takes its place.
    pub fn unmark(self) -> Option<&'static str> {
        let has = matches!(self, Self::MySql | Self::PostgreSql | Self::Sqlite | Self::Standard);
        has.then_some("RELEASE SAVEPOINT piece")
    }

    /// A value as a literal that no value can leave, in whatever mode the session is. Its type follows from where
    /// it stands, as with a placeholder.
    pub(super) fn literal(self, value: &str) -> String {
        match self {
            // The mode decides what a backslash means, the character set which bytes end a string: hexadecimal
            // digits mean the same everywhere.
            Self::MySql => {
                if value.bytes().all(|byte| (b' '..=b'~').contains(&byte) && !b"'\"\\".contains(&byte)) {
                    format!("'{value}'")
                } else {
                    format!("_utf8mb4 X'{}'", hex::encode_upper(value))
                }
            }
            Self::Hive => format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'")),
            Self::PostgreSql if value.contains('\\') => {
                format!("E'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
            }
            Self::PostgreSql | Self::Sqlite | Self::Oracle | Self::SqlServer | Self::Standard => {
                format!("'{}'", value.replace('\'', "''"))
            }
        }
    }

    /// The statement with its values in place of the placeholders.
    // Drivers of ODBC and SQLite bind every value.
    #[cfg_attr(not(any(feature = "postgres", feature = "mysql")), allow(dead_code))]
    pub(super) fn with_literals(self, statement: &Statement) -> String {
        let mut out = String::with_capacity(statement.text.len());
        let mut from = 0;
        for (at, value) in statement.params.iter().zip(&statement.values) {
            // Blanks, so that a literal joins no word beside it.
            let _ = write!(out, "{} {} ", &statement.text[from..*at], self.literal(value));
            from = at + 1;
        }
        out.push_str(&statement.text[from..]);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_leaves_its_literal() {
        assert_eq!(Dialect::PostgreSql.literal("a'b"), "'a''b'");
        assert_eq!(Dialect::PostgreSql.literal("a\\'b"), "E'a\\\\''b'");
        assert_eq!(Dialect::MySql.literal("2026-11-27 a%"), "'2026-11-27 a%'");
        assert_eq!(Dialect::MySql.literal("\\'"), "_utf8mb4 X'5C27'");
        assert_eq!(Dialect::MySql.literal("数"), "_utf8mb4 X'E695B0'");
    }

    #[test]
    fn names_are_quoted_by_parts() {
        assert_eq!(Dialect::MySql.quote_table("wf.a`b"), "`wf`.`a``b`");
        assert_eq!(Dialect::PostgreSql.quote_table("ods.\"Order\""), "\"ods\".\"Order\"");
        assert_eq!(Dialect::SqlServer.quote_table("dbo.a]b"), "[dbo].[a]]b]");
        assert_eq!(Dialect::Oracle.quote_table("ods.orders.\"Mixed\".a b"), "ods.orders.\"Mixed\".\"a b\"");
    }
}
