//! Graph walk: forks, joins, dead branches, ends, kill nodes.

use crate::model::assignment::OutcomeClass;
use crate::model::policy::KillResult;
use crate::model::state::{InstanceWord, NodeWord};

use super::super::event::EventKind;
use super::super::*;
use super::bench::{Bench, Flow};

#[test]
fn one_action_runs_from_start_to_end() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(Flow::simple("w").build());
    let run = bench.run("w");
    assert_eq!(bench.word(run), InstanceWord::Running);
    assert_eq!(bench.node(run, "a"), NodeWord::Dispatched);
    let kinds: Vec<_> = bench.events.iter().map(std::mem::discriminant).collect();
    assert_eq!(kinds.len(), 5, "{:?}", bench.events);
    assert!(matches!(bench.events[0], EventKind::InstanceCreated { .. }));
    assert!(matches!(bench.events[1], EventKind::InstanceStarted { .. }));
    assert!(matches!(bench.events[2], EventKind::NodeFinished { .. }), "the start node");
    assert!(matches!(bench.events[3], EventKind::NodeQueued { .. }));
    assert!(matches!(bench.events[4], EventKind::AttemptDispatched { .. }));
    assert!(matches!(bench.effects[..], [Effect::SendAttempt { .. }]));
    bench.start(run, "a");
    assert_eq!(bench.node(run, "a"), NodeWord::Running);
    bench.finish(run, "a", OutcomeClass::Succeeded);
    assert_eq!(bench.word(run), InstanceWord::Succeeded);
    assert_eq!(bench.node(run, "end"), NodeWord::Succeeded);
}

#[test]
fn finished_and_the_next_dispatched_share_one_batch() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(Flow::new("w").start("a").action("a", "b").action("b", "end").end("end").build());
    let run = bench.run("w");
    bench.start(run, "a");
    let attempt = bench.attempt(run, "a");
    let (worker, _) = bench.sent.remove(&attempt).unwrap();
    bench.ok(Command::AttemptFinished { worker, attempt, outcome: super::bench::outcome(OutcomeClass::Succeeded) });
    assert!(matches!(
        bench.events[..],
        [
            EventKind::AttemptEnded { .. },
            EventKind::NodeFinished { .. },
            EventKind::NodeQueued { .. },
            EventKind::AttemptDispatched { .. }
        ]
    ));
    assert!(matches!(bench.effects[..], [Effect::AcknowledgeResult { .. }, Effect::SendAttempt { .. }]));
}

fn diamond() -> Flow {
    Flow::new("w").start("f").fork("f", &["a", "b"]).action("a", "j").action("b", "j").join("j", "end").end("end")
}

#[test]
fn a_join_waits_for_every_branch() {
    let mut bench = Bench::with_workers(&[4]);
    bench.define(diamond().build());
    let run = bench.run("w");
    bench.succeed(run, "a");
    assert_eq!(bench.node(run, "j"), NodeWord::Waiting);
    bench.succeed(run, "b");
    assert_eq!(bench.node(run, "j"), NodeWord::Succeeded);
    assert_eq!(bench.word(run), InstanceWord::Succeeded);
}

#[test]
fn w08_a_join_fires_over_a_branch_that_took_its_error_edge() {
    let mut bench = Bench::with_workers(&[4]);
    let flow = Flow::new("w")
        .start("f")
        .fork("f", &["a", "b"])
        .action("a", "j")
        .error("a", "mend")
        .action("mend", "j")
        .action("b", "j")
        .join("j", "end")
        .end("end");
    bench.define(flow.build());
    let run = bench.run("w");
    bench.fail(run, "a");
    bench.succeed(run, "b");
    assert_eq!(bench.node(run, "j"), NodeWord::Waiting);
    bench.succeed(run, "mend");
    assert_eq!(bench.word(run), InstanceWord::Succeeded);
    // And when the error path never ran it does not hold the join either.
    let run = bench.run("w");
    bench.succeed(run, "a");
    bench.succeed(run, "b");
    assert_eq!(bench.node(run, "mend"), NodeWord::Skipped);
    assert_eq!(bench.word(run), InstanceWord::Succeeded);
}

#[test]
fn w08_a_node_with_two_ways_in_runs_once() {
    let mut bench = Bench::with_workers(&[4]);
    let flow = Flow::new("w")
        .start("f")
        .fork("f", &["a", "b", "slow"])
        .action("a", "x")
        .action("b", "x")
        .action("slow", "end")
        .action("x", "end2")
        .end("end")
        .end("end2");
    bench.define(flow.build());
    let run = bench.run("w");
    bench.succeed(run, "a");
    bench.start(run, "x");
    bench.succeed(run, "b");
    let head = &bench.replica.instances[&run];
    let x = bench.replica.node_views(head).into_iter().find(|view| view.name.as_str() == "x").unwrap();
    assert_eq!(x.record.unwrap().attempts.len(), 1);
    // End reached: what still runs is stopped and marked killed, the instance succeeded.
    bench.finish(run, "x", OutcomeClass::Succeeded);
    assert_eq!(bench.word(run), InstanceWord::Running);
    assert_eq!(bench.kills, [bench.attempt(run, "slow")]);
    bench.finish(run, "slow", OutcomeClass::Killed);
    assert_eq!(bench.node(run, "slow"), NodeWord::Killed);
    assert_eq!(bench.word(run), InstanceWord::Succeeded);
}

#[test]
fn a_failure_without_error_edge_fails_the_instance_and_stops_the_rest() {
    let mut bench = Bench::with_workers(&[4]);
    bench.define(diamond().build());
    let run = bench.run("w");
    bench.start(run, "b");
    bench.fail(run, "a");
    assert_eq!(bench.word(run), InstanceWord::Running);
    assert_eq!(bench.kills, [bench.attempt(run, "b")]);
    bench.finish(run, "b", OutcomeClass::Killed);
    assert_eq!(bench.word(run), InstanceWord::Failed);
    assert_eq!(bench.node(run, "a"), NodeWord::Failed);
    assert_eq!(bench.node(run, "b"), NodeWord::Killed);
    assert_eq!(bench.node(run, "j"), NodeWord::UpstreamFailed);
}

#[test]
fn a_kill_node_ends_the_instance_with_its_message() {
    for (result, word) in [(KillResult::Killed, InstanceWord::Killed), (KillResult::Failed, InstanceWord::Failed)] {
        let mut bench = Bench::with_workers(&[1]);
        let flow = Flow::new("w")
            .param("day", "monday")
            .start("a")
            .action("a", "end")
            .error("a", "k")
            .kill("k", result, "nothing for ${param:day}")
            .end("end");
        bench.define(flow.build());
        let run = bench.run("w");
        bench.fail(run, "a");
        assert_eq!(bench.word(run), word);
        let head = &bench.replica.instances[&run];
        let state::InstanceState::Done { reason: Some(reason), .. } = &head.state else { panic!() };
        assert_eq!(reason.said().english(), "kill node k: nothing for monday");
    }
}

#[test]
fn ignored_and_skipped_nodes_pass_on_to_ok() {
    let mut bench = Bench::with_workers(&[1]);
    let flow = Flow::new("w")
        .start("a")
        .action_with("a", "b", |policy| policy.is_ignore = true)
        .action("b", "c")
        .action("c", "end")
        .end("end");
    bench.define(flow.build());
    let mut request = command::RunRequest::of("w");
    request.skip = vec![crate::model::id::NodeName::from("b")];
    let Reply::Created { instance: run } = bench.ok(Command::Run(request)) else { panic!() };
    assert_eq!(bench.node(run, "a"), NodeWord::Skipped);
    assert_eq!(bench.node(run, "b"), NodeWord::Skipped);
    bench.succeed(run, "c");
    assert_eq!(bench.word(run), InstanceWord::Succeeded);
}

#[test]
fn a_type_that_is_not_built_fails_when_it_is_reached() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(Flow::new("w").start("a").action("a", "end").with(|a| a.body.is_built = false).end("end").build());
    let run = bench.run("w");
    assert_eq!(bench.node(run, "a"), NodeWord::Failed);
    assert_eq!(bench.word(run), InstanceWord::Failed);
}

#[test]
fn when_nothing_is_left_and_no_end_was_reached_the_instance_fails() {
    let mut bench = Bench::with_workers(&[1]);
    let flow = Flow::new("w").start("a").action("a", "j").action("b", "j").join("j", "end").end("end");
    bench.define(flow.build());
    let run = bench.run("w");
    // `b` has no way in: nothing can ever reach it, so the join goes on without it.
    bench.succeed(run, "a");
    assert_eq!(bench.node(run, "b"), NodeWord::UpstreamFailed);
    assert_eq!(bench.word(run), InstanceWord::Failed);
}

#[test]
fn a_fork_of_ten_thousand_is_continued_over_many_ticks() {
    let n = 10_000;
    let names: Vec<String> = (0..n).map(|at| format!("n{at}")).collect();
    let paths: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut flow = Flow::new("w").start("f").fork("f", &paths);
    for name in &names {
        flow = flow.action(name, "j");
    }
    let definition = flow.join("j", "end").end("end");
    let mut bench = big(definition);
    let run = bench.run("w");
    assert!(bench.events.len() <= EVENTS_MAX + 10);
    tick_all(&mut bench);
    assert_eq!(bench.sent.len(), n);
    bench.ok(Command::KillInstance { instance: run, why: None, grace: None });
    assert!(bench.events.len() <= EVENTS_MAX + 10);
    tick_all(&mut bench);
    assert_eq!(bench.kills.len(), n);
}

/// As `build`, in linear time; and a bench whose costly checks are left to the smaller tests.
fn big(flow: Flow) -> Bench {
    let mut bench = Bench::with_workers(&[10_000]);
    bench.is_checked = false;
    bench.define(flow.build_fast());
    bench
}

fn tick_all(bench: &mut Bench) {
    while bench.engine.next_wakeup().is_some_and(|next| next.delay(bench.now).0 == 0) {
        bench.ok(Command::Tick);
        assert!(bench.events.len() <= EVENTS_MAX + 10);
    }
}
