//! Rows into a table: emptied, prepared and filled in one transaction where the database has one for all of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex, mpsc};

use crate::connector::database::{
    Database, DatabaseError, Dialect, ErrorKind, Statement, TableColumn, holds_empty, share, split,
};
use crate::connector::delimited::Reject;
use crate::connector::link::DbLink;
use crate::connector::rows::Batch;
use crate::model::assignment::Rendered;
use crate::model::message::{Message, Value};
use crate::say;

use super::super::database::home;
use super::super::task::{Failure, Task};
use super::columns::{How, SourceColumns, create, matched};
use super::source::{Begun, Rows, Source};
use super::tally::Tally;
use super::wanted::{WantedTable, is_same_database};
use super::{Stops, connect, linked, table_name, within};

/// What another session, or a cancel that came late, is in the way of is tried again so often.
const TRIES: usize = 5;

/// Changed pages that do not fit into SQLite's cache are written to the file before the commit, and that waits for who
/// reads there: while the source does, they all stay in memory. A number, because on and off do nothing in a
/// transaction.
const KEEP_PAGES: &str = "PRAGMA cache_spill = 2147483647";
const SPILL_PAGES: &str = "PRAGMA cache_spill = 1";

type Shared = Arc<Mutex<mpsc::Receiver<Batch>>>;

pub struct Table<'a> {
    task: &'a Task<'a>,
    wanted: WantedTable,
    stops: &'a Stops,
    /// Where the writers are among what a kill stops.
    stops_from: usize,
    /// The first one prepares the table, and fills it where nobody helps.
    writers: Vec<Database>,
    pre: Vec<Statement>,
    after: Vec<Statement>,
    /// SQLite: the rows come out of the same file.
    is_own_source: bool,
    /// Made by us, in a database that cannot take it back.
    is_to_be_dropped: bool,
}

impl<'a> Table<'a> {
    pub async fn open(
        task: &'a Task<'a>,
        wanted: WantedTable,
        source: Option<&DbLink>,
        stops: &'a Stops,
    ) -> Result<Self, Failure> {
        let link = linked(task, &wanted.link)?;
        let mut wanted = wanted;
        let dialect = Dialect::of(link.kind);
        // One file has one writer.
        let n = if wanted.is_atomic || dialect == Dialect::Sqlite { 1 } else { wanted.n_writers };
        let (mut writers, stops_from) = (Vec::new(), stops.n());
        for _ in 0..n {
            writers.push(connect(task, &link, stops).await?);
        }
        wanted.table = table_name(&mut writers[0], &wanted.table).await?;
        let parts = |word: &'static str, text: Option<&Rendered>| statements(word, text, dialect);
        let (pre, after) = (parts("pre", wanted.pre.as_ref())?, parts("after", wanted.after.as_ref())?);
        let is_own_source =
            dialect == Dialect::Sqlite && source.is_some_and(|source| is_same_database(home(task), source, &link));
        if is_own_source {
            execute(&mut writers[0], KEEP_PAGES).await?;
        }
        Ok(Self { task, wanted, stops, stops_from, writers, pre, after, is_own_source, is_to_be_dropped: false })
    }

    pub async fn fill(mut self, source: Source, tally: &Arc<Tally>) -> Result<(), Failure> {
        let done = self.try_fill(source, tally).await;
        if done.is_err() {
            self.stops.spare(self.stops_from);
            for writer in &mut self.writers {
                // The first error counts; a connection that is gone has rolled back by itself.
                let _ = writer.rollback().await;
            }
            if self.is_to_be_dropped {
                let drop = Statement::new(self.dialect().dropping(&self.wanted.table));
                for _ in 0..TRIES {
                    // At a kill a cancel that is under way may meet this.
                    match self.writers[0].execute(&drop).await {
                        Err(error) if error.kind == ErrorKind::Cancelled => {}
                        _ => break,
                    }
                }
            }
        }
        done
    }

    fn dialect(&self) -> Dialect {
        self.writers[0].dialect()
    }

    async fn try_fill(&mut self, source: Source, tally: &Arc<Tally>) -> Result<(), Failure> {
        begin(&mut self.writers[0]).await?;
        let mut columns = self.columns().await?;
        if self.wanted.is_emptied && !columns.is_empty() {
            let delete = self.dialect().emptying(&self.wanted.table);
            let n = execute(&mut self.writers[0], &delete).await?;
            self.task.log(&say!("{} row{s} deleted", n));
        }
        // A table that is missing is made before `pre` speaks of it, unless `pre` makes one.
        let is_pre_first = !columns.is_empty() || self.pre.iter().any(makes_something);
        if is_pre_first {
            self.run("pre").await?;
            columns = self.columns().await?;
        }
        let has_zones = self.dialect() != Dialect::MySql;
        let begun = source.begin(has_zones, self.is_own_source).await?;
        if self.is_own_source {
            execute(&mut self.writers[0], SPILL_PAGES).await?;
        }
        let Some(begun) = begun else {
            if columns.is_empty() {
                let table = self.wanted.table.as_str();
                return Err(Failure::of(say!(
                    "there is no table {}, and an empty file says nothing of its columns",
                    table
                )));
            }
            return self.finish().await;
        };
        let prepared = self.prepare(begun.columns(), columns, is_pre_first).await;
        let columns = match prepared {
            Ok(columns) => columns,
            Err(failure) => {
                end(begun).await;
                return Err(failure);
            }
        };
        let empty_is_null = columns.iter().map(|column| !holds_empty(&column.type_name)).collect();
        self.load(begun.rows(empty_is_null), &columns, tally).await?;
        self.finish().await
    }

    /// Makes the table where it is missing; its columns in the order of the source's.
    async fn prepare(
        &mut self,
        source: &SourceColumns,
        mut columns: Vec<TableColumn>,
        is_pre_done: bool,
    ) -> Result<Vec<TableColumn>, Failure> {
        if columns.is_empty() {
            columns = self.make(source).await?;
        }
        if !is_pre_done {
            self.run("pre").await?;
            columns = self.columns().await?;
            // `drop table if exists` is a usual `pre`.
            if columns.is_empty() {
                columns = self.make(source).await?;
            }
        }
        let table = self.wanted.table.as_str();
        let (columns, how) = matched(source, table, &columns).map_err(Failure::refused)?;
        if how == How::Position && source.has_names {
            let names = Value::list(columns.iter().map(|column| column.name.as_str()));
            self.task.log(&say!("the columns go by position into {}", names));
        }
        Ok(columns)
    }

    async fn make(&mut self, source: &SourceColumns) -> Result<Vec<TableColumn>, Failure> {
        let table = self.wanted.table.as_str();
        let create = create(&source.columns, table, self.dialect());
        let made = self.writers[0].execute(&Statement::new(create.as_str())).await;
        // One that is cancelled may have been made all the same.
        let may_be_there = made.as_ref().map_or_else(|error| error.kind == ErrorKind::Cancelled, |_| true);
        self.is_to_be_dropped = may_be_there && !self.dialect().takes_back_tables();
        made.map_err(failed)?;
        self.task.log(&say!("the table {} was missing and is made: {}", table, create));
        self.columns().await
    }

    async fn load(&mut self, rows: Rows, columns: &[TableColumn], tally: &Arc<Tally>) -> Result<(), Failure> {
        if self.writers.len() > 1 {
            // The others could not see what is still open, or would wait for it.
            self.writers[0].commit().await.map_err(failed)?;
        }
        let Rows { batches, sender } = rows;
        let shared: Shared = Arc::new(Mutex::new(batches));
        let is_failed = AtomicBool::new(false);
        let (table, is_failed, is_alone) = (self.wanted.table.as_str(), &is_failed, self.writers.len() == 1);
        let loads = self.writers.iter_mut().map(|writer| {
            let shared = shared.clone();
            async move {
                let done = match (is_alone, tally.takes_rejects()) {
                    (true, false) => load(writer, table, columns, &shared, tally).await,
                    (true, true) => load_what_fits(writer, table, columns, &shared, tally).await,
                    (false, _) => load_apart(writer, table, columns, &shared, tally, is_failed).await,
                };
                if done.is_err() {
                    is_failed.store(true, Ordering::SeqCst);
                }
                done
            }
        });
        let done: Result<Vec<()>, Failure> = futures_util::future::join_all(loads).await.into_iter().collect();
        // Whoever still sends is told that nobody takes it.
        shared.lock().await.close();
        match done {
            Ok(_) => sender.finish().await,
            Err(failure) => {
                sender.end().await;
                Err(failure)
            }
        }
    }

    async fn finish(&mut self) -> Result<(), Failure> {
        if self.writers.len() > 1 {
            begin(&mut self.writers[0]).await?;
        }
        self.run("after").await?;
        self.writers[0].commit().await.map_err(failed)?;
        self.is_to_be_dropped = false;
        Ok(())
    }

    async fn columns(&mut self) -> Result<Vec<TableColumn>, Failure> {
        self.writers[0].columns_of(&self.wanted.table).await.map_err(failed)
    }

    async fn run(&mut self, word: &'static str) -> Result<(), Failure> {
        let statements = if word == "pre" { &self.pre } else { &self.after };
        for (at, statement) in statements.iter().enumerate() {
            let n = self.writers[0].execute(statement).await.map_err(|error| {
                let place = say!("statement {} of {}", at + 1, statements.len());
                Failure::of(within(Message::verbatim(word), within(place, error.said())))
            })?;
            let place = say!("{} row{s}", n);
            self.task.log(&within(Message::verbatim(format!("{word}: {}", statement.head())), place));
        }
        Ok(())
    }
}

async fn end(begun: Begun) {
    if let Begun::Flowing(_, rows) = begun {
        drop(rows.batches);
        rows.sender.end().await;
    }
}

fn failed(error: DatabaseError) -> Failure {
    Failure::of(within(Message::verbatim("target"), error.said()))
}

async fn execute(database: &mut Database, text: &str) -> Result<u64, Failure> {
    database.execute(&Statement::new(text)).await.map_err(failed)
}

async fn begin(database: &mut Database) -> Result<(), Failure> {
    if database.link().is_odbc() {
        return database.begin().await.map_err(failed);
    }
    match database.dialect() {
        // What cannot be undone there ends a transaction by itself: the next statement begins another.
        Dialect::MySql => execute(database, "SET SESSION autocommit = 0").await.map(|_| ()),
        // It waits for another writer now rather than fail because of one later.
        Dialect::Sqlite => execute(database, "BEGIN IMMEDIATE").await.map(|_| ()),
        _ => database.begin().await.map_err(failed),
    }
}

fn statements(word: &'static str, text: Option<&Rendered>, dialect: Dialect) -> Result<Vec<Statement>, Failure> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let refused = |message: Message| Failure::refused(within(Message::verbatim(word), message));
    let mut statements = split(&text.text, dialect).map_err(|error| refused(error.said()))?;
    let values: Vec<String> = text.variables.iter().map(|(_, value)| value.clone()).collect();
    share(&mut statements, &values).map_err(|error| refused(error.said()))?;
    Ok(statements)
}

fn makes_something(statement: &Statement) -> bool {
    statement.text.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("create"))
}

/// All rows or none: the first that is refused ends it.
async fn load(
    writer: &mut Database,
    table: &str,
    columns: &[TableColumn],
    shared: &Shared,
    tally: &Tally,
) -> Result<(), Failure> {
    let (sender, receiver) = mpsc::channel(1);
    let feed = async {
        while let Some(batch) = shared.lock().await.recv().await {
            let (n_rows, n_bytes) = (batch.n_rows() as u64, batch.n_bytes() as u64);
            if sender.send(batch).await.is_err() {
                break;
            }
            tally.moved(n_rows, n_bytes);
        }
        drop(sender);
    };
    let (inserted, ()) = tokio::join!(writer.bulk_insert(table, columns, receiver), feed);
    inserted.map(|_| ()).map_err(|error| refused_row(error, 1))
}

/// Batch by batch, in the transaction that is open.
async fn load_what_fits(
    writer: &mut Database,
    table: &str,
    columns: &[TableColumn],
    shared: &Shared,
    tally: &Tally,
) -> Result<(), Failure> {
    while let Some(batch) = shared.lock().await.recv().await {
        let fit = insert_what_fits(writer, table, columns, &batch, tally).await.map_err(failed)?;
        fit.tell(tally)?;
    }
    Ok(())
}

/// Each batch in a transaction of its own, beside other writers. One that another of them is in the way of is tried
/// again.
async fn load_apart(
    writer: &mut Database,
    table: &str,
    columns: &[TableColumn],
    shared: &Shared,
    tally: &Tally,
    is_failed: &AtomicBool,
) -> Result<(), Failure> {
    while !is_failed.load(Ordering::SeqCst) {
        let Some(batch) = shared.lock().await.recv().await else { break };
        let mut n_tries = 0;
        loop {
            begin(writer).await?;
            let done = async {
                let fit = match tally.takes_rejects() {
                    true => insert_what_fits(writer, table, columns, &batch, tally).await?,
                    false => insert(writer, table, columns, &batch).await?,
                };
                writer.commit().await.map(|()| fit)
            };
            match done.await {
                Ok(fit) => {
                    fit.tell(tally)?;
                    break;
                }
                Err(error) if error.kind == ErrorKind::Conflict && n_tries < TRIES => {
                    n_tries += 1;
                    writer.rollback().await.map_err(failed)?;
                }
                Err(error) => return Err(refused_row(error, batch.first_row())),
            }
        }
    }
    Ok(())
}

/// What became of one batch.
#[derive(Default)]
struct Fit {
    n_rows: u64,
    n_bytes: u64,
    rejects: Vec<Reject>,
}

impl Fit {
    fn add(&mut self, rows: &Batch) {
        self.n_rows += rows.n_rows() as u64;
        self.n_bytes += rows.n_bytes() as u64;
    }

    fn tell(self, tally: &Tally) -> Result<(), Failure> {
        tally.moved(self.n_rows, self.n_bytes);
        self.rejects.into_iter().try_for_each(|reject| tally.reject(reject))
    }
}

async fn insert(
    writer: &mut Database,
    table: &str,
    columns: &[TableColumn],
    batch: &Batch,
) -> Result<Fit, DatabaseError> {
    let (sender, receiver) = mpsc::channel(1);
    // There is room for one.
    let _ = sender.send(batch.clone()).await;
    drop(sender);
    writer.bulk_insert(table, columns, receiver).await?;
    let mut fit = Fit::default();
    fit.add(batch);
    Ok(fit)
}

/// Cuts a batch that is refused in pieces until it is known which rows it is.
async fn insert_what_fits(
    writer: &mut Database,
    table: &str,
    columns: &[TableColumn],
    batch: &Batch,
    tally: &Tally,
) -> Result<Fit, DatabaseError> {
    let dialect = writer.dialect();
    let (marks, unmark) = (dialect.mark().map(|marks| marks.map(Statement::new)), dialect.unmark().map(Statement::new));
    let mut fit = Fit::default();
    let mut pieces = VecDeque::from([batch.clone()]);
    while let Some(piece) = pieces.pop_front() {
        match &marks {
            Some([mark, _]) => drop(writer.execute(mark).await?),
            // What went in before the row that is refused cannot be taken out again.
            None if piece.n_rows() > 1 => {
                let rows = (0..piece.n_rows()).rev().map(|row| piece.part(row..row + 1));
                rows.for_each(|row| pieces.push_front(row));
                continue;
            }
            None => {}
        }
        let error = match insert(writer, table, columns, &piece).await {
            Ok(_) => {
                if let Some(unmark) = &unmark {
                    writer.execute(unmark).await?;
                }
                fit.add(&piece);
                continue;
            }
            Err(error) if error.is_about_rows() => error,
            Err(error) => return Err(error),
        };
        if let Some([_, back]) = &marks {
            writer.execute(back).await?;
        }
        let n = piece.n_rows();
        let told = error.row.and_then(|row| usize::try_from(row).ok()).filter(|row| (1..=n).contains(row));
        match told.or((n == 1).then_some(1)) {
            Some(row) => {
                let message = failed(error).message;
                fit.rejects.push(Reject { row: piece.first_row() + row as u64 - 1, line: None, message });
                // The rest would be taken back with the others.
                if tally.is_too_many(fit.rejects.len()) {
                    break;
                }
                if row < n {
                    pieces.push_front(piece.part(row..n));
                }
                if row > 1 {
                    pieces.push_front(piece.part(0..row - 1));
                }
            }
            None => {
                pieces.push_front(piece.part(n / 2..n));
                pieces.push_front(piece.part(0..n / 2));
            }
        }
    }
    Ok(fit)
}

/// With the row's number, where the database tells it.
fn refused_row(error: DatabaseError, first_row: u64) -> Failure {
    match error.row {
        Some(row) => Failure::of(within(say!("row {}", first_row + row - 1), failed(error).message)),
        None => failed(error),
    }
}
