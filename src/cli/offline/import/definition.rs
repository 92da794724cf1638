//! Workflows of akkaflow's database as files in `xmlconfig/`, where they would have lain in its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::cli::console::Failure;
use crate::cli::offline::check;
use crate::model::diagnostic;
use crate::say;
use crate::{node, xml};

use super::table::Record;
use super::{Done, Row, Steps, write};

/// Any user may read a definition, as one that was copied there.
const MODE: u32 = 0o644;

pub fn import(records: Vec<Record>, steps: &Steps<'_>) -> Result<Vec<Row>, Failure> {
    let root = steps.home.xmlconfig_dir();
    let mut known = names_in(&root, steps)?;
    let mut taken = BTreeSet::new();
    let mut rows = Vec::new();
    for record in &records {
        let name = record.get(&["name"]).unwrap_or_default().to_owned();
        let Some(text) = record.get(&["xml_str", "xml"]).filter(|text| !text.trim().is_empty()) else {
            let note = say!("its row holds no XML");
            rows.push(Row { kind: "workflow", name, file: String::new(), done: Done::Unusable, note: Some(note) });
            continue;
        };
        let text = in_utf8(text);
        let relative = place(&name, record.get(&["file_path"]), &mut taken);
        let path = root.join(&relative);
        let outcome = xml::read(&xml::Input::new(text.as_bytes(), &relative.display().to_string(), node::spec::all()));
        let n_errors = diagnostic::n_errors(&outcome.diagnostics);
        let there = std::fs::read(&path).ok();
        // The same workflow in two files would be loaded from neither.
        let elsewhere = known.get(&name).filter(|other| **other != path).cloned();
        let done = match (&there, &elsewhere) {
            (None, Some(other)) if std::fs::read(other).is_ok_and(|there| there == text.as_bytes()) => Done::Same,
            (_, Some(_)) => Done::Kept,
            (Some(there), None) if there == text.as_bytes() => Done::Same,
            (Some(_), None) if steps.is_forced && known.get(&name) == Some(&path) => Done::Overwritten,
            (Some(_), None) => Done::Kept,
            (None, None) => Done::Written,
        };
        let note = match (done, &elsewhere) {
            (Done::Kept, Some(other)) => Some(say!("the workflow is already in {}", below(steps.home.root(), other))),
            (Done::Kept, None) if known.get(&name) == Some(&path) => {
                Some(say!("the file holds another definition of it; --force overwrites it"))
            }
            (Done::Kept, None) => Some(say!("the file is there and holds something else")),
            _ if n_errors > 0 => Some(say!("does not load: {} errors, see `ractorflow check`", n_errors)),
            _ => None,
        };
        if matches!(done, Done::Written | Done::Overwritten) {
            if !steps.is_dry {
                write(&path, &text, MODE)?;
            }
            known.insert(name.clone(), path.clone());
        }
        let file = below(steps.home.root(), elsewhere.as_ref().unwrap_or(&path));
        rows.push(Row { kind: "workflow", name, file, done, note });
    }
    Ok(rows)
}

fn below(home: &Path, path: &Path) -> String {
    path.strip_prefix(home).unwrap_or(path).display().to_string()
}

/// Which workflow is in which file that is there already.
fn names_in(root: &Path, steps: &Steps<'_>) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let mut paths = Vec::new();
    if root.is_dir() {
        check::collect(root, 0, &steps.config.definitions, &mut paths)?;
    }
    let name = |path: &PathBuf| {
        let bytes = check::read_file(path).ok()?;
        let file = path.display().to_string();
        xml::read(&xml::Input::new(&bytes, &file, node::spec::all())).name
    };
    Ok(paths.into_iter().filter_map(|path| Some((name(&path)?, path))).collect())
}

/// Where the file lay below akkaflow's `xmlconfig`, else its own name, else that of the workflow; each place once.
fn place(name: &str, file_path: Option<&str>, taken: &mut BTreeSet<PathBuf>) -> PathBuf {
    let by_name = || PathBuf::from(format!("{}.xml", part(name)));
    let from_path = file_path.and_then(|path| {
        let path = path.trim().replace('\\', "/");
        let inside = match path.rsplit_once("/xmlconfig/") {
            Some((_, inside)) => inside,
            None => path.rsplit('/').next().unwrap_or_default(),
        };
        let parts: Vec<String> = inside.split('/').filter(|part| !matches!(*part, "" | "." | "..")).map(part).collect();
        Some(parts.iter().collect::<PathBuf>()).filter(|_| parts.last().is_some_and(|file| file.ends_with(".xml")))
    });
    let wanted = from_path.unwrap_or_else(by_name);
    let others = (2..).map(|n| PathBuf::from(format!("{}-{n}.xml", part(name))));
    let free = [wanted, by_name()].into_iter().chain(others).find(|place| !taken.contains(place));
    let free = free.unwrap_or_else(by_name);
    taken.insert(free.clone());
    free
}

/// One name in a path: nothing hidden, nothing that leads elsewhere.
fn part(name: &str) -> String {
    let clean: String = name.chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).collect();
    let clean = clean.trim().trim_start_matches('.');
    let mut end = clean.len().min(200);
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    if clean.is_empty() { "_".to_owned() } else { clean[..end].to_owned() }
}

/// The text is decoded already, whatever its declaration says of the bytes it once was.
fn in_utf8(text: &str) -> String {
    let text = text.trim_start_matches('\u{feff}');
    let Some((declaration, rest)) = text.split_once("?>").filter(|(head, _)| head.starts_with("<?xml")) else {
        return text.to_owned();
    };
    let Some(at) = declaration.find("encoding") else { return text.to_owned() };
    let (before, value) = declaration.split_at(at + "encoding".len());
    let Some((quote_at, quote)) = value.char_indices().find(|(_, c)| matches!(c, '"' | '\'')) else {
        return text.to_owned();
    };
    let after = value[quote_at + 1..].split_once(quote).map_or("", |(_, after)| after);
    format!("{before}={quote}UTF-8{quote}{after}?>{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_lies_where_it_lay_and_nowhere_else() {
        let mut taken = BTreeSet::new();
        let mut at = |name: &str, path: Option<&str>| place(name, path, &mut taken).display().to_string();
        assert_eq!(at("a", Some("/opt/akkaflow/xmlconfig/dw/ods/a.xml")), "dw/ods/a.xml");
        assert_eq!(at("b", Some("/home/kent/b.xml")), "b.xml");
        assert_eq!(at("日报", None), "日报.xml");
        assert_eq!(at("c", Some("D:\\akkaflow\\xmlconfig\\x\\c.xml")), "x/c.xml");
        assert_eq!(at("d", Some("/opt/xmlconfig/../../../etc/d.xml")), "etc/d.xml");
        assert_eq!(at("e", Some("/opt/xmlconfig/.hidden/.e.xml")), "hidden/e.xml");
        assert_eq!(at("f", Some("/opt/notes.txt")), "f.xml");
        assert_eq!(at("../g/h", None), "_g_h.xml");
        // Two of one place.
        assert_eq!(at("a2", Some("/other/xmlconfig/dw/ods/a.xml")), "a2.xml");
        assert_eq!(at("a2", Some("/third/xmlconfig/dw/ods/a.xml")), "a2-2.xml");
    }

    #[test]
    fn a_declaration_says_what_the_bytes_are_now() {
        let body = "\n<work-flow name=\"日报\"/>";
        for (declared, now) in [
            ("<?xml version=\"1.0\" encoding=\"GBK\"?>", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"),
            (
                "<?xml version='1.0' encoding = 'gb2312' standalone='yes'?>",
                "<?xml version='1.0' encoding='UTF-8' standalone='yes'?>",
            ),
            ("<?xml version=\"1.0\"?>", "<?xml version=\"1.0\"?>"),
            ("\u{feff}", ""),
        ] {
            assert_eq!(in_utf8(&format!("{declared}{body}")), format!("{now}{body}"));
        }
    }
}
