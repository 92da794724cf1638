//! `/links`: which databases and file systems have a name, who has them, who uses them, and do they open? One of them
//! with a form for what the cluster keeps of it. A secret goes in and is never shown.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};

use crate::api::change::{Hidden, LinkRequest};
use crate::api::{ApiError, Change, LinkTestView, LinkTextView, LinkView, LinksView, Query};
use crate::expect_reply;
use crate::http::guard::{Caller, CheckedBody, form};
use crate::http::problem::{Failure, bad_request};
use crate::http::rest::links::kind as kind_of;
use crate::http::state::App;
use crate::model::link::LinkKind;
use crate::say;

use super::format::url;
use super::forms::{Fields, send};
use super::{Frame, Page, look, render};

/// What `type` may be, for the form.
const TYPES: &[(&str, &[&str])] = &[
    (
        "database",
        &[
            "MYSQL",
            "MARIADB",
            "POSTGRESQL",
            "SQLITE",
            "ORACLE",
            "HIVE",
            "IMPALA",
            "SQLSERVER",
            "CLICKHOUSE",
            "DB2",
            "ODBC",
        ],
    ),
    ("file", &["SFTP", "S3", "HDFS", "LOCAL"]),
];

#[derive(Template)]
#[template(path = "links.html")]
struct LinksPage {
    f: Frame,
    view: LinksView,
    types: &'static [(&'static str, &'static [&'static str])],
}

#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage {
    f: Frame,
    link: LinkView,
    text: Option<LinkTextView>,
    /// Of the button that was just pressed.
    tests: Vec<LinkTestView>,
    types: &'static [(&'static str, &'static [&'static str])],
}

impl Frame {
    fn link_kind<'a>(&self, kind: &'a str) -> &'a str {
        match kind {
            "database" => self.w.link_database,
            "file" => self.w.link_file,
            other => other,
        }
    }

    fn link_step<'a>(&self, step: &'a str) -> &'a str {
        match step {
            "name" => self.w.step_name,
            "config" => self.w.step_config,
            "driver" => self.w.step_driver,
            "resolve" => self.w.step_resolve,
            "connect" => self.w.step_connect,
            "tls" => self.w.step_tls,
            "login" => self.w.step_login,
            "query" => self.w.step_query,
            "path" => self.w.step_path,
            "worker" => self.w.step_worker,
            other => other,
        }
    }

    fn link_href(&self, link: &LinkView) -> String {
        href(&link.name, &link.kind)
    }
}

fn href(name: &str, kind: &str) -> String {
    format!("/links/{}?kind={}", url(name), url(kind))
}

pub async fn page(State(app): State<App>, caller: Caller) -> Page {
    let seen = look(&app, Query::Links).await?;
    let mut f = Frame::new(&app, &caller, "links", caller.lang.words().links.to_owned(), &seen, "");
    // Workers are asked for each look: not at every event.
    f.events.clear();
    let answer = seen.answer;
    let view = *expect_reply!(answer, Links)?;
    render(&LinksPage { f, view, types: TYPES })
}

pub async fn one(State(app): State<App>, caller: Caller, Path(name): Path<String>) -> Page {
    let kind = kind_of(&caller)?;
    shown(&app, &caller, name, kind, Vec::new()).await
}

async fn shown(app: &App, caller: &Caller, name: String, kind: Option<LinkKind>, tests: Vec<LinkTestView>) -> Page {
    let seen = look(app, Query::Link { name: name.clone(), kind }).await?;
    let mut f = Frame::new(app, caller, "links", name, &seen, "");
    // What is being typed must not be patched away, nor what a test has just found.
    f.events.clear();
    let answer = seen.answer;
    let mut link = *expect_reply!(answer, Link)?;
    let text = link.text.take();
    render(&LinkPage { f, link, text, tests, types: TYPES })
}

/// The form of a new link.
pub async fn add(State(app): State<App>, caller: Caller, CheckedBody(body): CheckedBody) -> Result<Response, Failure> {
    let fields = Fields(form(&body));
    let name = fields.required("name")?.to_owned();
    let request = request(&fields)?;
    send(&app, &caller, &fields, Change::AddLink { name: name.clone(), kind: None, request }).await?;
    Ok(Redirect::to(&format!("/links/{}", url(&name))).into_response())
}

/// The forms of one link.
pub async fn act(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    CheckedBody(body): CheckedBody,
) -> Result<Response, Failure> {
    let fields = Fields(form(&body));
    let kind = fields.get("kind").and_then(LinkKind::from_word);
    let back = || match kind {
        Some(kind) => href(&name, kind.word()),
        None => format!("/links/{}", url(&name)),
    };
    match fields.required("verb")? {
        "update" => {
            let request = request(&fields)?;
            send(&app, &caller, &fields, Change::UpdateLink { name: name.clone(), kind, request }).await?;
            Ok(Redirect::to(&back()).into_response())
        }
        "remove" => {
            send(&app, &caller, &fields, Change::RemoveLink { name, kind }).await?;
            Ok(Redirect::to("/links").into_response())
        }
        "test" => {
            let query = Query::TestLink { name: name.clone(), kind, from: None };
            let answer = app.ask(query).await?;
            let tests = expect_reply!(answer, LinkTests)?;
            shown(&app, &caller, name, kind, tests).await
        }
        other => Err(bad_request(say!("unknown verb \"{}\"", other)).into()),
    }
}

/// What the form says. A blank password stays as it is, unless it is said that there is none; a property that the form
/// does not list any more is removed.
fn request(fields: &Fields) -> Result<LinkRequest, ApiError> {
    let text = |name: &str| fields.given(name).map(|text| text.trim().to_owned());
    let password = match (fields.is_set("no-password"), fields.given("password")) {
        (true, _) => Some(Hidden::default()),
        (false, Some(password)) if !password.is_empty() => Some(Hidden(password.to_owned())),
        (false, _) => None,
    };
    let mut properties: BTreeMap<String, Option<Hidden>> = BTreeMap::new();
    for (_, known) in fields.0.iter().filter(|(name, _)| name == "had") {
        properties.insert(known.clone(), None);
    }
    for line in fields.given("properties").unwrap_or_default().lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, value) = line
            .split_once('=')
            .ok_or_else(|| bad_request(say!("a property is written NAME=VALUE, one in each line")))?;
        properties.insert(name.trim().to_owned(), Some(Hidden(value.trim().to_owned())));
    }
    Ok(LinkRequest {
        type_word: text("type"),
        url: text("url"),
        host: text("host"),
        port: text("port"),
        username: text("username"),
        password,
        properties,
        description: text("description"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        Fields(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn a_blank_password_stays_and_what_is_not_listed_goes() {
        let form = fields(&[
            ("password", ""),
            ("url", "jdbc:sqlite:x"),
            ("had", "a"),
            ("had", "b"),
            ("properties", "b=***\r\nc = 1=2\r\n\r\n"),
        ]);
        let request = request(&form).unwrap();
        assert_eq!((request.password, request.url.as_deref()), (None, Some("jdbc:sqlite:x")));
        assert_eq!(request.type_word, None, "what the form has not stays");
        let properties: Vec<_> = request
            .properties
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_ref().map(|value| value.0.as_str())))
            .collect();
        assert_eq!(properties, [("a", None), ("b", Some("***")), ("c", Some("1=2"))]);
    }

    #[test]
    fn no_password_is_said_apart_and_a_new_one_is_taken_as_it_is() {
        let none = request(&fields(&[("no-password", "1"), ("password", "x")])).unwrap();
        assert_eq!(none.password, Some(Hidden::default()));
        let new = request(&fields(&[("password", " p w ")])).unwrap();
        assert_eq!(new.password, Some(Hidden(" p w ".to_owned())));
        assert!(request(&fields(&[("properties", "nonsense")])).is_err());
    }
}
