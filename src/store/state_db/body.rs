//! How a value is kept in a row: a format byte, its fields by name, and a checksum that covers the row's key.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::StoreError;
use super::super::file::checksum;

const FORMAT: u8 = 1;

pub struct Body {
    pub crc: u32,
    pub bytes: Vec<u8>,
}

impl Body {
    pub fn encode<T: Serialize>(key: &str, value: &T) -> Result<Self, StoreError> {
        let mut bytes = vec![FORMAT];
        rmp_serde::encode::write_named(&mut bytes, value)
            .map_err(|error| StoreError::damaged(Path::new("state.db"), format!("{key} for writing"), error))?;
        Ok(Self { crc: checksum(key.as_bytes(), &bytes), bytes })
    }
}

pub fn decode<T: DeserializeOwned>(file: &Path, key: &str, crc: u32, bytes: &[u8]) -> Result<T, StoreError> {
    if crc != checksum(key.as_bytes(), bytes) {
        return Err(StoreError::damaged(file, key, "its checksum does not match"));
    }
    match bytes.split_first() {
        Some((&FORMAT, rest)) => rmp_serde::from_slice(rest).map_err(|error| StoreError::damaged(file, key, error)),
        Some((format, _)) => {
            Err(StoreError::damaged(file, key, format!("it has format {format}, this build knows {FORMAT}")))
        }
        None => Err(StoreError::damaged(file, key, "it is empty")),
    }
}
