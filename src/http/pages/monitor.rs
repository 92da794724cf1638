//! `/monitor/{workflow}/{node}`: how did this number go, and within which bounds?

use askama::Template;
use axum::extract::{Path, State};

use crate::api::page::PageRequest;
use crate::api::query::MeasurementFilter;
use crate::api::{MeasurementView, Query};
use crate::expect_reply;
use crate::http::guard::Caller;
use crate::http::state::App;

use super::format::url;
use super::markup::{Mark, Markup};
use super::{Frame, Page, look, measured, render, same_page};

/// Rows of one page, and marks of its chart.
const ROWS: u32 = 120;

#[derive(Template)]
#[template(path = "monitor.html")]
struct MonitorPage {
    f: Frame,
    workflow: String,
    node: String,
    /// State of the newest one, on the first page.
    badge: Option<Markup>,
    rows: Vec<(MeasurementView, Markup)>,
    chart: Markup,
    first_href: Option<String>,
    next_href: Option<String>,
}

/// What a measurement is, in colour, letter and word.
pub(super) fn mark(is_within: bool) -> Mark {
    match is_within {
        true => Mark { class: "succeeded", letter: 'I', en: "within bounds", zh: "正常", symbol: None },
        false => Mark { class: "failed", letter: 'O', en: "out of bounds", zh: "越界", symbol: None },
    }
}

pub async fn page(State(app): State<App>, caller: Caller, Path((workflow, node)): Path<(String, String)>) -> Page {
    let (since, until) = (caller.since()?, caller.until()?);
    let filter = MeasurementFilter { workflow: workflow.clone(), node: node.clone(), since, until };
    let page = PageRequest { limit: ROWS, cursor: caller.parameter("cursor").map(str::to_owned) };
    let is_first = page.cursor.is_none();
    let seen = look(&app, Query::Measurements { filter, page }).await?;
    let topics = format!("&workflow={}", url(&workflow));
    let f = Frame::new(&app, &caller, "monitor", node.clone(), &seen, &topics);
    let answer = seen.answer;
    let found = expect_reply!(answer, Measurements)?;
    let chart = measured::chart(&found.items, &f.clock, f.w);
    let badge = found.items.first().filter(|_| is_first).map(|newest| mark(newest.is_within).badge(f.lang));
    let rows = found.items.into_iter().map(|row| {
        let badge = mark(row.is_within).badge(f.lang);
        (row, badge)
    });
    let rows = rows.collect();
    let first_href = (!is_first).then(|| same_page(&caller, "cursor", ""));
    let next_href = found.next.map(|cursor| same_page(&caller, "cursor", &cursor));
    render(&MonitorPage { f, workflow, node, badge, rows, chart, first_href, next_href })
}
