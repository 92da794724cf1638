//! Definitions as files: examples, one minimal file per diagnostic code, akkaflow's constructs, golden texts.

#[path = "../fixtures/english.rs"]
mod english;

mod akkaflow;
mod codes;
mod examples;
mod grammar;
mod not_built;
mod robust;
mod schema;
mod values;

use ractorflow::model::message::{Lang, Voice};
use ractorflow::node::spec;
use ractorflow::xml::{Input, Outcome, Purpose, read, render};

const CHINESE: Voice = Voice { lang: Lang::Zh, zone: ractorflow::model::schedule::Zone::UTC };

/// As a directory is loaded.
fn load(text: &[u8], file: &str) -> Outcome {
    read(&Input::new(text, file, spec::all()))
}

/// As `ractorflow check` does it.
fn check(text: &[u8], file: &str) -> Outcome {
    read(&Input { purpose: Purpose::Check, ..Input::new(text, file, spec::all()) })
}

fn text_of(outcome: &Outcome) -> String {
    render(&outcome.diagnostics, Voice::default())
}

fn chinese_of(outcome: &Outcome) -> String {
    render(&outcome.diagnostics, CHINESE)
}

/// A path in the repository.
fn path(relative: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// Files of a directory by name, sorted.
fn files(relative: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(path(relative))
        .unwrap_or_else(|error| panic!("{relative}: {error}"))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// Those that are definitions: other files lie beside them.
fn definitions(relative: &str) -> Vec<(String, Vec<u8>)> {
    files(relative).into_iter().filter(|(name, _)| name.ends_with(".xml")).collect()
}

/// Compares with a recorded text; `BLESS=1` records it.
fn golden(name: &str, text: &str) {
    let file = path("tests/definitions/golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
    }
    let recorded = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(text, recorded, "{name} differs; BLESS=1 records it anew");
}
