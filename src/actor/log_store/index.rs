//! Where lines begin: one mark per thousand lines or quarter megabyte, made as the bytes arrive.

use crate::connector::process::frame::{Frame, HEAD, PIECE_MAX, is_cut_mark};

pub const MARK_LINES: u64 = 1_000;
pub const MARK_BYTES: u64 = 256 * 1024;

/// Start of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// From 0.
    pub line: u64,
    pub offset: u64,
}

#[derive(Debug, Clone)]
pub struct Index {
    /// Ascending; the first is line 0 at offset 0.
    pub marks: Vec<Mark>,
    pub lines: u64,
    /// Everything before it is whole lines.
    pub parsed: u64,
    pub is_cut: bool,
    pub is_damaged: bool,
    /// The beginning of a line whose rest has not come yet.
    partial: Vec<u8>,
}

impl Default for Index {
    fn default() -> Self {
        Index {
            marks: vec![Mark { line: 0, offset: 0 }],
            lines: 0,
            parsed: 0,
            is_cut: false,
            is_damaged: false,
            partial: Vec::new(),
        }
    }
}

impl Index {
    /// Takes the next bytes of the stream.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.is_damaged {
            return;
        }
        let mut rest = bytes;
        // Only until the torn line is whole: then the rest is read in place.
        while !self.partial.is_empty() && !rest.is_empty() {
            let taken = rest.len().min(HEAD + PIECE_MAX);
            let before = self.partial.len();
            self.partial.extend_from_slice(&rest[..taken]);
            let partial = std::mem::take(&mut self.partial);
            match self.one(&partial) {
                Some(length) => rest = &rest[length - before..],
                None => {
                    if self.is_damaged {
                        return;
                    }
                    self.partial = partial;
                    rest = &rest[taken..];
                }
            }
        }
        while !rest.is_empty() {
            match self.one(rest) {
                Some(length) => rest = &rest[length..],
                None => {
                    self.partial = rest.to_vec();
                    return;
                }
            }
        }
    }

    /// Nothing will follow the beginning of a line: it is as if it had not come.
    pub fn forget_partial(&mut self) {
        self.partial.clear();
    }

    /// The last mark at or before a line.
    pub fn before(&self, line: u64) -> Mark {
        let at = self.marks.partition_point(|mark| mark.line <= line);
        self.marks[at.saturating_sub(1)]
    }

    fn one(&mut self, bytes: &[u8]) -> Option<usize> {
        match Frame::read(bytes) {
            Ok(Some((frame, length))) => {
                let last = self.marks[self.marks.len() - 1];
                if self.lines - last.line >= MARK_LINES || self.parsed - last.offset >= MARK_BYTES {
                    self.marks.push(Mark { line: self.lines, offset: self.parsed });
                }
                self.is_cut |= is_cut_mark(&frame);
                self.lines += 1;
                self.parsed += length as u64;
                Some(length)
            }
            Ok(None) => None,
            Err(_) => {
                self.is_damaged = true;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::process::frame;

    #[test]
    fn the_index_is_the_same_however_the_bytes_are_cut() {
        let mut bytes = Vec::new();
        for n in 0..5_000 {
            frame::system_line(n, &"x".repeat((n % 100) as usize), &mut bytes);
        }
        let mut whole = Index::default();
        whole.feed(&bytes);
        assert_eq!((whole.lines, whole.parsed), (5_000, bytes.len() as u64));
        assert!(whole.marks.len() >= 5);
        assert_eq!(whole.before(2_500).line, 2_000);
        for size in [1, 7, 64, 4096] {
            let mut cut = Index::default();
            bytes.chunks(size).for_each(|chunk| cut.feed(chunk));
            assert_eq!((cut.lines, cut.parsed, &cut.marks), (whole.lines, whole.parsed, &whole.marks), "{size}");
        }
    }

    #[test]
    fn damaged_bytes_end_the_index_and_nothing_else() {
        let mut bytes = Vec::new();
        frame::system_line(1, "good", &mut bytes);
        bytes.extend_from_slice(&[0xff; 100]);
        let mut index = Index::default();
        index.feed(&bytes);
        index.feed(&bytes);
        assert!(index.is_damaged);
        assert_eq!(index.lines, 1);
    }
}
