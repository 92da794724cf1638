//! Where the rows come from: a query, whose database gives them as they are taken, or a file.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::connector::database::{Canceller, Column, Database, Fetched, Statement, share, split};
use crate::connector::delimited::{Next, Reader};
use crate::connector::file::ReadFile;
use crate::connector::link::DbLink;
use crate::connector::rows::Batch;
use crate::model::message::Message;
use crate::say;

use super::super::files;
use super::super::task::{Failure, Task};
use super::columns::{SourceColumns, unnamed};
use super::tally::{Counted, Tally};
use super::wanted::{WantedSource, is_table};
use super::{BATCHES_WAITING, Stops, connect, ended, linked, open_files, table_name, within};

pub enum Source {
    Query(Query),
    File(TextFile),
}

pub struct Query {
    link: DbLink,
    database: Database,
    statement: Statement,
}

pub struct TextFile {
    reader: Reader<Box<dyn ReadFile>>,
    place: String,
    /// `None`: the file is empty.
    columns: Option<SourceColumns>,
    tally: Arc<Tally>,
    stop: CancellationToken,
}

/// Rows on their way, and who sends them.
pub struct Rows {
    pub batches: mpsc::Receiver<Batch>,
    pub sender: Sending,
}

pub struct Sending {
    reading: JoinHandle<Result<(), Failure>>,
    canceller: Option<Canceller>,
}

/// A source that has told its columns.
pub enum Begun {
    Flowing(SourceColumns, Rows),
    Waiting(SourceColumns, TextFile),
}

impl Source {
    pub async fn open(
        task: &Task<'_>,
        wanted: WantedSource,
        tally: Arc<Tally>,
        stops: &Stops,
    ) -> Result<Self, Failure> {
        match wanted {
            WantedSource::Query { link: name, text } => {
                let link = linked(task, &name)?;
                let mut database = connect(task, &link, stops).await?;
                let dialect = database.dialect();
                let query = if is_table(&text.text) {
                    let table = table_name(&mut database, text.text.trim()).await?;
                    format!("SELECT * FROM {}", dialect.quote_table(&table))
                } else {
                    text.text.clone()
                };
                let refused = |message: Message| Failure::refused(within(Message::verbatim("source"), message));
                let mut statements = split(&query, dialect).map_err(|error| refused(error.said()))?;
                let values: Vec<String> = text.variables.iter().map(|(_, value)| value.clone()).collect();
                share(&mut statements, &values).map_err(|error| refused(error.said()))?;
                let n = statements.len();
                let statement = statements.pop().filter(|_| n == 1);
                let statement = statement.ok_or_else(|| refused(say!("it must be one query, not {} statements", n)))?;
                Ok(Self::Query(Query { link, database, statement }))
            }
            WantedSource::File { link, path, format } => {
                let files = open_files(task, &link, stops).await?;
                let place = files.place(&path);
                // A pipe may have no writer yet: nobody waits for it at a kill.
                let opened = task.unless_stopped(files.read(&path)).await?.map_err(files::failure)?;
                let said = place.clone();
                let beginning = tokio::task::spawn_blocking(move || {
                    let mut reader = Reader::new(opened, format.clone());
                    let first = reader.first().map_err(|error| within(Message::verbatim(said), error.said()))?;
                    Ok((reader, first.map(|fields| file_columns(fields, format.has_header()))))
                });
                let begun = task.unless_stopped(beginning).await?;
                let (reader, columns) =
                    begun.map_err(|error| Failure::of(Message::verbatim(error.to_string())))?.map_err(Failure::of)?;
                Ok(Self::File(TextFile { reader, place, columns, tally, stop: stops.token() }))
            }
        }
    }

    pub fn link(&self) -> Option<&DbLink> {
        match self {
            Self::Query(query) => Some(&query.link),
            Self::File(_) => None,
        }
    }

    /// The columns; a query runs from now on. `None`: there is nothing, and nobody knows of which columns.
    /// `frees_file`: what is written from then on goes into the file that a query reads.
    pub async fn begin(self, has_zones: bool, frees_file: bool) -> Result<Option<Begun>, Failure> {
        match self {
            Self::File(mut file) => Ok(file.columns.take().map(|columns| Begun::Waiting(columns, file))),
            Self::Query(Query { mut database, statement, .. }) => {
                let (told, columns) = oneshot::channel();
                let (sender, batches) = mpsc::channel(BATCHES_WAITING);
                let canceller = Some(database.canceller());
                let fetched = Fetched { columns: told, rows: sender, has_zones, frees_file };
                let reading = tokio::spawn(async move {
                    let read = database.fetch(&statement, fetched).await;
                    read.map(|_| ()).map_err(|error| Failure::of(within(Message::verbatim("source"), error.said())))
                });
                let sender = Sending { reading, canceller };
                match columns.await {
                    Ok(columns) if columns.is_empty() => {
                        drop(batches);
                        sender.end().await;
                        Err(Failure::refused(say!("the source gives no rows: it must be a table or a query")))
                    }
                    Ok(columns) => {
                        let columns = SourceColumns { columns, has_names: true };
                        Ok(Some(Begun::Flowing(columns, Rows { batches, sender })))
                    }
                    // It failed before it had any.
                    Err(_) => sender.finish().await.map(|()| None),
                }
            }
        }
    }
}

impl Begun {
    pub fn columns(&self) -> &SourceColumns {
        match self {
            Self::Flowing(columns, _) | Self::Waiting(columns, _) => columns,
        }
    }

    /// The rows. In which columns an empty field of a file is NULL.
    pub fn rows(self, empty_is_null: Vec<bool>) -> Rows {
        match self {
            Self::Flowing(_, rows) => rows,
            Self::Waiting(columns, mut file) => {
                file.reader.expect(columns.columns.len(), empty_is_null);
                let (sender, batches) = mpsc::channel(BATCHES_WAITING);
                let stop = file.stop.clone();
                let reading = tokio::spawn(async move {
                    tokio::select! {
                        read = forward(file, sender) => read,
                        // A pipe or a disk may hold up its thread for ever: nobody waits for it.
                        () = stop.cancelled() => Err(Failure::of(say!("killed"))),
                    }
                });
                Rows { batches, sender: Sending { reading, canceller: None } }
            }
        }
    }
}

/// From the thread that reads to whoever writes.
async fn forward(file: TextFile, batches: mpsc::Sender<Batch>) -> Result<(), Failure> {
    let (sender, mut read) = mpsc::channel(1);
    let reading = tokio::task::spawn_blocking(move || file.read(&sender));
    while let Some(batch) = read.recv().await {
        if batches.send(batch).await.is_err() {
            break;
        }
    }
    drop((read, batches));
    reading.await.unwrap_or_else(|error| Err(Failure::of(Message::verbatim(error.to_string()))))
}

impl TextFile {
    /// In a thread of its own.
    fn read(mut self, batches: &mpsc::Sender<Batch>) -> Result<(), Failure> {
        let mut n_bytes = 0;
        loop {
            if self.stop.is_cancelled() {
                return Err(Failure::of(say!("killed")));
            }
            let next = self.reader.next().map_err(|error| self.failed(error.said()))?;
            self.tally.add_bytes(Counted::Read, self.reader.n_bytes() - n_bytes);
            n_bytes = self.reader.n_bytes();
            match next {
                Next::End => break,
                Next::Reject(reject) => self.tally.reject(reject).map_err(|failure| self.failed(failure.message))?,
                // Where this fails, whoever writes has an error of its own.
                Next::Rows(batch) => {
                    if batches.blocking_send(batch).is_err() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn failed(&self, message: Message) -> Failure {
        Failure::of(within(Message::verbatim(self.place.as_str()), message))
    }
}

impl Sending {
    /// Waits for the end of a source that was read to its end: what went wrong there.
    pub async fn finish(self) -> Result<(), Failure> {
        let done = self.reading.await;
        done.unwrap_or_else(|error| Err(Failure::of(Message::verbatim(error.to_string()))))
    }

    /// Ends what nobody wants any more.
    pub async fn end(self) {
        match &self.canceller {
            Some(canceller) => drop(ended(canceller, self.reading).await),
            None => self.reading.abort(),
        }
    }
}

fn file_columns(fields: Vec<String>, has_header: bool) -> SourceColumns {
    let column = |(at, name): (usize, String)| Column {
        name: if has_header && !name.is_empty() { name } else { unnamed(at) },
        type_name: "text".to_owned(),
    };
    SourceColumns { columns: fields.into_iter().enumerate().map(column).collect(), has_names: has_header }
}
