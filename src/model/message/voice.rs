//! Who is spoken to: a language and a time zone.

use std::cell::Cell;

use crate::model::schedule::Zone;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lang {
    #[default]
    En,
    Zh,
}

impl Lang {
    pub fn word(self) -> &'static str {
        match self {
            Lang::En => "en",
            Lang::Zh => "zh",
        }
    }

    /// The text in this language. Both stand side by side where they are used, so that neither is forgotten.
    pub fn of<'a>(self, en: &'a str, zh: &'a str) -> &'a str {
        match self {
            Lang::En => en,
            Lang::Zh => zh,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voice {
    pub lang: Lang,
    pub zone: Zone,
}

/// English and UTC: for programs.
impl Default for Voice {
    fn default() -> Self {
        Self { lang: Lang::En, zone: Zone::UTC }
    }
}

thread_local! {
    static SPOKEN: Cell<Option<Voice>> = const { Cell::new(None) };
}

/// Messages that `work` turns into JSON are said in this voice.
pub fn speaking<T>(voice: Voice, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<Voice>);

    impl Drop for Restore {
        fn drop(&mut self) {
            SPOKEN.set(self.0);
        }
    }

    let _restore = Restore(SPOKEN.replace(Some(voice)));
    work()
}

impl Voice {
    /// The voice of `speaking`, else English and UTC.
    pub(super) fn spoken() -> Self {
        SPOKEN.get().unwrap_or_default()
    }
}
