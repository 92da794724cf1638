//! Links over HTTP: what goes in as a secret is sent on and never comes out; nothing is changed by GET.

use ractorflow::api::Change;
use ractorflow::model::link::LinkKind;

use crate::Server;
use crate::fake_master::FakeMaster;

#[tokio::test]
async fn a_link_is_added_changed_and_removed_by_its_verbs() {
    let server = Server::start(FakeMaster::default()).await;
    let body = r#"{"type":"MYSQL","url":"jdbc:mysql://h/db","username":"etl","password":"canary-1","properties":{"a":"canary-2","b":null}}"#;
    let added = server.post("/api/v1/links/dwh:add", body).await;
    assert_eq!(added.status(), 200);
    assert!(!added.text().await.unwrap().contains("canary"));
    assert_eq!(server.post("/api/v1/links/dwh:update?kind=database", r#"{"username":"x"}"#).await.status(), 200);
    assert_eq!(server.post("/api/v1/links/a%2Fb:remove?kind=file", "").await.status(), 200);
    let changes = server.master.changes.lock().unwrap();
    let Change::AddLink { name, kind, request } = &changes[0].change else { panic!("{:?}", changes[0]) };
    assert_eq!((name.as_str(), *kind), ("dwh", None));
    assert_eq!(request.password.as_ref().map(|password| password.0.as_str()), Some("canary-1"));
    assert_eq!(request.properties.len(), 2);
    assert!(!format!("{changes:?}").contains("canary"), "a change that is printed shows no secret");
    assert!(
        matches!(&changes[1].change, Change::UpdateLink { kind: Some(LinkKind::Database), request, .. } if request.password.is_none())
    );
    assert!(matches!(&changes[2].change, Change::RemoveLink { name, kind: Some(LinkKind::File) } if name == "a/b"));
}

#[tokio::test]
async fn what_is_not_known_is_refused() {
    let server = Server::start(FakeMaster::default()).await;
    for (path, body, status) in [
        ("/api/v1/links/dwh:add", r#"{"passwort":"x"}"#, 400),
        ("/api/v1/links/dwh:add?kind=table", "{}", 400),
        ("/api/v1/links/dwh:rename", "{}", 404),
        ("/api/v1/links/dwh", "{}", 405),
    ] {
        assert_eq!(server.post(path, body).await.status(), status, "{path} {body}");
    }
    let nobody = server.client.post(server.url("/api/v1/links/dwh:test")).body("{}").send().await.unwrap();
    assert_eq!(nobody.status(), 401);
    assert_eq!(server.get("/api/v1/links/nowhere").await.status(), 404);
    assert!(server.master.changes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_test_says_for_each_worker_what_failed() {
    let server = Server::start(FakeMaster::default()).await;
    let tried: serde_json::Value = server.post("/api/v1/links/dwh:test", "{}").await.json().await.unwrap();
    assert_eq!((&tried[0]["is_ok"], &tried[1]["failed_at"]), (&true.into(), &"connect".into()));
    let one: serde_json::Value = server.post("/api/v1/links/dwh:test", r#"{"from":"w2"}"#).await.json().await.unwrap();
    assert_eq!(one.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn the_forms_of_the_page_do_the_same_and_want_their_token() {
    let server = Server::start(FakeMaster::default()).await;
    let (cookie, csrf) = server.sign_in();
    let post = |path: &str, pairs: &[(&str, &str)]| {
        let text: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = server.client.post(server.url(path)).header("cookie", &cookie).body(text.join("&"));
        request.header("content-type", "application/x-www-form-urlencoded").header("accept", "text/html").send()
    };
    let refused = post("/links/dwh", &[("verb", "remove"), ("kind", "database"), ("key", "k0")]).await.unwrap();
    assert_eq!(refused.status(), 403);
    let added = post(
        "/links",
        &[
            ("csrf", &csrf),
            ("key", "k1"),
            ("name", "ods"),
            ("type", "SQLITE"),
            ("url", "jdbc:sqlite:x"),
            ("password", "canary"),
        ],
    );
    let added = added.await.unwrap();
    assert_eq!((added.status().as_u16(), added.headers()["location"].to_str().unwrap()), (303, "/links/ods"));
    let changed = post(
        "/links/dwh",
        &[
            ("csrf", &csrf),
            ("key", "k2"),
            ("verb", "update"),
            ("kind", "database"),
            ("password", ""),
            ("had", "a"),
            ("properties", ""),
        ],
    );
    assert_eq!(changed.await.unwrap().status(), 303);
    let tested = post("/links/dwh?lang=en", &[("csrf", &csrf), ("key", "k3"), ("verb", "test"), ("kind", "database")]);
    let tested = tested.await.unwrap();
    assert_eq!(tested.status(), 200);
    let page = tested.text().await.unwrap();
    assert!(
        page.contains("w2") && page.contains("failed: connection") && page.contains("Connection refused"),
        "{page}"
    );
    let changes = server.master.changes.lock().unwrap();
    assert_eq!(changes.len(), 2, "a test changes nothing");
    assert!(
        matches!(&changes[1].change, Change::UpdateLink { request, .. } if request.password.is_none() && request.properties["a"].is_none())
    );
}

#[tokio::test]
async fn the_pages_show_no_secret_and_say_which_of_two_counts() {
    let server = Server::start(FakeMaster::default()).await;
    let list = server.page("/links?lang=en").await;
    assert!(list.contains("there the file counts") && list.contains("a link without a name"), "{list}");
    let one = server.page("/links/dwh?kind=database&lang=en").await;
    assert!(one.contains("socketTimeout=***") && one.contains("sslrootcert=${env:DWH_CA}"), "{one}");
    assert!(one.contains("type=\"password\" placeholder=\"***\""), "{one}");
    let of_file = server.page("/links/local_mysql?kind=database&lang=en").await;
    assert!(of_file.contains("The cluster does not keep it") && !of_file.contains("name=\"password\""), "{of_file}");
}
