//! Health for machines: the status codes mean something.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::api::{MetricView, Query, Reply};
use crate::http::guard::Caller;
use crate::http::metrics::encode;
use crate::http::state::App;

/// A leader heard longer ago does not count.
const LEADER_AGE_MS_MAX: u64 = 5_000;

/// The process runs.
pub async fn livez() -> &'static str {
    "ok\n"
}

/// It knows a leader.
pub async fn readyz(State(app): State<App>, caller: Caller) -> Response {
    let health = app.client.health();
    let is_fresh = health.leader_age_ms.is_some_and(|age| age <= LEADER_AGE_MS_MAX);
    let checks = [("connected", health.is_connected), ("leader", health.leader.is_some()), ("leader_fresh", is_fresh)];
    report(&app, &caller, &checks)
}

/// This very process is the active master: for load balancers.
pub async fn leaderz(State(app): State<App>, caller: Caller) -> Response {
    report(&app, &caller, &[("leader_here", app.client.health().is_leader_here)])
}

fn report(app: &App, caller: &Caller, checks: &[(&str, bool)]) -> Response {
    let is_ok = checks.iter().all(|(_, is_ok)| *is_ok);
    let status = if is_ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // Details only for those who may read the rest too.
    let may_read = caller.principal.is_some() || app.options.is_loopback();
    let is_verbose = may_read && caller.query.iter().any(|(name, _)| name == "verbose");
    let mut text = String::new();
    if is_verbose {
        for (name, is_ok) in checks {
            text.push_str(&format!("{} {name}\n", if *is_ok { "ok  " } else { "fail" }));
        }
    } else {
        text.push_str(if is_ok { "ok\n" } else { "not ready\n" });
    }
    (status, text).into_response()
}

/// Metrics of the masters, when one answers, and of this server always.
pub async fn metrics(State(app): State<App>) -> Response {
    let mut samples = match app.ask(Query::Metrics).await.map(|answer| answer.reply) {
        Ok(Reply::Metrics(samples)) => samples,
        Ok(_) | Err(_) => Vec::new(),
    };
    let health = app.client.health();
    let up = if samples.is_empty() { 0.0 } else { 1.0 };
    for (name, help, value) in [
        ("http_master_answers", "1 when a master answered this scrape.", up),
        ("epoch", "Highest epoch heard.", health.epoch as f64),
    ] {
        if samples.iter().all(|sample| sample.name != name) {
            samples.push(MetricView {
                name: name.to_owned(),
                help: help.to_owned(),
                kind: "gauge".to_owned(),
                labels: Vec::new(),
                value,
            });
        }
    }
    samples.extend(app.metrics.samples());
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], encode(&samples)).into_response()
}
