//! Every code has a page and a minimal file that triggers it, and no page or file is without its code.

use std::collections::{BTreeMap, BTreeSet};

use ractorflow::model::time::Timestamp;
use ractorflow::node::spec;
use ractorflow::xml::{Code, Diagnostic, Input, Outcome, Purpose, read};

use crate::english::is_english;
use crate::{CHINESE, chinese_of, files, golden, path, text_of};

/// `RF-W0201.xml` as it is; in `RF-X0101.xml.repeat` each `{{repeat N TEXT}}` stands for N times TEXT, with `{n}` its number.
fn minimal_files() -> BTreeMap<String, (String, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for (name, bytes) in files("tests/definitions/errors") {
        let (file, bytes) = match name.strip_suffix(".repeat") {
            Some(file) => (file.to_owned(), repeat(std::str::from_utf8(&bytes).unwrap()).into_bytes()),
            None => (name, bytes),
        };
        let code = file.strip_suffix(".xml").unwrap().to_owned();
        assert!(found.insert(code, (file, bytes)).is_none());
    }
    found
}

fn repeat(text: &str) -> String {
    let Some((before, rest)) = text.split_once("{{repeat ") else { return text.to_owned() };
    let (directive, after) = rest.split_once("}}").unwrap();
    let (n, what) = directive.split_once(' ').unwrap();
    let repeated: String = (0..n.parse::<usize>().unwrap()).map(|n| what.replace("{n}", &n.to_string())).collect();
    format!("{before}{repeated}{}", repeat(after))
}

fn check_among(file: &str, text: &[u8], known: &[&str]) -> Outcome {
    let known: BTreeSet<String> = known.iter().map(|name| (*name).to_owned()).collect();
    let purpose = Purpose::Check;
    // 2026-03-01
    let now = Some(Timestamp(1_772_323_200_000));
    read(&Input { known_workflows: Some(&known), purpose, now, ..Input::new(text, file, spec::all()) })
}

#[test]
fn every_code_has_a_minimal_file_that_triggers_it_and_nothing_else() {
    let files = minimal_files();
    let of_one_file = Code::ALL.iter().map(|code| code.word().to_owned()).filter(|code| !is_of_several(code));
    let codes: BTreeSet<String> = of_one_file.collect();
    assert_eq!(files.keys().cloned().collect::<BTreeSet<_>>(), codes);
    for (code, (file, bytes)) in files {
        let outcome = check_among(&file, &bytes, &["load_sales", "sum_sales"]);
        let found: BTreeSet<&str> = outcome.diagnostics.iter().map(|d| d.code.as_str()).collect();
        assert!(found.contains(code.as_str()), "{file} triggers {found:?}\n{}", text_of(&outcome));
        // Files whose fault is a limit have others too.
        let alone = ["RF-X0120", "RF-X0118", "RF-X0112", "RF-X0113", "RF-X0114", "RF-W0208", "RF-W0119", "RF-X0110"];
        if !alone.contains(&code.as_str()) {
            assert_eq!(found.len(), 1, "{file} triggers more\n{}", text_of(&outcome));
        }
    }
}

/// Codes about what several files say together: their minimal files are a directory.
fn is_of_several(code: &str) -> bool {
    code.starts_with("RF-D")
}

#[test]
fn every_code_about_several_files_has_a_directory_that_triggers_it() {
    for code in Code::ALL.iter().map(|code| code.word()).filter(|code| is_of_several(code)) {
        let directory = format!("tests/definitions/errors/{code}");
        assert!(files(&directory).len() > 1, "{directory}");
        let Some(program) = option_env!("CARGO_BIN_EXE_ractorflow") else { continue };
        let output = std::process::Command::new(program).arg("check").arg(path(&directory)).output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(text.contains(&format!("[{code}]")), "{text}");
        assert_eq!(output.status.code(), Some(7), "{text}");
    }
}

#[test]
fn every_code_has_a_page_that_names_it() {
    let pages: BTreeSet<String> = files("docs/errors").into_iter().map(|(name, _)| name).collect();
    let wanted: BTreeSet<String> =
        Code::ALL.iter().map(|code| format!("{}.md", code.word())).chain(["README.md".to_owned()]).collect();
    assert_eq!(pages, wanted);
    let index = std::fs::read_to_string(path("docs/errors/README.md")).unwrap();
    for code in Code::ALL {
        let page = std::fs::read_to_string(path("docs/errors").join(format!("{}.md", code.word()))).unwrap();
        let heading = format!("# {}: {}", code.word(), code.title());
        assert_eq!(page.lines().next(), Some(heading.as_str()));
        assert!(page.contains(code.title_zh()), "{} has its Chinese title", code.word());
        assert!(page.lines().count() > 6, "{} explains", code.word());
        assert!(index.contains(&format!("[{0}]({0}.md)", code.word())), "{} is in the index", code.word());
    }
}

/// Several faults of one file, in both languages, and columns behind wide characters of another encoding.
#[test]
fn all_faults_of_a_file_are_shown_at_once() {
    let (several, gbk) = (
        include_str!("several.xml"),
        "<?xml version=\"1.0\" encoding=\"GBK\"?>\n<work-flow name=\"日报\" owner=\"数据组\" teg=\"日\">\n  <start name=\"开始\" to=\"结 束\"/> <end name=\"结束\"/>\n</work-flow>\n",
    );
    let outcome = check_among("several.xml", several.as_bytes(), &["load_sales"]);
    golden("several.en.txt", &text_of(&outcome));
    golden("several.zh.txt", &chinese_of(&outcome));
    let json = serde_json::to_string_pretty(&outcome.diagnostics).unwrap();
    golden("several.json", &json);
    let read_again = serde_json::from_str::<Vec<Diagnostic>>(&json).unwrap();
    assert_eq!(serde_json::to_string_pretty(&read_again).unwrap(), json);
    let (bytes, _, _) = encoding_rs::GBK.encode(gbk);
    golden("gbk.txt", &text_of(&check_among("gbk.xml", &bytes, &[])));
}

#[test]
fn each_minimal_file_is_rendered_as_recorded() {
    let (mut english, mut chinese) = (String::new(), String::new());
    for (file, bytes) in minimal_files().into_values() {
        let outcome = check_among(&file, &bytes, &["load_sales", "sum_sales"]);
        let outcome = Outcome { diagnostics: outcome.diagnostics.into_iter().take(3).collect(), ..outcome };
        english.push_str(&text_of(&outcome));
        chinese.push_str(&chinese_of(&outcome));
        for diagnostic in &outcome.diagnostics {
            let said = diagnostic.message.in_voice(CHINESE);
            assert!(said.chars().any(|c| ('\u{4e00}'..'\u{a000}').contains(&c)), "{file}: {said}");
            for said in [&diagnostic.message]
                .into_iter()
                .chain(&diagnostic.label)
                .chain(&diagnostic.hint)
                .chain(&diagnostic.notes)
            {
                assert!(!is_english(&said.in_voice(CHINESE)), "{file}: {}", said.in_voice(CHINESE));
            }
        }
    }
    golden("codes.txt", &english);
    golden("codes.zh.txt", &chinese);
}
