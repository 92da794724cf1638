//! Action types that are code of ours: they run as tasks of our own program.

use ractorflow::model::action::BodyElement;
use ractorflow::model::assignment::{OutcomeClass, Rendered, RetryRules, RetryVerdict};

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
