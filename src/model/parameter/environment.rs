//! Parameters as environment variables of a task: `RF_PARAM_<NAME>`.

use std::collections::BTreeMap;

use crate::model::message::{self, Message};
use crate::say;

use super::value::Value;

/// Longest value that is put into the environment: Linux refuses a string of 128 KiB.
const BYTES_MAX: usize = 120 * 1024;

/// Variables in the order of the parameters, and why some parameters have none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environment {
    pub variables: Vec<(String, String)>,
    /// In English: they go into the log of the task.
    pub warnings: Vec<String>,
}

/// Names in upper case, other characters than ASCII letters and digits as `_`. Parameters whose names clash
/// that way or have no ASCII letter are left out, as nobody could tell which one a script means.
pub fn environment(params: &[(String, Value)]) -> Environment {
    let mut users: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, _) in params {
        users.entry(variable(name)).or_default().push(name);
    }
    let mut environment = Environment::default();
    for (name, value) in params {
        let variable = variable(name);
        let same = users.get(&variable).map_or(&[][..], Vec::as_slice);
        let problem = variable_problem(name, same);
        let problem = if problem.is_some() {
            problem
        } else if value.text.contains('\0') {
            Some(say!("its value holds a NUL character"))
        } else if value.text.len() > BYTES_MAX {
            Some(say!("its value is longer than {} bytes", BYTES_MAX))
        } else {
            None
        };
        match problem {
            Some(why) => {
                environment.warnings.push(say!("parameter \"{}\" has no environment variable: {}", name, why).english())
            }
            None => environment.variables.push((variable, value.text.clone())),
        }
    }
    environment
}

/// Why a parameter can have no variable; `same` are the names of all with that variable.
pub fn variable_problem(name: &str, same: &[&str]) -> Option<Message> {
    if !name.contains(|c: char| c.is_ascii_alphabetic()) {
        return Some(say!("its name has no ASCII letter"));
    }
    let others: Vec<&str> = same.iter().copied().filter(|other| *other != name).collect();
    (!others.is_empty()).then(|| say!("{} would have the same name {}", message::Value::list(others), variable(name)))
}

/// The environment variable of a parameter.
pub fn variable(name: &str) -> String {
    let letters = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    "RF_PARAM_".chars().chain(letters).collect()
}
