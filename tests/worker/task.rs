//! Action types that are code of ours: they run as tasks of our own program.

use ractorflow::model::action::BodyElement;
use ractorflow::model::assignment::{OutcomeClass, Rendered, RetryRules, RetryVerdict};
use ractorflow::model::duration::Millis;

use crate::assignment::{assignment, element};
use crate::master::Home;
use crate::support::eventually;

fn file_monitor(files: &str, pause: &str) -> BodyElement<Rendered> {
    let mut body = element("file-monitor", None, vec![element("file", Some(files), vec![])]);
    body.attributes.push(("pause".to_owned(), Rendered { text: pause.to_owned(), variables: vec![] }));
    body
}

#[tokio::test]
async fn a_task_of_ours_has_a_log_outputs_and_a_reason_of_its_failure() {
    let home = Home::new();
    let (worker, link) = home.start(home.config(1), 1).await;
    let files = home.dir.path().join("in");
    std::fs::create_dir(&files).unwrap();
    std::fs::write(files.join("a.csv"), "12345").unwrap();
    let there = assignment("1.1.1.0.1", file_monitor(&format!("{}/*.csv", files.display()), "1ms"));
    let mut missing = assignment("1.1.2.0.1", file_monitor(&format!("{}/*.txt", files.display()), "1ms"));
    missing.retry_rules = RetryRules { not_on_match: Some("at least".to_owned()), ..RetryRules::default() };
    let wrong = assignment("1.1.3.0.1", file_monitor("no-directory", "1ms"));
    for task in [&there, &missing, &wrong] {
        link.dispatch(task);
    }
    let outcome = link.outcome(there.attempt).await;
    assert_eq!(outcome.class, OutcomeClass::Succeeded, "{outcome:?}");
    assert_eq!(outcome.outputs, [("count".to_owned(), "1".to_owned()), ("bytes".to_owned(), "5".to_owned())]);
    eventually("the log", || (home.lines(there.attempt) == ["1 file, 5 bytes", "  a.csv  5"]).then_some(())).await;

    let outcome = link.outcome(missing.attempt).await;
    assert_eq!((outcome.class, outcome.exit_code), (OutcomeClass::Failed, None));
    let message = outcome.message.unwrap().english();
    assert!(message.ends_with("/in/*.txt: 0 files, at least 1 are needed"), "{message}");
    assert_eq!(outcome.retry_verdict, Some(RetryVerdict::NoRetry), "its message is judged");
    eventually("the reason in the log", || home.lines(missing.attempt).contains(&message).then_some(())).await;

    let outcome = link.outcome(wrong.attempt).await;
    assert_eq!(outcome.class, OutcomeClass::Refused, "the same again would fail again");
    worker.stop().await;
}

#[tokio::test]
async fn a_task_of_ours_stops_when_it_is_told() {
    let home = Home::new();
    let (worker, link) = home.start(home.config(1), 1).await;
    let task = assignment("1.1.1.0.1", file_monitor("/tmp/*", "1h"));
    link.dispatch(&task);
    eventually("the first look", || (!home.lines(task.attempt).is_empty()).then_some(())).await;
    link.kill(task.attempt, 20_000);
    let outcome = link.outcome(task.attempt).await;
    assert_eq!(
        (outcome.class, outcome.exit_code),
        (OutcomeClass::Killed, Some(143)),
        "it ended by itself, not by KILL"
    );
    worker.stop().await;
}

/// `source` and `max` with their types.
fn data_monitor(source: (&str, &str), max: (&str, &str)) -> BodyElement<Rendered> {
    let typed = |word: &str, (kind, text): (&str, &str)| {
        let mut child = element(word, Some(text), vec![]);
        child.attributes.push(("type".to_owned(), Rendered { text: kind.to_owned(), variables: vec![] }));
        child
    };
    let mut body = element("data-monitor", None, vec![typed("source", source), typed("max", max)]);
    body.attributes.push(("pause".to_owned(), Rendered { text: "1ms".to_owned(), variables: vec![] }));
    body
}

#[tokio::test]
async fn what_a_monitor_found_comes_with_its_failure_too() {
    let home = Home::new();
    let (worker, link) = home.start(home.config(2), 1).await;
    let script = "#!/bin/sh\n# the environment of the node\necho ${#RF_NODE}";
    let good = assignment("1.1.1.0.1", data_monitor(("COMMAND", script), ("NUM", "4")));
    let bad = assignment("1.1.2.0.1", data_monitor(("NUM", "7.50"), ("COMMAND", "echo 7.25")));
    for task in [&good, &bad] {
        link.dispatch(task);
    }
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let outcome = link.outcome(good.attempt).await;
    assert_eq!((outcome.class, outcome.outputs), (OutcomeClass::Succeeded, pairs(&[("value", "4"), ("max", "4")])));
    let outcome = link.outcome(bad.attempt).await;
    assert_eq!((outcome.class, outcome.outputs), (OutcomeClass::Failed, pairs(&[("value", "7.5"), ("max", "7.25")])));
    let message = outcome.message.unwrap().english();
    assert!(message.starts_with("node load: the value 7.5 (NUM) is above the maximum 7.25 (COMMAND: echo 7.25)"));
    worker.stop().await;
}

#[tokio::test]
async fn a_kill_ends_the_script_of_a_monitor_with_its_children() {
    let home = Home::new();
    let (worker, link) = home.start(home.config(1), 1).await;
    let pids = home.dir.path().join("pids");
    // A child that a signal to the shell alone would leave behind.
    let script = format!("(sleep 1000) & echo $! $$ > {0}.new; mv {0}.new {0}; wait; echo 1", pids.display());
    let task = assignment("1.1.1.0.1", data_monitor(("COMMAND", &script), ("NUM", "4")));
    link.dispatch(&task);
    let running = eventually("the script", || std::fs::read_to_string(&pids).ok()).await;
    link.kill(task.attempt, 20_000);
    let outcome = link.outcome(task.attempt).await;
    assert_eq!(outcome.class, OutcomeClass::Killed);
    assert!(outcome.outputs.is_empty());
    for pid in running.split_whitespace() {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let is_gone = state.is_empty() || state.rsplit(')').next().is_some_and(|rest| rest.trim().starts_with('Z'));
        assert!(is_gone, "{state}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn the_timeout_of_an_attempt_ends_a_monitor_that_waits() {
    let home = Home::new();
    let (worker, link) = home.start(home.config(1), 1).await;
    let mut body = data_monitor(("NUM", "9"), ("NUM", "4"));
    body.attributes[0].1.text = "1h".to_owned();
    let mut task = assignment("1.1.1.0.1", body);
    task.attempt_timeout = Some(Millis(300));
    link.dispatch(&task);
    let outcome = link.outcome(task.attempt).await;
    assert_eq!(outcome.class, OutcomeClass::AttemptTimeout);
    worker.stop().await;
}

#[tokio::test]
async fn what_is_odd_about_a_link_is_said_once_in_a_task() {
    let home = Home::new();
    let conf = home.dir.path().join("conf");
    std::fs::create_dir_all(&conf).unwrap();
    let odd = "<properties><property name='odd'>1</property></properties>";
    let db = format!("<db-links><link name='a' type='SQLITE' jdbc-url='jdbc:sqlite:a.db'>{odd}</link></db-links>");
    let files = format!("<file-links><link name='here' type='LOCAL'>{odd}</link></file-links>");
    std::fs::write(conf.join("db_links.xml"), db).unwrap();
    std::fs::write(conf.join("file_links.xml"), files).unwrap();
    let (worker, link) = home.start(home.config(1), 1).await;
    let with = |word: &str, text: &str, attributes: &[(&str, &str)]| {
        let mut element = element(word, Some(text), vec![]);
        let rendered = |text: &str| Rendered { text: text.to_owned(), variables: vec![] };
        element.attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), rendered(value))).collect();
        element
    };
    let query = |word: &str| with(word, "select 1", &[("type", "SQL"), ("db-link", "a")]);
    let mut monitor = element("data-monitor", None, vec![query("source"), query("min"), query("max")]);
    monitor.attributes.push(("pause".to_owned(), Rendered { text: "1ms".to_owned(), variables: vec![] }));
    let path = |name: &str| home.dir.path().join(name).display().to_string();
    std::fs::write(path("in"), "1\t2\n").unwrap();
    let source = with("source", &path("in"), &[("type", "FILE"), ("file-link", "here")]);
    let target = with("target", "", &[("type", "FILE"), ("file-link", "here"), ("path", &path("out"))]);
    let transfer = element("transfer", None, vec![source, target]);
    for (attempt, body) in [("1.1.1.0.1", monitor), ("1.1.2.0.1", transfer)] {
        let task = assignment(attempt, body);
        link.dispatch(&task);
        let outcome = link.outcome(task.attempt).await;
        assert_eq!(outcome.class, OutcomeClass::Succeeded, "{outcome:?}");
        let lines = home.lines(task.attempt);
        assert_eq!(lines.iter().filter(|line| line.contains("odd")).count(), 1, "{lines:?}");
    }
    worker.stop().await;
}
