//! PostgreSQL: COPY, in both directions.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio_postgres::types::Type;

use super::super::dialect::Dialect;
use super::super::error::{DatabaseError, ErrorKind};
use super::super::postgres::{Session, error_of};
use super::super::{Column, cancelled};
use super::{Fetched, Insert, PIECE_BYTES, WIRE_BYTES, push_line};
use crate::connector::database::split::Statement;
use crate::connector::link::DbLink;
use crate::connector::rows::Batch;

impl Insert {
    fn copy(&self) -> String {
        format!("COPY {} ({}) FROM STDIN", self.table, self.columns)
    }
}

impl Session {
    pub(in super::super) async fn bulk_insert(
        &mut self,
        link: &DbLink,
        insert: &Insert,
        mut rows: mpsc::Receiver<Batch>,
        is_cancelled: &AtomicBool,
    ) -> Result<u64, DatabaseError> {
        let (copy, mut n_copied) = (insert.copy(), 0);
        let is_over = || is_cancelled.load(Ordering::SeqCst);
        let mut next = rows.recv().await;
        while next.is_some() {
            let failed = |error: tokio_postgres::Error| load_error(link, &error, n_copied);
            let sink = self.client().copy_in::<_, Bytes>(&copy).await.map_err(failed)?;
            let mut sink = pin!(sink);
            let (mut lines, mut n_sent) = (Vec::with_capacity(2 * WIRE_BYTES), 0);
            // A cancel that came before the COPY found nothing to end. Dropped without its end, a COPY is taken back.
            while let Some(batch) = next.take().filter(|_| !is_over()) {
                for row in batch.rows() {
                    push_line(row, &mut lines);
                    if lines.len() >= WIRE_BYTES {
                        n_sent += lines.len();
                        let piece = std::mem::replace(&mut lines, Vec::with_capacity(2 * WIRE_BYTES));
                        sink.send(Bytes::from(piece)).await.map_err(failed)?;
                    }
                }
                drop(batch);
                next = rows.recv().await;
                if n_sent >= PIECE_BYTES {
                    break;
                }
            }
            if is_over() {
                return Err(cancelled(link));
            }
            sink.send(Bytes::from(lines)).await.map_err(failed)?;
            n_copied += sink.finish().await.map_err(failed)?;
        }
        if is_over() { Err(cancelled(link)) } else { Ok(n_copied) }
    }

    pub(in super::super) async fn fetch(
        &mut self,
        link: &DbLink,
        statement: &Statement,
        fetched: Fetched,
    ) -> Result<u64, DatabaseError> {
        let failed = |error: tokio_postgres::Error| error_of(link, &error, Some(statement));
        let text = Dialect::PostgreSql.with_literals(statement);
        let prepared = self.client().prepare(&text).await.map_err(failed)?;
        let types: Vec<&Type> = prepared.columns().iter().map(|column| column.type_()).collect();
        let columns = prepared.columns().iter().map(|column| Column {
            name: column.name().to_owned(),
            type_name: type_name(column.type_(), column.type_modifier()),
        });
        // Whoever does not want the columns any more takes no rows either.
        if fetched.columns.send(columns.collect()).is_err() {
            return Ok(0);
        }
        let copy = format!("COPY ({}\n) TO STDOUT", plain(&text, &types, fetched.has_zones));
        let mut pieces = pin!(self.client().copy_out(&copy).await.map_err(failed)?);
        let (mut batch, mut rest, mut n) = (Batch::new(types.len(), 1), Vec::new(), 0);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(failed)?;
            let mut text: &[u8] = &piece;
            while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                let line = &text[..end];
                text = &text[end + 1..];
                if rest.is_empty() {
                    push_row(line, &mut batch);
                } else {
                    rest.extend_from_slice(line);
                    push_row(&rest, &mut batch);
                    rest.clear();
                }
                n += 1;
                if let Some(full) = batch.take_full()
                    && fetched.rows.send(full).await.is_err()
                {
                    return Ok(n);
                }
            }
            rest.extend_from_slice(text);
        }
        if !batch.is_empty() {
            // Nobody is left to read what cannot be sent.
            let _ = fetched.rows.send(batch).await;
        }
        Ok(n)
    }
}

/// The query with values as every database reads them: 1 and 0 for booleans, and times without their zone where the
/// reader knows none.
fn plain(text: &str, types: &[&Type], has_zones: bool) -> String {
    let cast = |at: usize, kind: &Type| match *kind {
        Type::BOOL => format!("c{at}::int"),
        Type::TIMESTAMPTZ if !has_zones => format!("c{at}::timestamp"),
        Type::TIMETZ if !has_zones => format!("c{at}::time"),
        _ => format!("c{at}"),
    };
    let values: Vec<String> = types.iter().enumerate().map(|(at, kind)| cast(at, kind)).collect();
    if values.iter().all(|value| !value.contains("::")) {
        return text.to_owned();
    }
    let names: Vec<String> = (0..types.len()).map(|at| format!("c{at}")).collect();
    format!("SELECT {} FROM ({text}\n) AS q({})", values.join(", "), names.join(", "))
}

/// As a table would be created with it.
fn type_name(kind: &Type, modifier: i32) -> String {
    let size = modifier - 4;
    match *kind {
        Type::NUMERIC if size >= 0 => format!("numeric({},{})", size >> 16, size & 0x7ff),
        Type::VARCHAR | Type::BPCHAR if size > 0 => {
            format!("{}({size})", if *kind == Type::BPCHAR { "char" } else { "varchar" })
        }
        Type::BPCHAR => "text".to_owned(),
        _ => kind.name().to_owned(),
    }
}

/// One line of COPY, without its end.
fn push_row(line: &[u8], batch: &mut Batch) {
    for value in line.split(|byte| *byte == b'\t') {
        if value == b"\\N" {
            batch.push_null();
        } else if value.contains(&b'\\') {
            batch.push_with(|out| unescape(value, out));
        } else {
            batch.push(value);
        }
        // A row without columns is an empty line.
        if batch.n_columns() == 0 {
            return;
        }
    }
}

fn unescape(value: &[u8], out: &mut Vec<u8>) {
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        let byte = if byte == b'\\' {
            bytes.next().unwrap_or(b'\\')
        } else {
            out.push(byte);
            continue;
        };
        out.push(match byte {
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            other => other,
        });
    }
}

/// The server counts lines from the beginning of a piece; whoever reads the error counts rows.
fn load_error(link: &DbLink, error: &tokio_postgres::Error, n_before: u64) -> DatabaseError {
    let mut found = error_of(link, error, None);
    let Some(told) = error.as_db_error() else { return found };
    // `COPY t, line 3, column a: "x"`
    let place = told.where_().and_then(|place| place.split_once(", line "));
    let Some((_, place)) = place.filter(|_| found.kind == ErrorKind::Statement) else { return found };
    let digits = place.find(|c: char| !c.is_ascii_digit()).unwrap_or(place.len());
    found.row = place[..digits].parse::<u64>().ok().map(|line| line + n_before);
    let rest = place[digits..].trim_start_matches([',', ':', ' ']).lines().next().unwrap_or_default();
    let detail = told.detail().map(|detail| format!("; {detail}")).unwrap_or_default();
    let rest = if rest.starts_with("column ") { format!("; {rest}") } else { String::new() };
    found.text = DatabaseError::quoting(link, found.kind, &format!("{}{detail}{rest}", told.message())).text;
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_copy_become_values_and_back() {
        let values: [Option<&[u8]>; 5] = [Some(b"a\tb\\c\nd\re"), None, Some(b""), Some(b"\\N"), Some("数".as_bytes())];
        let mut line = Vec::new();
        push_line(values.into_iter(), &mut line);
        assert_eq!(line, "a\\tb\\\\c\\nd\\re\t\\N\t\t\\\\N\t数\n".as_bytes());
        let mut batch = Batch::new(5, 1);
        push_row(&line[..line.len() - 1], &mut batch);
        assert_eq!(batch.row(0).collect::<Vec<_>>(), values);
    }

    #[test]
    fn booleans_and_zones_are_written_for_everybody() {
        assert_eq!(plain("select 1", &[&Type::INT4, &Type::TIMESTAMPTZ], true), "select 1");
        let wrapped = plain("select b, t from x", &[&Type::BOOL, &Type::TIMESTAMPTZ], false);
        assert_eq!(wrapped, "SELECT c0::int, c1::timestamp FROM (select b, t from x\n) AS q(c0, c1)");
        assert_eq!(type_name(&Type::NUMERIC, (10 << 16) + 2 + 4), "numeric(10,2)");
        assert_eq!(type_name(&Type::VARCHAR, 24), "varchar(20)");
        assert_eq!((type_name(&Type::VARCHAR, -1), type_name(&Type::INT8, -1)), ("varchar".into(), "int8".into()));
    }
}
