//! One attempt's log on disk: plain while it grows, packed when it is complete and large.
//!
//! Beside `NAME.log` an empty `NAME.end` says that a small log is complete; a packed one is `NAME.zst`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::api::log::LINES_MAX;
use crate::api::page::PAGE_BYTES_MAX;
use crate::api::{LogLine, LogStart, LogStream, Time};
use crate::connector::process::frame::{self, Frame, Stream};
use crate::model::time::Timestamp;

use super::index::{Index, MARK_BYTES};
use super::packed::{self, Packed};
use super::{LogLength, LogRows, LogSelection, text};

pub struct LogFile {
    /// Without extension.
    path: PathBuf,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Plain { index: Index, bytes: u64, is_complete: bool },
    Packed(Packed),
}

/// What a reader needs; appends go on meanwhile.
pub struct Snapshot {
    path: PathBuf,
    content: Content,
}

impl LogFile {
    pub fn new(path: PathBuf) -> Self {
        LogFile { path, content: Content::Plain { index: Index::default(), bytes: 0, is_complete: false } }
    }

    /// `None` when there is none.
    pub fn open(path: PathBuf) -> io::Result<Option<Self>> {
        if let Some(packed) = packed::open(&path.with_added_extension("zst"))? {
            return Ok(Some(LogFile { path, content: Content::Packed(packed) }));
        }
        let file = match File::open(path.with_added_extension("log")) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut index = Index::default();
        let mut bytes = 0;
        let mut reader = io::BufReader::new(file);
        let mut chunk = vec![0; 256 * 1024];
        loop {
            let n = reader.read(&mut chunk)?;
            if n == 0 {
                break;
            }
            index.feed(&chunk[..n]);
            bytes += n as u64;
        }
        let is_complete = path.with_added_extension("end").exists();
        Ok(Some(LogFile { path, content: Content::Plain { index, bytes, is_complete } }))
    }

    pub fn length(&self) -> LogLength {
        match &self.content {
            Content::Plain { index, bytes, is_complete } => {
                LogLength { bytes: *bytes, lines: index.lines, is_complete: *is_complete }
            }
            Content::Packed(packed) => LogLength { bytes: packed.bytes, lines: packed.lines, is_complete: true },
        }
    }

    pub fn append(&mut self, offset: u64, new: &[u8]) -> io::Result<()> {
        let Content::Plain { index, bytes, is_complete: false } = &mut self.content else { return Ok(()) };
        let Some(skip) = bytes.checked_sub(offset).and_then(|skip| usize::try_from(skip).ok()) else { return Ok(()) };
        let Some(new) = new.get(skip..).filter(|new| !new.is_empty()) else { return Ok(()) };
        let path = self.path.with_added_extension("log");
        if *bytes == 0
            && let Some(dir) = path.parent()
        {
            std::fs::create_dir_all(dir)?;
        }
        let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(path)?;
        // At the known end, not the file's: a write that failed half-way is written over.
        file.seek(SeekFrom::Start(*bytes))?;
        file.write_all(new)?;
        index.feed(new);
        *bytes += new.len() as u64;
        Ok(())
    }

    pub fn complete(&mut self, compress_bytes_min: u64) -> io::Result<()> {
        let Content::Plain { index, bytes, is_complete } = &mut self.content else { return Ok(()) };
        if *bytes == 0 {
            *is_complete = true;
            return Ok(());
        }
        let plain = self.path.with_added_extension("log");
        let end = self.path.with_added_extension("end");
        // What cannot be indexed stays as it is.
        if *bytes >= compress_bytes_min && index.parsed == *bytes {
            let packed = packed::pack(&plain, index, &self.path.with_added_extension("zst"))?;
            self.content = Content::Packed(packed);
            std::fs::remove_file(plain)?;
        } else if !*is_complete {
            File::create(end)?;
            *is_complete = true;
        }
        Ok(())
    }

    /// Ends a log whose rest will never come: whole lines, then the mark. `length` is what all of it was.
    pub fn cut(&mut self, length: u64, at_ms: i64, compress_bytes_min: u64) -> io::Result<()> {
        let Content::Plain { index, bytes, is_complete: false } = &mut self.content else { return Ok(()) };
        if *bytes < length || index.parsed < *bytes {
            let path = self.path.with_added_extension("log");
            if *bytes > index.parsed {
                OpenOptions::new().write(true).open(&path)?.set_len(index.parsed)?;
                *bytes = index.parsed;
                index.forget_partial();
            }
            let at = *bytes;
            self.append(at, &frame::quota_mark(at_ms, length.saturating_sub(at)))?;
        }
        self.complete(compress_bytes_min)
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot { path: self.path.clone(), content: self.content.clone() }
    }
}

impl Snapshot {
    pub fn read(&self, selection: &LogSelection) -> io::Result<LogRows> {
        let (total, is_complete, is_cut) = match &self.content {
            Content::Plain { index, is_complete, .. } => (index.lines, *is_complete, index.is_cut),
            Content::Packed(packed) => (packed.lines, true, packed.is_cut),
        };
        let limit = selection.limit.clamp(1, LINES_MAX) as usize;
        let mut lines = Vec::new();
        let mut next = match selection.start {
            LogStart::Line(line) => line.max(1),
            LogStart::Tail(count) if selection.grep.is_none() && selection.stream.is_none() => {
                (total + 1).saturating_sub(u64::from(count)).max(1)
            }
            // The last matching lines: everything is looked at, only the last are kept.
            LogStart::Tail(count) => {
                return self.matching_tail(selection, count.min(LINES_MAX), total, is_complete, is_cut);
            }
        };
        let mut bytes = 0;
        self.scan(next, |number, frame| {
            if lines.len() == limit || bytes > PAGE_BYTES_MAX {
                return false;
            }
            if is_wanted(&frame, selection) {
                lines.push(line(number, &frame));
                bytes += lines.last().map_or(0, bytes_of);
            }
            next = number + 1;
            true
        })?;
        Ok(LogRows { lines, next, ended: is_complete && next > total, total, is_cut })
    }

    fn matching_tail(
        &self,
        selection: &LogSelection,
        count: u32,
        total: u64,
        ended: bool,
        is_cut: bool,
    ) -> io::Result<LogRows> {
        let mut kept = std::collections::VecDeque::new();
        let mut bytes = 0;
        self.scan(1, |number, frame| {
            if is_wanted(&frame, selection) {
                let line = line(number, &frame);
                bytes += bytes_of(&line);
                kept.push_back(line);
                while kept.len() > count as usize || (bytes > PAGE_BYTES_MAX && kept.len() > 1) {
                    bytes -= kept.pop_front().as_ref().map_or(0, bytes_of);
                }
            }
            true
        })?;
        Ok(LogRows { lines: kept.into(), next: total + 1, ended, total, is_cut })
    }

    /// Hands over the lines from number `from` (from 1) on, until `take` says no.
    fn scan(&self, from: u64, mut take: impl FnMut(u64, Frame<'_>) -> bool) -> io::Result<()> {
        let first = from.saturating_sub(1);
        match &self.content {
            Content::Plain { bytes: 0, .. } => Ok(()),
            Content::Plain { index, .. } => {
                let file = File::open(self.path.with_added_extension("log"))?;
                let mark = index.before(first);
                let (mut number, mut at) = (mark.line, mark.offset);
                while at < index.parsed {
                    let mut block = vec![0; (index.parsed - at).min(2 * MARK_BYTES) as usize];
                    file.read_exact_at(&mut block, at)?;
                    let used = each(&block, &mut number, first, &mut take);
                    let Some(used) = used.filter(|used| *used > 0) else { return Ok(()) };
                    at += used as u64;
                }
                Ok(())
            }
            Content::Packed(packed) => {
                let file = File::open(self.path.with_added_extension("zst"))?;
                let start = packed.blocks.partition_point(|block| block.mark.line <= first).saturating_sub(1);
                for block in &packed.blocks[start..] {
                    let mut number = block.mark.line;
                    if each(&packed::read_block(&file, block)?, &mut number, first, &mut take).is_none() {
                        return Ok(());
                    }
                }
                Ok(())
            }
        }
    }
}

/// Bytes of whole lines used; `None` when the taker has enough.
fn each(bytes: &[u8], number: &mut u64, first: u64, take: &mut impl FnMut(u64, Frame<'_>) -> bool) -> Option<usize> {
    let mut used = 0;
    while let Ok(Some((frame, length))) = Frame::read(&bytes[used..]) {
        if *number >= first && !take(*number + 1, frame) {
            return None;
        }
        *number += 1;
        used += length;
    }
    Some(used)
}

fn is_wanted(frame: &Frame<'_>, selection: &LogSelection) -> bool {
    if selection.stream.is_some_and(|stream| stream != stream_of(frame.stream)) {
        return false;
    }
    match &selection.grep {
        None => true,
        // The plain bytes first: most lines are UTF-8 and most do not match.
        Some(sought) => {
            contains(frame.text, sought.as_bytes())
                || (!frame.text.is_ascii() && text::decode(frame.text).contains(sought.as_str()))
        }
    }
}

fn contains(text: &[u8], sought: &[u8]) -> bool {
    // SAFETY: both slices are valid for their lengths.
    sought.is_empty()
        || !unsafe { libc::memmem(text.as_ptr().cast(), text.len(), sought.as_ptr().cast(), sought.len()) }.is_null()
}

fn line(n: u64, frame: &Frame<'_>) -> LogLine {
    LogLine { n, time: Time(Timestamp(frame.at_ms)), stream: stream_of(frame.stream), text: text::decode(frame.text) }
}

/// About what a line takes in an answer.
fn bytes_of(line: &LogLine) -> usize {
    line.text.len() + 64
}

fn stream_of(stream: Stream) -> LogStream {
    match stream {
        Stream::Stdout => LogStream::Stdout,
        Stream::Stderr => LogStream::Stderr,
        Stream::System => LogStream::System,
    }
}
