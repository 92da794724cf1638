//! Files of HDFS by WebHDFS, which every namenode has: plain HTTP, so nothing of Hadoop is needed.
//!
//! A namenode knows names and sizes and sends us on to a datanode for content. Of several namenodes one is active; the
//! others say so. A new file gets a name of its own beside the one that it will replace. Users are named, not proven:
//! Kerberos is not here.

mod call;
#[cfg(test)]
#[path = "../../../../tests/fixtures/webhdfs.rs"]
mod fake;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use reqwest::{Body, Method, Response, StatusCode};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::bridge::Upload;
use super::error::FileError;
use super::pattern::Pattern;
use super::{Found, Pieces, Remote, part_of, timeout_of, web};
use crate::connector::link::FileLink;
use crate::model::message::Message;
use crate::say;
use call::There;

pub(super) use call::namenodes;

/// Pieces under way to a datanode.
const PIECES_WAITING: usize = 4;
/// A datanode may die: how often the rest is asked for without getting a byte of it.
const TRIES: usize = 3;
/// To end and to take back a file that is not published.
const END_WITHIN: Duration = Duration::from_secs(2);
const DISCARD_WITHIN: Duration = Duration::from_secs(3);

const LIST_BATCH: &str = "LISTSTATUS_BATCH";

pub(super) struct WebHdfs(Arc<There>);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StatusAnswer {
    file_status: FileStatus,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileStatus {
    #[serde(default)]
    path_suffix: String,
    r#type: String,
    #[serde(default)]
    length: u64,
    #[serde(default)]
    permission: Option<String>,
}

impl FileStatus {
    fn is_directory(&self) -> bool {
        self.r#type == "DIRECTORY"
    }
}

#[derive(Debug, Deserialize)]
struct Listing {
    #[serde(rename = "FileStatuses")]
    statuses: Statuses,
}

#[derive(Debug, Deserialize)]
struct Statuses {
    #[serde(rename = "FileStatus")]
    all: Vec<FileStatus>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchAnswer {
    directory_listing: Batch,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    partial_listing: Listing,
    remaining_entries: u64,
}

/// `None`: it says nothing, and has done it.
#[derive(Debug, Deserialize)]
struct Done {
    boolean: Option<bool>,
}

impl WebHdfs {
    pub fn open(link: &FileLink) -> Result<Self, FileError> {
        Ok(Self(Arc::new(There::new(link, timeout_of(link)?)?)))
    }
}

impl There {
    async fn status(&self, path: &str) -> Result<FileStatus, FileError> {
        let answer: StatusAnswer = self.answer(Method::GET, path, "GETFILESTATUS", &[]).await?;
        Ok(answer.file_status)
    }

    /// `None`: nothing is there.
    async fn looked(&self, path: &str) -> Result<Option<FileStatus>, FileError> {
        match self.status(path).await {
            Ok(status) => Ok(Some(status)),
            Err(FileError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Some entries of a directory; all of them where it knows no other way.
    async fn batch(&self, directory: &str, more: &[(&str, &str)]) -> Result<Batch, FileError> {
        match self.answer::<BatchAnswer>(Method::GET, directory, LIST_BATCH, more).await {
            Ok(answer) => Ok(answer.directory_listing),
            // As servers before Hadoop 3 say that they have no such word.
            Err(error) if more.is_empty() && error.why().english().contains(LIST_BATCH) => {
                let partial_listing = self.answer(Method::GET, directory, "LISTSTATUS", &[]).await?;
                Ok(Batch { partial_listing, remaining_entries: 0 })
            }
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, path: &str) -> Result<(), FileError> {
        self.answer(Method::DELETE, path, "DELETE", &[]).await.map(|_: Done| ())
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), FileError> {
        let over = [("destination", to), ("renameoptions", "OVERWRITE")];
        let done: Done = self.answer(Method::PUT, from, "RENAME", &over).await?;
        if done.boolean != Some(false) {
            return Ok(());
        }
        // A gateway that knows no options: in two steps.
        self.delete(to).await?;
        let done: Done = self.answer(Method::PUT, from, "RENAME", &[("destination", to)]).await?;
        match done.boolean {
            Some(false) => Err(self.refused(to, say!("it cannot be renamed from {}", from))),
            _ => Ok(()),
        }
    }

    /// The content from there on, from wherever it is.
    async fn content(&self, path: &str, offset: u64) -> Result<Response, FileError> {
        let response = self.ask(Method::GET, path, "OPEN", &[("offset", &offset.to_string())]).await?;
        match response.status() {
            StatusCode::TEMPORARY_REDIRECT => self.get(path, self.sent_on(path, &response)?).await,
            _ => Ok(response),
        }
    }
}

/// A file while it is read.
struct Reading {
    there: Arc<There>,
    path: String,
    offset: u64,
    length: u64,
    content: Option<BoxStream<'static, reqwest::Result<Bytes>>>,
    n_tries: usize,
}

impl Reading {
    /// `None`: that was all.
    async fn next(&mut self) -> Result<Option<Bytes>, FileError> {
        while self.offset < self.length {
            match self.piece().await {
                Ok(Some(piece)) => {
                    let left = usize::try_from(self.length - self.offset).unwrap_or(usize::MAX);
                    let piece = piece.slice(..piece.len().min(left));
                    self.offset += piece.len() as u64;
                    if !piece.is_empty() {
                        self.n_tries = 0;
                        return Ok(Some(piece));
                    }
                }
                // The rest is asked for anew, of another datanode when this one has died.
                Ok(None) if self.n_tries < TRIES => self.again(),
                Ok(None) => {
                    let why = say!("it ends after {} of {} bytes", self.offset, self.length);
                    return Err(self.there.refused(&self.path, why));
                }
                Err(error @ FileError::Refused { .. }) if self.n_tries >= TRIES => return Err(error),
                Err(FileError::Refused { .. }) => self.again(),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn again(&mut self) {
        self.n_tries += 1;
        self.content = None;
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, FileError> {
        let content = match &mut self.content {
            Some(content) => content,
            None => {
                let response = self.there.content(&self.path, self.offset).await?;
                self.content.insert(response.bytes_stream().boxed())
            }
        };
        let refused = |why: Message| self.there.refused(&self.path, why);
        let piece = self.there.patiently(content.next()).await.map_err(refused)?;
        piece.transpose().map_err(|error| refused(web::why(&error)))
    }
}

#[async_trait::async_trait]
impl Remote for WebHdfs {
    fn address(&self) -> &str {
        &self.0.address
    }

    async fn read(&self, path: &str) -> Result<Pieces, FileError> {
        let status = self.0.status(path).await?;
        if status.is_directory() {
            return Err(FileError::NotAFile { place: self.0.place(path) });
        }
        let reading = Reading {
            there: self.0.clone(),
            path: path.to_owned(),
            offset: 0,
            length: status.length,
            content: None,
            n_tries: 0,
        };
        let pieces = stream::unfold(Some(reading), |reading| async move {
            let mut reading = reading?;
            match reading.next().await {
                Ok(piece) => Some((Ok(piece?), Some(reading))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok((pieces.boxed(), Some(status.length)))
    }

    async fn create(&self, path: &str) -> Result<Box<dyn Upload>, FileError> {
        let there = self.0.clone();
        let (directory, part) = part_of(path).ok_or_else(|| FileError::NotAFile { place: there.place(path) })?;
        let before = there.looked(path).await?;
        if before.as_ref().is_some_and(FileStatus::is_directory) {
            return Err(FileError::NotAFile { place: there.place(path) });
        }
        // HDFS would make the directory.
        if !there.looked(directory).await?.is_some_and(|status| status.is_directory()) {
            return Err(FileError::NoDirectory { place: there.place(directory), is_here: false });
        }
        let permission = before.and_then(|before| before.permission);
        let mut more = vec![("overwrite", "true")];
        more.extend(permission.iter().map(|permission| ("permission", permission.as_str())));
        let response = there.ask(Method::PUT, &part, "CREATE", &more).await?;
        let url = there.sent_on(&part, &response)?;
        let (sender, receiver) = mpsc::channel::<Result<Bytes, std::io::Error>>(PIECES_WAITING);
        let body = stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
        let (own, target) = (there.clone(), path.to_owned());
        let sending = tokio::spawn(async move { own.put(&target, url, Body::wrap_stream(body)).await.map(|_| ()) });
        Ok(Box::new(HdfsUpload { there, target: path.to_owned(), part, sender: Some(sender), sending: Some(sending) }))
    }

    async fn remove(&self, path: &str) -> Result<(), FileError> {
        match self.0.looked(path).await? {
            None => Ok(()),
            Some(status) if status.is_directory() => Err(FileError::NotAFile { place: self.0.place(path) }),
            Some(_) => self.0.delete(path).await,
        }
    }

    async fn list(&self, directory: &str, pattern: &Pattern, max: usize) -> Result<BTreeMap<String, u64>, FileError> {
        let there = &self.0;
        if !there.status(directory).await.map_err(FileError::of_directory)?.is_directory() {
            return Err(FileError::NoDirectory { place: there.place(directory), is_here: false });
        }
        let (mut found, mut n_seen) = (BTreeMap::new(), 0);
        let mut after: Option<String> = None;
        loop {
            let more: Vec<(&str, &str)> = after.iter().map(|name| ("startAfter", name.as_str())).collect();
            let Batch { partial_listing, remaining_entries } = there.batch(directory, &more).await?;
            let entries = partial_listing.statuses.all;
            n_seen += entries.len();
            if n_seen > max || n_seen as u64 + remaining_entries > max as u64 {
                return Err(FileError::TooManyEntries { place: there.place(directory), max });
            }
            after = entries.last().map(|last| last.path_suffix.clone());
            let files = entries.into_iter().filter(|entry| !entry.is_directory());
            let files = files.filter(|entry| pattern.is_match(&entry.path_suffix));
            found.extend(files.map(|entry| (entry.path_suffix, entry.length)));
            if remaining_entries == 0 || after.is_none() {
                return Ok(found);
            }
        }
    }

    async fn look(&self, path: &str) -> Result<Found, FileError> {
        let status = self.0.status(path).await?;
        Ok(if status.is_directory() { Found::Directory } else { Found::File { bytes: status.length } })
    }

    async fn test(&self) -> Result<(), FileError> {
        self.0.status("/").await.map(|_| ())
    }

    async fn close(&self) {}
}

struct HdfsUpload {
    there: Arc<There>,
    target: String,
    /// The name that it has until it is whole.
    part: String,
    sender: Option<mpsc::Sender<Result<Bytes, std::io::Error>>>,
    sending: Option<JoinHandle<Result<(), FileError>>>,
}

impl HdfsUpload {
    fn refused(&self, why: Message) -> FileError {
        self.there.refused(&self.target, why)
    }

    /// How the datanode took it.
    async fn taken(&mut self) -> Result<(), FileError> {
        let Some(sending) = &mut self.sending else {
            return Err(self.refused(say!("the connection was lost: {}", "")));
        };
        let sent = self.there.patiently(sending).await;
        let sent = sent.map_err(|why| self.there.refused(&self.target, why))?;
        self.sending = None;
        sent.unwrap_or_else(|error| Err(self.refused(Message::verbatim(error.to_string()))))
    }
}

#[async_trait::async_trait]
impl Upload for HdfsUpload {
    async fn write(&mut self, piece: Bytes) -> Result<(), FileError> {
        let gone = match &self.sender {
            Some(sender) => {
                let sent = self.there.patiently(sender.send(Ok(piece))).await.map_err(|why| self.refused(why))?;
                sent.is_err()
            }
            None => true,
        };
        // It ended before its time: the answer says why.
        match gone {
            true => self.taken().await.and(Err(self.refused(say!("the connection was lost: {}", "")))),
            false => Ok(()),
        }
    }

    async fn publish(&mut self) -> Result<(), FileError> {
        self.sender = None;
        self.taken().await?;
        self.there.rename(&self.part, &self.target).await
    }

    async fn discard(&mut self) {
        // The datanode has to be done with the file before it is deleted: else it could make it anew.
        self.sender = None;
        if let Some(mut sending) = self.sending.take()
            && tokio::time::timeout(END_WITHIN, &mut sending).await.is_err()
        {
            sending.abort();
            let _ = sending.await;
        }
        let discarding = async {
            let _ = self.there.delete(&self.part).await;
        };
        let _ = tokio::time::timeout(DISCARD_WITHIN, discarding).await;
    }
}
