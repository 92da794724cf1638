//! Data monitors and what they measured.

use axum::extract::{Path, State};

use crate::api::Query;
use crate::api::query::MeasurementFilter;
use crate::expect_reply;
use crate::http::guard::Caller;
use crate::http::state::App;

use super::{Answered, Meta, ask, view};

pub async fn list(State(app): State<App>, caller: Caller) -> Answered {
    caller.only(&["workflow", "limit", "cursor"])?;
    let query = Query::Monitors { workflow: caller.owned("workflow"), page: caller.page()? };
    let answer = ask(&app, &caller, query).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, Monitors)?)
}

pub async fn measurements(
    State(app): State<App>,
    caller: Caller,
    Path((workflow, node)): Path<(String, String)>,
) -> Answered {
    caller.only(&["since", "until", "limit", "cursor"])?;
    let (since, until) = (caller.since()?, caller.until()?);
    let filter = MeasurementFilter { workflow, node, since, until };
    let answer = ask(&app, &caller, Query::Measurements { filter, page: caller.page()? }).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, Measurements)?)
}
