//! Files that a definition names and that lie beside its action when it runs.
//!
//! Owns how a path is written and what it means: a relative one is a file of the definition, which is read where the
//! definition is and travels with its version by hash; an absolute one is read on the host of the worker.

use serde::{Deserialize, Serialize};

use super::id::{ContentHash, NodeIndex};
use super::message::Message;
use crate::say;

/// Most files that one definition may name.
pub const FILES_MAX: usize = 256;
/// Longest path.
const PATH_BYTES_MAX: usize = 4096;

/// A file of a version, by its content. It is kept for as long as the version is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedFile {
    /// The node that names it.
    pub node: NodeIndex,
    /// As it is written there.
    pub path: String,
    pub hash: ContentHash,
    pub bytes: u64,
}

/// A path that an action names, where in its body, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// Indices of children from the type element down to the one that names it.
    pub at: Vec<usize>,
    pub path: String,
}

/// What a path means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilePlace {
    /// A file of the definition: components separated by `/`, none of them `.` or `..`.
    Definition(String),
    /// On the worker that runs the node.
    Worker,
    /// Only its parameters say; then it must be on the worker.
    Late,
}

impl FilePlace {
    pub fn of(path: &str) -> Result<Self, Message> {
        if path.len() > PATH_BYTES_MAX || path.contains(|c: char| c.is_control()) {
            return Err(say!("\"{}\" cannot be a path", path.escape_debug().to_string()));
        }
        let has_form = path.contains("${");
        if path.starts_with('/') && !has_form {
            return match base_name(path) {
                Some(_) => Ok(FilePlace::Worker),
                None => Err(say!("\"{}\" names no file", path)),
            };
        }
        if path.starts_with('/') || path.starts_with("${") {
            return Ok(FilePlace::Late);
        }
        if has_form {
            return Err(say!("\"{}\": the path of a file that travels with the definition holds no ${…}", path));
        }
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.contains(&"..") {
            return Err(say!("\"{}\" leads out of the directory of definitions", path));
        }
        if parts.is_empty() || path.ends_with('/') {
            return Err(say!("\"{}\" names no file", path));
        }
        Ok(FilePlace::Definition(parts.join("/")))
    }
}

/// What the file is called in the work directory of an attempt.
pub fn base_name(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next().unwrap_or_default();
    (!name.is_empty() && name != "." && name != "..").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_where_its_file_is() {
        let of = |path: &str| FilePlace::of(path).map_err(|fault| fault.english());
        let here = |path: &str| Ok(FilePlace::Definition(path.to_owned()));
        assert_eq!(of("a.csv"), here("a.csv"));
        assert_eq!(of("./lib//common.sh"), here("lib/common.sh"));
        assert_eq!(of("/opt/etl/load.sh"), Ok(FilePlace::Worker));
        assert_eq!(of("/opt/${param:x}/load.sh"), Ok(FilePlace::Late));
        assert_eq!(of("${param:dir}/load.sh"), Ok(FilePlace::Late));
        for (wrong, why) in [
            ("../a", "leads out"),
            ("lib/../../a", "leads out"),
            ("lib/", "names no file"),
            ("/", "names no file"),
            ("/opt/..", "names no file"),
            ("", "names no file"),
            ("lib/${param:x}.sh", "holds no"),
            ("a\nb", "cannot be a path"),
        ] {
            let said = of(wrong).unwrap_err();
            assert!(said.contains(why), "{wrong}: {said}");
        }
    }
}
