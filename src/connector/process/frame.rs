//! The packing of a log: one frame per line, the same in a worker's spool, on the wire and in the log store.
//!
//! A frame is a 12-byte head (length of the text: 4, stream: 1, flags: 1, milliseconds since 1970: 6, all
//! little-endian) and the line without its newline. A line longer than `PIECE_MAX` is several frames, all but
//! the last marked as continued, and counts as several lines. A file may end in the middle of a frame when its writer died: what is whole
//! counts. Shared by the shim's binary: uses nothing but std.

pub const HEAD: usize = 12;

/// Longest text of one frame.
pub const PIECE_MAX: usize = 64 * 1024;

const CONTINUED: u8 = 1;
const UNFINISHED: u8 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
    /// Said by worker or shim about the attempt, not by the task.
    System,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    pub at_ms: i64,
    pub stream: Stream,
    /// The line goes on in the next frame of the same stream.
    pub is_continued: bool,
    /// The output ended without a newline here.
    pub is_unfinished: bool,
    pub text: &'a [u8],
}

/// Bytes that cannot be a frame: the file is damaged from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damaged;

impl std::fmt::Display for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the log is damaged")
    }
}

impl std::error::Error for Damaged {}

impl Stream {
    fn code(self) -> u8 {
        match self {
            Stream::Stdout => 1,
            Stream::Stderr => 2,
            Stream::System => 3,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Stream::Stdout,
            2 => Stream::Stderr,
            3 => Stream::System,
            _ => return None,
        })
    }
}

impl<'a> Frame<'a> {
    pub fn write(&self, out: &mut Vec<u8>) {
        debug_assert!(self.text.len() <= PIECE_MAX);
        let flags = if self.is_continued { CONTINUED } else { 0 } | if self.is_unfinished { UNFINISHED } else { 0 };
        out.extend_from_slice(&(self.text.len() as u32).to_le_bytes());
        out.extend_from_slice(&[self.stream.code(), flags]);
        out.extend_from_slice(&self.at_ms.max(0).to_le_bytes()[..6]);
        out.extend_from_slice(self.text);
    }

    /// The first frame of `bytes` and its length there; `None` when it is not whole yet.
    pub fn read(bytes: &'a [u8]) -> Result<Option<(Frame<'a>, usize)>, Damaged> {
        let Some(head) = bytes.first_chunk::<HEAD>() else { return Ok(None) };
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        if length > PIECE_MAX {
            return Err(Damaged);
        }
        let stream = Stream::from_code(head[4]).ok_or(Damaged)?;
        let at_ms = i64::from_le_bytes([head[6], head[7], head[8], head[9], head[10], head[11], 0, 0]);
        let Some(text) = bytes.get(HEAD..HEAD + length) else { return Ok(None) };
        let frame = Frame {
            at_ms,
            stream,
            is_continued: head[5] & CONTINUED != 0,
            is_unfinished: head[5] & UNFINISHED != 0,
            text,
        };
        Ok(Some((frame, HEAD + length)))
    }
}

const OVER_ITS_CAP: &str = "the output is over its cap";
const OVER_QUOTA: &str = "the worker kept too much output that was not copied";

/// The frame that stands where the middle of an output was dropped.
pub fn cut_mark(at_ms: i64, dropped_bytes: u64, dropped_lines: u64) -> Vec<u8> {
    let text = format!("… {dropped_lines} lines ({dropped_bytes} bytes) dropped here: {OVER_ITS_CAP}");
    let mut out = Vec::new();
    system_line(at_ms, &text, &mut out);
    out
}

/// Stands where the rest was let go of before it was copied.
pub fn quota_mark(at_ms: i64, dropped_bytes: u64) -> Vec<u8> {
    let mut out = Vec::new();
    system_line(at_ms, &format!("… {dropped_bytes} bytes dropped here: {OVER_QUOTA}"), &mut out);
    out
}

/// Is it one of the marks that say that something is missing?
pub fn is_cut_mark(frame: &Frame<'_>) -> bool {
    let ends = [OVER_ITS_CAP, OVER_QUOTA];
    frame.stream == Stream::System && ends.iter().any(|end| frame.text.ends_with(end.as_bytes()))
}

pub fn system_line(at_ms: i64, text: &str, out: &mut Vec<u8>) {
    let end = text.floor_char_boundary(PIECE_MAX);
    Frame { at_ms, stream: Stream::System, is_continued: false, is_unfinished: false, text: &text.as_bytes()[..end] }
        .write(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_read_back_and_a_torn_one_is_waited_for() {
        let mut bytes = Vec::new();
        let first = Frame {
            at_ms: 1_795_000_000_123,
            stream: Stream::Stderr,
            is_continued: true,
            is_unfinished: false,
            text: b"a\0\xff",
        };
        first.write(&mut bytes);
        system_line(5, "gone", &mut bytes);
        let (read, length) = Frame::read(&bytes).unwrap().unwrap();
        assert_eq!(read, first);
        let (second, rest) = Frame::read(&bytes[length..]).unwrap().unwrap();
        assert_eq!((second.text, length + rest), (&b"gone"[..], bytes.len()));
        assert_eq!(Frame::read(&bytes[..length - 1]), Ok(None));
        assert_eq!(Frame::read(&[0xff; 40]), Err(Damaged));
    }
}
