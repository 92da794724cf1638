//! Databases of other vendors, through the driver manager of the system (unixODBC) and the vendor's driver.
//!
//! A thread of its own owns the connection, because its calls block, as with SQLite; a cancel is asked for from
//! another one, which the interface allows for just that. Text goes both ways in UTF-16, so that no locale counts.
//! How a link becomes a connection text is in `text`, loads are in `bulk`.

mod bulk;
mod read;
mod text;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use odbc_api::handles::{Record, Statement as _, StatementImpl};
use odbc_api::parameter::VarWCharBox;
use odbc_api::{Connection, ConnectionOptions, Cursor, Error, Preallocated, ResultSetMetadata, environment, sys};
use tokio::sync::{mpsc, oneshot};

use super::dialect::Dialect;
use super::error::{DatabaseError, ErrorKind};
use super::split::Statement;
use super::{OnNotice, Part, Row};
use crate::connector::link::DbLink;
use crate::model::message::Message;
use crate::say;

use read::{Cell, columns_of};

/// Pieces that wait for their reader.
const PIECES_WAITING: usize = 256;
/// To connect, unless the link says less.
const LOGIN: Duration = Duration::from_secs(30);

pub(super) type Failed = Box<DatabaseError>;

pub(super) struct Session {
    jobs: mpsc::UnboundedSender<Job>,
    cancel: Cancel,
}

/// The statement that runs, by its handle.
#[derive(Clone, Default)]
pub(super) struct Cancel(Arc<Mutex<Option<Handle>>>);

struct Handle(sys::HStmt);

// SAFETY: of a handle nothing is done in another thread but `SQLCancel`, which the interface allows there.
unsafe impl Send for Handle {}

pub(super) struct Pieces(mpsc::Receiver<Result<Part, Failed>>);

type Work = Box<dyn FnOnce(&Open) + Send>;

enum Job {
    Run { statement: Statement, pieces: mpsc::Sender<Result<Part, Failed>> },
    Other(Work),
}

/// What the thread has.
struct Open {
    link: DbLink,
    connection: Connection<'static>,
    running: Cancel,
    is_cancelled: Arc<AtomicBool>,
}

impl Session {
    pub async fn open(link: &DbLink, is_cancelled: Arc<AtomicBool>, notice: OnNotice) -> Result<Self, DatabaseError> {
        // What a driver says beside its answers comes with them and is not told apart.
        drop(notice);
        let (opened, answer) = oneshot::channel();
        let (jobs, todo) = mpsc::unbounded_channel();
        let cancel = Cancel::default();
        let (own, running) = (link.clone(), cancel.clone());
        let thread = thread::Builder::new().name("odbc".to_owned()).spawn(move || match connect(&own) {
            Ok(connection) => {
                if opened.send(Ok(())).is_ok() {
                    work(&Open { link: own, connection, running, is_cancelled }, todo);
                }
            }
            // Nobody waits any more where this cannot be sent.
            Err(error) => drop(opened.send(Err(error))),
        });
        thread.map_err(|error| DatabaseError::quoting(link, ErrorKind::Unreachable, &error.to_string()))?;
        answer.await.map_err(|_| lost(link))?.map_err(|error| *error)?;
        Ok(Self { jobs, cancel })
    }

    pub fn canceller(&self) -> Cancel {
        self.cancel.clone()
    }

    pub async fn run(&mut self, link: &DbLink, statement: &Statement) -> Result<Pieces, DatabaseError> {
        let (pieces, receiver) = mpsc::channel(PIECES_WAITING);
        self.jobs.send(Job::Run { statement: statement.clone(), pieces }).map_err(|_| lost(link))?;
        Ok(Pieces(receiver))
    }

    pub async fn begin(&mut self, link: &DbLink) -> Result<(), DatabaseError> {
        self.transaction(link, |connection| connection.set_autocommit(false)).await
    }

    pub async fn commit(&mut self, link: &DbLink) -> Result<(), DatabaseError> {
        self.transaction(link, |connection| {
            connection.commit()?;
            connection.set_autocommit(true)
        })
        .await
    }

    pub async fn rollback(&mut self, link: &DbLink) -> Result<(), DatabaseError> {
        self.transaction(link, |connection| {
            connection.rollback()?;
            connection.set_autocommit(true)
        })
        .await
    }

    async fn transaction(
        &mut self,
        link: &DbLink,
        step: fn(&Connection<'static>) -> Result<(), Error>,
    ) -> Result<(), DatabaseError> {
        // Each statement of theirs stands for itself.
        if Dialect::of(link.kind) == Dialect::Hive {
            return Ok(());
        }
        let done = self.with(link, move |open| {
            step(&open.connection).map_err(|error| Box::new(error_of(&open.link, &error, None, ErrorKind::Lost)))
        });
        done.await
    }

    /// Work on the thread of the connection.
    async fn with<T: Send + 'static>(
        &mut self,
        link: &DbLink,
        work: impl FnOnce(&Open) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let (done, answer) = oneshot::channel();
        let job = Job::Other(Box::new(move |open| {
            // Nobody waits any more where this cannot be sent.
            let _ = done.send(work(open));
        }));
        self.jobs.send(job).map_err(|_| lost(link))?;
        answer.await.map_err(|_| lost(link))?.map_err(|error| *error)
    }
}

impl Drop for Session {
    /// What still runs would keep the thread, and the connection, for as long as it likes.
    fn drop(&mut self) {
        let cancel = self.cancel.clone();
        // A driver may make the one who asks wait for what runs: not here. Without a thread it runs to its end.
        let _ = thread::Builder::new().name("odbc-cancel".to_owned()).spawn(move || cancel.now());
    }
}

impl Cancel {
    pub async fn cancel(&self) -> Result<(), DatabaseError> {
        let own = self.clone();
        // It ends with the process at the latest, should the driver never come back.
        let _ = tokio::task::spawn_blocking(move || own.now()).await;
        Ok(())
    }

    fn now(&self) {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = running.as_ref() {
            // SAFETY: the handle is valid as long as it stands here: `Running` takes it out, under the same lock,
            // before it is freed. What the driver answers shows in the statement itself.
            let _ = unsafe { sys::SQLCancel(handle.0) };
        }
    }
}

/// Says which statement runs for as long as it lives.
struct Running<'a>(&'a Cancel);

impl<'a> Running<'a> {
    fn of(cancel: &'a Cancel, statement: &StatementImpl<'_>) -> Self {
        *cancel.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Handle(statement.as_sys()));
        Self(cancel)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Pieces {
    pub async fn next(&mut self) -> Result<Option<Part>, DatabaseError> {
        self.0.recv().await.transpose().map_err(|error| *error)
    }
}

impl Open {
    /// A statement that can be cancelled while `work` uses it.
    fn cancellable<T>(
        &self,
        work: impl FnOnce(&mut Preallocated<StatementImpl<'_>>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let handle = self.connection.preallocate()?.into_handle();
        let raw = Running::of(&self.running, &handle);
        // SAFETY: it was just allocated, nothing is bound to it.
        let mut statement = unsafe { Preallocated::new(handle) };
        let done = work(&mut statement);
        // Before the handle is freed.
        drop(raw);
        drop(statement);
        done
    }

    fn is_over(&self) -> bool {
        self.is_cancelled.load(Ordering::SeqCst)
    }
}

fn connect(link: &DbLink) -> Result<Connection<'static>, Failed> {
    let failed = |error: &Error| Box::new(error_of(link, error, None, ErrorKind::Unreachable));
    let environment = environment().map_err(|error| failed(&error))?;
    let drivers = environment.drivers().map_err(|error| failed(&error))?;
    let drivers: Vec<String> = drivers.into_iter().map(|driver| driver.description).collect();
    let text = text::connection_text(link, &drivers)
        .map_err(|(message, hint)| Box::new(DatabaseError::new(link, ErrorKind::NotBuilt, message).hint(Some(hint))))?;
    let login = link.options.connect_timeout.map_or(LOGIN, |own| own.min(LOGIN)).as_secs().max(1);
    let options =
        ConnectionOptions { login_timeout_sec: Some(u32::try_from(login).unwrap_or(30)), ..Default::default() };
    let connection = environment.connect_with_connection_string(&text, options).map_err(|error| failed(&error))?;
    for statement in text::setup(link) {
        connection.execute(&statement, (), None).map(drop).map_err(|error| failed(&error))?;
    }
    Ok(connection)
}

fn work(open: &Open, mut todo: mpsc::UnboundedReceiver<Job>) {
    while let Some(job) = todo.blocking_recv() {
        match job {
            Job::Run { statement, pieces } => {
                if let Err(error) = run(open, &statement, &pieces) {
                    let error = error_of(&open.link, &error, Some(&statement), ErrorKind::Statement);
                    // Nobody reads it any more where this fails.
                    let _ = pieces.blocking_send(Err(Box::new(error)));
                }
            }
            Job::Other(work) => work(open),
        }
    }
}

fn values_of(statement: &Statement) -> Vec<VarWCharBox> {
    statement.values.iter().map(|value| VarWCharBox::from_str_slice(value)).collect()
}

fn run(open: &Open, statement: &Statement, pieces: &mpsc::Sender<Result<Part, Failed>>) -> Result<(), Error> {
    let values = values_of(statement);
    open.cancellable(|handle| {
        let mut results = handle.execute(&statement.text, values.as_slice())?;
        if results.is_none() {
            drop(results);
            let n_rows = handle.row_count().ok().flatten().unwrap_or(0) as u64;
            let _ = pieces.blocking_send(Ok(Part::Done { n_rows }));
            return Ok(());
        }
        while let Some(mut cursor) = results {
            let Some(n_rows) = rows(open, &mut cursor, pieces)? else { return Ok(()) };
            if pieces.blocking_send(Ok(Part::Done { n_rows })).is_err() {
                return Ok(());
            }
            // A driver that knows no further results says so by an error.
            results = cursor.more_results().ok().flatten();
        }
        Ok(())
    })
}

/// One result; `None`: nobody wants the rest.
fn rows(
    open: &Open,
    cursor: &mut (impl Cursor + ResultSetMetadata),
    pieces: &mpsc::Sender<Result<Part, Failed>>,
) -> Result<Option<u64>, Error> {
    let (columns, shapes) = columns_of(cursor)?;
    if columns.is_empty() {
        return Ok(Some(0));
    }
    if pieces.blocking_send(Ok(Part::Columns(columns))).is_err() {
        return Ok(None);
    }
    let (mut n_rows, mut cell) = (0, Cell::default());
    while let Some(mut row) = cursor.next_row()? {
        let mut values: Row = Vec::with_capacity(shapes.len());
        for (at, shape) in shapes.iter().enumerate() {
            values.push(cell.text(&mut row, at, *shape)?);
        }
        n_rows += 1;
        if pieces.blocking_send(Ok(Part::Row(values))).is_err() || open.is_over() {
            return Ok(None);
        }
    }
    Ok(Some(n_rows))
}

fn lost(link: &DbLink) -> DatabaseError {
    DatabaseError::new(link, ErrorKind::Lost, say!("its thread ended"))
}

/// What the driver said, in the words that it has.
fn error_of(link: &DbLink, error: &Error, statement: Option<&Statement>, otherwise: ErrorKind) -> DatabaseError {
    let Some(record) = record_of(error) else {
        return DatabaseError::quoting(link, otherwise, &error.to_string());
    };
    let state = record.state.as_str().to_owned();
    let text = String::from_utf16_lossy(&record.message);
    let kind = kind_of(&state, &text, otherwise);
    let mut found = DatabaseError::quoting(link, kind, &text).hint(hint(link, &state, kind));
    found.code = Some(format!("ODBC {}", record.native_error));
    found.sqlstate = Some(state);
    found.line = statement.map(|statement| statement.line);
    found
}

fn record_of(error: &Error) -> Option<&Record> {
    match error {
        Error::Diagnostics { record, .. }
        | Error::UnsupportedOdbcApiVersion(record)
        | Error::InvalidRowArraySize { record, .. }
        | Error::UnableToRepresentNull(record)
        | Error::OracleOdbcDriverDoesNotSupport64Bit(record) => Some(record),
        _ => None,
    }
}

/// Drivers are free with their states: where those say little the words do.
fn kind_of(state: &str, text: &str, otherwise: ErrorKind) -> ErrorKind {
    let text = text.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    match state {
        "IM002" | "IM003" | "IM004" => ErrorKind::NotBuilt,
        "01000" if says(&["can't open lib"]) => ErrorKind::NotBuilt,
        "57014" | "HY008" | "HY018" => ErrorKind::Cancelled,
        "40001" | "40P01" | "55P03" => ErrorKind::Conflict,
        "28000" | "28P01" | "3D000" => ErrorKind::Login,
        "HYT00" | "HYT01" if otherwise != ErrorKind::Unreachable => ErrorKind::TimedOut,
        _ if otherwise == ErrorKind::Unreachable
            && says(&["password", "access denied", "ora-01017", "login failed", "authentication"]) =>
        {
            ErrorKind::Login
        }
        "08001" | "08004" | "08S01" | "08003" | "08007" if otherwise != ErrorKind::Unreachable => ErrorKind::Lost,
        _ if says(&["interrupted", "ora-01013", "operation canceled"]) => ErrorKind::Cancelled,
        _ => otherwise,
    }
}

fn hint(link: &DbLink, state: &str, kind: ErrorKind) -> Option<Message> {
    match kind {
        ErrorKind::NotBuilt => Some(match link.kind.driver_package() {
            Some(package) => {
                say!("install {} on this host; `odbcinst -q -d` lists the drivers that are there", package)
            }
            None => say!("`odbcinst -q -d` lists the drivers of this host, `odbcinst -q -s` its data sources"),
        }),
        ErrorKind::Login => Some(say!("are username and password of the link right?")),
        ErrorKind::Unreachable => {
            Some(say!("is the address right, and may this host reach it through every firewall?"))
        }
        _ if matches!(state, "42S02" | "42P01") => Some(say!("is the database in the link's URL the right one?")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_driver_says_is_sorted_by_state_and_words() {
        for (state, text, otherwise, kind) in [
            ("IM002", "Data source name not found", ErrorKind::Unreachable, ErrorKind::NotBuilt),
            ("01000", "Can't open lib 'x.so' : file not found", ErrorKind::Unreachable, ErrorKind::NotBuilt),
            ("08001", "FATAL: password authentication failed", ErrorKind::Unreachable, ErrorKind::Login),
            ("08001", "could not connect to server", ErrorKind::Unreachable, ErrorKind::Unreachable),
            ("08S01", "Lost connection", ErrorKind::Statement, ErrorKind::Lost),
            ("HY000", "[SQLite]interrupted (9)", ErrorKind::Statement, ErrorKind::Cancelled),
            ("HY018", "Query execution was interrupted", ErrorKind::Statement, ErrorKind::Cancelled),
            ("HY000", "ORA-01017: invalid username/password", ErrorKind::Unreachable, ErrorKind::Login),
            ("42S02", "Table 'x' doesn't exist", ErrorKind::Statement, ErrorKind::Statement),
            ("HYT00", "Timeout expired", ErrorKind::Statement, ErrorKind::TimedOut),
        ] {
            assert_eq!(kind_of(state, text, otherwise), kind, "{state} {text}");
        }
    }
}
