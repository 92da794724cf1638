//! Transfers between files and SQLite.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;

use super::*;
use crate::model::action::BodyElement;
use crate::model::assignment::Rendered;
use crate::model::message::Voice;
use crate::node::task::Services;
use crate::node::testing::{assignment, element, with_attribute};

struct Home(TempDir);

type Attributes<'a> = &'a [(&'a str, &'a str)];

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(home.path("conf")).unwrap();
        let link = |name: &str| format!("<link name='{name}' type='SQLITE' jdbc-url='jdbc:sqlite:{name}.db'/>");
        std::fs::write(home.path("conf/db_links.xml"), format!("<db-links>{}{}</db-links>", link("a"), link("b")))
            .unwrap();
        let far = "<file-links><link name='far' type='SFTP' host='127.0.0.1' port='1' username='u' password='p'/></file-links>";
        std::fs::write(home.path("conf/file_links.xml"), far).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    async fn database(&self, name: &str) -> Database {
        let link = crate::connector::link::db_link(&self.path("conf"), name).unwrap();
        Database::open(&link, self.0.path(), Duration::from_secs(30), Arc::new(|_| {})).await.unwrap()
    }

    async fn sql(&self, name: &str, text: &str) -> Vec<String> {
        let mut database = self.database(name).await;
        let mut found = Vec::new();
        for statement in crate::connector::database::split(text, database.dialect()).unwrap() {
            for row in database.rows(&statement, 100).await.unwrap() {
                found.push(row.iter().map(|v| v.as_deref().unwrap_or("∅").to_owned()).collect::<Vec<_>>().join("|"));
            }
        }
        found
    }

    /// The connections of what ran before are closed by threads of their own, and nobody waits for them with a pragma.
    async fn set_journal(&self, name: &str, mode: &str) {
        let file = rusqlite::Connection::open(self.path(&format!("{name}.db"))).unwrap();
        while file.pragma_update(None, "journal_mode", mode).is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn run(&self, body: BodyElement<Rendered>) -> Result<String, String> {
        let (_stop, stopped) = watch::channel(false);
        let conf = self.path("conf");
        let task = Task::new(assignment(body), &conf, Services::default(), Voice::default(), stopped);
        run(&task).await.map(|()| task.output_lines()).map_err(|failure| failure.message.english())
    }

    async fn transfer(&self, source: BodyElement<Rendered>, target: BodyElement<Rendered>) -> Result<String, String> {
        self.run(element("transfer", &[], vec![source, target])).await
    }
}

fn side(
    word: &str,
    text: &str,
    attributes: Attributes<'_>,
    children: Vec<BodyElement<Rendered>>,
) -> BodyElement<Rendered> {
    attributes
        .iter()
        .fold(element(word, &[text], children), |element, (name, value)| with_attribute(element, name, value))
}

fn from_file(path: &str, more: Attributes<'_>) -> BodyElement<Rendered> {
    side("source", path, &[&[("type", "File")], more].concat(), vec![])
}

fn from_db(link: &str, text: &str) -> BodyElement<Rendered> {
    side("source", text, &[("type", "db"), ("db-link", link)], vec![])
}

fn to_db(table: &str, more: Attributes<'_>, children: Vec<BodyElement<Rendered>>) -> BodyElement<Rendered> {
    side("target", "", &[&[("type", "DB"), ("db-link", "a"), ("table", table)], more].concat(), children)
}

fn to_file(path: &Path, more: Attributes<'_>, children: Vec<BodyElement<Rendered>>) -> BodyElement<Rendered> {
    let path = path.display().to_string();
    side("target", "", &[&[("type", "FILE"), ("path", path.as_str())], more].concat(), children)
}

fn counts(outputs: &str) -> Vec<String> {
    let value = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    outputs
        .lines()
        .map(value)
        .map(|v| format!("{}={}", v["name"].as_str().unwrap(), v["value"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_file_goes_into_a_table_by_the_names_of_its_header_and_out_again() {
    let home = Home::new();
    home.sql("a", "create table t (id int primary key, name text, born date)").await;
    let file = home.write("in.csv", "name,ID\n\"a,b\n\"\"c\"\"\",1\nnull,2\n\"null\",3\n,4\n");
    let csv: Attributes<'_> = &[("delimited", ","), ("header", "true")];
    let done = home.transfer(from_file(&file, csv), to_db("t", &[], vec![])).await.unwrap();
    assert_eq!(counts(&done), ["read=4", "written=4", "rejected=0", "bytes=41"]);
    assert_eq!(home.sql("a", "select id, name, born from t").await, ["1|a,b\n\"c\"|∅", "2|∅|∅", "3|null|∅", "4||∅"]);
    home.transfer(from_db("a", "select id, name from t"), to_file(&home.path("out.csv"), csv, vec![])).await.unwrap();
    assert_eq!(home.read("out.csv"), "id,name\n1,\"a,b\n\"\"c\"\"\"\n2,null\n3,\"null\"\n4,\n");
    // Again into the emptied table, in akkaflow's words and without a header.
    home.transfer(from_db("a", "select name, id from t"), to_file(&home.path("out.txt"), &[], vec![])).await.unwrap();
    home.sql("a", "create table u (n text, i int)").await;
    let again = || home.transfer(from_file("", &[]), to_db("u", &[], vec![]));
    assert!(again().await.unwrap_err().contains("source is missing"));
    for _ in 0..2 {
        let source = from_file(&home.path("out.txt").display().to_string(), &[("delimited", "\\t")]);
        home.transfer(source, to_db("u", &[("is-pre-truncate", "TRUE"), ("task-num", "4")], vec![])).await.unwrap();
    }
    assert_eq!(home.sql("a", "select * from u where i > 1").await, ["∅|2", "null|3", "|4"]);
}

#[tokio::test]
async fn a_missing_table_is_made() {
    let home = Home::new();
    home.sql("b", "create table s (id integer, price decimal(10,2), data blob, note text); insert into s values (1, 1.5, x'00ff', ''), (2, null, null, null)").await;
    home.transfer(from_db("b", "s"), to_db("s", &[], vec![])).await.unwrap();
    assert_eq!(home.sql("a", "select id, typeof(price), hex(data), note from s").await, ["1|real|00FF|", "2|null||∅"]);
    let file = home.write("in.txt", "007\tx\n");
    home.transfer(from_file(&file, &[]), to_db("f", &[], vec![])).await.unwrap();
    assert_eq!(home.sql("a", "select col_0, col_1 from f").await, ["007|x"]);
    let empty = home.write("empty.txt", "");
    let said = home.transfer(from_file(&empty, &[]), to_db("g", &[], vec![])).await.unwrap_err();
    assert!(said.contains("there is no table g"), "{said}");
    let done = home.transfer(from_file(&empty, &[]), to_db("f", &[], vec![])).await.unwrap();
    assert!(counts(&done).contains(&"read=0".to_owned()));
}

#[tokio::test]
async fn a_table_that_pre_drops_is_made_again() {
    let home = Home::new();
    home.sql("b", "create table s (id integer, note text); insert into s values (1, 'x')").await;
    for _ in 0..2 {
        let pre = vec![element("pre", &["drop table if exists t"], vec![])];
        home.transfer(from_db("b", "s"), to_db("t", &[], pre)).await.unwrap();
        assert_eq!(home.sql("a", "select id, note from t").await, ["1|x"]);
    }
}

#[tokio::test]
async fn w13_what_fails_leaves_the_target_as_it_was() {
    let home = Home::new();
    home.sql("a", "create table t (id int not null, n text check (n <> 'bad')); insert into t values (0, 'old')").await;
    let script = |word: &str, text: &str| vec![element(word, &[text], vec![])];
    let good = home.write("good.txt", "1\tx\n2\ty\n");
    let emptied: Attributes<'_> = &[("is-pre-truncate", "true")];
    for (text, children, said) in [
        ("1\tx\n2\tbad\n3\tz\n", vec![], "row 2: target: link a"),
        ("1\tx\n2\n", vec![], "bad.txt: row 2 (line 2): 1 field, not 2"),
        ("1\tx\n\ty\n", vec![], "row 2: target: link a"),
        ("1\tx\n", script("pre", "insert into t values (9, 'pre');\nselect nothing"), "pre: statement 2 of 2: link a"),
        ("1\tx\n", script("after", "delete from nowhere"), "after: statement 1 of 1: link a"),
        ("1\tx\t3\n", vec![], "the first row has 3 fields, the table t has 2 columns: id, n"),
        ("1\t\"x\n", vec![], "bad.txt: the quote \" in line 1 is never closed"),
    ] {
        let bad = home.write("bad.txt", text);
        let failed = home.transfer(from_file(&bad, &[]), to_db("t", emptied, children)).await.unwrap_err();
        assert!(failed.contains(said), "{failed}");
        assert_eq!(home.sql("a", "select * from t").await, ["0|old"], "{said}");
    }
    // A file too.
    let out = home.path("out.txt");
    std::fs::write(&out, "old").unwrap();
    let bad = home.write("bad.txt", "1\tx\n2\n");
    for (source, children, said) in [
        (from_file(&bad, &[]), vec![], "row 2 (line 2)"),
        (from_db("a", "select nothing"), vec![], "source: link a"),
        (from_file(&good, &[]), script("pre", "echo >&2 no; exit 3"), "pre: exit code 3"),
    ] {
        let failed = home.transfer(source, to_file(&out, &[], children)).await.unwrap_err();
        assert!(failed.contains(said), "{failed}");
        assert_eq!(home.read("out.txt"), "old");
        assert!(!home.path(".out.txt.part").exists());
    }
    let after = script("after", &format!("cp {} {}; exit 4", out.display(), home.path("copy").display()));
    let failed = home.transfer(from_file(&good, &[]), to_file(&out, &[], after)).await.unwrap_err();
    assert!(failed.contains("after: exit code 4") && home.read("copy") == "1\tx\n2\ty\n", "{failed}");
    let gone = home.transfer(from_file(&bad, &[]), to_file(&out, &[("is-pre-del", "true")], vec![])).await;
    assert!(gone.is_err() && !out.exists());
}

#[tokio::test]
async fn rows_that_do_not_fit_are_left_out_up_to_a_bound() {
    let home = Home::new();
    home.sql("a", "create table t (id int not null unique, n text check (length(n) < 4))").await;
    let text: String = (0..1000)
        .map(|n| match n {
            10 => "10\n".to_owned(),
            20 => "20\tlong\n".to_owned(),
            30 => "29\tx\n".to_owned(),
            _ => format!("{n}\tx\n"),
        })
        .collect();
    let file = home.write("in.txt", text);
    let body = |max: &str| {
        let body = element("transfer", &[], vec![from_file(&file, &[]), to_db("t", &[], vec![])]);
        with_attribute(body, "max-rejects", max)
    };
    let failed = home.run(body("2")).await.unwrap_err();
    assert!(failed.contains("more than 2 rows are rejected") && failed.contains("row 31: "), "{failed}");
    assert_eq!(home.sql("a", "select count(*) from t").await, ["0"]);
    let done = home.run(body("3")).await.unwrap();
    assert_eq!(counts(&done)[..3], ["read=1000", "written=997", "rejected=3"]);
    assert_eq!(home.sql("a", "select count(*), sum(id = 29) from t").await, ["997|1"]);
    // What is no matter of rows is no reject.
    let failed = home.run(with_attribute(
        element("transfer", &[], vec![from_db("a", "select 1 as x"), to_db("t", &[], vec![])]),
        "max-rejects",
        "5",
    ));
    assert!(failed.await.unwrap_err().contains("the table t has no column x; it has id, n"));
}

#[tokio::test]
async fn the_same_table_or_file_and_what_is_not_built_is_refused() {
    let home = Home::new();
    let file = home.write("x.txt", "1\n");
    let same = home.transfer(from_file(&file, &[]), to_file(Path::new(&file), &[], vec![])).await.unwrap_err();
    assert!(same.contains("the same file"), "{same}");
    let same = home.transfer(from_db("a", " t "), to_db("main.T", &[], vec![])).await.unwrap_err();
    assert!(same.contains("the same table"), "{same}");
    let far = home.transfer(from_file(&file, &[("file-link", "far")]), to_db("t", &[], vec![])).await.unwrap_err();
    let why = if cfg!(feature = "ssh") { "127.0.0.1:1 does not answer" } else { "cargo feature ssh" };
    assert!(far.contains("link far") && far.contains(why), "{far}");
    let none = home.transfer(from_db("heer", "t"), to_db("t", &[], vec![])).await.unwrap_err();
    assert!(none.contains("heer"), "{none}");
    let two = home.transfer(from_db("a", "select 1; select 2"), to_db("t", &[], vec![])).await.unwrap_err();
    assert!(two.contains("it must be one query, not 2"), "{two}");
}

#[tokio::test]
async fn tables_of_one_file_and_parameters() {
    let home = Home::new();
    home.sql("a", "create table s (id int, n text); with recursive k(i) as (select 1 union all select i + 1 from k where i < 50000) insert into s select i, 'some text that fills pages ' || i from k").await;
    let mut source = from_db("a", "select id, n from s where id <= ?");
    source.text = source.text.map(|text| Rendered { variables: vec![("V".into(), "40000".into())], ..text });
    home.transfer(source, to_db("t", &[], vec![element("after", &["create index i on t (id)"], vec![])]))
        .await
        .unwrap();
    assert_eq!(home.sql("a", "select count(*), sum(id) from t").await, ["40000|800020000"]);
    // Beside a WAL nothing has to be set aside, and what is no query is read as it is.
    home.set_journal("a", "wal").await;
    home.transfer(from_db("a", "select * from s"), to_db("t", &[("is-pre-truncate", "true")], vec![])).await.unwrap();
    assert_eq!(home.sql("a", "select count(*) from t").await, ["50000"]);
    home.set_journal("a", "delete").await;
    home.transfer(from_db("a", "pragma table_info(s)"), to_db("info", &[], vec![])).await.unwrap();
    assert_eq!(home.sql("a", "select name, type from info order by cid").await, ["id|INT", "n|TEXT"]);
}

#[tokio::test]
async fn a_kill_leaves_nothing() {
    let home = Home::new();
    home.sql("a", "create table t (id int); insert into t values (0)").await;
    let endless = "with recursive k(i) as (select 1 union all select i + 1 from k) select i as id from k";
    let beside = rusqlite::Connection::open(home.path("a.db")).unwrap();
    beside.busy_timeout(Duration::ZERO).unwrap();
    let is_locked = || beside.execute_batch("begin immediate; rollback").is_err();
    let has_rows = || std::fs::metadata(home.path(".out.part")).is_ok_and(|part| part.len() > 0);
    let into_table = to_db("t", &[("is-pre-truncate", "true")], vec![]);
    let into_file = to_file(&home.path("out"), &[], vec![]);
    let targets: [(_, &dyn Fn() -> bool); 2] = [(into_table, &is_locked), (into_file, &has_rows)];
    for (target, is_written) in targets {
        let (stop, stopped) = watch::channel(false);
        let conf = home.path("conf");
        let body = element("transfer", &[], vec![from_db("b", endless), target]);
        let task = Task::new(assignment(body), &conf, Services::default(), Voice::default(), stopped);
        let killed = async {
            while !is_written() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            stop.send_replace(true);
        };
        let ended = async { tokio::join!(run(&task), killed).0 };
        let done = tokio::time::timeout(Duration::from_secs(60), ended).await.expect("it ends");
        assert_eq!(done.unwrap_err().message.english(), "killed");
    }
    assert_eq!(home.sql("a", "select * from t").await, ["0"]);
    assert!(!home.path("out").exists() && !home.path(".out.part").exists());
}

/// Whoever writes into it keeps it open and writes no more.
#[tokio::test]
async fn a_kill_does_not_wait_for_a_pipe() {
    use std::io::Write;
    use std::os::fd::AsFd;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    let home = Home::new();
    home.sql("a", "create table t (id int); insert into t values (0)").await;
    for (name, target) in [("one", to_db("t", &[], vec![])), ("two", to_file(&home.path("out"), &[], vec![]))] {
        nix::unistd::mkfifo(&home.path(name), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut pipe = std::fs::File::options().read(true).write(true).open(home.path(name)).unwrap();
        pipe.write_all(b"id\n1\n2\n").unwrap();
        let (stop, stopped) = watch::channel(false);
        let conf = home.path("conf");
        let source = from_file(&home.path(name).display().to_string(), &[("header", "true")]);
        let task = Task::new(
            assignment(element("transfer", &[], vec![source, target])),
            &conf,
            Services::default(),
            Voice::default(),
            stopped,
        );
        let killed = async {
            let is_read = || poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(0);
            while !is_read() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            stop.send_replace(true);
        };
        let ended = async { tokio::join!(run(&task), killed).0 };
        let done = tokio::time::timeout(Duration::from_secs(60), ended).await.expect("it ends");
        assert_eq!(done.unwrap_err().message.english(), "killed");
        // Its reader is a thread that waits until the pipe ends, here.
        drop(pipe);
    }
    assert_eq!(home.sql("a", "select * from t").await, ["0"]);
    assert!(!home.path("out").exists() && !home.path(".out.part").exists());
}

#[test]
fn with_a_script_it_is_that_script() {
    let body = element("transfer", &[], vec![element("script", &["\n  echo $RF_NODE\n"], vec![])]);
    let made = plan(&assignment(body)).unwrap();
    assert_eq!((made.is_own, made.files[0].bytes.as_slice()), (false, &b"echo $RF_NODE\n"[..]));
    assert!(plan(&assignment(element("transfer", &[], vec![]))).unwrap().is_own);
}
