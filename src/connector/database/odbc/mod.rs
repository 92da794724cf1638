//! Databases of other vendors, through the driver manager of the system (unixODBC) and the vendor's driver.
//!
//! A thread of its own owns the connection, because its calls block, as with SQLite; a cancel is asked for from
//! another one, which the interface allows for just that. Text goes both ways in UTF-16, and where others make bytes
//! of it these are UTF-8 (`locale`).
//! How a link becomes a connection text is in `text`, loads are in `bulk`, what drivers say in `error`, where the
//! driver manager comes from in `load`.

mod bulk;
mod drivers;
mod error;
mod load;
mod locale;
mod read;
mod text;

use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use odbc_api::handles::{AsStatementRef, Statement as _, StatementImpl};
use odbc_api::parameter::VarWCharBox;
use odbc_api::{
    Connection, ConnectionOptions, Cursor, Environment, Error, Preallocated, ResultSetMetadata, environment, sys,
};
use tokio::sync::{mpsc, oneshot};

use super::dialect::Dialect;
use super::error::{DatabaseError, ErrorKind};
use super::split::Statement;
use super::{OnNotice, Part, Row};
use crate::connector::link::{DbKind, DbLink};
use crate::say;

use error::error_of;
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

/// `None` is the end: a driver that brings its thread down must not look like an answer that is complete.
type Piece = Result<Option<Part>, Failed>;

pub(super) struct Pieces(mpsc::Receiver<Piece>);

type Work = Box<dyn FnOnce(&Open) + Send>;

enum Job {
    Run { statement: Statement, pieces: mpsc::Sender<Piece> },
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
        self.transaction(link, |connection| match connection.set_autocommit(false) {
            // What has no transactions does without, as it would by hand.
            Err(error) if error::is_not_there(&error) => Ok(()),
            done => done,
        })
        .await
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
            step(&open.connection).map_err(|error| Box::new(error_of(&open.link, &error, None, ErrorKind::Statement)))
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
    /// On a thread that nobody waits for at the end of the process, should the driver never come back.
    pub async fn cancel(&self) -> Result<(), DatabaseError> {
        let (own, (done, asked)) = (self.clone(), oneshot::channel());
        let asking = move || {
            own.now();
            // Nobody waits any more where this cannot be sent.
            let _ = done.send(());
        };
        // Without a thread nothing is asked, and the next time is soon.
        if thread::Builder::new().name("odbc-cancel".to_owned()).spawn(asking).is_ok() {
            let _ = asked.await;
        }
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
    fn of(cancel: &'a Cancel, statement: sys::HStmt) -> Self {
        *cancel.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Handle(statement));
        Self(cancel)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Dropped in this order: the handle is taken out before it is freed.
struct Cancellable<'o> {
    _running: Running<'o>,
    _aside: Option<Preallocated<StatementImpl<'o>>>,
}

impl Pieces {
    pub async fn next(&mut self, link: &DbLink) -> Result<Option<Part>, DatabaseError> {
        self.0.recv().await.unwrap_or_else(|| Err(Box::new(lost(link)))).map_err(|error| *error)
    }
}

impl Open {
    /// A statement that can be cancelled while `work` uses it.
    fn cancellable<T>(
        &self,
        work: impl FnOnce(&mut Preallocated<StatementImpl<'_>>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut statement = self.connection.preallocate()?;
        // Taken out again before the handle is freed: what is declared last is dropped first.
        let _running = self.running(statement.as_stmt_ref().as_sys())?;
        work(&mut statement)
    }

    /// From here on a cancel ends this statement. SQLite's driver interrupts all of a connection, and closes the one it
    /// is told to cancel under the hands of the thread that uses it: there it is told another one, which nobody uses.
    fn running(&self, statement: sys::HStmt) -> Result<Cancellable<'_>, Error> {
        let is_closing = self.link.kind == DbKind::Sqlite;
        let mut aside = is_closing.then(|| self.connection.preallocate()).transpose()?;
        let told = aside.as_mut().map_or(statement, |aside| aside.as_stmt_ref().as_sys());
        Ok(Cancellable { _running: Running::of(&self.running, told), _aside: aside })
    }

    fn is_over(&self) -> bool {
        self.is_cancelled.load(Ordering::SeqCst)
    }
}

/// Is there what opens the link on this host?
pub(super) async fn has_driver(link: &DbLink) -> Result<(), DatabaseError> {
    let own = link.clone();
    let looked = tokio::task::spawn_blocking(move || texts(&own).map(|_| ()));
    looked.await.map_err(|_| lost(link))?.map_err(|error| *error)
}

/// The driver manager, and what it is to be told to reach the link's database.
fn texts(link: &DbLink) -> Result<(&'static Environment, Vec<String>), Failed> {
    load::load().map_err(|error| {
        let text = say!("this host has no driver manager of ODBC: {}", error);
        let hint = match link.kind.driver_package() {
            Some(package) => say!("install unixODBC (Debian: unixodbc) and {} here", package),
            None => say!("install unixODBC (Debian: unixodbc) and the driver here"),
        };
        Box::new(DatabaseError::new(link, ErrorKind::NotBuilt, text).hint(Some(hint)))
    })?;
    let failed = |error: &Error| Box::new(error_of(link, error, None, ErrorKind::NotBuilt));
    let environment = environment().map_err(|error| failed(&error))?;
    let drivers = drivers::names().map_err(|error| failed(&error))?;
    let texts = text::connection_texts(link, &drivers)
        .map_err(|(message, hint)| Box::new(DatabaseError::new(link, ErrorKind::NotBuilt, message).hint(Some(hint))))?;
    Ok((environment, texts))
}

/// On the thread that will own the connection.
fn connect(link: &DbLink) -> Result<Connection<'static>, Failed> {
    locale::speak_utf8();
    let (environment, texts) = texts(link)?;
    let login = link.options.connect_timeout.map_or(LOGIN, |own| own.min(LOGIN)).as_secs().max(1);
    let seconds = u32::try_from(login).unwrap_or(30);
    let mut failed = None;
    for text in texts {
        let options = ConnectionOptions { login_timeout_sec: Some(seconds), ..Default::default() };
        match environment.connect_with_connection_string(&text, options) {
            Ok(connection) => return set_up(link, connection),
            Err(error) => {
                let error = Box::new(error_of(link, &error, None, ErrorKind::Unreachable));
                // Another host has no other answer to who signs in.
                if error.kind != ErrorKind::Unreachable {
                    return Err(error);
                }
                failed = failed.or(Some(error));
            }
        }
    }
    Err(failed
        .unwrap_or_else(|| Box::new(DatabaseError::new(link, ErrorKind::Unreachable, say!("the URL names no host")))))
}

fn set_up(link: &DbLink, connection: Connection<'static>) -> Result<Connection<'static>, Failed> {
    for statement in text::setup(link) {
        let done = connection.execute(&statement, (), None).map(drop);
        done.map_err(|error| Box::new(error_of(link, &error, None, ErrorKind::Unreachable)))?;
    }
    Ok(connection)
}

fn work(open: &Open, mut todo: mpsc::UnboundedReceiver<Job>) {
    while let Some(job) = todo.blocking_recv() {
        match job {
            Job::Run { statement, pieces } => {
                let end = run(open, &statement, &pieces)
                    .map(|()| None)
                    .map_err(|error| Box::new(error_of(&open.link, &error, Some(&statement), ErrorKind::Statement)));
                // Nobody reads it any more where this fails.
                let _ = pieces.blocking_send(end);
            }
            Job::Other(work) => work(open),
        }
    }
}

fn values_of(statement: &Statement) -> Vec<VarWCharBox> {
    statement.values.iter().map(|value| VarWCharBox::from_str_slice(value)).collect()
}

fn run(open: &Open, statement: &Statement, pieces: &mpsc::Sender<Piece>) -> Result<(), Error> {
    let values = values_of(statement);
    open.cancellable(|handle| {
        // A cancel that came before there was a statement found nothing to end.
        if open.is_over() {
            return Ok(());
        }
        // None of them is closed by hand: the crate panics where a driver has closed it already, as after a cancel.
        // The statement takes its cursor along.
        let mut results = handle.execute(&statement.text, values.as_slice())?.map(ManuallyDrop::new);
        if results.is_none() {
            let n_rows = handle.row_count().ok().flatten().unwrap_or(0) as u64;
            let _ = pieces.blocking_send(Ok(Some(Part::Done { n_rows })));
            return Ok(());
        }
        while let Some(mut cursor) = results {
            let Some(n_rows) = rows(open, &mut *cursor, pieces)? else { return Ok(()) };
            if pieces.blocking_send(Ok(Some(Part::Done { n_rows }))).is_err() {
                return Ok(());
            }
            // A driver that knows no further results says so by an error.
            results = ManuallyDrop::into_inner(cursor).more_results().ok().flatten().map(ManuallyDrop::new);
        }
        Ok(())
    })
}

/// One result; `None`: nobody wants the rest.
fn rows(
    open: &Open,
    cursor: &mut (impl Cursor + ResultSetMetadata),
    pieces: &mpsc::Sender<Piece>,
) -> Result<Option<u64>, Error> {
    let (columns, shapes) = columns_of(cursor)?;
    if columns.is_empty() {
        return Ok(Some(0));
    }
    if pieces.blocking_send(Ok(Some(Part::Columns(columns)))).is_err() {
        return Ok(None);
    }
    let (mut n_rows, mut cell) = (0, Cell::default());
    while let Some(mut row) = cursor.next_row()? {
        let mut values: Row = Vec::with_capacity(shapes.len());
        for (at, shape) in shapes.iter().enumerate() {
            values.push(cell.text(&mut row, at, *shape)?);
        }
        n_rows += 1;
        if pieces.blocking_send(Ok(Some(Part::Row(values)))).is_err() || open.is_over() {
            return Ok(None);
        }
    }
    Ok(Some(n_rows))
}

fn lost(link: &DbLink) -> DatabaseError {
    DatabaseError::new(link, ErrorKind::Lost, say!("its thread ended"))
}
