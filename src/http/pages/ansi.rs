//! Terminal colours of a log line as spans; all other control sequences are left out.

use super::markup::{Markup, esc};

/// A line is cut here on pages; the download has all of it.
const CHARACTERS_MAX: usize = 8_192;

/// `\x1b[31m` and its like become classes of the style sheet. Of `\r` progress lines the last state is kept.
pub fn to_html(line: &str, mark: Option<&str>) -> Markup {
    let line = line.rsplit('\r').find(|part| !part.is_empty()).unwrap_or(line);
    let mut html = String::with_capacity(line.len() + 16);
    let mut style = Style::default();
    let mut rest = line;
    let mut shown = 0;
    while !rest.is_empty() && shown < CHARACTERS_MAX {
        let plain_end = rest.find('\x1b').unwrap_or(rest.len());
        if plain_end > 0 {
            let plain: String = rest[..plain_end]
                .chars()
                .filter(|c| !c.is_control() || *c == '\t')
                .take(CHARACTERS_MAX - shown)
                .collect();
            shown += plain.chars().count();
            push(&mut html, &plain, &style, mark);
            rest = &rest[plain_end..];
            continue;
        }
        let (sequence, after) = split_sequence(rest);
        if let Some(codes) = sequence.strip_prefix("\x1b[").and_then(|s| s.strip_suffix('m')) {
            style.apply(codes);
        }
        rest = after;
    }
    if !rest.is_empty() {
        html.push('…');
    }
    Markup(html)
}

/// One escape sequence at the beginning of `text`, and what follows.
fn split_sequence(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let end = match bytes.get(1) {
        Some(b'[') => bytes[2..].iter().position(|b| (0x40..=0x7e).contains(b)).map(|at| at + 3),
        Some(b']') => bytes[2..].iter().position(|b| *b == 0x07).map(|at| at + 3),
        Some(byte) if byte.is_ascii() => Some(2),
        Some(_) | None => Some(1),
    };
    text.split_at(end.unwrap_or(text.len()))
}

#[derive(Default)]
struct Style {
    colour: Option<&'static str>,
    is_bold: bool,
}

impl Style {
    fn apply(&mut self, codes: &str) {
        let mut codes = codes.split([';', ':']).map(|code| if code.is_empty() { "0" } else { code });
        while let Some(code) = codes.next() {
            match code {
                "0" => *self = Self::default(),
                "1" => self.is_bold = true,
                "22" => self.is_bold = false,
                "2" | "30" | "37" | "90" => self.colour = Some("a-d"),
                "31" | "91" => self.colour = Some("a-r"),
                "32" | "92" => self.colour = Some("a-g"),
                "33" | "93" => self.colour = Some("a-y"),
                "34" | "94" => self.colour = Some("a-b"),
                "35" | "95" => self.colour = Some("a-m"),
                "36" | "96" => self.colour = Some("a-c"),
                "39" => self.colour = None,
                // 256 colours and true colours: their parameters are not codes.
                "38" | "48" => {
                    let parameters = if codes.next() == Some("5") { 1 } else { 3 };
                    codes.by_ref().take(parameters).for_each(drop);
                }
                _ => {}
            }
        }
    }
}

fn push(html: &mut String, text: &str, style: &Style, mark: Option<&str>) {
    let classes = match (style.colour, style.is_bold) {
        (Some(colour), true) => format!("{colour} a-1"),
        (Some(colour), false) => colour.to_owned(),
        (None, true) => "a-1".to_owned(),
        (None, false) => String::new(),
    };
    let text = match mark.filter(|mark| !mark.is_empty()) {
        Some(mark) => {
            let pieces: Vec<String> = text.split(mark).map(esc).collect();
            pieces.join(&format!("<mark>{}</mark>", esc(mark)))
        }
        None => esc(text),
    };
    if classes.is_empty() {
        html.push_str(&text);
    } else {
        html.push_str(&format!("<span class=\"{classes}\">{text}</span>"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_classes_and_text_is_escaped() {
        let html = to_html("\x1b[1;31mERROR\x1b[0m <b> \x1b[32m完成\x1b[39m.", None).0;
        assert_eq!(html, "<span class=\"a-r a-1\">ERROR</span> &lt;b&gt; <span class=\"a-g\">完成</span>.");
    }

    #[test]
    fn other_sequences_vanish_and_broken_ones_do_no_harm() {
        assert_eq!(to_html("a\x1b[2Jb\x1b]0;title\x07c\x1b(Bd", None).0, "abcBd");
        assert_eq!(to_html("a\x1b[", None).0, "a");
        assert_eq!(to_html("\x1b", None).0, "");
        assert_eq!(to_html("a\x1b日", None).0, "a日");
        assert_eq!(to_html("x\x1b[38;5;196my\x1b[48;2;1;2;3mz", None).0, "xyz");
    }

    #[test]
    fn a_progress_line_shows_its_last_state() {
        assert_eq!(to_html("10%\r50%\r100%\r", None).0, "100%");
    }

    #[test]
    fn hits_are_marked_inside_escaped_text() {
        assert_eq!(to_html("a<b a<", Some("a<")).0, "<mark>a&lt;</mark>b <mark>a&lt;</mark>");
    }
}
