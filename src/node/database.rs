//! The databases of links, as tasks of ours open them.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::connector::database::{Canceller, Database};
use crate::connector::link::DbLink;

use super::task::{Failure, Task};
use crate::say;

/// To reach the database and sign in.
const OPEN_WITHIN: Duration = Duration::from_secs(30);
/// A cancel is asked for again until it works: the server may have been asked a moment too early.
pub const CANCEL_EVERY: Duration = Duration::from_millis(500);

/// The link of this name, as it was when the task first asked for it. What is odd about it is said then, and from then
/// on its password is kept out of the log.
pub fn linked(task: &Task<'_>, name: &str) -> Result<DbLink, Failure> {
    let mut known = task.known_links.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(link) = known.iter().find(|link| link.name == name) {
        return Ok(link.clone());
    }
    let link = task.db_link(name).map_err(|error| Failure::refused(error.said()))?;
    task.hide(link.password.expose());
    for warning in &link.warnings {
        task.warn(&warning.said());
    }
    known.push(link.clone());
    Ok(link)
}

/// What paths of links are relative to.
pub fn home<'a>(task: &Task<'a>) -> &'a Path {
    task.conf_dir.parent().unwrap_or(task.conf_dir)
}

/// A session with it. What the database says beside its answers goes to the log.
pub async fn open(task: &Task<'_>, link: &DbLink) -> Result<Database, Failure> {
    let home = home(task);
    let password = link.password.clone();
    let notice = Arc::new(move |text: String| println!("{}", password.mask(&text)));
    let opening = Database::open(link, home, OPEN_WITHIN, notice);
    task.unless_stopped(opening).await?.map_err(|error| Failure::of(error.said()))
}

/// The work, unless the task is told to stop: then what runs in the database is cancelled there, and the work ends
/// with that error, having rolled back.
pub async fn until_stopped<T>(
    task: &Task<'_>,
    canceller: &Canceller,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = task.stopped() => {}
    }
    task.warn(&say!("told to stop: the statement is cancelled in the database"));
    tokio::select! {
        _ = &mut work => {}
        () = cancel_until_it_works(task, canceller) => {}
    }
    Err(Failure::of(say!("killed")))
}

async fn cancel_until_it_works(task: &Task<'_>, canceller: &Canceller) {
    loop {
        if let Err(error) = canceller.cancel().await {
            task.warn(&error.said());
        }
        tokio::time::sleep(CANCEL_EVERY).await;
    }
}
