//! Instances and workflows of thousands of nodes: programs get all of it, people a table that says what it leaves out.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::Server;

/// As many nodes as the large instance of the fixture has.
const NODES: usize = 2_398;

fn json(server: &Server, arguments: &[&str]) -> Value {
    serde_json::from_str(&server.text(&[arguments, &["-o", "json"]].concat())).unwrap()
}

fn names(view: &Value) -> BTreeSet<&str> {
    let nodes = view["nodes"].as_array().unwrap();
    let names: BTreeSet<&str> = nodes.iter().map(|node| node["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), nodes.len(), "every node once");
    names
}

fn edges(view: &Value) -> BTreeSet<(&str, &str)> {
    let edges = view["edges"].as_array().unwrap();
    let ends = |edge: &'_ Value| -> (String, String) { (edge["from"].to_string(), edge["to"].to_string()) };
    assert_eq!(edges.iter().map(ends).collect::<BTreeSet<_>>().len(), edges.len(), "every edge once");
    edges.iter().map(|edge| (edge["from"].as_str().unwrap(), edge["to"].as_str().unwrap())).collect()
}

#[test]
fn json_has_every_node_and_edge_of_an_instance() {
    let server = Server::start();
    let show = json(&server, &["instance", "show", "10301"]);
    assert_eq!(names(&show).len(), NODES);
    assert!(edges(&show).contains(&("汇合", "end")) && edges(&show).len() > NODES);
    assert_eq!(show["nodes"][0]["name"], "start");
    assert!(show["nodes_next"].is_null());
}

#[test]
fn a_table_shows_what_needs_a_look_first_and_how_to_see_the_rest() {
    let server = Server::start();
    let table = server.text(&["instance", "show", "10301"]);
    assert!(table.lines().count() < 130, "{}", table.lines().count());
    assert!(table.contains("100 nodes of 2398; the others: ractorflow instance show 10301 --all"), "{table}");
    assert!(table.contains("compact_0001_merge") && !table.contains("S succeeded"), "{table}");
    let all = server.text(&["instance", "show", "10301", "--all"]);
    assert!(all.lines().count() > NODES && !all.contains("the others"));
    let chinese = server.text(&["instance", "show", "10301", "--lang", "zh"]);
    assert!(chinese.contains("共 2398 个节点, 此处 100 个"), "{chinese}");
    let small = server.text(&["instance", "show", "10342"]);
    assert!(!small.contains("--all"), "{small}");
}

#[test]
fn nodes_are_picked_by_their_state() {
    let server = Server::start();
    let show = json(&server, &["instance", "show", "10301", "--state", "queued,running"]);
    let states: BTreeSet<&str> =
        show["nodes"].as_array().unwrap().iter().map(|node| node["state"].as_str().unwrap()).collect();
    assert_eq!(states, BTreeSet::from(["queued", "running"]));
    let wrong = server.run(&["instance", "show", "10301", "--state", "sleeping"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn a_workflow_is_whole_in_json_and_its_text_comes_back_as_it_is() {
    let server = Server::start();
    let show = json(&server, &["workflow", "show", "hive_compact_all"]);
    assert_eq!(names(&show).len(), NODES);
    assert!(edges(&show).len() > NODES);
    let table = server.text(&["workflow", "show", "hive_compact_all"]);
    assert!(
        table.contains("500 nodes of 2398; all of them: ractorflow workflow show hive_compact_all --all"),
        "{table}"
    );
    let text = server.text(&["workflow", "show", "hive_compact_all", "--xml"]);
    assert!(text.len() > 1_500_000, "{} bytes", text.len());
    assert!(text.starts_with("<work-flow name=\"hive_compact_all\">") && text.ends_with("</work-flow>\n"));
    assert_eq!(text.matches("padding").count(), 80_000);
    let version = json(&server, &["workflow", "show", "hive_compact_all", "--xml"]);
    assert_eq!(version["text"].as_str(), Some(text.as_str()));
}
