//! The drop directory: broken, half-written, unchanged, moved, deleted files, and edits during a restart.

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, text_of};
use crate::start::TICK;

fn version_of(cluster: &Cluster, workflow: &str) -> Option<u64> {
    cluster.try_json(&["workflow", "show", workflow])?["summary"]["version"].as_u64()
}

fn finished(cluster: &Cluster, workflow: &str) -> usize {
    cluster
        .try_json(&["instance", "list", "--workflow", workflow, "--limit", "500"])
        .and_then(|list| Some(list["items"].as_array()?.iter().filter(|item| item["state"] == "succeeded").count()))
        .unwrap_or(0)
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn a_broken_file_is_shown_within_two_seconds_and_the_old_version_still_fires() {
    let cluster = Cluster::started(&[("tick.xml", TICK)]);
    cluster.await_true("tick to run", || finished(&cluster, "tick") > 0);
    let broken_at = Instant::now();
    cluster.write("tick.xml", &TICK.replace("</action>", "</acton>"));
    let errors = cluster.await_some("the load error", || {
        let errors = cluster.client(&["workflow", "errors"]);
        let text = text_of(&errors);
        text.contains("tick.xml").then_some(text)
    });
    println!("shown after {:?}:\n{errors}", broken_at.elapsed());
    assert!(errors.contains("tick.xml:4"), "names the line: {errors}");
    assert!(errors.contains("acton"), "says what is wrong: {errors}");
    let page = cluster.page("/workflows").expect("the workflows page");
    assert!(page.contains("tick.xml"), "the page shows the error");
    let before = finished(&cluster, "tick");
    cluster.await_true("the old version to fire again", || finished(&cluster, "tick") > before + 1);
    assert_eq!(version_of(&cluster, "tick"), Some(1));
    cluster.write("tick.xml", &TICK.replace("echo tick", "echo tock"));
    cluster.await_true("the mended version", || version_of(&cluster, "tick") == Some(2));
    let errors = cluster.json(&["workflow", "errors"]);
    assert_eq!(errors["items"].as_array().map(Vec::len), Some(0), "{errors}");
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn a_half_written_copy_is_no_error_and_one_version_and_equal_content_none() {
    let cluster = Cluster::started(&[("tick.xml", TICK)]);
    cluster.await_true("tick", || version_of(&cluster, "tick") == Some(1));
    let padding = format!("<!-- {} -->", "x".repeat(500_000));
    let text = TICK.replace("<start", &format!("{padding}<start")).replace("echo tick", "echo long");
    let mut file = fs::File::create(cluster.xmlconfig().join("tick.xml")).expect("tick.xml");
    for piece in text.as_bytes().chunks(text.len() / 10 + 1) {
        file.write_all(piece).expect("a piece");
        file.flush().expect("flush");
        std::thread::sleep(Duration::from_millis(100));
        let errors = cluster.json(&["workflow", "errors"]);
        assert_eq!(errors["items"].as_array().map(Vec::len), Some(0), "{errors}");
    }
    drop(file);
    cluster.await_true("the new version", || version_of(&cluster, "tick") == Some(2));
    cluster.write("tick.xml", &text);
    // A later change that does arrive proves that the rewrite in between was looked at and counted for nothing.
    cluster.write("other.xml", &TICK.replace("\"tick\"", "\"other\""));
    cluster.await_true("the other workflow", || version_of(&cluster, "other") == Some(1));
    assert_eq!(version_of(&cluster, "tick"), Some(2));
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn moved_and_deleted_files_and_edits_during_a_restart() {
    let cluster = Cluster::started(&[("tick.xml", TICK), ("gone.xml", &TICK.replace("\"tick\"", "\"gone\""))]);
    cluster.await_true("both", || version_of(&cluster, "tick").and(version_of(&cluster, "gone")).is_some());
    fs::create_dir_all(cluster.xmlconfig().join("sub")).expect("sub");
    fs::rename(cluster.xmlconfig().join("tick.xml"), cluster.xmlconfig().join("sub/tock.xml")).expect("rename");
    cluster.await_true("the new path", || {
        cluster.try_json(&["workflow", "show", "tick"]).is_some_and(|show| show["summary"]["file"] == "sub/tock.xml")
    });
    assert_eq!(version_of(&cluster, "tick"), Some(1), "a move is no new version");
    fs::remove_file(cluster.xmlconfig().join("gone.xml")).expect("remove");
    cluster.await_true("the deletion to disable it", || {
        cluster.try_json(&["workflow", "show", "gone"]).is_some_and(|show| show["summary"]["enabled"] == false)
    });
    assert!(cluster.stop("--now").status.success());
    cluster.write("sub/tock.xml", &TICK.replace("echo tick", "echo edited"));
    cluster.write("new.xml", &TICK.replace("\"tick\"", "\"new\""));
    cluster.start();
    cluster.await_true("the edit", || version_of(&cluster, "tick") == Some(2));
    cluster.await_true("the new file", || version_of(&cluster, "new") == Some(1));
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn a_missing_prerequisite_is_a_warning_while_it_is_missing_and_an_error_of_check() {
    const AFTER: &str = r#"<work-flow name="after">
  <coordinator>
    <depend-list><workflow name="tick"/></depend-list>
  </coordinator>
  <start name="start" to="work"/>
  <action name="work"><script><code>echo done</code></script><ok to="end"/></action>
  <end name="end"/>
</work-flow>
"#;
    let cluster = Cluster::started(&[("dw/after.xml", AFTER)]);
    cluster.await_true("the workflow", || version_of(&cluster, "after") == Some(1));
    let shown = text_of(&cluster.client(&["workflow", "show", "after"]));
    println!("{shown}");
    assert!(shown.contains("warning[RF-C0110]: there is no workflow \"tick\""), "{shown}");
    assert!(shown.contains("dw/after.xml:3:34"), "{shown}");
    let listed = text_of(&cluster.client(&["workflow", "errors", "--warnings"]));
    assert!(listed.contains("dw/after.xml:3:34"), "{listed}");
    assert!(text_of(&cluster.client(&["workflow", "list"])).contains("1 warning"));
    assert!(cluster.page("/w/after").expect("its page").contains("RF-C0110"));
    let file = cluster.xmlconfig().join("dw/after.xml");
    let checked = cluster.client(&["workflow", "check", file.to_str().expect("an ASCII path")]);
    assert_eq!(checked.status.code(), Some(7), "{}", text_of(&checked));
    let versions = text_of(&cluster.client(&["workflow", "versions", "after"]));
    assert!(versions.contains("file:m1:dw/after.xml"), "{versions}");

    cluster.write("tick.xml", TICK);
    cluster.await_true("the prerequisite", || version_of(&cluster, "tick") == Some(1));
    let shown = text_of(&cluster.client(&["workflow", "show", "after"]));
    assert!(!shown.contains("warning"), "{shown}");
    let listed = cluster.json(&["workflow", "errors", "--warnings"]);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(0), "{listed}");
    let checked = cluster.client(&["workflow", "check", file.to_str().expect("an ASCII path")]);
    assert_eq!(checked.status.code(), Some(0), "{}", text_of(&checked));
    assert_eq!(version_of(&cluster, "after"), Some(1), "nothing was read anew");
}
