//! Files of sources, definitions, versions.

use crate::model::attachment::AttachedFile;
use crate::model::diagnostic::{Diagnostic, Severity};
use crate::model::duration::Millis;
use crate::model::id::{Boot, ContentHash, MasterId, NodeIndex, SourceId, VersionNumber, WorkflowName};
use crate::model::policy::OnDelete;

use super::super::command::Report;
use super::super::definition::content_of;
use super::super::state::{Bundle, FileState, LogicalFile};
use super::super::why::Subject;
use super::super::*;
use super::bench::{Bench, Flow, HOUR};

struct Files {
    bench: Bench,
    source: SourceId,
    number: u64,
}

impl Files {
    fn new() -> Self {
        let mut files = Self { bench: Bench::with_workers(&[1]), source: SourceId::from("s"), number: 0 };
        assert_eq!(files.offer("s", 1), Reply::Reporter { granted: true });
        files
    }

    fn offer(&mut self, source: &str, node: u64) -> Reply {
        self.bench.ok(Command::OfferSource {
            source: SourceId::from(source),
            node: MasterId(node),
            boot: Boot(1),
            directory: "/x/xmlconfig".to_owned(),
        })
    }

    fn report(&mut self) -> Report {
        self.number += 1;
        Report { source: self.source.clone(), node: MasterId(1), boot: Boot(1), number: self.number }
    }

    fn seen(&mut self, path: &str, flow: Flow, content: &str) -> Reply {
        let bundle = Bundle {
            text: content.to_owned(),
            path: Some(path.to_owned()),
            definition: flow.build(),
            files: Vec::new(),
        };
        let chunks = self.bench.store(&bundle);
        let report = self.report();
        let (path, content) = (path.to_owned(), ContentHash::from(content));
        self.bench.ok(Command::FileSeen { report, path, content, chunks, warnings: Vec::new() })
    }

    fn failed(&mut self, path: &str, content: &str) {
        let report = self.report();
        let error = Diagnostic {
            code: "RF-X0104".to_owned(),
            severity: Severity::Error,
            file: path.to_owned(),
            line: 3,
            column: 7,
            length: 1,
            message: crate::say!("there is no node \"{}\"", "x"),
            label: None,
            hint: None,
            notes: Vec::new(),
            excerpt: Vec::new(),
        };
        let (path, content) = (path.to_owned(), ContentHash::from(content));
        self.bench.ok(Command::LoadFailed { report, path, content, errors: vec![error] });
    }

    fn gone(&mut self, path: &str) {
        let report = self.report();
        self.bench.ok(Command::FileGone { report, path: path.to_owned() });
    }

    fn state(&self, path: &str) -> FileState {
        self.bench.replica.files[&(self.source.clone(), path.to_owned())].state.clone()
    }

    fn version(&self) -> u32 {
        self.bench.replica.workflow(&w()).map_or(0, |workflow| workflow.current.0)
    }
}

fn w() -> WorkflowName {
    WorkflowName::from("w")
}

fn version(number: u32, is_new: bool) -> Reply {
    Reply::Version { workflow: w(), version: VersionNumber(number), is_new }
}

#[test]
fn a_new_file_becomes_a_version_and_the_same_content_none() {
    let mut files = Files::new();
    assert_eq!(files.seen("w.xml", Flow::simple("w"), "1"), version(1, true));
    assert!(files.bench.replica.chunks.is_empty());
    assert_eq!(files.seen("w.xml", Flow::simple("w"), "1"), version(1, false));
    assert_eq!(files.seen("w.xml", Flow::simple("w").limit(2), "2"), version(2, true));
    assert_eq!(files.state("w.xml"), FileState::Loaded { version: VersionNumber(2) });
    assert!(files.bench.replica.chunks.is_empty());
}

#[test]
fn a_version_names_the_file_that_it_came_from_or_who_applied_it() {
    let mut files = Files::new();
    files.seen("dw/w.xml", Flow::simple("w"), "1");
    let by = |files: &Files, number| {
        let version = files.bench.replica.version(&w(), VersionNumber(number)).unwrap();
        version.by.to_string()
    };
    assert_eq!(by(&files, 1), "file:m1:dw/w.xml");
    let bundle =
        Bundle { text: "2".to_owned(), path: None, definition: Flow::simple("w").limit(2).build(), files: Vec::new() };
    let chunks = files.bench.store(&bundle);
    files.bench.ask(Command::ApplyDefinition { content: ContentHash::from("2"), chunks }).unwrap();
    assert_eq!(by(&files, 2), "user:li");
}

#[test]
fn files_of_a_version_go_to_the_nodes_that_name_them_and_are_kept_as_long_as_it() {
    let mut files = Files::new();
    files.bench.settings.retention.versions_per_workflow = 1;
    files.bench.take_over();
    files.bench.register("w1", 1, "boot-1", &[]);
    let definition = Flow::simple("w").build();
    let node = definition.node_named("a").unwrap();
    let file = |node, hash: &str| AttachedFile { node, path: "a.csv".to_owned(), hash: hash.into(), bytes: 7 };
    for (n, hash) in [(1_u32, "h1"), (2, "h2")] {
        let (bundle_of, other) = (definition.clone(), NodeIndex(node.0 + 1));
        let held = vec![file(node, hash), file(other, "h3")];
        let bundle = Bundle { text: n.to_string(), path: None, definition: bundle_of, files: held };
        let chunks = files.bench.store(&bundle);
        files.bench.ok(Command::ApplyDefinition { content: ContentHash::from(n.to_string()), chunks });
    }
    let named =
        |files: &Files| files.bench.replica.attached_files().keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(named(&files), ["h1", "h2", "h3"]);
    files.bench.run("w");
    let (_, (_, sent)) = files.bench.sent.first_key_value().unwrap();
    assert_eq!(sent.files, [file(node, "h2")]);
    let versions = vec![(w(), VersionNumber(1))];
    files.bench.ok(Command::Trim(command::Expired { versions, ..Default::default() }));
    assert_eq!(named(&files), ["h2", "h3"]);
}

#[test]
fn a_changed_file_beside_it_makes_another_content_of_a_definition() {
    let text = ContentHash::from("t");
    let of = |files: &[(&str, &str)]| content_of(&text, files.iter().map(|(path, found)| (*path, (*found).to_owned())));
    assert_eq!(of(&[]), text);
    let contents = [of(&[]), of(&[("a", "1")]), of(&[("a", "2")]), of(&[("a", "1"), ("b", "1")]), of(&[("a1", "")])];
    let unique: std::collections::BTreeSet<_> = contents.iter().collect();
    assert_eq!(unique.len(), contents.len());
    assert_eq!(of(&[("a", "1")]), of(&[("a", "1")]));
}

#[test]
fn a_broken_file_leaves_the_last_good_version_which_still_fires() {
    let mut files = Files::new();
    files.seen("w.xml", Flow::simple("w").cron("c", "0 * * * *"), "1");
    files.failed("w.xml", "2");
    assert_eq!(files.state("w.xml"), FileState::Failed);
    assert_eq!(files.version(), 1);
    let reasons =
        why(&files.bench.replica, &files.bench.settings.limits, &Subject::Workflow(w()), files.bench.now.wall).unwrap();
    assert!(matches!(&reasons[0], Reason::FileBroken { message, .. } if message.english() == "there is no node \"x\""));
    files.bench.pass(HOUR);
    assert_eq!(files.bench.heads_of("w").len(), 1);
    // Corrected, also back to what it was.
    assert_eq!(files.seen("w.xml", Flow::simple("w").cron("c", "0 * * * *"), "1"), version(1, false));
}

#[test]
fn an_instance_stays_with_its_version() {
    let mut files = Files::new();
    files.seen("w.xml", Flow::new("w").start("a").action("a", "b").action("b", "end").end("end"), "1");
    let run = files.bench.run("w");
    files.seen("w.xml", Flow::simple("w"), "2");
    files.bench.succeed(run, "a");
    assert!(files.bench.is_sent(run, "b"));
}

#[test]
fn a_deleted_file_disables_its_workflow_after_ten_seconds_until_it_is_back() {
    let mut files = Files::new();
    files.seen("w.xml", Flow::simple("w").cron("c", "0 * * * *"), "1");
    files.gone("w.xml");
    files.bench.pass(9_999);
    assert!(files.bench.replica.is_enabled(&w()));
    files.bench.pass(1);
    assert!(!files.bench.replica.is_enabled(&w()));
    let reasons =
        why(&files.bench.replica, &files.bench.settings.limits, &Subject::Workflow(w()), files.bench.now.wall).unwrap();
    assert!(matches!(reasons[..], [Reason::FileAbsent { .. }]));
    files.bench.pass(2 * HOUR);
    assert_eq!(files.seen("w.xml", Flow::simple("w").cron("c", "0 * * * *"), "1"), version(1, false));
    assert!(files.bench.replica.is_enabled(&w()));
    files.bench.settle();
    assert!(files.bench.heads_of("w").is_empty(), "the past is not made up for");
}

#[test]
fn on_delete_decides() {
    for (on_delete, is_there, is_enabled) in
        [(OnDelete::Keep, true, true), (OnDelete::Disable, true, false), (OnDelete::Remove, false, false)]
    {
        let mut files = Files::new();
        let mut flow = Flow::simple("w").cron("c", "0 * * * *");
        flow.definition.on_delete = Some(on_delete);
        files.seen("w.xml", flow, "1");
        files.gone("w.xml");
        files.bench.pass(10_000);
        assert_eq!(files.bench.replica.workflow(&w()).is_some(), is_there, "{on_delete:?}");
        assert_eq!(files.bench.replica.is_enabled(&w()), is_enabled, "{on_delete:?}");
    }
}

#[test]
fn a_removed_workflow_that_is_still_needed_is_only_disabled() {
    let mut files = Files::new();
    let mut flow = Flow::simple("w").coordinated(|_| ());
    flow.definition.on_delete = Some(OnDelete::Remove);
    files.seen("w.xml", flow, "1");
    files.seen("x.xml", Flow::simple("x").after("w"), "x");
    files.gone("w.xml");
    files.bench.pass(10_000);
    assert!(files.bench.replica.workflow(&w()).is_some());
    assert!(files.bench.replica.attentions.values().any(|row| row.subject == "workflow:w"));
}

#[test]
fn a_move_is_a_rename_and_not_a_deletion() {
    let mut files = Files::new();
    files.seen("w.xml", Flow::simple("w"), "1");
    let report = files.report();
    files.bench.ok(Command::FileMoved { report, from: "w.xml".to_owned(), to: "sub/w.xml".to_owned() });
    files.bench.pass(20_000);
    assert_eq!(files.version(), 1);
    let workflow = files.bench.replica.workflow(&w()).unwrap();
    assert_eq!(workflow.origin.as_ref().unwrap().path, "sub/w.xml");
    assert!(!workflow.is_file_absent);
    // The same in two looks: gone here, seen there within ten seconds.
    files.gone("sub/w.xml");
    files.bench.pass(3_000);
    assert_eq!(files.seen("w2.xml", Flow::simple("w"), "1"), version(1, false));
    files.bench.pass(20_000);
    let workflow = files.bench.replica.workflow(&w()).unwrap();
    assert_eq!(workflow.origin.as_ref().unwrap().path, "w2.xml");
    assert!(!workflow.is_file_absent);
}

#[test]
fn what_was_deleted_while_nobody_looked_is_missing_in_the_listing() {
    let mut files = Files::new();
    files.seen("w.xml", Flow::simple("w").cron("c", "0 * * * *"), "1");
    files.seen("x.xml", Flow::simple("x"), "x");
    assert_eq!(
        files.bench.ok(Command::OfferSource {
            source: files.source.clone(),
            node: MasterId(1),
            boot: Boot(2),
            directory: "/x".to_owned(),
        }),
        Reply::Reporter { granted: true }
    );
    let report = Report { source: files.source.clone(), node: MasterId(1), boot: Boot(2), number: 1 };
    let listed = vec![LogicalFile { path: "x.xml".to_owned(), content: ContentHash::from("x") }];
    files.bench.ok(Command::SourceListed { report, files: listed });
    files.bench.pass(10_000);
    assert!(!files.bench.replica.is_enabled(&w()));
    assert!(files.bench.replica.workflow(&WorkflowName::from("x")).is_some());
}

#[test]
fn a_second_file_of_the_same_workflow_changes_nothing() {
    let mut files = Files::new();
    files.seen("w.xml", Flow::simple("w"), "1");
    assert_eq!(files.seen("copy.xml", Flow::simple("w").limit(5), "2"), Reply::Unchanged);
    assert_eq!(files.state("copy.xml"), FileState::Duplicate { other: "w.xml".to_owned() });
    assert_eq!(files.version(), 1);
}

#[test]
fn a_copy_in_another_source_that_differs_is_only_shown() {
    let mut files = Files::new();
    files.seen("w.xml", Flow::simple("w"), "1");
    files.offer("t", 1);
    files.source = SourceId::from("t");
    files.number = 0;
    assert_eq!(files.seen("w.xml", Flow::simple("w").limit(5), "2"), Reply::Unchanged);
    assert_eq!(files.state("w.xml"), FileState::Differs);
    assert_eq!(files.version(), 1);
    // Edited there it is a change.
    assert_eq!(files.seen("w.xml", Flow::simple("w").limit(6), "3"), version(2, true));
}

#[test]
fn a_deleted_workflow_stays_away_until_its_file_changes() {
    let mut files = Files::new();
    files.seen("w.xml", Flow::simple("w"), "1");
    files.bench.ok(Command::DeleteWorkflow { workflow: w() });
    assert_eq!(files.state("w.xml"), FileState::Dismissed);
    assert_eq!(files.seen("w.xml", Flow::simple("w"), "1"), Reply::Unchanged);
    assert_eq!(files.version(), 0);
    assert_eq!(files.seen("w.xml", Flow::simple("w").limit(2), "2"), version(2, true));
}

#[test]
fn a_workflow_that_is_needed_or_live_is_not_deleted() {
    let mut files = Files::new();
    files.seen("w.xml", Flow::simple("w").coordinated(|_| ()), "1");
    files.seen("x.xml", Flow::simple("x").after("w"), "x");
    assert_eq!(files.bench.refused(Command::DeleteWorkflow { workflow: w() }).code(), "conflict");
    let x = WorkflowName::from("x");
    let run = files.bench.run("x");
    assert_eq!(files.bench.refused(Command::DeleteWorkflow { workflow: x.clone() }).code(), "conflict");
    files.bench.succeed(run, "a");
    files.bench.ok(Command::DeleteWorkflow { workflow: x });
    files.bench.ok(Command::DeleteWorkflow { workflow: w() });
    assert_eq!(files.bench.refused(Command::DeleteWorkflow { workflow: w() }).code(), "not-found");
}

#[test]
fn an_applied_version_that_differs_from_the_file_is_shown_and_an_edit_takes_over() {
    let mut files = Files::new();
    files.seen("w.xml", Flow::simple("w"), "1");
    files.bench.define(Flow::simple("w").limit(7).build());
    assert_eq!(files.version(), 2);
    assert_eq!(files.state("w.xml"), FileState::Differs);
    assert_eq!(files.seen("w.xml", Flow::simple("w"), "1"), Reply::Unchanged, "the file did not change");
    assert_eq!(files.seen("w.xml", Flow::simple("w").limit(8), "3"), version(3, true));
}

#[test]
fn a_file_that_names_another_workflow_leaves_the_old_one_without_file() {
    let mut files = Files::new();
    files.seen("w.xml", Flow::simple("w").cron("c", "0 * * * *"), "1");
    files.seen("w.xml", Flow::simple("v"), "2");
    assert!(!files.bench.replica.is_enabled(&w()));
    assert!(files.bench.replica.workflow(&WorkflowName::from("v")).is_some());
}

#[test]
fn reports_count_once_in_order_and_from_the_reporter_only() {
    let mut files = Files::new();
    files.seen("w.xml", Flow::simple("w"), "1");
    let report = |node: u64, number: u64| Command::FileGone {
        report: Report { source: SourceId::from("s"), node: MasterId(node), boot: Boot(1), number },
        path: "w.xml".to_owned(),
    };
    assert_eq!(files.bench.refused(report(1, 1)), Rejected::StaleReport { expected: 2 });
    assert_eq!(files.bench.refused(report(1, 3)), Rejected::StaleReport { expected: 2 });
    assert_eq!(files.bench.refused(report(2, 2)).code(), "conflict");
    // A reporter that offers again, without a new boot, counts from 1 again.
    assert_eq!(files.offer("s", 1), Reply::Reporter { granted: true });
    files.bench.ok(report(1, 1));
    assert_eq!(files.offer("s", 2), Reply::Reporter { granted: false });
    files.bench.ok(Command::MasterDown { node: MasterId(1) });
    assert!(matches!(files.bench.effects[..], [Effect::GrantSource { node: MasterId(2), .. }]));
    assert_eq!(files.bench.refused(report(1, 2)).code(), "conflict");
    files.bench.ok(report(2, 1));
}

#[test]
fn chunks_are_checked_and_forgotten_if_nobody_names_them() {
    let mut files = Files::new();
    let hash = definition::hash_of(b"abc");
    let wrong = Command::StoreChunk { hash: hash.clone(), bytes: b"abd".to_vec() };
    assert_eq!(files.bench.refused(wrong).code(), "invalid");
    files.bench.ok(Command::StoreChunk { hash: hash.clone(), bytes: b"abc".to_vec() });
    let content = ContentHash::from("x");
    let missing = Command::ApplyDefinition { content: content.clone(), chunks: vec![ContentHash::from("00")] };
    assert_eq!(files.bench.refused(missing).code(), "conflict");
    let unreadable = Command::ApplyDefinition { content, chunks: vec![hash] };
    assert_eq!(files.bench.refused(unreadable).code(), "definition-invalid");
    files.bench.pass(HOUR);
    assert!(files.bench.replica.chunks.is_empty());
}

#[test]
fn a_definition_of_four_mebibytes_passes_in_chunks() {
    let mut files = Files::new();
    let bundle =
        Bundle { text: "x".repeat(4 << 20), path: None, definition: Flow::simple("w").build(), files: Vec::new() };
    files.bench.is_checked = false;
    let chunks = files.bench.store(&bundle);
    assert!(chunks.len() > 1);
    assert_eq!(files.bench.ok(Command::ApplyDefinition { content: ContentHash::from("x"), chunks }), version(1, true));
}

#[test]
fn a_cycle_is_refused_whoever_parsed_it() {
    let mut files = Files::new();
    let flow = Flow::new("w").start("a").action("a", "b").action("b", "a").end("end");
    let bundle = Bundle { text: String::new(), path: None, definition: flow.build(), files: Vec::new() };
    let chunks = files.bench.store(&bundle);
    let refused = files.bench.refused(Command::ApplyDefinition { content: ContentHash::from("x"), chunks });
    assert_eq!(refused.code(), "definition-invalid");
}

#[test]
fn a_file_for_which_there_is_no_room_is_shown_until_it_is_applied() {
    let mut files = Files::new();
    files.bench.settings.limits.workflows_max = 1;
    files.bench.take_over();
    files.offer("s", 1);
    files.number = 0;
    files.seen("a.xml", Flow::simple("a"), "1");
    assert_eq!(files.seen("w.xml", Flow::simple("w"), "1"), Reply::Unchanged);
    assert_eq!(files.state("w.xml"), FileState::Failed);
    let file = files.bench.replica.files[&(files.source.clone(), "w.xml".to_owned())].clone();
    assert!(file.diagnostics[0].message.english().contains("limits.workflows_max"), "{:?}", file.diagnostics);
    assert!(files.bench.replica.chunks.is_empty());
    files.seen("a.xml", Flow::simple("a").limit(2), "2");
    files.bench.ok(Command::DeleteWorkflow { workflow: WorkflowName::from("a") });
    let bundle = Bundle { text: "1".to_owned(), path: None, definition: Flow::simple("w").build(), files: Vec::new() };
    let chunks = files.bench.store(&bundle);
    files.bench.ok(Command::ApplyDefinition { content: ContentHash::from("1"), chunks });
    assert_eq!(files.state("w.xml"), FileState::Loaded { version: VersionNumber(1) });
    let file = &files.bench.replica.files[&(files.source.clone(), "w.xml".to_owned())];
    assert_eq!(file.diagnostics, []);
}

#[test]
fn copies_of_a_directory_that_differ_are_told_after_a_while_and_once() {
    let mut files = Files::new();
    files.bench.settings.source_differs = Millis::seconds(30);
    files.bench.take_over();
    files.offer("s", 1);
    files.number = 0;
    files.offer("s", 2);
    files.seen("a.xml", Flow::simple("a"), "1");
    files.seen("w.xml", Flow::simple("w"), "1");
    let looks = |files: &mut Files, seen: &[(&str, &str)]| {
        let contents: Vec<_> = seen.iter().map(|(path, content)| (*path, ContentHash::from(*content))).collect();
        let digest = listing_digest(contents.iter().map(|(path, content)| (*path, content)));
        files.bench.ok(Command::SourceLooked { source: SourceId::from("s"), node: MasterId(2), digest });
    };
    let told = |files: &Files| {
        let rows = files.bench.replica.attentions.values();
        rows.filter(|row| row.message.english().contains(".ractorflow-source"))
            .map(|row| row.message.english())
            .collect::<Vec<_>>()
    };
    looks(&mut files, &[("a.xml", "1"), ("w.xml", "1")]);
    files.bench.pass(HOUR);
    assert_eq!(told(&files), Vec::<String>::new());
    // Another moment, the same files: no difference that lasts.
    files.seen("w.xml", Flow::simple("w").limit(2), "2");
    files.bench.pass(29_000);
    looks(&mut files, &[("a.xml", "1"), ("w.xml", "2")]);
    files.bench.pass(HOUR);
    assert_eq!(told(&files), Vec::<String>::new());
    // One that does not come there at all.
    files.seen("w.xml", Flow::simple("w").limit(3), "3");
    files.bench.pass(29_000);
    assert_eq!(told(&files), Vec::<String>::new());
    files.bench.pass(HOUR);
    assert_eq!(told(&files).len(), 1);
    assert!(told(&files)[0].contains("m1") && told(&files)[0].contains("m2"), "{:?}", told(&files));
    // Equal again, and different again.
    looks(&mut files, &[("a.xml", "1"), ("w.xml", "3")]);
    looks(&mut files, &[("a.xml", "1")]);
    files.bench.pass(HOUR);
    assert_eq!(told(&files).len(), 2);
    files.bench.ok(Command::MasterDown { node: MasterId(2) });
    files.seen("w.xml", Flow::simple("w").limit(4), "4");
    files.bench.pass(HOUR);
    assert_eq!(told(&files).len(), 2);
}
