//! Types that start a process: `script`, `shell`, `exec`, `file-executor`.

use super::*;
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
        ],
        text: TextSpec::None,
        doc: "Runs a script on a worker; exit code 0 is success.",
    },
    is_built: true,
    not_built: &[NotBuilt {
        word: ATTACH_LIST.word,
        hint: || say!("put the files on the workers, and name them in the script by their paths"),
    }],
    check: no_more_rules,
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
    is_built: true,
    not_built: &[],
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
    is_built: true,
    not_built: &[],
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
                "The command line; its one word with a \"/\" is the script that is copied to the worker.",
            ),
            ATTACH_LIST,
        ],
        text: TextSpec::None,
        doc: "Copies a script and its attachments to a worker and runs it there.",
    },
    is_built: false,
    not_built: &[],
    check: check_file_executor,
};

fn check_file_executor(body: &BodyElement<Template>) -> Vec<BodyFault> {
    let Some((at, command)) = body.children.iter().enumerate().find(|(_, child)| child.word == "command") else {
        return Vec::new();
    };
    let text = command.text.as_ref().map_or("", |text| text.source.as_str());
    let n_paths = text.split_whitespace().filter(|word| word.contains('/')).count();
    if n_paths == 1 || text.trim().is_empty() || text.contains("${") {
        return Vec::new();
    }
    vec![fault(
        &[at],
        None,
        say!("the command has {} words with a \"/\", so the script to copy cannot be told", n_paths),
        Some(say!("write exactly one word with a \"/\", for example ./load.sh; use <exec> or <script> otherwise")),
    )]
}
