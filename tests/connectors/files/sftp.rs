//! Files of a real OpenSSH server.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::sync::watch;

use super::{
    Home, LOOK_EVERY, There, both_ways, failures, from_file, kills, monitor, monitors, query, table, tested, to_file,
    transfer,
};
use crate::sshd::{Options, PASSWORD, Sshd};

/// A directory that the server shows, which is one of this machine.
struct Shown {
    server: Sshd,
    dir: TempDir,
}

impl Shown {
    fn new(server: Sshd) -> Self {
        Self { server, dir: tempfile::tempdir().expect("a directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn home(&self) -> Home {
        Home::new(&self.server.link("far", &[("private-key", "mine"), ("passphrase", "pass phrase")]))
    }

    /// The server is known and the key is at hand.
    fn trusted(&self, home: &Home) {
        fs::copy(self.server.path("mine"), home.path("conf/mine")).expect("a key");
        fs::write(home.path("conf/known_hosts"), self.server.known_line()).expect("a file");
    }
}

impl There for Shown {
    fn link(&self) -> &str {
        "far"
    }

    fn directory(&self) -> String {
        self.dir.path().display().to_string()
    }

    async fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).expect("a file");
    }

    async fn get(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.path(name)).ok()
    }

    async fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).expect("a directory");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    async fn has_begun(&self) -> bool {
        self.names().await.iter().any(|name| name.ends_with(".part"))
    }

    async fn is_in_use(&self) -> bool {
        self.server.has_sessions()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a server of its own"]
async fn files_of_a_host_are_written_read_and_counted() {
    let Some(server) = Sshd::start() else { return };
    let shown = Shown::new(server);
    let home = shown.home();
    shown.trusted(&home);
    both_ways(&home, &shown).await;
    failures(&home, &shown).await;
    kills(&home, &shown).await;

    // The file keeps its mode, and a name that points at it goes on pointing.
    fs::write(shown.path("real"), "old").expect("a file");
    fs::set_permissions(shown.path("real"), fs::Permissions::from_mode(0o640)).expect("a mode");
    symlink("real", shown.path("name")).expect("a link");
    let at = |name: &str| shown.path(name).display().to_string();
    home.transfer(query("select 1 as x"), to_file("far", &at("name"), &[])).await.expect("a file");
    assert_eq!(fs::read_to_string(shown.path("real")).expect("a file"), "x\n1\n");
    assert_eq!(fs::metadata(shown.path("real")).expect("a file").permissions().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(shown.path("name")).expect("a link").is_symlink());

    let said = home.transfer(query("select 1"), to_file("far", &at("no/where.csv"), &[])).await.expect_err("nowhere");
    assert!(said.starts_with(&format!("there is no directory far:{} (", at("no"))), "{said}");
    fs::create_dir(shown.path("dir")).expect("a directory");
    for outcome in [
        home.transfer(query("select 1"), to_file("far", &at("dir"), &[])).await,
        home.transfer(from_file("far", &at("dir")), table("t")).await,
    ] {
        let said = outcome.expect_err("a directory");
        assert!(said.contains("is not a regular file"), "{said}");
    }
    let said = home.transfer(from_file("far", "in.csv"), table("t")).await.expect_err("a relative path");
    assert_eq!(said, "the path in.csv must be absolute");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a server of its own"]
async fn files_of_a_host_are_monitored() {
    let Some(server) = Sshd::start() else { return };
    let shown = Shown::new(server);
    let home = shown.home();
    shown.trusted(&home);
    monitors(&home, &shown).await;
    fs::remove_file(shown.path("in_d.csv")).expect("a file");
    fs::remove_file(shown.path("in_e.csv")).expect("a file");
    fs::remove_file(shown.path("in_c.txt")).expect("a file");
    // A directory is no file, a link to one is, and what is still written is none yet.
    fs::create_dir(shown.path("in_d.csv")).expect("a directory");
    symlink("in_a.csv", shown.path("in_e.csv")).expect("a link");
    let at = |name: &str| shown.path(name).display().to_string();
    let outputs = home.monitor("far", &at("in_*.csv"), &[]).await.expect("three files");
    assert!(outputs.contains(r#"{"name":"count","value":"3"}"#), "{outputs}");
    fs::remove_file(shown.path("in_e.csv")).expect("a link");
    fs::write(shown.path(".x.csv.12345678.part"), "1").expect("a file");
    let outputs = home.monitor("far", &at("*"), &[]).await.expect("two files");
    assert!(outputs.contains(r#"{"name":"count","value":"2"}"#), "{outputs}");
    let said = home.monitor("far", &at("none/*"), &[]).await.expect_err("no directory");
    assert!(said.starts_with(&format!("there is no directory far:{} (", at("none"))), "{said}");

    // A kill between the looks ends the connection.
    let (stop, stopped) = watch::channel(false);
    let mut waiting = monitor("far", &at("*"), &[]);
    waiting.attributes[0].1.text = "1h".to_owned();
    let stopping = async {
        while !shown.is_in_use().await {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        stop.send_replace(true);
    };
    let (outcome, ()) = tokio::join!(home.run(waiting, stopped), stopping);
    assert_eq!(outcome.expect_err("it was killed"), "killed");
    assert!(!shown.is_left().await, "a connection is left");
}

/// Servers without OpenSSH's extensions replace a file too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a server of its own"]
async fn a_server_without_extensions_does_it_too() {
    let subsystem = Some("internal-sftp -P posix-rename,fsync,limits");
    let Some(server) = Sshd::with(Options { subsystem, has_password: false }) else { return };
    let shown = Shown::new(server);
    let home = shown.home();
    shown.trusted(&home);
    both_ways(&home, &shown).await;
    failures(&home, &shown).await;
}

/// A server that falls silent is given up after the link's time, and a kill does not wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a server of its own"]
async fn a_silent_server_is_given_up() {
    let Some(server) = Sshd::start() else { return };
    let shown = Shown::new(server);
    let home = shown.home();
    shown.trusted(&home);
    let properties = [("private-key", "mine"), ("passphrase", "pass phrase"), ("timeout", "1")];
    home.link(&shown.server.link("far", &properties));
    let before = shown.names().await;
    for is_killed in [false, true] {
        let pipe = home.path(if is_killed { "killed" } else { "silent" });
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        let (stop, stopped) = watch::channel(false);
        let source = from_file("local", pipe.to_str().expect("a path"));
        let target = to_file("far", &shown.path("silent.csv").display().to_string(), &[]);
        let running = home.run(transfer(source, target), stopped);
        let silencing = async {
            let open = || tokio::net::unix::pipe::OpenOptions::new().open_sender(&pipe);
            // Until it is opened for reading.
            let mut pipe = loop {
                match open() {
                    Ok(pipe) => break pipe,
                    Err(_) => tokio::time::sleep(LOOK_EVERY).await,
                }
            };
            tokio::io::AsyncWriteExt::write_all(&mut pipe, b"id,text\n").await.expect("a row");
            while !shown.has_begun().await {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            shown.server.pause_sessions();
            if is_killed {
                stop.send_replace(true);
                return;
            }
            let row = format!("1,{}\n", "x".repeat(1000));
            while tokio::io::AsyncWriteExt::write_all(&mut pipe, row.as_bytes()).await.is_ok() {}
        };
        let (outcome, ()) = tokio::join!(running, silencing);
        let said = outcome.expect_err("it fell silent");
        match is_killed {
            true => assert_eq!(said, "killed"),
            false => {
                let place = format!("far:{} (", shown.path("silent.csv").display());
                assert!(said.starts_with(&place) && said.contains("no answer within 1 s"), "{said}");
            }
        }
        shown.server.resume_sessions();
        assert!(!shown.is_left().await, "a connection is left");
    }
    // What could not be taken back is no file for anybody.
    let left: Vec<String> = shown.names().await.into_iter().filter(|name| !before.contains(name)).collect();
    assert!(left.iter().all(|name| name.starts_with(".silent.csv.") && name.ends_with(".part")), "{left:?}");
}

/// Which step failed, of which link, and what to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a server of its own"]
async fn a_test_says_what_failed_and_where() {
    let Some(server) = Sshd::start() else { return };
    let shown = Shown::new(server);
    let home = shown.home();
    fs::copy(shown.server.path("mine"), home.path("conf/mine")).expect("a key");
    let said = tested(&home, "far", None).await.expect_err("unknown");
    assert!(said.contains("its host key SHA256:") && said.contains("known_hosts"), "{said}");
    fs::write(home.path("conf/known_hosts"), shown.server.known_line()).expect("a file");
    assert_eq!(tested(&home, "far", None).await.expect("it opens"), "None");
    let directory = shown.directory();
    assert_eq!(tested(&home, "far", Some(&directory)).await.expect("it is there"), "Some(Directory)");
    fs::write(shown.path("a.csv"), "12345").expect("a file");
    let file = format!("{directory}/a.csv");
    assert_eq!(tested(&home, "far", Some(&file)).await.expect("it is there"), "Some(File { bytes: 5 })");
    let none = format!("{directory}/none");
    let said = tested(&home, "far", Some(&none)).await.expect_err("nothing there");
    assert!(said.starts_with(&format!("there is no file far:{none} (")), "{said}");

    let login = [("private-key", "other")];
    fs::copy(shown.server.path("other"), home.path("conf/other")).expect("a key");
    home.link(&shown.server.link("far", &login));
    let said = tested(&home, "far", None).await.expect_err("not authorized");
    assert!(said.contains("refuses the login; it accepts: publickey"), "{said}");
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it").port();
    home.link(&format!(
        "<link name='far' type='SFTP' host='127.0.0.1' port='{port}' username='u' password=''/>\
         <link name='nowhere' type='SFTP' host='nowhere.invalid' port='22' username='u' password=''/>"
    ));
    let said = tested(&home, "far", None).await.expect_err("nobody listens");
    assert!(said.contains(&format!("127.0.0.1:{port} does not answer: Connection refused")), "{said}");
    let said = tested(&home, "nowhere", None).await.expect_err("no such name");
    assert!(said.contains("the name nowhere.invalid has no address"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a server of its own"]
async fn a_host_without_files_says_so() {
    let Some(server) = Sshd::with(Options { subsystem: None, has_password: false }) else { return };
    let shown = Shown::new(server);
    let home = shown.home();
    shown.trusted(&home);
    let said = tested(&home, "far", None).await.expect_err("no files");
    assert!(said.contains("the server has no sftp"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a server of its own"]
async fn a_password_signs_in() {
    let options = Options { subsystem: Some("internal-sftp"), has_password: true };
    let Some(server) = Sshd::with(options) else { return };
    let shown = Shown::new(server);
    let home = Home::new("");
    fs::write(home.path("conf/known_hosts"), shown.server.known_line()).expect("a file");
    let link = |password: &str| {
        let (port, user) = (shown.server.port, &shown.server.user);
        let text = format!(
            "<link name='far' type='SFTP' host='127.0.0.1' port='{port}' username='{user}' password='{password}'/>"
        );
        home.link(&text);
    };
    link(PASSWORD);
    let target = shown.path("by_password.csv");
    home.transfer(query("select 1 as x"), to_file("far", &target.display().to_string(), &[])).await.expect("a file");
    assert_eq!(fs::read_to_string(Path::new(&target)).expect("a file"), "x\n1\n");
    link("guessed wrong");
    let said = tested(&home, "far", None).await.expect_err("the wrong one");
    assert!(said.contains("refuses the login") && !said.contains("guessed wrong"), "{said}");
}
