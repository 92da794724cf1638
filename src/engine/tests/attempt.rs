//! Retries, losses, timeouts, placement, kill, pause, mark, rerun, outputs.

use crate::model::assignment::{OutcomeClass, RetryVerdict};
use crate::model::duration::Millis;
use crate::model::id::{NodeName, WorkerId};
use crate::model::policy::{ActionPolicy, Backoff, OnLost, TimeoutAction};
use crate::model::state::{InstanceWord, NodeWord};

use super::super::command::{RerunVersion, RunRequest};
use super::super::event::EventKind;
use super::super::state::{Forced, NodeEnd, NodeReason, NodeState, RerunPlan};
use super::super::*;
use super::bench::{Bench, Flow, MINUTE, outcome};

fn retrying(change: impl FnOnce(&mut ActionPolicy)) -> Flow {
    Flow::new("w").start("a").action_with("a", "end", change).end("end")
}

/// A node that may take a minute, and that waits for an hour when it failed.
fn timed_and_retried_hourly() -> Flow {
    retrying(|policy| {
        policy.timeout = Some(Millis::seconds(60));
        policy.retry.times = 9;
        policy.retry.interval = Millis::seconds(3600);
    })
}

#[test]
fn akka_06_a_failure_is_retried_after_its_interval_and_then_final() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(
        retrying(|policy| {
            policy.retry.times = 2;
            policy.retry.interval = Millis::seconds(10);
        })
        .build(),
    );
    let run = bench.run("w");
    for try_number in 1..=2 {
        bench.fail(run, "a");
        assert_eq!(bench.node(run, "a"), NodeWord::Retrying, "{try_number}");
        bench.pass(9_999);
        assert!(!bench.is_sent(run, "a"));
        bench.pass(1);
        assert_eq!(bench.attempt(run, "a").number, try_number + 1);
    }
    bench.fail(run, "a");
    assert_eq!(bench.node(run, "a"), NodeWord::Failed);
    assert_eq!(bench.word(run), InstanceWord::Failed);
}

#[test]
fn a_clock_that_was_set_back_holds_up_nothing_that_is_due() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(retrying(|policy| policy.retry.times = 1).build());
    let run = bench.run("w");
    bench.now.wall = bench.now.wall.plus_ms(-60 * MINUTE);
    bench.fail(run, "a");
    bench.settle();
    assert_eq!(bench.attempt(run, "a").number, 2, "the retry without an interval came at once");
}

#[test]
fn backoff_grows_to_its_bound_and_jitter_is_the_same_for_ever() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(
        retrying(|policy| {
            policy.retry.times = 4;
            policy.retry.interval = Millis::seconds(10);
            policy.retry.backoff = Backoff::Exponential;
            policy.retry.max_interval = Millis::seconds(30);
        })
        .build(),
    );
    let run = bench.run("w");
    let mut delays = Vec::new();
    for _ in 0..4 {
        bench.fail(run, "a");
        let node = bench.replica.nodes.values().find(|node| matches!(node.state, NodeState::Retrying { .. })).unwrap();
        let NodeState::Retrying { since, until } = node.state else { panic!() };
        delays.push(until.since(since));
        bench.pass(until.since(since));
    }
    assert_eq!(delays, [10_000, 20_000, 30_000, 30_000]);
}

#[test]
fn what_the_worker_says_of_a_failure_counts() {
    for (class, verdict, word) in [
        (OutcomeClass::Failed, Some(RetryVerdict::NoRetry), NodeWord::Failed),
        (OutcomeClass::Failed, Some(RetryVerdict::Retry), NodeWord::Dispatched),
        (OutcomeClass::Refused, None, NodeWord::Failed),
        (OutcomeClass::OutOfMemory, None, NodeWord::Dispatched),
        (OutcomeClass::AttemptTimeout, None, NodeWord::Dispatched),
    ] {
        let mut bench = Bench::with_workers(&[1]);
        bench.define(retrying(|policy| policy.retry.times = 1).build());
        let run = bench.run("w");
        bench.start(run, "a");
        let mut outcome = outcome(class);
        outcome.retry_verdict = verdict;
        bench.finish_with(run, "a", outcome);
        assert_eq!(bench.node(run, "a"), word, "{class:?} {verdict:?}");
    }
}

#[test]
fn infrastructure_costs_the_lost_budget_and_not_the_retries() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(retrying(|policy| policy.lost_retry_times = 2).build());
    let run = bench.run("w");
    for number in 1..=2 {
        bench.finish(run, "a", OutcomeClass::Infrastructure);
        assert_eq!(bench.attempt(run, "a").number, number + 1);
    }
    bench.finish(run, "a", OutcomeClass::Infrastructure);
    assert_eq!(bench.node(run, "a"), NodeWord::Failed);
    let node = bench.replica.nodes.values().find(|node| !node.attempts.is_empty()).unwrap();
    assert_eq!((node.losses, node.failures), (3, 0));
}

#[test]
fn w11_a_timeout_takes_the_error_edge() {
    let mut bench = Bench::with_workers(&[1]);
    let flow = Flow::new("w")
        .start("a")
        .action_with("a", "end", |policy| {
            policy.timeout = Some(Millis::seconds(60));
            policy.retry.times = 9;
        })
        .error("a", "mend")
        .action("mend", "end")
        .end("end");
    bench.define(flow.build());
    let run = bench.run("w");
    bench.start(run, "a");
    bench.pass(30_000);
    // It is over the whole life of the node: the retry does not begin it anew.
    bench.finish(run, "a", OutcomeClass::Failed);
    bench.start(run, "a");
    bench.pass(30_000);
    assert_eq!(bench.kills, [bench.attempt(run, "a")]);
    assert_eq!(bench.node(run, "a"), NodeWord::Running, "until its processes are down");
    bench.finish(run, "a", OutcomeClass::Killed);
    assert_eq!(bench.node(run, "a"), NodeWord::TimedOut);
    bench.succeed(run, "mend");
    assert_eq!(bench.word(run), InstanceWord::Succeeded);
}

#[test]
fn a_result_says_all_of_an_attempt_whose_start_was_never_told() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(Flow::new("w").start("a").action("a", "b").action("b", "end").end("end").build());
    let run = bench.run("w");
    let attempt = bench.attempt(run, "a");
    bench.sent.remove(&attempt);
    let worker = WorkerId::from("w1");
    let outcome = outcome(OutcomeClass::Succeeded);
    bench.ok(Command::AttemptFinished { worker: worker.clone(), attempt, outcome: outcome.clone() });
    let next = bench.attempt(run, "b");
    assert!(
        matches!(
            bench.events.as_slice(),
            [
                EventKind::AttemptEnded { attempt: ended, outcome: Some(told), .. },
                EventKind::NodeFinished { node: a, end: NodeEnd::Succeeded, .. },
                EventKind::NodeQueued { node: b, .. },
                EventKind::AttemptDispatched { attempt: sent, .. },
            ] if *ended == attempt && *told == outcome && *a == attempt.into() && *b == next.into() && *sent == next
        ),
        "{:?}",
        bench.events
    );
    assert!(
        matches!(
            bench.effects.as_slice(),
            [Effect::AcknowledgeResult { worker: to, attempt: heard }, Effect::SendAttempt { .. }]
                if *to == worker && *heard == attempt
        ),
        "{:?}",
        bench.effects
    );
    let record = &bench.replica.nodes[&attempt.into()].attempts[0];
    assert_eq!(record.started, Some(outcome.started));
    // Its start comes after all: it is late, and says nothing any more.
    bench.ok(Command::AttemptStarted { worker, attempt, at: outcome.started });
    assert_eq!((bench.events.as_slice(), bench.effects.as_slice()), (&[][..], &[][..]));
}

#[test]
fn a_result_without_a_start_counts_under_the_next_leader_too() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(Flow::simple("w").build());
    let run = bench.run("w");
    let attempt = bench.attempt(run, "a");
    bench.take_over();
    bench.register("w1", 1, "boot-1", &[(attempt, super::super::command::InventoryState::Finished)]);
    assert_eq!(bench.node(run, "a"), NodeWord::Dispatched);
    bench.finish(run, "a", OutcomeClass::Succeeded);
    assert_eq!(bench.word(run), InstanceWord::Succeeded);
}

#[test]
fn a_timeout_counts_from_a_start_that_only_the_result_tells_of() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(timed_and_retried_hourly().build());
    let run = bench.run("w");
    bench.finish(run, "a", OutcomeClass::Failed);
    bench.pass(MINUTE);
    assert_eq!(bench.node(run, "a"), NodeWord::TimedOut);
}

#[test]
fn timeouts_can_kill_the_instance_or_only_warn() {
    for (action, word) in [
        (TimeoutAction::KillInstance, InstanceWord::Killed),
        (TimeoutAction::Warn, InstanceWord::Succeeded),
        (TimeoutAction::Fail, InstanceWord::Failed),
    ] {
        let mut bench = Bench::with_workers(&[1]);
        bench.define(
            retrying(|policy| {
                policy.timeout = Some(Millis::seconds(60));
                policy.timeout_action = action;
            })
            .build(),
        );
        let run = bench.run("w");
        bench.start(run, "a");
        bench.pass(MINUTE);
        let class = if action == TimeoutAction::Warn { OutcomeClass::Succeeded } else { OutcomeClass::Killed };
        bench.finish(run, "a", class);
        assert_eq!(bench.word(run), word);
        assert_eq!(bench.replica.instances[&run].marks.late, action == TimeoutAction::Warn);
    }
}

#[test]
fn a_retry_that_waits_is_ended_by_the_timeout_too() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(timed_and_retried_hourly().build());
    let run = bench.run("w");
    bench.fail(run, "a");
    bench.pass(MINUTE);
    assert_eq!(bench.node(run, "a"), NodeWord::TimedOut);
}

#[test]
fn w11_a_queued_instance_can_be_killed() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(Flow::simple("w").build());
    let first = bench.run("w");
    let second = bench.run("w");
    assert_eq!(bench.word(second), InstanceWord::Queued);
    bench.ok(Command::KillInstance { instance: second, why: None, grace: None });
    assert_eq!(bench.word(second), InstanceWord::Killed);
    assert_eq!(bench.ok(Command::KillInstance { instance: second, why: None, grace: None }), Reply::Unchanged);
    bench.succeed(first, "a");
    assert_eq!(bench.word(second), InstanceWord::Killed);
    assert_eq!(bench.refused(Command::KillInstance { instance: first, why: None, grace: None }).code(), "conflict");
}

#[test]
fn w11_no_retry_survives_a_kill() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(
        retrying(|policy| {
            policy.retry.times = 9;
            policy.retry.interval = Millis::seconds(10);
        })
        .build(),
    );
    let run = bench.run("w");
    bench.fail(run, "a");
    bench.ok(Command::KillInstance { instance: run, why: Some("enough".to_owned()), grace: None });
    assert_eq!(bench.word(run), InstanceWord::Killed);
    bench.pass(MINUTE);
    assert!(!bench.is_sent(run, "a"));
}

fn graces(bench: &Bench) -> Vec<Millis> {
    let grace = |effect: &Effect| match effect {
        Effect::KillAttempt { grace, .. } => Some(*grace),
        _ => None,
    };
    bench.effects.iter().filter_map(grace).collect()
}

#[test]
fn a_kill_gives_the_time_that_was_asked_for_also_when_it_is_sent_again() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(Flow::simple("w").build());
    let kill = |instance, grace| Command::KillInstance { instance, why: None, grace };
    let run = bench.run("w");
    bench.start(run, "a");
    assert_eq!(bench.refused(kill(run, Some(Millis::seconds(3601)))).code(), "invalid");
    bench.ok(kill(run, Some(Millis::seconds(40))));
    assert_eq!(graces(&bench), [Millis::seconds(40)]);
    // More time than was given is not given any more; less is, at once, and by every leader.
    assert_eq!(bench.ok(kill(run, Some(Millis::seconds(41)))), Reply::Unchanged);
    assert_eq!(bench.ok(kill(run, None)), Reply::Done);
    assert_eq!(graces(&bench), [bench.settings.kill_grace]);
    assert_eq!(bench.ok(kill(run, Some(Millis(0)))), Reply::Done);
    assert_eq!(graces(&bench), [Millis(0)]);
    assert_eq!(bench.ok(kill(run, Some(Millis(0)))), Reply::Unchanged);
    let attempt = bench.attempt(run, "a");
    bench.take_over();
    bench.register("w1", 1, "boot-1", &[(attempt, command::InventoryState::Alive)]);
    let kills = bench.engine.recover(Scope::All);
    assert!(matches!(kills[..], [Effect::KillAttempt { grace: Millis(0), .. }]), "{kills:?}");
    bench.finish(run, "a", OutcomeClass::Killed);
    assert_eq!(bench.word(run), InstanceWord::Killed);
}

#[test]
fn a_forced_kill_hastens_a_stop_that_has_begun_for_another_reason() {
    let mut bench = Bench::with_workers(&[2]);
    bench.define(
        Flow::new("w")
            .start("f")
            .fork("f", &["a", "b"])
            .action("a", "j")
            .action("b", "j")
            .join("j", "end")
            .end("end")
            .build(),
    );
    let run = bench.run("w");
    bench.start(run, "b");
    let attempt = bench.attempt(run, "a");
    let (worker, _) = bench.sent.remove(&attempt).unwrap();
    bench.ok(Command::AttemptFinished { worker, attempt, outcome: outcome(OutcomeClass::Failed) });
    assert_eq!(graces(&bench), [bench.settings.kill_grace]);
    bench.ok(Command::KillInstance { instance: run, why: None, grace: Some(Millis(0)) });
    assert_eq!(graces(&bench), [Millis(0)]);
}

#[test]
fn a_kill_is_carried_out_by_the_next_leader_too() {
    let mut bench = Bench::with_workers(&[2]);
    bench.define(
        Flow::new("w")
            .start("f")
            .fork("f", &["a", "b"])
            .action("a", "j")
            .action("b", "j")
            .join("j", "end")
            .end("end")
            .build(),
    );
    let run = bench.run("w");
    bench.start(run, "a");
    bench.ok(Command::KillInstance { instance: run, why: None, grace: None });
    assert_eq!(bench.kills.len(), 2);
    let (a, b) = (bench.attempt(run, "a"), bench.attempt(run, "b"));
    bench.take_over();
    bench.kills.clear();
    let alive = command::InventoryState::Alive;
    bench.register("w1", 2, "boot-1", &[(a, alive), (b, alive)]);
    assert_eq!(bench.kills, [a, b]);
    bench.finish(run, "a", OutcomeClass::Killed);
    // What ends well meanwhile is recorded as such, and is killed all the same.
    bench.finish(run, "b", OutcomeClass::Succeeded);
    assert_eq!(bench.node(run, "b"), NodeWord::Killed);
    assert_eq!(bench.word(run), InstanceWord::Killed);
}

#[test]
fn w10_host_and_labels_choose_among_all_workers() {
    let mut bench = Bench::with_workers(&[1, 1, 1]);
    let flow = |name: &str, change: fn(&mut ActionPolicy)| {
        Flow::new(name).start("a").action_with("a", "end", change).end("end").build()
    };
    bench.define(flow("host", |policy| policy.host = Some("HOST-w2".to_owned())));
    bench.define(flow("label", |policy| policy.workers = vec!["label-w3".to_owned()]));
    bench.define(flow("not", |policy| policy.workers = vec!["!label-w1".to_owned(), "!w3".to_owned()]));
    bench.define(flow("none", |policy| policy.host = Some("elsewhere".to_owned())));
    for (name, worker) in [("host", "w2"), ("label", "w3")] {
        let run = bench.run(name);
        assert_eq!(bench.sent[&bench.attempt(run, "a")].0.as_str(), worker);
    }
    let run = bench.run("not");
    assert!(!bench.is_sent(run, "a"), "w2 is busy and the others are excluded");
    let reason = bench.why(run, "a");
    assert!(matches!(reason[..], [Reason::WorkersBusy { used: 1, slots: 1, needs: 1, .. }]), "{reason:?}");
    let run = bench.run("none");
    let reason = bench.why(run, "a");
    assert!(matches!(&reason[..], [Reason::NoWorkerFits { host: Some(host), .. }] if host == "elsewhere"));
}

#[test]
fn nodes_go_to_the_least_loaded_worker_and_weigh_their_slots() {
    let mut bench = Bench::with_workers(&[4, 2]);
    bench.define(
        Flow::new("w").start("a").action_with("a", "end", |policy| policy.slots = 2).end("end").limit(9).build(),
    );
    bench.define(Flow::simple("light").limit(9).build());
    let runs = [bench.run("w"), bench.run("w"), bench.run("w"), bench.run("w")];
    let on: Vec<_> = runs[..3].iter().map(|run| bench.sent[&bench.attempt(*run, "a")].0.to_string()).collect();
    assert_eq!(on, ["w1", "w2", "w1"]);
    assert!(!bench.is_sent(runs[3], "a"));
    bench.succeed(runs[1], "a");
    assert_eq!(bench.sent[&bench.attempt(runs[3], "a")].0.as_str(), "w2");
}

#[test]
fn the_earlier_nominal_time_goes_first() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(Flow::simple("w").limit(9).build());
    let blocker = bench.run("w");
    let mut runs = Vec::new();
    for back in [1, 3, 2] {
        let mut request = RunRequest::of("w");
        request.nominal = Some(bench.now.wall.plus_ms(-back * MINUTE));
        let Reply::Created { instance } = bench.ok(Command::Run(request)) else { panic!() };
        runs.push(instance);
    }
    let mut order = Vec::new();
    bench.succeed(blocker, "a");
    while let Some(run) = runs.iter().copied().find(|run| bench.is_sent(*run, "a")) {
        order.push(run);
        bench.succeed(run, "a");
    }
    assert_eq!(order, [runs[1], runs[2], runs[0]]);
}

#[test]
fn w16_a_paused_instance_starts_nothing_and_its_pause_is_not_counted() {
    let mut bench = Bench::with_workers(&[1]);
    let flow = Flow::new("w")
        .start("a")
        .action("a", "b")
        .action_with("b", "end", |policy| {
            policy.timeout = Some(Millis::seconds(60));
            policy.retry.times = 1;
            policy.retry.interval = Millis::seconds(10);
        })
        .end("end");
    bench.define(flow.build());
    let run = bench.run("w");
    bench.start(run, "a");
    bench.ok(Command::PauseInstance { instance: run, why: None });
    assert_eq!(bench.word(run), InstanceWord::Paused);
    bench.finish(run, "a", OutcomeClass::Succeeded);
    assert_eq!(bench.node(run, "b"), NodeWord::Paused);
    let reason = bench.why(run, "b");
    assert!(matches!(reason[..], [Reason::Paused { .. }]));
    bench.ok(Command::ResumeInstance { instance: run });
    bench.fail(run, "b");
    bench.ok(Command::PauseInstance { instance: run, why: None });
    bench.pass(10 * MINUTE);
    bench.ok(Command::ResumeInstance { instance: run });
    bench.settle();
    assert_eq!(bench.node(run, "b"), NodeWord::Dispatched, "ten minutes of pause did not use up its minute");
    bench.succeed(run, "b");
    assert_eq!(bench.word(run), InstanceWord::Succeeded);
}

#[test]
fn a_queued_instance_can_be_paused_and_goes_back_to_the_queue() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(Flow::simple("w").build());
    let first = bench.run("w");
    let second = bench.run("w");
    bench.ok(Command::PauseInstance { instance: second, why: None });
    bench.succeed(first, "a");
    assert_eq!(bench.word(second), InstanceWord::Paused);
    bench.ok(Command::ResumeInstance { instance: second });
    bench.settle();
    assert_eq!(bench.word(second), InstanceWord::Running);
}

#[test]
fn a_person_can_mark_a_node() {
    for (mark, node, instance) in [
        (Forced::Succeeded, NodeWord::Succeeded, InstanceWord::Succeeded),
        (Forced::Skipped, NodeWord::Skipped, InstanceWord::Succeeded),
        (Forced::Failed, NodeWord::Failed, InstanceWord::Failed),
    ] {
        let mut bench = Bench::with_workers(&[1]);
        bench.define(Flow::simple("w").build());
        let run = bench.run("w");
        bench.start(run, "a");
        let name = NodeName::from("a");
        let why = "seen with my own eyes".to_owned();
        bench.ok(Command::MarkNode { instance: run, node: name.clone(), mark, why: why.clone() });
        assert_eq!(bench.node(run, "a"), NodeWord::Running, "its processes are stopped first");
        bench.finish(run, "a", OutcomeClass::Killed);
        assert_eq!((bench.node(run, "a"), bench.word(run)), (node, instance));
        assert!(bench.replica.instances[&run].marks.forced);
        assert_eq!(bench.refused(Command::MarkNode { instance: run, node: name, mark, why }).code(), "conflict");
    }
}

fn chain() -> Flow {
    Flow::new("w").start("a").action("a", "b").action("b", "c").action("c", "end").end("end")
}

#[test]
fn w14_rerun_from_failed_keeps_what_succeeded_and_earlier_generations() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(chain().build());
    let run = bench.run("w");
    bench.succeed(run, "a");
    bench.fail(run, "b");
    assert_eq!(bench.refused(Command::PauseInstance { instance: run, why: None }).code(), "conflict");
    bench.rerun(run, RerunPlan::FromFailed);
    bench.settle();
    assert_eq!(bench.node(run, "a"), NodeWord::Succeeded);
    assert_eq!(bench.attempt(run, "b").generation.0, 2);
    bench.succeed(run, "b");
    bench.succeed(run, "c");
    assert_eq!(bench.word(run), InstanceWord::Succeeded);
    let generations = &bench.replica.instances[&run].generations;
    assert_eq!(generations.len(), 2);
    assert_eq!(bench.replica.node_range(run).filter(|(id, _)| id.generation.0 == 1).count(), 3);
}

#[test]
fn rerun_from_a_node_only_a_node_and_all() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(chain().build());
    let run = bench.run("w");
    bench.succeed_all();
    let mut ran = |plan: RerunPlan| {
        bench.rerun(run, plan);
        bench.settle();
        let mut nodes = Vec::new();
        while let Some((_, (_, assignment))) = bench.sent.first_key_value() {
            let node = assignment.node.to_string();
            bench.succeed(run, &node);
            nodes.push(node);
        }
        assert_eq!(bench.word(run), InstanceWord::Succeeded);
        nodes
    };
    assert_eq!(ran(RerunPlan::From { node: NodeName::from("b") }), ["b", "c"]);
    assert_eq!(ran(RerunPlan::Only { node: NodeName::from("b") }), ["b"]);
    assert_eq!(ran(RerunPlan::All), ["a", "b", "c"]);
    assert!(ran(RerunPlan::FromFailed).is_empty());
}

#[test]
fn rerun_takes_the_newest_definition_or_the_same() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(chain().build());
    let run = bench.run("w");
    bench.fail(run, "a");
    bench.define(Flow::new("w").start("x").action("x", "end").end("end").build());
    bench.ok(Command::RerunInstance { instance: run, plan: RerunPlan::All, version: RerunVersion::Same });
    bench.settle();
    bench.fail(run, "a");
    bench.rerun(run, RerunPlan::FromFailed);
    bench.settle();
    bench.succeed(run, "x");
    assert_eq!(bench.word(run), InstanceWord::Succeeded);
}

#[test]
fn outputs_reach_the_nodes_behind_and_the_instance() {
    let mut bench = Bench::with_workers(&[1]);
    let flow = Flow::new("w")
        .start("a")
        .action("a", "b")
        .action("b", "end")
        .env("ROWS", "${node:a.rows}")
        .env("EXIT", "${node:a.exit}")
        .end("end")
        .output("total", "${node:a.rows}")
        .output("absent", "${node:b.nothing}");
    bench.define(flow.build());
    let run = bench.run("w");
    let mut done = outcome(OutcomeClass::Succeeded);
    done.outputs = vec![("rows".to_owned(), "7".to_owned())];
    bench.finish_with(run, "a", done);
    let env = &bench.sent[&bench.attempt(run, "b")].1.env;
    assert!(env.contains(&("ROWS".to_owned(), "7".to_owned())), "{env:?}");
    assert!(env.contains(&("EXIT".to_owned(), "0".to_owned())), "{env:?}");
    bench.succeed(run, "b");
    assert_eq!(bench.replica.instances[&run].outputs, [("total".to_owned(), "7".to_owned())]);
}

#[test]
fn outputs_beyond_the_bounds_fail_the_node() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(Flow::simple("w").build());
    for outputs in [
        vec![("x".to_owned(), "y".repeat(17 * 1024))],
        (0..65).map(|at| (format!("k{at}"), String::new())).collect(),
        (0..5).map(|at| (format!("k{at}"), "y".repeat(15 * 1024))).collect(),
    ] {
        let run = bench.run("w");
        let mut done = outcome(OutcomeClass::Succeeded);
        done.outputs = outputs;
        bench.finish_with(run, "a", done);
        assert_eq!(bench.node(run, "a"), NodeWord::Failed);
    }
}

#[test]
fn an_input_that_is_missing_fails_the_node_and_takes_its_error_edge() {
    let mut bench = Bench::with_workers(&[1]);
    let flow = Flow::new("w")
        .start("a")
        .action("a", "b")
        .action("b", "end")
        .env("X", "${node:a.nothing}")
        .error("b", "end")
        .end("end");
    bench.define(flow.build());
    let run = bench.run("w");
    bench.succeed(run, "a");
    assert_eq!(bench.node(run, "b"), NodeWord::Failed);
    assert_eq!(bench.word(run), InstanceWord::Succeeded);
}

#[test]
fn a_late_result_of_an_attempt_that_was_given_up_changes_nothing() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(Flow::simple("w").build());
    let run = bench.run("w");
    bench.start(run, "a");
    let first = bench.attempt(run, "a");
    bench.register("w1", 1, "boot-2", &[]);
    let second = bench.attempt_number(run, "a", 2);
    let worker = WorkerId::from("w1");
    let late = Command::AttemptFinished { worker, attempt: first, outcome: outcome(OutcomeClass::Succeeded) };
    bench.ok(late.clone());
    assert!(matches!(bench.events[..], [EventKind::ResultStale { .. }]));
    assert!(matches!(bench.effects[..], [Effect::AcknowledgeResult { .. }]));
    assert_eq!(bench.node(run, "a"), NodeWord::Dispatched);
    // Again: acknowledged, and not even recorded.
    assert_eq!(bench.ok(late), Reply::Unchanged);
    assert_eq!(bench.events, []);
    bench.sent.remove(&first);
    assert_eq!(bench.attempt(run, "a"), second);
    bench.succeed(run, "a");
    assert_eq!(bench.word(run), InstanceWord::Succeeded);
}

#[test]
fn on_lost_decides_what_follows_a_lost_attempt() {
    for (on_lost, word) in
        [(OnLost::Retry, NodeWord::Dispatched), (OnLost::Ask, NodeWord::Lost), (OnLost::Fail, NodeWord::Failed)]
    {
        let mut bench = Bench::with_workers(&[1]);
        bench.define(retrying(|policy| policy.on_lost = on_lost).build());
        let run = bench.run("w");
        bench.start(run, "a");
        bench.register("w1", 1, "boot-2", &[]);
        assert_eq!(bench.node(run, "a"), word, "{on_lost:?}");
        if on_lost == OnLost::Ask {
            let reason = bench.why(run, "a");
            assert!(matches!(reason[..], [Reason::LostAsks { .. }]));
            bench.take_over();
            bench.register("w1", 1, "boot-2", &[]);
            bench.sent.clear();
            bench.ok(Command::RetryNode { instance: run, node: NodeName::from("a"), why: "checked".to_owned() });
            bench.settle();
            bench.succeed(run, "a");
            assert_eq!(bench.word(run), InstanceWord::Succeeded);
        }
    }
}

#[test]
fn what_is_too_long_for_a_worker_fails_the_node_and_says_so() {
    let mut bench = Bench::with_workers(&[1]);
    let value = "x".repeat(1 << 20);
    let text = "${param:p} ".repeat(7);
    bench.define(Flow::new("w").param("p", &value).start("a").action("a", "end").text(&text).end("end").build());
    let run = bench.run("w");
    bench.pass_in_silence(0);
    assert_eq!(bench.node(run, "a"), NodeWord::Failed);
    assert_eq!(bench.word(run), InstanceWord::Failed);
    let node = bench.replica.nodes.values().find(|node| node.word(&bench.replica.instances[&run]) == NodeWord::Failed);
    let NodeState::Done { reason: NodeReason::Inputs { message }, .. } = &node.unwrap().state else {
        panic!("{node:?}")
    };
    let message = message.english();
    assert!(message.contains("more than 7340032"), "{message}");
}
