//! stdout carries data and nothing else, stderr carries talk. JSON is the object of the API.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex};

use clap::ValueEnum;
use serde::Serialize;

use crate::model::message::Message;

use super::failure::Failure;
use super::global::{Color, Global};
use super::language::Language;
use super::table::Table;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    /// A table with all columns
    Wide,
    Json,
    /// One object per line
    Jsonl,
    /// Names or numbers alone
    Name,
}

/// Where a verb prints.
#[derive(Debug, Clone)]
pub struct Console {
    pub global: Global,
    pub format: Format,
    pub language: Language,
    pub is_colored: bool,
    /// Columns of the terminal; `None` when it is not one, and then nothing is cut.
    pub width: Option<usize>,
    /// What would be shown goes here instead, for a caller who answers in another form.
    kept: Option<Kept>,
}

/// What was shown, of one thing after another, and the name of the last.
#[derive(Debug, Clone, Default)]
pub struct Kept(Arc<Mutex<Shown>>);

#[derive(Debug, Default)]
pub struct Shown {
    pub text: String,
    pub name: String,
}

impl Kept {
    pub fn take(&self) -> Shown {
        std::mem::take(&mut *self.0.lock().expect("no panic while locked"))
    }

    fn add(&self, name: &str, text: &str) {
        let mut shown = self.0.lock().expect("no panic while locked");
        if !shown.text.is_empty() {
            shown.text.push('\n');
        }
        shown.text.push_str(text.trim_end_matches('\n'));
        shown.name = name.to_owned();
    }
}

impl Console {
    pub fn new(global: Global) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let wants = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
        let is_colored = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if wants("NO_COLOR") => false,
            Color::Auto if wants("CLICOLOR_FORCE") => true,
            Color::Auto => is_terminal && std::env::var("TERM").is_ok_and(|term| term != "dumb"),
        };
        let format = if global.quiet && !matches!(global.output, Format::Json | Format::Jsonl) {
            Format::Name
        } else {
            global.output
        };
        let width = is_terminal.then(terminal_width);
        let language = global.lang.unwrap_or_else(Language::of_locale);
        Self { format, language, is_colored, width, global, kept: None }
    }

    pub fn printing(self, format: Format) -> Self {
        Self { format, ..self }
    }

    /// The same for people who read elsewhere: what is shown is kept and not printed.
    pub fn keeping(self) -> (Self, Kept) {
        let kept = Kept::default();
        let quiet = Self { format: Format::Table, is_colored: false, width: None, kept: Some(kept.clone()), ..self };
        (quiet, kept)
    }

    pub fn is_json(&self) -> bool {
        matches!(self.format, Format::Json | Format::Jsonl)
    }

    /// A message of ours. What came over HTTP is in the language that was asked for.
    pub fn say(&self, message: &Message) -> String {
        message.in_voice(self.language.voice())
    }

    /// Several in one line.
    pub fn say_all(&self, messages: &[Message]) -> String {
        messages.iter().map(|message| self.say(message)).collect::<Vec<_>>().join("; ")
    }

    /// The word in the user's language.
    pub fn word<'a>(&self, en: &'a str, zh: &'a str) -> &'a str {
        self.language.of(en, zh)
    }

    /// One thing: its JSON, its name, or the text made for people.
    pub fn show<T: Serialize>(&self, value: &T, name: &str, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if let Some(kept) = &self.kept {
            kept.add(name, &text());
            return Ok(());
        }
        match self.format {
            Format::Json => self.data(&pretty(value)?),
            Format::Jsonl => self.data(&line(value)?),
            Format::Name => self.data(name),
            Format::Table | Format::Wide => self.data(text().trim_end_matches('\n')),
        }
    }

    /// A list: `whole` is the API's page, `items` its rows.
    pub fn list<T: Serialize, P: Serialize>(
        &self,
        whole: &P,
        items: &[T],
        name: impl Fn(&T) -> String,
        table: impl FnOnce(&[T]) -> Table,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.data(&pretty(whole)?),
            Format::Jsonl => items.iter().try_for_each(|item| self.data(&line(item)?)),
            Format::Name => items.iter().try_for_each(|item| self.data(&name(item))),
            Format::Table | Format::Wide => self.data(table(items).render(self).trim_end_matches('\n')),
        }
    }

    /// A line, or lines, of data.
    pub fn data(&self, text: &str) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        self.raw(format!("{text}\n").as_bytes())
    }

    /// Bytes of data as they are.
    pub fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            // The reader has seen enough (`| head`): that is no failure.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
            other => other.map_err(Failure::from),
        }
    }

    /// Something for the person at the terminal. With `-q` nothing is said.
    pub fn talk(&self, said: &Message) {
        if !self.global.quiet {
            // There is nobody to tell that stderr is closed.
            let _ = writeln!(io::stderr().lock(), "{}", self.say(said));
        }
    }
}

fn pretty<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(|error| Failure::theirs(&error))
}

fn line<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::theirs(&error))
}

/// `COLUMNS`, else what the terminal says.
fn terminal_width() -> usize {
    let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let seen = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    asked.or_else(seen).filter(|columns| *columns > 0).unwrap_or(100)
}
