//! Status, cluster, workers, schedule and load errors.

use axum::extract::{Path, State};
use axum::http::HeaderMap;

use crate::api::change::{DrainRequest, SwitchOverRequest};
use crate::api::{Change, Query};
use crate::expect_reply;
use crate::http::guard::{Caller, CheckedBody};
use crate::http::state::App;

use super::{Answered, Meta, ask, body, change, changed, split_verb, unknown_verb, view};

pub async fn status(State(app): State<App>, caller: Caller) -> Answered {
    caller.only(&[])?;
    let answer = ask(&app, &caller, Query::Status).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, Status)?)
}

pub async fn cluster(State(app): State<App>, caller: Caller) -> Answered {
    caller.only(&[])?;
    let answer = ask(&app, &caller, Query::Cluster).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, Cluster)?)
}

pub async fn workers(State(app): State<App>, caller: Caller) -> Answered {
    caller.only(&[])?;
    let answer = ask(&app, &caller, Query::Workers).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, Workers)?)
}

/// What fires next, of all workflows.
pub async fn schedule(State(app): State<App>, caller: Caller) -> Answered {
    caller.only(&["limit"])?;
    let limit = caller.limit(50, 500)?;
    let answer = ask(&app, &caller, Query::NextFires { name: None, limit }).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, NextFires)?)
}

/// What is still to fire today.
pub async fn today(State(app): State<App>, caller: Caller) -> Answered {
    caller.only(&[])?;
    let answer = ask(&app, &caller, Query::Today).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, Today)?)
}

pub async fn load_errors(State(app): State<App>, caller: Caller) -> Answered {
    caller.only(&["warnings", "limit", "cursor"])?;
    let page = caller.page()?;
    let warnings = caller.flag("warnings")?.unwrap_or(false);
    let answer = ask(&app, &caller, Query::LoadErrors { page, warnings }).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, LoadErrors)?)
}

pub async fn load_error(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Answered {
    caller.only(&[])?;
    let answer = ask(&app, &caller, Query::LoadError { id }).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, LoadError)?)
}

pub async fn switch_over(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    CheckedBody(bytes): CheckedBody,
) -> Answered {
    caller.only(&["reason"])?;
    let request = body::<SwitchOverRequest>(&bytes)?;
    changed(&change(&app, &caller, &headers, Change::SwitchOver { request }).await?)
}

pub async fn finalize_upgrade(State(app): State<App>, caller: Caller, headers: HeaderMap) -> Answered {
    caller.only(&["reason"])?;
    changed(&change(&app, &caller, &headers, Change::FinalizeUpgrade).await?)
}

pub async fn act_on_member(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Path(target): Path<String>,
) -> Answered {
    caller.only(&["reason"])?;
    let (node, verb) = split_verb(&target)?;
    let node = node.to_owned();
    let wanted = match verb {
        "add" => Change::AddMember { node },
        "remove" => Change::RemoveMember { node },
        _ => return Err(unknown_verb(verb, "add, remove")),
    };
    changed(&change(&app, &caller, &headers, wanted).await?)
}

pub async fn act_on_worker(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Path(target): Path<String>,
    CheckedBody(bytes): CheckedBody,
) -> Answered {
    caller.only(&["reason"])?;
    let (worker, verb) = split_verb(&target)?;
    let worker = worker.to_owned();
    let wanted = match verb {
        "declare-dead" => Change::DeclareDead { worker },
        "drain" => Change::Drain { worker, off: body::<DrainRequest>(&bytes)?.off },
        _ => return Err(unknown_verb(verb, "declare-dead, drain")),
    };
    changed(&change(&app, &caller, &headers, wanted).await?)
}
