//! `transfer`: rows between databases and files.

use super::data::DB_LINK;
use super::*;
use crate::say;

const FILE_LINK: AttributeSpec = attribute(
    "file-link",
    ValueShape::Text,
    Some("local"),
    TextContext::Authority,
    "Name of a file link of conf/file_links.xml: this host, or SFTP, S3, HDFS.",
);

const DB: AttributeSpec = attribute("db-link", ValueShape::Text, None, TextContext::Authority, DB_LINK);

const DELIMITED: AttributeSpec = attribute(
    "delimited",
    ValueShape::Text,
    Some("\t"),
    TextContext::Plain,
    "Between the columns of a file, as it stands; \\t, \\001 and \\x01 for what cannot be written, \\\\ for a backslash.",
);

const QUOTE: AttributeSpec = attribute(
    "quote",
    ValueShape::AnyText,
    Some("\""),
    TextContext::Plain,
    "Around fields of a file that hold a delimiter, a line break, a quote or the word for NULL; blank: quotes are plain characters.",
);

const NULL: AttributeSpec = attribute(
    "null",
    ValueShape::AnyText,
    Some("null"),
    TextContext::Plain,
    "What stands for NULL in a file, without quotes. The default is read in any case; an empty field is NULL where the column can hold no empty text.",
);

const HEADER: AttributeSpec = attribute(
    "header",
    ValueShape::Bool,
    Some("false"),
    TextContext::Plain,
    "The first row of a file holds the names of the columns.",
);

const ENCODING: AttributeSpec =
    attribute("encoding", ValueShape::Text, Some("utf-8"), TextContext::Plain, "Of a file: utf-8, gbk, gb18030, ….");

pub const TRANSFER: ActionSpec = ActionSpec {
    element: ElementSpec {
        word: "transfer",
        occurs: Occurs::One,
        attributes: &[attribute(
            "max-rejects",
            ValueShape::Integer { min: 0 },
            Some("0"),
            TextContext::Plain,
            "Rows that may be left out because they are malformed or the target refuses them; the first ones are told.",
        )],
        children: &[
            ElementSpec {
                word: "source",
                occurs: Occurs::Many,
                attributes: &[TRANSFER_TYPE, DB, FILE_LINK, DELIMITED, QUOTE, NULL, HEADER, ENCODING],
                children: &[],
                text: TextSpec::Required(TextContext::Sql),
                doc: "A table, a query or the absolute path of a file.",
            },
            ElementSpec {
                word: "target",
                occurs: Occurs::Many,
                attributes: &[
                    TRANSFER_TYPE,
                    DB,
                    attribute(
                        "table",
                        ValueShape::Text,
                        None,
                        TextContext::Authority,
                        "The table that is written; a missing one is made.",
                    ),
                    attribute(
                        "is-pre-truncate",
                        ValueShape::Bool,
                        Some("false"),
                        TextContext::Plain,
                        "Empty the table first, in the same transaction.",
                    ),
                    attribute(
                        "atomic",
                        ValueShape::Bool,
                        Some("true"),
                        TextContext::Plain,
                        "All in one transaction, by one writer. false: task-num writers that commit as they go, after emptying and pre are committed.",
                    ),
                    attribute(
                        "task-num",
                        ValueShape::Integer { min: 1 },
                        Some("2"),
                        TextContext::Plain,
                        "Writers at a time into a table of a server, with atomic=\"false\".",
                    ),
                    attribute(
                        "path",
                        ValueShape::Text,
                        None,
                        TextContext::Authority,
                        "Absolute path of the file that is written; it is there whole or not at all.",
                    ),
                    FILE_LINK,
                    DELIMITED,
                    QUOTE,
                    NULL,
                    HEADER,
                    ENCODING,
                    attribute(
                        "is-pre-del",
                        ValueShape::Bool,
                        Some("false"),
                        TextContext::Plain,
                        "Delete the file first, so that a transfer that fails leaves none.",
                    ),
                ],
                children: &[
                    leaf(
                        "pre",
                        Occurs::Optional,
                        TextSpec::Optional(TextContext::Sql),
                        "Runs before: SQL for a table, bash on the worker's host for a file.",
                    ),
                    leaf(
                        "after",
                        Occurs::Optional,
                        TextSpec::Optional(TextContext::Sql),
                        "Runs after: SQL for a table, in the same transaction; bash on the worker's host for a file, when it is in its place.",
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
        doc: "Copies rows between databases and delimited files; outputs are read, written, rejected and bytes.",
    },
    files: no_files,
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
