//! What each module may import, as docs/ARCHITECTURE.md says it: imports point down, and the pure modules stay pure.
//! And every key of the configuration is read by the code that it is for, and every promise to users of akkaflow has a
//! test.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use ractorflow::config::KEYS;

/// Module, and the modules that it may import. A module may always import itself. `a::b` allows that part alone.
const MATRIX: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("engine", &["model"]),
    ("xml", &["model"]),
    ("config", &["model"]),
    ("api", &["model"]),
    ("store", &["model", "engine", "api"]),
    ("connector", &["model"]),
    ("node", &["model", "xml", "connector"]),
    ("cluster", &["model", "config", "store"]),
    ("actor", &["model", "engine", "xml", "config", "api", "store", "connector", "node", "cluster"]),
    ("http", &["model", "api", "config", "actor::handle"]),
    ("cli::console", &["model", "api", "config"]),
    ("cli::remote", &["model", "api", "config", "cli::console"]),
    (
        "cli::offline",
        &["model", "engine", "xml", "node", "store", "connector", "config", "api", "cli::console", "cli::registry"],
    ),
    (
        "cli::server",
        &["model", "engine", "xml", "config", "api", "store", "connector", "node", "cluster", "actor", "http", "cli"],
    ),
    ("cli::akkaflow", &["model", "api", "cli::console", "cli::registry"]),
    ("cli::registry", &["api", "cli"]),
    ("cli::help", &["api", "cli::registry"]),
    ("cli::usage", &["cli::console", "cli::help", "cli::registry"]),
    ("cli", &["api", "cli"]),
];

/// What the engine must not know: the outside. A pure module gets time, randomness and files as arguments.
const ENGINE_MUST_NOT: &[&str] = &[
    "SystemTime",
    "Instant::now",
    "Utc::now",
    "Local::now",
    "HashMap",
    "HashSet",
    "std::fs",
    "std::net",
    "tracing::",
    "rand::",
    "getrandom",
    "f32",
    "f64",
];

/// A mutant that no longer applies tests nothing, and is noticed only when somebody runs them all.
#[test]
fn every_mutant_applies_to_the_sources_as_they_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let patches: Vec<_> = fs::read_dir(root.join("tests/mutants"))
        .expect("tests/mutants")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "patch"))
        .collect();
    assert!(patches.len() >= 12, "{} mutants", patches.len());
    for patch in patches {
        let checked = Command::new("git").args(["apply", "--check"]).arg(&patch).current_dir(root).output();
        let Ok(checked) = checked else { return println!("skipped: no git here") };
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{} does not apply: {said}", patch.display());
    }
}

#[test]
fn imports_follow_the_matrix() {
    let mut wrong = Vec::new();
    for_each_file(&mut |path, text| {
        let Some(module) = module_of(path).filter(|_| !is_test(path)) else { return };
        let Some((_, allowed)) = MATRIX.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("src/{path}: module {module} has no row in the matrix"));
            return;
        };
        for (line, import) in imports(without_tests(text)) {
            // What is no module is a macro, which lives at the root wherever it is written.
            let is_module = MATRIX.iter().any(|(name, _)| is_within(&import, name));
            let is_own = is_within(&import, &module);
            if is_module && !is_own && !allowed.iter().any(|allowed| is_within(&import, allowed)) {
                wrong.push(format!("src/{path}:{line}: {module} must not import {import}"));
            }
        }
    });
    assert!(wrong.is_empty(), "{} imports against the matrix:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_engine_knows_no_clock_no_io_and_no_chance() {
    let mut wrong = Vec::new();
    for_each_file(&mut |path, text| {
        if !path.starts_with("engine/") || is_test(path) {
            return;
        }
        for (number, line) in without_comments(without_tests(text)).lines().enumerate() {
            for word in ENGINE_MUST_NOT.iter().filter(|word| has_word(line, word)) {
                wrong.push(format!("src/{path}:{}: {word}", number + 1));
            }
        }
    });
    assert!(wrong.is_empty(), "the engine reaches outside:\n{}", wrong.join("\n"));
}

/// Weaknesses of akkaflow that must be impossible here: the test `w01_…` is of the first.
const WEAKNESSES: &[&str] = &[
    "a workflow without a coordinator, or with a name of any kind, stops nothing",
    "a start time in the future is waited for",
    "the plan of the day is made whatever the coordinators say",
    "weekly crons fire weekly",
    "one Master leads; what runs is adopted and not run again",
    "a lost Worker leaves nothing hanging",
    "what is documented works: attachments, file-executor, metadata, shell, the command lines",
    "joins do not hang, a node runs once, an end leaves nothing running",
    "no fire is dropped unsaid, and values are values",
    "host and labels choose the right worker, within its slots",
    "timeouts, kills and retries end what they should, and only that",
    "throughput does not hang on ticks or on the number of workflows",
    "transfer has bounded memory, and leaves a target as it was when it fails",
    "history stays",
    "nothing is open, in clear or guessable",
    "dry run, pause, catch-up, metrics",
];
/// What a user of akkaflow must find again: the test `akka_01_…` is of the first.
const POINTS: &[&str] = &[
    "attributes of the root",
    "the coordinator's window, cron and sentences",
    "prerequisites, with cron, and their reset",
    "param-list and the forms of parameters and times",
    "control nodes and edges",
    "attributes of actions",
    "the action types",
    "links of databases and file systems",
    "the watched directory, and readiness over a new version",
    "check",
    "commands on workflows",
    "commands on instances",
    "front and util",
    "nodes ignored at the trigger",
    "mail",
    "roles and the tree of the cluster",
    "what is left of the day",
];
const PROMISES: &[(&str, &[&str])] = &[("w", WEAKNESSES), ("akka_", POINTS)];

#[test]
fn every_promise_to_users_of_akkaflow_has_a_test() {
    let mut kept: BTreeSet<(&str, usize)> = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut look = |path: &str, text: &str| {
        for (name, is_ignored) in tests_of(text) {
            let Some((kind, number)) = promise(&name) else { continue };
            let n_promises = PROMISES.iter().find(|(known, _)| *known == kind).map_or(0, |(_, all)| all.len());
            if number == 0 || number > n_promises {
                wrong.push(format!("{path}: {name}"));
            } else if !is_ignored {
                kept.insert((kind, number));
            }
        }
    };
    for_each_file(&mut look);
    for_each_file_of("tests", &mut look);
    assert!(wrong.is_empty(), "there is no such promise: {}", wrong.join(", "));
    let all = PROMISES.iter().flat_map(|(kind, all)| (1..).zip(*all).map(move |(number, what)| (*kind, number, what)));
    let missing: Vec<String> = all
        .filter(|(kind, number, _)| !kept.contains(&(*kind, *number)))
        .map(|(kind, number, what)| format!("{kind}{number:02}: {what}"))
        .collect();
    assert!(missing.is_empty(), "no test that runs everywhere is named after\n{}", missing.join("\n"));
}

#[test]
fn the_search_for_promises_sees_tests_alone() {
    let text = "#[test]\nfn w01_a() {}\n#[tokio::test]\n#[ignore = \"x\"]\nasync fn akka_17_b() {}\nfn w02_no_test() {}\n\
                // #[test]\n// fn w03_c() {}\n#[cfg(test)]\nfn w04_d() {}";
    assert_eq!(tests_of(text), [("w01_a".to_owned(), false), ("akka_17_b".to_owned(), true)]);
    assert_eq!(promise("w01_a"), Some(("w", 1)));
    assert_eq!(promise("akka_17_b"), Some(("akka_", 17)));
    for other in ["what_is", "w1_a", "akka_x", "w01", "akkaflow", "w001_a"] {
        assert_eq!(promise(other), None, "{other}");
    }
}

/// Names of the test functions, and whether they wait for services.
fn tests_of(text: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let (mut is_test, mut is_ignored) = (false, false);
    for line in without_comments(text).lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            is_ignored |= line.starts_with("#[ignore");
            continue;
        }
        let name = line.trim_start_matches("pub ").trim_start_matches("async ").strip_prefix("fn ");
        if let Some(name) = name.filter(|_| is_test) {
            found.push((name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect(), is_ignored));
        }
        (is_test, is_ignored) = (false, false);
    }
    found
}

/// `w07_…` and `akka_12_…`: which promise a name stands for.
fn promise(name: &str) -> Option<(&'static str, usize)> {
    PROMISES.iter().find_map(|(kind, _)| {
        let (digits, rest) = name.strip_prefix(kind)?.split_once('_')?;
        let is_number = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit()) && !rest.is_empty();
        is_number.then(|| Some((*kind, digits.parse().ok()?)))?
    })
}

#[test]
fn the_reader_of_imports_sees_what_is_written() {
    let text = "use crate::{api, model::id::{A, B}, store};\nuse crate::xml;\n// use crate::http;\nlet x = crate::node::spec::all();\n\
                let s = \"crate::actor\"; pub(in crate::cli) fn f() {}";
    let found: Vec<String> = imports(text).into_iter().map(|(line, import)| format!("{line} {import}")).collect();
    assert_eq!(found, ["1 api", "1 model::id", "1 store", "2 xml", "4 node::spec"]);
    assert!(is_within("actor::handle", "actor") && is_within("actor::handle", "actor::handle"));
    assert!(!is_within("actor", "actor::handle") && !is_within("actors", "actor"));
}

/// Read by a method of its own section, which is what others call.
const KEYS_BEHIND_A_METHOD: &[(&str, &str, &str)] =
    &[("time", "zone", "zone_name"), ("mail", "language", "lang"), ("http", "public_url", "pages_url")];

#[test]
fn every_key_of_the_configuration_is_read() {
    let mut texts = Vec::new();
    for_each_file(&mut |path, text| {
        if !path.starts_with("config/") && !is_test(path) {
            texts.push(without_blanks(&without_comments(without_tests(text))));
        }
    });
    let unread: Vec<String> = KEYS
        .iter()
        .filter(|key| !texts.iter().any(|text| reads_key(text, key.section, key.name)))
        .map(|key| format!("[{}] {}", key.section, key.name))
        .collect();
    assert!(unread.is_empty(), "{} keys of the configuration do nothing:\n{}", unread.len(), unread.join("\n"));
}

#[test]
fn the_search_for_keys_sees_what_is_read() {
    let reads = |text: &str| reads_key(&without_blanks(text), "http", "port");
    assert!(reads("let p = config\n    .http\n    .port;"));
    assert!(reads("let settings = &context.config.http; f(settings.port)"));
    assert!(reads("fn f(conf: &config::Http) { conf.port }"));
    assert!(reads("fn f(conf: &Http) { conf.port }"));
    assert!(!reads("let port = url.port;"));
    assert!(!reads("let settings = &config.cluster; f(settings.port)"));
    assert!(!reads("config.http.port_base; http.port()"));
    assert!(!reads("let settings = &config.http; other.port"));
}

/// Does the text use `section.key`, or the key of a variable that stands for the section?
fn reads_key(text: &str, section: &str, key: &str) -> bool {
    let method = KEYS_BEHIND_A_METHOD.iter().find(|(s, k, _)| *s == section && *k == key).map(|(_, _, method)| method);
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let uses = |name: &str| {
        let wanted = match method {
            Some(method) => format!("{name}.{method}("),
            None => format!("{name}.{key}"),
        };
        text.match_indices(&wanted).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let after = text[at + wanted.len()..].chars().next();
            !before.is_some_and(is_word) && (method.is_some() || !after.is_some_and(|c| is_word(c) || c == '('))
        })
    };
    let last_word = |text: &str| -> String {
        let text = text.trim_end();
        text[text.trim_end_matches(is_word).len()..].to_owned()
    };
    // `let name = &….section;`
    let whole = format!(".{section};");
    let bound = text.match_indices(&whole).filter_map(|(at, _)| {
        let (left, _) = text[..at].rsplit_once('=')?;
        Some(last_word(left))
    });
    // `name: &Section` of a function's parameter or a struct's field.
    let type_name: String = section[..1].to_uppercase() + &section[1..];
    let typed = text.match_indices(&type_name).filter_map(|(at, _)| {
        let left = text[..at].trim_end_matches("config::").trim_end_matches('&').trim_end();
        left.strip_suffix(':').filter(|left| !left.ends_with(':')).map(last_word)
    });
    std::iter::once(section.to_owned()).chain(bound).chain(typed).any(|name| !name.is_empty() && uses(&name))
}

/// Every run of blanks is one, and none stands around a dot: a chain of calls over several lines is one text.
fn without_blanks(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace(" .", ".").replace(". ", ".")
}

/// `engine` for engine/…, `cli::remote` for cli/remote/…; the crate's root files are free.
fn module_of(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    match parts.as_slice() {
        ["lib" | "main"] | ["bin", ..] => None,
        ["cli"] | ["cli", "mod"] => Some("cli".to_owned()),
        ["cli", part, ..] => Some(format!("cli::{part}")),
        [module, ..] => Some((*module).to_owned()),
        [] => None,
    }
}

/// Tests may build what they need out of any layer.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests {").map_or(text, |(code, _)| code)
}

fn is_within(import: &str, module: &str) -> bool {
    import == module || import.strip_prefix(module).is_some_and(|rest| rest.starts_with("::"))
}

/// The first two words after each `crate::`, with the line; groups are taken apart.
fn imports(text: &str) -> BTreeSet<(usize, String)> {
    let text = without_comments(text);
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let before = text[..at].chars().next_back();
        let is_path = before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$');
        if is_path || text[..at].ends_with("pub(in ") {
            continue;
        }
        let line = text[..at].matches('\n').count() + 1;
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(members(group).into_iter().map(|import| (line, import))),
            None => found.extend(first_two(rest).map(|import| (line, import))),
        }
    }
    found
}

/// The parts of `{a, b::c, d::{e}}` that stand at its own level.
fn members(group: &str) -> Vec<String> {
    let mut members = Vec::new();
    let mut depth = 0;
    let mut start = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                members.extend(first_two(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                members.extend(first_two(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    members
}

fn first_two(path: &str) -> Option<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let path = path.trim_start();
    let first: String = path.chars().take_while(|c| is_word(*c)).collect();
    let second: String = match path[first.len()..].strip_prefix("::") {
        // A part that begins with a capital is a type of the module itself.
        Some(rest) => rest.chars().take_while(|c| is_word(*c)).collect(),
        None => String::new(),
    };
    if first.is_empty() {
        return None;
    }
    let is_module = second.chars().next().is_some_and(|c| c.is_lowercase());
    Some(if is_module { format!("{first}::{second}") } else { first })
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let ends_open = word.ends_with(':');
        !is_part(line[..at].chars().next_back()) && (ends_open || !is_part(line[at + word.len()..].chars().next()))
    })
}

/// The code with comments and the insides of string literals blanked, line breaks kept.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut in_string = false;
    while let Some(c) = chars.next() {
        if in_string {
            match c {
                '\\' => {
                    if chars.next() == Some('\n') {
                        out.push('\n');
                    }
                }
                '"' => {
                    in_string = false;
                    out.push('"');
                }
                '\n' => out.push('\n'),
                _ => {}
            }
            continue;
        }
        match c {
            '/' if chars.peek() == Some(&'/') => {
                for c in chars.by_ref() {
                    if c == '\n' {
                        out.push('\n');
                        break;
                    }
                }
            }
            // A quote as a character literal opens no string.
            '\'' if chars.peek() == Some(&'"') => {
                chars.next();
                out.push(' ');
            }
            '"' => {
                in_string = true;
                out.push('"');
            }
            _ => out.push(c),
        }
    }
    out
}

fn for_each_file(look: &mut dyn FnMut(&str, &str)) {
    for_each_file_of("src", look);
}

fn for_each_file_of(top: &str, look: &mut dyn FnMut(&str, &str)) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(top);
    let mut directories = vec![root.clone()];
    let mut n_files = 0;
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("the source is readable") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("UTF-8");
                let shown = path.strip_prefix(&root).expect("below src").to_str().expect("UTF-8 path").to_owned();
                look(&shown, &text);
                n_files += 1;
            }
        }
    }
    assert!(n_files > 50, "only {n_files} files were looked at");
}
