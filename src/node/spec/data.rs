//! Types that work on databases: `sql`, `transfer`, `data-monitor`, `metadata`.

use super::*;
use crate::say;

const DB_LINK: &str = "Name of a database link of conf/db_links.xml.";
const FILE_LINK: &str = "Name of a file link of conf/file_links.xml.";

pub const SQL: ActionSpec = ActionSpec {
    element: ElementSpec {
        word: "sql",
        occurs: Occurs::One,
        attributes: &[required("db-link", ValueShape::Text, TextContext::Authority, DB_LINK)],
        children: &[],
        text: TextSpec::Required(TextContext::Sql),
        doc: "Runs SQL statements, separated by \";\", in one transaction; outputs are rows and first.COLUMN.",
    },
    is_built: true,
    not_built: &[],
    check: no_more_rules,
};

pub const DATA_MONITOR: ActionSpec = ActionSpec {
    element: ElementSpec {
        word: "data-monitor",
        occurs: Occurs::One,
        attributes: &[],
        children: &[
            number_source("source", Occurs::One, "The number that is looked at."),
            number_source("min", Occurs::Optional, "Its lower bound, inclusive."),
            number_source("max", Occurs::Optional, "Its upper bound, inclusive."),
            leaf(
                "warn-msg",
                Occurs::Optional,
                TextSpec::Optional(TextContext::Plain),
                "Text of the message when it is out of bounds.",
            ),
        ],
        text: TextSpec::None,
        doc: "Fails when a number is outside its bounds.",
    },
    is_built: false,
    not_built: &[],
    check: check_data_monitor,
};

const NUMBER_SOURCE: &[AttributeSpec] = &[
    required(
        "type",
        ValueShape::Choice(&["SQL", "COMMAND", "NUM"]),
        TextContext::Authority,
        "How the text gives the number: a query, a command's output, or itself.",
    ),
    attribute("db-link", ValueShape::Text, None, TextContext::Authority, DB_LINK),
];

const fn number_source(word: &'static str, occurs: Occurs, doc: &'static str) -> ElementSpec {
    let text = TextSpec::Required(TextContext::Sql);
    ElementSpec { word, occurs, attributes: NUMBER_SOURCE, children: &[], text, doc }
}

fn check_data_monitor(body: &BodyElement<Template>) -> Vec<BodyFault> {
    let mut faults = Vec::new();
    for (at, child) in body.children.iter().enumerate() {
        let text = child.text.as_ref().map_or("", |text| text.source.as_str()).trim();
        match constant(child, "type") {
            Some("SQL") if is_blank(child, "db-link") => faults.push(fault(
                &[at],
                Some("db-link"),
                say!("<{}> of type SQL needs the attribute db-link", child.word),
                None,
            )),
            Some("NUM") if !text.contains("${") && !text.is_empty() && text.parse::<f64>().is_err() => faults.push(
                fault(&[at], None, say!("<{}> of type NUM must hold a number, not \"{}\"", child.word, text), None),
            ),
            _ => {}
        }
    }
    faults
}

pub const TRANSFER: ActionSpec = ActionSpec {
    element: ElementSpec {
        word: "transfer",
        occurs: Occurs::One,
        attributes: &[],
        children: &[
            ElementSpec {
                word: "source",
                occurs: Occurs::Many,
                attributes: &[
                    TRANSFER_TYPE,
                    attribute("db-link", ValueShape::Text, None, TextContext::Authority, DB_LINK),
                    attribute("file-link", ValueShape::Text, Some("local"), TextContext::Authority, FILE_LINK),
                    attribute(
                        "delimited",
                        ValueShape::Text,
                        Some("\t"),
                        TextContext::Plain,
                        "Between the columns of a file.",
                    ),
                ],
                children: &[],
                text: TextSpec::Required(TextContext::Sql),
                doc: "A table, a query or the path of a file.",
            },
            ElementSpec {
                word: "target",
                occurs: Occurs::Many,
                attributes: &[
                    TRANSFER_TYPE,
                    attribute("db-link", ValueShape::Text, None, TextContext::Authority, DB_LINK),
                    attribute("table", ValueShape::Text, None, TextContext::Authority, "The table that is written."),
                    attribute(
                        "is-pre-truncate",
                        ValueShape::Bool,
                        Some("false"),
                        TextContext::Plain,
                        "Empty the table first.",
                    ),
                    attribute(
                        "task-num",
                        ValueShape::Integer { min: 1 },
                        Some("2"),
                        TextContext::Plain,
                        "Writers at a time.",
                    ),
                    attribute("path", ValueShape::Text, None, TextContext::Authority, "The file that is written."),
                    attribute("file-link", ValueShape::Text, Some("local"), TextContext::Authority, FILE_LINK),
                    attribute(
                        "delimited",
                        ValueShape::Text,
                        Some("\t"),
                        TextContext::Plain,
                        "Between the columns of a file.",
                    ),
                    attribute(
                        "is-pre-del",
                        ValueShape::Bool,
                        Some("false"),
                        TextContext::Plain,
                        "Delete the file first.",
                    ),
                ],
                children: &[
                    leaf(
                        "pre",
                        Occurs::Optional,
                        TextSpec::Optional(TextContext::Sql),
                        "Runs before: SQL for a table, shell for a file.",
                    ),
                    leaf(
                        "after",
                        Occurs::Optional,
                        TextSpec::Optional(TextContext::Sql),
                        "Runs after: SQL for a table, shell for a file.",
                    ),
                ],
                text: TextSpec::None,
                doc: "Where the rows go.",
            },
            leaf(
                "script",
                Occurs::Optional,
                TextSpec::Required(TextContext::Shell),
                "A script that does the transfer; source and target are ignored then.",
            ),
        ],
        text: TextSpec::None,
        doc: "Copies rows between databases and delimited files.",
    },
    is_built: false,
    not_built: &[],
    check: check_transfer,
};

/// Read without regard to case, as akkaflow does: a table's `Choice` is exact.
const TRANSFER_TYPE: AttributeSpec =
    required("type", ValueShape::Text, TextContext::Authority, "DB or FILE, in any case.");

fn check_transfer(body: &BodyElement<Template>) -> Vec<BodyFault> {
    if body.child("script").is_some() {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for word in ["source", "target"] {
        let n = body.children(word).count();
        if n != 1 {
            faults.push(fault(&[], None, say!("<transfer> needs exactly one <{}>, it has {}", word, n), None));
        }
    }
    for (at, child) in body.children.iter().enumerate() {
        let Some(kind) = constant(child, "type") else { continue };
        let needed: &[&str] = match (child.word.as_str(), kind.to_ascii_uppercase().as_str()) {
            ("source", "DB") => &["db-link"],
            ("target", "DB") => &["db-link", "table"],
            ("target", "FILE") => &["path"],
            ("source", "FILE") => &[],
            _ => {
                let message = say!("type must be DB or FILE, not \"{}\"", kind);
                faults.push(fault(&[at], Some("type"), message, None));
                &[]
            }
        };
        for word in needed.iter().filter(|word| is_blank(child, word)) {
            let message = say!("<{}> of type {} needs the attribute {}", child.word, kind, word);
            faults.push(fault(&[at], Some(word), message, None));
        }
    }
    faults
}

pub const METADATA: ActionSpec = ActionSpec {
    element: ElementSpec {
        word: "metadata",
        occurs: Occurs::One,
        attributes: &[
            required("table", ValueShape::Text, TextContext::Authority, "The table that gets comments."),
            required("db-link", ValueShape::Text, TextContext::Authority, DB_LINK),
            attribute(
                "from",
                ValueShape::List,
                None,
                TextContext::Authority,
                "Tables whose column comments are taken over.",
            ),
        ],
        children: &[
            ElementSpec {
                word: "column-comment",
                occurs: Occurs::Many,
                attributes: &[required("name", ValueShape::Text, TextContext::Plain, "The column.")],
                children: &[],
                text: TextSpec::Optional(TextContext::Plain),
                doc: "Comment of one column.",
            },
            leaf("table-comment", Occurs::Optional, TextSpec::Optional(TextContext::Plain), "Comment of the table."),
        ],
        text: TextSpec::None,
        doc: "Sets the comments of a table and its columns.",
    },
    is_built: false,
    not_built: &[],
    check: no_more_rules,
};
