//! SQLite: a thread of its own owns the connection, because its calls block; rows come through a bounded channel.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, InterruptHandle, OpenFlags};
use tokio::sync::{mpsc, oneshot};

use super::error::{DatabaseError, ErrorKind, line_and_column};
use super::split::Statement;
use super::{Column, Part, Row};
use crate::connector::link::{DbLink, DbUrl};
use crate::model::message::Message;
use crate::say;

/// Pieces that wait for their reader.
const PIECES_WAITING: usize = 256;
/// How long a statement waits for another writer, unless the link says so.
const BUSY: Duration = Duration::from_secs(30);

/// Steps of SQLite's machine between two looks at whether the statement is cancelled.
const STEPS_BETWEEN_LOOKS: std::ffi::c_int = 10_000;

pub(super) type Failed = Box<DatabaseError>;

pub(super) struct Session {
    jobs: mpsc::UnboundedSender<Job>,
    interrupt: Arc<InterruptHandle>,
}

#[derive(Clone)]
pub(super) struct Cancel(Arc<InterruptHandle>);

pub(super) struct Pieces(mpsc::Receiver<Result<Part, Failed>>);

pub(super) enum Job {
    Run {
        statement: Statement,
        pieces: mpsc::Sender<Result<Part, Failed>>,
    },
    /// Work that says its result itself.
    Bulk(Box<dyn FnOnce(&DbLink, &Connection) + Send>),
}

impl Session {
    pub async fn open(link: &DbLink, home: &Path, is_cancelled: Arc<AtomicBool>) -> Result<Self, DatabaseError> {
        let (opened, answer) = oneshot::channel();
        let (jobs, todo) = mpsc::unbounded_channel();
        let (own, home) = (link.clone(), home.to_owned());
        let thread =
            thread::Builder::new().name("sqlite".to_owned()).spawn(move || match connect(&own, &home, is_cancelled) {
                Ok(connection) => {
                    if opened.send(Ok(connection.get_interrupt_handle())).is_ok() {
                        work(&own, &connection, todo);
                    }
                }
                // Nobody waits any more where this cannot be sent.
                Err(error) => drop(opened.send(Err(error))),
            });
        thread.map_err(|error| DatabaseError::quoting(link, ErrorKind::Unreachable, &error.to_string()))?;
        let interrupt = answer.await.map_err(|_| lost(link))?.map_err(|error| *error)?;
        Ok(Self { jobs, interrupt: Arc::new(interrupt) })
    }

    pub fn canceller(&self) -> Cancel {
        Cancel(self.interrupt.clone())
    }

    pub async fn run(&mut self, link: &DbLink, statement: &Statement) -> Result<Pieces, DatabaseError> {
        let (pieces, receiver) = mpsc::channel(PIECES_WAITING);
        let job = Job::Run { statement: statement.clone(), pieces };
        self.send(job).map_err(|_| lost(link))?;
        Ok(Pieces(receiver))
    }

    pub fn send(&self, job: Job) -> Result<(), mpsc::error::SendError<Job>> {
        self.jobs.send(job)
    }
}

impl Drop for Session {
    /// What still runs would keep the thread, and the file, for as long as it likes.
    fn drop(&mut self) {
        self.interrupt.interrupt();
    }
}

impl Cancel {
    pub fn cancel(&self) {
        self.0.interrupt();
    }
}

impl Pieces {
    pub async fn next(&mut self, _link: &DbLink) -> Result<Option<Part>, DatabaseError> {
        self.0.recv().await.transpose().map_err(|error| *error)
    }
}

fn connect(link: &DbLink, home: &Path, is_cancelled: Arc<AtomicBool>) -> Result<Connection, Failed> {
    // Plain names: no URI of SQLite, whose options could do more than ours.
    let access = if link.options.is_read_only {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
    };
    let opened = match &link.url {
        DbUrl::File(path) => Connection::open_with_flags(home.join(path), access | OpenFlags::SQLITE_OPEN_NO_MUTEX),
        _ => Connection::open_in_memory(),
    };
    let mut connection = opened.map_err(|error| {
        let hint = say!("is the directory there, and may this user write into it?");
        Box::new(error_of(link, &error, None, ErrorKind::Unreachable).hint(Some(hint)))
    })?;
    let failed = |error: rusqlite::Error| Box::new(error_of(link, &error, None, ErrorKind::Unreachable));
    // An interrupt that comes before the first step of a statement is forgotten; this is not.
    let is_over = move || is_cancelled.load(Ordering::SeqCst);
    connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(is_over)).map_err(failed)?;
    connection.busy_timeout(link.options.busy_timeout.unwrap_or(BUSY)).map_err(failed)?;
    Ok(connection)
}

fn work(link: &DbLink, connection: &Connection, mut todo: mpsc::UnboundedReceiver<Job>) {
    while let Some(job) = todo.blocking_recv() {
        match job {
            Job::Run { statement, pieces } => {
                if let Err(error) = run(connection, &statement, &pieces) {
                    let error = Box::new(error_of(link, &error, Some(&statement), ErrorKind::Statement));
                    // Nobody reads it any more where this fails.
                    let _ = pieces.blocking_send(Err(error));
                }
            }
            Job::Bulk(work) => work(link, connection),
        }
    }
}

fn run(
    connection: &Connection,
    statement: &Statement,
    pieces: &mpsc::Sender<Result<Part, Failed>>,
) -> rusqlite::Result<()> {
    let before = connection.total_changes();
    let mut prepared = connection.prepare(&statement.text)?;
    bind(&mut prepared, statement)?;
    let columns = columns_of(&prepared);
    let n_columns = columns.len();
    let mut n_rows = 0;
    if n_columns > 0 && pieces.blocking_send(Ok(Part::Columns(columns))).is_err() {
        return Ok(());
    }
    let mut rows = prepared.raw_query();
    while let Some(row) = rows.next()? {
        let values = (0..n_columns).map(|at| row.get_ref(at).map(text_of)).collect::<rusqlite::Result<Row>>()?;
        n_rows += 1;
        if pieces.blocking_send(Ok(Part::Row(values))).is_err() {
            return Ok(());
        }
    }
    drop(rows);
    if n_columns == 0 {
        n_rows = connection.total_changes().saturating_sub(before);
    }
    let _ = pieces.blocking_send(Ok(Part::Done { n_rows }));
    Ok(())
}

pub(super) fn bind(prepared: &mut rusqlite::Statement<'_>, statement: &Statement) -> rusqlite::Result<()> {
    // SQLite would take a missing one for NULL.
    if prepared.parameter_count() != statement.values.len() {
        return Err(rusqlite::Error::InvalidParameterCount(statement.values.len(), prepared.parameter_count()));
    }
    for (at, value) in statement.values.iter().enumerate() {
        prepared.raw_bind_parameter(at + 1, value)?;
    }
    Ok(())
}

pub(super) fn columns_of(prepared: &rusqlite::Statement<'_>) -> Vec<Column> {
    let column = |column: rusqlite::Column<'_>| Column {
        name: column.name().to_owned(),
        type_name: column.decl_type().unwrap_or_default().to_owned(),
    };
    prepared.columns().map(column).collect()
}

pub(super) fn lost(link: &DbLink) -> DatabaseError {
    DatabaseError::new(link, ErrorKind::Lost, say!("its thread ended"))
}

fn text_of(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(real(number)),
        ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Some(super::bytes_as_text(bytes)),
    }
}

/// As SQLite writes it: 1.0, not 1.
pub(super) fn real(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Inf" } else { "-Inf" }.to_owned();
    }
    let text = format!("{number:?}");
    if text.contains(['.', 'e']) { text } else { text + ".0" }
}

pub(super) fn error_of(
    link: &DbLink,
    error: &rusqlite::Error,
    statement: Option<&Statement>,
    otherwise: ErrorKind,
) -> DatabaseError {
    let (code, text, offset) = match error {
        rusqlite::Error::SqliteFailure(failure, text) => {
            (Some(*failure), text.clone().unwrap_or_else(|| failure.to_string()), None)
        }
        rusqlite::Error::SqlInputError { error, msg, offset, .. } => {
            (Some(*error), msg.clone(), usize::try_from(*offset).ok())
        }
        other => (None, other.to_string(), None),
    };
    let kind = match code.map(|code| code.code) {
        Some(ErrorCode::OperationInterrupted) => ErrorKind::Cancelled,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Conflict,
        Some(ErrorCode::CannotOpen | ErrorCode::NotADatabase | ErrorCode::DiskFull) => ErrorKind::Unreachable,
        _ => otherwise,
    };
    let mut found = DatabaseError::quoting(link, kind, &text).hint(hint(&text, kind));
    found.code = code.map(|code| format!("SQLite {}", code.extended_code));
    if let Some(statement) = statement {
        let before = offset.map(|offset| statement.text[..statement.text.floor_char_boundary(offset)].chars().count());
        let (line, column) = line_and_column(&statement.text, before.unwrap_or(0) + 1);
        found.line = Some(statement.line + line - 1);
        found.column = before.map(|_| column);
    }
    found
}

fn hint(text: &str, kind: ErrorKind) -> Option<Message> {
    if text.starts_with("no such table") {
        return Some(say!("is the link's file the right one?"));
    }
    (kind == ErrorKind::Conflict)
        .then(|| say!("another program writes into the file; busy_timeout says how long to wait"))
}
