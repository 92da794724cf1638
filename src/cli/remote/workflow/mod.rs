//! Verbs on workflows.

pub mod apply;
pub mod check;
pub mod delete;
pub mod disable;
pub mod enable;
pub mod errors;
pub mod list;
pub mod next;
pub mod reset;
pub mod show;
pub mod tree;
pub mod trigger;
pub mod versions;

use std::path::Path;

use crate::api::ExitCode;
use crate::cli::console::Failure;
use crate::say;

/// The text of a file, in whatever encoding it says it has: UTF-8 as it is, others as the reader decodes them.
fn read_definition(path: &Path) -> Result<String, Failure> {
    let bytes = std::fs::read(path).map_err(|error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { ExitCode::NotFound } else { ExitCode::Other };
        Failure::new(exit, say!("cannot read {}: {}", path, error.to_string()))
    })?;
    String::from_utf8(bytes).map_err(|_| {
        Failure::new(ExitCode::DefinitionInvalid, say!("{} is not UTF-8", path))
            .hint(say!("copy it into xmlconfig/, where other encodings are read too, or convert it"))
    })
}
