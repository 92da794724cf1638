//! The XSD and the word list are what the tables say, and the XSD accepts what the reader accepts.

use ractorflow::node::spec;
use ractorflow::xml;

use crate::{definitions, path};

fn recorded(file: &str, text: &str) {
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path(file).parent().unwrap()).unwrap();
        std::fs::write(path(file), text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path(file)).unwrap(), text, "{file} is old; BLESS=1 makes it anew");
}

fn faults(text: &str) -> Vec<String> {
    let schema = xml::xsd(spec::all());
    let schema = uppsala::parse(&schema).unwrap();
    let validator = uppsala::XsdValidator::from_schema(&schema).unwrap();
    let document = uppsala::parse(text).unwrap();
    validator.validate(&document).iter().map(ToString::to_string).collect()
}

#[test]
fn the_schema_in_docs_is_the_one_of_the_tables() {
    recorded("docs/schema/ractorflow-workflow.xsd", &xml::xsd(spec::all()));
}

#[test]
fn the_word_list_in_the_manual_is_the_one_of_the_tables() {
    const BEGIN: &str = "<!-- words: made from the tables -->\n";
    let file = std::fs::read_to_string(path("docs/xml.md")).unwrap();
    let (before, _) = file.split_once(BEGIN).unwrap();
    recorded("docs/xml.md", &format!("{before}{BEGIN}\n{}", xml::words(spec::all())));
}

#[test]
fn every_example_is_valid_by_the_schema() {
    for directory in ["xmlconfig/example", "tests/definitions/akkaflow"] {
        for (name, text) in definitions(directory) {
            let text = String::from_utf8(text).unwrap();
            assert_eq!(faults(&text), Vec::<String>::new(), "{name}");
            if directory.starts_with("xmlconfig") {
                assert!(text.contains("xsi:noNamespaceSchemaLocation=\"../../docs/schema/"), "{name} names the schema");
            }
        }
    }
}

#[test]
fn the_schema_refuses_what_it_should() {
    let good = "<work-flow name=\"a\"><start name=\"s\" to=\"e\"/><end name=\"e\"/></work-flow>";
    assert_eq!(faults(good), Vec::<String>::new());
    for (from, to) in [
        ("<end name=\"e\"/>", "<nonsense/>"),
        (" to=\"e\"", ""),
        ("name=\"a\"", "name=\"a\" create-time=\"soon\""),
        ("name=\"a\"", "name=\"a\" on-delete=\"shred\""),
        ("<end name=\"e\"/>", "<action name=\"b\"><ok to=\"e\"/></action><end name=\"e\"/>"),
    ] {
        assert!(!faults(&good.replace(from, to)).is_empty(), "{to}");
    }
}
