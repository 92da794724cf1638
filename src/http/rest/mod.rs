//! The REST API under /api/v1: every answer is a view of `api` as JSON, every error problem+json.
//!
//! Answers carry how fresh they are in headers: `X-Ractorflow-Seq`, `-Age-Ms`, `-By`.

pub mod cluster;
pub mod events;
pub mod health;
pub mod instances;
pub mod links;
pub mod logs;
pub mod monitors;
pub mod openapi;
pub mod window;
pub mod workflows;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::change::KEY_MAX;
use crate::api::query::NotAnInstance;
use crate::api::{
    Answer, ApiError, Change, ChangeAnswer, ChangeEnvelope, ErrorCode, InstanceRef, PageRequest, Query, QueryEnvelope,
    Time,
};
use crate::http::guard::voice;
use crate::model::message::speaking;
use crate::model::schedule::{parse_date, parse_datetime};
use crate::model::time::{CivilDate, CivilDateTime};
use crate::say;

use super::guard::Caller;
use super::problem::{Failure, bad_request};
use super::state::App;

type Answered = Result<Response, Failure>;

/// How fresh an answer is; taken from it before its view is taken out.
pub struct Meta {
    seq: u64,
    age_ms: u64,
    by: String,
}

impl From<&Answer> for Meta {
    fn from(answer: &Answer) -> Self {
        Self { seq: answer.seq, age_ms: answer.age_ms, by: answer.by.clone() }
    }
}

/// A view as JSON.
pub fn view<T: Serialize>(meta: &Meta, view: &T) -> Answered {
    let mut response = json(StatusCode::OK, view)?;
    let headers = response.headers_mut();
    headers.insert(SEQ, HeaderValue::from(meta.seq));
    headers.insert(HeaderName::from_static("x-ractorflow-age-ms"), HeaderValue::from(meta.age_ms));
    if let Ok(by) = HeaderValue::from_str(&meta.by) {
        headers.insert(HeaderName::from_static("x-ractorflow-by"), by);
    }
    Ok(response)
}

const SEQ: HeaderName = HeaderName::from_static("x-ractorflow-seq");

fn json<T: Serialize>(status: StatusCode, value: &T) -> Answered {
    let body = speaking(voice(), || serde_json::to_vec(value)).map_err(ApiError::internal)?;
    Ok((status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response())
}

/// Asks with the freshness that the request names.
pub async fn ask(app: &App, caller: &Caller, query: Query) -> Result<Answer, ApiError> {
    let min_seq = caller.number("min_seq")?;
    app.ask(QueryEnvelope { min_seq, query }).await
}

/// Sends a change with the key and reason of the request.
pub async fn change(app: &App, caller: &Caller, headers: &HeaderMap, change: Change) -> Result<ChangeAnswer, ApiError> {
    let principal = caller
        .principal
        .clone()
        .ok_or_else(|| ApiError::new(ErrorCode::Unauthorized, say!("a change needs somebody who makes it")))?;
    let idempotency_key = idempotency_key(headers)?;
    let reason = caller.parameter("reason").map(str::to_owned);
    app.client.change(ChangeEnvelope { principal, idempotency_key, reason, change }).await
}

pub fn changed(answer: &ChangeAnswer) -> Answered {
    let mut response = json(StatusCode::OK, answer)?;
    response.headers_mut().insert(SEQ, HeaderValue::from(answer.seq));
    Ok(response)
}

fn idempotency_key(headers: &HeaderMap) -> Result<String, ApiError> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(uuid::Uuid::now_v7().to_string()) };
    let key = key.to_str().unwrap_or_default().trim().trim_matches('"');
    if key.is_empty() || key.len() > KEY_MAX || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(bad_request(say!("Idempotency-Key must be 1 to {} printable ASCII characters", KEY_MAX)));
    }
    Ok(key.to_owned())
}

/// A JSON body; an empty one is the default request.
pub fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, ApiError> {
    let bytes: &[u8] = if bytes.iter().all(u8::is_ascii_whitespace) { b"{}" } else { bytes };
    serde_json::from_slice(bytes)
        .map_err(|error| bad_request(say!("the body is not the expected JSON: {}", error.to_string())))
}

pub fn instance_ref(text: &str) -> Result<InstanceRef, ApiError> {
    text.parse().map_err(|error: NotAnInstance| bad_request(error.said()))
}

/// Changes name one instance by number: "last" could mean another one when the request is repeated.
pub fn instance_number(text: &str) -> Result<u64, ApiError> {
    match instance_ref(text)? {
        InstanceRef::Number(number) => Ok(number),
        InstanceRef::Last | InstanceRef::LastOf(_) => {
            Err(bad_request(say!("a change names its instance by number")).hint(say!("look the number up first")))
        }
    }
}

impl Caller {
    /// Refuses parameters that the route does not know: a misspelt filter must not show everything.
    pub fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        const ALWAYS: [&str; 2] = ["min_seq", "lang"];
        match self.query.iter().find(|(name, _)| !known.contains(&name.as_str()) && !ALWAYS.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => Err(bad_request(say!("unknown parameter \"{}\"", name))
                .hint(say!("known here: {}", if known.is_empty() { "none".to_owned() } else { known.join(", ") }))),
        }
    }

    pub fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.parameter(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| bad_request(say!("{} must be a number, not \"{}\"", name, text)))
    }

    pub fn number_32(&self, name: &str) -> Result<Option<u32>, ApiError> {
        let Some(number) = self.number(name)? else { return Ok(None) };
        u32::try_from(number).map(Some).map_err(|_| bad_request(say!("{} is too large", name)))
    }

    pub fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.parameter(name) {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(text) => Err(bad_request(say!("{} must be true or false, not \"{}\"", name, text))),
        }
    }

    /// From this time on; of a date, from its beginning.
    pub fn since(&self) -> Result<Option<Time>, ApiError> {
        self.time("since", 0)
    }

    /// Before this time; of a date, until its end.
    pub fn until(&self) -> Result<Option<Time>, ApiError> {
        self.time("until", 1)
    }

    /// RFC 3339, or a date or a time of the reader's zone. `days`: how many are added to a date.
    fn time(&self, name: &str, days: i32) -> Result<Option<Time>, ApiError> {
        let Some(text) = self.parameter(name) else { return Ok(None) };
        let midnight = |date: CivilDate| CivilDateTime((i64::from(date.0) + i64::from(days)) * 86_400);
        let local = parse_date(text).map(midnight).or_else(|_| parse_datetime(text));
        let found = Time::parse(text).or_else(|| Some(Time(self.voice.zone.instant(local.ok()?))));
        found.map(Some).ok_or_else(|| {
            bad_request(say!("{} must be an RFC 3339 time or a date (yyyy-MM-dd), not \"{}\"", name, text))
        })
    }

    pub fn owned(&self, name: &str) -> Option<String> {
        self.parameter(name).map(str::to_owned)
    }

    pub fn page(&self) -> Result<PageRequest, ApiError> {
        let limit = self.limit(self.page_rows, self.page_rows_max)?;
        Ok(PageRequest { limit, cursor: self.owned("cursor") })
    }

    pub fn limit(&self, default: u32, max: u32) -> Result<u32, ApiError> {
        match self.number("limit")? {
            None => Ok(default),
            Some(limit) if (1..=u64::from(max)).contains(&limit) => Ok(limit as u32),
            Some(limit) => Err(bad_request(say!("limit must be 1 to {}, not {}", max, limit))),
        }
    }

    /// `30s`, `2m` or bare seconds, in milliseconds.
    pub fn duration_ms(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.parameter(name) else { return Ok(None) };
        let parsed = crate::model::duration::Millis::parse(text);
        let millis = parsed.map_err(|error| bad_request(say!("{}: {}", name, error.said())))?;
        Ok(Some(u64::try_from(millis.0).unwrap_or(0)))
    }
}

/// `10342:kill` into `10342` and `kill`; a name may hold colons itself, a verb does not.
pub fn split_verb(target: &str) -> Result<(&str, &str), ApiError> {
    match target.rsplit_once(':') {
        Some((name, verb)) if !name.is_empty() => Ok((name, verb)),
        _ => Err(ApiError::new(ErrorCode::MethodNotAllowed, say!("a change names its verb: POST …/name:verb"))),
    }
}

pub fn unknown_verb(verb: &str, known: &str) -> Failure {
    Failure(ApiError::new(ErrorCode::NotFound, say!("unknown verb \"{}\"", verb)).hint(say!("known here: {}", known)))
}
