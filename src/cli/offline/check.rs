//! `check`: would these files load? Reads them with the same reader as the watcher, and looks at them together:
//! prerequisites, names used twice, workflows that wait for each other.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args, FromArgMatches};
use serde::Serialize;

use crate::api::ExitCode;
use crate::cli::console::{Console, Failure, Language, Outcome, Verb, augment};
use crate::config::{Config, Definitions, Home};
use crate::model::definition::{Compat, Definition};
use crate::model::diagnostic::{self, Diagnostic, ExcerptLine, Severity};
use crate::model::message::{Message, Value};
use crate::model::schedule::Zone;
use crate::model::time::Timestamp;
use crate::say;
use crate::xml::Code;
use crate::{node, xml};

pub const VERB: Verb = Verb {
    path: "check",
    about: "Check definitions without a cluster",
    examples: &["ractorflow check xmlconfig/orders.xml", "ractorflow check xmlconfig/ -o json"],
    exits: &[ExitCode::NotFound, ExitCode::DefinitionInvalid],
    is_hidden: false,
    arguments: augment::<Arguments>,
    run,
};

/// A file of this length is refused by the reader; more of it is not read.
const BYTES_MAX: u64 = xml::FILE_BYTES_MAX as u64 + 1;

#[derive(Debug, Args)]
struct Arguments {
    /// Files, or directories to look through for .xml files
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// Treat warnings as errors
    #[arg(long)]
    strict: bool,
}

/// What `-o json` prints.
#[derive(Debug, Serialize)]
struct Checked {
    is_valid: bool,
    errors: usize,
    warnings: usize,
    files: Vec<CheckedFile>,
    /// What is right and yet may surprise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Message>,
}

#[derive(Debug, Serialize)]
struct CheckedFile {
    path: String,
    workflow: Option<String>,
    is_valid: bool,
    /// Switches of `compat` that would make something else of the file.
    compat: Vec<&'static str>,
    /// It names somebody to be mailed.
    #[serde(skip)]
    has_receivers: bool,
    diagnostics: Vec<Diagnostic>,
}

fn run(matches: &ArgMatches, console: &Console) -> Outcome {
    let arguments = Arguments::from_arg_matches(matches)?;
    let home_config = config(console);
    let config = home_config.clone().unwrap_or_default();
    let mut paths = Vec::new();
    let mut has_directory = false;
    for path in &arguments.paths {
        if path.is_dir() {
            has_directory = true;
            collect(path, 0, &config.definitions, &mut paths)?;
        } else {
            paths.push(path.clone());
        }
    }
    paths.sort();
    paths.dedup();
    if paths.is_empty() {
        return Err(Failure::new(ExitCode::NotFound, say!("there is no .xml file there")));
    }
    let zone = Zone::parse(&config.time.zone_name()).unwrap_or(Zone::UTC);
    let home = Home::find(console.global.home.as_deref()).ok();
    let tops = home.map(|home| home.xmlconfig_dir()).into_iter().chain(arguments.paths.iter().cloned());
    let places = Places::of(tops, config.definitions.attached_bytes_max);
    let mut checked = check(&paths, has_directory, zone, &places)?;
    if home_config.is_some_and(|config| !config.mail.is_set()) && checked.files.iter().any(|file| file.has_receivers) {
        checked.notes.push(say!("nobody is mailed: host and from of [mail] in ractorflow.toml are not set"));
    }
    let is_wrong = checked.errors > 0 || (arguments.strict && checked.warnings > 0);
    let names: Vec<&str> = checked.files.iter().filter(|file| !file.is_valid).map(|file| file.path.as_str()).collect();
    console.show(&checked, &names.join("\n"), || text(&checked, console))?;
    Ok(if is_wrong { ExitCode::DefinitionInvalid } else { ExitCode::Ok })
}

/// What a cluster of this home would read files with; `None` where there is no home.
fn config(console: &Console) -> Option<Config> {
    let home = Home::find(console.global.home.as_deref()).ok();
    home.and_then(|home| Config::load(&home).ok())
}

/// The `.xml` files below a directory that a master would look at.
pub(super) fn collect(dir: &Path, depth: usize, limits: &Definitions, paths: &mut Vec<PathBuf>) -> Result<(), Failure> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() && depth < limits.depth_max {
            collect(&entry.path(), depth + 1, limits, paths)?;
        } else if kind.is_file() && name.ends_with(".xml") {
            paths.push(entry.path());
        }
        if paths.len() > limits.files_max {
            return Err(Failure::usage(say!("there are more than {} files", limits.files_max))
                .hint(say!("check parts of the directory, or raise definitions.files_max")));
        }
    }
    Ok(())
}

/// Where the files that definitions name are looked for.
struct Places {
    /// Directories of definitions.
    tops: Vec<PathBuf>,
    bytes_max: u64,
}

impl Places {
    fn of(tops: impl Iterator<Item = PathBuf>, bytes_max: u64) -> Self {
        let tops = tops.filter(|top| top.is_dir()).filter_map(|top| top.canonicalize().ok()).collect();
        Self { tops, bytes_max }
    }

    /// The directory of definitions that a file is in (its own when it is in none of them), and its path from there.
    fn place(&self, definition: &Path) -> (PathBuf, String) {
        let real = definition.canonicalize().unwrap_or_else(|_| definition.to_owned());
        let own = real.parent().map(Path::to_owned).unwrap_or_default();
        let top = self.tops.iter().find(|top| real.starts_with(top)).cloned().unwrap_or(own);
        let below = real.strip_prefix(&top).unwrap_or(&real).to_string_lossy().into_owned();
        (top, below)
    }
}

/// One file with what was read out of it.
struct Read {
    path: String,
    text: String,
    outcome: xml::Outcome,
}

/// `is_whole`: all workflows are among the files, so a prerequisite that is not is missing.
fn check(paths: &[PathBuf], is_whole: bool, zone: Zone, places: &Places) -> Result<Checked, Failure> {
    let mut texts = Vec::new();
    for path in paths {
        texts.push((path.display().to_string(), read_file(path)?));
    }
    let now = Timestamp::from(chrono::Utc::now());
    let read = |(path, bytes): &(String, Vec<u8>), known: Option<&BTreeSet<String>>| {
        let (top, below) = places.place(Path::new(path));
        let found: RefCell<BTreeMap<String, u64>> = RefCell::default();
        let look = |path: &str| {
            let there = node::beside::find(&top, &below, path)?;
            let mut found = found.borrow_mut();
            found.insert(path.to_owned(), there.metadata.len());
            let is_too_large = found.values().sum::<u64>() > places.bytes_max;
            if is_too_large { Err(node::beside::too_large(&there, places.bytes_max)) } else { Ok(()) }
        };
        let mut input = xml::Input::new(bytes, path, node::spec::all());
        input.zone = zone;
        input.now = Some(now);
        input.known_workflows = known;
        input.purpose = xml::Purpose::Check;
        input.files = Some(&look);
        xml::read(&input)
    };
    let known: Option<BTreeSet<String>> =
        is_whole.then(|| texts.iter().filter_map(|file| read(file, None).name).collect());
    let mut files: Vec<Read> = texts
        .iter()
        .map(|file| Read {
            path: file.0.clone(),
            text: String::from_utf8_lossy(&file.1).into_owned(),
            outcome: read(file, known.as_ref()),
        })
        .collect();
    add_duplicates(&mut files);
    add_circles(&mut files);
    let notes = files.iter().filter_map(read_on_workers).collect();
    let all = || files.iter().flat_map(|file| &file.outcome.diagnostics);
    let errors = all().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    let warnings = all().count() - errors;
    let files: Vec<CheckedFile> =
        files
            .into_iter()
            .map(|file| CheckedFile {
                is_valid: diagnostic::n_errors(&file.outcome.diagnostics) == 0,
                compat: file.outcome.definition.as_ref().map_or(Vec::new(), |definition| {
                    xml::switches_that_matter(definition, node::spec::all()).into_iter().map(Compat::word).collect()
                }),
                has_receivers: file.outcome.definition.as_ref().is_some_and(|definition| {
                    !definition.mail_receivers.is_empty() && !definition.mail_levels.is_empty()
                }),
                path: file.path,
                workflow: file.outcome.name,
                diagnostics: file.outcome.diagnostics,
            })
            .collect();
    Ok(Checked { is_valid: errors == 0, errors, warnings, files, notes })
}

/// What cannot be looked for here.
fn read_on_workers(file: &Read) -> Option<Message> {
    let paths = node::beside::on_workers(file.outcome.definition.as_ref()?);
    let is_any = !paths.is_empty();
    is_any.then(|| say!("{}: read on the worker that runs the node, not here: {}", file.path, Value::list(paths)))
}

pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    use std::io::Read as _;
    let failed = |error: std::io::Error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { ExitCode::NotFound } else { ExitCode::Other };
        Failure::new(exit, say!("cannot read {}: {}", path, error.to_string()))
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_end(&mut bytes)).map_err(failed)?;
    Ok(bytes)
}

fn add_duplicates(files: &mut [Read]) {
    let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, file) in files.iter().enumerate() {
        if let Some(name) = &file.outcome.name {
            by_name.entry(name.clone()).or_default().push(at);
        }
    }
    for (name, places) in by_name.into_iter().filter(|(_, places)| places.len() > 1) {
        let paths: Vec<String> = places.iter().map(|at| files[*at].path.clone()).collect();
        for at in places {
            let others: Vec<&str> = paths.iter().filter(|path| **path != files[at].path).map(String::as_str).collect();
            let message = say!("workflow \"{}\" is also in {}", name, Value::list(others));
            let fault =
                fault(&files[at], Code::DuplicateWorkflow, &name, message, say!("give one of them another name"));
            files[at].outcome.diagnostics.push(fault);
        }
    }
}

/// Workflows that wait for each other: none of them would ever start by itself.
fn add_circles(files: &mut [Read]) {
    let waits: BTreeMap<String, Vec<String>> = files
        .iter()
        .filter_map(|file| file.outcome.definition.as_ref())
        .map(|definition| (definition.name.to_string(), prerequisites(definition)))
        .collect();
    for file in files.iter_mut() {
        let Some(name) = file.outcome.definition.as_ref().map(|definition| definition.name.to_string()) else {
            continue;
        };
        let Some(circle) = circle_from(&name, &waits).filter(|circle| circle.len() > 2) else { continue };
        let message = say!("workflows wait for each other: {}", circle.join(" -> "));
        let hint = say!("remove one of these prerequisites");
        let fault = fault(file, Code::DependencyCircle, &circle[1], message, hint);
        file.outcome.diagnostics.push(fault);
    }
}

fn prerequisites(definition: &Definition) -> Vec<String> {
    let coordinator = definition.coordinator.iter();
    coordinator.flat_map(|c| &c.prerequisites).map(|prerequisite| prerequisite.workflow.to_string()).collect()
}

/// The shortest way from a workflow back to itself, with it at both ends.
fn circle_from(name: &str, waits: &BTreeMap<String, Vec<String>>) -> Option<Vec<String>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([name]);
    while let Some(at) = queue.pop_front() {
        for next in waits.get(at).into_iter().flatten() {
            if next == name {
                let mut way = vec![name.to_owned(), at.to_owned()];
                let mut back = at;
                while let Some(before) = came_from.get(back) {
                    way.push((*before).to_owned());
                    back = before;
                }
                if at == name {
                    way.pop();
                }
                way.reverse();
                way.push(name.to_owned());
                way.dedup();
                return Some(way);
            }
            if next != name && waits.contains_key(next) && !came_from.contains_key(next.as_str()) {
                came_from.insert(next, at);
                queue.push_back(next);
            }
        }
    }
    None
}

/// At the first line that has the word between quotes.
fn fault(file: &Read, code: Code, word: &str, message: Message, hint: Message) -> Diagnostic {
    let quoted = [format!("\"{word}\""), format!("'{word}'")];
    let found = file.text.lines().zip(1..).find_map(|(line, number)| {
        let at = quoted.iter().find_map(|quoted| line.find(quoted.as_str()))?;
        Some((number, line, line[..at].chars().count() as u32 + 2))
    });
    let (line, text, column) = found.unwrap_or((1, file.text.lines().next().unwrap_or_default(), 1));
    Diagnostic {
        code: code.word().to_owned(),
        severity: code.severity(),
        file: file.path.clone(),
        line,
        column,
        length: word.chars().count().max(1) as u32,
        message,
        label: None,
        hint: Some(hint),
        notes: Vec::new(),
        excerpt: vec![ExcerptLine::around(line, text, column)],
    }
}

fn text(checked: &Checked, console: &Console) -> String {
    let mut text = String::new();
    for file in &checked.files {
        text.push_str(&diagnostic::render(&file.diagnostics, console.language.voice()));
    }
    for file in checked.files.iter().filter(|file| !file.compat.is_empty()) {
        let switches = file.compat.join(", ");
        text.push_str(&match console.language {
            Language::En => format!("{}: with compat {switches} it would mean something else\n", file.path),
            Language::Zh => format!("{}: 若设置 compat {switches}, 其含义会不同\n", file.path),
        });
    }
    for note in &checked.notes {
        text.push_str(&format!("{}: {}\n", console.word("note", "说明"), console.say(note)));
    }
    let summary = match console.language {
        Language::En => {
            let of = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
            let (files, errors) = (of(checked.files.len(), "file"), of(checked.errors, "error"));
            format!("{files}, {errors}, {}", of(checked.warnings, "warning"))
        }
        Language::Zh => {
            format!("{} 个文件, {} 个错误, {} 个警告", checked.files.len(), checked.errors, checked.warnings)
        }
    };
    text + &summary
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workflow(name: &str, waits_for: &[&str]) -> String {
        let list: String = waits_for.iter().map(|name| format!("<workflow name=\"{name}\"/>")).collect();
        let coordinator = if waits_for.is_empty() {
            String::new()
        } else {
            format!("<coordinator><depend-list>{list}</depend-list></coordinator>")
        };
        format!("<work-flow name=\"{name}\">{coordinator}<start name=\"s\" to=\"e\"/><end name=\"e\"/></work-flow>")
    }

    #[test]
    fn files_that_a_definition_names_are_looked_for_and_those_of_workers_are_said() {
        let dir = tempfile::tempdir().unwrap();
        let text = "<work-flow name=\"w\"><start name=\"s\" to=\"a\"/><action name=\"a\"><file-executor>\
                    <command>sh lib/load.sh ${time.today}</command><attach-list><file>top.csv</file><file>/opt/x.csv</file>\
                    </attach-list></file-executor><ok to=\"e\"/></action><end name=\"e\"/></work-flow>";
        let path = dir.path().join("dw/w.xml");
        std::fs::create_dir_all(dir.path().join("dw/lib")).unwrap();
        std::fs::write(&path, text).unwrap();
        let verdict = |bytes_max: u64| {
            let places = Places::of([dir.path().to_owned()].into_iter(), bytes_max);
            let checked = check(std::slice::from_ref(&path), true, Zone::UTC, &places).unwrap();
            let faults = checked.files[0].diagnostics.iter().map(|d| format!("{} {}", d.code, d.message.english()));
            (faults.collect::<Vec<_>>(), checked.notes.iter().map(Message::english).collect::<Vec<_>>())
        };
        assert_eq!(verdict(9).0, ["RF-W0123 there is no file lib/load.sh", "RF-W0123 there is no file top.csv"]);
        std::fs::write(dir.path().join("dw/lib/load.sh"), "12345").unwrap();
        std::fs::write(dir.path().join("top.csv"), "12345").unwrap();
        let (faults, notes) = verdict(10);
        assert_eq!(faults, Vec::<String>::new());
        assert!(notes.len() == 1 && notes[0].ends_with("not here: /opt/x.csv"), "{notes:?}");
        let (faults, _) = verdict(9);
        assert!(faults.len() == 1 && faults[0].contains("may have 9 together"), "{faults:?}");
    }

    fn codes(files: &[(&str, String)], is_whole: bool) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let mut paths = Vec::new();
        for (path, text) in files {
            paths.push(dir.path().join(path));
            std::fs::write(dir.path().join(path), text).unwrap();
        }
        let checked = check(&paths, is_whole, Zone::UTC, &Places::of([].into_iter(), 0)).unwrap();
        let all = checked.files.iter().flat_map(|file| &file.diagnostics);
        all.filter(|d| d.severity == Severity::Error)
            .map(|d| format!("{} {}", d.code, d.message.english().split(": ").last().unwrap_or_default()))
            .collect()
    }

    #[test]
    fn akka_10_workflows_that_wait_for_each_other_are_named_in_their_order() {
        let files = [
            ("a.xml", workflow("a", &["b"])),
            ("b.xml", workflow("b", &["c", "d"])),
            ("c.xml", workflow("c", &["a"])),
            ("d.xml", workflow("d", &[])),
        ];
        assert_eq!(
            codes(&files, true),
            ["RF-D0102 a -> b -> c -> a", "RF-D0102 b -> c -> a -> b", "RF-D0102 c -> a -> b -> c"]
        );
    }

    #[test]
    fn a_name_in_two_files_is_shown_in_both() {
        let files = [("a.xml", workflow("same", &[])), ("b.xml", workflow("same", &[]))];
        let codes = codes(&files, true);
        assert_eq!(codes.len(), 2);
        assert!(codes.iter().all(|code| code.starts_with("RF-D0101")), "{codes:?}");
    }

    #[test]
    fn a_missing_prerequisite_is_an_error_when_all_files_are_there_and_none_is_known_otherwise() {
        let files = [("a.xml", workflow("a", &["nowhere"]))];
        assert_eq!(codes(&files, true).len(), 1);
        assert_eq!(codes(&files, false), Vec::<String>::new());
    }
}
