//! Lists in pages: keyset cursors, never offsets, never totals.

use std::io;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most rows of one page.
pub const LIMIT_MAX: u32 = 500;
pub const LIMIT_DEFAULT: u32 = 50;
/// Bytes of the rows of one page: half of what a message of the link carries. A page can end before its limit.
pub const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Which page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRequest {
    /// 1 to `LIMIT_MAX`; more is refused, not cut.
    pub limit: u32,
    /// `next` of the page before; opaque.
    pub cursor: Option<String>,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { limit: LIMIT_DEFAULT, cursor: None }
    }
}

impl PageRequest {
    pub fn first(limit: u32) -> Self {
        Self { limit, cursor: None }
    }
}

/// A page of a list; `next` is null on the last one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

impl<T> Page<T> {
    pub fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}

/// Bytes that a value takes on the link.
pub fn encoded_bytes(value: &impl Serialize) -> usize {
    struct Count(usize);

    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut count = Count(0);
    // What cannot be encoded is refused where it is sent.
    let _ = rmp_serde::encode::write_named(&mut count, value);
    count.0
}

/// Keeps the first rows that fit into so many bytes, at least one. True when some had to go.
pub fn fit<T: Serialize>(items: &mut Vec<T>, bytes_max: usize) -> bool {
    let mut bytes = 0;
    let fits = items.iter().position(|item| {
        bytes += encoded_bytes(item);
        bytes > bytes_max
    });
    let Some(fits) = fits else { return false };
    let kept = fits.max(1);
    let is_cut = kept < items.len();
    items.truncate(kept);
    is_cut
}

/// Cuts a text to so many bytes, with a mark. True when it was longer.
pub fn cut_text(text: &mut String, bytes_max: usize) -> bool {
    if text.len() <= bytes_max {
        return false;
    }
    let mut end = bytes_max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push('…');
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_do_not_fit_go_but_never_the_first() {
        let mut rows = vec!["a".repeat(100), "b".repeat(100), "c".repeat(100)];
        assert_eq!(encoded_bytes(&rows[0]), 102);
        assert!(!fit(&mut rows, 306));
        assert!(fit(&mut rows, 305));
        assert_eq!(rows.len(), 2);
        assert!(fit(&mut rows, 1));
        assert!(!fit(&mut rows, 1));
        assert_eq!(rows.len(), 1);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let mut text = "日报".to_owned();
        assert!(!cut_text(&mut text, 6));
        assert!(cut_text(&mut text, 5));
        assert_eq!(text, "日…");
    }
}
