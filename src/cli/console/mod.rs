//! What every verb shares: how it is registered, its global options, what goes to stdout and what to stderr, tables,
//! words in two languages, and how a refusal becomes an exit code. Start reading at `verb`.

mod failure;
mod global;
mod language;
mod output;
mod shown;
mod table;
mod verb;

pub use failure::{Failure, Outcome};
pub use global::{Color, Global};
pub use language::Language;
pub use output::{Console, Format, Kept};
pub use shown::{age, instant, span, standing};
pub use table::{Cell, Table};
pub use verb::{NoArgs, Verb, augment};
