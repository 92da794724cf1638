//! `/load-errors/{id}`: what is wrong where, and does production still run?

use askama::Template;
use axum::extract::{Path, State};

use crate::api::view::DiagnosticView;
use crate::api::{LoadErrorView, Query};
use crate::expect_reply;
use crate::http::guard::Caller;
use crate::http::state::App;

use super::format::columns;
use super::markup::{self, Markup};
use super::{Frame, Page, look, render};

#[derive(Template)]
#[template(path = "load_error.html")]
struct LoadErrorPage {
    f: Frame,
    chip: Markup,
    cards: Vec<FaultCard>,
    n_errors: usize,
    file_name: String,
    view: LoadErrorView,
}

struct FaultCard {
    fault: DiagnosticView,
    is_error: bool,
    lines: Vec<Source>,
    /// Blanks up to the caret, as wide as what stands before it.
    pad: String,
    note: String,
    bad_line: String,
}

struct Source {
    n: u32,
    is_bad: bool,
    before: String,
    bad: String,
    after: String,
}

pub async fn page(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Page {
    let seen = look(&app, Query::LoadError { id }).await?;
    let w = caller.lang.words();
    let f = Frame::new(&app, &caller, "workflows", w.definition_error.to_owned(), &seen, "&topics=workflow");
    let answer = seen.answer;
    let view = *expect_reply!(answer, LoadError)?;
    let file_name = view.path.rsplit('/').next().unwrap_or(&view.path).to_owned();
    let n_errors = view.diagnostics.iter().filter(|fault| fault.severity == "error").count();
    let cards = view.diagnostics.iter().map(|fault| card(fault, &f)).collect();
    let chip = markup::ERROR.chip(f.lang);
    render(&LoadErrorPage { f, chip, cards, n_errors, file_name, view })
}

fn card(fault: &DiagnosticView, f: &Frame) -> FaultCard {
    let lines: Vec<Source> = fault
        .source
        .iter()
        .map(|line| {
            let is_bad = line.n == fault.line;
            let (before, bad, after) =
                if is_bad { split(&line.text, fault) } else { (line.text.clone(), String::new(), String::new()) };
            Source { n: line.n, is_bad, before, bad, after }
        })
        .collect();
    let bad = lines.iter().find(|line| line.is_bad);
    let pad = bad.map(|line| " ".repeat(columns(&line.before))).unwrap_or_default();
    let place = f.fill2(f.w.line_column, &fault.line, &fault.column);
    let note = match &fault.label {
        Some(label) => format!("{place}{}{}", f.lang.of(": ", "："), f.say(label)),
        None => place,
    };
    let bad_line = fault.source.iter().find(|line| line.n == fault.line).map(|line| line.text.trim().to_owned());
    FaultCard {
        is_error: fault.severity == "error",
        lines,
        pad,
        note,
        bad_line: bad_line.unwrap_or_default(),
        fault: fault.clone(),
    }
}

/// The faulty line in three: before, the fault, after. Columns count characters and may lie.
fn split(text: &str, fault: &DiagnosticView) -> (String, String, String) {
    let characters: Vec<char> = text.chars().collect();
    let from = (fault.column.max(1) as usize - 1).min(characters.len());
    let to = if fault.end_line == fault.line { fault.end_column.max(1) as usize - 1 } else { characters.len() };
    let to = to.clamp(from, characters.len()).max((from + 1).min(characters.len()));
    let part = |range: &[char]| range.iter().collect::<String>();
    (part(&characters[..from]), part(&characters[from..to]), part(&characters[to..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(column: u32, end_column: u32) -> DiagnosticView {
        DiagnosticView {
            severity: "error".to_owned(),
            code: "RF-W0201".to_owned(),
            message: crate::model::message::Message::default(),
            path: String::new(),
            line: 1,
            column,
            end_line: 1,
            end_column,
            label: None,
            hint: None,
            related: Vec::new(),
            source: Vec::new(),
            suggestion: None,
        }
    }

    #[test]
    fn the_fault_is_cut_out_by_characters_and_never_out_of_bounds() {
        let text = "<ok to=\"写入分区\"/>";
        assert_eq!(split(text, &fault(9, 13)).1, "写入分区");
        assert_eq!(split(text, &fault(9, 9)).1, "写");
        for (from, to) in [(0, 0), (1, 999), (999, 1000), (5, 2)] {
            let (before, bad, after) = split(text, &fault(from, to));
            assert_eq!(format!("{before}{bad}{after}"), text);
        }
        assert_eq!(split("", &fault(1, 2)), Default::default());
    }
}
