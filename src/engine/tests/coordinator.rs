//! What akkaflow's coordinator promises beside its triggers: the daily reset, the plan of the day, ignored nodes.

use std::collections::BTreeMap;

use crate::model::id::{NodeName, WorkflowName};
use crate::model::policy::Overlap;
use crate::model::state::NodeWord;
use crate::model::time::Timestamp;

use super::super::command::TriggerRequest;
use super::super::settings::ResetRule;
use super::super::{plan, *};
use super::bench::{Bench, DAY, Flow, HOUR, LOST_AFTER, MINUTE, START};

fn resetting(cron: &str) -> Bench {
    let daily_reset = Some(ResetRule::parse(cron).unwrap());
    let mut bench = Bench::with(Settings { lost_after: LOST_AFTER, daily_reset, ..Settings::default() });
    bench.register("w1", 99, "boot-1", &[]);
    bench
}

fn succeed(bench: &mut Bench, name: &str) {
    let run = bench.trigger(name);
    bench.succeed(run, "a");
}

fn resets(bench: &Bench) -> Vec<&str> {
    let name = |kind: &'_ EventKind| match kind {
        EventKind::WorkflowReset { workflow, .. } => Some(workflow.clone()),
        _ => None,
    };
    let names: Vec<WorkflowName> = bench.events.iter().filter_map(name).collect();
    names
        .iter()
        .filter_map(|name| ["both", "free", "held", "x"].into_iter().find(|known| *known == name.as_str()))
        .collect()
}

#[test]
fn akka_03_the_daily_reset_forgets_what_was_met_and_not_used() {
    let mut bench = resetting("59 23 * * *");
    bench.define(Flow::simple("x").coordinated(|_| ()).build());
    bench.define(Flow::simple("y").coordinated(|_| ()).build());
    bench.define(Flow::simple("both").after("x").after("y").build());
    // Due, and held by what it waits for.
    bench.define(Flow::simple("held").cron("c", "0 12 * * *").after("y").build());
    // Waits for a place alone.
    bench
        .define(Flow::simple("free").cron("c", "0 22,23 * * *").coordinated(|c| c.overlap = Overlap::QueueOne).build());
    succeed(&mut bench, "x");
    assert_eq!(bench.replica.latches.len(), 1);
    bench.pass(23 * HOUR + 59 * MINUTE - 1);
    assert_eq!((bench.replica.latches.len(), bench.replica.derived.n_pending(&"held".into())), (1, 1));
    bench.advance(1);
    bench.ok(Command::Tick);
    assert_eq!(resets(&bench), ["both", "held"]);
    assert!(matches!(bench.events.last(), Some(EventKind::DailyResetMoved { reset: Some(_) })));
    assert_eq!((bench.replica.latches.len(), bench.replica.derived.n_pending(&"held".into())), (0, 0));
    assert_eq!(bench.replica.derived.n_pending(&"free".into()), 1);
    // The other one has to come about anew; and the next day again.
    succeed(&mut bench, "y");
    bench.settle();
    assert_eq!(bench.instances_of("both").len(), 0);
    succeed(&mut bench, "x");
    bench.settle();
    assert_eq!(bench.heads_of("both").len(), 1);
    succeed(&mut bench, "x");
    bench.pass(DAY);
    assert!(bench.replica.latches.is_empty());
}

#[test]
fn akka_09_a_changed_file_keeps_which_prerequisites_are_met() {
    let mut bench = resetting("59 23 * * *");
    bench.define(Flow::simple("x").coordinated(|_| ()).build());
    bench.define(Flow::simple("y").coordinated(|_| ()).build());
    bench.define(Flow::simple("both").after("x").after("y").build());
    succeed(&mut bench, "x");
    bench.define(Flow::simple("both").after("x").after("y").cron("c", "0 12 * * *").build());
    assert_eq!(bench.replica.latches.len(), 1, "the new version knows it too");
    bench.define(Flow::simple("both").after("x").after("y").build());
    succeed(&mut bench, "y");
    bench.settle();
    assert_eq!(bench.heads_of("both").len(), 1, "only the other one was missing");
}

#[test]
fn a_daily_reset_that_was_missed_is_made_up_for_and_a_new_rule_resets_nothing_of_the_past() {
    let mut bench = resetting("59 23 * * *");
    bench.define(Flow::simple("x").coordinated(|_| ()).build());
    bench.define(Flow::simple("both").after("x").after("y").build());
    succeed(&mut bench, "x");
    // Nobody leads at midnight.
    bench.lose_leader();
    bench.advance(DAY);
    bench.take_over();
    bench.settle();
    assert!(bench.replica.latches.is_empty());

    bench.register("w1", 9, "boot-1", &[]);
    succeed(&mut bench, "x");
    bench.settings.daily_reset = None;
    bench.take_over();
    bench.settle();
    assert_eq!(bench.replica.cluster.daily_reset, None);
    bench.pass(3 * DAY);
    assert_eq!(bench.replica.latches.len(), 1, "off: never");
    bench.settings.daily_reset = ResetRule::parse("0 12 * * *");
    bench.take_over();
    bench.settle();
    assert_eq!(bench.replica.latches.len(), 1, "from now on");
    bench.pass(DAY);
    assert!(bench.replica.latches.is_empty());
}

#[test]
fn akka_14_nodes_named_at_the_trigger_are_ignored_in_this_run_beside_those_of_the_file() {
    let mut bench = Bench::with_workers(&[9]);
    let flow = Flow::new("w")
        .start("a")
        .action("a", "b")
        .action_with("b", "c", |policy| policy.is_ignore = true)
        .action("c", "end")
        .end("end");
    bench.define(flow.coordinated(|_| ()).build());
    let mut request = TriggerRequest::of("w");
    request.skip = vec![NodeName::from("a")];
    let Reply::Created { instance } = bench.ok(Command::Trigger(request.clone())) else { panic!() };
    assert_eq!(["a", "b"].map(|node| bench.node(instance, node)), [NodeWord::Skipped; 2]);
    bench.succeed(instance, "c");
    // The next run ignores what the file says alone.
    let next = bench.trigger("w");
    bench.succeed(next, "a");
    assert_eq!(["a", "b"].map(|node| bench.node(next, node)), [NodeWord::Succeeded, NodeWord::Skipped]);
    request.skip = vec![NodeName::from("nowhere")];
    assert_eq!(bench.refused(Command::Trigger(request)).code(), "not-found");
}

fn left(bench: &Bench, until: Timestamp) -> BTreeMap<String, usize> {
    let (state, now) = (&bench.replica, bench.now.wall);
    let names = state.workflows.keys();
    let own = names.filter_map(|name| Some((name.clone(), plan::own(state, name, now, until, 1_000)?))).collect();
    let left = plan::left(state, &own);
    for (name, count) in &left {
        // One alone is the same as all together.
        let upstream = plan::upstream(state, name);
        let part = own.iter().filter(|(name, _)| upstream.contains(*name)).map(|(name, own)| (name.clone(), *own));
        assert_eq!(plan::left(state, &part.collect()).get(name), Some(count), "{name}");
    }
    left.into_iter().map(|(name, count)| (name.to_string(), count)).collect()
}

#[test]
fn akka_17_the_plan_of_the_day_counts_what_is_left_by_triggers_and_by_prerequisites() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("hourly").cron("c", "30 * * * *").limit(9).build());
    bench.define(Flow::simple("twice").cron("c", "0 6,18 * * *").limit(9).build());
    bench.define(Flow::simple("of-both").after("hourly").after("twice").build());
    bench.define(Flow::simple("at-noon").cron("c", "0 12 * * *").after("hourly").build());
    bench.define(Flow::simple("behind").after("of-both").build());
    bench.define(Flow::simple("by-hand").coordinated(|_| ()).build());
    bench.define(Flow::simple("off").cron("c", "0 * * * *").coordinated(|c| c.is_enabled = false).build());
    bench.define(Flow::simple("none").build());
    let midnight = START.plus_ms(DAY);
    let expected = |of: [(&str, usize); 6]| of.map(|(name, count)| (name.to_owned(), count)).into_iter().collect();
    let morning: BTreeMap<String, usize> =
        expected([("hourly", 24), ("twice", 2), ("of-both", 2), ("at-noon", 1), ("behind", 2), ("by-hand", 0)]);
    assert_eq!(left(&bench, midnight), morning);
    bench.pass(20 * HOUR);
    // Noon has come for it, and it waits; so does a run of the others that has not ended.
    let evening: BTreeMap<String, usize> =
        expected([("hourly", 4), ("twice", 0), ("of-both", 2), ("at-noon", 1), ("behind", 2), ("by-hand", 0)]);
    assert_eq!(left(&bench, midnight), evening);
}

#[test]
fn w03_the_plan_of_the_day_is_made_whatever_the_prerequisites_are() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("neither").coordinated(|_| ()).build());
    bench.define(Flow::simple("missing").cron("c", "0 * * * *").after("nobody").build());
    bench.define(Flow::simple("y").after("z").build());
    bench.define(Flow::simple("z").after("y").build());
    bench.define(Flow::simple("behind").after("y").build());
    bench.define(Flow::simple("self").after("self").build());
    bench.define(Flow::simple("off").cron("c", "0 * * * *").coordinated(|c| c.is_enabled = false).build());
    bench.define(Flow::simple("of-off").after("off").build());
    let left = left(&bench, START.plus_ms(DAY));
    assert_eq!(left.len(), 7);
    assert!(left.values().all(|count| *count == 0), "{left:?}");
    // A chain of any length is no recursion.
    bench.is_checked = false;
    bench.define(Flow::simple("n0").cron("c", "0 12 * * *").build());
    for n in 1..1_000 {
        bench.define(Flow::simple(&format!("n{n}")).after(&format!("n{}", n - 1)).build());
    }
    let state = &bench.replica;
    let own = state
        .workflows
        .keys()
        .filter_map(|name| Some((name.clone(), plan::own(state, name, bench.now.wall, START.plus_ms(DAY), 1_000)?)));
    assert_eq!(plan::left(state, &own.collect())[&WorkflowName::from("n999")], 1);
}
