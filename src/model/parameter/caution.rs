//! Where a shell makes more of a value than text: the filter `sh` outside double quotes or in single ones, a
//! value that a second shell or arithmetic reads again, a value that names the program.
//!
//! A reader of quotes, not of the shell's grammar: it can only warn.

use std::ops::Range;

use crate::model::fault::TextFault;
use crate::model::message::Message;
use crate::say;

/// Cautions about `${…|sh}` forms at these places of a shell text, in order.
pub(super) fn shell_cautions(text: &str, forms: &[Range<usize>]) -> Vec<TextFault> {
    let mut reader = Reader::new(text);
    forms
        .iter()
        .filter_map(|form| {
            reader.read_to(form.start);
            let caution = reader.caution(form);
            reader.at = reader.at.max(form.end);
            caution
        })
        .collect()
}

/// Parameters' variables (`$RF_PARAM_X`) that are read a second time: each with its name.
pub(super) fn variable_cautions(text: &str) -> Vec<(String, TextFault)> {
    let mut reader = Reader::new(text);
    let mut cautions = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find(VARIABLES).map(|at| from + at) {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = text[at..].find(|c| !is_name(c)).map_or(text.len(), |length| at + length);
        let start = ["${", "$"].iter().find(|sign| text[..at].ends_with(**sign)).map_or(at, |sign| at - sign.len());
        from = end;
        reader.read_to(start);
        let fault = reader.read_again(&(start..end), start < at);
        cautions.extend(fault.map(|fault| (text[at..end].to_owned(), fault)));
        reader.at = reader.at.max(end);
    }
    cautions
}

/// Which of the forms at these places is a command's first word.
pub(super) fn command_cautions(text: &str, forms: &[Range<usize>]) -> Vec<Option<TextFault>> {
    let mut reader = Reader::new(text);
    forms
        .iter()
        .map(|form| {
            reader.read_to(form.start);
            let raw = &text[form.clone()];
            let fault = reader.is_command(form.start).then(|| {
                TextFault::new(form.clone(), say!("what a caller gives for {} names the program that runs", raw))
                    .hint(say!("give the parameter choices or a pattern"))
            });
            reader.at = reader.at.max(form.end);
            fault
        })
        .collect()
}

const VARIABLES: &str = "RF_PARAM_";

/// What the reader is inside of; outermost code has no frame.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Frame {
    Single,
    Double,
    Backtick,
    /// `( … )` and `$( … )`.
    Paren,
    /// `(( … ))` and `$(( … ))`.
    Arithmetic,
    /// `${ … }` of the shell.
    Brace,
    Heredoc {
        end: String,
        is_quoted: bool,
    },
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    frames: Vec<Frame>,
    /// Begun on this line: their texts follow it.
    heredocs: Vec<(String, bool)>,
}

/// Operators of `[[ ]]` that evaluate both sides as arithmetic.
const NUMERIC: &[&str] = &["-eq", "-ne", "-lt", "-le", "-gt", "-ge"];

const HEREDOC_WORD_BYTES_MAX: usize = 256;

/// How far around a form its command is looked at.
const LINE_BYTES_MAX: usize = 1000;

/// Deepest nesting that is followed.
const FRAMES_MAX: usize = 64;

/// Words after which a command begins.
const BEFORE_COMMANDS: &[&str] = &["if", "then", "elif", "else", "while", "until", "do", "!", "time", "exec", "{"];

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, frames: Vec::new(), heredocs: Vec::new() }
    }
}

impl Reader<'_> {
    fn read_to(&mut self, to: usize) {
        while self.at < to && self.frames.len() < FRAMES_MAX {
            self.step();
        }
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn step(&mut self) {
        let Some(c) = self.rest().chars().next() else {
            self.at = self.text.len().max(self.at + 1);
            return;
        };
        match self.frames.last().cloned() {
            Some(Frame::Single) => {
                if c == '\'' {
                    self.frames.pop();
                }
                self.at += c.len_utf8();
            }
            Some(Frame::Heredoc { end, is_quoted }) => self.heredoc(c, &end, is_quoted),
            Some(Frame::Double) => match c {
                '"' => self.close(1),
                _ => self.expansion(c),
            },
            Some(Frame::Arithmetic) if self.rest().starts_with("))") => self.close(2),
            Some(Frame::Paren) if c == ')' => self.close(1),
            Some(Frame::Brace) if c == '}' => self.close(1),
            Some(Frame::Arithmetic | Frame::Paren | Frame::Brace | Frame::Backtick) | None => self.code(c),
        }
    }

    fn code(&mut self, c: char) {
        let is_word_start =
            self.text[..self.at].chars().next_back().is_none_or(|c| c.is_whitespace() || ";|&(".contains(c));
        match c {
            '\'' => self.open(Frame::Single, 1),
            '"' => self.open(Frame::Double, 1),
            '(' if self.rest().starts_with("((") => self.open(Frame::Arithmetic, 2),
            '(' => self.open(Frame::Paren, 1),
            '#' if is_word_start => self.at += self.rest().find('\n').unwrap_or(self.rest().len()),
            '<' if self.rest().starts_with("<<<") => self.at += 3,
            '<' if self.rest().starts_with("<<") => self.heredoc_word(),
            '\n' => {
                self.at += 1;
                for (end, is_quoted) in self.heredocs.drain(..).rev() {
                    self.frames.push(Frame::Heredoc { end, is_quoted });
                }
            }
            _ => self.expansion(c),
        }
    }

    /// What is special in double quotes too.
    fn expansion(&mut self, c: char) {
        match c {
            '\\' => self.at += 1 + self.rest().chars().nth(1).map_or(0, char::len_utf8),
            '`' if self.frames.contains(&Frame::Backtick) => {
                while self.frames.pop().is_some_and(|frame| frame != Frame::Backtick) {}
                self.at += 1;
            }
            '`' => self.open(Frame::Backtick, 1),
            '$' if self.rest().starts_with("$((") => self.open(Frame::Arithmetic, 3),
            '$' if self.rest().starts_with("$(") => self.open(Frame::Paren, 2),
            '$' if self.rest().starts_with("${") => self.open(Frame::Brace, 2),
            _ => self.at += c.len_utf8(),
        }
    }

    fn heredoc(&mut self, c: char, end: &str, is_quoted: bool) {
        let line = match self.text[..self.at].ends_with('\n') {
            true => self.rest().lines().next().unwrap_or_default(),
            false => "",
        };
        let line_length = line.len();
        if line.trim_start_matches('\t') == end {
            self.close(line_length);
        } else if is_quoted {
            self.at += c.len_utf8();
        } else {
            self.expansion(c);
        }
    }

    /// `<<EOF`, `<<-EOF`, `<<'EOF'`.
    fn heredoc_word(&mut self) {
        self.at += 2;
        if self.rest().starts_with('-') {
            self.at += 1;
        }
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
        let end = self.rest().find(|c: char| c.is_whitespace() || ";|&<>()".contains(c)).unwrap_or(self.rest().len());
        let word = self.rest()[..end].to_owned();
        self.at += end;
        let bare: String = word.chars().filter(|c| !"'\"\\".contains(*c)).collect();
        if !bare.is_empty() && bare.len() <= HEREDOC_WORD_BYTES_MAX {
            self.heredocs.push((bare.clone(), bare != word));
        }
    }

    fn open(&mut self, frame: Frame, length: usize) {
        self.frames.push(frame);
        self.at += length;
    }

    fn close(&mut self, length: usize) {
        self.frames.pop();
        self.at += length;
    }

    fn caution(&self, form: &Range<usize>) -> Option<TextFault> {
        let raw = &self.text[form.clone()];
        let fault = |message: Message, hint: Message| Some(TextFault::new(form.clone(), message).hint(hint));
        if let Some(what) = self.second_reader(form) {
            let message = say!("{} reads its text again, so that the value of {} becomes code", what, raw);
            return fault(message, say!("let the inner command read it from its environment"));
        }
        let place = self.frames.iter().rev().find(|frame| **frame != Frame::Brace);
        match place {
            Some(Frame::Single | Frame::Heredoc { is_quoted: true, .. }) => {
                fault(say!("{} stands where the shell replaces nothing", raw), say!("use double quotes"))
            }
            Some(Frame::Double | Frame::Heredoc { is_quoted: false, .. }) => None,
            Some(Frame::Arithmetic) => {
                let message = say!("arithmetic reads its text again, so that the value of {} becomes code", raw);
                fault(message, say!("give the parameter the type int"))
            }
            Some(Frame::Backtick | Frame::Paren | Frame::Brace) | None if self.is_assigned(form.start) => None,
            Some(Frame::Backtick | Frame::Paren | Frame::Brace) | None => {
                let message = say!("outside double quotes the shell splits the value of {} and expands * in it", raw);
                fault(message, say!("write \"{}\"", raw))
            }
        }
    }

    /// Is the variable's value read as more than text?
    fn read_again(&self, variable: &Range<usize>, is_expanded: bool) -> Option<TextFault> {
        if self.at > variable.start {
            return None;
        }
        let raw = &self.text[variable.clone()];
        let fault = |message: Message, hint: Message| Some(TextFault::new(variable.clone(), message).hint(hint));
        match self.frames.iter().rev().find(|frame| **frame != Frame::Brace) {
            // The outer shell replaces nothing there: the inner one reads it once.
            Some(Frame::Single | Frame::Heredoc { is_quoted: true, .. }) => None,
            Some(Frame::Arithmetic) => {
                let message = say!("arithmetic reads its text again, so that the value of {} becomes code", raw);
                fault(message, say!("give the parameter the type int"))
            }
            Some(Frame::Double | Frame::Backtick | Frame::Paren | Frame::Brace | Frame::Heredoc { .. }) | None => {
                let what = self.second_reader(variable).filter(|_| is_expanded)?;
                let message = say!("{} reads its text again, so that the value of {} becomes code", what, raw);
                fault(message, say!("let the inner command read it from its environment"))
            }
        }
    }

    /// Does a command begin here?
    fn is_command(&self, at: usize) -> bool {
        // A comment was passed over.
        if self.at > at {
            return false;
        }
        let quote = match self.frames.last() {
            None | Some(Frame::Paren | Frame::Backtick) => "",
            Some(Frame::Double) => "\"",
            Some(Frame::Single) => "'",
            Some(Frame::Arithmetic | Frame::Brace | Frame::Heredoc { .. }) => return false,
        };
        let from = self.text.ceil_char_boundary(at.saturating_sub(LINE_BYTES_MAX)).min(at);
        let Some(whole) = self.text[from..at].strip_suffix(quote) else { return false };
        let mut before = whole;
        loop {
            before = before.trim_end_matches([' ', '\t']);
            match before.strip_suffix("\\\n") {
                Some(line) => before = line,
                None => break,
            }
        }
        let word = before.rsplit(|c: char| c.is_whitespace() || ";|&(`".contains(c)).next().unwrap_or_default();
        let is_first = word.is_empty() && !before.ends_with("=(");
        is_first || BEFORE_COMMANDS.contains(&word) && before.len() < whole.len()
    }

    /// `name=` right before: no splitting there.
    fn is_assigned(&self, at: usize) -> bool {
        let Some(before) = self.text[..at].strip_suffix('=') else { return false };
        let word = before.rsplit(|c: char| c.is_whitespace() || ";|&(`".contains(c)).next().unwrap_or_default();
        word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }

    /// A word of this command that makes its text be read a second time.
    fn second_reader(&self, form: &Range<usize>) -> Option<Message> {
        let (from, to) = (form.start.saturating_sub(LINE_BYTES_MAX), form.end.saturating_add(LINE_BYTES_MAX));
        let before = &self.text[self.text.ceil_char_boundary(from).min(form.start)..form.start];
        let after = &self.text[form.end..self.text.floor_char_boundary(to).max(form.end)];
        let line = before.rsplit('\n').next().unwrap_or_default();
        let command = line.rsplit([';', '|', '&', '`']).next().unwrap_or_default();
        let words: Vec<&str> = command.split(|c: char| c.is_whitespace() || "(\"'".contains(c)).collect();
        let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(word));
        let is_option_c = |word: &&str| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c');
        let is_compared =
            after.lines().next().unwrap_or_default().split_whitespace().take(3).any(|word| NUMERIC.contains(&word));
        if has(&["eval"]) {
            Some(Message::verbatim("eval"))
        } else if has(&["ssh"]) {
            Some(Message::verbatim("ssh"))
        } else if has(&["sh", "bash", "dash", "ksh", "zsh", "su", "/bin/sh", "/bin/bash"])
            && words.iter().any(is_option_c)
        {
            Some(say!("a shell with -c"))
        } else if has(&["[[", "[", "test"]) && has(&["-v"]) || has(&["[["]) && (has(NUMERIC) || is_compared) {
            Some(say!("this test"))
        } else {
            None
        }
    }
}
