//! A complete log, compressed: one zstd frame per mark of the index, so that any line is a block away.
//!
//! File: the blocks, then the index (per block: first line, offset, packed offset), then its length and a magic
//! word. Written beside the plain file and renamed, so a half-written one is never read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::index::{Index, Mark};

const MAGIC: &[u8; 8] = b"RFLOGZ01";
const LEVEL: i32 = 3;
const ROW: usize = 24;
/// lines, bytes, flags, number of blocks, magic.
const TRAILER: usize = 40;
/// A block is at most this long unpacked: a mark's bytes and one line more, with room.
const BLOCK_MAX: usize = 1 << 20;

const IS_CUT: u64 = 1;

#[derive(Debug, Clone)]
pub struct Packed {
    pub blocks: Vec<Block>,
    pub lines: u64,
    pub bytes: u64,
    pub is_cut: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    pub mark: Mark,
    pub packed_at: u64,
    pub packed_end: u64,
}

/// Packs `plain` (its first `index.parsed` bytes) to `target`.
pub fn pack(plain: &Path, index: &Index, target: &Path) -> io::Result<Packed> {
    let draft = target.with_extension("new");
    let source = File::open(plain)?;
    let mut out = io::BufWriter::new(File::create(&draft)?);
    let mut blocks = Vec::with_capacity(index.marks.len());
    let mut at = 0;
    for (n, mark) in index.marks.iter().enumerate() {
        let end = index.marks.get(n + 1).map_or(index.parsed, |next| next.offset);
        let mut bytes = vec![0; (end - mark.offset) as usize];
        source.read_exact_at(&mut bytes, mark.offset)?;
        let packed = zstd::bulk::compress(&bytes, LEVEL)?;
        out.write_all(&packed)?;
        blocks.push(Block { mark: *mark, packed_at: at, packed_end: at + packed.len() as u64 });
        at += packed.len() as u64;
    }
    for block in &blocks {
        for number in [block.mark.line, block.mark.offset, block.packed_at] {
            out.write_all(&number.to_le_bytes())?;
        }
    }
    let flags = if index.is_cut { IS_CUT } else { 0 };
    for number in [index.lines, index.parsed, flags, blocks.len() as u64] {
        out.write_all(&number.to_le_bytes())?;
    }
    out.write_all(MAGIC)?;
    out.into_inner().map_err(|error| error.into_error())?.sync_data()?;
    std::fs::rename(&draft, target)?;
    Ok(Packed { blocks, lines: index.lines, bytes: index.parsed, is_cut: index.is_cut })
}

/// Reads the index of a packed log; `None` when there is no such file.
pub fn open(path: &Path) -> io::Result<Option<Packed>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the packed log is damaged");
    let trailer_at = length.checked_sub(TRAILER as u64).ok_or_else(damaged)?;
    file.seek(SeekFrom::Start(trailer_at))?;
    let mut trailer = [0; TRAILER];
    file.read_exact(&mut trailer)?;
    if &trailer[32..] != MAGIC {
        return Err(damaged());
    }
    let [lines, bytes, flags, count] = [0, 8, 16, 24].map(|at| number(&trailer[at..]));
    let rows_at = count.checked_mul(ROW as u64).and_then(|rows| trailer_at.checked_sub(rows)).ok_or_else(damaged)?;
    file.seek(SeekFrom::Start(rows_at))?;
    let mut rows = vec![0; (trailer_at - rows_at) as usize];
    file.read_exact(&mut rows)?;
    let starts: Vec<(Mark, u64)> = rows
        .chunks_exact(ROW)
        .map(|row| (Mark { line: number(row), offset: number(&row[8..]) }, number(&row[16..])))
        .collect();
    let ends = starts.iter().skip(1).map(|(_, at)| *at).chain([rows_at]);
    let blocks =
        starts.iter().zip(ends).map(|(&(mark, packed_at), packed_end)| Block { mark, packed_at, packed_end }).collect();
    Ok(Some(Packed { blocks, lines, bytes, is_cut: flags & IS_CUT != 0 }))
}

pub fn read_block(file: &File, block: &Block) -> io::Result<Vec<u8>> {
    let length = block.packed_end.saturating_sub(block.packed_at).min(BLOCK_MAX as u64) as usize;
    let mut packed = vec![0; length];
    file.read_exact_at(&mut packed, block.packed_at)?;
    zstd::bulk::decompress(&packed, BLOCK_MAX)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
