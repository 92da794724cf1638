//! The level of events that the log may hold.

use std::collections::BTreeMap;

use crate::model::id::MasterId;

use super::super::command::{Command, Envelope, Rejected, Reply};
use super::super::entry::FEATURE_LEVEL;
use super::super::event::EventKind;
use super::bench::{Bench, Flow};

fn finalize(levels: &[Option<u32>]) -> Command {
    let announced = levels.iter().zip(1..).map(|(level, voter)| (MasterId(voter), *level));
    Command::FinalizeUpgrade { announced: announced.collect::<BTreeMap<_, _>>() }
}

fn message(rejected: Rejected) -> String {
    rejected.to_string()
}

/// A cluster that an older build founded.
fn older() -> Bench {
    let mut bench = Bench::new();
    bench.replica.cluster.feature_level = 0;
    bench.take_over();
    bench
}

#[test]
fn the_level_is_raised_to_what_all_voters_read_and_once() {
    let mut bench = older();
    let now = Some(FEATURE_LEVEL);
    assert_eq!(bench.ok(finalize(&[now, now, now])), Reply::Done);
    assert_eq!(bench.events, [EventKind::FeatureLevelRaised { level: FEATURE_LEVEL }]);
    assert_eq!(bench.replica.cluster.feature_level, FEATURE_LEVEL);
    assert_eq!(bench.ok(finalize(&[now, now, now])), Reply::Unchanged);
    assert_eq!(bench.events, []);
}

#[test]
fn voters_that_are_older_or_silent_keep_the_level_down() {
    let mut bench = older();
    let now = Some(FEATURE_LEVEL);
    assert_eq!(message(bench.refused(finalize(&[now, None, now]))), "nobody knows what m2 can read: not connected");
    let old = message(bench.refused(finalize(&[now, now, Some(0)])));
    assert_eq!(old, "m3 can read feature level 0 only, which is in force already");
    assert_eq!(bench.replica.cluster.feature_level, 0);
    // A leader that is itself not the newest raises to what it knows.
    assert_eq!(bench.ok(finalize(&[now, Some(FEATURE_LEVEL + 1)])), Reply::Done);
    let own = message(bench.refused(finalize(&[now, Some(FEATURE_LEVEL + 1)])));
    assert_eq!(own, format!("m1 can read feature level {FEATURE_LEVEL} only, which is in force already"));
}

#[test]
fn events_above_the_level_in_force_are_not_written() {
    let mut bench = Bench::new();
    bench.define(Flow::simple("w").build());
    bench.replica.cluster.feature_level = 0;
    bench.take_over();
    let delete = Command::DeleteWorkflow { workflow: "w".into() };
    let refused = bench.engine.handle(bench.now, Envelope::internal(delete.clone()));
    assert!(matches!(&refused, Err(Rejected::Internal(why)) if why.contains("0 is in force")), "{refused:?}");
    bench.take_over();
    bench.ok(finalize(&[Some(FEATURE_LEVEL)]));
    bench.ok(delete);
}
