//! Server-sent events: the id of each is its seq, so a client resumes where it was, at any HttpServer.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use tokio::sync::OwnedSemaphorePermit;

use crate::api::view::Topic;
use crate::api::{ApiError, ErrorCode, EventItem, EventView};
use crate::http::guard::Caller;
use crate::http::problem::bad_request;
use crate::http::state::App;
use crate::model::message::{Voice, speaking};
use crate::say;

use super::Answered;

/// A comment now and then, so that both ends notice a dead connection.
const KEEP_ALIVE_MS: u64 = 10_000;

/// One of the limited number of open streams; counted while it lives.
pub struct StreamSlot {
    app: App,
    _permit: OwnedSemaphorePermit,
}

impl StreamSlot {
    pub fn take(app: &App) -> Result<Self, ApiError> {
        let permit = app.event_streams.clone().try_acquire_owned().map_err(|_| {
            ApiError::new(ErrorCode::Overloaded, say!("too many event streams are open")).retry_after_ms(5_000)
        })?;
        app.metrics.stream_opened();
        Ok(Self { app: app.clone(), _permit: permit })
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        self.app.metrics.stream_closed();
    }
}

#[derive(Default)]
struct EventFilter {
    topics: Vec<Topic>,
    workflow: Option<String>,
    instance: Option<u64>,
}

impl EventFilter {
    fn read(caller: &Caller) -> Result<Self, ApiError> {
        let mut topics = Vec::new();
        for word in caller.parameter("topics").unwrap_or_default().split(',').filter(|word| !word.is_empty()) {
            let topic = Topic::from_word(word);
            topics.push(topic.ok_or_else(|| {
                bad_request(say!("unknown topic \"{}\"", word)).hint(say!("one of workflow, instance, cluster"))
            })?);
        }
        Ok(Self { topics, workflow: caller.owned("workflow"), instance: caller.number("instance")? })
    }

    fn wants(&self, event: &EventView) -> bool {
        (self.topics.is_empty() || self.topics.contains(&event.topic))
            && (self.workflow.is_none() || self.workflow == event.workflow)
            && (self.instance.is_none() || self.instance == event.instance)
    }
}

/// `GET /events?topics=&workflow=&instance=&from=`; `Last-Event-ID` wins over `from`.
pub async fn stream(State(app): State<App>, caller: Caller, headers: HeaderMap) -> Answered {
    caller.only(&["topics", "workflow", "instance", "from"])?;
    let filter = EventFilter::read(&caller)?;
    let from = last_event_id(&headers)?.or(caller.number("from")?);
    let slot = StreamSlot::take(&app)?;
    let events = app.client.events(from).await?;
    let (shutdown, voice) = (app.shutdown.clone(), caller.voice);
    let out = events.take_until(async move { shutdown.cancelled().await }).filter_map(move |item| {
        let _ = &slot;
        let event = match &item {
            EventItem::Event(event) => filter.wants(event).then(|| to_sse(event, voice)),
            EventItem::Reset { seq } => {
                Some(Event::default().id(seq.to_string()).event("reset").data(format!("{{\"seq\":{seq}}}")))
            }
        };
        std::future::ready(event.map(Ok))
    });
    Ok(sse(out))
}

fn to_sse(event: &EventView, voice: Voice) -> Event {
    let data = speaking(voice, || serde_json::to_string(event)).expect("an event has only string keys");
    Event::default().id(event.seq.to_string()).event(event.topic.word()).data(data)
}

pub fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(id) = headers.get("last-event-id") else { return Ok(None) };
    let id = id.to_str().unwrap_or_default();
    id.parse().map(Some).map_err(|_| bad_request(say!("Last-Event-ID is not one of ours")))
}

pub fn sse(stream: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let keep_alive = KeepAlive::new().interval(Duration::from_millis(KEEP_ALIVE_MS));
    let mut response = Sse::new(stream).keep_alive(keep_alive).into_response();
    // Proxies that buffer would hold events back.
    let no = axum::http::HeaderValue::from_static("no");
    response.headers_mut().insert("x-accel-buffering", no);
    response
}
