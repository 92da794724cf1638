//! Delimited text to rows. Whole records are cut out of a buffer; what is wrong with one is told with its number and
//! the next is read.

use std::collections::VecDeque;
use std::io::{self, Read};

use encoding_rs::{Decoder, DecoderResult, UTF_8};
use memchr::{memchr, memchr_iter, memchr2};

use super::Format;
use crate::connector::file::said;
use crate::connector::rows::Batch;
use crate::model::message::Message;
use crate::say;

/// What is read at once.
const READ_BYTES: usize = 256 << 10;
/// A longer record is a quote that was never closed, rather than a row.
const RECORD_BYTES_MAX: usize = 64 << 20;
const COLUMNS_MAX: usize = 10_000;
const BOM: &[u8] = b"\xEF\xBB\xBF";

pub struct Reader<R> {
    input: R,
    format: Format,
    decode: Option<Decode>,
    buffer: Vec<u8>,
    /// Where the next record begins.
    at: usize,
    is_at_end: bool,
    /// Up to here the buffer is known to be text.
    valid_to: usize,
    n_columns: usize,
    /// Columns in which an empty field is NULL.
    empty_is_null: Vec<bool>,
    /// Of the next record, from 1.
    line: u64,
    row: u64,
    /// What follows the rows that were given last.
    waiting: Option<Reject>,
    n_bytes: u64,
}

/// For files that are not UTF-8.
struct Decode {
    decoder: Decoder,
    raw: Vec<u8>,
    /// Where in the decoded text, from its beginning, bytes were that are no text.
    malformed: VecDeque<u64>,
    n_decoded: u64,
}

/// What comes next of a file.
pub enum Next {
    Rows(Batch),
    Reject(Reject),
    End,
}

/// A record that is no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Without the header, from 1.
    pub row: u64,
    /// Of the file, from 1, where it is known.
    pub line: Option<u64>,
    pub message: Message,
}

#[derive(Debug, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum ReadError {
    Io(#[from] io::Error),
    Unclosed {
        line: u64,
        quote: char,
    },
    TooLong {
        line: u64,
    },
    TooManyColumns,
    /// The first record, from which the columns are known.
    First(Message),
}

impl ReadError {
    pub fn said(&self) -> Message {
        match self {
            Self::Io(error) => say!("it cannot be read: {}", said(error)),
            Self::Unclosed { line, quote } => say!(
                "the quote {} in line {} is never closed (where quotes are plain characters, write quote=\"\")",
                quote.to_string(),
                line
            ),
            Self::TooLong { line } => {
                say!("the row that begins in line {} is longer than {} MiB", line, RECORD_BYTES_MAX >> 20)
            }
            Self::First(message) => say!("the first row: {}", message),
            Self::TooManyColumns => say!("it has more than {} columns", COLUMNS_MAX),
        }
    }
}

/// One record of the buffer.
enum Record {
    Row {
        end: usize,
    },
    Bad {
        end: usize,
        message: Message,
    },
    /// The buffer ends in the middle.
    Open,
    /// ... of a quote.
    OpenQuote,
}

impl<R: Read> Reader<R> {
    pub fn new(input: R, format: Format) -> Self {
        let decode = (format.encoding != UTF_8).then(|| Decode {
            decoder: format.encoding.new_decoder_with_bom_removal(),
            raw: vec![0; READ_BYTES],
            malformed: VecDeque::new(),
            n_decoded: 0,
        });
        Self {
            input,
            format,
            decode,
            buffer: Vec::new(),
            at: 0,
            is_at_end: false,
            valid_to: 0,
            n_columns: 0,
            empty_is_null: Vec::new(),
            line: 1,
            row: 1,
            waiting: None,
            n_bytes: 0,
        }
    }

    /// Fields of the first record, which says how many each must have. A header is taken, a row stays to be read.
    /// `None`: the file is empty.
    pub fn first(&mut self) -> Result<Option<Vec<String>>, ReadError> {
        while self.buffer.len() < BOM.len() && !self.is_at_end {
            self.fill()?;
        }
        if self.buffer.starts_with(BOM) {
            self.at = BOM.len();
        }
        self.n_columns = COLUMNS_MAX + 1;
        let mut batch = Batch::new(self.n_columns, 1);
        let end = loop {
            batch.cut_to(0);
            if self.is_at_end && self.at >= self.buffer.len() {
                return Ok(None);
            }
            match self.record(&mut batch) {
                Record::Row { end } => break end,
                Record::Bad { message, .. } => return Err(ReadError::First(message)),
                Record::Open | Record::OpenQuote if self.is_at_end => return Err(self.unclosed()),
                Record::Open | Record::OpenQuote => self.fill_for_record()?,
            }
        };
        if batch.n_open() > COLUMNS_MAX {
            return Err(ReadError::TooManyColumns);
        }
        let fields: Vec<String> = batch
            .open_values()
            .map(|value| String::from_utf8_lossy(value.unwrap_or_default()).trim().to_owned())
            .collect();
        self.n_columns = fields.len();
        if self.format.has_header {
            self.pass(end);
        }
        Ok(Some(fields))
    }

    /// How many fields each row must have, and in which columns an empty one is NULL.
    pub fn expect(&mut self, n_columns: usize, empty_is_null: Vec<bool>) {
        (self.n_columns, self.empty_is_null) = (n_columns, empty_is_null);
    }

    /// Bytes that were read of the file.
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    pub fn next(&mut self) -> Result<Next, ReadError> {
        if let Some(reject) = self.waiting.take() {
            return Ok(Next::Reject(reject));
        }
        let mut batch = Batch::new(self.n_columns, self.row);
        while !batch.is_full() {
            if self.is_at_end && self.at >= self.buffer.len() {
                break;
            }
            let n_rows = batch.n_rows();
            match self.record(&mut batch) {
                Record::Row { end } => {
                    let fault = self.fault(end);
                    let line = self.line;
                    self.pass(end);
                    self.row += 1;
                    if let Some(message) = fault {
                        batch.cut_to(n_rows);
                        return Ok(self.rejected(batch, Reject { row: self.row - 1, line: Some(line), message }));
                    }
                }
                Record::Bad { end, .. } if self.is_blank(end) => {
                    batch.cut_to(n_rows);
                    self.pass(end);
                }
                Record::Bad { end, message } => {
                    batch.cut_to(n_rows);
                    let line = self.line;
                    self.pass(end);
                    self.row += 1;
                    return Ok(self.rejected(batch, Reject { row: self.row - 1, line: Some(line), message }));
                }
                Record::Open | Record::OpenQuote if self.is_at_end => return Err(self.unclosed()),
                Record::Open | Record::OpenQuote => {
                    batch.cut_to(n_rows);
                    self.fill_for_record()?;
                }
            }
        }
        Ok(if batch.is_empty() { Next::End } else { Next::Rows(batch) })
    }

    fn rejected(&mut self, batch: Batch, reject: Reject) -> Next {
        if batch.is_empty() {
            return Next::Reject(reject);
        }
        self.waiting = Some(reject);
        Next::Rows(batch)
    }

    /// Pushes the fields of the record that begins where we are.
    fn record(&self, batch: &mut Batch) -> Record {
        let buffer = &self.buffer;
        let delimiter = self.format.delimiter.as_slice();
        let (mut at, mut n) = (self.at, 0);
        loop {
            let wanted = n < self.n_columns;
            let end = if self.format.quote.is_some_and(|quote| buffer.get(at) == Some(&quote)) {
                match self.quoted(at, batch, wanted.then(|| self.empty_is_null.get(n) == Some(&true))) {
                    Ok(end) => end,
                    Err(record) => return record,
                }
            } else {
                let Some(end) = self.field_end(at) else { return Record::Open };
                let is_last = buffer.get(end).is_none_or(|byte| *byte == b'\n');
                let field = &buffer[at..end];
                let field = if is_last { field.strip_suffix(b"\r").unwrap_or(field) } else { field };
                let is_null =
                    self.format.is_null(field) || field.is_empty() && self.empty_is_null.get(n) == Some(&true);
                match wanted {
                    true if is_null => batch.push_null(),
                    true => batch.push(field),
                    false => {}
                }
                end
            };
            n += 1;
            match buffer.get(end) {
                None | Some(b'\n') => {
                    let end = (end + 1).min(buffer.len());
                    // Of the first record nobody knows yet how many it has.
                    return if n == self.n_columns || self.n_columns > COLUMNS_MAX {
                        Record::Row { end }
                    } else {
                        Record::Bad { end, message: say!("{} field{s}, not {}", n, self.n_columns) }
                    };
                }
                Some(_) => at = end + delimiter.len(),
            }
        }
    }

    /// Where the field that begins at `at` ends: at a delimiter, a line break or the end of the file.
    fn field_end(&self, at: usize) -> Option<usize> {
        let buffer = &self.buffer;
        let delimiter = self.format.delimiter.as_slice();
        let mut from = at;
        loop {
            let Some(found) = memchr2(delimiter[0], b'\n', &buffer[from..]).map(|found| from + found) else {
                return self.is_at_end.then_some(buffer.len());
            };
            if buffer[found] == b'\n' || delimiter.len() == 1 || buffer[found..].starts_with(delimiter) {
                return Some(found);
            }
            // Perhaps the rest of it is still to be read.
            if !self.is_at_end && buffer.len() - found < delimiter.len() {
                return None;
            }
            from = found + 1;
        }
    }

    /// The field behind the quote at `at`; where what ends it is. `wanted`: whether it is NULL when it is empty.
    fn quoted(&self, at: usize, batch: &mut Batch, wanted: Option<bool>) -> Result<usize, Record> {
        let buffer = &self.buffer;
        let quote = self.format.quote.unwrap_or(b'"');
        let (mut from, mut is_doubled) = (at + 1, false);
        let close = loop {
            let found = memchr(quote, &buffer[from..]).map(|found| from + found).ok_or(Record::OpenQuote)?;
            match buffer.get(found + 1) {
                Some(next) if *next == quote => {
                    is_doubled = true;
                    from = found + 2;
                }
                None if !self.is_at_end => return Err(Record::Open),
                _ => break found,
            }
        };
        let value = &buffer[at + 1..close];
        if wanted == Some(true) && value.is_empty() {
            batch.push_null();
        } else if wanted.is_some() && !is_doubled {
            batch.push(value);
        } else if wanted.is_some() {
            batch.push_with(|out| {
                let mut from = 0;
                while let Some(found) = memchr(quote, &value[from..]) {
                    out.extend_from_slice(&value[from..=from + found]);
                    from += found + 2;
                }
                out.extend_from_slice(&value[from..]);
            });
        }
        let rest = &buffer[close + 1..];
        let delimiter = self.format.delimiter.as_slice();
        match rest {
            [] | [b'\n', ..] => Ok(close + 1),
            [b'\r', b'\n', ..] => Ok(close + 2),
            [b'\r'] if self.is_at_end => Ok(close + 2),
            rest if rest.starts_with(delimiter) => Ok(close + 1),
            rest if !self.is_at_end && rest.len() < delimiter.len().max(2) => Err(Record::Open),
            rest => match memchr(b'\n', rest) {
                None if !self.is_at_end => Err(Record::Open),
                found => {
                    let end = close + 1 + found.map_or(rest.len(), |found| found + 1);
                    Err(Record::Bad { end, message: say!("there is text behind a closing quote") })
                }
            },
        }
    }

    fn is_blank(&self, end: usize) -> bool {
        let text = &self.buffer[self.at..end];
        self.n_columns > 1 && matches!(text, b"\n" | b"\r\n" | b"\r" | b"")
    }

    /// Bytes of the record that are no text.
    fn fault(&mut self, end: usize) -> Option<Message> {
        let fault = say!("it is not {}", self.format.encoding.name());
        if let Some(decode) = &mut self.decode {
            let end = decode.n_decoded - (self.buffer.len() - end) as u64;
            let before = decode.malformed.len();
            while decode.malformed.front().is_some_and(|at| *at < end) {
                decode.malformed.pop_front();
            }
            return (decode.malformed.len() < before).then_some(fault);
        }
        if end <= self.valid_to {
            return None;
        }
        let is_text = std::str::from_utf8(&self.buffer[self.at..end]).is_ok();
        // Past the fault of this record, if it was here.
        self.valid_to = end + valid_length(&self.buffer[end..]);
        (!is_text).then_some(fault)
    }

    /// Goes on behind a record.
    fn pass(&mut self, end: usize) {
        self.line += memchr_iter(b'\n', &self.buffer[self.at..end]).count() as u64;
        self.at = end;
    }

    fn unclosed(&self) -> ReadError {
        ReadError::Unclosed { line: self.line, quote: char::from(self.format.quote.unwrap_or(b'"')) }
    }

    fn fill_for_record(&mut self) -> Result<(), ReadError> {
        if self.buffer.len() - self.at > RECORD_BYTES_MAX {
            return Err(ReadError::TooLong { line: self.line });
        }
        // A record that is much larger than a read is not looked at anew after each.
        let wanted = (self.buffer.len() - self.at).max(1);
        let before = self.n_bytes;
        self.fill()?;
        while !self.is_at_end && self.n_bytes - before < (wanted as u64) && wanted > READ_BYTES {
            self.fill()?;
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<(), ReadError> {
        let kept = self.at;
        self.buffer.drain(..kept);
        self.at = 0;
        self.valid_to = self.valid_to.saturating_sub(kept);
        let length = self.buffer.len();
        match &mut self.decode {
            None => {
                self.buffer.resize(length + READ_BYTES, 0);
                let n = read(&mut self.input, &mut self.buffer[length..]);
                self.buffer.truncate(length + *n.as_ref().unwrap_or(&0));
                let n = n?;
                self.n_bytes += n as u64;
                self.is_at_end = n == 0;
                self.valid_to += valid_length(&self.buffer[self.valid_to..]);
            }
            Some(decode) => {
                let n = read(&mut self.input, &mut decode.raw)?;
                self.n_bytes += n as u64;
                self.is_at_end = n == 0;
                decode.push(n, &mut self.buffer);
            }
        }
        Ok(())
    }
}

impl Decode {
    fn push(&mut self, n: usize, out: &mut Vec<u8>) {
        let is_last = n == 0;
        let mut raw = &self.raw[..n];
        loop {
            let length = out.len();
            let room = self.decoder.max_utf8_buffer_length_without_replacement(raw.len()).unwrap_or(4 * raw.len() + 64);
            out.resize(length + room, 0);
            let (result, n_read, n_written) =
                self.decoder.decode_to_utf8_without_replacement(raw, &mut out[length..], is_last);
            out.truncate(length + n_written);
            self.n_decoded += n_written as u64;
            raw = &raw[n_read..];
            match result {
                DecoderResult::InputEmpty => return,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => {
                    self.malformed.push_back(self.n_decoded);
                    let stand_in = "\u{fffd}".as_bytes();
                    out.extend_from_slice(stand_in);
                    self.n_decoded += stand_in.len() as u64;
                }
            }
        }
    }
}

fn valid_length(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        Err(error) => error.valid_up_to(),
    }
}

fn read(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
