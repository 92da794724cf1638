//! Rows into a file: written beside it, put in its place when all is well. `pre` and `after` are for bash.

use std::sync::Arc;

use tokio::process::Command;
use tokio::sync::mpsc;

use crate::connector::delimited::{Reject, Writer};
use crate::connector::file::{self, WriteFile};
use crate::connector::rows::Batch;
use crate::model::message::Message;
use crate::say;

use super::super::command;
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
        let Some(begun) = source.begin(true, false).await? else { return self.publish(writer).await };
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

async fn shell(task: &Task<'_>, word: &'static str, text: Option<&Rendered>) -> Result<(), Failure> {
    let Some(text) = text else { return Ok(()) };
    if !text.variables.is_empty() {
        return Err(Failure::refused(say!("<{}> of a file is for bash: use $RF_PARAM_NAME, not |sql", word)));
    }
    let mut command = Command::new("/bin/bash");
    command.arg("-c").arg(dedent(&text.text));
    let ran = command::run(task, command).await;
    ran.map(|_| ()).map_err(|failure| match task.is_stopped() {
        true => failure,
        false => Failure::of(within(Message::verbatim(word), failure.message)),
    })
}
