//! Half files, hostile files, huge files: refused or read, never a panic.

use std::fmt::Write;

use proptest::prelude::*;
use ractorflow::model::definition::NODES_MAX;
use ractorflow::model::id::NodeIndex;
use ractorflow::xml::{FAULTS_MAX, FILE_BYTES_MAX, is_complete, n_errors};

use crate::{definitions, files, load, text_of};

#[test]
fn every_prefix_of_a_good_file_is_refused() {
    let mut all = definitions("xmlconfig/example");
    all.extend(files("tests/definitions/akkaflow"));
    for (name, text) in all {
        let end = text.iter().rposition(|byte| *byte == b'>').unwrap() + 1;
        // Each byte of the short ones, each seventh of the others.
        let step = if name.starts_with("hello") || name.starts_with("日") { 1 } else { 7 };
        for length in (0..end).step_by(step) {
            let outcome = load(&text[..length], &name);
            assert!(outcome.definition.is_none() && n_errors(&outcome.diagnostics) > 0, "{name} cut at {length}");
            assert!(!outcome.is_complete, "{name} cut at {length}: {}", text_of(&outcome));
            assert_eq!(is_complete(&text[..length]), outcome.is_complete);
        }
        assert!(load(&text[..end], &name).definition.is_some(), "{name}");
    }
}

#[test]
fn limits_refuse_hostile_files() {
    let codes = |text: &str| -> Vec<String> {
        assert!(text.len() <= FILE_BYTES_MAX);
        let outcome = load(text.as_bytes(), "hostile.xml");
        assert!(outcome.definition.is_none());
        assert!(outcome.diagnostics.len() <= FAULTS_MAX + 1);
        outcome.diagnostics.into_iter().map(|d| d.code).collect()
    };
    let deep = "<fork>".repeat(600_000);
    assert_eq!(codes(&format!("<work-flow name='a'>{deep}")), ["RF-X0112"]);
    let attribute = "x".repeat(FILE_BYTES_MAX - 100);
    assert!(codes(&format!("<work-flow name='{attribute}'/>")).contains(&"RF-X0114".to_owned()));
    let attributes: String = (0..100_000).map(|n| format!(" a{n}='x'")).collect();
    assert_eq!(codes(&format!("<work-flow name='a'{attributes}/>")), ["RF-X0113"]);
    let elements = "<a/>".repeat(1_000_000);
    assert!(codes(&format!("<work-flow name='a'>{elements}</work-flow>")).contains(&"RF-X0118".to_owned()));
    let ampersands = "&".repeat(4_000_000);
    assert!(codes(&format!("<work-flow name='a'>{ampersands}</work-flow>")).contains(&"RF-X0120".to_owned()));
    let less = "< ".repeat(2_000_000);
    assert!(codes(&format!("<work-flow name='a'>{less}</work-flow>")).contains(&"RF-X0120".to_owned()));
    let quotes = "<a b='".repeat(600_000);
    assert!(!codes(&quotes).is_empty());
}

/// Each fault is looked for from the one before it, not in all of the text again.
#[test]
fn a_large_file_of_nothing_but_faults_comes_to_its_end() {
    for bit in [
        "</",
        "<!",
        "<!D",
        "<!-x",
        "<![x",
        "<a b='x'",
        "<a b='\n",
        "<a b=\"'>",
        "<a b ",
        "<a '",
        "</a '",
        "<a =\" \" ",
        "<a b=''c='' ",
        "<!DOCTYPE>",
        "<!D[<!",
        "<?>",
        "\u{feff}<",
    ] {
        let text = format!("<work-flow name='a'>{}", bit.repeat(FILE_BYTES_MAX / bit.len() - 10));
        let outcome = load(text.as_bytes(), "faults.xml");
        let n_faults = outcome.diagnostics.len();
        assert!(outcome.definition.is_none() && (1..=FAULTS_MAX + 1).contains(&n_faults), "{bit}: {n_faults}");
    }
}

#[test]
fn entities_expand_to_nothing_and_no_file_is_read() {
    let mut laughs = "<!DOCTYPE work-flow [<!ENTITY l0 'ha'><!ENTITY file SYSTEM 'file:///etc/passwd'>".to_owned();
    for n in 1..20 {
        write!(laughs, "<!ENTITY l{n} '{}'>", format!("&l{};", n - 1).repeat(10)).unwrap();
    }
    let text = format!("{laughs}]><work-flow name='&l19;&file;'/>");
    let outcome = load(text.as_bytes(), "laughs.xml");
    let codes: Vec<&str> = outcome.diagnostics.iter().map(|d| d.code.as_str()).collect();
    assert!(codes.contains(&"RF-X0110") && codes.contains(&"RF-X0106"), "{codes:?}");
    assert!(!text_of(&outcome).contains("root:"));
}

#[test]
fn a_file_of_the_largest_size_is_read() {
    let mut text = "<work-flow name='large'>\n<start name='s' to='n1'/>\n".to_owned();
    let n = NODES_MAX - 2;
    for at in 1..=n {
        let next = if at == n { "e".to_owned() } else { format!("n{}", at + 1) };
        // Each looks back at the first: what is upstream is asked once for every node.
        let code = if at % 50 == 0 { "echo ${node:n1.x}" } else { "echo hello" };
        writeln!(text, "<action name='n{at}'><script><code>{code}</code></script><ok to='{next}'/></action>").unwrap();
    }
    text.push_str("<end name='e'/></work-flow>");
    let outcome = load(text.as_bytes(), "large.xml");
    let definition = outcome.definition.unwrap_or_else(|| panic!("refused"));
    assert_eq!(definition.nodes.len(), NODES_MAX);
    assert_eq!(definition.edges.len(), NODES_MAX - 1);
    assert_eq!(definition.start, NodeIndex(0));
}

#[test]
fn a_wide_fork_of_ten_thousand_is_read() {
    let mut text = "<work-flow name='wide'><start name='s' to='f'/><fork name='f'>".to_owned();
    let n = 10_000;
    (0..n).for_each(|at| write!(text, "<path to='n{at}'/>").unwrap());
    text.push_str("</fork>");
    for at in 0..n {
        write!(text, "<action name='n{at}'><exec program='true'/><ok to='j'/></action>").unwrap();
    }
    text.push_str("<join name='j' to='e'/><end name='e'/></work-flow>");
    assert_eq!(load(text.as_bytes(), "wide.xml").definition.unwrap().edges.len(), 2 * n + 2);
}

const GOOD: &str = include_str!("../../xmlconfig/example/parameters.xml");

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        load(&bytes, "any.xml");
    }

    #[test]
    fn a_damaged_file_is_read_or_refused(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..8),
    ) {
        let mut bytes = GOOD.as_bytes().to_vec();
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, b"<>&\"'/= ${"[usize::from(byte) % 10]),
                _ => drop(bytes.remove(at)),
            }
        }
        let outcome = load(&bytes, "damaged.xml");
        prop_assert_eq!(outcome.definition.is_some(), n_errors(&outcome.diagnostics) == 0);
        let text = text_of(&outcome);
        prop_assert!(outcome.diagnostics.iter().all(|d| d.line >= 1 && d.column >= 1 && d.length >= 1), "{}", text);
    }
}
