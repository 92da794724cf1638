//! Instances: reads, waiting for an end, and the changes `POST /instances/{number}:{verb}`.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use tokio::time::Instant;

use crate::api::query::{InstanceFilter, WhySubject};
use crate::api::{
    Answer, ApiError, Change, ErrorCode, InstanceRef, InstanceView, NodePick, NodeWindow, Query, QueryEnvelope,
};
use crate::expect_reply;
use crate::http::guard::{Caller, CheckedBody};
use crate::http::state::{App, is_unreachable};
use crate::say;

use super::window::{self, node_window};
use super::workflows::state;
use super::{
    Answered, Meta, ask, body, change, changed, instance_number, instance_ref, split_verb, unknown_verb, view,
};

const FILTERS: &[&str] = &["workflow", "state", "kind", "since", "until", "creator", "text", "limit", "cursor"];

pub async fn list(State(app): State<App>, caller: Caller) -> Answered {
    caller.only(FILTERS)?;
    let filter = filter(&caller)?;
    let answer = ask(&app, &caller, Query::Instances { filter, page: caller.page()? }).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, Instances)?)
}

/// Also what the page of instances filters by. `state` may be given several times or with commas.
pub fn filter(caller: &Caller) -> Result<InstanceFilter, ApiError> {
    let mut states = Vec::new();
    let words = caller.query.iter().filter(|(name, _)| name == "state").flat_map(|(_, value)| value.split(','));
    for word in words.filter(|word| !word.is_empty()) {
        states.push(state(word)?);
    }
    Ok(InstanceFilter {
        workflow: caller.owned("workflow"),
        states,
        kind: caller.owned("kind"),
        since: caller.since()?,
        until: caller.until()?,
        text: caller.owned("text"),
        creator: caller.owned("creator"),
    })
}

/// `GET /instances/{instance}`, or with `:wait` behind it: not before it has ended, or the timeout is over.
pub async fn show(State(app): State<App>, caller: Caller, headers: HeaderMap, Path(target): Path<String>) -> Answered {
    caller.only(&[&["generation", "timeout"], window::OF_INSTANCE].concat())?;
    let nodes = node_window(&caller)?;
    let generation = caller.number_32("generation")?;
    let asks_to_wait = target.strip_suffix(":wait");
    let instance = instance_ref(asks_to_wait.unwrap_or(&target))?;
    let preferred = prefer_wait_ms(&headers);
    let wait_ms = match (asks_to_wait, preferred) {
        (Some(_), _) => Some(caller.duration_ms("timeout")?.unwrap_or(app.options.limits.wait_ms_max)),
        (None, preferred) => preferred,
    };
    let Some(wait_ms) = wait_ms else {
        let asked = ask(&app, &caller, Query::Instance { instance, generation, nodes, end_within_ms: 0 });
        let answer = match tokio::time::timeout(app.options.limits.request(), asked).await {
            Ok(answer) => answer?,
            Err(_) => return Err(ApiError::new(ErrorCode::TimedOut, say!("the masters did not answer in time")).into()),
        };
        return view(&Meta::from(&answer), &expect_reply!(answer, Instance)?);
    };
    let deadline = Instant::now() + Duration::from_millis(wait_ms.min(app.options.limits.wait_ms_max));
    let answer = wait(&app, instance, caller.number("min_seq")?, nodes, deadline).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, Instance)?)
}

/// `Prefer: wait=30` (RFC 7240), in milliseconds.
fn prefer_wait_ms(headers: &HeaderMap) -> Option<u64> {
    let preferences = headers.get("prefer")?.to_str().ok()?;
    let wait = preferences.split([',', ';']).find_map(|one| one.trim().strip_prefix("wait="))?;
    wait.trim_matches('"').parse::<u64>().ok().map(|seconds| seconds.saturating_mul(1000))
}

/// One question is held back no longer: who is asked may have stopped without a word.
const END_WITHIN_MAX: Duration = Duration::from_secs(20);
/// Pause before the same question when it was not held back: an older master answers at once, and none while they
/// change the lead.
const AGAIN_AFTER: Duration = Duration::from_millis(200);
/// So long nobody may answer before the waiting client is told.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// The instance at its end, or as it is at the deadline. The masters hold the answer back until there is an end.
pub async fn wait(
    app: &App,
    instance: InstanceRef,
    min_seq: Option<u64>,
    nodes: NodeWindow,
    deadline: Instant,
) -> Result<Answer, ApiError> {
    let (mut instance, mut min_seq) = (instance, min_seq);
    let mut silent_since = None;
    loop {
        let asked = Instant::now();
        let within = deadline.saturating_duration_since(asked).min(END_WITHIN_MAX);
        let look = |within: Duration| {
            let end_within_ms = within.as_millis() as u32;
            let query =
                Query::Instance { instance: instance.clone(), generation: None, nodes: nodes.clone(), end_within_ms };
            app.ask(QueryEnvelope { min_seq, query })
        };
        let looked = tokio::select! {
            looked = look(within) => looked,
            () = app.shutdown.cancelled() => return look(Duration::ZERO).await,
        };
        let answer = match looked {
            Ok(answer) => answer,
            // Who held the answer back is gone: whoever leads now is asked.
            Err(error) if is_unreachable(error.code) => {
                let since: &mut Instant = silent_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= SILENCE_MAX || Instant::now() >= deadline {
                    return Err(error);
                }
                tokio::time::sleep(AGAIN_AFTER).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        silent_since = None;
        let view = instance_of(&answer)?;
        if view.state.is_terminal() || Instant::now() >= deadline {
            return Ok(answer);
        }
        // By number from here on: "last" may be another one by now.
        let is_by_number = matches!(instance, InstanceRef::Number(_));
        (instance, min_seq) = (InstanceRef::Number(view.number), Some(answer.seq));
        if is_by_number && asked.elapsed() + AGAIN_AFTER < within {
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
}

fn instance_of(answer: &Answer) -> Result<&InstanceView, ApiError> {
    match &answer.reply {
        crate::api::Reply::Instance(view) => Ok(view),
        other => Err(crate::http::state::unexpected(other)),
    }
}

pub async fn events(State(app): State<App>, caller: Caller, Path(instance): Path<String>) -> Answered {
    caller.only(&["limit", "cursor"])?;
    let query = Query::InstanceEvents { instance: instance_ref(&instance)?, page: caller.page()? };
    let answer = ask(&app, &caller, query).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, Events)?)
}

pub async fn why(State(app): State<App>, caller: Caller, Path(instance): Path<String>) -> Answered {
    caller.only(&[])?;
    let subject = WhySubject::Instance(instance_ref(&instance)?);
    let answer = ask(&app, &caller, Query::Why { subject }).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, Why)?)
}

pub async fn node(State(app): State<App>, caller: Caller, Path((instance, node)): Path<(String, String)>) -> Answered {
    caller.only(&["generation"])?;
    let generation = caller.number_32("generation")?;
    let nodes = NodeWindow { pick: NodePick::Named(vec![node.clone()]), ..NodeWindow::default() };
    let query = Query::Instance { instance: instance_ref(&instance)?, generation, nodes, end_within_ms: 0 };
    let answer = ask(&app, &caller, query).await?;
    let meta = Meta::from(&answer);
    let instance = expect_reply!(answer, Instance)?;
    match instance.nodes.iter().find(|candidate| candidate.name == node) {
        Some(found) => view(&meta, found),
        None => {
            let number = instance.number;
            Err(ApiError::new(ErrorCode::NodeNotFound, say!("instance #{} has no node \"{}\"", number, node)).into())
        }
    }
}

pub async fn node_why(
    State(app): State<App>,
    caller: Caller,
    Path((instance, node)): Path<(String, String)>,
) -> Answered {
    caller.only(&[])?;
    let subject = WhySubject::Node { instance: instance_ref(&instance)?, node };
    let answer = ask(&app, &caller, Query::Why { subject }).await?;
    view(&Meta::from(&answer), &expect_reply!(answer, Why)?)
}

pub async fn act(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Path(target): Path<String>,
    CheckedBody(bytes): CheckedBody,
) -> Answered {
    caller.only(&["reason"])?;
    let (instance, verb) = split_verb(&target)?;
    let instance = instance_number(instance)?;
    let wanted = match verb {
        "kill" => Change::Kill { instance, request: body(&bytes)? },
        "pause" => Change::Pause { instance },
        "resume" => Change::Resume { instance },
        "rerun" => Change::Rerun { instance, request: body(&bytes)? },
        "mark" => Change::Mark { instance, request: body(&bytes)? },
        "delete" => Change::DeleteInstance { instance },
        _ => return Err(unknown_verb(verb, "kill, pause, resume, rerun, mark, delete")),
    };
    changed(&change(&app, &caller, &headers, wanted).await?)
}
