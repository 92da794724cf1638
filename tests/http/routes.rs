//! The whole table of routes: a golden file, and that reading changes nothing.

use ractorflow::http::guard::Access;
use ractorflow::http::routes::routes;

use crate::Server;
use crate::fake_master::FakeMaster;

#[test]
fn the_table_of_routes_is_as_recorded() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http/routes.txt");
    let rows = routes();
    let lines =
        rows.iter().map(|route| format!("{:<4} {:<6} {}\n", route.method.as_str(), route.access.word(), route.path));
    let table: String = lines.collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    assert_eq!(table, std::fs::read_to_string(path).unwrap());
}

#[test]
fn only_post_changes_and_every_change_asks_who_it_is() {
    for route in routes() {
        let is_read = route.method == axum::http::Method::GET;
        match route.access {
            Access::Read => assert!(is_read, "{}", route.path),
            Access::Change | Access::Form => assert_eq!(route.method, axum::http::Method::POST, "{}", route.path),
            Access::Open => assert!(is_read || route.path == "/login", "{}", route.path),
            // Off unless the settings say otherwise: tests/http/akkaflow.rs.
            Access::Akkaflow => assert!(route.path.starts_with("/akkaflow/"), "{}", route.path),
        }
    }
}

/// A path that the route answers.
fn example(path: &str) -> String {
    path.replace("{target}", if path.contains("instances") { "10342" } else { "日报_订单" })
        .replace("{instance}", "10342")
        .replace("{name}", "日报_订单")
        .replace("{node}", "clean_orders")
        .replace("{attempt}", "1")
        .replace("{version}", "18")
        .replace("{id}", "dwd_order_detail")
        .replace("{file}", "app.js")
        .replace("{worker}", "w1")
}

#[tokio::test]
async fn no_get_of_any_route_changes_anything_even_with_the_token() {
    let server = Server::start(FakeMaster::default()).await;
    for route in routes().iter().filter(|route| !["/api/v1/events", "/leaderz"].contains(&route.path)) {
        for accept in ["text/html", "application/json"] {
            let request = server.client.get(server.url(&example(route.path))).bearer_auth(crate::TOKEN);
            let answer = request.header("accept", accept).send().await.unwrap();
            assert!(answer.status().as_u16() < 500, "{} gave {}", route.path, answer.status());
        }
        for verb in ["kill", "pause", "run", "trigger", "delete", "drain"] {
            let path = format!("{}:{verb}?verb={verb}", example(route.path));
            let request = server.client.get(server.url(&path)).bearer_auth(crate::TOKEN);
            assert!(request.send().await.unwrap().status().as_u16() < 500, "{path}");
        }
    }
    assert!(server.master.changes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn other_methods_are_refused_with_a_problem() {
    let server = Server::start(FakeMaster::default()).await;
    for method in ["PUT", "DELETE", "PATCH"] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let answer = server.client.request(method, server.url("/api/v1/instances/10342")).send().await.unwrap();
        assert_eq!(answer.status(), 405);
        let problem: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], "method-not-allowed");
    }
}
