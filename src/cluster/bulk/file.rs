//! Files as ends of a transfer.

use std::io::SeekFrom;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use super::{BulkOffer, BulkSink, BulkSource};
use crate::cluster::error::Refusal;
use crate::model::id::ContentHash;

const COPY_BYTES: usize = 64 * 1024;

/// A file from an offset on, for `LinkHandler::bulk_read`.
pub async fn file_source(path: &Path, offset: u64, hash: Option<ContentHash>) -> std::io::Result<BulkSource> {
    let mut file = File::open(path).await?;
    let length = file.metadata().await?.len();
    file.seek(SeekFrom::Start(offset)).await?;
    Ok(BulkSource { reader: Box::pin(file), length: Some(length), hash })
}

/// Receives a file whose length and hash the offer names. It grows beside its place as `<hash>.part`, which a
/// broken transfer leaves for the next; only a file with the right hash gets its name.
pub struct FileSink {
    part: PathBuf,
    place: PathBuf,
    file: File,
    held: u64,
    length: u64,
    hash: ContentHash,
    hasher: Sha256,
}

impl FileSink {
    pub async fn open(place: &Path, offer: &BulkOffer, bytes_max: u64) -> Result<Self, Refusal> {
        let (Some(length), Some(hash)) = (offer.length, offer.hash.clone()) else {
            return Err(Refusal::Refused("a file is offered without its length or hash".into()));
        };
        if length > bytes_max {
            return Err(Refusal::Refused(format!("a file may have {bytes_max} bytes, not {length}")));
        }
        let is_hash = hash.as_str().len() == 64 && hash.as_str().bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hash {
            return Err(Refusal::Refused("the hash is not a SHA-256 in hexadecimal".into()));
        }
        let part = place.with_file_name(format!("{hash}.part"));
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).open(&part).await.map_err(refused)?;
        let mut hasher = Sha256::new();
        let held = hash_start(&mut file, &mut hasher, length).await.map_err(refused)?;
        file.set_len(held).await.map_err(refused)?;
        Ok(Self { part, place: place.to_owned(), file, held, length, hash, hasher })
    }
}

/// Feeds the hasher with what is there, and leaves the file at its end.
async fn hash_start(file: &mut File, hasher: &mut Sha256, length: u64) -> std::io::Result<u64> {
    let mut chunk = vec![0; COPY_BYTES];
    let mut held = 0;
    while held < length {
        let wanted = chunk.len().min((length - held) as usize);
        let bytes = file.read(&mut chunk[..wanted]).await?;
        if bytes == 0 {
            break;
        }
        hasher.update(&chunk[..bytes]);
        held += bytes as u64;
    }
    Ok(held)
}

fn refused(error: std::io::Error) -> Refusal {
    Refusal::Refused(error.to_string())
}

#[async_trait]
impl BulkSink for FileSink {
    fn offset(&self) -> u64 {
        self.held
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), Refusal> {
        self.held += chunk.len() as u64;
        if self.held > self.length {
            return Err(Refusal::Refused("more bytes came than were offered".into()));
        }
        self.hasher.update(&chunk);
        self.file.write_all(&chunk).await.map_err(refused)?;
        self.file.flush().await.map_err(refused)
    }

    async fn finish(mut self: Box<Self>) -> Result<(), Refusal> {
        self.file.flush().await.map_err(refused)?;
        self.file.sync_all().await.map_err(refused)?;
        let hash = hex::encode(self.hasher.finalize());
        if self.held != self.length || hash != self.hash.as_str() {
            // Whatever came, it is not the file; the next offer starts over.
            fs::remove_file(&self.part).await.map_err(refused)?;
            return Err(Refusal::Refused("the bytes that came do not have the offered hash".into()));
        }
        fs::rename(&self.part, &self.place).await.map_err(refused)?;
        let directory = self.place.parent().unwrap_or(Path::new("."));
        File::open(directory).await.map_err(refused)?.sync_all().await.map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(content: &[u8]) -> BulkOffer {
        let hash = hex::encode(Sha256::digest(content));
        BulkOffer { object: "file".into(), length: Some(content.len() as u64), hash: Some(hash.into()) }
    }

    #[tokio::test]
    async fn a_broken_file_continues_where_it_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("x.csv");
        let content = b"one two three four".to_vec();
        let mut first = FileSink::open(&place, &offer(&content), 100).await.unwrap();
        first.write(Bytes::copy_from_slice(&content[..7])).await.unwrap();
        drop(first);
        let mut second = FileSink::open(&place, &offer(&content), 100).await.unwrap();
        assert_eq!(second.offset(), 7);
        second.write(Bytes::copy_from_slice(&content[7..])).await.unwrap();
        assert!(!place.exists());
        Box::new(second).finish().await.unwrap();
        assert_eq!(std::fs::read(&place).unwrap(), content);
    }

    #[tokio::test]
    async fn bytes_with_another_hash_never_get_the_name() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("x.csv");
        let mut sink = FileSink::open(&place, &offer(b"right"), 100).await.unwrap();
        sink.write(Bytes::from_static(b"wrong")).await.unwrap();
        assert!(Box::new(sink).finish().await.is_err());
        assert!(!place.exists());
        assert_eq!(FileSink::open(&place, &offer(b"right"), 100).await.unwrap().offset(), 0);
    }

    #[tokio::test]
    async fn a_file_above_the_bound_or_with_a_strange_hash_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("x.csv");
        assert!(FileSink::open(&place, &offer(b"12345"), 4).await.is_err());
        let strange = BulkOffer { hash: Some("../../etc/passwd".into()), ..offer(b"1") };
        assert!(FileSink::open(&place, &strange, 100).await.is_err());
    }
}
