//! Leases: what is recorded, and when an attempt on a worker that nobody hears is given up.

use crate::model::assignment::OutcomeClass;
use crate::model::duration::Millis;
use crate::model::id::{AttemptId, Epoch, InstanceNumber, WorkerId};
use crate::model::lease::{KILL_GRACE, MARGIN, over_after};
use crate::model::policy::{ActionPolicy, OnIsolation, OnLost};
use crate::model::state::{InstanceWord, NodeWord};
use crate::model::time::Timestamp;

use super::super::command::InventoryState;
use super::super::lease::TakeOvers;
use super::super::state::{AttemptEnd, NodeEnd, NodeReason};
use super::super::*;
use super::bench::{Bench, Flow, HOUR, outcome};

const LEASE: Millis = Millis::seconds(60);
const LOST_AFTER: Millis = Millis::seconds(10);

fn settings(lease: Option<Millis>) -> Settings {
    Settings { lost_after: LOST_AFTER, lease, ..Settings::default() }
}

/// `a` runs on w1, its only slot; w2 is free. Nobody hears w1 from the moment `heard` on.
fn cut_off_with(lease: Option<Millis>, change: impl FnOnce(&mut ActionPolicy)) -> Cut {
    let mut bench = Bench::with(settings(lease));
    bench.register("w1", 1, "boot-1", &[]);
    bench.define(Flow::new("w").start("a").action_with("a", "end", change).end("end").build());
    let run = bench.run("w");
    bench.start(run, "a");
    let attempt = bench.attempt(run, "a");
    bench.register("w2", 1, "boot-1", &[]);
    bench.pass(3_000);
    bench.unlink("w1");
    let heard = bench.now.mono;
    Cut { bench, run, attempt, heard }
}

fn cut_off() -> Cut {
    cut_off_with(Some(LEASE), |_| ())
}

struct Cut {
    bench: Bench,
    run: InstanceNumber,
    attempt: AttemptId,
    heard: Millis,
}

impl Cut {
    /// Lets time pass until so long after the moment.
    fn pass_until(&mut self, from: Millis, after: Millis) {
        let left = from.0 + after.0 - self.bench.now.mono.0;
        self.bench.pass(left);
    }

    /// It is given up exactly when a lease counted from then is over; w2 has it afterwards.
    fn is_lost_at(&mut self, from: Millis) {
        self.pass_until(from, Millis(over_after(LEASE).0 - 1));
        assert_eq!(self.bench.node(self.run, "a"), NodeWord::Lost, "it may still run");
        assert!(self.bench.sent.len() == 1, "{:?}", self.bench.sent);
        self.bench.advance(1);
        assert_eq!(self.bench.engine.next_wakeup().unwrap().delay(self.bench.now), Millis(0));
        self.bench.ok(Command::Tick);
        let node = event::NodeRef::from(self.attempt);
        assert_eq!(
            self.bench.events,
            [
                EventKind::AttemptEnded { attempt: self.attempt, end: AttemptEnd::Lost, outcome: None },
                EventKind::NodeRequeued { node },
                EventKind::AttemptDispatched {
                    attempt: node.attempt(2),
                    worker: WorkerId::from("w2"),
                    lease: self.bench.settings.lease,
                },
            ]
        );
        assert!(matches!(&self.bench.effects[..], [Effect::SendAttempt { worker, .. }] if worker.as_str() == "w2"));
    }
}

#[test]
fn a_worker_is_seen_once_in_each_leadership_and_admitted_at_each_registration() {
    let mut bench = Bench::with(settings(Some(LEASE)));
    let worker = WorkerId::from("w1");
    for epoch in [1, 2] {
        let registration = bench.registration("w1", 1, "boot-1", &[]);
        let session = registration.session;
        assert_eq!(bench.ok(Command::RegisterWorker(registration)), Reply::Registered { epoch: Epoch(epoch) });
        let seen = EventKind::WorkerSeen { worker: worker.clone(), epoch: Epoch(epoch) };
        assert_eq!(bench.events.last(), Some(&seen), "committed with the registration, so before it is answered");
        assert_eq!(bench.events.len(), if epoch == 1 { 2 } else { 1 });
        assert_eq!(bench.effects, [Effect::AdmitWorker { worker: worker.clone(), session }]);
        let again = bench.registration("w1", 1, "boot-1", &[]);
        bench.ok(Command::RegisterWorker(again));
        assert_eq!(bench.events, []);
        bench.take_over();
    }
}

#[test]
fn a_dispatch_records_its_lease_and_keeps_it_under_other_settings() {
    let (short, long) = (Some(Millis::seconds(10)), Some(Millis::seconds(3600)));
    for (default, worker, own, isolation, expected) in [
        (Some(LEASE), None, None, OnIsolation::Stop, Some(LEASE)),
        (Some(LEASE), long, None, OnIsolation::Stop, long),
        (Some(LEASE), long, short, OnIsolation::Stop, short),
        (Some(LEASE), long, Some(LEASE), OnIsolation::Continue, None),
        (None, long, Some(LEASE), OnIsolation::Stop, None),
    ] {
        let mut bench = Bench::with(settings(default));
        let registration = bench.registration("w1", 1, "boot-1", &[]);
        bench.ok(Command::RegisterWorker(command::Registration { lease: worker, ..registration }));
        let action = |policy: &mut ActionPolicy| (policy.lease, policy.on_isolation) = (own, isolation);
        bench.define(Flow::new("w").start("a").action_with("a", "end", action).end("end").build());
        let run = bench.run("w");
        let attempt = bench.attempt(run, "a");
        let recorded = bench.events.iter().find_map(|event| match event {
            EventKind::AttemptDispatched { lease, .. } => Some(*lease),
            _ => None,
        });
        assert_eq!(recorded, Some(expected));
        let first = bench.sent.remove(&attempt).unwrap();
        assert_eq!(first.1.lease, expected);
        // A leader with other settings sends the same again: the one before counts on it.
        bench.settings.lease = Some(Millis::seconds(3600));
        bench.take_over();
        bench.register("w1", 1, "boot-1", &[]);
        assert_eq!(bench.sent[&attempt], first);
    }
}

#[test]
fn w06_an_attempt_out_of_sight_is_given_up_when_its_lease_is_over_and_not_before() {
    let mut cut = cut_off();
    cut.is_lost_at(cut.heard);
    let node = cut.bench.replica.nodes.values().find(|node| node.id == event::NodeRef::from(cut.attempt)).unwrap();
    assert_eq!((node.losses, node.failures), (1, 0));
}

#[test]
fn a_worker_that_is_back_in_time_keeps_its_attempt() {
    let mut cut = cut_off();
    cut.pass_until(cut.heard, LEASE);
    cut.bench.register("w1", 1, "boot-1", &[(cut.attempt, InventoryState::Alive)]);
    assert_eq!(cut.bench.node(cut.run, "a"), NodeWord::Running);
    cut.bench.pass(HOUR);
    assert_eq!(cut.bench.node(cut.run, "a"), NodeWord::Running);
    // The next silence counts from its own beginning.
    cut.bench.unlink("w1");
    cut.is_lost_at(cut.bench.now.mono);
}

#[test]
fn a_worker_that_is_back_in_time_may_bring_the_end_of_what_it_never_said_was_started() {
    let mut bench = Bench::with(settings(Some(LEASE)));
    bench.register("w1", 1, "boot-1", &[]);
    bench.define(Flow::new("w").start("a").action("a", "end").end("end").build());
    let run = bench.run("w");
    bench.pass(3_000);
    bench.unlink("w1");
    bench.pass(LEASE.0);
    let attempt = bench.attempt(run, "a");
    bench.register("w1", 1, "boot-1", &[(attempt, InventoryState::Finished)]);
    bench.finish(run, "a", OutcomeClass::Succeeded);
    assert_eq!(bench.word(run), InstanceWord::Succeeded);
    let node = &bench.replica.nodes[&attempt.into()];
    assert_eq!((node.attempts.len(), node.losses), (1, 0));
}

#[test]
fn a_worker_that_is_back_too_late_is_told_to_stop_and_its_result_is_stale() {
    let mut cut = cut_off();
    cut.is_lost_at(cut.heard);
    let (attempt, worker) = (cut.attempt, WorkerId::from("w1"));
    cut.bench.register("w1", 1, "boot-1", &[(attempt, InventoryState::Alive)]);
    assert_eq!(cut.bench.kills, [attempt]);
    let late = outcome(OutcomeClass::Succeeded);
    cut.bench.ok(Command::AttemptFinished { worker: worker.clone(), attempt, outcome: late.clone() });
    assert_eq!(cut.bench.events, [EventKind::ResultStale { attempt, worker: worker.clone(), outcome: late.clone() }]);
    assert_eq!(cut.bench.effects, [Effect::AcknowledgeResult { worker: worker.clone(), attempt }]);
    // Said once more it is only acknowledged.
    cut.bench.ok(Command::AttemptFinished { worker: worker.clone(), attempt, outcome: late });
    assert_eq!(cut.bench.events, []);
    assert_eq!(cut.bench.effects, [Effect::AcknowledgeResult { worker, attempt }]);
    assert_eq!(cut.bench.word(cut.run), InstanceWord::Running, "the result of the first one ends nothing");
    cut.bench.sent.remove(&attempt);
    cut.bench.fail(cut.run, "a");
    assert_eq!(cut.bench.word(cut.run), InstanceWord::Failed, "that of the second one does");
}

#[test]
fn what_becomes_of_the_node_is_what_on_lost_says() {
    let mut cut = cut_off_with(Some(LEASE), |policy| policy.on_lost = OnLost::Fail);
    cut.pass_until(cut.heard, over_after(LEASE));
    let head = &cut.bench.replica.instances[&cut.run];
    assert_eq!(head.word(), InstanceWord::Failed);
    let node = &cut.bench.replica.nodes[&event::NodeRef::from(cut.attempt)];
    let state::NodeState::Done { end: NodeEnd::Failed, reason: NodeReason::Lost, .. } = node.state else {
        panic!("{:?}", node.state)
    };
    let mut cut = cut_off_with(Some(LEASE), |policy| policy.on_lost = OnLost::Ask);
    cut.pass_until(cut.heard, over_after(LEASE));
    assert!(matches!(cut.bench.why(cut.run, "a")[..], [Reason::LostAsks { .. }]));
    cut.bench.pass(HOUR);
    assert_eq!(cut.bench.node(cut.run, "a"), NodeWord::Lost);
}

#[test]
fn without_a_lease_silence_proves_nothing() {
    let isolated = cut_off_with(Some(LEASE), |policy| policy.on_isolation = OnIsolation::Continue);
    for mut cut in [isolated, cut_off_with(None, |_| ())] {
        cut.bench.pass(100 * HOUR);
        assert_eq!(cut.bench.node(cut.run, "a"), NodeWord::Lost);
        let reasons = cut.bench.why(cut.run, "a");
        assert!(matches!(reasons[..], [Reason::OutOfSight { lease: None, .. }]), "{reasons:?}");
        assert!(reasons[0].said().english().ends_with("the attempt may still run there"));
        cut.bench.ok(Command::DeclareWorkerDead { worker: WorkerId::from("w1"), why: "burnt".to_owned() });
        cut.bench.settle();
        assert_eq!(cut.bench.attempt_number(cut.run, "a", 2).number, 2);
    }
}

#[test]
fn no_lease_ends_what_its_worker_cannot_prove_gone() {
    let mut cut = cut_off();
    cut.bench.register("w1", 1, "boot-1", &[(cut.attempt, InventoryState::Unproven)]);
    assert!(matches!(cut.bench.why(cut.run, "a")[..], [Reason::Unproven { .. }]));
    cut.bench.unlink("w1");
    cut.bench.pass(HOUR);
    cut.bench.take_over();
    cut.bench.pass(HOUR);
    assert_eq!(cut.bench.node(cut.run, "a"), NodeWord::Lost);
    // Said to live after all: its lease counts again.
    cut.bench.register("w2", 1, "boot-1", &[]);
    cut.bench.register("w1", 1, "boot-1", &[(cut.attempt, InventoryState::Alive)]);
    cut.bench.unlink("w1");
    let heard = cut.bench.now.mono;
    cut.is_lost_at(heard);
}

#[test]
fn an_attempt_that_was_asked_to_stop_ends_as_asked() {
    let mut cut = cut_off();
    cut.bench.ok(Command::KillInstance { instance: cut.run, grace: None, why: None });
    cut.pass_until(cut.heard, Millis(over_after(LEASE).0 - 1));
    assert_eq!(cut.bench.word(cut.run), InstanceWord::Running);
    let reasons = cut.bench.why(cut.run, "a");
    assert!(reasons[1].said().english().ends_with("then the node ends as asked"), "{reasons:?}");
    cut.bench.pass(1);
    assert_eq!(cut.bench.word(cut.run), InstanceWord::Killed);
}

#[test]
fn a_sign_of_life_that_does_not_count_renews_nothing() {
    let mut cut = cut_off();
    let worker = WorkerId::from("w1");
    let session = cut.bench.engine.live.session(&worker);
    cut.pass_until(cut.heard, Millis::seconds(30));
    let heard = |worker, session| Command::WorkerHeard { worker, session, clock_off: Millis(0) };
    assert_eq!(cut.bench.ok(heard(worker.clone(), session)), Reply::Unchanged, "it may not be answered");
    assert_eq!(cut.bench.effects, [Effect::AskToRegister { worker }]);
    cut.is_lost_at(cut.heard);
    let free = WorkerId::from("w2");
    let session = cut.bench.engine.live.session(&free);
    assert_eq!(cut.bench.ok(heard(free, session)), Reply::Done);
}

#[test]
fn a_new_leader_counts_from_the_first_take_over_after_the_worker_was_seen() {
    let mut cut = cut_off();
    cut.bench.pass(1_000);
    cut.bench.take_over();
    let taken = cut.bench.now.mono;
    cut.bench.register("w2", 1, "boot-1", &[]);
    cut.is_lost_at(taken);

    // It saw another one take over before, and lead without ever hearing the worker.
    let mut cut = cut_off();
    cut.bench.lose_leader();
    let taken = cut.bench.now.mono;
    cut.bench.advance(20_000);
    cut.bench.take_over();
    cut.bench.register("w2", 1, "boot-1", &[]);
    cut.bench.pass(LOST_AFTER.0);
    cut.is_lost_at(taken);

    // That one heard it and then lost it: nobody but the second take-over proves anything.
    let mut cut = cut_off();
    cut.bench.take_over();
    cut.bench.register("w1", 1, "boot-1", &[(cut.attempt, InventoryState::Alive)]);
    cut.bench.advance(20_000);
    cut.bench.take_over();
    let taken = cut.bench.now.mono;
    cut.bench.register("w2", 1, "boot-1", &[]);
    cut.is_lost_at(taken);
}

#[test]
fn a_leader_that_has_noted_nothing_counts_from_its_own_beginning() {
    // Made anew within its own leadership: it may itself have renewed the lease until then.
    let mut cut = cut_off();
    cut.bench.advance(5_000);
    let began = cut.bench.now.mono;
    let (settings, take_overs) = (cut.bench.settings.clone(), cut.bench.take_overs.clone());
    cut.bench.engine = Engine::new(&cut.bench.replica, settings.clone(), cut.bench.now, take_overs);
    cut.bench.register("w2", 1, "boot-1", &[]);
    cut.is_lost_at(began);

    let mut cut = cut_off();
    cut.bench.lose_leader();
    cut.bench.advance(5_000);
    let began = cut.bench.now.mono;
    cut.bench.engine = Engine::new(&cut.bench.replica, settings, cut.bench.now, TakeOvers::default());
    cut.bench.register("w2", 1, "boot-1", &[]);
    cut.is_lost_at(began);
}

#[test]
fn a_later_leader_tells_from_when_it_counts() {
    let mut cut = cut_off();
    cut.bench.pass(2 * LOST_AFTER.0);
    cut.bench.advance(7_000);
    cut.bench.take_over();
    let worker = WorkerId::from("w1");
    let told = EventKind::WorkerSilent { worker: worker.clone(), heard: Some(cut.bench.now.wall) };
    assert_eq!(cut.bench.events, [told]);
    let state::Presence::Silent { since, .. } = cut.bench.replica.workers[&worker].presence else { panic!() };
    assert!(since < cut.bench.now.wall, "silent it is since before");
    cut.bench.ok(Command::Tick);
    assert_eq!(cut.bench.events, []);
}

#[test]
fn a_leader_that_overslept_leaves_a_moment_to_shims_that_slept_too() {
    let mut cut = cut_off();
    cut.bench.pass(LOST_AFTER.0);
    cut.bench.advance(HOUR);
    cut.bench.ok(Command::Tick);
    assert!(!cut.bench.events.iter().any(|event| matches!(event, EventKind::AttemptEnded { .. })));
    cut.bench.register("w2", 1, "boot-1", &[]);
    let moment = KILL_GRACE.0 + MARGIN.0;
    cut.bench.pass(moment - 1);
    assert_eq!(cut.bench.node(cut.run, "a"), NodeWord::Lost);
    cut.bench.pass(1);
    assert_eq!(cut.bench.attempt_number(cut.run, "a", 2).number, 2);
}

#[test]
fn why_says_until_when_it_waits_and_what_then() {
    let mut cut = cut_off();
    cut.pass_until(cut.heard, Millis::seconds(40));
    let reasons = cut.bench.why(cut.run, "a");
    assert_eq!(
        reasons[0].said().english(),
        "w1 has not been heard for 40 s; its lease ends in 28 s, then the node runs elsewhere"
    );
    assert!(reasons[0].unblocked_by().unwrap().english().contains("declare-dead w1"));
    let at = Timestamp(cut.bench.now.wall.0 - 3_600_000);
    let node = why::Subject::Node(cut.run, "a".into());
    let long = why(&cut.bench.replica, &cut.bench.settings.limits, &node, at).unwrap()[0].said().english();
    assert_eq!(long, "w1 has not been heard for 0 s; its lease ends in 1 h 28 s, then the node runs elsewhere");
    let cut = {
        let mut cut = cut_off_with(Some(LEASE), |policy| policy.lost_retry_times = 0);
        cut.pass_until(cut.heard, Millis::seconds(40));
        cut
    };
    assert!(cut.bench.why(cut.run, "a")[0].said().english().ends_with("then the node fails"));
}

#[test]
fn of_many_attempts_all_are_given_up_in_bounded_steps() {
    let mut bench = Bench::with(settings(Some(LEASE)));
    bench.is_checked = false;
    bench.register("w1", 1000, "boot-1", &[]);
    let names: Vec<String> = (0..700).map(|n| format!("a{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let flow = Flow::new("w").start("fork").fork("fork", &names).join("join", "end").end("end");
    let fail = |policy: &mut ActionPolicy| policy.on_lost = OnLost::Ask;
    bench.define(names.iter().fold(flow, |flow, name| flow.action_with(name, "join", fail)).build_fast());
    let run = bench.run("w");
    bench.settle();
    bench.unlink("w1");
    bench.pass(over_after(LEASE).0 + 1_000);
    let asking =
        bench.replica.nodes.values().filter(|node| matches!(node.state, state::NodeState::Lost { asks: true, .. }));
    assert_eq!(asking.count(), 700);
    assert_eq!(bench.word(run), InstanceWord::Running);
}

#[test]
fn the_first_note_of_a_take_over_counts() {
    let mut take_overs = TakeOvers::default();
    assert_eq!(take_overs.after(Epoch(0)), None);
    for (epoch, at) in [(3, 100), (3, 150), (5, 200), (6, 300)] {
        take_overs.note(Epoch(epoch), Millis(at));
    }
    let after = |seen: u64| take_overs.after(Epoch(seen)).map(|at| at.0);
    assert_eq!([after(1), after(3), after(4), after(5), after(6)], [Some(100), Some(200), Some(200), Some(300), None]);
    for epoch in 7..2_000 {
        take_overs.note(Epoch(epoch), Millis(epoch as i64 * 1_000));
    }
    assert!(take_overs.after(Epoch(3)) >= Some(Millis(200)), "only later without the old ones");
    assert_eq!(take_overs.after(Epoch(1_998)), Some(Millis(1_999_000)));
}
