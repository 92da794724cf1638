//! Types that work on databases: `sql`, `data-monitor`, `metadata`.

use super::*;
use crate::model::decimal::Decimal;
use crate::say;

pub(super) const DB_LINK: &str = "Name of a database link of conf/db_links.xml.";

pub const SQL: ActionSpec = ActionSpec {
    element: ElementSpec {
        word: "sql",
        occurs: Occurs::One,
        attributes: &[required("db-link", ValueShape::Text, TextContext::Authority, DB_LINK)],
        children: &[],
        text: TextSpec::Required(TextContext::Sql),
        doc: "Runs SQL statements, separated by \";\", in one transaction; outputs are rows and first.COLUMN (first.N where the Nth column has no such name).",
    },
    files: no_files,
    check: no_more_rules,
};

pub const DATA_MONITOR: ActionSpec = ActionSpec {
    element: ElementSpec {
        word: "data-monitor",
        occurs: Occurs::One,
        attributes: &[
            attribute("pause", ValueShape::Duration, Some("10s"), TextContext::Plain, "Between the two looks."),
            attribute(
                "double-check",
                ValueShape::Choice(&["always", "outside"]),
                Some("always"),
                TextContext::Plain,
                "When there is a second look, which decides: always, and then both must find the same, for a number that moves may just be loading; outside, only when the first one finds the number out of bounds.",
            ),
        ],
        children: &[
            number_source("source", Occurs::One, "The number that is looked at."),
            number_source("min", Occurs::Optional, "Its lower bound, inclusive."),
            number_source("max", Occurs::Optional, "Its upper bound, inclusive."),
            leaf(
                "warn-msg",
                Occurs::Optional,
                TextSpec::Optional(TextContext::Plain),
                "Begins the message when it is out of bounds.",
            ),
        ],
        text: TextSpec::None,
        doc: "Fails when a number is outside its bounds, or moves between two looks. What it found is kept as history, with a chart on the page Data monitor; outputs are value, min and max, also when it fails.",
    },
    files: no_files,
    check: check_data_monitor,
};

const NUMBER_SOURCE: &[AttributeSpec] = &[
    required(
        "type",
        ValueShape::Choice(&["SQL", "COMMAND", "NUM"]),
        TextContext::Authority,
        "How the text gives the number: SQL, the first value of a query; COMMAND, what a script writes to stdout; NUM, itself.",
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
            Some("NUM") if !text.contains("${") && !text.is_empty() && Decimal::parse(text).is_none() => faults.push(
                fault(&[at], None, say!("<{}> of type NUM must hold a number, not \"{}\"", child.word, text), None),
            ),
            _ => {}
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
                "Tables of the same link whose column comments are taken over by name; later ones win.",
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
            leaf(
                "table-comment",
                Occurs::Optional,
                TextSpec::Optional(TextContext::Plain),
                "Comment of the table; without it the table keeps its own.",
            ),
        ],
        text: TextSpec::None,
        doc: "Sets the comments of a table and its columns, and nothing else of them; every column must have one then. The output is columns.",
    },
    files: no_files,
    check: no_more_rules,
};
