//! Outputs of instances, what dependants read of them, and the dates that a run's values are made of.

use crate::model::assignment::OutcomeClass;
use crate::model::definition::Compat;
use crate::model::id::{InstanceNumber, TriggerId};
use crate::model::parameter::{Origin, ParamDeclaration};
use crate::model::schedule::{Shift, Zone};
use crate::model::state::InstanceWord;
use crate::model::trigger::Kind;

use super::super::command::{RunRequest, TriggerRequest};
use super::super::state::{InstanceState, RerunPlan};
use super::super::*;
use super::bench::{Bench, DAY, Flow, HOUR, MINUTE, START, outcome, template};

/// A workflow whose action `a` puts out `rows`, which the instance puts out as `rows` and `note`.
fn upstream(name: &str) -> Flow {
    Flow::simple(name).output("rows", "${node:a.rows}").output("note", "done on ${biz.date}").coordinated(|_| ())
}

fn succeed_with(bench: &mut Bench, run: InstanceNumber, rows: &str) {
    let mut ended = outcome(OutcomeClass::Succeeded);
    ended.outputs = vec![("rows".to_owned(), rows.to_owned())];
    bench.start(run, "a");
    bench.finish_with(run, "a", ended);
}

fn param(bench: &Bench, run: InstanceNumber, name: &str) -> (String, Origin) {
    let head = &bench.replica.instances[&run];
    let (_, value) = head.params.iter().find(|(known, _)| known == name).unwrap();
    (value.text.clone(), value.origin)
}

fn fault(bench: &Bench, run: InstanceNumber) -> String {
    match &bench.replica.instances[&run].state {
        InstanceState::Done { reason: Some(reason), .. } => reason.said().english(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dependant_reads_the_outputs_of_the_instance_that_set_its_latch() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(upstream("ods.orders").build());
    let down = Flow::new("dw")
        .param("up", "${dep:ods.orders.rows}")
        .param("double", "${param:up}0")
        .param("none", "${dep:ods.orders.bytes|or 0}")
        .start("a")
        .action("a", "end")
        .env("NOTE", "${dep:ods.orders.note}")
        .end("end")
        .after("ods.orders")
        .limit(9);
    bench.define(down.build());
    let run = bench.trigger("ods.orders");
    succeed_with(&mut bench, run, "12");
    let child = bench.instances_of("dw")[0];
    assert_eq!(param(&bench, child, "up"), ("12".to_owned(), Origin::External));
    assert_eq!(param(&bench, child, "double"), ("120".to_owned(), Origin::External));
    assert_eq!(param(&bench, child, "none"), ("0".to_owned(), Origin::Definition));
    let source =
        |name: &str| bench.replica.instances[&child].params.iter().find(|(n, _)| n == name).unwrap().1.source.clone();
    assert_eq!(
        ["up", "double", "none"].map(source),
        [Some(format!("ods.orders #{run}")), Some(format!("ods.orders #{run}")), None]
    );
    let sent = &bench.sent[&bench.attempt(child, "a")].1;
    assert!(sent.env.contains(&("NOTE".to_owned(), "done on 2026-03-01".to_owned())), "{:?}", sent.env);
    // Stored with the instance: a later success upstream, a new leadership and a rerun change nothing.
    let again = bench.trigger("ods.orders");
    succeed_with(&mut bench, again, "99");
    bench.take_over();
    bench.register("w1", 9, "boot-1", &[]);
    bench.fail(child, "a");
    bench.rerun(child, RerunPlan::All);
    bench.settle();
    let sent = &bench.sent[&bench.attempt(child, "a")].1;
    assert!(sent.env.contains(&("NOTE".to_owned(), "done on 2026-03-01".to_owned())), "{:?}", sent.env);
    assert_eq!(param(&bench, child, "up").0, "12");
}

#[test]
fn a_missing_output_of_a_prerequisite_fails_the_instance_and_is_named() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(upstream("ods").build());
    bench.define(Flow::simple("dw").param("up", "${dep:ods.bytes}").after("ods").build());
    let run = bench.trigger("ods");
    succeed_with(&mut bench, run, "12");
    let child = bench.instances_of("dw")[0];
    assert_eq!(bench.word(child), InstanceWord::Failed);
    let wanted = format!(
        "parameters: parameter \"up\": ${{dep:ods.bytes}}: instance #{run} of prerequisite ods has no output \"bytes\" \
         (add |or TEXT for a default)"
    );
    assert_eq!(fault(&bench, child), wanted);
}

#[test]
fn by_hand_the_newest_success_is_read_and_none_is_an_error() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(upstream("ods").limit(9).build());
    let down = Flow::simple("dw").limit(9).param("up", "${dep:ods.rows}").after("ods");
    bench.define(down.coordinated(|c| c.is_enabled = false).build());
    for command in [Command::Run(RunRequest::of("dw")), Command::Trigger(TriggerRequest::of("dw"))] {
        let refused = bench.refused(command).to_string();
        assert!(refused.contains("no instance of prerequisite ods has succeeded"), "{refused}");
    }
    let run = bench.trigger("ods");
    succeed_with(&mut bench, run, "12");
    // The first consumes the latch.
    for _ in 0..2 {
        let child = bench.trigger("dw");
        assert_eq!(param(&bench, child, "up").0, "12");
    }
    let child = bench.run("dw");
    assert_eq!(param(&bench, child, "up").0, "12");
    // A run by hand of the prerequisite is no fact, so it is not read.
    let run = bench.run("ods");
    succeed_with(&mut bench, run, "99");
    let child = bench.run("dw");
    assert_eq!(param(&bench, child, "up").0, "12");
}

#[test]
fn a_downstream_run_reads_its_own_instances() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(upstream("a").limit(9).build());
    bench.define(Flow::simple("b").param("up", "${dep:a.rows}").after("a").limit(9).build());
    let request = TriggerRequest { with_downstream: true, ..TriggerRequest::of("a") };
    let runs: Vec<_> = (0..2)
        .map(|_| match bench.ok(Command::Trigger(request.clone())) {
            Reply::Created { instance } => instance,
            other => panic!("{other:?}"),
        })
        .collect();
    succeed_with(&mut bench, runs[1], "2");
    succeed_with(&mut bench, runs[0], "1");
    let values: Vec<_> = bench.instances_of("b").into_iter().map(|run| param(&bench, run, "up").0).collect();
    assert_eq!(values, ["2", "1"]);
}

#[test]
fn a_prerequisite_that_is_run_again_is_read_as_it_last_succeeded() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(upstream("ods").build());
    bench.define(Flow::simple("dw").param("up", "${dep:ods.rows}").after("ods").cron("c", "0 * * * *").build());
    let run = bench.trigger("ods");
    succeed_with(&mut bench, run, "12");
    bench.rerun(run, RerunPlan::All);
    bench.settle();
    assert!(bench.replica.instances[&run].outputs.is_empty());
    bench.pass(HOUR);
    assert_eq!(param(&bench, bench.instances_of("dw")[0], "up").0, "12");
    bench.fail(run, "a");
    bench.succeed_all();
    // Also once it is at rest.
    bench.pass(10 * MINUTE);
    assert!(!bench.replica.instances.contains_key(&run));
    let child = bench.run("dw");
    assert_eq!(param(&bench, child, "up").0, "12");
}

#[test]
fn an_instance_puts_out_what_was_reached_and_no_more_than_its_bounds() {
    let mut bench = Bench::with_workers(&[9]);
    let flow = Flow::simple("w")
        .output("rows", "${node:a.rows}")
        .output("other", "${node:k.rows}")
        .output("default", "${node:k.rows|or none}");
    let flow = flow.kill("k", crate::model::policy::KillResult::Failed, "").error("a", "k");
    bench.define(flow.build());
    let run = bench.run("w");
    succeed_with(&mut bench, run, "3");
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(bench.replica.instances[&run].outputs, [own("rows", "3"), own("default", "none")]);
    for (declared, wanted) in [
        (vec![("big", "${node:a.rows}${node:a.rows}".to_owned())], "output big has 20000 bytes, more than 16384"),
        (
            vec![("a", "x"), ("b", "x"), ("c", "x"), ("d", "x"), ("e", "x")]
                .into_iter()
                .map(|(name, _)| (name, "y".repeat(15_000)))
                .collect(),
            "outputs of 75005 bytes, more than worker.output_bytes_max allows (65536)",
        ),
    ] {
        let mut flow = Flow::simple("big").limit(9);
        for (name, value) in &declared {
            flow = flow.output(name, value);
        }
        bench.define(flow.build());
        let run = bench.run("big");
        succeed_with(&mut bench, run, &"z".repeat(10_000));
        assert_eq!(bench.word(run), InstanceWord::Failed);
        assert_eq!(fault(&bench, run), format!("outputs: {wanted}"));
    }
}

#[test]
fn texts_of_kill_nodes_and_outputs_are_tried_at_creation_too() {
    let mut bench = Bench::with_workers(&[9]);
    let kill = Flow::simple("w").kill("k", crate::model::policy::KillResult::Failed, "x ${param:nobody}");
    bench.define(kill.error("a", "k").build());
    bench.define(Flow::simple("o").output("x", "${param:nobody}").build());
    for name in ["w", "o"] {
        let refused = bench.refused(Command::Run(RunRequest::of(name))).to_string();
        assert!(refused.contains("${param:nobody}"), "{refused}");
    }
}

#[test]
fn dates_of_a_run_without_trigger_are_in_the_zone_of_the_coordinator() {
    let mut bench = Bench::with_workers(&[9]);
    // 2026-03-01 00:30 UTC is still February in New York and the same day in Shanghai.
    bench.advance(30 * MINUTE);
    let new_york = Zone::parse("America/New_York").unwrap();
    let shanghai = Zone::parse("Asia/Shanghai").unwrap();
    let mut flow = Flow::simple("w").limit(9).param("day", "${time.today}").after("x").cron("c", "0 * * * *");
    flow.definition.zone = Some(shanghai);
    flow.coordinator().zone = Some(new_york);
    flow.coordinator().triggers[0].zone = Some(shanghai);
    flow.coordinator().business_date = Some(Shift::parse("-1 day").unwrap());
    bench.define(flow.build());
    for run in [bench.run("w"), bench.trigger("w")] {
        let head = &bench.replica.instances[&run];
        assert_eq!((head.zone, head.business_date.to_string().as_str()), (new_york, "2026-02-27"));
        assert_eq!(param(&bench, run, "day").0, "2026-02-28");
    }
    // A trigger that is named has the word about its own runs.
    let mut request = TriggerRequest::of("w");
    request.trigger = Some(TriggerId::from("c"));
    let Reply::Created { instance } = bench.ok(Command::Trigger(request.clone())) else { panic!() };
    assert_eq!(bench.replica.instances[&instance].zone, shanghai);
    request.trigger = None;
    request.nominal = Some(super::bench::START);
    let Reply::Created { instance } = bench.ok(Command::Trigger(request)) else { panic!() };
    let head = bench.replica.instances[&instance].clone();
    let fire = &bench.replica.fires[head.fire.as_ref().unwrap()];
    assert_eq!((head.zone, head.business_date), (fire.zone, fire.business_date));
    assert_eq!(head.business_date.to_string(), "2026-02-28");
}

#[test]
fn dates_of_completed_latches_are_in_the_zone_of_the_coordinator() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("x").coordinated(|_| ()).build());
    let mut flow = Flow::simple("w").after("x");
    flow.coordinator().zone = Some(Zone::parse("America/New_York").unwrap());
    bench.define(flow.build());
    let run = bench.trigger("x");
    bench.succeed(run, "a");
    let head = &bench.replica.instances[&bench.instances_of("w")[0]];
    assert_eq!((head.kind, head.business_date.to_string().as_str()), (Kind::Scheduled, "2026-02-28"));
}

#[test]
fn an_environment_value_may_have_several_lines() {
    let mut bench = Bench::with_workers(&[9]);
    let flow = Flow::new("w").param("note", "").start("a").action("a", "end").env("NOTE", "${param:note}").end("end");
    bench.define(flow.build());
    let mut request = RunRequest::of("w");
    request.params = vec![("note".to_owned(), "two\nlines".to_owned())];
    let Reply::Created { instance } = bench.ok(Command::Run(request.clone())) else { panic!() };
    let sent = &bench.sent[&bench.attempt(instance, "a")].1;
    assert!(sent.env.contains(&("NOTE".to_owned(), "two\nlines".to_owned())));
    request.params[0].1 = "nul\0".to_owned();
    assert!(bench.refused(Command::Run(request)).to_string().contains("NUL"));
}

#[test]
fn a_queue_of_none_lets_start_what_need_not_wait() {
    let mut bench = Bench::with_workers(&[9]);
    bench.define(Flow::simple("w").cron("c", "0 * * * *").coordinated(|c| c.queue_limit = Some(0)).build());
    bench.pass(3 * HOUR);
    assert_eq!(bench.instances_of("w").len(), 1);
    assert_eq!(bench.refused(Command::Run(RunRequest::of("w"))).code(), "busy");
    bench.succeed_all();
    bench.pass(HOUR);
    assert_eq!(bench.heads_of("w").len(), 2);
    bench.succeed_all();
    let run = bench.run("w");
    assert_eq!(bench.word(run), InstanceWord::Running);
}

#[test]
fn a_week_is_a_day_where_the_configuration_says_so() {
    let mut bench = Bench::with_workers(&[9]);
    bench.settings.compat = vec![Compat::WeekIsDay];
    bench.take_over();
    bench.register("w1", 9, "boot-1", &[]);
    bench.define(Flow::simple("w").param("day", "${time.today||-2 week}").build());
    let run = bench.run("w");
    assert_eq!(param(&bench, run, "day").0, "2026-02-27");
}

#[test]
fn values_of_the_caller_win_over_the_triggers_and_those_over_the_files() {
    let mut bench = Bench::with_workers(&[9]);
    let mut flow = Flow::simple("w").limit(9).param("a", "file").param("b", "file").param("c", "of ${param:b}");
    flow = flow.cron("t", "0 * * * *");
    let of_trigger = ParamDeclaration::string("b", Some(template("trigger")));
    flow.coordinator().triggers[0].params.push(of_trigger);
    bench.define(flow.build());
    bench.pass(HOUR);
    let run = bench.instances_of("w")[0];
    let texts = |bench: &Bench, run| ["a", "b", "c"].map(|name| param(bench, run, name).0);
    assert_eq!(texts(&bench, run), ["file", "trigger", "of trigger"]);
    let mut request = TriggerRequest::of("w");
    request.trigger = Some(TriggerId::from("t"));
    request.params = vec![("b".to_owned(), "caller".to_owned())];
    let Reply::Created { instance } = bench.ok(Command::Trigger(request)) else { panic!() };
    assert_eq!(texts(&bench, instance), ["file", "caller", "of caller"]);
    assert_eq!(param(&bench, instance, "c").1, Origin::External);
    assert_eq!(bench.replica.instances[&instance].params[2].1.source.as_deref(), Some("caller"));
    let Reply::Created { instance } = bench.ok(Command::Run(RunRequest::of("w"))) else { panic!() };
    assert_eq!(texts(&bench, instance), ["file", "file", "of file"]);
}

#[test]
fn trigger_for_a_business_date_takes_the_occurrence_that_is_for_it() {
    let mut bench = Bench::with_workers(&[9]);
    let mut flow = Flow::simple("w").limit(9).cron("c", "30 1 * * *").cron("same", "30 1 * * *");
    flow.coordinator().business_date = Some(Shift::parse("-1 day").unwrap());
    flow.coordinator().is_enabled = false;
    bench.define(flow.build());
    bench.advance(2 * DAY + 2 * HOUR);
    let of = |name: &str, date: &str| TriggerRequest {
        business_date: Some(crate::model::schedule::parse_date(date).unwrap()),
        ..TriggerRequest::of(name)
    };
    // The fire of 1 March, 01:30, is for the last of February; that it never came does not matter.
    let Reply::Created { instance } = bench.ok(Command::Trigger(of("w", "2026-02-28"))) else { panic!() };
    let head = bench.replica.instances[&instance].clone();
    assert_eq!(head.nominal, START.plus_ms(90 * MINUTE));
    assert_eq!(head.business_date.to_string(), "2026-02-28");
    assert_eq!(head.fire.unwrap().trigger.as_str(), "c");
    let refused = bench.refused(Command::Trigger(of("w", "2026-02-28")));
    assert!(refused.code() == "conflict" && refused.hint().unwrap().english().contains("rerun"), "{refused}");
    assert_eq!(bench.refused(Command::Trigger(of("w", "2026-12-31"))).code(), "invalid");
    let both = TriggerRequest { nominal: Some(START), ..of("w", "2026-02-28") };
    assert_eq!(bench.refused(Command::Trigger(both)).code(), "invalid");
    // Several occurrences: only their times tell them apart.
    bench.define(Flow::simple("h").limit(9).cron("c", "0 * * * *").build());
    let refused = bench.refused(Command::Trigger(of("h", "2026-03-01"))).to_string();
    assert!(refused.contains("--nominal") && refused.contains("2026-03-01 00:00:00"), "{refused}");
    // None: an instance for that date all the same.
    bench.define(Flow::simple("latch").after("w").build());
    let Reply::Created { instance } = bench.ok(Command::Trigger(of("latch", "2026-01-05"))) else { panic!() };
    let head = &bench.replica.instances[&instance];
    assert_eq!((head.business_date.to_string().as_str(), head.fire.clone()), ("2026-01-05", None));
    let downstream = TriggerRequest { with_downstream: true, ..of("latch", "2026-01-05") };
    assert_eq!(bench.refused(Command::Trigger(downstream)).code(), "invalid");
}
