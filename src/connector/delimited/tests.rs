//! Text to rows and back.

use std::io::Read;

use super::*;
use crate::connector::rows::Batch;

type Values = Vec<Option<String>>;

fn format(delimiter: &str) -> Format {
    Format::new(Some(delimiter), None, None, false, None).unwrap()
}

/// Gives its bytes a few at a time, so that every place is once the end of what has been read.
struct Drops<'a>(&'a [u8], usize);

impl Read for Drops<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.1.min(self.0.len()).min(buffer.len());
        buffer[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

fn read_by(format: &Format, bytes: &[u8], step: usize) -> Result<(Vec<Values>, Vec<Reject>), ReadError> {
    let mut reader = Reader::new(Drops(bytes, step), format.clone());
    let (mut rows, mut rejects) = (Vec::new(), Vec::new());
    if reader.first()?.is_none() {
        return Ok((rows, rejects));
    }
    loop {
        match reader.next()? {
            Next::Rows(batch) => {
                for row in batch.rows() {
                    rows.push(row.map(|v| v.map(|v| String::from_utf8(v.to_vec()).unwrap())).collect());
                }
            }
            Next::Reject(reject) => rejects.push(reject),
            Next::End => return Ok((rows, rejects)),
        }
    }
}

/// The same however the bytes come.
fn read(format: &Format, bytes: &[u8]) -> (Vec<Values>, Vec<Reject>) {
    let whole = read_by(format, bytes, usize::MAX).unwrap();
    for step in 1..4 {
        assert_eq!(read_by(format, bytes, step).unwrap(), whole, "{step} at a time");
    }
    whole
}

fn rows(text: &[&[&str]]) -> Vec<Values> {
    let value = |text: &&str| if *text == "∅" { None } else { Some((*text).to_owned()) };
    text.iter().map(|row| row.iter().map(value).collect()).collect()
}

fn said(rejects: &[Reject]) -> Vec<String> {
    rejects.iter().map(|r| format!("{} {}: {}", r.row, r.line.unwrap_or(0), r.message.english())).collect()
}

#[test]
fn fields_are_read_as_they_were_written() {
    let text = "1\ta b\t\r\n2\tNull\t数\n\n3\t\"x\ty\"\t\"say \"\"hi\"\"\nthere\"\n4\t\"null\"\tin\"side\"";
    let (found, rejects) = read(&format("\\t"), text.as_bytes());
    let expected = rows(&[
        &["1", "a b", ""],
        &["2", "∅", "数"],
        &["3", "x\ty", "say \"hi\"\nthere"],
        &["4", "null", "in\"side\""],
    ]);
    assert_eq!((found, said(&rejects)), (expected, vec![]));
}

#[test]
fn a_delimiter_is_no_pattern() {
    assert_eq!(read(&format("|"), b"a.b|c\n").0, rows(&[&["a.b", "c"]]));
    assert_eq!(read(&format("\\|"), b"a|c\n").0, rows(&[&["a", "c"]]));
    assert_eq!(read(&format("||"), b"a|b||c\n||\n").0, rows(&[&["a|b", "c"], &["", ""]]));
    assert_eq!(read(&format("\\001"), b"a\x01c\n").0, rows(&[&["a", "c"]]));
    assert_eq!(read(&format("\\x02"), b"a\x02c").0, rows(&[&["a", "c"]]));
    for bad in ["", "\\", "\\x0", "a\\nb"] {
        assert!(Format::new(Some(bad), None, None, false, None).is_err(), "{bad:?}");
    }
}

#[test]
fn what_is_malformed_is_told_with_its_row_and_line_and_the_rest_is_read() {
    let text = b"1,\"a\nb\"\n2\n3,\"x\"y\n4,\xff\n5,ok\n6,a,b\n";
    let (found, rejects) = read(&format(","), text);
    assert_eq!(found, rows(&[&["1", "a\nb"], &["5", "ok"]]));
    assert_eq!(
        said(&rejects),
        [
            "2 3: 1 field, not 2",
            "3 4: there is text behind a closing quote",
            "4 5: it is not UTF-8",
            "6 7: 3 fields, not 2"
        ]
    );
    let unclosed = read_by(&format(","), b"1,2\n3,\"4\n5,6\n", 7).unwrap_err().to_string();
    assert!(unclosed.contains("\" in line 2 is never closed"), "{unclosed}");
    let plain = Format::new(Some(","), Some(""), None, false, None).unwrap();
    assert_eq!(read(&plain, b"1,\"2\n").0, rows(&[&["1", "\"2"]]));
    assert!(read(&format(","), b"").0.is_empty());
}

#[test]
fn a_header_names_the_columns_and_empty_fields_of_numbers_are_null() {
    let format = Format::new(Some(","), None, None, true, None).unwrap();
    let mut reader = Reader::new(&b"\xEF\xBB\xBFid, name\n,\n\"\",\"\"\n"[..], format);
    assert_eq!(reader.first().unwrap().unwrap(), ["id", "name"]);
    reader.expect(2, vec![true, false]);
    let Next::Rows(batch) = reader.next().unwrap() else { panic!() };
    let found: Vec<Vec<_>> = batch.rows().map(Iterator::collect).collect();
    assert_eq!(found, [[None, Some(&b""[..])], [None, Some(b"")]]);
    assert!(matches!(reader.next().unwrap(), Next::End));
}

fn written(format: &Format, values: &[Values]) -> (Vec<u8>, Vec<Reject>) {
    let mut batch = Batch::new(values[0].len(), 1);
    for value in values.iter().flatten() {
        batch.push_value(value.as_ref().map(|value| value.as_bytes()));
    }
    let mut writer = Writer::new(Vec::new(), format.clone()).unwrap();
    let rejects = writer.batch(&batch).unwrap();
    (writer.into_inner(), rejects)
}

#[test]
fn every_value_comes_back_as_it_was() {
    let values = rows(&[
        &["1", "", "∅"],
        &["null", "NULL", "a,b"],
        &["\"", "say \"hi\"", "line\nbreak"],
        &["\r", "数|据", "\t"],
        &["\\N", "\\", "||"],
    ]);
    for delimiter in [",", "\t", "||", "\\001"] {
        for null in [None, Some(""), Some("\\N")] {
            let format = Format::new(Some(delimiter), None, null, false, None).unwrap();
            let (bytes, rejects) = written(&format, &values);
            assert!(rejects.is_empty());
            assert_eq!(read(&format, &bytes).0, values, "{delimiter:?} {null:?}");
        }
    }
    // A column of its own.
    let single = rows(&[&[""], &["∅"], &["x"]]);
    assert_eq!(read(&format(","), &written(&format(","), &single).0).0, single);
}

#[test]
fn what_needs_no_quotes_is_written_as_akkaflow_does() {
    let (bytes, _) = written(&format("\\t"), &rows(&[&["1", "∅", "a b"], &["2", "", "数"]]));
    assert_eq!(String::from_utf8(bytes).unwrap(), "1\tnull\ta b\n2\t\t数\n");
    let plain = Format::new(Some(","), Some(""), None, false, None).unwrap();
    let (bytes, rejects) = written(&plain, &rows(&[&["1", "\"a\""], &["2", "a,b"], &["3", "null"], &["4", "x\ny"]]));
    assert_eq!(String::from_utf8(bytes).unwrap(), "1,\"a\"\n");
    assert_eq!(rejects.iter().map(|reject| reject.row).collect::<Vec<_>>(), [2, 3, 4]);
}

#[test]
fn other_encodings_are_read_and_written() {
    let gbk = Format::new(Some("|"), None, None, false, Some("GBK")).unwrap();
    // The second byte of 倈 is the delimiter's.
    let values = rows(&[&["倈", "订单"], &["a", "∅"]]);
    let (bytes, rejects) = written(&gbk, &values);
    assert!(rejects.is_empty() && std::str::from_utf8(&bytes).is_err());
    assert_eq!(read(&gbk, &bytes), (values, vec![]));
    let (found, rejects) = read(&gbk, b"a|b\nc|\xff\xff\nd|e\n");
    assert_eq!(found, rows(&[&["a", "b"], &["d", "e"]]));
    assert_eq!(said(&rejects), ["2 2: it is not GBK"]);
    let (_, rejects) = written(&gbk, &rows(&[&["a"], &["\u{1F600}"]]));
    assert_eq!(said(&rejects), ["2 0: the encoding has no character U+1F600"]);
    let utf16 = Format::new(Some(","), None, None, false, Some("utf-16le")).unwrap();
    assert_eq!(read(&utf16, b"\xff\xfea\0,\0\x70\x65\n\0").0, rows(&[&["a", "数"]]));
    assert!(matches!(Writer::new(Vec::new(), utf16).err(), Some(WriteError::Encoding("UTF-16LE"))));
    assert!(Format::new(None, None, None, false, Some("klingon")).is_err());
}
