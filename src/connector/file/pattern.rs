//! Names of files as people write them: `*` stands for any characters and `?` for one, all others for themselves.

use regex::Regex;

/// Ends the name of a file that somebody of ours is still writing.
pub(super) const PART: &str = ".part";

#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    matches: Regex,
}

impl Pattern {
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        let escaped: String = text
            .chars()
            .map(|c| match c {
                '*' => ".*".to_owned(),
                '?' => ".".to_owned(),
                c => regex::escape(&c.to_string()),
            })
            .collect();
        Ok(Self { text: text.to_owned(), matches: Regex::new(&format!("(?s)^{escaped}$"))? })
    }

    /// A file that a transfer is still writing is no file yet, unless it is asked for.
    pub fn is_match(&self, name: &str) -> bool {
        let is_part = name.starts_with('.') && name.ends_with(PART);
        self.matches.is_match(name) && (!is_part || self.text.starts_with('.'))
    }

    /// What every name begins with.
    pub fn prefix(&self) -> &str {
        &self.text[..self.text.find(['*', '?']).unwrap_or(self.text.len())]
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_many_a_question_mark_one_and_the_rest_itself() {
        let is_match = |pattern: &str, name: &str| Pattern::new(pattern).unwrap().is_match(name);
        assert!(is_match("*.csv", "a.b.csv") && is_match("a?c", "a数c") && is_match("*", ".hidden"));
        assert!(!is_match("*.csv", "acsv") && !is_match("a?c", "ac") && !is_match("(a|b)", "a"));
        assert_eq!(Pattern::new("orders_?.csv").unwrap().prefix(), "orders_");
    }

    #[test]
    fn what_is_being_written_does_not_count() {
        let is_match = |pattern: &str| Pattern::new(pattern).unwrap().is_match(".a.csv.1f.part");
        assert!(!is_match("*") && is_match(".*.part"));
        assert!(Pattern::new("*").unwrap().is_match("a.part"));
    }
}
