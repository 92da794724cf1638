//! Mail on a real server: ends of instances, retries, receivers downstream, a server that is down, the email node.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::cluster::{Cluster, text_of};

/// Debian's own Python, which its packages are for.
const PYTHON: &str = "/usr/bin/python3";

const LOAD: &str = r#"<work-flow name="load" creator="test" mail-level="failed,killed" mail-receivers="load@example.com,gone@example.com">
  <start name="start" to="fetch"/>
  <action name="fetch"><script><code>echo fetched; echo '{"name":"rows","value":"5"}' >/dev/null</code></script><ok to="import"/></action>
  <action name="import"><script><code>echo 'before'; echo 'ORA-12170: &lt;b&gt;connect timeout&lt;/b&gt;' >&amp;2; exit 3</code></script><ok to="end"/></action>
  <end name="end"/>
</work-flow>
"#;

const REPORT: &str = r#"<work-flow name="report" creator="test" mail-receivers="report@example.com">
  <coordinator><depend-list><workflow name="load"/></depend-list></coordinator>
  <start name="start" to="write"/>
  <action name="write"><script><code>true</code></script><ok to="end"/></action>
  <end name="end"/>
</work-flow>
"#;

const FLAKY: &str = r#"<work-flow name="flaky" creator="test" mail-receivers="flaky@example.com">
  <start name="start" to="try"/>
  <action name="try" retry-times="3" interval="1">
    <script><code>[ -e MARK ] || { touch MARK; echo 'not yet' >&amp;2; exit 1; }</code></script>
    <ok to="end"/>
  </action>
  <end name="end"/>
</work-flow>
"#;

const LETTER: &str = r#"<work-flow name="letter" creator="test" mail-level="succeeded" mail-receivers="team@example.com">
  <start name="start" to="write"/>
  <action name="write"><email subject="日报"><p>5 &lt; 7</p></email><ok to="end"/></action>
  <end name="end"/>
</work-flow>
"#;

/// A mail server of the test's own; ended with it.
struct MailServer(Child);

impl MailServer {
    /// `None` where its package is not installed.
    fn start(port: u16, directory: &Path) -> Option<Self> {
        let is_there = Command::new(PYTHON).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
        if !is_there.is_ok_and(|status| status.success()) {
            println!("\n*** NOT TRIED: python3-aiosmtpd is not installed ***\n");
            return None;
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/acceptance/smtpd.py");
        let mut command = Command::new(PYTHON);
        command.arg(script).arg(port.to_string()).arg(directory).stdout(Stdio::piped());
        // SAFETY: prctl is a plain system call, allowed between fork and exec.
        unsafe {
            command.pre_exec(|| {
                nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).map_err(std::io::Error::from)
            });
        }
        let mut child = command.spawn().expect("python starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n");
        Some(Self(child))
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn mails(directory: &Path) -> Vec<Value> {
    let entries = std::fs::read_dir(directory).expect("the mails").filter_map(|entry| entry.ok());
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().map(|path| serde_json::from_slice(&std::fs::read(path).expect("a mail")).expect("JSON")).collect()
}

fn run(cluster: &Cluster, workflow: &str) -> (String, String) {
    let output = cluster.client(&["run", workflow, "--wait", "-q"]);
    let text = String::from_utf8_lossy(&output.stdout).trim().trim_start_matches('#').to_owned();
    let number: String = text.chars().take_while(char::is_ascii_digit).collect();
    let state = cluster.json(&["instance", "show", &number])["state"].as_str().unwrap_or_default().to_owned();
    (number, state)
}

/// Texts of what needs attention because of mail.
fn attention(cluster: &Cluster) -> Vec<String> {
    let status = cluster.try_json(&["status"]).unwrap_or_default();
    let rows = status["attention"].as_array().cloned().unwrap_or_default();
    rows.iter()
        .filter(|row| row["kind"] == "mail")
        .map(|row| row["text"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
#[ignore = "real processes: tests/run acceptance"]
fn ends_and_retries_are_mailed_once_also_when_the_mail_server_was_down() {
    let box_dir = tempfile::tempdir().expect("a directory");
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its number").port();
    let Some(server) = MailServer::start(port, box_dir.path()) else { return };
    let flaky = FLAKY.replace("MARK", &box_dir.path().join("mark").display().to_string());
    let files = [("load.xml", LOAD), ("report.xml", REPORT), ("flaky.xml", flaky.as_str()), ("letter.xml", LETTER)];
    let cluster = Cluster::with_masters(3, &files);
    cluster.configure(&format!(
        "[mail]\nhost = \"127.0.0.1\"\nport = {port}\nsecurity = \"none\"\nfrom = \"Ractorflow <etl@example.com>\"\n\
         language = \"en\"\ngroup_seconds = 1\n[http]\npublic_url = \"https://flow.example.com/\"\n"
    ));
    cluster.start();
    for name in ["load", "report", "flaky", "letter"] {
        cluster.await_true("the workflows", || cluster.try_json(&["workflow", "show", name]).is_some());
    }

    // An end: table, last lines, those downstream, link and command; values are escaped.
    let (number, state) = run(&cluster, "load");
    assert_eq!(state, "failed");
    cluster.await_true("the mail about the end", || !mails(box_dir.path()).is_empty());
    let mail = mails(box_dir.path()).remove(0);
    println!("{}\n{}", mail["subject"], mail["text"].as_str().unwrap_or_default());
    assert_eq!(mail["subject"], format!("[Ractorflow] load #{number} failed"));
    assert_eq!(
        mail["id"].as_str().map(|id| id.contains(&format!(".{number}.1.failed."))),
        Some(true),
        "{}",
        mail["id"]
    );
    let (text, html) = (mail["text"].as_str().unwrap_or_default(), mail["html"].as_str().unwrap_or_default());
    for part in ["fetch", "import", "succeeded", "exit code 3", "<b>connect timeout</b>", "report"] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
    assert!(html.contains("connect timeout") && !html.contains("<b>connect"), "{html}");
    assert!(html.contains(&format!("https://flow.example.com/i/{number}")), "{html}");
    assert!(html.contains(&format!("ractorflow instance rerun {number} --from-failed")), "{html}");
    // The receiver that the server does not know is named; the others have theirs, each one mail.
    let to = |mail: &Value| {
        mail["to"]
            .as_array()
            .map(|to| to.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","))
            .unwrap_or_default()
    };
    cluster.await_true("the receiver that is gone", || {
        attention(&cluster).iter().any(|row| row.contains("gone@example.com"))
    });
    let receivers: Vec<String> = mails(box_dir.path()).iter().map(to).collect();
    assert_eq!(receivers, ["load@example.com", "report@example.com"], "each once");

    // A node that fails and recovers.
    let before = mails(box_dir.path()).len();
    let (_, state) = run(&cluster, "flaky");
    assert_eq!(state, "succeeded");
    let told = |what: &str| {
        mails(box_dir.path()).iter().skip(before).any(|mail| {
            let (subject, text) =
                (mail["subject"].as_str().unwrap_or_default(), mail["text"].as_str().unwrap_or_default());
            subject.contains(what) || text.contains(what)
        })
    };
    cluster.await_true("the mail about the retry", || told("failed and is tried again"));
    cluster.await_true("the mail about the recovery", || told("succeeded after a retry"));
    assert!(told("not yet"), "the last lines of the attempt that failed");

    // The email node, and the mail about its success.
    let before = mails(box_dir.path()).len();
    let (number, state) = run(&cluster, "letter");
    assert_eq!(state, "succeeded", "{}", text_of(&cluster.client(&["logs", &number])));
    cluster.await_true("both mails", || mails(box_dir.path()).len() == before + 2);
    let subjects: Vec<Value> = mails(box_dir.path())[before..].iter().map(|mail| mail["subject"].clone()).collect();
    assert_eq!(subjects, [Value::from("日报"), Value::from(format!("[Ractorflow] letter #{number} succeeded"))]);

    // The server is down: the run ends all the same, attention says so, and a new leader hands it in later, once.
    drop(server);
    let before = mails(box_dir.path()).len();
    let (number, state) = run(&cluster, "load");
    assert_eq!(state, "failed");
    let waits = || attention(&cluster).into_iter().find(|row| row.contains("not sent yet"));
    let said = cluster.await_some("the attention", waits);
    println!("{said}");
    assert!(said.contains(&format!("127.0.0.1:{port}")), "{said}");
    let page = cluster.await_some("the home page", || cluster.page("/"));
    assert!(page.contains("not sent yet"), "{page}");
    let leader = cluster.await_some("the leader", || {
        cluster
            .nodes()
            .iter()
            .find(|node| node["leader"] == true)
            .and_then(|node| node["id"].as_str().map(str::to_owned))
    });
    cluster.kill_9(&leader);
    cluster.await_true("a leader", || cluster.try_json(&["status"]).is_some());
    let server = MailServer::start(port, box_dir.path());
    cluster.await_true("the mail that waited", || mails(box_dir.path()).len() >= before + 2);
    cluster.await_true("the attention to go", || cluster.try_json(&["status"]).is_some() && waits().is_none());
    let late: Vec<Value> = mails(box_dir.path()).split_off(before);
    assert_eq!(late.iter().map(to).collect::<Vec<_>>(), ["load@example.com", "report@example.com"], "once");
    assert!(late.iter().all(|mail| mail["subject"] == format!("[Ractorflow] load #{number} failed")));
    drop(server);
}
