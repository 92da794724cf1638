//! A private OpenSSH server: in a directory of its own, on a loopback port of its own, for the user of the test.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const UP: Duration = Duration::from_secs(60);
const PROGRAM: &str = "/usr/sbin/sshd";

/// Of the user of a server that takes passwords, and how its own `shadow` has it.
pub const PASSWORD: &str = "sesame, öffne dich";
const CRYPTED: &str =
    "$6$rfconnectors$4Lqzu71p6VQMjjyC7HRJHM6KziNDQEGt1RgcUR6Js.rtZ.CeHISZSRm9e8iE17e/3AGyjbtsa.sSopdO6CWVS/";

pub struct Options {
    /// What `sftp` is there; `None`: it has none.
    pub subsystem: Option<&'static str>,
    /// Its user is not one of this machine, and has a password.
    pub has_password: bool,
}

pub struct Sshd {
    child: Child,
    pub port: u16,
    pub user: String,
    /// `ssh-ed25519 AAAA…` of the host.
    pub host_key: String,
    dir: TempDir,
}

impl Sshd {
    /// `None` where OpenSSH's server is not installed.
    pub fn start() -> Option<Self> {
        Self::with(Options { subsystem: Some("internal-sftp"), has_password: false })
    }

    /// `None` where it cannot be.
    pub fn with(options: Options) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            println!("\n*** NOT TRIED: openssh-server is not installed ***\n");
            return None;
        }
        if options.has_password && !can_hide() {
            println!("\n*** NOT TRIED: only root can give a server users of its own ***\n");
            return None;
        }
        let dir = tempfile::Builder::new().prefix("rf-sshd-").tempdir().expect("a directory");
        for (name, passphrase) in [("host", ""), ("mine", "pass phrase"), ("other", "")] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", passphrase, "-f"]).arg(dir.path().join(name));
            assert!(keygen.status().expect("ssh-keygen").success());
        }
        fs::copy(dir.path().join("mine.pub"), dir.path().join("authorized")).expect("a file");
        let own = Command::new("id").arg("-un").output().expect("id").stdout;
        let own = String::from_utf8(own).expect("a name").trim().to_owned();
        if own == "root" {
            // Where it parts with its rights; a package that was just installed has not made it yet.
            fs::create_dir_all("/run/sshd").expect("a directory");
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("it").port();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nPidFile none\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication {}\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n{}",
            path("host"),
            path("authorized"),
            if options.has_password { "yes" } else { "no" },
            options.subsystem.map(|program| format!("Subsystem sftp {program}\n")).unwrap_or_default(),
        );
        fs::write(dir.path().join("config"), config).expect("a file");
        let log = fs::File::create(dir.path().join("log")).expect("a log");
        let mut command = Command::new(PROGRAM);
        let mut user = own;
        if options.has_password {
            user = "etl".to_owned();
            command = with_users(dir.path(), &user);
        }
        command.args(["-D", "-e", "-f"]).arg(dir.path().join("config")).stdin(Stdio::null()).stderr(log);
        let child = command.spawn().expect("sshd starts");
        let host_key = fs::read_to_string(dir.path().join("host.pub")).expect("a key");
        let mut server = Self { child, port, user, host_key, dir };
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = server.child.try_wait().expect("its state");
            let log = || fs::read_to_string(server.dir.path().join("log")).unwrap_or_default();
            assert!(ended.is_none() && begun.elapsed() < UP, "sshd did not come up: {ended:?}\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(server)
    }

    /// A link to it with these properties.
    pub fn link(&self, name: &str, properties: &[(&str, &str)]) -> String {
        let properties: String =
            properties.iter().map(|(name, value)| format!("<property name='{name}'>{value}</property>")).collect();
        let (port, user) = (self.port, &self.user);
        format!(
            "<link name='{name}' type='SFTP' host='127.0.0.1' port='{port}' username='{user}' password=''>\
             <properties>{properties}</properties></link>"
        )
    }

    /// The directory of the links, whose link `host` has these properties.
    pub fn links(&self, properties: &[(&str, &str)]) -> &Path {
        let text = format!("<file-links>{}</file-links>", self.link("host", properties));
        fs::write(self.dir.path().join("file_links.xml"), text).expect("a file");
        self.dir.path()
    }

    /// Of `known_hosts`.
    pub fn known_line(&self) -> String {
        format!("[127.0.0.1]:{} {}\n", self.port, self.host_key)
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// Processes of each connection.
    fn sessions(&self) -> Vec<String> {
        fn below(pid: &str) -> Vec<String> {
            // One that has just ended has none.
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            children.split_whitespace().flat_map(|pid| [vec![pid.to_owned()], below(pid)].concat()).collect()
        }
        below(&self.child.id().to_string())
    }

    /// Is a connection there?
    pub fn has_sessions(&self) -> bool {
        !self.sessions().is_empty()
    }

    /// Connections stay, and nothing is answered.
    pub fn pause_sessions(&self) {
        self.signal("-STOP");
    }

    pub fn resume_sessions(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        for pid in self.sessions() {
            // It may have ended by itself.
            let _ = Command::new("kill").args([signal, &pid]).stderr(Stdio::null()).status();
        }
    }

    /// Makes the host known by this key, or unknown.
    pub fn known(&self, key: Option<&str>) {
        let line = key.map(|key| format!("[127.0.0.1]:{} {key}\n", self.port)).unwrap_or_default();
        fs::write(self.dir.path().join("known_hosts"), line).expect("a file");
    }

    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).expect("a file")
    }
}

/// May a process have files of its own under the names of the machine's?
fn can_hide() -> bool {
    Command::new("unshare")
        .args(["--mount", "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The server, which alone sees these users: nothing of the machine is changed.
fn with_users(dir: &Path, user: &str) -> Command {
    let users =
        [("passwd", format!("{user}:x:0:0::/:/bin/sh\n")), ("shadow", format!("{user}:{CRYPTED}:19000::::::\n"))];
    let mut hide = String::new();
    for (name, own) in users {
        let before = fs::read_to_string(format!("/etc/{name}")).expect("users");
        // The first of a number gives it its name.
        fs::write(dir.join(name), own + &before).expect("a file");
        hide += &format!("mount --bind {} /etc/{name} && ", dir.join(name).display());
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &format!("{hide}exec {PROGRAM} \"$@\""), "sh"]);
    command
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
