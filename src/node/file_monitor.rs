//! `file-monitor`: are enough files there, each large enough, and do they no longer grow?

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::connector::file::{Files, Pattern};
use crate::connector::link::LOCAL;
use crate::model::duration::Millis;
use crate::model::message::Message;
use crate::model::policy::{parse_count, parse_size};
use crate::say;

use super::files;
use super::task::{Failure, Task, attribute};

/// Between the two looks, unless `pause` says otherwise.
const PAUSE: Millis = Millis::seconds(10);
/// Names that one message lists.
const NAMES_SHOWN: usize = 5;

struct Wanted {
    directory: PathBuf,
    pattern: Pattern,
    min_files: u32,
    min_bytes: u64,
    pause: Duration,
    warning: Option<String>,
}

/// Sizes by name.
type Look = BTreeMap<String, u64>;

pub fn run<'a>(task: &'a Task<'_>) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>> {
    Box::pin(async {
        let wanted = wanted(task).map_err(Failure::refused)?;
        let file = task.assignment.body.child("file");
        let name = file.and_then(|file| attribute(file, "file-link")).unwrap_or(LOCAL);
        let link = files::linked(task, name)?;
        let files = files::open(task, &link, CancellationToken::new()).await?;
        let found = watch(task, &files, &wanted).await;
        files.close().await;
        let found = found.map_err(|failure| Failure {
            message: with_warning(failure.message, wanted.warning.as_deref()),
            ..failure
        })?;
        task.output("count", found.len());
        task.output("bytes", found.values().sum::<u64>());
        Ok(())
    })
}

/// What two looks found alike, and enough of it.
async fn watch(task: &Task<'_>, files: &Files, wanted: &Wanted) -> Result<Look, Failure> {
    let look = || files.list(&wanted.directory, &wanted.pattern, task.services.monitor_entries_max);
    let first = task.unless_stopped(look()).await?.map_err(files::failure)?;
    tell(task, &first);
    task.unless_stopped(tokio::time::sleep(wanted.pause)).await?;
    let second = task.unless_stopped(look()).await?.map_err(files::failure)?;
    judge(wanted, &files.place(&wanted.directory.join(wanted.pattern.to_string())), &first, &second)
        .map_err(Failure::of)?;
    Ok(second)
}

fn wanted(task: &Task<'_>) -> Result<Wanted, Message> {
    let file = task.assignment.body.child("file").ok_or_else(|| say!("{} is missing", "file"))?;
    let attribute = |name| attribute(file, name);
    let text = task.child_text("file").ok_or_else(|| say!("{} is missing", "file"))?;
    let (directory, pattern) = text.rsplit_once('/').ok_or_else(|| say!("\"{}\" names no directory", text))?;
    let said = |name: &str, error: Message| say!("{} {}", name, error);
    let min_files =
        attribute("min-num").map_or(Ok(1), |text| parse_count(text, 0).map_err(|e| said("min-num", e.said())))?;
    let min_bytes = attribute("min-each-size")
        .map_or(Ok(0), |text| parse_size(text).map_err(|e| said("min-each-size", e.said())))?;
    let pause = task.assignment.body.attribute("pause").map(|value| value.text.trim());
    let pause = pause.map_or(Ok(PAUSE), |text| Millis::parse(text).map_err(|e| said("pause", e.said())))?;
    Ok(Wanted {
        directory: PathBuf::from(if directory.is_empty() { "/" } else { directory }),
        pattern: Pattern::new(pattern).map_err(|error| Message::verbatim(error.to_string()))?,
        min_files,
        min_bytes,
        pause: Duration::from_millis(u64::try_from(pause.0).unwrap_or(0)),
        warning: task.child_text("warn-msg").map(str::to_owned),
    })
}

fn tell(task: &Task<'_>, found: &Look) {
    let bytes: u64 = found.values().sum();
    task.log(&say!("{} file{s}, {} bytes", found.len(), bytes));
    for (name, bytes) in found.iter().take(NAMES_SHOWN) {
        task.print(&format!("  {name}  {bytes}"));
    }
    if found.len() > NAMES_SHOWN {
        task.log(&say!("  and {} more", found.len() - NAMES_SHOWN));
    }
}

fn judge(wanted: &Wanted, place: &str, first: &Look, second: &Look) -> Result<(), Message> {
    if first != second {
        let changed = second.iter().find(|(name, size)| first.get(*name) != Some(size)).map(|(name, _)| name);
        let changed = changed.or_else(|| first.keys().find(|name| !second.contains_key(*name)));
        let name = changed.map_or("", String::as_str);
        return Err(say!("{}: the files still change ({}); is it still being written?", place, name));
    }
    if second.len() < wanted.min_files as usize {
        return Err(say!("{}: {} file{s}, at least {} are needed", place, second.len(), wanted.min_files));
    }
    let small: Vec<&str> =
        second.iter().filter(|(_, size)| **size < wanted.min_bytes).map(|(name, _)| name.as_str()).collect();
    match small.first() {
        None => Ok(()),
        Some(name) => Err(say!(
            "{}: {} of {} files are smaller than {} bytes, {} among them",
            place,
            small.len(),
            second.len(),
            wanted.min_bytes,
            *name
        )),
    }
}

/// What the author wants to be told, before what was found.
pub(super) fn with_warning(fault: Message, warning: Option<&str>) -> Message {
    match warning {
        Some(warning) => say!("{}: {}", warning, fault),
        None => fault,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::node::testing::{assignment, element, task, with_attribute};

    async fn monitor(file: &str, attributes: &[(&str, &str)]) -> Result<String, String> {
        let child = attributes
            .iter()
            .fold(element("file", &[file], vec![]), |element, (name, value)| with_attribute(element, name, value));
        let children = vec![child, element("warn-msg", &["no delivery"], vec![])];
        let body = with_attribute(element("file-monitor", &[], children), "pause", "20ms");
        let task = task(assignment(body), Path::new("conf"));
        run(&task).await.map(|()| task.output_lines()).map_err(|failure| failure.message.english())
    }

    #[tokio::test]
    async fn enough_files_of_enough_size_that_do_not_change() {
        let dir = tempfile::tempdir().unwrap();
        let at = |pattern: &str| format!("\n  {}/{pattern}\n", dir.path().display());
        std::fs::write(dir.path().join("a.csv"), "12345").unwrap();
        std::fs::write(dir.path().join("b.csv"), "123").unwrap();
        std::fs::create_dir(dir.path().join("c.csv")).unwrap();
        let outputs = monitor(&at("*.csv"), &[("min-num", "2")]).await.unwrap();
        assert!(outputs.contains(r#"{"name":"count","value":"2"}"#) && outputs.contains(r#""value":"8""#), "{outputs}");
        assert!(monitor(&at("a?csv"), &[]).await.is_ok());
        let few = monitor(&at("*.csv"), &[("min-num", "3")]).await.unwrap_err();
        assert!(few.starts_with("no delivery: ") && few.contains("2 files, at least 3"), "{few}");
        let small = monitor(&at("*.csv"), &[("min-each-size", "4B")]).await.unwrap_err();
        assert!(small.contains("1 of 2 files are smaller than 4 bytes, b.csv"), "{small}");
        let none = monitor(&at("nothing/x*"), &[]).await.unwrap_err();
        assert!(none.contains("there is no directory"), "{none}");
        // What akkaflow took for a regular expression is a name.
        assert!(monitor(&at("(a|b).csv"), &[]).await.is_err());
    }

    #[test]
    fn files_that_change_between_the_looks_are_still_being_written() {
        let wanted = Wanted {
            directory: "/in".into(),
            pattern: Pattern::new("*").unwrap(),
            min_files: 1,
            min_bytes: 0,
            pause: Duration::ZERO,
            warning: None,
        };
        let look =
            |files: &[(&str, u64)]| files.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect::<Look>();
        let judged = |first, second| judge(&wanted, "/in/*", &look(first), &look(second)).map_err(|m| m.english());
        assert!(judged(&[("a", 1)], &[("a", 2)]).unwrap_err().contains("(a)"));
        assert!(judged(&[("a", 1), ("b", 1)], &[("a", 1)]).unwrap_err().contains("(b)"));
        assert_eq!(judged(&[("a", 1)], &[("a", 1)]), Ok(()));
    }
}
