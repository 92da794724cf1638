//! Why a verb did not do what it was asked: a sentence, what to do next, an exit code.

use serde_json::{Value, json};

use crate::api::{ApiError, ErrorItem, ExitCode};
use crate::model::message::Message;

use super::language::Language;

pub type Outcome = Result<ExitCode, Failure>;

#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    pub exit: ExitCode,
    pub message: Message,
    pub hint: Option<Message>,
    /// The stable word of a refusal by the cluster.
    pub code: Option<String>,
    pub items: Vec<ErrorItem>,
}

impl Failure {
    pub fn new(exit: ExitCode, message: Message) -> Self {
        Self { exit, message, hint: None, code: None, items: Vec::new() }
    }

    pub fn other(message: Message) -> Self {
        Self::new(ExitCode::Other, message)
    }

    pub fn usage(message: Message) -> Self {
        Self::new(ExitCode::Usage, message)
    }

    /// In the words of the system or of a part that speaks to programs.
    pub fn theirs(error: impl ToString) -> Self {
        Self::other(Message::verbatim(error.to_string()))
    }

    pub fn hint(mut self, hint: Message) -> Self {
        self.hint = Some(hint);
        self
    }

    /// For stderr.
    pub fn text(&self, language: Language) -> String {
        let (error, help) = (language.of("error", "错误"), language.of("help", "建议"));
        let say = |message: &Message| message.in_voice(language.voice());
        let mut text = match &self.code {
            Some(code) => format!("{error}[{code}]: {}", say(&self.message)),
            None => format!("{error}: {}", say(&self.message)),
        };
        for item in &self.items {
            text.push_str("\n  ");
            if let Some(file) = &item.file {
                text.push_str(file);
                for number in [item.line, item.column].into_iter().flatten() {
                    text.push_str(&format!(":{number}"));
                }
                text.push_str(": ");
            }
            if let Some(code) = &item.code {
                text.push_str(&format!("[{code}] "));
            }
            text.push_str(&say(&item.text));
            if let Some(hint) = &item.hint {
                text.push_str(&format!("\n    {help}: {}", say(hint)));
            }
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("\n  {help}: {}", say(hint)));
        }
        text
    }

    /// For stdout with `-o json`, so that a script always has something to read.
    pub fn json(&self) -> Value {
        json!({"error": {
            "exit": self.exit.code(),
            "code": self.code,
            "detail": self.message,
            "hint": self.hint,
            "errors": self.items,
        }})
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self {
            exit: error.exit(),
            code: Some(error.code.word().to_owned()),
            message: error.detail,
            hint: error.hint,
            items: error.errors,
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::theirs(error)
    }
}

impl From<crate::config::HomeError> for Failure {
    fn from(error: crate::config::HomeError) -> Self {
        Self::usage(error.said())
    }
}

impl From<crate::config::ConfigError> for Failure {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::usage(error.said())
    }
}

impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Self {
        Self::usage(Message::verbatim(error.to_string()))
    }
}
