//! The words of a command line, and which of them is the script that is brought to the worker.

use std::ops::Range;

/// A word as a shell splits it; `${…}` is part of its word whatever it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// With its quotes.
    pub span: Range<usize>,
    /// Without them.
    pub text: String,
    /// Has it a "/" outside of `${…}`, and is it no target of a redirection?
    is_path: bool,
}

/// The words with a "/": one of them must be the script.
pub fn paths(command: &str) -> Vec<Word> {
    let mut found: Vec<Word> = Vec::new();
    let mut is_redirected = false;
    for word in words(command) {
        let (starts, ends) = (is_redirected, word.text.ends_with(['<', '>']));
        is_redirected = ends;
        if word.is_path && !starts && !word.text.contains(['<', '>']) {
            found.push(word);
        }
    }
    found
}

fn words(command: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote: Option<char> = None;
    let mut rest = command.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        if quote.is_none() && c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_with(|| Word { span: at..at, text: String::new(), is_path: false });
        let mut end = at + c.len_utf8();
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None | Some('"'), '\\') => {
                if let Some((at, c)) = rest.next() {
                    end = at + c.len_utf8();
                    word.text.push(c);
                }
            }
            (_, '$') if rest.peek().is_some_and(|(_, next)| *next == '{') => {
                word.text.push(c);
                for (at, c) in rest.by_ref() {
                    end = at + c.len_utf8();
                    word.text.push(c);
                    if c == '}' {
                        break;
                    }
                }
            }
            (_, c) => {
                word.is_path |= c == '/';
                word.text.push(c);
            }
        }
        word.span.end = end;
    }
    words.extend(word);
    words
}

/// A text as one word of a shell.
pub fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "._-+,:@/=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(command: &str) -> Vec<String> {
        paths(command).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn a_word_with_a_slash_is_a_path() {
        assert_eq!(texts("sh /opt/etl/load.sh \"${param:day}\""), ["/opt/etl/load.sh"]);
        assert_eq!(texts("./load.sh a b"), ["./load.sh"]);
        assert_eq!(texts("bash '/opt/my files/load.sh' x"), ["/opt/my files/load.sh"]);
        assert_eq!(texts("bash \"/opt/my\\\"files\"/load\\ it.sh"), ["/opt/my\"files/load it.sh"]);
        assert_eq!(texts("sh a/b.sh ${time.today|yyyy/MM/dd}"), ["a/b.sh"]);
        assert_eq!(texts("sh a/b.sh c/d.csv"), ["a/b.sh", "c/d.csv"]);
        assert_eq!(texts("sh a/b.sh > /tmp/out 2>/tmp/err < /dev/null"), ["a/b.sh"]);
        assert!(texts("load.sh ${param:x").is_empty());
    }

    #[test]
    fn the_span_covers_the_quotes() {
        let command = "bash '/opt/my files/load.sh' x";
        let [word] = &paths(command)[..] else { panic!() };
        assert_eq!(&command[word.span.clone()], "'/opt/my files/load.sh'");
        assert_eq!((quoted("./load.sh"), quoted("./a b'c")), ("./load.sh".to_owned(), "'./a b'\\''c'".to_owned()));
    }
}
