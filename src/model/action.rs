//! What an action node does: a small tree of templates, described by the `ActionSpec` of its type.
//!
//! The tree is generic so that a new action type needs no change here, in the engine or in the XML reader:
//! its file in `node/` brings a spec and reads the rendered tree.

use serde::{Deserialize, Serialize};

use super::attachment::NamedFile;
use super::parameter::Template;
use crate::model::message::Message;

/// The type element of an action as it was read, still with `${…}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionBody {
    /// The type's word: `script`, `exec`, ….
    pub word: String,
    pub tree: BodyElement<Template>,
    /// False: it was read by a build that could not run the type yet.
    pub is_built: bool,
}

/// An element of an action's body; `T` is `Template` in a definition and `Rendered` in a dispatch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyElement<T> {
    pub word: String,
    pub attributes: Vec<(String, T)>,
    pub children: Vec<BodyElement<T>>,
    /// The element's text, comments removed and sections joined; `None` when it may not hold text.
    pub text: Option<T>,
}

impl<T> BodyElement<T> {
    pub fn attribute(&self, name: &str) -> Option<&T> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    pub fn children<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a BodyElement<T>> {
        self.children.iter().filter(move |child| child.word == word)
    }

    pub fn child(&self, word: &str) -> Option<&BodyElement<T>> {
        self.children.iter().find(|child| child.word == word)
    }
}

/// Where a text ends up: decides how external values may be spliced into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextContext {
    /// Read by a POSIX shell.
    Shell,
    /// Read by a database.
    Sql,
    /// Shown to people or used as plain data.
    Plain,
    /// Becomes one element of an argument vector, or an environment value.
    Argument,
    Html,
    /// Chooses with whose rights or against what something runs: external values only from enum or pattern parameters.
    Authority,
    /// May hold no `${…}`.
    Constant,
}

/// The shape of an attribute's constant value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueShape {
    /// Blank only where the attribute may be left out too.
    Text,
    /// May always be blank.
    AnyText,
    Name,
    Bool,
    /// akkaflow's `is-enabled`: blank is true.
    BlankBool,
    Integer {
        min: i64,
    },
    /// One decimal place, both bounds included, in tenths.
    Tenths {
        min: u32,
        max: u32,
    },
    Percent {
        max: u32,
    },
    Duration,
    /// `-1` is none.
    OptionalDuration,
    Size,
    List,
    /// A list that may be empty.
    BlankList,
    Choice(&'static [&'static str]),
    /// A list of these words; the flag allows none.
    Choices {
        words: &'static [&'static str],
        may_be_blank: bool,
    },
    /// `yyyy-MM-dd HH:mm:ss`.
    DateTime,
    Zone,
    Shift,
    Cron,
    /// Seconds of a minute: a list or `*/n`.
    Seconds,
    /// Exit codes and ranges: `1,75-78`.
    ExitCodes,
    Regex,
}

#[derive(Debug, Clone, Copy)]
pub struct AttributeSpec {
    pub word: &'static str,
    pub shape: ValueShape,
    pub is_required: bool,
    pub default: Option<&'static str>,
    pub context: TextContext,
    pub doc: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextSpec {
    /// Blank text only.
    None,
    Optional(TextContext),
    Required(TextContext),
    /// Any markup below is kept and serialised as text (email's `<html>`).
    Markup(TextContext),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occurs {
    One,
    Optional,
    Many,
    OneOrMore,
}

#[derive(Debug, Clone, Copy)]
pub struct ElementSpec {
    pub word: &'static str,
    pub occurs: Occurs,
    pub attributes: &'static [AttributeSpec],
    pub children: &'static [ElementSpec],
    pub text: TextSpec,
    pub doc: &'static str,
}

/// The words of one action type. `element.occurs` is ignored.
#[derive(Debug, Clone, Copy)]
pub struct ActionSpec {
    pub element: ElementSpec,
    /// The files that it wants beside it when it runs.
    pub files: fn(&BodyElement<Template>) -> Vec<NamedFile>,
    /// Rules that a table cannot say ("type SQL needs db-link"): one message per fault, with the path of
    /// the child it is about (empty = the type element) and a hint.
    pub check: fn(&BodyElement<Template>) -> Vec<BodyFault>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyFault {
    /// Indices of children from the type element down to the faulty one.
    pub path: Vec<usize>,
    pub attribute: Option<String>,
    pub message: Message,
    pub hint: Option<Message>,
}
