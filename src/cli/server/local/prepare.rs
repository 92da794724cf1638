//! Makes a home out of an empty directory: its directories, settings, secrets and the examples.

use std::path::Path;

use crate::cli::console::Failure;
use crate::cli::server::secret;
use crate::config::{Config, Home, default_file};

/// What was made, for the first lines of start-cluster.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Made {
    pub data: bool,
    pub settings: bool,
    pub secrets: bool,
    pub examples: usize,
}

impl Made {
    pub fn words(&self) -> Option<String> {
        let mut words = Vec::new();
        if self.data {
            words.push("created data/".to_owned());
        }
        if self.settings {
            words.push("wrote conf/ractorflow.toml".to_owned());
        }
        if self.secrets {
            words.push("made the cluster's secrets".to_owned());
        }
        if self.examples > 0 {
            words.push(format!("copied {} examples to xmlconfig/example/", self.examples));
        }
        (!words.is_empty()).then(|| words.join(", "))
    }
}

/// `tree` is where the product was unpacked; its examples go into a home that has no xmlconfig/ yet. `settings` is
/// written when the home has no file of its own.
pub fn prepare(home: &Home, tree: Option<&Path>, settings: &Config) -> Result<Made, Failure> {
    let mut made = Made { data: !home.data_dir().exists(), ..Made::default() };
    let is_new_xmlconfig = !home.xmlconfig_dir().exists();
    for dir in [home.conf_dir(), home.data_dir(), home.logs_dir(), home.run_dir(), home.xmlconfig_dir()] {
        std::fs::create_dir_all(&dir)
            .map_err(|error| Failure::other(format!("cannot create {}: {error}", dir.display())))?;
    }
    if !home.config_file().exists() {
        std::fs::write(home.config_file(), default_file(settings))?;
        made.settings = true;
    }
    made.secrets = secret::ensure(home)?;
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
