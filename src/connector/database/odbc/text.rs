//! What a link is called in the words of ODBC: the driver, among those of this host, and the connection text.

use std::env;

use crate::connector::link::odbc::push;
use crate::connector::link::{DbKind, DbLink, DbUrl, Host};
use crate::model::message::{Message, Value};
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

/// What is wrong, and how to mend it.
pub(super) type Fault = (Message, Message);

type Pairs = Vec<(String, String)>;

/// The texts that reach the link's database: one for each of its hosts, to be tried in their order. `drivers`: names
/// of those that this host has.
pub(super) fn connection_texts(link: &DbLink, drivers: &[String]) -> Result<Vec<String>, Fault> {
    if let DbUrl::Odbc(pairs) = &link.url {
        let mut pairs = pairs.clone();
        if let Some((_, driver)) = pairs.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case("driver")) {
            *driver = named(link, driver, drivers)?;
        }
        return Ok(vec![complete(link, pairs)]);
    }
    let driver = driver(link, drivers)?;
    let addresses = match &link.url {
        // These hosts are those of ZooKeeper, which knows the one to go to.
        DbUrl::Server { hosts, .. } if is_hive(link.kind) && option(link, "serviceDiscoveryMode").is_some() => {
            let hosts: Vec<String> = hosts.iter().map(Host::to_string).collect();
            vec![vec![pair("Host", hosts.join(","))]]
        }
        url @ (DbUrl::Server { .. } | DbUrl::Sid { .. }) => {
            url.hosts().iter().map(|host| address(link, host, &driver)).collect()
        }
        // Oracle's own.
        DbUrl::Driver(description) => vec![vec![pair("DBQ", description.clone())]],
        DbUrl::File(_) | DbUrl::Memory | DbUrl::Odbc(_) => vec![Vec::new()],
    };
    let text = |address: Pairs| {
        let mut pairs = vec![pair("Driver", driver.clone())];
        pairs.extend(address);
        pairs.extend(database(link));
        pairs.extend(options(link));
        complete(link, pairs)
    };
    Ok(addresses.into_iter().map(text).collect())
}

fn pair(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

fn is_hive(kind: DbKind) -> bool {
    matches!(kind, DbKind::Hive | DbKind::Impala)
}

/// An option of the URL, whatever its case.
fn option<'a>(link: &'a DbLink, name: &str) -> Option<&'a str> {
    let mut options = link.options.others.iter();
    options.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// With the link's properties, which go before what the URL says, and with who signs in.
fn complete(link: &DbLink, mut pairs: Pairs) -> String {
    for (name, value) in link.attributes().filter(|(name, _)| !name.eq_ignore_ascii_case("driver")) {
        pairs.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        pairs.push(pair(name, value.expose()));
    }
    let needed = match link.kind {
        // The driver else takes back more than the statement that failed, without a word.
        DbKind::PostgreSql => Some(("Protocol", "7.4-0")),
        // The driver else has all rows in memory before it gives the first.
        DbKind::Sqlite => Some(("StepAPI", "1")),
        _ => None,
    };
    if let Some((name, value)) =
        needed.filter(|(name, _)| !pairs.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)))
    {
        pairs.push(pair(name, value));
    }
    if !link.username.is_empty() {
        pairs.push(pair("UID", link.username.as_str()));
    }
    if !link.password.is_empty() {
        pairs.push(pair("PWD", link.password.expose()));
    }
    let mut text = String::new();
    for (name, value) in &pairs {
        push(&mut text, name, value);
    }
    text
}

/// The link's own word, else the first driver of the host that is for such a database.
fn driver(link: &DbLink, drivers: &[String]) -> Result<String, Fault> {
    if let Some((_, name)) = link.attributes().find(|(name, _)| name.eq_ignore_ascii_case("driver")) {
        return named(link, name.expose(), drivers);
    }
    let is_for = |word: &&str| drivers.iter().find(|driver| driver.to_ascii_lowercase().contains(*word));
    if let Some(driver) = words(link.kind).iter().find_map(is_for) {
        return Ok(driver.clone());
    }
    let places = places(|name| env::var(name).ok());
    let message = say!("this host has no ODBC driver for {} ({} names none for it)", link.kind.title(), places);
    Err((message, mend(link, drivers)))
}

/// A driver by its name, as the host writes it.
fn named(link: &DbLink, name: &str, drivers: &[String]) -> Result<String, Fault> {
    let found = drivers.iter().find(|driver| driver.eq_ignore_ascii_case(name.trim()));
    found.cloned().ok_or_else(|| {
        let places = places(|name| env::var(name).ok());
        (say!("this host has no ODBC driver \"{}\" ({} does not name it)", name.trim(), places), mend(link, drivers))
    })
}

fn mend(link: &DbLink, drivers: &[String]) -> Message {
    let known = match drivers.is_empty() {
        true => Value::Message(say!("none")),
        false => Value::list(drivers.iter().map(String::as_str)),
    };
    match link.kind.driver_package() {
        Some(package) => say!("install {} here; other drivers of this host: {}", package, known),
        None => say!("the drivers of this host are: {}", known),
    }
}

/// The files that name the drivers of a host.
fn places(env: impl Fn(&str) -> Option<String>) -> String {
    let dir = env("ODBCSYSINI").unwrap_or_else(|| "/etc".to_owned());
    format!("{}/{}", dir.trim_end_matches('/'), env("ODBCINSTINI").unwrap_or_else(|| "odbcinst.ini".to_owned()))
}

/// Where one host listens.
fn address(link: &DbLink, host: &Host, driver: &str) -> Pairs {
    let port = host.port.or(link.kind.port()).map(|port| port.to_string()).unwrap_or_default();
    let name = host.name.as_str();
    match (link.kind, &link.url) {
        (_, DbUrl::Sid { sid, .. }) => {
            let address = format!("(ADDRESS=(PROTOCOL=TCP)(HOST={name})(PORT={port}))");
            vec![pair("DBQ", format!("(DESCRIPTION={address}(CONNECT_DATA=(SID={sid})))"))]
        }
        (DbKind::Oracle, DbUrl::Server { database, .. }) => {
            vec![pair("DBQ", format!("//{name}:{port}/{}", database.as_deref().unwrap_or_default()))]
        }
        (DbKind::SqlServer, _) => {
            let is_free_tds = driver.to_ascii_lowercase().contains("freetds");
            let mut pairs = match option(link, "instanceName").filter(|_| host.port.is_none()) {
                Some(instance) => vec![pair("Server", format!("{name}\\{instance}"))],
                None if is_free_tds => vec![pair("Server", name), pair("Port", port)],
                None => vec![pair("Server", format!("tcp:{name},{port}"))],
            };
            if is_free_tds {
                pairs.push(pair("TDS_Version", "7.4"));
            }
            pairs
        }
        (DbKind::Hive | DbKind::Impala, _) => vec![pair("Host", name), pair("Port", port)],
        (DbKind::Db2, _) => vec![pair("Hostname", name), pair("Port", port), pair("Protocol", "TCPIP")],
        _ => vec![pair("Server", name), pair("Port", port)],
    }
}

fn database(link: &DbLink) -> Option<(String, String)> {
    let DbUrl::Server { database, .. } = &link.url else { return None };
    let word = match link.kind {
        // It stands in the address.
        DbKind::Oracle => return None,
        DbKind::Hive | DbKind::Impala => "Schema",
        _ => "Database",
    };
    database.as_ref().map(|database| pair(word, database.as_str()))
}

/// Options of the URL, where JDBC has other words than the driver.
fn options(link: &DbLink) -> Pairs {
    let mut pairs = Pairs::new();
    for (name, value) in &link.options.others {
        let lower = name.to_ascii_lowercase();
        let is_true = value.eq_ignore_ascii_case("true");
        match (link.kind, lower.as_str()) {
            (DbKind::SqlServer, "instancename") => {}
            (DbKind::SqlServer, "encrypt" | "trustservercertificate") => {
                let word = if lower == "encrypt" { "Encrypt" } else { "TrustServerCertificate" };
                let value = match lower_bool(value) {
                    Some(true) => "yes",
                    Some(false) => "no",
                    None => value,
                };
                pairs.push(pair(word, value));
            }
            (DbKind::SqlServer, "integratedsecurity") if is_true => pairs.push(pair("Trusted_Connection", "yes")),
            (DbKind::ClickHouse, "ssl") if is_true => pairs.push(pair("SSLMode", "require")),
            (DbKind::Db2, "sslconnection") if is_true => pairs.push(pair("Security", "SSL")),
            (DbKind::Hive | DbKind::Impala, _) => pairs.extend(of_hive(link, &lower, name, value)),
            _ => pairs.push(pair(name, value.as_str())),
        }
    }
    let asks = |pairs: &Pairs| pairs.iter().any(|(name, _)| name.eq_ignore_ascii_case("AuthMech"));
    if is_hive(link.kind) && !asks(&pairs) && !link.attributes().any(|(name, _)| name.eq_ignore_ascii_case("AuthMech"))
    {
        // 3: name and password, 2: name alone, 0: nobody asks.
        let mechanism = match (link.username.is_empty(), link.password.is_empty()) {
            (true, _) => "0",
            (false, true) => "2",
            (false, false) => "3",
        };
        pairs.push(pair("AuthMech", mechanism));
    }
    pairs
}

/// What Hive's driver of JDBC calls otherwise than that of ODBC.
fn of_hive(link: &DbLink, lower: &str, name: &str, value: &str) -> Pairs {
    let switch = |word: &str| vec![pair(word, if lower_bool(value) == Some(true) { "1" } else { "0" })];
    match lower {
        // A setting of the session.
        _ if name.contains('.') => Vec::new(),
        "ssl" => switch("SSL"),
        "auth" if value.eq_ignore_ascii_case("noSasl") => vec![pair("AuthMech", "0")],
        "auth" => Vec::new(),
        "transportmode" => vec![pair("ThriftTransport", if value.eq_ignore_ascii_case("http") { "2" } else { "1" })],
        "httppath" => vec![pair("HTTPPath", value)],
        "servicediscoverymode" => vec![pair("ServiceDiscoveryMode", "1")],
        "zookeepernamespace" => vec![pair("ZKNamespace", value)],
        // `hive/host@REALM`
        "principal" => {
            let (service, rest) = value.split_once('/').unwrap_or((value, ""));
            let (host, realm) = rest.split_once('@').unwrap_or((rest, ""));
            let host = match (host, link.url.hosts()) {
                ("" | "_HOST", [only]) => only.name.as_str(),
                (host, _) => host,
            };
            let mut pairs = vec![pair("AuthMech", "1"), pair("KrbServiceName", service), pair("KrbHostFQDN", host)];
            pairs.extend((!realm.is_empty()).then(|| pair("KrbRealm", realm)));
            pairs
        }
        _ => vec![pair(name, value)],
    }
}

fn lower_bool(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Some(true),
        "false" | "no" | "0" => Some(false),
        _ => None,
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
            let of_url = link.options.others.iter().filter(|(name, _)| name.contains('.'));
            let of_url = of_url.map(|(name, value)| (name.as_str(), value.as_str()));
            let own = link.settings().map(|(name, value)| (name, value.expose()));
            of_url.chain(own).map(|(name, value)| format!("set {name}={value}")).collect()
        }
        _ => Vec::new(),
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
        "ClickHouse ODBC Driver (ANSI)",
        "ClickHouse ODBC Driver (Unicode)",
        "IBM DB2 ODBC DRIVER",
    ];

    fn link(attributes: &str, properties: &str) -> DbLink {
        let dir = tempfile::tempdir().unwrap();
        let text =
            format!("<db-links><link name=\"a\" {attributes}><properties>{properties}</properties></link></db-links>");
        std::fs::write(dir.path().join("db_links.xml"), text).unwrap();
        db_link(dir.path(), "a").unwrap()
    }

    fn texts(attributes: &str, properties: &str) -> Vec<String> {
        let drivers: Vec<String> = DRIVERS.iter().map(|driver| (*driver).to_owned()).collect();
        connection_texts(&link(attributes, properties), &drivers).unwrap()
    }

    #[test]
    fn akka_08_urls_of_jdbc_become_connection_texts() {
        let hive = "Driver=Cloudera ODBC Driver for Apache Hive 64-bit;";
        for (word, url, expected) in [
            ("ORACLE", "jdbc:oracle:thin:@//ora:1522/ORCL", "Driver=Oracle 23 ODBC driver;DBQ=//ora:1522/ORCL;"),
            ("ORACLE", "jdbc:oracle:thin:@ora/ORCL", "Driver=Oracle 23 ODBC driver;DBQ=//ora:1521/ORCL;"),
            (
                "ORACLE",
                "jdbc:oracle:thin:@ora:1521:dw",
                "Driver=Oracle 23 ODBC driver;DBQ=(DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=ora)(PORT=1521))(CONNECT_DATA=(SID=dw)));",
            ),
            (
                "ORACLE",
                "jdbc:oracle:thin:@(DESCRIPTION=(X=1))",
                "Driver=Oracle 23 ODBC driver;DBQ=(DESCRIPTION=(X=1));",
            ),
            ("ORACLE", "jdbc:oracle:oci:@tns_name", "Driver=Oracle 23 ODBC driver;DBQ=tns_name;"),
            (
                "HIVE",
                "jdbc:hive2://hs/dw;ssl=true;transportMode=http;httpPath=cli?hive.exec.parallel=true",
                "Driver=Cloudera ODBC Driver for Apache Hive 64-bit;Host=hs;Port=10000;Schema=dw;SSL=1;ThriftTransport=2;HTTPPath=cli;AuthMech=3;",
            ),
            (
                "HIVE",
                "jdbc:hive2://z1:2181,z2:2181/dw;serviceDiscoveryMode=zooKeeper;zooKeeperNamespace=hs2;auth=noSasl",
                &format!("{hive}Host=z1:2181,z2:2181;Schema=dw;ServiceDiscoveryMode=1;ZKNamespace=hs2;AuthMech=0;"),
            ),
            (
                "HIVE",
                "jdbc:hive2://hs:10001/dw;principal=hive/_HOST@CORP.CN",
                &format!(
                    "{hive}Host=hs;Port=10001;Schema=dw;AuthMech=1;KrbServiceName=hive;KrbHostFQDN=hs;KrbRealm=CORP.CN;"
                ),
            ),
            (
                "SQLSERVER",
                "jdbc:sqlserver://db:1444;databaseName=dw;encrypt=true;trustServerCertificate=false",
                "Driver=ODBC Driver 18 for SQL Server;Server=tcp:db,1444;Database=dw;Encrypt=yes;TrustServerCertificate=no;",
            ),
            ("MSSQL", "jdbc:sqlserver://db\\i2", "Driver=ODBC Driver 18 for SQL Server;Server=db\\i2;"),
            (
                "CLICKHOUSE",
                "jdbc:clickhouse://ch:8443/dw?ssl=true",
                "Driver=ClickHouse ODBC Driver (Unicode);Server=ch;Port=8443;Database=dw;SSLMode=require;",
            ),
            (
                "DB2",
                "jdbc:db2://d:50001/dw:currentSchema=ods;",
                "Driver=IBM DB2 ODBC DRIVER;Hostname=d;Port=50001;Protocol=TCPIP;Database=dw;currentSchema=ods;",
            ),
        ] {
            let found = texts(&format!("type='{word}' jdbc-url='{url}' username='u' password='p'"), "");
            assert_eq!(found, [format!("{expected}UID=u;PWD=p;")], "{url}");
        }
    }

    #[test]
    fn each_host_has_a_text_of_its_own() {
        let found = texts("type='CLICKHOUSE' jdbc-url='jdbc:clickhouse://a,b:1/d' username='u' password=''", "");
        let text = |server| format!("Driver=ClickHouse ODBC Driver (Unicode);{server};Database=d;UID=u;");
        assert_eq!(found, [text("Server=a;Port=8123"), text("Server=b;Port=1")]);
    }

    #[test]
    fn settings_of_a_session_are_no_attributes() {
        let attributes =
            "type='HIVE' jdbc-url='jdbc:hive2://hs/dw?hive.exec.parallel=true' username='hdfs' password=''";
        let properties = "<property name='mapred.job.queue.name'>etl</property><property name='odbc.SSL'>1</property>";
        let expected = "Driver=Cloudera ODBC Driver for Apache Hive 64-bit;Host=hs;Port=10000;Schema=dw;AuthMech=2;SSL=1;UID=hdfs;";
        assert_eq!(texts(attributes, properties), [expected]);
        assert_eq!(
            setup(&link(attributes, properties)),
            ["set hive.exec.parallel=true", "set mapred.job.queue.name=etl"]
        );
    }

    #[test]
    fn a_driver_is_chosen_by_name_and_properties_go_first() {
        let free = texts(
            "type='SQLSERVER' jdbc-url='jdbc:sqlserver://db;databaseName=dw;encrypt=true' username='u' password='p'",
            "<property name='driver'>freetds</property><property name='odbc.Encrypt'>off</property>",
        );
        assert_eq!(free, ["Driver=FreeTDS;Server=db;Port=1433;TDS_Version=7.4;Database=dw;Encrypt=off;UID=u;PWD=p;"]);
    }

    #[test]
    fn no_value_of_a_link_becomes_an_attribute() {
        let text = &texts(
            "type='SQLSERVER' jdbc-url='jdbc:clickhouse://h/a%3BDriver%3Dx' username='u;Server=evil' password='p;w}x'"
                .replace("SQLSERVER", "CLICKHOUSE")
                .as_str(),
            "<property name='Comment'>a;PWD=x</property>",
        )[0];
        assert_eq!(
            text,
            "Driver=ClickHouse ODBC Driver (Unicode);Server=h;Port=8123;Database={a;Driver=x};Comment={a;PWD=x};UID={u;Server=evil};PWD={p;w}}x};"
        );
    }

    #[test]
    fn a_text_of_odbc_stays_and_its_driver_is_there() {
        let dsn = texts("type='ODBC' jdbc-url='odbc:DSN=dwh;Timeout=5' username='u' password='p'", "");
        assert_eq!(dsn, ["DSN=dwh;Timeout=5;UID=u;PWD=p;"]);
        let lite = texts("type='SQLITE' jdbc-url='odbc:driver={sqlite3};Database=/a b/c.db'", "");
        assert_eq!(lite, ["driver=SQLite3;Database=/a b/c.db;StepAPI=1;"]);
        let own = texts("type='PG' jdbc-url='odbc:DSN=p' username='u' password=''", "");
        assert_eq!(own, ["DSN=p;Protocol=7.4-0;UID=u;"]);
        let missing = link("type='ODBC' jdbc-url='odbc:Driver={MySQL ODBC 8.0};Server=h' username='u' password=''", "");
        let (message, hint) = connection_texts(&missing, &["SQLite3".to_owned()]).unwrap_err();
        assert!(message.english().contains("no ODBC driver \"MySQL ODBC 8.0\""), "{message:?}");
        assert_eq!(hint.english(), "the drivers of this host are: SQLite3");
    }

    #[test]
    fn a_driver_that_is_missing_is_told_with_its_package() {
        for (word, url, package) in [
            ("IMPALA", "jdbc:impala://h/d", "ClouderaImpalaODBC"),
            ("CLICKHOUSE", "jdbc:clickhouse://h/d", "clickhouse-odbc"),
        ] {
            let link = link(&format!("type='{word}' jdbc-url='{url}' username='u' password='p'"), "");
            let (message, hint) = connection_texts(&link, &[]).unwrap_err();
            assert!(message.english().contains(link.kind.title()), "{message:?}");
            assert!(message.english().contains("odbcinst.ini"), "{message:?}");
            assert!(hint.english().contains(package) && hint.english().ends_with("none"), "{hint:?}");
            // Beside the drivers that there are "names none" would be a contradiction.
            let (message, hint) = connection_texts(&link, &["SQLite3".to_owned()]).unwrap_err();
            let said = format!("{} ({})", message.english(), hint.english());
            assert!(
                said.contains("odbcinst.ini names none for it)")
                    && said.contains("other drivers of this host: SQLite3"),
                "{said}"
            );
        }
    }

    #[test]
    fn the_file_of_the_drivers_is_named_where_it_is() {
        assert_eq!(places(|_| None), "/etc/odbcinst.ini");
        assert_eq!(places(|name| (name == "ODBCSYSINI").then(|| "/opt/odbc/".to_owned())), "/opt/odbc/odbcinst.ini");
    }
}
