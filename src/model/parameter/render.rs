//! Templates to text: one pass over the parsed pieces, with the splicing rule for values from outside.

use super::filter::{Filter, html};
use super::form::{Form, FormPiece, IdWord, TimeWord};
use super::splice::{has_authority, is_spliceable};
use super::template::{Piece, Template};
use super::value::{Origin, VALUE_BYTES_MAX, Value};
use crate::model::action::TextContext;
use crate::model::assignment::Rendered;
use crate::model::definition::Compat;
use crate::model::fault::nearest;
use crate::model::id::{InstanceNumber, TriggerId, VersionNumber, WorkflowName};
use crate::model::message::Message;
use crate::model::schedule::{DatePattern, Shift, Zone};
use crate::model::time::{CivilDate, Timestamp};
use crate::say;

/// What forms can ask for. Implemented by the engine, which answers from its state alone.
pub trait Scope {
    fn param(&self, name: &str) -> Option<&Value>;
    /// Names that exist, for suggestions.
    fn param_names(&self) -> Vec<&str>;
    /// An output of a node, or one of its built-in ones; `None` if there is none.
    fn node_output(&self, node: &str, key: &str) -> Option<Value>;
    /// An output of the instance that satisfied a prerequisite, or why there is none.
    fn prerequisite_output(&self, workflow: &str, key: &str) -> Result<Value, Message>;
    fn times(&self) -> Times;
    /// The fire before or after the nominal time, by the rule of the run's trigger. `None`: no time trigger.
    fn neighbour(&self, which: Neighbour) -> Option<Timestamp>;
    fn ids(&self) -> RunIds;
    fn has(&self, compat: Compat) -> bool;
}

/// The moments of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    pub nominal: Timestamp,
    pub due: Timestamp,
    /// Creation of the instance.
    pub actual: Timestamp,
    pub business_date: CivilDate,
    pub zone: Zone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunIds {
    pub workflow: WorkflowName,
    pub instance: InstanceNumber,
    pub trigger: TriggerId,
    pub version: VersionNumber,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neighbour {
    Previous,
    Next,
}

/// When a template is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Outputs of nodes are not known: their forms give nothing. For checking that the rest renders.
    Creation,
    NodeReady,
}

/// Numbers the shell variables and placeholders of one action over all its texts.
#[derive(Debug, Clone, Copy, Default)]
pub struct VariableCounter(u32);

/// Longest rendered text, in bytes.
pub const RENDERED_BYTES_MAX: usize = 8 << 20;

/// Why a text cannot be rendered. Names the form, so that its author finds it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum RenderError {
    UndefinedParam {
        form: String,
        name: String,
        suggestion: Option<String>,
    },
    UndefinedOutput {
        form: String,
        node: String,
        key: String,
    },
    UndefinedPrerequisite {
        form: String,
        why: Message,
    },
    #[error("{form}: no trigger of this workflow fires at times")]
    NoNeighbour {
        form: String,
    },
    Unsafe {
        form: String,
        what: Code,
    },
    Authority {
        form: String,
    },
    Control {
        form: String,
    },
    Long,
}

/// What reads a value as code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Sql,
    Shell,
}

impl RenderError {
    pub fn said(&self) -> Message {
        match self {
            RenderError::UndefinedParam { form, name, suggestion: Some(near) } => {
                say!("{}: there is no parameter \"{}\" (did you mean {}?)", form, name, near)
            }
            RenderError::UndefinedParam { form, name, suggestion: None } => {
                say!("{}: there is no parameter \"{}\"", form, name)
            }
            RenderError::UndefinedOutput { form, node, key } => {
                say!("{}: node \"{}\" has no output \"{}\" (add |or TEXT for a default)", form, node, key)
            }
            RenderError::UndefinedPrerequisite { form, why } => {
                say!("{}: {} (add |or TEXT for a default)", form, why)
            }
            RenderError::NoNeighbour { form } => say!("{}: no trigger of this workflow fires at times", form),
            RenderError::Unsafe { form, what: Code::Sql } => say!(
                "{}: a value from outside may not become part of SQL as it is (add |sql, read it from the environment, or give the parameter a type or a pattern)",
                form
            ),
            RenderError::Unsafe { form, what: Code::Shell } => say!(
                "{}: a value from outside may not become part of shell code as it is (add |sh, read it from the environment, or give the parameter a type or a pattern)",
                form
            ),
            RenderError::Authority { form } => {
                say!("{}: a value from outside may stand here only from a parameter with choices or a pattern", form)
            }
            RenderError::Control { form } => {
                say!("{}: the value holds a line break or NUL character, which cannot stand here", form)
            }
            RenderError::Long => say!("a rendered text is longer than {} bytes", RENDERED_BYTES_MAX),
        }
    }
}

impl Template {
    /// The text with all forms replaced. `variables` of the result belong into the environment of the shell,
    /// or are bound to the placeholders in their order.
    pub fn render(
        &self,
        scope: &dyn Scope,
        context: TextContext,
        phase: Phase,
        counter: &mut VariableCounter,
    ) -> Result<Rendered, RenderError> {
        Rendering { scope, context, phase, counter, rendered: Rendered::default(), is_external: false, source: None }
            .run(self)
            .map(|rendering| rendering.rendered)
    }

    /// The text as the value of a parameter: from outside as soon as one value in it is.
    pub fn render_value(&self, scope: &dyn Scope, phase: Phase) -> Result<Value, RenderError> {
        let mut counter = VariableCounter::default();
        let rendering = Rendering {
            scope,
            context: TextContext::Plain,
            phase,
            counter: &mut counter,
            rendered: Rendered::default(),
            is_external: false,
            source: None,
        }
        .run(self)?;
        let text = rendering.rendered.text;
        if text.len() > VALUE_BYTES_MAX {
            return Err(RenderError::Long);
        }
        let value = if rendering.is_external { Value::external(text) } else { Value::definition(text) };
        Ok(Value { source: rendering.source, ..value })
    }
}

struct Rendering<'a> {
    scope: &'a dyn Scope,
    context: TextContext,
    phase: Phase,
    counter: &'a mut VariableCounter,
    rendered: Rendered,
    is_external: bool,
    /// Of the first value from outside.
    source: Option<String>,
}

impl Rendering<'_> {
    fn run(mut self, template: &Template) -> Result<Self, RenderError> {
        if template.pieces().is_empty() {
            self.rendered.text.push_str(&template.source);
        }
        for piece in template.pieces() {
            match piece {
                Piece::Text { from, to } => self.rendered.text.push_str(template.slice(*from, *to)),
                Piece::Form(piece) => self.form(piece)?,
            }
            if self.rendered.text.len() > RENDERED_BYTES_MAX {
                return Err(RenderError::Long);
            }
        }
        Ok(self)
    }

    fn form(&mut self, piece: &FormPiece) -> Result<(), RenderError> {
        let value = match self.value(piece) {
            Ok(value) => value,
            Err(
                undefined @ (RenderError::UndefinedParam { .. }
                | RenderError::UndefinedOutput { .. }
                | RenderError::UndefinedPrerequisite { .. }),
            ) => Value::definition(default_of(piece).ok_or(undefined)?),
            Err(error) => return Err(error),
        };
        if value.origin == Origin::External {
            self.is_external = true;
            self.source = self.source.take().or_else(|| value.source.clone());
        }
        let text = piece.filters.iter().fold(value.text.clone(), |text, filter| filter.apply(text));
        match piece.filters.last() {
            Some(Filter::Sh) => self.variable(piece, text),
            Some(Filter::Sql) => self.bind(text),
            _ => self.splice(piece, &value, text),
        }
    }

    fn splice(&mut self, piece: &FormPiece, value: &Value, mut text: String) -> Result<(), RenderError> {
        let form = || piece.raw.clone();
        if value.origin == Origin::External {
            match self.context {
                TextContext::Shell | TextContext::Sql => {
                    if !self.scope.has(Compat::Splice) && !is_spliceable(value, &text) {
                        return Err(unsafe_in(self.context, form()));
                    }
                }
                TextContext::Authority | TextContext::Constant => {
                    if !has_authority(value, &text) {
                        return Err(RenderError::Authority { form: form() });
                    }
                    if text.contains(['\r', '\n']) {
                        return Err(RenderError::Control { form: form() });
                    }
                }
                TextContext::Argument => {
                    if text.contains(['\r', '\n']) {
                        return Err(RenderError::Control { form: form() });
                    }
                }
                TextContext::Html => {
                    if !piece.filters.contains(&Filter::Html) {
                        text = html(&text);
                    }
                }
                TextContext::Plain => {}
            }
        }
        if text.contains('\0') {
            return Err(RenderError::Control { form: form() });
        }
        self.rendered.text.push_str(&text);
        Ok(())
    }

    /// `sh`: the shell reads the value from its environment and never as code.
    fn variable(&mut self, piece: &FormPiece, text: String) -> Result<(), RenderError> {
        if text.contains('\0') {
            return Err(RenderError::Control { form: piece.raw.clone() });
        }
        self.counter.0 += 1;
        let name = format!("RF_V{}", self.counter.0);
        self.rendered.text.push_str(&format!("${{{name}}}"));
        self.rendered.variables.push((name, text));
        Ok(())
    }

    fn bind(&mut self, text: String) -> Result<(), RenderError> {
        self.counter.0 += 1;
        self.rendered.text.push('?');
        self.rendered.variables.push((format!("RF_V{}", self.counter.0), text));
        Ok(())
    }

    fn value(&self, piece: &FormPiece) -> Result<Value, RenderError> {
        match &piece.form {
            Form::Param(name) => self.param(piece, name),
            Form::Time { word, format, shift } => {
                let text = self.time(piece, *word, format, shift.as_ref())?;
                Ok(Value::definition(text))
            }
            Form::Id(word) => Ok(Value::definition(self.id(*word))),
            Form::Node { .. } if self.phase == Phase::Creation => Ok(Value::definition("")),
            Form::Node { name, key } => {
                let value = self.scope.node_output(name, key).ok_or_else(|| RenderError::UndefinedOutput {
                    form: piece.raw.clone(),
                    node: name.clone(),
                    key: key.clone(),
                })?;
                // Whatever is said of it, a node wrote it.
                Ok(Value { origin: Origin::External, ..value })
            }
            Form::Dep { workflow, key } => match self.scope.prerequisite_output(workflow, key) {
                Ok(value) => Ok(Value { origin: Origin::External, ..value }),
                Err(why) => Err(RenderError::UndefinedPrerequisite { form: piece.raw.clone(), why }),
            },
        }
    }

    fn param(&self, piece: &FormPiece, name: &str) -> Result<Value, RenderError> {
        if let Some(value) = self.scope.param(name) {
            return Ok(value.clone());
        }
        if self.scope.has(Compat::UndefinedParam) && default_of(piece).is_none() {
            return Ok(Value::definition("${param:undefined}"));
        }
        Err(RenderError::UndefinedParam {
            form: piece.raw.clone(),
            name: name.to_owned(),
            suggestion: nearest(name, self.scope.param_names()).map(str::to_owned),
        })
    }

    fn id(&self, word: IdWord) -> String {
        let ids = self.scope.ids();
        match word {
            IdWord::Workflow => ids.workflow.to_string(),
            IdWord::Instance => ids.instance.to_string(),
            IdWord::Trigger => ids.trigger.to_string(),
            IdWord::Version => ids.version.to_string(),
        }
    }

    fn time(
        &self,
        piece: &FormPiece,
        word: TimeWord,
        format: &DatePattern,
        shift: Option<&Shift>,
    ) -> Result<String, RenderError> {
        let times = self.scope.times();
        // The configuration may say so of files that were read before it did.
        let in_days = shift
            .filter(|shift| shift.has_own_unit() && self.scope.has(Compat::WeekIsDay))
            .map(Shift::with_own_units_as_days);
        let shift = in_days.as_ref().or(shift);
        let of_day = if self.scope.has(Compat::WallClock) { times.actual } else { times.nominal };
        let neighbour =
            |which| self.scope.neighbour(which).ok_or_else(|| RenderError::NoNeighbour { form: piece.raw.clone() });
        let (instant, own) = match word {
            TimeWord::Today | TimeWord::CurMonth => (of_day, None),
            TimeWord::Yestoday => (of_day, Some("-1 day")),
            TimeWord::LastMonth => (of_day, Some("-1 month")),
            TimeWord::Nominal => (times.nominal, None),
            TimeWord::Due => (times.due, None),
            TimeWord::Actual => (times.actual, None),
            TimeWord::Prev => (neighbour(Neighbour::Previous)?, None),
            TimeWord::Next => (neighbour(Neighbour::Next)?, None),
            TimeWord::BusinessDate => {
                // A date without zone: reckoned in UTC, where no clock ever changes.
                let midnight = Timestamp(i64::from(times.business_date.0) * 86_400_000);
                return Ok(formatted(midnight, &Zone::UTC, None, shift, format));
            }
        };
        let own = own.and_then(|own| Shift::parse(own).ok());
        Ok(formatted(instant, &times.zone, own.as_ref(), shift, format))
    }
}

/// Applies the word's own shift, then the form's.
fn formatted(
    instant: Timestamp,
    zone: &Zone,
    own: Option<&Shift>,
    shift: Option<&Shift>,
    format: &DatePattern,
) -> String {
    let steps = own.into_iter().chain(shift);
    let (wall, instant) = Shift::apply_all(steps, instant, zone);
    format.format(wall, instant, zone)
}

fn default_of(piece: &FormPiece) -> Option<String> {
    piece.filters.iter().find_map(|filter| match filter {
        Filter::Or(text) => Some(text.clone()),
        Filter::Sh | Filter::Sql | Filter::Json | Filter::Url | Filter::Html => None,
    })
}

fn unsafe_in(context: TextContext, form: String) -> RenderError {
    match context {
        TextContext::Sql => RenderError::Unsafe { form, what: Code::Sql },
        _ => RenderError::Unsafe { form, what: Code::Shell },
    }
}
