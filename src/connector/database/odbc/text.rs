//! What a link is called in the words of ODBC: the driver, among those of this host, and the connection text.

use crate::connector::link::{DbKind, DbLink, DbUrl, Host};
use crate::model::message::Message;
use crate::say;

/// Words of which the name of a driver has one, the best first.
fn words(kind: DbKind) -> &'static [&'static str] {
    match kind {
        DbKind::Oracle => &["oracle"],
        DbKind::Hive => &["hive"],
        DbKind::Impala => &["impala"],
        DbKind::SqlServer => &["for sql server", "freetds"],
        DbKind::ClickHouse => &["clickhouse odbc driver (unicode)", "clickhouse"],
        DbKind::Db2 => &["db2"],
        DbKind::MySql | DbKind::MariaDb | DbKind::PostgreSql | DbKind::Sqlite | DbKind::Odbc => &[],
    }
}

type Fault = (Message, Message);

/// `drivers`: names of those that this host has.
pub(super) fn connection_text(link: &DbLink, drivers: &[String]) -> Result<String, Fault> {
    let mut text = Text::default();
    match &link.url {
        DbUrl::Odbc(given) => {
            let names = given.split(';').filter_map(|pair| pair.split_once('='));
            let driver = names.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("driver"));
            if driver.is_some_and(|(_, driver)| driver.contains('/')) {
                return Err((
                    say!("a driver is named, not given as a file"),
                    say!("`odbcinst -q -d` lists the drivers that are there"),
                ));
            }
            text.0.push_str(given.trim_end_matches(';'));
            text.0.push(';');
        }
        url => {
            let driver = driver(link, drivers)?;
            text.add("Driver", &driver);
            by_kind(link.kind, url, &driver.to_ascii_lowercase(), &mut text);
            if matches!(link.kind, DbKind::Hive | DbKind::Impala) && !has(link, "AuthMech") {
                // 3: name and password, 2: name alone, 0: nobody asks.
                text.add(
                    "AuthMech",
                    if link.username.is_empty() {
                        "0"
                    } else if link.password.is_empty() {
                        "2"
                    } else {
                        "3"
                    },
                );
            }
            for (name, value) in &link.options.others {
                text.option(name, value);
            }
        }
    }
    for (name, value) in link.properties.iter().filter(|(name, _)| is_odbc_property(link, name)) {
        let name = name.strip_prefix("odbc.").unwrap_or(name);
        if !name.eq_ignore_ascii_case("driver") {
            text.add(name, value.expose());
        }
    }
    if !link.username.is_empty() {
        text.add("UID", &link.username);
    }
    if !link.password.is_empty() {
        text.add("PWD", link.password.expose());
    }
    Ok(text.0)
}

/// Hive's other properties are settings of its session.
fn is_odbc_property(link: &DbLink, name: &str) -> bool {
    name.starts_with("odbc.") || !matches!(link.kind, DbKind::Hive | DbKind::Impala)
}

fn has(link: &DbLink, option: &str) -> bool {
    let names = link.options.others.iter().map(|(name, _)| name.as_str());
    let mut names = names.chain(link.properties.iter().map(|(name, _)| name.strip_prefix("odbc.").unwrap_or(name)));
    names.any(|name| name.eq_ignore_ascii_case(option))
}

/// The link's own word, else the first driver of the host that is for such a database.
fn driver(link: &DbLink, drivers: &[String]) -> Result<String, Fault> {
    let own = link
        .properties
        .iter()
        .find(|(name, _)| name.strip_prefix("odbc.").unwrap_or(name).eq_ignore_ascii_case("driver"));
    if let Some((_, name)) = own {
        return Ok(name.expose().to_owned());
    }
    let is_for = |word: &&str| drivers.iter().find(|driver| driver.to_ascii_lowercase().contains(*word));
    if let Some(driver) = words(link.kind).iter().find_map(is_for) {
        return Ok(driver.clone());
    }
    let hint = match link.kind.driver_package() {
        Some(package) => say!("install {} on this host; `odbcinst -q -d` lists the drivers that are there", package),
        None => say!("`odbcinst -q -d` lists the drivers of this host, `odbcinst -q -s` its data sources"),
    };
    Err((say!("this host has no ODBC driver for {}", link.kind.title()), hint))
}

fn by_kind(kind: DbKind, url: &DbUrl, driver: &str, text: &mut Text) {
    let (hosts, database): (&[Host], Option<&String>) = match url {
        DbUrl::Server { hosts, database } => (hosts, database.as_ref()),
        DbUrl::Driver(description) => {
            // Oracle's own.
            text.add("DBQ", description);
            return;
        }
        DbUrl::File(_) | DbUrl::Memory | DbUrl::Odbc(_) => return,
    };
    let Some(host) = hosts.first() else { return };
    let port = host.port.or(kind.port()).map(|port| port.to_string()).unwrap_or_default();
    let name = host.name.as_str();
    match kind {
        DbKind::Oracle => {
            let database = database.map(String::as_str).unwrap_or_default();
            text.add("DBQ", &format!("//{name}:{port}/{database}"));
            return;
        }
        DbKind::SqlServer if driver.contains("freetds") => {
            text.add("Server", name);
            text.add("Port", &port);
            text.add("TDS_Version", "7.4");
        }
        DbKind::SqlServer => text.add("Server", &format!("tcp:{name},{port}")),
        DbKind::Hive | DbKind::Impala => {
            text.add("Host", name);
            text.add("Port", &port);
        }
        DbKind::Db2 => {
            text.add("Hostname", name);
            text.add("Port", &port);
            text.add("Protocol", "TCPIP");
        }
        _ => {
            text.add("Server", name);
            text.add("Port", &port);
        }
    }
    if let Some(database) = database {
        text.add(if matches!(kind, DbKind::Hive | DbKind::Impala) { "Schema" } else { "Database" }, database);
    }
}

/// Statements that a session begins with.
pub(super) fn setup(link: &DbLink) -> Vec<String> {
    match link.kind {
        // Times are written and read as everywhere else.
        DbKind::Oracle => vec![
            "ALTER SESSION SET NLS_DATE_FORMAT = 'YYYY-MM-DD HH24:MI:SS' NLS_TIMESTAMP_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF6' \
             NLS_TIMESTAMP_TZ_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF6 TZH:TZM' NLS_NUMERIC_CHARACTERS = '.,'"
                .to_owned(),
        ],
        DbKind::Hive | DbKind::Impala => {
            let own = link.properties.iter().filter(|(name, _)| !name.starts_with("odbc."));
            own.map(|(name, value)| format!("set {name}={}", value.expose())).collect()
        }
        _ => Vec::new(),
    }
}

/// `name={value};…`: no value leaves its braces.
#[derive(Default)]
struct Text(String);

impl Text {
    fn add(&mut self, name: &str, value: &str) {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | ',' | '/');
        if value.chars().all(is_plain) {
            self.0.push_str(&format!("{name}={value};"));
        } else {
            self.0.push_str(&format!("{name}={{{}}};", value.replace('}', "}}")));
        }
    }

    /// As JDBC writes it, where ODBC has another word.
    fn option(&mut self, name: &str, value: &str) {
        let yes = |value: &str| {
            if value.eq_ignore_ascii_case("true") {
                "yes".to_owned()
            } else if value.eq_ignore_ascii_case("false") {
                "no".to_owned()
            } else {
                value.to_owned()
            }
        };
        match name.to_ascii_lowercase().as_str() {
            "encrypt" => self.add("Encrypt", &yes(value)),
            "trustservercertificate" => self.add("TrustServerCertificate", &yes(value)),
            _ => self.add(name, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::link::db_link;

    const DRIVERS: &[&str] = &[
        "SQLite3",
        "Oracle 23 ODBC driver",
        "Cloudera ODBC Driver for Apache Hive 64-bit",
        "FreeTDS",
        "ODBC Driver 18 for SQL Server",
    ];

    fn link(attributes: &str, properties: &str) -> DbLink {
        let dir = tempfile::tempdir().unwrap();
        let text =
            format!("<db-links><link name=\"a\" {attributes}><properties>{properties}</properties></link></db-links>");
        std::fs::write(dir.path().join("db_links.xml"), text).unwrap();
        db_link(dir.path(), "a").unwrap()
    }

    fn text(link: &DbLink) -> String {
        let drivers: Vec<String> = DRIVERS.iter().map(|driver| (*driver).to_owned()).collect();
        connection_text(link, &drivers).unwrap()
    }

    #[test]
    fn the_urls_of_jdbc_become_connection_texts() {
        let oracle =
            link("type='ORACLE' jdbc-url='jdbc:oracle:thin:@//ora:1522/ORCL' username='u' password='p;w}'", "");
        assert_eq!(text(&oracle), "Driver={Oracle 23 ODBC driver};DBQ=//ora:1522/ORCL;UID=u;PWD={p;w}}};");
        assert_eq!(setup(&oracle).len(), 1);
        let described =
            link("type='ORACLE' jdbc-url='jdbc:oracle:thin:@(DESCRIPTION=(X=1))' username='u' password=''", "");
        assert!(text(&described).contains("DBQ={(DESCRIPTION=(X=1))};"), "{}", text(&described));
        let hive = link(
            "type='HIVE' jdbc-url='jdbc:hive2://hs/dw' username='hdfs' password=''",
            "<property name='mapred.job.queue.name'>etl</property><property name='odbc.SSL'>1</property>",
        );
        let expected = "Driver={Cloudera ODBC Driver for Apache Hive 64-bit};Host=hs;Port=10000;Schema=dw;AuthMech=2;SSL=1;UID=hdfs;";
        assert_eq!(text(&hive), expected);
        assert_eq!(setup(&hive), ["set mapred.job.queue.name=etl"]);
        let server = link(
            "type='SQLSERVER' jdbc-url='jdbc:sqlserver://db:1444;databaseName=dw;encrypt=true' username='u' password='p'",
            "",
        );
        assert_eq!(
            text(&server),
            "Driver={ODBC Driver 18 for SQL Server};Server=tcp:db,1444;Database=dw;Encrypt=yes;UID=u;PWD=p;"
        );
        let free = link(
            "type='SQLSERVER' jdbc-url='jdbc:sqlserver://db;databaseName=dw' username='u' password='p'",
            "<property name='driver'>FreeTDS</property>",
        );
        assert_eq!(text(&free), "Driver=FreeTDS;Server=db;Port=1433;TDS_Version=7.4;Database=dw;UID=u;PWD=p;");
    }

    #[test]
    fn a_text_of_odbc_stays_and_a_driver_is_named() {
        let dsn = link("type='ODBC' jdbc-url='odbc:DSN=dwh;Timeout=5' username='u' password='p'", "");
        assert_eq!(text(&dsn), "DSN=dwh;Timeout=5;UID=u;PWD=p;");
        let file = link("type='ODBC' jdbc-url='odbc:Driver=/tmp/x.so' username='' password=''", "");
        assert!(connection_text(&file, &[]).unwrap_err().0.english().contains("named"));
    }

    #[test]
    fn a_driver_that_is_missing_is_told_with_its_package() {
        for (word, url, package) in [
            ("IMPALA", "jdbc:impala://h/d", "ClouderaImpalaODBC"),
            ("CLICKHOUSE", "jdbc:clickhouse://h/d", "clickhouse-odbc"),
        ] {
            let link = link(&format!("type='{word}' jdbc-url='{url}' username='u' password='p'"), "");
            let (message, hint) = connection_text(&link, &[]).unwrap_err();
            assert!(message.english().contains(link.kind.title()), "{message:?}");
            assert!(hint.english().contains(package), "{hint:?}");
        }
    }
}
