//! Makes a home out of an empty directory: its directories, settings, secrets and the examples.

use std::path::Path;

use crate::cli::console::Failure;
use crate::cli::server::secret;
use crate::cli::server::security::place;
use crate::config::{Config, Home, default_file};
use crate::model::message::{Message, Value};
use crate::say;

/// What was made, for the first lines of start-cluster.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Made {
    pub data: bool,
    pub settings: bool,
    pub secrets: bool,
    pub examples: usize,
}

impl Made {
    pub fn words(&self) -> Option<Value> {
        let words = [
            self.data.then(|| say!("created data/")),
            self.settings.then(|| say!("wrote conf/ractorflow.toml")),
            self.secrets.then(|| say!("made the cluster's secrets")),
            (self.examples > 0).then(|| say!("copied {} example{s} to xmlconfig/example/", self.examples)),
        ];
        let words: Vec<Message> = words.into_iter().flatten().collect();
        (!words.is_empty()).then(|| Value::list(words))
    }
}

/// `tree` is where the product was unpacked; its examples go into a home that has no xmlconfig/ yet. `settings` is
/// written when the home has no file of its own.
pub fn prepare(home: &Home, tree: Option<&Path>, settings: &Config) -> Result<Made, Failure> {
    let mut made = Made { data: !home.data_dir().exists(), ..Made::default() };
    let is_new_xmlconfig = !home.xmlconfig_dir().exists();
    for dir in [home.conf_dir(), home.data_dir(), home.logs_dir(), home.run_dir(), home.xmlconfig_dir()] {
        std::fs::create_dir_all(&dir)
            .map_err(|error| Failure::other(say!("cannot create {}: {}", dir, error.to_string())))?;
    }
    if !home.config_file().exists() {
        std::fs::write(home.config_file(), default_file(settings))?;
        made.settings = true;
    }
    made.secrets = secret::ensure(home, settings)?;
    let examples = tree.map(|tree| tree.join("xmlconfig/example")).filter(|examples| examples.is_dir());
    if let Some(examples) = examples.filter(|_| is_new_xmlconfig) {
        let target = home.xmlconfig_dir().join("example");
        std::fs::create_dir_all(&target)?;
        for entry in std::fs::read_dir(examples)?.flatten().filter(|entry| entry.path().is_file()) {
            std::fs::copy(entry.path(), target.join(entry.file_name()))?;
            made.examples += usize::from(entry.path().extension().is_some_and(|extension| extension == "xml"));
        }
    }
    Ok(made)
}

/// Puts the masters of `settings` into the settings' file, so that a later start without `--masters` starts the same
/// ones. Everything else in the file stays as it is. True when it was changed.
pub fn write_masters(home: &Home, settings: &Config) -> Result<bool, Failure> {
    let file = home.config_file();
    let text = std::fs::read_to_string(&file)?;
    replace(&file, &text, with_masters(&text, settings))
}

/// The same with what starts on this host; a home without settings gets them.
pub fn write_cluster(home: &Home, settings: &Config) -> Result<bool, Failure> {
    let file = home.config_file();
    if !file.exists() {
        place::file(&file, default_file(settings).as_bytes(), place::PUBLIC)?;
        return Ok(true);
    }
    let text = std::fs::read_to_string(&file)?;
    let changed = with_masters(&text, settings);
    let changed = with_key(&changed, "start", "workers", &quoted(&settings.start.workers));
    replace(&file, &text, with_key(&changed, "start", "http", &quoted(&settings.start.http)))
}

fn replace(file: &Path, old: &str, new: String) -> Result<bool, Failure> {
    if new == old {
        return Ok(false);
    }
    place::file(file, new.as_bytes(), place::PUBLIC)?;
    Ok(true)
}

fn with_masters(text: &str, settings: &Config) -> String {
    let masters: Vec<String> = settings.cluster.masters.iter().map(ToString::to_string).collect();
    let changed = with_key(text, "cluster", "masters", &quoted(&masters));
    with_key(&changed, "cluster", "low_priority", &quoted(&settings.cluster.low_priority))
}

fn quoted(words: &[String]) -> String {
    format!("[{}]", words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "))
}

/// `text` with a key of a section set to a list; its old value may span lines.
fn with_key(text: &str, wanted: &str, key: &str, value: &str) -> String {
    let heading = format!("[{wanted}]");
    let mut lines = Vec::new();
    let (mut section, mut is_inside, mut is_set, mut skips) = (String::new(), false, false, false);
    for line in text.lines() {
        let trimmed = line.trim();
        if skips {
            skips = !trimmed.contains(']');
            continue;
        }
        if trimmed.starts_with('[') {
            if is_inside && !is_set {
                lines.push(format!("{key} = {value}"));
                is_set = true;
            }
            section = trimmed.to_owned();
            is_inside = section == heading;
        }
        let is_key = trimmed.split_once('=').is_some_and(|(name, _)| name.trim() == key);
        if is_inside && is_key {
            lines.push(format!("{key} = {value}"));
            is_set = true;
            skips = !trimmed.contains(']');
        } else {
            lines.push(line.to_owned());
        }
    }
    if !is_set {
        if section != heading {
            lines.push(heading);
        }
        lines.push(format!("{key} = {value}"));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_directory_becomes_a_home_once() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("xmlconfig/example")).unwrap();
        std::fs::write(tree.path().join("xmlconfig/example/hello.xml"), "<work-flow/>").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("new"));
        let made = prepare(&home, Some(tree.path()), &Config::default()).unwrap();
        assert_eq!(made, Made { data: true, settings: true, secrets: true, examples: 1 });
        assert!(home.xmlconfig_dir().join("example/hello.xml").exists());
        assert_eq!(Config::load(&home).unwrap(), Config::default());
        assert_eq!(prepare(&home, Some(tree.path()), &Config::default()).unwrap(), Made::default());
    }

    #[test]
    fn the_masters_of_a_file_are_replaced_and_nothing_else() {
        let one = "# ours\n[cluster]\nname = \"x\"\nmasters = [\n  \"m1@127.0.0.1:1\",\n]\n[http]\nport = 9\n";
        assert_eq!(
            with_key(one, "cluster", "masters", "[\"m2\"]"),
            "# ours\n[cluster]\nname = \"x\"\nmasters = [\"m2\"]\n[http]\nport = 9\n"
        );
        assert_eq!(with_key("[cluster]\n[http]\n", "cluster", "masters", "[]"), "[cluster]\nmasters = []\n[http]\n");
        assert_eq!(with_key("[http]\n", "cluster", "masters", "[]"), "[http]\n[cluster]\nmasters = []\n");
    }

    #[test]
    fn examples_do_not_join_the_files_of_a_home_that_has_some() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("xmlconfig/example")).unwrap();
        std::fs::write(tree.path().join("xmlconfig/example/hello.xml"), "<work-flow/>").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        std::fs::create_dir_all(home.xmlconfig_dir()).unwrap();
        assert_eq!(prepare(&home, Some(tree.path()), &Config::default()).unwrap().examples, 0);
        assert!(!home.xmlconfig_dir().join("example").exists());
    }
}
