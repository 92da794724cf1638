//! Many rows through ODBC: arrays of values for one prepared INSERT, and rows of a query in batches.

use std::ops::Range;

use odbc_api::{BindParamDesc, Cursor, Error, Nullability, ResultSetMetadata};
use tokio::sync::mpsc;

use super::super::bulk::{Fetched, Insert, TableColumn};
use super::super::dialect::Dialect;
use super::super::error::{DatabaseError, ErrorKind};
use super::super::types::Form;
use super::read::{Cell, columns_of, type_name};
use super::{Failed, Open, Session, error_of, values_of};
use crate::connector::database::split::Statement;
use crate::connector::link::DbLink;
use crate::connector::rows::{Batch, binary};

/// Memory for the values that go to the driver at once.
const ARRAY_BYTES: usize = 4 << 20;

impl Session {
    pub(in super::super) async fn bulk_insert(
        &mut self,
        link: &DbLink,
        insert: &Insert,
        rows: mpsc::Receiver<Batch>,
    ) -> Result<u64, DatabaseError> {
        let (sql, forms) = (insert.prepared(), insert.forms().to_vec());
        self.with(link, move |open| {
            insert_all(open, &sql, &forms, rows).map_err(|(error, n)| {
                let mut found = error_of(&open.link, &error, None, ErrorKind::Statement);
                // Drivers do not tell which of several it was.
                found.row = Some(n.start + 1).filter(|_| n.end - n.start == 1 && found.kind == ErrorKind::Statement);
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
        self.with(link, move |open| {
            fetch(open, &statement, fetched)
                .map_err(|error| Box::new(error_of(&open.link, &error, Some(&statement), ErrorKind::Statement)))
        })
        .await
    }

    /// The columns of a table, by an empty answer; none when there is no such table.
    pub(in super::super) async fn columns_of(
        &mut self,
        link: &DbLink,
        table: &str,
    ) -> Result<Vec<TableColumn>, DatabaseError> {
        let sql = format!("SELECT * FROM {} WHERE 1 = 0", Dialect::of(link.kind).quote_table(table));
        self.with(link, move |open| described(open, &sql)).await
    }
}

fn described(open: &Open, sql: &str) -> Result<Vec<TableColumn>, Failed> {
    let found = open.cancellable(|handle| {
        let Some(mut cursor) = handle.execute(sql, ())? else { return Ok(Vec::new()) };
        let n = u16::try_from(cursor.num_result_cols()?).unwrap_or(0);
        let mut columns = Vec::new();
        for number in 1..=n {
            // Hive puts the name of the table before it.
            let name = cursor.col_name(number)?;
            let name = name.rsplit_once('.').map_or(name.as_str(), |(_, name)| name).to_owned();
            let is_nullable = !matches!(cursor.col_nullability(number)?, Nullability::NoNulls);
            let type_name = type_name(cursor.col_data_type(number)?);
            columns.push(TableColumn { name, type_name, is_nullable, is_generated: false, comment: String::new() });
        }
        Ok(columns)
    });
    match found {
        Ok(columns) => Ok(columns),
        Err(error) => {
            let error = error_of(&open.link, &error, None, ErrorKind::Statement);
            let text = error.text.english().to_ascii_lowercase();
            let is_missing = matches!(error.sqlstate.as_deref(), Some("42S02" | "42P01"))
                || [
                    "ora-00942",
                    "invalid object name",
                    "table not found",
                    "no such table",
                    "unknown table",
                    "doesn't exist",
                ]
                .iter()
                .any(|word| text.contains(word));
            if is_missing { Ok(Vec::new()) } else { Err(Box::new(error)) }
        }
    }
}

/// With an error, the rows among which it is.
fn insert_all(
    open: &Open,
    sql: &str,
    forms: &[Form],
    mut rows: mpsc::Receiver<Batch>,
) -> Result<u64, (Error, Range<u64>)> {
    let mut n = 0;
    while let Some(batch) = rows.blocking_recv() {
        let mut from = 0;
        while from < batch.n_rows() {
            let part = fitting(&batch, from, forms.len());
            insert_part(open, sql, forms, &batch, part.clone()).map_err(|error| (error, n..n + part.len() as u64))?;
            n += part.len() as u64;
            from = part.end;
            if open.is_over() {
                return Ok(n);
            }
        }
    }
    Ok(n)
}

/// Rows that go together: the longest value of a column decides how much room each of its values takes.
fn fitting(batch: &Batch, from: usize, n_columns: usize) -> Range<usize> {
    let mut longest = vec![1_usize; n_columns];
    for at in from..batch.n_rows() {
        for (longest, value) in longest.iter_mut().zip(batch.row(at)) {
            *longest = (*longest).max(value.map_or(0, <[u8]>::len));
        }
        let bytes = longest.iter().sum::<usize>() * 2 * (at + 1 - from);
        if bytes > ARRAY_BYTES && at > from {
            return from..at;
        }
    }
    from..batch.n_rows()
}

fn insert_part(open: &Open, sql: &str, forms: &[Form], batch: &Batch, part: Range<usize>) -> Result<(), Error> {
    let mut longest = vec![1_usize; forms.len()];
    for at in part.clone() {
        for (longest, value) in longest.iter_mut().zip(batch.row(at)) {
            *longest = (*longest).max(value.map_or(0, <[u8]>::len));
        }
    }
    let descriptions = forms.iter().zip(&longest).map(|(form, longest)| match form {
        Form::Binary => BindParamDesc::binary(*longest),
        _ => BindParamDesc::wide_text(*longest),
    });
    let prepared = open.connection.prepare(sql)?;
    let mut inserter = prepared.into_column_inserter(part.len(), descriptions)?;
    inserter.set_num_rows(part.len());
    let mut wide: Vec<u16> = Vec::new();
    for (column, form) in forms.iter().enumerate() {
        for (cell, at) in part.clone().enumerate() {
            let value = batch.row(at).nth(column).flatten();
            if *form == Form::Binary {
                let bytes = value.map(|value| binary(value).unwrap_or_else(|| value.to_vec()));
                if let Some(mut column) = inserter.column_mut(column).as_binary() {
                    column.set_cell(cell, bytes.as_deref());
                }
                continue;
            }
            wide.clear();
            wide.extend(value.map(String::from_utf8_lossy).iter().flat_map(|text| text.encode_utf16()));
            if let Some(mut column) = inserter.column_mut(column).as_wide_text() {
                column.set_cell(cell, value.map(|_| wide.as_slice()));
            }
        }
    }
    inserter.execute().map(drop)
}

fn fetch(open: &Open, statement: &Statement, fetched: Fetched) -> Result<u64, Error> {
    let values = values_of(statement);
    open.cancellable(|handle| {
        let Some(mut cursor) = handle.execute(&statement.text, values.as_slice())? else {
            let _ = fetched.columns.send(Vec::new());
            return Ok(0);
        };
        let (columns, shapes) = columns_of(&mut cursor)?;
        let _ = fetched.columns.send(columns);
        let (mut batch, mut n, mut cell) = (Batch::new(shapes.len(), 1), 0, Cell::default());
        while let Some(mut row) = cursor.next_row()? {
            for (at, shape) in shapes.iter().enumerate() {
                cell.push(&mut row, at, *shape, &mut batch)?;
            }
            n += 1;
            if batch.is_full() {
                let next = batch.following();
                if fetched.rows.blocking_send(std::mem::replace(&mut batch, next)).is_err() || open.is_over() {
                    return Ok(n);
                }
            }
        }
        if !batch.is_empty() {
            // Nobody is left to read what cannot be sent.
            let _ = fetched.rows.blocking_send(batch);
        }
        Ok(n)
    })
}
