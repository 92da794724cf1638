//! Signing in with a one-time link (or the token), and out.
//!
//! Opening the link shows a button; the button posts. A GET alone would let a mail scanner or a preview use it up.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};

use crate::api::ApiError;
use crate::http::clock;
use crate::http::guard::{Caller, CheckedBody, SESSION_COOKIE, form, session_cookie};
use crate::http::login::is_equal;
use crate::http::problem::Failure;
use crate::http::state::App;

use super::{Frame, Page, render};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    f: Frame,
    once: String,
    was_refused: bool,
}

pub async fn page(State(app): State<App>, caller: Caller) -> Page {
    let f = Frame::bare(&app, &caller, "", caller.lang.words().login_title.to_owned(), clock::now().into());
    let once = caller.parameter("once").unwrap_or_default().to_owned();
    let was_refused = caller.parameter("refused").is_some();
    render(&LoginPage { f, once, was_refused })
}

pub async fn accept(State(app): State<App>, CheckedBody(body): CheckedBody) -> Result<Response, Failure> {
    let fields = form(&body);
    let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.trim()).unwrap_or_default();
    let login = &app.options.login;
    let now = clock::now();
    let admin = app.options.admin_token.trim();
    let is_admin = !admin.is_empty() && !field("token").is_empty() && is_equal(field("token"), admin);
    // The token opens a session by way of a link of its own, so there is one way in.
    let session = if is_admin { login.accept(&login.issue(now), now) } else { login.accept(field("once"), now) };
    let Some(session) = session else {
        return Ok(Redirect::to("/login?refused=1").into_response());
    };
    let mut response = Redirect::to("/").into_response();
    set_cookie(&mut response, &session_cookie(login, &session))?;
    Ok(response)
}

pub async fn sign_out(State(app): State<App>, caller: Caller) -> Result<Response, Failure> {
    if let Some(session) = &caller.session {
        app.options.login.sign_out(session);
    }
    let mut response = Redirect::to("/").into_response();
    set_cookie(&mut response, &format!("{SESSION_COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"))?;
    Ok(response)
}

fn set_cookie(response: &mut Response, cookie: &str) -> Result<(), ApiError> {
    let value = HeaderValue::from_str(cookie).map_err(ApiError::internal)?;
    response.headers_mut().insert(header::SET_COOKIE, value);
    Ok(())
}
