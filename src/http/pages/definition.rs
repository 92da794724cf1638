//! `/w/{name}/versions/{version}`: the text of one version, with its graph.

use askama::Template;
use axum::extract::{Path, State};

use crate::api::Query;
use crate::api::view::DefinitionView;
use crate::expect_reply;
use crate::http::guard::Caller;
use crate::http::rest::workflows::version_number;
use crate::http::state::App;

use super::{Frame, Page, look, render};

#[derive(Template)]
#[template(path = "definition.html")]
struct DefinitionPage {
    f: Frame,
    view: DefinitionView,
    lines: Vec<(usize, String)>,
}

pub async fn page(State(app): State<App>, caller: Caller, Path((name, version)): Path<(String, String)>) -> Page {
    let query = Query::Version { name: name.clone(), version: version_number(&version)? };
    let seen = look(&app, query).await?;
    let mut f = Frame::new(&app, &caller, "workflows", format!("{name} {version}"), &seen, "");
    // A version never changes.
    f.events.clear();
    let answer = seen.answer;
    let view = *expect_reply!(answer, Version)?;
    let lines = view.text.lines().enumerate().map(|(at, line)| (at + 1, line.to_owned())).collect();
    render(&DefinitionPage { f, view, lines })
}
