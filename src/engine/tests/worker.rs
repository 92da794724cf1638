//! Registration, adoption, silence and loss of workers.

use crate::model::assignment::OutcomeClass;
use crate::model::duration::Millis;
use crate::model::id::{AttemptId, InstanceNumber, NodeName, WorkerId};
use crate::model::state::{InstanceWord, NodeWord};

use super::super::command::InventoryState;
use super::super::*;
use super::bench::{Bench, Flow, LOST_AFTER, MINUTE};

fn running() -> (Bench, InstanceNumber, AttemptId) {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(Flow::simple("w").build());
    let run = bench.run("w");
    bench.start(run, "a");
    let attempt = bench.attempt(run, "a");
    (bench, run, attempt)
}

fn silent() -> (Bench, InstanceNumber, AttemptId) {
    let (mut bench, run, attempt) = running();
    bench.pass_in_silence(LOST_AFTER.0);
    assert_eq!(bench.node(run, "a"), NodeWord::Lost);
    (bench, run, attempt)
}

#[test]
fn w05_a_running_attempt_is_adopted_over_restarts_of_worker_and_master() {
    let (mut bench, run, attempt) = running();
    bench.take_over();
    assert_eq!(bench.effects, []);
    bench.register("w1", 1, "boot-1", &[(attempt, InventoryState::Alive)]);
    assert_eq!(bench.node(run, "a"), NodeWord::Running);
    assert_eq!(bench.kills, []);
    bench.finish(run, "a", OutcomeClass::Succeeded);
    assert_eq!(bench.word(run), InstanceWord::Succeeded);
}

#[test]
fn a_dispatch_that_never_arrived_is_sent_again_under_the_same_id() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(Flow::simple("w").build());
    let run = bench.run("w");
    let attempt = bench.attempt(run, "a");
    let before = bench.sent[&attempt].clone();
    bench.sent.clear();
    bench.take_over();
    bench.register("w1", 1, "boot-1", &[]);
    assert_eq!(bench.sent[&attempt], before, "the same in all");
    assert_eq!(bench.node(run, "a"), NodeWord::Dispatched);
    // And without an answer again and again.
    bench.sent.clear();
    bench.pass(bench.settings.resend_after.0);
    assert_eq!(bench.attempt(run, "a"), attempt);
    bench.start(run, "a");
    bench.sent.clear();
    bench.pass(MINUTE);
    assert!(bench.sent.is_empty());
}

#[test]
fn an_attempt_that_its_worker_does_not_have_needs_a_tombstone_first() {
    let (mut bench, run, attempt) = running();
    bench.register("w1", 1, "boot-1", &[]);
    assert_eq!(bench.kills, [attempt]);
    assert_eq!(bench.node(run, "a"), NodeWord::Running, "not known dead yet");
    bench.pass(bench.settings.resend_after.0);
    assert_eq!(bench.kills, [attempt, attempt], "asked until it answers");
    bench.ok(Command::AttemptAbsent { worker: WorkerId::from("w1"), attempt });
    bench.settle();
    assert_eq!(bench.attempt_number(run, "a", 2).number, 2);
}

#[test]
fn a_silent_worker_makes_its_nodes_lost_and_nothing_else() {
    let (mut bench, run, attempt) = silent();
    let reason = bench.why(run, "a");
    assert!(matches!(reason[..], [Reason::OutOfSight { .. }]));
    assert!(reason[0].unblocked_by().unwrap().english().contains("declare-dead"));
    bench.register("w2", 1, "boot-1", &[]);
    bench.pass(60 * MINUTE);
    assert_eq!(bench.node(run, "a"), NodeWord::Lost, "silence proves nothing");
    assert!(bench.is_asked_to_register("w1"));
    bench.register("w1", 1, "boot-1", &[(attempt, InventoryState::Alive)]);
    assert_eq!(bench.node(run, "a"), NodeWord::Running);
    bench.finish(run, "a", OutcomeClass::Succeeded);
    assert_eq!(bench.word(run), InstanceWord::Succeeded);
}

#[test]
fn a_result_that_comes_after_the_silence_counts() {
    let (mut bench, run, attempt) = silent();
    bench.register("w1", 1, "boot-1", &[(attempt, InventoryState::Finished)]);
    bench.finish(run, "a", OutcomeClass::Succeeded);
    assert_eq!(bench.word(run), InstanceWord::Succeeded);
}

#[test]
fn a_new_boot_of_the_machine_proves_its_attempts_dead() {
    let (mut bench, run, _) = silent();
    bench.register("w1", 1, "boot-2", &[]);
    assert_eq!(bench.attempt_number(run, "a", 2).number, 2);
}

#[test]
fn a_dispatch_from_before_a_new_boot_is_not_sent_again() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(Flow::simple("w").build());
    let run = bench.run("w");
    // It may have run before the machine went down, without a word of it: its number is used up.
    let first = bench.attempt(run, "a");
    bench.sent.clear();
    bench.register("w1", 1, "boot-2", &[]);
    assert!(!bench.sent.contains_key(&first));
    assert_eq!(bench.attempt(run, "a").number, 2);
}

#[test]
fn declare_dead_frees_what_a_silent_worker_ran() {
    let (mut bench, run, attempt) = silent();
    bench.register("w2", 1, "boot-1", &[]);
    bench.ok(Command::DeclareWorkerDead { worker: WorkerId::from("w1"), why: "burnt down".to_owned() });
    bench.settle();
    let second = bench.attempt_number(run, "a", 2);
    assert_eq!(bench.sent[&second].0.as_str(), "w2");
    // If it comes back after all, what it has is stopped.
    bench.kills.clear();
    bench.register("w1", 1, "boot-1", &[(attempt, InventoryState::Alive)]);
    assert_eq!(bench.kills, [attempt]);
    bench.ok(Command::DrainWorker { worker: WorkerId::from("w1"), draining: true });
    let refused = bench.refused(Command::DeclareWorkerDead { worker: WorkerId::from("w1"), why: String::new() });
    assert_eq!(refused.code(), "conflict");
}

#[test]
fn another_machine_under_the_same_name_is_refused_while_attempts_may_live() {
    let (mut bench, _, _) = silent();
    let other = command::Registration {
        worker: WorkerId::from("w1"),
        session: 99,
        identity: state::WorkerIdentity {
            uuid: "another".to_owned(),
            machine: "another".to_owned(),
            machine_boot: "boot-9".to_owned(),
            boot: crate::model::id::Boot(1),
        },
        slots: 1,
        labels: Vec::new(),
        hosts: Vec::new(),
        lease: None,
        version: String::new(),
        inventory: Vec::new(),
    };
    assert_eq!(bench.refused(Command::RegisterWorker(other)).code(), "conflict");
}

#[test]
fn attempts_that_nobody_asked_for_are_stopped() {
    let mut bench = Bench::new();
    let stray: AttemptId = "77.1.1.0.1".parse().unwrap();
    bench.register("w1", 1, "boot-1", &[(stray, InventoryState::Alive)]);
    assert_eq!(bench.kills, [stray]);
}

#[test]
fn a_worker_that_cannot_tell_leaves_it_to_a_person() {
    let (mut bench, run, attempt) = running();
    bench.register("w1", 1, "boot-1", &[(attempt, InventoryState::Unproven)]);
    assert_eq!(bench.node(run, "a"), NodeWord::Lost);
    let mark = Command::MarkNode {
        instance: run,
        node: NodeName::from("a"),
        mark: state::Forced::Succeeded,
        why: "the table is full".to_owned(),
    };
    bench.ok(mark);
    bench.settle();
    assert_eq!(bench.word(run), InstanceWord::Succeeded);
}

#[test]
fn a_draining_worker_takes_nothing_new() {
    let mut bench = Bench::with_workers(&[4]);
    bench.define(Flow::simple("w").limit(9).build());
    let first = bench.run("w");
    let worker = WorkerId::from("w1");
    bench.ok(Command::DrainWorker { worker: worker.clone(), draining: true });
    let second = bench.run("w");
    assert!(!bench.is_sent(second, "a"));
    let reason = bench.why(second, "a");
    assert!(matches!(reason[..], [Reason::WorkersDraining { .. }]));
    bench.succeed(first, "a");
    bench.ok(Command::DrainWorker { worker, draining: false });
    bench.settle();
    assert!(bench.is_sent(second, "a"));
}

fn decline(attempt: AttemptId, is_passing: bool) -> Command {
    Command::AttemptDeclined { worker: WorkerId::from("w1"), attempt, reason: "old".to_owned(), is_passing }
}

#[test]
fn a_declined_attempt_is_queued_again_at_no_cost_until_it_is_too_often() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(Flow::simple("w").build());
    let run = bench.run("w");
    for number in 1..=6 {
        let attempt = bench.attempt(run, "a");
        assert_eq!(attempt.number, number);
        bench.sent.clear();
        bench.ok(decline(attempt, false));
        assert_eq!(bench.kills.last(), Some(&attempt), "it needs a tombstone: another copy may be under way");
        assert_eq!(bench.node(run, "a"), NodeWord::Dispatched);
        let node = bench.replica.nodes.values().find(|node| !node.attempts.is_empty()).unwrap();
        assert_eq!((node.failures, node.losses), (0, 0));
        bench.ok(Command::AttemptAbsent { worker: WorkerId::from("w1"), attempt });
        assert!(bench.sent.is_empty(), "the worker is left alone for a moment");
        bench.pass(1000);
    }
    let node = bench.replica.nodes.values().find(|node| !node.attempts.is_empty()).unwrap();
    assert_eq!(node.losses, 1);
}

#[test]
fn a_dispatch_at_a_bad_moment_is_only_sent_again() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(Flow::simple("w").build());
    let run = bench.run("w");
    let attempt = bench.attempt(run, "a");
    bench.sent.clear();
    assert_eq!(bench.ok(decline(attempt, true)), Reply::Unchanged);
    assert_eq!(bench.kills, []);
    bench.pass(bench.settings.resend_after.0);
    assert_eq!(bench.attempt(run, "a"), attempt);
    bench.succeed(run, "a");
    assert_eq!(bench.word(run), InstanceWord::Succeeded);
}

#[test]
fn a_worker_that_this_leadership_has_not_heard_is_asked_to_register() {
    let (mut bench, _, _) = running();
    assert!(!bench.is_asked_to_register("w1"));
    bench.take_over();
    assert!(bench.is_asked_to_register("w1"));
}

#[test]
fn an_adopted_attempt_whose_start_was_not_heard_is_asked_for_it() {
    let mut bench = Bench::with_workers(&[1]);
    bench.define(Flow::simple("w").build());
    let run = bench.run("w");
    let attempt = bench.attempt(run, "a");
    bench.take_over();
    bench.sent.clear();
    bench.register("w1", 1, "boot-1", &[(attempt, InventoryState::Alive)]);
    bench.start(run, "a");
    assert_eq!(bench.node(run, "a"), NodeWord::Running);
}

#[test]
fn messages_of_an_older_session_are_not_heard() {
    let (mut bench, _, _) = running();
    let old = Command::WorkerHeard { worker: WorkerId::from("w1"), session: 0, clock_off: Millis(0) };
    assert_eq!(bench.refused(old).code(), "stale-session");
    bench.ok(Command::WorkerUnlinked { worker: WorkerId::from("w1"), session: 0 });
    assert!(bench.engine.is_linked(&WorkerId::from("w1")));
}

#[test]
fn a_silent_worker_without_attempts_can_be_removed() {
    let mut bench = Bench::with_workers(&[1]);
    let worker = WorkerId::from("w1");
    assert_eq!(bench.refused(Command::RemoveWorker { worker: worker.clone() }).code(), "conflict");
    bench.pass_in_silence(LOST_AFTER.0);
    bench.ok(Command::RemoveWorker { worker: worker.clone() });
    assert!(!bench.replica.workers.contains_key(&worker));
}
