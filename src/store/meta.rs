//! Small named values of a store file, each with a checksum.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use super::{StoreError, file};

pub fn write<T: Serialize>(connection: &Connection, path: &Path, name: &str, value: &T) -> Result<(), StoreError> {
    let wrap = |error| StoreError::sqlite(path, error);
    let body = rmp_serde::to_vec_named(value).map_err(|error| StoreError::damaged(path, name, error))?;
    let crc = file::checksum(name.as_bytes(), &body);
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (name, crc, body) VALUES (?1, ?2, ?3)")
        .map_err(wrap)?
        .execute((name, crc, &body))
        .map_err(wrap)?;
    Ok(())
}

pub fn read<T: for<'a> Deserialize<'a>>(
    connection: &Connection,
    path: &Path,
    name: &str,
) -> Result<Option<T>, StoreError> {
    let wrap = |error| StoreError::sqlite(path, error);
    let found: Option<(u32, Vec<u8>)> = connection
        .prepare_cached("SELECT crc, body FROM meta WHERE name = ?1")
        .map_err(wrap)?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .map_err(wrap)?;
    let Some((crc, body)) = found else { return Ok(None) };
    if crc != file::checksum(name.as_bytes(), &body) {
        return Err(StoreError::damaged(path, format!("the {name}"), "its checksum does not match"));
    }
    rmp_serde::from_slice(&body).map(Some).map_err(|error| StoreError::damaged(path, format!("the {name}"), error))
}
