//! The bounds of the cluster.

use crate::model::id::WorkflowName;

use super::super::command::{RerunVersion, RunRequest, TriggerRequest};
use super::super::definition::hash_of;
use super::super::state::{Bundle, RerunPlan};
use super::super::why::Subject;
use super::super::*;
use super::bench::{Bench, Flow, HOUR};

fn bench(change: impl FnOnce(&mut Limits)) -> Bench {
    let mut bench = Bench::with_workers(&[9]);
    change(&mut bench.settings.limits);
    bench.take_over();
    bench.register("w1", 9, "boot-1", &[]);
    bench
}

fn apply(bench: &mut Bench, flow: Flow) -> Result<Reply, Rejected> {
    let definition = flow.build();
    let bundle = Bundle { text: format!("{definition:?}"), path: None, definition };
    let content = hash_of(bundle.text.as_bytes());
    let chunks = bench.store(&bundle);
    bench.send(Envelope::internal(Command::ApplyDefinition { content, chunks }))
}

fn is_busy(refusal: &Rejected) -> bool {
    refusal.code() == "busy" && refusal.hint().is_some_and(|hint| hint.contains("instances_live_max"))
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
    let reasons = why(&bench.replica, &bench.settings.limits, &Subject::Workflow(WorkflowName::from("b"))).unwrap();
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
        assert!(refusal.hint().unwrap().contains("queue"), "{:?}", refusal.hint());
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
