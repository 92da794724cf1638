//! What monitors measure becomes history: once for each attempt that came to a number, whatever it thought of it.

use crate::model::assignment::{Outcome, OutcomeClass};
use crate::model::duration::Millis;
use crate::model::id::AttemptId;
use crate::model::measurement::{MONITOR, Measured};
use crate::model::state::NodeWord;
use crate::model::time::Timestamp;
use crate::say;

use super::super::*;
use super::bench::{Bench, Flow, START, outcome};

fn watched(name: &str, word: &'static str, retries: u32) -> Flow {
    let flow = Flow::new(name).start("a").action_with("a", "end", |policy| {
        policy.retry.times = retries;
        policy.retry.interval = Millis(0);
    });
    flow.with(|action| action.body.word = word.to_owned()).end("end")
}

fn ended(class: OutcomeClass, pairs: &[(&str, &str)]) -> Outcome {
    let outputs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let message = (class == OutcomeClass::Failed).then(|| say!("killed"));
    Outcome { outputs, message, finished: START.plus_ms(7), ..outcome(class) }
}

fn measured(bench: &Bench) -> Vec<(AttemptId, Measured)> {
    let of = |event: &EventKind| match event {
        EventKind::Measured { attempt, measured } => Some((*attempt, (**measured).clone())),
        _ => None,
    };
    bench.events.iter().filter_map(of).collect()
}

#[test]
fn every_attempt_of_a_monitor_that_came_to_a_number_is_kept() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(watched("w", MONITOR, 1).build());
    let run = bench.run("w");
    let first = bench.attempt(run, "a");
    bench.finish_with(run, "a", ended(OutcomeClass::Failed, &[("value", "3"), ("min", "5")]));
    bench.settle();
    let second = bench.attempt(run, "a");
    assert_eq!((first.number, second.number), (1, 2));
    let worker = bench.sent.remove(&second).unwrap().0;
    let result = ended(OutcomeClass::Succeeded, &[("value", "6.50"), ("min", "5"), ("max", "9")]);
    bench.ok(Command::AttemptFinished { worker, attempt: second, outcome: result });
    let found = measured(&bench);
    assert_eq!(found.len(), 1);
    let (attempt, number) = &found[0];
    assert_eq!((*attempt, number.value.to_string(), number.at), (second, "6.5".to_owned(), Timestamp(START.0 + 7)));
    assert!(number.is_within() && number.message.is_none());
    // After the end of the attempt that it is of.
    let at = |wanted: fn(&EventKind) -> bool| bench.events.iter().position(wanted).unwrap();
    assert!(at(|e| matches!(e, EventKind::AttemptEnded { .. })) < at(|e| matches!(e, EventKind::Measured { .. })));
    assert_eq!(bench.node(run, "a"), NodeWord::Succeeded);
}

#[test]
fn a_failure_keeps_its_number_its_message_and_its_outputs() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(watched("w", MONITOR, 0).build());
    let run = bench.run("w");
    let attempt = bench.attempt(run, "a");
    let worker = bench.sent.remove(&attempt).unwrap().0;
    let result = ended(OutcomeClass::Failed, &[("value", "3"), ("min", "5")]);
    bench.ok(Command::AttemptFinished { worker, attempt, outcome: result });
    let found = measured(&bench);
    assert!(!found[0].1.is_within() && found[0].1.message == Some(say!("killed")));
    let finished = bench.events.iter().find_map(|event| match event {
        EventKind::NodeFinished { outputs, .. } if !outputs.is_empty() => Some(outputs.clone()),
        _ => None,
    });
    assert_eq!(finished.unwrap()[0], ("value".to_owned(), "3".to_owned()));
}

#[test]
fn nothing_else_is_a_measurement() {
    for (word, class, pairs) in [
        ("script", OutcomeClass::Succeeded, &[("value", "3")][..]),
        (MONITOR, OutcomeClass::Succeeded, &[("value", "many")]),
        (MONITOR, OutcomeClass::Failed, &[]),
    ] {
        let mut bench = Bench::with_workers(&[9]);
        bench.define(watched("w", word, 0).build());
        let run = bench.run("w");
        let attempt = bench.attempt(run, "a");
        let worker = bench.sent.remove(&attempt).unwrap().0;
        bench.ok(Command::AttemptFinished { worker, attempt, outcome: ended(class, pairs) });
        assert_eq!(measured(&bench), [], "{word} {pairs:?}");
    }
}

#[test]
fn a_late_result_of_an_attempt_that_was_given_up_measures_nothing() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(watched("w", MONITOR, 0).build());
    let run = bench.run("w");
    let attempt = bench.attempt(run, "a");
    let worker = bench.sent[&attempt].0.clone();
    bench.start(run, "a");
    bench.register("w1", 9, "boot-2", &[]);
    let result = ended(OutcomeClass::Succeeded, &[("value", "3")]);
    bench.ok(Command::AttemptFinished { worker, attempt, outcome: result });
    assert_eq!(measured(&bench), []);
    assert!(bench.events.iter().any(|event| matches!(event, EventKind::ResultStale { .. })), "{:?}", bench.events);
}
