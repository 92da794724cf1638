//! `shell`: commands for bash, given as one text.

use crate::model::assignment::Assignment;

use super::process::{Plan, PlannedFile, Refusal};
use super::script::{dedent, trim_lines};

const BASH: &str = "/bin/bash";

/// Longer texts go by way of a file: the kernel takes 128 KiB an argument.
const ARGUMENT_MAX: usize = 64 * 1024;

pub fn plan(assignment: &Assignment) -> Result<Plan, Refusal> {
    let command = assignment.body.child("command").ok_or(Refusal::Missing("command"))?;
    let written = command.text.as_ref().ok_or(Refusal::Missing("command"))?;
    let text = if assignment.script_trim { trim_lines(&written.text) } else { dedent(&written.text) };
    Ok(of_text(text, written.variables.clone()))
}

/// Commands for bash, with the variables that they refer to.
pub fn of_text(text: String, variables: Vec<(String, String)>) -> Plan {
    let mut args = vec![BASH.to_owned()];
    let mut files = Vec::new();
    if text.len() <= ARGUMENT_MAX {
        args.extend(["-c".to_owned(), text, "shell".to_owned()]);
    } else {
        args.push("./command".to_owned());
        files.push(PlannedFile { name: "command".to_owned(), bytes: text.into_bytes(), is_program: false });
    }
    Plan { program: BASH.to_owned(), args, files, variables, ..Plan::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::testing::{assignment, element};

    #[test]
    fn a_long_text_goes_by_way_of_a_file() {
        let body = |text: &str| element("shell", &[], vec![element("command", &[text], vec![])]);
        let short = plan(&assignment(body("\n  date\n"))).unwrap();
        assert_eq!(short.args, [BASH, "-c", "date\n", "shell"]);
        let long = plan(&assignment(body(&"x".repeat(100_000)))).unwrap();
        assert_eq!((long.args.len(), long.files[0].bytes.len()), (2, 100_001));
    }
}
