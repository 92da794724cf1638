//! Rows on their way from one place to another: many in one piece of memory, without a value of its own for each
//! field. What reads and what writes are bound together by a channel of these, so memory is bounded by its length.

use std::ops::Range;

/// A batch is full with this much. One row may be larger: it is a batch by itself.
const BATCH_BYTES: usize = 256 << 10;
const BATCH_ROWS: usize = 4096;
/// In `ends`: the value is NULL.
const NULL: usize = 1 << (usize::BITS - 1);

/// Rows that follow each other at their source. A value is text in UTF-8; bytes that are no text are written as
/// `\x` and hexadecimal digits (`push_binary`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    n_columns: usize,
    /// Number of its first row at the source, from 1.
    first_row: u64,
    bytes: Vec<u8>,
    /// Where each value ends.
    ends: Vec<usize>,
}

impl Batch {
    pub fn new(n_columns: usize, first_row: u64) -> Self {
        Self { n_columns, first_row, bytes: Vec::new(), ends: Vec::new() }
    }

    /// The rows so far once they are enough to be sent, with the next batch begun in their place.
    pub fn take_full(&mut self) -> Option<Self> {
        let next = self.is_full().then(|| self.following())?;
        Some(std::mem::replace(self, next))
    }

    /// The next one, after this.
    fn following(&self) -> Self {
        Self {
            n_columns: self.n_columns,
            first_row: self.first_row + self.n_rows() as u64,
            bytes: Vec::with_capacity(self.bytes.len().min(BATCH_BYTES + BATCH_BYTES / 8)),
            ends: Vec::with_capacity(self.ends.len()),
        }
    }

    /// The next value of the row, `None` for NULL.
    pub fn push_value(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) => self.push(value),
            None => self.push_null(),
        }
    }

    pub fn push_null(&mut self) {
        self.ends.push(self.bytes.len() | NULL);
    }

    pub fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.ends.push(self.bytes.len());
    }

    /// A value that `write` appends to what is there.
    pub fn push_with<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let done = write(&mut self.bytes);
        self.ends.push(self.bytes.len());
        done
    }

    /// Bytes that are no text.
    pub fn push_binary(&mut self, bytes: &[u8]) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.push_with(|out| {
            out.extend_from_slice(b"\\x");
            for byte in bytes {
                out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            }
        });
    }

    /// Takes back what was pushed of a row that is not complete, or complete and not wanted.
    pub fn cut_to(&mut self, n_rows: usize) {
        self.ends.truncate(n_rows * self.n_columns);
        self.bytes.truncate(self.ends.last().map_or(0, |end| end & !NULL));
    }

    /// Values of the row that is being pushed.
    pub fn n_open(&self) -> usize {
        if self.n_columns == 0 { 0 } else { self.ends.len() % self.n_columns }
    }

    /// Values of the row that is being pushed, after whole ones.
    pub fn open_values(&self) -> impl Iterator<Item = Option<&[u8]>> {
        self.values(self.n_rows() * self.n_columns, self.ends.len())
    }

    fn values(&self, first: usize, end: usize) -> impl Iterator<Item = Option<&[u8]>> {
        let mut from = first.checked_sub(1).map_or(0, |before| self.ends[before] & !NULL);
        self.ends[first..end].iter().map(move |end| {
            let (is_null, end) = (end & NULL != 0, end & !NULL);
            let value = &self.bytes[from..end];
            from = end;
            (!is_null).then_some(value)
        })
    }

    pub fn n_columns(&self) -> usize {
        self.n_columns
    }

    pub fn n_rows(&self) -> usize {
        if self.n_columns == 0 { 0 } else { self.ends.len() / self.n_columns }
    }

    pub fn n_bytes(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.n_rows() == 0
    }

    pub fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH_BYTES || self.n_rows() >= BATCH_ROWS
    }

    pub fn first_row(&self) -> u64 {
        self.first_row
    }

    /// Values of one row.
    pub fn row(&self, row: usize) -> impl Iterator<Item = Option<&[u8]>> {
        self.values(row * self.n_columns, (row + 1) * self.n_columns)
    }

    pub fn rows(&self) -> impl Iterator<Item = impl Iterator<Item = Option<&[u8]>>> {
        (0..self.n_rows()).map(|row| self.row(row))
    }

    /// Some of the rows, by themselves.
    pub fn part(&self, rows: Range<usize>) -> Batch {
        let mut part = Batch::new(self.n_columns, self.first_row + rows.start as u64);
        for value in rows.flat_map(|row| self.row(row)) {
            part.push_value(value);
        }
        part
    }
}

/// What `push_binary` wrote, as bytes again; `None` for any other text.
pub fn binary(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_prefix(b"\\x")?;
    hex::decode(digits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(batch: &Batch, row: usize) -> Vec<Option<&str>> {
        batch.row(row).map(|value| value.map(|value| std::str::from_utf8(value).unwrap())).collect()
    }

    #[test]
    fn null_and_empty_are_not_the_same() {
        let mut batch = Batch::new(2, 7);
        batch.push(b"a");
        batch.push_null();
        batch.push(b"");
        batch.push_binary(&[0, 255]);
        assert_eq!((values(&batch, 0), values(&batch, 1)), (vec![Some("a"), None], vec![Some(""), Some("\\x00ff")]));
        assert_eq!(binary(b"\\x00ff"), Some(vec![0, 255]));
        assert_eq!((binary(b"\\x0"), binary(b"00")), (None, None));
        let part = batch.part(1..2);
        assert_eq!((values(&part, 0), part.first_row(), part.n_rows()), (vec![Some(""), Some("\\x00ff")], 8, 1));
        assert_eq!(batch.following().first_row(), 9);
    }

    #[test]
    fn half_a_row_can_be_taken_back() {
        let mut batch = Batch::new(2, 1);
        batch.push(b"a");
        batch.push(b"b");
        batch.push(b"half");
        assert_eq!((batch.n_rows(), batch.n_open()), (1, 1));
        batch.cut_to(1);
        batch.push(b"c");
        batch.push_null();
        assert_eq!(values(&batch, 1), vec![Some("c"), None]);
        batch.cut_to(0);
        assert!(batch.is_empty() && batch.n_bytes() == 0);
    }
}
