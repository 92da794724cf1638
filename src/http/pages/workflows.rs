//! `/workflows`: which one is unhealthy, which file does not load?

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};

use crate::api::page::PageRequest;
use crate::api::{FolderView, Query, Reply, WorkflowSummary};
use crate::expect_reply;
use crate::http::guard::Caller;
use crate::http::rest::workflows::filter;
use crate::http::state::App;
use crate::model::state::InstanceWord;

use super::markup::{self, Markup};
use super::{Frame, Page, charts, look, render, same_page};

/// Rows of one page.
const ROWS: u32 = 100;
/// So many folders are shown whole.
const FOLDERS_SHOWN: usize = 40;
/// Deeper ones are indented like this.
const DEPTH_MAX: usize = 6;

#[derive(Template)]
#[template(path = "workflows.html")]
struct WorkflowsPage {
    f: Frame,
    rows: Vec<Row>,
    folders: Vec<Folder>,
    dir: String,
    text: String,
    last_state: String,
    has_error: bool,
    is_filtered: bool,
    states: &'static [InstanceWord],
    legend: Vec<Markup>,
    next_href: Option<String>,
    is_first: bool,
}

struct Row {
    /// Its folder, where it differs from the row above.
    group: Option<String>,
    spark: Markup,
    view: WorkflowSummary,
}

struct Folder {
    view: FolderView,
    /// Last part of its path.
    name: String,
    depth: usize,
    is_current: bool,
    href: String,
}

pub async fn page(State(app): State<App>, caller: Caller) -> Page {
    // The search of every page: a number is an instance.
    let number = caller.parameter("text").and_then(|text| text.trim().strip_prefix('#'));
    if let Some(number) = number.and_then(|number| number.parse::<u64>().ok()) {
        return Ok(Redirect::to(&format!("/i/{number}")).into_response());
    }
    let wanted = filter(&caller)?;
    let page =
        PageRequest { limit: ROWS.min(caller.page_rows_max), cursor: caller.parameter("cursor").map(str::to_owned) };
    let is_first = page.cursor.is_none();
    let dir = wanted.dir.clone().map(|dir| dir.trim_end_matches('/').to_owned()).unwrap_or_default();
    let text = wanted.text.clone().unwrap_or_default();
    let last_state = wanted.last_state.map(|state| state.word().to_owned()).unwrap_or_default();
    let has_error = wanted.has_error == Some(true);
    let is_filtered = wanted != Default::default();
    let seen = look(&app, Query::Workflows { filter: wanted, page }).await?;
    let f = Frame::new(&app, &caller, "workflows", caller.lang.words().workflows.to_owned(), &seen, "");
    let answer = seen.answer;
    let mut found = expect_reply!(answer, Workflows)?;
    found.items.sort_by(|a, b| a.dir.cmp(&b.dir).then(a.name.cmp(&b.name)));
    let folders = match app.look(Query::Folders).await.map(|seen| seen.answer.reply) {
        Ok(Reply::Folders(view)) => tree(view.folders, &dir, &caller),
        // The table is what the page is for.
        _ => Vec::new(),
    };
    let mut last_dir: Option<String> = None;
    let mut rows = Vec::with_capacity(found.items.len());
    for view in found.items {
        let group = (last_dir.as_ref() != Some(&view.dir)).then(|| view.dir.clone());
        last_dir = Some(view.dir.clone());
        rows.push(Row { group, spark: charts::sparkline(&view.history, f.lang), view });
    }
    let legend = InstanceWord::ALL.iter().map(|state| markup::instance(*state).badge(f.lang)).collect();
    let next_href = found.next.map(|cursor| same_page(&caller, "cursor", &cursor));
    let states = InstanceWord::ALL;
    render(&WorkflowsPage {
        f,
        rows,
        folders,
        dir,
        text,
        last_state,
        has_error,
        is_filtered,
        states,
        legend,
        next_href,
        is_first,
    })
}

/// The part of the tree around a folder: with few folders all of it, else what leads there and what lies beside that.
fn tree(folders: Vec<FolderView>, current: &str, caller: &Caller) -> Vec<Folder> {
    let is_few = folders.len() <= FOLDERS_SHOWN;
    let is_open = |dir: &str| dir == "/" || is_within(current, dir);
    let shown = folders.into_iter().filter(|folder| folder.dir != "/");
    let shown = shown.filter(|folder| is_few || is_open(parent(&folder.dir)));
    shown
        .map(|view| Folder {
            name: view.dir.rsplit('/').next().unwrap_or_default().to_owned(),
            depth: (view.dir.matches('/').count()).min(DEPTH_MAX),
            is_current: view.dir == current,
            href: same_page(caller, "dir", &view.dir),
            view,
        })
        .collect()
}

fn parent(dir: &str) -> &str {
    match dir.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}

fn is_within(dir: &str, folder: &str) -> bool {
    dir.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_lie_in_their_parents() {
        assert_eq!(["/", "/dw", "/dw/orders"].map(parent), ["/", "/", "/dw"]);
        assert!(is_within("/dw/orders", "/dw") && is_within("/dw", "/dw") && !is_within("/dwx", "/dw"));
    }
}
