//! A text that must not be seen: no `Display`, a masked `Debug`, no way into a file or an answer.

use std::fmt;

/// What is shown instead.
const MASK: &str = "***";
/// A shorter secret is not looked for in texts: it would blank harmless words, and protects nothing.
const MASKED_CHARS_MIN: usize = 4;

#[derive(Clone, Default)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for the one who is to be convinced with it, nobody else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text of somebody else (a server, a driver) without the secret, which may stand there as it is or
    /// encoded for a URL or a connection text of ODBC.
    pub fn mask(&self, text: &str) -> String {
        if self.0.chars().count() < MASKED_CHARS_MIN {
            return text.to_owned();
        }
        let text = text.replace(&self.0, MASK).replace(&encoded(&self.0), MASK);
        match self.0.contains('}') {
            true => text.replace(&self.0.replace('}', "}}"), MASK),
            false => text,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret()" } else { "Secret(***)" })
    }
}

fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_to_nobody() {
        let secret = Secret::new("pa:ss/word");
        assert_eq!(format!("{secret:?}"), "Secret(***)");
        let text = secret.mask("mysql://root:pa%3Ass%2Fword@h and pa:ss/word");
        assert_eq!(text, "mysql://root:***@h and ***");
        assert_eq!(Secret::new("p;w}x").mask("PWD={p;w}}x};"), "PWD={***};");
        assert_eq!(Secret::default().mask("as it is"), "as it is");
    }
}
