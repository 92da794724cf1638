//! Once-only requests, rest, recall, retention, log records, rejections.

use crate::model::id::{Boot, Epoch, InstanceNumber, MasterId, Principal, Seq, WorkflowName};
use crate::model::state::InstanceWord;

use super::super::command::RunRequest;
use super::super::state::RerunPlan;
use super::super::*;
use super::bench::{Bench, DAY, Flow, HOUR, MINUTE, START};

fn run() -> Command {
    Command::Run(RunRequest::of("w"))
}

fn ready() -> Bench {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("w").limit(9).build());
    bench
}

#[test]
fn the_same_request_twice_has_one_effect_also_under_the_next_leader() {
    let mut bench = ready();
    let first = bench.ask_as("k", "d", run()).unwrap();
    assert_eq!(bench.ask_as("k", "d", run()).unwrap(), first);
    assert_eq!(bench.events, []);
    bench.take_over();
    assert_eq!(bench.ask_as("k", "d", run()).unwrap(), first);
    assert_eq!(bench.instances_of("w").len(), 1);
    assert_eq!(bench.ask_as("k", "other", run()).unwrap_err(), Rejected::KeyReused);
    assert_ne!(bench.ask(run()).unwrap(), first);
}

#[test]
fn keys_are_bounded_and_old_ones_expire_without_a_second_effect() {
    let mut bench = ready();
    assert_eq!(bench.ask_as("", "d", run()).unwrap_err().code(), "invalid");
    assert_eq!(bench.ask_as(&"k".repeat(65), "d", run()).unwrap_err().code(), "invalid");
    assert_eq!(bench.ask_as("k\n", "d", run()).unwrap_err().code(), "invalid");
    let ms = START.0 as u64;
    let key = uuid::Builder::from_unix_timestamp_millis(ms, &[7; 10]).into_uuid().to_string();
    let first = bench.ask_as(&key, "d", run()).unwrap();
    bench.is_checked = false;
    bench.pass(DAY - MINUTE);
    assert_eq!(bench.ask_as(&key, "d", run()).unwrap(), first);
    bench.pass(2 * MINUTE);
    assert_eq!(bench.ask_as(&key, "d", run()).unwrap_err(), Rejected::KeyExpired);
    assert!(bench.replica.requests.is_empty());
}

#[test]
fn a_rejected_request_may_be_tried_again_under_its_key() {
    let mut bench = ready();
    let gone = Command::Run(RunRequest::of("nobody"));
    assert_eq!(bench.ask_as("k", "d", gone.clone()).unwrap_err().code(), "not-found");
    bench.define(Flow::simple("nobody").build());
    assert!(bench.ask_as("k", "d", gone).is_ok());
}

#[test]
fn finished_instances_rest_and_come_back_for_a_command() {
    let mut bench = ready();
    let instance = bench.run("w");
    bench.fail(instance, "a");
    bench.pass(MINUTE);
    assert!(!bench.replica.instances.contains_key(&instance));
    assert!(bench.replica.nodes.is_empty());
    assert_eq!(bench.refused(Command::KillInstance { instance, why: None, grace: None }).code(), "conflict");
    bench.rerun(instance, RerunPlan::FromFailed);
    bench.settle();
    bench.succeed(instance, "a");
    assert_eq!(bench.word(instance), InstanceWord::Succeeded);
    assert_eq!(bench.replica.instances[&instance].generations.len(), 2);
    bench.pass(MINUTE);
    bench.take_over();
    assert!(!bench.replica.instances.contains_key(&instance));
    bench.ok(Command::DeleteInstance { instance });
    let rows = bench.replica.drain_dirty();
    assert!(rows.contains(&(state::AggregateKey::Instance(instance), None)));
}

#[test]
fn of_many_ended_instances_the_oldest_rest_at_once() {
    let mut bench = ready();
    bench.settings.ended_max = 2;
    bench.take_over();
    bench.register("w1", 9, "boot-1", &[]);
    let mut ended = Vec::new();
    for _ in 0..4 {
        let instance = bench.run("w");
        bench.succeed(instance, "a");
        ended.push(instance);
        bench.pass(1);
    }
    assert_eq!(bench.replica.instances.keys().copied().collect::<Vec<_>>(), ended[2..]);
    // The others do so a minute after their end, as ever.
    bench.pass(MINUTE - 1);
    assert!(bench.replica.instances.is_empty());
    bench.rerun(ended[0], RerunPlan::All);
    assert_eq!(bench.replica.instances[&ended[0]].generations.len(), 2);
}

#[test]
fn only_terminal_instances_are_deleted_and_trimmed() {
    let mut bench = ready();
    let live = bench.run("w");
    let done = bench.run("w");
    bench.succeed(done, "a");
    assert_eq!(bench.refused(Command::DeleteInstance { instance: live }).code(), "conflict");
    let reply = bench.ok(Command::Trim(command::Expired { instances: vec![live, done], ..Default::default() }));
    assert_eq!(reply, Reply::Trimmed { instances: vec![done] });
    assert_eq!(bench.refused(Command::DeleteInstance { instance: InstanceNumber(77) }).code(), "not-found");
}

#[test]
fn entries_of_another_leadership_or_history_are_skipped() {
    let mut bench = ready();
    let state = &mut bench.replica;
    let before = state.hash();
    let entry = |epoch: u64, base: u64| {
        LogRecord::Events(Entry { epoch: Epoch(epoch), base_seq: Seq(base), feature_level: 1, events: Vec::new() })
    };
    let (epoch, seq) = (state.cluster.epoch.0, state.cluster.seq.0);
    assert!(matches!(state.apply_record(1, &entry(epoch + 1, seq)), Applied::Skipped(_)));
    assert!(matches!(state.apply_record(1, &entry(epoch, seq - 1)), Applied::Skipped(_)));
    let take_over = |term, epoch| {
        LogRecord::TakeOver(TakeOver { node: MasterId(2), boot: Boot(1), term, epoch: Epoch(epoch), at: START })
    };
    assert!(matches!(state.apply_record(1, &take_over(2, epoch + 1)), Applied::Skipped(_)));
    assert!(matches!(state.apply_record(1, &take_over(1, epoch)), Applied::Skipped(_)));
    assert_eq!(state.hash(), before);
    assert_eq!(state.apply_record(1, &take_over(1, epoch + 1)), Applied::Applied);
    assert!(matches!(state.apply_record(1, &entry(epoch, seq)), Applied::Skipped(_)));
    let newer = Entry { epoch: Epoch(epoch + 1), base_seq: Seq(seq), feature_level: 99, events: Vec::new() };
    assert_eq!(state.apply_record(1, &LogRecord::Events(newer)), Applied::TooNew { feature_level: 99 });
}

#[test]
fn an_illegal_event_changes_nothing_but_the_sequence_and_is_told() {
    let mut bench = ready();
    let instance = bench.run("w");
    let state = &mut bench.replica;
    let keys = state.keys();
    let bad = Event { at: START, kind: EventKind::InstanceStarted { instance } };
    assert!(state.apply(&bad).is_err());
    let entry = Entry { epoch: state.cluster.epoch, base_seq: state.cluster.seq, feature_level: 1, events: vec![bad] };
    let seq = state.cluster.seq;
    assert_eq!(state.apply_record(1, &LogRecord::Events(entry)), Applied::Applied);
    assert!(state.diverged().is_some());
    assert_eq!(state.cluster.seq, seq.next());
    assert_eq!(state.keys(), keys);
    assert_eq!(state.instances[&instance].word(), InstanceWord::Running);
}

#[test]
fn ids_are_the_same_on_every_replica_and_differ_between_clusters() {
    let id = |cluster: &str| {
        let mut bench = Bench::new();
        bench.replica.cluster.id = cluster.to_owned();
        bench.take_over();
        bench.define(Flow::simple("w").build());
        let run = bench.run("w");
        bench.replica.instances[&run].id
    };
    assert_eq!(id("one"), id("one"));
    assert_ne!(id("one"), id("two"));
}

#[test]
fn drained_rows_rebuild_the_state() {
    let mut bench = ready();
    let mut rows = std::collections::BTreeMap::new();
    for _ in 0..3 {
        let run = bench.run("w");
        bench.start(run, "a");
        if run.0 == 2 {
            bench.finish(run, "a", crate::model::assignment::OutcomeClass::Failed);
        }
        for (key, row) in bench.replica.drain_dirty() {
            match row {
                Some(row) => drop(rows.insert(key, row)),
                None => drop(rows.remove(&key)),
            }
        }
        let loaded = State::from_aggregates(rows.values().cloned());
        assert_eq!(loaded.difference(&bench.replica), None);
        assert_eq!(invariant::check(&loaded), []);
    }
    assert_eq!(bench.replica.n_dirty(), 0);
}

#[test]
fn the_answer_of_a_creation_is_found_in_the_archive_when_the_table_forgot_it() {
    let mut bench = ready();
    let first = bench.ask_as("not-a-uuid", "d", run()).unwrap();
    let Reply::Created { instance } = first else { panic!() };
    bench.fail(instance, "a");
    bench.is_checked = false;
    bench.pass(DAY + HOUR);
    assert!(bench.replica.requests.is_empty());
    assert_eq!(bench.ask_as("not-a-uuid", "d", run()).unwrap(), first);
}

#[test]
fn every_command_on_nothing_is_refused_and_changes_nothing() {
    let mut bench = Bench::new();
    let instance = InstanceNumber(5);
    let workflow = WorkflowName::from("w");
    for command in [
        run(),
        Command::Trigger(command::TriggerRequest::of("w")),
        Command::DeleteWorkflow { workflow: workflow.clone() },
        Command::EnableWorkflow { workflow: workflow.clone(), enabled: true, why: None },
        Command::ResetWorkflow { workflow },
        Command::KillInstance { instance, why: None, grace: None },
        Command::PauseInstance { instance, why: None },
        Command::ResumeInstance { instance },
        Command::DeleteInstance { instance },
    ] {
        let refused = bench.send(Envelope { by: Principal::from("user:li"), request: None, command }).unwrap_err();
        assert_eq!(refused.code(), "not-found");
    }
}
