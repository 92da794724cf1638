//! `http`: one request, and what its answer must be.

use std::ops::RangeInclusive;
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use regex::Regex;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Response};

use crate::connector::cause::innermost;
use crate::model::duration::Millis;
use crate::model::message::Message;
use crate::model::policy::parse_list;
use crate::say;

use super::task::{Failure, Task, attribute};

const TIMEOUT: Millis = Millis::seconds(60);
const EXPECTED: &str = "200-299";
/// Of an answer that are kept: for the log, the assertion and the output.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Longest body that is an output; a longer one is in the log alone.
const OUTPUT_BYTES_MAX: usize = 16 * 1024;
const REDIRECTS_MAX: usize = 10;

struct Wanted {
    url: reqwest::Url,
    method: Method,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Option<String>,
    timeout: Duration,
    statuses: Vec<RangeInclusive<u16>>,
    expected_body: Option<Regex>,
}

struct Answer {
    status: reqwest::StatusCode,
    body: Vec<u8>,
    is_cut: bool,
}

pub fn run<'a>(task: &'a Task<'_>) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>> {
    Box::pin(async {
        let wanted = wanted(task).map_err(Failure::refused)?;
        let began = Instant::now();
        // Dropping the request closes its connection.
        let answer = task.unless_stopped(ask(&wanted)).await?.map_err(Failure::of)?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let place = place(&wanted.url);
        task.log(&say!(
            "{} {}: {}, {} bytes, {} ms",
            wanted.method.as_str(),
            place,
            answer.status.as_str(),
            answer.body.len(),
            ms
        ));
        if !text.is_empty() {
            task.print(&text);
        }
        if answer.is_cut {
            task.warn(&say!("only the first {} bytes of the answer were read", BODY_BYTES_MAX));
        }
        judge(&wanted, &answer, &text).map_err(Failure::of)?;
        task.output("status", answer.status.as_u16());
        if text.len() <= OUTPUT_BYTES_MAX && !answer.is_cut {
            task.output("body", text);
        }
        Ok(())
    })
}

fn wanted(task: &Task<'_>) -> Result<Wanted, Message> {
    let body = &task.assignment.body;
    let attribute = |name| attribute(body, name);
    let url = attribute("url").ok_or_else(|| say!("{} is missing", "url"))?;
    let url: reqwest::Url =
        url.parse().map_err(|_| say!("\"{}\" is no address of the web (http://… or https://…)", url))?;
    if !["http", "https"].contains(&url.scheme()) || url.host().is_none() {
        return Err(say!("\"{}\" is no address of the web (http://… or https://…)", url.as_str()));
    }
    let method = attribute("method").unwrap_or("GET").to_ascii_uppercase();
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| say!("\"{}\" is no method", method))?;
    let timeout = attribute("timeout").map_or(Ok(TIMEOUT), Millis::parse).map_err(|error| error.said())?;
    let mut headers = Vec::new();
    for header in body.children("header") {
        let name = header.attribute("name").map_or("", |name| name.text.trim());
        let value = header.text.as_ref().map_or("", |text| text.text.trim());
        // A value with a line break would be a header more.
        let pair = HeaderName::try_from(name).ok().zip(HeaderValue::from_str(value).ok());
        headers.push(pair.ok_or_else(|| say!("the header \"{}\" has a name or value that no header can have", name))?);
    }
    let sent = body.child("body");
    if let Some(kind) = sent.and_then(|sent| sent.attribute("type")) {
        let value = HeaderValue::from_str(kind.text.trim());
        headers.push((CONTENT_TYPE, value.map_err(|_| say!("\"{}\" is no content type", kind.text))?));
    }
    let expected_body = task.child_text("expect-body").map(Regex::new).transpose();
    Ok(Wanted {
        url,
        method,
        headers,
        body: sent.and_then(|sent| sent.text.as_ref()).map(|text| text.text.clone()),
        timeout: Duration::from_millis(u64::try_from(timeout.0).unwrap_or(0)),
        statuses: parse_statuses(attribute("expect-status").unwrap_or(EXPECTED))?,
        expected_body: expected_body.map_err(|error| Message::verbatim(error.to_string()))?,
    })
}

/// A list of codes and ranges: `200-299,404`.
pub(super) fn parse_statuses(text: &str) -> Result<Vec<RangeInclusive<u16>>, Message> {
    let wrong = |item: &str| say!("must list status codes 100 to 599 and ranges such as 200-299, not \"{}\"", item);
    let code = |text: &str| text.trim().parse::<u16>().ok().filter(|code| (100..=599).contains(code));
    let range = |item: &String| {
        let (from, to) = item.split_once('-').unwrap_or((item, item));
        let range = code(from).zip(code(to)).filter(|(from, to)| from <= to);
        range.map(|(from, to)| from..=to).ok_or_else(|| wrong(item))
    };
    parse_list(text).map_err(|_| wrong(text))?.iter().map(range).collect()
}

async fn ask(wanted: &Wanted) -> Result<Answer, Message> {
    let failed = |error: reqwest::Error| {
        let why = if error.is_timeout() {
            say!("no answer within {} s", wanted.timeout.as_secs())
        } else {
            innermost(&error)
        };
        say!("{} {}: {}", wanted.method.as_str(), place(&wanted.url), why)
    };
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::limited(REDIRECTS_MAX))
        .timeout(wanted.timeout)
        .user_agent(concat!("ractorflow/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(failed)?;
    let mut request = client.request(wanted.method.clone(), wanted.url.clone());
    for (name, value) in &wanted.headers {
        request = request.header(name, value);
    }
    if let Some(body) = &wanted.body {
        request = request.body(body.clone());
    }
    let response: Response = request.send().await.map_err(failed)?;
    let status = response.status();
    let (mut body, mut is_cut) = (Vec::new(), false);
    let mut stream = response.bytes_stream();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(failed)?;
        let room = BODY_BYTES_MAX - body.len();
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() > room {
            is_cut = true;
            break;
        }
    }
    Ok(Answer { status, body, is_cut })
}

fn judge(wanted: &Wanted, answer: &Answer, text: &str) -> Result<(), Message> {
    let place = place(&wanted.url);
    if !wanted.statuses.iter().any(|range| range.contains(&answer.status.as_u16())) {
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("").trim();
        let first: String = first.chars().take(200).collect();
        return Err(say!("{} {} answers {}: {}", wanted.method.as_str(), place, answer.status.to_string(), first));
    }
    match &wanted.expected_body {
        Some(pattern) if !pattern.is_match(text) => {
            Err(say!("{} {}: the answer does not match {}", wanted.method.as_str(), place, pattern.as_str()))
        }
        _ => Ok(()),
    }
}

/// The address without what may be secret in it: user, password and query.
fn place(url: &reqwest::Url) -> String {
    let mut shown = url.clone();
    // Both only fail for addresses that have no host.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    shown.to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use axum::routing::{get, post};

    use super::*;
    use crate::model::action::BodyElement;
    use crate::model::assignment::Rendered;
    use crate::node::testing::{assignment, element, task, with_attribute};

    async fn server() -> String {
        let echo = |headers: axum::http::HeaderMap, body: String| async move {
            let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
            format!("{}|{}|{body}", text("content-type"), text("x-key"))
        };
        let app = axum::Router::new()
            .route("/ok", get(|| async { "state: DONE" }))
            .route("/echo", post(echo))
            .route("/gone", get(|| async { (axum::http::StatusCode::NOT_FOUND, "\n no such job \nmore") }))
            .route("/long", get(|| async { "x".repeat(BODY_BYTES_MAX + 1) }))
            .route("/slow", get(|| std::future::pending::<()>()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        format!("http://{address}")
    }

    fn body(url: String, attributes: &[(&str, &str)], children: Vec<BodyElement<Rendered>>) -> BodyElement<Rendered> {
        let body = with_attribute(element("http", &[], children), "url", &url);
        attributes.iter().fold(body, |body, (name, value)| with_attribute(body, name, value))
    }

    async fn outcome(body: BodyElement<Rendered>) -> Result<String, Failure> {
        let task = task(assignment(body), Path::new("conf"));
        run(&task).await.map(|()| task.output_lines())
    }

    #[tokio::test]
    async fn an_answer_is_an_output_and_is_held_against_what_is_expected() {
        let server = server().await;
        let outputs =
            outcome(body(format!("{server}/ok"), &[], vec![element("expect-body", &["DONE$"], vec![])])).await;
        assert!(outputs.unwrap().contains(r#"{"name":"body","value":"state: DONE"}"#));
        let failure =
            outcome(body(format!("{server}/ok"), &[], vec![element("expect-body", &["FAILED"], vec![])])).await;
        assert!(failure.unwrap_err().message.english().ends_with("/ok: the answer does not match FAILED"));
        let gone = outcome(body(format!("{server}/gone?token=hidden"), &[], vec![])).await.unwrap_err();
        assert_eq!(gone.message.english(), format!("GET {server}/gone answers 404 Not Found: no such job"));
        assert!(!gone.is_refusal);
        let expected = outcome(body(format!("{server}/gone"), &[("expect-status", "200-299, 404")], vec![])).await;
        assert!(expected.unwrap().contains(r#""value":"404""#));
        let long = outcome(body(format!("{server}/long"), &[], vec![])).await.unwrap();
        assert!(!long.contains("body"), "a body that was cut is no output");
    }

    #[tokio::test]
    async fn headers_and_body_are_sent_and_no_value_makes_a_header_more() {
        let server = server().await;
        let header = |value: &str| with_attribute(element("header", &[value], vec![]), "name", "X-Key");
        let sent = with_attribute(element("body", &["{\"n\": 1}"], vec![]), "type", "application/json");
        let url = || format!("{server}/echo");
        let outputs = outcome(body(url(), &[("method", "post")], vec![header(" k "), sent])).await.unwrap();
        assert!(outputs.contains(r#"application/json|k|{\"n\": 1}"#), "{outputs}");
        let failure = outcome(body(url(), &[], vec![header("a\r\nEvil: b")])).await.unwrap_err();
        assert!(failure.is_refusal && failure.message.english().contains("X-Key"), "{failure}");
    }

    #[tokio::test]
    async fn who_does_not_answer_in_time_or_at_all_is_named() {
        let server = server().await;
        let slow = outcome(body(format!("{server}/slow"), &[("timeout", "50ms")], vec![])).await.unwrap_err();
        assert!(slow.message.english().contains("/slow: no answer within"), "{slow}");
        let absent = outcome(body("http://127.0.0.1:1/x?key=hidden".into(), &[], vec![])).await.unwrap_err();
        let said = absent.message.english();
        assert!(said.contains("127.0.0.1:1/x: ") && said.contains("refused") && !said.contains("hidden"), "{said}");
        let wrong = outcome(body("file:///etc/passwd".into(), &[], vec![])).await.unwrap_err();
        assert!(wrong.is_refusal);
    }

    #[test]
    fn statuses_are_codes_and_ranges() {
        assert_eq!(parse_statuses("200-299, 404").unwrap(), [200..=299, 404..=404]);
        for wrong in ["", "20", "300-200", "200-", "ok", "600"] {
            assert!(parse_statuses(wrong).is_err(), "{wrong}");
        }
    }
}
