//! Comments of tables and columns, set without touching anything else of them.
//!
//! PostgreSQL has statements for it. MySQL and MariaDB take a whole definition of a column, so the one that the server
//! itself writes is sent back with another comment: type, default, collation, checks, … stay as they are.

use super::Database;
use super::dialect::Dialect;
use super::error::{DatabaseError, ErrorKind};
use super::split::Statement;
use crate::say;

/// New comments of a table and of some of its columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comments {
    /// `None` leaves its own as it is.
    pub table: Option<String>,
    pub columns: Vec<(String, String)>,
}

/// All of them or none.
pub(super) async fn set(database: &mut Database, table: &str, comments: &Comments) -> Result<(), DatabaseError> {
    if comments.table.is_none() && comments.columns.is_empty() {
        return Ok(());
    }
    let dialect = database.dialect();
    let (quoted, literal) = (dialect.quote_table(table), |text: &str| dialect.literal(text));
    match dialect {
        Dialect::PostgreSql => {
            let column = |(name, text): &(String, String)| {
                format!("COMMENT ON COLUMN {quoted}.{} IS {}", dialect.quote_identifier(name), literal(text))
            };
            let of_table = comments.table.iter().map(|text| format!("COMMENT ON TABLE {quoted} IS {}", literal(text)));
            let statements: Vec<String> = of_table.chain(comments.columns.iter().map(column)).collect();
            database.begin().await?;
            for statement in statements {
                if let Err(error) = database.execute(&Statement::new(statement)).await {
                    // The first error counts; a connection that is gone has rolled back by itself.
                    let _ = database.rollback().await;
                    return Err(error);
                }
            }
            database.commit().await
        }
        Dialect::MySql => {
            // In other modes names are quoted in another way, and a default of old may be refused.
            database.execute(&Statement::new("SET SESSION sql_mode = '', sql_quote_show_create = 1")).await?;
            let shown = database.rows(&Statement::new(format!("SHOW CREATE TABLE {quoted}")), 1).await?;
            let shown = shown.into_iter().next().and_then(|row| row.into_iter().nth(1).flatten()).unwrap_or_default();
            let mut changes = Vec::new();
            for (name, text) in &comments.columns {
                let definition = definition(&shown, &dialect.quote_identifier(name)).ok_or_else(|| {
                    let text = say!("the definition of column {} cannot be read from SHOW CREATE TABLE", name.as_str());
                    DatabaseError::new(database.link(), ErrorKind::Statement, text)
                })?;
                changes.push(format!("MODIFY COLUMN {}", with_comment(definition, &literal_of_mysql(text))));
            }
            changes.extend(comments.table.iter().map(|text| format!("COMMENT = {}", literal_of_mysql(text))));
            let alter = format!("ALTER TABLE {quoted} {}", changes.join(", "));
            database.execute(&Statement::new(alter)).await.map(|_| ())
        }
        Dialect::Sqlite => {
            let text = say!("{} keeps no comments of tables and columns", database.link().kind.title());
            Err(DatabaseError::new(database.link(), ErrorKind::Statement, text))
        }
        Dialect::Oracle | Dialect::SqlServer | Dialect::Hive | Dialect::Standard => {
            let kind = database.link().kind.title();
            let text = say!("comments are set in PostgreSQL, MySQL and MariaDB, not in {}", kind);
            Err(DatabaseError::new(database.link(), ErrorKind::Statement, text))
        }
    }
}

/// A comment takes no hexadecimal digits; the mode is ours here.
fn literal_of_mysql(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// The line of one column, without what separates it from the next.
fn definition<'s>(shown: &'s str, quoted: &str) -> Option<&'s str> {
    let mut from = shown.find('(')? + 1;
    for end in tops(shown, from) {
        let line = shown[from..end].trim();
        if line.strip_prefix(quoted).is_some_and(|rest| rest.starts_with(' ')) {
            return Some(line);
        }
        from = end + 1;
    }
    None
}

/// Where the parts of a list end: at commas outside of parentheses and quotes, and at what closes it.
fn tops(text: &str, from: usize) -> Vec<usize> {
    let mut ends = Vec::new();
    for (at, c, depth) in plain(text, from) {
        match c {
            ',' if depth == 0 => ends.push(at),
            ')' if depth < 0 => {
                ends.push(at);
                break;
            }
            _ => {}
        }
    }
    ends
}

/// Characters outside of quotes, with how many parentheses are open behind each.
fn plain(text: &str, from: usize) -> Vec<(usize, char, i32)> {
    let (mut found, mut depth) = (Vec::new(), 0);
    let mut rest = text[from..].char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        match c {
            '\'' | '`' | '"' => {
                // Two of them stand for one: they end and begin again, which comes to the same.
                while let Some((_, inner)) = rest.next() {
                    if inner == '\\' && c != '`' {
                        rest.next();
                    } else if inner == c {
                        break;
                    }
                }
                continue;
            }
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        found.push((from + at, c, depth));
    }
    found
}

/// The definition with this comment in place of its own. It stands before a rule of the column, as servers want it.
fn with_comment(definition: &str, literal: &str) -> String {
    let word = |word: &str| {
        let plain = plain(definition, 0);
        let at = plain.iter().position(|(at, _, depth)| {
            *depth == 0 && definition[*at..].starts_with(word) && definition[..*at].ends_with(' ')
        });
        at.map(|at| plain[at].0)
    };
    if let Some(at) = word("COMMENT '") {
        let begin = at + "COMMENT ".len();
        let end = plain(definition, begin).first().map_or(definition.len(), |(end, ..)| *end);
        return format!("{}COMMENT {literal}{}", &definition[..at], &definition[end..]);
    }
    match word("CHECK (") {
        Some(at) => format!("{}COMMENT {literal} {}", &definition[..at], &definition[at..]),
        None => format!("{definition} COMMENT {literal}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: &str = "CREATE TABLE `t` (\n  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,\n  \
        `a,b` enum('x','y,)''z') DEFAULT 'y,)''z' COMMENT 'old, it''s \\\\' CHECK (`a,b` <> ')'),\n  \
        `c` decimal(10,2) GENERATED ALWAYS AS (`id` * (1 + 2)) VIRTUAL,\n  \
        `d` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`d`)),\n  \
        PRIMARY KEY (`id`),\n  KEY `c` (`c`)\n) ENGINE=InnoDB COMMENT='t'";

    #[test]
    fn a_definition_keeps_everything_but_its_comment() {
        let changed = |name: &str| with_comment(definition(SHOWN, name).unwrap(), "'新'");
        assert_eq!(changed("`id`"), "`id` bigint(20) unsigned NOT NULL AUTO_INCREMENT COMMENT '新'");
        let known = changed("`a,b`");
        assert_eq!(known, "`a,b` enum('x','y,)''z') DEFAULT 'y,)''z' COMMENT '新' CHECK (`a,b` <> ')')");
        assert_eq!(changed("`c`"), "`c` decimal(10,2) GENERATED ALWAYS AS (`id` * (1 + 2)) VIRTUAL COMMENT '新'");
        let checked =
            "`d` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL COMMENT '新' CHECK (json_valid(`d`))";
        assert_eq!(changed("`d`"), checked);
        assert_eq!(definition(SHOWN, "`e`"), None);
        assert_eq!(literal_of_mysql("it's \\"), "'it''s \\\\'");
    }
}
