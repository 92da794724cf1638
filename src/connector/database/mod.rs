//! Databases of links: one way to run statements, get rows as text, load many rows and cancel, for all of them.
//!
//! Owns the connections, the cutting of scripts and the words of errors. Knows no node and keeps no result: rows
//! pass through one by one. SQLite is always there, PostgreSQL and MySQL with the features of their names; what
//! needs a driver of its vendor says so when it is opened. Start reading at `Database::open`.

mod bulk;
mod comments;
mod dialect;
mod error;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "odbc")]
mod odbc;
#[cfg(feature = "postgres")]
mod postgres;
pub mod split;
mod sqlite;
#[cfg(test)]
mod tests;
#[cfg(feature = "postgres")]
mod tls;
mod types;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

pub use bulk::{Fetched, TableColumn};
pub use comments::Comments;
pub use dialect::Dialect;
pub use error::{DatabaseError, ErrorKind};
pub use split::{SplitError, Statement, share, split};
pub use types::{column_type, holds_empty};

use super::link::{DbKind, DbLink};
use super::rows::Batch;
#[cfg(any(feature = "postgres", feature = "mysql"))]
use crate::model::message::Message;
use crate::say;

/// One row; `None` is NULL. What is no text is written as the database itself would write it.
pub type Row = Vec<Option<String>>;

/// Told of each notice and warning while statements run.
pub type OnNotice = Arc<dyn Fn(String) + Send + Sync>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// As the database names it; blank where it does not say.
    pub type_name: String,
}

/// What a statement answers, piece by piece. A procedure may answer with several results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Rows of these columns follow.
    Columns(Vec<Column>),
    Row(Row),
    /// A result is complete: rows given or changed.
    Done {
        n_rows: u64,
    },
}

/// A connection. Dropping it closes it; a transaction that is open is rolled back by its database.
pub struct Database {
    link: Arc<DbLink>,
    session: Session,
    /// Somebody asked for the end of what runs, or of what is about to.
    is_cancelled: Arc<AtomicBool>,
}

enum Session {
    Sqlite(sqlite::Session),
    #[cfg(feature = "postgres")]
    Postgres(postgres::Session),
    #[cfg(feature = "mysql")]
    MySql(mysql::Session),
    #[cfg(feature = "odbc")]
    Odbc(odbc::Session),
}

/// Ends what a connection is doing, from any task.
#[derive(Clone)]
pub struct Canceller {
    is_cancelled: Arc<AtomicBool>,
    cancel: Cancel,
}

#[derive(Clone)]
enum Cancel {
    Sqlite(sqlite::Cancel),
    #[cfg(feature = "postgres")]
    Postgres(postgres::Cancel),
    #[cfg(feature = "mysql")]
    MySql(mysql::Cancel),
    #[cfg(feature = "odbc")]
    Odbc(odbc::Cancel),
}

/// The pieces of one statement's answer. Dropped early, the rest is thrown away.
pub struct Answer<'a> {
    link: &'a DbLink,
    pieces: Pieces<'a>,
    is_cancelled: &'a AtomicBool,
}

enum Pieces<'a> {
    Sqlite(sqlite::Pieces),
    #[cfg(feature = "postgres")]
    Postgres(postgres::Pieces),
    #[cfg(feature = "odbc")]
    Odbc(odbc::Pieces),
    #[cfg(feature = "mysql")]
    MySql(mysql::Pieces<'a>),
    #[cfg(not(feature = "mysql"))]
    #[allow(dead_code)]
    None(std::marker::PhantomData<&'a ()>),
}

impl Database {
    /// Connects within `deadline`. A relative path of SQLite begins at `home`.
    pub async fn open(link: &DbLink, home: &Path, deadline: Duration, notice: OnNotice) -> Result<Self, DatabaseError> {
        let deadline = link.options.connect_timeout.map_or(deadline, |own| own.min(deadline));
        let is_cancelled = Arc::new(AtomicBool::new(false));
        match tokio::time::timeout(deadline, open(link, home, &is_cancelled, notice)).await {
            Ok(session) => Ok(Self { link: Arc::new(link.clone()), session: session?, is_cancelled }),
            Err(_) => {
                let text = say!("no answer within {} s", deadline.as_secs().max(1));
                let hint = say!("is the address right, and may this host reach it through every firewall?");
                Err(DatabaseError::new(link, ErrorKind::Unreachable, text).hint(Some(hint)))
            }
        }
    }

    pub fn link(&self) -> &DbLink {
        &self.link
    }

    pub fn dialect(&self) -> Dialect {
        Dialect::of(self.link.kind)
    }

    pub fn canceller(&self) -> Canceller {
        let cancel = match &self.session {
            Session::Sqlite(session) => Cancel::Sqlite(session.canceller()),
            #[cfg(feature = "postgres")]
            Session::Postgres(session) => Cancel::Postgres(session.canceller()),
            #[cfg(feature = "mysql")]
            Session::MySql(session) => Cancel::MySql(session.canceller()),
            #[cfg(feature = "odbc")]
            Session::Odbc(session) => Cancel::Odbc(session.canceller()),
        };
        Canceller { is_cancelled: self.is_cancelled.clone(), cancel }
    }

    pub async fn begin(&mut self) -> Result<(), DatabaseError> {
        #[cfg(feature = "odbc")]
        if let Session::Odbc(session) = &mut self.session {
            return session.begin(&self.link).await;
        }
        self.execute(&Statement::new("BEGIN")).await.map(|_| ())
    }

    pub async fn commit(&mut self) -> Result<(), DatabaseError> {
        #[cfg(feature = "odbc")]
        if let Session::Odbc(session) = &mut self.session {
            return session.commit(&self.link).await;
        }
        self.execute(&Statement::new("COMMIT")).await.map(|_| ())
    }

    /// Also after a cancel, which it forgets.
    pub async fn rollback(&mut self) -> Result<(), DatabaseError> {
        self.is_cancelled.store(false, Ordering::SeqCst);
        #[cfg(feature = "odbc")]
        if let Session::Odbc(session) = &mut self.session {
            return session.rollback(&self.link).await;
        }
        self.execute(&Statement::new("ROLLBACK")).await.map(|_| ())
    }

    /// Runs one statement with its values. Nothing is certain before the answer has been read to its end.
    pub async fn run(&mut self, statement: &Statement) -> Result<Answer<'_>, DatabaseError> {
        let link = self.link.as_ref();
        // A cancel that came between two statements found nothing to end.
        if self.is_cancelled.swap(false, Ordering::SeqCst) {
            return Err(cancelled(link));
        }
        let session = &mut self.session;
        let run = async {
            Ok(match session {
                Session::Sqlite(session) => Pieces::Sqlite(session.run(link, statement).await?),
                #[cfg(feature = "postgres")]
                Session::Postgres(session) => Pieces::Postgres(session.run(link, statement).await?),
                #[cfg(feature = "mysql")]
                Session::MySql(session) => Pieces::MySql(session.run(link, statement).await?),
                #[cfg(feature = "odbc")]
                Session::Odbc(session) => Pieces::Odbc(session.run(link, statement).await?),
            })
        };
        let pieces = within(link, run).await.inspect_err(|_| self.is_cancelled.store(false, Ordering::SeqCst))?;
        Ok(Answer { link, pieces, is_cancelled: &self.is_cancelled })
    }

    /// Runs one statement to its end without its rows: how many it gave or changed.
    pub async fn execute(&mut self, statement: &Statement) -> Result<u64, DatabaseError> {
        let mut answer = self.run(statement).await?;
        let mut n = 0;
        while let Some(part) = answer.next().await? {
            if let Part::Done { n_rows } = part {
                n += n_rows;
            }
        }
        Ok(n)
    }

    /// The first `limit` rows of one statement, for small answers.
    pub async fn rows(&mut self, statement: &Statement, limit: usize) -> Result<Vec<Row>, DatabaseError> {
        let mut answer = self.run(statement).await?;
        let mut rows = Vec::new();
        while let Some(part) = answer.next().await? {
            if let Part::Row(row) = part {
                if rows.len() < limit {
                    rows.push(row);
                }
            }
        }
        Ok(rows)
    }

    /// The columns of a table; none when there is no such table.
    pub async fn columns_of(&mut self, table: &str) -> Result<Vec<TableColumn>, DatabaseError> {
        // A catalogue that we know tells more than a driver.
        #[cfg(feature = "odbc")]
        if let Session::Odbc(session) = &mut self.session
            && !self.link.kind.is_built_in()
        {
            return session.columns_of(&self.link, table).await;
        }
        bulk::columns_of(self, table).await
    }

    /// Sets comments of a table, all or none, and nothing else of it.
    pub async fn set_comments(&mut self, table: &str, comments: &Comments) -> Result<(), DatabaseError> {
        comments::set(self, table, comments).await
    }

    /// Inserts rows as they arrive, the fastest way this database has: inside the transaction that is open, which is
    /// to be rolled back after an error. Each row has a value for each column. How many rows there were.
    pub async fn bulk_insert(
        &mut self,
        table: &str,
        columns: &[TableColumn],
        rows: mpsc::Receiver<Batch>,
    ) -> Result<u64, DatabaseError> {
        let link = self.link.as_ref();
        let insert = bulk::Insert::new(Dialect::of(link.kind), table, columns);
        let flag = &self.is_cancelled;
        let inserted = match &mut self.session {
            Session::Sqlite(session) => session.bulk_insert(link, &insert, rows, flag).await,
            #[cfg(feature = "postgres")]
            Session::Postgres(session) => session.bulk_insert(link, &insert, rows, flag).await,
            #[cfg(feature = "mysql")]
            Session::MySql(session) => session.bulk_insert(link, &insert, rows, flag).await,
            #[cfg(feature = "odbc")]
            Session::Odbc(session) => session.bulk_insert(link, &insert, rows).await,
        };
        let is_cancelled = flag.swap(false, Ordering::SeqCst);
        if is_cancelled && inserted.is_ok() { Err(cancelled(link)) } else { inserted }
    }

    /// Gives the rows of one query as fast as the database does and as they are taken. How many there were.
    pub async fn fetch(&mut self, statement: &Statement, fetched: Fetched) -> Result<u64, DatabaseError> {
        let link = self.link.as_ref();
        let flag = &self.is_cancelled;
        if flag.swap(false, Ordering::SeqCst) {
            return Err(cancelled(link));
        }
        let given = match &mut self.session {
            Session::Sqlite(session) => session.fetch(link, statement, fetched).await,
            #[cfg(feature = "postgres")]
            Session::Postgres(session) => session.fetch(link, statement, fetched).await,
            #[cfg(feature = "mysql")]
            Session::MySql(session) => session.fetch(link, statement, fetched).await,
            #[cfg(feature = "odbc")]
            Session::Odbc(session) => session.fetch(link, statement, fetched).await,
        };
        let is_cancelled = flag.swap(false, Ordering::SeqCst);
        if is_cancelled && given.is_ok() { Err(cancelled(link)) } else { given }
    }
}

impl Answer<'_> {
    pub async fn next(&mut self) -> Result<Option<Part>, DatabaseError> {
        let link = self.link;
        let next = async {
            match &mut self.pieces {
                Pieces::Sqlite(pieces) => pieces.next(link).await,
                #[cfg(feature = "postgres")]
                Pieces::Postgres(pieces) => pieces.next(link).await,
                #[cfg(feature = "mysql")]
                Pieces::MySql(pieces) => pieces.next(link).await,
                #[cfg(feature = "odbc")]
                Pieces::Odbc(pieces) => pieces.next(link).await,
                #[cfg(not(feature = "mysql"))]
                Pieces::None(_) => Ok(None),
            }
        };
        let next = within(link, next).await;
        let is_over = !matches!(next, Ok(Some(_)));
        // A function such as SLEEP of MySQL answers as if nothing had happened.
        if is_over && self.is_cancelled.swap(false, Ordering::SeqCst) && next.is_ok() {
            return Err(cancelled(link));
        }
        next
    }
}

impl Canceller {
    /// Asks the database to end what runs, or what runs next; the one who waits for it gets an error of the kind
    /// `Cancelled`. May be repeated: a server can be asked a moment before the statement reaches it.
    pub async fn cancel(&self) -> Result<(), DatabaseError> {
        self.is_cancelled.store(true, Ordering::SeqCst);
        match &self.cancel {
            Cancel::Sqlite(cancel) => {
                cancel.cancel();
                Ok(())
            }
            #[cfg(feature = "postgres")]
            Cancel::Postgres(cancel) => cancel.cancel().await,
            #[cfg(feature = "mysql")]
            Cancel::MySql(cancel) => cancel.cancel().await,
            #[cfg(feature = "odbc")]
            Cancel::Odbc(cancel) => cancel.cancel().await,
        }
    }
}

/// `work`, unless the server is silent for longer than the link allows.
async fn within<T>(link: &DbLink, work: impl Future<Output = Result<T, DatabaseError>>) -> Result<T, DatabaseError> {
    let Some(limit) = link.options.socket_timeout else { return work.await };
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let text = say!("the server was silent for {} s, longer than socketTimeout", limit.as_secs().max(1));
        Err(DatabaseError::new(link, ErrorKind::TimedOut, text))
    })
}

/// Is there what opens the link, in this build and on this host? Asks no database.
pub async fn has_driver(link: &DbLink) -> Result<(), DatabaseError> {
    if !link.is_odbc() {
        return Ok(());
    }
    #[cfg(feature = "odbc")]
    return odbc::has_driver(link).await;
    #[cfg(not(feature = "odbc"))]
    Err(without_odbc(link))
}

#[cfg(not(feature = "odbc"))]
fn without_odbc(link: &DbLink) -> DatabaseError {
    let text = say!("built without ODBC, which {} takes", link.kind.title());
    let hint = say!("build it with {}", "cargo build --release --features odbc");
    DatabaseError::new(link, ErrorKind::NotBuilt, text).hint(Some(hint))
}

fn cancelled(link: &DbLink) -> DatabaseError {
    DatabaseError::new(link, ErrorKind::Cancelled, say!("the server was told to end the statement"))
}

async fn open(
    link: &DbLink,
    home: &Path,
    is_cancelled: &Arc<AtomicBool>,
    notice: OnNotice,
) -> Result<Session, DatabaseError> {
    match link.kind {
        #[cfg(feature = "odbc")]
        _ if link.is_odbc() => Ok(Session::Odbc(odbc::Session::open(link, is_cancelled.clone(), notice).await?)),
        #[cfg(not(feature = "odbc"))]
        _ if link.is_odbc() => Err(without_odbc(link)),
        DbKind::Sqlite => Ok(Session::Sqlite(sqlite::Session::open(link, home, is_cancelled.clone()).await?)),
        #[cfg(feature = "postgres")]
        DbKind::PostgreSql => Ok(Session::Postgres(postgres::Session::open(link, notice).await?)),
        #[cfg(feature = "mysql")]
        DbKind::MySql | DbKind::MariaDb => Ok(Session::MySql(mysql::Session::open(link, notice).await?)),
        kind => {
            drop(notice);
            let text = say!("this build has no driver for {}", kind.title());
            Err(DatabaseError::new(link, ErrorKind::NotBuilt, text))
        }
    }
}

/// Bytes that are no text, as hexadecimal digits.
fn bytes_as_text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("0x{}", hex::encode_upper(bytes)),
    }
}

/// What to look at when nobody answers.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn unreachable_hint(text: &str, kind: ErrorKind) -> Option<Message> {
    if kind != ErrorKind::Unreachable {
        return None;
    }
    let text = text.to_ascii_lowercase();
    if text.contains("lookup") || text.contains("name or service") || text.contains("resolve") {
        return Some(say!("is the host's name in the link's URL right, and known on this host?"));
    }
    text.contains("refused").then(|| say!("does the server run, and listen at this address and port?"))
}
