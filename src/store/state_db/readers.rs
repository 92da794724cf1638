//! Read-only connections beside the writer: a handful, made when needed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rusqlite::Connection;

use super::super::StoreError;
use super::super::file::open_reader;

/// Connections kept open between queries; more are made under load and closed again.
const IDLE_MAX: usize = 4;

/// Hands out read-only connections; clones share them.
#[derive(Clone)]
pub struct Readers {
    file: Arc<Path>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub fn new(file: &Path) -> Self {
        Self { file: Arc::from(file), idle: Arc::default() }
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Runs a query. Blocks the thread while it reads the disk.
    pub fn with<T>(&self, query: impl FnOnce(&Connection, &Path) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open_reader(&self.file)?,
        };
        let found = query(&connection, &self.file);
        let mut idle = self.idle();
        if found.is_ok() && idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        found
    }

    /// The directory of the file, for temporary ones beside it.
    pub fn directory(&self) -> PathBuf {
        self.file.parent().map_or_else(PathBuf::new, Path::to_owned)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().expect("nothing panics while it holds the list of connections")
    }
}
