//! The file systems of links, as tasks of ours open them.

use std::sync::PoisonError;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::connector::file::{FileError, Files};
use crate::connector::link::FileLink;

use super::task::{Failure, Task};

/// To reach the host and sign in.
pub const OPEN_WITHIN: Duration = Duration::from_secs(30);

/// The link of this name, as it was when the task first asked for it. What is odd about it is said then, and from then
/// on its secrets are kept out of the log.
pub fn linked(task: &Task<'_>, name: &str) -> Result<FileLink, Failure> {
    let mut known = task.known_file_links.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(link) = known.iter().find(|link| link.name == name) {
        return Ok(link.clone());
    }
    let link = task.file_link(name).map_err(|error| Failure::refused(error.said()))?;
    link.secrets().for_each(|secret| task.hide(secret.expose()));
    for warning in &link.warnings {
        task.warn(&warning.said());
    }
    known.push(link.clone());
    Ok(link)
}

/// Opens it. What is under way there ends at `stop`.
pub async fn open(task: &Task<'_>, link: &FileLink, stop: CancellationToken) -> Result<Files, Failure> {
    let opening = Files::open(link, task.conf_dir, OPEN_WITHIN, stop);
    task.unless_stopped(opening).await?.map_err(failure)
}

pub fn failure(error: FileError) -> Failure {
    Failure { is_refusal: error.is_for_good(), message: error.said() }
}
