//! `file-executor`: a command whose script, the one word with a "/", is brought to the worker with its attachments.

use crate::model::assignment::Assignment;
use crate::say;

use super::process::{Plan, Refusal};
use super::{attachment, command_line, shell};

pub fn plan(assignment: &Assignment) -> Result<Plan, Refusal> {
    let written = assignment.body.child("command").and_then(|command| command.text.as_ref());
    let written = written.ok_or(Refusal::Missing("command"))?;
    let text = written.text.trim();
    let word = script(assignment, text)?;
    let script = attachment::attachment(assignment, &word.text)?;
    let run = command_line::quoted(&format!("./{}", script.name));
    let text = [&text[..word.span.start], &run, &text[word.span.end..]].concat();
    let mut plan = shell::of_text(text, written.variables.clone());
    attachment::add(&mut plan, script)?;
    attachment::add_listed(assignment, &mut plan)?;
    Ok(plan)
}

/// A value may bring in words with a "/" of its own: those are no files.
fn script(assignment: &Assignment, text: &str) -> Result<command_line::Word, Refusal> {
    let mut paths = command_line::paths(text);
    if paths.len() > 1 {
        let is_file = |path: &str| path.starts_with('/') || assignment.files.iter().any(|file| file.path == path);
        paths.retain(|word| is_file(&word.text));
    }
    match <[command_line::Word; 1]>::try_from(paths) {
        Ok([word]) => Ok(word),
        Err(paths) => {
            let message =
                say!("the command has {} words with a \"/\", so the script to copy cannot be told", paths.len());
            Err(Refusal::Wrong(message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::attachment::{Attachment, Origin};
    use super::*;
    use crate::model::attachment::AttachedFile;
    use crate::model::id::NodeIndex;
    use crate::node::testing::{assignment, element};

    fn planned(command: &str) -> Result<Plan, Refusal> {
        let files = element("attach-list", &[], vec![element("file", &["/opt/etl/items.log"], vec![])]);
        let body = element("file-executor", &[], vec![element("command", &[command], vec![]), files]);
        let mut assignment = assignment(body);
        let file = AttachedFile { node: NodeIndex(1), path: "bin/load.sh".into(), hash: "h".into(), bytes: 3 };
        assignment.files = vec![file];
        plan(&assignment)
    }

    #[test]
    fn the_script_is_brought_along_and_run_where_it_lies_then() {
        let plan = planned("\n bash bin/load.sh 20261120 full\n").unwrap();
        assert_eq!(plan.args[..3], ["/bin/bash", "-c", "bash ./load.sh 20261120 full"]);
        let names: Vec<&str> = plan.attached.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["load.sh", "items.log"]);
        let plan = planned("perl \"/opt/my etl/it's.pl\" a").unwrap();
        assert_eq!(plan.args[2], "perl './it'\\''s.pl' a");
        let host = Origin::Host("/opt/my etl/it's.pl".into());
        assert_eq!(plan.attached[0], Attachment { name: "it's.pl".into(), from: host });
    }

    #[test]
    fn a_value_with_a_slash_is_no_script() {
        assert_eq!(planned("sh bin/load.sh 2026/11/20").unwrap().args[2], "sh ./load.sh 2026/11/20");
        for (wrong, n) in [("load.sh", 0), ("sh /a/b /c/d", 2)] {
            let said = planned(wrong).unwrap_err().to_string();
            assert!(said.contains(&format!("has {n} words")), "{said}");
        }
        assert!(planned("sh bin/other.sh").unwrap_err().to_string().contains("no file of version"));
        assert!(planned("sh /opt/items.log").unwrap_err().to_string().contains("both be called"));
    }
}
