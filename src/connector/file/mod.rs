//! The file systems of file links: what reads a file of one, and what writes a file so that it is there whole or not
//! at all.
//!
//! What is read and written are plain streams that block, for a thread of their own; everything else is waited for.
//! A local file is its own stream, for the others `bridge` makes it. Another file system is another `Remote`. Must not
//! know what a node is. Start reading at `Files`.

mod bridge;
mod error;
mod local;
mod pattern;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "ssh")]
mod sftp;
mod web;
mod webhdfs;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Component, Path};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::link::{FileKind, FileLink};
use super::ssh;
use crate::model::message::Message;
use crate::say;
use bridge::Upload;
use pattern::PART;

pub use error::{FileError, said};
pub use pattern::Pattern;

/// To take back at the end what is not published.
const CLOSE_WITHIN: Duration = Duration::from_secs(8);

/// For one answer, unless the link says otherwise.
const TIMEOUT: Duration = Duration::from_secs(60);
const TIMEOUT_S_MAX: u64 = 3600;

/// A file that is read from its beginning to its end.
pub trait ReadFile: Read + Send {
    /// Bytes, where it is known before.
    fn length(&self) -> Option<u64>;
}

/// A file that is written beside the one that it will replace. Dropped without `publish` it leaves nothing.
pub trait WriteFile: Write + Send {
    /// Puts it in its place, once it lies on the disk.
    fn publish(self: Box<Self>) -> std::io::Result<()>;
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Directory,
    File { bytes: u64 },
}

/// The pieces of a file, and how many bytes they are, where it is known.
type Pieces = (BoxStream<'static, Result<Bytes, FileError>>, Option<u64>);

/// A file system of another host, open. Paths are absolute.
#[async_trait::async_trait]
trait Remote: Send + Sync {
    /// Who it is, for messages: `user@host:port`. Never a secret.
    fn address(&self) -> &str;
    async fn read(&self, path: &str) -> Result<Pieces, FileError>;
    async fn create(&self, path: &str) -> Result<Box<dyn Upload>, FileError>;
    /// Removes a file; that there is none is no error.
    async fn remove(&self, path: &str) -> Result<(), FileError>;
    /// Sizes of the files of a directory, by name; at most `max` entries are looked at.
    async fn list(&self, directory: &str, pattern: &Pattern, max: usize) -> Result<BTreeMap<String, u64>, FileError>;
    async fn look(&self, path: &str) -> Result<Found, FileError>;
    /// Is it there, and does it let us in?
    async fn test(&self) -> Result<(), FileError>;
    async fn close(&self);
}

/// The file system of a link, open.
#[derive(Clone)]
pub struct Files {
    /// Of the link.
    name: Arc<str>,
    system: System,
    /// Everything that is under way ends when it is cancelled.
    stop: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Clone)]
enum System {
    Local,
    Remote(Arc<dyn Remote>),
}

impl Files {
    /// Connects and signs in. What is under way ends at `stop`.
    pub async fn open(
        link: &FileLink,
        conf_dir: &Path,
        within: Duration,
        stop: CancellationToken,
    ) -> Result<Self, FileError> {
        let system = match link.kind {
            FileKind::Local => System::Local,
            kind => System::Remote(remote(kind, link, conf_dir, within).await?),
        };
        Ok(Self { name: link.name.as_str().into(), system, stop, tasks: TaskTracker::new() })
    }

    /// How messages call a file: by its path, with link and address where it is not on this host.
    pub fn place(&self, path: &Path) -> String {
        match &self.system {
            System::Local => path.display().to_string(),
            System::Remote(remote) => place(&self.name, &path.display().to_string(), remote.address()),
        }
    }

    pub async fn read(&self, path: &Path) -> Result<Box<dyn ReadFile>, FileError> {
        let there = absolute(path)?;
        match &self.system {
            System::Local => here(path, local::open).await,
            System::Remote(remote) => {
                let (pieces, length) = remote.read(there).await?;
                Ok(bridge::reader(pieces, length, self.stop.clone(), &self.tasks))
            }
        }
    }

    /// A file that will be at this path. What is there stays until it is published.
    pub async fn create(&self, path: &Path) -> Result<Box<dyn WriteFile>, FileError> {
        let there = absolute(path)?;
        match &self.system {
            System::Local => here(path, local::create).await,
            System::Remote(remote) => {
                // Whoever waits for it may be gone before it is there: then it is taken back.
                let (told, created) = oneshot::channel();
                let (remote, there, stop) = (remote.clone(), there.to_owned(), self.stop.clone());
                self.tasks.spawn(async move {
                    let created = bridge::finished(&stop, remote.create(&there)).await;
                    if let Err(Ok(mut upload)) = told.send(created) {
                        upload.discard().await;
                    }
                });
                let upload = created.await.unwrap_or(Err(FileError::Stopped))?;
                Ok(bridge::writer(upload, self.stop.clone(), &self.tasks))
            }
        }
    }

    /// Removes what is there.
    pub async fn remove(&self, path: &Path) -> Result<(), FileError> {
        let there = absolute(path)?;
        match &self.system {
            System::Local => here(path, local::remove).await,
            System::Remote(remote) => remote.remove(there).await,
        }
    }

    /// Sizes of the files of a directory that match, by name. More than `max` entries are an error.
    pub async fn list(
        &self,
        directory: &Path,
        pattern: &Pattern,
        max: usize,
    ) -> Result<BTreeMap<String, u64>, FileError> {
        let there = absolute(directory)?;
        match &self.system {
            System::Local => {
                let pattern = pattern.clone();
                here(directory, move |path| local::list(path, &pattern, max)).await
            }
            System::Remote(remote) => remote.list(there, pattern, max).await,
        }
    }

    pub async fn look(&self, path: &Path) -> Result<Found, FileError> {
        let there = absolute(path)?;
        match &self.system {
            System::Local => here(path, local::look).await,
            System::Remote(remote) => remote.look(there).await,
        }
    }

    /// Waits until what was begun has been published or taken back, and ends the connection.
    pub async fn close(&self) {
        self.tasks.close();
        let closing = async {
            self.tasks.wait().await;
            if let System::Remote(remote) = &self.system {
                remote.close().await;
            }
        };
        // A connection that hangs is left to its server.
        let _ = tokio::time::timeout(CLOSE_WITHIN, closing).await;
    }
}

/// `landing:/in/a.csv (etl@10.1.2.5:22)`.
fn place(link: &str, path: &str, address: &str) -> String {
    format!("{link}:{path} ({address})")
}

/// The directory, and a name in it of this transfer alone: what another one is writing beside it stays whole.
fn part_of(path: &str) -> Option<(&str, String)> {
    let (directory, name) = path.rsplit_once('/').filter(|(_, name)| !name.is_empty())?;
    let mark = uuid::Uuid::new_v4().simple().to_string();
    Some((if directory.is_empty() { "/" } else { directory }, format!("{directory}/.{name}.{}{PART}", &mark[..8])))
}

/// For one answer of the other side.
fn timeout_of(link: &FileLink) -> Result<Duration, FileError> {
    let Some(text) = link.property("timeout") else { return Ok(TIMEOUT) };
    match text.parse() {
        Ok(seconds) if (1..=TIMEOUT_S_MAX).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => {
            let why = say!("timeout must be 1 to {} seconds, not \"{}\"", TIMEOUT_S_MAX, text);
            Err(FileError::Link { link: link.name.clone(), why })
        }
    }
}

/// Blocking work, in a thread of its own: on a file system that hangs it is left behind at a stop.
async fn here<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    let own = path.to_owned();
    let done = tokio::task::spawn_blocking(move || work(&own)).await;
    done.unwrap_or_else(|error| {
        Err(FileError::Io { place: path.display().to_string(), error: std::io::Error::other(error) })
    })
}

/// Other systems have paths of text alone.
fn absolute(path: &Path) -> Result<&str, FileError> {
    match path.to_str() {
        Some(text) if path.is_absolute() => Ok(text),
        _ => Err(FileError::Relative { path: path.to_owned() }),
    }
}

async fn remote(
    kind: FileKind,
    link: &FileLink,
    conf_dir: &Path,
    within: Duration,
) -> Result<Arc<dyn Remote>, FileError> {
    match kind {
        #[cfg(feature = "ssh")]
        FileKind::Sftp => Ok(Arc::new(sftp::Sftp::open(link, conf_dir, within).await?)),
        #[cfg(feature = "s3")]
        FileKind::S3 => Ok(Arc::new(s3::S3::open(link)?)),
        FileKind::Hdfs => Ok(Arc::new(webhdfs::WebHdfs::open(link)?)),
        _ => {
            let _ = (conf_dir, within);
            Err(not_built(link))
        }
    }
}

/// The servers of the link: hosts with their ports, and the addresses of those that are spoken to in TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Servers {
    pub hosts: Vec<(String, u16)>,
    pub tls: Vec<reqwest::Url>,
}

impl Servers {
    fn at(urls: impl IntoIterator<Item = reqwest::Url>) -> Self {
        let mut servers = Self::default();
        for url in urls {
            // As a socket is told: an address of IPv6 without its brackets.
            let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            servers.hosts.push((host, url.port_or_known_default().unwrap_or_default()));
            if url.scheme() == "https" {
                servers.tls.push(url);
            }
        }
        servers
    }

    /// One of those that speak TLS does so, with a certificate that is trusted. What it answers does not matter.
    pub async fn shake_hands(&self, within: Duration) -> Result<(), Message> {
        let client = web::client(reqwest::redirect::Policy::none())?;
        let mut failed = say!("no answer within {} s", within.as_secs());
        for url in &self.tls {
            match tokio::time::timeout(within, client.head(url.clone()).send()).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => failed = web::why(&error),
                Err(_) => {}
            }
        }
        Err(failed)
    }
}

/// Where the link leads, if what is written there makes sense.
pub fn servers(link: &FileLink) -> Result<Servers, FileError> {
    timeout_of(link)?;
    match link.kind {
        FileKind::Local => Ok(Servers::default()),
        FileKind::Sftp => {
            let port = link.port.unwrap_or(ssh::PORT);
            Ok(Servers { hosts: vec![(link.host.clone(), port)], ..Servers::default() })
        }
        #[cfg(feature = "s3")]
        FileKind::S3 => s3::S3::open(link).and_then(|_| Ok(Servers::at([s3::endpoint(link)?]))),
        #[cfg(not(feature = "s3"))]
        FileKind::S3 => Err(not_built(link)),
        FileKind::Hdfs => Ok(Servers::at(webhdfs::namenodes(link)?)),
    }
}

fn not_built(link: &FileLink) -> FileError {
    let feature = if link.kind == FileKind::Sftp { "ssh" } else { "s3" };
    FileError::NotBuilt { link: link.name.clone(), kind: link.kind, feature }
}

/// Opens the file system of the link, looks whether the path is there, and closes it again. What was found.
pub async fn test(
    link: &FileLink,
    conf_dir: &Path,
    within: Duration,
    path: Option<&Path>,
) -> Result<Option<Found>, FileError> {
    let files = Files::open(link, conf_dir, within, CancellationToken::new()).await?;
    let looking = async {
        match (path, &files.system) {
            (Some(path), _) => files.look(path).await.map(Some),
            (None, System::Remote(remote)) => remote.test().await.map(|()| None),
            (None, System::Local) => Ok(None),
        }
    };
    let found = tokio::time::timeout(within, looking).await.unwrap_or_else(|_| {
        let said = say!("file link {}: {}", link.name, say!("no answer within {} s", within.as_secs()));
        Err(FileError::Closed { said, is_for_good: false })
    });
    files.close().await;
    found
}

/// Are both one file, whatever way their names take?
pub fn is_same(a: (&FileLink, &Path), b: (&FileLink, &Path)) -> bool {
    let parts = |path: &'_ Path| {
        path.components()
            .filter(|part| *part != Component::CurDir)
            .map(|part| part.as_os_str().to_owned())
            .collect::<Vec<_>>()
    };
    match (a.0.kind, b.0.kind) {
        (FileKind::Local, FileKind::Local) => local::is_same(a.1, b.1),
        (kind, other) => kind == other && is_same_system(a.0, b.0) && parts(a.1) == parts(b.1),
    }
}

/// Another user may see other files under the same names.
fn is_same_system(a: &FileLink, b: &FileLink) -> bool {
    let who = |link: &FileLink| (link.host.to_lowercase(), link.port, link.username.clone());
    // Who may read a store says nothing of what is in it.
    let store = |link: &FileLink| ["endpoint", "bucket"].map(|name| link.property(name).map(str::to_owned));
    let is_store = |link: &FileLink| link.kind == FileKind::S3 && link.host.eq_ignore_ascii_case(&a.host);
    a.name == b.name || store(a) == store(b) && (who(a) == who(b) || is_store(a) && is_store(b) && a.port == b.port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::link::{LOCAL, file_link};

    fn link(name: &str, kind: FileKind, host: &str) -> FileLink {
        let local = file_link(Path::new("/nonexistent"), LOCAL).unwrap();
        FileLink { kind, name: name.into(), host: host.into(), ..local }
    }

    #[test]
    fn a_file_is_the_same_by_another_link_to_its_host() {
        let (a, b) = (link("a", FileKind::Sftp, "H"), link("b", FileKind::Sftp, "h"));
        let is_same = |one: &str, other: &str| super::is_same((&a, Path::new(one)), (&b, Path::new(other)));
        assert!(is_same("/in/x.csv", "//in/./x.csv") && !is_same("/in/x.csv", "/in/y.csv"));
        let other_user = FileLink { username: "u".into(), ..b.clone() };
        assert!(!super::is_same((&a, Path::new("/x")), (&other_user, Path::new("/x"))));
        assert!(!super::is_same((&a, Path::new("/x")), (&link("a", FileKind::Local, ""), Path::new("/x"))));
    }

    #[tokio::test]
    async fn paths_are_absolute() {
        let local = link(LOCAL, FileKind::Local, "");
        let files = Files::open(&local, Path::new("conf"), CLOSE_WITHIN, CancellationToken::new()).await.unwrap();
        let said = files.read(Path::new("a.csv")).await.err().unwrap().said().english();
        assert_eq!(said, "the path a.csv must be absolute");
        let said = files.read(Path::new("hdfs:///in/a.csv")).await.err().unwrap().said().english();
        assert!(said.starts_with("hdfs:///in/a.csv is an address: write file-link="), "{said}");
        assert_eq!(files.place(Path::new("/a.csv")), "/a.csv");
    }
}
