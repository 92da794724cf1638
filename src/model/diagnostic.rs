//! A fault of a definition as people see it: code, place, the source line, reason and hint; and its text form.
//!
//! Self-contained: it travels through the log and over HTTP, and is shown where the file is not at hand. The
//! reader in `xml` makes them, everybody shows them. Start reading at `Diagnostic`.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use unicode_width::UnicodeWidthChar;

use super::message::{Lang, Message, Voice};
use super::secret_name::masked_line;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// `RF-X0104`; each has a page in docs/errors.
    pub code: String,
    pub severity: Severity,
    /// The file's path as its reader named it.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// Characters that are marked, at least 1.
    pub length: u32,
    pub message: Message,
    /// Stands beside the caret.
    pub label: Option<Message>,
    pub hint: Option<Message>,
    pub notes: Vec<Message>,
    /// The line before, where it helps, and the faulty line.
    pub excerpt: Vec<ExcerptLine>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Error,
    Warning,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcerptLine {
    pub number: u32,
    /// At most `EXCERPT_CHARS` characters, tabs as single blanks; what stands behind the name of a secret is starred.
    pub text: String,
    /// Characters cut off before `text`.
    pub cut: u32,
}

/// Most characters of a source line that an excerpt keeps.
pub const EXCERPT_CHARS: usize = 160;
/// So many characters before them are looked at for the name of a secret that begins there.
const MASK_CHARS: usize = 500;

impl Severity {
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }

    pub fn word_in(self, lang: Lang) -> &'static str {
        match self {
            Severity::Error => lang.of("error", "错误"),
            Severity::Warning => lang.of("warning", "警告"),
        }
    }
}

impl ExcerptLine {
    /// Keeps a window of `line` around the character at `column` (from 1).
    pub fn around(number: u32, line: &str, column: u32) -> Self {
        let before = EXCERPT_CHARS / 2;
        let length = line.chars().count();
        let cut = if length <= EXCERPT_CHARS { 0 } else { (column as usize).saturating_sub(before) };
        let from = cut.saturating_sub(MASK_CHARS);
        let piece: String = line.chars().skip(from).take(cut - from + EXCERPT_CHARS).collect();
        let text = masked_line(&piece)
            .chars()
            .skip(cut - from)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect::<String>()
            .trim_end()
            .to_owned();
        Self { number, text, cut: cut as u32 }
    }
}

pub fn n_errors(diagnostics: &[Diagnostic]) -> usize {
    diagnostics.iter().filter(|d| d.severity == Severity::Error).count()
}

/// All of them as text for a terminal, each followed by a blank line, without a summary line.
pub fn render(diagnostics: &[Diagnostic], voice: Voice) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        diagnostic.render_to(&mut text, voice);
        text.push('\n');
    }
    text
}

impl Diagnostic {
    /// `file:line:column: error[RF-X0104]: message`.
    pub fn one_line(&self) -> String {
        let severity = self.severity.word();
        format!("{}:{}:{}: {severity}[{}]: {}", self.file, self.line, self.column, self.code, self.message.english())
    }

    fn render_to(&self, out: &mut String, voice: Voice) {
        let gutter = self.excerpt.iter().map(|line| line.number.to_string().len()).max().unwrap_or(1);
        let lang = voice.lang;
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}[{}]: {}", self.severity.word_in(lang), self.code, self.message.in_voice(voice));
        let _ = writeln!(out, "{:gutter$}--> {}:{}:{}", "", self.file, self.line, self.column);
        for line in &self.excerpt {
            let cut = if line.cut > 0 { "…" } else { "" };
            let _ = writeln!(out, " {:>gutter$} | {cut}{}", line.number, line.text);
            if line.number == self.line {
                let _ = writeln!(out, " {:gutter$} | {}", "", self.caret(line, voice));
            }
        }
        let hints = self.hint.iter().map(|text| (lang.of("help", "建议"), text));
        for (word, text) in hints.chain(self.notes.iter().map(|text| (lang.of("note", "说明"), text))) {
            let _ = writeln!(out, " {:gutter$} = {word}: {}", "", text.in_voice(voice));
        }
    }

    /// Blanks and carets that stand under the marked characters, whatever their width.
    fn caret(&self, line: &ExcerptLine, voice: Voice) -> String {
        let width = |c: char| c.width().unwrap_or(1);
        let from = (self.column.saturating_sub(1) as usize).saturating_sub(line.cut as usize);
        let indent = line.text.chars().take(from).map(width).sum::<usize>() + usize::from(line.cut > 0);
        let marked = line.text.chars().skip(from).take(self.length as usize).map(width).sum::<usize>();
        let mut caret = format!("{}{}", " ".repeat(indent), "^".repeat(marked.max(1)));
        if let Some(label) = &self.label {
            caret.push(' ');
            caret.push_str(&label.in_voice(voice));
        }
        caret
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::say;

    fn diagnostic() -> Diagnostic {
        Diagnostic {
            code: "RF-X0104".to_owned(),
            severity: Severity::Error,
            file: "bad.xml".to_owned(),
            line: 5,
            column: 7,
            length: 2,
            message: say!("the file is empty"),
            label: Some(Message::verbatim("here")),
            hint: Some(say!("use double quotes")),
            notes: Vec::new(),
            excerpt: vec![ExcerptLine::around(5, "  日报日报ab", 7)],
        }
    }

    #[test]
    fn the_caret_stands_under_the_marked_characters_behind_wide_ones() {
        let text = render(&[diagnostic()], Voice::default());
        assert_eq!(
            text,
            "error[RF-X0104]: the file is empty\n --> bad.xml:5:7\n 5 |   日报日报ab\n   |           ^^ here\n   = help: use double quotes\n\n"
        );
        let text = render(&[diagnostic()], Voice { lang: Lang::Zh, ..Voice::default() });
        assert!(text.starts_with("错误[RF-X0104]: 文件为空\n"), "{text}");
        assert!(text.contains(" = 建议: 请使用双引号\n"), "{text}");
    }

    #[test]
    fn a_long_line_is_cut_to_a_window_around_the_fault() {
        let mut d = diagnostic();
        d.column = 5001;
        let line = format!("{}XY{}", "a".repeat(5000), "b".repeat(5000));
        d.excerpt = vec![ExcerptLine::around(5, &line, d.column)];
        let text = render(&[d], Voice::default());
        let lines: Vec<&str> = text.lines().collect();
        let at = lines[3].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[2].chars().skip(at).take(2).collect::<String>(), "XY");
        assert!(lines[2].chars().count() < 200);
    }
}
