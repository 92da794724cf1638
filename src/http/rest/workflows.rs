//! Workflows: reads, and the changes `POST /workflows/{name}:{verb}`.

use axum::extract::{Path, State};
use axum::http::HeaderMap;

use crate::api::change::{ApplyRequest, CheckRequest};
use crate::api::query::{TextPart, WhySubject, WorkflowFilter};
use crate::api::{ApiError, Change, ErrorCode, Query};
use crate::expect_reply;
use crate::http::guard::{Caller, CheckedBody};
use crate::http::problem::bad_request;
use crate::http::state::App;
use crate::model::state::InstanceWord;
use crate::say;

use super::window::{self, node_window};
use super::{Answered, Meta, ask, body, change, changed, split_verb, unknown_verb, view};

pub async fn list(State(app): State<App>, caller: Caller) -> Answered {
    caller.only(&["text", "dir", "owner", "tag", "enabled", "has_error", "last_state", "limit", "cursor"])?;
    let filter = filter(&caller)?;
    let answer = ask(&app, &caller, Query::Workflows { filter, page: caller.page()? }).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, Workflows)?)
}

pub async fn folders(State(app): State<App>, caller: Caller) -> Answered {
    caller.only(&[])?;
    let answer = ask(&app, &caller, Query::Folders).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, Folders)?)
}

/// Also what the page of workflows filters by.
pub fn filter(caller: &Caller) -> Result<WorkflowFilter, ApiError> {
    let last_state = match caller.parameter("last_state") {
        None => None,
        Some(word) => Some(state(word)?),
    };
    Ok(WorkflowFilter {
        text: caller.owned("text"),
        dir: caller.owned("dir"),
        owner: caller.owned("owner"),
        tag: caller.owned("tag"),
        enabled: caller.flag("enabled")?,
        has_error: caller.flag("has_error")?,
        last_state,
    })
}

/// A state by its English or Chinese word.
pub fn state(word: &str) -> Result<InstanceWord, ApiError> {
    let found = InstanceWord::ALL.iter().copied().find(|state| state.word() == word || state.word_zh() == word);
    found.ok_or_else(|| {
        let words: Vec<_> = InstanceWord::ALL.iter().map(|state| state.word()).collect();
        bad_request(say!("unknown state \"{}\"", word)).hint(say!("one of {}", words.join(", ")))
    })
}

pub async fn show(State(app): State<App>, caller: Caller, Path(name): Path<String>) -> Answered {
    caller.only(window::OF_DEFINITION)?;
    let answer = ask(&app, &caller, Query::Workflow { name, nodes: node_window(&caller)? }).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, Workflow)?)
}

pub async fn versions(State(app): State<App>, caller: Caller, Path(name): Path<String>) -> Answered {
    caller.only(&["limit", "cursor"])?;
    let answer = ask(&app, &caller, Query::Versions { name, page: caller.page()? }).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, Versions)?)
}

pub async fn version(
    State(app): State<App>,
    caller: Caller,
    Path((name, version)): Path<(String, String)>,
) -> Answered {
    caller.only(&[&["text_from"], window::OF_DEFINITION].concat())?;
    let version = version_number(&version)?;
    let text = TextPart { from: caller.number("text_from")?.unwrap_or(0), ..TextPart::default() };
    let query = Query::Version { name, version, text, nodes: node_window(&caller)? };
    let answer = ask(&app, &caller, query).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, Version)?)
}

/// `12`, `v12` or `latest`.
pub fn version_number(text: &str) -> Result<Option<u32>, ApiError> {
    if text == "latest" {
        return Ok(None);
    }
    let digits = text.strip_prefix('v').unwrap_or(text);
    digits.parse().map(Some).map_err(|_| bad_request(say!("\"{}\" is not a version (write 12 or latest)", text)))
}

pub async fn next(State(app): State<App>, caller: Caller, Path(name): Path<String>) -> Answered {
    caller.only(&["limit"])?;
    let limit = caller.limit(10, 500)?;
    let answer = ask(&app, &caller, Query::NextFires { name: Some(name), limit }).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, NextFires)?)
}

pub async fn why(State(app): State<App>, caller: Caller, Path(name): Path<String>) -> Answered {
    caller.only(&[])?;
    let answer = ask(&app, &caller, Query::Why { subject: WhySubject::Workflow(name) }).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, Why)?)
}

/// Would it load? Changes nothing, but its text is too long for a URL.
pub async fn check(State(app): State<App>, caller: Caller, CheckedBody(bytes): CheckedBody) -> Answered {
    caller.only(&[])?;
    let CheckRequest { text, path } = body(&bytes)?;
    require_text(&text)?;
    let answer = ask(&app, &caller, Query::Check { path, text }).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, Check)?)
}

pub async fn apply(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    CheckedBody(bytes): CheckedBody,
) -> Answered {
    caller.only(&["reason"])?;
    let request: ApplyRequest = body(&bytes)?;
    require_text(&request.text)?;
    changed(&change(&app, &caller, &headers, Change::Apply { request }).await?)
}

fn require_text(text: &str) -> Result<(), ApiError> {
    if text.is_empty() {
        return Err(bad_request(say!("\"text\" is missing: it holds the XML of the definition")));
    }
    Ok(())
}

pub async fn reset_all(State(app): State<App>, caller: Caller, headers: HeaderMap) -> Answered {
    caller.only(&["reason"])?;
    changed(&change(&app, &caller, &headers, Change::Reset { workflow: None }).await?)
}

pub async fn act(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Path(target): Path<String>,
    CheckedBody(bytes): CheckedBody,
) -> Answered {
    caller.only(&["reason"])?;
    let (name, verb) = split_verb(&target)?;
    let workflow = name.to_owned();
    if workflow.is_empty() {
        return Err(ApiError::new(ErrorCode::WorkflowNotFound, say!("a workflow has a name")).into());
    }
    let wanted = match verb {
        "run" => Change::Run { workflow, request: body(&bytes)? },
        "trigger" => Change::Trigger { workflow, request: body(&bytes)? },
        "enable" => Change::Enable { workflow },
        "disable" => Change::Disable { workflow },
        "reset" => Change::Reset { workflow: Some(workflow) },
        "delete" => Change::DeleteWorkflow { workflow },
        _ => return Err(unknown_verb(verb, "run, trigger, enable, disable, reset, delete")),
    };
    changed(&change(&app, &caller, &headers, wanted).await?)
}
