//! The parameters of an instance, resolved once when it is created.

use super::declaration::ParamDeclaration;
use super::render::{Neighbour, Phase, RenderError, RunIds, Scope, Times};
use super::value::{VALUE_BYTES_MAX, Value, ValueError};
use crate::model::definition::Compat;
use crate::model::fault::nearest;
use crate::model::message::Message;
use crate::model::time::Timestamp;
use crate::say;

/// Most parameters of one instance.
pub const PARAMS_MAX: usize = 1000;
const NAME_CHARACTERS_MAX: usize = 128;

/// The source of a value that whoever asked for the instance gave.
const CALLER: &str = "caller";

/// Why an instance cannot have these parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.said().english())]
pub enum ParamError {
    Undeclared { name: String, suggestion: Option<String> },
    Denied { name: String },
    Missing { name: String },
    Name { name: String },
    TooMany,
    Value { name: String, error: ValueError },
    Render { name: String, error: RenderError },
}

impl ParamError {
    pub fn said(&self) -> Message {
        match self {
            ParamError::Undeclared { name, suggestion: Some(near) } => {
                say!("there is no parameter \"{}\" (did you mean {}?)", name, near)
            }
            ParamError::Undeclared { name, suggestion: None } => say!("there is no parameter \"{}\"", name),
            ParamError::Denied { name } => say!("parameter \"{}\" may not be given from outside", name),
            ParamError::Missing { name } => say!("parameter \"{}\" must be given", name),
            ParamError::Name { name } => say!("\"{}\" is not a parameter name", name),
            ParamError::TooMany => say!("more than {} parameters", PARAMS_MAX),
            ParamError::Value { name, error } => say!("parameter \"{}\": {}", name, error.said()),
            ParamError::Render { name, error } => say!("parameter \"{}\": {}", name, error.said()),
        }
    }
}

/// Resolves parameters in document order, so that each may use the earlier ones. Of a name, the last
/// declaration counts; a caller's value wins over the trigger's, that over the file's, and derived values
/// follow. Names that only a caller knows come last, as strings; strict files refuse them.
pub fn resolve_parameters(
    declarations: &[ParamDeclaration],
    trigger: &[ParamDeclaration],
    caller: &[(String, String)],
    scope: &dyn Scope,
    is_strict: bool,
) -> Result<Vec<(String, Value)>, ParamError> {
    check_names(declarations, trigger, caller, is_strict)?;
    let mut resolved = Resolved { scope, params: Vec::new() };
    for declaration in declarations {
        let name = &declaration.name;
        let of_trigger = last_named(trigger, name);
        if let Some((_, text)) = caller.iter().rev().find(|(given, _)| given == name) {
            resolved.set(declaration, given(text))?;
        } else if let Some(template) = of_trigger.and_then(|own| own.value.as_ref()).or(declaration.value.as_ref()) {
            let value = template
                .render_value(&resolved, Phase::Creation)
                .map_err(|error| ParamError::Render { name: name.clone(), error })?;
            resolved.set(declaration, value)?;
        }
    }
    for own in trigger.iter().filter(|own| last_named(declarations, &own.name).is_none()) {
        if let Some((_, text)) = caller.iter().rev().find(|(given, _)| *given == own.name) {
            resolved.set(own, given(text))?;
        } else if let Some(template) = &own.value {
            let value = template
                .render_value(&resolved, Phase::Creation)
                .map_err(|error| ParamError::Render { name: own.name.clone(), error })?;
            resolved.set(own, value)?;
        }
    }
    for (name, text) in caller {
        if last_named(declarations, name).is_none() && last_named(trigger, name).is_none() {
            resolved.set(&ParamDeclaration::string(name.clone(), None), given(text))?;
        }
    }
    let missing = declarations.iter().chain(trigger).find(|one| one.required && resolved.param(&one.name).is_none());
    match missing {
        Some(missing) => Err(ParamError::Missing { name: missing.name.clone() }),
        None => Ok(resolved.params),
    }
}

/// What the caller said.
fn given(text: &str) -> Value {
    Value::external(text).from_source(CALLER)
}

fn check_names(
    declarations: &[ParamDeclaration],
    trigger: &[ParamDeclaration],
    caller: &[(String, String)],
    is_strict: bool,
) -> Result<(), ParamError> {
    if declarations.len() + trigger.len() + caller.len() > PARAMS_MAX {
        return Err(ParamError::TooMany);
    }
    for (name, text) in caller {
        let declared = last_named(declarations, name).or(last_named(trigger, name));
        if declared.is_some_and(|declared| !declared.external) {
            return Err(ParamError::Denied { name: name.clone() });
        }
        if declared.is_none() && is_strict {
            let known = declarations.iter().map(|declared| declared.name.as_str());
            return Err(ParamError::Undeclared {
                name: name.clone(),
                suggestion: nearest(name, known).map(str::to_owned),
            });
        }
        let is_name = !name.trim().is_empty()
            && name.chars().count() <= NAME_CHARACTERS_MAX
            && !name.contains("${")
            && !name.chars().any(char::is_control);
        if !is_name {
            return Err(ParamError::Name { name: name.chars().filter(|c| !c.is_control()).take(64).collect() });
        }
        if text.len() > VALUE_BYTES_MAX {
            return Err(ParamError::Value { name: name.clone(), error: ValueError::Long { bytes: text.len() } });
        }
    }
    Ok(())
}

fn last_named<'a>(declarations: &'a [ParamDeclaration], name: &str) -> Option<&'a ParamDeclaration> {
    declarations.iter().rev().find(|declaration| declaration.name == name)
}

/// The scope of an instance with the parameters resolved so far.
struct Resolved<'a> {
    scope: &'a dyn Scope,
    params: Vec<(String, Value)>,
}

impl Resolved<'_> {
    fn set(&mut self, declaration: &ParamDeclaration, given: Value) -> Result<(), ParamError> {
        let name = declaration.name.clone();
        let value = match declaration.accept(&given.text, given.origin) {
            Ok(value) => Value { source: given.source, ..value },
            Err(error) => return Err(ParamError::Value { name, error }),
        };
        match self.params.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.params.push((name, value)),
        }
        Ok(())
    }
}

impl Scope for Resolved<'_> {
    fn param(&self, name: &str) -> Option<&Value> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn param_names(&self) -> Vec<&str> {
        self.params.iter().map(|(name, _)| name.as_str()).collect()
    }

    fn node_output(&self, node: &str, key: &str) -> Option<Value> {
        self.scope.node_output(node, key)
    }

    fn prerequisite_output(&self, workflow: &str, key: &str) -> Result<Value, Message> {
        self.scope.prerequisite_output(workflow, key)
    }

    fn times(&self) -> Times {
        self.scope.times()
    }

    fn neighbour(&self, which: Neighbour) -> Option<Timestamp> {
        self.scope.neighbour(which)
    }

    fn ids(&self) -> RunIds {
        self.scope.ids()
    }

    fn has(&self, compat: Compat) -> bool {
        self.scope.has(compat)
    }
}
