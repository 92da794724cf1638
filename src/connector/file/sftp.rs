//! Files of a host that is reached by SSH: SFTP in version 3, as OpenSSH has it.
//!
//! Requests go out without waiting for the answer to the one before, as many as bounded memory allows, so a far host
//! is not slower than its line. A new file gets a name of its own beside the one that it will replace, and takes its
//! place in one step where the server can do that.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, FuturesOrdered};
use russh_sftp::client::error::Error;
use russh_sftp::client::rawsession::Limits;
use russh_sftp::client::{Config, RawSftpSession};
use russh_sftp::protocol::{FileAttributes, FileType, OpenFlags, Packet, StatusCode};

use super::bridge::Upload;
use super::error::FileError;
use super::pattern::Pattern;
use super::{Found, Pieces, Remote, part_of, place, timeout_of};
use crate::connector::link::FileLink;
use crate::connector::ssh::{self, Session, SshError};
use crate::model::message::Message;
use crate::say;

/// What one request asks for, and how many are under way.
const READ_BYTES: usize = 64 << 10;
const READS_AT_ONCE: usize = 16;
/// Every server takes as much.
const WRITE_BYTES: usize = 32 << 10;
const WRITES_AT_ONCE: usize = 32;
/// To take back a file that is not published.
const DISCARD_WITHIN: Duration = Duration::from_secs(5);

const POSIX_RENAME: &str = "posix-rename@openssh.com";
const FSYNC: &str = "fsync@openssh.com";
const LIMITS: &str = "limits@openssh.com";

pub(super) struct Sftp {
    session: Session,
    there: Arc<There>,
}

/// The other side, as all that read and write there share it.
struct There {
    raw: RawSftpSession,
    link: FileLink,
    address: String,
    timeout_s: u64,
    /// A rename may replace a file.
    renames_over: bool,
    syncs: bool,
}

impl Sftp {
    pub async fn open(link: &FileLink, conf_dir: &Path, within: Duration) -> Result<Self, FileError> {
        let timeout_s = timeout_of(link)?.as_secs();
        let session = Session::open(link, conf_dir, within).await.map_err(closed)?;
        let opening = async {
            let stream = session.subsystem("sftp").await.map_err(closed)?;
            let config = Config { request_timeout_secs: timeout_s, ..Config::default() };
            let mut raw = RawSftpSession::new_with_config(stream, config);
            let failed = |error: Error| closed(refused_at_once(link, &error));
            let version = raw.init().await.map_err(failed)?;
            let has = |name: &str| version.extensions.contains_key(name);
            if has(LIMITS) {
                let limits = Limits::from(raw.limits().await.map_err(failed)?);
                raw.set_limits(limits);
            }
            Ok(There {
                raw,
                link: link.clone(),
                address: ssh::place(link),
                timeout_s,
                renames_over: has(POSIX_RENAME),
                syncs: has(FSYNC),
            })
        };
        let there = tokio::time::timeout(within, opening).await.unwrap_or_else(|_| {
            let why = say!("no answer within {} s", within.as_secs());
            Err(closed(SshError::new(link, ssh::ErrorKind::Unreachable(why))))
        })?;
        Ok(Self { session, there: Arc::new(there) })
    }
}

fn closed(error: SshError) -> FileError {
    FileError::Closed { is_for_good: error.is_for_good(), said: error.said() }
}

fn refused_at_once(link: &FileLink, error: &Error) -> SshError {
    SshError::new(link, ssh::ErrorKind::Refused(link.quoted(&error.to_string())))
}

impl There {
    fn place(&self, path: &str) -> String {
        place(&self.link.name, path, &self.address)
    }

    fn failed(&self, path: &str, error: Error) -> FileError {
        let place = self.place(path);
        let why = match &error {
            Error::Status(status) => match status.status_code {
                StatusCode::NoSuchFile => return FileError::NotFound { place, is_here: false },
                code if status.error_message.is_empty() => Message::verbatim(code.to_string()),
                _ => self.link.quoted(&status.error_message),
            },
            Error::Timeout => say!("no answer within {} s", self.timeout_s),
            other => say!("the connection was lost: {}", self.link.quoted(&other.to_string())),
        };
        FileError::Refused { place, why }
    }

    /// `None`: nothing is there.
    async fn stat(&self, path: &str) -> Result<Option<FileAttributes>, FileError> {
        match self.raw.stat(path).await {
            Ok(found) => Ok(Some(found.attrs)),
            Err(Error::Status(status)) if status.status_code == StatusCode::NoSuchFile => Ok(None),
            Err(error) => Err(self.failed(path, error)),
        }
    }

    /// Bytes of the file from there on: fewer than were asked for are the last ones.
    async fn part(&self, handle: &str, offset: u64) -> Result<Bytes, Error> {
        let mut got = BytesMut::new();
        while got.len() < READ_BYTES {
            let asked = READ_BYTES - got.len();
            match self.raw.read(handle, offset + got.len() as u64, asked as u32).await {
                Ok(data) if data.data.is_empty() => break,
                Ok(data) if data.data.len() > asked => return Err(Error::UnexpectedPacket),
                Ok(data) if data.data.len() == READ_BYTES => return Ok(data.data.into()),
                Ok(data) => got.extend_from_slice(&data.data),
                Err(Error::Status(status)) if status.status_code == StatusCode::Eof => break,
                Err(error) => return Err(error),
            }
        }
        Ok(got.freeze())
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), FileError> {
        let failed = |error: Error| self.failed(to, error);
        if self.renames_over {
            let text = |text: &str| [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat();
            let answer = self.raw.extended(POSIX_RENAME, [text(from), text(to)].concat()).await.map_err(failed)?;
            return match answer {
                Packet::Status(status) if status.status_code == StatusCode::Ok => Ok(()),
                Packet::Status(status) => Err(failed(status.into())),
                _ => Err(failed(Error::UnexpectedPacket)),
            };
        }
        match self.raw.rename(from, to).await {
            Ok(_) => Ok(()),
            // In two steps, where the server has no other way.
            Err(Error::Status(_)) if self.stat(to).await?.is_some() => {
                self.raw.remove(to).await.map_err(failed)?;
                self.raw.rename(from, to).await.map(|_| ()).map_err(failed)
            }
            Err(error) => Err(failed(error)),
        }
    }
}

#[async_trait::async_trait]
impl Remote for Sftp {
    fn address(&self) -> &str {
        &self.there.address
    }

    async fn read(&self, path: &str) -> Result<Pieces, FileError> {
        let there = self.there.clone();
        let handle = there.raw.open(path, OpenFlags::READ, FileAttributes::empty()).await;
        let handle: Arc<str> = handle.map_err(|error| there.failed(path, error))?.handle.into();
        let attributes = there.raw.fstat(&*handle).await.map_err(|error| there.failed(path, error))?.attrs;
        if attributes.file_type() == FileType::Dir {
            return Err(FileError::NotAFile { place: there.place(path) });
        }
        let length = attributes.size.filter(|_| attributes.file_type() == FileType::File);
        let path: Arc<str> = path.into();
        let part = move |offset: u64| {
            let (there, handle, path) = (there.clone(), handle.clone(), path.clone());
            async move { there.part(&handle, offset).await.map_err(|error| there.failed(&path, error)) }
        };
        let parts = stream::iter((0..).step_by(READ_BYTES)).map(part).buffered(READS_AT_ONCE).boxed();
        let pieces = stream::unfold(Some(parts), |parts| async move {
            let mut parts = parts?;
            let piece = parts.next().await?;
            let is_last = piece.as_ref().map_or(true, |piece| piece.len() < READ_BYTES);
            Some((piece, (!is_last).then_some(parts)))
        });
        Ok((pieces.boxed(), length))
    }

    async fn create(&self, path: &str) -> Result<Box<dyn Upload>, FileError> {
        let there = self.there.clone();
        let before = there.stat(path).await?;
        let mut target = path.to_owned();
        if let Some(before) = &before {
            if before.file_type() == FileType::Dir {
                return Err(FileError::NotAFile { place: there.place(path) });
            }
            // What a link points at is replaced, not the link.
            let names = there.raw.realpath(path).await.map_err(|error| there.failed(path, error))?;
            target = names.files.into_iter().next().map_or(target, |found| found.filename);
        }
        let (directory, part) = part_of(&target).ok_or_else(|| FileError::NotAFile { place: there.place(path) })?;
        let flags = OpenFlags::CREATE | OpenFlags::EXCLUDE | OpenFlags::WRITE;
        let handle = match there.raw.open(&part, flags, FileAttributes::empty()).await {
            Ok(handle) => handle.handle,
            Err(Error::Status(status)) if status.status_code == StatusCode::NoSuchFile => {
                return Err(FileError::NoDirectory { place: there.place(directory), is_here: false });
            }
            Err(error) => return Err(there.failed(&part, error)),
        };
        if let Some(mode) = before.and_then(|before| before.permissions) {
            let attributes = FileAttributes { permissions: Some(mode & 0o7777), ..FileAttributes::empty() };
            // Not every server lets its users.
            let _ = there.raw.fsetstat(&handle, attributes).await;
        }
        Ok(Box::new(SftpUpload { there, handle, part, target, offset: 0, under_way: FuturesOrdered::new() }))
    }

    async fn remove(&self, path: &str) -> Result<(), FileError> {
        match self.there.raw.remove(path).await {
            Ok(_) => Ok(()),
            Err(Error::Status(status)) if status.status_code == StatusCode::NoSuchFile => Ok(()),
            Err(error) => Err(self.there.failed(path, error)),
        }
    }

    async fn list(&self, directory: &str, pattern: &Pattern, max: usize) -> Result<BTreeMap<String, u64>, FileError> {
        let there = &self.there;
        let failed = |error: Error| there.failed(directory, error).of_directory();
        let handle = there.raw.opendir(directory).await.map_err(failed)?;
        let (mut found, mut n_seen) = (BTreeMap::new(), 0);
        loop {
            let entries = match there.raw.readdir(&handle.handle).await {
                Ok(names) => names.files,
                Err(Error::Status(status)) if status.status_code == StatusCode::Eof => break,
                Err(error) => return Err(there.failed(directory, error)),
            };
            for entry in entries.into_iter().filter(|entry| !matches!(entry.filename.as_str(), "." | "..")) {
                n_seen += 1;
                if n_seen > max {
                    return Err(FileError::TooManyEntries { place: there.place(directory), max });
                }
                if !pattern.is_match(&entry.filename) {
                    continue;
                }
                let mut attributes = entry.attrs;
                if attributes.permissions.is_none() || attributes.file_type() == FileType::Symlink {
                    // One that was deleted since is not there.
                    let path = format!("{}/{}", directory.trim_end_matches('/'), entry.filename);
                    match there.stat(&path).await? {
                        Some(followed) => attributes = followed,
                        None => continue,
                    }
                }
                if attributes.file_type() == FileType::File {
                    found.insert(entry.filename, attributes.len());
                }
            }
        }
        // The answer does not matter: all was read.
        let _ = there.raw.close(handle.handle).await;
        Ok(found)
    }

    async fn look(&self, path: &str) -> Result<Found, FileError> {
        match self.there.stat(path).await? {
            None => Err(FileError::NotFound { place: self.there.place(path), is_here: false }),
            Some(found) if found.file_type() == FileType::Dir => Ok(Found::Directory),
            Some(found) => Ok(Found::File { bytes: found.len() }),
        }
    }

    /// It let us in when it was opened.
    async fn test(&self) -> Result<(), FileError> {
        Ok(())
    }

    async fn close(&self) {
        let _ = self.there.raw.close_session();
        self.session.close().await;
    }
}

struct SftpUpload {
    there: Arc<There>,
    handle: String,
    /// The name that it has until it is whole.
    part: String,
    target: String,
    offset: u64,
    under_way: FuturesOrdered<BoxFuture<'static, Result<(), Error>>>,
}

impl SftpUpload {
    /// Waits until at most so many requests are under way.
    async fn down_to(&mut self, n: usize) -> Result<(), FileError> {
        while self.under_way.len() > n {
            if let Some(Err(error)) = self.under_way.next().await {
                return Err(self.there.failed(&self.target, error));
            }
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Upload for SftpUpload {
    async fn write(&mut self, mut piece: Bytes) -> Result<(), FileError> {
        while !piece.is_empty() {
            let bytes = piece.split_to(piece.len().min(WRITE_BYTES));
            let (there, handle, offset) = (self.there.clone(), self.handle.clone(), self.offset);
            self.offset += bytes.len() as u64;
            let writing = async move { there.raw.write(handle, offset, bytes.into()).await.map(|_| ()) };
            self.under_way.push_back(Box::pin(writing));
            self.down_to(WRITES_AT_ONCE).await?;
        }
        Ok(())
    }

    async fn publish(&mut self) -> Result<(), FileError> {
        self.down_to(0).await?;
        let there = self.there.clone();
        let failed = |error: Error| there.failed(&self.target, error);
        if there.syncs {
            there.raw.fsync(&self.handle).await.map_err(failed)?;
        }
        there.raw.close(&self.handle).await.map_err(failed)?;
        there.rename(&self.part, &self.target).await
    }

    async fn discard(&mut self) {
        self.under_way.clear();
        let discarding = async {
            // Some servers remove no file that is open. It may be closed already.
            let _ = self.there.raw.close(&self.handle).await;
            let _ = self.there.raw.remove(&self.part).await;
        };
        // When the connection is gone the rest stays there; nobody takes it for a file.
        let _ = tokio::time::timeout(DISCARD_WITHIN, discarding).await;
    }
}
