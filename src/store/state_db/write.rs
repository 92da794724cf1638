//! Aggregates into rows.

use std::path::Path;

use rusqlite::{Connection, Params};

use crate::engine::event::Event;
use crate::engine::state::{Aggregate, AggregateKey, Fire, Instance, Node, NodeState};
use crate::model::id::{InstanceNumber, Seq};
use crate::model::state::NodeWord;

use super::super::StoreError;
use super::super::types::Happening;
use super::body::Body;

/// Events are kept for this many of the newest instances.
const INSTANCES_WITH_EVENTS: u64 = 20_000;
/// Events of the cluster that are kept.
const CLUSTER_EVENTS: u64 = 20_000;
/// Instances whose events are dropped with one batch.
const EVENT_TRIM_MAX: usize = 50;

/// Writes or deletes each row; gives about how many bytes went to the WAL.
pub fn rows(
    connection: &Connection,
    file: &Path,
    rows: &[(AggregateKey, Option<Aggregate>)],
) -> Result<u64, StoreError> {
    let mut table = Table { connection, file, bytes: 0 };
    for (key, row) in rows {
        match row {
            Some(aggregate) => table.put(key, aggregate)?,
            None => table.delete(key)?,
        }
    }
    Ok(table.bytes)
}

/// Adds what happened, and lets go of what happened to old instances.
pub fn events(
    connection: &Connection,
    file: &Path,
    events: &[(InstanceNumber, Seq, Event)],
) -> Result<u64, StoreError> {
    let mut table = Table { connection, file, bytes: 0 };
    for (instance, seq, event) in events {
        let bytes = rmp_serde::to_vec_named(event)
            .map_err(|error| StoreError::damaged(file, format!("event {seq} for writing"), error))?;
        table.bytes += bytes.len() as u64;
        let statement = "INSERT OR REPLACE INTO event (instance, seq, body) VALUES (?1, ?2, ?3)";
        table.execute(statement, (instance.0, seq.0, bytes))?;
    }
    if !events.is_empty() {
        trim_events(&mut table)?;
    }
    Ok(table.bytes)
}

/// Adds what happened to the cluster, and lets go of the oldest.
pub fn happened(connection: &Connection, file: &Path, happened: &[Happening]) -> Result<u64, StoreError> {
    let mut table = Table { connection, file, bytes: 0 };
    for one in happened {
        let bytes = rmp_serde::to_vec_named(one)
            .map_err(|error| StoreError::damaged(file, "a cluster event for writing", error))?;
        table.bytes += bytes.len() as u64;
        table.execute("INSERT INTO cluster_event (body) VALUES (?1)", [bytes])?;
    }
    if !happened.is_empty() {
        let oldest = "DELETE FROM cluster_event WHERE n <= (SELECT MAX(n) FROM cluster_event) - ?1";
        table.execute(oldest, [CLUSTER_EVENTS])?;
    }
    Ok(table.bytes)
}

fn trim_events(table: &mut Table) -> Result<(), StoreError> {
    let newest = table.number("SELECT MAX(instance) FROM event")?;
    for _ in 0..EVENT_TRIM_MAX {
        match table.number("SELECT MIN(instance) FROM event")? {
            Some(oldest) if newest.is_some_and(|newest| oldest + INSTANCES_WITH_EVENTS < newest) => {
                table.execute("DELETE FROM event WHERE instance = ?1", [oldest])?;
            }
            Some(_) | None => break,
        }
    }
    Ok(())
}

/// The key of a row in the general table, and what its checksum covers.
pub fn key_text(key: &AggregateKey) -> String {
    serde_json::to_string(key).expect("keys are plain data without maps")
}

/// The table of an aggregate that has none of its own.
pub fn kind(key: &AggregateKey) -> &'static str {
    match key {
        AggregateKey::Cluster => "cluster",
        AggregateKey::Workflow(..) => "workflow",
        AggregateKey::Version(..) => "version",
        AggregateKey::Trigger(..) => "trigger",
        AggregateKey::Fire(..) => "fire",
        AggregateKey::Latch(..) => "latch",
        AggregateKey::Fact(..) => "fact",
        AggregateKey::Closure(..) => "closure",
        AggregateKey::Instance(..) => "instance",
        AggregateKey::Node(..) => "node",
        AggregateKey::Worker(..) => "worker",
        AggregateKey::Source(..) => "source",
        AggregateKey::File(..) => "file",
        AggregateKey::Chunk(..) => "chunk",
        AggregateKey::Request(..) => "request",
        AggregateKey::Attention(..) => "attention",
        AggregateKey::Mail(..) => "mail",
        AggregateKey::Link(..) => "link",
    }
}

struct Table<'a> {
    connection: &'a Connection,
    file: &'a Path,
    bytes: u64,
}

impl Table<'_> {
    fn put(&mut self, key: &AggregateKey, aggregate: &Aggregate) -> Result<(), StoreError> {
        let text = key_text(key);
        match aggregate {
            Aggregate::Instance(row) => self.put_instance(&text, row),
            Aggregate::Node(row) => self.put_node(&text, row),
            Aggregate::Fire(row) => self.put_fire(&text, row),
            Aggregate::Version(row) => {
                let body = self.body(&text, row)?;
                let statement = "INSERT OR REPLACE INTO version (workflow, number, crc, body) VALUES (?1, ?2, ?3, ?4)";
                self.execute(statement, (row.workflow.as_str(), row.number.0, body.crc, body.bytes))
            }
            Aggregate::Chunk(row) => {
                let body = self.body(&text, row)?;
                let statement = "INSERT OR REPLACE INTO chunk (hash, crc, body) VALUES (?1, ?2, ?3)";
                self.execute(statement, (row.hash.as_str(), body.crc, body.bytes))
            }
            Aggregate::Cluster(row) => self.put_general(key, &text, row),
            Aggregate::Workflow(row) => self.put_general(key, &text, row),
            Aggregate::Trigger(row) => self.put_general(key, &text, row),
            Aggregate::Latch(row) => self.put_general(key, &text, row),
            Aggregate::Fact(row) => self.put_general(key, &text, row),
            Aggregate::Closure(row) => self.put_general(key, &text, row),
            Aggregate::Worker(row) => self.put_general(key, &text, row),
            Aggregate::Source(row) => self.put_general(key, &text, row),
            Aggregate::File(row) => self.put_general(key, &text, row),
            Aggregate::Request(row) => self.put_general(key, &text, row),
            Aggregate::Attention(row) => self.put_general(key, &text, row),
            Aggregate::Mail(row) => self.put_general(key, &text, row),
            Aggregate::Link(row) => self.put_general(key, &text, row),
        }
    }

    fn delete(&mut self, key: &AggregateKey) -> Result<(), StoreError> {
        match key {
            AggregateKey::Instance(number) => {
                self.execute("DELETE FROM node WHERE instance = ?1", [number.0])?;
                self.execute("DELETE FROM event WHERE instance = ?1", [number.0])?;
                self.execute("DELETE FROM instance WHERE number = ?1", [number.0])
            }
            AggregateKey::Node(id) => self.execute(
                "DELETE FROM node WHERE instance = ?1 AND generation = ?2 AND node = ?3 AND idx = 0",
                (id.instance.0, id.generation.0, id.node.0),
            ),
            AggregateKey::Fire(_) => self.execute("DELETE FROM fire WHERE key = ?1", [key_text(key)]),
            AggregateKey::Version(workflow, number) => {
                self.execute("DELETE FROM version WHERE workflow = ?1 AND number = ?2", (workflow.as_str(), number.0))
            }
            AggregateKey::Chunk(hash) => self.execute("DELETE FROM chunk WHERE hash = ?1", [hash.as_str()]),
            AggregateKey::Cluster
            | AggregateKey::Workflow(..)
            | AggregateKey::Trigger(..)
            | AggregateKey::Latch(..)
            | AggregateKey::Fact(..)
            | AggregateKey::Closure(..)
            | AggregateKey::Worker(..)
            | AggregateKey::Source(..)
            | AggregateKey::File(..)
            | AggregateKey::Request(..)
            | AggregateKey::Attention(..)
            | AggregateKey::Mail(..)
            | AggregateKey::Link(..) => {
                self.execute("DELETE FROM aggregate WHERE kind = ?1 AND key = ?2", (kind(key), key_text(key)))
            }
        }
    }

    fn put_instance(&mut self, text: &str, row: &Instance) -> Result<(), StoreError> {
        let body = self.body(text, row)?;
        // An update, not a replacement, so that indexes of unchanged columns stay untouched.
        let statement = "INSERT INTO instance (number, workflow, state, kind, created, started, finished, version, \
             generation, principal, request, is_resting, crc, body) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
             ON CONFLICT (number) DO UPDATE SET state = ?3, started = ?6, finished = ?7, version = ?8, \
             generation = ?9, is_resting = ?12, crc = ?13, body = ?14";
        self.execute(
            statement,
            rusqlite::params![
                row.number.0,
                row.workflow.as_str(),
                row.word().word(),
                row.kind.word(),
                row.created.0,
                row.started().map(|at| at.0),
                row.finished().map(|at| at.0),
                row.version().0,
                row.generation().number.0,
                row.by.as_str(),
                row.request,
                row.is_resting,
                body.crc,
                body.bytes,
            ],
        )
    }

    fn put_node(&mut self, text: &str, row: &Node) -> Result<(), StoreError> {
        let body = self.body(text, row)?;
        let statement = "INSERT OR REPLACE INTO node (instance, generation, node, idx, state, crc, body) \
             VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6)";
        let id = row.id;
        let state = node_word(&row.state);
        self.execute(statement, (id.instance.0, id.generation.0, id.node.0, state.word(), body.crc, body.bytes))
    }

    fn put_fire(&mut self, text: &str, row: &Fire) -> Result<(), StoreError> {
        let body = self.body(text, row)?;
        let statement = "INSERT INTO fire (key, workflow, nominal, is_resting, crc, body) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (key) DO UPDATE SET is_resting = ?4, crc = ?5, body = ?6";
        let workflow = row.key.workflow.as_str();
        self.execute(statement, (text, workflow, row.nominal.0, row.is_resting, body.crc, body.bytes))
    }

    fn put_general<T: serde::Serialize>(&mut self, key: &AggregateKey, text: &str, row: &T) -> Result<(), StoreError> {
        let body = self.body(text, row)?;
        let statement = "INSERT OR REPLACE INTO aggregate (kind, key, crc, body) VALUES (?1, ?2, ?3, ?4)";
        self.execute(statement, (kind(key), text, body.crc, body.bytes))
    }

    fn body<T: serde::Serialize>(&mut self, text: &str, row: &T) -> Result<Body, StoreError> {
        let body = Body::encode(text, row)?;
        self.bytes += body.bytes.len() as u64 + 512;
        Ok(body)
    }

    fn execute(&mut self, statement: &str, params: impl Params) -> Result<(), StoreError> {
        let wrap = |error| StoreError::sqlite(self.file, error);
        self.connection.prepare_cached(statement).map_err(wrap)?.execute(params).map_err(wrap)?;
        Ok(())
    }

    fn number(&mut self, query: &str) -> Result<Option<u64>, StoreError> {
        let wrap = |error| StoreError::sqlite(self.file, error);
        self.connection.prepare_cached(query).map_err(wrap)?.query_row([], |row| row.get(0)).map_err(wrap)
    }
}

/// The word for a node's own state. Whether its instance is paused is not known here.
fn node_word(state: &NodeState) -> NodeWord {
    match state {
        NodeState::Queued { .. } => NodeWord::Queued,
        NodeState::Dispatched { .. } => NodeWord::Dispatched,
        NodeState::Running { .. } => NodeWord::Running,
        NodeState::Retrying { .. } => NodeWord::Retrying,
        NodeState::Lost { .. } => NodeWord::Lost,
        NodeState::Done { end, .. } => end.word(),
    }
}
