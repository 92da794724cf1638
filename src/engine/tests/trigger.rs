//! Triggers, fires, latches, overlap, misfire.

use crate::model::duration::Millis;
use crate::model::id::{Principal, TriggerId, WorkflowName};
use crate::model::parameter::ParamDeclaration;
use crate::model::policy::{Misfire, Overlap};
use crate::model::state::{InstanceWord, NodeWord};
use crate::model::trigger::{FireKey, Kind, Occurrence, TriggerSource};

use super::super::command::TriggerRequest;
use super::super::state::{FireSkip, FireState, InstanceState, StopReason};
use super::super::why::Subject;
use super::super::*;
use super::bench::{Bench, DAY, Flow, HOUR, MINUTE, START, template};

fn nominals(bench: &Bench, workflow: &str) -> Vec<i64> {
    bench.heads_of(workflow).iter().map(|head| head.nominal.since(START)).collect()
}

fn reasons(bench: &Bench, workflow: &str) -> Vec<Reason> {
    why(&bench.replica, &bench.settings.limits, &Subject::Workflow(WorkflowName::from(workflow)), bench.now.wall)
        .unwrap()
}

fn settled(bench: &Bench, key: &FireKey) -> FireState {
    let known = bench.replica.fires.get(key).cloned();
    known.or_else(|| state::Archive::fire(&*bench.archive, key)).unwrap().state
}

fn fire(workflow: &str, trigger: &str, nominal: i64) -> FireKey {
    FireKey {
        workflow: WorkflowName::from(workflow),
        trigger: TriggerId::from(trigger),
        occurrence: Occurrence::Nominal(START.plus_ms(nominal)),
    }
}

#[test]
fn a_cron_fires_at_its_times_and_never_before() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("w").limit(9).cron("c", "0 * * * *").build());
    assert_eq!(bench.engine.next_wakeup().unwrap().wall, Some(START.plus_ms(HOUR)));
    bench.pass(HOUR - 1);
    assert!(nominals(&bench, "w").is_empty());
    bench.pass(1);
    assert_eq!(nominals(&bench, "w"), [HOUR]);
    bench.pass(2 * HOUR);
    assert_eq!(nominals(&bench, "w"), [HOUR, 2 * HOUR, 3 * HOUR]);
    let head = bench.replica.instances.values().next().unwrap();
    assert_eq!((head.kind, head.affects), (Kind::Scheduled, true));
    assert_eq!(head.by.as_str(), "schedule");
}

#[test]
fn a_fire_is_made_once_whatever_leader_ticks() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("w").limit(9).cron("c", "0 * * * *").build());
    bench.pass(HOUR);
    bench.take_over();
    bench.settle();
    bench.take_over();
    bench.pass(MINUTE);
    assert_eq!(nominals(&bench, "w"), [HOUR]);
}

#[test]
fn a_clock_that_jumps_back_fires_nothing_twice() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("w").limit(9).cron("c", "0 * * * *").build());
    bench.pass(HOUR);
    bench.ok(Command::Tick);
    bench.now.wall = bench.now.wall.plus_ms(-HOUR);
    bench.ok(Command::Tick);
    assert!(matches!(bench.events[..], [EventKind::ClockJumped { by_ms }] if by_ms == -HOUR));
    bench.pass(HOUR + MINUTE);
    assert_eq!(nominals(&bench, "w"), [HOUR]);
    bench.pass(HOUR);
    assert_eq!(nominals(&bench, "w"), [HOUR, 2 * HOUR]);
}

#[test]
fn after_the_clock_was_set_back_a_retry_waits_twice_as_long_at_most_and_a_trigger_for_its_time() {
    let mut bench = Bench::with_workers(&[9]);
    let flow = Flow::simple("w").limit(9).cron("c", "0 * * * *").build();
    bench.define(flow);
    let retrying = Flow::new("r").start("a").end("e").action_with("a", "e", |policy| {
        policy.retry.times = 3;
        policy.retry.interval = Millis::seconds(30);
    });
    bench.define(retrying.build());
    bench.pass(50 * MINUTE);
    let run = bench.run("r");
    bench.fail(run, "a");
    bench.now.wall = bench.now.wall.plus_ms(-30 * MINUTE);
    bench.ok(Command::Tick);
    bench.pass(59_000);
    assert_eq!(bench.node(run, "a"), NodeWord::Retrying);
    bench.pass(2_000);
    assert_eq!(bench.attempt(run, "a").number, 2);
    bench.pass(38 * MINUTE);
    assert_eq!(nominals(&bench, "w"), [0i64; 0]);
    bench.pass(2 * MINUTE);
    assert_eq!(nominals(&bench, "w"), [HOUR]);
}

#[test]
fn w02_a_start_time_in_the_future_begins_with_the_first_time_after_it() {
    let mut bench = Bench::with_workers(&[9]);
    let from = START.plus_ms(3 * HOUR + 30 * MINUTE);
    let flow = Flow::simple("w").limit(99).cron("c", "0 * * * *").coordinated(|c| c.window.from = Some(from));
    bench.define(flow.build());
    assert!(matches!(reasons(&bench, "w")[0], Reason::OutsideWindow { .. }));
    bench.pass(5 * HOUR);
    assert_eq!(nominals(&bench, "w"), [4 * HOUR, 5 * HOUR]);
}

#[test]
fn akka_02_an_end_time_ends_the_fires() {
    let mut bench = Bench::with_workers(&[9]);
    let to = START.plus_ms(2 * HOUR);
    bench.define(Flow::simple("w").limit(9).cron("c", "0 * * * *").coordinated(|c| c.window.to = Some(to)).build());
    bench.pass(9 * HOUR);
    assert_eq!(nominals(&bench, "w"), [HOUR, 2 * HOUR]);
    assert!(reasons(&bench, "w").contains(&Reason::NoMoreTimes { trigger: TriggerId::from("c") }));
}

#[test]
fn w03_a_coordinator_with_neither_trigger_nor_prerequisite_only_waits() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("w").coordinated(|_| ()).build());
    // Nor does a prerequisite that does not exist, or one that waits for itself, stop anybody.
    bench.define(Flow::simple("x").after("nobody").build());
    bench.define(Flow::simple("y").after("z").build());
    bench.define(Flow::simple("z").after("y").build());
    bench.define(Flow::simple("clock").cron("c", "0 * * * *").build());
    bench.pass(3 * HOUR);
    assert!(nominals(&bench, "w").is_empty());
    assert_eq!(reasons(&bench, "w"), [Reason::NeitherTriggerNorPrerequisite]);
    assert_eq!(reasons(&bench, "x"), [Reason::PrerequisiteMissing { workflow: WorkflowName::from("nobody") }]);
    assert!(!nominals(&bench, "clock").is_empty());
}

#[test]
fn w01_workflows_without_coordinator_are_no_trouble_to_those_that_have_one() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("plain").build());
    bench.define(Flow::simple("clock").cron("c", "0 * * * *").build());
    bench.define(Flow::simple("next").after("clock").build());
    bench.pass(HOUR);
    bench.succeed_all();
    assert_eq!(bench.instances_of("next").len(), 1);
    let refused = bench.refused(Command::Trigger(TriggerRequest::of("plain")));
    assert_eq!(refused.code(), "conflict");
    let run = bench.run("plain");
    bench.succeed(run, "a");
    assert_eq!(bench.word(run), InstanceWord::Succeeded);
}

#[test]
fn w16_misfire_decides_about_times_that_came_while_nobody_led() {
    for (policy, expected) in
        [(Misfire::None, vec![]), (Misfire::Last, vec![5 * HOUR]), (Misfire::All, vec![3 * HOUR, 4 * HOUR, 5 * HOUR])]
    {
        let mut bench = Bench::with_workers(&[9]);
        let flow = Flow::simple("w").limit(9).cron("c", "0 * * * *").coordinated(|c| {
            c.misfire.policy = policy;
            c.misfire.max = 3;
        });
        bench.define(flow.build());
        bench.advance(5 * HOUR + 30 * MINUTE);
        bench.take_over();
        bench.settle();
        assert_eq!(nominals(&bench, "w"), expected, "{policy:?}");
        bench.register("w1", 9, "boot-1", &[]);
        bench.pass(30 * MINUTE);
        assert!(nominals(&bench, "w").contains(&(6 * HOUR)), "{policy:?}");
    }
}

#[test]
fn misfire_looks_back_no_further_than_its_window() {
    let mut bench = Bench::with_workers(&[9]);
    let flow = Flow::simple("w").limit(9).cron("c", "0 0 * * *").coordinated(|c| {
        c.misfire.policy = Misfire::All;
        c.misfire.window = Millis(2 * DAY);
    });
    bench.define(flow.build());
    bench.advance(5 * DAY + HOUR);
    bench.take_over();
    bench.settle();
    assert_eq!(nominals(&bench, "w"), [4 * DAY, 5 * DAY]);
}

#[test]
fn a_time_found_within_the_grace_is_not_missed() {
    let mut bench = Bench::with_workers(&[9]);
    let flow = Flow::simple("w").limit(9).cron("c", "0 * * * *").coordinated(|c| c.misfire.policy = Misfire::None);
    bench.define(flow.build());
    bench.advance(HOUR + 59_000);
    bench.take_over();
    bench.settle();
    assert_eq!(nominals(&bench, "w"), [HOUR]);
}

#[test]
fn a_week_of_missed_seconds_is_dealt_with_at_once() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("w").limit(9).every("e", 1).coordinated(|c| c.overlap = Overlap::Skip).build());
    bench.advance(7 * DAY);
    bench.take_over();
    bench.settle();
    assert!(bench.replica.fires.len() <= 62, "{}", bench.replica.fires.len());
}

#[test]
fn disabled_time_is_not_missed_time() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("w").limit(9).cron("c", "0 * * * *").build());
    let name = WorkflowName::from("w");
    bench.ok(Command::EnableWorkflow { workflow: name.clone(), enabled: false, why: Some("holiday".to_owned()) });
    assert!(matches!(reasons(&bench, "w")[..], [Reason::DisabledByOperator { .. }]));
    bench.pass(5 * HOUR + MINUTE);
    bench.ok(Command::EnableWorkflow { workflow: name, enabled: true, why: None });
    bench.settle();
    assert!(nominals(&bench, "w").is_empty());
    bench.pass(HOUR);
    assert_eq!(nominals(&bench, "w"), [6 * HOUR]);
}

#[test]
fn an_override_lasts_until_the_file_says_otherwise() {
    let mut bench = Bench::with_workers(&[9]);
    let flow = |is_enabled: bool, note: &str| {
        let mut flow = Flow::simple("w").cron("c", "0 * * * *").coordinated(|c| c.is_enabled = is_enabled);
        flow.definition.description = Some(note.to_owned());
        flow.build()
    };
    let name = WorkflowName::from("w");
    bench.define(flow(true, "1"));
    bench.ok(Command::EnableWorkflow { workflow: name.clone(), enabled: false, why: None });
    bench.define(flow(true, "2"));
    assert!(!bench.replica.is_enabled(&name), "the file's wish did not change");
    bench.define(flow(false, "3"));
    bench.define(flow(true, "4"));
    assert!(bench.replica.is_enabled(&name));
}

#[test]
fn editing_the_timing_never_fires_the_past() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("w").limit(9).cron("c", "0 0 * * *").build());
    bench.pass(90 * MINUTE);
    bench.define(Flow::simple("w").limit(9).cron("c", "0 1,3 * * *").build());
    bench.pass(3 * HOUR);
    assert_eq!(nominals(&bench, "w"), [3 * HOUR]);
}

#[test]
fn an_edit_that_leaves_the_timing_keeps_the_mark() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("w").limit(9).cron("c", "0 * * * *").build());
    bench.advance(HOUR + 1000);
    // The time came before the edit: it is seen to under the old version.
    bench.define(Flow::new("w").start("b").action("b", "end").end("end").limit(9).cron("c", "30 * * * *").build());
    bench.settle();
    assert_eq!(nominals(&bench, "w"), [HOUR]);
}

#[test]
fn fires_of_two_triggers_at_one_time_start_one_instance() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("w").limit(9).cron("b", "0 * * * *").cron("a", "0 1 * * *").build());
    bench.pass(HOUR);
    assert_eq!(nominals(&bench, "w"), [HOUR]);
    let merged = &bench.replica.fires[&fire("w", "a", HOUR)].state;
    assert!(matches!(merged, FireState::Merged { into, .. } if *into == fire("w", "b", HOUR)), "{merged:?}");
}

#[test]
fn a_trigger_with_parameters_of_its_own_does_not_merge() {
    let mut bench = Bench::with_workers(&[9]);
    let flow = Flow::simple("w").limit(9).param("region", "cn").cron("a", "0 * * * *").cron("b", "0 * * * *");
    let flow = flow.coordinated(|c| {
        c.triggers[1].params.push(ParamDeclaration::string("region", Some(template("eu"))));
    });
    bench.define(flow.build());
    bench.pass(HOUR);
    let regions: Vec<_> = bench.replica.instances.values().map(|head| head.params[0].1.text.clone()).collect();
    assert_eq!(regions, ["cn", "eu"]);
}

#[test]
fn jitter_moves_the_due_time_only() {
    let mut bench = Bench::with_workers(&[9]);
    let jitter = Millis::seconds(600);
    bench.define(Flow::simple("w").cron("c", "0 * * * *").coordinated(|c| c.triggers[0].jitter = jitter).build());
    bench.pass(HOUR);
    let placed = bench.replica.fires[&fire("w", "c", HOUR)].clone();
    assert!(placed.due > placed.nominal && placed.due.since(placed.nominal) < 600_000);
    assert!(nominals(&bench, "w").is_empty());
    assert!(matches!(reasons(&bench, "w")[0], Reason::FireNotDue { .. }));
    bench.pass(placed.due.since(placed.nominal));
    assert_eq!(nominals(&bench, "w"), [HOUR]);
}

#[test]
fn an_at_trigger_fires_once_and_not_when_its_time_is_past() {
    let mut bench = Bench::with_workers(&[9]);
    let at = |text: &str| TriggerSource::At { at: crate::model::schedule::parse_datetime(text).unwrap() };
    bench.define(Flow::simple("w").trigger("once", at("2026-03-01 05:00:00")).build());
    bench.define(Flow::simple("past").trigger("once", at("2026-02-01 05:00:00")).build());
    bench.pass(6 * HOUR);
    assert_eq!(nominals(&bench, "w"), [5 * HOUR]);
    assert!(nominals(&bench, "past").is_empty());
}

#[test]
fn overlap_queue_makes_the_instance_and_lets_it_wait() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("w").cron("c", "0 * * * *").build());
    bench.pass(2 * HOUR);
    let runs = bench.instances_of("w");
    assert_eq!(bench.word(runs[0]), InstanceWord::Running);
    assert_eq!(bench.word(runs[1]), InstanceWord::Queued);
    let reason = why(&bench.replica, &bench.settings.limits, &Subject::Instance(runs[1]), bench.now.wall).unwrap();
    assert_eq!(reason, [Reason::QueuedBehind { limit: 1, running: vec![runs[0]], ahead: 0 }]);
    bench.succeed(runs[0], "a");
    assert_eq!(bench.word(runs[1]), InstanceWord::Running);
}

#[test]
fn overlap_skip_skips_and_overlap_allow_allows() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("skip").cron("c", "0 * * * *").coordinated(|c| c.overlap = Overlap::Skip).build());
    bench.define(Flow::simple("allow").cron("c", "0 * * * *").coordinated(|c| c.overlap = Overlap::Allow).build());
    bench.pass(3 * HOUR);
    assert_eq!(nominals(&bench, "skip"), [HOUR]);
    let skipped = settled(&bench, &fire("skip", "c", 3 * HOUR));
    assert!(matches!(skipped, FireState::Skipped { reason: FireSkip::Overlap, .. }));
    let allowed = bench.instances_of("allow");
    assert_eq!(allowed.len(), 3);
    assert!(allowed.iter().all(|run| bench.word(*run) == InstanceWord::Running));
}

#[test]
fn overlap_queue_one_keeps_only_the_newest_pending_fire() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("w").cron("c", "0 * * * *").coordinated(|c| c.overlap = Overlap::QueueOne).build());
    bench.pass(4 * HOUR);
    assert_eq!(nominals(&bench, "w"), [HOUR]);
    assert!(reasons(&bench, "w").iter().any(|reason| matches!(reason, Reason::FireWaitsForPlace { limit: 1, .. })));
    bench.succeed_all();
    assert_eq!(bench.heads_of("w").len(), 2);
    assert_eq!(nominals(&bench, "w").last(), Some(&(4 * HOUR)));
}

#[test]
fn overlap_replace_stops_the_oldest_and_starts_when_it_is_down() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("w").cron("c", "0 * * * *").coordinated(|c| c.overlap = Overlap::Replace).build());
    bench.pass(HOUR);
    let first = bench.instances_of("w")[0];
    bench.start(first, "a");
    bench.pass(HOUR);
    assert_eq!(bench.kills.last(), Some(&bench.attempt(first, "a")));
    assert_eq!(bench.instances_of("w"), [first], "nothing starts before it is down");
    bench.finish(first, "a", crate::model::assignment::OutcomeClass::Killed);
    let InstanceState::Done { reason: Some(StopReason::Replaced { by }), .. } = &bench.replica.instances[&first].state
    else {
        panic!()
    };
    assert_eq!(*by, fire("w", "c", 2 * HOUR));
    assert_eq!(nominals(&bench, "w"), [HOUR, 2 * HOUR]);
}

#[test]
fn a_full_queue_skips_fires_and_says_so() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("w").cron("c", "0 * * * *").coordinated(|c| c.queue_limit = Some(2)).build());
    bench.pass(5 * HOUR);
    assert_eq!(nominals(&bench, "w"), [HOUR, 2 * HOUR, 3 * HOUR]);
    let state = settled(&bench, &fire("w", "c", 4 * HOUR));
    assert!(matches!(state, FireState::Skipped { reason: FireSkip::QueueFull, .. }));
    assert!(bench.replica.attentions.values().any(|attention| attention.subject == "workflow:w"));
    assert_eq!(bench.refused(Command::Run(command::RunRequest::of("w"))).code(), "busy");
}

#[test]
fn latches_alone_fire_when_complete_and_inherit_the_newest_nominal_time() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("x").cron("c", "0 * * * *").limit(9).build());
    bench.define(Flow::simple("y").cron("c", "30 * * * *").limit(9).build());
    bench.define(Flow::simple("w").after("x").after("y").build());
    bench.pass(30 * MINUTE);
    bench.succeed_all();
    assert!(nominals(&bench, "w").is_empty());
    assert!(matches!(&reasons(&bench, "w")[..], [Reason::WaitsForPrerequisite { .. }]), "{:?}", reasons(&bench, "w"));
    // The latch is kept over a new leadership.
    bench.take_over();
    bench.register("w1", 9, "boot-1", &[]);
    bench.pass(30 * MINUTE);
    bench.succeed_all();
    assert_eq!(nominals(&bench, "w"), [HOUR]);
    let head = &bench.replica.instances[&bench.instances_of("w")[0]];
    assert_eq!(head.fire.as_ref().unwrap().occurrence, Occurrence::Sequence(1));
    // Firing cleared both: one of them alone does not fire it again.
    bench.pass(30 * MINUTE);
    bench.succeed_all();
    assert_eq!(bench.heads_of("w").len(), 1);
}

#[test]
fn akka_03_a_cron_with_prerequisites_waits_for_both_and_the_newest_fire_wins() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("x").coordinated(|_| ()).build());
    bench.define(Flow::simple("w").cron("c", "0 * * * *").after("x").build());
    bench.pass(3 * HOUR);
    assert!(nominals(&bench, "w").is_empty());
    let pending: Vec<_> = bench.replica.pending_fires(&WorkflowName::from("w")).cloned().collect();
    assert_eq!(pending, [fire("w", "c", 3 * HOUR)]);
    let run = bench.trigger("x");
    bench.succeed(run, "a");
    assert_eq!(nominals(&bench, "w"), [3 * HOUR]);
    // In the other order too: the latch first, then the time.
    let own = bench.instances_of("w")[0];
    bench.succeed(own, "a");
    let run = bench.trigger("x");
    bench.succeed(run, "a");
    assert_eq!(bench.instances_of("w").len(), 1);
    bench.pass(HOUR);
    assert_eq!(nominals(&bench, "w").last(), Some(&(4 * HOUR)));
}

#[test]
fn run_and_failure_set_no_latch_and_trigger_does() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("x").coordinated(|_| ()).build());
    bench.define(Flow::simple("w").after("x").build());
    let run = bench.run("x");
    bench.succeed(run, "a");
    let run = bench.trigger("x");
    bench.fail(run, "a");
    assert_eq!(bench.instances_of("w").len(), 0);
    assert!(bench.replica.latches.is_empty());
    // A rerun that succeeds sets it after all.
    bench.rerun(run, state::RerunPlan::All);
    bench.settle();
    bench.succeed(run, "a");
    assert_eq!(bench.instances_of("w").len(), 1);
}

#[test]
fn latches_of_a_disabled_workflow_are_set_and_count_when_it_is_enabled() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("x").coordinated(|_| ()).build());
    bench.define(Flow::simple("w").after("x").coordinated(|c| c.is_enabled = false).build());
    let run = bench.trigger("x");
    bench.succeed(run, "a");
    assert_eq!(bench.instances_of("w").len(), 0);
    assert_eq!(bench.replica.latches.len(), 1);
    bench.ok(Command::EnableWorkflow { workflow: WorkflowName::from("w"), enabled: true, why: None });
    bench.settle();
    assert_eq!(bench.instances_of("w").len(), 1);
}

#[test]
fn reset_clears_latches_and_pending_fires_and_fires_nothing_of_the_past() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("x").coordinated(|_| ()).build());
    bench.define(Flow::simple("w").cron("c", "0 * * * *").after("x").after("y").build());
    let run = bench.trigger("x");
    bench.succeed(run, "a");
    bench.pass(HOUR);
    assert_eq!(bench.replica.latches.len(), 1);
    let name = WorkflowName::from("w");
    assert_eq!(bench.ok(Command::ResetWorkflow { workflow: name.clone() }), Reply::Reset { workflows: 1 });
    assert!(bench.replica.latches.is_empty());
    assert_eq!(bench.replica.pending_fires(&name).count(), 0);
    assert_eq!(bench.ok(Command::ResetAll), Reply::Reset { workflows: 2 });
}

#[test]
fn a_reset_of_all_goes_on_over_many_entries_and_under_another_leader() {
    let mut bench = Bench::with_workers(&[9]);
    bench.is_checked = false;
    let n = 2 * EVENTS_MAX + 100;
    for at in 0..n - 2 {
        bench.define(Flow::simple(&format!("w{at:04}")).build());
    }
    bench.define(Flow::simple("x").coordinated(|_| ()).build());
    bench.define(Flow::simple("z").after("x").after("y").build());
    let run = bench.trigger("x");
    bench.succeed(run, "a");
    let by = Principal::from("kim");
    let reset = Envelope { by: by.clone(), request: None, command: Command::ResetAll };
    assert_eq!(bench.send(reset), Ok(Reply::Reset { workflows: n as u32 }));
    let of_reset = |events: &[EventKind]| -> Vec<(WorkflowName, Principal)> {
        let one = |event: &EventKind| match event {
            EventKind::WorkflowReset { workflow, by } => Some((workflow.clone(), by.clone())),
            _ => None,
        };
        events.iter().filter_map(one).collect()
    };
    let mut done = of_reset(&bench.events);
    assert!(bench.events.len() <= EVENTS_MAX + 10 && bench.replica.latches.len() == 1);
    bench.take_over();
    done.extend(of_reset(&bench.events));
    while bench.engine.next_wakeup().is_some_and(|next| next.delay(bench.now).0 == 0) {
        bench.ok(Command::Tick);
        assert!(bench.events.len() <= EVENTS_MAX + 10);
        done.extend(of_reset(&bench.events));
    }
    let names: Vec<_> = bench.replica.workflows.keys().map(|name| (name.clone(), by.clone())).collect();
    assert_eq!(done, names, "each once, in order, by who asked for it");
    assert!(bench.replica.latches.is_empty() && bench.replica.cluster.pending_reset.is_none());
}

#[test]
fn trigger_ignores_readiness_and_then_consumes_it() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("x").coordinated(|_| ()).build());
    bench.define(Flow::simple("w").after("x").after("y").coordinated(|c| c.is_enabled = false).build());
    let run = bench.trigger("x");
    bench.succeed(run, "a");
    assert_eq!(bench.replica.latches.len(), 1);
    let run = bench.trigger("w");
    assert!(bench.replica.latches.is_empty());
    let head = &bench.replica.instances[&run];
    assert_eq!((head.kind, head.affects), (Kind::Triggered, true));
}

#[test]
fn trigger_at_a_nominal_time_takes_the_real_occurrence() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("w").limit(9).cron("c", "0 * * * *").coordinated(|c| c.overlap = Overlap::Skip).build());
    bench.pass(2 * HOUR + MINUTE);
    let mut request = TriggerRequest::of("w");
    request.nominal = Some(START.plus_ms(HOUR));
    let refused = bench.refused(Command::Trigger(request.clone()));
    assert_eq!(refused.code(), "conflict");
    assert!(refused.hint().unwrap().english().contains("rerun"));
    request.nominal = Some(START);
    let Reply::Created { instance } = bench.ok(Command::Trigger(request.clone())) else { panic!() };
    assert_eq!(bench.replica.instances[&instance].fire, Some(fire("w", "c", 0)));
    assert_eq!(bench.refused(Command::Trigger(request.clone())).code(), "conflict");
    request.nominal = Some(START.plus_ms(DAY));
    assert_eq!(bench.refused(Command::Trigger(request)).code(), "invalid");
}

#[test]
fn akka_11_downstream_runs_each_dependant_once_after_all_it_waits_for() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("a").coordinated(|_| ()).build());
    bench.define(Flow::simple("b").after("a").build());
    bench.define(Flow::simple("c").after("a").build());
    bench.define(Flow::simple("d").after("b").after("c").after("elsewhere").build());
    bench.define(Flow::simple("off").after("a").coordinated(|c| c.is_enabled = false).build());
    let mut request = TriggerRequest::of("a");
    request.with_downstream = true;
    bench.ok(Command::Trigger(request.clone()));
    // Any number at once.
    bench.ok(Command::Trigger(request));
    bench.succeed_all();
    for name in ["a", "b", "c", "d"] {
        assert_eq!(bench.instances_of(name).len(), 2, "{name}");
    }
    assert_eq!(bench.instances_of("off").len(), 0);
    assert!(bench.replica.latches.is_empty());
    assert!(bench.replica.closures.is_empty());
}

#[test]
fn a_failure_ends_a_downstream_run() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("a").coordinated(|_| ()).build());
    bench.define(Flow::simple("b").after("a").build());
    let mut request = TriggerRequest::of("a");
    request.with_downstream = true;
    let Reply::Created { instance } = bench.ok(Command::Trigger(request)) else { panic!() };
    bench.fail(instance, "a");
    assert!(bench.replica.closures.is_empty());
    assert_eq!(bench.instances_of("b").len(), 0);
}

#[test]
fn w09_a_fire_that_cannot_be_created_is_a_failed_instance_that_says_why() {
    let mut bench = Bench::with_workers(&[9]);
    let flow = Flow::new("w").start("a").action("a", "end").text("echo ${param:nobody}").end("end");
    bench.define(flow.cron("c", "0 * * * *").build());
    bench.define(Flow::simple("other").cron("c", "0 * * * *").build());
    bench.pass(HOUR);
    let run = bench.instances_of("w")[0];
    let InstanceState::Done { reason: Some(StopReason::Uncreatable { message }), .. } =
        &bench.replica.instances[&run].state
    else {
        panic!()
    };
    assert!(message.english().contains("nobody"), "{message:?}");
    assert_eq!(bench.node(run, "a"), NodeWord::UpstreamFailed);
    assert_eq!(bench.instances_of("other").len(), 1);
    // By hand it is refused at once.
    let refused = bench.refused(Command::Run(command::RunRequest::of("w")));
    assert!(refused.to_string().contains("nobody"), "{refused}");
}

#[test]
fn a_value_with_markup_or_quotes_is_only_a_value() {
    let mut bench = Bench::with_workers(&[9]);
    let flow = Flow::new("w").param("x", "none").start("a").action("a", "end").env("X", "${param:x}").end("end");
    bench.define(flow.build());
    let mut request = command::RunRequest::of("w");
    let hostile = "</code><a b=\"&\" '; rm -rf $(x)";
    request.params = vec![("x".to_owned(), hostile.to_owned())];
    let Reply::Created { instance } = bench.ok(Command::Run(request)) else { panic!() };
    let sent = &bench.sent[&bench.attempt(instance, "a")].1;
    assert!(sent.env.contains(&("X".to_owned(), hostile.to_owned())));
    assert!(sent.env.iter().any(|(name, value)| name == "RF_PARAM_X" && value == hostile));
    // In code it is refused, naming the ways out.
    let code = Flow::new("c").param("x", "none").start("a").action("a", "end").text("echo ${param:x}").end("end");
    bench.define(code.build());
    let mut request = command::RunRequest::of("c");
    request.params = vec![("x".to_owned(), hostile.to_owned())];
    assert!(bench.refused(Command::Run(request)).to_string().contains("sh"));
}

#[test]
fn w16_upcoming_shows_the_fires_that_then_come() {
    let mut bench = Bench::with_workers(&[9]);
    let flow = Flow::simple("w").limit(99).param("day", "${biz.date}").cron("a", "0 */6 * * *").cron("b", "30 5 * * *");
    bench.define(flow.build());
    let name = WorkflowName::from("w");
    let shown = upcoming(&bench.replica, &bench.settings, &name, bench.now.wall, 4).unwrap();
    let times: Vec<_> = shown.iter().map(|fire| (fire.nominal, fire.params.clone().unwrap())).collect();
    bench.pass(18 * HOUR);
    let came: Vec<_> = bench.replica.instances.values().map(|head| (head.nominal, head.params.clone())).collect();
    assert_eq!(times, came);
    assert_eq!(times[0].1[0].1.text, "2026-03-01");
}

#[test]
fn w12_a_success_touches_only_its_dependants() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("x").coordinated(|_| ()).build());
    bench.define(Flow::simple("next").after("x").coordinated(|c| c.is_enabled = false).build());
    for at in 0..50 {
        bench.define(Flow::simple(&format!("other-{at}")).after("z").cron("c", "0 0 * * *").build());
    }
    let run = bench.trigger("x");
    bench.start(run, "a");
    bench.replica.drain_dirty();
    bench.finish(run, "a", crate::model::assignment::OutcomeClass::Succeeded);
    let rows: Vec<_> = bench.replica.drain_dirty().into_iter().map(|(key, _)| key).collect();
    let of_others = |key: &state::AggregateKey| format!("{key:?}").contains("other-");
    assert!(!rows.iter().any(of_others), "{rows:?}");
    assert!(rows.iter().any(|key| matches!(key, state::AggregateKey::Latch(name, _) if name.as_str() == "next")));
}

#[test]
fn w12_thousands_of_schedules_cost_one_look_each() {
    let mut bench = Bench::with_workers(&[9]);
    bench.is_checked = false;
    for at in 0..2_000 {
        let hour = 1 + at % 2;
        bench.define(Flow::simple(&format!("w{at}")).cron("c", &format!("0 {hour} * * *")).build());
    }
    bench.advance(HOUR);
    bench.ok(Command::Tick);
    assert!(bench.events.len() <= EVENTS_MAX + 10);
    while bench.engine.next_wakeup().is_some_and(|next| next.delay(bench.now).0 == 0) {
        bench.ok(Command::Tick);
    }
    assert_eq!(bench.replica.instances.len(), 1000);
}
