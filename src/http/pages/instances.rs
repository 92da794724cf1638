//! `/instances`: the history, newest first.

use askama::Template;
use axum::extract::State;

use crate::api::page::PageRequest;
use crate::api::{InstanceSummary, Query};
use crate::expect_reply;
use crate::http::guard::Caller;
use crate::http::rest::instances::filter;
use crate::http::state::App;
use crate::model::schedule::parse_date;
use crate::model::state::InstanceWord;

use super::markup::Markup;
use super::{Frame, Page, charts, look, render, same_page};

#[derive(Template)]
#[template(path = "instances.html")]
struct InstancesPage {
    f: Frame,
    rows: Vec<(InstanceSummary, Markup)>,
    text: String,
    workflow: String,
    creator: String,
    /// As they were given: a date, or a time from a link.
    since: Day,
    until: Day,
    state: String,
    states: &'static [InstanceWord],
    is_filtered: bool,
    next_href: Option<String>,
    is_first: bool,
}

/// One end of the span of time that is searched.
struct Day {
    text: String,
    /// The browser's own field for a date cannot hold a time.
    is_date: bool,
}

impl Day {
    fn of(caller: &Caller, name: &str) -> Self {
        let text = caller.parameter(name).unwrap_or_default().to_owned();
        Self { is_date: text.is_empty() || parse_date(&text).is_ok(), text }
    }
}

pub async fn page(State(app): State<App>, caller: Caller) -> Page {
    let wanted = filter(&caller)?;
    let is_filtered = wanted != Default::default();
    let page = PageRequest { limit: caller.page_rows, cursor: caller.parameter("cursor").map(str::to_owned) };
    let is_first = page.cursor.is_none();
    let (text, workflow) = (wanted.text.clone().unwrap_or_default(), wanted.workflow.clone().unwrap_or_default());
    let creator = wanted.creator.clone().unwrap_or_default();
    let (since, until) = (Day::of(&caller, "since"), Day::of(&caller, "until"));
    let state = caller.parameter("state").unwrap_or_default().to_owned();
    let seen = look(&app, Query::Instances { filter: wanted, page }).await?;
    let f = Frame::new(&app, &caller, "instances", caller.lang.words().instances.to_owned(), &seen, "&topics=instance");
    let answer = seen.answer;
    let found = expect_reply!(answer, Instances)?;
    let rows = found.items.into_iter().map(|row| {
        let bar = charts::progress(&row.progress, row.nodes_total, None, f.w, f.lang);
        (row, bar)
    });
    let rows = rows.collect();
    let next_href = found.next.map(|cursor| same_page(&caller, "cursor", &cursor));
    let states = InstanceWord::ALL;
    render(&InstancesPage {
        f,
        rows,
        text,
        workflow,
        creator,
        since,
        until,
        state,
        states,
        is_filtered,
        next_href,
        is_first,
    })
}
