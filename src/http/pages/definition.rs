//! `/w/{name}/versions/{version}`: the text of one version, with its graph.

use askama::Template;
use axum::extract::{Path, State};

use crate::api::query::TextPart;
use crate::api::view::DefinitionView;
use crate::api::{NodeWindow, Query};
use crate::expect_reply;
use crate::http::guard::Caller;
use crate::http::rest::workflows::version_number;
use crate::http::state::App;

use super::words::fill;
use super::{Frame, Page, look, render, same_page};

#[derive(Template)]
#[template(path = "definition.html")]
struct DefinitionPage {
    f: Frame,
    view: DefinitionView,
    lines: Vec<(usize, String)>,
    /// Only a part of the text is on the page.
    part: Option<Part>,
}

struct Part {
    note: String,
    first: Option<String>,
    next: Option<String>,
}

/// Bytes of the text on one page.
const TEXT_BYTES: u32 = 128 * 1024;

pub async fn page(State(app): State<App>, caller: Caller, Path((name, version)): Path<(String, String)>) -> Page {
    let text = TextPart { from: caller.number("from")?.unwrap_or(0), bytes: TEXT_BYTES };
    let nodes = NodeWindow { limit: 1, ..NodeWindow::default() };
    let query = Query::Version { name: name.clone(), version: version_number(&version)?, text, nodes };
    let seen = look(&app, query).await?;
    let mut f = Frame::new(&app, &caller, "workflows", format!("{name} v{version}"), &seen, "");
    // A version never changes.
    f.events.clear();
    let answer = seen.answer;
    let view = *expect_reply!(answer, Version)?;
    let first = view.line.max(1) as usize;
    let lines = view.text.lines().enumerate().map(|(at, line)| (first + at, line.to_owned())).collect();
    let part = (text.from > 0 || view.text_next.is_some()).then(|| Part {
        note: fill(f.w.source_part, &[&text.from, &view.text_next.unwrap_or(view.text_bytes), &view.text_bytes]),
        first: (text.from > 0).then(|| same_page(&caller, "from", "")),
        next: view.text_next.map(|next| same_page(&caller, "from", &next.to_string())),
    });
    render(&DefinitionPage { f, view, lines, part })
}
