//! The text of one file: decoded, with places.
//!
//! Owns encodings (byte order mark, then declaration) and the way from byte offsets to lines and columns in
//! characters. Must not know what the text means.

use encoding_rs::{DecoderResult, Encoding, GB18030, GBK, UTF_8, UTF_16BE, UTF_16LE};
use quick_xml::events::Event;
use quick_xml::reader::Reader;

use crate::model::message::Message;
use crate::say;

/// Bytes of the decoded text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        // A text is at most three times FILE_BYTES_MAX, far below 4 GiB.
        Self { start: start as u32, end: end as u32 }
    }
}

pub struct Source {
    pub text: String,
    /// Offset at which each line begins.
    lines: Vec<u32>,
}

/// Why the bytes are no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeFault {
    pub message: Message,
    pub hint: Option<Message>,
    /// The wrong bytes are the last ones: perhaps only half of a character is there yet.
    pub is_at_end: bool,
}

impl Source {
    pub fn new(text: String) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at as u32 + 1);
        let lines = std::iter::once(0).chain(breaks).collect();
        Self { text, lines }
    }

    /// Line from 1.
    pub fn line(&self, at: u32) -> u32 {
        self.lines.partition_point(|start| *start <= at) as u32
    }

    /// Line and column from 1, the column in characters.
    pub fn place(&self, at: u32) -> (u32, u32) {
        let line = self.line(at);
        let start = self.lines[line as usize - 1] as usize;
        let end = self.floor(at as usize);
        (line, self.text[start..end].chars().count() as u32 + 1)
    }

    pub fn line_text(&self, line: u32) -> &str {
        let start = self.lines[line as usize - 1] as usize;
        let end = self.lines.get(line as usize).map_or(self.text.len(), |next| *next as usize);
        self.text[start..end].trim_end_matches(['\n', '\r'])
    }

    /// Characters in the span, up to the end of its first line, at least 1.
    pub fn length(&self, span: Span) -> u32 {
        let start = self.floor(span.start as usize);
        let end = self.floor(span.end as usize).max(start);
        let marked = self.text[start..end].chars().take_while(|c| *c != '\n').count();
        marked.max(1) as u32
    }

    fn floor(&self, at: usize) -> usize {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

/// Decodes by byte order mark, else by declaration, else as UTF-8. On a fault the text up to it is returned too.
pub fn decode(bytes: &[u8]) -> (String, Option<DecodeFault>) {
    let (encoding, bytes) = match encoding_of(bytes) {
        Ok(found) => found,
        Err(label) => {
            let message = say!("the encoding \"{}\" is not supported", label);
            let hint = Some(say!("use UTF-8, GBK, GB18030 or UTF-16"));
            let text = String::from_utf8_lossy(bytes).into_owned();
            return (text, Some(DecodeFault { message, hint, is_at_end: false }));
        }
    };
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut text = String::new();
    let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len());
    text.reserve(room.unwrap_or(bytes.len() * 3) + 16);
    let (result, read) = decoder.decode_to_string_without_replacement(bytes, &mut text, true);
    match result {
        DecoderResult::InputEmpty => (text, None),
        DecoderResult::Malformed(..) | DecoderResult::OutputFull => {
            let fault = malformed(encoding, bytes, read);
            (text, Some(fault))
        }
    }
}

fn malformed(encoding: &'static Encoding, bytes: &[u8], read: usize) -> DecodeFault {
    let is_at_end = read >= bytes.len();
    let looks_like_gbk =
        encoding == UTF_8 && !is_at_end && GB18030.decode_without_bom_handling_and_without_replacement(bytes).is_some();
    let hint = looks_like_gbk.then(|| {
        say!("it looks like GBK: begin the file with <?xml version=\"1.0\" encoding=\"GBK\"?>, or save it as UTF-8")
    });
    DecodeFault { message: say!("the bytes here are not {}", encoding.name()), hint, is_at_end }
}

fn encoding_of(bytes: &[u8]) -> Result<(&'static Encoding, &[u8]), String> {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return Ok((encoding, &bytes[length..]));
    }
    match bytes {
        [b'<', 0, ..] => return Ok((UTF_16LE, bytes)),
        [0, b'<', ..] => return Ok((UTF_16BE, bytes)),
        _ => {}
    }
    let Some(label) = declared(bytes) else { return Ok((UTF_8, bytes)) };
    match Encoding::for_label(label.as_bytes()) {
        Some(encoding) if encoding == UTF_8 || encoding == GBK || encoding == GB18030 => Ok((encoding, bytes)),
        // "us-ascii" is read as UTF-8: ASCII is part of it.
        _ if label.eq_ignore_ascii_case("us-ascii") || label.eq_ignore_ascii_case("ascii") => Ok((UTF_8, bytes)),
        _ => Err(label),
    }
}

/// The encoding that `<?xml … encoding="…"?>` names; without a complete declaration none.
fn declared(bytes: &[u8]) -> Option<String> {
    let head = &bytes[..bytes.len().min(256)];
    match Reader::from_reader(head).read_event() {
        Ok(Event::Decl(declaration)) => Some(declaration.encoding()?.ok()?.trim().to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_read_from_every_supported_encoding() {
        let wanted = |label: &str| format!("<?xml version=\"1.0\" encoding=\"{label}\"?><a b=\"日报\"/>");
        for label in ["GBK", "gb18030", "GB2312", "utf-8", "UTF8"] {
            let encoding = Encoding::for_label(label.as_bytes()).unwrap();
            let text = wanted(label);
            let (bytes, _, _) = encoding.encode(&text);
            assert_eq!(decode(&bytes), (text.clone(), None), "{label}");
        }
        let text = wanted("UTF-16");
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for (bom, body) in [(&[0xff, 0xfe][..], &little), (&[0xfe, 0xff], &big), (&[], &little), (&[], &big)] {
            assert_eq!(decode(&[bom, body].concat()), (text.clone(), None));
        }
        assert_eq!(decode("\u{feff}<a/>".as_bytes()).0, "<a/>");
    }

    #[test]
    fn wrong_bytes_and_unknown_encodings_are_faults() {
        let (gbk, _, _) = GBK.encode("<a b=\"日报\"/>");
        let fault = decode(&gbk).1.unwrap();
        assert!(fault.hint.unwrap().english().contains("GBK") && !fault.is_at_end);
        let cut = &"<a b=\"日".as_bytes()[..7];
        assert!(decode(cut).1.unwrap().is_at_end);
        assert!(decode(b"<?xml version='1.0' encoding='EBCDIC-CP-BE'?><a/>").1.is_some());
    }

    #[test]
    fn columns_count_characters() {
        let source = Source::new("<a>\n日报x</a>".to_owned());
        let at = source.text.find('x').unwrap() as u32;
        assert_eq!(source.place(at), (2, 3));
        assert_eq!(source.line_text(2), "日报x</a>");
        assert_eq!(source.place(source.text.len() as u32), (2, 8));
    }
}
