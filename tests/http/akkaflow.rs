//! akkaflow's routes: off by default, who is admitted, and what each of them answers.

use ractorflow::api::Change;
use ractorflow::api::change::RerunMode;
use ractorflow::http::AkkaflowRoutes;
use ractorflow::http::guard::Access;
use ractorflow::http::routes::routes;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{Server, TOKEN};

fn example(path: &str) -> String {
    path.replace("{name}", "orders").replace("{id}", "10338")
}

/// The object in the answer, which is text whatever it says.
async fn reply(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "text/plain; charset=UTF-8");
    let text = answer.text().await.unwrap();
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(value.as_object().unwrap().keys().collect::<Vec<_>>(), ["result", "msg", "data"]);
    (status, value)
}

fn changes(server: &Server) -> Vec<Change> {
    server.master.changes.lock().unwrap().iter().map(|envelope| envelope.change.clone()).collect()
}

#[tokio::test]
async fn they_are_not_there_unless_the_settings_say_so() {
    let server = Server::start(crate::fake_master::FakeMaster::default()).await;
    for route in routes().iter().filter(|route| route.access == Access::Akkaflow) {
        let url = server.url(&format!("{}?action=run", example(route.path)));
        let answer = server.client.request(route.method.clone(), url).bearer_auth(TOKEN).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{}", route.path);
    }
    assert!(changes(&server).is_empty());
}

#[tokio::test]
async fn without_the_token_nobody_is_admitted_and_a_session_is_no_token() {
    let server = Server::start_akkaflow(AkkaflowRoutes::WithToken).await;
    let (cookie, csrf) = server.sign_in();
    for route in routes().iter().filter(|route| route.access == Access::Akkaflow) {
        let ask = || {
            let url = server.url(&format!("{}?action=run&action=kill", example(route.path)));
            server.client.request(route.method.clone(), url)
        };
        for request in
            [ask(), ask().bearer_auth("wrong"), ask().header("cookie", &cookie).header("x-csrf-token", &csrf)]
        {
            let (status, value) = reply(request).await;
            assert_eq!((status, &value["result"]), (401, &json!("fail")), "{}", route.path);
            assert!(value["msg"].as_str().unwrap().contains("Bearer"), "{value}");
        }
    }
    assert!(changes(&server).is_empty());
}

/// A page of another site makes the browser of somebody on this machine send what it likes but these headers.
#[tokio::test]
async fn what_a_browser_could_have_sent_changes_nothing() {
    for routes in [AkkaflowRoutes::WithToken, AkkaflowRoutes::WithoutToken] {
        let server = Server::start_akkaflow(routes).await;
        let (cookie, _) = server.sign_in();
        let own = server.url("");
        for (name, value) in [
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", own.as_str()),
            ("referer", "http://evil.example/page"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "none"),
            ("sec-fetch-mode", "no-cors"),
            ("cookie", &cookie),
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/52.0"),
            ("accept", "text/html,application/xhtml+xml"),
            ("accept", "image/webp,*/*"),
            ("upgrade-insecure-requests", "1"),
            ("host", "evil.example"),
        ] {
            for method in [Method::GET, Method::POST, Method::HEAD] {
                let url = server.url("/akkaflow/workflow/orders?action=run");
                let answer = server.client.request(method.clone(), url).header(name, value).send().await.unwrap();
                assert!(answer.status().is_client_error(), "{method} {name}: {value}: {}", answer.status());
            }
        }
        // Not even with the token from a foreign page, which could not send it either.
        let url = server.url("/akkaflow/workflow/orders?action=run");
        let answer = server.client.get(&url).bearer_auth(TOKEN).header("origin", "http://evil.example");
        assert_eq!(answer.send().await.unwrap().status(), 403);
        assert!(changes(&server).is_empty(), "{:?}", changes(&server));
    }
}

#[tokio::test]
async fn a_program_of_this_machine_needs_no_token_where_the_settings_say_so() {
    let server = Server::start_akkaflow(AkkaflowRoutes::WithoutToken).await;
    let (status, value) = reply(server.client.get(server.url("/akkaflow/workflow/orders?action=run"))).await;
    assert_eq!((status, &value["result"]), (200, &json!("success")), "{value}");
    assert_eq!(server.master.changes.lock().unwrap()[0].principal, "akkaflow:local");
    // Everything else keeps asking.
    let answer = server.client.post(server.url("/api/v1/workflows/orders:run")).send().await.unwrap();
    assert_eq!(answer.status(), 401);
}

#[tokio::test]
async fn akka_14_every_route_does_what_its_action_says_by_either_method() {
    for method in [Method::GET, Method::POST] {
        let server = Server::start_akkaflow(AkkaflowRoutes::WithToken).await;
        let ask = |path: &str| server.client.request(method.clone(), server.url(path)).bearer_auth(TOKEN);
        for (path, data) in [
            ("/akkaflow/workflow/orders?action=run&day=2026-11-19&full=a%20b", json!("10350")),
            ("/akkaflow/workflow/orders?action=trigger&ignore_node=load,%20mail", json!("10350")),
            ("/akkaflow/workflow/orders?action=trigger", json!("10350")),
            ("/akkaflow/workflow/orders?action=trigger-blood", json!("10350")),
            ("/akkaflow/workflow/orders?action=reset", Value::Null),
            ("/akkaflow/workflow/orders?action=del", Value::Null),
            ("/akkaflow/workflows?action=reset", Value::Null),
            ("/akkaflow/workflow/instance/10338?action=rerun", json!("10338")),
            ("/akkaflow/workflow/instance/10338?action=rerun&recover=true", json!("10338")),
            ("/akkaflow/workflow/instance/10338?action=rerun&recover=false", json!("10338")),
            ("/akkaflow/workflow/instance/10338?action=kill", json!("W_FAILED")),
            ("/akkaflow/workflow/instance/10338?action=del", Value::Null),
            ("/akkaflow/workflow?action=del-dir&id=3", Value::Null),
        ] {
            let (status, value) = reply(ask(path)).await;
            assert_eq!((status, &value["result"], &value["data"]), (200, &json!("success"), &data), "{path}: {value}");
            assert!(value["msg"].as_str().is_some_and(|said| !said.is_empty()), "{path}");
        }
        let changes = changes(&server);
        let Change::Run { workflow, request } = &changes[0] else { panic!("{changes:?}") };
        assert_eq!(workflow, "orders");
        let params: Vec<_> = request.params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(params, [("day", "2026-11-19"), ("full", "a b")], "the action is no parameter");
        assert!(
            matches!(&changes[1], Change::Trigger { request, .. } if request.skip == ["load", "mail"] && !request.with_downstream)
        );
        assert!(matches!(&changes[2], Change::Trigger { request, .. } if request.skip.is_empty()));
        assert!(matches!(&changes[3], Change::Trigger { request, .. } if request.with_downstream));
        assert!(matches!(&changes[4], Change::Reset { workflow: Some(name) } if name == "orders"));
        assert!(matches!(&changes[5], Change::DeleteWorkflow { .. }));
        assert!(matches!(&changes[6], Change::Reset { workflow: None }));
        let modes: Vec<RerunMode> = changes[7..10]
            .iter()
            .map(|change| match change {
                Change::Rerun { instance: 10338, request } => request.mode,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(modes, [RerunMode::All, RerunMode::FromFailed, RerunMode::All]);
        assert!(matches!(&changes[10], Change::Kill { instance: 10338, .. }));
        assert!(matches!(&changes[11], Change::DeleteInstance { instance: 10338 }));
        assert_eq!(changes.len(), 12);
    }
}

#[tokio::test]
async fn a_definition_comes_in_a_form_or_as_it_is() {
    let server = Server::start_akkaflow(AkkaflowRoutes::WithToken).await;
    let xml = "<work-flow name=\"日报\"><start name=\"a\" to=\"b\"/></work-flow>";
    let post = |action: &str| {
        server.client.post(server.url(&format!("/akkaflow/workflow?action={action}&path=/x/a.xml"))).bearer_auth(TOKEN)
    };
    let encoded = reqwest::Url::parse_with_params("http://x/", [("xml", xml)]).unwrap().query().unwrap().to_owned();
    let typed = |request: RequestBuilder| request.header("content-type", "application/x-www-form-urlencoded");
    for action in ["add", "check"] {
        let parted = |body: String| post(action).header("content-type", "multipart/form-data; boundary=x7").body(body);
        let file = "Content-Disposition: form-data; name=\"xml\"; filename=\"a.xml\"\r\nContent-Type: text/xml";
        let upload = parted(format!("--x7\r\n{file}\r\n\r\n{xml}\r\n--x7--\r\n"));
        for request in [typed(post(action)).body(encoded.clone()), post(action).body(xml), upload] {
            let (status, value) = reply(request).await;
            assert_eq!((status, &value["result"]), (200, &json!("success")), "{action}: {value}");
        }
        let (status, value) = reply(post(action)).await;
        assert_eq!((status, &value["result"]), (200, &json!("fail")), "{value}");
        assert!(value["msg"].as_str().unwrap().contains("xml"), "{value}");
        let (status, value) = reply(parted(format!("--x7\r\n{file}\r\n\r\n{xml}"))).await;
        assert_eq!((status, &value["msg"]), (200, &json!("the parts of the form cannot be told apart")), "{value}");
    }
    let changes = changes(&server);
    assert_eq!(changes.len(), 3);
    for change in changes {
        let Change::Apply { request } = change else { panic!("{change:?}") };
        assert_eq!((request.text.as_str(), request.path.as_str()), (xml, "/x/a.xml"));
    }
    let (_, value) = reply(post("check").body("<broken")).await;
    assert_eq!(value["result"], "fail");
}

#[tokio::test]
async fn akka_17_reads_are_answered_too() {
    let server = Server::start_akkaflow(AkkaflowRoutes::WithToken).await;
    let ask = |path: &str| reply(server.client.get(server.url(path)).bearer_auth(TOKEN));
    let (_, left) = ask("/akkaflow/workflows?action=today-trigger-left").await;
    let left = left["data"].as_object().unwrap();
    assert!(!left.is_empty() && left.values().all(|count| count.as_u64().is_some_and(|count| count > 0)), "{left:?}");
    let (_, view) = ask("/akkaflow/workflow/日报_订单?action=get").await;
    assert_eq!(view["data"]["summary"]["name"], "日报_订单", "{view}");
    let (_, tree) = ask("/akkaflow/cluster?action=get").await;
    let rows = tree["data"].as_array().unwrap();
    assert!(rows.len() > 3 && rows[1..].iter().all(|row| row["pname"] == "top"), "{tree}");
    assert!(changes(&server).is_empty());
}

#[tokio::test]
async fn what_fails_is_said_with_status_200() {
    let server = Server::start_akkaflow(AkkaflowRoutes::WithToken).await;
    for (path, said) in [
        ("/akkaflow/workflow/orders", "no action \"\""),
        ("/akkaflow/workflow/orders?action=fly", "no action \"fly\""),
        ("/akkaflow/workflow/orders?action=run&a=1&a=2", "\"a\" is given twice"),
        ("/akkaflow/workflow/nowhere?action=get", "nowhere"),
        ("/akkaflow/workflow/instance/last?action=kill", "number"),
        ("/akkaflow/workflow/instance/0a1b2c3d?action=rerun", "0a1b2c3d"),
        ("/akkaflow/cluster?action=shutdown", "stop-cluster"),
    ] {
        let (status, value) = reply(server.client.get(server.url(path)).bearer_auth(TOKEN)).await;
        assert_eq!((status, &value["result"], &value["data"]), (200, &json!("fail"), &Value::Null), "{path}: {value}");
        assert!(value["msg"].as_str().unwrap().contains(said), "{path}: {value}");
    }
    let chinese = server.client.get(server.url("/akkaflow/workflow/orders?action=reset")).bearer_auth(TOKEN);
    let (_, value) = reply(chinese.header("accept-language", "zh-CN")).await;
    assert_eq!(value["msg"], "已重置工作流 orders 的就绪状态");
}

#[tokio::test]
async fn akka_08_links_are_kept_changed_and_removed_and_a_password_comes_in_a_form() {
    let server = Server::start_akkaflow(AkkaflowRoutes::WithToken).await;
    let post = |path: &str, form: &str| {
        let request = server.client.post(server.url(path)).bearer_auth(TOKEN);
        request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned())
    };
    let form = "name=dwh&dbtype=MYSQL&jdbcUrl=jdbc%3Amysql%3A%2F%2Fh%2Fd&username=etl&password=s3cret&desc=x&properties=a%3D1%26b%3D2";
    let (_, value) = reply(post("/akkaflow/db-link?action=add", form)).await;
    assert_eq!((&value["result"], &value["data"]), (&json!("success"), &json!("dwh")), "{value}");
    let (_, value) = reply(post("/akkaflow/file-link/landing?action=update", "fstype=SFTP&host=h&port=22")).await;
    assert_eq!(value["result"], "success", "{value}");
    let (_, value) = reply(post("/akkaflow/db-link/dwh?action=del", "")).await;
    assert_eq!(value["result"], "success", "{value}");
    let (_, value) = reply(post("/akkaflow/db-link?action=add&name=x&password=s3cret", "")).await;
    assert_eq!(value["result"], "fail", "{value}");
    let changes = changes(&server);
    assert_eq!(changes.len(), 3, "{changes:?}");
    let Change::AddLink { name, request, .. } = &changes[0] else { panic!("{changes:?}") };
    assert_eq!((name.as_str(), request.type_word.as_deref(), request.properties.len()), ("dwh", Some("MYSQL"), 2));
    assert!(!format!("{changes:?}").contains("s3cret"), "a password is shown");
}
