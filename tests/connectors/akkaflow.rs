//! `import akkaflow` out of a MariaDB with tables of akkaflow's layout.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use ractorflow::connector::database::{Database, share, split};
use ractorflow::connector::link;
use serde_json::Value;

use crate::server::Server;

/// What akkaflow keeps of workflows and links, with the columns that matter here.
const TABLES: &str = "
create table workflow (
  name varchar(128) not null primary key, creator varchar(128), dir varchar(128), description varchar(1024),
  mail_level json, mail_receivers json, instance_limit int, params json, xml_str text, create_time datetime,
  last_update_time datetime, file_path varchar(256), coor_enable int, coor_param json, coor_cron varchar(64),
  coor_next_cron_time datetime, coor_depends json, coor_stime datetime, coor_etime datetime);
create table db_link (
  name varchar(128) not null primary key, dbtype varchar(32), jdbc_url varchar(256), username varchar(64),
  password varchar(64), description varchar(256), properties json);
create table file_link (
  name varchar(128) not null primary key, fstype varchar(32), host varchar(64), port int, username varchar(64),
  password varchar(64), description varchar(256));
create table workflow_instance (
  id char(8) not null primary key, name varchar(128), creator varchar(128), dir varchar(128), param json, status int,
  description varchar(1024), stime datetime, etime datetime, create_time datetime, xml_str text);
create table node_instance (
  workflow_instance_id char(8), name varchar(128), is_action int, type varchar(64), content json, description varchar(1024),
  status int, stime datetime, etime datetime, msg varchar(1024), primary key (workflow_instance_id, name));
create table log_record (
  id int not null primary key auto_increment, level varchar(16), stime bigint, ctype varchar(32), sid varchar(16),
  name varchar(128), content varchar(1024));
insert into workflow_instance (id, name, creator, param, status, stime, etime) values
  ('0a1b2c3d', '日报', 'Kent', '{\"day\": \"2019-09-01\"}', 4, '2019-09-01 01:00:00', '2019-09-01 01:02:03'),
  ('1a1b2c3d', 'plain', 'Kent', null, 3, '2019-09-02 01:00:00', '2019-09-02 01:00:01'),
  ('2a1b2c3d', 'plain', 'Kent', null, 1, '2019-09-02 02:00:00', null);
insert into node_instance (workflow_instance_id, name, type, status, stime, etime, msg) values
  ('0a1b2c3d', 'e', 'EndNode', 0, null, null, ''),
  ('0a1b2c3d', 'run', 'ScriptNode', 4, '2019-09-01 01:00:01', '2019-09-01 01:02:03', '节点执行失败'),
  ('0a1b2c3d', 's', 'StartNode', 3, '2019-09-01 01:00:00', '2019-09-01 01:00:00', ''),
  ('2a1b2c3d', 's', 'StartNode', 3, '2019-09-02 02:00:00', '2019-09-02 02:00:00', '');
insert into log_record (level, stime, ctype, sid, name, content) values
  ('INFO', 1567270800000, 'WORFLOW_INSTANCE', '0a1b2c3d', '日报', '开始'),
  ('ERROR', 1567270923000, 'ACTION_NODE_INSTANCE', '0a1b2c3d', 'run', 'no such table'),
  ('INFO', 1567270923000, 'WORKFLOW_MANAGER', '0a1b2c3d', '日报', 'not of a run');
insert into db_link values
  ('dwh', 'MYSQL', 'jdbc:mysql://10.0.0.1:3306/dw?useUnicode=true&characterEncoding=UTF-8', 'etl', 'p<\"&1', '仓库', '{\"connectTimeout\": \"3000\"}'),
  ('a', 'ORACLE', 'jdbc:oracle:thin:@//10.0.0.2:1521/orcl', 'scott', 'tiger', null, null);
insert into file_link values ('landing', 'SFTP', '10.0.0.3', 22, 'etl', 'secret', null);
";

fn definition(name: &str, says: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"GBK\"?>\n<work-flow name=\"{name}\" creator=\"Kent\">\n  <start name=\"s\" to=\"run\"/>\n  \
         <action name=\"run\"><script><code>echo '{says}'</code></script><ok to=\"e\"/></action>\n  <end name=\"e\"/>\n</work-flow>\n"
    )
}

struct Import<'a> {
    home: &'a Path,
}

impl Import<'_> {
    fn run(&self, options: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ractorflow"));
        command.env_clear().env("RACTORFLOW_LANG", "en").arg("--home").arg(self.home);
        command
            .args(["import", "akkaflow", "--link", "a", "-o", "json"])
            .args(options)
            .output()
            .expect("ractorflow runs")
    }

    /// The exit code, and what was done with each by name.
    fn done(&self, options: &[&str]) -> (Option<i32>, Vec<(String, String)>) {
        let output = self.run(options);
        let rows: Vec<Value> = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        for text in [&output.stdout, &output.stderr] {
            let text = String::from_utf8_lossy(text);
            assert!(!text.contains("tiger") && !text.contains("p<"), "a secret is told: {text}");
        }
        let word = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
        (output.status.code(), rows.iter().map(|row| (word(row, "name"), word(row, "done"))).collect())
    }

    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.home.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }
}

fn pairs(rows: &[(&str, &str)]) -> Vec<(String, String)> {
    rows.iter().map(|(name, done)| ((*name).to_owned(), (*done).to_owned())).collect()
}

async fn execute(database: &mut Database, text: &str) {
    for statement in split(text, database.dialect()).expect("statements") {
        database.execute(&statement).await.unwrap_or_else(|error| panic!("{}", error.said().english()));
    }
}

#[tokio::test]
#[ignore = "starts a server of its own"]
async fn akka_08_workflows_and_links_of_akkaflows_database_become_files() {
    let Some(server) = Server::mariadb(false, false) else { return };
    let conf = server.links("MARIADB", "?useSSL=false");
    let link = link::db_link(conf, "a").expect("a link");
    let opened = Database::open(&link, conf, Duration::from_secs(30), std::sync::Arc::new(|_| {})).await;
    let mut database = opened.expect("a connection");
    let home = tempfile::tempdir().expect("a directory");
    let import = Import { home: home.path() };
    std::fs::create_dir(home.path().join("conf")).expect("a directory");
    std::fs::copy(conf.join("db_links.xml"), home.path().join("conf/db_links.xml")).expect("a copy");

    let nothing = import.run(&[]);
    assert_eq!(nothing.status.code(), Some(5), "{nothing:?}");
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("no table workflow"), "{nothing:?}");

    execute(&mut database, TABLES).await;
    let rows = [
        ("日报", Some("/opt/akkaflow/xmlconfig/dw/日报.xml"), definition("日报", "你好")),
        ("plain", None, definition("plain", "x")),
        ("broken", Some("/x/broken.xml"), "<work-flow name=\"broken\"><start".to_owned()),
        ("empty", None, String::new()),
    ];
    for (name, path, text) in &rows {
        let text_of_insert = "insert into workflow (name, xml_str, file_path) values (?, ?, nullif(?, ''))";
        let mut insert = split(text_of_insert, database.dialect()).expect("a statement");
        let values = [(*name).to_owned(), text.clone(), path.unwrap_or_default().to_owned()];
        share(&mut insert, &values).expect("three placeholders");
        database.execute(&insert[0]).await.unwrap_or_else(|error| panic!("{}", error.said().english()));
    }

    // Nothing is written before it is told to.
    let expected = pairs(&[
        ("broken", "written"),
        ("empty", "unusable"),
        ("plain", "written"),
        ("日报", "written"),
        ("a", "kept"),
        ("dwh", "written"),
        ("landing", "written"),
    ]);
    assert_eq!(import.done(&["--dry-run"]), (Some(12), expected.clone()));
    assert!(!home.path().join("xmlconfig").exists() && !home.path().join("conf/file_links.xml").exists());

    assert_eq!(import.done(&[]), (Some(12), expected));
    let daily = import.text("xmlconfig/dw/日报.xml");
    assert_eq!(daily, definition("日报", "你好").replace("GBK", "UTF-8"));
    assert!(home.path().join("xmlconfig/plain.xml").exists() && home.path().join("xmlconfig/broken.xml").exists());
    let conf = home.path().join("conf");
    let dwh = link::db_link(&conf, "dwh").expect("the new link");
    assert_eq!((dwh.username.as_str(), dwh.password.expose()), ("etl", "p<\"&1"));
    assert_eq!(link::db_link(&conf, "a").expect("the old link").username, "wf", "what was there stays");
    assert_eq!(link::file_link(&conf, "landing").expect("the new link").host, "10.0.0.3");
    for file in ["db_links.xml", "file_links.xml"] {
        let mode = std::fs::metadata(conf.join(file)).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }

    // Again: nothing changes. A file that somebody edited stays, until it is forced.
    let again = pairs(&[
        ("broken", "same"),
        ("empty", "unusable"),
        ("plain", "same"),
        ("日报", "same"),
        ("a", "kept"),
        ("dwh", "kept"),
        ("landing", "kept"),
    ]);
    assert_eq!(import.done(&[]).1, again);
    let edited = definition("plain", "edited").replace("GBK", "UTF-8");
    std::fs::write(home.path().join("xmlconfig/plain.xml"), &edited).expect("a file");
    assert!(import.done(&["--no-links"]).1.contains(&("plain".to_owned(), "kept".to_owned())));
    assert_eq!(import.text("xmlconfig/plain.xml"), edited);
    assert!(import.done(&["--no-links", "--force"]).1.contains(&("plain".to_owned(), "overwritten".to_owned())));
    assert!(import.text("xmlconfig/plain.xml").contains("echo 'x'"));
    // The same workflow in another file is not written a second time, not even by force.
    std::fs::rename(home.path().join("xmlconfig/plain.xml"), home.path().join("xmlconfig/mine.xml")).expect("a move");
    std::fs::write(home.path().join("xmlconfig/mine.xml"), &edited).expect("a file");
    assert!(import.done(&["--no-links", "--force"]).1.contains(&("plain".to_owned(), "kept".to_owned())));
    assert!(!home.path().join("xmlconfig/plain.xml").exists());

    past_runs(&import);
}

/// They are shown as what they are: ended, and of another scheduler.
fn past_runs(import: &Import<'_>) {
    let history = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ractorflow"));
        command.env_clear().env("RACTORFLOW_LANG", "en").env("TZ", "UTC").arg("--home").arg(import.home);
        command.arg("history").args(arguments).output().expect("ractorflow runs")
    };
    assert_eq!(history(&["list"]).status.code(), Some(5), "nothing was imported yet");
    assert!(
        import.done(&["--history", "--dry-run"]).1.contains(&("workflow_instance".to_owned(), "written".to_owned()))
    );
    assert_eq!(history(&["list"]).status.code(), Some(5), "a dry run writes nothing");
    for _ in 0..2 {
        import.done(&["--history"]);
        let list: Value = serde_json::from_slice(&history(&["list", "-o", "json"]).stdout).expect("JSON");
        let found: Vec<_> =
            list.as_array().expect("rows").iter().map(|row| (row["id"].as_str(), row["state"].as_str())).collect();
        assert_eq!(found, [(Some("1a1b2c3d"), Some("succeeded")), (Some("0a1b2c3d"), Some("failed"))]);
    }
    let show: Value = serde_json::from_slice(&history(&["show", "0a1b2c3d", "-o", "json"]).stdout).expect("JSON");
    let nodes: Vec<_> = show["nodes"].as_array().expect("nodes").iter().collect();
    let words: Vec<_> = nodes.iter().map(|node| [&node["name"], &node["kind"], &node["state"]]).collect();
    assert_eq!(words, [["s", "start", "succeeded"], ["run", "script", "failed"], ["e", "end", "waiting"]]);
    let log = String::from_utf8(history(&["show", "0a1b2c3d", "--log"]).stdout).expect("text");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert_eq!(lines[1], "[ERROR] [2019-08-31 17:02:03 +00:00] [run] no such table");
    let table = String::from_utf8(history(&["show", "0a1b2c3d"]).stdout).expect("text");
    assert!(table.contains("节点执行失败") && table.contains("2019-09-01 01:02:03"), "{table}");
    let file = import.home.join("data/imported/akkaflow.db");
    assert_eq!(std::fs::metadata(file).expect("a file").permissions().mode() & 0o777, 0o600);
}
