use crate::api::query::InstanceFilter;
use crate::api::{PageRequest, Time};
use crate::engine::state::{Aggregate, AggregateKey, InstanceEnd};
use crate::model::decimal::Decimal;
use crate::model::duration::Millis;
use crate::model::id::{Epoch, InstanceNumber, MasterId, NodeName, Seq, VersionNumber, WorkflowName};
use crate::model::measurement::Measured;
use crate::model::state::InstanceWord;
use crate::model::time::Timestamp;

use super::super::fixture;
use super::super::state_db::{Batch, Readers, StateDb};
use super::super::types::{Happening, Measurement, MeasurementsKept};
use super::*;

const ENDS: [InstanceEnd; 3] = [InstanceEnd::Succeeded, InstanceEnd::Failed, InstanceEnd::Killed];

fn workflow_of(number: u64) -> &'static str {
    ["orders", "stock", "Daily 日报"][(number % 3) as usize]
}

/// A file with instances 1 to `count`; every seventh runs.
fn filled(directory: &Path, count: u64) -> Readers {
    let file = directory.join("state.db");
    let mut database = StateDb::open(&file).unwrap();
    let mut rows = Vec::new();
    for number in 1..=count {
        let end = (!number.is_multiple_of(7)).then(|| ENDS[(number % 5 % 3) as usize]);
        let row = Aggregate::Instance(fixture::instance(number, workflow_of(number), end));
        rows.push((row.key(), Some(row)));
        for node in 0..2 {
            let row = Aggregate::Node(fixture::node(number, node));
            rows.push((row.key(), Some(row)));
        }
    }
    database.write(&Batch { rows, ..Batch::default() }).unwrap();
    Readers::new(&file)
}

fn ask<T>(readers: &Readers, ask: impl FnOnce(&Queries) -> Result<T, QueryError>) -> T {
    readers.with(|connection, file| Ok(ask(&Queries::new(connection, file)).unwrap())).unwrap()
}

/// All numbers that a filter finds, walked in pages of `limit`.
fn walked(readers: &Readers, filter: &InstanceFilter, limit: u32) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut page = PageRequest::first(limit);
    for _ in 0..10_000 {
        let found = ask(readers, |queries| queries.instances(filter, None, &page));
        assert!(found.items.len() <= limit as usize);
        numbers.extend(found.items.iter().map(|instance| instance.number.0));
        match found.next {
            Some(next) => page.cursor = Some(next),
            None => return numbers,
        }
    }
    panic!("the pages never end");
}

#[test]
fn pages_of_any_size_give_what_a_plain_filter_gives_newest_first() {
    let home = tempfile::tempdir().unwrap();
    let readers = filled(home.path(), 400);
    let filters = [
        InstanceFilter::default(),
        InstanceFilter { workflow: Some("orders".to_owned()), ..Default::default() },
        InstanceFilter { states: vec![InstanceWord::Failed], ..Default::default() },
        InstanceFilter { states: vec![InstanceWord::Running, InstanceWord::Killed], ..Default::default() },
        InstanceFilter {
            workflow: Some("stock".to_owned()),
            states: vec![InstanceWord::Succeeded, InstanceWord::Failed, InstanceWord::Queued],
            ..Default::default()
        },
        InstanceFilter { kind: Some("run".to_owned()), text: Some("daily".to_owned()), ..Default::default() },
        InstanceFilter {
            since: Some(Time(Timestamp(100 * 60_000))),
            until: Some(Time(Timestamp(200 * 60_000))),
            states: vec![InstanceWord::Succeeded],
            ..Default::default()
        },
        InstanceFilter { since: Some(Time(Timestamp(9_999_999 * 60_000))), ..Default::default() },
    ];
    for filter in filters {
        let all = ask(&readers, |queries| {
            let numbers: Vec<u64> = (1..=400).collect();
            let kept = numbers
                .into_iter()
                .rev()
                .filter(|number| matches(&filter, &queries.instance(InstanceNumber(*number)).unwrap().unwrap()));
            Ok(kept.collect::<Vec<_>>())
        });
        for limit in [1, 7, 500] {
            assert_eq!(walked(&readers, &filter, limit), all, "{filter:?} by {limit}");
        }
    }
}

fn matches(filter: &InstanceFilter, row: &crate::engine::state::Instance) -> bool {
    let name = row.workflow.as_str();
    filter.workflow.as_deref().is_none_or(|workflow| workflow == name)
        && (filter.states.is_empty() || filter.states.contains(&row.word()))
        && filter.kind.as_deref().is_none_or(|kind| kind == row.kind.word())
        && filter.text.as_deref().is_none_or(|text| name.to_lowercase().contains(&text.to_lowercase()))
        && filter.since.is_none_or(|since| row.created >= since.0)
        && filter.until.is_none_or(|until| row.created < until.0)
}

#[test]
fn a_rare_match_costs_bounded_pages_and_is_still_found() {
    let home = tempfile::tempdir().unwrap();
    let readers = filled(home.path(), 12_000);
    let filter = InstanceFilter { kind: Some("backfill".to_owned()), ..Default::default() };
    let first = ask(&readers, |queries| queries.instances(&filter, None, &PageRequest::first(10)));
    assert!(first.items.is_empty() && first.next.is_some());
    assert!(walked(&readers, &filter, 10).is_empty());
}

#[test]
fn wrong_cursors_and_limits_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let readers = filled(home.path(), 3);
    let asked = |page: PageRequest| {
        readers.with(|connection, file| {
            Ok(Queries::new(connection, file).instances(&InstanceFilter::default(), None, &page).err())
        })
    };
    let bad = PageRequest { limit: 5, cursor: Some("x".to_owned()) };
    assert!(matches!(asked(bad).unwrap(), Some(QueryError::BadCursor)));
    assert!(matches!(asked(PageRequest::first(501)).unwrap(), Some(QueryError::BadLimit(501))));
    assert!(matches!(asked(PageRequest::first(0)).unwrap(), Some(QueryError::BadLimit(0))));
}

#[test]
fn ends_are_counted_by_the_hour_also_when_an_instance_runs_again_or_is_deleted() {
    let home = tempfile::tempdir().unwrap();
    let readers = filled(home.path(), 200);
    let counted = || -> Vec<(i64, InstanceWord, u64)> {
        let found = ask(&readers, |queries| queries.finished_counts(Timestamp(0)));
        found.into_iter().map(|count| (count.hour.0, count.state, count.instances)).collect()
    };
    let expected = |numbers: &mut dyn Iterator<Item = u64>| {
        let mut counts = std::collections::BTreeMap::new();
        for number in numbers {
            let record = ask(&readers, |queries| queries.instance(InstanceNumber(number)));
            let Some(instance) = record else { continue };
            if let Some(at) = instance.finished() {
                let hour = at.0 / 3_600_000 * 3_600_000;
                *counts.entry((hour, instance.word().word())).or_insert(0_u64) += 1;
            }
        }
        let word = |word: &str| InstanceWord::from_word(word).unwrap();
        counts.into_iter().map(|((hour, state), n)| (hour, word(state), n)).collect::<Vec<_>>()
    };
    assert_eq!(counted(), expected(&mut (1..=200)));
    let mut database = StateDb::open(readers.file()).unwrap();
    let again = Aggregate::Instance(fixture::instance(100, workflow_of(100), None));
    let rows = vec![(again.key(), Some(again)), (AggregateKey::Instance(InstanceNumber(101)), None)];
    database.write(&Batch { rows, ..Batch::default() }).unwrap();
    assert_eq!(counted(), expected(&mut (1..=200)));
    let gone = ask(&readers, |queries| queries.instance(InstanceNumber(101)));
    assert!(gone.is_none());
}

#[test]
fn runs_of_a_workflow_come_newest_first_with_their_neighbours_and_usual_time() {
    let home = tempfile::tempdir().unwrap();
    let readers = filled(home.path(), 60);
    let orders = WorkflowName::from("orders");
    let runs = ask(&readers, |queries| queries.recent_runs(&orders, 4));
    assert_eq!(runs.iter().map(|run| run.number.0).collect::<Vec<_>>(), [60, 57, 54, 51]);
    let (previous, next) = ask(&readers, |queries| queries.neighbours(&orders, InstanceNumber(57)));
    assert_eq!((previous, next), (Some(InstanceNumber(54)), Some(InstanceNumber(60))));
    assert_eq!(ask(&readers, |queries| queries.usual_ms(&orders)), Some(60_000));
    assert_eq!(ask(&readers, |queries| queries.last_instance(None)), Some(InstanceNumber(60)));
    assert_eq!(ask(&readers, |queries| queries.last_instance(Some(&orders))), Some(InstanceNumber(60)));
    assert_eq!(ask(&readers, |queries| queries.newest_finished(2)), [InstanceNumber(60), InstanceNumber(59)]);
    assert_eq!(ask(&readers, |queries| queries.finished_before(Timestamp(3 * 60_000), 9)), [InstanceNumber(1)]);
}

#[test]
fn the_tally_of_a_generation_is_what_its_nodes_say() {
    let home = tempfile::tempdir().unwrap();
    let readers = filled(home.path(), 10);
    let number = InstanceNumber(3);
    let generation = ask(&readers, |queries| queries.instance(number)).unwrap().generation().number;
    let nodes = ask(&readers, |queries| queries.generation(number, generation));
    let tally = ask(&readers, |queries| queries.tally(number, generation));
    let instance = ask(&readers, |queries| queries.instance(number)).unwrap();
    let mut counts = std::collections::BTreeMap::new();
    nodes.iter().for_each(|node| *counts.entry(node.word(&instance).word()).or_insert(0) += 1);
    let tallied: std::collections::BTreeMap<_, _> = tally.counts.iter().map(|(word, n)| (word.word(), *n)).collect();
    assert_eq!(tallied, counts);
    assert_eq!(nodes.len(), 2);
    let first = nodes.into_iter().find(|node| ["failed", "timed_out"].contains(&node.word(&instance).word()));
    assert_eq!(tally.failed, first);
}

#[test]
fn what_is_beyond_the_newest_of_a_workflow_or_old_is_found() {
    let home = tempfile::tempdir().unwrap();
    let readers = filled(home.path(), 60);
    let orders = WorkflowName::from("orders");
    // Every third is of it, every seventh runs.
    let beyond = |keep, limit| ask(&readers, |queries| queries.finished_beyond(&orders, keep, limit));
    let all = beyond(0, 100);
    assert_eq!(all.len(), 18);
    assert_eq!(beyond(5, 100), all[5..]);
    assert_eq!(beyond(5, 2), all[5..7]);
    assert!(beyond(18, 9).is_empty());
    let runs = |version| ask(&readers, |queries| queries.is_version_run(&orders, VersionNumber(version)));
    assert!(runs(1) && !runs(2));

    let mut fires: Vec<_> = (1..=5).map(|n| fixture::fire("orders", n * 60_000)).collect();
    fires.iter_mut().take(4).for_each(|fire| fire.is_resting = true);
    let keys: Vec<_> = fires.iter().map(|fire| fire.key.clone()).collect();
    let rows = fires.into_iter().map(Aggregate::Fire).map(|row| (row.key(), Some(row))).collect();
    let mut database = StateDb::open(readers.file()).unwrap();
    database.write(&Batch { rows, ..Batch::default() }).unwrap();
    let before = |at, limit| ask(&readers, |queries| queries.fires_before(Timestamp(at), limit));
    assert_eq!(before(3 * 60_000, 9), keys[..2]);
    assert_eq!(before(99 * 60_000, 9), keys[..4], "the last is not at rest");
    assert_eq!(before(99 * 60_000, 1), keys[..1]);
}

#[test]
fn no_query_reads_or_sorts_a_whole_table() {
    let home = tempfile::tempdir().unwrap();
    let readers = filled(home.path(), 50);
    let statements = [
        instances::BY_NUMBER,
        instances::BY_WORKFLOW,
        instances::BY_STATE,
        instances::BY_WORKFLOW_STATE,
        instances::CREATED_FROM,
        instances::LAST,
        instances::LAST_OF,
        instances::PREVIOUS,
        instances::NEXT,
        instances::FIRST_FAILED,
        measurements::MONITORS,
        measurements::MONITORS_OF,
        measurements::MEASUREMENTS,
        history::RECENT,
        history::LAST_STATE,
        history::SUCCESSES,
        history::NEWEST_FINISHED,
        history::FINISHED_BEFORE,
        history::FINISHED_BEYOND,
        history::FIRES_BEFORE,
        history::RUNS_VERSION,
        history::HOURS,
        history::EVENTS,
        history::HAPPENED,
        history::FIRES,
    ];
    for query in statements {
        let plan = ask(&readers, |queries| {
            let explained = format!("EXPLAIN QUERY PLAN {query}");
            let mut statement = queries.connection.prepare(&explained).unwrap();
            for at in 1..=statement.parameter_count() {
                statement.raw_bind_parameter(at, 1).unwrap();
            }
            let mut rows = statement.raw_query();
            let mut plan = Vec::new();
            while let Some(row) = rows.next().unwrap() {
                plan.push(row.get::<_, String>(3).unwrap());
            }
            Ok(plan.join("; "))
        });
        assert!(!plan.contains("TEMP B-TREE"), "{query}: {plan}");
        // A scan is only fine when it walks in order and a LIMIT stops it.
        let is_bounded = query.contains("LIMIT") && !plan.contains("SCAN instance;");
        assert!(plan.contains("SEARCH") || is_bounded, "{query}: {plan}");
    }
}

#[test]
fn a_search_by_words_walks_the_workflows_that_are_meant_and_finds_a_number() {
    let home = tempfile::tempdir().unwrap();
    let readers = filled(home.path(), 300);
    let among = |names: &[&str], number: Option<u64>| {
        // The versions of the fixture are all 1.
        let versions = |name: &str| (name != "stock").then(|| std::collections::BTreeSet::from([VersionNumber(1)]));
        let workflows = names.iter().map(|name| (WorkflowName::from(*name), versions(name))).collect();
        Among { workflows, number: number.map(InstanceNumber) }
    };
    let walk = |filter: &InstanceFilter, among: &Among, limit: u32| {
        let (mut numbers, mut page) = (Vec::new(), PageRequest::first(limit));
        loop {
            let found = ask(&readers, |queries| queries.instances(filter, Some(among), &page));
            assert!(found.items.len() <= limit as usize);
            numbers.extend(found.items.iter().map(|instance| instance.number.0));
            match found.next {
                Some(next) => page.cursor = Some(next),
                None => return numbers,
            }
        }
    };
    let expected =
        |names: &[&str]| -> Vec<u64> { (1..=300).rev().filter(|n| names.contains(&workflow_of(*n))).collect() };
    let all = InstanceFilter::default();
    for names in [&["orders"][..], &["orders", "stock"], &["stock", "nowhere"], &[]] {
        for limit in [1, 7, 400] {
            assert_eq!(walk(&all, &among(names, None), limit), expected(names), "{names:?}");
        }
    }
    // Too many to be walked one by one: all are walked together.
    let many: Vec<String> = (0..100).map(|n| format!("w{n}")).chain(["orders".to_owned()]).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(walk(&all, &among(&many, None), 9), expected(&["orders"]));
    // A number beside what the names give, once, and not against the other filters.
    let mut with_number = expected(&["orders"]);
    with_number.extend([149]);
    with_number.sort_unstable_by(|a, b| b.cmp(a));
    with_number.dedup();
    assert_eq!(walk(&all, &among(&["orders"], Some(149)), 10), with_number);
    assert_eq!(walk(&all, &among(&[], Some(150)), 10), [150]);
    assert_eq!(walk(&all, &among(&[], Some(9_999)), 10), [0_u64; 0]);
    let of = |state: InstanceWord| InstanceFilter { states: vec![state], ..Default::default() };
    let words = [InstanceWord::Running, InstanceWord::Succeeded, InstanceWord::Failed, InstanceWord::Killed];
    let is: Vec<bool> = words.iter().map(|word| walk(&of(*word), &among(&[], Some(150)), 10) == [150]).collect();
    assert_eq!(is.iter().filter(|is| **is).count(), 1, "it is in one state");
    let elsewhere = InstanceFilter { workflow: Some("stock".to_owned()), ..Default::default() };
    assert_eq!(walk(&elsewhere, &among(&["orders"], None), 10), [0_u64; 0]);
    // Of another version.
    let mut other = among(&["orders"], None);
    other.workflows.insert(WorkflowName::from("orders"), Some([VersionNumber(2)].into()));
    assert_eq!(walk(&all, &other, 10), [0_u64; 0]);
}

/// `value` measured at `at` by node `node` of the workflow `orders`, in instance 1.
fn measurement(node: &str, seq: u64, at: i64, value: &str) -> Measurement {
    let number = |text: &str| Decimal::parse(text).unwrap();
    Measurement {
        workflow: WorkflowName::from("orders"),
        node: NodeName::from(node),
        seq: Seq(seq),
        attempt: format!("{}.1.5.0.1", 1 + seq % 2).parse().unwrap(),
        measured: Measured {
            value: number(value),
            min: None,
            max: Some(number("50")),
            at: Timestamp(at),
            message: None,
        },
    }
}

#[test]
fn measurements_are_read_newest_first_in_pages_and_their_monitors_by_name() {
    let home = tempfile::tempdir().unwrap();
    let readers = filled(home.path(), 1);
    let mut database = StateDb::open(readers.file()).unwrap();
    let measured: Vec<_> = (1..=7).map(|n| measurement("rows", n, n as i64 * 10, &(n * 10).to_string())).collect();
    let other = Measurement { workflow: WorkflowName::from("stock"), ..measurement("a", 8, 5, "1") };
    let more = vec![other, measurement("disk", 9, 90, "-1.5")];
    database.write(&Batch { measured: [measured, more].concat(), ..Batch::default() }).unwrap();

    let (workflow, node) = (WorkflowName::from("orders"), NodeName::from("rows"));
    let read = |since: Option<i64>, until: Option<i64>, limit: u32| {
        let (mut cursor, mut read) = (None, Vec::new());
        let time = |at: Option<i64>| at.map(|at| Time(Timestamp(at)));
        loop {
            let page = PageRequest { limit, cursor };
            let found = ask(&readers, |q| q.measurements(&workflow, &node, time(since), time(until), &page));
            assert!(found.items.len() <= limit as usize);
            read.extend(found.items.iter().map(|row| (row.seq.0, row.measured.is_within(), row.is_instance_kept)));
            cursor = found.next;
            if cursor.is_none() {
                return read;
            }
        }
    };
    // Instance 2 is not there.
    let expected: Vec<_> = (1..=7).rev().map(|n| (n, n <= 5, n % 2 == 0)).collect();
    assert_eq!(read(None, None, 3), expected);
    assert_eq!(read(Some(20), Some(50), 2), expected[3..6]);
    let names = |workflow: Option<&WorkflowName>| {
        let (mut cursor, mut read) = (None, Vec::new());
        loop {
            let page = PageRequest { limit: 1, cursor };
            let found = ask(&readers, |queries| queries.monitors(workflow, &page));
            read.extend(found.items.iter().map(|row| format!("{}/{} {}", row.workflow, row.node, row.n_measurements)));
            cursor = found.next;
            if cursor.is_none() {
                return read;
            }
        }
    };
    assert_eq!(names(None), ["orders/disk 1", "orders/rows 7", "stock/a 1"]);
    assert_eq!(names(Some(&workflow)), ["orders/disk 1", "orders/rows 7"]);
    let page = PageRequest { limit: 2, cursor: Some("x".to_owned()) };
    let wrong = readers.with(|connection, file| Ok(Queries::new(connection, file).monitors(None, &page))).unwrap();
    assert!(matches!(wrong, Err(QueryError::BadCursor)));
}

#[test]
fn measurements_beyond_the_bounds_go_with_those_that_come() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("state.db");
    let mut database = StateDb::open(&file).unwrap();
    let mut write = |measured: Vec<Measurement>, per_node: u32, within: i64| {
        let measurements_kept = MeasurementsKept { per_node, within: Millis(within) };
        database.write(&Batch { measured, measurements_kept, ..Batch::default() }).unwrap();
    };
    let kept = || -> Vec<String> {
        let connection = rusqlite::Connection::open(&file).unwrap();
        let mut query = connection.prepare("SELECT node, group_concat(seq) FROM measurement GROUP BY node").unwrap();
        let rows = query.query_map([], |row| Ok(format!("{} {}", row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
        let counted: u64 = connection.query_row("SELECT SUM(measurements) FROM monitor", [], |row| row.get(0)).unwrap();
        let counts: u64 = connection.query_row("SELECT COUNT(*) FROM measurement", [], |row| row.get(0)).unwrap();
        assert_eq!(counted, counts);
        rows.unwrap().map(Result::unwrap).collect()
    };
    write((1..=5).map(|n| measurement("a", n, n as i64, "1")).collect(), 10, 1_000);
    write(vec![measurement("b", 6, 6, "1")], 2, 1_000);
    assert_eq!(kept(), ["a 1,2,3,4,5", "b 6"], "each node has its own bound");
    write(vec![measurement("a", 7, 7, "1")], 2, 1_000);
    assert_eq!(kept(), ["a 5,7", "b 6"]);
    write(vec![measurement("a", 8, 106, "1")], 10, 100);
    assert_eq!(kept(), ["a 7,8", "b 6"], "age counts from what comes");
    write(vec![measurement("a", 9, 1_000, "1")], 10, 100);
    assert_eq!(kept(), ["a 9"]);
    // One that comes again changes nothing.
    write(vec![measurement("a", 9, 1_000, "1")], 10, 100);
    assert_eq!(kept(), ["a 9"]);
}

/// Not a check of anything: prints what pages cost at growing histories. Run with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn pages_over_long_histories() {
    for count in [1_000, 20_000, 200_000] {
        let home = tempfile::tempdir().unwrap();
        let readers = filled(home.path(), count);
        let filters = [
            ("all", InstanceFilter::default()),
            (
                "failed of a workflow",
                InstanceFilter {
                    workflow: Some("stock".to_owned()),
                    states: vec![InstanceWord::Failed],
                    ..Default::default()
                },
            ),
            ("by text", InstanceFilter { text: Some("daily".to_owned()), ..Default::default() }),
        ];
        for (name, filter) in filters {
            let mut took = Vec::new();
            for _ in 0..21 {
                let start = std::time::Instant::now();
                ask(&readers, |queries| queries.instances(&filter, None, &PageRequest::first(50)));
                took.push(start.elapsed().as_micros());
            }
            took.sort_unstable();
            println!("{count} instances, {name}: p50 {} us", took[10]);
        }
    }
}

#[test]
fn what_happened_to_the_cluster_is_read_newest_first_in_pages() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state.db");
    let mut database = StateDb::open(&file).unwrap();
    let took_over =
        |n| Happening::TookOver { seq: Seq(n), at: Timestamp(n as i64), node: MasterId(1), epoch: Epoch(n) };
    let happened: Vec<_> = (1..=5).map(took_over).collect();
    database.write(&Batch { happened, ..Batch::default() }).unwrap();
    let connection = rusqlite::Connection::open(&file).unwrap();
    let queries = Queries::new(&connection, &file);
    let mut cursor = None;
    let mut read = Vec::new();
    loop {
        let page = queries.happened(&PageRequest { limit: 2, cursor }).unwrap();
        read.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(read, (1..=5).rev().map(took_over).collect::<Vec<_>>());
    let wrong = queries.happened(&PageRequest { limit: 2, cursor: Some("x".to_owned()) });
    assert!(matches!(wrong, Err(QueryError::BadCursor)));
}
