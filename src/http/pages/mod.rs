//! The pages: server-rendered, useful without script, patched in place by a small script when events come.
//!
//! Each page is a query, a struct and a template. `Frame` is what all have in common. Texts of our own come from
//! `words`, drawings from `graph`, `gantt` and `charts`.

pub mod ansi;
pub mod assets;
pub mod charts;
pub mod cluster;
pub mod definition;
pub mod format;
pub mod forms;
pub mod gantt;
pub mod graph;
pub mod home;
pub mod instance;
pub mod instances;
pub mod links;
pub mod load_error;
pub mod login;
pub mod markup;
mod measured;
pub mod monitor;
pub mod monitors;
#[cfg(test)]
mod palette;
pub mod schedule;
pub mod text;
pub mod words;
pub mod workflow;
pub mod workflows;

use std::fmt::Display;

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::api::{ApiError, ErrorCode, Query, Time};
use crate::model::message::{Message, Voice};
use crate::model::state::{InstanceWord, NodeWord};

use super::clock;
use super::guard::{Caller, Theme};
use super::problem::Failure;
use super::state::{App, Seen};

use format::Clock;
use markup::Markup;
use words::{Lang, Words, fill};

type Page = Result<Response, Failure>;

/// What every page shows around its content.
pub struct Frame {
    pub w: &'static Words,
    pub lang: Lang,
    voice: Voice,
    pub theme: Option<Theme>,
    pub title: String,
    /// Which item of the navigation is current.
    pub nav: &'static str,
    pub csrf: String,
    pub is_signed_in: bool,
    pub clock: Clock,
    pub is_utc: bool,
    /// Where the script listens for news; empty: the page never changes.
    pub events: String,
    pub stale_banner: String,
    pub footer: Vec<String>,
    /// The same page in the other language, theme, zone.
    lang_href: String,
    theme_href: String,
    zone_hrefs: (String, String),
    path: String,
}

impl Frame {
    /// Around an answer; `topics` are the query of its event stream.
    pub fn new(app: &App, caller: &Caller, nav: &'static str, title: String, seen: &Seen, topics: &str) -> Self {
        let answer = &seen.answer;
        let mut frame = Self::bare(app, caller, nav, title, answer.as_of);
        let w = frame.w;
        frame.events = format!("/api/v1/events?from={}{topics}", answer.seq);
        if let Some((age_ms, _)) = &seen.stale {
            frame.stale_banner = fill(w.stale_banner, &[&(age_ms / 1000)]);
        }
        let state_of = format!("{} {}", frame.clock.short(answer.as_of), frame.clock.offset());
        frame.footer.push(fill(w.state_of, &[&state_of]));
        let health = app.client.health();
        frame.footer.push(match health.leader {
            Some(leader) => fill(w.leader_term, &[&leader, &answer.epoch]),
            None => w.no_leader.to_owned(),
        });
        frame
    }

    /// Around something that no master was asked for.
    fn bare(app: &App, caller: &Caller, nav: &'static str, title: String, now: Time) -> Self {
        let w = caller.lang.words();
        let zone = if caller.is_utc { chrono_tz::UTC } else { app.options.zone };
        let with = |name: &str, value: &str| same_page(caller, name, value);
        let other_theme = if caller.theme == Some(Theme::Dark) { "light" } else { "dark" };
        Self {
            w,
            lang: caller.lang,
            voice: caller.voice,
            theme: caller.theme,
            title,
            nav,
            csrf: caller.csrf.clone(),
            is_signed_in: caller.session.is_some(),
            clock: Clock { zone, now },
            is_utc: caller.is_utc,
            events: String::new(),
            stale_banner: String::new(),
            footer: vec![format!("Ractorflow {}", env!("CARGO_PKG_VERSION")), fill(w.served_by, &[&app.options.id])],
            lang_href: with("lang", if caller.lang == Lang::En { "zh" } else { "en" }),
            theme_href: with("theme", other_theme),
            zone_hrefs: (with("tz", "cluster"), with("tz", "utc")),
            path: caller.path.clone(),
        }
    }

    /// A message of ours, in the reader's language.
    pub fn say(&self, message: &Message) -> String {
        message.in_voice(self.voice)
    }

    /// A control node's kind in words; types of actions are words of the language.
    pub fn kind<'a>(&self, kind: &'a str) -> &'a str {
        match kind {
            "start" => self.w.kind_start,
            "end" => self.w.kind_end,
            "fork" => self.w.kind_fork,
            "join" => self.w.kind_join,
            "kill" => self.w.kind_kill,
            action => action,
        }
    }

    /// What a process does, in words.
    pub fn role<'a>(&self, role: &'a str) -> &'a str {
        match role {
            "master" => self.w.role_master,
            "worker" => self.w.role_worker,
            "http" => self.w.role_http,
            other => other,
        }
    }

    /// Who or what made an instance.
    pub fn started_by(&self, kind: &str, trigger: &Option<String>, by: &Option<String>) -> String {
        let by = by.as_deref().unwrap_or_default();
        match kind {
            "scheduled" => fill(self.w.kind_scheduled, &[&trigger.as_deref().unwrap_or_default()]),
            "triggered" => fill(self.w.kind_triggered, &[&by]),
            "run" => fill(self.w.kind_run, &[&by]),
            "backfill" => self.w.kind_backfill.to_owned(),
            "sub" => self.w.kind_sub.to_owned(),
            other => other.to_owned(),
        }
    }

    /// With commands, which stand between backticks, as code.
    pub fn say_code(&self, message: &Message) -> Markup {
        let parts = self.say(message);
        let parts = parts.split('`').map(markup::esc).enumerate();
        Markup(parts.map(|(at, part)| if at % 2 == 1 { format!("<code>{part}</code>") } else { part }).collect())
    }

    pub fn say_all(&self, messages: &[Message]) -> String {
        let said: Vec<String> = messages.iter().map(|message| self.say(message)).collect();
        said.join(self.lang.of("; ", "；"))
    }

    pub fn short(&self, at: &Time) -> String {
        self.clock.short(*at)
    }

    pub fn full(&self, at: &Time) -> String {
        self.clock.full(*at)
    }

    pub fn exact(&self, at: &Time) -> String {
        self.clock.exact(*at)
    }

    pub fn minute(&self, at: &Time) -> String {
        self.clock.minute(*at)
    }

    pub fn took(&self, ms: &i64) -> String {
        format::duration(*ms)
    }

    pub fn took_or(&self, ms: &Option<i64>) -> String {
        ms.map(format::duration).unwrap_or_default()
    }

    pub fn url(&self, text: &str) -> String {
        format::url(text)
    }

    pub fn thousands(&self, n: &u64) -> String {
        format::thousands(*n)
    }

    pub fn cut(&self, text: &str, columns: usize) -> String {
        format::cut(text, columns)
    }

    pub fn badge(&self, state: &InstanceWord) -> Markup {
        markup::instance(*state).badge(self.lang)
    }

    pub fn node_badge(&self, state: &NodeWord) -> Markup {
        markup::node(*state).badge(self.lang)
    }

    pub fn node_chip(&self, state: &NodeWord) -> Markup {
        markup::node(*state).chip(self.lang)
    }

    pub fn fill1(&self, text: &str, a: impl Display) -> String {
        fill(text, &[&a])
    }

    pub fn fill2(&self, text: &str, a: impl Display, b: impl Display) -> String {
        fill(text, &[&a, &b])
    }

    pub fn fill3(&self, text: &str, a: impl Display, b: impl Display, c: impl Display) -> String {
        fill(text, &[&a, &b, &c])
    }

    /// A key for one dialog: pressing twice has one effect.
    pub fn key(&self) -> String {
        uuid::Uuid::now_v7().to_string()
    }

    /// Changes with the content of style sheet and script.
    fn assets(&self) -> &'static str {
        assets::version()
    }

    fn is_dark(&self) -> bool {
        self.theme == Some(Theme::Dark)
    }

    fn theme_word(&self) -> &'static str {
        self.theme.map_or("", Theme::word)
    }
}

/// The address of this page with one parameter changed.
pub fn same_page(caller: &Caller, name: &str, value: &str) -> String {
    let mut pairs: Vec<String> = caller
        .query
        .iter()
        .filter(|(n, _)| n != name && !matches!(n.as_str(), "lang" | "theme" | "tz"))
        .map(|(n, v)| format!("{}={}", format::url(n), format::url(v)))
        .collect();
    if !value.is_empty() {
        pairs.push(format!("{name}={}", format::url(value)));
    }
    format!("{}?{}", caller.path, pairs.join("&"))
}

/// The finished page.
pub fn render(template: &impl Template) -> Page {
    let html = template.render().map_err(ApiError::internal)?;
    Ok(html_response(StatusCode::OK, html))
}

fn html_response(status: StatusCode, html: String) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], html).into_response()
}

/// Asks for a page's view; while masters switch, the last known one.
pub async fn look(app: &App, query: Query) -> Result<Seen, ApiError> {
    app.look(query).await
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    f: Frame,
    heading: &'static str,
    code: ErrorCode,
    detail: Message,
    hint: Option<Message>,
    errors: Vec<crate::api::ErrorItem>,
    request_id: String,
    retry_href: String,
}

/// An error as a page: what, where, and what to do next.
pub fn problem(app: &App, caller: &Caller, error: ApiError) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let meaning = error.code.meaning();
    let heading = if caller.lang == Lang::Zh { meaning.title_zh } else { meaning.title };
    let page = ProblemPage {
        f: Frame::bare(app, caller, "", heading.to_owned(), clock::now().into()),
        heading,
        code: error.code,
        detail: error.detail,
        hint: error.hint,
        errors: error.errors,
        request_id: caller.request_id.clone(),
        // What a form posted to may not be a page itself.
        retry_href: if caller.path.starts_with("/workers/") {
            "/cluster".to_owned()
        } else if caller.path.starts_with("/links") {
            "/links".to_owned()
        } else {
            same_page(caller, "", "")
        },
    };
    match page.render() {
        Ok(html) => html_response(status, html),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
