//! `/monitor`: which number is out of its bounds?

use askama::Template;
use axum::extract::State;

use crate::api::page::PageRequest;
use crate::api::{MonitorView, Query};
use crate::expect_reply;
use crate::http::guard::Caller;
use crate::http::state::App;

use super::markup::Markup;
use super::{Frame, Page, look, measured, monitor, render, same_page};

/// Rows of one page: each has a drawing.
const ROWS: u32 = 50;

#[derive(Template)]
#[template(path = "monitors.html")]
struct MonitorsPage {
    f: Frame,
    rows: Vec<Row>,
    workflow: String,
    next_href: Option<String>,
    is_first: bool,
}

struct Row {
    view: MonitorView,
    badge: Option<Markup>,
    drawing: Markup,
}

pub async fn page(State(app): State<App>, caller: Caller) -> Page {
    let workflow = caller.owned("workflow");
    let page = PageRequest { limit: ROWS, cursor: caller.parameter("cursor").map(str::to_owned) };
    let is_first = page.cursor.is_none();
    let seen = look(&app, Query::Monitors { workflow: workflow.clone(), page }).await?;
    let title = caller.lang.words().monitor.to_owned();
    let f = Frame::new(&app, &caller, "monitor", title, &seen, "&topics=instance");
    let answer = seen.answer;
    let found = expect_reply!(answer, Monitors)?;
    let rows = found.items.into_iter().map(|view| Row {
        badge: view.recent.first().map(|newest| monitor::mark(newest.is_within).badge(f.lang)),
        drawing: measured::small(&view.recent, f.w),
        view,
    });
    let rows = rows.collect();
    let next_href = found.next.map(|cursor| same_page(&caller, "cursor", &cursor));
    render(&MonitorsPage { f, rows, workflow: workflow.unwrap_or_default(), next_href, is_first })
}
