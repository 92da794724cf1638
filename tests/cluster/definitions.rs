//! What the cluster runs, and the rules that the checker holds it to.

use std::collections::BTreeMap;
use std::path::Path;

use crate::history::Rules;
use crate::load::switch;

const LIMIT: usize = 6;
/// `lost-retry-times` is 3 unless told.
const LOST: usize = 3;

fn task(name: &str, attributes: &str, program: &Path, words: &[&str], to: &str) -> String {
    let arguments: String = words.iter().map(|word| format!("<arg>{word}</arg>")).collect();
    let program = program.display();
    format!(
        r#"  <action name="{name}"{attributes}><exec program="{program}"><arg>task</arg>{arguments}</exec><ok to="{to}"/></action>
"#
    )
}

fn workflow(name: &str, limit: usize, body: &str) -> (String, String) {
    let text = format!(
        "<work-flow name=\"{name}\" schema=\"1\" instance-limit=\"{limit}\">\n{body}  <end name=\"end\"/>\n</work-flow>\n"
    );
    (format!("{name}.xml"), text)
}

/// `work`: four tasks at once, one that fails first, one that must not start twice. `doomed`: one that does not want to
/// end. `nop` ends at once. A switch for each client.
pub fn files(program: &Path, ledger: &Path, clients: usize) -> Vec<(String, String)> {
    let ledger = ledger.display().to_string();
    let of = |name: &str, attributes: &str, words: &[&str], to: &str| {
        task(name, attributes, program, &[&[ledger.as_str()], words].concat(), to)
    };
    let mut body = String::from("  <start name=\"start\" to=\"fork\"/>\n  <fork name=\"fork\">");
    "abcd".chars().for_each(|name| body.push_str(&format!("<path to=\"{name}\"/>")));
    body.push_str("</fork>\n");
    for (name, length) in [("a", "1500"), ("b", "2000"), ("c", "2500"), ("d", "3000")] {
        body.push_str(&of(name, "", &[length], "join"));
    }
    body.push_str("  <join name=\"join\" to=\"again\"/>\n");
    body.push_str(&of("again", " retry-times=\"2\"", &["200", "fail-first"], "once"));
    body.push_str(&of("once", " on-lost=\"fail\"", &["500"], "end"));
    let doomed = format!("  <start name=\"start\" to=\"task\"/>\n{}", of("task", "", &["60000", "stubborn"], "end"));
    let nothing = "  <start name=\"start\" to=\"end\"/>\n";
    let mut files = vec![workflow("work", LIMIT, &body), workflow("doomed", 2, &doomed), workflow("nop", 50, nothing)];
    // Only what can fire can be turned off; this fires on leap days.
    let rarely = format!("  <coordinator><trigger id=\"rarely\" cron=\"0 0 29 2 *\"/></coordinator>\n{nothing}");
    files.extend((0..clients).map(|n| workflow(&switch(n), 1, &rarely)));
    files
}

pub fn rules() -> BTreeMap<String, Rules> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut attempts_max: BTreeMap<String, usize> = "abcd".chars().map(|name| (name.to_string(), 1 + LOST)).collect();
    attempts_max.insert("again".to_owned(), 3 + LOST);
    attempts_max.insert("once".to_owned(), 1);
    let work = Rules {
        instance_limit: LIMIT,
        before: BTreeMap::from([
            ("again".to_owned(), names(&["a", "b", "c", "d"])),
            ("once".to_owned(), names(&["again"])),
        ]),
        attempts_max,
        once: names(&["once"]),
    };
    let doomed =
        Rules { instance_limit: 2, attempts_max: BTreeMap::from([("task".to_owned(), 1 + LOST)]), ..Rules::default() };
    let nop = Rules { instance_limit: 50, ..Rules::default() };
    BTreeMap::from([("work".to_owned(), work), ("doomed".to_owned(), doomed), ("nop".to_owned(), nop)])
}
