//! `transfer`: rows from a table, a query or a file into a table or a file.
//!
//! One reader and one writer, or several, with a bounded channel between them. A table is written in one transaction
//! and a file beside the one that it replaces, so a transfer that fails or is killed leaves the target as it was.
//! At a kill the statements of both sides are cancelled in their databases. Start reading at `go`.

mod columns;
mod file_target;
mod source;
mod table;
mod tally;
mod wanted;

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::connector::database::{Canceller, Database, Dialect};
use crate::connector::file::Files;
use crate::connector::link::{DbLink, FileLink};
use crate::model::assignment::Assignment;
use crate::model::message::Message;
use crate::say;

use super::database::{self, CANCEL_EVERY, linked};
use super::files;
use super::process::{Plan, Refusal};
use super::script;
use super::task::{self, Failure, Task};
use file_target::FileTarget;
use source::Source;
use table::Table;
use tally::Tally;
use wanted::{Target, Wanted, wanted};

/// Batches that wait for a writer.
const BATCHES_WAITING: usize = 4;

/// With `<script>` it is that script; else a task of ours.
pub fn plan(assignment: &Assignment) -> Result<Plan, Refusal> {
    match assignment.body.child("script") {
        Some(element) => {
            let text = element.text.as_ref().ok_or(Refusal::Missing("script"))?;
            Ok(script::of_text(text, assignment.script_trim))
        }
        None => task::plan(assignment),
    }
}

pub fn run<'a>(task: &'a Task<'_>) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>> {
    Box::pin(async {
        let wanted = wanted(task).map_err(Failure::refused)?;
        let tally = Arc::new(Tally::new(wanted.max_rejects, wanted.counted()));
        let stops = Stops::default();
        let work = go(task, wanted, tally.clone(), &stops);
        tokio::pin!(work);
        let done = tokio::select! {
            done = &mut work => done,
            never = tally.tell(task) => never,
            () = task.stopped() => {
                stops.stop();
                // What is done has been rolled back when the work ends.
                if stops.has_any() {
                    task.warn(&say!("told to stop: the statement is cancelled in the database"));
                }
                tokio::select! {
                    _ = &mut work => {}
                    () = stops.until_it_works(task) => {}
                }
                Err(Failure::of(say!("killed")))
            }
        };
        if done.is_err() {
            stops.stop();
        }
        stops.close().await;
        tally.tell_rejects(task);
        done?;
        tally.finish(task);
        Ok(())
    })
}

async fn go<'a>(task: &'a Task<'_>, wanted: Wanted, tally: Arc<Tally>, stops: &'a Stops) -> Result<(), Failure> {
    wanted.refuse_same(task)?;
    let Wanted { source, target, .. } = wanted;
    let source = Source::open(task, source, tally.clone(), stops).await?;
    match target {
        Target::Table(target) => Table::open(task, target, source.link(), stops).await?.fill(source, &tally).await,
        Target::File(target) => FileTarget::new(task, target, stops).fill(source, &tally).await,
    }
}

/// Everything that is to be ended at a kill.
#[derive(Default)]
struct Stops {
    stop: CancellationToken,
    cancellers: Mutex<Vec<Canceller>>,
    files: Mutex<Vec<Files>>,
}

impl Stops {
    /// Cancelled when the transfer is to end: for threads and files, which nothing else reaches.
    fn token(&self) -> CancellationToken {
        self.stop.clone()
    }

    fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until files that were not published are taken back, and ends the connections to their systems.
    async fn close(&self) {
        let files = std::mem::take(&mut *self.files.lock().unwrap_or_else(PoisonError::into_inner));
        futures_util::future::join_all(files.iter().map(Files::close)).await;
    }

    fn add(&self, database: &Database) {
        self.all().push(database.canceller());
    }

    fn all(&self) -> MutexGuard<'_, Vec<Canceller>> {
        self.cancellers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn n(&self) -> usize {
        self.all().len()
    }

    /// Nothing of the sessions from the `from`th on is cancelled any more: they clean up.
    fn spare(&self, from: usize) {
        self.all().truncate(from);
    }

    fn has_any(&self) -> bool {
        !self.all().is_empty()
    }

    async fn until_it_works(&self, task: &Task<'_>) {
        loop {
            let cancellers = self.all().clone();
            for canceller in cancellers {
                if let Err(error) = canceller.cancel().await {
                    task.warn(&error.said());
                }
            }
            tokio::time::sleep(CANCEL_EVERY).await;
        }
    }
}

/// Asks for the end of what runs there until the one who waits for it is done.
async fn ended<T>(canceller: &Canceller, work: impl Future<Output = T>) -> T {
    tokio::select! {
        done = work => done,
        never = cancel_forever(canceller) => never,
    }
}

async fn cancel_forever<T>(canceller: &Canceller) -> T {
    loop {
        // The connection may be gone, and the work with it.
        let _ = canceller.cancel().await;
        tokio::time::sleep(CANCEL_EVERY).await;
    }
}

/// A session that a kill reaches.
async fn connect(task: &Task<'_>, link: &DbLink, stops: &Stops) -> Result<Database, Failure> {
    let database = database::open(task, link).await?;
    stops.add(&database);
    Ok(database)
}

/// The file system of a link, of which a stop leaves nothing half done.
async fn open_files(task: &Task<'_>, link: &FileLink, stops: &Stops) -> Result<Files, Failure> {
    let files = files::open(task, link, stops.token()).await?;
    stops.files.lock().unwrap_or_else(PoisonError::into_inner).push(files.clone());
    Ok(files)
}

/// PostgreSQL writes names that nobody quoted in small letters; one that is there as it is written is meant.
async fn table_name(database: &mut Database, name: &str) -> Result<String, Failure> {
    let folded = name.to_lowercase();
    if database.dialect() != Dialect::PostgreSql || name.contains('"') || folded == name {
        return Ok(name.to_owned());
    }
    let found = database.columns_of(name).await.map_err(|error| Failure::of(error.said()))?;
    Ok(if found.is_empty() { folded } else { name.to_owned() })
}

/// A message with where in the transfer it belongs.
fn within(place: Message, message: Message) -> Message {
    say!("{}: {}", place, message)
}

#[cfg(test)]
mod tests;
