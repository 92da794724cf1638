//! `script`: a file of its own, run by the interpreter that its first line names, else by bash.

use crate::model::assignment::{Assignment, Rendered};
use crate::model::policy::parse_bool;
use crate::say;

use super::attachment;
use super::process::{Plan, PlannedFile, Refusal};

const FILE: &str = "script";
const BASH: &str = "/bin/bash";

pub fn plan(assignment: &Assignment) -> Result<Plan, Refusal> {
    let body = &assignment.body;
    let code = body.child("code").ok_or(Refusal::Missing("code"))?;
    let trims = match code.attribute("trim") {
        Some(trim) => parse_bool(&trim.text).map_err(|error| Refusal::Wrong(say!("code: trim {}", error.said())))?,
        None => assignment.script_trim,
    };
    let written = code.text.as_ref().ok_or(Refusal::Missing("code"))?;
    let mut plan = of_text(written, trims);
    let param_line = body.child("param-line").and_then(|element| element.text.as_ref());
    if let Some(line) = param_line.map(|line| line.text.trim()).filter(|line| !line.is_empty()) {
        // A shell splits the arguments, as the language says; the interpreter comes to it as arguments, not as text.
        let line = line.replace('\n', " ");
        plan.args.splice(0..0, [BASH.to_owned(), "-c".to_owned(), format!("exec \"$@\" {line}"), BASH.to_owned()]);
        plan.program = BASH.to_owned();
    }
    let of_line = param_line.into_iter().flat_map(|line| line.variables.clone());
    plan.variables.splice(0..0, of_line);
    attachment::add_listed(assignment, &mut plan)?;
    Ok(plan)
}

/// A script by itself.
pub fn of_text(written: &Rendered, trims: bool) -> Plan {
    let text = if trims { trim_lines(&written.text) } else { dedent(&written.text) };
    let mut args = interpreter(&text);
    args.push(format!("./{FILE}"));
    Plan {
        program: args[0].clone(),
        args,
        files: vec![PlannedFile { name: FILE.to_owned(), bytes: text.into_bytes(), is_program: true }],
        variables: written.variables.clone(),
        ..Plan::default()
    }
}

/// What `#!` says, read as the kernel reads it: a program and at most one argument. Run by us and not by the
/// kernel, so that the work directory may be on a file system that forbids programs.
fn interpreter(text: &str) -> Vec<String> {
    let line = text.lines().next().unwrap_or("").trim();
    let Some(named) = line.strip_prefix("#!").map(str::trim).filter(|named| !named.is_empty()) else {
        return vec![BASH.to_owned()];
    };
    match named.split_once(char::is_whitespace) {
        Some((program, argument)) => vec![program.to_owned(), argument.trim().to_owned()],
        None => vec![named.to_owned()],
    }
}

/// Takes away the indent that all lines share and blank lines at both ends; the rest is the author's.
pub fn dedent(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let lines: Vec<&str> = text.lines().collect();
    let is_blank = |line: &&str| line.trim().is_empty();
    let Some(first) = lines.iter().position(|line| !is_blank(&line)) else { return String::new() };
    let last = lines.iter().rposition(|line| !is_blank(&line)).unwrap_or(first);
    let lines = &lines[first..=last];
    let indents = lines.iter().filter(|line| !is_blank(line)).map(|line| &line[..line.len() - line.trim_start().len()]);
    let common = indents.reduce(common_prefix).unwrap_or("");
    let mut out = String::with_capacity(text.len());
    for line in lines {
        out.push_str(line.strip_prefix(common).unwrap_or(line.trim_start()));
        out.push('\n');
    }
    out
}

/// akkaflow's way: no blank lines, every line trimmed, unless the first line speaks of python.
pub fn trim_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let is_python = lines.first().is_some_and(|line| line.to_lowercase().contains("python"));
    lines.iter().map(|line| format!("{}\n", if is_python { line.trim_end() } else { line.trim() })).collect()
}

fn common_prefix<'a>(a: &'a str, b: &'a str) -> &'a str {
    let same = a.char_indices().zip(b.chars()).find(|((_, x), y)| x != y).map(|((at, _), _)| at);
    &a[..same.unwrap_or(a.len().min(b.len()))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::testing::{assignment, element};

    #[test]
    fn the_common_indent_goes_and_inner_indent_stays() {
        let text = "\n\n    #!/bin/sh\n    cat <<E\n      two\n\n    E\n  \n";
        assert_eq!(dedent(text), "#!/bin/sh\ncat <<E\n  two\n\nE\n");
        assert_eq!(dedent("\techo a\n    echo b"), "\techo a\n    echo b\n");
        assert_eq!(dedent(" \n"), "");
        assert_eq!(dedent("  one"), "one\n");
    }

    #[test]
    fn akkaflows_trimming_spares_python() {
        assert_eq!(trim_lines("\n  a \n\n   b\n"), "a\nb\n");
        assert_eq!(trim_lines("\n#!/usr/bin/Python3\nif x:\n\n    y\n"), "#!/usr/bin/Python3\nif x:\n    y\n");
    }

    #[test]
    fn the_first_line_chooses_the_interpreter() {
        assert_eq!(interpreter("#! /usr/bin/env python3 -u\nx"), ["/usr/bin/env", "python3 -u"]);
        assert_eq!(interpreter("#!/bin/sh"), ["/bin/sh"]);
        assert_eq!(interpreter("echo"), [BASH]);
        assert_eq!(interpreter("#!\n"), [BASH]);
    }

    #[test]
    fn arguments_of_the_param_line_are_split_by_a_shell() {
        let body = element(
            "script",
            &[],
            vec![element("code", &["echo $1"], vec![]), element("param-line", &[" a 'b c' "], vec![])],
        );
        let plan = plan(&assignment(body)).unwrap();
        assert_eq!(plan.args, [BASH, "-c", "exec \"$@\" a 'b c'", BASH, BASH, "./script"]);
        assert_eq!(plan.files[0].bytes, b"echo $1\n");
    }

    #[test]
    fn attachments_lie_beside_the_script_and_never_in_its_place() {
        let body = |path: &str| {
            let list = element("attach-list", &[], vec![element("file", &[path], vec![])]);
            element("script", &[], vec![element("code", &["x"], vec![]), list])
        };
        let planned = plan(&assignment(body("/opt/items.csv"))).unwrap();
        assert_eq!(planned.attached[0].name, "items.csv");
        assert!(plan(&assignment(body("/opt/script"))).is_err());
    }
}
