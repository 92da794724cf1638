//! Verbs on files.

use std::process::Output;

use crate::{Server, assert_golden, client};

const GOOD: &str = "<work-flow name=\"good\"><start name=\"s\" to=\"e\"/><end name=\"e\"/></work-flow>";
const BROKEN: &str = "<work-flow name=\"bad\">\n  <start name=\"s\" to=\"导入\"/>\n  <action name=\"导入\">\n    <script><code>echo</code></script>\n    <ok to=\"ennd\"/>\n  </action>\n  <end name=\"end\"/>\n</work-flow>\n";

fn in_dir(files: &[(&str, &str)], arguments: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    client(arguments).current_dir(dir.path()).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn check_shows_every_fault_with_its_place() {
    let output = in_dir(&[("bad.xml", BROKEN)], &["check", "bad.xml"]);
    assert_eq!(output.status.code(), Some(7));
    assert_golden("table/check.txt", &text(&output));
    let output = in_dir(&[("bad.xml", BROKEN)], &["check", "bad.xml", "-o", "json"]);
    assert_eq!(output.status.code(), Some(7));
    assert_golden("json/check.json", &text(&output));
    let output = in_dir(&[("bad.xml", BROKEN)], &["check", "bad.xml", "--lang", "zh"]);
    assert_golden("zh/check.txt", &text(&output));
}

#[test]
fn check_of_a_directory_and_of_nothing() {
    let output = in_dir(&[("good.xml", GOOD), ("note.txt", "<")], &["check", "."]);
    assert_eq!((output.status.code(), text(&output).trim()), (Some(0), "1 file, 0 errors, 0 warnings"));
    assert_eq!(in_dir(&[], &["check", "nothing.xml"]).status.code(), Some(5));
    assert_eq!(in_dir(&[], &["check", "."]).status.code(), Some(5));
    assert_eq!(in_dir(&[], &["check"]).status.code(), Some(2));
}

#[test]
fn files_go_to_the_cluster_as_text() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("good.xml");
    std::fs::write(&file, GOOD).unwrap();
    let path = file.to_str().unwrap();
    assert_eq!(server.run(&["workflow", "check", path]).status.code(), Some(0));
    std::fs::write(&file, "<broken").unwrap();
    assert_eq!(server.run(&["workflow", "check", path]).status.code(), Some(7));
    assert_eq!(server.run(&["workflow", "apply", path]).status.code(), Some(0));
    assert_eq!(server.master.changes.lock().unwrap().len(), 1);
}

#[test]
fn links_are_listed_and_tried_and_no_password_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("conf")).unwrap();
    let databases = "<db-links>\n<link name='here' type='SQLITE' jdbc-url='jdbc:sqlite:data.db' desc='本地'/>\n\
        <link name='far' type='MYSQL' jdbc-url='jdbc:mysql://127.0.0.1:9/wf' username='etl' password='s3cret-word'/>\n</db-links>";
    std::fs::write(dir.path().join("conf/db_links.xml"), databases).unwrap();
    let home = ["--home", dir.path().to_str().unwrap()];
    let run = |words: &[&str]| client(&[words, &home].concat()).output().unwrap();
    let mut all = String::new();
    for words in [&["link", "check", "-q"][..], &["link", "check"], &["link", "check", "-o", "json"]] {
        let output = run(words);
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        let (form, extension) = if words.len() == 2 { ("table", "txt") } else { ("json", "json") };
        if !words.contains(&"-q") {
            assert_golden(&format!("{form}/link-check.{extension}"), &text(&output));
        }
        all += &text(&output);
    }
    let open = |names: &[&str]| run(&[&["link", "check", "--open"], names].concat());
    let one = open(&["here", "-o", "json"]);
    let tried: serde_json::Value = serde_json::from_slice(&one.stdout).unwrap();
    assert_eq!((one.status.code(), &tried[0]["is_ok"]), (Some(0), &serde_json::Value::Bool(true)));
    let both = open(&["here", "far"]);
    assert_eq!(both.status.code(), Some(12));
    all += &text(&both);
    assert!(all.contains("127.0.0.1:9: Connection refused"), "{all}");
    let far = open(&["far", "-o", "json"]);
    let tried: serde_json::Value = serde_json::from_slice(&far.stdout).unwrap();
    assert_eq!((far.status.code(), tried[0]["failed_at"].as_str()), (Some(1), Some("connect")));
    let unknown = open(&["heer"]);
    assert_eq!(unknown.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("here"), "{unknown:?}");
    assert!(!all.contains("s3cret-word"));
}

#[test]
fn settings_are_shown_with_their_source_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("conf")).unwrap();
    let file = dir.path().join("conf/ractorflow.toml");
    std::fs::write(&file, "[worker]\nslots = 3\n").unwrap();
    let run = |arguments: &[&str]| {
        client(arguments).env("RACTORFLOW_HOME", dir.path()).env("RACTORFLOW_HTTP__PORT", "9001").output().unwrap()
    };
    let shown = text(&run(&["config", "show", "--sources"]));
    let line = |key: &str| shown.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
    assert!(line("worker.slots").ends_with("conf/ractorflow.toml:2"), "{shown}");
    assert!(line("http.port").contains("9001") && line("http.port").ends_with("RACTORFLOW_HTTP__PORT"), "{shown}");
    assert!(line("cluster.name").ends_with("default"), "{shown}");
    assert_eq!(run(&["config", "check"]).status.code(), Some(0));
    std::fs::write(&file, "[worker]\n  slot = 3\n").unwrap();
    let output = run(&["config", "check"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("conf/ractorflow.toml:2:3 unknown key \"slot\", did you mean \"slots\"?"), "{said}");
    let output = run(&["config", "check", "--lang", "zh"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("conf/ractorflow.toml:2:3 未知的键“slot”，是否想写“slots”？"), "{said}");
}

#[test]
fn texts_for_machines() {
    assert_eq!(text(&client(&["version", "-q"]).output().unwrap()).trim(), env!("CARGO_PKG_VERSION"));
    let xsd = text(&client(&["schema", "xsd"]).output().unwrap());
    assert!(roxmltree::Document::parse(&xsd).is_ok());
    let openapi = Server::start().text(&["schema", "openapi"]);
    let openapi: serde_json::Value = serde_json::from_str(&openapi).unwrap();
    assert!(openapi["paths"].is_object());
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&client(&["completion", shell]).output().unwrap()).contains("instance"), "{shell}");
    }
}

/// The scripts build what is older than its source, but never before they stop or look at what runs.
#[test]
fn a_newer_source_is_built_before_a_start_and_not_before_a_stop() {
    use std::os::unix::fs::PermissionsExt;
    let tree = tempfile::tempdir().unwrap();
    let program = |path: &str, says: &str| {
        let path = tree.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\necho {says} \"$@\"\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    program("target/release/ractorflow", "ran");
    // A machine that cannot link the shim statically runs it as it is.
    program("bin2/cargo", "built \"$1\"; [ \"$1\" != rustc ]; exit; :");
    program("bin2/cc", "/bin/sh; exit; :");
    std::fs::create_dir_all(tree.path().join("sbin")).unwrap();
    for name in ["ractorflow", "build"] {
        let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sbin").join(name);
        std::fs::copy(script, tree.path().join("sbin").join(name)).unwrap();
    }
    let script = tree.path().join("sbin/ractorflow");
    let source = tree.path().join("src/main.rs");
    std::fs::create_dir_all(source.parent().unwrap()).unwrap();
    std::fs::write(&source, "").unwrap();
    let newer = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    let run = |words: &[&str]| {
        std::fs::File::options().write(true).open(&source).unwrap().set_modified(newer).unwrap();
        let path = format!("{}:/usr/bin:/bin", tree.path().join("bin2").display());
        let output = std::process::Command::new(&script).args(words).env_clear().env("PATH", path).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        (text(&output).trim().to_owned(), text_of(&output.stderr).contains("built build\nbuilt rustc\nthe shim stays"))
    };
    assert_eq!(run(&["local", "start"]), ("ran local start".to_owned(), true));
    assert_eq!(run(&["local", "stop"]), ("ran local stop".to_owned(), false));
    assert_eq!(run(&["local", "status"]), ("ran local status".to_owned(), false));
    // Where nothing was ever built, nothing runs.
    std::fs::remove_file(tree.path().join("target/release/ractorflow")).unwrap();
    for (verb, code) in [("stop", 0), ("status", 3)] {
        let path = format!("{}:/usr/bin:/bin", tree.path().join("bin2").display());
        let output =
            std::process::Command::new(&script).args(["local", verb]).env_clear().env("PATH", path).output().unwrap();
        assert_eq!((output.status.code(), text_of(&output.stderr)), (Some(code), "not running: nothing is built here. Does another binary run it? Then say which: RACTORFLOW_BIN=/path/to/ractorflow\n".to_owned()));
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
