//! Links to databases: `<link name type jdbc-url username password desc?>`.

use super::fault::Faults;
use super::odbc;
use super::options::{OptionFault, Options};
use super::outside::Outside;
use super::read::{Attribute, Element, Place};
use super::secret::Secret;
use super::url::{self, DbUrl, Host};
use super::value::{self, password, properties, resolved};
use super::{DB_LINKS_FILE, Link, LinkFault};
use crate::model::diagnostic::Severity;
use crate::model::link::LinkKind;
use crate::model::secret_name::is_secret_name;
use crate::say;

#[derive(Debug, Clone)]
pub struct DbLink {
    pub name: String,
    pub kind: DbKind,
    pub url: DbUrl,
    pub options: Options,
    pub username: String,
    pub password: Secret,
    /// Settings of a session, as Hive's `set k=v`. Any of them may have come from where secrets are.
    pub properties: Vec<(String, Secret)>,
    pub description: Option<String>,
    /// What is odd about it and did no harm yet.
    pub warnings: Vec<LinkFault>,
}

/// akkaflow knew the first three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DbKind {
    MySql,
    Oracle,
    Hive,
    MariaDb,
    PostgreSql,
    Sqlite,
    Impala,
    SqlServer,
    ClickHouse,
    Db2,
    Odbc,
}

impl DbKind {
    pub const ALL: &[DbKind] = &[
        Self::MySql,
        Self::Oracle,
        Self::Hive,
        Self::MariaDb,
        Self::PostgreSql,
        Self::Sqlite,
        Self::Impala,
        Self::SqlServer,
        Self::ClickHouse,
        Self::Db2,
        Self::Odbc,
    ];

    /// The word of the attribute `type`.
    pub fn word(self) -> &'static str {
        match self {
            Self::MySql => "MYSQL",
            Self::Oracle => "ORACLE",
            Self::Hive => "HIVE",
            Self::MariaDb => "MARIADB",
            Self::PostgreSql => "POSTGRESQL",
            Self::Sqlite => "SQLITE",
            Self::Impala => "IMPALA",
            Self::SqlServer => "SQLSERVER",
            Self::ClickHouse => "CLICKHOUSE",
            Self::Db2 => "DB2",
            Self::Odbc => "ODBC",
        }
    }

    /// In any case, with the other names that people write.
    pub fn from_word(word: &str) -> Option<Self> {
        let word = word.trim().to_ascii_uppercase().replace(['-', '_', ' '], "");
        match word.as_str() {
            "POSTGRES" | "PG" => Some(Self::PostgreSql),
            "MSSQL" => Some(Self::SqlServer),
            "HIVE2" => Some(Self::Hive),
            "SQLITE3" => Some(Self::Sqlite),
            word => Self::ALL.iter().copied().find(|kind| kind.word() == word),
        }
    }

    /// Its name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::MySql => "MySQL",
            Self::Oracle => "Oracle",
            Self::Hive => "Hive",
            Self::MariaDb => "MariaDB",
            Self::PostgreSql => "PostgreSQL",
            Self::Sqlite => "SQLite",
            Self::Impala => "Impala",
            Self::SqlServer => "SQL Server",
            Self::ClickHouse => "ClickHouse",
            Self::Db2 => "Db2",
            Self::Odbc => "ODBC",
        }
    }

    /// The others need a driver of their vendor.
    pub fn is_built_in(self) -> bool {
        matches!(self, Self::MySql | Self::MariaDb | Self::PostgreSql | Self::Sqlite)
    }

    /// Where its servers listen unless the URL says otherwise.
    pub fn port(self) -> Option<u16> {
        Some(match self {
            Self::MySql | Self::MariaDb => 3306,
            Self::PostgreSql => 5432,
            Self::Oracle => 1521,
            Self::Hive => 10000,
            Self::Impala => 21050,
            Self::SqlServer => 1433,
            Self::ClickHouse => 8123,
            Self::Db2 => 50000,
            Self::Sqlite | Self::Odbc => return None,
        })
    }

    /// What brings the ODBC driver for it.
    pub fn driver_package(self) -> Option<&'static str> {
        match self {
            Self::Oracle => Some("oracle-instantclient-odbc (Oracle Instant Client ODBC)"),
            Self::Hive => Some("ClouderaHiveODBC (Cloudera ODBC Connector for Hive)"),
            Self::Impala => Some("ClouderaImpalaODBC (Cloudera ODBC Connector for Impala)"),
            Self::SqlServer => Some("msodbcsql18 (Microsoft) / tdsodbc (FreeTDS)"),
            Self::ClickHouse => Some("clickhouse-odbc"),
            Self::Db2 => Some("IBM Data Server Driver for ODBC and CLI"),
            Self::PostgreSql => Some("odbc-postgresql"),
            Self::MySql | Self::MariaDb => Some("odbc-mariadb"),
            Self::Sqlite => Some("libsqliteodbc"),
            Self::Odbc => None,
        }
    }

    pub(super) fn example(self) -> &'static str {
        match self {
            Self::MySql => "jdbc:mysql://HOST:3306/DATABASE",
            Self::Oracle => "jdbc:oracle:thin:@//HOST:1521/SERVICE",
            Self::Hive => "jdbc:hive2://HOST:10000/DATABASE",
            Self::MariaDb => "jdbc:mariadb://HOST:3306/DATABASE",
            Self::PostgreSql => "jdbc:postgresql://HOST:5432/DATABASE",
            Self::Sqlite => "jdbc:sqlite:PATH",
            Self::Impala => "jdbc:impala://HOST:21050/DATABASE",
            Self::SqlServer => "jdbc:sqlserver://HOST:1433;databaseName=DATABASE",
            Self::ClickHouse => "jdbc:clickhouse://HOST:8123/DATABASE",
            Self::Db2 => "jdbc:db2://HOST:50000/DATABASE",
            Self::Odbc => "odbc:DSN=NAME",
        }
    }

    /// May a link of this type have a URL of that kind?
    fn takes(self, of_url: Self) -> bool {
        let is_mysql = |kind| matches!(kind, Self::MySql | Self::MariaDb);
        // Impala is reached with Hive's driver too; ODBC reaches everything.
        self == of_url
            || (is_mysql(self) && is_mysql(of_url))
            || (self == Self::Impala && of_url == Self::Hive)
            || of_url == Self::Odbc
    }
}

impl DbLink {
    /// Is it opened through ODBC?
    pub fn is_odbc(&self) -> bool {
        is_odbc(self.kind, &self.url)
    }

    /// Properties that are told to an ODBC driver, by the names that it knows.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.properties.iter().filter_map(|(name, value)| Some((attribute_of(self.kind, name)?, value)))
    }

    /// Properties that are settings of the session instead.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &Secret)> {
        let settings = self.properties.iter().filter(|(name, _)| attribute_of(self.kind, name).is_none());
        settings.map(|(name, value)| (name.as_str(), value))
    }

    /// The words of somebody else (a server, a driver) without what is secret of the link.
    pub fn mask(&self, text: &str) -> String {
        let properties = self.properties.iter().filter(|(name, _)| is_secret_name(name));
        properties.fold(self.password.mask(text), |text, (_, value)| value.mask(&text))
    }

    /// Hosts and ports that somebody should listen at.
    pub fn addresses(&self) -> Vec<(String, u16)> {
        // SQL Server tells the port of an instance when it is asked for it by name.
        let is_by_name = self.options.others.iter().any(|(name, _)| name.eq_ignore_ascii_case("instanceName"));
        let port = |host: &Host| host.port.or(self.kind.port().filter(|_| !is_by_name));
        self.url.hosts().iter().filter_map(|host| Some((host.name.clone(), port(host)?))).collect()
    }
}

/// All that is not built in is, and whatever has a URL of ODBC.
fn is_odbc(kind: DbKind, url: &DbUrl) -> bool {
    !kind.is_built_in() || matches!(url, DbUrl::Odbc(_))
}

/// What an ODBC driver calls a property. Those of Hive and Impala are settings of the session, unless they begin with
/// `odbc.` or name the driver.
fn attribute_of(kind: DbKind, property: &str) -> Option<&str> {
    let is_driver = property.eq_ignore_ascii_case("driver");
    let plain = (is_driver || !matches!(kind, DbKind::Hive | DbKind::Impala)).then_some(property);
    property.strip_prefix("odbc.").or(plain)
}

const ATTRIBUTES: &[&str] = &["name", "type", "jdbc-url", "username", "password", "desc"];

impl Link for DbLink {
    const KIND: LinkKind = LinkKind::Database;
    const FILE: &'static str = DB_LINKS_FILE;
    const ROOT: &'static str = "db-links";

    fn name(&self) -> &str {
        &self.name
    }

    fn always() -> Option<Self> {
        None
    }

    fn read(element: &Element, outside: &Outside<'_>, faults: &mut Faults<'_>) -> Option<Self> {
        let before = faults.found.len();
        element.check_attributes(ATTRIBUTES, faults);
        let link = Reader { element, outside, faults }.link();
        let is_bad = faults.found[before..].iter().any(|fault| fault.severity == Severity::Error);
        let warnings = faults.found[before..].to_vec();
        link.filter(|_| !is_bad).map(|link| DbLink { warnings, ..link })
    }
}

/// One `<link>` being read; every fault is told, the value comes from those that are right.
struct Reader<'a, 'f> {
    element: &'a Element,
    outside: &'a Outside<'a>,
    faults: &'a mut Faults<'f>,
}

impl Reader<'_, '_> {
    fn link(mut self) -> Option<DbLink> {
        let name = self.element.trimmed("name")?.to_owned();
        let declared = self.kind();
        let (parsed, at) = self.url()?;
        let kind = declared.unwrap_or(parsed.kind);
        if !kind.takes(parsed.kind) {
            let message = say!("the link is of type {}, its URL is of {}", kind.word(), parsed.kind.title());
            self.faults.error(at, message, say!("write {}", kind.example()));
        }
        let properties = properties(self.element, self.outside, self.faults);
        let is_odbc = is_odbc(kind, &parsed.url);
        let mut options = Options::default();
        for (name, value) in &parsed.options {
            self.option(&mut options, kind, name, value, at);
        }
        if let DbUrl::Odbc(pairs) = &parsed.url {
            pairs.iter().for_each(|(name, value)| self.attribute(name, value, at));
        }
        for property in &properties {
            match attribute_of(kind, &property.name) {
                // As JDBC has them.
                _ if !is_odbc => self.option(&mut options, kind, &property.name, &property.value, property.at),
                Some(name) => self.attribute(name, &property.value, property.at),
                None => {}
            }
        }
        let username = self.text("username").filter(|text| !text.is_empty()).or(parsed.username);
        if username.is_none() && !is_odbc && kind != DbKind::Sqlite {
            let message = say!("<{}> needs the attribute {}", "link", "username");
            self.faults.error(self.element.at, message, say!("write {}=\"…\"", "username"));
        }
        let password = self.password(parsed.password);
        Some(DbLink {
            name,
            kind,
            url: parsed.url,
            options,
            username: username.unwrap_or_default(),
            password,
            properties: properties.into_iter().map(|property| (property.name, Secret::new(property.value))).collect(),
            description: self.element.trimmed("desc").map(str::to_owned),
            warnings: Vec::new(),
        })
    }

    fn option(&mut self, options: &mut Options, kind: DbKind, name: &str, value: &str, at: Place) {
        match options.set(kind, name, value) {
            Ok(()) => {}
            Err(OptionFault::Error(message, hint)) => self.faults.error(at, message, hint),
            Err(OptionFault::Warning(message, hint)) => self.faults.warning(at, message, hint),
        }
    }

    /// Something that an ODBC driver is told.
    fn attribute(&mut self, name: &str, value: &str, at: Place) {
        if let Some(OptionFault::Error(message, hint) | OptionFault::Warning(message, hint)) = odbc::fault(name, value)
        {
            self.faults.error(at, message, hint);
        }
    }

    fn kind(&mut self) -> Option<DbKind> {
        let word = self.element.attribute("type")?;
        value::kind(word, DbKind::ALL, DbKind::word, DbKind::from_word, self.faults)
    }

    fn url(&mut self) -> Option<(url::Parsed, Place)> {
        let Some(attribute) = self.element.attribute("jdbc-url").filter(|url| !url.value.trim().is_empty()) else {
            let message = say!("<{}> needs the attribute {}", "link", "jdbc-url");
            self.faults.error(self.element.at, message, say!("write {}=\"…\"", "jdbc-url"));
            return None;
        };
        let at = attribute.at;
        let text = self.resolved(attribute)?;
        match url::parse(&text) {
            Ok(parsed) => {
                if parsed.password.is_some() {
                    let hint = say!("write the password into the attribute password");
                    self.faults.warning(at, say!("the URL holds a password"), hint);
                }
                Some((parsed, at))
            }
            Err(fault) => {
                self.faults.error(at, fault.message, fault.hint);
                None
            }
        }
    }

    fn password(&mut self, of_url: Option<Secret>) -> Secret {
        password(self.element, self.outside, self.faults).filter(|own| !own.is_empty()).or(of_url).unwrap_or_default()
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let attribute = self.element.attribute(name)?;
        self.resolved(attribute)
    }

    fn resolved(&mut self, attribute: &Attribute) -> Option<String> {
        resolved(attribute, self.outside, self.faults)
    }
}
