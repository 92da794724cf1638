//! Words that earlier versions of akkaflow read and its last one ignores: what to write instead.

use crate::model::message::Message;
use crate::say;

/// Element, word in it, and what it is now.
const RENAMED: &[(&str, &str, &str)] = &[
    ("data-monitor", "min-threshold", "<min>"),
    ("data-monitor", "max-threshold", "<max>"),
    ("file", "num-threshold", "min-num"),
    ("file", "size-threshold", "min-each-size"),
    // As its documentation had it.
    ("file", "size-thresold", "min-each-size"),
    ("target", "pre-sql", "<pre>"),
    ("target", "after-sql", "<after>"),
];

/// They said whether and under which names a data-monitor keeps what it finds.
const OF_HISTORY: &[&str] = &["category", "source-name", "name", "time-mark", "is-saved"];

/// `written`: the word as it stands in the file, with `<>` around an element's.
pub(super) fn hint(element: &str, word: &str, written: &str) -> Option<Message> {
    if element == "data-monitor" && OF_HISTORY.contains(&word) {
        return Some(say!("leave it out: what a data-monitor finds is always kept, by workflow and node"));
    }
    let (_, _, now) = RENAMED.iter().find(|(of, old, _)| *of == element && *old == word)?;
    Some(say!("write {} instead of {}", *now, written))
}
