//! Writing the output of an attempt to disk, line by line, under a cap: the first half of the cap and the last
//! half are kept.
//!
//! `NAME.log` takes the first half; then `NAME.tail0` and `NAME.tail1`, a quarter each, take turns, the older one
//! emptied when the newer is full. Each is made when there is something to write. That there is a `NAME.status`, empty
//! until the end, is the claim: whoever makes it, or gives a spare file its name, may start the attempt, no one else.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::super::frame::{self, Frame, PIECE_MAX, Stream};
use super::super::wire::{Cut, STDERR_TAIL_MAX};
use super::sys;

/// The least cap that makes sense.
const CAP_MIN: u64 = 16 * 1024;

pub struct Spool {
    base: PathBuf,
    status: File,
    head: Option<File>,
    head_max: u64,
    head_bytes: u64,
    tail: Option<Tail>,
    /// Whole frames that are not written yet.
    pending: Vec<u8>,
    pending_lines: u64,
    pending_max: usize,
    piece_max: usize,
    stdout: Line,
    stderr: Line,
    stderr_tail: Vec<u8>,
    n_lines: u64,
    lost_bytes: u64,
}

struct Tail {
    /// Which of `tail0` and `tail1` is written.
    current: usize,
    files: [Option<Part>; 2],
    part_max: u64,
    dropped_bytes: u64,
    dropped_lines: u64,
}

struct Part {
    file: File,
    bytes: u64,
    lines: u64,
}

/// A line whose newline has not come yet.
#[derive(Default)]
struct Line {
    text: Vec<u8>,
}

impl Spool {
    /// Fails with `AlreadyExists` when the attempt is claimed. `spare`: see `Spec`.
    pub fn claim(base: &str, spare: Option<&str>, cap: u64) -> io::Result<Self> {
        let base = PathBuf::from(base);
        let path = base.with_added_extension("status");
        let status = match spare.map(|spare| sys::rename_new(Path::new(spare), &path)) {
            Some(Ok(())) => OpenOptions::new().append(true).open(&path)?,
            Some(Err(error)) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            // The spare is gone, or the file system cannot rename so.
            Some(Err(_)) | None => create(&path, true)?,
        };
        let cap = cap.max(CAP_MIN);
        let pending_max = (cap / 16).min(256 * 1024) as usize;
        Ok(Spool {
            base,
            status,
            head: None,
            head_max: cap / 2,
            head_bytes: 0,
            tail: None,
            pending: Vec::new(),
            pending_lines: 0,
            pending_max,
            piece_max: (pending_max / 2).min(PIECE_MAX),
            stdout: Line::default(),
            stderr: Line::default(),
            stderr_tail: Vec::new(),
            n_lines: 0,
            lost_bytes: 0,
        })
    }

    /// Takes what a pipe gave.
    pub fn take(&mut self, stream: Stream, at_ms: i64, mut bytes: &[u8]) {
        if stream == Stream::Stderr {
            self.keep_stderr(bytes);
        }
        let mut line = std::mem::take(self.line(stream));
        while let Some(end) = find_newline(bytes) {
            let (text, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            if line.text.is_empty() && text.len() <= self.piece_max {
                self.push(Frame { at_ms, stream, is_continued: false, is_unfinished: false, text });
            } else {
                self.extend(&mut line, stream, at_ms, text);
                let whole = std::mem::take(&mut line.text);
                self.push(Frame { at_ms, stream, is_continued: false, is_unfinished: false, text: &whole });
            }
        }
        self.extend(&mut line, stream, at_ms, bytes);
        *self.line(stream) = line;
    }

    /// A line of the shim itself.
    pub fn say(&mut self, at_ms: i64, text: &str) {
        let mut out = Vec::new();
        frame::system_line(at_ms, text, &mut out);
        self.pending.extend_from_slice(&out);
        self.pending_lines += 1;
        self.n_lines += 1;
    }

    /// The pipes are closed: an unfinished line is a line.
    pub fn finish(&mut self, at_ms: i64) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let line = std::mem::take(self.line(stream));
            if !line.text.is_empty() {
                self.push(Frame { at_ms, stream, is_continued: false, is_unfinished: true, text: &line.text });
            }
        }
        self.flush();
    }

    /// Hands what is pending to the kernel. A full disk loses output, never the task.
    pub fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        let lines = std::mem::take(&mut self.pending_lines);
        let written = if self.tail.is_none() && self.head_bytes + pending.len() as u64 <= self.head_max {
            self.write_head(&pending)
        } else {
            self.write_tail(&pending, lines)
        };
        if written.is_err() {
            self.lost_bytes += pending.len() as u64;
        }
        self.pending = pending;
        self.pending.clear();
    }

    /// The last thing written. A reader knows a status that was cut short.
    pub fn write_status(&mut self, packet: &[u8]) -> io::Result<()> {
        write_whole(&mut self.status, 0, packet)
    }

    pub fn n_lines(&self) -> u64 {
        self.n_lines
    }

    pub fn lost_bytes(&self) -> u64 {
        self.lost_bytes
    }

    pub fn head_bytes(&self) -> u64 {
        self.head_bytes
    }

    pub fn stderr_tail(&self) -> &[u8] {
        &self.stderr_tail[self.stderr_tail.len().saturating_sub(STDERR_TAIL_MAX)..]
    }

    pub fn cut(&self) -> Option<Cut> {
        let tail = self.tail.as_ref()?;
        let bytes = |at: usize| tail.files[at].as_ref().map_or(0, |part| part.bytes);
        Some(Cut {
            dropped_bytes: tail.dropped_bytes,
            dropped_lines: tail.dropped_lines,
            older_is_first: tail.current == 1,
            older_bytes: bytes(1 - tail.current),
            newer_bytes: bytes(tail.current),
        })
    }

    fn line(&mut self, stream: Stream) -> &mut Line {
        match stream {
            Stream::Stdout | Stream::System => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    /// Adds to a line and gives away full pieces, so that a line without end needs no more than one piece.
    fn extend(&mut self, line: &mut Line, stream: Stream, at_ms: i64, mut bytes: &[u8]) {
        while line.text.len() + bytes.len() > self.piece_max {
            let (now, rest) = bytes.split_at(self.piece_max - line.text.len());
            line.text.extend_from_slice(now);
            bytes = rest;
            let piece = std::mem::take(&mut line.text);
            self.push(Frame { at_ms, stream, is_continued: true, is_unfinished: false, text: &piece });
        }
        line.text.extend_from_slice(bytes);
    }

    fn push(&mut self, frame: Frame<'_>) {
        if self.pending.len() + frame::HEAD + frame.text.len() > self.pending_max {
            self.flush();
        }
        frame.write(&mut self.pending);
        self.pending_lines += 1;
        self.n_lines += 1;
    }

    fn keep_stderr(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(STDERR_TAIL_MAX)..];
        // Twice the size before the front is dropped: else every line would move 64 KiB.
        if self.stderr_tail.len() + bytes.len() > 2 * STDERR_TAIL_MAX {
            let drop = (self.stderr_tail.len() + bytes.len() - STDERR_TAIL_MAX).min(self.stderr_tail.len());
            self.stderr_tail.drain(..drop);
        }
        self.stderr_tail.extend_from_slice(bytes);
    }

    fn write_head(&mut self, pending: &[u8]) -> io::Result<()> {
        let head = match &mut self.head {
            Some(head) => head,
            slot => slot.insert(create(&self.base.with_added_extension("log"), false)?),
        };
        write_whole(head, self.head_bytes, pending)?;
        self.head_bytes += pending.len() as u64;
        Ok(())
    }

    fn write_tail(&mut self, pending: &[u8], lines: u64) -> io::Result<()> {
        let part_max = self.head_max / 2;
        let tail = self.tail.get_or_insert_with(|| Tail {
            current: 0,
            files: [None, None],
            part_max,
            dropped_bytes: 0,
            dropped_lines: 0,
        });
        let is_full =
            tail.files[tail.current].as_ref().is_some_and(|part| part.bytes + pending.len() as u64 > tail.part_max);
        if is_full {
            tail.current = 1 - tail.current;
            if let Some(old) = &mut tail.files[tail.current] {
                old.file.set_len(0)?;
                tail.dropped_bytes += old.bytes;
                tail.dropped_lines += old.lines;
                (old.bytes, old.lines) = (0, 0);
            }
        }
        let part = match &mut tail.files[tail.current] {
            Some(part) => part,
            slot => {
                let path = self.base.with_added_extension(if tail.current == 0 { "tail0" } else { "tail1" });
                slot.insert(Part { file: create(&path, false)?, bytes: 0, lines: 0 })
            }
        };
        write_whole(&mut part.file, part.bytes, pending)?;
        part.bytes += pending.len() as u64;
        part.lines += lines;
        Ok(())
    }
}

fn create(path: &Path, is_new: bool) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().append(true).create(true).create_new(is_new).mode(0o600).open(path)
}

/// All or nothing: a half-written buffer is cut off again, so that the next frame starts where one may start.
fn write_whole(file: &mut File, at: u64, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes).inspect_err(|_| {
        let _ = file.set_len(at);
    })
}

fn find_newline(bytes: &[u8]) -> Option<usize> {
    // SAFETY: the pointer and length are those of a slice; the result lies inside it.
    let found = unsafe { libc::memchr(bytes.as_ptr().cast(), i32::from(b'\n'), bytes.len()) };
    if found.is_null() { None } else { Some(found as usize - bytes.as_ptr() as usize) }
}
