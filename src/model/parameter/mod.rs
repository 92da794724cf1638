//! Parameters: declarations, `${…}` templates, typed values with their origin, and the splicing rule
//! that keeps values from outside out of code (docs/xml.md, "Parameters").
//!
//! Pure: times and values come in through `Scope`. A template is parsed once, when the file is read
//! (`template`), and rendered on the parsed pieces (`render`): what a value holds is never read again as a
//! form. Start reading at `Template`.

mod caution;
mod declaration;
mod environment;
mod filter;
mod form;
mod remark;
mod render;
mod resolve;
mod splice;
mod template;
mod value;

#[cfg(test)]
mod tests;

pub use self::declaration::{DeclarationFault, ParamDeclaration};
pub use self::environment::{Environment, environment, variable, variable_problem};
pub use self::filter::Filter;
pub use self::form::{Form, FormPiece, IdWord, TimeWord};
pub use self::remark::{About, Remark};
pub use self::render::{Neighbour, Phase, RenderError, RunIds, Scope, Times, VariableCounter};
pub use self::resolve::{ParamError, resolve_parameters};
pub use self::template::{ParseOptions, Severity, Template, TemplateFault};
pub use self::value::{Origin, Value, ValueError, ValueType, Vouched};
