//! The list of words in docs/xml.md, made from the tables that the reader uses.

use std::fmt::Write;

use super::grammar;
use crate::model::action::{ActionSpec, AttributeSpec, ElementSpec, Occurs, TextSpec, ValueShape};

/// Markdown: one section for each element, each attribute in a table.
pub fn words(specs: &[&ActionSpec]) -> String {
    let mut out = String::new();
    section(&mut out, &grammar::WORKFLOW, "");
    for spec in specs {
        section(&mut out, &spec.element, "action");
    }
    format!("{}\n", out.trim_end())
}

fn section(out: &mut String, spec: &ElementSpec, within: &str) {
    // Writing to a String cannot fail.
    let _ = match within {
        "" => writeln!(out, "### `<{}>`\n", spec.word),
        within => writeln!(out, "### `<{}>` in `<{within}>`\n", spec.word),
    };
    let _ = writeln!(out, "{}{}\n", spec.doc, text_note(spec));
    if !spec.attributes.is_empty() {
        out.push_str("| attribute | value | default | |\n|---|---|---|---|\n");
        for attribute in spec.attributes {
            row(out, attribute);
        }
        out.push('\n');
    }
    if !spec.children.is_empty() {
        let children: Vec<String> = spec.children.iter().map(child).collect();
        let _ = writeln!(out, "Inside: {}.\n", children.join(", "));
    }
    for child in spec.children {
        let is_plain = child.attributes.is_empty() && child.children.is_empty();
        if is_plain {
            let _ = writeln!(out, "- `<{}>` in `<{}>`: {}{}\n", child.word, spec.word, child.doc, text_note(child));
        } else {
            section(out, child, spec.word);
        }
    }
}

fn row(out: &mut String, spec: &AttributeSpec) {
    let required = if spec.is_required { "*" } else { "" };
    let default = spec.default.map(|text| format!("`{}`", text.replace('\t', "\\t"))).unwrap_or_default();
    let doc = spec.doc.replace('|', "\\|");
    let _ = writeln!(out, "| `{}`{required} | {} | {default} | {doc} |", spec.word, shape(spec.shape));
}

fn child(spec: &ElementSpec) -> String {
    let times = match spec.occurs {
        Occurs::One => " (once)",
        Occurs::Optional => " (at most once)",
        Occurs::Many => "",
        Occurs::OneOrMore => " (at least once)",
    };
    format!("`<{}>`{times}", spec.word)
}

fn text_note(spec: &ElementSpec) -> &'static str {
    match spec.text {
        TextSpec::None => "",
        TextSpec::Optional(_) => " Text, may be blank.",
        TextSpec::Required(_) => " Text.",
        TextSpec::Markup(_) => " Text or markup.",
    }
}

fn shape(shape: ValueShape) -> String {
    match shape {
        ValueShape::Text | ValueShape::AnyText => "text".to_owned(),
        ValueShape::Name => "name".to_owned(),
        ValueShape::Bool | ValueShape::BlankBool => "true, false".to_owned(),
        ValueShape::Integer { min } if min < 0 => "integer".to_owned(),
        ValueShape::Integer { min } => format!("integer ≥ {min}"),
        ValueShape::Tenths { min, max } => format!("{} to {}", f64::from(min) / 10.0, f64::from(max) / 10.0),
        ValueShape::Percent { max } => format!("0% to {max}%"),
        ValueShape::Duration => "duration".to_owned(),
        ValueShape::OptionalDuration => "duration or -1".to_owned(),
        ValueShape::Size => "size".to_owned(),
        ValueShape::List | ValueShape::BlankList => "list".to_owned(),
        ValueShape::Choice(words) => words.join(", "),
        ValueShape::Choices { words, .. } => format!("list of {}", words.join(", ")),
        ValueShape::DateTime => "`yyyy-MM-dd HH:mm:ss`".to_owned(),
        ValueShape::Zone => "time zone".to_owned(),
        ValueShape::Shift => "shift".to_owned(),
        ValueShape::Cron => "cron".to_owned(),
        ValueShape::Seconds => "list of 0 to 59, or `*/n`".to_owned(),
        ValueShape::ExitCodes => "list of codes and ranges".to_owned(),
        ValueShape::Regex => "regular expression".to_owned(),
    }
}
