//! Links as people write them, and how they are told what is wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::model::diagnostic::Severity;

struct Conf(TempDir);

impl Conf {
    fn new(db: &str) -> Self {
        let conf = Self(tempfile::tempdir().unwrap());
        conf.write(DB_LINKS_FILE, db);
        conf
    }

    fn with_links(links: &str) -> Self {
        Self::new(&format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<db-links>\n{links}\n</db-links>\n"))
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn db(&self, name: &str) -> Result<DbLink, LinkError> {
        let env = |name: &str| (name == "DWH_PW").then(|| "from the environment".to_owned());
        one(&Outside::with_env(self.0.path(), &env), &[], name)
    }

    /// The faults of all links, without the directory.
    fn faults(&self) -> Vec<String> {
        let links: Links<DbLink> = all(&Outside::with_env(self.0.path(), &|_| None));
        let dir = format!("{}/", self.0.path().display());
        links.faults.iter().map(|fault| fault.said().english().replace(&dir, "")).collect()
    }
}

fn mysql(url: &str) -> Conf {
    Conf::with_links(&format!(
        "<link name=\"a\" type=\"MYSQL\" jdbc-url=\"{}\" username=\"root\" password=\"s3cret\"/>",
        url.replace('&', "&amp;")
    ))
}

#[test]
fn akka_08_a_link_of_akkaflow_is_read() {
    let conf = Conf::with_links(
        r#"  <!-- the warehouse -->
  <link name="local_mysql" type="MYSQL" jdbc-url="jdbc:mysql://127.0.0.1:3307/wf?useUnicode=true&amp;characterEncoding=UTF-8&amp;useSSL=false&amp;connectTimeout=1500"
        username="root" password="s3cret" desc="测试库"/>
  <link name="hive" type="HIVE" jdbc-url="jdbc:hive2://hs:10000/default" username="hdfs" password="">
    <properties><property name="mapred.job.queue.name">etl</property></properties>
  </link>"#,
    );
    let link = conf.db("local_mysql").unwrap();
    assert_eq!((link.kind, link.username.as_str()), (DbKind::MySql, "root"));
    assert_eq!(link.url.to_string(), "127.0.0.1:3307/wf");
    assert_eq!(link.password.expose(), "s3cret");
    assert_eq!(link.description.as_deref(), Some("测试库"));
    assert_eq!(link.options.tls, Tls::Off);
    assert_eq!(link.options.connect_timeout, Some(Duration::from_millis(1500)));
    assert!(link.warnings.is_empty(), "{:?}", link.warnings);
    assert!(!format!("{link:?}").contains("s3cret"), "{link:?}");
    let hive = conf.db("hive").unwrap();
    let properties: Vec<_> = hive.properties.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(properties, [("mapred.job.queue.name", "etl")]);
    assert!(!hive.kind.is_built_in());
    assert!(conf.faults().is_empty(), "{:?}", conf.faults());
}

#[test]
fn passwords_come_from_the_environment_or_a_file() {
    let conf = Conf::with_links(
        r#"<link name="env" type="POSTGRESQL" jdbc-url="jdbc:postgresql://h/d" username="u" password="${env:DWH_PW}"/>
           <link name="file" type="postgres" jdbc-url="jdbc:postgresql://h/d" username="u" password="${file:pw}"/>
           <link name="none" type="pg" jdbc-url="jdbc:postgresql://h/d" username="u" password="x${env:OTHER_PW}"/>
           <link name="gone" type="pg" jdbc-url="jdbc:postgresql://h/d" username="u" password="${file:/nowhere/pw}"/>"#,
    );
    conf.write("pw", "from a file\r\n");
    assert_eq!(conf.db("env").unwrap().password.expose(), "from the environment");
    assert_eq!(conf.db("file").unwrap().password.expose(), "from a file");
    let error = conf.db("none").unwrap_err().to_string();
    assert!(error.contains(":5:"), "{error}");
    assert!(error.contains("the environment variable OTHER_PW is not set where the link is used"), "{error}");
    let error = conf.db("gone").unwrap_err().to_string();
    assert!(error.contains("the file /nowhere/pw cannot be read"), "{error}");
}

#[test]
fn a_faulty_link_hides_no_other_and_each_fault_has_its_place() {
    let conf = Conf::with_links(
        r#"<link name="good" type="SQLITE" jdbc-url="jdbc:sqlite:data/a.db"/>
<link name="kind" type="MYSQLL" jdbc-url="jdbc:mysql://h/d" username="u" password=""/>
<link name="other" type="MYSQL" jdbc-url="jdbc:postgresql://h/d" username="u" pasword="x"/>
<link type="MYSQL" jdbc-url="jdbc:mysql://h/d" username="u" password=""/>
<link name="port" type="MYSQL" jdbc-url="jdbc:mysql://h:99999/d" username="u" password=""/>
<link name="user" type="MYSQL" jdbc-url="jdbc:mysql://h/d" password=""/>
<lnk/>"#,
    );
    assert_eq!(conf.db("good").unwrap().url, DbUrl::File("data/a.db".into()));
    assert_eq!(
        conf.faults(),
        [
            "db_links.xml:4:25: the type \"MYSQLL\" is not known (write MYSQL instead of MYSQLL)",
            "db_links.xml:5:43: the link is of type MYSQL, its URL is of PostgreSQL (write jdbc:mysql://HOST:3306/DATABASE)",
            "db_links.xml:5:88: <link> has no attribute pasword (write password instead of pasword)",
            "db_links.xml:6:1: a link without a name (write name=\"…\")",
            "db_links.xml:7:42: \"99999\" is no port (write the number behind the host: HOST:3306)",
            "db_links.xml:8:1: <link> needs the attribute username (write username=\"…\")",
            "db_links.xml:9:1: <lnk> is not read here (write one <link …/> for each link)",
        ]
    );
}

#[test]
fn an_unknown_link_is_answered_with_the_nearest() {
    let conf = mysql("jdbc:mysql://h/d");
    let error = conf.db("warehouse").unwrap_err().to_string();
    assert!(error.ends_with("db_links.xml; it has a"), "{error}");
    let conf = Conf::with_links(r#"<link name="local_mysql" type="SQLITE" jdbc-url="jdbc:sqlite:a"/>"#);
    let error = conf.db("locl_mysql").unwrap_err().to_string();
    assert!(error.contains("(did you mean local_mysql?)"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let error = db_link(empty.path(), "a").unwrap_err().to_string();
    assert!(error.ends_with("db_links.xml does not exist"), "{error}");
}

#[test]
fn a_name_that_is_there_twice_is_refused() {
    let conf = Conf::with_links(
        "<link name=\"a\" type=\"SQLITE\" jdbc-url=\"jdbc:sqlite:a\"/>\n<link name=\"a\" type=\"SQLITE\" jdbc-url=\"jdbc:sqlite:b\"/>",
    );
    let error = conf.db("a").unwrap_err().to_string();
    assert!(error.contains("link \"a\" is there twice; the other is in line 4"), "{error}");
}

#[test]
fn broken_xml_is_told_with_its_place() {
    let conf = Conf::new("<db-links>\n <link name=\"a\" jdbc-url=\"jdbc:mysql://h/d?a=1&b=2\"/>\n</db-links>");
    assert_eq!(conf.faults(), ["db_links.xml:2:27: a bare & in the value of attribute jdbc-url (write &amp;)"]);
    assert!(matches!(conf.db("a"), Err(LinkError::Faulty { .. })));
    let conf = Conf::new("<!DOCTYPE db-links [<!ENTITY x SYSTEM \"/etc/passwd\">]><db-links/>");
    assert!(conf.faults()[0].contains("a DOCTYPE is refused"), "{:?}", conf.faults());
    let conf = Conf::new("<db-links><link name=\"a\">");
    assert_eq!(conf.faults(), ["db_links.xml:1:26: the file ends before its root element does"]);
    assert_eq!(Conf::new("<file-links/>").faults().len(), 1);
}

#[test]
fn another_encoding_is_read_as_it_declares() {
    let conf = Conf::new("");
    let text = "<?xml version='1.0' encoding='GBK'?><db-links><link name='数仓' jdbc-url='jdbc:sqlite:a'/></db-links>";
    let (bytes, _, _) = encoding_rs::GBK.encode(text);
    fs::write(conf.0.path().join(DB_LINKS_FILE), bytes).unwrap();
    assert_eq!(conf.db("数仓").unwrap().kind, DbKind::Sqlite);
}

#[test]
fn options_count_are_ignored_with_a_word_or_refused() {
    let link =
        mysql("jdbc:mysql://h/d?zeroDateTimeBehavior=convertToNull&fetchsze=3&sslMode=VERIFY_CA").db("a").unwrap();
    assert_eq!(link.options.tls, Tls::VerifyAuthority);
    let warnings: Vec<_> = link.warnings.iter().map(|fault| fault.message.english()).collect();
    assert_eq!(warnings, ["option fetchsze is not known and is ignored"]);
    for danger in ["autoDeserialize=true", "queryInterceptors=x", "socketFactory=x", "allowUrlInLocalInfile=true"] {
        let error = mysql(&format!("jdbc:mysql://h/d?{danger}")).db("a").unwrap_err().to_string();
        assert!(error.contains("is refused: it may load code or read files"), "{error}");
    }
    let link = mysql("jdbc:mysql://h/d?allowLoadLocalInfile=true&useSSL=true&user=x&password=other").db("a").unwrap();
    assert_eq!((link.username.as_str(), link.password.expose()), ("root", "s3cret"));
    assert_eq!(link.options.tls, Tls::Require);
    assert_eq!(link.warnings.len(), 1);
    let pg = r#"<link name="a" type="postgresql" jdbc-url="jdbc:postgresql://h/d?currentSchema=ods,public&amp;connectTimeout=3" username="u"/>"#;
    let options = Conf::with_links(pg).db("a").unwrap().options;
    assert_eq!(options.schema.as_deref(), Some("ods,public"));
    assert_eq!(options.connect_timeout, Some(Duration::from_secs(3)));
}

#[test]
fn urls_of_every_kind_are_understood() {
    let shown = |text: &str| match url::parse(text) {
        Ok(parsed) => format!("{} {}", parsed.kind.title(), parsed.url),
        Err(fault) => format!("{} / {}", fault.message.english(), fault.hint.english()),
    };
    for (text, expected) in [
        ("jdbc:mysql://h:3306/d", "MySQL h:3306/d"),
        ("JDBC:mysql:///d", "MySQL localhost/d"),
        ("jdbc:mariadb://h1:1,h2:2/d", "MariaDB h1:1,h2:2/d"),
        ("jdbc:mysql://[::1]:3306/d", "MySQL [::1]:3306/d"),
        ("jdbc:postgresql://h/a%20b", "PostgreSQL h/a b"),
        ("jdbc:postgresql:d", "PostgreSQL localhost/d"),
        ("postgres://h", "PostgreSQL h"),
        ("jdbc:sqlite:/a/b.db", "SQLite /a/b.db"),
        ("jdbc:sqlite::memory:", "SQLite :memory:"),
        ("jdbc:oracle:thin:@//h:1521/orcl", "Oracle h:1521/orcl"),
        ("jdbc:oracle:thin:@h:1521:sid", "Oracle h:1521:sid"),
        ("jdbc:oracle:thin:@h/orcl", "Oracle h/orcl"),
        ("jdbc:oracle:oci:@tns_name", "Oracle tns_name"),
        ("jdbc:oracle:thin:@h:1521:x)(y=z", "this is no URL of Oracle / write jdbc:oracle:thin:@//HOST:1521/SERVICE"),
        ("jdbc:oracle:thin:@(DESCRIPTION=(ADDRESS=(HOST=h)))", "Oracle …"),
        ("jdbc:hive2://h:10000/default;auth=noSasl", "Hive h:10000/default"),
        ("jdbc:impala://h:21050", "Impala h:21050"),
        ("jdbc:sqlserver://h:1433;databaseName=d;encrypt=true", "SQL Server h:1433/d"),
        ("jdbc:sqlserver://h\\i2;databaseName=d", "SQL Server h/d"),
        ("jdbc:clickhouse://h:8123/d", "ClickHouse h:8123/d"),
        ("jdbc:db2://h:50000/d:a=b;", "Db2 h:50000/d"),
        ("odbc:DSN=dwh;UID=u;PWD=geheim", "ODBC DSN=dwh"),
        ("odbc:Driver={A B};PWD={a;b}", "ODBC Driver=A B"),
        ("odbc:PWD={a;b", "this is no URL of ODBC / write odbc:DSN=NAME"),
        (
            "jdbc:h2:mem:",
            "the URL is of no database that is known: \"h2\" / write jdbc:mysql://HOST:PORT/DATABASE; what has an ODBC driver alone: odbc:DSN=NAME",
        ),
        ("jdbc:mysql:h/d", "this is no URL of MySQL / write jdbc:mysql://HOST:3306/DATABASE"),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
    let parsed = url::parse("odbc:DSN=dwh;UID=u;PWD=geheim").unwrap();
    assert_eq!(parsed.url, DbUrl::Odbc(vec![("DSN".to_owned(), "dwh".to_owned())]));
    assert_eq!(parsed.password.unwrap().expose(), "geheim");
    let parsed = url::parse("mysql://u%40x:p%3Aw@h/d").unwrap();
    assert_eq!(parsed.username.as_deref(), Some("u@x"));
    assert_eq!(parsed.password.unwrap().expose(), "p:w");
    let parsed = url::parse("jdbc:oracle:thin:scott/ti@ger@//h:1521/x").unwrap();
    assert_eq!((parsed.username.as_deref(), parsed.url.to_string().as_str()), (Some("scott"), "h:1521/x"));
    assert_eq!(parsed.password.unwrap().expose(), "ti@ger");
}

#[test]
fn what_an_odbc_driver_is_told_is_looked_at() {
    let error = |attributes: &str, property: &str| {
        let link = format!(
            "<link name='a' {attributes} username='u' password='s3cret'><properties>{property}</properties></link>"
        );
        Conf::with_links(&link).db("a").unwrap_err().to_string()
    };
    let dsn = "type='ODBC' jdbc-url='odbc:DSN=x'";
    for (attributes, property) in [
        ("type='ODBC' jdbc-url='odbc:Driver=/tmp/x.so;Server=h'", ""),
        ("type='ODBC' jdbc-url='odbc:FILEDSN=/tmp/x.dsn'", ""),
        ("type='CLICKHOUSE' jdbc-url='jdbc:clickhouse://h/d?a%3BDriver=x'", ""),
        ("type='SQLSERVER' jdbc-url='jdbc:sqlserver://h;Driver=/tmp/x.so'", ""),
        ("type='SQLITE' jdbc-url='odbc:Driver=SQLite3;Database=a;LoadExt=/tmp/x.so'", ""),
        (dsn, "<property name='Driver'>/tmp/x.so</property>"),
        (dsn, "<property name='a;b'>x</property>"),
        ("type='HIVE' jdbc-url='jdbc:hive2://h/d'", "<property name='odbc.Driver'>/tmp/x.so</property>"),
    ] {
        let error = error(attributes, property);
        let is_told =
            ["refused", "not given as a file", "no name of an ODBC attribute"].iter().any(|w| error.contains(w));
        assert!(is_told && !error.contains("s3cret"), "{attributes} {property}: {error}");
    }
    // Hive's are settings of its session, whatever they are called.
    let text = "<link name='a' type='HIVE' jdbc-url='jdbc:hive2://h/d' username='u' password=''>\
        <properties><property name='mapreduce.job.class'>x</property></properties></link>";
    assert_eq!(Conf::with_links(text).db("a").unwrap().settings().count(), 1);
    // A URL of ODBC needs no name: a data source has its own.
    let text = "<link name='a' type='MYSQL' jdbc-url='odbc:DSN=x'/>";
    assert!(Conf::with_links(text).db("a").unwrap().is_odbc());
}

#[test]
fn a_password_that_others_can_read_is_told() {
    let conf = mysql("jdbc:mysql://h/d");
    let path = conf.0.path().join(DB_LINKS_FILE);
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    let link = conf.db("a").unwrap();
    let warning = link.warnings[0].said().english();
    assert!(warning.contains("others can read the password here"), "{warning}");
    assert!(!warning.contains("s3cret"), "{warning}");
}

#[test]
fn file_links_are_read_and_local_is_always_there() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(file_link(dir.path(), "local").unwrap().kind, FileKind::Local);
    let text = r#"<file-links>
  <link name="local" type="LOCAL" host="" port="-1" username="" password=""/>
  <link name="up" type="sftp" host="h" port="22" username="u" password="geheim" desc="x"/>
  <link name="bad" type="FTPP" host="" port="x" username="" password=""/>
</file-links>"#;
    fs::write(dir.path().join(FILE_LINKS_FILE), text).unwrap();
    fs::set_permissions(dir.path().join(FILE_LINKS_FILE), fs::Permissions::from_mode(0o600)).unwrap();
    let link = file_link(dir.path(), "up").unwrap();
    assert_eq!((link.kind, link.host.as_str(), link.port), (FileKind::Sftp, "h", Some(22)));
    assert_eq!(file_link(dir.path(), "local").unwrap().kind, FileKind::Local);
    let links = file_links(dir.path());
    assert_eq!(links.links.iter().map(|link| link.name.as_str()).collect::<Vec<_>>(), ["local", "up"]);
    let errors = links.faults.iter().filter(|fault| fault.severity == Severity::Error).count();
    assert_eq!(errors, 2, "{:?}", links.faults);
    let error = file_link(dir.path(), "locall").unwrap_err().to_string();
    assert!(error.contains("did you mean local?"), "{error}");
}

#[test]
fn a_namenodes_port_of_rpc_is_not_that_of_webhdfs() {
    let dir = tempfile::tempdir().unwrap();
    let link =
        |name: &str, port: &str| format!("<link name='{name}' type='HDFS' host='h' port='{port}' username='u'/>");
    let text = format!("<file-links>{}{}</file-links>", link("rpc", "8020"), link("web", "50070"));
    std::fs::write(dir.path().join(FILE_LINKS_FILE), text).unwrap();
    let rpc = file_link(dir.path(), "rpc").unwrap();
    assert_eq!((rpc.port, rpc.warnings.len()), (None, 1));
    assert!(rpc.warnings[0].said().english().contains("8020 is the port of Hadoop's RPC"));
    assert_eq!(file_link(dir.path(), "web").unwrap().port, Some(50070));
}

proptest! {
    #[test]
    fn nothing_that_people_write_ends_the_reader(text in "\\PC{0,80}", url in "[a-z:/@?&;=%\\[\\](),0-9]{0,40}") {
        let conf = Conf::new(&text);
        let _ = conf.faults();
        let _ = url::parse(&format!("jdbc:mysql:{url}"));
        let _ = url::parse(&format!("jdbc:oracle:{url}"));
        let _ = url::parse(&text);
        let conf = Conf::with_links(&format!("<link name='a' password='${{env:x' jdbc-url='{}'/>", url.replace('&', "&amp;")));
        let _ = conf.db("a");
    }
}
