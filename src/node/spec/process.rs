//! Types that start a process: `script`, `shell`, `exec`, `file-executor`.

use super::*;
use crate::node::command_line::{Word, paths};
use crate::say;

pub const SCRIPT: ActionSpec = ActionSpec {
    element: ElementSpec {
        word: "script",
        occurs: Occurs::One,
        attributes: &[],
        children: &[
            ElementSpec {
                word: "code",
                occurs: Occurs::One,
                attributes: &[attribute(
                    "trim",
                    ValueShape::Bool,
                    Some("false"),
                    TextContext::Plain,
                    "Trim every line and drop blank ones, as akkaflow did. Otherwise only the common indent is removed.",
                )],
                children: &[],
                text: TextSpec::Required(TextContext::Shell),
                doc: "The script. Its first line may name the interpreter (#!); bash otherwise.",
            },
            leaf(
                "param-line",
                Occurs::Optional,
                TextSpec::Optional(TextContext::Shell),
                "Arguments of the script, split as a shell does.",
            ),
            ATTACH_LIST,
            ATTACH_FILE,
        ],
        text: TextSpec::None,
        doc: "Runs a script on a worker; exit code 0 is success.",
    },
    files: listed_files,
    check: check_script,
};

pub const SHELL: ActionSpec = ActionSpec {
    element: ElementSpec {
        word: "shell",
        occurs: Occurs::One,
        attributes: &[],
        children: &[leaf(
            "command",
            Occurs::One,
            TextSpec::Required(TextContext::Shell),
            "One or more shell commands.",
        )],
        text: TextSpec::None,
        doc: "Runs shell commands on a worker; exit code 0 is success.",
    },
    files: no_files,
    check: no_more_rules,
};

pub const EXEC: ActionSpec = ActionSpec {
    element: ElementSpec {
        word: "exec",
        occurs: Occurs::One,
        attributes: &[required(
            "program",
            ValueShape::Text,
            TextContext::Authority,
            "The program: a path, or a name that is looked up in PATH.",
        )],
        children: &[leaf(
            "arg",
            Occurs::Many,
            TextSpec::Optional(TextContext::Argument),
            "One argument, passed as it is: blanks and quotes have no meaning.",
        )],
        text: TextSpec::None,
        doc: "Runs a program without a shell: values can never become code.",
    },
    files: no_files,
    check: no_more_rules,
};

pub const FILE_EXECUTOR: ActionSpec = ActionSpec {
    element: ElementSpec {
        word: "file-executor",
        occurs: Occurs::One,
        attributes: &[],
        children: &[
            leaf(
                "command",
                Occurs::One,
                TextSpec::Required(TextContext::Authority),
                "The command line, read by bash. Its one word with a \"/\" is the script: it is copied into the attempt's work directory as attached files are, and run there.",
            ),
            ATTACH_LIST,
            ATTACH_FILE,
        ],
        text: TextSpec::None,
        doc: "Copies a script and its attachments to a worker and runs it there.",
    },
    files: executor_files,
    check: check_file_executor,
};

/// What a script is called in its work directory.
const SCRIPT_FILE: &str = "script";

fn check_script(body: &BodyElement<Template>) -> Vec<BodyFault> {
    check_files(listed_files(body), &[SCRIPT_FILE])
}

fn executor_files(body: &BodyElement<Template>) -> Vec<NamedFile> {
    let command = body.children.iter().position(|child| child.word == "command");
    let script = command.and_then(|at| {
        let text = body.children[at].text.as_ref()?;
        let [word] = <[Word; 1]>::try_from(paths(&text.source)).ok()?;
        Some(NamedFile { at: vec![at], path: word.text })
    });
    script.into_iter().chain(listed_files(body)).collect()
}

fn check_file_executor(body: &BodyElement<Template>) -> Vec<BodyFault> {
    let Some((at, command)) = body.children.iter().enumerate().find(|(_, child)| child.word == "command") else {
        return Vec::new();
    };
    let text = command.text.as_ref().map_or("", |text| text.source.as_str());
    let n_paths = paths(text).len();
    if n_paths == 1 || text.trim().is_empty() || (n_paths == 0 && text.contains("${")) {
        return check_files(executor_files(body), &[]);
    }
    vec![fault(
        &[at],
        None,
        say!("the command has {} words with a \"/\", so the script to copy cannot be told", n_paths),
        Some(say!("write exactly one word with a \"/\", for example ./load.sh; use <exec> or <script> otherwise")),
    )]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(word: &str, text: &str, children: Vec<BodyElement<Template>>) -> BodyElement<Template> {
        let text = (!text.is_empty()).then(|| Template::constant(text));
        BodyElement { word: word.to_owned(), attributes: Vec::new(), children, text }
    }

    fn executor(command: &str, files: &[&str]) -> BodyElement<Template> {
        let list = element("attach-list", "", files.iter().map(|path| element("file", path, vec![])).collect());
        element("file-executor", "", vec![element("command", command, vec![]), list])
    }

    #[test]
    fn an_executor_names_its_script_and_what_it_lists() {
        let files = executor_files(&executor("sh bin/load.sh ${param:day}", &[" a.csv ", "/opt/b.csv"]));
        let places: Vec<(&[usize], &str)> = files.iter().map(|file| (&file.at[..], file.path.as_str())).collect();
        assert_eq!(places, [(&[0][..], "bin/load.sh"), (&[1, 0][..], "a.csv"), (&[1, 1][..], "/opt/b.csv")]);
    }

    #[test]
    fn files_that_would_have_one_name_are_told_at_the_second() {
        let faults = check_file_executor(&executor("sh bin/load.sh", &["x/a.csv", "lib/load.sh", "y/a.csv"]));
        let places: Vec<&[usize]> = faults.iter().map(|fault| &fault.path[..]).collect();
        assert_eq!(places, [&[1, 1][..], &[1, 2][..]]);
        assert!(check_file_executor(&executor("sh bin/load.sh", &["a/${param:x}", "b/${param:x}"])).is_empty());
        assert_eq!(check_file_executor(&executor("load.sh", &[])).len(), 1);
        assert!(check_file_executor(&executor("${param:script}", &[])).is_empty());
        let script = element("script", "", vec![element("attach-file", "lib/script", vec![])]);
        assert_eq!(check_script(&script).len(), 1);
    }
}
