//! Rows back into aggregates, each with its checksum checked.

use std::path::Path;

use rusqlite::{Connection, Params};
use serde::de::DeserializeOwned;

use crate::engine::event::NodeRef;
use crate::engine::state::{Aggregate, AggregateKey, Fire, Instance, Node};
use crate::model::id::{ContentHash, Generation, InstanceNumber, NodeIndex, VersionNumber, WorkflowName};

use super::super::StoreError;
use super::body::decode;
use super::write::key_text;

/// Everything that belongs in memory: all but instances and fires at rest.
pub fn aggregates(connection: &Connection, file: &Path) -> Result<Vec<Aggregate>, StoreError> {
    let read = Reader { connection, file };
    let mut found = Vec::new();
    for (text, crc, body) in read.raw("SELECT key, crc, body FROM aggregate", [])? {
        found.push(general(file, &text, crc, &body)?);
    }
    let versions = "SELECT workflow, number, crc, body FROM version";
    found.extend(read.rows(
        versions,
        [],
        |row| Ok(AggregateKey::Version(WorkflowName::from(row.get::<_, String>(0)?), VersionNumber(row.get(1)?))),
        2,
        Aggregate::Version,
    )?);
    let chunks = "SELECT hash, crc, body FROM chunk";
    let hash = |row: &rusqlite::Row| Ok(AggregateKey::Chunk(ContentHash::from(row.get::<_, String>(0)?)));
    found.extend(read.rows(chunks, [], hash, 1, Aggregate::Chunk)?);
    for (text, crc, body) in read.raw("SELECT key, crc, body FROM fire WHERE is_resting = 0", [])? {
        found.push(Aggregate::Fire(decode(file, &text, crc, &body)?));
    }
    let instances = "SELECT number, crc, body FROM instance WHERE is_resting = 0";
    found.extend(read.rows(instances, [], instance_key, 1, Aggregate::Instance)?);
    let nodes = "SELECT node.instance, node.generation, node.node, node.crc, node.body \
         FROM instance CROSS JOIN node ON node.instance = instance.number WHERE instance.is_resting = 0";
    found.extend(read.rows(nodes, [], node_key, 3, Aggregate::Node)?);
    Ok(found)
}

/// An instance whether at rest or not.
pub fn instance(connection: &Connection, file: &Path, number: InstanceNumber) -> Result<Option<Instance>, StoreError> {
    let read = Reader { connection, file };
    let query = "SELECT number, crc, body FROM instance WHERE number = ?1";
    Ok(read.rows(query, [number.0], instance_key, 1, |row| row)?.pop())
}

/// Its nodes, of all generations, in order.
pub fn nodes(connection: &Connection, file: &Path, number: InstanceNumber) -> Result<Vec<Node>, StoreError> {
    let read = Reader { connection, file };
    let query = "SELECT instance, generation, node, crc, body FROM node WHERE instance = ?1 \
         ORDER BY generation, node";
    read.rows(query, [number.0], node_key, 3, |row| row)
}

/// The nodes of one generation.
pub fn generation(
    connection: &Connection,
    file: &Path,
    number: InstanceNumber,
    generation: Generation,
) -> Result<Vec<Node>, StoreError> {
    let read = Reader { connection, file };
    let query = "SELECT instance, generation, node, crc, body FROM node WHERE instance = ?1 AND generation = ?2 \
         ORDER BY node";
    read.rows(query, (number.0, generation.0), node_key, 3, |row| row)
}

pub fn node(connection: &Connection, file: &Path, id: NodeRef) -> Result<Option<Node>, StoreError> {
    let read = Reader { connection, file };
    let query = "SELECT instance, generation, node, crc, body FROM node \
         WHERE instance = ?1 AND generation = ?2 AND node = ?3";
    Ok(read.rows(query, (id.instance.0, id.generation.0, id.node.0), node_key, 3, |row| row)?.pop())
}

pub fn fire(connection: &Connection, file: &Path, key: &AggregateKey) -> Result<Option<Fire>, StoreError> {
    let read = Reader { connection, file };
    let found = read.raw("SELECT key, crc, body FROM fire WHERE key = ?1", [key_text(key)])?.pop();
    found.map(|(text, crc, body)| decode(file, &text, crc, &body)).transpose()
}

pub fn instance_key(row: &rusqlite::Row) -> rusqlite::Result<AggregateKey> {
    Ok(AggregateKey::Instance(InstanceNumber(row.get(0)?)))
}

fn node_key(row: &rusqlite::Row) -> rusqlite::Result<AggregateKey> {
    let (instance, generation, node) = (InstanceNumber(row.get(0)?), Generation(row.get(1)?), NodeIndex(row.get(2)?));
    Ok(AggregateKey::Node(NodeRef { instance, generation, node }))
}

fn general(file: &Path, text: &str, crc: u32, body: &[u8]) -> Result<Aggregate, StoreError> {
    let key: AggregateKey =
        serde_json::from_str(text).map_err(|error| StoreError::damaged(file, format!("key {text}"), error))?;
    Ok(match key {
        AggregateKey::Cluster => Aggregate::Cluster(decode(file, text, crc, body)?),
        AggregateKey::Workflow(..) => Aggregate::Workflow(decode(file, text, crc, body)?),
        AggregateKey::Trigger(..) => Aggregate::Trigger(decode(file, text, crc, body)?),
        AggregateKey::Latch(..) => Aggregate::Latch(decode(file, text, crc, body)?),
        AggregateKey::Fact(..) => Aggregate::Fact(decode(file, text, crc, body)?),
        AggregateKey::Closure(..) => Aggregate::Closure(decode(file, text, crc, body)?),
        AggregateKey::Worker(..) => Aggregate::Worker(decode(file, text, crc, body)?),
        AggregateKey::Source(..) => Aggregate::Source(decode(file, text, crc, body)?),
        AggregateKey::File(..) => Aggregate::File(decode(file, text, crc, body)?),
        AggregateKey::Request(..) => Aggregate::Request(decode(file, text, crc, body)?),
        AggregateKey::Attention(..) => Aggregate::Attention(decode(file, text, crc, body)?),
        AggregateKey::Mail(..) => Aggregate::Mail(decode(file, text, crc, body)?),
        AggregateKey::Link(..) => Aggregate::Link(decode(file, text, crc, body)?),
        AggregateKey::Version(..)
        | AggregateKey::Fire(..)
        | AggregateKey::Instance(..)
        | AggregateKey::Node(..)
        | AggregateKey::Chunk(..) => {
            return Err(StoreError::damaged(file, text, "it stands in the wrong table"));
        }
    })
}

pub struct Reader<'a> {
    pub connection: &'a Connection,
    pub file: &'a Path,
}

impl Reader<'_> {
    /// Rows of (key, crc, body).
    fn raw(&self, query: &str, params: impl Params) -> Result<Vec<(String, u32, Vec<u8>)>, StoreError> {
        let wrap = |error| StoreError::sqlite(self.file, error);
        let mut statement = self.connection.prepare_cached(query).map_err(wrap)?;
        let found = statement.query_map(params, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).map_err(wrap)?;
        found.collect::<Result<_, _>>().map_err(wrap)
    }

    /// Rows whose key stands in their first columns, and crc and body from column `crc_at` on.
    pub fn rows<T: DeserializeOwned, R>(
        &self,
        query: &str,
        params: impl Params,
        key: impl Fn(&rusqlite::Row) -> rusqlite::Result<AggregateKey>,
        crc_at: usize,
        wrap_row: impl Fn(T) -> R,
    ) -> Result<Vec<R>, StoreError> {
        let wrap = |error| StoreError::sqlite(self.file, error);
        let mut statement = self.connection.prepare_cached(query).map_err(wrap)?;
        let mut rows = statement.query(params).map_err(wrap)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(wrap)? {
            let text = key_text(&key(row).map_err(wrap)?);
            let crc = row.get(crc_at).map_err(wrap)?;
            let body = row.get_ref(crc_at + 1).map_err(wrap)?.as_blob();
            let body = body.map_err(|error| StoreError::damaged(self.file, text.as_str(), error))?;
            found.push(wrap_row(decode(self.file, &text, crc, body)?));
        }
        Ok(found)
    }
}
