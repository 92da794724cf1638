//! Why a verb did not do what it was asked: a sentence, what to do next, an exit code.

use serde_json::{Value, json};

use crate::api::{ApiError, ErrorItem, ExitCode};

pub type Outcome = Result<ExitCode, Failure>;

#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    pub exit: ExitCode,
    pub message: String,
    pub hint: Option<String>,
    /// The stable word of a refusal by the cluster.
    pub code: Option<String>,
    pub items: Vec<ErrorItem>,
}

impl Failure {
    pub fn new(exit: ExitCode, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None, code: None, items: Vec::new() }
    }

    pub fn other(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Other, message)
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Usage, message)
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// For stderr.
    pub fn text(&self) -> String {
        let mut text = match &self.code {
            Some(code) => format!("error[{code}]: {}", self.message),
            None => format!("error: {}", self.message),
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
            text.push_str(&item.text);
            if let Some(hint) = &item.hint {
                text.push_str(&format!("\n    help: {hint}"));
            }
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("\n  help: {hint}"));
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
        Self::other(error.to_string())
    }
}

impl From<crate::config::HomeError> for Failure {
    fn from(error: crate::config::HomeError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<crate::config::ConfigError> for Failure {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Self {
        Self::usage(error.to_string())
    }
}
