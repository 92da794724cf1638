//! A private OpenSSH server: in a directory of its own, on a loopback port of its own, for the user of the test.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const UP: Duration = Duration::from_secs(60);
const PROGRAM: &str = "/usr/sbin/sshd";

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
        if !Path::new(PROGRAM).exists() {
            println!("\n*** NOT TRIED: openssh-server is not installed ***\n");
            return None;
        }
        let dir = tempfile::Builder::new().prefix("rf-sshd-").tempdir().expect("a directory");
        for (name, passphrase) in [("host", ""), ("mine", "pass phrase"), ("other", "")] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", passphrase, "-f"]).arg(dir.path().join(name));
            assert!(keygen.status().expect("ssh-keygen").success());
        }
        fs::copy(dir.path().join("mine.pub"), dir.path().join("authorized")).expect("a file");
        let user = Command::new("id").arg("-un").output().expect("id").stdout;
        let user = String::from_utf8(user).expect("a name").trim().to_owned();
        if user == "root" {
            // Where it parts with its rights; a package that was just installed has not made it yet.
            fs::create_dir_all("/run/sshd").expect("a directory");
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("it").port();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nPidFile none\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n",
            path("host"),
            path("authorized"),
        );
        fs::write(dir.path().join("config"), config).expect("a file");
        let log = fs::File::create(dir.path().join("log")).expect("a log");
        let mut command = Command::new(PROGRAM);
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

    /// The directory of the links, whose link `host` has these properties.
    pub fn links(&self, properties: &[(&str, &str)]) -> &Path {
        let properties: String =
            properties.iter().map(|(name, value)| format!("<property name='{name}'>{value}</property>")).collect();
        let (port, user) = (self.port, &self.user);
        let text = format!(
            "<file-links><link name='host' type='SFTP' host='127.0.0.1' port='{port}' username='{user}' password=''>\
             <properties>{properties}</properties></link></file-links>"
        );
        fs::write(self.dir.path().join("file_links.xml"), text).expect("a file");
        self.dir.path()
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

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
