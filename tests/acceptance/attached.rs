//! Files that definitions name: larger than a message, on every master before the version counts, and beside the task
//! whatever was lost meanwhile.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::cluster::{Cluster, text_of};
use crate::takeover::leader;

const DEFINITION: &str = r#"<work-flow name="attached" schema="1">
  <env name="LEDGER" value="THE-LEDGER"/>
  <start name="start" to="sum"/>
  <action name="sum" retry-times="0">
    <script>
      <code>set -e; sha256sum data.bin | cut -c1-64 >> "$LEDGER"; echo spoiled >> data.bin</code>
      <attach-list><file>data.bin</file></attach-list>
    </script>
    <ok to="run"/>
  </action>
  <action name="run">
    <file-executor>
      <command>bash bin/append.sh what is here</command>
      <attach-list><file>/etc/hostname</file></attach-list>
    </file-executor>
    <ok to="end"/>
  </action>
  <end name="end"/>
</work-flow>
"#;

/// What the second task says of its directory.
const HERE: &str = "append.sh hostname what is here";

struct Bench {
    cluster: Cluster,
    ledger: PathBuf,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn run(&self) -> Vec<String> {
        let _ = fs::remove_file(&self.ledger);
        let run = self.cluster.client(&["run", "attached", "--wait", "--timeout", "2m"]);
        assert!(run.status.success(), "{}", text_of(&run));
        let ledger = fs::read_to_string(&self.ledger).expect("the tasks ran");
        ledger.lines().map(str::to_owned).collect()
    }

    fn version(&self) -> Option<u64> {
        self.cluster.try_json(&["workflow", "show", "attached"])?["summary"]["version"].as_u64()
    }

    fn held(&self, node: &str, hash: &str) -> PathBuf {
        self.cluster.home().join("data").join(node).join("files").join(hash)
    }

    /// The file on that node is as its name says.
    fn is_right(&self, node: &str, hash: &str) -> bool {
        fs::read(self.held(node, hash)).is_ok_and(|content| hash_of(&content) == hash)
    }
}

fn hash_of(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

/// Nothing that shrinks or repeats.
fn content(salt: u8) -> Vec<u8> {
    let blocks = (0..150_000_u32).map(|n| Sha256::digest([&n.to_le_bytes()[..], &[salt]].concat()));
    blocks.flat_map(|block| block.to_vec()).collect()
}

fn place(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().expect("a directory")).expect("directories");
    let made = path.with_extension("new");
    fs::write(&made, content).expect("a file");
    fs::rename(made, path).expect("its name");
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn attached_files_reach_the_worker_whoever_leads_and_damaged_copies_are_noticed() {
    let directory = tempfile::tempdir().expect("a directory");
    let ledger = directory.path().join("ledger");
    let definition = DEFINITION.replace("THE-LEDGER", &ledger.display().to_string());
    let cluster = Cluster::with_masters(3, &[("dw/attached.xml", &definition)]);
    let (first, second) = (content(1), content(2));
    assert!(first.len() > 4 << 20, "more than a definition may have");
    let data = cluster.xmlconfig().join("dw/data.bin");
    place(&data, &first);
    place(&cluster.xmlconfig().join("dw/bin/append.sh"), b"echo $(ls) $* >> \"$LEDGER\"\n");
    cluster.start();
    let bench = Bench { cluster, ledger, _directory: directory };
    let cluster = &bench.cluster;
    cluster.await_true("the workflow", || bench.version() == Some(1));
    let masters = ["m1", "m2", "m3"];
    let n_held = masters.iter().filter(|master| bench.is_right(master, &hash_of(&first))).count();
    assert!(n_held >= 2, "a majority holds the file before the version is accepted");
    cluster.await_true("all masters to hold it", || masters.iter().all(|m| bench.is_right(m, &hash_of(&first))));
    assert_eq!(bench.run(), [hash_of(&first), HERE.to_owned()]);
    let shown = cluster.json(&["workflow", "show", "attached"])["files"].take();
    let shown: Vec<_> =
        shown.as_array().expect("files").iter().map(|file| (&file["node"], &file["path"], &file["hash"])).collect();
    let script = fs::read(cluster.xmlconfig().join("dw/bin/append.sh")).expect("the script");
    let wanted = [("sum", "data.bin", hash_of(&first)), ("run", "bin/append.sh", hash_of(&script))];
    let wanted = wanted.map(|(node, path, hash)| (json!(node), json!(path), json!(hash)));
    assert_eq!(shown, wanted.each_ref().map(|(node, path, hash)| (node, path, hash)));

    // A damaged copy on the worker.
    let cached = bench.held("w1", &hash_of(&first));
    fs::write(&cached, b"damaged").expect("damage");
    assert_eq!(bench.run(), [hash_of(&first), HERE.to_owned()]);
    assert!(bench.is_right("w1", &hash_of(&first)), "it was fetched again");

    // The worker has nothing, the leader is lost, and the next one's copy is damaged.
    let lost = cluster.await_some("a leader", || leader(cluster));
    fs::remove_file(&cached).expect("the cache is emptied");
    cluster.kill_for_good(&lost);
    let next = cluster.await_some("another leader", || leader(cluster).filter(|next| *next != lost));
    let mut damaged = first.clone();
    damaged[1_000_000] ^= 1;
    fs::write(bench.held(&next, &hash_of(&first)), &damaged).expect("damage");
    assert_eq!(bench.run(), [hash_of(&first), HERE.to_owned()]);
    cluster.await_true("the leader to mend its copy", || bench.is_right(&next, &hash_of(&first)));

    // Edited while a master is away, and that one lost what it had besides.
    place(&data, &second);
    cluster.await_true("the second version", || bench.version() == Some(2));
    assert_eq!(bench.run(), [hash_of(&second), HERE.to_owned()]);
    fs::remove_file(bench.held(&lost, &hash_of(&first))).expect("a file is lost");
    let back = cluster.start_one(&lost);
    assert!(back.status.success(), "{}", text_of(&back));
    for hash in [hash_of(&first), hash_of(&second)] {
        cluster.await_true("the master that is back to fetch the files", || bench.is_right(&lost, &hash));
    }

    // A file that goes is a fault of the definition, which says where; the last good version still runs.
    fs::remove_file(&data).expect("removed");
    let errors = cluster.await_some("the fault", || {
        let errors = text_of(&cluster.client(&["workflow", "errors"]));
        errors.contains("RF-W0123").then_some(errors)
    });
    assert!(errors.contains("attached.xml:7") && errors.contains("there is no file data.bin"), "{errors}");
    assert_eq!(bench.run(), [hash_of(&second), HERE.to_owned()]);
    let check = cluster.client(&["check", &cluster.xmlconfig().join("dw/attached.xml").display().to_string()]);
    let said = text_of(&check);
    assert!(said.contains("there is no file data.bin"), "{said}");
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn an_edit_in_the_gap_of_a_take_over_is_not_lost_and_apply_brings_files_along() {
    let directory = tempfile::tempdir().expect("a directory");
    let ledger = directory.path().join("ledger");
    let definition = DEFINITION.replace("THE-LEDGER", &ledger.display().to_string());
    let cluster = Cluster::with_masters(3, &[("attached.xml", &definition)]);
    let data = cluster.xmlconfig().join("data.bin");
    place(&data, b"one");
    place(&cluster.xmlconfig().join("bin/append.sh"), b"echo $(ls) $* >> \"$LEDGER\"\n");
    cluster.start();
    let bench = Bench { cluster, ledger, _directory: directory };
    let cluster = &bench.cluster;
    cluster.await_true("the workflow", || bench.version() == Some(1));
    let lost = cluster.await_some("a leader", || leader(cluster));
    cluster.kill_for_good(&lost);
    // Nobody leads yet.
    place(&data, b"two");
    cluster.await_true("the edited file's version", || bench.version() == Some(2));
    assert_eq!(bench.run()[0], hash_of(b"two"));

    // Applied from elsewhere: one file is given, the other is the one of the newest version.
    let elsewhere = tempfile::tempdir().expect("a directory");
    let text = elsewhere.path().join("attached.xml");
    fs::copy(cluster.xmlconfig().join("attached.xml"), &text).expect("a copy");
    fs::write(elsewhere.path().join("data.bin"), b"three").expect("a file");
    let text = text.display().to_string();
    let applied = cluster.client(&["workflow", "apply", &text, "--attach", "data.bin"]);
    assert!(applied.status.success(), "{}", text_of(&applied));
    assert_eq!(bench.version(), Some(3));
    assert_eq!(bench.run()[0], hash_of(b"three"));
    let renamed = fs::read_to_string(&text).expect("the text").replace("name=\"attached\"", "name=\"fresh\"");
    fs::write(&text, renamed).expect("the text");
    let refused = cluster.client(&["workflow", "apply", &text, "--attach", "data.bin"]);
    let said = text_of(&refused);
    assert!(said.contains("the file bin/append.sh did not come with the definition"), "{said}");
}
