//! The annotated default file, made from the same rows as the struct so that the two cannot differ.

use super::section::{Config, KEYS, SECTIONS};

/// The text of `conf/ractorflow.toml` with every key at the value it has in `config`.
pub fn default_file(config: &Config) -> String {
    let values = match toml::Value::try_from(config) {
        Ok(toml::Value::Table(table)) => table,
        other => unreachable!("a config is always a table: {other:?}"),
    };
    let mut text = String::from(
        "# Settings of Ractorflow. Every key is shown with its value; a key that is left out has its default.\n\
         # RACTORFLOW_<SECTION>__<KEY> in the environment overrides a key, lists separated by commas.\n",
    );
    for (section, section_doc) in SECTIONS {
        text.push('\n');
        for line in *section_doc {
            text.push_str(&format!("#{line}\n"));
        }
        text.push_str(&format!("[{section}]\n"));
        for key in KEYS.iter().filter(|key| key.section == *section) {
            for line in key.doc {
                text.push_str(&format!("#{line}\n"));
            }
            let value = &values[*section][key.name];
            text.push_str(&format!("{} = {value}\n", key.name));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_file_is_the_generated_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/ractorflow.toml");
        let generated = default_file(&Config::default());
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, &generated).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap();
        assert!(committed == generated, "conf/ractorflow.toml is not what the code says; run with BLESS=1 to write it");
    }

    #[test]
    fn the_default_file_reads_back_as_the_defaults() {
        let config: Config = toml::from_str(&default_file(&Config::default())).unwrap();
        assert_eq!(config, Config::default());
    }

    #[test]
    fn every_limit_of_time_or_size_has_its_unit_in_its_name() {
        for key in KEYS {
            let name = key.name;
            for (word, units) in [
                ("timeout", &["_ms"][..]),
                ("interval", &["_ms"][..]),
                ("size", &["bytes"][..]),
                ("grace", &["_ms"][..]),
                ("keep", &["hours", "bytes", "_ms", "days"][..]),
            ] {
                if name.contains(word) {
                    assert!(units.iter().any(|unit| name.contains(unit)), "{}.{name} has no unit", key.section);
                }
            }
        }
    }
}
