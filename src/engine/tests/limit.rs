//! The bounds of the cluster.

use crate::model::duration::Millis;
use crate::model::id::{Boot, ContentHash, MasterId, SourceId, VersionNumber, WorkerId, WorkflowName};

use super::super::command::{Expired, Report, RerunVersion, RunRequest, TriggerRequest};
use super::super::definition::hash_of;
use super::super::state::{Bundle, RerunPlan};
use super::super::why::Subject;
use super::super::*;
use super::bench::{Bench, Flow, HOUR, MINUTE};

fn bench(change: impl FnOnce(&mut Limits)) -> Bench {
    let mut bench = Bench::with_workers(&[9]);
    change(&mut bench.settings.limits);
    bench.take_over();
    bench.register("w1", 9, "boot-1", &[]);
    bench
}

fn apply(bench: &mut Bench, flow: Flow) -> Result<Reply, Rejected> {
    let definition = flow.build();
    let bundle = Bundle { text: format!("{definition:?}"), path: None, definition, files: Vec::new() };
    let content = hash_of(bundle.text.as_bytes());
    let chunks = bench.store(&bundle);
    bench.send(Envelope::internal(Command::ApplyDefinition { content, chunks }))
}

fn is_busy(refusal: &Rejected) -> bool {
    refusal.code() == "busy" && refusal.hint().is_some_and(|hint| hint.english().contains("instances_live_max"))
}

#[test]
fn no_more_instances_are_live_than_the_cluster_may_have() {
    let mut bench = bench(|limits| limits.instances_live_max = 2);
    bench.define(Flow::simple("w").limit(9).build());
    bench.define(Flow::simple("x").limit(9).coordinated(|_| ()).build());
    let first = bench.run("w");
    bench.succeed(first, "a");
    bench.run("w");
    bench.trigger("x");
    for command in [
        Command::Run(RunRequest::of("w")),
        Command::Trigger(TriggerRequest::of("x")),
        Command::RerunInstance { instance: first, plan: RerunPlan::All, version: RerunVersion::Same },
    ] {
        let refusal = bench.refused(command);
        assert!(is_busy(&refusal), "{refusal}");
    }
    bench.succeed_all();
    bench.rerun(first, RerunPlan::All);
    bench.run("w");
    assert_eq!(bench.replica.n_live_instances(), 2);
}

#[test]
fn fires_wait_for_room_in_the_cluster_and_none_is_lost() {
    let mut bench = bench(|limits| limits.instances_live_max = 1);
    bench.define(Flow::simple("a").limit(9).cron("c", "0 * * * *").build());
    bench.define(Flow::simple("b").limit(9).cron("c", "0 * * * *").build());
    bench.pass(2 * HOUR);
    let made = |bench: &Bench| bench.heads_of("a").len() + bench.heads_of("b").len();
    assert_eq!(made(&bench), 1);
    let subject = Subject::Workflow(WorkflowName::from("b"));
    let reasons = why(&bench.replica, &bench.settings.limits, &subject, bench.now.wall).unwrap();
    assert!(matches!(reasons[0], Reason::FireWaitsForRoom { live: 1, .. }), "{reasons:?}");
    // Another leader knows it too.
    bench.take_over();
    bench.register(
        "w1",
        9,
        "boot-1",
        &bench.sent.keys().map(|id| (*id, command::InventoryState::Alive)).collect::<Vec<_>>(),
    );
    for n in 2..=4 {
        assert_eq!(made(&bench), n - 1);
        let attempt = *bench.sent.keys().next().unwrap();
        bench.finish(attempt.instance, "a", crate::model::assignment::OutcomeClass::Succeeded);
    }
    let nominals = |bench: &Bench, name| bench.heads_of(name).iter().map(|head| head.nominal).collect::<Vec<_>>();
    assert_eq!(nominals(&bench, "a"), nominals(&bench, "b"), "each had each of its times");
}

#[test]
fn a_workflow_that_names_no_queue_limit_has_the_configured_one() {
    let mut bench = bench(|limits| limits.queue_limit = 1);
    bench.define(Flow::simple("w").build());
    bench.define(Flow::simple("own").coordinated(|c| c.queue_limit = Some(2)).build());
    for (name, n_taken) in [("w", 2), ("own", 3)] {
        for _ in 0..n_taken {
            bench.run(name);
        }
        let refusal = bench.refused(Command::Run(RunRequest::of(name)));
        assert_eq!(refusal.code(), "busy", "{refusal}");
        assert!(refusal.hint().unwrap().english().contains("queue"), "{:?}", refusal.hint());
    }
}

#[test]
fn a_run_has_no_more_parameters_than_it_may_have() {
    let mut bench = bench(|limits| {
        limits.run_params_max = 2;
        limits.run_params_bytes_max = 10;
    });
    bench.define(Flow::simple("w").limit(9).coordinated(|_| ()).param("a", "1").param("b", "2").build());
    let params =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>();
    let run = |params| Command::Run(RunRequest { params, ..RunRequest::of("w") });
    let trigger = |params| Command::Trigger(TriggerRequest { params, ..TriggerRequest::of("w") });
    bench.ok(run(params(&[("a", "1234"), ("b", "1234")])));
    for (given, names) in [
        (params(&[("a", "1"), ("b", "1"), ("c", "1")]), "limits.run_params_max"),
        (params(&[("a", "1234"), ("b", "12345")]), "limits.run_params_bytes_max"),
    ] {
        for command in [run(given.clone()), trigger(given)] {
            let refusal = bench.refused(command);
            assert_eq!(refusal.code(), "invalid");
            assert!(refusal.to_string().contains(names), "{refusal}");
        }
    }
}

#[test]
fn there_are_no_more_workflows_than_there_may_be() {
    let mut bench = bench(|limits| limits.workflows_max = 2);
    for name in ["a", "b"] {
        apply(&mut bench, Flow::simple(name)).unwrap();
    }
    let refusal = apply(&mut bench, Flow::simple("c")).unwrap_err();
    assert_eq!(refusal.code(), "conflict");
    assert!(refusal.to_string().contains("limits.workflows_max"), "{refusal}");
    // A new version is none more, and a deleted one makes room.
    apply(&mut bench, Flow::simple("a").limit(2)).unwrap();
    bench.ok(Command::DeleteWorkflow { workflow: WorkflowName::from("b") });
    apply(&mut bench, Flow::simple("c")).unwrap();
    assert!(apply(&mut bench, Flow::simple("b")).is_err());
}

#[test]
fn answers_are_remembered_as_long_and_as_many_as_configured() {
    let mut bench = Bench::with_workers(&[9]);
    bench.settings.requests_kept = Millis(HOUR);
    bench.settings.requests_max = 3;
    bench.take_over();
    bench.register("w1", 9, "boot-1", &[]);
    bench.define(Flow::simple("w").limit(99).build());
    for n in 0..5 {
        bench.ask_as(&format!("k{n}"), "d", Command::Run(RunRequest::of("w"))).unwrap();
        bench.pass(1000);
    }
    let keys = |bench: &Bench| bench.replica.requests.keys().map(|(_, key)| key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&bench), ["k2", "k3", "k4"]);
    bench.pass(HOUR - 2000);
    assert_eq!(keys(&bench), ["k4"]);
    bench.pass(2000);
    assert!(keys(&bench).is_empty());
}

#[test]
fn a_missing_file_is_a_deleted_one_after_the_configured_time() {
    let mut bench = Bench::with_workers(&[1]);
    bench.settings.delete_after = Millis(HOUR);
    bench.take_over();
    let source = SourceId::from("s");
    let offer = |bench: &mut Bench| {
        bench.ok(Command::OfferSource {
            source: source.clone(),
            node: MasterId(1),
            boot: Boot(1),
            directory: "/x".to_owned(),
        });
    };
    offer(&mut bench);
    let report = |number| Report { source: source.clone(), node: MasterId(1), boot: Boot(1), number };
    let flow = Flow::simple("w").coordinated(|_| ());
    let bundle =
        Bundle { text: "1".to_owned(), path: Some("w.xml".to_owned()), definition: flow.build(), files: Vec::new() };
    let chunks = bench.store(&bundle);
    let (path, content) = ("w.xml".to_owned(), ContentHash::from("1"));
    bench.ok(Command::FileSeen { report: report(1), path: path.clone(), content, chunks, warnings: Vec::new() });
    bench.ok(Command::FileGone { report: report(2), path });
    bench.pass(HOUR - 1);
    assert!(bench.replica.is_enabled(&WorkflowName::from("w")));
    bench.pass(1);
    assert!(!bench.replica.is_enabled(&WorkflowName::from("w")));
    assert!(bench.replica.files.is_empty());
}

#[test]
fn a_clock_that_is_off_by_more_than_configured_is_told_once() {
    let mut bench = Bench::with_workers(&[1]);
    bench.settings.clock_skew_max = Millis::seconds(2);
    bench.settings.clock_jump = Millis::seconds(30);
    bench.take_over();
    bench.register("w1", 1, "boot-1", &[]);
    let rows = |bench: &Bench, subject: &str| {
        bench
            .replica
            .attentions
            .values()
            .filter(|row| row.subject == subject)
            .map(|row| row.message.clone())
            .collect::<Vec<_>>()
    };
    let heard = |bench: &mut Bench, ms| {
        let worker = WorkerId::from("w1");
        let session = bench.engine.live.workers[&worker].session;
        bench.ok(Command::WorkerHeard { worker, session, clock_off: Millis(ms) });
    };
    for ms in [0, 2000, -2000] {
        heard(&mut bench, ms);
    }
    assert!(rows(&bench, "worker:w1").is_empty());
    heard(&mut bench, -7000);
    heard(&mut bench, -7100);
    assert_eq!(rows(&bench, "worker:w1").len(), 1);
    assert!(rows(&bench, "worker:w1")[0].english().contains("7 s behind"), "{:?}", rows(&bench, "worker:w1"));
    heard(&mut bench, 0);
    heard(&mut bench, 9000);
    assert_eq!(rows(&bench, "worker:w1").len(), 2);
    // The master's own clock.
    bench.ok(Command::Tick);
    bench.now.wall = bench.now.wall.plus_ms(30_000);
    bench.ok(Command::Tick);
    assert!(rows(&bench, "cluster").is_empty());
    bench.now.wall = bench.now.wall.plus_ms(31_000);
    bench.ok(Command::Tick);
    assert_eq!(rows(&bench, "cluster").len(), 1);
}

#[test]
fn versions_beyond_the_newest_go_unless_something_needs_them() {
    let mut bench = Bench::with_workers(&[9]);
    bench.settings.retention.versions_per_workflow = 2;
    bench.take_over();
    bench.register("w1", 9, "boot-1", &[]);
    let mut runs = Vec::new();
    for limit in 5..10 {
        bench.define(Flow::simple("w").limit(limit).build());
        runs.push(bench.run("w"));
    }
    let name = WorkflowName::from("w");
    let versions = |bench: &Bench| bench.replica.versions.keys().map(|(_, number)| number.0).collect::<Vec<_>>();
    let trim = |bench: &mut Bench| {
        let versions = (1..=9).map(|number| (name.clone(), VersionNumber(number))).collect();
        bench.ok(Command::Trim(Expired { versions, ..Expired::default() }))
    };
    // All of them run.
    assert_eq!(trim(&mut bench), Reply::Unchanged);
    for run in [runs[0], runs[2]] {
        bench.succeed(run, "a");
    }
    // The generation before tells what a rerun keeps.
    bench.rerun(runs[2], RerunPlan::All);
    bench.pass(MINUTE);
    assert_eq!(trim(&mut bench), Reply::Trimmed { instances: Vec::new() });
    assert_eq!(versions(&bench), [2, 3, 4, 5]);
    bench.succeed_all();
    bench.pass(MINUTE);
    trim(&mut bench);
    assert_eq!(versions(&bench), [4, 5], "the newest two stay whatever runs");
    let rows = bench.replica.drain_dirty();
    assert!(rows.contains(&(state::AggregateKey::Version(name.clone(), VersionNumber(1)), None)));
    bench.take_over();
}

#[test]
fn trimming_takes_a_batch_and_never_what_lives() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("w").limit(300).cron("c", "0 * * * *").build());
    bench.pass(HOUR);
    let fire = bench.replica.fires.keys().next().unwrap().clone();
    let live = bench.run("w");
    let unknown = (1000..1200).map(crate::model::id::InstanceNumber);
    let expired = Expired {
        instances: std::iter::once(live).chain(unknown).collect(),
        fires: vec![fire.clone()],
        versions: Vec::new(),
    };
    let Reply::Trimmed { instances } = bench.ok(Command::Trim(expired.clone())) else { panic!() };
    assert_eq!(instances.len(), TRIM_MAX);
    assert!(!instances.contains(&live));
    assert!(bench.replica.fires.contains_key(&fire), "it was settled a moment ago");
    // What is gone and only the store still shows is not removed again.
    let Reply::Trimmed { instances: rest } = bench.ok(Command::Trim(expired.clone())) else { panic!() };
    assert!(rest.iter().all(|number| !instances.contains(number)));
    bench.pass(MINUTE);
    bench.ok(Command::Trim(Expired { fires: vec![fire.clone()], ..Expired::default() }));
    assert!(bench.replica.drain_dirty().contains(&(state::AggregateKey::Fire(fire), None)));
}
