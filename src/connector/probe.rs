//! Does a link open from here? Tried step by step, so that it is said at which one it fails: name, what is written,
//! driver, resolve, connect, TLS or the host's key, login, a query or a path.
//!
//! Changes nothing there and keeps nothing. Every step has a bound of time.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::net::{TcpStream, lookup_host};

use super::database::split::Statement;
use super::database::{self, Database, DatabaseError, ErrorKind};
use super::file::{self, FileError};
use super::link::{self, DbKind, DbLink, FileKind, FileLink, LinkError};
use super::ssh::{self, Session};
use crate::model::link::{KeptLink, LinkKind};
use crate::model::message::Message;
use crate::say;

/// Of a name, and of a connection to one address.
const STEP_WITHIN: Duration = Duration::from_secs(5);
/// To open and sign in.
const OPEN_WITHIN: Duration = Duration::from_secs(10);
const QUERY_WITHIN: Duration = Duration::from_secs(5);
/// Addresses of one host that are tried.
const ADDRESSES_MAX: usize = 4;
/// Hosts of one link that are tried.
const HOSTS_MAX: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// There is such a link.
    Name,
    /// What is written there can be read, and what it refers to is there.
    Config,
    /// This build has what opens it.
    Driver,
    Resolve,
    Connect,
    /// TLS, or the key of a host.
    Tls,
    Login,
    Query,
    /// What a link of files leads to.
    Path,
}

impl Step {
    pub fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Config => "config",
            Self::Driver => "driver",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Login => "login",
            Self::Query => "query",
            Self::Path => "path",
        }
    }
}

/// Who has the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The file of this host.
    File,
    Cluster,
}

impl Origin {
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Cluster => "cluster",
        }
    }
}

/// What came of one try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    pub kind: LinkKind,
    pub name: String,
    pub origin: Option<Origin>,
    /// `None`: it opens.
    pub failed: Option<Failed>,
    /// Steps that were passed, and the milliseconds that they took.
    pub steps: Vec<(Step, u64)>,
    pub took_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    pub at: Step,
    pub why: Message,
    pub hint: Option<Message>,
}

/// Opens whatever has this name: a database, a file system, or both; `kind` asks for one of them.
pub async fn links(conf_dir: &Path, home: &Path, kept: &[KeptLink], kind: Option<LinkKind>, name: &str) -> Vec<Tried> {
    let mut tried = Vec::new();
    for one in LinkKind::ALL.iter().copied().filter(|one| kind.is_none_or(|kind| kind == *one)) {
        let mut trial = Trial { began: Instant::now(), steps: Vec::new() };
        let origin = origin(conf_dir, kept, one, name);
        let done = match one {
            LinkKind::Database => trial.database(link::db_link_among(conf_dir, kept, name), home).await,
            LinkKind::File => trial.file(link::file_link_among(conf_dir, kept, name), conf_dir).await,
        };
        let took_ms = millis(trial.began.elapsed());
        let failed = done.err();
        tried.push(Tried { kind: one, name: name.to_owned(), origin, failed, steps: trial.steps, took_ms });
    }
    // Of a name that only one of the two has, the other says nothing.
    let is_absent = |one: &Tried| one.failed.as_ref().is_some_and(|failed| failed.at == Step::Name);
    if !tried.iter().all(is_absent) {
        tried.retain(|one| !is_absent(one));
    }
    tried.truncate(if tried.iter().all(is_absent) { 1 } else { tried.len() });
    tried
}

fn origin(conf_dir: &Path, kept: &[KeptLink], kind: LinkKind, name: &str) -> Option<Origin> {
    let is_unknown = |error: &LinkError| matches!(error, LinkError::Unknown { .. });
    let in_file = match kind {
        LinkKind::Database => !link::db_link(conf_dir, name).is_err_and(|error| is_unknown(&error)),
        LinkKind::File => !link::file_link(conf_dir, name).is_err_and(|error| is_unknown(&error)),
    };
    let is_kept = kept.iter().any(|link| link.kind == kind && link.name == name);
    if in_file { Some(Origin::File) } else { is_kept.then_some(Origin::Cluster) }
}

struct Trial {
    began: Instant,
    steps: Vec<(Step, u64)>,
}

type Done = Result<(), Failed>;

impl Trial {
    fn passed(&mut self, step: Step, since: Instant) {
        self.steps.push((step, millis(since.elapsed())));
    }

    async fn database(&mut self, link: Result<DbLink, LinkError>, home: &Path) -> Done {
        let link = found(link)?;
        self.passed(Step::Config, self.began);
        if link.is_odbc() {
            let since = Instant::now();
            let found = tokio::time::timeout(STEP_WITHIN, database::has_driver(&link)).await;
            let slow = |_| Failed { at: Step::Driver, why: too_slow(STEP_WITHIN), hint: None };
            found.map_err(slow)?.map_err(|error| of_database(error, Step::Driver))?;
            self.passed(Step::Driver, since);
        }
        let addresses = link.addresses();
        if !addresses.is_empty() {
            self.reach(&addresses).await?;
        }
        let since = Instant::now();
        let opened = Database::open(&link, home, OPEN_WITHIN, Arc::new(|_| {})).await;
        let mut database = opened.map_err(|error| of_database(error, Step::Login))?;
        self.passed(Step::Login, since);
        let since = Instant::now();
        let question = Statement::new(question(link.kind));
        match tokio::time::timeout(QUERY_WITHIN, database.rows(&question, 1)).await {
            Ok(Ok(_)) => self.passed(Step::Query, since),
            Ok(Err(error)) => return Err(of_database(error, Step::Query)),
            Err(_) => return Err(Failed { at: Step::Query, why: too_slow(QUERY_WITHIN), hint: None }),
        }
        Ok(())
    }

    async fn file(&mut self, link: Result<FileLink, LinkError>, conf_dir: &Path) -> Done {
        let link = found(link)?;
        let servers = file::servers(&link).map_err(|error| of_files(&error))?;
        self.passed(Step::Config, self.began);
        if !servers.hosts.is_empty() {
            self.reach(&servers.hosts).await?;
        }
        if !servers.tls.is_empty() {
            let since = Instant::now();
            let shaken = servers.shake_hands(STEP_WITHIN).await;
            shaken.map_err(|why| Failed { at: Step::Tls, why, hint: Some(tls_hint()) })?;
            self.passed(Step::Tls, since);
        }
        let since = Instant::now();
        match link.kind {
            FileKind::Local => Ok(()),
            FileKind::Sftp => {
                let opened = Session::open(&link, conf_dir, OPEN_WITHIN).await;
                opened.map_err(|error| of_ssh(&error))?;
                self.passed(Step::Login, since);
                Ok(())
            }
            FileKind::Hdfs | FileKind::S3 => {
                let tested = file::test(&link, conf_dir, OPEN_WITHIN, None).await;
                tested.map_err(|error| of_files(&error))?;
                // One answer says both.
                self.passed(Step::Login, since);
                self.passed(Step::Path, Instant::now());
                Ok(())
            }
        }
    }

    /// The name of one of the hosts is known, and somebody listens there.
    async fn reach(&mut self, hosts: &[(String, u16)]) -> Done {
        let since = Instant::now();
        let mut failed = None;
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for (host, port) in hosts.iter().take(HOSTS_MAX) {
            match tokio::time::timeout(STEP_WITHIN, lookup_host((host.as_str(), *port))).await {
                Ok(Ok(found)) => addresses.extend(found.take(ADDRESSES_MAX)),
                Ok(Err(error)) => failed = Some(say!("the name {} is not known here: {}", host, error.to_string())),
                Err(_) => failed = Some(too_slow(STEP_WITHIN)),
            }
        }
        if addresses.is_empty() {
            let Some(why) = failed else { return Ok(()) };
            let hint = say!("is the host's name in the link's URL right, and known on this host?");
            return Err(Failed { at: Step::Resolve, why, hint: Some(hint) });
        }
        self.passed(Step::Resolve, since);
        let since = Instant::now();
        let mut failed = None;
        for address in addresses {
            match tokio::time::timeout(STEP_WITHIN, TcpStream::connect(address)).await {
                Ok(Ok(_)) => {
                    self.passed(Step::Connect, since);
                    return Ok(());
                }
                Ok(Err(error)) => {
                    let hint = match error.kind() {
                        std::io::ErrorKind::ConnectionRefused => {
                            say!("does the server run, and listen at this address and port?")
                        }
                        _ => say!("is the address right, and may this host reach it through every firewall?"),
                    };
                    failed = Some((say!("{}: {}", address.to_string(), error.to_string()), hint));
                }
                Err(_) => {
                    let hint = say!("is the address right, and may this host reach it through every firewall?");
                    failed = Some((say!("{}: {}", address.to_string(), too_slow(STEP_WITHIN)), hint));
                }
            }
        }
        match failed {
            Some((why, hint)) => Err(Failed { at: Step::Connect, why, hint: Some(hint) }),
            None => Ok(()),
        }
    }
}

fn found<L>(link: Result<L, LinkError>) -> Result<L, Failed> {
    link.map_err(|error| {
        let at = if matches!(error, LinkError::Unknown { .. }) { Step::Name } else { Step::Config };
        Failed { at, why: error.said(), hint: None }
    })
}

fn too_slow(within: Duration) -> Message {
    say!("no answer within {} s", within.as_secs())
}

/// `at`: unless the kind of the error says more.
fn of_database(error: DatabaseError, at: Step) -> Failed {
    let text = error.text.english().to_ascii_lowercase();
    let is_tls = ["tls", "ssl", "certificate"].iter().any(|word| text.contains(word));
    let at = match error.kind {
        ErrorKind::NotBuilt => Step::Driver,
        ErrorKind::Login => Step::Login,
        ErrorKind::Unreachable | ErrorKind::Lost if is_tls => Step::Tls,
        ErrorKind::Unreachable => Step::Connect,
        _ => at,
    };
    let hint = error.hint.clone();
    let why = DatabaseError { hint: None, ..error }.said();
    Failed { at, why, hint }
}

/// Its servers were reached before.
fn of_files(error: &FileError) -> Failed {
    let at = match error {
        FileError::NotBuilt { .. } => Step::Driver,
        FileError::Link { .. } => Step::Config,
        FileError::Closed { .. } | FileError::Denied { .. } => Step::Login,
        _ => Step::Path,
    };
    let hint = match at {
        Step::Login => Some(say!("are the link's username and password right?")),
        Step::Path => Some(say!("is it there, and may this user see it?")),
        _ => None,
    };
    Failed { at, why: error.said(), hint }
}

fn tls_hint() -> Message {
    say!("does the server speak TLS at this port, with a certificate for this name that this host trusts?")
}

fn of_ssh(error: &ssh::SshError) -> Failed {
    use ssh::ErrorKind as Kind;
    let at = match &error.kind {
        Kind::NotBuilt => Step::Driver,
        Kind::NotSsh { .. } | Kind::Key(_) => Step::Config,
        Kind::UnknownHost { .. } | Kind::ChangedHost { .. } | Kind::OtherHost { .. } => Step::Tls,
        Kind::Unreachable(_) | Kind::Lost(_) => Step::Connect,
        Kind::Login { .. } | Kind::Refused(_) => Step::Login,
    };
    Failed { at, why: error.said(), hint: None }
}

/// What every database of the kind answers to whoever may sign in.
fn question(kind: DbKind) -> &'static str {
    match kind {
        // It opens any file, and looks into it only when it is asked.
        DbKind::Sqlite => "SELECT count(*) FROM sqlite_master",
        DbKind::Oracle => "SELECT 1 FROM DUAL",
        DbKind::Db2 => "SELECT 1 FROM SYSIBM.SYSDUMMY1",
        _ => "SELECT 1",
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::link::kept::keep;
    use crate::connector::link::seal::{COOKIE_FILE, SealKey};
    use crate::model::link::LinkText;

    struct Conf(tempfile::TempDir);

    impl Conf {
        fn new() -> Self {
            let conf = Self(tempfile::tempdir().unwrap());
            std::fs::write(conf.0.path().join(COOKIE_FILE), hex::encode([5; 32])).unwrap();
            conf
        }

        fn kept(&self, text: &LinkText) -> KeptLink {
            keep(&SealKey::read(self.0.path()).unwrap(), text).unwrap()
        }

        async fn tried(&self, kept: &[KeptLink], name: &str) -> Vec<Tried> {
            links(self.0.path(), self.0.path(), kept, None, name).await
        }
    }

    fn database(url: &str) -> LinkText {
        let text = LinkText::new(LinkKind::Database, "a");
        LinkText { url: url.into(), username: "u".into(), password: "canary-1".into(), ..text }
    }

    fn failed_at(tried: &[Tried]) -> Option<Step> {
        assert_eq!(tried.len(), 1, "{tried:?}");
        tried[0].failed.as_ref().map(|failed| failed.at)
    }

    #[tokio::test]
    async fn each_step_says_where_it_fails() {
        let conf = Conf::new();
        assert_eq!(failed_at(&conf.tried(&[], "a").await), Some(Step::Name));
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let cases = [
            ("jdbc:postgresql://no-such-host.invalid/x".to_owned(), Step::Resolve),
            (format!("jdbc:postgresql://127.0.0.1:{closed}/x"), Step::Connect),
            ("jdbc:sqlite:no/such/directory/x.db".to_owned(), Step::Connect),
        ];
        for (url, step) in cases {
            let tried = conf.tried(&[conf.kept(&database(&url))], "a").await;
            assert_eq!(failed_at(&tried), Some(step), "{url}: {tried:?}");
            assert_eq!(tried[0].origin, Some(Origin::Cluster));
            assert!(!format!("{tried:?}").contains("canary"), "{tried:?}");
        }
        let tried = conf.tried(&[conf.kept(&database("jdbc:sqlite::memory:"))], "a").await;
        assert_eq!(failed_at(&tried), None, "{tried:?}");
        assert_eq!(
            tried[0].steps.iter().map(|(step, _)| step.word()).collect::<Vec<_>>(),
            ["config", "login", "query"]
        );
        let missing = LinkText { password: "${env:RF_NOT_SET}".into(), ..database("jdbc:sqlite::memory:") };
        let tried = conf.tried(&[conf.kept(&missing)], "a").await;
        assert_eq!(failed_at(&tried), Some(Step::Config));
        let why = tried[0].failed.as_ref().unwrap().why.english();
        assert!(why.contains("RF_NOT_SET"), "{why}");
    }

    /// A server that gives everybody this answer.
    async fn answering(status: u16, body: &'static str) -> String {
        let status = axum::http::StatusCode::from_u16(status).unwrap();
        let app = axum::Router::new().fallback(move || async move { (status, body) });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        port.to_string()
    }

    fn files(type_word: &str, host: &str, port: &str, properties: &[(&str, &str)]) -> LinkText {
        LinkText {
            type_word: type_word.into(),
            host: host.into(),
            port: port.into(),
            username: "u".into(),
            password: "canary-2".into(),
            properties: properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..LinkText::new(LinkKind::File, "a")
        }
    }

    #[tokio::test]
    async fn each_step_of_files_says_where_it_fails() {
        let conf = Conf::new();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let none = r#"{"RemoteException":{"exception":"AccessControlException","message":"Permission denied: u"}}"#;
        let root = r#"{"FileStatus":{"type":"DIRECTORY","length":0}}"#;
        let here = "127.0.0.1";
        let mut cases = vec![
            (files("SFTP", "no-such-host.invalid", "", &[]), Some(Step::Resolve)),
            (files("HDFS", "no-such-host.invalid", "", &[]), Some(Step::Resolve)),
            (files("HDFS", here, &closed, &[]), Some(Step::Connect)),
            (files("HDFS", here, &answering(200, root).await, &[("tls", "true")]), Some(Step::Tls)),
            (files("HDFS", here, &answering(401, "").await, &[]), Some(Step::Login)),
            (files("HDFS", here, &answering(403, none).await, &[]), Some(Step::Path)),
            (files("HDFS", here, &answering(200, root).await, &[]), None),
            (files("HDFS", "a/b", "", &[]), Some(Step::Config)),
        ];
        let store = |port: &str| files("S3", here, port, &[("bucket", "b"), ("tls", "false")]);
        if cfg!(feature = "s3") {
            let wrong = "<Error><Code>SignatureDoesNotMatch</Code><Message>not with canary-2</Message></Error>";
            let missing = "<Error><Code>NoSuchBucket</Code><Message>no bucket</Message></Error>";
            let listed = "<ListBucketResult><Name>b</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>";
            cases.extend([
                (store(&closed), Some(Step::Connect)),
                (store(&answering(403, wrong).await), Some(Step::Login)),
                (store(&answering(404, missing).await), Some(Step::Path)),
                (store(&answering(200, listed).await), None),
                (files("S3", here, "", &[]), Some(Step::Config)),
            ]);
        } else {
            cases.push((store("1"), Some(Step::Driver)));
        }
        for (text, step) in cases {
            let tried = conf.tried(&[conf.kept(&text)], "a").await;
            assert_eq!(failed_at(&tried), step, "{tried:?}");
            assert!(!format!("{tried:?}").contains("canary"), "{tried:?}");
            if step.is_none() {
                let passed = tried[0].steps.iter().map(|(step, _)| step.word()).collect::<Vec<_>>();
                assert_eq!(passed, ["config", "resolve", "connect", "login", "path"]);
            }
        }
    }

    #[tokio::test]
    async fn a_file_of_sqlite_is_opened_and_looked_into() {
        let conf = Conf::new();
        std::fs::write(conf.0.path().join("x.db"), "this is no database, whatever it is called").unwrap();
        let tried = conf.tried(&[conf.kept(&database("jdbc:sqlite:x.db"))], "a").await;
        assert!(matches!(failed_at(&tried), Some(Step::Query | Step::Login | Step::Connect)), "{tried:?}");
    }

    #[tokio::test]
    async fn the_hosts_own_file_goes_before_the_cluster() {
        let conf = Conf::new();
        let text = "<db-links><link name=\"a\" type=\"SQLITE\" jdbc-url=\"jdbc:sqlite::memory:\"/></db-links>";
        std::fs::write(conf.0.path().join("db_links.xml"), text).unwrap();
        let closed = conf.kept(&database("jdbc:postgresql://127.0.0.1:1/x"));
        let tried = conf.tried(&[closed], "a").await;
        assert_eq!((failed_at(&tried), tried[0].origin), (None, Some(Origin::File)));
    }

    #[tokio::test]
    async fn a_name_of_both_kinds_is_tried_as_both() {
        let conf = Conf::new();
        let file = LinkText {
            type_word: "SFTP".into(),
            host: "127.0.0.1".into(),
            port: "1".into(),
            ..LinkText::new(LinkKind::File, "a")
        };
        let kept = [conf.kept(&database("jdbc:sqlite::memory:")), conf.kept(&file)];
        let tried = conf.tried(&kept, "a").await;
        assert_eq!(tried.iter().map(|one| one.failed.is_none()).collect::<Vec<_>>(), [true, false], "{tried:?}");
    }
}
