//! The closed set of `${…}` forms, and how a body is read as one of them.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::filter::{Filter, parse_filter};
use super::template::{ParseOptions, Severity, TemplateFault};
use crate::model::action::TextContext;
use crate::model::definition::Compat;
use crate::model::fault::{TextFault, nearest};
use crate::model::message::Message;
use crate::model::schedule::{DatePattern, Shift};
use crate::say;

/// A form in a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormPiece {
    /// As written, with `${` and `}`.
    pub raw: String,
    pub form: Form,
    pub filters: Vec<Filter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// `${param:NAME}`
    Param(String),
    /// `${time.WORD|FORMAT|SHIFT}` and `${biz.date|FORMAT|SHIFT}`
    Time { word: TimeWord, format: DatePattern, shift: Option<Shift> },
    /// `${rf.WORD}`
    Id(IdWord),
    /// `${node:NAME.KEY}`
    Node { name: String, key: String },
    /// `${dep:WORKFLOW.KEY}`
    Dep { workflow: String, key: String },
}

macro_rules! form_words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vmeta])* $variant),* }

        impl $name {
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }

            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some($name::$variant),)* _ => None }
            }
        }
    };
}

form_words!(
    /// Moments that a form can name.
    TimeWord {
        Today = "time.today",
        Yestoday = "time.yestoday",
        CurMonth = "time.cur_month",
        LastMonth = "time.last_month",
        Nominal = "time.nominal",
        Due = "time.due",
        Actual = "time.actual",
        /// The fire before this one, by the trigger's rule.
        Prev = "time.prev",
        Next = "time.next",
        BusinessDate = "biz.date",
    }
);
form_words!(
    IdWord { Workflow = "rf.workflow", Instance = "rf.instance", Trigger = "rf.trigger", Version = "rf.version" }
);

impl TimeWord {
    fn default_format(self) -> &'static str {
        match self {
            TimeWord::Today | TimeWord::Yestoday | TimeWord::BusinessDate => "yyyy-MM-dd",
            TimeWord::CurMonth | TimeWord::LastMonth => "yyyy-MM",
            TimeWord::Nominal | TimeWord::Due | TimeWord::Actual | TimeWord::Prev | TimeWord::Next => {
                "yyyy-MM-dd HH:mm:ss"
            }
        }
    }
}

/// What a body is.
pub(super) enum Reading {
    /// None of ours: stays as it is.
    Foreign,
    /// One of ours that cannot be used: stays as it is, with these faults.
    Faulty,
    Form(Form, Vec<Filter>),
}

/// The text between `${` and `}`, at `offset` of the template.
pub(super) struct Body<'a> {
    pub text: &'a str,
    pub offset: usize,
    pub options: &'a ParseOptions<'a>,
    pub faults: &'a mut Vec<TemplateFault>,
}

/// Prefixes that make a body ours.
const PREFIXES: &[&str] = &["param:", "time.", "biz.", "rf.", "event:", "dep:", "node:", "each:", "secret:"];

pub(super) fn is_ours(body: &str) -> bool {
    let body = body.trim_start();
    prefix_of(body).is_some_and(|prefix| !is_shells(prefix, &body[prefix.len()..]))
}

fn prefix_of(body: &str) -> Option<&'static str> {
    PREFIXES.iter().copied().find(|prefix| body.starts_with(prefix))
}

/// `${node:-x}` and `${each:0:3}`: a variable of the shell that has one of our names. akkaflow's own prefix is
/// `param:` alone, and it took all of those.
fn is_shells(prefix: &str, rest: &str) -> bool {
    let rest = rest.trim_start();
    let is_ours_alone = matches!(prefix, "event:" | "dep:" | "node:" | "each:" | "secret:");
    let is_slice = |text: &str| text.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | ':' | '-'));
    is_ours_alone && !rest.is_empty() && (rest.starts_with(['-', '=', '?', '+']) || is_slice(rest))
}

impl Body<'_> {
    pub fn read(mut self) -> Reading {
        let pieces = self.pieces();
        let head = &self.text[pieces[0].clone()];
        let prefix = prefix_of(head).filter(|prefix| !is_shells(prefix, &head[prefix.len()..]));
        let reading = match prefix {
            Some("param:") => self.param(&pieces),
            Some("time." | "biz.") => self.time(&pieces),
            Some("rf.") => self.id(&pieces),
            Some("node:") => self.node(&pieces),
            Some("dep:") => self.dep(&pieces),
            Some(prefix) => {
                self.not_built(pieces[0].clone(), prefix);
                None
            }
            None => return self.akkaflow_param(&pieces),
        };
        let Some(form) = reading else { return Reading::Faulty };
        if self.options.context == TextContext::Constant {
            self.error(TextFault::new(0..self.text.len(), say!("${{}} cannot stand here", self.text)));
            return Reading::Faulty;
        }
        let filters = if matches!(form, Form::Time { .. }) { Some(Vec::new()) } else { self.filters(&pieces[1..]) };
        filters.map_or(Reading::Faulty, |filters| Reading::Form(form, filters))
    }

    fn param(&mut self, pieces: &[Range<usize>]) -> Option<Form> {
        let head = pieces[0].clone();
        let name_from = head.start + "param:".len();
        let whole = &self.text[name_from..head.end];
        let name = whole.split(':').next().unwrap_or_default().trim();
        if name.is_empty() {
            self.error(TextFault::new(head, say!("a parameter form has no name")).hint(say!("write ${param:NAME}")));
            return None;
        }
        if name.len() < whole.trim().len() {
            let hint = say!("write ${param:{}}", name);
            self.lax(TextFault::new(head, say!("what follows {} is ignored", name)).hint(hint))?;
        }
        Some(Form::Param(name.to_owned()))
    }

    /// akkaflow takes any body that contains `param:`, and the second piece between colons as the name.
    /// Shell's own `${myparam:-1}` and `${s:0:3}` never worked there, and stay.
    fn akkaflow_param(&mut self, pieces: &[Range<usize>]) -> Reading {
        let name = self.text.split(':').nth(1).unwrap_or_default().trim();
        let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_') && !name.contains(['|', '$', '"']);
        if self.options.is_strict || !self.text.contains("param:") || !is_name || name == "param" {
            return Reading::Foreign;
        }
        let form = Form::Param(name.to_owned());
        let hint = say!("write ${param:{}}", name);
        self.warn(TextFault::new(pieces[0].clone(), say!("read as the parameter {}", name)).hint(hint));
        if self.options.context == TextContext::Constant {
            return Reading::Foreign;
        }
        Reading::Form(form, Vec::new())
    }

    fn time(&mut self, pieces: &[Range<usize>]) -> Option<Form> {
        let head = &self.text[pieces[0].clone()];
        let Some(word) = TimeWord::from_word(head) else {
            let hint = match nearest(head, TimeWord::WORDS.iter().copied()) {
                Some(near) => say!("did you mean ${{}}?", near),
                None => say!("known are {}", TimeWord::WORDS.join(" ")),
            };
            self.error(TextFault::new(pieces[0].clone(), say!("{} is not a time", head)).hint(hint));
            return None;
        };
        if let Some(fourth) = pieces.get(3) {
            let span = fourth.start..self.text.len();
            self.error(TextFault::new(span, say!("a time form has at most a format and a shift")));
            return None;
        }
        let format = match pieces.get(1).filter(|piece| !piece.is_empty()) {
            Some(piece) => self.format(piece.clone(), pieces.len() == 2)?,
            None => self.format_of(word.default_format(), pieces[0].clone())?,
        };
        let shift = match pieces.get(2).filter(|piece| !piece.is_empty()) {
            Some(piece) => Some(self.shift(piece.clone())?),
            None => None,
        };
        Some(Form::Time { word, format, shift })
    }

    fn format(&mut self, piece: Range<usize>, is_last: bool) -> Option<DatePattern> {
        let text = &self.text[piece.clone()];
        if is_last && text.starts_with(['+', '-']) && Shift::parse(text).is_ok() {
            let hint = say!("the shift is the third piece: ||{}", text);
            self.lax(TextFault::new(piece.clone(), say!("\"{}\" stands where the format belongs", text)).hint(hint))?;
        }
        self.format_of(text, piece)
    }

    fn format_of(&mut self, text: &str, piece: Range<usize>) -> Option<DatePattern> {
        DatePattern::parse(text).map_err(|fault| self.error(fault.moved(piece.start))).ok()
    }

    fn shift(&mut self, piece: Range<usize>) -> Option<Shift> {
        let is_week_day = self.options.compat.contains(&Compat::WeekIsDay);
        let shift = Shift::parse_as(&self.text[piece.clone()], is_week_day)
            .map_err(|fault| self.error(fault.moved(piece.start)))
            .ok()?;
        if !self.options.is_strict && shift.has_own_unit() {
            let message = say!("\"{}\" is no longer counted in days, as akkaflow did", shift.source);
            self.warn(TextFault::new(piece, message).hint(say!("compat=\"week-is-day\" keeps the old meaning")));
        }
        Some(shift)
    }

    fn id(&mut self, pieces: &[Range<usize>]) -> Option<Form> {
        let head = &self.text[pieces[0].clone()];
        let word = IdWord::from_word(head);
        if word.is_none() {
            let hint = say!("known are {}", IdWord::WORDS.join(" "));
            self.cannot(TextFault::new(pieces[0].clone(), say!("{} is not an id of a run", head)).hint(hint));
        }
        word.map(Form::Id)
    }

    fn node(&mut self, pieces: &[Range<usize>]) -> Option<Form> {
        let is_node = self.options.is_node;
        let (name, key) = self.output_of(pieces[0].clone(), "node", "NAME", is_node, |name| {
            TextFault::new(0..0, say!("there is no node \"{}\"", name)).hint(say!("write ${node:NAME.KEY}"))
        })?;
        if !self.options.is_node_ready {
            let message = say!("outputs of nodes are not known when the instance is created");
            self.cannot(TextFault::new(pieces[0].clone(), message));
            return None;
        }
        Some(Form::Node { name, key })
    }

    fn dep(&mut self, pieces: &[Range<usize>]) -> Option<Form> {
        let is_prerequisite = self.options.is_prerequisite;
        let (workflow, key) = self.output_of(pieces[0].clone(), "dep", "WORKFLOW", is_prerequisite, |name| {
            let message = say!("\"{}\" is no prerequisite of this workflow", name);
            TextFault::new(0..0, message).hint(say!("add <workflow name=\"{}\"/> to the <depend-list>", name))
        })?;
        Some(Form::Dep { workflow, key })
    }

    /// `NAME.KEY` behind a prefix. The longest known name wins, as names may hold dots.
    fn output_of(
        &mut self,
        head: Range<usize>,
        prefix: &str,
        what: &str,
        is_known: &dyn Fn(&str) -> bool,
        unknown: impl FnOnce(&str) -> TextFault,
    ) -> Option<(String, String)> {
        let path = self.text[head.clone()][prefix.len() + 1..].trim();
        let splits = path.rmatch_indices('.').map(|(at, _)| (path[..at].trim(), path[at + 1..].trim()));
        if let Some((name, key)) = splits.clone().find(|(name, key)| is_key(key) && is_known(name)) {
            return Some((name.to_owned(), key.to_owned()));
        }
        let hint = say!("write {}", format!("${{{prefix}:{what}.KEY}}"));
        let fault = match splits.clone().next_back() {
            Some((_, key)) if !is_key(key) => {
                TextFault::new(0..0, say!("\"{}\" is not the name of an output", key)).hint(hint)
            }
            Some((name, _)) => unknown(name),
            None => TextFault::new(0..0, say!("\"{}\" names no output", path)).hint(hint),
        };
        self.cannot(TextFault { span: head, ..fault });
        None
    }

    /// A word that akkaflow leaves alone: a lenient file's code keeps it, as a shell may mean something by it.
    /// Nobody else does, so elsewhere it would be a value that is wrong.
    fn not_built(&mut self, head: Range<usize>, prefix: &str) {
        let form = Message::verbatim(format!("${{{prefix}…}}"));
        let fault = TextFault::not_built(
            head,
            match prefix {
                "event:" => say!("{}, which needs a trigger by event or file,", form),
                _ => form,
            },
        );
        match self.options.context {
            TextContext::Shell | TextContext::Sql => self.cannot(fault),
            TextContext::Plain
            | TextContext::Argument
            | TextContext::Html
            | TextContext::Authority
            | TextContext::Constant => self.error(fault),
        }
    }

    fn filters(&mut self, pieces: &[Range<usize>]) -> Option<Vec<Filter>> {
        let mut filters = Vec::new();
        for (n, piece) in pieces.iter().enumerate() {
            let is_last = n + 1 == pieces.len();
            match parse_filter(&self.text[piece.clone()], self.options.context, is_last) {
                Ok(filter) => filters.push(filter),
                Err(fault) => {
                    self.error(fault.moved(piece.start));
                    return None;
                }
            }
        }
        Some(filters)
    }

    /// Spans between the bars, trimmed.
    fn pieces(&self) -> Vec<Range<usize>> {
        let mut start = 0;
        self.text
            .split('|')
            .map(|piece| {
                let from = start + (piece.len() - piece.trim_start().len());
                let to = start + piece.trim_end().len();
                start += piece.len() + 1;
                from..to.max(from)
            })
            .collect()
    }

    fn error(&mut self, fault: TextFault) {
        self.faults.push(TemplateFault::of(fault.moved(self.offset), Severity::Error));
    }

    fn warn(&mut self, fault: TextFault) {
        self.faults.push(TemplateFault::of(fault.moved(self.offset), Severity::Warning));
    }

    /// A form that akkaflow leaves alone: an error when strict, text with a warning when lenient.
    fn cannot(&mut self, fault: TextFault) {
        if self.options.is_strict { self.error(fault) } else { self.warn(fault) }
    }

    /// An oddity that akkaflow accepts: `None` when strict.
    fn lax(&mut self, fault: TextFault) -> Option<()> {
        if self.options.is_strict {
            self.error(fault);
            return None;
        }
        self.warn(fault);
        Some(())
    }
}

fn is_key(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}
