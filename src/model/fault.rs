//! A fault inside one text of a definition: where it is, what is wrong, what to write instead.
//!
//! The readers of small languages (cron, shifts, date patterns, templates) all answer with it; `xml` moves
//! the span to its place in the file.

use std::fmt;
use std::ops::Range;

use super::message::Message;
use crate::say;

/// What is wrong at which bytes of the text that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFault {
    pub span: Range<usize>,
    pub message: Message,
    pub hint: Option<Message>,
    /// A word of the language that this build cannot do yet, rather than a mistake.
    pub is_not_built: bool,
}

impl TextFault {
    pub fn new(span: Range<usize>, message: Message) -> Self {
        Self { span, message, hint: None, is_not_built: false }
    }

    pub fn hint(mut self, hint: Message) -> Self {
        self.hint = Some(hint);
        self
    }

    /// A known word that this build cannot do yet.
    pub fn not_built(span: Range<usize>, what: Message) -> Self {
        Self { is_not_built: true, ..Self::new(span, say!("{} is not in this build", what)) }
    }

    /// The same fault of a text that begins `by` bytes later.
    pub fn moved(mut self, by: usize) -> Self {
        self.span = self.span.start + by..self.span.end + by;
        self
    }
}

impl fmt::Display for TextFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message.english())?;
        match &self.hint {
            Some(hint) => write!(f, " ({})", hint.english()),
            None => Ok(()),
        }
    }
}

impl std::error::Error for TextFault {}

/// The candidate that differs least from `word`, if it is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    if length > 128 {
        return None;
    }
    candidates
        .into_iter()
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= 3)
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(edits, _)| *edits <= (length / 3).clamp(1, 3))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_and_far_ones_are_not() {
        assert_eq!(nearest("reigon", ["day", "region"]), Some("region"));
        assert_eq!(nearest("colour", ["day", "region"]), None);
        assert_eq!(nearest("dya", ["day", "month"]), Some("day"));
        assert_eq!(nearest("", ["ab"]), None);
    }
}
