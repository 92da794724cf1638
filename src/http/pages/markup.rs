//! Small pieces of HTML that are drawn by code: escaped here, once, and trusted by the templates.

use std::fmt;

use crate::model::state::{AttemptWord, InstanceWord, NodeWord};

use super::words::Lang;

/// HTML that is already safe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Markup(pub String);

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Markup {}

/// Text for HTML content and for attribute values in double quotes.
pub fn esc(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// What a chip shows: class and symbol, letter, word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// One of the states of the style sheet.
    pub class: &'static str,
    pub letter: char,
    pub en: &'static str,
    pub zh: &'static str,
    /// Symbol, where it is not that of the class.
    pub symbol: Option<&'static str>,
}

impl Mark {
    pub fn word(&self, lang: Lang) -> &'static str {
        match lang {
            Lang::En => self.en,
            Lang::Zh => self.zh,
        }
    }

    pub fn symbol(&self) -> String {
        match self.symbol {
            Some(symbol) => symbol.to_owned(),
            None => format!("s-{}", self.class),
        }
    }

    /// A hatch over the fill, for the failing and the waiting kinds: they differ without colour.
    pub fn hatch(&self) -> Option<&'static str> {
        match self.class {
            "failed" | "timed_out" | "lost" | "upstream_failed" => Some("h-diag"),
            "queued" | "retrying" => Some("h-dot"),
            "killed" | "paused" => Some("h-vert"),
            _ => None,
        }
    }

    /// Colour, icon and letter alone, for tight places.
    pub fn chip(&self, lang: Lang) -> Markup {
        Markup(format!(
            "<span class=\"chip {}\" role=\"img\" aria-label=\"{}\"><svg class=\"ic\" aria-hidden=\"true\"><use \
             href=\"#{}\"/></svg>{}</span>",
            self.class,
            esc(self.word(lang)),
            self.symbol(),
            self.letter
        ))
    }

    /// Chip and word.
    pub fn badge(&self, lang: Lang) -> Markup {
        Markup(format!(
            "<span class=\"st ink-{}\"><span class=\"chip {}\" aria-hidden=\"true\"><svg class=\"ic\"><use \
             href=\"#{}\"/></svg>{}</span>{}</span>",
            self.class,
            self.class,
            self.symbol(),
            self.letter,
            esc(self.word(lang))
        ))
    }
}

pub fn node(state: NodeWord) -> Mark {
    let en = match state {
        NodeWord::TimedOut => "timed out",
        NodeWord::UpstreamFailed => "upstream failed",
        other => other.word(),
    };
    Mark { class: state.word(), letter: state.letter(), en, zh: state.word_zh(), symbol: None }
}

pub fn instance(state: InstanceWord) -> Mark {
    Mark { class: state.word(), letter: state.letter(), en: state.word(), zh: state.word_zh(), symbol: None }
}

pub fn attempt(state: AttemptWord) -> Mark {
    let en = if state == AttemptWord::TimedOut { "timed out" } else { state.word() };
    Mark { class: state.word(), letter: state.letter(), en, zh: state.word_zh(), symbol: None }
}

/// A definition that does not load.
pub const ERROR: Mark =
    Mark { class: "failed", letter: 'E', en: "definition error", zh: "定义错误", symbol: Some("i-warn") };

/// State of a process of the cluster: no letter.
pub fn process(state: &str, lang: Lang) -> Markup {
    let (class, zh) = match state {
        "up" => ("succeeded", "在线"),
        "suspect" => ("retrying", "可疑"),
        "draining" => ("paused", "排空中"),
        "dead" => ("killed", "已死"),
        _ => ("failed", "离线"),
    };
    let word = if lang == Lang::Zh { zh } else { state };
    Markup(format!(
        "<span class=\"st ink-{class}\"><span class=\"chip mark {class}\" aria-hidden=\"true\"><svg class=\"ic\"><use \
         href=\"#s-{class}\"/></svg></span>{}</span>",
        esc(word)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_cannot_leave_text_or_attribute() {
        assert_eq!(esc("<a b=\"c\" d='e'>&"), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
    }

    #[test]
    fn every_state_has_a_symbol_in_the_sprite() {
        let sprite = include_str!("templates/sprite.html");
        for state in NodeWord::ALL {
            assert!(sprite.contains(&format!("id=\"{}\"", node(*state).symbol())), "{state}");
        }
        assert!(sprite.contains("id=\"i-warn\""));
    }
}
