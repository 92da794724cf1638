//! Task logs: a range, the tail, a search, or following, as JSON, plain text or server-sent events.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::IntoResponse;
use axum::response::sse::Event;
use futures_util::stream;

use crate::api::log::LINES_MAX;
use crate::api::{ApiError, InstanceRef, LogPage, LogQuery, LogStart, LogStream, Query, Reply};
use crate::http::guard::Caller;
use crate::http::problem::bad_request;
use crate::http::state::{App, is_unreachable, unexpected};
use crate::say;

use super::events::{StreamSlot, last_event_id, sse};
use super::{Answered, instance_ref, json};

const KNOWN: &[&str] =
    &["from", "tail", "limit", "grep", "stream", "generation", "index", "attempt", "wait", "follow", "download"];
const WAIT_MS_MAX: u64 = 30_000;
const LINES_DEFAULT: u32 = 1_000;
/// Failed asks in a row before a stream ends; the client resumes.
const FAILURES_MAX: u64 = 20;

pub async fn newest(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Path((instance, node)): Path<(String, String)>,
) -> Answered {
    let attempt = caller.number_32("attempt")?;
    answer(app, caller, headers, instance, node, attempt).await
}

pub async fn attempt(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Path((instance, node, attempt)): Path<(String, String, String)>,
) -> Answered {
    let number = attempt.parse().map_err(|_| bad_request(say!("\"{}\" is not the number of an attempt", attempt)))?;
    answer(app, caller, headers, instance, node, Some(number)).await
}

async fn answer(
    app: App,
    caller: Caller,
    headers: HeaderMap,
    instance: String,
    node: String,
    attempt: Option<u32>,
) -> Answered {
    caller.only(KNOWN)?;
    let instance = resolve(&app, instance_ref(&instance)?).await?;
    let mut query = read_query(&caller, instance, node, attempt)?;
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if caller.flag("follow")?.unwrap_or(false) || accept.contains("text/event-stream") {
        if let Some(next) = last_event_id(&headers)? {
            query.start = LogStart::Line(next);
        }
        return follow(app, query).await;
    }
    let page = app.client.log(query).await?;
    if accept.contains("text/plain") {
        return Ok(plain(&page, caller.flag("download")?.unwrap_or(false)));
    }
    json(axum::http::StatusCode::OK, &page)
}

/// Log queries name the instance by number.
async fn resolve(app: &App, instance: InstanceRef) -> Result<u64, ApiError> {
    if let InstanceRef::Number(number) = instance {
        return Ok(number);
    }
    match app.ask(Query::instance(instance)).await?.reply {
        Reply::Instance(view) => Ok(view.number),
        other => Err(unexpected(&other)),
    }
}

fn read_query(caller: &Caller, instance: u64, node: String, attempt: Option<u32>) -> Result<LogQuery, ApiError> {
    let start = match (caller.number("from")?, caller.number_32("tail")?) {
        (Some(_), Some(_)) => return Err(bad_request(say!("from and tail exclude each other"))),
        (Some(line), None) => LogStart::Line(line.max(1)),
        (None, Some(tail)) => LogStart::Tail(tail.min(LINES_MAX)),
        (None, None) => LogStart::Line(1),
    };
    let stream = match caller.parameter("stream") {
        None => None,
        Some("stdout") => Some(LogStream::Stdout),
        Some("stderr") => Some(LogStream::Stderr),
        Some("system") => Some(LogStream::System),
        Some(other) => return Err(bad_request(say!("unknown stream \"{}\" (stdout, stderr or system)", other))),
    };
    let wait_ms = caller.duration_ms("wait")?.unwrap_or(0).min(WAIT_MS_MAX);
    Ok(LogQuery {
        instance,
        generation: caller.number_32("generation")?,
        node,
        index: caller.number_32("index")?.unwrap_or(0),
        attempt,
        start,
        limit: caller.limit(LINES_DEFAULT, LINES_MAX)?,
        grep: caller.owned("grep"),
        stream,
        wait_ms: wait_ms as u32,
    })
}

fn plain(page: &LogPage, is_download: bool) -> axum::response::Response {
    let mut text = String::new();
    for line in &page.lines {
        text.push_str(&line.text);
        text.push('\n');
    }
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert("x-ractorflow-next-line", HeaderValue::from(page.next));
    if is_download {
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"task.log\""));
    }
    response
}

/// A log that is being read as it grows.
struct Following {
    app: App,
    query: LogQuery,
    waiting: std::vec::IntoIter<Event>,
    is_over: bool,
    _slot: StreamSlot,
}

impl Following {
    fn take(&mut self, page: LogPage) {
        self.query.start = LogStart::Line(page.next);
        // A retry must not continue in another attempt's log.
        self.query.attempt = Some(page.attempt);
        self.query.generation = Some(page.generation);
        self.query.wait_ms = WAIT_MS_MAX as u32;
        self.is_over = page.ended;
        self.waiting = to_events(page).into_iter();
    }

    async fn next(&mut self) -> Option<Event> {
        let mut failures = 0;
        loop {
            if let Some(event) = self.waiting.next() {
                return Some(event);
            }
            if self.is_over {
                return None;
            }
            let asked = tokio::select! {
                asked = self.app.client.log(self.query.clone()) => asked,
                () = self.app.shutdown.cancelled() => return None,
            };
            match asked {
                Ok(page) => self.take(page),
                // While masters switch the client would only come back to the same place.
                Err(error) if failures < FAILURES_MAX && is_unreachable(error.code) => {
                    failures += 1;
                    tokio::time::sleep(Duration::from_millis(250 * failures.min(8))).await;
                }
                Err(_) => return None,
            }
        }
    }
}

/// Each line is an event whose id is the line to go on from; `end` says that no more will come.
async fn follow(app: App, query: LogQuery) -> Answered {
    let slot = StreamSlot::take(&app)?;
    // The first page before the head of the answer, so that a wrong name is an error and not an empty stream.
    let first = app.client.log(LogQuery { wait_ms: 0, ..query.clone() }).await?;
    let mut following = Following { app, query, waiting: Vec::new().into_iter(), is_over: false, _slot: slot };
    following.take(first);
    Ok(sse(stream::unfold(following, |mut following| async move {
        following.next().await.map(|event| (Ok(event), following))
    })))
}

fn to_events(page: LogPage) -> Vec<Event> {
    let mut events = Vec::with_capacity(page.lines.len() + 1);
    for line in &page.lines {
        let data = serde_json::to_string(line).expect("a line has only string keys");
        events.push(Event::default().id((line.n + 1).to_string()).event("line").data(data));
    }
    if page.ended {
        events
            .push(Event::default().id(page.next.to_string()).event("end").data(format!("{{\"next\":{}}}", page.next)));
    }
    events
}
