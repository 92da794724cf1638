//! Links of akkaflow's database as elements of `conf/db_links.xml` and `conf/file_links.xml`, behind those that are
//! there. What is in a file already stays as it is.

use std::fmt::Write as _;
use std::path::Path;

use quick_xml::escape::escape;

use crate::cli::console::Failure;
use crate::connector::link::{self, DB_LINKS_FILE, LinkError};
use crate::model::message::Message;
use crate::say;

use super::table::Record;
use super::{Done, Row, Steps, write};

/// The files hold passwords.
const MODE: u32 = 0o600;

pub fn import(file: &str, kind: &'static str, records: Vec<Record>, steps: &Steps<'_>) -> Result<Vec<Row>, Failure> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let conf_dir = steps.home.conf_dir();
    let path = conf_dir.join(file);
    let is_database = file == DB_LINKS_FILE;
    let shown = format!("conf/{file}");
    let there = match std::fs::read(&path) {
        Ok(bytes) => Some(String::from_utf8(bytes).map_err(|_| {
            Failure::other(say!("{} is not UTF-8", path))
                .hint(say!("convert it, or leave out the links with --no-links"))
        })?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(Failure::other(say!("cannot read {}: {}", path, error.to_string()))),
    };
    let mut rows: Vec<Row> = Vec::new();
    let mut elements = String::new();
    for record in &records {
        let name = record.get(&["name"]).unwrap_or_default().trim().to_owned();
        let is_new =
            !name.is_empty() && !is_there(&conf_dir, is_database, &name) && rows.iter().all(|row| row.name != name);
        let (done, note) = if name.is_empty() {
            (Done::Unusable, Some(say!("its row has no name")))
        } else if is_new {
            elements.push_str(&if is_database { db_element(&name, record) } else { file_element(&name, record) });
            (Done::Written, None)
        } else {
            (Done::Kept, Some(say!("the file has a link of this name")))
        };
        rows.push(Row { kind, name, file: shown.clone(), done, note });
    }
    if elements.is_empty() {
        return Ok(rows);
    }
    let root = if is_database { "db-links" } else { "file-links" };
    let text = merged(there.as_deref(), root, &elements)
        .ok_or_else(|| Failure::other(say!("{} has no root element <{}>", path, root)))?;
    for (name, said) in faults(file, &text, is_database)? {
        if let Some(row) = rows.iter_mut().find(|row| row.done == Done::Written && escape(&*row.name) == *name) {
            row.note.get_or_insert(said);
        }
    }
    if !steps.is_dry {
        write(&path, &text, MODE)?;
    }
    Ok(rows)
}

/// A link with faults is there too.
fn is_there(conf_dir: &Path, is_database: bool, name: &str) -> bool {
    let found = match is_database {
        true => link::db_link(conf_dir, name).map(|_| ()),
        false => link::file_link(conf_dir, name).map(|_| ()),
    };
    !matches!(found, Err(LinkError::Unknown { .. }))
}

/// Written as akkaflow's own files have them.
fn db_element(name: &str, record: &Record) -> String {
    element(
        &[
            ("name", Some(name)),
            ("type", record.get(&["type", "dbtype", "db_type"])),
            ("jdbc-url", record.get(&["jdbc_url", "jdbcurl", "url"])),
            ("username", record.get(&["username", "user"])),
            ("password", record.get(&["password"])),
            ("desc", record.get(&["description", "desc"])),
        ],
        &properties(record.get(&["properties"]).unwrap_or_default()),
    )
}

fn file_element(name: &str, record: &Record) -> String {
    element(
        &[
            ("name", Some(name)),
            ("type", record.get(&["type", "fstype", "fs_type"])),
            ("host", record.get(&["host", "hostname"])),
            ("port", record.get(&["port"])),
            ("username", record.get(&["username", "user"])),
            ("password", record.get(&["password"])),
            ("desc", record.get(&["description", "desc"])),
        ],
        &[],
    )
}

fn element(attributes: &[(&str, Option<&str>)], properties: &[(String, String)]) -> String {
    let mut text = String::from("  <link");
    for (name, value) in attributes {
        if let Some(value) = value {
            let _ = write!(text, " {name}=\"{}\"", escape(*value));
        }
    }
    if properties.is_empty() {
        text.push_str("/>\n");
        return text;
    }
    text.push_str(">\n    <properties>\n");
    for (name, value) in properties {
        let _ = writeln!(text, "      <property name=\"{}\">{}</property>", escape(name), escape(value));
    }
    text.push_str("    </properties>\n  </link>\n");
    text
}

/// `k=v&k=v`, or an object of JSON.
fn properties(text: &str) -> Vec<(String, String)> {
    let text = text.trim();
    if let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(text) {
        let word = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        return fields.iter().map(|(name, value)| (name.clone(), word(value))).collect();
    }
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.to_owned())).filter(|(name, _)| !name.is_empty()).collect()
}

/// The file with these elements before the end of its root; `None` when it has no such root.
fn merged(there: Option<&str>, root: &str, elements: &str) -> Option<String> {
    let Some(there) = there.filter(|text| !text.trim().is_empty()) else {
        return Some(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root}>\n{elements}</{root}>\n"));
    };
    if let Some(at) = there.rfind(&format!("</{root}")) {
        let line = if there[..at].ends_with('\n') { "" } else { "\n" };
        return Some(format!("{}{line}{elements}{}", &there[..at], &there[at..]));
    }
    // A root without content: <db-links/>
    let at = there.rfind(&format!("<{root}"))?;
    let end = there[at..].find("/>")? + at;
    Some(format!("{}>\n{elements}</{root}>{}", there[..end].trim_end(), &there[end + 2..]))
}

/// What is wrong with the links of a file that would be `text`, with the name of the link as it is written there.
fn faults(file: &str, text: &str, is_database: bool) -> Result<Vec<(String, Message)>, Failure> {
    let dir = std::env::temp_dir().join(format!("ractorflow-import-{}", uuid::Uuid::now_v7()));
    let written = write(&dir.join(file), text, MODE);
    let faults = match is_database {
        true => link::db_links(&dir).faults,
        false => link::file_links(&dir).faults,
    };
    // Whatever came of it: what is there holds passwords.
    let _ = std::fs::remove_dir_all(&dir);
    written?;
    let lines: Vec<&str> = text.lines().collect();
    let name_at = |line: u32| {
        let tag = lines.iter().take(line as usize).rev().find(|line| line.contains("<link "))?;
        tag.split_once("name=\"")?.1.split('"').next().map(str::to_owned)
    };
    Ok(faults.into_iter().filter_map(|fault| Some((name_at(fault.line)?, fault.message))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_written_as_akkaflow_has_it_and_read_back() {
        let record = Record::of(&[
            ("name", "dwh"),
            ("dbtype", "MYSQL"),
            ("jdbcurl", "jdbc:mysql://10.0.0.1:3306/dw?useUnicode=true&useSSL=false"),
            ("username", "etl"),
            ("password", "a\"<b>&'c"),
            ("description", "仓库"),
            ("properties", "connectTimeout=3000&x=y=z"),
        ]);
        let text = merged(None, "db-links", &db_element("dwh", &record)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join(DB_LINKS_FILE), &text, MODE).unwrap();
        let link = link::db_link(dir.path(), "dwh").unwrap();
        assert_eq!((link.username.as_str(), link.password.expose()), ("etl", "a\"<b>&'c"));
        assert_eq!(link.description.as_deref(), Some("仓库"));
        assert!(link.properties.iter().any(|(name, _)| name == "connectTimeout"), "{text}");
        assert_eq!(
            properties("{\"a\": \"1\", \"b\": 2}"),
            [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]
        );
    }

    #[test]
    fn what_a_file_has_stays_and_new_links_come_behind_it() {
        let new = "  <link name=\"n\"/>\n";
        let there = "<?xml version=\"1.0\"?>\n<!-- mine -->\n<db-links>\n  <link name=\"a\"/>\n</db-links>\n";
        let text = merged(Some(there), "db-links", new).unwrap();
        assert_eq!(text, there.replace("</db-links>", &format!("{new}</db-links>")));
        assert_eq!(merged(Some("<db-links/>"), "db-links", new).unwrap(), format!("<db-links>\n{new}</db-links>"));
        assert_eq!(
            merged(Some("<db-links></db-links>"), "db-links", new).unwrap(),
            format!("<db-links>\n{new}</db-links>")
        );
        assert_eq!(merged(Some("<other/>"), "db-links", new), None);
    }
}
