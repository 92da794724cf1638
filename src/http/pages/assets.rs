//! The one style sheet, the one script, the icon: inside the binary.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::api::{ApiError, ErrorCode};
use crate::http::problem::Failure;
use crate::model::hash::fixed;
use crate::say;

const STYLE: &str = include_str!("../assets/style.css");
const SCRIPT: &str = include_str!("../assets/app.js");
const ICON: &str = include_str!("../assets/icon.svg");

static VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{:08x}", fixed(&[STYLE.as_bytes(), SCRIPT.as_bytes()]) as u32));

/// Part of the addresses of the files, so that a browser fetches new ones and keeps the others.
pub fn version() -> &'static str {
    &VERSION
}

pub async fn file(Path(file): Path<String>) -> Result<Response, Failure> {
    match file.as_str() {
        "style.css" => Ok(text("text/css; charset=utf-8", STYLE)),
        "app.js" => Ok(text("text/javascript; charset=utf-8", SCRIPT)),
        "icon.svg" => Ok(text("image/svg+xml", ICON)),
        _ => Err(ApiError::new(ErrorCode::NotFound, say!("there is no such file")).into()),
    }
}

pub async fn favicon() -> Response {
    text("image/svg+xml", ICON)
}

fn text(kind: &'static str, body: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("max-age=3600")),
    ];
    (headers, body).into_response()
}
