//! Rows to delimited text.

use std::io::{self, Write};

use encoding_rs::{Encoder, EncoderResult, UTF_8};
use memchr::memmem::Finder;

use super::Format;
use super::read::Reject;
use crate::connector::file::said;
use crate::connector::rows::Batch;
use crate::model::message::Message;
use crate::say;

pub struct Writer<W> {
    out: W,
    format: Format,
    delimiter: Finder<'static>,
    text: Vec<u8>,
    n_bytes: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum WriteError {
    Io(#[from] io::Error),
    /// No file can be written in it.
    Encoding(&'static str),
    Header(Message),
}

impl WriteError {
    pub fn said(&self) -> Message {
        match self {
            Self::Io(error) => say!("it cannot be written: {}", said(error)),
            Self::Encoding(name) => say!("files cannot be written in {}, only read", *name),
            Self::Header(message) => say!("header: {}", message),
        }
    }
}

impl<W: Write> Writer<W> {
    pub fn new(out: W, format: Format) -> Result<Self, WriteError> {
        if format.encoding.output_encoding() != format.encoding {
            return Err(WriteError::Encoding(format.encoding.name()));
        }
        let delimiter = Finder::new(&format.delimiter).into_owned();
        Ok(Self { out, format, delimiter, text: Vec::new(), n_bytes: 0 })
    }

    pub fn header(&mut self, names: &[String]) -> Result<(), WriteError> {
        let mut row = Batch::new(names.len(), 1);
        names.iter().for_each(|name| row.push(name.as_bytes()));
        match self.batch(&row)?.pop() {
            None => Ok(()),
            Some(reject) => Err(WriteError::Header(reject.message)),
        }
    }

    /// The rows that cannot be written this way.
    pub fn batch(&mut self, batch: &Batch) -> Result<Vec<Reject>, WriteError> {
        let mut rejects = Vec::new();
        let mut encoded = Vec::new();
        for (at, row) in batch.rows().enumerate() {
            let begin = self.text.len();
            let mut done = self.push_row(row, batch.n_columns());
            if done.is_ok() && self.format.encoding != UTF_8 {
                done = encode(self.format.encoding.new_encoder(), &self.text[begin..], &mut encoded);
                self.text.truncate(begin);
                if done.is_ok() {
                    self.text.append(&mut encoded);
                }
                encoded.clear();
            }
            if let Err(message) = done {
                self.text.truncate(begin);
                rejects.push(Reject { row: batch.first_row() + at as u64, line: None, message });
            }
        }
        self.out.write_all(&self.text)?;
        self.n_bytes += self.text.len() as u64;
        self.text.clear();
        Ok(rejects)
    }

    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    pub fn into_inner(self) -> W {
        self.out
    }

    fn push_row<'v>(&mut self, row: impl Iterator<Item = Option<&'v [u8]>>, n_columns: usize) -> Result<(), Message> {
        for (at, value) in row.enumerate() {
            if at > 0 {
                self.text.extend_from_slice(&self.format.delimiter);
            }
            let Some(value) = value else {
                self.text.extend_from_slice(&self.format.null);
                continue;
            };
            // A line of its own that is empty would be no row.
            let is_special = self.format.is_null(value) || value.is_empty() && n_columns == 1 || self.has_ends(value);
            match self.format.quote {
                _ if !is_special => self.text.extend_from_slice(value),
                None => {
                    return Err(say!(
                        "the value of column {} cannot be written without quotes: it holds a delimiter or a line break, or reads as NULL",
                        at + 1
                    ));
                }
                Some(quote) => {
                    self.text.push(quote);
                    for piece in value.split_inclusive(|byte| *byte == quote) {
                        self.text.extend_from_slice(piece);
                        if piece.last() == Some(&quote) {
                            self.text.push(quote);
                        }
                    }
                    self.text.push(quote);
                }
            }
        }
        self.text.push(b'\n');
        Ok(())
    }

    /// Something in it would end the field.
    fn has_ends(&self, value: &[u8]) -> bool {
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r') || self.format.quote == Some(*byte);
        match self.format.delimiter.as_slice() {
            [delimiter] => value.iter().any(|byte| is_end(byte) || byte == delimiter),
            _ => value.iter().any(is_end) || self.delimiter.find(value).is_some(),
        }
    }
}

fn encode(mut encoder: Encoder, text: &[u8], out: &mut Vec<u8>) -> Result<(), Message> {
    let mut text = std::str::from_utf8(text).map_err(|_| say!("it is not {}", UTF_8.name()))?;
    loop {
        let length = out.len();
        let room = encoder.max_buffer_length_from_utf8_without_replacement(text.len()).unwrap_or(4 * text.len() + 64);
        out.resize(length + room, 0);
        let (result, n_read, n_written) = encoder.encode_from_utf8_without_replacement(text, &mut out[length..], true);
        out.truncate(length + n_written);
        text = &text[n_read..];
        match result {
            EncoderResult::InputEmpty => return Ok(()),
            EncoderResult::OutputFull => {}
            EncoderResult::Unmappable(c) => {
                return Err(say!("the encoding has no character {}", format!("U+{:04X}", u32::from(c))));
            }
        }
    }
}
