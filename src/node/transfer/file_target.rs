//! Rows into a file: written beside it, put in its place when all is well. `pre` and `after` are for bash.

use std::process::Stdio;
use std::sync::Arc;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::connector::delimited::{Reject, Writer};
use crate::connector::file::{self, WriteFile};
use crate::connector::rows::Batch;
use crate::model::message::Message;
use crate::say;

use super::super::script::dedent;
use super::super::task::{Failure, Task};
use super::source::{Rows, Source};
use super::tally::{Counted, Tally};
use super::wanted::WantedFile;
use super::{Stops, within};
use crate::model::assignment::Rendered;

pub struct FileTarget<'a> {
    task: &'a Task<'a>,
    wanted: WantedFile,
    stops: &'a Stops,
}

impl<'a> FileTarget<'a> {
    pub fn new(task: &'a Task<'a>, wanted: WantedFile, stops: &'a Stops) -> Self {
        Self { task, wanted, stops }
    }

    pub async fn fill(self, source: Source, tally: &Arc<Tally>) -> Result<(), Failure> {
        let Self { task, wanted, .. } = &self;
        shell(task, "pre", wanted.pre.as_ref()).await?;
        if wanted.is_deleted {
            file::remove(&wanted.link, &wanted.path).map_err(|error| Failure::of(error.said()))?;
        }
        let place = || Message::verbatim(wanted.path.display().to_string());
        let target = file::create(&wanted.link, &wanted.path).map_err(|error| Failure::of(error.said()))?;
        let mut writer = Writer::new(target, wanted.format.clone())
            .map_err(|error| Failure::refused(within(place(), error.said())))?;
        // Of an empty file nobody knows the columns: it becomes an empty file.
        let Some(begun) = source.begin(true).await? else { return self.publish(writer).await };
        if wanted.format.has_header() {
            let names: Vec<String> = begun.columns().columns.iter().map(|column| column.name.clone()).collect();
            writer.header(&names).map_err(|error| Failure::of(within(place(), error.said())))?;
        }
        let Rows { batches: mut rows, sender: source } = begun.rows(Vec::new());
        let (sender, batches) = mpsc::channel(super::BATCHES_WAITING);
        let own = tally.clone();
        let writing = tokio::task::spawn_blocking(move || write(writer, batches, &own));
        while let Some(batch) = rows.recv().await {
            if sender.send(batch).await.is_err() {
                break;
            }
        }
        drop(sender);
        let written = writing.await.map_err(|error| Failure::of(Message::verbatim(error.to_string())))?;
        let writer = match written {
            Ok(writer) => writer,
            Err(message) => {
                drop(rows);
                source.end().await;
                return Err(Failure::of(within(place(), message)));
            }
        };
        source.finish().await?;
        self.publish(writer).await
    }

    async fn publish(self, writer: Writer<Box<dyn WriteFile>>) -> Result<(), Failure> {
        let Self { task, wanted, stops } = self;
        // Told to stop in the last moment: what is there stays.
        if stops.flag().load(std::sync::atomic::Ordering::SeqCst) {
            return Err(Failure::of(say!("killed")));
        }
        let published = tokio::task::spawn_blocking(move || writer.into_inner().publish()).await;
        let published = published.map_err(|error| Failure::of(Message::verbatim(error.to_string())))?;
        published.map_err(|error| {
            let place = Message::verbatim(wanted.path.display().to_string());
            Failure::of(within(place, say!("it cannot be written: {}", error.to_string())))
        })?;
        shell(task, "after", wanted.after.as_ref()).await
    }
}

/// In a thread of its own.
fn write(
    mut writer: Writer<Box<dyn WriteFile>>,
    mut batches: mpsc::Receiver<Batch>,
    tally: &Tally,
) -> Result<Writer<Box<dyn WriteFile>>, Message> {
    while let Some(batch) = batches.blocking_recv() {
        let before = writer.n_bytes();
        let rejects: Vec<Reject> = writer.batch(&batch).map_err(|error| error.said())?;
        tally.add_bytes(Counted::Written, writer.n_bytes() - before);
        tally.wrote((batch.n_rows() - rejects.len()) as u64);
        for reject in rejects {
            tally.reject(reject).map_err(|failure| failure.message)?;
        }
    }
    Ok(writer)
}

/// Ended with all its children when it is dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may be gone already.
            let _ = killpg(group, Signal::SIGTERM);
        }
    }
}

async fn shell(task: &Task<'_>, word: &'static str, text: Option<&Rendered>) -> Result<(), Failure> {
    let Some(text) = text else { return Ok(()) };
    if !text.variables.is_empty() {
        return Err(Failure::refused(say!("<{}> of a file is for bash: use $RF_PARAM_NAME, not |sql", word)));
    }
    let failed = |message: Message| Failure::of(within(Message::verbatim(word), message));
    let mut command = Command::new("/bin/bash");
    command.arg("-c").arg(dedent(&text.text)).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| failed(Message::verbatim(error.to_string())))?;
    let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw));
    let status = task.unless_stopped(child.wait()).await?;
    group.0 = None;
    let status = status.map_err(|error| failed(Message::verbatim(error.to_string())))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(failed(say!("exit code {}", code))),
        None => Err(failed(say!("ended in an unknown way"))),
    }
}
