//! The ledger's records in one file, appended without fsync.
//!
//! It has to outlive the daemon, not the machine: after a crash of the machine the boot id says that every
//! attempt is dead. A record is length, CRC and MessagePack; a torn end is cut off when the file is read.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::ledger::{Ledger, Record};

/// The file is written anew when it is this large and mostly past.
const REWRITE_BYTES: u64 = 8 << 20;
const RECORD_MAX: usize = 4 << 20;

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("the journal {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("a record of the journal cannot be written: {0}")]
    Record(#[from] rmp_serde::encode::Error),
}

pub struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// Size after the last rewrite.
    base: u64,
}

impl Journal {
    /// Reads what is there into a ledger and goes on behind it.
    pub fn open(path: PathBuf) -> Result<(Self, Ledger), JournalError> {
        let failed = |source| JournalError::File { path: path.clone(), source };
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(error)),
        };
        let mut ledger = Ledger::default();
        let mut whole = 0;
        while let Some((record, length)) = read_record(&bytes[whole..]) {
            ledger.apply(&record);
            whole += length;
        }
        if whole < bytes.len() {
            tracing::warn!(path = %path.display(), lost = bytes.len() - whole, "the journal's torn end was cut off");
        }
        let (file, bytes) = write_new(&path, &ledger)?;
        Ok((Journal { path, file, bytes, base: bytes }, ledger))
    }

    /// Writes the record, then applies it: what is acted on is in the journal.
    pub fn record(&mut self, ledger: &mut Ledger, record: Record) -> Result<(), JournalError> {
        let bytes = pack(&record)?;
        self.file.write_all(&bytes).map_err(|source| {
            // A half-written record would hide those behind it.
            let _ = self.file.set_len(self.bytes);
            JournalError::File { path: self.path.clone(), source }
        })?;
        self.bytes += bytes.len() as u64;
        ledger.apply(&record);
        if self.bytes > REWRITE_BYTES.max(2 * self.base) {
            let (file, bytes) = write_new(&self.path, ledger)?;
            (self.file, self.bytes, self.base) = (file, bytes, bytes);
        }
        Ok(())
    }
}

fn write_new(path: &Path, ledger: &Ledger) -> Result<(File, u64), JournalError> {
    let failed = |source| JournalError::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    for record in ledger.records() {
        bytes.extend(pack(&record)?);
    }
    let draft = path.with_added_extension("new");
    std::fs::write(&draft, &bytes).map_err(failed)?;
    std::fs::rename(&draft, path).map_err(failed)?;
    let file = OpenOptions::new().append(true).open(path).map_err(failed)?;
    Ok((file, bytes.len() as u64))
}

fn pack(record: &Record) -> Result<Vec<u8>, JournalError> {
    let mut out = vec![0; 8];
    rmp_serde::encode::write_named(&mut out, record)?;
    let length = (out.len() - 8) as u32;
    let crc = crc32fast::hash(&out[8..]);
    out[..4].copy_from_slice(&length.to_le_bytes());
    out[4..8].copy_from_slice(&crc.to_le_bytes());
    Ok(out)
}

fn read_record(bytes: &[u8]) -> Option<(Record, usize)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    let body = rest.get(..length).filter(|body| body.len() <= RECORD_MAX)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    Some((rmp_serde::from_slice(body).ok()?, 8 + length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::Epoch;

    #[test]
    fn a_journal_reads_back_and_its_torn_end_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, mut ledger) = Journal::open(path.clone()).unwrap();
        for n in 1..=20 {
            let attempt = format!("{n}.1.1.0.1").parse().unwrap();
            journal.record(&mut ledger, Record::Tombstoned { attempt, epoch: Epoch(n) }).unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        for cut in [0, 1, 9, 30] {
            std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            let (_, read) = Journal::open(path.clone()).unwrap();
            let lost = if cut == 0 { 0 } else { 1 };
            assert!(read.inventory().len() >= 19 - lost && read.inventory().len() <= 20 - lost, "{cut}");
        }
        let mut flipped = whole.clone();
        let last = flipped.len() - 1;
        flipped[last] ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        assert_eq!(Journal::open(path).unwrap().1.inventory().len(), 19);
    }
}
