//! A disk that is really full: a small file system of its own under the data of the cluster.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cluster::{Cluster, text_of};

/// A file system in memory, mounted while this lives.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// `Err` says why this machine mounts nothing.
    fn mount(at: &Path, mebibytes: u32) -> Result<Self, String> {
        fs::create_dir_all(at).map_err(|error| error.to_string())?;
        let options = format!("size={mebibytes}m,mode=0700");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "ractorflow-test"]).arg(at).output();
        match mount {
            Ok(output) if output.status.success() => Ok(Self { at: at.to_owned() }),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(format!("mount: {error}")),
        }
    }

    /// Takes all space but so many bytes.
    fn fill_but(&self, bytes: u64) {
        let free = nix::sys::statvfs::statvfs(&self.at).expect("statvfs");
        let free = free.blocks_available() * free.fragment_size();
        let mut file = File::options().create(true).append(true).open(self.filler()).expect("the filler");
        let block = vec![0; 64 * 1024];
        let mut left = free.saturating_sub(bytes);
        while left > 0 {
            let size = left.min(block.len() as u64);
            // The cluster writes too: what it took meanwhile is not there any more.
            if file.write_all(&block[..size as usize]).is_err() {
                return;
            }
            left -= size;
        }
    }

    fn clear(&self) {
        fs::remove_file(self.filler()).expect("the filler goes");
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.at).output();
        if !unmounted.is_ok_and(|output| output.status.success()) {
            eprintln!("{} stays mounted", self.at.display());
        }
    }
}

/// Three tasks one after the other, each of which waits for a file.
fn gated(name: &str, gates: &Path) -> String {
    let mut text =
        format!("<work-flow name=\"{name}\" schema=\"1\" instance-limit=\"9\">\n  <start name=\"start\" to=\"a\"/>\n");
    for (node, next) in [("a", "b"), ("b", "c"), ("c", "end")] {
        let gate = gates.join(node);
        text.push_str(&format!(
            "  <action name=\"{node}\"><script><code><![CDATA[until [ -e '{}' ]; do sleep 0.05; done\necho {node} is through]]></code></script><ok to=\"{next}\"/></action>\n",
            gate.display()
        ));
    }
    text + "  <end name=\"end\"/>\n</work-flow>"
}

fn state_of(cluster: &Cluster, number: &str, node: &str) -> String {
    let page = cluster.page(&format!("/api/v1/instances/{number}/nodes/{node}")).unwrap_or_default();
    let state = page.split("\"state\":\"").nth(1).and_then(|rest| rest.split('"').next());
    state.unwrap_or_default().to_owned()
}

fn is_refused(cluster: &Cluster, arguments: &[&str]) -> bool {
    let output = cluster.client(arguments);
    let said = text_of(&output);
    assert!(output.status.success() || said.contains("disk"), "{arguments:?}: {said}");
    !output.status.success() && said.contains("disk-full")
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn a_full_disk_refuses_changes_takes_results_and_is_over_when_there_is_room() {
    let gates = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::new(&[("gated.xml", &gated("gated", gates.path()))]);
    let disk = match SmallDisk::mount(&cluster.home().join("data"), 96) {
        Ok(disk) => disk,
        Err(reason) => return println!("skipped: this machine mounts no file system here ({reason})"),
    };
    let cluster = cluster
        .setting("RACTORFLOW_MASTER__BALLAST_BYTES", "4194304")
        .setting("RACTORFLOW_MASTER__DISK_FREE_MIN_BYTES", "16777216");
    cluster.start();
    cluster.await_true("the workflow", || cluster.try_json(&["workflow", "show", "gated"]).is_some());
    let run = cluster.client(&["run", "gated", "-q"]);
    assert!(run.status.success(), "{}", text_of(&run));
    let number = String::from_utf8_lossy(&run.stdout).trim().trim_start_matches('#').to_owned();
    cluster.await_true("the first task", || state_of(&cluster, &number, "a") == "running");
    let pid = cluster.pid_of("m1");

    // Nearly full: no changes, but results.
    disk.fill_but(8 << 20);
    let changes: [&[&str]; 4] = [
        &["run", "gated"],
        &["workflow", "disable", "gated"],
        &["instance", "pause", &number],
        &["workflow", "reset", "gated"],
    ];
    cluster.await_true("changes to be refused", || changes.iter().all(|change| is_refused(&cluster, change)));
    let refused = cluster.client(&["run", "gated", "-o", "json"]);
    assert!(text_of(&refused).contains("\"disk-full\""), "{}", text_of(&refused));
    fs::write(gates.path().join("a"), "").expect("a gate");
    cluster.await_true("the second task", || state_of(&cluster, &number, "b") == "running");
    assert_eq!(state_of(&cluster, &number, "a"), "succeeded");
    assert!(cluster.client(&["status"]).status.success(), "reads go on");

    // Not a byte left: what was set aside is given up for the results.
    disk.fill_but(0);
    fs::write(gates.path().join("b"), "").expect("a gate");
    cluster.await_true("the third task", || state_of(&cluster, &number, "c") == "running");
    assert_eq!(state_of(&cluster, &number, "b"), "succeeded");
    assert!(is_refused(&cluster, &["run", "gated"]));
    println!("full: changes refused, results of running tasks taken");

    disk.clear();
    fs::write(gates.path().join("c"), "").expect("a gate");
    cluster.await_true("changes to be taken again", || !is_refused(&cluster, &["run", "gated", "-q"]));
    let wait = cluster.client(&["instance", "wait", &number, "--timeout", "1m"]);
    assert_eq!(wait.status.code(), Some(0), "{}", text_of(&wait));
    let second = cluster.client(&["instance", "wait", "last:gated", "--timeout", "1m"]);
    assert_eq!(second.status.code(), Some(0), "{}", text_of(&second));
    assert_eq!(cluster.pid_of("m1"), pid, "without a restart");
    let logs = cluster.client(&["logs", &number]);
    // What "b" wrote had nowhere to go; that it succeeded is known all the same.
    for node in ["a", "c"] {
        assert!(text_of(&logs).contains(&format!("{node} is through")), "{}", text_of(&logs));
    }
    println!("room again: changes taken, the same process");
    cluster.stop("--now");
}
