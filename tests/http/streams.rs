//! Streams and waits: they push, resume, reset and end.

use std::time::Duration;

use crate::Server;
use crate::fake_master::FakeMaster;

/// Reads a stream until its text satisfies the condition.
async fn read_until(mut answer: reqwest::Response, is_enough: impl Fn(&str) -> bool) -> String {
    let mut text = String::new();
    let reading = async {
        while !is_enough(&text) {
            let Some(chunk) = answer.chunk().await.unwrap() else { break };
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("the stream goes on");
    text
}

async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("the condition comes true");
}

#[tokio::test]
async fn events_carry_their_seq_as_id_and_resume_after_it() {
    let server = Server::start(FakeMaster::default()).await;
    let answer = server.client.get(server.url("/api/v1/events")).header("last-event-id", "997").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    server.master.end_instance();
    let text = read_until(answer, |text| text.contains("id: 1001")).await;
    let ids: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    assert_eq!(ids, ["998", "999", "1000", "1001"]);
    assert!(text.contains("event: instance"));
}

#[tokio::test]
async fn a_reader_from_too_long_ago_is_told_to_load_the_view_again() {
    let server = Server::start(FakeMaster::default()).await;
    let text = read_until(server.get("/api/v1/events?from=3").await, |text| text.contains("seq")).await;
    assert!(text.contains("event: reset") && text.contains("id: 1000"), "{text}");
}

#[tokio::test]
async fn events_are_filtered_and_a_misspelt_filter_is_refused() {
    let server = Server::start(FakeMaster::default()).await;
    assert_eq!(server.get("/api/v1/events?topics=instances").await.status(), 400);
    let answer = server.get("/api/v1/events?from=990&instance=7").await;
    until(|| server.master.listeners() == 1).await;
    server.master.publish(ractorflow::api::EventItem::Reset { seq: 1002 });
    let text = read_until(answer, |text| text.contains("reset")).await;
    assert!(!text.contains("event: instance"), "{text}");
}

#[tokio::test]
async fn waiting_for_an_instance_ends_with_its_end_and_asks_only_then() {
    let server = Server::start(FakeMaster::default()).await;
    for (path, asks) in [("/api/v1/instances/10342:wait?timeout=60s", 1), ("/api/v1/instances/last:wait", 2)] {
        let waited = server.master.waits.load(std::sync::atomic::Ordering::SeqCst);
        server.master.has_ended.store(false, std::sync::atomic::Ordering::SeqCst);
        let before = server.master.queries.load(std::sync::atomic::Ordering::SeqCst);
        let waiting = tokio::spawn(server.client.get(server.url(path)).send());
        until(|| server.master.waits.load(std::sync::atomic::Ordering::SeqCst) > waited).await;
        server.master.end_instance();
        // Long before the timeout of the wait itself: the end is pushed.
        let answer = tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("the end is pushed");
        let instance: serde_json::Value = answer.unwrap().unwrap().json().await.unwrap();
        assert_eq!(instance["state"], "succeeded");
        let asked = server.master.queries.load(std::sync::atomic::Ordering::SeqCst) - before;
        assert_eq!(asked, asks, "once, and before it to know which is the last");
    }
}

#[tokio::test]
async fn a_wait_that_runs_out_answers_the_instance_as_it_is() {
    let server = Server::start(FakeMaster::default()).await;
    let instance = server.json("/api/v1/instances/10342:wait?timeout=50ms").await;
    assert_eq!(instance["state"], "running");
    let request = server.client.get(server.url("/api/v1/instances/10338")).header("prefer", "wait=30");
    let instance: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(instance["state"], "failed", "it has ended already");
}

#[tokio::test]
async fn following_a_log_sends_what_is_there_and_ends_with_the_attempt() {
    let server = Server::start(FakeMaster::default()).await;
    let path = "/api/v1/instances/10342/nodes/clean_orders/log?follow=true";
    let answer = server.client.get(server.url(path)).header("last-event-id", "9").send().await.unwrap();
    server.master.end_instance();
    let text = read_until(answer, |_| false).await;
    let ids: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    assert_eq!(ids, ["10", "11", "12", "12"]);
    assert!(text.contains("event: end"), "{text}");
}

#[tokio::test]
async fn a_log_is_plain_text_for_those_who_ask_for_it() {
    let server = Server::start(FakeMaster::default()).await;
    let request = server.client.get(server.url("/api/v1/instances/10342/nodes/clean_orders/log?from=10&download=1"));
    let answer = request.header("accept", "text/plain").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(answer.headers()["x-ractorflow-next-line"], "12");
    let text = answer.text().await.unwrap();
    assert!(text.contains("<script>alert(1)</script>"), "logs are not changed: {text}");
    assert_eq!(text.lines().count(), 2);
}

#[tokio::test]
async fn only_so_many_streams_are_open_at_once() {
    let limits = ractorflow::http::HttpLimits { event_streams_max: 2, ..Default::default() };
    let server = Server::start_with(FakeMaster::default(), limits, 0).await;
    let first = server.get("/api/v1/events").await;
    let _second = server.get("/api/v1/events").await;
    let third = server.get("/api/v1/events").await;
    assert_eq!(third.status(), 503);
    drop(first);
    let mut is_free = false;
    for _ in 0..1_000 {
        if server.get("/api/v1/events").await.status() == 200 {
            is_free = true;
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(is_free, "a closed stream gives its place back");
}
