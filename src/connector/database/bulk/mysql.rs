//! MySQL and MariaDB: LOAD DATA LOCAL where the server lets us, else INSERT of many rows at once; rows of a query
//! as they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::StreamExt;
use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::prelude::Queryable;
use mysql_async::{Error, QueryResult, TextProtocol, Value};
use tokio::sync::{Mutex, mpsc};

use super::super::Column;
use super::super::cancelled;
use super::super::dialect::Dialect;
use super::super::error::{DatabaseError, ErrorKind};
use super::super::mysql::{BINARY_CHARSET, Session, bits, error_of};
use super::super::types::Form;
use super::{Fetched, Insert, PIECE_BYTES, STRICT_MYSQL, WIRE_BYTES, push_line};
use crate::connector::database::split::Statement;
use crate::connector::link::DbLink;
use crate::connector::rows::Batch;

/// An INSERT of many rows stays below what servers take by default (16 MiB, older ones 4).
const INSERT_BYTES: usize = 1 << 20;
const INSERT_ROWS: usize = 1000;
/// Notes (a decimal was rounded) are no errors, here as elsewhere. The other side may be slow.
const SETTINGS: &str = "sql_notes = 0, net_read_timeout = 86400, net_write_timeout = 86400";

impl Insert {
    /// The beginning of one statement for many rows.
    fn head(&self) -> String {
        format!("INSERT INTO {} ({}) VALUES ", self.table, self.columns)
    }

    /// `(…)` of one row.
    fn push_values<'v>(&self, row: impl Iterator<Item = Option<&'v [u8]>>, out: &mut Vec<u8>) {
        out.push(b'(');
        for (at, (value, form)) in row.zip(&self.forms).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            match value {
                None => out.extend_from_slice(b"NULL"),
                Some(value) => push_literal(value, *form, out),
            }
        }
        out.push(b')');
    }

    /// Hexadecimal digits mean the same in every mode of the session.
    fn load(&self) -> String {
        let (mut places, mut sets) = (Vec::new(), Vec::new());
        for (at, (name, form)) in self.names.iter().zip(&self.forms).enumerate() {
            let computed = match form {
                Form::Plain | Form::Number | Form::Time => None,
                Form::Binary => {
                    Some(format!("IF(LEFT(@v{at}, 2) = X'5C78', UNHEX(SUBSTRING(@v{at}, 3)), CAST(@v{at} AS BINARY))"))
                }
                Form::Bits => Some(format!("CAST(@v{at} AS UNSIGNED)")),
            };
            match computed {
                None => places.push(name.clone()),
                Some(value) => {
                    places.push(format!("@v{at}"));
                    sets.push(format!("{name} = {value}"));
                }
            }
        }
        let sets = if sets.is_empty() { String::new() } else { format!(" SET {}", sets.join(", ")) };
        format!(
            "LOAD DATA LOCAL INFILE 'rows' INTO TABLE {} CHARACTER SET utf8mb4 FIELDS TERMINATED BY X'09' ESCAPED BY X'5C' LINES TERMINATED BY X'0A' ({}){sets}",
            self.table,
            places.join(", ")
        )
    }
}

/// What no mode and no character set reads in another way.
fn push_literal(value: &[u8], form: Form, out: &mut Vec<u8>) {
    let hexadecimal = |digits: &[u8], out: &mut Vec<u8>| {
        out.extend_from_slice(b"X'");
        out.extend_from_slice(digits);
        out.push(b'\'');
    };
    let digits = value.strip_prefix(b"\\x").filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    match (form, digits) {
        (Form::Binary, Some(digits)) if digits.len() % 2 == 0 => hexadecimal(digits, out),
        (Form::Bits, _) if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => out.extend_from_slice(value),
        _ if value.iter().all(|byte| (b' '..=b'~').contains(byte) && !b"'\"\\".contains(byte)) => {
            out.push(b'\'');
            out.extend_from_slice(value);
            out.push(b'\'');
        }
        _ => {
            out.extend_from_slice(b"_utf8mb4 ");
            hexadecimal(hex::encode_upper(value).as_bytes(), out);
        }
    }
}

/// What a load is fed from: the rows, and the batch that stopped the piece before.
struct Feed {
    rows: mpsc::Receiver<Batch>,
    next: Option<Batch>,
    n_sent: usize,
}

impl Session {
    pub(in super::super) async fn bulk_insert(
        &mut self,
        link: &DbLink,
        insert: &Insert,
        rows: mpsc::Receiver<Batch>,
        is_cancelled: &Arc<AtomicBool>,
    ) -> Result<u64, DatabaseError> {
        let failed = |error: Error| error_of(link, &error, None);
        self.conn().query_drop(format!("{STRICT_MYSQL}, {SETTINGS}")).await.map_err(failed)?;
        let may_load: Option<i64> = self.conn().query_first("SELECT @@local_infile").await.map_err(failed)?;
        match may_load {
            Some(1) => self.load(link, insert, rows, is_cancelled.clone()).await,
            _ => self.insert(link, insert, rows, is_cancelled).await,
        }
    }

    /// The server turns what it cannot store into a warning here: each is an error of ours.
    async fn load(
        &mut self,
        link: &DbLink,
        insert: &Insert,
        mut rows: mpsc::Receiver<Batch>,
        is_cancelled: Arc<AtomicBool>,
    ) -> Result<u64, DatabaseError> {
        let (load, mut n_loaded) = (insert.load(), 0);
        let next = rows.recv().await;
        let feed = Arc::new(Mutex::new(Feed { rows, next, n_sent: 0 }));
        while feed.lock().await.next.is_some() {
            feed.lock().await.n_sent = 0;
            let (own, flag) = (feed.clone(), is_cancelled.clone());
            self.conn().set_infile_handler(async move {
                let lines = futures_util::stream::unfold((own, flag), |(own, flag)| async move {
                    let mut feed = own.lock().await;
                    if feed.n_sent >= PIECE_BYTES || flag.load(Ordering::SeqCst) {
                        return None;
                    }
                    let batch = feed.next.take()?;
                    let mut lines = Vec::with_capacity(batch.n_bytes() + batch.n_bytes() / 8 + WIRE_BYTES);
                    batch.rows().for_each(|row| push_line(row, &mut lines));
                    drop(batch);
                    feed.n_sent += lines.len();
                    feed.next = feed.rows.recv().await;
                    drop(feed);
                    Some((Ok(Bytes::from(lines)), (own, flag)))
                });
                Ok(lines.boxed())
            });
            let loaded = self.conn().query_drop(&load).await;
            loaded.map_err(|error| load_error(link, error_of(link, &error, None), n_loaded))?;
            if is_cancelled.load(Ordering::SeqCst) {
                return Err(cancelled(link));
            }
            let n = self.conn().affected_rows();
            if self.conn().get_warnings() > 0 {
                return Err(self.first_warning(link, n_loaded).await);
            }
            n_loaded += n;
        }
        if is_cancelled.load(Ordering::SeqCst) { Err(cancelled(link)) } else { Ok(n_loaded) }
    }

    async fn first_warning(&mut self, link: &DbLink, n_before: u64) -> DatabaseError {
        let first = self.conn().query_first::<(String, u16, String), _>("SHOW WARNINGS LIMIT 1").await;
        let (_, code, text) = match first {
            Ok(first) => first.unwrap_or_default(),
            Err(error) => return error_of(link, &error, None),
        };
        let mut error = DatabaseError::quoting(link, ErrorKind::Statement, &text);
        error.code = Some(format!("MySQL {code}"));
        load_error(link, error, n_before)
    }

    async fn insert(
        &mut self,
        link: &DbLink,
        insert: &Insert,
        mut rows: mpsc::Receiver<Batch>,
        is_cancelled: &AtomicBool,
    ) -> Result<u64, DatabaseError> {
        let head = insert.head().into_bytes();
        let (mut text, mut n_waiting, mut n) = (head.clone(), 0, 0);
        loop {
            let batch = rows.recv().await;
            if is_cancelled.load(Ordering::SeqCst) {
                return Err(cancelled(link));
            }
            for row in batch.iter().flat_map(|batch| batch.rows()) {
                if n_waiting > 0 {
                    text.push(b',');
                }
                insert.push_values(row, &mut text);
                n_waiting += 1;
                if n_waiting >= INSERT_ROWS || text.len() >= INSERT_BYTES {
                    n += self.flush(link, &mut text, &head, n).await?;
                    n_waiting = 0;
                }
            }
            if batch.is_none() {
                break;
            }
        }
        if n_waiting > 0 {
            n += self.flush(link, &mut text, &head, n).await?;
        }
        Ok(n)
    }

    async fn flush(&mut self, link: &DbLink, text: &mut Vec<u8>, head: &[u8], n: u64) -> Result<u64, DatabaseError> {
        let sent = std::mem::replace(text, head.to_vec());
        let done = self.conn().query_drop(sent).await;
        done.map_err(|error| load_error(link, error_of(link, &error, None), n))?;
        Ok(self.conn().affected_rows())
    }

    pub(in super::super) async fn fetch(
        &mut self,
        link: &DbLink,
        statement: &Statement,
        fetched: Fetched,
    ) -> Result<u64, DatabaseError> {
        let failed = |error: Error| error_of(link, &error, Some(statement));
        self.conn().query_drop(format!("{STRICT_MYSQL}, {SETTINGS}")).await.map_err(failed)?;
        let asked = self.conn().query_iter(Dialect::MySql.with_literals(statement)).await.map(|_| ());
        asked.map_err(failed)?;
        let mut result = QueryResult::<TextProtocol>::new(self.conn());
        let columns = result.columns().unwrap_or_default();
        if fetched.columns.send(columns.iter().map(column).collect()).is_err() {
            return Ok(0);
        }
        let (mut batch, mut n) = (Batch::new(columns.len(), 1), 0);
        while let Some(row) = result.next().await.map_err(failed)? {
            for (value, column) in row.unwrap().into_iter().zip(columns.iter()) {
                push_value(value, column, &mut batch);
            }
            n += 1;
            if let Some(full) = batch.take_full()
                && fetched.rows.send(full).await.is_err()
            {
                return Ok(n);
            }
        }
        if !batch.is_empty() {
            // Nobody is left to read what cannot be sent.
            let _ = fetched.rows.send(batch).await;
        }
        Ok(n)
    }
}

fn push_value(value: Value, column: &mysql_async::Column, batch: &mut Batch) {
    let bytes = match value {
        Value::NULL => return batch.push_null(),
        Value::Bytes(bytes) => bytes,
        // The text protocol has no others.
        other => return batch.push(other.as_sql(true).trim_matches('\'').as_bytes()),
    };
    if column.column_type() == ColumnType::MYSQL_TYPE_BIT && bytes.len() <= 8 {
        batch.push(bits(&bytes).to_string().as_bytes());
    } else if is_binary(column) {
        batch.push_binary(&bytes);
    } else if std::str::from_utf8(&bytes).is_ok() {
        batch.push(&bytes);
    } else {
        batch.push(String::from_utf8_lossy(&bytes).as_bytes());
    }
}

/// Numbers and times carry the character set of bytes too.
fn is_binary(column: &mysql_async::Column) -> bool {
    use ColumnType::*;
    column.character_set() == BINARY_CHARSET
        && matches!(
            column.column_type(),
            MYSQL_TYPE_TINY_BLOB
                | MYSQL_TYPE_MEDIUM_BLOB
                | MYSQL_TYPE_LONG_BLOB
                | MYSQL_TYPE_BLOB
                | MYSQL_TYPE_VARCHAR
                | MYSQL_TYPE_VAR_STRING
                | MYSQL_TYPE_STRING
                | MYSQL_TYPE_GEOMETRY
        )
}

/// With the type that a table would be created with.
fn column(column: &mysql_async::Column) -> Column {
    use ColumnType::*;
    let length = column.column_length();
    let unsigned = if column.flags().contains(ColumnFlags::UNSIGNED_FLAG) { " unsigned" } else { "" };
    let integer = |word: &str| format!("{word}{unsigned}");
    // In the characters of the connection, which have four bytes at most.
    let text = |word: &str| if length / 4 > 16_383 { "longtext".to_owned() } else { format!("{word}({})", length / 4) };
    let is_binary = is_binary(column);
    let type_name = match column.column_type() {
        MYSQL_TYPE_TINY if length == 1 => "tinyint(1)".to_owned(),
        MYSQL_TYPE_TINY => integer("tinyint"),
        MYSQL_TYPE_SHORT => integer("smallint"),
        MYSQL_TYPE_INT24 => integer("mediumint"),
        MYSQL_TYPE_LONG => integer("int"),
        MYSQL_TYPE_LONGLONG => integer("bigint"),
        MYSQL_TYPE_DECIMAL | MYSQL_TYPE_NEWDECIMAL => {
            let scale = u32::from(column.decimals());
            let signs = u32::from(scale > 0) + u32::from(unsigned.is_empty());
            format!("decimal({},{scale})", length.saturating_sub(signs).clamp(1, 65).max(scale))
        }
        MYSQL_TYPE_FLOAT => "float".to_owned(),
        MYSQL_TYPE_DOUBLE => "double".to_owned(),
        MYSQL_TYPE_DATE | MYSQL_TYPE_NEWDATE => "date".to_owned(),
        MYSQL_TYPE_TIME | MYSQL_TYPE_TIME2 => "time(6)".to_owned(),
        MYSQL_TYPE_DATETIME | MYSQL_TYPE_DATETIME2 => "datetime(6)".to_owned(),
        MYSQL_TYPE_TIMESTAMP | MYSQL_TYPE_TIMESTAMP2 => "timestamp(6)".to_owned(),
        MYSQL_TYPE_YEAR => "year".to_owned(),
        MYSQL_TYPE_BIT => format!("bit({})", length.clamp(1, 64)),
        MYSQL_TYPE_JSON => "json".to_owned(),
        MYSQL_TYPE_VARCHAR | MYSQL_TYPE_VAR_STRING | MYSQL_TYPE_STRING if is_binary && length <= 65_000 => {
            format!("varbinary({length})")
        }
        _ if is_binary => "longblob".to_owned(),
        MYSQL_TYPE_STRING | MYSQL_TYPE_VARCHAR | MYSQL_TYPE_VAR_STRING => text("varchar"),
        MYSQL_TYPE_TINY_BLOB | MYSQL_TYPE_MEDIUM_BLOB | MYSQL_TYPE_LONG_BLOB | MYSQL_TYPE_BLOB => "longtext".to_owned(),
        _ => "text".to_owned(),
    };
    Column { name: column.name_str().into_owned(), type_name }
}

/// `Data too long for column 'b' at row 3`: of the statement, or of the piece.
fn load_error(link: &DbLink, mut error: DatabaseError, n_before: u64) -> DatabaseError {
    let text = error.text.english();
    let Some((text, row)) = text.rsplit_once(" at row ") else { return error };
    let Ok(row) = row.trim().parse::<u64>() else { return error };
    if error.kind == ErrorKind::Statement {
        error.row = Some(n_before + row);
        error.text = DatabaseError::quoting(link, error.kind, text).text;
    }
    error
}

#[cfg(test)]
mod tests {
    use super::super::TableColumn;
    use super::*;

    fn insert(types: &[&str]) -> Insert {
        let column = |kind: &&str| TableColumn {
            name: format!("c {kind}"),
            type_name: (*kind).to_owned(),
            is_nullable: true,
            is_generated: false,
            comment: String::new(),
        };
        Insert::new(Dialect::MySql, "t", &types.iter().map(column).collect::<Vec<_>>())
    }

    #[test]
    fn bytes_and_bits_are_computed_from_text() {
        let load = insert(&["int(11)", "blob", "bit(3)"]).load();
        assert!(load.contains("(`c int(11)`, @v1, @v2) SET `c blob` = IF(LEFT(@v1, 2)"), "{load}");
        assert!(load.ends_with("`c bit(3)` = CAST(@v2 AS UNSIGNED)"), "{load}");
        let mut out = Vec::new();
        let row: [Option<&[u8]>; 3] = [Some(b"it's"), Some(b"\\x00ff"), Some(b"5")];
        insert(&["text", "blob", "bit(3)"]).push_values(row.into_iter(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "(_utf8mb4 X'69742773',X'00ff',5)");
    }
}
