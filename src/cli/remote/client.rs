//! HTTP to the cluster: tries the servers in turn, asks again while the masters switch, and repeats a change only
//! under the same key, so that a repetition has no second effect.

use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::error::Problem;
use crate::api::{ApiError, ChangeAnswer, ErrorCode, ExitCode, InstanceView, Page};
use crate::cli::console::{Console, Failure, Language};
use crate::model::message::Voice;
use crate::say;

use super::address::Target;
use super::sse::SseStream;

/// How long a server that nobody listens at is tried again: it may be starting anew.
const REFUSED_PATIENCE: Duration = Duration::from_millis(800);
/// How long "no active master" and other passing states are waited out.
const SWITCH_PATIENCE: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// For everything but streams and waits.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(35);
const PAUSE_MIN: Duration = Duration::from_millis(25);
const PAUSE_MAX: Duration = Duration::from_millis(1_000);
/// An answer longer than this is not one of ours.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

pub struct Client {
    http: reqwest::Client,
    target: Target,
    language: &'static str,
    /// For what is said on the way.
    voice: Voice,
    verbose: bool,
}

/// One question: what is after /api/v1, segment by segment, and its parameters.
#[derive(Debug, Clone, Default)]
pub struct Ask<'a> {
    pub path: Vec<&'a str>,
    pub query: Vec<(&'static str, String)>,
}

impl<'a> Ask<'a> {
    pub fn new(path: impl IntoIterator<Item = &'a str>) -> Self {
        Self { path: path.into_iter().collect(), query: Vec::new() }
    }

    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    pub fn maybe(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }
}

/// What one try came to.
enum Tried {
    Answered(Response),
    /// Nobody listens there.
    Refused(String),
    /// Sent, but whether it arrived is not known.
    Unknown(String),
    /// Passing: a master is being elected, a queue is full.
    Later(ApiError),
    Failed(Failure),
}

impl Client {
    pub fn new(target: Target, console: &Console) -> Result<Self, Failure> {
        for address in &target.addresses {
            if Url::parse(address).is_err() || !address.starts_with("http://") {
                return Err(Failure::usage(say!("\"{}\" is not an http:// address", address)));
            }
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            // Nothing is encrypted here; to read the system's certificates would take longer than most commands do.
            .tls_certs_only([])
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("ractorflow/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::theirs(&error))?;
        Ok(Self {
            http,
            target,
            // JSON is the same for everybody.
            language: if console.is_json() { Language::En.tag() } else { console.language.tag() },
            voice: console.language.voice(),
            verbose: console.global.verbose,
        })
    }

    /// The first address, for messages.
    pub fn address(&self) -> &str {
        self.target.addresses.first().map_or("", String::as_str)
    }

    pub async fn get<T: DeserializeOwned>(&self, ask: &Ask<'_>) -> Result<T, Failure> {
        let response = self.send(Method::GET, ask, ANSWER_TIMEOUT, |request| request).await?;
        read(response).await
    }

    /// The rows of a list over as many pages as it has, at most about `max`. The server says how long a page is.
    pub async fn all<T: DeserializeOwned>(&self, ask: &Ask<'_>, max: usize) -> Result<Vec<T>, Failure> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page: Page<T> = self.get(&ask.clone().maybe("cursor", cursor.take())).await?;
            items.extend(page.items);
            match page.next {
                Some(next) if items.len() < max => cursor = Some(next),
                Some(_) | None => return Ok(items),
            }
        }
    }

    /// A read, with the number of the last event that its answer includes.
    pub async fn get_with_seq<T: DeserializeOwned>(&self, ask: &Ask<'_>) -> Result<(T, u64), Failure> {
        let response = self.send(Method::GET, ask, ANSWER_TIMEOUT, |request| request).await?;
        let seq = response.headers().get("x-ractorflow-seq").and_then(|seq| seq.to_str().ok()?.parse().ok());
        Ok((read(response).await?, seq.unwrap_or(0)))
    }

    /// A change. The key is the user's, or a new one; every repetition of this call has the same.
    pub async fn change<B: Serialize>(
        &self,
        ask: &Ask<'_>,
        body: &B,
        key: Option<&str>,
    ) -> Result<ChangeAnswer, Failure> {
        let made = uuid::Uuid::now_v7().to_string();
        let key = key.unwrap_or(&made);
        let response = self
            .send(Method::POST, ask, ANSWER_TIMEOUT, |request| request.header("idempotency-key", key).json(body))
            .await?;
        read(response).await
    }

    /// A question whose text is too long for a URL.
    pub async fn post<B: Serialize, T: DeserializeOwned>(&self, ask: &Ask<'_>, body: &B) -> Result<T, Failure> {
        read(self.send(Method::POST, ask, ANSWER_TIMEOUT, |request| request.json(body)).await?).await
    }

    /// The instance when it has ended; the server tells, nobody polls. Outlives the loss of the server.
    pub async fn wait(
        &self,
        number: u64,
        min_seq: Option<u64>,
        until: Option<Instant>,
    ) -> Result<InstanceView, Failure> {
        const ONE_WAIT: Duration = Duration::from_secs(50);
        let target = format!("{number}:wait");
        let mut refused_since: Option<Instant> = None;
        loop {
            let left = until.map_or(ONE_WAIT, |until| until.saturating_duration_since(Instant::now()).min(ONE_WAIT));
            let ask = Ask::new(["instances", &target]).with("timeout", format!("{}ms", left.as_millis()));
            let ask = ask.maybe("min_seq", min_seq);
            let answered = self.send(Method::GET, &ask, left + ANSWER_TIMEOUT, |request| request).await;
            let failure = match answered {
                Ok(response) => match read::<InstanceView>(response).await {
                    Ok(view) if view.state.is_terminal() => return Ok(view),
                    Ok(_) => None,
                    Err(failure) => Some(failure),
                },
                Err(failure) => Some(failure),
            };
            match failure {
                None => refused_since = None,
                Some(failure) if failure.exit != ExitCode::NotRunning && failure.exit != ExitCode::Other => {
                    return Err(failure);
                }
                Some(failure) => {
                    let since = *refused_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > SWITCH_PATIENCE * 2 {
                        return Err(failure);
                    }
                    tokio::time::sleep(PAUSE_MAX / 4).await;
                }
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                let said = say!("instance #{} has not ended in time; it goes on", number);
                return Err(
                    Failure::new(ExitCode::TimedOutWaiting, said).hint(say!("`ractorflow instance wait {}`", number))
                );
            }
        }
    }

    /// Server-sent events from where `last` says.
    pub async fn stream(&self, ask: &Ask<'_>, last: Option<u64>) -> Result<SseStream, Failure> {
        const A_DAY: Duration = Duration::from_secs(86_400);
        let response = self
            .send(Method::GET, ask, A_DAY, |request| {
                let request = request.header("accept", "text/event-stream");
                match last {
                    Some(last) => request.header("last-event-id", last.to_string()),
                    None => request,
                }
            })
            .await?;
        Ok(SseStream::new(response))
    }

    async fn send(
        &self,
        method: Method,
        ask: &Ask<'_>,
        timeout: Duration,
        finish: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Failure> {
        let begun = Instant::now();
        let mut pause = PAUSE_MIN;
        loop {
            let mut failure = None;
            for address in &self.target.addresses {
                let url = url(address, ask)?;
                let request = self.http.request(method.clone(), url).timeout(timeout);
                let request = request.header("accept-language", self.language);
                let request = match &self.target.token {
                    Some(token) => request.bearer_auth(token),
                    None => request,
                };
                match tried(finish(request).send().await).await {
                    Tried::Answered(response) => {
                        self.tell_who(address, &response);
                        return Ok(response);
                    }
                    Tried::Failed(found) => return Err(found),
                    other => failure = Some(other),
                }
            }
            let (text, patience, retry_after) = match failure {
                Some(Tried::Later(error)) => {
                    let after = error.retry_after_ms.map(Duration::from_millis);
                    (Failure::from(error), SWITCH_PATIENCE, after)
                }
                Some(Tried::Unknown(text)) => (Failure::theirs(text), SWITCH_PATIENCE, None),
                Some(Tried::Refused(text)) => (self.not_running(&text), REFUSED_PATIENCE, None),
                Some(Tried::Answered(_) | Tried::Failed(_)) | None => {
                    (Failure::usage(say!("no address of an HTTP server")), Duration::ZERO, None)
                }
            };
            if begun.elapsed() >= patience {
                return Err(text);
            }
            tokio::time::sleep(retry_after.unwrap_or(pause).min(PAUSE_MAX)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn not_running(&self, why: &str) -> Failure {
        let addresses = self.target.addresses.join(", ");
        Failure::new(ExitCode::NotRunning, say!("the cluster does not answer at {} ({})", addresses, why))
            .hint(say!("start it with ./sbin/start-cluster, or say where it is with --addr"))
    }

    fn tell_who(&self, address: &str, response: &Response) {
        if self.verbose {
            let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or("-").to_owned();
            let said = say!(
                "(via {}, answered by {}, seq {}, age {} ms)",
                address,
                header("x-ractorflow-by"),
                header("x-ractorflow-seq"),
                header("x-ractorflow-age-ms")
            );
            eprintln!("{}", said.in_voice(self.voice));
        }
    }
}

fn url(address: &str, ask: &Ask<'_>) -> Result<Url, Failure> {
    let bad = || Failure::usage(say!("\"{}\" is not an address", address));
    let mut url = Url::parse(address).map_err(|_| bad())?;
    url.path_segments_mut().map_err(|()| bad())?.extend(["api", "v1"]).extend(&ask.path);
    if !ask.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&ask.query);
    }
    Ok(url)
}

async fn tried(sent: Result<Response, reqwest::Error>) -> Tried {
    let response = match sent {
        Ok(response) => response,
        Err(error) if error.is_connect() => return Tried::Refused(innermost(&error)),
        Err(error) => return Tried::Unknown(innermost(&error)),
    };
    let status = response.status();
    if status.is_success() {
        return Tried::Answered(response);
    }
    let body = match response.bytes().await {
        Ok(body) => body,
        Err(error) => return Tried::Unknown(innermost(&error)),
    };
    let Ok(problem) = serde_json::from_slice::<Problem>(&body) else {
        let said = say!("the server answered {} without saying why; is it Ractorflow?", status.to_string());
        return Tried::Failed(Failure::new(exit_of(status), said));
    };
    let error = ApiError::from(problem);
    match error.code {
        ErrorCode::NoLeader
        | ErrorCode::Behind
        | ErrorCode::NotRunning
        | ErrorCode::Overloaded
        | ErrorCode::TimedOut
        | ErrorCode::RequestTimeout => Tried::Later(error),
        _ => Tried::Failed(Failure::from(error)),
    }
}

fn exit_of(status: StatusCode) -> ExitCode {
    match status.as_u16() {
        401 | 403 => ExitCode::Denied,
        404 => ExitCode::NotFound,
        _ => ExitCode::Other,
    }
}

async fn read<T: DeserializeOwned>(mut response: Response) -> Result<T, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Failure::theirs(innermost(&error)))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Failure::other(say!("the answer is too large")));
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body)
        .map_err(|error| Failure::other(say!("the answer is not what this version expects: {}", error.to_string())))
}

/// The cause at the bottom says most: "connection refused".
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
