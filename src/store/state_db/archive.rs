//! The engine's view of what is no longer in memory.

use crate::engine::state::{Aggregate, AggregateKey, Archive, Fire};
use crate::model::id::{InstanceNumber, Principal};
use crate::model::trigger::FireKey;

use rusqlite::OptionalExtension;

use super::super::StoreError;
use super::{Readers, load};

/// Reads instances and fires at rest from `state.db`. They are immutable there until recalled, and they left
/// memory only after they were durable, so what is read is what was.
pub struct DiskArchive {
    readers: Readers,
}

impl DiskArchive {
    pub fn new(readers: Readers) -> Self {
        Self { readers }
    }
}

impl Archive for DiskArchive {
    fn instance(&self, number: InstanceNumber) -> Option<Vec<Aggregate>> {
        let found = self.readers.with(|connection, file| {
            let Some(head) = load::instance(connection, file, number)? else { return Ok(None) };
            let nodes = load::nodes(connection, file, number)?;
            Ok(Some(std::iter::once(Aggregate::Instance(head)).chain(nodes.into_iter().map(Aggregate::Node)).collect()))
        });
        or_none(found)
    }

    fn instance_by_request(&self, by: &Principal, key: &str) -> Option<InstanceNumber> {
        or_none(self.readers.with(|connection, file| {
            let query = "SELECT number FROM instance WHERE principal = ?1 AND request = ?2";
            connection
                .prepare_cached(query)
                .and_then(|mut statement| {
                    statement.query_row((by.as_str(), key), |row| Ok(InstanceNumber(row.get(0)?))).optional()
                })
                .map_err(|error| StoreError::sqlite(file, error))
        }))
    }

    fn fire(&self, key: &FireKey) -> Option<Fire> {
        let key = AggregateKey::Fire(key.clone());
        or_none(self.readers.with(|connection, file| load::fire(connection, file, &key)))
    }
}

/// A damaged row reads as absent here: the command about it is refused, and the log says why.
fn or_none<T>(found: Result<Option<T>, StoreError>) -> Option<T> {
    found.unwrap_or_else(|error| {
        tracing::error!(%error, "the archive cannot be read");
        None
    })
}
