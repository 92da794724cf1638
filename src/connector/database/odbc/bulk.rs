//! Many rows through ODBC: arrays of values for one prepared INSERT, and rows of a query in batches.

use std::mem::ManuallyDrop;
use std::ops::Range;

use odbc_api::handles::{AsStatementRef, Record, Statement as _, StatementImpl};
use odbc_api::{BindParamDesc, Cursor, Error, Nullability, Prepared, ResultSetMetadata, sys};
use tokio::sync::mpsc;

use super::super::bulk::{Fetched, Insert, STRICT_MYSQL, TableColumn};
use super::super::dialect::Dialect;
use super::super::error::{DatabaseError, ErrorKind};
use super::super::types::Form;
use super::error::{error_of, of_record};
use super::read::{Cell, columns_of, type_name};
use super::{Cancellable, Failed, Open, Session, values_of};
use crate::connector::database::split::Statement;
use crate::connector::link::DbLink;
use crate::connector::rows::{Batch, binary};
use crate::say;

/// Memory for the values that go to the driver at once.
const ARRAY_BYTES: usize = 4 << 20;
/// `SQL_PARAM_ERROR`.
const REFUSED: u16 = 5;

impl Session {
    pub(in super::super) async fn bulk_insert(
        &mut self,
        link: &DbLink,
        insert: &Insert,
        rows: mpsc::Receiver<Batch>,
    ) -> Result<u64, DatabaseError> {
        let is_mysql = Dialect::of(link.kind) == Dialect::MySql;
        let sql = insert.prepared(|form| match form {
            // Digits are bytes there.
            Form::Bits if is_mysql => "CAST(? AS UNSIGNED)",
            _ => "?",
        });
        let forms = insert.forms().to_vec();
        self.with(link, move |open| {
            if is_mysql {
                let set = open.connection.execute(STRICT_MYSQL, (), None).map(drop);
                set.map_err(|error| Box::new(error_of(&open.link, &error, None, ErrorKind::Statement)))?;
            }
            insert_all(open, &sql, &forms, rows)
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
        let Some(mut cursor) = handle.execute(sql, ())?.map(ManuallyDrop::new) else { return Ok(Vec::new()) };
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

fn insert_all(open: &Open, sql: &str, forms: &[Form], mut rows: mpsc::Receiver<Batch>) -> Result<u64, Failed> {
    let failed = |error: &Error| Box::new(error_of(&open.link, error, None, ErrorKind::Statement));
    let mut array = Array::new(open, sql, forms).map_err(|error| failed(&error))?;
    let mut n = 0;
    while let Some(batch) = rows.blocking_recv() {
        let mut from = 0;
        while from < batch.n_rows() {
            // Rows that come after the end are taken, and go nowhere: the one who asked for it is told.
            if open.is_over() {
                return Ok(n);
            }
            let part = array.fitting(&batch, from);
            array.insert(&batch, part.clone()).map_err(|(mut error, row)| {
                error.row = row.filter(|_| error.kind == ErrorKind::Statement).map(|row| n + 1 + row as u64);
                error
            })?;
            n += part.len() as u64;
            from = part.end;
        }
    }
    Ok(n)
}

/// A prepared INSERT that takes many rows at a time.
struct Array<'o> {
    open: &'o Open,
    forms: &'o [Form],
    /// Dropped before the statement is: a cancel finds no handle that is gone.
    _running: Cancellable<'o>,
    prepared: Prepared<StatementImpl<'o>>,
    handle: sys::HStmt,
    /// Drivers that know no arrays take one row at a time.
    rows_max: usize,
    /// How many rows the driver has looked at, and what came of each. It writes here whenever the statement runs.
    looked_at: Box<sys::ULen>,
    outcomes: Vec<u16>,
}

impl<'o> Array<'o> {
    fn new(open: &'o Open, sql: &str, forms: &'o [Form]) -> Result<Self, Error> {
        let mut prepared = open.connection.prepare(sql)?;
        let handle = prepared.as_stmt_ref().as_sys();
        let _running = open.running(handle)?;
        let rows_max =
            if set(handle, sys::StatementAttribute::ParamsetSize, 2 as sys::Pointer) { usize::MAX } else { 1 };
        let (looked_at, outcomes) = (Box::new(0), Vec::new());
        Ok(Self { open, forms, _running, prepared, handle, rows_max, looked_at, outcomes })
    }

    /// Rows that go together: the longest value of a column decides how much room each of its values takes.
    fn fitting(&self, batch: &Batch, from: usize) -> Range<usize> {
        let end = batch.n_rows().min(from.saturating_add(self.rows_max));
        let mut longest = vec![1_usize; self.forms.len()];
        for at in from..end {
            lengthen(&mut longest, batch, at);
            let bytes = longest.iter().sum::<usize>() * size_of::<u16>() * (at + 1 - from);
            if bytes > ARRAY_BYTES && at > from {
                return from..at;
            }
        }
        from..end
    }

    /// With an error, the row of the part that it is about, from 0, where the driver tells it.
    fn insert(&mut self, batch: &Batch, part: Range<usize>) -> Result<(), (Failed, Option<usize>)> {
        let n = part.len();
        let done = self.execute(batch, part);
        // A driver that sends rows in batches refuses all of one: then nobody knows which it is.
        let mut refused = self.outcomes.iter().enumerate().filter(|(_, outcome)| **outcome == REFUSED);
        let (refused, is_one) = (refused.next().map(|(row, _)| row), refused.next().is_none());
        let row = refused.filter(|_| is_one).or((n == 1).then_some(0));
        if let Err(error) = done {
            let error = error_of(&self.open.link, &error, None, ErrorKind::Statement);
            return Err((Box::new(error), row));
        }
        // Some drivers go on behind a row that is refused, and call the whole a success.
        if refused.is_some() {
            let mut record = Record::default();
            record.fill_from(&self.prepared.as_stmt_ref(), 1);
            let error = of_record(&self.open.link, &record, None, ErrorKind::Statement);
            return Err((Box::new(error), row));
        }
        let looked_at = *self.looked_at;
        if looked_at != UNTOLD && looked_at != n {
            let text = say!("the driver took {} of {} rows, and says nothing of the others", looked_at, n);
            return Err((Box::new(DatabaseError::new(&self.open.link, ErrorKind::Statement, text)), None));
        }
        Ok(())
    }

    fn execute(&mut self, batch: &Batch, part: Range<usize>) -> Result<(), Error> {
        let mut longest = vec![1_usize; self.forms.len()];
        part.clone().for_each(|at| lengthen(&mut longest, batch, at));
        let descriptions = self.forms.iter().zip(&longest).map(|(form, longest)| match form {
            Form::Binary => BindParamDesc::binary(*longest),
            _ => BindParamDesc::wide_text(*longest),
        });
        *self.looked_at = UNTOLD;
        self.outcomes.clear();
        self.outcomes.resize(part.len(), 0);
        // Where a driver has no room for these it tells less, and that is all.
        set(self.handle, sys::StatementAttribute::ParamsProcessedPtr, (&raw mut *self.looked_at).cast());
        set(self.handle, sys::StatementAttribute::ParamStatusPtr, self.outcomes.as_mut_ptr().cast());
        let mut inserter = self.prepared.column_inserter(part.len(), descriptions)?;
        inserter.set_num_rows(part.len());
        let mut wide: Vec<u16> = Vec::new();
        for (cell, at) in part.enumerate() {
            for (column, (value, form)) in batch.row(at).zip(self.forms).enumerate() {
                let place = inserter.column_mut(column);
                if *form == Form::Binary {
                    let bytes = value.map(|value| binary(value).unwrap_or_else(|| value.to_vec()));
                    if let Some(mut place) = place.as_binary() {
                        place.set_cell(cell, bytes.as_deref());
                    }
                    continue;
                }
                wide.clear();
                wide.extend(value.map(String::from_utf8_lossy).iter().flat_map(|text| text.encode_utf16()));
                if let Some(mut place) = place.as_wide_text() {
                    place.set_cell(cell, value.map(|_| wide.as_slice()));
                }
            }
        }
        inserter.execute().map(drop)
    }
}

/// The driver said nothing of how far it came.
const UNTOLD: sys::ULen = sys::ULen::MAX;

fn lengthen(longest: &mut [usize], batch: &Batch, row: usize) {
    for (longest, value) in longest.iter_mut().zip(batch.row(row)) {
        *longest = (*longest).max(value.map_or(0, <[u8]>::len));
    }
}

/// Was it taken as it is?
fn set(handle: sys::HStmt, attribute: sys::StatementAttribute, value: sys::Pointer) -> bool {
    // SAFETY: the handle is that of a statement that lives. What a pointer points to lives as long as the statement
    // does, and is renewed before it runs.
    let done = unsafe { sys::SQLSetStmtAttrW(handle, attribute, value, 0) };
    done == sys::SqlReturn::SUCCESS
}

fn fetch(open: &Open, statement: &Statement, fetched: Fetched) -> Result<u64, Error> {
    let values = values_of(statement);
    open.cancellable(|handle| {
        if open.is_over() {
            return Ok(0);
        }
        let Some(mut cursor) = handle.execute(&statement.text, values.as_slice())?.map(ManuallyDrop::new) else {
            let _ = fetched.columns.send(Vec::new());
            return Ok(0);
        };
        let (columns, shapes) = columns_of(&mut *cursor)?;
        let _ = fetched.columns.send(columns);
        let (mut batch, mut n, mut cell) = (Batch::new(shapes.len(), 1), 0, Cell::default());
        while let Some(mut row) = cursor.next_row()? {
            for (at, shape) in shapes.iter().enumerate() {
                cell.push(&mut row, at, *shape, &mut batch)?;
            }
            n += 1;
            if let Some(full) = batch.take_full()
                && (fetched.rows.blocking_send(full).is_err() || open.is_over())
            {
                return Ok(n);
            }
        }
        if !batch.is_empty() {
            // Nobody is left to read what cannot be sent.
            let _ = fetched.rows.blocking_send(batch);
        }
        Ok(n)
    })
}
