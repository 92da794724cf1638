//! What the XML of a transfer asks for, and what it must not.

use std::path::{Path, PathBuf};

use crate::connector::database::Dialect;
use crate::connector::delimited::Format;
use crate::connector::file::is_same;
use crate::connector::link::{DbKind, DbLink, DbUrl, FileLink, LOCAL};
use crate::model::action::BodyElement;
use crate::model::assignment::Rendered;
use crate::model::message::Message;
use crate::model::policy::{parse_bool, parse_count};
use crate::say;

use super::super::database::home;
use super::super::files;
use super::super::task::{Failure, Task, attribute};
use super::linked;
use super::tally::Counted;

/// Writers of a table, unless `task-num` says otherwise; akkaflow's number.
const WRITERS: u32 = 2;
const WRITERS_MAX: u32 = 16;

pub struct Wanted {
    pub source: WantedSource,
    pub target: Target,
    pub max_rejects: u64,
}

pub enum WantedSource {
    Query { link: String, text: Rendered },
    File { link: FileLink, path: PathBuf, format: Format },
}

pub enum Target {
    Table(WantedTable),
    File(WantedFile),
}

pub struct WantedTable {
    pub link: String,
    pub table: String,
    pub is_emptied: bool,
    /// Everything in one transaction, by one writer.
    pub is_atomic: bool,
    pub n_writers: u32,
    pub pre: Option<Rendered>,
    pub after: Option<Rendered>,
}

pub struct WantedFile {
    pub link: FileLink,
    pub path: PathBuf,
    pub format: Format,
    pub is_deleted: bool,
    pub pre: Option<Rendered>,
    pub after: Option<Rendered>,
}

/// Does the text of a source of the type DB name a table, rather than ask for rows?
pub fn is_table(text: &str) -> bool {
    !text.trim().contains(char::is_whitespace)
}

pub fn wanted(task: &Task<'_>) -> Result<Wanted, Message> {
    let body = &task.assignment.body;
    let one = |word: &'static str| {
        let mut all = body.children(word);
        match (all.next(), all.next()) {
            (Some(element), None) => Ok(element),
            _ => Err(say!("<transfer> needs exactly one <{}>, it has {}", word, body.children(word).count())),
        }
    };
    let (source, target) = (one("source")?, one("target")?);
    let max_rejects = attribute(body, "max-rejects").map_or(Ok(0), |text| parse_count(text, 0));
    let max_rejects = max_rejects.map_err(|error| named("max-rejects", error.said()))?;
    let text = source.text.as_ref().filter(|text| !text.text.trim().is_empty());
    let text = text.ok_or_else(|| say!("{} is missing", "source"))?;
    let source = match is_db(source)? {
        true => WantedSource::Query { link: needed(source, "db-link")?, text: text.clone() },
        false => {
            WantedSource::File { link: link_of(task, source)?, path: text.text.trim().into(), format: format(source)? }
        }
    };
    let script = |word: &str| target.child(word).and_then(|child| child.text.clone());
    let script = |word: &str| script(word).filter(|text| !text.text.trim().is_empty());
    let (pre, after) = (script("pre"), script("after"));
    let target = match is_db(target)? {
        true => {
            let n_writers = attribute(target, "task-num").map_or(Ok(WRITERS), |text| parse_count(text, 1));
            Target::Table(WantedTable {
                link: needed(target, "db-link")?,
                table: needed(target, "table")?,
                is_emptied: flag(target, "is-pre-truncate", false)?,
                is_atomic: flag(target, "atomic", true)?,
                n_writers: n_writers.map_err(|error| named("task-num", error.said()))?.min(WRITERS_MAX),
                pre,
                after,
            })
        }
        false => Target::File(WantedFile {
            link: link_of(task, target)?,
            path: needed(target, "path")?.into(),
            format: format(target)?,
            is_deleted: flag(target, "is-pre-del", false)?,
            pre,
            after,
        }),
    };
    Ok(Wanted { source, target, max_rejects: max_rejects.into() })
}

impl Wanted {
    pub fn counted(&self) -> Counted {
        match (&self.source, &self.target) {
            (_, Target::File(_)) => Counted::Written,
            (WantedSource::File { .. }, _) => Counted::Read,
            _ => Counted::Values,
        }
    }

    /// A table or file that is copied onto itself would be lost or doubled.
    pub fn refuse_same(&self, task: &Task<'_>) -> Result<(), Failure> {
        match (&self.source, &self.target) {
            (WantedSource::File { link, path, .. }, Target::File(target)) => {
                if is_same((link, path), (&target.link, &target.path)) {
                    return Err(Failure::refused(say!("source and target are the same file: {}", path)));
                }
            }
            (WantedSource::Query { link: from, text }, Target::Table(target)) if is_table(&text.text) => {
                let (from, to) = (linked(task, from)?, linked(task, &target.link)?);
                let (own, other) = (text.text.trim(), target.table.as_str());
                if is_same_database(home(task), &from, &to) && parts(&from, own) == parts(&to, other) {
                    return Err(Failure::refused(say!("source and target are the same table: {}", own)));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// `home`: as `database::home`. A file counts as itself under each of its paths.
pub fn is_same_database(home: &Path, a: &DbLink, b: &DbLink) -> bool {
    let file = |link: &DbLink| match &link.url {
        DbUrl::File(path) => home.join(path).canonicalize().ok(),
        _ => None,
    };
    if let (Some(a), Some(b)) = (file(a), file(b)) {
        return a == b;
    }
    let server = |link: &DbLink| match link.kind {
        DbKind::MariaDb => DbKind::MySql,
        kind => kind,
    };
    let hosts = |link: &DbLink| match &link.url {
        // A schema before the table's name may be another database of the server.
        DbUrl::Server { hosts, database } if server(link) != DbKind::MySql => Some((hosts.clone(), database.clone())),
        DbUrl::Server { hosts, .. } => Some((hosts.clone(), None)),
        _ => None,
    };
    server(a) == server(b) && a.url != DbUrl::Memory && (a.url == b.url || hosts(a).is_some() && hosts(a) == hosts(b))
}

/// Schema and table, as far as the name or the link tells.
fn parts(link: &DbLink, name: &str) -> (String, String) {
    let mut parts: Vec<String> =
        name.split('.').map(|part| part.trim().trim_matches(['"', '`', '[', ']']).to_lowercase()).collect();
    let table = parts.pop().unwrap_or_default();
    let schema = parts.pop().unwrap_or_else(|| match (Dialect::of(link.kind), &link.url) {
        (Dialect::MySql, DbUrl::Server { database, .. }) => database.clone().unwrap_or_default().to_lowercase(),
        (Dialect::PostgreSql, _) => {
            let schema = link.options.schema.as_deref().unwrap_or("public");
            schema.split(',').next().unwrap_or_default().trim().to_lowercase()
        }
        _ => "main".to_owned(),
    });
    (schema, table)
}

fn named(name: &str, message: Message) -> Message {
    say!("{} {}", name, message)
}

fn is_db(element: &BodyElement<Rendered>) -> Result<bool, Message> {
    let kind = attribute(element, "type").unwrap_or_default();
    match kind.to_ascii_uppercase().as_str() {
        "DB" => Ok(true),
        "FILE" => Ok(false),
        _ => Err(say!("type must be DB or FILE, not \"{}\"", kind)),
    }
}

fn needed(element: &BodyElement<Rendered>, name: &str) -> Result<String, Message> {
    let missing = || say!("<{}> needs the attribute {}", element.word.as_str(), name);
    attribute(element, name).map(str::to_owned).ok_or_else(missing)
}

fn flag(element: &BodyElement<Rendered>, name: &str, default: bool) -> Result<bool, Message> {
    attribute(element, name).map_or(Ok(default), parse_bool).map_err(|error| named(name, error.said()))
}

fn link_of(task: &Task<'_>, element: &BodyElement<Rendered>) -> Result<FileLink, Message> {
    let name = attribute(element, "file-link").unwrap_or(LOCAL);
    files::linked(task, name).map_err(|failure| failure.message)
}

/// Blanks count here: a blank may be the delimiter.
fn format(element: &BodyElement<Rendered>) -> Result<Format, Message> {
    let text = |name: &str| element.attribute(name).map(|value| value.text.as_str());
    let delimiter = text("delimited").filter(|text| !text.is_empty());
    Format::new(delimiter, text("quote"), text("null"), flag(element, "header", false)?, text("encoding"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::link::db_links;

    #[test]
    fn the_same_table_is_known_under_its_names() {
        let dir = tempfile::tempdir().unwrap();
        let text = "<db-links>\
            <link name='a' type='MYSQL' jdbc-url='jdbc:mysql://h:3306/shop' username='u' password='p'/>\
            <link name='b' type='MARIADB' jdbc-url='jdbc:mariadb://h:3306/dwh' username='v' password='p'/>\
            <link name='c' type='POSTGRESQL' jdbc-url='jdbc:postgresql://h/dwh?currentSchema=ods,public' username='v' password='p'/>\
            <link name='d' type='SQLITE' jdbc-url='jdbc:sqlite:x.db'/></db-links>";
        std::fs::write(dir.path().join("db_links.xml"), text).unwrap();
        let links = db_links(dir.path()).links;
        let [a, b, c, d] = [0, 1, 2, 3].map(|at| &links[at]);
        let is_same = |a: &DbLink, b: &DbLink| is_same_database(dir.path(), a, b);
        assert!(is_same(a, b) && !is_same(a, c) && is_same(d, d));
        std::fs::write(dir.path().join("x.db"), "").unwrap();
        std::os::unix::fs::symlink("x.db", dir.path().join("y.db")).unwrap();
        let at = |path: PathBuf| DbLink { url: DbUrl::File(path), ..d.clone() };
        assert!(is_same(d, &at(dir.path().join("x.db"))) && is_same(d, &at("y.db".into())));
        assert!(!is_same(d, &at("z.db".into())));
        assert_eq!(parts(a, "T"), parts(b, "`shop`.t"));
        assert_ne!(parts(a, "t"), parts(b, "t"));
        assert_eq!(parts(c, "t"), parts(c, "ods.\"T\""));
        assert!(is_table(" ods.t\n") && !is_table("select 1"));
    }
}
