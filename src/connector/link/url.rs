//! `jdbc:` URLs: which database, where, and the options behind it. Pure text work; a fault never shows the URL,
//! which may hold a password.

use std::fmt;
use std::path::PathBuf;

use super::odbc;
use super::secret::Secret;
use super::sql::DbKind;
use crate::model::message::Message;
use crate::say;

/// Where a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DbUrl {
    /// A file of SQLite. A relative path begins at the home.
    File(PathBuf),
    /// SQLite in memory: gone with its connection.
    Memory,
    /// Tried in their order.
    Server { hosts: Vec<Host>, database: Option<String> },
    /// An instance of Oracle by its identifier, where it is no name of a service.
    Sid { host: Host, sid: String },
    /// What a driver alone reads: a description of Oracle, a name that its client knows.
    Driver(String),
    /// A connection text of ODBC, taken apart, without who signs in.
    Odbc(Vec<(String, String)>),
}

impl DbUrl {
    /// Where it can be reached, as far as the URL itself says.
    pub fn hosts(&self) -> &[Host] {
        match self {
            Self::Server { hosts, .. } => hosts,
            Self::Sid { host, .. } => std::slice::from_ref(host),
            Self::File(_) | Self::Memory | Self::Driver(_) | Self::Odbc(_) => &[],
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub name: String,
    pub port: Option<u16>,
}

/// Without options and without secrets: for people.
impl fmt::Display for DbUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Memory => f.write_str(":memory:"),
            Self::Server { hosts, database } => {
                let hosts: Vec<String> = hosts.iter().map(Host::to_string).collect();
                f.write_str(&hosts.join(","))?;
                database.as_ref().map_or(Ok(()), |database| write!(f, "/{database}"))
            }
            Self::Sid { host, sid } => write!(f, "{host}:{sid}"),
            Self::Driver(text) if text.starts_with('(') => f.write_str("…"),
            Self::Driver(name) => f.write_str(name),
            Self::Odbc(pairs) => f.write_str(&odbc::shown(pairs)),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name.contains(':'), self.port) {
            (true, Some(port)) => write!(f, "[{}]:{port}", self.name),
            (false, Some(port)) => write!(f, "{}:{port}", self.name),
            (_, None) => f.write_str(&self.name),
        }
    }
}

/// A URL taken apart.
#[derive(Debug)]
pub(super) struct Parsed {
    pub kind: DbKind,
    pub url: DbUrl,
    pub options: Vec<(String, String)>,
    /// JDBC takes them in the URL too.
    pub username: Option<String>,
    pub password: Option<Secret>,
}

#[derive(Debug)]
pub(super) struct UrlFault {
    pub message: Message,
    pub hint: Message,
}

pub(super) fn parse(text: &str) -> Result<Parsed, UrlFault> {
    let text = text.trim();
    let text = text.get(..5).filter(|head| head.eq_ignore_ascii_case("jdbc:")).map_or(text, |_| &text[5..]);
    let (scheme, rest) = text.split_once(':').ok_or_else(|| unknown(text))?;
    let (kind, style) = match scheme.to_ascii_lowercase().as_str() {
        "mysql" => (DbKind::MySql, Style::Query),
        "mariadb" => (DbKind::MariaDb, Style::Query),
        "postgresql" | "postgres" => (DbKind::PostgreSql, Style::Query),
        "clickhouse" | "ch" => (DbKind::ClickHouse, Style::Query),
        "hive2" | "hive" => (DbKind::Hive, Style::Semicolons),
        "impala" => (DbKind::Impala, Style::Semicolons),
        "sqlserver" => (DbKind::SqlServer, Style::Semicolons),
        "db2" => (DbKind::Db2, Style::Colon),
        "oracle" => return oracle(rest),
        "sqlite" => return Ok(sqlite(rest)),
        "odbc" => return connection_text(rest),
        _ => return Err(unknown(scheme)),
    };
    server(kind, style, rest)
}

/// How options stand behind the database's name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `/db?a=1&b=2`
    Query,
    /// `/db;a=1;b=2`
    Semicolons,
    /// `/db:a=1;b=2;`
    Colon,
}

fn server(kind: DbKind, style: Style, rest: &str) -> Result<Parsed, UrlFault> {
    let Some(rest) = rest.strip_prefix("//") else {
        // PostgreSQL's short form names the database alone.
        if kind == DbKind::PostgreSql && !rest.contains("//") {
            return server(kind, style, &format!("//localhost/{}", rest.trim_start_matches('/')));
        }
        return Err(shape(kind));
    };
    let ends: &[char] = &['/', '?', ';'];
    let (authority, rest) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
    let (user, hosts) = authority.rsplit_once('@').map_or((None, authority), |(user, hosts)| (Some(user), hosts));
    let mut hosts = hosts.split(',').map(|host| parse_host(host, kind)).collect::<Result<Vec<_>, _>>()?;
    let (path, options) = match style {
        Style::Query => rest.split_once('?').unwrap_or((rest, "")),
        Style::Semicolons => rest.split_once([';', '?']).unwrap_or((rest, "")),
        Style::Colon => rest.split_once(':').unwrap_or((rest, "")),
    };
    let decode = style == Style::Query;
    let text = |text: &str| if decode { decoded(text) } else { text.to_owned() };
    let database = Some(text(path.trim_start_matches('/'))).filter(|database| !database.is_empty());
    let separators: &[char] = if decode { &['&'] } else { &[';', '?', '#'] };
    let mut options = pairs(options, separators, text);
    // An instance of SQL Server stands behind its host.
    for host in hosts.iter_mut().filter(|_| kind == DbKind::SqlServer) {
        if let Some((name, instance)) = host.name.clone().split_once('\\') {
            name.clone_into(&mut host.name);
            options.push(("instanceName".to_owned(), instance.to_owned()));
        }
    }
    let mut parsed = Parsed { kind, url: DbUrl::Server { hosts, database }, options, username: None, password: None };
    if let Some(user) = user {
        let (name, password) = user.split_once(':').map_or((user, None), |(name, password)| (name, Some(password)));
        parsed.username = Some(decoded(name));
        parsed.password = password.map(|password| Secret::new(decoded(password)));
    }
    take_login(&mut parsed);
    // SQL Server names the database among the options.
    if let Some(at) = parsed.options.iter().position(|(name, _)| is(name, &["databasename", "database"])) {
        if let (DbKind::SqlServer, DbUrl::Server { database, .. }) = (kind, &mut parsed.url) {
            *database = Some(parsed.options.remove(at).1);
        }
    }
    Ok(parsed)
}

/// `jdbc:oracle:thin:@//h:p/service`, `@h:p/service`, `@h:p:sid`, `@(DESCRIPTION=…)`, `@name`, with `user/password`
/// before the `@`.
fn oracle(rest: &str) -> Result<Parsed, UrlFault> {
    let (before, target) = rest.rsplit_once('@').ok_or_else(|| shape(DbKind::Oracle))?;
    let target = target.trim().trim_start_matches("//").split('?').next().unwrap_or_default();
    // A name ends up in a description, which has its own signs.
    let is_name = |name: &str| !name.is_empty() && !name.contains(['(', ')', '=', '"', '\'']);
    let service = |host: Host, name: &str| DbUrl::Server { hosts: vec![host], database: Some(name.to_owned()) };
    let url = if target.starts_with('(') {
        DbUrl::Driver(target.to_owned())
    } else if let Some((host, name)) = target.split_once('/').filter(|(_, name)| is_name(name)) {
        service(parse_host(host, DbKind::Oracle)?, name)
    } else {
        match target.split(':').collect::<Vec<_>>().as_slice() {
            [host, port, sid] if is_name(sid) => {
                let host = parse_host(&format!("{host}:{port}"), DbKind::Oracle)?;
                DbUrl::Sid { host, sid: (*sid).to_owned() }
            }
            [name] if is_name(name) && !name.contains('/') => DbUrl::Driver((*name).to_owned()),
            _ => return Err(shape(DbKind::Oracle)),
        }
    };
    let login = before.rsplit_once(':').map_or("", |(_, login)| login);
    let (username, password) = login.split_once('/').unwrap_or((login, ""));
    let written = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let (username, password) = (written(username), written(password).map(Secret::new));
    Ok(Parsed { kind: DbKind::Oracle, url, options: Vec::new(), username, password })
}

fn sqlite(rest: &str) -> Parsed {
    let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
    let url = match path {
        "" | ":memory:" => DbUrl::Memory,
        path => DbUrl::File(PathBuf::from(path)),
    };
    let options = pairs(options, &['&'], decoded);
    Parsed { kind: DbKind::Sqlite, url, options, username: None, password: None }
}

/// `odbc:DSN=dwh;Timeout=5`. Who signs in stands in the link's attributes, else in the text.
fn connection_text(rest: &str) -> Result<Parsed, UrlFault> {
    let pairs = odbc::parse(rest).filter(|pairs| !pairs.is_empty()).ok_or_else(|| shape(DbKind::Odbc))?;
    let mut parsed = Parsed { kind: DbKind::Odbc, url: DbUrl::Memory, options: pairs, username: None, password: None };
    take_login(&mut parsed);
    parsed.url = DbUrl::Odbc(std::mem::take(&mut parsed.options));
    Ok(parsed)
}

/// Moves user and password out of the options, so that they are shown nowhere.
fn take_login(parsed: &mut Parsed) {
    let mut take = |names: &[&str]| {
        let at = parsed.options.iter().position(|(name, _)| is(name, names))?;
        Some(parsed.options.remove(at).1)
    };
    let username = take(&["user", "username", "uid"]);
    let password = take(&["password", "pwd"]);
    parsed.username = username.or(parsed.username.take());
    parsed.password = password.map(Secret::new).or(parsed.password.take());
}

fn is(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

fn parse_host(text: &str, kind: DbKind) -> Result<Host, UrlFault> {
    let text = text.trim();
    if text.contains(['(', ')', '=']) {
        return Err(shape(kind));
    }
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, rest)) => (name, rest.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    let name = if name.is_empty() { "localhost" } else { name };
    let port = port.filter(|port| !port.is_empty());
    let port = port.map(|port| port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(|| bad_port(port)));
    Ok(Host { name: name.to_owned(), port: port.transpose()? })
}

fn pairs(text: &str, separators: &[char], value: impl Fn(&str) -> String) -> Vec<(String, String)> {
    text.split(separators)
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
            (name.trim().to_owned(), value(text.trim()))
        })
        .collect()
}

/// `%20` and the like.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

fn unknown(scheme: &str) -> UrlFault {
    // What stands before the colon is no secret, a whole text without one may be.
    let shown: String = scheme.chars().take_while(|c| c.is_alphanumeric()).take(20).collect();
    UrlFault {
        message: say!("the URL is of no database that is known: \"{}\"", shown),
        hint: say!(
            "write {}; what has an ODBC driver alone: {}",
            "jdbc:mysql://HOST:PORT/DATABASE",
            DbKind::Odbc.example()
        ),
    }
}

fn shape(kind: DbKind) -> UrlFault {
    UrlFault { message: say!("this is no URL of {}", kind.title()), hint: say!("write {}", kind.example()) }
}

fn bad_port(port: &str) -> UrlFault {
    UrlFault {
        message: say!("\"{}\" is no port", port.chars().take(20).collect::<String>()),
        hint: say!("write the number behind the host: {}", "HOST:3306"),
    }
}
