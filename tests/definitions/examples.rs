//! The examples: they are right, and stay so.

use crate::{check, definitions, load, text_of};

#[test]
fn every_example_is_strict_and_without_a_fault() {
    let files = definitions("xmlconfig/example");
    assert!(files.len() >= 8);
    for (name, text) in files {
        let outcome = check(&text, &name);
        assert_eq!(text_of(&outcome), "", "{name}");
        let definition = outcome.definition.unwrap();
        assert!(definition.is_strict, "{name} must say schema=\"1\"");
        assert_eq!(name, format!("{}.xml", definition.name), "the file is named like its workflow");
        assert_eq!(check(&text, &name).definition, Some(definition), "reading is repeatable");
    }
}

#[test]
fn a_file_that_ends_early_is_told_from_a_broken_one() {
    let outcome = load(b"<work-flow name=\"a\"><start name=\"s\" to=\"e\"/>", "half.xml");
    assert!(!outcome.is_complete && outcome.definition.is_none());
    assert_eq!(outcome.name.as_deref(), Some("a"));
    assert!(load(b"<work-flow name=\"a\"></workflow>", "broken.xml").is_complete);
}
