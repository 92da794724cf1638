//! Links: named databases and file systems. What goes in as a secret never comes out.

use axum::extract::{Path, State};
use axum::http::HeaderMap;

use crate::api::change::{LinkRequest, LinkTestRequest};
use crate::api::{ApiError, Change, Query};
use crate::expect_reply;
use crate::http::guard::{Caller, CheckedBody};
use crate::http::problem::bad_request;
use crate::http::state::App;
use crate::model::link::LinkKind;
use crate::say;

use super::{Answered, Meta, ask, body, change, changed, split_verb, unknown_verb, view};

pub async fn list(State(app): State<App>, caller: Caller) -> Answered {
    caller.only(&[])?;
    let answer = ask(&app, &caller, Query::Links).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, Links)?)
}

pub async fn show(State(app): State<App>, caller: Caller, Path(name): Path<String>) -> Answered {
    caller.only(&["kind"])?;
    let kind = kind(&caller)?;
    let answer = ask(&app, &caller, Query::Link { name, kind }).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, Link)?)
}

pub async fn act(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Path(target): Path<String>,
    CheckedBody(bytes): CheckedBody,
) -> Answered {
    caller.only(&["kind", "reason"])?;
    let (name, verb) = split_verb(&target)?;
    let (name, kind) = (name.to_owned(), kind(&caller)?);
    let wanted = match verb {
        "add" => Change::AddLink { name, kind, request: body::<LinkRequest>(&bytes)? },
        "update" => Change::UpdateLink { name, kind, request: body::<LinkRequest>(&bytes)? },
        "remove" => Change::RemoveLink { name, kind },
        "test" => {
            let LinkTestRequest { from } = body::<LinkTestRequest>(&bytes)?;
            let answer = ask(&app, &caller, Query::TestLink { name, kind, from }).await?;
            return view(&Meta::from(&answer), &expect_reply!(answer, LinkTests)?);
        }
        _ => return Err(unknown_verb(verb, "add, update, remove, test")),
    };
    changed(&change(&app, &caller, &headers, wanted).await?)
}

/// A database and a file system may have the same name.
pub fn kind(caller: &Caller) -> Result<Option<LinkKind>, ApiError> {
    let Some(word) = caller.parameter("kind") else { return Ok(None) };
    LinkKind::from_word(word)
        .map(Some)
        .ok_or_else(|| bad_request(say!("{} must be database or file, not \"{}\"", "kind", word)))
}
