//! What an error of a library comes down to.

use std::error::Error;

use crate::model::message::Message;

/// The innermost cause says what happened; the outer ones repeat the address, which may hold a secret.
pub fn innermost(error: &dyn Error) -> Message {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Message::verbatim(cause.to_string())
}
