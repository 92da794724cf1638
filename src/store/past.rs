//! Runs that another scheduler made: kept beside the cluster's own history in a file of their own, so that nothing
//! takes them for runs of this one. Written once by an import, then only read.
//!
//! Owns the file. Times stay as the other scheduler wrote them, in the zone of its machine. Start at `Past::open`.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;

use crate::model::state::InstanceWord;

use super::{StoreError, file};

/// Rows written before they are made durable together.
const BATCH_ROWS: u32 = 2_000;

const SCHEMA: &[&str] = &["
CREATE TABLE instance (
  id TEXT PRIMARY KEY, workflow TEXT NOT NULL, state TEXT NOT NULL, creator TEXT, dir TEXT, params TEXT,
  description TEXT, started TEXT, finished TEXT);
CREATE INDEX instance_started ON instance (started, id);
CREATE INDEX instance_workflow ON instance (workflow, started, id);
CREATE TABLE node (
  instance TEXT NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
  started TEXT, finished TEXT, message TEXT, PRIMARY KEY (instance, name)) WITHOUT ROWID;
CREATE TABLE line (
  instance TEXT NOT NULL, number INTEGER NOT NULL, time_ms INTEGER, level TEXT, node TEXT, text TEXT NOT NULL,
  PRIMARY KEY (instance, number)) WITHOUT ROWID;
"];

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PastInstance {
    /// As the other scheduler named it.
    pub id: String,
    pub workflow: String,
    pub state: InstanceWord,
    pub creator: Option<String>,
    pub dir: Option<String>,
    /// JSON, as it was.
    pub params: Option<String>,
    pub description: Option<String>,
    /// `yyyy-MM-dd HH:mm:ss`.
    pub started: Option<String>,
    pub finished: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PastNode {
    pub name: String,
    pub kind: String,
    /// Its word for the state, in ours; `waiting` for one that never ran.
    pub state: String,
    pub started: Option<String>,
    pub finished: Option<String>,
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PastLine {
    /// Milliseconds since 1970.
    pub time_ms: Option<i64>,
    pub level: Option<String>,
    /// Of which node; of the instance where there is none.
    pub node: Option<String>,
    pub text: String,
}

#[derive(Debug, Clone, Default)]
pub struct PastFilter {
    pub workflow: Option<String>,
    /// Part of the workflow's name.
    pub text: Option<String>,
    pub creator: Option<String>,
    pub state: Option<InstanceWord>,
    /// Started at or after, before: compared as they are written.
    pub since: Option<String>,
    pub until: Option<String>,
    pub limit: u32,
}

pub struct Past {
    connection: Connection,
    file: PathBuf,
    n_open: u32,
}

impl Past {
    /// For an import: made where it is missing.
    pub fn create(file: &Path) -> Result<Self, StoreError> {
        let wrap = |error| StoreError::io(file, error);
        if let Some(directory) = file.parent() {
            std::fs::create_dir_all(directory).map_err(wrap)?;
        }
        {
            use std::os::unix::fs::OpenOptionsExt;
            // Parameters may be secrets.
            let mut options = std::fs::OpenOptions::new();
            options.create(true).append(true).mode(0o600).open(file).map_err(wrap)?;
        }
        let mut connection = file::open_writer(file, false)?;
        file::migrate(&mut connection, file, SCHEMA)?;
        Ok(Self { connection, file: file.to_owned(), n_open: 0 })
    }

    /// For reading; `None` when nothing was imported.
    pub fn open(file: &Path) -> Result<Option<Self>, StoreError> {
        if !file.exists() {
            return Ok(None);
        }
        Ok(Some(Self { connection: file::open_reader(file)?, file: file.to_owned(), n_open: 0 }))
    }

    fn wrap(&self, error: rusqlite::Error) -> StoreError {
        StoreError::sqlite(&self.file, error)
    }

    fn write(&mut self, sql: &str, values: impl rusqlite::Params) -> Result<(), StoreError> {
        if self.n_open == 0 {
            self.connection.execute_batch("BEGIN").map_err(|error| self.wrap(error))?;
        }
        self.n_open += 1;
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| self.wrap(error))?;
        statement.execute(values).map_err(|error| StoreError::sqlite(&self.file, error))?;
        drop(statement);
        if self.n_open >= BATCH_ROWS { self.finish() } else { Ok(()) }
    }

    /// Makes what was written durable.
    pub fn finish(&mut self) -> Result<(), StoreError> {
        if std::mem::take(&mut self.n_open) > 0 {
            self.connection.execute_batch("COMMIT").map_err(|error| self.wrap(error))?;
            file::checkpoint(&self.connection, &self.file)?;
        }
        Ok(())
    }

    /// Replaces what was imported of it before.
    pub fn add(&mut self, one: &PastInstance) -> Result<(), StoreError> {
        self.write("DELETE FROM node WHERE instance = ?1", [&one.id])?;
        self.write("DELETE FROM line WHERE instance = ?1", [&one.id])?;
        self.write(
            "INSERT OR REPLACE INTO instance (id, workflow, state, creator, dir, params, description, started, finished)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            (
                &one.id,
                &one.workflow,
                one.state.word(),
                &one.creator,
                &one.dir,
                &one.params,
                &one.description,
                &one.started,
                &one.finished,
            ),
        )
    }

    /// Of an instance that was added; of any other nothing is kept.
    pub fn add_node(&mut self, instance: &str, position: u64, node: &PastNode) -> Result<(), StoreError> {
        self.write(
            "INSERT OR REPLACE INTO node (instance, position, name, kind, state, started, finished, message)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 WHERE EXISTS (SELECT 1 FROM instance WHERE id = ?1)",
            (instance, position, &node.name, &node.kind, &node.state, &node.started, &node.finished, &node.message),
        )
    }

    pub fn add_line(&mut self, instance: &str, number: u64, line: &PastLine) -> Result<(), StoreError> {
        self.write(
            "INSERT OR REPLACE INTO line (instance, number, time_ms, level, node, text)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM instance WHERE id = ?1)",
            (instance, number, line.time_ms, &line.level, &line.node, &line.text),
        )
    }

    /// Newest first.
    pub fn list(&self, filter: &PastFilter) -> Result<Vec<PastInstance>, StoreError> {
        let sql = "SELECT id, workflow, state, creator, dir, params, description, started, finished FROM instance
            WHERE (?1 IS NULL OR workflow = ?1) AND (?2 IS NULL OR instr(lower(workflow), lower(?2)) > 0)
              AND (?3 IS NULL OR creator = ?3) AND (?4 IS NULL OR state = ?4)
              AND (?5 IS NULL OR started >= ?5) AND (?6 IS NULL OR started < ?6)
            ORDER BY started DESC, id DESC LIMIT ?7";
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| self.wrap(error))?;
        let values = (
            &filter.workflow,
            &filter.text,
            &filter.creator,
            filter.state.map(InstanceWord::word),
            &filter.since,
            &filter.until,
            filter.limit,
        );
        let rows = statement.query_map(values, instance).map_err(|error| self.wrap(error))?;
        rows.collect::<Result<_, _>>().map_err(|error| self.wrap(error))
    }

    /// One with its nodes, in the order in which they came.
    pub fn find(&self, id: &str) -> Result<Option<(PastInstance, Vec<PastNode>)>, StoreError> {
        let sql = "SELECT id, workflow, state, creator, dir, params, description, started, finished FROM instance WHERE id = ?1";
        let found = self.connection.query_row(sql, [id], instance).optional().map_err(|error| self.wrap(error))?;
        let Some(found) = found else { return Ok(None) };
        let sql =
            "SELECT name, kind, state, started, finished, message FROM node WHERE instance = ?1 ORDER BY position";
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| self.wrap(error))?;
        let node = |row: &Row<'_>| {
            Ok(PastNode {
                name: row.get(0)?,
                kind: row.get(1)?,
                state: row.get(2)?,
                started: row.get(3)?,
                finished: row.get(4)?,
                message: row.get(5)?,
            })
        };
        let rows = statement.query_map([id], node).map_err(|error| self.wrap(error))?;
        let nodes = rows.collect::<Result<_, _>>().map_err(|error| self.wrap(error))?;
        Ok(Some((found, nodes)))
    }

    /// Gives each line of one instance's log, oldest first.
    pub fn lines<E: From<StoreError>>(
        &self,
        id: &str,
        mut each: impl FnMut(PastLine) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = "SELECT time_ms, level, node, text FROM line WHERE instance = ?1 ORDER BY number";
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| self.wrap(error))?;
        let mut rows = statement.query([id]).map_err(|error| self.wrap(error))?;
        let read = |row: &Row<'_>| {
            Ok(PastLine { time_ms: row.get(0)?, level: row.get(1)?, node: row.get(2)?, text: row.get(3)? })
        };
        while let Some(row) = rows.next().map_err(|error| self.wrap(error))? {
            each(read(row).map_err(|error| self.wrap(error))?)?;
        }
        Ok(())
    }
}

fn instance(row: &Row<'_>) -> rusqlite::Result<PastInstance> {
    let state: String = row.get(2)?;
    Ok(PastInstance {
        id: row.get(0)?,
        workflow: row.get(1)?,
        // Only words of ours were written.
        state: InstanceWord::from_word(&state).unwrap_or(InstanceWord::Failed),
        creator: row.get(3)?,
        dir: row.get(4)?,
        params: row.get(5)?,
        description: row.get(6)?,
        started: row.get(7)?,
        finished: row.get(8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(id: &str, workflow: &str, state: InstanceWord, started: &str) -> PastInstance {
        PastInstance {
            id: id.to_owned(),
            workflow: workflow.to_owned(),
            state,
            creator: Some("Kent".to_owned()),
            dir: None,
            params: None,
            description: None,
            started: Some(started.to_owned()),
            finished: None,
        }
    }

    #[test]
    fn w14_what_was_imported_is_found_again_and_importing_again_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("imported/akkaflow.db");
        assert!(Past::open(&file).unwrap().is_none());
        let node = PastNode {
            name: "a".to_owned(),
            kind: "script".to_owned(),
            state: "failed".to_owned(),
            started: None,
            finished: None,
            message: Some("出错".to_owned()),
        };
        let line = |text: &str| PastLine { time_ms: Some(1), level: None, node: None, text: text.to_owned() };
        for _ in 0..2 {
            let mut written = Past::create(&file).unwrap();
            written.add(&past("0a1b2c3d", "日报", InstanceWord::Failed, "2019-09-01 01:00:00")).unwrap();
            written.add(&past("1a1b2c3d", "orders", InstanceWord::Succeeded, "2019-09-02 01:00:00")).unwrap();
            written.add_node("0a1b2c3d", 1, &node).unwrap();
            written.add_node("nowhere", 1, &node).unwrap();
            for n in 0..5_000 {
                written.add_line("0a1b2c3d", n, &line(&format!("line {n}"))).unwrap();
            }
            written.finish().unwrap();
        }
        let read = Past::open(&file).unwrap().unwrap();
        let ids = |filter: PastFilter| {
            let found = read.list(&PastFilter { limit: 10, ..filter }).unwrap();
            found.into_iter().map(|one| one.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(PastFilter::default()), ["1a1b2c3d", "0a1b2c3d"]);
        assert_eq!(ids(PastFilter { text: Some("ORD".to_owned()), ..PastFilter::default() }), ["1a1b2c3d"]);
        assert_eq!(ids(PastFilter { state: Some(InstanceWord::Failed), ..PastFilter::default() }), ["0a1b2c3d"]);
        assert_eq!(ids(PastFilter { since: Some("2019-09-02".to_owned()), ..PastFilter::default() }), ["1a1b2c3d"]);
        assert_eq!(ids(PastFilter { until: Some("2019-09-02".to_owned()), ..PastFilter::default() }), ["0a1b2c3d"]);
        let (found, nodes) = read.find("0a1b2c3d").unwrap().unwrap();
        assert_eq!((found.workflow.as_str(), nodes), ("日报", vec![node]));
        let mut lines = Vec::new();
        read.lines("0a1b2c3d", |line| {
            lines.push(line.text);
            Ok::<_, StoreError>(())
        })
        .unwrap();
        assert_eq!((lines.len(), lines[4_999].as_str()), (5_000, "line 4999"));
        assert!(read.find("nowhere").unwrap().is_none());
    }
}
