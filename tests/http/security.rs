//! Who may do what, from where; and what hostile or slow clients get.

use std::time::Duration;

use ractorflow::http::guard::Access;
use ractorflow::http::routes::routes;
use ractorflow::http::{AkkaflowRoutes, App, HttpLimits, HttpOptions, LoginLinks, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fake_master::FakeMaster;
use crate::{Server, TOKEN};

#[tokio::test]
async fn w15_a_change_needs_the_token_or_a_session_on_every_route() {
    let server = Server::start(FakeMaster::default()).await;
    for route in routes().iter().filter(|route| matches!(route.access, Access::Change | Access::Form)) {
        let path = route.path.replace("{target}", "10342:kill").replace(['{', '}'], "");
        for token in [None, Some("wrong"), Some("")] {
            let mut request = server.client.post(server.url(&path));
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            assert_eq!(request.send().await.unwrap().status(), 401, "{path} {token:?}");
        }
    }
    assert!(server.master.changes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_session_changes_only_with_its_own_csrf_token() {
    let server = Server::start(FakeMaster::default()).await;
    let (cookie, csrf) = server.sign_in();
    let (_, of_another) = server.sign_in();
    let api = |csrf: Option<String>| {
        let mut request = server.client.post(server.url("/api/v1/instances/10342:pause")).header("cookie", &cookie);
        if let Some(csrf) = csrf {
            request = request.header("x-csrf-token", csrf);
        }
        request.send()
    };
    assert_eq!(api(None).await.unwrap().status(), 403);
    assert_eq!(api(Some(of_another)).await.unwrap().status(), 403);
    assert_eq!(api(Some(csrf.clone())).await.unwrap().status(), 200);
    let form = |body: String| {
        let request = server.client.post(server.url("/i/10342")).header("cookie", &cookie);
        request.header("content-type", "application/x-www-form-urlencoded").body(body).send()
    };
    assert_eq!(form("verb=kill&key=k1".to_owned()).await.unwrap().status(), 403);
    let done = form(format!("verb=kill&key=k1&csrf={csrf}&reason=%E9%94%99")).await.unwrap();
    assert_eq!(done.status(), 303);
    assert_eq!(done.headers()["location"], "/i/10342");
    let changes = server.master.changes.lock().unwrap();
    assert_eq!(changes.len(), 2);
    assert!(changes[1].principal.starts_with("session:"));
    assert_eq!(changes[1].reason.as_deref(), Some("错"));
    assert_eq!(changes[1].idempotency_key, "k1");
}

#[tokio::test]
async fn a_foreign_page_cannot_change_anything_not_even_with_cookie_and_token() {
    let server = Server::start(FakeMaster::default()).await;
    let (cookie, csrf) = server.sign_in();
    for (name, value) in [("origin", "http://evil.example"), ("sec-fetch-site", "cross-site"), ("origin", "null")] {
        let request = server.client.post(server.url("/api/v1/instances/10342:kill")).header("cookie", &cookie);
        let answer = request.header("x-csrf-token", &csrf).header(name, value).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{name} {value}");
    }
    assert!(server.master.changes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn another_host_name_is_not_answered_so_that_rebinding_reads_nothing() {
    let server = Server::start(FakeMaster::default()).await;
    for host in ["evil.example", "evil.example:8090", "127.0.0.1.evil.example", "10.0.0.1"] {
        let answer = server.client.get(server.url("/api/v1/status")).header("host", host).send().await.unwrap();
        assert_eq!(answer.status(), 421, "{host}");
    }
    for host in ["localhost:1234", "127.0.0.1", "[::1]:80", "FLOW.example.com"] {
        let answer = server.client.get(server.url("/api/v1/status")).header("host", host).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{host}");
    }
}

#[tokio::test]
async fn the_login_link_works_once_and_only_by_its_button() {
    let server = Server::start(FakeMaster::default()).await;
    let now = ractorflow::http::clock::now();
    let once = server.login.issue(now);
    // Looking at the link, as a mail scanner does, does not use it up.
    for _ in 0..2 {
        let page = server.page(&format!("/login?once={once}")).await;
        assert!(page.contains("<form method=\"post\" action=\"/login\""));
    }
    let post = |body: String| server.client.post(server.url("/login")).body(body).send();
    let answer = post(format!("once={once}")).await.unwrap();
    assert_eq!(answer.status(), 303);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let again = post(format!("once={once}")).await.unwrap();
    assert_eq!(again.headers()["location"], "/login?refused=1");
    assert!(!again.headers().contains_key("set-cookie"));
    assert_eq!(post("token=wrong".to_owned()).await.unwrap().headers()["location"], "/login?refused=1");
    assert_eq!(post(format!("token={TOKEN}")).await.unwrap().headers()["location"], "/");
    // Signing out ends the session for good.
    let page = |cookie: String| {
        server.client.get(server.url("/")).header("accept", "text/html").header("cookie", cookie).send()
    };
    let text = page(cookie.clone()).await.unwrap().text().await.unwrap();
    let csrf = text.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let out = server.client.post(server.url("/logout")).header("cookie", &cookie).body(format!("csrf={csrf}"));
    assert_eq!(out.send().await.unwrap().status(), 303);
    assert!(page(cookie).await.unwrap().text().await.unwrap().contains("href=\"/login\""));
}

#[tokio::test]
async fn every_answer_forbids_foreign_content_and_frames() {
    let server = Server::start(FakeMaster::default()).await;
    for path in ["/", "/api/v1/status", "/nothing", "/assets/app.js", "/livez", "/i/10342"] {
        let answer = server.client.get(server.url(path)).header("accept", "text/html").send().await.unwrap();
        let headers = answer.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe"), "{path}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
    }
}

#[tokio::test]
async fn beyond_loopback_it_listens_only_when_told_that_this_is_insecure() {
    let home = tempfile::tempdir().unwrap();
    let login = LoginLinks::open(&home.path().join("key"), home.path()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = HttpOptions {
        id: "h1".to_owned(),
        bind: "0.0.0.0:8090".parse().unwrap(),
        url: String::new(),
        admin_token: TOKEN.to_owned(),
        login,
        allowed_hosts: Vec::new(),
        is_insecure: false,
        zone: chrono_tz::UTC,
        limits: HttpLimits::default(),
        akkaflow: AkkaflowRoutes::Off,
    };
    let master = std::sync::Arc::new(FakeMaster::default());
    let app = App::new(master, options, tokio_util::sync::CancellationToken::new());
    let error = serve(listener, app).await.unwrap_err().to_string();
    assert!(error.contains("refused to listen on 0.0.0.0:8090"), "{error}");
}

/// What the server sends until it closes the connection.
async fn until_closed(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    let read = stream.read_to_end(&mut text);
    let _ = tokio::time::timeout(Duration::from_secs(20), read).await.expect("the server closes the connection");
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_client_that_never_finishes_its_headers_or_body_is_let_go_and_others_are_served() {
    let limits = HttpLimits { header_read_ms: 200, body_read_ms: 200, ..HttpLimits::default() };
    let server = Server::start_with(FakeMaster::default(), limits, 0).await;
    let mut slow_head = TcpStream::connect(server.address).await.unwrap();
    slow_head.write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ").await.unwrap();
    let mut slow_body = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /api/v1/workflows/w:run HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 1000\r\n\r\n{{"
    );
    slow_body.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(server.get("/livez").await.status(), 200);
    until_closed(slow_head).await;
    let text = until_closed(slow_body).await;
    assert!(text.starts_with("HTTP/1.1 408"), "{text}");
    assert!(server.master.changes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn requests_that_could_be_read_in_two_ways_are_refused() {
    let server = Server::start(FakeMaster::default()).await;
    let long = "x".repeat(100_000);
    for head in [
        "POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde".to_owned(),
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: {long}\r\nConnection: close\r\n\r\n"),
        "GET /\0 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".to_owned(),
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let _ = stream.write_all(head.as_bytes()).await;
        let text = until_closed(stream).await;
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    }
    assert_eq!(server.get("/livez").await.status(), 200);
}

#[tokio::test]
async fn more_requests_than_are_handled_at_once_are_told_to_come_back() {
    let limits = HttpLimits { requests_max: 0, event_streams_max: 0, ..HttpLimits::default() };
    let server = Server::start_with(FakeMaster::default(), limits, 0).await;
    // The second kind waits or follows: it is counted apart.
    for path in ["/api/v1/status", "/api/v1/instances/10342", "/api/v1/instances/10342/nodes/a/log", "/api/v1/events"] {
        let answer = server.get(path).await;
        assert_eq!(answer.status(), 503, "{path}");
        assert!(answer.headers().contains_key("retry-after"), "{path}");
        let problem: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], "overloaded", "{path}");
    }
    for path in ["/livez", "/readyz", "/login", "/assets/style.css"] {
        assert_ne!(server.get(path).await.status(), 503, "{path}");
    }
    let one = HttpLimits { requests_max: 1, event_streams_max: 1, ..HttpLimits::default() };
    let server = Server::start_with(FakeMaster::default(), one, 0).await;
    for _ in 0..3 {
        for path in ["/api/v1/status", "/api/v1/instances/10342"] {
            assert_eq!(server.get(path).await.status(), 200, "{path} once the one before is answered");
        }
    }
}

#[tokio::test]
async fn lists_have_as_many_rows_as_configured() {
    let limits = HttpLimits { page_rows: 2, page_rows_max: 3, ..HttpLimits::default() };
    let server = Server::start_with(FakeMaster::default(), limits, 0).await;
    for (path, n) in [("/api/v1/workflows", 2), ("/api/v1/workflows?limit=3", 3)] {
        assert_eq!(server.json(path).await["items"].as_array().unwrap().len(), n, "{path}");
    }
    let answer = server.get("/api/v1/workflows?limit=4").await;
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await.unwrap().contains("limit must be 1 to 3, not 4"));
    assert!(server.page("/workflows").await.contains("cursor=next-page"));
}
