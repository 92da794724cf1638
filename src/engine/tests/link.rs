//! Links that the cluster keeps: put, changed, removed, handed to attempts, kept over a take-over.

use crate::model::action::BodyElement;
use crate::model::link::{KeptLink, LinkKind};

use super::super::state::Aggregate;
use super::super::*;
use super::bench::{Bench, Flow, template};

fn link(kind: LinkKind, name: &str, sealed: &str) -> KeptLink {
    KeptLink {
        kind,
        name: name.to_owned(),
        type_word: "SQLITE".to_owned(),
        place: "x.db".to_owned(),
        username: String::new(),
        description: String::new(),
        sealed: sealed.to_owned(),
    }
}

fn put(name: &str, sealed: &str, replaces: Option<&str>) -> Command {
    let link = Box::new(link(LinkKind::Database, name, sealed));
    Command::PutLink { link, replaces: replaces.map(str::to_owned) }
}

fn remove(kind: LinkKind, name: &str) -> Command {
    Command::RemoveLink { kind, name: name.to_owned() }
}

fn sealed(bench: &Bench, name: &str) -> Option<String> {
    let link = bench.replica.links.get(&(LinkKind::Database, name.to_owned()))?;
    Some(link.link.sealed.clone())
}

#[test]
fn a_link_is_new_once_and_changed_only_by_who_has_seen_it() {
    let mut bench = Bench::new();
    assert_eq!(bench.refused(put("dwh", "b", Some("a"))).code(), "not-found");
    assert_eq!(bench.ok(put("dwh", "a", None)), Reply::Done);
    assert_eq!(bench.refused(put("dwh", "b", None)).code(), "conflict");
    assert_eq!(bench.ok(put("dwh", "b", Some("a"))), Reply::Done);
    assert_eq!(bench.refused(put("dwh", "c", Some("a"))).code(), "conflict", "somebody else was quicker");
    assert_eq!(sealed(&bench, "dwh").as_deref(), Some("b"));
    // A file system may have the name of a database.
    let landing = Command::PutLink { link: Box::new(link(LinkKind::File, "dwh", "f")), replaces: None };
    assert_eq!(bench.ok(landing), Reply::Done);
    assert_eq!(bench.ok(remove(LinkKind::Database, "dwh")), Reply::Done);
    assert_eq!(bench.refused(remove(LinkKind::Database, "dwh")).code(), "not-found");
    assert_eq!(bench.replica.links.len(), 1);
}

#[test]
fn a_request_that_comes_again_hears_the_same_though_the_link_is_another_by_now() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask_as("k", "d", put("dwh", "a", None)), Ok(Reply::Done));
    assert_eq!(bench.ask_as("k", "d", put("dwh", "a2", None)), Ok(Reply::Done));
    assert_eq!(sealed(&bench, "dwh").as_deref(), Some("a"));
    assert_eq!(bench.ask_as("r", "d", remove(LinkKind::Database, "dwh")), Ok(Reply::Done));
    assert_eq!(bench.ask_as("r", "d", remove(LinkKind::Database, "dwh")), Ok(Reply::Done));
}

#[test]
fn names_and_sizes_are_bounded() {
    let mut bench = Bench::new();
    for name in ["", " dwh", "dwh ", "a\nb", &"x".repeat(129)] {
        assert_eq!(bench.refused(put(name, "a", None)).code(), "invalid", "{name:?}");
    }
    assert_eq!(bench.refused(put("dwh", &"x".repeat(256 * 1024 + 1), None)).code(), "invalid");
    bench.is_checked = false;
    for n in 0..1_000 {
        bench.ok(put(&format!("link-{n}"), "a", None));
    }
    assert_eq!(bench.refused(put("one-more", "a", None)).code(), "conflict");
    assert_eq!(bench.ok(put("link-7", "b", Some("a"))), Reply::Done, "those that are there can be changed");
}

#[test]
fn links_outlive_take_over_and_store() {
    let mut bench = Bench::new();
    bench.ok(put("dwh", "a", None));
    bench.take_over();
    assert_eq!(bench.ok(put("dwh", "b", Some("a"))), Reply::Done);
    let rows: Vec<Aggregate> = bench.replica.keys().iter().filter_map(|key| bench.replica.aggregate(key)).collect();
    let loaded = State::from_aggregates(rows);
    assert_eq!(loaded.links, bench.replica.links);
    assert_eq!(loaded, bench.replica);
}

#[test]
fn an_attempt_gets_the_links_that_it_names_and_no_other() {
    let mut bench = Bench::with_workers(&[9]);
    for name in ["dwh", "ods", "unused"] {
        bench.ok(put(name, &format!("seal of {name}"), None));
    }
    let source = BodyElement {
        word: "source".to_owned(),
        attributes: vec![("db-link".to_owned(), template(" ods "))],
        children: Vec::new(),
        text: None,
    };
    let flow = Flow::new("w").start("a").action("a", "e").with(|action| {
        action.body.tree.attributes.push(("db-link".to_owned(), template("dwh")));
        action.body.tree.attributes.push(("file-link".to_owned(), template("unused")));
        action.body.tree.children.push(source.clone());
    });
    bench.define(flow.end("e").build());
    let run = bench.run("w");
    let (_, assignment) = &bench.sent[&bench.attempt(run, "a")];
    let names: Vec<_> = assignment.links.iter().map(|link| (link.name.as_str(), link.sealed.as_str())).collect();
    assert_eq!(names, [("dwh", "seal of dwh"), ("ods", "seal of ods")]);
}
