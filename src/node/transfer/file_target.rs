//! Rows into a file: written beside it, put in its place when all is well. `pre` and `after` are for bash.

use std::sync::Arc;

use tokio::process::Command;
use tokio::sync::mpsc;

use crate::connector::delimited::{Reject, Writer};
use crate::connector::file::{WriteFile, said};
use crate::connector::rows::Batch;
use crate::model::message::Message;
use crate::say;

use super::super::command;
use super::super::files;
use super::super::script::dedent;
use super::super::task::{Failure, Task};
use super::source::{Rows, Source};
use super::tally::{Counted, Tally};
use super::wanted::WantedFile;
use super::{Stops, open_files, within};
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
        let files = open_files(task, &wanted.link, self.stops).await?;
        if wanted.is_deleted {
            task.unless_stopped(files.remove(&wanted.path)).await?.map_err(files::failure)?;
        }
        let place = files.place(&wanted.path);
        let target = task.unless_stopped(files.create(&wanted.path)).await?.map_err(files::failure)?;
        let writer = Writer::new(target, wanted.format.clone())
            .map_err(|error| Failure::refused(within(Message::verbatim(place.as_str()), error.said())))?;
        // Of an empty file nobody knows the columns: it becomes an empty file.
        let Some(begun) = source.begin(true, false).await? else { return self.publish(writer, place).await };
        let header = wanted.format.has_header().then(|| {
            let names = begun.columns().columns.iter().map(|column| column.name.clone());
            names.collect::<Vec<String>>()
        });
        let Rows { batches: mut rows, sender: source } = begun.rows(Vec::new());
        let (sender, batches) = mpsc::channel(super::BATCHES_WAITING);
        let own = tally.clone();
        let writing = tokio::task::spawn_blocking(move || write(writer, header, batches, &own));
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
                return Err(Failure::of(within(Message::verbatim(place), message)));
            }
        };
        source.finish().await?;
        self.publish(writer, place).await
    }

    async fn publish(self, writer: Writer<Box<dyn WriteFile>>, place: String) -> Result<(), Failure> {
        let Self { task, wanted, stops } = self;
        // Told to stop in the last moment: what is there stays.
        if stops.token().is_cancelled() {
            return Err(Failure::of(say!("killed")));
        }
        let published = tokio::task::spawn_blocking(move || writer.into_inner().publish()).await;
        let published = published.map_err(|error| Failure::of(Message::verbatim(error.to_string())))?;
        published.map_err(|error| {
            Failure::of(within(Message::verbatim(place), say!("it cannot be written: {}", said(&error))))
        })?;
        shell(task, "after", wanted.after.as_ref()).await
    }
}

/// In a thread of its own.
fn write(
    mut writer: Writer<Box<dyn WriteFile>>,
    header: Option<Vec<String>>,
    mut batches: mpsc::Receiver<Batch>,
    tally: &Tally,
) -> Result<Writer<Box<dyn WriteFile>>, Message> {
    if let Some(names) = header {
        writer.header(&names).map_err(|error| error.said())?;
        tally.add_bytes(Counted::Written, writer.n_bytes());
    }
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
