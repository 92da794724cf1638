//! Which values from outside may become part of a text that something executes.

use super::value::{Value, ValueType, Vouched};
use crate::model::schedule::parse_datetime;

/// Longest value that counts as plain, in bytes.
const PLAIN_BYTES_MAX: usize = 4096;

/// May this external value stand in code as it is? `text` is the value after its filters.
pub(super) fn is_spliceable(value: &Value, text: &str) -> bool {
    if value.vouched == Vouched::Verbatim || value.kind.is_safe() || is_plain(text) {
        return true;
    }
    // A filter may write characters that the choices and the pattern never allowed.
    let is_declared = value.kind == ValueType::Enum || value.vouched == Vouched::Pattern;
    is_declared && text == value.text
}

/// May this external value choose whose rights or what target something runs with?
pub(super) fn has_authority(value: &Value, text: &str) -> bool {
    (value.kind == ValueType::Enum || value.vouched == Vouched::Pattern) && text == value.text
}

/// Text that cannot leave quotes, end a statement, add a command or become an option.
pub(super) fn is_plain(text: &str) -> bool {
    if text.len() > PLAIN_BYTES_MAX || text.starts_with('-') || text.contains("--") {
        return false;
    }
    text.chars().all(|c| c.is_alphanumeric() || "_.:/@,+-".contains(c)) || is_written_datetime(text)
}

/// `yyyy-MM-dd HH:mm:ss`, exactly.
fn is_written_datetime(text: &str) -> bool {
    text.len() == 19 && text.is_ascii() && parse_datetime(text).is_ok_and(|at| at.to_string() == text)
}
