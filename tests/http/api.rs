//! The REST API: views, problems, cursors, keys, changes.

use ractorflow::api::change::{Change, MarkAs, RerunMode, RerunVersion};

use crate::Server;
use crate::fake_master::FakeMaster;

#[tokio::test]
async fn every_read_answers_its_view_and_says_how_fresh_it_is() {
    let server = Server::start(FakeMaster::default()).await;
    for (path, pointer) in [
        ("/api/v1/status", "/counts/running"),
        ("/api/v1/cluster", "/nodes/0/leader"),
        ("/api/v1/workers", "/0/slots"),
        ("/api/v1/schedule?limit=3", "/2/params"),
        ("/api/v1/load-errors", "/items/0/diagnostics/0/column"),
        ("/api/v1/load-errors/dwd_order_detail", "/running_version"),
        ("/api/v1/workflows", "/items/0/history/13/state"),
        ("/api/v1/folders", "/folders/1/failed"),
        ("/api/v1/workflows/日报_订单", "/coordinator/triggers/0/text"),
        ("/api/v1/workflows/日报_订单/versions", "/items/0/hash"),
        ("/api/v1/workflows/日报_订单/versions/latest", "/text"),
        ("/api/v1/workflows/日报_订单/next?limit=2", "/1/local"),
        ("/api/v1/workflows/日报_订单/why", "/reasons/0/code"),
        ("/api/v1/workflows/日报_订单/nodes/异常检测/measurements?limit=9", "/items/0/value"),
        ("/api/v1/monitors?workflow=hive_compact", "/items/0/recent/0/is_within"),
        ("/api/v1/instances?state=running,failed", "/items/0/progress/0/state"),
        ("/api/v1/instances/10342", "/nodes/6/attempts/1/worker"),
        ("/api/v1/instances/last:日报_订单", "/number"),
        ("/api/v1/instances/10342/events", "/items/0/text"),
        ("/api/v1/instances/10342/why", "/reasons/1/unblock"),
        ("/api/v1/instances/10342/nodes/clean_orders", "/attempts/0/exit_code"),
        ("/api/v1/instances/10342/nodes/dedup_items/why", "/reasons/1/text"),
        ("/api/v1/instances/10342/nodes/clean_orders/log?tail=3", "/lines/2/text"),
        ("/api/v1/instances/10342/nodes/clean_orders/attempts/1/log?grep=ORA", "/lines/0/n"),
        ("/api/v1/openapi.json", "/paths"),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/json", "{path}");
        assert!(answer.headers().contains_key("x-request-id"), "{path}");
        let view: serde_json::Value = answer.json().await.unwrap();
        assert!(view.pointer(pointer).is_some(), "{path} lacks {pointer}");
    }
    let answer = server.get("/api/v1/status").await;
    assert_eq!(answer.headers()["x-ractorflow-seq"], "1000");
    assert_eq!(answer.headers()["x-ractorflow-by"], "m1");
}

#[tokio::test]
async fn a_search_takes_dates_of_the_clusters_zone_and_both_ends_belong_to_it() {
    let server = Server::start(FakeMaster::default()).await;
    let n = async |query: &str| {
        let path = format!("/api/v1/instances?limit=500{query}");
        server.json(&path).await["items"].as_array().unwrap().len()
    };
    let all = n("").await;
    // The fixture's night is that of the 20th in Shanghai: 16:00 UTC of the day before is its beginning.
    let of_the_day = n("&since=2026-11-20&until=2026-11-20").await;
    assert_eq!(of_the_day, n("&since=2026-11-19T16:00:00Z&until=2026-11-20T16:00:00Z").await);
    assert_eq!(of_the_day, n("&since=2026-11-20%2000:00:00").await);
    let before = n("&until=2026-11-19").await;
    assert_eq!(of_the_day + before, all);
    assert!(of_the_day > 0 && before > 0, "{of_the_day} of {all}");
    assert_eq!((n("&creator=li").await, n("&creator=wang").await), (all, 0));
    let refused = server.get("/api/v1/instances?since=yesterday").await;
    assert_eq!(refused.status(), 400);
    let problem: serde_json::Value = refused.json().await.unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("yyyy-MM-dd"), "{problem}");
}

#[tokio::test]
async fn sentences_follow_the_language_asked_for_and_words_of_the_api_do_not() {
    let server = Server::start(FakeMaster::default()).await;
    let path = "/api/v1/instances/10342/nodes/dedup_items/why";
    let ask = |lang: &'static str| server.client.get(server.url(path)).header("accept-language", lang).send();
    let english: serde_json::Value = ask("en").await.unwrap().json().await.unwrap();
    let chinese: serde_json::Value = ask("zh-CN,zh;q=0.9").await.unwrap().json().await.unwrap();
    assert_eq!(english["reasons"][0]["text"], "needs 1 slot; 4 of 4 are in use on w4");
    assert_eq!(chinese["reasons"][0]["text"], "需要 1 个槽位；w4 的 4 个槽位已占用 4 个");
    assert_eq!(english["reasons"][0]["code"], chinese["reasons"][0]["code"]);
    assert_eq!(server.json(path).await, english);
}

#[tokio::test]
async fn the_shapes_that_scripts_rely_on_are_there() {
    let server = Server::start(FakeMaster::default()).await;
    let instance = server.json("/api/v1/instances/10342").await;
    assert_eq!(instance["number"], 10342);
    for field in ["id", "workflow", "version", "state", "nodes"] {
        assert!(!instance[field].is_null(), "{field}");
    }
    let node = &instance["nodes"][6];
    assert_eq!(
        (node["name"].as_str(), node["type"].as_str(), node["state"].as_str()),
        (Some("clean_orders"), Some("sql"), Some("running"))
    );
    let attempt = &node["attempts"][0];
    assert_eq!(attempt["number"], 1);
    assert_eq!(attempt["worker"], "w4");
    assert_eq!(attempt["state"], "failed");
    assert_eq!(attempt["exit_code"], 1);
    assert_eq!(attempt["started"], "2026-11-19T18:17:00.000Z");
    assert!(node["attempts"][1]["finished"].is_null());
    let cluster = server.json("/api/v1/cluster").await;
    assert_eq!(cluster["http"], server.url(""));
    for field in ["id", "roles", "pid", "state", "leader", "term"] {
        assert!(!cluster["nodes"][0][field].is_null(), "{field}");
    }
    assert_eq!(cluster["nodes"].as_array().unwrap().iter().filter(|node| node["leader"] == true).count(), 1);
}

#[tokio::test]
async fn errors_are_problems_with_code_and_request_id() {
    let server = Server::start(FakeMaster::default()).await;
    for (path, status, code) in [
        ("/api/v1/instances/99", 404, "instance-not-found"),
        ("/api/v1/instances/abc", 400, "bad-request"),
        ("/api/v1/instances/10342/nodes/nobody", 404, "node-not-found"),
        ("/api/v1/workflows/nobody", 404, "workflow-not-found"),
        ("/api/v1/load-errors/x", 404, "load-error-not-found"),
        ("/api/v1/nothing", 404, "not-found"),
        ("/api/v1/instances?limit=501", 400, "bad-request"),
        ("/api/v1/instances?limit=0", 400, "bad-request"),
        ("/api/v1/instances?state=blue", 400, "bad-request"),
        ("/api/v1/instances?stat=failed", 400, "bad-request"),
        ("/api/v1/instances?since=yesterday", 400, "bad-request"),
        ("/api/v1/instances/10342/nodes/clean_orders/log?limit=5001", 400, "bad-request"),
        ("/api/v1/instances/10342/nodes/nothing/log", 404, "log-not-found"),
        ("/api/v1/workflows/%FF", 400, "bad-request"),
        ("/api/v1/status?min_seq=x", 400, "bad-request"),
    ] {
        let answer = server.client.get(server.url(path)).header("x-request-id", "abc-1").send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
        let problem: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], code, "{path}");
        assert_eq!(problem["status"], status, "{path}");
        assert_eq!(problem["request_id"], "abc-1", "{path}");
        assert!(problem["errors"].is_array() && problem["title"].is_string(), "{path}");
    }
    let answer = server.client.get(server.url("/api/v1/instances/99")).header("accept-language", "zh-CN").send().await;
    let problem: serde_json::Value = answer.unwrap().json().await.unwrap();
    assert_eq!(problem["title"], "实例不存在");
    assert_eq!(problem["code"], "instance-not-found");
    assert_eq!(problem["detail"], "没有实例 #99");
}

#[tokio::test]
async fn while_no_master_leads_the_api_says_so_and_when_to_ask_again() {
    let server = Server::start(FakeMaster::default()).await;
    assert_eq!(server.get("/readyz").await.status(), 200);
    server.master.is_down.store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = server.get("/api/v1/status").await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "2");
    assert_eq!(server.get("/readyz").await.status(), 503);
    assert_eq!(server.get("/livez").await.status(), 200);
    assert_eq!(server.get("/leaderz").await.status(), 503);
    let verbose = server.get("/readyz?verbose").await.text().await.unwrap();
    assert!(verbose.contains("fail leader_fresh"), "{verbose}");
}

#[tokio::test]
async fn every_verb_sends_its_change() {
    let server = Server::start(FakeMaster::default()).await;
    for (path, body) in [
        ("/api/v1/workflows/日报_订单:run?reason=test", r#"{"params":{"dt":"2026-11-19"}}"#),
        ("/api/v1/workflows/a:b:trigger", r#"{"with_downstream":true,"skip":["x"]}"#),
        ("/api/v1/workflows/w:enable", ""),
        ("/api/v1/workflows/w:disable", ""),
        ("/api/v1/workflows/w:reset", ""),
        ("/api/v1/workflows/w:delete", ""),
        ("/api/v1/workflows:reset", ""),
        ("/api/v1/workflows:apply", r#"{"text":"<work-flow/>","path":"a.xml"}"#),
        ("/api/v1/instances/10342:kill", r#"{"force":true}"#),
        ("/api/v1/instances/%2310342:pause", ""),
        ("/api/v1/instances/10342:resume", ""),
        ("/api/v1/instances/10342:rerun", r#"{"mode":"only_node","node":"a","version":"same"}"#),
        ("/api/v1/instances/10342:mark", r#"{"node":"a","as":"skipped"}"#),
        ("/api/v1/instances/10342:delete", ""),
        ("/api/v1/workers/w5:declare-dead", ""),
        ("/api/v1/workers/w3:drain", r#"{"off":true}"#),
    ] {
        let answer = server.post(path, body).await;
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text().await.unwrap());
    }
    let changes = server.master.changes.lock().unwrap();
    let verbs: Vec<&str> = changes.iter().map(|one| one.change.verb()).collect();
    assert_eq!(
        verbs,
        [
            "run",
            "trigger",
            "enable",
            "disable",
            "reset",
            "delete-workflow",
            "reset",
            "apply",
            "kill",
            "pause",
            "resume",
            "rerun",
            "mark",
            "delete-instance",
            "declare-dead",
            "drain"
        ]
    );
    assert!(changes.iter().all(|one| one.principal == "token:admin"));
    assert_eq!(changes[0].reason.as_deref(), Some("test"));
    assert!(matches!(&changes[1].change, Change::Trigger { workflow, .. } if workflow == "a:b"));
    assert!(matches!(&changes[6].change, Change::Reset { workflow: None }));
    assert!(matches!(&changes[11].change, Change::Rerun { request, .. }
        if request.mode == RerunMode::OnlyNode && request.version == RerunVersion::Same));
    assert!(matches!(&changes[12].change, Change::Mark { request, .. } if request.mark == MarkAs::Skipped));
}

#[tokio::test]
async fn a_malformed_change_is_refused_before_it_reaches_a_master() {
    let server = Server::start(FakeMaster::default()).await;
    for (path, body, status) in [
        ("/api/v1/workflows/w", "", 405),
        ("/api/v1/workflows/w:fly", "", 404),
        ("/api/v1/workflows/w:run", "{", 400),
        ("/api/v1/workflows/w:run", r#"{"param":{}}"#, 400),
        ("/api/v1/workflows:apply", "{}", 400),
        ("/api/v1/instances/last:kill", "", 400),
        ("/api/v1/instances/10342:mark", "{}", 400),
        ("/api/v1/workers/w1:explode", "", 404),
    ] {
        let answer = server.post(path, body).await;
        assert_eq!(answer.status(), status, "{path} {body}");
        let problem: serde_json::Value = answer.json().await.unwrap();
        assert!(problem["code"].is_string(), "{path}");
    }
    let large = format!(r#"{{"params":{{"x":"{}"}}}}"#, "x".repeat(2 << 20));
    let answer = server.post("/api/v1/workflows/w:run", &large).await;
    assert_eq!(answer.status(), 413);
    let definition = format!(r#"{{"text":"{}"}}"#, "x".repeat(2 << 20));
    assert_eq!(server.post("/api/v1/workflows:check", &definition).await.status(), 200);
    assert!(server.master.changes.lock().unwrap().is_empty());
    let refused = server.post("/api/v1/instances/10338:pause", "").await;
    assert_eq!(refused.status(), 409);
}

#[tokio::test]
async fn an_idempotency_key_is_passed_on_and_must_be_a_sane_one() {
    let server = Server::start(FakeMaster::default()).await;
    let send = |key: &'static str| {
        let request = server.client.post(server.url("/api/v1/workflows/w:run")).bearer_auth(crate::TOKEN);
        request.header("idempotency-key", key).send()
    };
    let first: serde_json::Value = send("k-1").await.unwrap().json().await.unwrap();
    let second: serde_json::Value = send("k-1").await.unwrap().json().await.unwrap();
    assert_eq!((first["is_repeat"].as_bool(), second["is_repeat"].as_bool()), (Some(false), Some(true)));
    assert_eq!(server.master.changes.lock().unwrap().len(), 1);
    for bad in ["", "a b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        assert_eq!(send(bad).await.unwrap().status(), 400, "{bad:?}");
    }
    server.post("/api/v1/workflows/w:run", "").await;
    let changes = server.master.changes.lock().unwrap();
    assert!(uuid::Uuid::parse_str(&changes[1].idempotency_key).is_ok(), "one is made when none is sent");
}

#[tokio::test]
async fn w16_metrics_carry_the_masters_and_our_own_counters_by_route() {
    let server = Server::start(FakeMaster::default()).await;
    server.get("/api/v1/instances/10342").await;
    server.get("/api/v1/instances/10338").await;
    let text = server.get("/metrics").await.text().await.unwrap();
    assert!(text.contains("ractorflow_instances{state=\"running\"} 3"), "{text}");
    assert!(
        text.contains("ractorflow_http_requests_total{route=\"/api/v1/instances/{target}\",code=\"200\"} 2"),
        "{text}"
    );
    assert!(text.lines().all(|line| line.starts_with('#') || line.starts_with("ractorflow_")));
}

#[tokio::test]
async fn the_document_in_docs_is_the_one_that_is_served() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let served = ractorflow::http::rest::openapi::text();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, served).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap();
    assert!(kept == served, "docs/openapi.json is out of date: run with UPDATE_GOLDEN=1");
}

/// All nodes of an instance by the names of one window after the other.
async fn walked(server: &Server, query: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut path = format!("/api/v1/instances/10301?{query}");
    loop {
        let view = server.json(&path).await;
        names.extend(view["nodes"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap().to_owned()));
        match view["nodes_next"].as_str() {
            Some(next) => path = format!("/api/v1/instances/10301?{query}&node_cursor={next}"),
            None => return names,
        }
    }
}

#[tokio::test]
async fn the_nodes_of_an_instance_come_in_windows() {
    let server = Server::start(FakeMaster::default()).await;
    let first = server.json("/api/v1/instances/10301").await;
    assert_eq!(first["nodes"].as_array().map(Vec::len), Some(500));
    assert_eq!(first["nodes_total"], 2398);
    let all = walked(&server, "node_limit=37").await;
    assert_eq!(all.len(), 2398);
    let urgent = walked(&server, "node_order=urgency").await;
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_ne!(all, urgent);
    assert_eq!(sorted(all), sorted(urgent));
    let queued = server.json("/api/v1/instances/10301?node_state=queued&node_limit=3").await;
    assert!(queued["nodes"].as_array().unwrap().iter().all(|node| node["state"] == "queued"));
    let named = server.json("/api/v1/instances/10301?node_name=end&node_name=start&node_name=nobody").await;
    assert_eq!(named["nodes"].as_array().map(Vec::len), Some(2));
    let around = server.json("/api/v1/instances/10301?node_around=end&node_limit=20").await;
    assert_eq!(around["nodes"].as_array().map(Vec::len), Some(20));
    assert!(around["left_out"].as_array().unwrap().iter().any(|left| left["before"].as_u64() > Some(500)));
    let begun = server.json("/api/v1/instances/10301?node_begun=true&node_limit=500").await;
    assert!(begun["nodes"].as_array().unwrap().iter().all(|node| node["attempts"] != serde_json::json!([])));
    assert_eq!(server.json("/api/v1/instances/10301/nodes/end").await["name"], "end");
}

#[tokio::test]
async fn wrong_windows_are_refused() {
    let server = Server::start(FakeMaster::default()).await;
    for (query, status) in [
        ("node_limit=0", 400),
        ("node_limit=501", 400),
        ("node_cursor=x", 400),
        ("node_state=sleeping", 400),
        ("node_order=random", 400),
        ("node_state=failed&node_name=end", 400),
        ("node_around=nobody", 404),
    ] {
        assert_eq!(server.get(&format!("/api/v1/instances/10301?{query}")).await.status(), status, "{query}");
    }
    assert_eq!(server.get("/api/v1/workflows/hive_compact_all?node_state=failed").await.status(), 400);
    assert_eq!(server.get("/api/v1/instances/10301/nodes/nobody").await.status(), 404);
}
