//! Logs of the daemons: for people on a terminal, JSON lines in `logs/<node>.log` otherwise. A file is set aside at
//! its size, and only so many are kept.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::cli::console::Failure;
use crate::config::{Home, Logs};
use crate::model::message::Message;
use crate::say;

#[derive(Debug, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum LogError {
    Level(String),
    Open { path: PathBuf, error: io::Error },
    Twice(String),
}

impl LogError {
    pub fn said(&self) -> Message {
        match self {
            Self::Level(error) => say!("logs.level is not a level or filter: {}", error),
            Self::Open { path, error } => say!("cannot write {}: {}", path, error.to_string()),
            Self::Twice(error) => say!("logging was set up before: {}", error),
        }
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::other(error.said())
    }
}

/// Sends what the process logs to where it belongs. Once per process.
pub fn set_up(home: &Home, node: &str, settings: &Logs) -> Result<(), LogError> {
    let level = std::env::var("RACTORFLOW_DEBUG").ok().filter(|v| !v.is_empty());
    let level = level.unwrap_or_else(|| settings.level.clone());
    // What these two say at `info` is their own protocol, and at `debug` ractor_cluster prints message bytes. ractor
    // opens a span for every message, which says nothing that helps and costs more than the message.
    let level = format!(
        "{level},openraft=error,openraft::replication=off,openraft::core=off,ractor::message=warn,ractor::actor=warn,{}",
        crate::cluster::TRACING_DIRECTIVE
    );
    let filter = EnvFilter::try_new(&level).map_err(|error| LogError::Level(error.to_string()))?;
    let twice = |error: Box<dyn std::error::Error + Send + Sync>| LogError::Twice(error.to_string());
    let on_terminal = io::stderr().is_terminal();
    let is_human = match settings.format.as_str() {
        "human" => true,
        "json" => false,
        _ => on_terminal,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    if on_terminal {
        let builder = builder.with_writer(io::stderr);
        return if is_human { builder.try_init() } else { builder.json().flatten_event(true).try_init() }
            .map_err(twice);
    }
    let path = home.log_file(node);
    let file = RotatingFile::open(&path, settings.file_bytes_max, settings.files_max)
        .map_err(|error| LogError::Open { path, error })?;
    let builder = builder.with_ansi(false).with_writer(file);
    if is_human { builder.try_init() } else { builder.json().flatten_event(true).try_init() }.map_err(twice)
}

/// A log file that is set aside as `.1`, `.2`, … when it is full.
#[derive(Clone)]
pub struct RotatingFile(Arc<Mutex<Open>>);

struct Open {
    path: PathBuf,
    file: File,
    bytes: u64,
    bytes_max: u64,
    files_max: usize,
}

impl RotatingFile {
    pub fn open(path: &Path, bytes_max: u64, files_max: usize) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let file = File::options().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self(Arc::new(Mutex::new(Open { path: path.to_owned(), file, bytes, bytes_max, files_max }))))
    }
}

impl Open {
    fn set_aside(&mut self) -> io::Result<()> {
        set_aside(&self.path, self.files_max)?;
        self.file = File::options().create(true).append(true).open(&self.path)?;
        self.bytes = 0;
        Ok(())
    }
}

/// `x.log` becomes `x.log.1`, that `x.log.2`, and the one after the last is gone.
pub fn set_aside(path: &Path, files_max: usize) -> io::Result<()> {
    let numbered = |n: usize| PathBuf::from(format!("{}.{n}", path.display()));
    for n in (1..files_max).rev() {
        match std::fs::rename(numbered(n), numbered(n + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    std::fs::rename(path, numbered(1))
}

impl Write for RotatingFile {
    /// One call is one line of the log: a file is never changed within a line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut open = self.0.lock().map_err(|_| io::Error::other("a writer of the log panicked"))?;
        if open.bytes > 0 && open.bytes + line.len() as u64 > open.bytes_max {
            open.set_aside()?;
        }
        open.file.write_all(line)?;
        open.bytes += line.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for RotatingFile {
    type Writer = RotatingFile;

    fn make_writer(&'a self) -> Self::Writer {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_set_aside_between_lines_and_only_so_many_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m1.log");
        let mut file = RotatingFile::open(&path, 10, 2).unwrap();
        for n in 0..5 {
            file.write_all(format!("line {n}\n").as_bytes()).unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("m1.log"), "line 4\n");
        assert_eq!(read("m1.log.1"), "line 3\n");
        assert_eq!(read("m1.log.2"), "line 2\n");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn an_old_log_is_continued() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m1.log");
        std::fs::write(&path, "old\n").unwrap();
        RotatingFile::open(&path, 100, 2).unwrap().write_all(b"new\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old\nnew\n");
    }
}
