//! akkaflow's own routes, for programs that call them: `compat.akkaflow_http` switches them on. Every answer is text
//! with one object of three fields and status 200, whatever came of it; only who is not admitted sees another status.
//!
//! These routes change things by GET too, which is why the guard admits nobody here by a cookie, and nothing that a
//! browser sends by itself (`Access::Akkaflow`). Owns the words of the requests; what they mean is `api`'s.

mod cluster;
mod form;
mod instance;
mod link;
mod workflow;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::Value;

use crate::api::akkaflow::AkkaflowReply;
use crate::api::{ApiError, Change, ChangeAnswer, Changed};
use crate::model::message::{Message, Voice};
use crate::say;

use super::guard::{Caller, CheckedBody, voice};
use super::problem::bad_request;
use super::rest;
use super::state::App;

pub use cluster::cluster;
pub use instance::instance;
pub use link::{db_link, db_links, file_link, file_links};
pub use workflow::{all as workflows, one as workflow, text as workflow_text};

/// Where all of these routes are.
pub const PREFIX: &str = "/akkaflow/";

/// What a request came to: a sentence and perhaps data.
type Told = Result<(Message, Option<Value>), ApiError>;

/// What is asked: the parameters of the address, then those of a form; the first of a name counts.
pub struct Asked {
    app: App,
    caller: Caller,
    headers: HeaderMap,
    values: Vec<(String, String)>,
    /// A body that is no form.
    text: Option<String>,
}

impl FromRequestParts<App> for Asked {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let caller = Caller::from_request_parts(parts, app).await.map_err(IntoResponse::into_response)?;
        let body = CheckedBody::from_request_parts(parts, app).await.map_err(IntoResponse::into_response)?;
        let asked = Self::read(app.clone(), caller, parts.headers.clone(), &body.0);
        asked.map_err(|error| failed(StatusCode::OK, &error, voice()))
    }
}

impl Asked {
    fn read(app: App, caller: Caller, headers: HeaderMap, body: &Bytes) -> Result<Self, ApiError> {
        let mut values = caller.query.clone();
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if let Some(boundary) = form::boundary(kind) {
            let parts = form::parts(body, &boundary);
            values.extend(parts.ok_or_else(|| bad_request(say!("the parts of the form cannot be told apart")))?);
            return Ok(Self { app, caller, headers, values, text: None });
        }
        let body = String::from_utf8_lossy(body);
        let is_xml = body.trim_start_matches('\u{feff}').trim_start().starts_with('<');
        if !is_xml {
            values.extend(form::pairs(&body));
        }
        Ok(Self { app, caller, headers, values, text: is_xml.then(|| body.into_owned()) })
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What shall be done.
    fn action(&self) -> &str {
        self.value("action").unwrap_or_default()
    }

    /// `a, b` as a list.
    fn list(&self, name: &str) -> Vec<String> {
        let words = self.value(name).unwrap_or_default().split(',').map(str::trim);
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    async fn change(&self, change: Change) -> Result<ChangeAnswer, ApiError> {
        rest::change(&self.app, &self.caller, &self.headers, change).await
    }

    fn unknown_action<T>(&self, known: &str) -> Result<T, ApiError> {
        Err(bad_request(say!("there is no action \"{}\" here", self.action())).hint(say!("known here: {}", known)))
    }
}

/// The number of the instance that was made, as akkaflow's ids are: text.
fn made(answer: &ChangeAnswer, workflow: &str) -> Option<Value> {
    let Changed::Instances(made) = &answer.changed else { return None };
    let of_workflow = made.iter().find(|one| one.workflow == workflow).or(made.first())?;
    Some(Value::String(of_workflow.number.to_string()))
}

fn answered(told: Told) -> Response {
    match told {
        Ok((said, data)) => text(StatusCode::OK, &AkkaflowReply::new(true, said.in_voice(voice()), data)),
        Err(error) => failed(StatusCode::OK, &error, voice()),
    }
}

/// A refusal in akkaflow's form.
pub fn failed(status: StatusCode, error: &ApiError, voice: Voice) -> Response {
    text(status, &AkkaflowReply::new(false, said(error, voice), None))
}

/// With what is wrong in a definition, a line each.
fn said(error: &ApiError, voice: Voice) -> String {
    let items = error.errors.iter().map(|item| {
        let place = [item.line, item.column].into_iter().flatten().map(|n| format!("{n}:")).collect::<String>();
        let hint = item.hint.as_ref().map_or(String::new(), |hint| format!(" ({})", hint.in_voice(voice)));
        format!("{place} {}{hint}", item.text.in_voice(voice)).trim_start().to_owned()
    });
    let mut lines = vec![error.detail.in_voice(voice)];
    lines.extend(items);
    lines.extend(error.hint.iter().map(|hint| hint.in_voice(voice)));
    lines.join("\n")
}

fn text(status: StatusCode, reply: &AkkaflowReply) -> Response {
    let kind = HeaderValue::from_static("text/plain; charset=UTF-8");
    (status, [(header::CONTENT_TYPE, kind)], reply.text()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{ErrorCode, ErrorItem};

    #[test]
    fn an_error_of_a_definition_is_told_with_what_to_write_instead() {
        let item = ErrorItem {
            line: Some(7),
            column: Some(3),
            text: say!("\"{}\" is no action type", "file-watcher"),
            hint: Some(say!("write <{}> instead of <{}>", "file-monitor", "file-watcher")),
            ..ErrorItem::default()
        };
        let error =
            ApiError::new(ErrorCode::DefinitionInvalid, say!("the definition has {} error{s}", 1)).errors(vec![item]);
        let wanted = "7:3: \"file-watcher\" is no action type (write <file-monitor> instead of <file-watcher>)";
        assert_eq!(said(&error, Voice::default()).lines().nth(1), Some(wanted));
    }
}
