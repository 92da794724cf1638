//! `/schedule`: what is still to fire today, and what does it wait for?

use askama::Template;
use axum::extract::State;

use crate::api::{Query, TodayView};
use crate::expect_reply;
use crate::http::guard::Caller;
use crate::http::state::App;

use super::{Frame, Page, look, render};

#[derive(Template)]
#[template(path = "schedule.html")]
struct SchedulePage {
    f: Frame,
    view: TodayView,
}

pub async fn page(State(app): State<App>, caller: Caller) -> Page {
    let seen = look(&app, Query::Today).await?;
    let title = caller.lang.words().today_plan.to_owned();
    let f = Frame::new(&app, &caller, "home", title, &seen, "&topics=workflow");
    let answer = seen.answer;
    let view = *expect_reply!(answer, Today)?;
    render(&SchedulePage { f, view })
}
