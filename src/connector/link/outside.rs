//! What the values of a link may fetch: `${env:NAME}` and `${file:/path}`, so that no password stands in the file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::model::link::is_reference;
use crate::model::message::Message;
use crate::say;

/// Longest file that a value may be.
const VALUE_BYTES_MAX: u64 = 64 * 1024;

/// The environment and the directory of the files. Tests have their own.
pub(super) struct Outside<'a> {
    pub conf_dir: &'a Path,
    env: &'a dyn Fn(&str) -> Option<String>,
    /// Not the host that uses the link: references are not looked up.
    is_elsewhere: bool,
}

/// Stands in for a value that only another host has: anything, a port too.
pub(super) const PLACEHOLDER: &str = "65001";

impl<'a> Outside<'a> {
    pub fn real(conf_dir: &'a Path) -> Self {
        Self { conf_dir, env: &|name| std::env::var(name).ok(), is_elsewhere: false }
    }

    pub fn elsewhere(conf_dir: &'a Path) -> Self {
        Self { conf_dir, env: &|_| None, is_elsewhere: true }
    }

    #[cfg(test)]
    pub fn with_env(conf_dir: &'a Path, env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { conf_dir, env, is_elsewhere: false }
    }

    /// The text with what it fetches. Other `${…}` stay. The error names what is missing, never a value.
    pub fn resolve(&self, text: &str) -> Result<String, Message> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let form = ["${env:", "${file:"].into_iter().find(|form| rest.starts_with(form));
            let Some(form) = form else {
                out.push_str("${");
                rest = &rest[2..];
                continue;
            };
            let inside = &rest[form.len()..];
            let end = inside.find('}').ok_or_else(|| say!("{}… is not closed by }", form))?;
            let name = inside[..end].trim();
            out.push_str(&if form == "${env:" { self.variable(name) } else { self.file(name) }?);
            rest = &inside[end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }

    fn variable(&self, name: &str) -> Result<String, Message> {
        if self.is_elsewhere {
            return Ok(PLACEHOLDER.to_owned());
        }
        (self.env)(name).ok_or_else(|| say!("the environment variable {} is not set where the link is used", name))
    }

    /// The file without the line break at its end, which editors add.
    fn file(&self, name: &str) -> Result<String, Message> {
        if self.is_elsewhere {
            return Ok(PLACEHOLDER.to_owned());
        }
        let path = self.conf_dir.join(name);
        let failed = |error: std::io::Error| say!("the file {} cannot be read: {}", path, error.to_string());
        let mut bytes = Vec::new();
        let n = File::open(&path)
            .and_then(|file| file.take(VALUE_BYTES_MAX + 1).read_to_end(&mut bytes))
            .map_err(failed)?;
        if n as u64 > VALUE_BYTES_MAX {
            return Err(say!("the file {} has more than {} bytes", path, VALUE_BYTES_MAX));
        }
        let mut text = String::from_utf8(bytes).map_err(|_| say!("the file {} is not UTF-8", path))?;
        let length = text.trim_end_matches(['\r', '\n']).len();
        text.truncate(length);
        Ok(text)
    }
}

/// Does the text itself hold a secret, rather than say where one is?
pub(super) fn is_literal(text: &str) -> bool {
    !text.is_empty() && !is_reference(text)
}
