//! A private server of PostgreSQL or MariaDB: in a directory of its own, on a loopback port of its own, as a user
//! without rights, ended with the test whatever happens to it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longest time that a server has to come up.
const UP: Duration = Duration::from_secs(120);
/// `nobody`, which PostgreSQL and MariaDB run as where we are root: they refuse to be root.
const NOBODY: u32 = 65534;

pub const PASSWORD: &str = "s3cret'\\ pass";

pub struct Server {
    child: Child,
    pub port: u16,
    dir: TempDir,
}

impl Server {
    /// `None` where PostgreSQL is not installed.
    pub fn postgres() -> Option<Self> {
        let bin = newest("/usr/lib/postgresql").map(|version| version.join("bin"));
        let bin = bin.filter(|bin| bin.join("initdb").exists()).or_else(|| missing("postgresql"))?;
        let dir = directory();
        let data = dir.path().join("data");
        let password_file = dir.path().join("pw");
        fs::write(&password_file, PASSWORD).expect("a file");
        own(&password_file);
        let mut init = plain(&bin.join("initdb"), dir.path());
        init.arg("-D").arg(&data).args(["-U", "wf", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "-N"]);
        run(init.arg("--pwfile").arg(&password_file));
        let port = free_port();
        let mut command = plain(&bin.join("postgres"), dir.path());
        let tls = certificate(dir.path(), "server.test");
        command.args(["-c", "ssl=on", "-c"]).arg(format!("ssl_cert_file={}", tls.certificate.display()));
        command.arg("-c").arg(format!("ssl_key_file={}", tls.key.display()));
        command.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-F", "-p", &port.to_string(), "-k"]).arg(dir.path());
        Some(Self::start(command, port, dir, "database system is ready to accept connections"))
    }

    /// `None` where MariaDB is not installed. `local_infile`: whether it takes LOAD DATA LOCAL.
    pub fn mariadb(local_infile: bool, has_tls: bool) -> Option<Self> {
        let find =
            |name: &str| ["/usr/sbin", "/usr/bin"].iter().map(|dir| Path::new(dir).join(name)).find(|p| p.exists());
        let (Some(server), Some(install)) = (find("mariadbd"), find("mariadb-install-db")) else {
            return missing("mariadb-server");
        };
        let dir = directory();
        let data = dir.path().join("data");
        let mut init = plain(&install, dir.path());
        init.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
        run(init.arg(format!("--datadir={}", data.display())));
        // Read before it takes a connection: the user is there when the port is.
        let sql = dir.path().join("init.sql");
        let quoted = PASSWORD.replace('\\', "\\\\").replace('\'', "''");
        let text = format!(
            "CREATE DATABASE wf;\nCREATE USER wf@'127.0.0.1' IDENTIFIED BY '{quoted}';\nGRANT ALL ON *.* TO wf@'127.0.0.1' WITH GRANT OPTION;\n"
        );
        fs::write(&sql, text).expect("a file");
        own(&sql);
        let port = free_port();
        let mut command = plain(&server, dir.path());
        command.args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve"]);
        command.arg(format!("--datadir={}", data.display())).arg(format!("--init-file={}", sql.display()));
        command.arg(format!("--socket={}", dir.path().join("s").display())).arg(format!("--port={port}"));
        command.args(["--character-set-server=utf8mb4", "--innodb-flush-log-at-trx-commit=0"]);
        command.arg(format!("--local-infile={}", u8::from(local_infile)));
        if has_tls {
            let tls = certificate(dir.path(), "127.0.0.1");
            command.arg(format!("--ssl-cert={}", tls.certificate.display()));
            command.arg(format!("--ssl-key={}", tls.key.display()));
        }
        Some(Self::start(command, port, dir, "ready for connections"))
    }

    fn start(mut command: Command, port: u16, dir: TempDir, ready: &str) -> Self {
        let log = dir.path().join("log");
        let file = File::create(&log).expect("a log");
        command.stdout(file.try_clone().expect("a handle")).stderr(file);
        let child = command.spawn().expect("the server starts");
        let mut server = Self { child, port, dir };
        let begun = Instant::now();
        loop {
            let text = fs::read_to_string(&log).unwrap_or_default();
            // The first one of MariaDB may be that of its setup: the port is told with the right one.
            if text.contains(ready) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
                return server;
            }
            let ended = server.child.try_wait().expect("its state");
            assert!(ended.is_none() && begun.elapsed() < UP, "the server did not come up: {ended:?}\n{text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The authority that the server's certificate is of, and another one.
    pub fn authorities(&self) -> [PathBuf; 2] {
        [self.dir.path().join("ca.pem"), self.dir.path().join("other.pem")]
    }

    /// A file of links, with one to the server.
    pub fn links(&self, type_word: &str, options: &str) -> &Path {
        self.links_with(type_word, options, PASSWORD)
    }

    pub fn links_with(&self, type_word: &str, options: &str, password: &str) -> &Path {
        let scheme = type_word.to_lowercase();
        let database = if scheme == "postgresql" { "postgres" } else { "wf" };
        let url = format!("jdbc:{scheme}://127.0.0.1:{}/{database}{}", self.port, options.replace('&', "&amp;"));
        fs::write(
            self.dir.path().join("db_links.xml"),
            format!("<db-links><link name='a' type='{type_word}' jdbc-url='{url}' username='wf' password=\"{password}\"/></db-links>"),
        )
        .expect("a file");
        self.dir.path()
    }

    /// A file of links, with one to the server through a driver of ODBC.
    #[cfg(feature = "odbc")]
    pub fn odbc(&self, type_word: &str, driver: &str, password: &str) -> &Path {
        let database = if driver.starts_with("PostgreSQL") { "postgres" } else { "wf" };
        let url = format!("odbc:Driver={{{driver}}};Server=127.0.0.1;Port={};Database={database}", self.port);
        let link =
            format!("<link name='a' type='{type_word}' jdbc-url='{url}' username='wf' password=\"{password}\"/>");
        fs::write(self.dir.path().join("db_links.xml"), format!("<db-links>{link}</db-links>")).expect("a file");
        self.dir.path()
    }

    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn missing<T>(package: &str) -> Option<T> {
    println!("\n*** NOT TRIED: {package} is not installed ***\n");
    None
}

struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
}

/// For this name, which may be another than the server's: `verify-ca` does not mind, `verify-full` does.
fn certificate(dir: &Path, name: &str) -> Certificate {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
    let authority = || {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        (params.self_signed(&key).expect("a certificate").pem(), Issuer::new(params, key))
    };
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        own(&path);
        path
    };
    let ((ca, issuer), (other, _)) = (authority(), authority());
    write("ca.pem", &ca);
    write("other.pem", &other);
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new([name.to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &issuer).expect("a certificate").pem();
    Certificate { certificate: write("server.pem", &certificate), key: write("server.key", &key.serialize_pem()) }
}

fn newest(dir: &str) -> Option<PathBuf> {
    let versions = fs::read_dir(dir).ok()?.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    versions
        .max_by_key(|path| path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok()))
}

fn directory() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    own(dir.path());
    dir
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Gives a path to the user that the server runs as.
fn own(path: &Path) {
    if is_root() {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
    }
}

/// A program in the directory, without rights and without our environment's settings of databases. It ends with us.
/// Temporary files are its own too: MariaDB deletes those of others when it starts.
fn plain(program: &Path, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(dir)
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .env("HOME", dir)
        .env("TMPDIR", dir)
        .env("LC_ALL", "C.UTF-8");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    // SAFETY: prctl is a plain system call, allowed between fork and exec.
    unsafe {
        command.pre_exec(|| {
            nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).map_err(std::io::Error::from)
        });
    }
    command
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("it starts");
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&text));
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}
