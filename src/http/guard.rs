//! What stands before every route: host, origin, who it is, may they, and how answers leave.
//!
//! Deny by default: a route says its `Access` in the table of `routes`, and the body of a change is read here, so
//! that no handler sees a request that was not checked.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use bytes::Bytes;
use tokio::sync::SemaphorePermit;

use crate::api::{ApiError, ErrorCode};
use crate::say;

use super::akkaflow;
use super::clock;
use super::login::{LoginLinks, Session, is_equal};
use super::options::AkkaflowRoutes;
use super::pages;
use super::pages::words::Lang;
use super::problem::{Failure, PendingProblem, render};
use super::state::App;
use crate::model::message::Voice;
use crate::model::schedule::Zone;

pub const SESSION_COOKIE: &str = "ractorflow_session";
/// Who changes something over akkaflow's routes without a token.
const LOCAL_PROGRAM: &str = "akkaflow:local";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
const CSP: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody: health, sign-in, style sheet and script.
    Open,
    /// On a loopback bind anybody on this machine; else token or session.
    Read,
    /// Token, or session with its CSRF token in a header. JSON body.
    Change,
    /// Session with its CSRF token in the form.
    Form,
    /// Changes by GET too, so a cookie is no ticket, and nothing is taken that a browser sends by itself: the token,
    /// or, where the settings allow it, a program of this machine.
    Akkaflow,
}

impl Access {
    pub fn word(self) -> &'static str {
        match self {
            Access::Open => "open",
            Access::Read => "read",
            Access::Change => "change",
            Access::Form => "form",
            Access::Akkaflow => "akkaflow",
        }
    }
}

tokio::task_local! {
    static VOICE: Voice;
}

/// The voice of the request that is being answered.
pub fn voice() -> Voice {
    VOICE.try_with(|voice| *voice).unwrap_or_default()
}

/// Who asks, and how they like to be answered.
#[derive(Debug, Clone)]
pub struct Caller {
    pub request_id: String,
    /// `token:admin` or `session:…`.
    pub principal: Option<String>,
    pub session: Option<Session>,
    /// What forms of this session carry; empty without one.
    pub csrf: String,
    pub lang: Lang,
    /// Language and zone.
    pub voice: Voice,
    pub theme: Option<Theme>,
    pub is_utc: bool,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub is_html: bool,
    /// Rows of a list, when the request does not say and at most.
    pub page_rows: u32,
    pub page_rows_max: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    Light,
    Dark,
}

impl Theme {
    pub fn word(self) -> &'static str {
        match self {
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        match word {
            "light" => Some(Theme::Light),
            "dark" => Some(Theme::Dark),
            _ => None,
        }
    }
}

/// The body of a change, read and checked by the guard.
#[derive(Debug, Clone, Default)]
pub struct CheckedBody(pub Bytes);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts.extensions.get::<Caller>().cloned().ok_or_else(unguarded)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CheckedBody {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts.extensions.get::<CheckedBody>().cloned().ok_or_else(unguarded)
    }
}

fn unguarded() -> Failure {
    Failure(ApiError::new(ErrorCode::Internal, say!("the route stands outside the guard")))
}

/// Around everything: names the request, checks the host, finishes errors, sets headers.
pub async fn outer(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let caller = Caller::read(&app, &request);
    let head_only = request.method() == Method::HEAD;
    let mut response = match check_host(&app, request.headers()) {
        Ok(()) => {
            request.extensions_mut().insert(caller.clone());
            VOICE.scope(caller.voice, next.run(request)).await
        }
        Err(error) => Failure(error).into_response(),
    };
    if let Some(PendingProblem(error)) = response.extensions_mut().remove() {
        response = finish_problem(&app, &caller, error);
    } else if response.status().is_client_error() && is_plain_text(&response) {
        // A refusal of the framework itself: a path that is not UTF-8.
        let error = ApiError::new(ErrorCode::BadRequest, say!("the request could not be understood"));
        response = finish_problem(&app, &caller, error);
    }
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Ok(id) = HeaderValue::from_str(&caller.request_id) {
        headers.insert(REQUEST_ID, id);
    }
    for cookie in caller.cookies(&app) {
        // A handler that signs in or out has the last word on the session cookie.
        let is_set = headers
            .get_all(header::SET_COOKIE)
            .iter()
            .any(|set| set.as_bytes().split(|b| *b == b'=').next() == cookie.as_bytes().split(|b| *b == b'=').next());
        if !is_set && let Ok(value) = HeaderValue::from_str(&cookie) {
            headers.append(header::SET_COOKIE, value);
        }
    }
    if head_only {
        *response.body_mut() = Body::empty();
    }
    response
}

fn is_plain_text(response: &Response) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"))
}

fn finish_problem(app: &App, caller: &Caller, error: ApiError) -> Response {
    if app.options.akkaflow != AkkaflowRoutes::Off && caller.path.starts_with(akkaflow::PREFIX) {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        akkaflow::failed(status, &error, caller.voice)
    } else if caller.is_html && !caller.path.starts_with("/api/") {
        pages::problem(app, caller, error)
    } else {
        render(error, &caller.request_id, caller.voice)
    }
}

/// What a route's own layer needs to know.
#[derive(Clone)]
pub struct RouteGuard {
    pub app: App,
    pub access: Access,
    /// As in the route table: a label of metrics.
    pub path: &'static str,
    /// Streams and waits have deadlines of their own.
    pub is_long: bool,
    pub is_stream: bool,
    pub body_bytes_max: usize,
}

/// Around each route.
pub async fn inner(State(guard): State<RouteGuard>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let slot = guard.slot();
    let admitted = match &slot {
        Ok(_) => guard.admit(request).await,
        Err(error) => Err(Box::new(Failure(error.clone()).into_response())),
    };
    let response = match admitted {
        Ok(request) if guard.is_long => next.run(request).await,
        Ok(request) => match tokio::time::timeout(guard.app.options.limits.request(), next.run(request)).await {
            Ok(response) => response,
            Err(_) => {
                Failure(ApiError::new(ErrorCode::TimedOut, say!("the masters did not answer in time"))).into_response()
            }
        },
        Err(response) => *response,
    };
    let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    guard.app.metrics.count(guard.path, response.status().as_u16(), took);
    response
}

impl RouteGuard {
    /// A place among the requests that are handled at once; kept until the answer begins. Health, sign-in and
    /// styles need none: they are how one finds out, and they ask nobody.
    fn slot(&self) -> Result<Option<SemaphorePermit<'_>>, ApiError> {
        if self.access == Access::Open || self.is_stream {
            return Ok(None);
        }
        let (places, what) = match self.is_long {
            true => (&*self.app.event_streams, say!("too many requests wait or follow")),
            false => (&self.app.requests, say!("too many requests are being handled")),
        };
        let slot = places.try_acquire().map_err(|_| ApiError::new(ErrorCode::Overloaded, what).retry_after_ms(1_000));
        slot.map(Some)
    }

    /// The request with its checked body, or the refusal.
    async fn admit(&self, request: Request) -> Result<Request, Box<Response>> {
        let refuse = |error: ApiError| Box::new(Failure(error).into_response());
        let Some(caller) = request.extensions().get::<Caller>().cloned() else {
            return Err(Box::new(unguarded().into_response()));
        };
        match self.access {
            Access::Open if request.method() == Method::POST => {
                check_origin(request.headers()).map_err(refuse)?;
                let (mut parts, body) = request.into_parts();
                let body = self.read_body(body).await.map_err(refuse)?;
                parts.extensions.insert(CheckedBody(body));
                return Ok(Request::from_parts(parts, Body::empty()));
            }
            Access::Open => return Ok(request),
            Access::Read => {
                if caller.principal.is_some() || self.app.options.is_loopback() {
                    return Ok(request);
                }
                if caller.is_html && !self.path.starts_with("/api/") {
                    return Err(Box::new(Redirect::to("/login").into_response()));
                }
                return Err(refuse(unauthorized()));
            }
            Access::Akkaflow => {
                let caller = self.program(&request, caller).map_err(refuse)?;
                let (mut parts, body) = request.into_parts();
                let body = self.read_body(body).await.map_err(refuse)?;
                parts.extensions.insert(caller);
                parts.extensions.insert(CheckedBody(body));
                return Ok(Request::from_parts(parts, Body::empty()));
            }
            Access::Change | Access::Form => {}
        }
        check_origin(request.headers()).map_err(refuse)?;
        if caller.principal.is_none() {
            if self.access == Access::Form && caller.is_html {
                return Err(Box::new(Redirect::to("/login").into_response()));
            }
            return Err(refuse(unauthorized()));
        }
        let (mut parts, body) = request.into_parts();
        let body = self.read_body(body).await.map_err(refuse)?;
        // A bearer token is sent by programs on purpose; a cookie is sent by browsers on their own.
        if let Some(session) = &caller.session {
            let header = parts.headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let given = match self.access {
                Access::Form => form_field(&body, "csrf"),
                Access::Change | Access::Open | Access::Read | Access::Akkaflow => header,
            };
            if !given.is_some_and(|token| self.app.options.login.is_csrf(session, &token)) {
                return Err(refuse(
                    ApiError::new(ErrorCode::CrossSite, say!("the form's token is missing or of another session"))
                        .hint(say!("load the page again and repeat")),
                ));
            }
        }
        parts.extensions.insert(CheckedBody(body));
        Ok(Request::from_parts(parts, Body::empty()))
    }

    /// Who calls a route of akkaflow's, if that may be.
    fn program(&self, request: &Request, caller: Caller) -> Result<Caller, ApiError> {
        if request.method() != Method::GET && request.method() != Method::POST {
            let said = say!("changes are made by POST, all else is read by GET");
            return Err(ApiError::new(ErrorCode::MethodNotAllowed, said));
        }
        check_origin(request.headers())?;
        let has_token = caller.principal.is_some() && caller.session.is_none();
        if has_token {
            return Ok(caller);
        }
        let options = &self.app.options;
        let is_open = options.akkaflow == AkkaflowRoutes::WithoutToken && options.is_loopback();
        if !is_open {
            return Err(ApiError::new(ErrorCode::Unauthorized, say!("this needs the token")).hint(say!(
                "send \"Authorization: Bearer\" with the content of conf/admin.token (a line of ~/.curlrc does it for every call), or see compat.akkaflow_http_without_token in conf/ractorflow.toml"
            )));
        }
        if is_of_browser(request.headers()) {
            let said = say!("these routes are for programs: what a browser sends is not taken without the token");
            return Err(ApiError::new(ErrorCode::CrossSite, said));
        }
        Ok(Caller { principal: Some(LOCAL_PROGRAM.to_owned()), session: None, csrf: String::new(), ..caller })
    }

    async fn read_body(&self, body: Body) -> Result<Bytes, ApiError> {
        let deadline = Duration::from_millis(self.app.options.limits.body_read_ms);
        let read = axum::body::to_bytes(body, self.body_bytes_max);
        match tokio::time::timeout(deadline, read).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) => {
                let is_too_large = std::error::Error::source(&error)
                    .is_some_and(|source| source.to_string().contains("length limit exceeded"));
                Err(if is_too_large {
                    ApiError::new(ErrorCode::TooLarge, say!("a body here is at most {} bytes", self.body_bytes_max))
                } else {
                    ApiError::new(ErrorCode::BadRequest, say!("the body broke off"))
                })
            }
            Err(_) => Err(ApiError::new(ErrorCode::RequestTimeout, say!("the body did not arrive in time"))),
        }
    }
}

fn unauthorized() -> ApiError {
    ApiError::new(ErrorCode::Unauthorized, say!("this needs the token or a session")).hint(
        say!("send \"Authorization: Bearer\" with the content of conf/admin.token, or open the login link that start-cluster printed"),
    )
}

/// Values of a form, in order.
pub fn form(body: &Bytes) -> Vec<(String, String)> {
    decode_pairs(std::str::from_utf8(body).unwrap_or_default())
}

fn form_field(body: &Bytes, name: &str) -> Option<String> {
    form(body).into_iter().find(|(n, _)| n == name).map(|(_, value)| value)
}

/// `a=b&c=d` with percent and plus encoding; what does not decode is dropped.
pub fn decode_pairs(text: &str) -> Vec<(String, String)> {
    let uri = format!("/?{text}");
    let Ok(uri) = uri.parse() else { return Vec::new() };
    axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).map(|query| query.0).unwrap_or_default()
}

/// Against DNS rebinding: a page of another name that resolves to us must not read our answers.
fn check_host(app: &App, headers: &HeaderMap) -> Result<(), ApiError> {
    let refuse = |host: &str| ApiError::new(ErrorCode::BadHost, say!("this server is not \"{}\"", host));
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().map_err(|_| refuse("?"))?,
        _ => return Err(refuse("")),
    };
    let name = host_name(host);
    let options = &app.options;
    let is_ip_of_bind = name.parse::<IpAddr>().is_ok_and(|ip| {
        ip == options.bind.ip() || (ip.is_loopback() && (options.is_loopback() || options.bind.ip().is_unspecified()))
    });
    let is_named = name.eq_ignore_ascii_case("localhost")
        || options.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name));
    if is_ip_of_bind || is_named { Ok(()) } else { Err(refuse(name)) }
}

/// `host:port`, `[::1]:port` or `host` without the port and the brackets.
fn host_name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

/// A change must come from our own pages or from a program, never from another site's page.
fn check_origin(headers: &HeaderMap) -> Result<(), ApiError> {
    let refuse = || ApiError::new(ErrorCode::CrossSite, say!("changes are accepted only from this server's own pages"));
    if let Some(site) = headers.get("sec-fetch-site")
        && site != "same-origin"
        && site != "none"
    {
        return Err(refuse());
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let origin = origin.to_str().map_err(|_| refuse())?;
    let origin_host = origin.split_once("://").map_or("", |(_, rest)| rest);
    if !origin_host.is_empty() && origin_host.eq_ignore_ascii_case(host) { Ok(()) } else { Err(refuse()) }
}

/// A page of any site can make a browser send a GET here, so what could be one is not believed to be a program.
/// Every browser sends some of these by itself, and a page cannot make it leave out all of them.
fn is_of_browser(headers: &HeaderMap) -> bool {
    const OF_BROWSERS: [&str; 8] = [
        "sec-fetch-site",
        "sec-fetch-mode",
        "sec-fetch-dest",
        "sec-ch-ua",
        "origin",
        "referer",
        "cookie",
        "upgrade-insecure-requests",
    ];
    let says = |name: HeaderName, word: &str| {
        headers.get_all(name).iter().any(|value| String::from_utf8_lossy(value.as_bytes()).contains(word))
    };
    OF_BROWSERS.iter().any(|name| headers.contains_key(*name))
        || says(header::USER_AGENT, "Mozilla/")
        || says(header::ACCEPT, "text/html")
        || says(header::ACCEPT, "image/")
}

impl Caller {
    fn read(app: &App, request: &Request) -> Self {
        let headers = request.headers();
        let query = decode_pairs(request.uri().query().unwrap_or_default());
        let chosen = |name: &str| query.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let cookie = |name: &str| cookie_of(headers, name);
        let now = clock::now();
        let login = &app.options.login;
        let session = cookie(SESSION_COOKIE).and_then(|value| login.session(&value, now));
        let bearer = text(header::AUTHORIZATION).strip_prefix("Bearer ").map(str::trim);
        let has_token = bearer.is_some_and(|token| is_equal(token, app.options.admin_token.trim()));
        let is_token = has_token && !app.options.admin_token.trim().is_empty();
        // A program that sends a token is that token, whatever cookies it drags along.
        let session = if is_token { None } else { session };
        let principal = if is_token {
            Some("token:admin".to_owned())
        } else {
            session.as_ref().map(|session| format!("session:{}", &session.id[..8.min(session.id.len())]))
        };
        let lang = chosen("lang")
            .or_else(|| cookie("ractorflow_lang"))
            .and_then(|word| Lang::from_word(&word))
            .unwrap_or_else(|| Lang::from_accept(text(header::ACCEPT_LANGUAGE)));
        let theme = chosen("theme").or_else(|| cookie("ractorflow_theme")).and_then(|word| Theme::from_word(&word));
        let is_utc = chosen("tz").or_else(|| cookie("ractorflow_tz")).is_some_and(|word| word == "utc");
        let given_id = text(REQUEST_ID);
        let is_usable = !given_id.is_empty() && given_id.len() <= 64 && given_id.bytes().all(|b| b.is_ascii_graphic());
        let request_id = if is_usable { given_id.to_owned() } else { uuid::Uuid::now_v7().to_string() };
        Self {
            request_id,
            principal,
            csrf: session.as_ref().map(|session| login.csrf(session)).unwrap_or_default(),
            session,
            lang,
            voice: Voice { lang, zone: if is_utc { Zone::UTC } else { app.options.zone.into() } },
            theme,
            is_utc,
            path: request.uri().path().to_owned(),
            is_html: text(header::ACCEPT).contains("text/html"),
            page_rows: app.options.limits.page_rows,
            page_rows_max: app.options.limits.page_rows_max,
            query,
        }
    }

    /// Preferences that were just chosen, and a session that is due for renewal.
    fn cookies(&self, app: &App) -> Vec<String> {
        let mut cookies = Vec::new();
        let chosen = |name: &str| self.query.iter().any(|(n, _)| n == name);
        let keep = "Path=/; SameSite=Lax; Max-Age=31536000";
        if chosen("lang") {
            cookies.push(format!("ractorflow_lang={}; {keep}", self.lang.word()));
        }
        if chosen("theme") {
            cookies.push(format!("ractorflow_theme={}; {keep}", self.theme.map_or("auto", Theme::word)));
        }
        if chosen("tz") {
            cookies.push(format!("ractorflow_tz={}; {keep}", if self.is_utc { "utc" } else { "cluster" }));
        }
        if let Some(session) = &self.session
            && let Some(renewed) = app.options.login.renewed(session, clock::now())
        {
            cookies.push(session_cookie(&app.options.login, &renewed));
        }
        cookies
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

pub fn session_cookie(login: &LoginLinks, session: &Session) -> String {
    let (value, seconds) = (login.cookie(session), login.session_seconds());
    format!("{SESSION_COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}")
}

fn cookie_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(n, _)| *n == name)
        .map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_read_with_and_without_port() {
        assert_eq!(host_name("127.0.0.1:8090"), "127.0.0.1");
        assert_eq!(host_name("localhost"), "localhost");
        assert_eq!(host_name("[::1]:8090"), "::1");
        assert_eq!(host_name("evil.example:8090"), "evil.example");
    }

    #[test]
    fn a_change_from_another_site_is_refused() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8090"));
            for (name, value) in pairs {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            headers
        };
        assert!(check_origin(&headers(&[])).is_ok());
        assert!(check_origin(&headers(&[("origin", "http://127.0.0.1:8090")])).is_ok());
        for bad in ["http://evil.example", "null", "http://127.0.0.1:9999", "", "http://127.0.0.1:8090.evil.example"] {
            assert!(check_origin(&headers(&[("origin", bad)])).is_err(), "{bad}");
        }
        assert!(check_origin(&headers(&[("sec-fetch-site", "cross-site")])).is_err());
        assert!(check_origin(&headers(&[("sec-fetch-site", "same-site")])).is_err());
    }

    #[test]
    fn a_form_decodes_chinese_and_plus() {
        let body = Bytes::from_static(b"csrf=a%2Bb&reason=%E6%97%A5%E6%8A%A5+x&reason=2");
        assert_eq!(form_field(&body, "csrf").as_deref(), Some("a+b"));
        assert_eq!(form_field(&body, "reason").as_deref(), Some("日报 x"));
        assert_eq!(form(&body).len(), 3);
    }
}
