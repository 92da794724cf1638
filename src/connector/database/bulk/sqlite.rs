//! SQLite: one prepared INSERT for all rows, and rows of a query in batches. Both on the thread of the connection.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ffi};
use tokio::sync::{mpsc, oneshot};

use super::super::Column;
use super::super::error::{DatabaseError, ErrorKind};
use super::super::sqlite::{Failed, Job, Session, bind, columns_of, error_of, lost, real};
use super::super::types::Form;
use super::{Fetched, Insert};
use crate::connector::database::split::Statement;
use crate::connector::link::DbLink;
use crate::connector::rows::{Batch, binary};

impl Session {
    pub(in super::super) async fn bulk_insert(
        &mut self,
        link: &DbLink,
        insert: &Insert,
        rows: mpsc::Receiver<Batch>,
        is_cancelled: &Arc<AtomicBool>,
    ) -> Result<u64, DatabaseError> {
        let (sql, forms, is_cancelled) = (insert.prepared(|_| "?"), insert.forms.clone(), is_cancelled.clone());
        self.bulk(link, move |link, connection| {
            insert_together(connection, &sql, &forms, rows, &is_cancelled).map_err(|(error, n)| {
                let mut found = error_of(link, &error, None, ErrorKind::Statement);
                found.row = Some(n + 1).filter(|_| found.kind == ErrorKind::Statement);
                Box::new(found)
            })
        })
        .await
    }

    pub(in super::super) async fn fetch(
        &mut self,
        link: &DbLink,
        statement: &Statement,
        fetched: Fetched,
    ) -> Result<u64, DatabaseError> {
        let statement = statement.clone();
        self.bulk(link, move |link, connection| {
            fetch(connection, &statement, fetched)
                .map_err(|error| Box::new(error_of(link, &error, Some(&statement), ErrorKind::Statement)))
        })
        .await
    }

    async fn bulk(
        &mut self,
        link: &DbLink,
        work: impl FnOnce(&DbLink, &Connection) -> Result<u64, Failed> + Send + 'static,
    ) -> Result<u64, DatabaseError> {
        let (done, answer) = oneshot::channel();
        let job = Job::Bulk(Box::new(move |link, connection| {
            // Nobody waits any more where this cannot be sent.
            let _ = done.send(work(link, connection));
        }));
        self.send(job).map_err(|_| lost(link))?;
        answer.await.map_err(|_| lost(link))?.map_err(|error| *error)
    }
}

/// With an error, how many rows went before it.
fn insert_together(
    connection: &Connection,
    sql: &str,
    forms: &[Form],
    rows: mpsc::Receiver<Batch>,
    is_cancelled: &AtomicBool,
) -> Result<u64, (rusqlite::Error, u64)> {
    // One commit for all of them, unless the caller has a transaction already.
    let own = connection.is_autocommit();
    if own {
        connection.execute_batch("BEGIN").map_err(|error| (error, 0))?;
    }
    let result = insert_all(connection, sql, forms, rows, is_cancelled);
    if own {
        let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
        connection.execute_batch(end).map_err(|error| (error, 0))?;
    }
    result
}

fn insert_all(
    connection: &Connection,
    sql: &str,
    forms: &[Form],
    mut rows: mpsc::Receiver<Batch>,
    is_cancelled: &AtomicBool,
) -> Result<u64, (rusqlite::Error, u64)> {
    let mut prepared = connection.prepare(sql).map_err(|error| (error, 0))?;
    let mut n = 0;
    while let Some(batch) = rows.blocking_recv() {
        for row in batch.rows() {
            for (at, value) in row.enumerate() {
                let bytes = value.filter(|_| forms.get(at) == Some(&Form::Binary)).and_then(binary);
                let value = match (&bytes, value) {
                    (Some(bytes), _) => ValueRef::Blob(bytes),
                    (None, Some(value)) => ValueRef::Text(value),
                    (None, None) => ValueRef::Null,
                };
                prepared.raw_bind_parameter(at + 1, ToSqlOutput::Borrowed(value)).map_err(|error| (error, n))?;
            }
            prepared.raw_execute().map_err(|error| (error, n))?;
            n += 1;
        }
        // Between two rows there is nothing that an interrupt could end.
        if is_cancelled.load(Ordering::SeqCst) {
            break;
        }
    }
    if is_cancelled.load(Ordering::SeqCst) {
        return Err((rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_INTERRUPT), None), n));
    }
    Ok(n)
}

/// What reads the rows out of a temporary table, which is a file by itself. `None`: it does not have to be (beside a WAL
/// readers are in nobody's way) or cannot (`pragma …` is no query, and gives few rows).
fn set_aside<'c>(
    connection: &'c Connection,
    statement: &Statement,
) -> rusqlite::Result<Option<rusqlite::Statement<'c>>> {
    let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let create = format!("CREATE TEMP TABLE rows_set_aside AS\n{}", statement.text);
    if journal == "wal" {
        return Ok(None);
    }
    connection.pragma_update(None, "temp_store", "FILE")?;
    let Ok(mut create) = connection.prepare(&create) else { return Ok(None) };
    bind(&mut create, statement)?;
    create.raw_execute()?;
    connection.prepare("SELECT * FROM temp.rows_set_aside ORDER BY rowid").map(Some)
}

fn fetch(connection: &Connection, statement: &Statement, fetched: Fetched) -> rusqlite::Result<u64> {
    let mut prepared = connection.prepare(&statement.text)?;
    bind(&mut prepared, statement)?;
    let columns: Vec<Column> = columns_of(&prepared);
    if fetched.frees_file && prepared.readonly() {
        prepared = set_aside(connection, statement)?.unwrap_or(prepared);
    }
    let n_columns = columns.len();
    let _ = fetched.columns.send(columns);
    let (mut batch, mut n) = (Batch::new(n_columns, 1), 0);
    let mut rows = prepared.raw_query();
    while let Some(row) = rows.next()? {
        for at in 0..n_columns {
            match row.get_ref(at)? {
                ValueRef::Null => batch.push_null(),
                // Into memory it never fails.
                ValueRef::Integer(number) => drop(batch.push_with(|out| write!(out, "{number}"))),
                ValueRef::Real(number) => batch.push(real(number).as_bytes()),
                ValueRef::Text(text) => match std::str::from_utf8(text) {
                    Ok(_) => batch.push(text),
                    Err(_) => batch.push(String::from_utf8_lossy(text).as_bytes()),
                },
                ValueRef::Blob(bytes) => batch.push_binary(bytes),
            }
        }
        n += 1;
        if let Some(full) = batch.take_full()
            && fetched.rows.blocking_send(full).is_err()
        {
            return Ok(n);
        }
    }
    if !batch.is_empty() {
        // Nobody is left to read what cannot be sent.
        let _ = fetched.rows.blocking_send(batch);
    }
    Ok(n)
}
