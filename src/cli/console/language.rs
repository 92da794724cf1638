//! Two languages for people; JSON is always English.

use clap::ValueEnum;

use crate::model::message::{Lang, Voice};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    En,
    Zh,
}

impl Language {
    /// What the locale says; English where it says nothing.
    pub fn of_locale() -> Self {
        match crate::config::locale() {
            Lang::En => Language::En,
            Lang::Zh => Language::Zh,
        }
    }

    /// The word in this language. Both stand side by side where they are used, so that neither is forgotten.
    pub fn of<'a>(self, en: &'a str, zh: &'a str) -> &'a str {
        match self {
            Language::En => en,
            Language::Zh => zh,
        }
    }

    pub fn voice(self) -> Voice {
        let lang = match self {
            Language::En => Lang::En,
            Language::Zh => Lang::Zh,
        };
        Voice { lang, ..Voice::default() }
    }

    pub fn tag(self) -> &'static str {
        match self {
            Language::En => "en",
            Language::Zh => "zh",
        }
    }
}
