//! Bytes of a task as text.

use std::borrow::Cow;

/// Longest line shown; the file keeps the whole.
const SHOWN_MAX: usize = 16 * 1024;

/// UTF-8 where it is that, else GB18030 where it is that, else UTF-8 with marks for what is neither. Each line
/// is judged alone: one task may run programs of both kinds.
pub fn decode(bytes: &[u8]) -> String {
    let (bytes, cut) =
        if bytes.len() > SHOWN_MAX { (&bytes[..SHOWN_MAX], bytes.len() - SHOWN_MAX) } else { (bytes, 0) };
    let mut text = match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        // Cut inside a character by our own limit.
        Err(error) if cut > 0 && error.error_len().is_none() => String::from_utf8_lossy(&bytes[..error.valid_up_to()]),
        Err(_) => match encoding_rs::GB18030.decode_without_bom_handling_and_without_replacement(bytes) {
            Some(text) => text,
            None => String::from_utf8_lossy(bytes),
        },
    }
    .into_owned();
    if text.ends_with('\r') {
        text.pop();
    }
    if cut > 0 {
        text.push_str(&format!("… ({cut} more bytes)"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn each_line_is_read_in_its_own_encoding() {
        assert_eq!(decode("中文".as_bytes()), "中文");
        assert_eq!(decode(&[0xd6, 0xd0, 0xce, 0xc4]), "中文");
        assert_eq!(decode(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(decode(b"windows\r"), "windows");
        assert!(decode("中".repeat(10_000).as_bytes()).ends_with("more bytes)"));
    }
}
