//! Errors as answers: problem+json for programs, a page for browsers.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::api::error::Problem;
use crate::api::{ApiError, ErrorCode};
use crate::model::message::{Message, Voice, speaking};

/// An error on its way out; `guard` finishes it with request id and language.
pub struct Failure(pub ApiError);

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

pub fn bad_request(detail: Message) -> ApiError {
    ApiError::new(ErrorCode::BadRequest, detail)
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(PendingProblem(self.0));
        response
    }
}

/// Put into the extensions of an answer whose body is still to be written.
#[derive(Clone)]
pub struct PendingProblem(pub ApiError);

/// The body and headers of RFC 9457.
pub fn render(error: ApiError, request_id: &str, voice: Voice) -> Response {
    let retry_after = error.retry_after_ms;
    let needs_token = error.code == ErrorCode::Unauthorized;
    let problem = Problem::new(error, request_id, voice.lang);
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = speaking(voice, || serde_json::to_vec(&problem)).expect("a problem has only string keys");
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(ms) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
    }
    if needs_token {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
