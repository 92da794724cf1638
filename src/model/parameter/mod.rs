//! Parameters: declarations, `${…}` templates, typed values with their origin, and the splicing rule
//! that keeps values from outside out of code (docs/xml.md, "Parameters").
//!
//! Pure: times and values come in through `Scope`. Start reading at `Template`.

use serde::{Deserialize, Serialize};

/// A text that may hold `${…}` forms, kept as parsed pieces. (skeleton: being filled in)
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// The text as written.
    pub source: String,
}

/// Where a value came from; decides whether it may be spliced into code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Written by the author of the definition.
    Definition,
    /// From a caller, an event or a node's output.
    External,
}

/// A resolved value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    pub text: String,
    pub kind: ValueType,
    pub origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueType {
    String,
    Text,
    Int,
    Decimal,
    Bool,
    Date,
    Datetime,
    Duration,
    Enum,
    List,
}

/// `<param>` in a param-list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamDeclaration {
    pub name: String,
    pub value: Option<Template>,
    pub kind: ValueType,
    pub required: bool,
    pub min: Option<String>,
    pub max: Option<String>,
    pub pattern: Option<String>,
    pub choices: Vec<String>,
    pub label: Option<String>,
    pub description: Option<String>,
    pub order: Option<i32>,
    /// May a caller set it?
    pub external: bool,
    /// `splice="verbatim"`: the author vouches for what callers give.
    pub verbatim: bool,
}
